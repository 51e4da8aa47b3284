// The forms in which fields are handed to the encoder.

extension HPACKEncoder {
    // MARK: By name

    /// `:status` (RFC 9113, section 8.3.2); a number that is none is written as 500.
    package mutating func encode(status: Int, to writer: inout ByteWriter) {
        let status = 100...999 ~= status ? status : 500
        if let index = Self.staticIndex(ofStatus: status) {
            guard writer.reserve(1) else { return }
            write(to: &writer) { pen in pen.write(index, bits: 7, pattern: 0x80) }
            return
        }
        let digits = UInt32(status / 100 % 10) | UInt32(status / 10 % 10) << 8 | UInt32(status % 10) << 16
        withUnsafeBytes(of: (digits | 0x0030_3030).littleEndian) { bytes in
            field(
                .status, .indexed, 8, name: ":status",
                UnsafeRawBufferPointer(rebasing: bytes.prefix(3)), to: &writer)
        }
    }

    private static func staticIndex(ofStatus status: Int) -> Int? {
        switch status {
        case 200: 8
        case 204: 9
        case 206: 10
        case 304: 11
        case 400: 12
        case 404: 13
        case 500: 14
        default: nil
        }
    }

    /// A field of that name.
    package mutating func encode(_ name: HPACKName, _ value: Span<UInt8>, to writer: inout ByteWriter) {
        value.withUnsafeBytes { encode(name, $0, to: &writer) }
    }

    /// A field of that name, whose value is `range` of `bytes`; empty where that does not lie within them.
    package mutating func encode(
        _ name: HPACKName, _ range: ByteRange, of bytes: Span<UInt8>, to writer: inout ByteWriter
    ) {
        bytes.withUnsafeBytes { whole in
            let isWithin = range.end <= whole.count
            encode(name, UnsafeRawBufferPointer(rebasing: whole[isWithin ? range.range : 0..<0]), to: &writer)
        }
    }

    /// A field of that name.
    package mutating func encode(_ name: HPACKName, _ value: StaticString, to writer: inout ByteWriter) {
        guard value.hasPointerRepresentation else { return }
        encode(
            name, UnsafeRawBufferPointer(start: value.utf8Start, count: value.utf8CodeUnitCount), to: &writer)
    }

    private mutating func encode(_ name: HPACKName, _ value: UnsafeRawBufferPointer, to writer: inout ByteWriter) {
        if let index = Self.staticIndex(name, value) {
            guard writer.reserve(1) else { return }
            write(to: &writer) { pen in pen.write(index, bits: 7, pattern: 0x80) }
        } else {
            field(name.kind, name.rule, name.staticIndex, name: name.text, value, to: &writer)
        }
    }

    /// Where the static table has the field as a whole (RFC 7541, appendix A).
    private static func staticIndex(_ name: HPACKName, _ value: UnsafeRawBufferPointer) -> Int? {
        func holds(_ text: StaticString) -> Bool {
            value.elementsEqual(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
        }
        switch name {
        case .method: return holds("GET") ? 2 : holds("POST") ? 3 : nil
        case .path: return holds("/") ? 4 : holds("/index.html") ? 5 : nil
        case .scheme: return holds("http") ? 6 : holds("https") ? 7 : nil
        default: return nil
        }
    }

    /// Content-Length (RFC 9110, section 8.6).
    package mutating func encode(contentLength: UInt64, to writer: inout ByteWriter) {
        withUnsafeTemporaryAllocation(byteCount: 20, alignment: 1) { digits in
            var text = ByteWriter(digits)
            text.write(decimal: contentLength)
            encode(.contentLength, UnsafeRawBufferPointer(rebasing: digits.prefix(text.count)), to: &writer)
        }
    }

    private mutating func field(
        _ kind: HPACKFields.Kind, _ rule: HPACKRule, _ staticIndex: Int, name: StaticString,
        _ value: UnsafeRawBufferPointer, to writer: inout ByteWriter
    ) {
        // An empty value may come without an address; nothing is read from it.
        let line = Line(
            kind: kind, rule: rule, staticIndex: staticIndex, bucket: Self.bucket(kind), name: name.utf8Start,
            nameCount: name.utf8CodeUnitCount, value: value.baseAddress ?? UnsafeRawPointer(name.utf8Start),
            valueCount: value.count)
        write(line, HPACKHuffman.shared, to: &writer)
    }

    private static func bucket(_ kind: HPACKFields.Kind) -> Int {
        switch kind {
        case .field(let known): Int(known.rawValue)
        case .method: pseudoBucket
        case .path: pseudoBucket + 1
        case .scheme: pseudoBucket + 2
        case .authority: pseudoBucket + 3
        case .status: pseudoBucket + 4
        case .protocol: pseudoBucket + 5
        case .otherPseudo: pseudoBucket + 6
        }
    }

    // MARK: By lines

    /// Field lines as HTTP/1.1 has them, `Name: value` and CRLF each, up to an empty line or the end of `lines`. Returns
    /// how many bytes they are, the empty line included. Names are put in lower case. Left out are the fields that
    /// HTTP/2 does not have (RFC 9113, section 8.2.2), Host, for which `:authority` stands, and lines without a name.
    ///
    /// A line without white space behind its colon is one that enters no table, here or further on (RFC 7541, section
    /// 6.2.3). HTTP/1.1 takes both forms for the same (RFC 9112, section 5), so that whatever carries lines carries this.
    @discardableResult
    package mutating func encode(lines: Span<UInt8>, to writer: inout ByteWriter) -> Int {
        let huffman = HPACKHuffman.shared
        return lines.withUnsafeBytes { source in
            guard let base = source.baseAddress else { return 0 }
            let limit = source.count
            var start = 0
            while start < limit {
                let colon = lines.firstIndex(of: ASCII.colon, from: start, limit: limit)
                var lineEnd = colon
                // A line feed before the colon: an empty line, or one without a colon.
                if let early = Self.lineFeed(lines, from: start, limit: colon) {
                    let count = early &- start
                    if count == 0 || count == 1 && lines.byte(at: start) == ASCII.carriageReturn { return early &+ 1 }
                    start = early &+ 1
                    continue
                }
                lineEnd = lines.firstIndex(of: ASCII.lineFeed, from: colon, limit: limit)
                if colon > start, colon < limit {
                    let value = Self.value(lines, from: colon &+ 1, to: lineEnd)
                    let known = KnownField.identify(lines, start: start, count: colon &- start)
                    line(
                        known, base + start, count: colon &- start,
                        UnsafeRawBufferPointer(start: base + Int(value.start), count: Int(value.count)),
                        isNeverIndexed: Int(value.start) == colon &+ 1, huffman, to: &writer)
                }
                start = lineEnd &+ 1
            }
            return limit
        }
    }

    /// The same, of lines that are known beforehand.
    package mutating func encode(lines: StaticString, to writer: inout ByteWriter) {
        guard lines.hasPointerRepresentation else { return }
        let text = UnsafeBufferPointer(start: lines.utf8Start, count: lines.utf8CodeUnitCount)
        encode(lines: Span(_unsafeElements: text), to: &writer)
    }

    /// The first LF before `limit`.
    @inline(__always)
    private static func lineFeed(_ lines: Span<UInt8>, from start: Int, limit: Int) -> Int? {
        let found = lines.firstIndex(of: ASCII.lineFeed, from: start, limit: limit)
        return found < limit ? found : nil
    }

    /// What stands between two positions without the white space around it, and without CR.
    @inline(__always)
    private static func value(_ lines: Span<UInt8>, from colonEnd: Int, to lineEnd: Int) -> ByteRange {
        var start = colonEnd
        var end = lineEnd
        if end > start, lines.byte(at: end &- 1) == ASCII.carriageReturn { end &-= 1 }
        while start < end, ASCII.isBlank(lines.byte(at: start)) { start &+= 1 }
        while end > start, ASCII.isBlank(lines.byte(at: end &- 1)) { end &-= 1 }
        return ByteRange(start, end)
    }

    // MARK: By ranges

    /// Those of `fields` that are not dropped, and that HTTP/2 has: see `encode(lines:to:)`.
    package mutating func encode(
        fields: borrowing ContiguousArray<Field>, of bytes: Span<UInt8>, to writer: inout ByteWriter
    ) {
        let huffman = HPACKHuffman.shared
        bytes.withUnsafeBytes { source in
            guard let base = source.baseAddress else { return }
            for index in fields.indices where !fields[index].isDropped {
                let field = fields[index]
                guard field.name.end <= source.count, field.value.end <= source.count, !field.name.isEmpty else {
                    continue
                }
                let value = UnsafeRawBufferPointer(start: base + Int(field.value.start), count: Int(field.value.count))
                let name = base + Int(field.name.start)
                // A pseudo-header field's name among fields would be taken for one.
                guard name.load(as: UInt8.self) != ASCII.colon else { continue }
                line(
                    field.known, name, count: Int(field.name.count), value, isNeverIndexed: field.isNeverIndexed,
                    huffman, to: &writer)
            }
        }
    }

    /// One field whose name stands in a head.
    @inline(__always)
    private mutating func line(
        _ known: KnownField, _ name: UnsafeRawPointer, count: Int, _ value: UnsafeRawBufferPointer,
        isNeverIndexed: Bool, _ huffman: HPACKHuffman, to writer: inout ByteWriter
    ) {
        var rule = HPACKRule(known)
        if rule == .omitted || rule == .te && !Self.isTrailers(value) { return }
        var staticIndex = known.staticIndex
        var bucket = Int(known.rawValue)
        if rule == .unknown {
            staticIndex = HPACKOtherName.staticIndex(name, count: count)
            if isShared, !HPACKOtherName.isClientHint(name, count: count) {
                rule = .literal
            } else {
                bucket = Self.otherBucket &+ HPACKOtherName.hash(name, count: count, below: Self.otherBucketCount)
            }
        }
        if isNeverIndexed { rule = .neverIndexed }
        let line = Line(
            kind: .field(known), rule: rule, staticIndex: staticIndex, bucket: bucket, name: name, nameCount: count,
            value: value.baseAddress ?? name, valueCount: value.count)
        write(line, huffman, to: &writer)
    }

    private static var otherBucketCount: Int { bucketCount - otherBucket }

    private static func isTrailers(_ value: UnsafeRawBufferPointer) -> Bool {
        let text: StaticString = "trailers"
        guard let base = value.baseAddress, value.count == text.utf8CodeUnitCount else { return false }
        return HPACKCopy.equalLowercased(text.utf8Start, base, count: value.count)
    }
}

/// Names that `KnownField` has no row for.
enum HPACKOtherName {
    /// The static table's entry of that name, or 0.
    static func staticIndex(_ name: UnsafeRawPointer, count: Int) -> Int {
        switch count {
        case 4: equals(name, "link") ? 45 : equals(name, "from") ? 37 : 0
        case 5: equals(name, "allow") ? 22 : 0
        case 7: equals(name, "refresh") ? 52 : 0
        case 14: equals(name, "accept-charset") ? 15 : 0
        case 19: equals(name, "content-disposition") ? 25 : 0
        case 27: equals(name, "access-control-allow-origin") ? 20 : 0
        default: 0
        }
    }

    /// Fields that say what program asks and why (`Sec-CH-…`, `Sec-Fetch-…`): the same from many clients, and no secret.
    static func isClientHint(_ name: UnsafeRawPointer, count: Int) -> Bool {
        count > 10 && (equals(name, "sec-fetch-") || equals(name, "sec-ch-"))
    }

    /// Whether the name begins with `text`.
    @inline(__always)
    private static func equals(_ name: UnsafeRawPointer, _ text: StaticString) -> Bool {
        HPACKCopy.equalLowercased(text.utf8Start, name, count: text.utf8CodeUnitCount)
    }

    /// A number below `bound` that is the same for a name in any case.
    @inline(__always)
    static func hash(_ name: UnsafeRawPointer, count: Int, below bound: Int) -> Int {
        var first: UInt64 = 0
        var last: UInt64 = 0
        if count >= 8 {
            first = name.loadUnaligned(as: UInt64.self)
            last = name.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
        } else {
            for offset in 0..<count {
                first = first &<< 8 | UInt64(name.load(fromByteOffset: offset, as: UInt8.self))
            }
        }
        // Upper and lower case of a letter differ in this bit; what else differs in it alone may share a bucket.
        let lower: UInt64 = 0x2020_2020_2020_2020
        let mixed =
            ((first | lower) ^ ((last | lower) &* 0x9E37_79B9_7F4A_7C15) ^ UInt64(count)) &* 0xD6E8_FEB8_6659_FD93
        return Int(truncatingIfNeeded: (mixed &>> 32) &* UInt64(bound) &>> 32)
    }
}
