import Foundation
import Testing

/// What clients may ask of the cache (RFC 9111, section 5.2.1), and zones that do not listen.
@Suite("Cache: directives of requests", .onStageThreads)
struct RequestDirectiveJourneys {
    @Test("no-cache fetches, and what comes is there for everyone (§5.2.1.4)")
    func noCache() throws {
        let page = try Resource("Cache-Control: max-age=600")
        _ = try page.get()
        try page.get("Cache-Control: no-cache").expectForwarded("request", body: "v2", stored: true)
        try page.get().expectHit("v2")
    }

    @Test("no-cache is content with a 304 of the origin")
    func noCacheValidates() throws {
        let page = try Resource(validating: "\"one\"", "Cache-Control: max-age=600")
        _ = try page.get()
        let second = try page.get("Cache-Control: no-cache")
        #expect(second.status == 200 && second.text == "v1" && second["X-Answer"] == "2", "\(second.head)")
        second.expectForwarded("request")
        let third = try page.get()
        third.expectHit("v1")
        #expect(third["X-Answer"] == "2", "\(third.head)")
    }

    @Test("Pragma: no-cache is that, where no Cache-Control says otherwise (§5.4)")
    func pragma() throws {
        let page = try Resource("Cache-Control: max-age=600")
        _ = try page.get()
        #expect(try page.get("Pragma: no-cache").text == "v2")
        #expect(try page.get("pragma: NO-CACHE").text == "v3")
        try page.get("Pragma: no-cache", "Cache-Control: max-stale").expectHit("v3")
        try page.get("Pragma: x").expectHit("v3")
    }

    @Test("max-age: not older than that (§5.2.1.1)")
    func maxAge() throws {
        let page = try Resource("Cache-Control: max-age=600", "Age: 100")
        _ = try page.get()
        try page.get("Cache-Control: max-age=300").expectHit("v1")
        try page.get("Cache-Control: max-age=50").expectForwarded("request", "stale", body: "v2")
        try page.get("Cache-Control: max-age=0").expectForwarded("request", "stale", body: "v3")
        try page.get("Cache-Control: max-age=99999999999999999999").expectHit("v3")
    }

    @Test("min-fresh: fresh for at least that long (§5.2.1.3)")
    func minFresh() throws {
        let page = try Resource("Cache-Control: max-age=600", "Age: 100")
        _ = try page.get()
        try page.get("Cache-Control: min-fresh=300").expectHit("v1")
        try page.get("Cache-Control: min-fresh=550").expectForwarded("request", "stale", body: "v2")
    }

    @Test("max-stale: stale, but not for longer than that (§5.2.1.2)")
    func maxStale() throws {
        let page = try Resource("Cache-Control: max-age=600", "Age: 700", "ETag: \"never\"")
        _ = try page.get()
        let any = try page.get("Cache-Control: max-stale")
        any.expectHit("v1")
        #expect((any.cache.ttl ?? 0) < 0, "\(any.head)")
        try page.get("Cache-Control: max-stale=300").expectHit("v1")
        #expect(try page.get("Cache-Control: max-stale=50").text == "v2")
        #expect(try page.get().text == "v3")
    }

    @Test(
        "max-stale does not overrule the origin (§5.2.2)",
        arguments: ["must-revalidate", "proxy-revalidate", "no-cache", "s-maxage=600"])
    func maxStaleForbidden(directive: String) throws {
        let page = try Resource("Cache-Control: max-age=600, \(directive)", "Age: 700", "ETag: \"never\"")
        _ = try page.get()
        #expect(try page.get("Cache-Control: max-stale").text == "v2")
    }

    @Test("no-store: this exchange is stored nowhere (§5.2.1.5)")
    func noStore() throws {
        let page = try Resource("Cache-Control: max-age=600")
        try page.get("Cache-Control: no-store").expectForwarded(body: "v1", stored: false)
        let second = try page.get()
        #expect(second.text == "v2" && !second.cache.isHit, "\(second.head)")
    }

    @Test("only-if-cached: from the cache or not at all (§5.2.1.7)")
    func onlyIfCached() throws {
        let page = try Resource("Cache-Control: max-age=600")
        let cold = try page.get("Cache-Control: only-if-cached")
        #expect(cold.status == 504 && page.requestCount == 0, "\(cold.head)")
        #expect(try page.stage.edge.logged(ray: cold.ray)["error"] as? String == "only_if_cached")
        _ = try page.get()
        try page.get("Cache-Control: only-if-cached").expectHit("v1")
        #expect(try page.get("Cache-Control: only-if-cached, max-age=0").status == 504)
        #expect(try page.get("Cache-Control: only-if-cached", "X-Other: 1").status == 200)
        #expect(page.requestCount == 1)
    }

    @Test("only-if-cached does not take what is stale, unless it says so")
    func onlyIfCachedStale() throws {
        let page = try Resource("Cache-Control: max-age=600", "Age: 700", "ETag: \"never\"")
        _ = try page.get()
        #expect(try page.get("Cache-Control: only-if-cached").status == 504)
        try page.get("Cache-Control: only-if-cached, max-stale").expectHit("v1")
        #expect(page.requestCount == 1)
    }

    @Test("Directives come in one line or several, in any case and order")
    func syntax() throws {
        let page = try Resource("Cache-Control: max-age=600")
        _ = try page.get()
        #expect(try page.get("Cache-Control: foo=bar, No-Cache").text == "v2")
        #expect(try page.get("Cache-Control: foo", "cache-control: NO-CACHE").text == "v3")
        #expect(try page.get("Cache-Control: \tmax-age=\"0\"").text == "v4")
        try page.get("Cache-Control: x=\"no-cache, max-age=0\"").expectHit("v4")
        try page.get("Cache-Control: no-cached, max-aged=0").expectHit("v4")
    }

    @Test("stale-if-error of a request (RFC 5861 §4): better stale than an error")
    func staleIfError() throws {
        let page = try Resource { _, number in
            number == 1
                ? ok("v1", "Cache-Control: max-age=600", "Age: 700", "ETag: \"a\"")
                : response("500 Error", body: "broken")
        }
        _ = try page.get()
        #expect(try page.get("Cache-Control: stale-if-error=50").text == "broken")
        #expect(try page.get("Cache-Control: stale-if-error=1000").text == "v1")
        #expect(try page.get().text == "broken")
    }

    @Test(
        "A zone that ignores clients serves what it has",
        arguments: [
            "no-cache", "no-store", "max-age=0", "min-fresh=9999", "only-if-cached", "no-cache, no-store, max-age=0",
        ])
    func ignored(directive: String) throws {
        let page = try Resource("Cache-Control: max-age=600", in: .obstinate)
        try page.get("Cache-Control: \(directive)", "Pragma: no-cache").expectForwarded(body: "v1", stored: true)
        try page.get("Cache-Control: \(directive)", "Pragma: no-cache").expectHit("v1")
    }

    @Test("Nor does max-stale help there")
    func ignoredMaxStale() throws {
        let page = try Resource("Cache-Control: max-age=600", "Age: 700", "ETag: \"never\"", in: .obstinate)
        _ = try page.get()
        #expect(try page.get("Cache-Control: max-stale").text == "v2")
    }
}
