// What the encoder does with each field: how it is represented (RFC 7541, section 6), one row each with the reason.
//
// What enters the table pushes something else out of it, so only what comes again does. What is or may be a secret does
// not: whoever can put fields into the same table and see lengths could guess it (RFC 7541, section 7.1).

/// How a field is represented, where the table does not have it already.
enum HPACKRule: UInt8 {
    /// Left out: it belongs to an HTTP/1.1 connection, or a pseudo-header field says it (RFC 9113, sections 8.2.2, 8.3.1).
    case omitted
    /// Only with the value `trailers` (RFC 9113, section 8.2.2).
    case te
    /// A literal that must not be indexed further on either (section 6.2.3): credentials.
    case neverIndexed
    /// A literal that is not indexed (section 6.2.2): its value seldom comes again, and the static table has its name.
    case literal
    /// Its value seldom comes again, but its name does, and the static table lacks it: indexed once for its name's sake.
    case nameOnly
    /// Indexed whenever it changes: it does so once a second at most, and then for good.
    case latest
    /// Indexed, up to `valuesMax` values at a time. A name with more than those is one that changes.
    case indexed
    /// The same, of a name that nothing is known about.
    case unknown

    /// How many entries of one name the table has at most.
    @inline(__always)
    var valuesMax: Int {
        switch self {
        case .omitted, .neverIndexed, .literal: 0
        case .nameOnly: 1
        case .unknown: 3
        case .te, .indexed: 8
        case .latest: .max
        }
    }

    @inline(__always)
    init(_ known: KnownField) {
        switch known {
        case .host, .transferEncoding, .connection, .upgrade, .keepAlive, .proxyConnection, .http2Settings:
            self = .omitted
        case .te: self = .te
        // A cookie is a credential more often than not, whatever its length, and comes from one of many clients.
        case .authorization, .proxyAuthorization, .proxyAuthenticationInfo, .cookie, .setCookie: self = .neverIndexed
        case .contentLength, .wwwAuthenticate, .proxyAuthenticate, .contentRange, .range, .ifRange, .ifMatch,
            .ifNoneMatch, .ifModifiedSince, .ifUnmodifiedSince, .eTag, .lastModified, .age, .expires, .location,
            .retryAfter, .referer, .contentLocation:
            self = .literal
        case .forwarded, .xForwardedFor, .xRealIP, .martletRay, .traceparent, .tracestate, .cacheStatus, .cacheTag:
            self = .nameOnly
        case .date: self = .latest
        case .other: self = .unknown
        default: self = .indexed
        }
    }
}

extension KnownField {
    /// The static table's first entry of that name, or 0.
    @inline(__always)
    var staticIndex: Int {
        switch self {
        case .acceptEncoding: 16
        case .acceptLanguage: 17
        case .acceptRanges: 18
        case .accept: 19
        case .age: 21
        case .authorization: 23
        case .cacheControl: 24
        case .contentEncoding: 26
        case .contentLanguage: 27
        case .contentLength: 28
        case .contentLocation: 29
        case .contentRange: 30
        case .contentType: 31
        case .cookie: 32
        case .date: 33
        case .eTag: 34
        case .expect: 35
        case .expires: 36
        case .host: 38
        case .ifMatch: 39
        case .ifModifiedSince: 40
        case .ifNoneMatch: 41
        case .ifRange: 42
        case .ifUnmodifiedSince: 43
        case .lastModified: 44
        case .location: 46
        case .maxForwards: 47
        case .proxyAuthenticate: 48
        case .proxyAuthorization: 49
        case .range: 50
        case .referer: 51
        case .retryAfter: 53
        case .server: 54
        case .setCookie: 55
        case .strictTransportSecurity: 56
        case .transferEncoding: 57
        case .userAgent: 58
        case .vary: 59
        case .via: 60
        case .wwwAuthenticate: 61
        default: 0
        }
    }
}

/// A field that is named by its caller rather than by bytes.
package enum HPACKName: UInt8, Sendable, CaseIterable {
    case authority, method, path, scheme, `protocol`
    case contentLength, date, server, location, contentType

    /// The static table's first entry of that name, or 0.
    @inline(__always)
    var staticIndex: Int {
        switch self {
        case .authority: 1
        case .method: 2
        case .path: 4
        case .scheme: 6
        case .protocol: 0
        case .contentLength: 28
        case .date: 33
        case .server: 54
        case .location: 46
        case .contentType: 31
        }
    }

    @inline(__always)
    var rule: HPACKRule {
        switch self {
        case .path: .literal
        case .authority, .method, .scheme, .protocol: .indexed
        case .contentLength: HPACKRule(.contentLength)
        case .date: HPACKRule(.date)
        case .server: HPACKRule(.server)
        case .location: HPACKRule(.location)
        case .contentType: HPACKRule(.contentType)
        }
    }

    @inline(__always)
    var kind: HPACKFields.Kind {
        switch self {
        case .authority: .authority
        case .method: .method
        case .path: .path
        case .scheme: .scheme
        case .protocol: .protocol
        case .contentLength: .field(.contentLength)
        case .date: .field(.date)
        case .server: .field(.server)
        case .location: .field(.location)
        case .contentType: .field(.contentType)
        }
    }

    /// As it is written where no table has it.
    var text: StaticString {
        switch self {
        case .authority: ":authority"
        case .method: ":method"
        case .path: ":path"
        case .scheme: ":scheme"
        case .protocol: ":protocol"
        case .contentLength: "content-length"
        case .date: "date"
        case .server: "server"
        case .location: "location"
        case .contentType: "content-type"
        }
    }
}
