// Whether an origin may be given requests.

import ConfigModel
import Testing

@testable import Origin

@Suite("OriginHealth")
struct OriginHealthTests {
    private static let millisecond: UInt64 = 1_000_000
    private static let start: UInt64 = 1_000_000 * millisecond

    private static func health(failures: Int = 3, for milliseconds: Int = 1_000, slowStart: Int = 10_000)
        -> OriginHealth
    {
        var ejection = Zone.Ejection()
        ejection.consecutiveFailures = failures
        ejection.forMilliseconds = milliseconds
        ejection.slowStartMilliseconds = slowStart
        return OriginHealth(ejection: ejection)
    }

    private let health = Self.health()
    private let now = Self.start

    @Test("a new origin is up, available and takes all of its weight")
    func new() {
        #expect(health.isUp)
        #expect(health.isAvailable(now: now))
        #expect(health.share(now: now) == 256)
        #expect(!health.noteSuccess())
    }

    @Test("so many failures in a row eject it for so long, and not one less")
    func ejection() {
        #expect(!health.noteFailure(now: now))
        #expect(!health.noteFailure(now: now))
        #expect(health.isAvailable(now: now))
        #expect(health.noteFailure(now: now))
        #expect(!health.isAvailable(now: now))
        #expect(health.isUp)
        #expect(!health.isAvailable(now: now + 999 * Self.millisecond))
        #expect(health.isAvailable(now: now + 1_000 * Self.millisecond))
    }

    @Test("a success begins the count anew")
    func successResets() {
        for _ in 0..<10 {
            #expect(!health.noteFailure(now: now))
            #expect(!health.noteFailure(now: now))
            #expect(!health.noteSuccess())
        }
        #expect(health.isAvailable(now: now))
    }

    @Test("the first success behind an ejection says so, once")
    func readmission() {
        for _ in 0..<3 { _ = health.noteFailure(now: now) }
        #expect(health.noteSuccess())
        #expect(!health.noteSuccess())
    }

    @Test("failures of requests that were under way prolong an ejection without counting it again")
    func prolonged() {
        for _ in 0..<3 { _ = health.noteFailure(now: now) }
        let later = now + 500 * Self.millisecond
        #expect((0..<3).map { _ in health.noteFailure(now: later) } == [false, false, false])
        #expect(!health.isAvailable(now: now + 1_200 * Self.millisecond))
        #expect(health.isAvailable(now: later + 1_000 * Self.millisecond))
        // The next one is counted.
        let again = later + 2_000 * Self.millisecond
        #expect((0..<3).map { _ in health.noteFailure(now: again) } == [false, false, true])
    }

    @Test("ejection that is off ejects nobody")
    func off() {
        let health = Self.health(failures: 0)
        for _ in 0..<1_000 { #expect(!health.noteFailure(now: now)) }
        #expect(health.isAvailable(now: now))
    }

    @Test("the checks' verdict is told once for each change")
    func verdict() {
        #expect(!health.setUp(true, now: now))
        #expect(health.setUp(false, now: now))
        #expect(!health.setUp(false, now: now))
        #expect(!health.isUp)
        #expect(!health.isAvailable(now: now))
        #expect(health.setUp(true, now: now))
        #expect(!health.setUp(true, now: now))
        #expect(health.isAvailable(now: now))
    }

    @Test("a verdict of well ends an ejection and forgets the failures")
    func verdictEndsEjection() {
        for _ in 0..<3 { _ = health.noteFailure(now: now) }
        _ = health.setUp(false, now: now)
        _ = health.setUp(true, now: now)
        #expect(health.isAvailable(now: now))
        #expect(!health.noteFailure(now: now))
        #expect(!health.noteFailure(now: now))
        #expect(health.isAvailable(now: now))
    }

    @Test("the share grows from a tenth to the whole, and never shrinks")
    func slowStart() {
        _ = health.setUp(false, now: now)
        _ = health.setUp(true, now: now)
        #expect(health.share(now: now) == 26)
        var last = 0
        for elapsed in stride(from: UInt64(0), through: 12_000, by: 50) {
            let share = health.share(now: now + elapsed * Self.millisecond)
            #expect(share >= last)
            #expect((26...256).contains(share))
            last = share
        }
        #expect(health.share(now: now + 10_000 * Self.millisecond) == 256)
        // A clock read on another processor, a moment earlier.
        #expect(health.share(now: now - 1) == 256)
    }

    @Test("slow start begins at an ejection's end too")
    func slowStartAfterEjection() {
        for _ in 0..<3 { _ = health.noteFailure(now: now) }
        #expect(health.share(now: now + 1_000 * Self.millisecond) == 26)
        #expect(health.share(now: now + 11_000 * Self.millisecond) == 256)
    }

    @Test("without slow start it takes everything at once")
    func noSlowStart() {
        let health = Self.health(slowStart: 0)
        _ = health.setUp(false, now: now)
        _ = health.setUp(true, now: now)
        #expect(health.share(now: now) == 256)
    }
}
