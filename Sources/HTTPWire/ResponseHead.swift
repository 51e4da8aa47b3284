// The head of a response as ranges into the bytes it came in; reusable like `RequestHead`.

/// A parsed response head. Every range counts from the head's first byte.
package struct ResponseHead: Sendable, Equatable {
    /// 100 to 599.
    package var status: Int = 0
    /// The reason phrase, possibly empty. May hold bytes of 0x80 and above.
    package var reason: ByteRange = .empty
    /// 1 for HTTP/1.1 and the minor versions above it, else 0.
    package var minorVersion: UInt8 = 1
    package var fields: ContiguousArray<Field> = []
    /// How this body ends, the request's method and the status considered. `.none` for HEAD, 1xx, 204 and 304, and for
    /// a 2xx to CONNECT.
    package var framing: BodyFraming = .none
    /// The value of Content-Length, if there is one: also where there is no body (HEAD, 304), for the client to see.
    package var contentLength: UInt64?
    /// The origin lets the connection go on. False also for bodies that end with it and after 101.
    package var keepAlive: Bool = false
    /// The value of the only Upgrade field, when Connection nominates it and the version is HTTP/1.1. A 101 without it
    /// is no valid switch (RFC 9110, section 15.2.2).
    package var upgrade: ByteRange?
    /// Which known fields the head has: the bits `KnownField.bit`. See `has(_:)`.
    @usableFromInline var seen: UInt64 = 0
    /// Bytes of the head, the empty line included.
    package var byteCount: Int = 0

    package init() {}

    /// A 1xx that precedes the real response; 101 ends the exchange in HTTP and is none.
    @inlinable package var isInterim: Bool { status < 200 && status != 101 }

    /// Whether a field of this name is there, dropped or not. Not for `.other`.
    @inlinable package func has(_ field: KnownField) -> Bool {
        field.isTracked ? seen & field.bit != 0 : fields.contains { $0.known == field }
    }

    /// The value of the first field of this name, dropped or not. Not for `.other`.
    @inlinable package func first(_ field: KnownField) -> ByteRange? {
        guard has(field) else { return nil }
        for index in fields.indices where fields[index].known == field { return fields[index].value }
        return nil
    }

    /// Empties the head and keeps the memory of its fields.
    package mutating func reset() {
        status = 0
        reason = .empty
        minorVersion = 1
        if !fields.isEmpty { fields.removeAll(keepingCapacity: true) }
        framing = .none
        contentLength = nil
        keepAlive = false
        upgrade = nil
        seen = 0
        byteCount = 0
    }
}
