import ConfigModel
import Synchronization
import Telemetry

/// Whether an origin may be given requests: the verdict of its active checks, and passive ejection by what real
/// requests met. Read by every request, so every field is atomic; a verdict one request too late harms nobody.
package final class OriginHealth: Sendable {
    private let ejection: Zone.Ejection
    /// 1 while active checks say the origin is down.
    private let isDown = Atomic<Bool>(false)
    private let failuresInARow = Atomic<Int>(0)
    /// Monotonic nanoseconds until which the origin is left alone; 0: not ejected.
    private let ejectedUntil = Atomic<UInt64>(0)
    private let wasEjected = Atomic<Bool>(false)
    /// Monotonic nanoseconds at which it last came back; 0: it never was away.
    private let returnedAt = Atomic<UInt64>(0)

    init(ejection: Zone.Ejection) {
        self.ejection = ejection
    }

    /// Whether requests may go there now.
    package func isAvailable(now: UInt64) -> Bool {
        if isDown.load(ordering: .relaxed) { return false }
        let until = ejectedUntil.load(ordering: .relaxed)
        return until == 0 || now >= until
    }

    /// Whether active checks find it well, ejected or not.
    package var isUp: Bool { !isDown.load(ordering: .relaxed) }

    /// Part of its weight that a returning origin gets, in 1/256: a tenth at first, all of it after the slow start.
    package func share(now: UInt64) -> Int {
        let since = max(returnedAt.load(ordering: .relaxed), ejectedUntil.load(ordering: .relaxed))
        guard since != 0, ejection.slowStartMilliseconds > 0, now >= since else { return 256 }
        let elapsed = (now - since) / 1_000_000
        let whole = UInt64(ejection.slowStartMilliseconds)
        guard elapsed < whole else { return 256 }
        return max(26, Int(elapsed * 256 / whole))
    }

    /// A request was answered. True: it is the first since the origin was ejected.
    package func noteSuccess() -> Bool {
        if failuresInARow.load(ordering: .relaxed) != 0 { failuresInARow.store(0, ordering: .relaxed) }
        return wasEjected.load(ordering: .relaxed) && wasEjected.exchange(false, ordering: .relaxed)
    }

    /// A request failed by the origin's doing. True: that was the one that ejects it.
    package func noteFailure(now: UInt64) -> Bool {
        guard ejection.consecutiveFailures > 0 else { return false }
        let count = failuresInARow.wrappingAdd(1, ordering: .relaxed).newValue
        guard count >= ejection.consecutiveFailures else { return false }
        failuresInARow.store(0, ordering: .relaxed)
        wasEjected.store(true, ordering: .relaxed)
        let alreadyEjected = ejectedUntil.load(ordering: .relaxed) > now
        ejectedUntil.store(now &+ UInt64(ejection.forMilliseconds) &* 1_000_000, ordering: .relaxed)
        return !alreadyEjected
    }

    /// The active checks' verdict. True: it changed.
    package func setUp(_ up: Bool, now: UInt64) -> Bool {
        guard isDown.exchange(!up, ordering: .relaxed) == up else { return false }
        if up {
            returnedAt.store(now, ordering: .relaxed)
            ejectedUntil.store(0, ordering: .relaxed)
            failuresInARow.store(0, ordering: .relaxed)
        }
        return true
    }
}
