import Foundation
import Testing

/// Cache-Status (RFC 9211) and the access log: why every answer came from where it came.
@Suite("Cache: Cache-Status", .onStageThreads)
struct StatusJourneys {
    private func logged(_ answer: Message) throws -> (cache: String, reason: String) {
        let entry = try CacheStage.shared.edge.logged(ray: answer.ray)
        return (entry["cache"] as? String ?? "", entry["cache_reason"] as? String ?? "")
    }

    @Test("A first request and a second: uri-miss stored, then hit with the time left; the log says the same")
    func missThenHit() throws {
        let page = try Resource("Cache-Control: max-age=600")
        let first = try page.get()
        first.expectForwarded("uri-miss", stored: true)
        #expect(first.cache.forwardedStatus == 200, "\(first.head)")
        let second = try page.get()
        second.expectHit("v1")
        #expect((540...600).contains(second.cache.ttl ?? -1), "\(second.head)")
        #expect(try logged(first).cache == "miss")
        #expect(try logged(second).cache == "hit")
    }

    @Test(
        "There is one member of ours, on every kind of answer", arguments: ["GET", "HEAD", "POST", "DELETE", "OPTIONS"])
    func oneMember(method: String) throws {
        let page = try Resource("Cache-Control: max-age=600")
        for _ in 1...2 {
            let answer = try page.ask(method)
            #expect(answer.cache.isOurs, "\(answer.head)")
            #expect(answer.cache.members.filter { $0.hasPrefix("martlet") }.count == 1, "\(answer.head)")
        }
    }

    @Test("Methods that a cache does not answer say so", arguments: ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
    func methods(method: String) throws {
        let page = try Resource("Cache-Control: max-age=600")
        for _ in 1...2 { try page.ask(method).expectForwarded("method", stored: false) }
        #expect(page.requestCount == 2)
    }

    @Test(
        "What is not stored has a reason in the field and in the log",
        arguments: [
            ["Cache-Control: no-store"], ["Cache-Control: private, max-age=60"],
            ["Cache-Control: max-age=60", "Set-Cookie: a=b"], ["Cache-Control: max-age=60", "Vary: *"], ["X-A: b"],
        ])
    func refusals(fields: [String]) throws {
        let page = try Resource { _, number in response("200 OK", fields: fields, body: "v\(number)") }
        let first = try page.get()
        first.expectForwarded("uri-miss", stored: false)
        let reason = try #require(first.cache.detail, "\(first.head)")
        #expect(!reason.isEmpty)
        #expect(try logged(first).reason == reason)
    }

    @Test("The reasons are told apart")
    func reasonsDiffer() throws {
        let reasons = try [
            "Cache-Control: no-store", "Cache-Control: private", "Vary: *\r\nCache-Control: max-age=60",
            "Set-Cookie: a=b\r\nCache-Control: max-age=60", "X-A: b",
        ].map { fields in
            try Resource { _, _ in response("200 OK", fields: [fields]) }.get().cache.detail ?? ""
        }
        #expect(Set(reasons).count == reasons.count, "\(reasons)")
    }

    @Test("A validated response is a forwarded one, with the status the origin gave (§2.2, §2.3)")
    func validated() throws {
        let page = try Resource(validating: "\"one\"", "Cache-Control: no-cache")
        try page.get().expectForwarded("uri-miss", stored: true)
        let second = try page.get()
        second.expectForwarded("stale", "request", "miss", body: "v1")
        #expect(second.status == 200 && second.cache.forwardedStatus == 304, "\(second.head)")
        #expect(try logged(second).cache == "revalidated")
    }

    @Test("Members of caches behind us stay, ours comes last (§2), on a miss and on a hit")
    func upstreamMembers() throws {
        let page = try Resource(
            "Cache-Control: max-age=600", "Cache-Status: Deep; hit; key=\"a, martlet; hit\"",
            "Cache-Status: \"Near\"; fwd=uri-miss")
        for number in 1...2 {
            let answer = try page.get()
            let members = answer.cache.members
            #expect(members.count == 3, "\(answer.head)")
            #expect(members.first == "Deep; hit; key=\"a, martlet; hit\"", "\(answer.head)")
            #expect(members.dropFirst().first == "\"Near\"; fwd=uri-miss", "\(answer.head)")
            #expect(answer.cache.isOurs && answer.cache.isHit == (number == 2), "\(answer.head)")
        }
    }

    @Test("A client's own Cache-Status says nothing, and an origin's cannot speak for us")
    func spoofing() throws {
        let page = try Resource("Cache-Status: martlet; hit; ttl=999", "Cache-Control: no-store")
        let answer = try page.get("Cache-Status: martlet; hit")
        #expect(!answer.cache.isHit && answer.cache.isOurs, "\(answer.head)")
        #expect(try logged(answer).cache != "hit")
    }

    @Test("A zone without a cache forwards everything, and says it bypassed or nothing")
    func off() throws {
        let page = try Resource("Cache-Control: max-age=600", in: .off)
        for number in 1...2 {
            let answer = try page.get()
            #expect(answer.text == "v\(number)" && !answer.cache.isHit, "\(answer.head)")
            #expect(answer.cache.members.isEmpty || answer.cache.forwarded == "bypass", "\(answer.head)")
        }
        #expect(try logged(page.get()).cache != "hit")
    }

    @Test("An answer that the edge makes itself does not claim to come from an origin or a cache")
    func ownAnswers() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let edge = try stage.edge(["http://127.0.0.1:9"])
        let answer = try edge.get("/")
        #expect((502...504).contains(answer.status), "\(answer.head)")
        #expect(!answer.cache.isHit && !answer.cache.isStored, "\(answer.head)")
    }

    @Test("The field is a Structured Field: whoever parses it strictly can (RFC 9211 §2; RFC 8941)")
    func grammar() throws {
        let page = try Resource(validating: "\"a\"", "Cache-Control: max-age=600")
        let answers = try [
            page.get(), page.get(), page.get("Cache-Control: no-cache"), page.ask("POST"), page.get("Range: bytes=0-0"),
        ]
        let member = /martlet(; ?[a-z][a-z0-9-]*(=(-?[0-9]+|[A-Za-z][A-Za-z0-9_.\/-]*|"[ -~]*"))?)*/
        for answer in answers {
            let value = try #require(answer["Cache-Status"], "\(answer.head)")
            #expect(value.wholeMatch(of: member) != nil, "\(value)")
        }
    }

    @Test("Metrics count what happened, by zone")
    func metrics() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage)
        let page = try Resource("Cache-Control: max-age=600", on: cast)
        for _ in 1...4 { _ = try page.get() }
        _ = try page.ask("POST")
        let names = try Metrics(text: cast.edge.admin("/metrics").text).samples.filter { $0.name.contains("cache") }
        #expect(!names.isEmpty)
        func sum(_ label: String) -> Double {
            names.filter { $0.labels.contains("zone=\"example.test\"") && $0.labels.contains("\"\(label)\"") }
                .reduce(0) { $0 + $1.value }
        }
        #expect(sum("hit") == 3, "\(names)")
        #expect(sum("miss") == 1, "\(names)")
    }
}
