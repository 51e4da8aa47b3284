// The kinds by which failures and endings are counted. The same words stand in the access log, so that a line and a
// graph can be laid side by side.

/// What went wrong on the client's side of an exchange.
package enum ClientErrorKind: Int, CaseIterable, Sendable {
    /// The request line is malformed. 400.
    case badRequestLine
    /// A field line is malformed. 400.
    case badField
    /// Content-Length or Transfer-Encoding breaks the rules (RFC 9112, section 6.3). 400 or 501.
    case badFraming
    /// Host is missing, repeated, malformed or disagrees with the target (RFC 9112, section 3.2). 400.
    case badHost
    /// The chunked coding is malformed (RFC 9112, section 7.1).
    case badChunk
    /// The PROXY protocol header is missing or malformed.
    case badProxyProtocol
    /// 505.
    case versionUnsupported
    /// 501, or 405 for CONNECT.
    case methodUnsupported
    /// 414.
    case requestLineTooLong
    /// 431.
    case headTooLarge
    /// 413.
    case bodyTooLarge
    /// 417.
    case expectationFailed
    /// No zone answers for this host. 421 or 404.
    case unknownZone
    /// 408, or silence when no byte had come.
    case headerTimeout
    case handshakeTimeout
    /// Nothing of the body came for too long. 408.
    case bodyTimeout
    /// The body came, but below the least rate. 408.
    case bodyTooSlow
    /// The client took nothing of its response for too long.
    case writeTimeout
    /// Closed between requests. Not an error, and counted only where somebody wants it.
    case idleTimeout
    case tunnelTimeout
    /// The TLS handshake failed.
    case tls
    /// The client reset the connection in the middle of an exchange.
    case reset
    /// The client closed in the middle of a request.
    case closedEarly
    case tooManyConnections
    /// Our own fault. 500.
    case internalError
    case other
}

extension ClientErrorKind {
    /// The value of the label in metrics and of the member in the access log.
    package var label: StaticString {
        switch self {
        case .badRequestLine: "bad_request_line"
        case .badField: "bad_field"
        case .badFraming: "bad_framing"
        case .badHost: "bad_host"
        case .badChunk: "bad_chunk"
        case .badProxyProtocol: "bad_proxy_protocol"
        case .versionUnsupported: "version_unsupported"
        case .methodUnsupported: "method_unsupported"
        case .requestLineTooLong: "request_line_too_long"
        case .headTooLarge: "head_too_large"
        case .bodyTooLarge: "body_too_large"
        case .expectationFailed: "expectation_failed"
        case .unknownZone: "unknown_zone"
        case .headerTimeout: "header_timeout"
        case .handshakeTimeout: "handshake_timeout"
        case .bodyTimeout: "body_timeout"
        case .bodyTooSlow: "body_too_slow"
        case .writeTimeout: "write_timeout"
        case .idleTimeout: "idle_timeout"
        case .tunnelTimeout: "tunnel_timeout"
        case .tls: "tls"
        case .reset: "reset"
        case .closedEarly: "closed_early"
        case .tooManyConnections: "too_many_connections"
        case .internalError: "internal_error"
        case .other: "other"
        }
    }
}

/// What went wrong between Martlet and an origin.
package enum OriginErrorKind: Int, CaseIterable, Sendable {
    /// The name has no address, or no name server answered.
    case dns
    case connectRefused
    case connectTimeout
    /// No route, or the network is down.
    case connectUnreachable
    /// Any other failure to connect.
    case connectFailed
    /// The TLS handshake failed for another reason than the certificate.
    case tls
    /// The origin's certificate was not accepted.
    case tlsVerify
    case firstByteTimeout
    /// The response stopped in the middle for too long.
    case idleTimeout
    /// The origin took nothing of the request for too long.
    case writeTimeout
    case reset
    /// The origin closed before its response was whole.
    case closedEarly
    /// The response breaks the protocol.
    case badResponse
    /// The response's head is beyond its bounds.
    case headTooLarge
    /// Every origin is down or ejected.
    case noHealthyOrigin
    /// Too many exchanges waited for a connection already.
    case poolOverflow
    /// No connection came free in time.
    case poolWaitTimeout
    /// The origin broke the rules of an upgrade.
    case upgradeFailed
    case other
}

extension OriginErrorKind {
    /// The value of the label in metrics and of the member in the access log.
    package var label: StaticString {
        switch self {
        case .dns: "dns"
        case .connectRefused: "connect_refused"
        case .connectTimeout: "connect_timeout"
        case .connectUnreachable: "connect_unreachable"
        case .connectFailed: "connect_failed"
        case .tls: "tls"
        case .tlsVerify: "tls_verify"
        case .firstByteTimeout: "first_byte_timeout"
        case .idleTimeout: "idle_timeout"
        case .writeTimeout: "write_timeout"
        case .reset: "reset"
        case .closedEarly: "closed_early"
        case .badResponse: "bad_response"
        case .headTooLarge: "head_too_large"
        case .noHealthyOrigin: "no_healthy_origin"
        case .poolOverflow: "pool_overflow"
        case .poolWaitTimeout: "pool_wait_timeout"
        case .upgradeFailed: "upgrade_failed"
        case .other: "other"
        }
    }
}

/// Why a client connection ended.
package enum CloseReason: Int, CaseIterable, Sendable {
    /// The client closed between requests.
    case clientClosed
    /// Either side had said `Connection: close`, or the version has no keep-alive.
    case keepAliveEnded
    /// The connection served as many requests as one may.
    case requestLimit
    case idleTimeout
    /// Any timeout in the middle of an exchange.
    case timeout
    /// After an error reply that leaves the framing unknown.
    case badRequest
    /// The response had begun and could not be finished.
    case originFailed
    case reset
    /// The process is stopping.
    case draining
    case tunnelEnded
    case tlsFailed
    case internalError
    case other
}

extension CloseReason {
    /// The value of the label in metrics and of the member in the access log.
    package var label: StaticString {
        switch self {
        case .clientClosed: "client_closed"
        case .keepAliveEnded: "keep_alive_ended"
        case .requestLimit: "request_limit"
        case .idleTimeout: "idle_timeout"
        case .timeout: "timeout"
        case .badRequest: "bad_request"
        case .originFailed: "origin_failed"
        case .reset: "reset"
        case .draining: "draining"
        case .tunnelEnded: "tunnel_ended"
        case .tlsFailed: "tls_failed"
        case .internalError: "internal_error"
        case .other: "other"
        }
    }
}
