import Foundation
import Testing

/// Clients' conditions answered from the cache (RFC 9110, section 13; RFC 9111, section 4.3.2).
@Suite("Cache: conditional requests", .onStageThreads)
struct ConditionJourneys {
    private static let modified = HTTPDate.at(-100_000)

    /// A stored page with a tag and a date, asked for once.
    private func stored(_ tag: String = "\"one\"", _ fields: String...) throws -> Resource {
        let all = ["Cache-Control: max-age=600", "ETag: \(tag)", "Last-Modified: \(Self.modified)"] + fields
        let page = try Resource { _, number in response("200 OK", fields: all, body: "v\(number)") }
        #expect(try page.get().text == "v1")
        return page
    }

    private func expectNotModified(_ answer: Message, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(answer.status == 304 && answer.body.isEmpty, "\(answer.head)", sourceLocation: sourceLocation)
        answer.expectHit(sourceLocation: sourceLocation)
        #expect(!answer.has("Transfer-Encoding"), "\(answer.head)", sourceLocation: sourceLocation)
    }

    @Test(
        "If-None-Match with the stored tag, in every form that names it",
        arguments: [
            "\"one\"", "W/\"one\"", "\"none\", \"one\"", "\"none\",\"one\",\"more\"", " , \"one\"", "*",
            "\"a,b\", \"one\"", "W/\"x\", W/\"one\"",
        ])
    func matches(condition: String) throws {
        expectNotModified(try stored().get("If-None-Match: \(condition)"))
    }

    @Test(
        "If-None-Match that does not name it",
        arguments: [
            "\"two\"", "\"One\"", "\"on\"", "\"oneone\"", "W/\"two\"", "one", "\"x\\\"one\"", "\"a, \"", "w/\"one\"",
        ])
    func doesNotMatch(condition: String) throws {
        let answer = try stored().get("If-None-Match: \(condition)")
        #expect(answer.status == 200, "\(answer.head)")
        answer.expectHit("v1")
    }

    @Test("A weakly tagged page compares weakly as well (§8.8.3.2)")
    func weak() throws {
        let page = try stored("W/\"one\"")
        expectNotModified(try page.get("If-None-Match: \"one\""))
        expectNotModified(try page.get("If-None-Match: W/\"one\""))
    }

    @Test("Several lines of If-None-Match are one list")
    func severalLines() throws {
        expectNotModified(try stored().get("If-None-Match: \"zero\"", "If-None-Match: \"one\""))
    }

    @Test("A tag with a comma or a quote's look-alike in it is one tag")
    func oddTags() throws {
        let page = try stored("\"a, b\"")
        expectNotModified(try page.get("If-None-Match: \"x\", \"a, b\""))
        #expect(try page.get("If-None-Match: \"a\", \"b\"").status == 200)
        #expect(try page.get("If-None-Match: \"b\"").status == 200)
    }

    @Test("If-Modified-Since at or after Last-Modified, in every form of a date")
    func modifiedSince() throws {
        let page = try stored()
        for date in [Self.modified, HTTPDate.at(-50_000), HTTPDate.rfc850(-50_000), HTTPDate.asctime(-50_000)] {
            expectNotModified(try page.get("If-Modified-Since: \(date)"))
        }
        for date in [HTTPDate.at(-200_000), "yesterday", "", "0", "Thu, 01 Dec 2180 16:00:00"] {
            try page.get("If-Modified-Since: \(date)").expectHit("v1")
        }
    }

    @Test("If-None-Match rules out If-Modified-Since (§13.2.2)")
    func precedence() throws {
        let page = try stored()
        try page.get("If-None-Match: \"two\"", "If-Modified-Since: \(HTTPDate.at(-10))").expectHit("v1")
        expectNotModified(try page.get("If-None-Match: \"one\"", "If-Modified-Since: \(HTTPDate.at(-200_000))"))
    }

    @Test("Without Last-Modified the Date is what If-Modified-Since is held against (RFC 9111 §4.3.2)")
    func byDate() throws {
        let date = HTTPDate.at(-100)
        let page = try Resource("Cache-Control: max-age=600", "Date: \(date)")
        _ = try page.get()
        expectNotModified(try page.get("If-Modified-Since: \(date)"))
        #expect(try page.get("If-Modified-Since: \(HTTPDate.at(-1000))").status == 200)
    }

    @Test("A 304 carries what a 200 would of these fields, and no length of a body (RFC 9110 §15.4.5)")
    func fieldsOf304() throws {
        let page = try stored(
            "\"one\"", "Vary: X-Lang", "Content-Location: /here", "Expires: \(HTTPDate.at(6000))",
            "Content-Type: text/x-odd", "X-Else: 1")
        let whole = try page.get()
        let answer = try page.get("If-None-Match: \"one\"")
        expectNotModified(answer)
        for name in ["Cache-Control", "Content-Location", "Date", "ETag", "Expires", "Vary"] {
            #expect(answer[name] != nil && answer[name] == whole[name], "\(name)\n\(answer.head)")
        }
        #expect(answer["Content-Length"] == nil || answer["Content-Length"] == "2", "\(answer.head)")
    }

    @Test("The connection goes on after a 304, and after several in a row")
    func pipelined() throws {
        let page = try stored()
        let client = try page.stage.edge.client()
        let conditional = page.request(["If-None-Match: \"one\""])
        try client.send(conditional + page.request() + conditional + page.request(method: "HEAD") + page.request())
        #expect(try client.readAnswer().status == 304)
        #expect(try client.readAnswer().text == "v1")
        #expect(try client.readAnswer().status == 304)
        #expect(try client.readAnswer(to: "HEAD").status == 200)
        #expect(try client.readAnswer().text == "v1")
    }

    @Test("HEAD is answered with 304 too")
    func head() throws {
        expectNotModified(try stored().ask("HEAD", "If-None-Match: \"one\""))
    }

    @Test("A first request with a condition fetches the whole, for the next one as well (§4.3.2)")
    func cold() throws {
        let page = try Resource { request, number in
            request.has("If-None-Match") || request.has("If-Modified-Since")
                ? "HTTP/1.1 304 Not Modified\r\nETag: \"one\"\r\n\r\n"
                : ok("v\(number)", "Cache-Control: max-age=600", "ETag: \"one\"", "Last-Modified: \(Self.modified)")
        }
        let first = try page.get("If-None-Match: \"one\"")
        #expect(first.status == 304 && first.body.isEmpty, "\(first)")
        first.expectForwarded("uri-miss", stored: true)
        try page.get().expectHit("v1")
        #expect(page.requestCount == 1)
    }

    @Test("A first request with another tag, or an old date, gets the whole")
    func coldMismatch() throws {
        for condition in ["If-None-Match: \"two\"", "If-Modified-Since: \(HTTPDate.at(-200_000))"] {
            let page = try Resource(
                "Cache-Control: max-age=600", "ETag: \"one\"", "Last-Modified: \(Self.modified)")
            let first = try page.get(condition)
            #expect(first.status == 200 && first.text == "v1", "\(first)")
            try page.get().expectHit("v1")
        }
    }

    @Test("What is never stored is between the client and the origin: a client's condition is answered, not lost")
    func uncacheable() throws {
        let page = try Resource { request, number in
            request["If-None-Match"] == "\"one\""
                ? "HTTP/1.1 304 Not Modified\r\nETag: \"one\"\r\nCache-Control: no-store\r\n\r\n"
                : ok("v\(number)", "Cache-Control: no-store", "ETag: \"one\"")
        }
        for _ in 1...3 {
            let answer = try page.get("If-None-Match: \"one\"")
            #expect(answer.status == 304 && answer.body.isEmpty, "\(answer)")
        }
        // Known to be uncacheable by now, so the origin need not send it each time.
        #expect(page.requests.last?["If-None-Match"] == "\"one\"")
    }

    @Test(
        "Conditions that only the origin can judge go there (§13.1.1, §13.1.4)",
        arguments: ["If-Match: \"two\"", "If-Unmodified-Since: Thu, 01 Dec 2011 16:00:00 GMT"])
    func forwarded(condition: String) throws {
        let name = String(condition.prefix { $0 != ":" })
        let page = try Resource { request, number in
            request.has(name) ? response("412 Precondition Failed") : ok("v\(number)", "Cache-Control: max-age=600")
        }
        _ = try page.get()
        let second = try page.get(condition)
        #expect(second.status == 412, "\(second.head)")
        #expect(page.requests.last?.has(name) == true)
        try page.get().expectHit("v1")
    }

    @Test("Only what would be 200 is 304 (§13.2.1)", arguments: ["404 Not Found", "301 Moved", "410 Gone"])
    func otherStatuses(status: String) throws {
        let page = try Resource { _, _ in
            response(status, fields: ["Cache-Control: max-age=600", "ETag: \"one\""], body: "page")
        }
        _ = try page.get()
        let second = try page.get("If-None-Match: \"one\"")
        #expect(second.startLine.contains(status.prefix(3)), "\(second.head)")
        second.expectHit("page")
    }
}
