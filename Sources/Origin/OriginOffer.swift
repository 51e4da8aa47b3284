import ConfigModel

/// What is offered to an origin when a connection to it is made.
enum OriginOffer: Sendable {
    /// HTTP/1.1 and nothing else: with `http2: off`, in the clear, and where the request may change the protocol.
    case http1
    /// Both, by ALPN (RFC 7301): the origin chooses.
    case either
    /// HTTP/2 or no connection: with `http2: on`; in the clear by prior knowledge (RFC 9113, section 3.3).
    case http2

    /// - Parameter mayUpgrade: the request offers to switch to another protocol, which is a matter of HTTP/1.1
    ///   (RFC 9110, section 7.8); in HTTP/2 it takes extended CONNECT (RFC 8441), which few origins know.
    init(_ origin: ConfigModel.Origin, mayUpgrade: Bool) {
        self =
            switch origin.http2 {
            case .off: .http1
            case .on: .http2
            case .auto: origin.scheme == .https && !mayUpgrade ? .either : .http1
            }
    }

    /// The protocols by their names in ALPN, the one liked best first.
    var protocols: [String] {
        switch self {
        case .http1: ["http/1.1"]
        case .either: ["h2", "http/1.1"]
        case .http2: ["h2"]
        }
    }
}
