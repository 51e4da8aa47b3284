import Foundation
import Testing

/// What the cache's journeys rely on, tried on itself.
@Suite("Cache: the stage itself", .onStageThreads)
struct CacheStageJourneys {
    @Test("A marked body is the same whole and in parts, and a wrong byte is seen")
    func markedBodies() {
        let whole = MarkedBody.bytes("/a", count: 3 << 20)
        for range in [
            0..<1, 1..<9, 4090..<4100, 65_535..<131_073, (1 << 20) - 3..<(2 << 20) + 5, 3_145_720..<3_145_728,
        ] {
            let isSame = MarkedBody.bytes("/a", range) == Array(whole[range])
            #expect(isSame, "\(range)")
            #expect(MarkedBody.fault(Array(whole[range]), of: "/a", from: range.lowerBound) == nil)
            #expect(MarkedBody.fault(Array(whole[range]), of: "/b", from: range.lowerBound) != nil || range.count < 9)
        }
        for place in [0, 100, 4096, 1_500_000, whole.count - 1] {
            var changed = whole
            changed[place] ^= 1
            #expect(MarkedBody.fault(changed, of: "/a")?.contains("byte \(place) ") == true)
        }
        // Neither another place of the same body nor another body passes.
        #expect(MarkedBody.fault(Array(whole[4096..<8192]), of: "/a") != nil)
        #expect(MarkedBody.fault(Array(whole[..<100]), of: "/a?1") != nil)
    }

    @Test("Cache-Status is taken apart as the Structured Field it is")
    func cacheStatus() {
        let seen = CacheStatusSeen(["A; hit; key=\"x, martlet; hit\"", "martlet; fwd=uri-miss; fwd-status=200; stored"])
        #expect(seen.members.count == 2 && seen.isOurs && !seen.isHit && seen.isStored)
        #expect(seen.forwarded == "uri-miss" && seen.forwardedStatus == 200 && seen.ttl == nil)
        let hit = CacheStatusSeen(["martlet;hit;ttl=-5;detail=\"a \\\"b\\\"\""])
        #expect(hit.isHit && hit.ttl == -5 && hit.detail?.hasPrefix("a ") == true)
        #expect(!CacheStatusSeen([]).isOurs && !CacheStatusSeen(["martlets; hit"]).isHit)
        #expect(!CacheStatusSeen(["martlet; hit", "other"]).isHit)
    }

    @Test("Dates look as HTTP wants them")
    func dates() {
        #expect(HTTPDate.at(0).wholeMatch(of: /[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT/) != nil)
        #expect(
            HTTPDate.rfc850(0).wholeMatch(of: /[A-Z][a-z]+day, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT/) != nil)
        #expect(
            HTTPDate.asctime(0).wholeMatch(of: /[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}/) != nil)
    }
}
