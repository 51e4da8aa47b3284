import Foundation
import Glibc
import Testing

/// Objects that are too large for memory: on the disk, streamed, in ranges; and the bounds of both stores.
@Suite("Cache: large objects and bounds", .onStageThreads)
struct LargeObjectJourneys {
    /// Little memory, so that much lies on the disk.
    private static let store = "{ memory: 16MiB, memory_object: 128KiB, disk: 256MiB }"

    private func variant(_ page: Resource) throws -> [String: Any] {
        let variants = try page.stage.edge.inspect(page.url)["variants"] as? [[String: Any]]
        return try #require(variants?.first)
    }

    @Test("An object larger than memory takes is served from the disk, whole", arguments: [true, false])
    func whole(isChunked: Bool) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage, store: Self.store)
        let count = (20 << 20) + 12345
        let page = try Resource.large(
            count, "Cache-Control: max-age=600", "ETag: \"one\"", isChunked: isChunked, on: cast)
        #expect(page.fault(in: try page.get(), count: count) == nil)
        try page.settle()
        for _ in 1...2 {
            let hit = try page.get()
            hit.expectHit()
            #expect(page.fault(in: hit, count: count) == nil)
            #expect(hit["Content-Length"] == "\(count)", "\(hit.head)")
        }
        #expect(page.requestCount == 1)
        let stored = try variant(page)
        #expect(stored["on_disk"] as? Bool == true && stored["in_memory"] as? Bool == false, "\(stored)")
        #expect(stored["bytes"] as? Int == count)
    }

    @Test("Ranges of it come from the disk, at every kind of border")
    func ranges() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage, store: Self.store)
        let count = (5 << 20) + 777
        let page = try Resource.large(count, "Cache-Control: max-age=600", "ETag: \"one\"", on: cast)
        try page.settle()
        let client = try cast.edge.client()
        for (first, last) in [
            (0, 0), (65535, 65536), (65536, 131_071), (1, 4 << 20), (4_194_303, 4_194_305), (count - 1, count - 1),
            (count - 70000, count - 1), (3_000_001, 3_100_000), (0, count - 1),
        ] {
            try client.send(page.request(["Range: bytes=\(first)-\(last)"]))
            let answer = try client.readAnswer()
            #expect(
                answer.status == 206 && answer["Content-Range"] == "bytes \(first)-\(last)/\(count)", "\(answer.head)")
            #expect(answer.body.count == last - first + 1)
            #expect(MarkedBody.fault(answer.body, of: page.path, from: first) == nil)
            #expect(answer.cache.isHit)
        }
        try client.send(page.request(["Range: bytes=-100000"]) + page.request(["Range: bytes=\(count)-"]))
        #expect(MarkedBody.fault(try client.readAnswer().body, of: page.path, from: count - 100_000) == nil)
        #expect(try client.readAnswer().status == 416)
        try client.send(
            page.request(["Range: bytes=10-19, 4000000-4000009"]) + page.request(["If-None-Match: \"one\""]))
        let parts = try client.readAnswer()
        #expect(
            parts.status == 206 && parts.body.firstIndex(of: MarkedBody.bytes(page.path, 4_000_000..<4_000_010)) != nil)
        #expect(try client.readAnswer().status == 304)
        try client.send(page.request(method: "HEAD"))
        #expect(try client.readAnswer(to: "HEAD")["Content-Length"] == "\(count)")
        #expect(page.requestCount == 1)
    }

    @Test("Over TLS the same bytes come, whole and in parts")
    func tls() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage, store: Self.store, https: true)
        let count = (6 << 20) + 99
        let page = try Resource.large(count, "Cache-Control: max-age=600", "ETag: \"one\"", on: cast)
        func fetch(_ arguments: String...) throws -> [UInt8] {
            let file = stage.path(stage.unique("body"))
            let process = try stage.start(
                ["curl", "-sS", "-k", "--max-time", "60", "--resolve", "example.test:\(cast.edge.httpsPort):127.0.0.1"]
                    + arguments + ["-o", file, "https://example.test:\(cast.edge.httpsPort)\(page.path)"])
            #expect(process.waitForExit() == 0, "\(process.errors)")
            return Array(try Data(contentsOf: URL(filePath: file)))
        }
        for _ in 1...2 { #expect(MarkedBody.fault(try fetch(), of: page.path) == nil) }
        #expect(MarkedBody.fault(try fetch("-r", "3000000-5999999"), of: page.path, from: 3_000_000) == nil)
        #expect(page.requestCount == 1)
    }

    @Test("Many readers at once, one of them slow, one leaving: the others get theirs")
    func manyReaders() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage, store: Self.store)
        let count = 8 << 20
        let page = try Resource.large(count, "Cache-Control: max-age=600", on: cast)
        #expect(page.fault(in: try page.get(), count: count) == nil)
        let slow = try cast.edge.client(receiveBufferBytes: 4096)
        try slow.send(page.request())
        let leaving = try cast.edge.client()
        try leaving.send(page.request())
        _ = try leaving.receive()
        leaving.reset()
        let clients = try (0..<6).map { _ in
            let client = try cast.edge.client()
            try client.send(page.request())
            return client
        }
        for client in clients { #expect(page.fault(in: try client.readAnswer(), count: count) == nil) }
        #expect(page.fault(in: try slow.readAnswer(), count: count) == nil)
        #expect(page.requestCount == 1)
    }

    @Test("A change of fields by a 304 holds for a large object too")
    func validated() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage, store: Self.store)
        let count = 1 << 20
        let page = try Resource(
            playing: { connection, request, number in
                if request.has("If-None-Match") {
                    return try connection.send(
                        "HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=600\r\nETag: \"a\"\r\n"
                            + "X-N: \(number)\r\n\r\n"
                    )
                }
                try connection.send(
                    "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nAge: 700\r\nETag: \"a\"\r\nX-N: \(number)\r\n"
                        + "Content-Length: \(count)\r\n\r\n")
                try connection.wire.send(MarkedBody.bytes(request.target, count: count))
            }, on: cast)
        #expect(page.fault(in: try page.get(), count: count) == nil)
        let second = try page.get()
        #expect(second["X-N"] == "2" && page.fault(in: second, count: count) == nil, "\(second.head)")
        let third = try page.get()
        third.expectHit()
        #expect(third["X-N"] == "2" && page.fault(in: third, count: count) == nil, "\(third.head)")
    }

    @Test(
        "Beyond the largest size nothing is stored, whether the length is said or found out", arguments: [true, false])
    func tooLarge(isChunked: Bool) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage, store: "{ memory: 16MiB, disk: 256MiB, object: 2MiB }")
        let page = try Resource.large(3 << 20, "Cache-Control: max-age=600", isChunked: isChunked, on: cast)
        for _ in 1...2 {
            let answer = try page.get()
            #expect(!answer.cache.isHit && page.fault(in: answer, count: 3 << 20) == nil, "\(answer.head)")
        }
        #expect(page.requestCount == 2)
        let fits = try Resource.large(1 << 20, "Cache-Control: max-age=600", isChunked: isChunked, on: cast)
        _ = try fits.get()
        #expect(try fits.get().cache.isHit)
    }

    @Test("Without a disk, what memory does not take passes by; what it takes is stored")
    func withoutDisk() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage, store: "{ memory: 16MiB, memory_object: 128KiB, disk: off }")
        let large = try Resource.large(1 << 20, "Cache-Control: max-age=600", on: cast)
        let small = try Resource.large(1 << 16, "Cache-Control: max-age=600", on: cast)
        for number in 1...2 {
            #expect(large.fault(in: try large.get(), count: 1 << 20) == nil)
            #expect(try small.get().cache.isHit == (number == 2))
        }
        #expect(large.requestCount == 2)
        #expect(!FileManager.default.fileExists(atPath: stage.path("var/cache")))
    }

    @Test("A fill that nobody reads is held back, not gathered")
    func stalledFill() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage, store: "{ memory: 16MiB, disk: off }")
        let pushed = Shared(0)
        let page = try Resource.large(300 << 20, "Cache-Control: max-age=600", on: cast) { offset in
            pushed.withLock { $0 = offset }
        }
        let before = cast.edge.process.memoryKiB("VmRSS")
        let client = try cast.edge.client(receiveBufferBytes: 4096)
        try client.send(page.request())
        var last = -1
        _ = eventually {
            pause(milliseconds: 300)
            defer { last = pushed.current }
            return last == pushed.current && last > 0
        }
        #expect(pushed.current < 64 << 20, "\(pushed.current) bytes left the origin for a client that reads none")
        #expect(cast.edge.process.memoryKiB("VmRSS") - before < 64 * 1024)
        client.reset()
    }

    // MARK: Bounds

    @Test("Memory stays within its bound, whatever comes")
    func memoryBound() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage, store: "{ memory: 32MiB, disk: off }")
        let body = String(repeating: "x", count: 20_000)
        let page = try Resource(on: cast) { _, _ in ok(body, "Cache-Control: max-age=600") }
        let client = try cast.edge.client()
        _ = try page.get()
        let before = cast.edge.process.memoryKiB("VmRSS")
        for number in 0..<6000 {
            try client.send(page.request(query: "?\(number)"))
            #expect(try client.readAnswer().body.count == 20_000)
        }
        let growth = cast.edge.process.memoryKiB("VmRSS") - before
        // The bound and a tenth, and what buffers of connections take beside it.
        #expect(growth < 36 * 1024 + 12 * 1024, "\(growth) KiB for 32 MiB")
        let held = try cast.edge.metric("martlet_cache_memory_bytes")
        #expect(held <= 32 * 1024 * 1024 && held > 16 * 1024 * 1024, "\(held)")
        #expect(try cast.edge.metric("martlet_cache_evictions_total", "store=\"memory\"") > 1000)
    }

    @Test("What memory has no room for is found on the disk, every byte of it right")
    func memoryAndDisk() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage, store: Self.store)
        let count = 40_000
        let page = try Resource(
            playing: { connection, request, _ in
                try connection.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: \(count)\r\n\r\n")
                try connection.wire.send(MarkedBody.bytes(request.target, count: count))
            }, on: cast)
        let client = try cast.edge.client()
        func ask(_ number: Int, _ fields: String...) throws -> Message {
            try client.send(page.request(fields, query: "?\(number)"))
            let answer = try client.readAnswer()
            if answer.status == 200 {
                #expect(MarkedBody.fault(answer.body, of: "\(page.path)?\(number)") == nil)
            }
            return answer
        }
        // 40 MB, each asked for twice so that none is a passer-by.
        for number in 0..<1000 {
            _ = try ask(number)
            _ = try ask(number)
        }
        #expect(eventually { ((try? cast.edge.metric("martlet_cache_disk_objects")) ?? 0) > 500 })
        var found = 0
        for number in 0..<1000 where try ask(number, "Cache-Control: only-if-cached").status == 200 { found += 1 }
        #expect(found > 700, "\(found) of 1000")
        #expect(try cast.edge.metric("martlet_cache_disk_reads_total", "result=\"ok\"") > 100)
        #expect(try cast.edge.metric("martlet_cache_memory_bytes") <= 16 * 1024 * 1024)
    }

    @Test("The disk stays within its bound, and serves on while it makes room")
    func diskBound() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage, store: Self.store)
        let count = 2 << 20
        let page = try Resource.large(count, "Cache-Control: max-age=600", on: cast)
        let client = try cast.edge.client()
        for number in 0..<200 {
            try client.send(page.request(query: "?\(number)"))
            let answer = try client.readAnswer()
            #expect(answer.status == 200 && answer.body.count == count)
        }
        /// What the files take on the disk; holes in them take nothing.
        func used() -> Int {
            let directory = stage.path("var/cache")
            return ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []).reduce(0) { sum, name in
                var facts = stat()
                return stat("\(directory)/\(name)", &facts) == 0 ? sum + Int(facts.st_blocks) * 512 : sum
            }
        }
        #expect(eventually { used() <= 272 << 20 }, "\(used()) bytes")
        #expect(used() > 64 << 20)
        try client.send(page.request(query: "?199"))
        let answer = try client.readAnswer()
        #expect(answer.cache.isShared && MarkedBody.fault(answer.body, of: "\(page.path)?199") == nil, "\(answer.head)")
    }
}
