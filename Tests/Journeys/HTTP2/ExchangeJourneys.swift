import Foundation
import Testing

/// Many streams on one connection: none waits for another, none takes what is another's.
@Suite("HTTP/2: streams", .onStageThreads)
struct ExchangeJourneys {
    @Test("A hundred requests at once, each with its own answer", arguments: Transport.allCases)
    func many(transport: Transport) throws {
        let page = try Page()
        let found = try HTTP2Stage.shared.play("exchanges", "many", over: transport, ["path": page.path, "count": 100])
        #expect(found.int("whole") == 100 && found.int("matching") == 100, "\(found)")
        #expect(page.requests.count == 100 && Set(page.requests.map(\.target)).count == 100)
    }

    @Test("More than are allowed are refused, and nothing else happens to them")
    func tooMany() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try HTTP2Stage(on: stage, top: "limits: { streams_per_connection: 4 }")
        let release = Gate()
        let held = try Page(on: cast) { connection, _, _ in
            release.pass()
            try connection.send(ok("held"))
        }
        let client = try cast.start("exchanges", "refused", ["path": held.path, "allowed": 4])
        let refused = try client.said("refused")
        #expect(refused.int("announced") == 4, "\(refused)")
        #expect(refused.ints("refused") == [7, 7, 7], "\(refused)")
        #expect(held.requests.count <= 4)
        release.open()
        let found = try client.findings()
        #expect(found.ints("served") == [200, 200, 200, 200] && found.int("after") == 200, "\(found)")
    }

    @Test("An answer overtakes one that is held back", arguments: Transport.allCases)
    func overtaking(transport: Transport) throws {
        let (arrived, release) = (Gate(), Gate())
        let held = try Page { connection, _, _ in
            arrived.open()
            release.pass()
            try connection.send(ok("late"))
        }
        let quick = try Page()
        let client = try HTTP2Stage.shared.start(
            "exchanges", "overtaking", over: transport, ["held": held.path, "quick": quick.path])
        #expect(arrived.pass())
        let overtook = try client.said("overtook")
        #expect(
            overtook.reply("overtook").isWhole("reached \(quick.path)") && overtook.int("first") == 0, "\(overtook)")
        release.open()
        #expect(try client.findings().reply("reply").isWhole("late"))
    }

    @Test("A small answer comes in the middle of a large one", arguments: Transport.allCases)
    func fair(transport: Transport) throws {
        let total = 40 << 20
        let large = try Page { connection, _, _ in
            try connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(total)\r\n\r\n")
            let piece = [UInt8](repeating: 97, count: 1 << 20)
            for _ in 0..<(total >> 20) { try connection.wire.send(piece) }
        }
        let small = try Page("Cache-Control: max-age=600")
        _ = try HTTP2Stage.shared.edge.get(small.path)
        let found = try HTTP2Stage.shared.play(
            "exchanges", "fair", over: transport, ["large": large.path, "small": small.path])
        #expect(found.reply("small").isWhole("reached \(small.path)"), "\(found)")
        #expect(!found.flag("over"), "the small one came when the large one was over: \(found)")
        // What lay in the sockets' buffers when it was asked for comes before it.
        #expect(found.int("between") < 24 << 20, "\(found)")
        #expect(found.int("count") == total && found.flag("ended"), "\(found)")
    }

    @Test("Credit that is given back late, frame by frame, is no flood")
    func belated() throws {
        let total = 40 << 20
        let large = try Page { connection, _, _ in
            try connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(total)\r\n\r\n")
            let piece = [UInt8](repeating: 97, count: 1 << 20)
            for _ in 0..<(total >> 20) { try connection.wire.send(piece) }
        }
        let small = try Page()
        let found = try HTTP2Stage.shared.play("exchanges", "belated", ["large": large.path, "small": small.path])
        #expect(found.int("count") == total && found.int("frames") >= total / 16_384, "\(found)")
        #expect(found.int("goaway") == -1 && found.int("after") == 200, "\(found)")
        #expect(found.reply("held").isWhole("reached \(small.path)"), "\(found)")
    }

    // MARK: Priorities (RFC 9218)

    private func order(_ priorities: [String], updates: [[Any]] = []) throws -> [Int] {
        let stage = try HTTP2Stage.shared
        let fill = try Page("Cache-Control: max-age=600", body: String(repeating: "f", count: 65_535))
        let pages = try priorities.map { _ in
            try Page("Cache-Control: max-age=600", body: String(repeating: "p", count: 48_000))
        }
        for page in pages + [fill] { _ = try stage.edge.get(page.path) }
        let requests = zip(pages, priorities).map { [$0.path, $1] }
        let found = try stage.play(
            "exchanges", "in_order", ["fill": fill.path, "requests": requests, "updates": updates])
        #expect(found.int("filled") == 65_535 && found.int("before") == 0, "\(found)")
        #expect(found.ints("counts") == priorities.map { _ in 48_000 }, "\(found)")
        return found.ints("order")
    }

    /// The streams in the order of their first and of their last frames.
    private func firsts(_ order: [Int]) -> [Int] {
        order.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }

    @Test("Urgency decides whose bytes come first (§4.1)")
    func urgency() throws {
        let order = try order(["u=7", "u=5", "u=0", "u=3", "u=1"])
        #expect(firsts(order) == [2, 4, 3, 1, 0], "\(order)")
        #expect(firsts(order.reversed()) == [0, 1, 3, 4, 2], "one after the other: \(order)")
    }

    @Test("Of one urgency, those that are not incremental come one after the other (§10)")
    func sequential() throws {
        let order = try order(["u=3", "u=3", ""])
        #expect(firsts(order) == [0, 1, 2] && firsts(order.reversed()) == [2, 1, 0], "\(order)")
    }

    @Test("Incremental ones share (§4.2)")
    func incremental() throws {
        let order = try order(["u=3, i", "u=3, i", "i"])
        // Every one has begun before any is over.
        #expect(Set(order.prefix(3)) == [0, 1, 2], "\(order)")
    }

    @Test("PRIORITY_UPDATE changes it (§7.1)")
    func reprioritized() throws {
        let order = try order(["u=1", "u=2", "u=6"], updates: [[2, "u=0"], [0, "u=7"]])
        #expect(firsts(order) == [2, 1, 0], "\(order)")
    }

    @Test("Nonsense in priority is as if it were not there (§4)")
    func nonsense() throws {
        let order = try order(["u=9", "nonsense;;", "u=2"])
        #expect(firsts(order) == [2, 0, 1], "\(order)")
    }

    // MARK: Windows and tables

    @Test(
        "Windows move as SETTINGS and WINDOW_UPDATE say, below zero too (RFC 9113, §6.9.2)",
        arguments: Transport.allCases)
    func windows(transport: Transport) throws {
        let page = try Page(body: String(repeating: "w", count: 400_000))
        let found = try HTTP2Stage.shared.play("exchanges", "windows", over: transport, ["path": page.path])
        #expect(found.ints("seen") == [100_000, 100_000, 100_000, 160_000, 180_000, 400_000], "\(found)")
        #expect(found.flag("ended") && found.int("largest") <= 16_384, "\(found)")
    }

    @Test("The client's table of HPACK is as large as it says (RFC 7541, §4.2)", arguments: [0, 100, 4096, 65_536])
    func table(size: Int) throws {
        let page = try Page("X-Repeated: the same value in every answer, which pays to remember")
        let found = try HTTP2Stage.shared.play("exchanges", "compressed", ["path": page.path, "size": size])
        #expect(found.int("status") == 200 && found.flag("equal"), "\(found)")
        let blocks = found.ints("blocks")
        if size >= 4096 { #expect((blocks.last ?? 0) < (blocks.first ?? 0), "nothing was remembered: \(found)") }
    }

    @Test(
        "A connection that comes byte by byte, a block in forty frames, padding", arguments: [true, false],
        Transport.allCases)
    func fragments(padding: Bool, transport: Transport) throws {
        let page = try Page()
        let found = try HTTP2Stage.shared.play(
            "exchanges", "fragments", over: transport, ["path": page.path, "padding": padding])
        #expect(found.reply("reply").isWhole("reached \(page.path)"), "\(found)")
        #expect(page.requests.first?.text == "half rest" && page.requests.first?["X-Odd"] == "value")
    }

    @Test("A request that is reset is given up towards the origin, and its neighbours are not")
    func cancelled() throws {
        let (arrived, ended) = (Gate(), Gate())
        let held = try Page { connection, _, _ in
            arrived.open()
            if try connection.wire.endsWithoutAnotherByte() { ended.open() }
        }
        let quick = try Page()
        let client = try HTTP2Stage.shared.start("exchanges", "cancelled", ["held": held.path, "quick": quick.path])
        #expect(arrived.pass())
        client.tell()
        let found = try client.findings()
        // A POST: what a GET fetches may be of use to others, and goes on.
        #expect(found.ints("statuses") == [200, 200] && found.int("goaway") == -1, "\(found)")
        #expect(ended.pass(), "the origin's connection lives on")
    }
}
