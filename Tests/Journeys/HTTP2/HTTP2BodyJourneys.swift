import Foundation
import Testing

/// Bodies both ways: whole, under back-pressure, with trailers, with what comes before them.
@Suite("HTTP/2: bodies", .onStageThreads)
struct HTTP2BodyJourneys {
    @Test("What goes up comes back, while both are on their way", arguments: [0, 1, 16_384, 65_535, 65_536, 6_000_000])
    func echo(count: Int) throws {
        let page = try Page(readsBodies: false) { connection, _, _ in
            try connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(count)\r\n\r\n")
            var left = count
            while left > 0 {
                let piece = try connection.wire.readSome()
                try connection.wire.send(piece)
                left -= piece.count
            }
        }
        let transport: Transport = count % 2 == 0 ? .tls : .clear
        let found = try HTTP2Stage.shared.play(
            "exchanges", "echo", over: transport, ["path": page.path, "count": count])
        #expect(found.int("status") == 200 && found.int("went") == count && found.flag("equal"), "\(found)")
    }

    @Test("100 MiB, byte for byte, from an origin and from the cache", arguments: Transport.allCases)
    func large(transport: Transport) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.nginx(server: "location / { add_header Cache-Control max-age=600; }")
        let file = origin.root.appending(path: "file")
        try Data(MarkedBody.bytes("file", count: 100 << 20)).write(to: file)
        let edge = try stage.edge(
            HTTP2Stage.configuration(zones: zone("example.test", origins: ["http://127.0.0.1:\(origin.port)"])))
        let port = edge.port(of: transport)
        let url = "\(transport == .tls ? "https" : "http")://example.test:\(port)/file"
        let base = edge.process.memoryKiB("VmRSS")
        for turn in ["first", "second"] {
            let fetched = try stage.run(
                "curl", "-sS", "-k", transport == .tls ? "--http2" : "--http2-prior-knowledge", "-o", stage.path(turn),
                "--resolve", "example.test:\(port):127.0.0.1", url)
            #expect(fetched.status == 0, "\(fetched.errors)")
            let compared = try stage.run("cmp", file.path, stage.path(turn))
            #expect(compared.status == 0, "\(turn): \(compared)")
            try FileManager.default.removeItem(atPath: stage.path(turn))
        }
        // The file is larger than what memory keeps of one object: it goes through, or comes from the disk.
        #expect(edge.process.memoryKiB("VmHWM") - base < 64 * 1024)
    }

    @Test("An upload to an origin that does not read is held back by its window", arguments: Transport.allCases)
    func stalledUpload(transport: Transport) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try HTTP2Stage(on: stage)
        let total = 32 << 20
        let release = Gate()
        let page = try Page(on: cast, readsBodies: false) { connection, _, _ in
            release.pass()
            var taken = connection.wire.buffered.count
            if taken > 0 { _ = try connection.wire.readSome() }
            while taken < total { taken += try connection.wire.readSome().count }
            try connection.send(ok("took \(taken)"))
        }
        let quick = try Page(on: cast)
        let base = cast.edge.process.memoryKiB("VmRSS")
        let client = try cast.start(
            "exchanges", "stalled_upload", over: transport, ["path": page.path, "count": total])
        // Sockets' buffers on the way to the origin take some of it.
        let stalled = try client.said("stalled").int("stalled")
        #expect(stalled > 0 && stalled < 24 << 20, "\(stalled) bytes went")
        #expect(cast.edge.process.memoryKiB("VmHWM") - base < 32 * 1024)
        #expect(try cast.ask(quick.path, over: transport).status == 200)
        release.open()
        client.tell()
        #expect(try client.findings().reply("reply").isWhole("took \(total)"))
    }

    @Test("Answers whose windows are shut pause their origins and hold little", arguments: Transport.allCases)
    func silentDownload(transport: Transport) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try HTTP2Stage(on: stage)
        let (count, total) = (16, 4 << 20)
        let sent = Shared(0)
        let pages = try (0..<count).map { _ in
            try Page(on: cast) { connection, _, _ in
                try connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(total)\r\n\r\n")
                let piece = [UInt8](repeating: 97, count: 1 << 16)
                for _ in 0..<(total >> 16) {
                    try connection.wire.send(piece)
                    sent.withLock { $0 += piece.count }
                }
            }
        }
        let base = cast.edge.process.memoryKiB("VmRSS")
        let client = try cast.start("exchanges", "silent_download", over: transport, ["paths": pages.map(\.path)])
        let heads = try client.said("heads")
        #expect(heads.ints("heads") == [Int](repeating: 200, count: count) && heads.int("bytes") == 0, "\(heads)")
        var before = -1
        _ = eventually {
            defer { before = sent.current }
            pause(milliseconds: 500)
            return before == sent.current
        }
        #expect(sent.current < count * total, "nothing paused the origins")
        // A queue of each stream, and what one read brought beyond it.
        #expect(cast.edge.process.memoryKiB("VmHWM") - base < 24 * 1024)
        client.tell()
        let found = try client.findings()
        #expect(found.ints("counts") == [Int](repeating: total, count: count) && found.flag("ended"), "\(found)")
    }

    @Test("Trailers pass both ways", arguments: Transport.allCases)
    func trailers(transport: Transport) throws {
        let page = try Page { connection, request, _ in
            try connection.send(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Last\r\n\r\n8\r\nthe body\r\n0\r\n"
                    + "X-Last: \(request.trailer("X-Sum") ?? "none")\r\n\r\n")
        }
        let found = try HTTP2Stage.shared.play(
            "exchanges", "trailers", over: transport,
            ["path": page.path, "fields": [["x-sum", "42"]], "ends": true])
        let reply = found.reply("reply")
        #expect(reply.isWhole("the body") && reply.trailer("x-last") == "42", "\(reply)")
        let request = try #require(page.requests.first)
        #expect(request.text == "the body" && request.trailer("X-Sum") == "42", "\(request.head)")
    }

    @Test("Interim responses come as they are (§8.1)", arguments: Transport.allCases)
    func earlyHints(transport: Transport) throws {
        let page = try Page { connection, _, _ in
            try connection.send("HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n" + ok("late"))
        }
        let reply = try HTTP2Stage.shared.ask(page.path, over: transport)
        #expect(reply.isWhole("late"), "\(reply)")
        #expect(reply.interim.map(\.status) == [103] && reply.interim.first?["link"] != nil, "\(reply.interim)")
    }

    @Test("100-continue comes from the origin, before the body goes", arguments: Transport.allCases)
    func expectation(transport: Transport) throws {
        let page = try Page(readsBodies: false) { connection, request, _ in
            guard request["Expect"]?.lowercased() == "100-continue" else {
                return try connection.send(ok("no expectation"))
            }
            try connection.send("HTTP/1.1 100 Continue\r\n\r\n")
            try connection.send(ok("took \(connection.wire.read(exactly: 5).text)"))
        }
        let found = try HTTP2Stage.shared.play("exchanges", "expecting", over: transport, ["path": page.path])
        #expect(found.ints("interim") == [100], "\(found)")
        #expect(found.reply("reply").isWhole("took hello"), "\(found)")
    }

    @Test("What has no body has none: HEAD, 204, 304")
    func bodiless() throws {
        let page = try Page("X-Odd: a", body: "the body")
        let empty = try Page { connection, _, _ in try connection.send("HTTP/1.1 204 No Content\r\n\r\n") }
        let found = try HTTP2Stage.shared.play(
            "exchanges", "each",
            ["requests": [["HEAD", page.path, []], ["GET", empty.path, []], ["GET", page.path, []]] as [[Any]]])
        let replies = found.replies("replies")
        #expect(replies.map(\.status) == [200, 204, 200] && replies.allSatisfy(\.hasEnded), "\(replies)")
        #expect(replies.map(\.count) == [0, 0, 8] && replies.first?["content-length"] == "8", "\(replies)")
    }

    @Test(
        "An answer cut by its origin is cut for the client",
        arguments: ["Content-Length: 10", "Transfer-Encoding: chunked"])
    func cut(framing: String) throws {
        let page = try Page { connection, _, _ in
            let body = framing.hasPrefix("T") ? "5\r\nfirst\r\n" : "first"
            try connection.send("HTTP/1.1 200 OK\r\n\(framing)\r\n\r\n\(body)")
            pause(milliseconds: 100)
            connection.wire.reset()
            throw WireFailure.closed
        }
        let reply = try HTTP2Stage.shared.ask(page.path)
        #expect(reply.status == 200 && reply.body == "first" && !reply.hasEnded, "\(reply)")
        #expect(reply.reset == .internalError || reply.reset == .protocolError, "\(reply)")
    }

    @Test("An answer before the request's end ends the exchange, and the connection goes on (§8.1)")
    func early() throws {
        let page = try Page(readsBodies: false) { connection, _, _ in
            try connection.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
            connection.waitForEnd()
        }
        let quick = try Page()
        let found = try HTTP2Stage.shared.play("exchanges", "early", ["path": page.path, "quick": quick.path])
        let reply = found.reply("reply")
        #expect(reply.status == 403 && reply.body == "no" && reply.hasEnded, "\(found)")
        #expect(found.int("after") == 200 && found.int("goaway") == -1, "\(found)")
    }

    @Test("A body beyond the zone's bound is a 413")
    func tooLarge() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try HTTP2Stage(on: stage, ["limits: { body: 1KiB }"])
        let page = try Page(on: cast)
        for fields in [[["content-length", "5000"]], []] {
            let reply = try cast.ask(page.path, fields, method: "POST", body: String(repeating: "x", count: 5000))
            #expect(reply.status == 413 || reply.reset != nil, "\(reply)")
            if !fields.isEmpty { #expect(reply.status == 413, "\(reply)") }
        }
        #expect(page.requests.allSatisfy { $0.body.count <= 1024 })
    }

    @Test("Heads beyond their bounds are a 431, and the connection goes on", arguments: ["bytes", "count", "path"])
    func headTooLarge(of what: String) throws {
        let stage = try HTTP2Stage.shared
        let page = try Page()
        var fields: [[String]] = []
        var path = page.path
        switch what {
        case "bytes": fields = (0..<10).map { ["x-\($0)", String(repeating: "v", count: 7_500)] }
        case "count": fields = (0..<150).map { ["x-\($0)", "v"] }
        default: path += "?" + String(repeating: "q", count: 20_000)
        }
        let found = try stage.play(
            "exchanges", "each", ["requests": [["GET", path, fields], ["GET", page.path, []]] as [[Any]]])
        let statuses = found.replies("replies").map(\.status)
        #expect(statuses == [what == "path" ? 414 : 431, 200], "\(statuses) \(found.int("goaway"))")
        #expect(page.requests.count == 1)
    }
}
