// A response from its fields (RFC 9113, section 8.3.2), and the fields behind a body, of either side (section 8.1).

internal import Limits

/// Reads one response, interim or final.
struct HTTP2ResponseReader {
    let bounds: HTTP2Bounds
    let endsStream: Bool
    /// What was asked: after HEAD and CONNECT a body ends differently.
    let method: Method

    /// Fills `head` in from `fields`. `.malformed` is never said: what an origin sends is not answered.
    func read(_ fields: borrowing HPACKFields, into head: inout ResponseHead) -> HTTP2HeadVerdict {
        head.reset()
        guard !fields.hasOverflowed, fields.listBytes <= bounds.headBytesMax,
            fields.entries.count <= bounds.fieldCountMax &+ 1
        else { return .tooLarge }
        let bytes = fields.bytes.span
        var length = HTTP2ContentLength()
        var isBehindPseudo = false
        for index in fields.entries.indices {
            let entry = fields.entries[index]
            guard entry.isWellFormed else { return .faulty }
            guard case .field(let known) = entry.kind else {
                guard !isBehindPseudo, entry.kind == .status, head.status == 0,
                    let status = Self.status(bytes, entry.value)
                else { return .faulty }
                head.status = status
                continue
            }
            isBehindPseudo = true
            guard known.bit & KnownField.connectionSpecificBits == 0 else { return .faulty }
            if known == .contentLength, !length.take(bytes, entry.value) { return .faulty }
            head.seen |= known.bit
            head.fields.append(entry.field(known, isDropped: known.isDropped))
        }
        // RFC 9113, 8.6: 101 has no meaning here.
        guard head.status != 0, head.status != 101 else { return .faulty }
        head.byteCount = fields.byteCount
        head.contentLength = length.value
        head.keepAlive = true
        return conclude(&head)
    }

    /// Three digits from 100 to 599 (RFC 9110, section 15).
    @inline(__always)
    private static func status(_ bytes: Span<UInt8>, _ range: ByteRange) -> Int? {
        guard range.count == 3, let status = MessageFraming.decimal(bytes, range), 100...599 ~= status else {
            return nil
        }
        return Int(status)
    }

    /// How the body ends (RFC 9110, section 6.4.1; RFC 9113, section 8.1.1).
    private func conclude(_ head: inout ResponseHead) -> HTTP2HeadVerdict {
        if head.status < 200 {
            // RFC 9113, 8.1: a final response must follow.
            return endsStream || head.contentLength ?? 0 > 0 ? .faulty : .good
        }
        if head.status == 204 { return head.contentLength ?? 0 > 0 ? .faulty : .good }
        if method == .head || head.status == 304 || method == .connect && head.status < 300 { return .good }
        if let length = head.contentLength {
            guard length == 0 || !endsStream else { return .faulty }
            head.framing = .length(length)
        } else {
            head.framing = endsStream ? .length(0) : .chunked
        }
        return .good
    }
}

/// Reads the fields behind a body.
enum HTTP2TrailerReader {
    /// Fills `trailers` in: those that may be passed on, as `TrailerSection` has it for HTTP/1.1.
    static func read(_ fields: borrowing HPACKFields, into trailers: inout ContiguousArray<Field>) -> HTTP2HeadVerdict {
        trailers.removeAll(keepingCapacity: true)
        guard !fields.hasOverflowed, fields.entries.count <= Limits.trailerFieldCountMax,
            fields.listBytes <= Limits.trailerBytesMax
        else { return .tooLarge }
        let bytes = fields.bytes.span
        for index in fields.entries.indices {
            let entry = fields.entries[index]
            // RFC 9113, 8.1: no pseudo-header fields here.
            guard entry.isWellFormed, case .field(let known) = entry.kind,
                known.bit & KnownField.connectionSpecificBits == 0
            else { return .faulty }
            if known.isForbiddenTrailer || bytes.isProtectedFamily(entry.name) { continue }
            trailers.append(entry.field(known, isDropped: false))
        }
        return .good
    }
}
