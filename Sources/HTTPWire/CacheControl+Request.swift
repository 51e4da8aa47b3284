// What a request says to caches (RFC 9111, section 5.2.1), its fields folded into one value.

/// The cache directives of a request. Spans are milliseconds.
package struct RequestDirectives: Sendable, Equatable {
    /// The client wants no stored response that has not been validated; also from `Pragma: no-cache` (section 5.4).
    package var noCache = false
    /// Nothing of the request or its response may be stored.
    package var noStore = false
    package var noTransform = false
    /// Wants a stored response or 504 (section 5.2.1.7).
    package var onlyIfCached = false
    /// Wants no response older than this. What cannot be read is 0.
    package var maxAge: Int64?
    /// Wants a response that stays fresh for at least this long.
    package var minFresh: Int64?
    /// Takes a response that has been stale for at most this long; `.max` without a bound.
    package var maxStale: Int64?
    /// Takes a response that has been stale for at most this long if the origin fails (RFC 5861, section 4).
    package var staleIfError: Int64?

    /// No directives.
    package init() {}

    /// The directives of a request; of several spans for one directive the strictest counts.
    package init(_ request: borrowing RequestHead, _ bytes: Span<UInt8>) {
        guard request.has(.cacheControl) else {
            if request.has(.pragma) { readPragma(request, bytes) }
            return
        }
        for index in request.fields.indices where request.fields[index].known == .cacheControl {
            var directives = CacheDirectives(request.fields[index].value)
            while let directive = directives.next(in: bytes) { take(directive, bytes) }
        }
    }

    private mutating func take(_ directive: CacheDirective, _ bytes: Span<UInt8>) {
        switch directive.name {
        case .noCache: noCache = true
        case .noStore: noStore = true
        case .noTransform: noTransform = true
        case .onlyIfCached: onlyIfCached = true
        case .maxAge: maxAge = min(maxAge ?? .max, directive.milliseconds(in: bytes) ?? 0)
        case .minFresh:
            if let span = directive.milliseconds(in: bytes) { minFresh = max(minFresh ?? 0, span) }
        case .maxStale:
            // A bound that cannot be read is the smallest, not none.
            let span = directive.argument == .none ? .max : directive.milliseconds(in: bytes) ?? 0
            maxStale = min(maxStale ?? .max, span)
        case .staleIfError:
            if let span = directive.milliseconds(in: bytes) { staleIfError = min(staleIfError ?? .max, span) }
        default: break
        }
    }

    private mutating func readPragma(_ request: borrowing RequestHead, _ bytes: Span<UInt8>) {
        for index in request.fields.indices where request.fields[index].known == .pragma {
            var members = ListMembers(request.fields[index].value)
            while let member = members.next(in: bytes) {
                if bytes.equalsIgnoringCase(member, "no-cache") { noCache = true }
            }
        }
    }
}
