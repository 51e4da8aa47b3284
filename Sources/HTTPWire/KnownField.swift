// The fields Martlet gives a meaning to, one row each with the section that defines it, and what a proxy does with
// them. `KnownField+Identify.swift` finds the row for a name.
//
// The parsers note which of the first 64 rows they have seen in the bits of a UInt64; for a row beyond those, a head is
// searched.

/// A field with a meaning here. `.other` is every other name.
package enum KnownField: UInt8, Sendable, CaseIterable {
    case other
    // Framing and routing.
    case host  // RFC 9110, 7.2
    case contentLength  // RFC 9110, 8.6
    case transferEncoding  // RFC 9112, 6.1
    case expect  // RFC 9110, 10.1.1
    // Between two hops only.
    case connection  // RFC 9110, 7.6.1
    case te  // RFC 9110, 10.1.4
    case trailer  // RFC 9110, 6.6.2
    case upgrade  // RFC 9110, 7.8
    case keepAlive  // RFC 9112, C.2.2
    case proxyConnection  // RFC 9112, C.2.2
    case proxyAuthenticate  // RFC 9110, 11.7.1
    case proxyAuthorization  // RFC 9110, 11.7.2
    case proxyAuthenticationInfo  // RFC 9110, 11.7.3
    case http2Settings  // RFC 7540, 3.2.1
    case proxy  // no RFC: CGI turns it into HTTP_PROXY (CVE-2016-5385)
    // Who asked, by which way.
    case via  // RFC 9110, 7.6.3
    case forwarded  // RFC 7239, 4
    case xForwardedFor  // RFC 7239, 7.4
    case xForwardedHost  // RFC 7239, 7.4
    case xForwardedProto  // RFC 7239, 7.4
    case xForwardedPort  // no RFC
    case xRealIP  // no RFC
    case martletRay  // ours: the ray id
    case traceparent  // W3C Trace Context, 3.2
    case tracestate  // W3C Trace Context, 3.3
    case cdnLoop  // RFC 8586, 2
    case maxForwards  // RFC 9110, 7.6.2
    // Credentials.
    case authorization  // RFC 9110, 11.6.2
    case wwwAuthenticate  // RFC 9110, 11.6.1
    case cookie  // RFC 6265, 5.4
    case setCookie  // RFC 6265, 4.1
    // Content and its negotiation.
    case accept  // RFC 9110, 12.5.1
    case acceptEncoding  // RFC 9110, 12.5.3
    case acceptLanguage  // RFC 9110, 12.5.4
    case acceptRanges  // RFC 9110, 14.3
    case contentType  // RFC 9110, 8.3
    case contentEncoding  // RFC 9110, 8.4
    case contentLanguage  // RFC 9110, 8.5
    case contentRange  // RFC 9110, 14.4
    case range  // RFC 9110, 14.2
    case ifRange  // RFC 9110, 13.1.5
    case ifMatch  // RFC 9110, 13.1.1
    case ifNoneMatch  // RFC 9110, 13.1.2
    case ifModifiedSince  // RFC 9110, 13.1.3
    case ifUnmodifiedSince  // RFC 9110, 13.1.4
    case eTag  // RFC 9110, 8.8.3
    case lastModified  // RFC 9110, 8.8.2
    // Caching.
    case age  // RFC 9111, 5.1
    case cacheControl  // RFC 9111, 5.2
    case expires  // RFC 9111, 5.3
    case pragma  // RFC 9111, 5.4
    case cdnCacheControl  // RFC 9213, 3.1
    case cacheStatus  // RFC 9211, 2
    case vary  // RFC 9110, 12.5.5
    // Context.
    case date  // RFC 9110, 6.6.1
    case server  // RFC 9110, 10.2.4
    case location  // RFC 9110, 10.2.2
    case retryAfter  // RFC 9110, 10.2.3
    case altSvc  // RFC 7838, 3
    case userAgent  // RFC 9110, 10.1.5
    case referer  // RFC 9110, 10.1.3
    case origin  // RFC 6454, 7
    case strictTransportSecurity  // RFC 6797, 6.1
    // Behind the first 64: rare, and asked for only where a response is stored.
    case contentLocation  // RFC 9110, 8.7
    case cacheTag  // no RFC: the tags that purges name
    case martletCDNCacheControl  // RFC 9213, 2: the targeted field that is ours alone

    /// Never passed on as it came: it belongs to one hop (RFC 9110, section 7.6.1), or the proxy writes its own.
    @inlinable package var isDropped: Bool {
        switch self {
        case .host,  // the zone's origin decides which Host it gets
            .contentLength, .transferEncoding,  // framing is regenerated, never copied
            .expect,  // answered or asked anew by the proxy (RFC 9110, 10.1.1)
            .connection, .te, .upgrade, .keepAlive, .proxyConnection, .http2Settings,
            .proxyAuthenticate, .proxyAuthorization, .proxyAuthenticationInfo, .proxy:
            true
        default:
            false
        }
    }

    /// Connection may name it, and it is then removed. Every other known field is meant for the recipient of the
    /// message or is evidence that a client must not be able to erase; naming it there has no effect (RFC 9110, 7.6.1:
    /// "a sender MUST NOT send a connection option corresponding to a field intended for all recipients").
    /// Of `.other` fields, the families `X-Forwarded-`, `Martlet-` and `CF-` are protected too.
    @inlinable package var mayBeNominated: Bool {
        switch self {
        case .other, .connection, .te, .trailer, .upgrade, .keepAlive, .proxyConnection, .http2Settings,
            .proxyAuthenticate, .proxyAuthorization, .proxyAuthenticationInfo, .proxy:
            true
        default:
            false
        }
    }

    /// May not stand in a trailer section (RFC 9110, section 6.5.1): framing, routing, request modifiers,
    /// authentication, response control data, and what tells how to read the content.
    @inlinable package var isForbiddenTrailer: Bool {
        switch self {
        case .other, .eTag, .lastModified, .cacheStatus, .date, .altSvc: false
        default: true
        }
    }

    /// Whether it has a bit in a set of seen fields.
    @inlinable package var isTracked: Bool { rawValue < 64 }

    // As with `Method`: derived equality is a call through a witness.
    @inlinable package static func == (one: KnownField, other: KnownField) -> Bool { one.rawValue == other.rawValue }

    /// This field's bit in a set of seen fields; 0 for one that has none.
    @inlinable package var bit: UInt64 { isTracked ? 1 &<< UInt64(rawValue) : 0 }
}
