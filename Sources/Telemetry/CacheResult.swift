/// How the cache took part in an exchange: one word for each, the label of `martlet_cache_requests_total`.
///
/// The access log's `cache` and Cache-Status (RFC 9211) say it in more detail; this is what adds up. The raw value is
/// the place in a zone's cells.
package enum CacheResult: Int, CaseIterable, Sendable {
    /// Served from the cache, fresh.
    case hit
    /// Served from the cache although no longer fresh: while it was being validated, or because the origin failed.
    case stale
    /// Served from the cache after the origin had said 304.
    case revalidated
    /// Served from a fetch that another exchange had begun.
    case coalesced
    /// Was stored, no longer fresh, and the origin sent another.
    case expired
    /// Was not stored.
    case miss
    /// Went past the cache: the method, the zone's settings, a cookie, or a directive of the request.
    case bypass
}

extension CacheResult {
    /// The value of the label.
    package var label: StaticString {
        switch self {
        case .hit: "hit"
        case .stale: "stale"
        case .revalidated: "revalidated"
        case .coalesced: "coalesced"
        case .expired: "expired"
        case .miss: "miss"
        case .bypass: "bypass"
        }
    }
}
