/// The bounds of HTTP/2 towards origins that are not the protocol's: streams and windows stand with its others.
extension Limits {
    // MARK: Whether an origin is still there (RFC 9113, section 6.7)

    /// Silence of a connection after which it is asked by PING, and the time that the answer may take. Each further
    /// question waits longer by the factor while nothing but answers comes: servers of gRPC take more than two or so
    /// within five minutes of silence for abuse.
    package static let http2OriginPingAfterMilliseconds = 10_000
    package static let http2OriginPingTimeoutMilliseconds = 5_000
    package static let http2OriginPingFactor = 6
    package static let http2OriginPingAfterMillisecondsMax = 360_000

    // MARK: What an origin may take for an attack (CVE-2023-44487)

    /// RST_STREAM sent on one connection beyond the responses that came whole; then another connection is used, and this
    /// one ends when its streams have. Clients that leave, or attack, must not make an origin end what others share:
    /// servers do that after five hundred resets or more.
    package static let http2OriginResetsMax = 256
}
