// Cache-Tag, and what unsafe requests invalidate.

import Cache
import HTTPWire
import Limits
import Testing

@Suite("Cache tags")
struct RulesTagTests {
    private func hashes(_ lines: String...) -> [UInt64] {
        let response = TestResponse(200, lines)
        return CacheTag.hashes(of: response.head, response.bytes.span)
    }

    @Test("separated by commas or blanks, of any case, sorted, each once")
    func tags() {
        let expected = ["a", "b", "product-1"].map { CacheTag.hash($0) }.sorted()
        #expect(hashes("Cache-Tag: a,b, Product-1") == expected)
        #expect(hashes("Cache-Tag: b  PRODUCT-1", "Cache-Tag:, ,A,a") == expected)
        #expect(hashes("Cache-Tag:") == [])
        #expect(hashes("X-Other: a") == [])
    }

    @Test("the same hash for text, and after every restart")
    func stable() {
        #expect(CacheTag.hash(" Product-1\t") == CacheTag.hash("product-1"))
        #expect(Array("A-b".utf8).withUnsafeBytes { CacheTag.hash($0) } == CacheTag.hash("a-B"))
        #expect(CacheTag.hash("a") != CacheTag.hash("b"))
        // FNV-1a of "a" is 0xaf63dc4c8601ec8c; the mix behind it is SplitMix64's.
        var mixed: UInt64 = 0xaf63_dc4c_8601_ec8c
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        #expect(CacheTag.hash("a") == mixed ^ (mixed >> 31))
    }

    @Test("bounds: count, length of one, length of all")
    func bounds() {
        let many = (0..<Limits.cacheTagsMax + 5).map { "t\($0)" }.joined(separator: ",")
        #expect(hashes("Cache-Tag: \(many)").count == Limits.cacheTagsMax)
        let long = String(repeating: "x", count: Limits.cacheTagBytesMax)
        #expect(hashes("Cache-Tag: \(long)") == [CacheTag.hash(long)])
        #expect(hashes("Cache-Tag: \(long)x,short") == [CacheTag.hash("short")])
        let lines = (0..<20).map { "Cache-Tag: \(long.dropLast(3))\(100 + $0)" }
        let response = TestResponse(200, lines)
        let hashes = CacheTag.hashes(of: response.head, response.bytes.span)
        #expect(hashes.count == 16)
    }
}

@Suite("Invalidation")
struct RulesInvalidationTests {
    @Test("§4.4: unsafe and unknown methods, when they succeed")
    func applies() {
        for method in [HTTPWire.Method.post, .put, .delete, .patch, .other] {
            #expect(Invalidation.applies(method, status: 200))
            #expect(Invalidation.applies(method, status: 303))
            #expect(!Invalidation.applies(method, status: 404))
            #expect(!Invalidation.applies(method, status: 500))
        }
        for method in [HTTPWire.Method.get, .head, .options, .trace] {
            #expect(!Invalidation.applies(method, status: 200))
        }
    }

    @Test(
        "§4.4: Location and Content-Location, of the same origin only",
        arguments: [
            ("/a?b", "/a?b"), ("/a#fragment", "/a"), ("https://www.example.test/a", "/a"),
            ("https://WWW.EXAMPLE.test:443/a?b", "/a?b"), ("//www.example.test/a", "/a"),
            ("https://www.example.test", ""), ("https://www.example.test?q", "?q"),
            ("HTTPS://www.example.test:/a", "/a"),
            ("http://www.example.test/a", nil), ("https://example.test/a", nil),
            ("https://www.example.test.evil/a", nil),
            ("https://www.example.test:8443/a", nil), ("https://user@www.example.test/a", nil),
            ("https://www.example.test:99999999999/a", nil), ("https://www.example.test:0/a", nil), ("a", nil),
            ("?b", nil), ("", nil), ("https:///a", nil), ("ftp://www.example.test/a", nil),
        ])
    func target(_ value: String, _ expected: String?) {
        let request = TestRequest("POST", "/form")
        let response = TestResponse(201, ["Location: \(value)", "Content-Location: \(value)"])
        for field in [KnownField.location, .contentLocation] {
            let range = Invalidation.target(
                field, request: request.head, request.bytes.span, isSecure: true, response: response.head,
                response.bytes.span)
            let text = range.map { String(decoding: response.bytes[$0.range], as: UTF8.self) }
            #expect(text == expected)
        }
    }
}
