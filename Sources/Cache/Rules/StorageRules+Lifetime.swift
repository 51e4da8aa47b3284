// How long a response is fresh (RFC 9111, section 4.2.1), and for how long beyond that it may be used.
//
//     zone's TTL for the status ▷ s-maxage ▷ max-age ▷ Expires − Date ▷ heuristic ▷ default of `everything`
//
// The first that is there counts, even where it is invalid: what was meant to be a lifetime and cannot be read, or is
// given twice with two values, is 0.

import ConfigModel
import HTTPWire
import Limits

extension StorageRules {
    /// Sets lifetime, windows and the flags that go with them.
    static func takeLifetime(
        _ response: ResponseHead, _ directives: ResponseDirectives, _ bytes: Span<UInt8>, _ facts: inout StoredFacts,
        _ context: StorageContext
    ) -> StorageRefusal? {
        let settings = context.settings
        if directives.noCache { facts.flags.insert(.noCache) }
        if directives.immutable { facts.flags.insert(.immutable) }
        if directives.source == .martletCDNCacheControl { facts.flags.insert(.isTargeted) }
        if directives.mustRevalidate || directives.proxyRevalidate { facts.flags.insert(.mustRevalidate) }
        var isShared = false
        if let ttl = settings.ttl(forStatus: response.status) {
            guard ttl > 0 else { return .ttlZero }
            facts.freshnessLifetime = ttl
            facts.flags.insert(.lifetimeIsOurs)
        } else if let lifetime = directives.sMaxAge {
            facts.freshnessLifetime = lifetime
            isShared = true
        } else if let lifetime = directives.maxAge {
            facts.freshnessLifetime = lifetime
        } else if !directives.source.isTargeted, response.has(.expires) {
            facts.freshnessLifetime = expiry(response, bytes, facts, context)
        } else if let lifetime = heuristic(response, directives, facts, settings) {
            facts.freshnessLifetime = lifetime
            facts.flags.formUnion([.lifetimeIsOurs, .isHeuristic])
        } else if let lifetime = defaultLifetime(response.status, settings) {
            facts.freshnessLifetime = lifetime
            facts.flags.insert(.lifetimeIsOurs)
        } else {
            // no-cache needs no lifetime, but still something that allows to store it (RFC 9111, section 3).
            guard directives.noCache, directives.isPublic || StatusClass.isHeuristicallyCacheable(response.status)
            else { return .noLifetime }
        }
        takeWindows(directives, isShared: isShared, &facts, settings)
        return nil
    }

    /// `Expires − Date`; 0 for an Expires that is no date, or for two that differ (RFC 9111, section 5.3).
    private static func expiry(
        _ response: ResponseHead, _ bytes: Span<UInt8>, _ facts: StoredFacts, _ context: StorageContext
    ) -> Int64 {
        var expires: Int64?
        for index in response.fields.indices where response.fields[index].known == .expires {
            let value = response.fields[index].value
            guard let moment = CacheDate.milliseconds(bytes, value, now: context.responseTime),
                expires ?? moment == moment
            else { return 0 }
            expires = moment
        }
        return expires.map { CacheDate.span(from: facts.date, to: $0) } ?? 0
    }

    /// A share of the time since Last-Modified, where the zone wants that and the status or `public` allows it (RFC
    /// 9111, section 4.2.2).
    private static func heuristic(
        _ response: ResponseHead, _ directives: ResponseDirectives, _ facts: StoredFacts, _ settings: CacheSettings
    ) -> Int64? {
        guard settings.heuristicPercent > 0, !directives.noCache, let lastModified = facts.lastModified,
            directives.isPublic || StatusClass.isHeuristicallyCacheable(response.status)
        else { return nil }
        let span = CacheDate.span(from: lastModified, to: facts.date)
        let lifetime = span / 100 * Int64(min(settings.heuristicPercent, 100))
        return min(lifetime, Limits.cacheHeuristicMillisecondsMax)
    }

    /// What `everything` gives to answers that say nothing: successes and lasting redirections the default, what is not
    /// there a short while, and other errors nothing.
    private static func defaultLifetime(_ status: Int, _ settings: CacheSettings) -> Int64? {
        guard settings.everything else { return nil }
        let ttl = CacheDate.clamped(Int64(settings.defaultTTL))
        switch status {
        case 200, 203, 204, 206, 300, 301, 308: return ttl
        case 404, 410: return min(ttl, Limits.cacheNegativeMillisecondsMax)
        default: return nil
        }
    }

    /// The windows of RFC 5861: the origin's, else the zone's; none where a directive forbids to serve it stale (RFC
    /// 9111, section 4.2.4).
    ///
    /// s-maxage forbids it too. But an origin that names a window in the same breath means that window, and all of the
    /// large shared caches take it so.
    private static func takeWindows(
        _ directives: ResponseDirectives, isShared: Bool, _ facts: inout StoredFacts, _ settings: CacheSettings
    ) {
        guard facts.flags.isDisjoint(with: [.mustRevalidate, .noCache]) else { return }
        facts.staleWhileRevalidate = directives.staleWhileRevalidate ?? 0
        facts.staleIfError = directives.staleIfError ?? 0
        if isShared {
            let isAllowed = facts.staleWhileRevalidate > 0 || facts.staleIfError > 0
            facts.flags.insert(isAllowed ? .staleOnlyByOrigin : .mustRevalidate)
            return
        }
        if directives.staleWhileRevalidate == nil {
            facts.staleWhileRevalidate = CacheDate.clamped(Int64(settings.staleWhileRevalidate))
        }
        if directives.staleIfError == nil { facts.staleIfError = CacheDate.clamped(Int64(settings.staleIfError)) }
    }
}

extension StoredFacts {
    /// Whether there is a case in which it is served without having been validated.
    func isOfUse(in settings: CacheSettings) -> Bool {
        if flags.contains(.noCache) { return false }
        if freshnessLifetime > initialAge || staleWhileRevalidate > 0 || staleIfError > 0 { return true }
        return settings.alwaysOnline && flags.isDisjoint(with: [.mustRevalidate, .staleOnlyByOrigin])
    }
}
