// Labels of the small fixed tables: TLS handshakes and request methods.

/// The TLS version a handshake agreed on.
package enum TLSVersion: Int, CaseIterable, Sendable {
    /// The handshake failed before a version was agreed on.
    case unknown
    case v12
    case v13

    var label: StaticString {
        switch self {
        case .unknown: "unknown"
        case .v12: "1.2"
        case .v13: "1.3"
        }
    }
}

/// How a TLS handshake with a client ended.
package enum TLSHandshakeResult: Int, CaseIterable, Sendable {
    case completed
    case failed

    var label: StaticString {
        switch self {
        case .completed: "ok"
        case .failed: "failed"
        }
    }
}

/// The methods told apart in metrics. The raw values are those of the codec's own table of methods.
package enum MethodLabel: Int, CaseIterable, Sendable {
    case get, head, post, put, delete, connect, options, trace, patch, other

    /// The value of the label: the method as it is written, or `other`.
    package var label: StaticString {
        switch self {
        case .get: "GET"
        case .head: "HEAD"
        case .post: "POST"
        case .put: "PUT"
        case .delete: "DELETE"
        case .connect: "CONNECT"
        case .options: "OPTIONS"
        case .trace: "TRACE"
        case .patch: "PATCH"
        case .other: "other"
        }
    }
}
