import Foundation
import Testing

/// For how long a stored response may be used (RFC 9111, section 4.2), as a client sees it: asked twice at once, the
/// second answer is the origin's first or its second.
@Suite("Cache: freshness", .onStageThreads)
struct FreshnessJourneys {
    /// An answer's fields, and whether the cache may use it for the next request.
    struct Lifetime: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let fields: [String]
        let isReused: Bool

        static func reused(_ name: String, _ fields: String...) -> Self {
            Self(testDescription: name, fields: fields, isReused: true)
        }
        static func fetched(_ name: String, _ fields: String...) -> Self {
            Self(testDescription: name, fields: fields, isReused: false)
        }

        func check(_ status: String = "200 OK", in zone: CacheZone = .plain, at location: SourceLocation) throws {
            let fields = fields
            let page = try Resource(in: zone) { _, number in response(status, fields: fields, body: "v\(number)") }
            let first = try page.get()
            #expect(first.text == "v1", sourceLocation: location)
            #expect(!first.cache.isHit, "\(first.head)", sourceLocation: location)
            let second = try page.get()
            if isReused {
                second.expectHit("v1", sourceLocation: location)
                #expect(page.requestCount == 1, sourceLocation: location)
            } else {
                #expect(!second.cache.isHit, "\(second.head)", sourceLocation: location)
                #expect(second.text == "v2", "\(second.head)", sourceLocation: location)
            }
        }
    }

    @Test(
        "Which field counts: s-maxage, then max-age, then Expires (§4.2.1)",
        arguments: [
            Lifetime.reused("max-age", "Cache-Control: max-age=60"),
            .fetched("max-age=0", "Cache-Control: max-age=0"),
            .reused("s-maxage", "Cache-Control: s-maxage=60"),
            .reused("s-maxage over max-age", "Cache-Control: max-age=0, s-maxage=60"),
            .fetched("s-maxage=0 over max-age", "Cache-Control: s-maxage=0, max-age=60"),
            .reused("s-maxage over Expires", "Cache-Control: s-maxage=60", "Expires: \(HTTPDate.at(-100))"),
            .reused("Expires ahead", "Date: \(HTTPDate.at(0))", "Expires: \(HTTPDate.at(600))"),
            .reused("Expires ahead, no Date", "Expires: \(HTTPDate.at(600))"),
            .fetched("Expires past", "Date: \(HTTPDate.at(0))", "Expires: \(HTTPDate.at(-600))"),
            .fetched("Expires at Date", "Date: \(HTTPDate.at(0))", "Expires: \(HTTPDate.at(0))"),
            .fetched("max-age=0 over Expires", "Cache-Control: max-age=0", "Expires: \(HTTPDate.at(600))"),
            .reused("max-age over Expires", "Cache-Control: max-age=60", "Expires: \(HTTPDate.at(-600))"),
            .reused("max-age over a broken Expires", "Cache-Control: max-age=60", "Expires: 0"),
            .fetched("nothing", "X-Nothing: 1"),
            .fetched("Last-Modified alone: no heuristic unasked", "Last-Modified: \(HTTPDate.at(-10_000_000))"),
            .fetched("public alone", "Cache-Control: public", "Last-Modified: \(HTTPDate.at(-10_000_000))"),
            .fetched("immutable alone", "Cache-Control: immutable"),
            .reused("immutable with a lifetime (RFC 8246)", "Cache-Control: max-age=60, immutable"),
        ])
    func lifetime(_ lifetime: Lifetime) throws { try lifetime.check(at: #_sourceLocation) }

    @Test(
        "Expires in every form a date may have, and in none (§5.3; RFC 9110 §5.6.7)",
        arguments: [
            Lifetime.reused("RFC 850", "Expires: \(HTTPDate.rfc850(600))"),
            .reused("asctime", "Expires: \(HTTPDate.asctime(600))"),
            .reused("far ahead", "Expires: Thu, 01 Dec 2180 16:00:00 GMT"),
            .fetched("zero", "Expires: 0"),
            .fetched("minus one", "Expires: -1"),
            .fetched("empty", "Expires:"),
            .fetched("text", "Expires: tomorrow"),
            .fetched("ISO 8601", "Expires: 2180-12-01T16:00:00Z"),
            .fetched("no zone", "Expires: Thu, 01 Dec 2180 16:00:00"),
            .fetched("another zone", "Expires: Thu, 01 Dec 2180 16:00:00 PST"),
            .fetched("an offset", "Expires: Thu, 01 Dec 2180 16:00:00 +0000"),
            .fetched("no such day", "Expires: Thu, 32 Dec 2180 16:00:00 GMT"),
            .fetched("no such hour", "Expires: Thu, 01 Dec 2180 25:00:00 GMT"),
            .fetched("twice, past first", "Expires: \(HTTPDate.at(-600))", "Expires: \(HTTPDate.at(600))"),
        ])
    func expires(_ lifetime: Lifetime) throws { try lifetime.check(at: #_sourceLocation) }

    @Test(
        "Age counts, wherever it comes from (§4.2.3, §5.1)",
        arguments: [
            Lifetime.fetched("Age above the lifetime", "Cache-Control: max-age=60", "Age: 100"),
            .fetched("Age of the lifetime", "Cache-Control: max-age=60", "Age: 60"),
            .reused("Age below", "Cache-Control: max-age=600", "Age: 60"),
            .fetched("no number overflows", "Cache-Control: max-age=60", "Age: 99999999999999999999"),
            .fetched("2^31", "Cache-Control: max-age=60", "Age: 2147483648"),
            .reused("text is ignored", "Cache-Control: max-age=60", "Age: old"),
            .reused("negative is ignored", "Cache-Control: max-age=60", "Age: -100"),
            .reused("a fraction is ignored", "Cache-Control: max-age=60", "Age: 100.5"),
            .fetched("the first of a list", "Cache-Control: max-age=60", "Age: 100, 0"),
            .reused("not the second of a list", "Cache-Control: max-age=60", "Age: 0, 100"),
            .fetched("the first of two lines", "Cache-Control: max-age=60", "Age: 100", "Age: 0"),
            .fetched("Date an hour ago", "Cache-Control: max-age=60", "Date: \(HTTPDate.at(-3600))"),
            .reused(
                "Date an hour ago, two hours to live", "Cache-Control: max-age=7200", "Date: \(HTTPDate.at(-3600))"),
            .reused("Date ahead of us", "Cache-Control: max-age=60", "Date: \(HTTPDate.at(3600))"),
            .fetched("Date ahead, Expires before it", "Date: \(HTTPDate.at(3600))", "Expires: \(HTTPDate.at(1800))"),
            .reused("Date is no date", "Cache-Control: max-age=60", "Date: yesterday"),
            .fetched("Expires counts from Date", "Date: \(HTTPDate.at(-600))", "Expires: \(HTTPDate.at(-1))"),
        ])
    func age(_ lifetime: Lifetime) throws { try lifetime.check(at: #_sourceLocation) }

    @Test(
        "Directives are read as the list they are (§5.2; §1.2.2 for numbers)",
        arguments: [
            Lifetime.reused("any case", "CACHE-CONTROL: Public, MAX-AGE=60"),
            .reused("two lines", "Cache-Control: public", "Cache-Control: max-age=60"),
            .reused("empty members", "Cache-Control: ,, ,max-age=60,"),
            .reused("no spaces", "Cache-Control: public,max-age=60"),
            .reused("tabs", "Cache-Control: public\t,\tmax-age=60\t"),
            .reused("unknown directives", "Cache-Control: foo, bar=baz, max-age=60, x=\"y\""),
            .reused("a quoted number", "Cache-Control: max-age=\"60\""),
            .reused("a comma in quotes", "Cache-Control: x=\"no-store, max-age=0\", max-age=60"),
            .reused("an escaped quote in quotes", "Cache-Control: x=\"\\\", no-store, \", max-age=60"),
            .reused("leading zeros", "Cache-Control: max-age=00060"),
            .reused("more than any number holds", "Cache-Control: max-age=99999999999999999999999"),
            .reused("no-store only as part of a word", "Cache-Control: max-age=60, xno-store, no-storex"),
            .fetched("no-store in another case", "Cache-Control: max-age=60, No-Store"),
            .fetched("no-store in the second line", "Cache-Control: max-age=60", "Cache-Control: no-store"),
            .fetched("a negative number", "Cache-Control: max-age=-60"),
            .fetched("a fraction", "Cache-Control: max-age=60.5"),
            .fetched("text for a number", "Cache-Control: max-age=sixty"),
            .fetched("no number", "Cache-Control: max-age"),
            .fetched("an empty number", "Cache-Control: max-age="),
            .fetched("single quotes", "Cache-Control: max-age='60'"),
            .fetched("contradiction, the smaller first", "Cache-Control: max-age=0, max-age=60"),
            .fetched("broken s-maxage does not fall back", "Cache-Control: s-maxage=x, max-age=60"),
        ])
    func syntax(_ lifetime: Lifetime) throws { try lifetime.check(at: #_sourceLocation) }

    @Test(
        "Any final status with a lifetime of its own is stored (§3)",
        arguments: [
            "200 OK", "203 Non-Authoritative", "204 No Content", "299 Odd", "300 Multiple Choices", "301 Moved",
            "302 Found", "303 See Other", "307 Temporary", "308 Permanent", "404 Not Found", "405 Method", "410 Gone",
            "451 Legal", "499 Odd", "500 Error", "501 Not Implemented", "503 Unavailable", "599 Odd",
        ])
    func statuses(status: String) throws {
        let page = try Resource { _, number in
            let fields = ["Cache-Control: max-age=60", "X-Answer: \(number)", "Location: /elsewhere"]
            return status.hasPrefix("204")
                ? "HTTP/1.1 \(status)\r\n" + fields.joined(separator: "\r\n") + "\r\n\r\n"
                : response(status, fields: fields, body: "v\(number)")
        }
        _ = try page.get()
        let second = try page.get()
        second.expectHit(status.hasPrefix("204") ? "" : "v1")
        #expect(second.startLine.contains(status.prefix(3)) && second["X-Answer"] == "1", "\(second.head)")
        #expect(second["Location"] == "/elsewhere")
    }

    @Test(
        "Without a lifetime no status is stored, heuristically cacheable or not (§4.2.2 is opted into)",
        arguments: ["200 OK", "204 No Content", "301 Moved", "302 Found", "404 Not Found", "410 Gone", "500 Error"])
    func statusesWithout(status: String) throws {
        let page = try Resource { _, number in
            "HTTP/1.1 \(status)\r\nX-Answer: \(number)\r\nLast-Modified: \(HTTPDate.at(-10_000_000))\r\n"
                + (status.hasPrefix("204") ? "\r\n" : "Content-Length: 0\r\n\r\n")
        }
        _ = try page.get()
        let second = try page.get()
        #expect(!second.cache.isHit && second["X-Answer"] == "2", "\(second.head)")
    }

    @Test("Age grows, ttl shrinks, and what the origin sent stays as it was")
    func ageGrows() throws {
        let date = HTTPDate.at(-30)
        let page = try Resource(
            "Cache-Control: max-age=600", "Age: 40", "Date: \(date)", "X-Kept: Yes  and No", "Content-Type: text/x-odd")
        let first = try page.get()
        first.expectForwarded("uri-miss", body: "v1", stored: true)
        #expect(first["Date"] == date)
        let second = try page.get()
        second.expectHit("v1")
        let age = try #require(second.age)
        #expect((40...100).contains(age), "\(second.head)")
        let ttl = try #require(second.cache.ttl)
        #expect((599...601).contains(age + ttl), "\(second.head)")
        #expect(second["Date"] == date && second["X-Kept"] == "Yes  and No")
        #expect(second["Content-Type"] == "text/x-odd" && second["Content-Length"] == "2")
        #expect(second["Cache-Control"] == "max-age=600")
        #expect(try eventually { try page.get().age ?? 0 > age })
    }

    @Test("A lifetime ends: the same request is forwarded again, and what comes is fresh")
    func lifetimeEnds() throws {
        let page = try Resource("Cache-Control: max-age=2")
        let first = try page.get()
        #expect(first.text == "v1")
        try page.get().expectHit("v1")
        var next = first
        #expect(
            try eventually {
                next = try page.get(); return !next.cache.isHit
            })
        next.expectForwarded("stale", body: "v2", stored: true)
        try page.get().expectHit("v2")
        #expect(page.requestCount == 2)
    }

    @Test("An answer of the origin that was on its way for long has aged by then (§4.2.3)")
    func slowAnswer() throws {
        let page = try Resource { _, number in
            pause(milliseconds: 1300)
            return ok("v\(number)", "Cache-Control: max-age=1")
        }
        #expect(try page.get().text == "v1")
        #expect(try page.get().text == "v2", "a second in flight counts")
    }

    @Test("A response without Date gets one, the time at which it came (RFC 9110 §6.6.1)")
    func dateIsAdded() throws {
        let page = try Resource("Cache-Control: max-age=60")
        _ = try page.get()
        let dates = (-60...1).map { HTTPDate.at($0) }
        let second = try page.get()
        second.expectHit("v1")
        #expect(dates.contains(second["Date"] ?? ""), "\(second.head)")
    }

    @Test("An upstream cache's Age is passed on by a miss, once")
    func ageOfMiss() throws {
        let page = try Resource("Cache-Control: max-age=600", "Age: 33")
        let first = try page.get()
        #expect(first.all("Age").count == 1 && (33...40).contains(first.age ?? 0), "\(first.head)")
    }
}
