// How old a stored response is (RFC 9111, section 4.2.3). No sum or difference here can overflow, whatever clocks and
// origins say; a clock that was set back makes nothing younger than it was when it came.

import Limits

extension StoredFacts {
    /// `corrected_initial_age`: the larger of what the way here took by the clocks and by what Age says.
    /// - Parameter date: Date's moment; nil without one, which then counts as just generated.
    static func initialAge(date: Int64?, age: Int64, requestTime: Int64, responseTime: Int64) -> Int64 {
        let correctedAge = CacheDate.sum(age, CacheDate.span(from: requestTime, to: responseTime))
        guard let date else { return correctedAge }
        // Date has whole seconds: compared with milliseconds, everything would be half a second old at birth.
        let wholeSeconds = responseTime / 1000 &* 1000
        return max(CacheDate.span(from: date, to: wholeSeconds), correctedAge)
    }

    /// `current_age` in milliseconds, within 0 and `Limits.cacheLifetimeMillisecondsMax`.
    /// - Parameter now: milliseconds since 1970.
    package func age(at now: Int64) -> Int64 {
        CacheDate.sum(initialAge, CacheDate.span(from: responseTime, to: now))
    }

    /// What the Age field says (RFC 9111, section 5.1).
    package func ageSeconds(at now: Int64) -> UInt64 {
        UInt64(clamping: age(at: now) / 1000)
    }

    /// Milliseconds for which it stays fresh; negative: how long it has been stale.
    package func remainingLifetime(at now: Int64) -> Int64 {
        CacheDate.clamped(freshnessLifetime) &- age(at: now)
    }
}
