// Comparing ranges of received bytes with text, and reading comma-separated lists (RFC 9110, section 5.6.1).
//
// A range that does not lie within the bytes is equal to nothing; none of these functions can trap.

extension Span where Element == UInt8 {
    /// Whether the bytes of `range` are exactly `text`.
    package func equals(_ range: ByteRange, _ text: StaticString) -> Bool {
        guard Int(range.count) == text.utf8CodeUnitCount, range.end <= count else { return false }
        let expected = UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        for offset in 0..<expected.count where self[Int(range.start) &+ offset] != expected[offset] { return false }
        return true
    }

    /// Whether the bytes of `range` are `text`, ASCII letters compared without case.
    package func equalsIgnoringCase(_ range: ByteRange, _ text: StaticString) -> Bool {
        guard Int(range.count) == text.utf8CodeUnitCount, range.end <= count else { return false }
        let expected = UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        for offset in 0..<expected.count {
            let byte = ASCII.lowercased(self[Int(range.start) &+ offset])
            if byte != ASCII.lowercased(expected[offset]) { return false }
        }
        return true
    }

    /// Whether two ranges of these bytes are equal, ASCII letters compared without case.
    package func equalsIgnoringCase(_ one: ByteRange, _ other: ByteRange) -> Bool {
        guard one.count == other.count, one.end <= count, other.end <= count else { return false }
        for offset in 0..<Int(one.count) {
            let byte = ASCII.lowercased(self[Int(one.start) &+ offset])
            if byte != ASCII.lowercased(self[Int(other.start) &+ offset]) { return false }
        }
        return true
    }

    /// Whether the bytes of `range` begin with `prefix`, ASCII letters compared without case.
    package func hasPrefixIgnoringCase(_ range: ByteRange, _ prefix: StaticString) -> Bool {
        let length = prefix.utf8CodeUnitCount
        guard Int(range.count) >= length else { return false }
        return equalsIgnoringCase(ByteRange(start: range.start, count: UInt32(truncatingIfNeeded: length)), prefix)
    }

    /// Whether two ranges of these bytes are equal, byte by byte.
    func equals(_ one: ByteRange, _ other: ByteRange) -> Bool {
        guard one.count == other.count, one.end <= count, other.end <= count else { return false }
        for offset in 0..<Int(one.count)
        where self[Int(one.start) &+ offset] != self[Int(other.start) &+ offset] { return false }
        return true
    }

    /// `range` without the SP and HTAB at its ends.
    package func trimmingBlanks(_ range: ByteRange) -> ByteRange {
        guard range.end <= count else { return .empty }
        var start = Int(range.start)
        var end = range.end
        while start < end, ASCII.isBlank(self[start]) { start &+= 1 }
        while end > start, ASCII.isBlank(self[end &- 1]) { end &-= 1 }
        return ByteRange(start, end)
    }
}

extension ByteRange {
    /// From two positions of a head, which is always far shorter than 4 GiB.
    @inline(__always)
    init(_ start: Int, _ end: Int) {
        self.init(start: UInt32(truncatingIfNeeded: start), count: UInt32(truncatingIfNeeded: end &- start))
    }
}

/// Walks the members of a comma-separated list (RFC 9110, section 5.6.1.2): empty members are skipped, white space
/// around members is not part of them. A comma inside a quoted string does not separate.
///
///     var list = ListMembers(value)
///     while let member = list.next(in: bytes) { … }
package struct ListMembers: Sendable {
    private var position: Int
    private let end: Int

    package init(_ value: ByteRange) {
        position = Int(value.start)
        end = value.end
    }

    /// The next member that is not empty, or nil behind the last one.
    package mutating func next(in bytes: Span<UInt8>) -> ByteRange? {
        let limit = min(end, bytes.count)
        while position < limit {
            let start = position
            var isQuoted = false
            scan: while position < limit {
                switch bytes[position] {
                case UInt8(ascii: "\""): isQuoted.toggle()
                case UInt8(ascii: "\\") where isQuoted: position &+= 1
                case ASCII.comma where !isQuoted: break scan
                default: break
                }
                position &+= 1
            }
            let member = bytes.trimmingBlanks(ByteRange(start, min(position, limit)))
            position &+= 1
            if !member.isEmpty { return member }
        }
        return nil
    }
}
