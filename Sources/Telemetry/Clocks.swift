// The two clocks of the house. Both read the kernel's shared page (vDSO): no system call, about 20 ns.

import Glibc

/// Time that only goes forward, for every duration and deadline. Its zero is some moment before the process began.
package enum MonotonicClock {
    /// Nanoseconds since that moment.
    package static func nanoseconds() -> UInt64 {
        var now = timespec()
        // Cannot fail: the clock exists on every Linux and the address is ours.
        _ = clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(truncatingIfNeeded: now.tv_sec) &* 1_000_000_000 &+ UInt64(truncatingIfNeeded: now.tv_nsec)
    }
}

/// The time of day, for what is shown to people. It may jump, so no duration is ever taken from it.
package enum WallClock {
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    package static func nanoseconds() -> UInt64 {
        var now = timespec()
        _ = clock_gettime(CLOCK_REALTIME, &now)
        return UInt64(truncatingIfNeeded: now.tv_sec) &* 1_000_000_000 &+ UInt64(truncatingIfNeeded: now.tv_nsec)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    package static func milliseconds() -> Int64 {
        Int64(truncatingIfNeeded: nanoseconds() / 1_000_000)
    }
}
