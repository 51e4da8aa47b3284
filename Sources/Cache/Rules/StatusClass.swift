import HTTPWire
import Limits

/// What a status code means for storing.
package enum StatusClass: Sendable {
    /// May be stored where something says so.
    case plain
    /// An error. May be stored too, if the request that got it was of ordinary shape.
    case error
    /// An error about the very bytes of the request (its size, its framing, its conditions), which are in no key.
    /// Stored only if the zone has a TTL for exactly this status.
    case requestCaused
    /// Never stored: 304 has no content of its own; RFC 6585, sections 3 to 6, forbids it for 428, 429, 431 and 511;
    /// 226 is a difference to something else (RFC 3229).
    case never

    package init(_ status: Int) {
        switch status {
        case 226, 304, 428, 429, 431, 511: self = .never
        case 407, 408, 411, 412, 413, 415, 416, 417, 421, 425, 426: self = .requestCaused
        case 400...: self = .error
        default: self = .plain
        }
    }

    /// Whether the status allows a lifetime that nobody named (RFC 9110, section 15.1; for 451, RFC 7725, section 3).
    package static func isHeuristicallyCacheable(_ status: Int) -> Bool {
        switch status {
        case 200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 451, 501: true
        default: false
        }
    }

    /// Whether what the status asks of caches is known here, for must-understand (RFC 9111, section 5.2.2.3).
    package static func isUnderstood(_ status: Int) -> Bool {
        switch status {
        case 200...206, 300...303, 307, 308, 400...417, 421, 422, 425, 426, 451, 500...505: true
        default: false
        }
    }

    /// Whether a TTL for a whole range of statuses does not mean this one: too large a share of these errors is the
    /// request's own doing.
    static func needsOwnTTL(_ status: Int) -> Bool {
        StatusClass(status) == .requestCaused || status == 400 || status == 414
    }

    /// Whether a request has nothing about it that could make an origin fail that serves others of the same key: no
    /// body, no expectation, no protocol change, no precondition, no outsized head.
    static func isOrdinary(_ request: RequestHead) -> Bool {
        (request.framing == .none || request.framing == .length(0))
            && request.byteCount <= Limits.cacheErrorRequestHeadBytesMax
            && !request.has(.expect) && !request.has(.upgrade) && !request.has(.ifMatch)
            && !request.has(.ifUnmodifiedSince)
    }
}

/// Whether an origin's answer counts as its failure, which a stale response may stand in for (RFC 5861, section 4).
package enum StaleOnError {
    package static func isError(status: Int) -> Bool {
        switch status {
        case 500, 502, 503, 504: true
        default: false
        }
    }
}
