// Cache-Status (RFC 9211).

import Cache
import HTTPWire
import Testing

@Suite("Cache-Status")
struct SelectionCacheStatusTests {
    private func text(_ report: CacheReport) -> String { selectionText { report.write(to: &$0) } }

    @Test("from the cache")
    func hits() {
        #expect(text(CacheReport(.hit, ttlSeconds: 30)) == "martlet; hit; ttl=30")
        #expect(text(CacheReport(.hit)) == "martlet; hit")
        #expect(text(CacheReport(.updating, ttlSeconds: -5)) == "martlet; hit; ttl=-5")
        #expect(
            text(CacheReport(.stale, ttlSeconds: 0, detail: "max_stale")) == "martlet; hit; ttl=0; detail=max_stale")
    }

    @Test("from the origin")
    func forwarded() {
        var report = CacheReport(.miss, forward: .uriMiss)
        #expect(text(report) == "martlet; fwd=uri-miss")
        report.isStored = true
        report.isCollapsed = true
        report.ttlSeconds = 60
        #expect(text(report) == "martlet; fwd=uri-miss; ttl=60; stored; collapsed")
        var revalidated = CacheReport(.revalidated, forward: .stale, ttlSeconds: 300)
        revalidated.forwardedStatus = 304
        #expect(text(revalidated) == "martlet; fwd=stale; fwd-status=304; ttl=300")
        // Without `fwd`, what is about forwarding has no meaning (section 2.3).
        revalidated.forward = nil
        #expect(text(revalidated) == "martlet; hit; ttl=300")
    }

    @Test("integers keep to fifteen digits")
    func bounds() {
        #expect(text(CacheReport(.hit, ttlSeconds: .max)) == "martlet; hit; ttl=999999999999999")
        #expect(text(CacheReport(.hit, ttlSeconds: .min)) == "martlet; hit; ttl=-999999999999999")
    }

    @Test("the reasons are those of section 2.2, the labels one word each")
    func names() {
        let tokens = ForwardReason.allCases.map { "\($0.token)" }
        #expect(tokens == ["bypass", "method", "uri-miss", "vary-miss", "miss", "request", "stale", "partial"])
        let labels = CacheOutcome.allCases.map { "\($0.label)" }
        #expect(labels == ["hit", "stale", "updating", "revalidated", "expired", "miss", "bypass"])
    }

    @Test("caches nearer to the origin come first")
    func chain() {
        let report = CacheReport(.hit, ttlSeconds: 1)
        let alone = selectionText { report.writeField(to: &$0, after: [UInt8]().span) }
        #expect(alone == "Cache-Status: martlet; hit; ttl=1\r\n")
        let upstream = Array("origin; hit".utf8)
        let behind = selectionText { report.writeField(to: &$0, after: upstream.span) }
        #expect(behind == "Cache-Status: origin; hit, martlet; hit; ttl=1\r\n")
    }
}
