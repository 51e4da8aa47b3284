import Foundation
import Testing

/// Who gives way when there is not room for all, and what stays right meanwhile.
@Suite("Cache: pressure", .onStageThreads)
struct PressureJourneys {
    private static let objectBytes = 20_000

    /// Objects of 20 KB under one mark, told apart by the query.
    private func objects(in zone: CacheZone = .plain, on cast: CacheStage) throws -> Resource {
        let body = String(repeating: "x", count: Self.objectBytes)
        return try Resource(in: zone, on: cast) { _, _ in ok(body, "Cache-Control: max-age=600") }
    }

    /// Asks for objects one after the other on one connection; how many were hits.
    @discardableResult
    private func ask(_ page: Resource, _ numbers: Range<Int>) throws -> Int {
        let client = try page.stage.edge.client()
        var hits = 0
        for number in numbers {
            try client.send(page.request(query: "?\(number)"))
            let answer = try client.readAnswer()
            #expect(answer.status == 200 && answer.body.count == Self.objectBytes, "\(answer.head)")
            if answer.cache.isHit { hits += 1 }
        }
        return hits
    }

    @Test("A zone that floods the cache does not push out another's share")
    func fairness() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(
            on: stage, zones: [("example.test", []), ("everything.test", [])],
            top: "cache: { memory: 16MiB, disk: off }")
        let (small, flood) = (try objects(on: cast), try objects(in: .everything, on: cast))
        try ask(small, 0..<150)
        try ask(flood, 0..<3000)
        #expect(try ask(small, 0..<150) >= 145)
        #expect(try ask(flood, 2950..<3000) > 0)
    }

    @Test("A zone's own bound holds it, whatever room there is")
    func zoneBound() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(
            on: stage, zones: [("example.test", ["cache: { memory: 1MiB }"]), ("everything.test", [])],
            top: "cache: { memory: 32MiB, disk: off }")
        let (bounded, free) = (try objects(on: cast), try objects(in: .everything, on: cast))
        try ask(bounded, 0..<200)
        try ask(free, 0..<200)
        #expect(try ask(free, 0..<200) == 200)
        let said = try cast.edge.martlet("cache", "stats", "--json")
        let object = try JSONSerialization.jsonObject(with: Data(said.output.utf8)) as? [String: Any]
        let zones = try #require(object?["zones"] as? [[String: Any]], "\(said)")
        let own = try #require(zones.first { $0["name"] as? String == "example.test" })
        let bytes = try #require(own["memory_bytes"] as? Int)
        #expect(bytes <= 1 << 20 && bytes > 1 << 19, "\(own)")
    }

    @Test("Many pages that are asked for once do not push out those that are asked for often")
    func scan() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage, store: "{ memory: 8MiB, disk: off }")
        let (hot, cold) = (try objects(on: cast), try objects(on: cast))
        for _ in 1...4 { try ask(hot, 0..<100) }
        try ask(cold, 0..<2000)
        #expect(try ask(hot, 0..<100) >= 90)
    }

    @Test("Less memory after a reload is taken up at once, and serving goes on")
    func lessMemory() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage, store: "{ memory: 32MiB, disk: off }")
        let page = try objects(on: cast)
        try ask(page, 0..<1000)
        #expect(try cast.edge.metric("martlet_cache_memory_bytes") > 16 * 1024 * 1024)
        try cast.edge.rewrite { $0.top = "cache: { memory: 4MiB, disk: off }" }
        cast.edge.reload()
        #expect(try eventually { try cast.edge.metric("martlet_cache_memory_bytes") <= 4 * 1024 * 1024 })
        let limit = try cast.edge.metric("martlet_cache_memory_limit_bytes")
        #expect(limit <= 4 * 1024 * 1024 && limit > 3 * 1024 * 1024)
        try ask(page, 0..<10)
        #expect(try ask(page, 0..<10) == 10)
    }

    @Test(
        "Many objects on the disk, read by many, evicted, purged and fetched anew: everybody gets the bytes asked for")
    func turmoil() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage, store: "{ memory: 4MiB, memory_object: 16KiB, disk: 256MiB }")
        let page = try Resource(
            playing: { connection, request, _ in
                let count = Self.turmoilBytes(request.target)
                try connection.send(
                    "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nCache-Tag: t\(count % 7)\r\n"
                        + "Content-Length: \(count)\r\n\r\n"
                )
                try connection.wire.send(MarkedBody.bytes(request.target, count: count))
            }, on: cast)
        let isOver = Shared(false)
        let faults = Shared<[String]>([])
        let hits = Shared(0)
        let done = (0..<6).map { reader in
            let gate = Gate()
            let thread = Thread {
                defer { gate.open() }
                while !isOver.current {
                    do {
                        let fault = try Self.read(page, closes: reader % 2 == 0, hits)
                        if let fault { faults.withLock { $0.append(fault) } }
                    } catch {
                        faults.withLock { $0.append("\(error)") }
                    }
                }
            }
            thread.stackSize = 1 << 19
            thread.start()
            return gate
        }
        for round in 0..<12 {
            pause(milliseconds: 250)
            let scope = round % 4 == 3 ? "\"everything\": true" : "\"tags\": [\"t\(round % 7)\"]"
            #expect(try cast.edge.admin(post: "/cache/purge", "{\(scope)}").status == 200)
        }
        isOver.withLock { $0 = true }
        done.forEach { $0.pass() }
        #expect(faults.current.isEmpty, "\(faults.current.count): \(faults.current.prefix(3))")
        #expect(hits.current > 100, "\(hits.current) hits")
    }

    private static func turmoilBytes(_ target: String) -> Int {
        let number = Int(target.split(separator: "?").last ?? "") ?? 0
        return 1000 + number * 7919 % 400_000
    }

    /// One connection's worth of random objects, whole or in part; what was wrong.
    private static func read(_ page: Resource, closes: Bool, _ hits: Shared<Int>) throws -> String? {
        let client = try page.stage.edge.client()
        for _ in 0..<(closes ? 1 : 20) {
            let number = Int.random(in: 0..<60)
            let name = "\(page.path)?\(number)"
            let first = Int.random(in: 0..<3) == 0 ? Int.random(in: 0..<1000) : 0
            let fields = first > 0 ? ["Range: bytes=\(first)-"] : []
            try client.send(page.request(fields + (closes ? ["Connection: close"] : []), query: "?\(number)"))
            let answer = try client.readAnswer()
            let offset = answer.status == 206 ? first : 0
            guard answer.status == 200 || answer.status == 206, answer.ending == .complete,
                answer.body.count == turmoilBytes(name) - offset
            else { return "\(name) from \(first): \(answer.body.count) bytes, \(answer.ending)\n\(answer.head)" }
            if let fault = MarkedBody.fault(answer.body, of: name, from: offset) { return "\(fault)\n\(answer.head)" }
            if answer.cache.isHit { hits.withLock { $0 += 1 } }
        }
        return nil
    }
}
