// The head of a request as ranges into the bytes it came in. Nothing is copied; the caller keeps the bytes.
//
//     GET /a/b?x=1 HTTP/1.1␍␊Host: example.test:8080␍␊…
//     └┬┘ └─┬─┘ ┬              └────┬─────┘ └┬─┘
//   method path query              host     port
//         └──┬──┘
//          target
//
// A head is made to be used again: `RequestHeadParser` empties it before the next message and keeps the memory of
// `fields`, so that parsing allocates only while a connection's largest head so far grows.

/// Which of the four forms a request target has (RFC 9112, section 3.2).
package enum TargetForm: UInt8, Sendable {
    /// `/path?query`
    case origin
    /// `http://host/path?query`, scheme http or https only
    case absolute
    /// `host:port`, of CONNECT only
    case authority
    /// `*`, of OPTIONS only
    case asterisk
}

/// A parsed request head. Every range counts from the head's first byte (`bytes[0]` of the call to `parse`).
package struct RequestHead: Sendable, Equatable {
    package var method: Method = .other
    /// The method's bytes, for `.other` the only place where its name is.
    package var methodRange: ByteRange = .empty
    package var targetForm: TargetForm = .origin
    /// The target as it was received.
    package var target: ByteRange = .empty
    /// Of the absolute form: `http` or `https`, in the case received. Else empty.
    package var scheme: ByteRange = .empty
    /// Of the origin and absolute forms: the path, raw, with its leading slash. Empty when an absolute target has none
    /// (`http://host?q`), which means `/`, or `*` for OPTIONS without a query (RFC 9112, section 3.2.4). Else empty.
    package var path: ByteRange = .empty
    /// What follows the `?`; may be empty although `hasQuery`.
    package var query: ByteRange = .empty
    package var hasQuery: Bool = false
    /// Host name or address, as received: an IPv6 literal keeps its brackets. From the target if that has an authority,
    /// else from Host (they agree, or the head is refused). Empty only in HTTP/1.0 without Host. Never holds user
    /// information, `%`, or anything beyond letters, digits and `-._~`, or hex digits, `:` and `.` within brackets.
    package var host: ByteRange = .empty
    /// The port named beside `host`, 1 to 65535; nil when none is.
    package var port: UInt16?
    /// 1 for HTTP/1.1 and the minor versions above it (RFC 9110, section 2.5: processed as 1.1), else 0.
    package var minorVersion: UInt8 = 1
    package var fields: ContiguousArray<Field> = []
    /// `.none`, `.length` (0 is `.length(0)`) or `.chunked`; never `.untilClose`.
    package var framing: BodyFraming = .none
    /// The value of Content-Length, if there is one.
    package var contentLength: UInt64?
    /// The client lets the connection go on: HTTP/1.1 without `close`, or HTTP/1.0 with `keep-alive`.
    package var keepAlive: Bool = false
    /// The client waits for 100 (Continue) before its body: `Expect: 100-continue`, HTTP/1.1, and a body is announced.
    package var expectsContinue: Bool = false
    /// The value of the only Upgrade field, when Connection nominates it and the version is HTTP/1.1.
    package var upgrade: ByteRange?
    /// `TE: trailers` was sent: trailers may be passed on to the client.
    package var wantsTrailers: Bool = false
    /// Which known fields the head has: the bits `KnownField.bit`. See `has(_:)`.
    package internal(set) var seen: UInt64 = 0
    /// Bytes of the head, the empty line included.
    package var byteCount: Int = 0

    package init() {}

    /// Whether a field of this name is there, dropped or not. Not for `.other`.
    ///
    /// Always inlined: for a field named by the caller it is a test of one bit, while a call would copy the whole head
    /// where that is a member of a class.
    @inlinable @inline(__always) package func has(_ field: KnownField) -> Bool {
        field.isTracked ? seen & field.bit != 0 : fields.contains { $0.known == field }
    }

    /// The value of the first field of this name, dropped or not. Not for `.other`.
    @inlinable package func first(_ field: KnownField) -> ByteRange? {
        guard has(field) else { return nil }
        for index in fields.indices where fields[index].known == field { return fields[index].value }
        return nil
    }

    /// Empties the head and keeps the memory of its fields. Member by member: replacing `self` costs more than parsing
    /// a short head does.
    package mutating func reset() {
        method = .other
        methodRange = .empty
        targetForm = .origin
        target = .empty
        scheme = .empty
        path = .empty
        query = .empty
        hasQuery = false
        host = .empty
        port = nil
        minorVersion = 1
        if !fields.isEmpty { fields.removeAll(keepingCapacity: true) }
        framing = .none
        contentLength = nil
        keepAlive = false
        expectsContinue = false
        upgrade = nil
        wantsTrailers = false
        seen = 0
        byteCount = 0
    }
}
