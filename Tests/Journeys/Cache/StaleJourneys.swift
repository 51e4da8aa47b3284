import Foundation
import Testing

/// Stale answers where they are allowed, and only there (RFC 9111, section 4.2.4; RFC 5861).
@Suite("Cache: stale answers", .onStageThreads)
struct StaleJourneys {
    /// Stale by 100 seconds when it comes, with these further directives; the second answer waits for a gate.
    private func held(
        _ directives: String, in zone: CacheZone = .plain, _ release: Gate, second: String? = nil
    ) throws -> Resource {
        try Resource(in: zone) { _, number in
            if number == 1 {
                return ok("v1", "Cache-Control: max-age=600\(directives)", "Age: 700", "ETag: \"a\"")
            }
            release.pass()
            return second ?? ok("v\(number)", "Cache-Control: max-age=600\(directives)", "ETag: \"\(number)\"")
        }
    }

    @Test("stale-while-revalidate: nobody waits, the origin is asked once, then all get the new one (RFC 5861 §3)")
    func whileRevalidating() throws {
        let release = Gate()
        let page = try held(", stale-while-revalidate=1000", release)
        _ = try page.get()
        // The origin answers nobody now; everybody is answered all the same.
        for _ in 1...20 {
            let answer = try page.get()
            answer.expectHit("v1")
            #expect((answer.cache.ttl ?? 0) < 0, "\(answer.head)")
        }
        #expect(eventually { page.requestCount == 2 })
        release.open()
        #expect(try eventually { try page.get().text == "v2" })
        #expect(page.requestCount == 2, "\(page.requestCount) requests")
        try page.get().expectHit("v2")
    }

    @Test("The question in the background carries the validator, and a 304 is enough")
    func backgroundValidation() throws {
        let page = try Resource { request, number in
            if number == 1 {
                return ok("v1", "Cache-Control: max-age=600, stale-while-revalidate=1000", "Age: 700", "ETag: \"a\"")
            }
            return request["If-None-Match"] == "\"a\""
                ? "HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=500\r\nETag: \"a\"\r\n\r\n" : ok("wrong")
        }
        _ = try page.get()
        try page.get().expectHit("v1")
        #expect(try eventually { (try page.get().cache.ttl ?? -1) > 0 })
        let after = try page.get()
        after.expectHit("v1")
        #expect(after["Cache-Control"] == "max-age=500")
        #expect(page.requestCount == 2)
    }

    @Test("A revalidation in the background that fails leaves the stale one for its window")
    func backgroundFails() throws {
        let page = try Resource { _, number in
            number == 1
                ? ok("v1", "Cache-Control: max-age=600, stale-while-revalidate=1000", "Age: 700", "ETag: \"a\"")
                : response("500 Error")
        }
        _ = try page.get()
        // It is tried again, and all the while the stale one is served.
        let isTried = try eventually {
            try page.get().expectHit("v1")
            return page.requestCount >= 3
        }
        #expect(isTried)
    }

    @Test("Beyond the window the client waits for the origin")
    func beyondTheWindow() throws {
        let release = Gate()
        release.open()
        let page = try held(", stale-while-revalidate=50", release)
        _ = try page.get()
        let second = try page.get()
        #expect(second.text == "v2" && !second.cache.isHit, "\(second.head)")
    }

    @Test("A HEAD, a condition and a range are answered stale as well")
    func otherRequests() throws {
        let release = Gate()
        defer { release.open() }
        let page = try held(", stale-while-revalidate=1000", release)
        _ = try page.get()
        #expect(try page.ask("HEAD").cache.isHit)
        #expect(try page.get("If-None-Match: \"a\"").status == 304)
        #expect(try page.get("Range: bytes=1-1").text == "1")
    }

    @Test("stale-if-error: an error of the origin is not the client's (RFC 5861 §4)", arguments: [500, 502, 503, 504])
    func ifError(status: Int) throws {
        let release = Gate()
        release.open()
        let page = try held(", stale-if-error=1000", release, second: response("\(status) Error", body: "broken"))
        _ = try page.get()
        for _ in 1...2 {
            let answer = try page.get()
            #expect(answer.status == 200 && answer.text == "v1" && (answer.age ?? 0) >= 700, "\(answer.head)")
            #expect(answer.cache.isHit || answer.cache.forwardedStatus == status, "\(answer.head)")
        }
    }

    @Test("Other answers are answers", arguments: [400, 403, 404, 410, 501])
    func notAnError(status: Int) throws {
        let release = Gate()
        release.open()
        let page = try held(", stale-if-error=1000", release, second: response("\(status) Other", body: "other"))
        _ = try page.get()
        #expect(try page.get().status == status)
    }

    @Test("Beyond its window an error is an error")
    func ifErrorOver() throws {
        let release = Gate()
        release.open()
        let page = try held(", stale-if-error=50", release, second: response("500 Error", body: "broken"))
        _ = try page.get()
        #expect(try page.get().text == "broken")
    }

    @Test(
        "Without leave, nothing stale is served while the origin fails, and must-revalidate forbids it (§5.2.2.2)",
        arguments: ["", ", stale-if-error=1000, must-revalidate", ", stale-while-revalidate=1000, must-revalidate"])
    func forbidden(directives: String) throws {
        let release = Gate()
        release.open()
        let page = try held(directives, release, second: response("500 Error", body: "broken"))
        _ = try page.get()
        #expect(try page.get().text == "broken", "\(directives)")
    }

    @Test("A zone's windows count where the origin names none")
    func zoneWindows() throws {
        let release = Gate()
        let page = try held("", in: .staleByDefault, release)
        _ = try page.get()
        try page.get().expectHit("v1")
        release.open()
        #expect(try eventually { try page.get().text == "v2" })
        let strict = try Resource(in: .staleByDefault) { _, number in
            number == 1
                ? ok("v1", "Cache-Control: max-age=600, must-revalidate", "Age: 700", "ETag: \"a\"")
                : response("500 Error", body: "broken")
        }
        _ = try strict.get()
        #expect(try strict.get().text == "broken")
    }

    @Test("An origin that is gone: stale where stale-if-error allows it, an error of the edge's where not")
    func originGone() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage)
        func page(_ directives: String) throws -> Resource {
            let page = try Resource(
                "Cache-Control: max-age=600\(directives)", "Age: 700", "ETag: \"a\"", on: cast)
            _ = try page.get()
            return page
        }
        let (allowed, plain) = (try page(", stale-if-error=1000"), try page(""))
        let strict = try page(", stale-if-error=1000, must-revalidate")
        cast.origin.stop()
        for _ in 1...3 { #expect(try allowed.get().text == "v1") }
        #expect(try (502...504).contains(plain.get().status))
        // RFC 9111, section 5.2.2.2: the generated response SHOULD be 504.
        #expect(try strict.get().status == 504)
        #expect(try strict.get("Cache-Control: max-stale").status == 504)
    }

    @Test("always_online: whatever there is, as long as no origin answers; but not against must-revalidate")
    func alwaysOnline() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage, cache: "{ always_online: true }")
        let page = try Resource("Cache-Control: max-age=600", "Age: 700", "ETag: \"a\"", on: cast)
        let strict = try Resource(
            "Cache-Control: max-age=600, must-revalidate", "Age: 700", "ETag: \"a\"", on: cast)
        #expect(try page.get().text == "v1")
        #expect(try strict.get().text == "v1")
        // While it answers, it is asked.
        #expect(try page.get().text == "v2")
        cast.origin.stop()
        for _ in 1...3 {
            let answer = try page.get()
            #expect(answer.status == 200 && answer.text == "v2", "\(answer.head)")
        }
        #expect(try strict.get().status >= 500)
    }

    @Test("An origin that dies in the middle of its answer leaves the stored one as it was")
    func diesInTheMiddle() throws {
        let page = try Resource(playing: { connection, _, number in
            guard number == 2 else {
                let fields = ["Cache-Control: max-age=600, stale-if-error=1000", "Age: 700", "ETag: \"\(number)\""]
                return try connection.send(response("200 OK", fields: fields, body: "v\(number)"))
            }
            try connection.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 100\r\n\r\ncut")
            throw WireFailure.closed
        })
        #expect(try page.get().text == "v1")
        let second = try page.get()
        #expect(second.ending == .cut || second.text == "v1", "\(second)")
        #expect(try page.get().text == "v3", "half an answer is none")
    }
}
