// Moving and comparing the short runs of bytes that names and values are.
//
// A call of memcpy costs more than most fields are long. Where both sides are followed by memory that may be read or
// overwritten (the tables, the bytes of `HPACKFields`), up to 32 bytes go in two loads and two stores, whatever the
// count; what lies behind the count is rubbish that the next field overwrites.

enum HPACKCopy {
    /// How many bytes behind its end a piece of memory must have for `short`.
    static var slackBytes: Int { 32 }

    /// Copies `count` bytes. Both sides have `slackBytes` behind them, and do not overlap.
    @inline(__always)
    static func short(_ source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, count: Int) {
        if count <= 32 {
            let first = source.loadUnaligned(as: SIMD16<UInt8>.self)
            let second = source.loadUnaligned(fromByteOffset: 16, as: SIMD16<UInt8>.self)
            target.storeBytes(of: first, as: SIMD16<UInt8>.self)
            target.storeBytes(of: second, toByteOffset: 16, as: SIMD16<UInt8>.self)
        } else {
            target.copyMemory(from: source, byteCount: count)
        }
    }

    /// Copies exactly `count` bytes; nothing is known of what follows them.
    @inline(__always)
    static func exact(_ source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, count: Int) {
        if count > 16 {
            target.copyMemory(from: source, byteCount: count)
        } else if count >= 8 {
            let first = source.loadUnaligned(as: UInt64.self)
            let last = source.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
            target.storeBytes(of: first, as: UInt64.self)
            target.storeBytes(of: last, toByteOffset: count &- 8, as: UInt64.self)
        } else if count >= 4 {
            let first = source.loadUnaligned(as: UInt32.self)
            let last = source.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self)
            target.storeBytes(of: first, as: UInt32.self)
            target.storeBytes(of: last, toByteOffset: count &- 4, as: UInt32.self)
        } else {
            var offset = 0
            while offset < count {
                target.storeBytes(
                    of: source.load(fromByteOffset: offset, as: UInt8.self), toByteOffset: offset, as: UInt8.self)
                offset &+= 1
            }
        }
    }

    /// Copies `count` bytes, ASCII letters in lower case.
    static func lowercased(_ source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, count: Int) {
        var offset = 0
        while offset &+ 8 <= count {
            let word = source.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            target.storeBytes(of: ByteWord.lowercased(word), toByteOffset: offset, as: UInt64.self)
            offset &+= 8
        }
        while offset < count {
            let byte = source.load(fromByteOffset: offset, as: UInt8.self)
            target.storeBytes(of: ASCII.lowercased(byte), toByteOffset: offset, as: UInt8.self)
            offset &+= 1
        }
    }

    /// Whether two runs of `count` bytes are equal.
    @inline(__always)
    static func equal(_ one: UnsafeRawPointer, _ other: UnsafeRawPointer, count: Int) -> Bool {
        if count >= 8 {
            var offset = 0
            while offset &+ 8 <= count {
                if differ(one, other, at: offset) { return false }
                offset &+= 8
            }
            return !differ(one, other, at: count &- 8)
        }
        var offset = 0
        while offset < count {
            let byte = one.load(fromByteOffset: offset, as: UInt8.self)
            if byte != other.load(fromByteOffset: offset, as: UInt8.self) { return false }
            offset &+= 1
        }
        return true
    }

    @inline(__always)
    private static func differ(_ one: UnsafeRawPointer, _ other: UnsafeRawPointer, at offset: Int) -> Bool {
        one.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            != other.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }

    /// Whether `lower` holds the bytes of `text` with its ASCII letters in lower case.
    static func equalLowercased(_ lower: UnsafeRawPointer, _ text: UnsafeRawPointer, count: Int) -> Bool {
        var offset = 0
        while offset < count {
            let byte = ASCII.lowercased(text.load(fromByteOffset: offset, as: UInt8.self))
            if byte != lower.load(fromByteOffset: offset, as: UInt8.self) { return false }
            offset &+= 1
        }
        return true
    }
}

extension ByteWord {
    /// Eight bytes with their ASCII letters in lower case; bytes of 0x80 and above stay as they are.
    @inline(__always)
    static func lowercased(_ word: UInt64) -> UInt64 { word | (upperCase(word) &>> 2) }

    /// The high bit of each byte that is an upper-case ASCII letter, and no other bit.
    @inline(__always)
    static func upperCase(_ word: UInt64) -> UInt64 {
        let low = word & ~highBits
        // No sum leaves its byte: the high bit says whether the byte is at least "A", and whether it is beyond "Z".
        let fromA = low &+ ones &* UInt64(0x80 &- 0x41)
        let beyondZ = low &+ ones &* UInt64(0x80 &- 0x5B)
        return fromA & ~beyondZ & ~word & highBits
    }
}
