// Request heads from bytes: resumable, strict, without I/O and without allocation once `head.fields` has grown.
//
// The parser empties the head when it begins and sets itself back when it is done, so that one parser and one head
// serve all requests of a connection. After an error both are of no more use; `reset()` makes the parser new.

/// Parses request heads (RFC 9112, sections 2 to 6).
package struct RequestHeadParser: Sendable {
    private enum Stage: UInt8, Sendable {
        case beginning, requestLine, fields
    }

    private let bounds: HeadBounds
    private var stage = Stage.beginning
    private var cursor = HeadCursor()
    private var section: FieldSection

    /// - Parameter bounds: the longest request line (without its CRLF), the longest head, the most fields.
    package init(bounds: HeadBounds) {
        self.bounds = bounds
        section = FieldSection(side: .request, countMax: bounds.fieldCountMax)
    }

    /// Forgets the head that was begun.
    package mutating func reset() {
        stage = .beginning
        cursor = HeadCursor()
        section.reset()
    }

    /// Goes on with the head that starts at `bytes[0]`.
    ///
    /// Between two calls for one head `bytes` may only grow at its end; `head` must be the same value. One empty line
    /// before the request line is skipped (RFC 9112, section 2.2) and counted.
    /// - Returns: `.complete(byteCount:)` once the head is all there and `head` is filled in, and `.needsMore` before.
    /// - Throws: what is wrong; see `WireError.status` for the answer. The connection closes behind it.
    package mutating func parse(
        _ bytes: Span<UInt8>, into head: inout RequestHead
    ) throws(WireError) -> HeadProgress {
        if stage == .beginning {
            guard try begin(bytes, head: &head) else { return .needsMore }
        }
        if stage == .requestLine {
            guard try parseRequestLine(bytes, into: &head) else { return .needsMore }
        }
        let limit = min(bytes.count, bounds.headBytesMax)
        let isFull = limit == bounds.headBytesMax
        guard cursor.mayParse(bytes, limit: limit, isFull: isFull) else { return .needsMore }
        guard try section.parse(bytes, from: &cursor.lineStart, limit: limit, into: &head.fields) else {
            guard !isFull else { throw WireError(.headTooLong, side: .request, at: limit) }
            cursor.stop(at: limit)
            return .needsMore
        }
        head.byteCount = cursor.lineStart
        try conclude(bytes, head: &head)
        reset()
        return .complete(byteCount: head.byteCount)
    }

    /// Empties the head and skips one empty line; false until the first byte of the request line is there.
    private mutating func begin(_ bytes: Span<UInt8>, head: inout RequestHead) throws(WireError) -> Bool {
        guard bytes.count > 0 else { return false }
        if bytes.byte(at: 0) == ASCII.carriageReturn {
            guard bytes.count > 1 else { return false }
            guard bytes.byte(at: 1) == ASCII.lineFeed else {
                throw WireError(.bareCarriageReturn, side: .request, at: 0)
            }
            guard bytes.count > 2 else { return false }
            cursor.lineStart = 2
        }
        head.reset()
        stage = .requestLine
        return true
    }

    private mutating func parseRequestLine(
        _ bytes: Span<UInt8>, into head: inout RequestHead
    ) throws(WireError) -> Bool {
        let longest = min(cursor.lineStart &+ bounds.startLineBytesMax &+ 2, bounds.headBytesMax)
        let limit = min(bytes.count, longest)
        guard cursor.mayParse(bytes, limit: limit, isFull: limit == longest) else { return false }
        guard let next = try RequestLine.parse(bytes, at: cursor.lineStart, limit: limit, into: &head) else {
            guard limit < longest else { throw WireError(.requestLineTooLong, side: .request, at: limit) }
            cursor.stop(at: limit)
            return false
        }
        cursor.lineStart = next
        stage = .fields
        return true
    }

    /// What only the whole head can tell: body, host, connection, expectation.
    private func conclude(_ bytes: Span<UInt8>, head: inout RequestHead) throws(WireError) {
        head.seen = section.seen
        let framing = try MessageFraming.parse(
            bytes, fields: head.fields, section: section, minorVersion: head.minorVersion)
        head.contentLength = framing.contentLength
        if framing.isChunked {
            head.framing = .chunked
        } else if let length = framing.contentLength {
            head.framing = .length(length)
        }
        try concludeHost(bytes, head: &head)
        let options = try ConnectionOptions.parse(bytes, fields: &head.fields, section: section)
        if head.minorVersion == 0 {
            head.keepAlive = options.contains(.keepAlive) && !options.contains(.close)
        } else {
            head.keepAlive = !options.contains(.close)
            if options.contains(.upgrade) { head.upgrade = section.upgrade(in: head.fields) }
        }
        let rare = KnownField.expect.bit | KnownField.te.bit
        guard section.seen & rare != 0 else { return }
        try concludeExpectation(bytes, head: &head)
        for index in head.fields.indices where head.fields[index].known == .te {
            var codings = ListMembers(head.fields[index].value)
            while let coding = codings.next(in: bytes) {
                if bytes.equalsIgnoringCase(coding, "trailers") { head.wantsTrailers = true }
            }
        }
    }

    /// One Host field, valid, and of the same authority as the target (RFC 9112, section 3.2).
    private func concludeHost(_ bytes: Span<UInt8>, head: inout RequestHead) throws(WireError) {
        guard let value = head.first(.host) else {
            if head.minorVersion == 0 { return }
            throw WireError(.hostMissing, side: .request, at: 0)
        }
        guard section.repeated & KnownField.host.bit == 0 else {
            throw WireError(.hostRepeated, side: .request, at: Int(value.start))
        }
        let named = try Authority.parse(bytes, value)
        if head.targetForm == .origin || head.targetForm == .asterisk {
            head.host = named.host
            head.port = named.port
            return
        }
        let defaultPort: UInt16? =
            switch (head.targetForm, head.scheme.count) {
            case (.absolute, 4): 80
            case (.absolute, _): 443
            default: nil
            }
        guard bytes.equalsIgnoringCase(named.host, head.host),
            named.port ?? defaultPort ?? head.port == head.port ?? defaultPort
        else { throw WireError(.hostDisagrees, side: .request, at: Int(value.start)) }
    }

    /// `100-continue` is the only expectation there is. HTTP/1.0 has none (RFC 9110, section 10.1.1).
    private func concludeExpectation(_ bytes: Span<UInt8>, head: inout RequestHead) throws(WireError) {
        guard section.seen & KnownField.expect.bit != 0, head.minorVersion >= 1 else { return }
        for index in head.fields.indices where head.fields[index].known == .expect {
            let value = head.fields[index].value
            guard bytes.equalsIgnoringCase(value, "100-continue") else {
                throw WireError(.expectationUnknown, side: .request, at: Int(value.start))
            }
        }
        head.expectsContinue = head.framing != .none && head.framing != .length(0)
    }
}

extension FieldSection {
    /// The value of the only Upgrade field. Two of them name no protocol that both sides would agree on.
    func upgrade(in fields: borrowing ContiguousArray<Field>) -> ByteRange? {
        guard seen & KnownField.upgrade.bit != 0, repeated & KnownField.upgrade.bit == 0 else { return nil }
        for index in fields.indices where fields[index].known == .upgrade {
            let value = fields[index].value
            return value.isEmpty ? nil : value
        }
        return nil
    }
}
