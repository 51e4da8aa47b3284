// One connection is one descriptor, two with its origin, and the usual soft limit is 1024: the process raises its own.

import Glibc

/// The bound on open file descriptors (RLIMIT_NOFILE).
package struct FileDescriptorLimit: Sendable, Equatable {
    /// The limit in force.
    package var soft: UInt64
    /// How far a process without privileges may raise it.
    package var hard: UInt64
    /// Why the limit could not be read or raised (an errno), nil if it was.
    package var errorNumber: Int32?

    /// Raises the soft limit to the hard one and says what is in force then. Every process started from this one
    /// inherits the raised limit.
    package static func raise() -> FileDescriptorLimit {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            return FileDescriptorLimit(soft: 0, hard: 0, errorNumber: errno)
        }
        let soft = UInt64(limit.rlim_cur)
        let hard = UInt64(limit.rlim_max)
        guard soft < hard else { return FileDescriptorLimit(soft: soft, hard: hard) }
        limit.rlim_cur = limit.rlim_max
        guard setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            return FileDescriptorLimit(soft: soft, hard: hard, errorNumber: errno)
        }
        return FileDescriptorLimit(soft: hard, hard: hard)
    }
}
