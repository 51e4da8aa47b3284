/// What the cache knows of a response beside its bytes: all that deciding takes. Times are milliseconds, moments on the
/// wall clock since 1970 (they outlive the process), spans as such.
package struct StoredFacts: Sendable, Equatable {
    package var status: UInt16 = 200
    /// When the request that got it was sent, and when its head was here (RFC 9111, section 4.2.3).
    package var requestTime: Int64 = 0
    package var responseTime: Int64 = 0
    /// The Date field's moment; `responseTime` where there is none that can be read.
    package var date: Int64 = 0
    /// `corrected_initial_age` (RFC 9111, section 4.2.3): its age at `responseTime`.
    package var initialAge: Int64 = 0
    /// How long it is fresh, counted by its age; 0 for what must always be validated.
    package var freshnessLifetime: Int64 = 0
    /// For how long beyond that it may be served while it is being validated (RFC 5861, section 3).
    package var staleWhileRevalidate: Int64 = 0
    /// For how long beyond that it may be served when validation fails (RFC 5861, section 4).
    package var staleIfError: Int64 = 0
    /// Last-Modified's moment.
    package var lastModified: Int64?
    /// Bytes of the whole representation; the body's own for what is not partial.
    package var representationBytes: UInt64 = 0
    package var flags: Flags = []

    package struct Flags: OptionSet, Sendable {
        package let rawValue: UInt16
        package init(rawValue: UInt16) { self.rawValue = rawValue }
        /// must-revalidate, proxy-revalidate or s-maxage: never served stale, not even when the origin is down
        /// (RFC 9111, sections 5.2.2.2, 5.2.2.8, 5.2.2.10).
        package static let mustRevalidate = Flags(rawValue: 1)
        /// no-cache without field names: validated before each use (section 5.2.2.4).
        package static let noCache = Flags(rawValue: 2)
        /// RFC 8246.
        package static let immutable = Flags(rawValue: 4)
        /// The lifetime is the zone's, not the origin's: TTL by status, cache-everything or a heuristic.
        package static let lifetimeIsOurs = Flags(rawValue: 8)
        /// Its age exceeds 24 hours by a heuristic (section 4.2.2 of RFC 9111: worth saying).
        package static let isHeuristic = Flags(rawValue: 16)
        /// A 206 of which not every byte is here.
        package static let isPartial = Flags(rawValue: 32)
        /// ETag is a strong one, so that parts may be combined and ranges answered (RFC 9110, section 13.1.5).
        package static let hasStrongETag = Flags(rawValue: 64)
        /// The origin says that it serves no ranges (`Accept-Ranges: none`).
        package static let refusesRanges = Flags(rawValue: 128)
        /// Came in answer to a request with Authorization, which its directives allow.
        package static let answeredAuthorization = Flags(rawValue: 256)
        /// Last-Modified may serve as a strong validator (RFC 9110, section 8.8.2.2).
        package static let hasStrongLastModified = Flags(rawValue: 512)
    }

    package init() {}
}
