// Field lines (RFC 9112, section 5), shared by request heads, response heads and trailer sections.
//
// A line is only taken when it is all there. What is judged depends on nothing behind the first fault, so that a head
// gives the same answer however it was cut into pieces.

/// Reads the field lines of one section.
struct FieldSection: Sendable {
    let side: WireError.Side
    let countMax: Int
    /// The error for one field more.
    let tooMany: WireError.Kind

    /// Which known fields were seen, and which more than once: bits of `KnownField.bit`.
    private(set) var seen: UInt64 = 0
    private(set) var repeated: UInt64 = 0

    init(side: WireError.Side, countMax: Int, tooMany: WireError.Kind = .tooManyFields) {
        self.side = side
        self.countMax = countMax
        self.tooMany = tooMany
    }

    mutating func reset() {
        seen = 0
        repeated = 0
    }

    /// Takes whole lines from `position` on, moving it behind each. Returns true behind the empty line, and false when
    /// the line at `position` is not complete within `limit`, which is at most `bytes.count`.
    mutating func parse(
        _ bytes: Span<UInt8>, from position: inout Int, limit: Int, into fields: inout ContiguousArray<Field>
    ) throws(WireError) -> Bool {
        while position < limit {
            let start = position
            let first = bytes.byte(at: start)
            if first == ASCII.carriageReturn {
                guard start &+ 1 < limit else { return false }
                guard bytes.byte(at: start &+ 1) == ASCII.lineFeed else {
                    throw WireError(.bareCarriageReturn, side: side, at: start)
                }
                position = start &+ 2
                return true
            }
            let colon = nameEnd(bytes, from: start, limit: limit)
            let known: KnownField
            if colon < limit {
                known = KnownField.identify(bytes, start: start, count: colon &- start)
            } else {
                known = .other
            }
            if known == .other {
                let end = bytes.endOfToken(from: start, limit: colon)
                if end < colon || end == start {
                    throw nameFault(bytes, at: end, start: start, isFirst: fields.isEmpty)
                }
                if colon == limit { return false }
            }
            guard let value = try parseValue(bytes, from: colon &+ 1, limit: limit, next: &position) else {
                return false
            }
            guard fields.count < countMax else {
                throw WireError(tooMany, side: side, at: start)
            }
            repeated |= seen & known.bit
            seen |= known.bit
            fields.append(
                Field(name: ByteRange(start, colon), value: value, known: known, isDropped: known.isDropped))
        }
        return false
    }

    /// The position of the first colon, or `limit`.
    @inline(__always)
    private func nameEnd(_ bytes: Span<UInt8>, from start: Int, limit: Int) -> Int {
        bytes.firstIndex(of: ASCII.colon, from: start, limit: limit)
    }

    /// The value behind the colon without the white space around it, `next` moved behind its CRLF; nil if the line does
    /// not end within `limit`.
    @inline(__always)
    private func parseValue(
        _ bytes: Span<UInt8>, from colonEnd: Int, limit: Int, next: inout Int
    ) throws(WireError) -> ByteRange? {
        var start = colonEnd
        while start < limit, ASCII.isBlank(bytes.byte(at: start)) { start &+= 1 }
        let lineEnd = bytes.endOfValue(from: start, limit: limit)
        guard lineEnd < limit else { return nil }
        guard bytes.byte(at: lineEnd) == ASCII.carriageReturn else {
            let isLineFeed = bytes.byte(at: lineEnd) == ASCII.lineFeed
            throw WireError(isLineFeed ? .bareLineFeed : .badValue, side: side, at: lineEnd)
        }
        guard lineEnd &+ 1 < limit else { return nil }
        guard bytes.byte(at: lineEnd &+ 1) == ASCII.lineFeed else {
            throw WireError(.bareCarriageReturn, side: side, at: lineEnd)
        }
        next = lineEnd &+ 2
        var end = lineEnd
        while end > start, ASCII.isBlank(bytes.byte(at: end &- 1)) { end &-= 1 }
        return ByteRange(start, end)
    }

    /// What is wrong with a name whose byte at `at` is no token byte.
    @inline(never)
    private func nameFault(_ bytes: Span<UInt8>, at: Int, start: Int, isFirst: Bool) -> WireError {
        let kind: WireError.Kind
        switch bytes.byte(at: at) {
        case ASCII.lineFeed: kind = .bareLineFeed
        case ASCII.colon: kind = .emptyName
        case ASCII.space, ASCII.tab:
            if at > start {
                kind = .whiteSpaceBeforeColon
            } else {
                kind = isFirst ? .leadingWhiteSpace : .obsoleteFold
            }
        default: kind = .badName
        }
        return WireError(kind, side: side, at: at)
    }
}
