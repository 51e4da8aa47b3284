// Reading Cache-Control: what the grammar has, what origins make of it, and properties over generated text.

import HTTPWire
import Limits
import Testing

@Suite("Cache directives")
struct RulesDirectiveTests {
    private func response(_ values: String...) -> ResponseDirectives {
        TestResponse(200, values.map { "Cache-Control: \($0)" }).directives
    }

    private func request(_ lines: String...) -> RequestDirectives { TestRequest("GET", "/", lines).directives }

    @Test("all directives of responses")
    func responses() {
        let all = response(
            "public, must-revalidate, proxy-revalidate, no-transform, immutable, must-understand",
            "max-age=1, s-maxage=2, stale-while-revalidate=3, stale-if-error=4, no-cache, no-store, private")
        #expect(all.isPublic && all.mustRevalidate && all.proxyRevalidate && all.noTransform && all.immutable)
        #expect(all.mustUnderstand && all.noCache && all.noStore && all.isPrivate)
        #expect(all.maxAge == 1000 && all.sMaxAge == 2000)
        #expect(all.staleWhileRevalidate == 3000 && all.staleIfError == 4000)
        #expect(all.source == .cacheControl)
        #expect(TestResponse(200, []).directives == ResponseDirectives())
    }

    @Test("all directives of requests")
    func requests() {
        let all = request(
            "Cache-Control: no-cache, no-store, no-transform, only-if-cached, max-age=1, min-fresh=2, max-stale=3",
            "Cache-Control: stale-if-error=4")
        #expect(all.noCache && all.noStore && all.noTransform && all.onlyIfCached)
        #expect(all.maxAge == 1000 && all.minFresh == 2000 && all.maxStale == 3000 && all.staleIfError == 4000)
        #expect(request() == RequestDirectives())
        #expect(request("Cache-Control: max-stale").maxStale == .max)
        #expect(request("Cache-Control: max-stale, max-stale=5").maxStale == 5000)
        #expect(request("Cache-Control: max-age=x").maxAge == 0)
        #expect(request("Cache-Control: max-age=9, max-age=3").maxAge == 3000)
        #expect(request("Cache-Control: min-fresh=x").minFresh == nil)
    }

    @Test(
        "field names",
        arguments: [
            ("no-cache=\"a, X-b\"", false, ["a", "x-B"]), ("no-cache=a", false, ["A"]), ("no-cache=\"a", true, []),
            ("no-cache=", true, []), ("no-cache=\"\"", true, []), ("no-cache=\"a b\"", true, []),
            ("no-cache=\"a\"b", true, []), ("no-cache =a", true, []), ("no-cache=\"a\\\"b\"", true, []),
            ("no-cache=\"a\", no-cache=\"b\"", false, ["a", "b"]), ("no-cache=\"a\", no-cache", true, ["a"]),
            ("no-cache=a, no-cache=b, no-cache=c, no-cache=d, no-cache=e", true, ["A", "d"]),
        ])
    func names(_ value: String, _ isAll: Bool, _ names: [String]) {
        // Names are compared within one span, so those to look for are names of fields of the same message.
        let message = TestResponse(200, ["Cache-Control: \(value)"] + names.map { "\($0): 1" })
        let directives = message.directives
        #expect(directives.noCache == isAll)
        var found = 0
        for field in message.head.fields where field.known == .other {
            let isNamed = directives.noCacheFields.contains(field.name, in: message.bytes.span)
            #expect(isNamed)
            found += 1
        }
        #expect(found == names.count)
        #expect(directives.noCacheFields.isEmpty == names.isEmpty)
        let isNamed = directives.noCacheFields.contains(.cacheControl, in: message.bytes.span)
        #expect(!isNamed)
    }

    @Test("quotes hide nothing that they do not enclose")
    func quotes() {
        #expect(response("a=\"b, no-store").noStore)
        #expect(response("a=b\", no-store, c=\"d\"").noStore)
        #expect(response("a=\"\\\", no-store").noStore)
        #expect(response("a = \"b, no-store, c\"").noStore)
        #expect(!response("a=\"b, no-store\"").noStore)
        #expect(!response("a=\"\\\", no-store\"").noStore)
    }

    @Test("targeted fields")
    func targeted() {
        func directives(_ value: String) -> ResponseDirectives {
            TestResponse(200, ["CDN-Cache-Control: \(value)", "Cache-Control: no-transform"]).directives
        }
        #expect(directives("max-age=5, no-store=?0, private=?0, no-cache").noStore == false)
        #expect(directives("max-age=5, no-store=?0, private=?0, no-cache").isPrivate == false)
        #expect(directives("no-store=?0, no-store").noStore)
        #expect(directives("max-age=5, max-age=6").maxAge == 6000)
        #expect(directives("max-age=-5").maxAge == 0)
        #expect(directives("max-age=5.5").maxAge == 0)
        #expect(directives("max-age").maxAge == 0)
        #expect(directives("max-age=999999999999999").maxAge == Limits.cacheLifetimeMillisecondsMax)
        #expect(directives("no-cache=\"a\"").noCache == false)
        #expect(directives("no-cache=(a b)").noCache)
        #expect(directives("no-store=1").noStore)
        for broken in ["", "max-age=5,", "max-age=5 x", "Max-Age=5", "max-age=5, \"", ",max-age=5"] {
            #expect(directives(broken).source == .cacheControl && directives(broken).noTransform, "\(broken)")
        }
        let lines = ["CDN-Cache-Control: max-age=5", "CDN-Cache-Control:", "Cache-Control: max-age=1"]
        #expect(TestResponse(200, lines).directives.source == .cacheControl)
    }

    @Test("whatever precedes it, a restriction is seen; and lifetimes stay within their bounds")
    func properties() throws {
        let pieces = [
            "max-age=", "s-maxage=60", "\"", "\\", ",", " ", "=", "no-cache", "private=\"a\"", "a", "60", "\t", ";",
            "x-",
            "stale-if-error=99999999999999999999", "immutable", "public", "(", ")", "?0", ":", "*",
        ]
        var random = RulesGenerator(seed: 9111)
        for _ in 0..<20_000 {
            var text = ""
            for _ in 0..<Int.random(in: 0...12, using: &random) {
                text += pieces.randomElement(using: &random) ?? ""
            }
            let plain = response(text)
            for span in [plain.maxAge, plain.sMaxAge, plain.staleIfError, plain.staleWhileRevalidate] {
                #expect(span.map { (0...Limits.cacheLifetimeMillisecondsMax).contains($0) } ?? true, "\(text)")
            }
            let strict = response(text + ", no-store")
            let split = response(text, "no-store")
            #expect(strict.noStore && split.noStore, "\(text)")
            #expect(strict.maxAge == plain.maxAge && split.sMaxAge == plain.sMaxAge, "\(text)")
        }
    }
}
