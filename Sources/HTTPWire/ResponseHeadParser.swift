// Response heads from bytes, as strict as requests: an origin is not trusted with more than a client is.
//
// Two liberties are taken, neither of which can shift a body's end:
// - the SP before an empty reason phrase may be missing (`HTTP/1.1 200␍␊`): many servers forget it;
// - 204 and 1xx may say `Content-Length: 0`, which RFC 9110, section 8.6, forbids them to. Any other length and any
//   Transfer-Encoding on them is an error.

/// Parses response heads (RFC 9112, sections 2 and 4 to 6).
package struct ResponseHeadParser: Sendable {
    private enum Stage: UInt8, Sendable {
        case beginning, statusLine, fields
    }

    private let bounds: HeadBounds
    private var stage = Stage.beginning
    private var cursor = HeadCursor()
    private var section: FieldSection

    /// - Parameter bounds: the longest status line (without its CRLF), the longest head, the most fields.
    package init(bounds: HeadBounds) {
        self.bounds = bounds
        section = FieldSection(side: .response, countMax: bounds.fieldCountMax)
    }

    /// Forgets the head that was begun.
    package mutating func reset() {
        stage = .beginning
        cursor = HeadCursor()
        section.reset()
    }

    /// Goes on with the head that starts at `bytes[0]`; see `RequestHeadParser.parse`.
    /// - Parameter method: of the request that this answers: after HEAD and CONNECT bodies end differently.
    package mutating func parse(
        _ bytes: Span<UInt8>, answering method: Method, into head: inout ResponseHead
    ) throws(WireError) -> HeadProgress {
        if stage == .beginning {
            guard bytes.count > 0 else { return .needsMore }
            head.reset()
            stage = .statusLine
        }
        if stage == .statusLine {
            guard try parseStatusLine(bytes, into: &head) else { return .needsMore }
        }
        let limit = min(bytes.count, bounds.headBytesMax)
        let isFull = limit == bounds.headBytesMax
        guard cursor.mayParse(bytes, limit: limit, isFull: isFull) else { return .needsMore }
        guard try section.parse(bytes, from: &cursor.lineStart, limit: limit, into: &head.fields) else {
            guard !isFull else { throw WireError(.headTooLong, side: .response, at: limit) }
            cursor.stop(at: limit)
            return .needsMore
        }
        head.byteCount = cursor.lineStart
        try conclude(bytes, answering: method, head: &head)
        reset()
        return .complete(byteCount: head.byteCount)
    }

    private mutating func parseStatusLine(
        _ bytes: Span<UInt8>, into head: inout ResponseHead
    ) throws(WireError) -> Bool {
        let longest = min(cursor.lineStart &+ bounds.startLineBytesMax &+ 2, bounds.headBytesMax)
        let limit = min(bytes.count, longest)
        guard cursor.mayParse(bytes, limit: limit, isFull: limit == longest) else { return false }
        guard let next = try StatusLine.parse(bytes, at: cursor.lineStart, limit: limit, into: &head) else {
            guard limit < longest else { throw WireError(.statusLineTooLong, side: .response, at: limit) }
            cursor.stop(at: limit)
            return false
        }
        cursor.lineStart = next
        stage = .fields
        return true
    }

    /// How the body ends and what becomes of the connection (RFC 9112, sections 6.3 and 9.3).
    private func conclude(
        _ bytes: Span<UInt8>, answering method: Method, head: inout ResponseHead
    ) throws(WireError) {
        head.seen = section.seen
        let framing = try MessageFraming.parse(
            bytes, fields: head.fields, section: section, minorVersion: head.minorVersion)
        head.contentLength = framing.contentLength
        let isSuccess = head.status / 100 == 2
        if head.status < 200 || head.status == 204 {
            guard !framing.isChunked, framing.contentLength ?? 0 == 0 else {
                let field: KnownField = framing.isChunked ? .transferEncoding : .contentLength
                let at = MessageFraming.position(of: field, in: head.fields)
                throw WireError(.framingForbidden, side: .response, at: at)
            }
            head.framing = .none
        } else if method == .head || head.status == 304 || method == .connect && isSuccess {
            head.framing = .none
        } else if framing.isChunked {
            head.framing = .chunked
        } else if let length = framing.contentLength {
            head.framing = .length(length)
        } else {
            head.framing = .untilClose
        }
        let options = try ConnectionOptions.parse(bytes, fields: &head.fields, section: section)
        if head.minorVersion == 0 {
            head.keepAlive = options.contains(.keepAlive) && !options.contains(.close)
        } else {
            head.keepAlive = !options.contains(.close)
            if options.contains(.upgrade) { head.upgrade = section.upgrade(in: head.fields) }
        }
        if head.framing == .untilClose || head.status == 101 || method == .connect && isSuccess {
            head.keepAlive = false
        }
    }
}
