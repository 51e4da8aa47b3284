// Properties of the freshness arithmetic over generated facts, moments and directives; the same ones on every run.

import Cache
import ConfigModel
import HTTPWire
import Limits
import Testing

@Suite("Freshness arithmetic")
struct RulesPropertyTests {
    /// Moments and spans of every size, the extremes among them.
    private func number(_ random: inout RulesGenerator) -> Int64 {
        switch Int.random(in: 0..<6, using: &random) {
        case 0: Int64.random(in: .min ... .max, using: &random)
        case 1: [Int64.min, .min + 1, -1, 0, 1, .max - 1, .max].randomElement(using: &random) ?? 0
        case 2: Int64.random(in: 0...100_000, using: &random)
        case 3: Limits.cacheLifetimeMillisecondsMax + Int64.random(in: -2...2, using: &random)
        default: arrival + Int64.random(in: -200_000...200_000, using: &random)
        }
    }

    private func facts(_ random: inout RulesGenerator, isSane: Bool) -> StoredFacts {
        func value(_ random: inout RulesGenerator) -> Int64 {
            isSane ? Int64.random(in: 0...100_000, using: &random) : number(&random)
        }
        var facts = StoredFacts()
        facts.responseTime = isSane ? arrival : number(&random)
        facts.requestTime = facts.responseTime
        facts.initialAge = value(&random)
        facts.freshnessLifetime = value(&random)
        facts.staleWhileRevalidate = value(&random)
        facts.staleIfError = value(&random)
        facts.flags = StoredFacts.Flags(rawValue: UInt16.random(in: 0..<4096, using: &random))
        return facts
    }

    private func request(_ random: inout RulesGenerator) -> RequestDirectives {
        var request = RequestDirectives()
        func sometimes(_ random: inout RulesGenerator) -> Int64? {
            Bool.random(using: &random) ? Int64.random(in: 0...150_000, using: &random) : nil
        }
        request.noCache = Int.random(in: 0..<8, using: &random) == 0
        request.maxAge = sometimes(&random)
        request.minFresh = sometimes(&random)
        request.maxStale = Int.random(in: 0..<4, using: &random) == 0 ? .max : sometimes(&random)
        request.staleIfError = sometimes(&random)
        return request
    }

    @Test("an age is never negative, never beyond its bound, and never falls as time passes")
    func age() {
        var random = RulesGenerator(seed: 1)
        for _ in 0..<50_000 {
            let facts = facts(&random, isSane: Bool.random(using: &random))
            let one = number(&random)
            let other = number(&random)
            let ages = [min(one, other), max(one, other)].map { facts.age(at: $0) }
            #expect(ages[0] >= 0 && ages[1] <= Limits.cacheLifetimeMillisecondsMax && ages[0] <= ages[1])
            #expect(facts.ageSeconds(at: one) == UInt64(facts.age(at: one) / 1000))
            let remaining = facts.remainingLifetime(at: one)
            #expect(abs(remaining) <= Limits.cacheLifetimeMillisecondsMax)
        }
    }

    @Test("between the clock being set back and forth nothing gets younger than it came")
    func clock() {
        var random = RulesGenerator(seed: 2)
        for _ in 0..<10_000 {
            let facts = facts(&random, isSane: true)
            #expect(facts.age(at: number(&random)) >= facts.initialAge)
        }
    }

    @Test("never fresh beyond its lifetime, when purged softly, or with no-cache")
    func freshness() {
        var random = RulesGenerator(seed: 3)
        var freshCount = 0
        for _ in 0..<50_000 {
            let facts = facts(&random, isSane: Bool.random(using: &random))
            let isSoftPurged = Int.random(in: 0..<4, using: &random) == 0
            let now = number(&random)
            let verdict = facts.use(
                at: now, request: request(&random), settings: CacheSettings(), isSoftPurged: isSoftPurged)
            guard verdict.use == .fresh else { continue }
            freshCount += 1
            #expect(verdict.reason == .none && !isSoftPurged && !facts.flags.contains(.noCache))
            #expect(facts.age(at: now) < facts.freshnessLifetime)
        }
        #expect(freshCount > 1000)
    }

    @Test("stale only with leave: a window, max-stale, and no directive against it")
    func staleness() {
        var random = RulesGenerator(seed: 4)
        var counts = [Use: Int]()
        for _ in 0..<100_000 {
            let facts = facts(&random, isSane: true)
            let request = request(&random)
            let isSoftPurged = Int.random(in: 0..<8, using: &random) == 0
            let now = arrival + Int64.random(in: 0...300_000, using: &random)
            let verdict = facts.use(
                at: now, request: request, settings: CacheSettings(), isSoftPurged: isSoftPurged)
            counts[verdict.use, default: 0] += 1
            let staleness = max(0, facts.age(at: now) - facts.freshnessLifetime)
            switch verdict.use {
            case .fresh, .mustValidate: break
            case .staleWhileRevalidate:
                #expect(staleness < facts.staleWhileRevalidate)
                #expect(facts.flags.isDisjoint(with: [.mustRevalidate, .noCache]) && !request.noCache)
            case .staleByRequest:
                #expect(staleness <= request.maxStale ?? -1)
                #expect(facts.flags.isDisjoint(with: [.mustRevalidate, .noCache, .staleOnlyByOrigin]))
                #expect(!isSoftPurged)
            }
            if verdict.mayServeOnError, facts.age(at: now) >= facts.freshnessLifetime {
                #expect(facts.flags.isDisjoint(with: [.mustRevalidate, .noCache]))
                #expect(staleness <= max(facts.staleIfError, request.staleIfError ?? 0))
            }
        }
        for use in [Use.fresh, .staleWhileRevalidate, .staleByRequest, .mustValidate] {
            #expect(counts[use] ?? 0 > 500, "\(use) \(counts[use] ?? 0)")
        }
    }

    @Test("without the client's directives, time alone only ever takes away")
    func monotone() {
        var random = RulesGenerator(seed: 5)
        let order: [Use: Int] = [.fresh: 0, .staleWhileRevalidate: 1, .staleByRequest: 2, .mustValidate: 3]
        for _ in 0..<20_000 {
            let facts = facts(&random, isSane: true)
            let first = arrival + Int64.random(in: 0...200_000, using: &random)
            let second = first + Int64.random(in: 0...200_000, using: &random)
            let uses = [first, second].map {
                facts.use(at: $0, request: RequestDirectives(), settings: CacheSettings(), isSoftPurged: false)
            }
            #expect(order[uses[0].use] ?? 9 <= order[uses[1].use] ?? 0)
            #expect(uses[0].mayServeOnError || !uses[1].mayServeOnError)
        }
    }

    @Test("a judgement's times are within their bounds, whatever Age, Date and the clocks say")
    func judgement() throws {
        var random = RulesGenerator(seed: 6)
        let ages = ["0", "1", "x", "-1", "99999999999", "5, 6", ""]
        let dates = [date(), date(-100_000_000), date(100_000_000), "x", "Mon, 01 Jan 0001 00:00:00 GMT"]
        for _ in 0..<5000 {
            let response = TestResponse(
                200,
                [
                    "ETag: \"a\"", "Age: \(ages.randomElement(using: &random) ?? "")",
                    "Date: \(dates.randomElement(using: &random) ?? "")",
                    "Expires: \(dates.randomElement(using: &random) ?? "")",
                    "Last-Modified: \(dates.randomElement(using: &random) ?? "")",
                ])
            let context = StorageContext(sentAt: number(&random), receivedAt: number(&random))
            let facts = try #require(judge(TestRequest(), response, context).storable).facts
            let range = 0...Limits.cacheLifetimeMillisecondsMax
            #expect(range.contains(facts.initialAge) && range.contains(facts.freshnessLifetime))
            #expect(range.contains(facts.age(at: number(&random))))
        }
    }
}
