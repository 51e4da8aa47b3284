// Whether a stored response may be used for a request (RFC 9111, sections 4 and 5.2.1; RFC 5861; RFC 8246).
//
//      0            lifetime          + stale-while-revalidate       + stale-if-error
//      ├── fresh ───────┼── served, validated beside ──┼── if the origin fails ──┼── validated first
//      └─────────────────────────────── age ──────────────────────────────────────▶
//
// Both windows begin where the lifetime ends. The request can make this stricter, or with max-stale looser.

package import ConfigModel
package import HTTPWire
import Limits

/// What may be done with a stored response.
package enum Use: UInt8, Sendable {
    /// Served as it is.
    case fresh
    /// Served stale, and validated beside (RFC 5861, section 3).
    case staleWhileRevalidate
    /// Served stale, as the request's max-stale allows (RFC 9111, section 5.2.1.2).
    case staleByRequest
    /// Not before the origin has confirmed it.
    case mustValidate
}

/// Why a stored response is not simply served.
package enum ValidationReason: UInt8, Sendable, CaseIterable {
    case none
    /// Older than its lifetime.
    case stale
    /// Its own no-cache.
    case noCache
    /// Marked by a purge.
    case softPurged
    case requestNoCache
    case requestMaxAge
    case requestMinFresh

    package var label: StaticString {
        switch self {
        case .none: "none"
        case .stale: "stale"
        case .noCache: "no_cache"
        case .softPurged: "soft_purged"
        case .requestNoCache: "request_no_cache"
        case .requestMaxAge: "request_max_age"
        case .requestMinFresh: "request_min_fresh"
        }
    }

    /// Whether the request wanted it so: `fwd=request` rather than `fwd=stale` (RFC 9211, section 2.2).
    package var isByRequest: Bool {
        switch self {
        case .requestNoCache, .requestMaxAge, .requestMinFresh: true
        case .none, .stale, .noCache, .softPurged: false
        }
    }
}

/// The answer to whether, and how, a stored response may be used.
package struct UseVerdict: Sendable, Equatable {
    package var use: Use
    package var reason: ValidationReason
    /// Milliseconds.
    package var age: Int64
    /// Milliseconds for which it stays fresh; negative: how long it has been stale.
    package var remaining: Int64
    /// Whether it may be served when no origin can be reached or one answers as `StaleOnError` says.
    package var mayServeOnError: Bool
}

extension StoredFacts {
    /// Judges the use of this response at the moment `now`, in milliseconds since 1970.
    package func use(
        at now: Int64, request: RequestDirectives, settings: CacheSettings, isSoftPurged: Bool
    ) -> UseVerdict {
        let age = age(at: now)
        let remaining = CacheDate.clamped(freshnessLifetime) &- age
        var verdict = UseVerdict(use: .fresh, reason: .none, age: age, remaining: remaining, mayServeOnError: false)
        let client = settings.respectsClientDirectives ? request : RequestDirectives()
        let isFresh = remaining > 0 && !isSoftPurged && !flags.contains(.noCache)
        let wish = reasonOfRequest(client, age: age, remaining: remaining, isFresh: isFresh)
        if isFresh, wish == .none {
            verdict.mayServeOnError = true
            return verdict
        }
        verdict.mayServeOnError = mayServeOnError(client, remaining: remaining, alwaysOnline: settings.alwaysOnline)
        if wish != .none {
            verdict.use = .mustValidate
            verdict.reason = wish
        } else if flags.contains(.noCache) {
            verdict.use = .mustValidate
            verdict.reason = .noCache
        } else {
            verdict.use = staleUse(client, remaining: remaining, isSoftPurged: isSoftPurged)
            verdict.reason = isSoftPurged ? .softPurged : .stale
        }
        return verdict
    }

    /// What the request asks for that this response cannot give.
    private func reasonOfRequest(
        _ request: RequestDirectives, age: Int64, remaining: Int64, isFresh: Bool
    ) -> ValidationReason {
        if request.noCache { return .requestNoCache }
        if let maxAge = request.maxAge, age > maxAge || maxAge == 0 {
            // A reload asks with max-age=0 for what the origin says cannot have changed (RFC 8246, section 2).
            if !(isFresh && flags.contains(.immutable)) { return .requestMaxAge }
        }
        if let minFresh = request.minFresh, remaining < minFresh { return .requestMinFresh }
        return .none
    }

    private func staleUse(_ request: RequestDirectives, remaining: Int64, isSoftPurged: Bool) -> Use {
        if flags.contains(.mustRevalidate) { return .mustValidate }
        let staleness = max(0, 0 &- remaining)
        if staleWhileRevalidate > 0, staleness < staleWhileRevalidate { return .staleWhileRevalidate }
        // max-stale is about age; a purge says that the content is wrong.
        guard let maxStale = request.maxStale, staleness <= maxStale, !isSoftPurged,
            !flags.contains(.staleOnlyByOrigin)
        else { return .mustValidate }
        return .staleByRequest
    }

    private func mayServeOnError(_ request: RequestDirectives, remaining: Int64, alwaysOnline: Bool) -> Bool {
        guard flags.isDisjoint(with: [.mustRevalidate, .noCache]) else { return false }
        let isOriginsAlone = flags.contains(.staleOnlyByOrigin)
        if alwaysOnline, !isOriginsAlone { return true }
        let window = isOriginsAlone ? staleIfError : max(staleIfError, request.staleIfError ?? 0)
        // A client that wants nothing unvalidated gets it only where a window says so.
        if request.noCache, window == 0 { return false }
        return 0 &- remaining <= window
    }
}
