import Foundation
import Glibc
import Testing

/// One fetch for all who ask at the same time.
@Suite("Cache: coalescing", .onStageThreads)
struct CoalescingJourneys {
    /// Clients whose requests have been sent.
    private func crowd(_ count: Int, _ page: Resource, _ fields: String...) throws -> [Wire] {
        try (0..<count).map { _ in
            let client = try page.stage.edge.client()
            try client.send(page.request(fields))
            return client
        }
    }

    /// Waits until this many exchanges are under way in the edge.
    private func expectActive(_ count: Int, _ cast: CacheStage, sourceLocation: SourceLocation = #_sourceLocation)
        throws
    {
        let isReached = try eventually { try cast.edge.metric("martlet_requests_active") >= Double(count) }
        #expect(isReached, "fewer than \(count) exchanges under way", sourceLocation: sourceLocation)
    }

    @Test("A crowd at a cold page, over all event loops: one fetch, and everybody gets it")
    func crowd() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage)
        let release = Gate()
        let page = try Resource(on: cast) { _, number in
            release.pass()
            return ok("v\(number)", "Cache-Control: max-age=600")
        }
        let clients = try crowd(200, page)
        try expectActive(200, cast)
        release.open()
        let answers = try clients.map { try $0.readAnswer() }
        #expect(answers.allSatisfy { $0.status == 200 && $0.text == "v1" })
        #expect(page.requestCount == 1)
        #expect(answers.filter { !$0.cache.isCollapsed && !$0.cache.isHit }.count == 1)
        let collapsed = answers.filter { $0.cache.isCollapsed }
        #expect(collapsed.count == 199 && collapsed.allSatisfy { $0.cache.forwarded != nil && !$0.cache.isHit })
        #expect(try cast.edge.metric("martlet_cache_requests_total", "result=\"coalesced\"") == 199)
        try page.get().expectHit("v1")
    }

    @Test("Ten thousand at once at a cold page, as far as descriptors go: one fetch, and everybody gets it")
    func greatCrowd() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage)
        // What this process has left for one side of the connections, the rest of the journeys beside it.
        let count = min(10_000, DescriptorBound.raised() - 2000)
        try #require(count >= 500)
        let release = Gate()
        let page = try Resource(on: cast) { _, number in
            release.pass()
            return ok("v\(number)", "Cache-Control: max-age=600")
        }
        let clients = try (0..<count).map { number in
            // Several addresses, so that no port of one is needed twice.
            let client = try cast.edge.client(from: "127.0.1.\(1 + number / 2500)")
            try client.send(page.request())
            return client
        }
        try expectActive(count, cast)
        #expect(page.requestCount == 1)
        release.open()
        var others = 0
        for client in clients {
            let answer = try client.readAnswer()
            #expect(answer.status == 200 && answer.text == "v1", "\(answer)")
            if answer.cache.isCollapsed { others += 1 }
        }
        #expect(others == count - 1)
        #expect(page.requestCount == 1)
        try page.get().expectHit("v1")
    }

    @Test(
        "Who waits reads along while it fills, and who comes in the middle gets what is there at once",
        arguments: [true, false])
    func streaming(isChunked: Bool) throws {
        let release = Gate()
        let page = try Resource.large(
            1 << 19, "Cache-Control: max-age=600", isChunked: isChunked, on: CacheStage.shared
        ) { if $0 > 0 { release.pass() } }
        // The first half is out, the second held back: everybody gets to its end, also those that come now.
        let first = try crowd(1, page)
        let head = try first[0].read(through: "\r\n\r\n")
        #expect(head.text.hasPrefix("HTTP/1.1 200"))
        let others = try crowd(20, page)
        for client in others {
            while client.buffered.count < 1 << 18 { #expect(try client.receive()) }
        }
        release.open()
        for client in others { #expect(page.fault(in: try client.readAnswer(), count: 1 << 19) == nil) }
        #expect(page.requestCount == 1)
        #expect(page.fault(in: try page.get(), count: 1 << 19) == nil)
    }

    @Test("A reader that does not read keeps nobody waiting, and gets all of it in the end")
    func slowReader() throws {
        let count = 6 << 20
        let page = try Resource.large(count, "Cache-Control: max-age=600", on: CacheStage.shared)
        let slow = try page.stage.edge.client(receiveBufferBytes: 4096)
        try slow.send(page.request())
        _ = try slow.receive(atMost: 1)
        let others = try crowd(4, page)
        for client in others { #expect(page.fault(in: try client.readAnswer(), count: count) == nil) }
        #expect(page.fault(in: try slow.readAnswer(), count: count) == nil)
        #expect(page.requestCount == 1)
    }

    // MARK: Whoever leaves

    @Test("The client that began it leaves: the others get it all")
    func leaderLeaves() throws {
        let (arrived, release) = (Gate(), Gate())
        let page = try Resource { _, number in
            arrived.open()
            release.pass()
            return ok("v\(number)", "Cache-Control: max-age=600")
        }
        let leader = try crowd(1, page)
        #expect(arrived.pass())
        let others = try crowd(10, page)
        pause(milliseconds: 100)
        leader[0].reset()
        pause(milliseconds: 100)
        release.open()
        for client in others { #expect(try client.readAnswer().text == "v1") }
        #expect(page.requestCount == 1)
    }

    @Test("Everybody leaves: the fetch goes on, for the next one")
    func everybodyLeaves() throws {
        let (arrived, release) = (Gate(), Gate())
        let page = try Resource.large(1 << 19, "Cache-Control: max-age=600", on: CacheStage.shared) { offset in
            if offset > 0 {
                arrived.open()
                release.pass()
            }
        }
        let clients = try crowd(3, page)
        #expect(arrived.pass())
        clients.forEach { $0.reset() }
        pause(milliseconds: 100)
        release.open()
        #expect(try eventually { try page.get("Cache-Control: only-if-cached").status == 200 })
        #expect(page.fault(in: try page.get(), count: 1 << 19) == nil)
        #expect(page.requestCount == 1)
    }

    @Test("But not for ever: of what is far too large nothing more is fetched for nobody")
    func abandonedIsBounded() throws {
        let (begun, ended) = (Gate(), Gate())
        let page = try Resource(playing: { connection, _, _ in
            defer { ended.open() }
            try connection.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 400000000\r\n\r\n")
            let piece = [UInt8](repeating: 97, count: 1 << 16)
            begun.open()
            for _ in 0..<6000 { try connection.wire.send(piece) }
        })
        let client = try crowd(1, page)
        #expect(begun.pass())
        _ = try client[0].receive()
        client[0].reset()
        #expect(ended.pass(within: .seconds(30)))
        #expect(try page.get("Cache-Control: only-if-cached").status == 504)
    }

    @Test("The origin's connection dies before it answers: another takes over, nobody waits in vain")
    func leaderDies() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage)
        let release = Gate()
        let page = try Resource(
            playing: { connection, _, number in
                if number == 1 {
                    release.pass()
                    throw WireFailure.closed
                }
                try connection.send(ok("v\(number)", "Cache-Control: max-age=600"))
            }, on: cast)
        let clients = try crowd(20, page)
        try expectActive(20, cast)
        release.open()
        for client in clients {
            let answer = try client.readAnswer()
            #expect(answer.status == 200 && answer.text == "v2", "\(answer)")
        }
        #expect(page.requestCount == 2)
    }

    @Test(
        "It dies in the middle: what is cut looks cut to everyone, and is stored for no one", arguments: [true, false])
    func diesInTheMiddle(isChunked: Bool) throws {
        let release = Gate()
        let page = try Resource(playing: { connection, _, number in
            if number > 1 { return try connection.send(ok("whole", "Cache-Control: max-age=600")) }
            let framing =
                isChunked ? "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n" : "Content-Length: 8\r\n\r\nhalf"
            try connection.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\n" + framing)
            release.pass()
            throw WireFailure.closed
        })
        let clients = try crowd(10, page)
        for client in clients { _ = try client.receive() }
        release.open()
        for client in clients {
            let answer = try client.readAnswer()
            #expect(answer.ending == .cut || answer.text == "whole", "\(answer)")
        }
        #expect(try page.get().text == "whole")
    }

    @Test("An origin that never answers fails everybody, once and in time")
    func neverAnswers() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let release = Gate()
        defer { release.open() }
        let cast = try CacheStage(
            on: stage, zones: [("example.test", ["timeouts: { first_byte: 1s }", "attempts: 1"])])
        let page = try Resource(on: cast) { _, _ in
            release.pass()
            return ok("late")
        }
        let clients = try crowd(20, page)
        for client in clients { #expect(try client.readAnswer().status == 504) }
        #expect(page.requestCount <= 3, "\(page.requestCount) attempts, one after the other, at an origin that is ill")
    }

    // MARK: What cannot be shared

    @Test("What proves uncacheable is fetched for each, side by side, and by the next ones too")
    func uncacheable() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage)
        let first = Gate()
        let everyone = Gate()
        let waiting = Shared(0)
        let page = try Resource(on: cast) { _, number in
            if number == 1 { first.pass() }
            // From the second on, nobody is answered before all are here: one after the other would never end.
            if number > 1,
                waiting.withLock({
                    $0 += 1; return $0
                }) % 9 == 0
            {
                everyone.open()
            }
            if number > 1 { everyone.pass() }
            return ok("for \(number)", "Cache-Control: no-store")
        }
        let clients = try crowd(10, page)
        try expectActive(10, cast)
        first.open()
        let bodies = try clients.map { try $0.readAnswer().text }
        #expect(Set(bodies).count == 10, "\(bodies)")
        #expect(page.requestCount == 10)
    }

    @Test("An uncacheable page is remembered: its clients do not queue (hit-for-miss)")
    func hitForMiss() throws {
        let all = Gate()
        let page = try Resource { _, number in
            if number == 6 { all.open() }
            if number > 1 { all.pass() }
            return ok("for \(number)", "Cache-Control: private")
        }
        _ = try page.get()
        let bodies = try crowd(5, page).map { try $0.readAnswer().text }
        #expect(Set(bodies).count == 5)
    }

    @Test("What becomes cacheable is stored, if not at once")
    func becomesCacheable() throws {
        let page = try Resource { _, number in
            ok("v\(number)", number == 1 ? "Cache-Control: no-store" : "Cache-Control: max-age=600")
        }
        #expect(try page.get().text == "v1")
        #expect(try eventually { try page.get().cache.isHit })
    }

    @Test("One client's Authorization does not make the page uncacheable for the others")
    func authorizationIsNotRemembered() throws {
        let page = try Resource("Cache-Control: max-age=600")
        _ = try page.get("Authorization: Basic eDp5")
        #expect(try page.get().text == "v2")
        try page.get().expectHit("v2")
    }

    @Test(
        "Who has an Authorization or a Cookie neither waits for others nor makes them wait",
        arguments: ["Authorization: Basic eDp5", "Cookie: id=1"])
    func credentials(field: String) throws {
        let (arrived, release) = (Gate(), Gate())
        let page = try Resource { request, number in
            if number == 1 {
                arrived.open()
                release.pass()
            }
            return ok(
                "\(number)\(request.has("Cookie") || request.has("Authorization") ? " mine" : "")",
                "Cache-Control: no-store")
        }
        for fields in [[[], [field]], [[field], []]] {
            let held = try page.stage.edge.client()
            try held.send(page.request(fields[0]))
            if page.requestCount < 2 { #expect(arrived.pass()) }
            // Answered, though the first one is not.
            let answer = try page.stage.edge.client()
            try answer.send(page.request(fields[1]))
            #expect(try answer.readAnswer().text.hasSuffix(" mine") == !fields[1].isEmpty)
            release.open()
            #expect(try held.readAnswer().text.hasSuffix(" mine") == !fields[0].isEmpty)
        }
    }

    @Test("Waiters whose variant is another one get that, not the leader's")
    func variants() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage)
        let release = Gate()
        let page = try Resource(on: cast) { request, _ in
            release.pass()
            return ok("in \(request["X-Lang"] ?? "")", "Cache-Control: max-age=600", "Vary: X-Lang")
        }
        let languages = ["de", "en", "fr", "it"]
        let clients = try (0..<40).map { index in
            (languages[index % 4], try crowd(1, page, "X-Lang: \(languages[index % 4])")[0])
        }
        try expectActive(40, cast)
        release.open()
        for (language, client) in clients { #expect(try client.readAnswer().text == "in \(language)") }
        #expect((4...40).contains(page.requestCount))
        for language in languages { try page.get("X-Lang: \(language)").expectHit("in \(language)") }
    }

    @Test("HEAD, conditions and ranges that come while it fills are answered as if they had come after")
    func otherRequests() throws {
        let release = Gate()
        let page = try Resource(playing: { connection, request, number in
            guard number == 1 || request.method == "GET" else {
                return try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 26\r\nETag: \"one\"\r\n\r\n")
            }
            try connection.send(
                "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nETag: \"one\"\r\n"
                    + "Content-Length: 26\r\n\r\nabcdefghijklm"
            )
            if number == 1 { release.pass() }
            try connection.send("nopqrstuvwxyz")
        })
        let first = try crowd(1, page)
        _ = try first[0].receive()
        let head = try page.stage.edge.client()
        try head.send(page.request(method: "HEAD"))
        let (condition, range) = (
            try crowd(1, page, "If-None-Match: \"one\"")[0], try crowd(1, page, "Range: bytes=11-14")[0]
        )
        pause(milliseconds: 150)
        release.open()
        #expect(try head.readAnswer(to: "HEAD")["Content-Length"] == "26")
        #expect(try condition.readAnswer().status == 304)
        let part = try range.readAnswer()
        #expect(part.text == "lmno" || part.text == "abcdefghijklmnopqrstuvwxyz", "\(part)")
        #expect(try first[0].readAnswer().text == "abcdefghijklmnopqrstuvwxyz")
    }

    @Test("Many pages, many clients, all at once: each page is fetched once")
    func manyPages() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage)
        let pages = try (0..<20).map { _ in
            try Resource(on: cast) { request, _ in
                pause(milliseconds: 20)
                return ok(request.target, "Cache-Control: max-age=600")
            }
        }
        let clients = try (0..<400).map { index in (pages[index % 20], try crowd(1, pages[index % 20])[0]) }
        for (page, client) in clients { #expect(try client.readAnswer().text == page.path) }
        #expect(pages.allSatisfy { $0.requestCount == 1 }, "\(pages.map(\.requestCount))")
    }
}

/// How many descriptors this process may have.
private enum DescriptorBound {
    /// Raises it as far as is permitted, and says how far that is.
    static func raised() -> Int {
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limit = rlimit()
        guard getrlimit(resource, &limit) == 0 else { return 0 }
        limit.rlim_max = max(limit.rlim_max, geteuid() == 0 ? 16_384 : 0)
        limit.rlim_cur = limit.rlim_max
        if setrlimit(resource, &limit) != 0 { getrlimit(resource, &limit) }
        return Int(clamping: limit.rlim_cur)
    }
}
