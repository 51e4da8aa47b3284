package import ConfigModel
package import HTTPWire

/// Why a response is not stored. The labels stand in Cache-Status and in the access log.
package enum StorageRefusal: UInt8, Sendable, CaseIterable {
    /// The zone is not cached.
    case off
    /// The request says no-store (RFC 9111, section 5.2.1.5).
    case requestNoStore
    /// Neither GET nor POST.
    case method
    /// The request asks the origin to take it for one of another method, or for another URL.
    case methodOverride
    /// A GET with a body: the body is in no key.
    case requestBody
    /// No final response.
    case interim
    /// Responses with this status are never stored: 304, 226, 428, 429, 431, 511.
    case status
    /// must-understand, and a status whose rules are not known here (RFC 9111, section 5.2.2.3).
    case statusNotUnderstood
    /// An error that the request's own shape may have caused; who sends such requests would choose what others get.
    case requestShape
    /// RFC 9111, section 5.2.2.5.
    case noStore
    /// RFC 9111, section 5.2.2.7.
    case isPrivate
    /// Sets a cookie, which no directive excepts.
    case setCookie
    /// The request was authorized and no directive allows to share the answer (RFC 9111, section 3.5).
    case authorization
    /// `Vary: *`, or something else that no other request can match (RFC 9111, section 4.1).
    case varyStar
    /// More field names in Vary than `Limits.cacheVaryNamesMax`.
    case varyTooMany
    /// The zone's TTL for this status is 0.
    case ttlZero
    /// Nothing says how long it is fresh.
    case noLifetime
    /// It can only be used after validation, and has no validator.
    case noValidator
    /// A 206 whose Content-Range or length cannot be right, or one of several parts (RFC 9111, section 3.3).
    case partialInvalid
    /// An answer to POST whose Content-Location is not the target URI (RFC 9110, section 9.3.3).
    case postContentLocation
    /// Larger than objects may be.
    case tooLarge

    /// The reason as one word.
    package var label: StaticString {
        switch self {
        case .off: "off"
        case .requestNoStore: "request_no_store"
        case .method: "method"
        case .methodOverride: "method_override"
        case .requestBody: "request_body"
        case .interim: "interim"
        case .status: "status"
        case .statusNotUnderstood: "status_not_understood"
        case .requestShape: "request_shape"
        case .noStore: "no_store"
        case .isPrivate: "private"
        case .setCookie: "set_cookie"
        case .authorization: "authorization"
        case .varyStar: "vary_star"
        case .varyTooMany: "vary_too_many"
        case .ttlZero: "ttl_zero"
        case .noLifetime: "no_lifetime"
        case .noValidator: "no_validator"
        case .partialInvalid: "partial_invalid"
        case .postContentLocation: "post_content_location"
        case .tooLarge: "too_large"
        }
    }

    /// Whether the reason lies with this one request, so that the next one for the same key may fare better: no cause
    /// to remember the key as uncacheable.
    package var isAboutRequest: Bool {
        switch self {
        case .requestNoStore, .method, .methodOverride, .requestBody, .requestShape, .authorization,
            .partialInvalid, .postContentLocation, .interim:
            true
        default:
            false
        }
    }

    /// Why no answer to this request may be stored, whatever it says; nil if one may be.
    package static func ofRequest(
        _ request: RequestHead, _ bytes: Span<UInt8>, settings: CacheSettings
    ) -> StorageRefusal? {
        switch request.method {
        case .get:
            guard request.framing == .none || request.framing == .length(0) else { return .requestBody }
        case .post: break
        default: return .method
        }
        if overridesMethod(request, bytes) { return .methodOverride }
        if settings.respectsClientDirectives, RequestDirectives(request, bytes).noStore { return .requestNoStore }
        return nil
    }

    /// Whether a field asks the origin's framework to handle the request as one of another method, or for another URL. It
    /// is in no key, so that the answer to a disguised DELETE, or another page, would be given to everyone's GET.
    private static func overridesMethod(_ request: RequestHead, _ bytes: Span<UInt8>) -> Bool {
        for index in request.fields.indices where request.fields[index].known == .other {
            let name = request.fields[index].name
            guard bytes.hasPrefixIgnoringCase(name, "x-") else { continue }
            if bytes.hasPrefixIgnoringCase(name, "x-http-method")
                || bytes.equalsIgnoringCase(name, "x-method-override")
                || bytes.hasPrefixIgnoringCase(name, "x-original-ur")
                || bytes.hasPrefixIgnoringCase(name, "x-rewrite-ur")
                || bytes.hasPrefixIgnoringCase(name, "x-override-ur")
            {
                return true
            }
        }
        return false
    }
}
