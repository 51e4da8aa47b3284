/// Why an exchange could not be answered as asked: one row per reason.
///
/// `label` is the name that the error page, the access log and the metrics use, so that one word found in any of them
/// leads to the others. The raw value is the place of its counter.
package enum Failure: Int, Error, Sendable, CaseIterable {
    // The client's side.
    case badRequest
    case requestLineTooLong
    case headTooLarge
    case notImplemented
    case versionNotSupported
    case expectationFailed
    case connectRefused
    case headerTimeout
    case bodyTimeout
    case bodyTooSlow
    case bodyTooLarge
    case badBody
    case unknownHost
    case misdirected
    /// `Cache-Control: only-if-cached`, and it is not (RFC 9111, section 5.2.1.7).
    case onlyIfCached
    case clientClosed
    case clientStalled
    // The edge's side.
    case poolExhausted
    case pooledConnectionLost
    case outOfResources
    case draining
    case internalError
    // The origin's side. The numbers in their comments are Cloudflare's 52x equivalents.
    /// None answers, and what is stored may not be served unless one does (RFC 9111, section 5.2.2.2).
    case validationFailed  // 504
    case noHealthyOrigin  // 521
    case originName  // 530
    case originRefused  // 521
    case originUnreachable  // 523
    case originConnectTimeout  // 522
    case originHandshake  // 525
    case originCertificate  // 526
    case originFirstByteTimeout  // 524
    case originIdleTimeout  // 524
    case originClosedEarly  // 520
    case originBadResponse  // 520
    /// The origin handed the request back unread (RFC 9113, section 8.7).
    case originRefusedStream  // 520
    /// An HTTP/2 origin that takes no extended CONNECT was to switch protocols (RFC 8441, section 3).
    case originWithoutConnect  // 520
}

/// Who would have to act for the request to succeed.
package enum FailureSide: Sendable {
    case client, edge, origin

    package var label: StaticString {
        switch self {
        case .client: "client"
        case .edge: "edge"
        case .origin: "origin"
        }
    }
}

extension Failure {
    /// The failure's name.
    package var label: StaticString {
        switch self {
        case .badRequest: "bad_request"
        case .requestLineTooLong: "request_line_too_long"
        case .headTooLarge: "head_too_large"
        case .notImplemented: "not_implemented"
        case .versionNotSupported: "version_not_supported"
        case .expectationFailed: "expectation_failed"
        case .connectRefused: "connect_not_allowed"
        case .headerTimeout: "header_timeout"
        case .bodyTimeout: "body_timeout"
        case .bodyTooSlow: "body_too_slow"
        case .bodyTooLarge: "body_too_large"
        case .badBody: "bad_body"
        case .unknownHost: "no_zone"
        case .misdirected: "misdirected"
        case .onlyIfCached: "only_if_cached"
        case .validationFailed: "cache_validation_failed"
        case .clientClosed: "client_closed"
        case .clientStalled: "client_stalled"
        case .poolExhausted: "pool_exhausted"
        case .pooledConnectionLost: "pooled_connection_lost"
        case .outOfResources: "edge_out_of_resources"
        case .draining: "draining"
        case .internalError: "internal_error"
        case .noHealthyOrigin: "no_healthy_origin"
        case .originName: "origin_unresolved"
        case .originRefused: "origin_connect_refused"
        case .originUnreachable: "origin_unreachable"
        case .originConnectTimeout: "origin_connect_timeout"
        case .originHandshake: "origin_tls_handshake"
        case .originCertificate: "origin_tls_certificate"
        case .originFirstByteTimeout: "origin_first_byte_timeout"
        case .originIdleTimeout: "origin_idle_timeout"
        case .originClosedEarly: "origin_closed_early"
        case .originBadResponse: "origin_bad_response"
        case .originRefusedStream: "origin_refused_stream"
        case .originWithoutConnect: "origin_no_extended_connect"
        }
    }

    package var side: FailureSide {
        switch self {
        case .badRequest, .requestLineTooLong, .headTooLarge, .notImplemented, .versionNotSupported,
            .expectationFailed, .connectRefused, .headerTimeout, .bodyTimeout, .bodyTooSlow, .bodyTooLarge,
            .badBody, .unknownHost, .misdirected, .onlyIfCached, .clientClosed, .clientStalled:
            .client
        case .poolExhausted, .pooledConnectionLost, .outOfResources, .draining, .internalError:
            .edge
        case .validationFailed, .noHealthyOrigin, .originName, .originRefused, .originUnreachable,
            .originConnectTimeout, .originHandshake, .originCertificate, .originFirstByteTimeout, .originIdleTimeout,
            .originClosedEarly, .originBadResponse, .originRefusedStream, .originWithoutConnect:
            .origin
        }
    }

    /// The status of the error page (RFC 9110, section 15).
    package var status: Int {
        switch self {
        case .badRequest, .badBody: 400
        case .connectRefused: 405
        case .headerTimeout, .bodyTimeout, .bodyTooSlow: 408
        case .bodyTooLarge: 413
        case .requestLineTooLong: 414
        case .expectationFailed: 417
        case .unknownHost, .misdirected: 421
        case .headTooLarge: 431
        // Never sent, for nobody is there to read it; the log's word for it, as nginx has it.
        case .clientClosed, .clientStalled: 499
        case .internalError: 500
        case .notImplemented: 501
        case .pooledConnectionLost, .originName, .originRefused, .originUnreachable, .originHandshake,
            .originCertificate,
            .originClosedEarly, .originBadResponse, .originRefusedStream, .originWithoutConnect:
            502
        case .poolExhausted, .outOfResources, .draining, .noHealthyOrigin: 503
        case .onlyIfCached, .validationFailed, .originConnectTimeout, .originFirstByteTimeout, .originIdleTimeout: 504
        case .versionNotSupported: 505
        }
    }

    /// Whether nothing of the request can have been looked at by an origin, so that any request may be sent again, as far as
    /// its body is still here.
    package var happenedBeforeSending: Bool {
        switch self {
        case .pooledConnectionLost, .originName, .originRefused, .originUnreachable, .originConnectTimeout,
            .originHandshake, .originCertificate, .originRefusedStream:
            true
        default:
            false
        }
    }

    /// One sentence for the person who sees the page.
    package var explanation: StaticString {
        switch self {
        case .badRequest: "The request is not valid HTTP/1.1."
        case .requestLineTooLong: "The request line is longer than this server accepts."
        case .headTooLarge: "The request's header fields are larger or more than this server accepts."
        case .notImplemented: "The request asks for a method or a transfer coding this server does not know."
        case .versionNotSupported: "The request's HTTP version is not one this server speaks."
        case .expectationFailed: "The request expects something other than 100-continue."
        case .connectRefused: "CONNECT is not allowed here."
        case .headerTimeout: "The request's header did not arrive in time."
        case .bodyTimeout: "The request's body stopped arriving."
        case .bodyTooSlow: "The request's body arrives too slowly."
        case .bodyTooLarge: "The request's body is larger than this site accepts."
        case .badBody: "The request's body is not framed as its header says."
        case .unknownHost: "No site is configured here for this host name."
        case .misdirected: "This connection was made for another site's certificate; open a new one for this host."
        case .validationFailed: "What is stored must be validated before it is used, and the origin does not answer."
        case .onlyIfCached: "The request asks for a stored response only, and none is stored that may be used."
        case .clientClosed: "The client closed the connection before the response was complete."
        case .clientStalled: "The client stopped taking the response."
        case .poolExhausted: "Every connection to the origin is busy and the queue for one is full or too slow."
        case .pooledConnectionLost: "Kept connections to the origin were lost again and again."
        case .outOfResources: "This server has no file descriptor or memory left for a connection to the origin."
        case .draining: "This server is stopping; try again."
        case .internalError: "This server met an error of its own."
        case .noHealthyOrigin: "No origin of this site is healthy."
        case .originName: "The origin's host name could not be resolved."
        case .originRefused: "The origin refused the connection."
        case .originUnreachable: "The origin cannot be reached over the network."
        case .originConnectTimeout: "The origin did not accept the connection in time."
        case .originHandshake: "The TLS handshake with the origin failed."
        case .originCertificate: "The origin's certificate could not be verified."
        case .originFirstByteTimeout: "The origin did not begin its response in time."
        case .originIdleTimeout: "The origin stopped in the middle of its response."
        case .originClosedEarly: "The origin closed the connection before its response was complete."
        case .originBadResponse: "The origin's response is not valid HTTP."
        case .originRefusedStream: "The origin server takes no more requests for now."
        case .originWithoutConnect: "The origin server speaks HTTP/2 and takes no WebSocket over it."
        }
    }
}
