import Foundation
import Glibc
import Testing

/// What is on the disk after an end of the process, orderly or not (issue: no corrupt byte is ever served).
@Suite("Cache: restarts", .onStageThreads)
struct RestartJourneys {
    private static let store = "{ memory: 16MiB, memory_object: 128KiB, disk: 256MiB }"

    /// An edge that is started again and again on one data directory, and an origin that outlives it.
    private final class Lives {
        let cast: CacheStage
        private(set) var edge: Edge

        init(on stage: Stage, cache: String = "") throws {
            cast = try CacheStage(on: stage, cache: cache, store: RestartJourneys.store)
            edge = cast.edge
        }

        func stop() {
            edge.process.signal(SIGTERM)
            #expect(edge.process.waitForExit() == 0, "\(edge.process.errors)")
        }

        func kill() {
            Glibc.kill(edge.process.pid, SIGKILL)
            _ = edge.process.waitForExit()
        }

        func start() throws { edge = try cast.another() }
    }

    @Test("After an orderly end everything is there again: small and large, variants, fields, age")
    func warm() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let lives = try Lives(on: stage)
        let small = try Resource(
            "Cache-Control: max-age=600", "Age: 50", "X-Kept: yes", "ETag: \"one\"", "Content-Type: text/x-odd",
            on: lives.cast)
        let varying = try Resource("Cache-Control: max-age=600", "Vary: X-Lang", on: lives.cast)
        let large = try Resource.large(3 << 20, "Cache-Control: max-age=600", "ETag: \"l\"", on: lives.cast)
        for _ in 1...3 {
            for page in [small, large] { _ = try page.get() }
            for language in ["de", "en"] { _ = try varying.get("X-Lang: \(language)") }
        }
        lives.stop()
        try lives.start()
        let hit = try small.get()
        hit.expectHit("v1")
        #expect(hit["X-Kept"] == "yes" && hit["Content-Type"] == "text/x-odd" && (hit.age ?? 0) >= 50, "\(hit.head)")
        #expect(try small.get("If-None-Match: \"one\"").status == 304)
        try varying.get("X-Lang: de").expectHit("v1")
        try varying.get("X-Lang: en").expectHit("v2")
        let whole = try large.get()
        whole.expectHit()
        #expect(large.fault(in: whole, count: 3 << 20) == nil)
        try large.get("Range: bytes=5-9").expectHit()
        #expect([small, large].allSatisfy { $0.requestCount == 1 } && varying.requestCount == 2)
    }

    @Test("What went stale meanwhile is stale")
    func stale() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let lives = try Lives(on: stage)
        // Eleven seconds to live: what dies sooner is not worth a write.
        let page = try Resource(validating: "\"one\"", "Cache-Control: max-age=600", "Age: 589", on: lives.cast)
        _ = try page.get()
        _ = try page.get()
        lives.stop()
        try lives.start()
        #expect(try eventually { try !page.get().cache.isHit })
        #expect(page.requests.last?["If-None-Match"] == "\"one\"", "\(page.requests.last?.head ?? "")")
    }

    @Test("What was purged stays purged, and what was not can be purged by its tag")
    func purged() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let lives = try Lives(on: stage)
        let pages = try (0..<6).map { index in
            try Resource.large(
                index % 2 == 0 ? 1 << 20 : 1000, "Cache-Control: max-age=600", "Cache-Tag: tag-\(index / 2)",
                on: lives.cast)
        }
        for page in pages + pages { _ = try page.get() }
        #expect(try lives.edge.martlet("purge", "--tag", "tag-0").status == 0)
        // At once, without a warning: what a purge has answered holds.
        lives.kill()
        try lives.start()
        #expect(try pages[..<2].allSatisfy { try !$0.get().cache.isHit })
        #expect(try lives.edge.martlet("purge", "--tag", "tag-1").status == 0)
        lives.stop()
        try lives.start()
        #expect(try pages[2..<4].allSatisfy { try !$0.get().cache.isHit })
        #expect(try pages[4...].allSatisfy { try $0.get().cache.isHit })
    }

    @Test("A purge of everything leaves nothing for after the restart")
    func purgedAll() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let lives = try Lives(on: stage)
        let pages = try [1000, 1 << 20].map { try Resource.large($0, "Cache-Control: max-age=600", on: lives.cast) }
        for page in pages + pages { _ = try page.get() }
        #expect(try lives.edge.martlet("purge", "--everything", "--yes").status == 0)
        lives.kill()
        try lives.start()
        #expect(try pages.allSatisfy { try !$0.get().cache.isHit })
    }

    @Test("SIGUSR2: the new process takes the cache over, nobody sees an error")
    func handOver() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let lives = try Lives(on: stage)
        let page = try Resource.large(2 << 20, "Cache-Control: max-age=600", on: lives.cast)
        let small = try Resource("Cache-Control: max-age=600", on: lives.cast)
        for _ in 1...2 {
            _ = try page.get()
            _ = try small.get()
        }
        let held = try lives.edge.client()
        lives.edge.process.signal(SIGUSR2)
        for _ in 1...20 {
            let answer = try page.get()
            #expect(page.fault(in: answer, count: 2 << 20) == nil)
        }
        _ = held
        #expect(lives.edge.process.waitForExit() == 0, "\(lives.edge.process.errors)")
        #expect(try eventually { try page.get().cache.isHit })
        #expect(try eventually { try small.get().cache.isHit })
        // On the disk again, not in the old process's memory.
        #expect(try eventually { try lives.edge.metric("martlet_cache_disk_objects") >= 1 })
    }

    @Test("Damage to the files is found, never served")
    func damage() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let lives = try Lives(on: stage)
        let count = 300_000
        let pages = try (0..<12).map { index in
            try Resource.large(index % 2 == 0 ? count : 9000, "Cache-Control: max-age=600", on: lives.cast)
        }
        for page in pages + pages { _ = try page.get() }
        lives.stop()
        let directory = stage.path("var/cache")
        var generator = SystemRandomNumberGenerator()
        var damaged = 0
        for case let name as String in FileManager.default.enumerator(atPath: directory) ?? .init() {
            guard !name.hasSuffix("secret"), let file = FileHandle(forUpdatingAtPath: "\(directory)/\(name)") else {
                continue
            }
            let size = Int(try file.seekToEnd())
            // In one of every 8 KiB a byte flips.
            for start in stride(from: 0, to: size, by: 8192) {
                let place = UInt64(Int.random(in: start..<min(size, start + 8192), using: &generator))
                try file.seek(toOffset: place)
                guard let byte = try file.read(upToCount: 1)?.first else { continue }
                try file.seek(toOffset: place)
                try file.write(contentsOf: [byte ^ 0x40])
                damaged += 1
            }
            try file.close()
        }
        #expect(damaged > 200)
        try lives.start()
        for (index, page) in pages.enumerated() {
            let answer = try page.get()
            let count = index % 2 == 0 ? count : 9000
            // What is found only behind the head ends the answer there, so that its client knows.
            let fault =
                answer.ending == .cut
                ? MarkedBody.fault(answer.body, of: page.path) : page.fault(in: answer, count: count)
            #expect(fault == nil, "\(answer.head)")
        }
        for (index, page) in pages.enumerated() {
            let answer = try page.get()
            let fault = page.fault(in: answer, count: index % 2 == 0 ? count : 9000)
            #expect(
                fault == nil, "\(answer.head)")
        }
        // And it goes on working.
        for page in pages { #expect(try page.get().cache.isShared) }
    }

    @Test("A directory that holds something else, or cannot be written, keeps nothing from being served")
    func foreignFiles() throws {
        let stage = try Stage()
        defer { stage.strike() }
        try FileManager.default.createDirectory(atPath: stage.path("var/cache"), withIntermediateDirectories: true)
        for name in ["0.log", "index.log", "index.chk", "1.big", "secret"] {
            try stage.write("this is no cache\n", to: "var/cache/\(name)")
        }
        let lives = try Lives(on: stage)
        let page = try Resource("Cache-Control: max-age=600", on: lives.cast)
        _ = try page.get()
        try page.get().expectHit("v1")
        try stage.write("a file, no directory\n", to: "blocked")
        let blocked = try CacheStage(
            on: stage, zones: [("example.test", [])], top: "cache: { path: ./blocked/cache }", data: "./other")
        let second = try Resource("Cache-Control: max-age=600", on: blocked)
        _ = try second.get()
        try second.get().expectHit("v1")
    }

    // MARK: kill -9

    /// Clients that ask for pages of one resource at random and look at every byte.
    private final class Load: @unchecked Sendable {
        // Unchecked: what its threads share is behind `Shared`.
        private let page: Resource
        private let isOver = Shared(false)
        private var gates: [Gate] = []
        let faults = Shared<[String]>([])
        let served = Shared(0)

        init(_ page: Resource) { self.page = page }

        /// The size follows from the number: 1 byte to some 400 KB, most of them small.
        static func size(_ number: Int) -> Int {
            number % 8 == 0 ? 150_000 + number * 251 % 250_000 : 1 + number * 97 % 12_000
        }

        func start() {
            isOver.withLock { $0 = false }
            gates = (0..<4).map { index in
                let gate = Gate()
                let thread = Thread { [self] in
                    defer { gate.open() }
                    guard let client = try? page.stage.edge.client() else { return }
                    while !isOver.current, (try? check(client, Int.random(in: 0..<1500))) == true {}
                    _ = index
                }
                thread.stackSize = 1 << 19
                thread.start()
                return gate
            }
        }

        func stop() {
            isOver.withLock { $0 = true }
            gates.forEach { $0.pass() }
        }

        /// False when the connection has ended.
        func check(_ client: Wire, _ number: Int, _ fields: String...) throws -> Bool {
            try client.send(page.request(fields, query: "?\(number)"))
            let answer = try client.readAnswer()
            if answer.ending == .cut { return false }
            if answer.status == 200 {
                let name = "\(page.path)?\(number)"
                if answer.body.count != Self.size(number) {
                    faults.withLock { $0.append("\(name): \(answer.body.count) bytes taken for whole\n\(answer.head)") }
                } else if let fault = MarkedBody.fault(answer.body, of: name) {
                    faults.withLock { $0.append("\(fault)\n\(answer.head)") }
                }
                served.withLock { $0 += 1 }
            }
            return true
        }
    }

    @Test("kill -9 in the middle of heavy filling, 50 times: not one wrong byte, and it comes back each time")
    func killed() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let lives = try Lives(on: stage)
        let page = try Resource(
            playing: { connection, request, _ in
                let number = Int(request.target.split(separator: "?").last ?? "") ?? 0
                let count = Load.size(number)
                try connection.send(
                    "HTTP/1.1 200 OK\r\nCache-Control: max-age=6000\r\nContent-Length: \(count)\r\n\r\n")
                try connection.wire.send(MarkedBody.bytes(request.target, count: count))
            }, on: lives.cast)
        let load = Load(page)
        var found = 0
        for _ in 1...50 {
            let before = load.served.current
            load.start()
            pause(milliseconds: Int.random(in: 30...120))
            // However slow the machine is: enough has come for some of it to be on the disk.
            #expect(try eventually { load.served.current >= before + 100 })
            lives.kill()
            load.stop()
            try lives.start()
            // What the dead process left behind is looked at before anything new comes.
            let client = try lives.edge.client()
            for number in (0..<15).map({ _ in Int.random(in: 0..<1500) }) {
                let before = load.served.current
                guard try load.check(client, number, "Cache-Control: only-if-cached") else { break }
                if load.served.current > before { found += 1 }
            }
        }
        let faults = load.faults.current
        #expect(faults.isEmpty, "\(faults.count): \(faults.prefix(3))")
        #expect(found > 20, "only \(found) answers came from what had been written before")
    }
}
