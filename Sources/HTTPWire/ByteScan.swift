// Looking for bytes, eight at a time, and comparing ranges of them.
//
// Every read goes through `Span`, which checks its bounds. Words are little-endian, so that the lowest set bit of a
// match belongs to the earliest byte. The arithmetic borrows only out of bytes that match, so the first match reported
// is always a true one; those behind it may not be, and are never looked at.

extension Span where Element == UInt8 {
    /// The byte at `index`, which the caller has compared with `count`.
    @inlinable @inline(__always)
    func byte(at index: Int) -> UInt8 { self[index] }

    /// Eight bytes from `index` on; `index + 8` is at most `count`.
    @inlinable @inline(__always)
    func word(at index: Int) -> UInt64 {
        UInt64(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self))
    }

    /// Fewer than eight bytes from `index` on, with zeros above them.
    @inlinable @inline(__always)
    func shortWord(at index: Int, count length: Int) -> UInt64 {
        if index &+ 8 <= count {
            return word(at: index) & ((1 &<< (UInt64(length) &* 8)) &- 1)
        }
        var result: UInt64 = 0
        var offset = 0
        while offset < length {
            result |= UInt64(self[index &+ offset]) &<< UInt64(offset &* 8)
            offset &+= 1
        }
        return result
    }

    /// The first position in `start..<limit` that holds `wanted`, or `limit`. `limit` is at most `count`.
    @inlinable @inline(__always)
    package func firstIndex(of wanted: UInt8, from start: Int, limit: Int) -> Int {
        var index = start
        let pattern = UInt64(wanted) &* ByteWord.ones
        while index &+ 8 <= limit {
            let matches = ByteWord.zeroBytes(word(at: index) ^ pattern)
            if matches != 0 { return index &+ matches.trailingZeroBitCount &>> 3 }
            index &+= 8
        }
        while index < limit, self[index] != wanted { index &+= 1 }
        return index
    }

    /// The first position in `start..<limit` whose byte may not stand in a field value or a reason phrase (a control
    /// byte other than HTAB: RFC 9110, section 5.5), or `limit`.
    @inline(__always)
    func endOfValue(from start: Int, limit: Int) -> Int {
        var index = start
        while index &+ 8 <= limit {
            let word = word(at: index)
            let matches = ByteWord.bytes(word, below: 0x20) | ByteWord.zeroBytes(word ^ ByteWord.deletes)
            if matches == 0 {
                index &+= 8
                continue
            }
            index &+= matches.trailingZeroBitCount &>> 3
            if self[index] != ASCII.tab { return index }
            index &+= 1
        }
        while index < limit {
            let byte = self[index]
            if byte < 0x20 && byte != ASCII.tab || byte == ASCII.delete { return index }
            index &+= 1
        }
        return limit
    }

    /// The first position in `start..<limit` whose byte may not stand in a request target, or `limit`.
    @inline(__always)
    func endOfTarget(from start: Int, limit: Int) -> Int {
        var index = start
        while index &+ 8 <= limit {
            let word = word(at: index)
            let matches =
                ByteWord.bytes(word, below: 0x21) | ByteWord.zeroBytes(word ^ ByteWord.deletes)
                | ByteWord.zeroBytes(word ^ ByteWord.hashes) | word & ByteWord.highBits
            if matches != 0 { return index &+ matches.trailingZeroBitCount &>> 3 }
            index &+= 8
        }
        while index < limit, CharacterClass.target.contains(self[index]) { index &+= 1 }
        return index
    }

    /// The first position in `start..<limit` whose byte is no token byte, or `limit`.
    @inline(__always)
    func endOfToken(from start: Int, limit: Int) -> Int {
        var index = start
        while index < limit, CharacterClass.token.contains(self[index]) { index &+= 1 }
        return index
    }
}

/// Arithmetic on eight bytes at once.
@usableFromInline
enum ByteWord {
    @usableFromInline static var ones: UInt64 { 0x0101_0101_0101_0101 }
    @usableFromInline static var highBits: UInt64 { 0x8080_8080_8080_8080 }
    static var deletes: UInt64 { 0x7F7F_7F7F_7F7F_7F7F }
    static var hashes: UInt64 { 0x2323_2323_2323_2323 }

    /// The high bit of the first zero byte and, perhaps, of bytes behind it.
    @inlinable @inline(__always)
    static func zeroBytes(_ word: UInt64) -> UInt64 { (word &- ones) & ~word & highBits }

    /// The high bit of the first byte below `bound` (at most 0x80) and, perhaps, of bytes behind it.
    @inline(__always)
    static func bytes(_ word: UInt64, below bound: UInt8) -> UInt64 {
        (word &- UInt64(bound) &* ones) & ~word & highBits
    }
}
