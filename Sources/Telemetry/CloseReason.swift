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
    /// An error of HTTP/2 (RFC 9113, section 5.4.1).
    case protocolError
    /// The client did too much of something that costs us and brings it nothing: ENHANCE_YOUR_CALM.
    case abuse
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
        case .protocolError: "protocol_error"
        case .abuse: "abuse"
        case .internalError: "internal_error"
        case .other: "other"
        }
    }
}
