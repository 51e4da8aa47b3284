// How long the body is (RFC 9112, sections 6.1 to 6.3), from the two fields that say so.
//
// Every doubt is an error: a message that two parsers could cut in different places is never passed on.

/// What Content-Length and Transfer-Encoding say, taken together and found free of contradiction.
struct MessageFraming: Sendable, Equatable {
    var contentLength: UInt64?
    var isChunked = false

    /// Reads the two fields.
    /// - `seen`, `repeated`: what the field section had, see `FieldSection`.
    static func parse(
        _ bytes: Span<UInt8>, fields: borrowing ContiguousArray<Field>, section: FieldSection, minorVersion: UInt8
    ) throws(WireError) -> MessageFraming {
        var framing = MessageFraming()
        let relevant = KnownField.contentLength.bit | KnownField.transferEncoding.bit
        guard section.seen & relevant != 0 else { return framing }
        guard section.seen & relevant != relevant else {
            throw WireError(.lengthAndCoding, side: section.side, at: position(of: .transferEncoding, in: fields))
        }
        if section.seen & KnownField.contentLength.bit != 0 {
            framing.contentLength = try contentLength(bytes, fields: fields, side: section.side)
        } else {
            try requireChunked(bytes, fields: fields, section: section, minorVersion: minorVersion)
            framing.isChunked = true
        }
        return framing
    }

    /// The one value that all Content-Length fields have. Repeating it is harmless, contradicting it is not.
    private static func contentLength(
        _ bytes: Span<UInt8>, fields: borrowing ContiguousArray<Field>, side: WireError.Side
    ) throws(WireError) -> UInt64? {
        var first: ByteRange?
        var length: UInt64?
        for index in fields.indices where fields[index].known == .contentLength {
            let value = fields[index].value
            if let first {
                guard bytes.equals(first, value) else {
                    throw WireError(.contentLengthsDiffer, side: side, at: Int(value.start))
                }
                continue
            }
            guard let number = decimal(bytes, value) else {
                throw WireError(.badContentLength, side: side, at: Int(value.start))
            }
            first = value
            length = number
        }
        return length
    }

    /// `1*DIGIT` of at most 19 digits and at most `Int64.max`; nothing else, no sign, no list, no white space.
    static func decimal(_ bytes: Span<UInt8>, _ range: ByteRange) -> UInt64? {
        guard range.count >= 1, range.count <= 19, range.end <= bytes.count else { return nil }
        var value: UInt64 = 0
        for index in range.range {
            let byte = bytes.byte(at: index)
            guard ASCII.isDigit(byte) else { return nil }
            // 19 digits stay below 10^19 < 2^64.
            value = value &* 10 &+ UInt64(byte &- ASCII.zero)
        }
        return value <= UInt64(Int64.max) ? value : nil
    }

    /// Exactly one Transfer-Encoding field whose value is exactly `chunked`, in HTTP/1.1.
    private static func requireChunked(
        _ bytes: Span<UInt8>, fields: borrowing ContiguousArray<Field>, section: FieldSection, minorVersion: UInt8
    ) throws(WireError) {
        let at = position(of: .transferEncoding, in: fields)
        guard minorVersion >= 1 else { throw WireError(.transferEncodingInOldVersion, side: section.side, at: at) }
        guard section.repeated & KnownField.transferEncoding.bit == 0 else {
            throw WireError(.transferEncodingRepeated, side: section.side, at: at)
        }
        for index in fields.indices where fields[index].known == .transferEncoding {
            let value = fields[index].value
            if bytes.equalsIgnoringCase(value, "chunked") { return }
            let end = bytes.endOfToken(from: Int(value.start), limit: value.end)
            if end == value.end, !value.isEmpty {
                throw WireError(.transferCodingUnknown, side: section.side, at: Int(value.start))
            }
            let comma = bytes.firstIndex(of: ASCII.comma, from: Int(value.start), limit: value.end)
            let kind: WireError.Kind = comma < value.end ? .transferEncodingRepeated : .badTransferEncoding
            throw WireError(kind, side: section.side, at: Int(value.start))
        }
    }

    /// Where the first field of that name starts.
    static func position(of known: KnownField, in fields: borrowing ContiguousArray<Field>) -> Int {
        for index in fields.indices where fields[index].known == known { return Int(fields[index].name.start) }
        return 0
    }
}
