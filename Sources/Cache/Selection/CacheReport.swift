// How the cache handled a request: one word for people and logs, and the member of Cache-Status (RFC 9211) that says it
// exactly.
//
//     Cache-Status: origin-cache; hit; ttl=1100, martlet; fwd=stale; fwd-status=304; ttl=300; stored

package import HTTPWire

/// What became of a request at the cache, in one word.
package enum CacheOutcome: UInt8, Sendable, CaseIterable {
    /// From the cache, fresh.
    case hit
    /// From the cache although it was stale: the origin failed, or the client allowed it.
    case stale
    /// From the cache although it was stale, while it is being validated (RFC 5861, section 3).
    case updating
    /// From the cache after the origin had confirmed it.
    case revalidated
    /// Stale in the cache, and the origin had another one.
    case expired
    /// Not in the cache.
    case miss
    /// Past the cache.
    case bypass

    package var label: StaticString {
        switch self {
        case .hit: "hit"
        case .stale: "stale"
        case .updating: "updating"
        case .revalidated: "revalidated"
        case .expired: "expired"
        case .miss: "miss"
        case .bypass: "bypass"
        }
    }
}

/// Why a request went to the origin (RFC 9211, section 2.2).
package enum ForwardReason: UInt8, Sendable, CaseIterable {
    /// The cache was not to handle it.
    case bypass
    /// Its method is never answered from a cache.
    case method
    /// Nothing is stored for its key.
    case uriMiss
    /// What is stored for its key was made for other requests.
    case varyMiss
    /// One of the two.
    case miss
    /// What is stored is fresh, but the request's own directives forbid it.
    case request
    /// What is stored is stale.
    case stale
    /// Of what is stored not every byte asked for is here.
    case partial

    package var token: StaticString {
        switch self {
        case .bypass: "bypass"
        case .method: "method"
        case .uriMiss: "uri-miss"
        case .varyMiss: "vary-miss"
        case .miss: "miss"
        case .request: "request"
        case .stale: "stale"
        case .partial: "partial"
        }
    }
}

/// What is said of one response.
package struct CacheReport: Sendable {
    package var outcome: CacheOutcome
    /// Nil: the request was not forwarded for this response.
    package var forward: ForwardReason?
    /// What is left of the freshness lifetime, in seconds; negative for what is stale (section 2.4).
    package var ttlSeconds: Int64?
    /// The status the origin answered with, where that is not the response's own (section 2.3): 304, or that of a
    /// failure which a stale response stands in for.
    package var forwardedStatus: UInt16?
    /// The origin's response was stored (section 2.5).
    package var isStored = false
    /// The request waited for another one's answer (section 2.6).
    package var isCollapsed = false
    /// Why, for machines (section 2.8): a token.
    package var detail: StaticString?

    package init(
        _ outcome: CacheOutcome, forward: ForwardReason? = nil, ttlSeconds: Int64? = nil, detail: StaticString? = nil
    ) {
        self.outcome = outcome
        self.forward = forward
        self.ttlSeconds = ttlSeconds
        self.detail = detail
    }

    /// Writes the member of this cache.
    package func write(to writer: inout ByteWriter) {
        if let forward {
            writer.write("martlet; fwd=")
            writer.write(forward.token)
            if let forwardedStatus {
                writer.write("; fwd-status=")
                writer.write(decimal: UInt64(forwardedStatus))
            }
        } else {
            writer.write("martlet; hit")
        }
        if let ttlSeconds {
            writer.write(ttlSeconds < 0 ? "; ttl=-" : "; ttl=")
            // Integers of Structured Fields have at most 15 digits (RFC 9651, section 3.3.1).
            writer.write(decimal: min(ttlSeconds.magnitude, 999_999_999_999_999))
        }
        // Both speak of a request that was forwarded, this one or the one it waited for.
        if isStored { writer.write("; stored") }
        if isCollapsed { writer.write("; collapsed") }
        if let detail {
            writer.write("; detail=")
            writer.write(detail)
        }
    }

    /// Writes the whole field line: caches nearer to the origin come first (section 2).
    /// - Parameter upstream: the members that came with the response; empty for none.
    package func writeField(to writer: inout ByteWriter, after upstream: Span<UInt8>) {
        writer.write("Cache-Status: ")
        if upstream.count > 0 {
            writer.write(upstream)
            writer.write(", ")
        }
        write(to: &writer)
        writer.write("\r\n")
    }
}
