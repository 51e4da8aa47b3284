// Request methods (RFC 9110, section 9; PATCH: RFC 5789). Method names are case-sensitive: `get` is not GET, it is a
// method nobody knows, and reported as `.other`.

/// A request method.
package enum Method: UInt8, Sendable, CaseIterable {
    case get  // RFC 9110, 9.3.1
    case head  // RFC 9110, 9.3.2
    case post  // RFC 9110, 9.3.3
    case put  // RFC 9110, 9.3.4
    case delete  // RFC 9110, 9.3.5
    case connect  // RFC 9110, 9.3.6
    case options  // RFC 9110, 9.3.7
    case trace  // RFC 9110, 9.3.8
    case patch  // RFC 5789, 2
    /// A valid token that is none of the above: the name stands in `RequestHead.methodRange`.
    case other

    // Derived equality goes by the raw value, through a witness of the standard library that no caller can see into.
    @inlinable package static func == (one: Method, other: Method) -> Bool { one.rawValue == other.rawValue }

    /// The method asks for nothing to change (RFC 9110, section 9.2.1).
    @inlinable package var isSafe: Bool {
        switch self {
        case .get, .head, .options, .trace: true
        case .post, .put, .delete, .connect, .patch, .other: false
        }
    }

    /// Asking twice has the effect of asking once (RFC 9110, section 9.2.2), so that a request may be sent again.
    @inlinable package var isIdempotent: Bool {
        switch self {
        case .get, .head, .options, .trace, .put, .delete: true
        case .post, .connect, .patch, .other: false
        }
    }

    /// The name on the wire; empty for `.other`.
    package var name: StaticString {
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
        case .other: ""
        }
    }

    /// Which method the bytes of `range` name, case-sensitively.
    static func identify(_ bytes: Span<UInt8>, _ range: ByteRange) -> Method {
        let candidate: Method
        switch range.count {
        case 3: candidate = bytes.byte(at: Int(range.start)) == UInt8(ascii: "G") ? .get : .put
        case 4: candidate = bytes.byte(at: Int(range.start)) == UInt8(ascii: "H") ? .head : .post
        case 5: candidate = bytes.byte(at: Int(range.start)) == UInt8(ascii: "T") ? .trace : .patch
        case 6: candidate = .delete
        case 7: candidate = bytes.byte(at: Int(range.start)) == UInt8(ascii: "O") ? .options : .connect
        default: return .other
        }
        return bytes.equals(range, candidate.name) ? candidate : .other
    }
}
