// Encoding strings (RFC 7541, section 5.2).

extension HPACKHuffman {
    /// Encodes `count` bytes if that takes fewer than `limit`, and returns how many it takes; otherwise -1. At most
    /// `limit` bytes and eight more are written.
    @inline(__always)
    func encode(
        _ source: UnsafeRawPointer, count: Int, codes: UnsafePointer<UInt64>, into target: UnsafeMutableRawPointer,
        limit: Int
    ) -> Int {
        var word: UInt64 = 0
        var bits: UInt64 = 0
        var out = 0
        var offset = 0
        while offset < count {
            let code = codes[Int(source.load(fromByteOffset: offset, as: UInt8.self))]
            offset &+= 1
            let length = code &>> 32
            word = word &<< length | code & 0xFFFF_FFFF
            bits &+= length
            if bits >= 32 {
                bits &-= 32
                let whole = UInt32(truncatingIfNeeded: word &>> bits)
                target.storeBytes(of: whole.bigEndian, toByteOffset: out, as: UInt32.self)
                out &+= 4
                if out >= limit { return -1 }
            }
        }
        // The last byte is filled with ones, the first bits of EOS.
        let rest = (word &<< 32 | 0xFFFF_FFFF) &>> bits
        target.storeBytes(of: UInt32(truncatingIfNeeded: rest).bigEndian, toByteOffset: out, as: UInt32.self)
        out &+= Int((bits &+ 7) &>> 3)
        return out < limit ? out : -1
    }

    /// How many bytes the code takes.
    @inline(__always)
    func encodedCount(_ source: UnsafeRawPointer, count: Int, codes: UnsafePointer<UInt64>) -> Int {
        var bits: UInt64 = 0
        for offset in 0..<count { bits &+= codes[Int(source.load(fromByteOffset: offset, as: UInt8.self))] &>> 32 }
        return Int((bits &+ 7) &>> 3)
    }
}

/// Where a field is written: a pointer that moves, within room that was reserved for the whole field.
struct HPACKPen {
    var place: UnsafeMutableRawPointer

    @inline(__always)
    init(_ place: UnsafeMutableRawPointer) { self.place = place }

    /// Most bytes that the lengths, the index and the first byte of one field take, and what `HPACKHuffman.encode` may
    /// write in vain.
    static var fieldOverheadBytes: Int { 3 * integerBytesMax + 8 }
    /// Most bytes of one integer: no length is beyond 32 bits.
    static var integerBytesMax: Int { 6 }

    @inline(__always)
    mutating func write(byte: UInt8) {
        place.storeBytes(of: byte, as: UInt8.self)
        place += 1
    }

    /// Writes `value` with a prefix of `bits` bits below those of `pattern` (RFC 7541, section 5.1).
    @inline(__always)
    mutating func write(_ value: Int, bits: UInt8, pattern: UInt8) {
        let mask: UInt8 = (1 &<< bits) &- 1
        if value < Int(mask) {
            write(byte: pattern | UInt8(truncatingIfNeeded: value))
        } else {
            writeLong(value &- Int(mask), first: pattern | mask)
        }
    }

    @inline(never)
    private mutating func writeLong(_ value: Int, first: UInt8) {
        write(byte: first)
        var rest = UInt32(truncatingIfNeeded: value)
        while rest >= 0x80 {
            write(byte: UInt8(truncatingIfNeeded: rest) | 0x80)
            rest &>>= 7
        }
        write(byte: UInt8(truncatingIfNeeded: rest))
    }

    /// Writes a string, Huffman-coded where that is shorter.
    @inline(__always)
    mutating func write(_ text: UnsafeRawPointer, count: Int, _ huffman: HPACKHuffman) {
        if !writeCoded(text, count: count, huffman, codes: huffman.encoding) {
            write(count, bits: 7, pattern: 0)
            HPACKCopy.exact(text, to: place, count: count)
            place += count
        }
    }

    /// Writes a name, its letters in lower case.
    @inline(never)
    mutating func write(name: UnsafeRawPointer, count: Int, _ huffman: HPACKHuffman) {
        if !writeCoded(name, count: count, huffman, codes: huffman.encodingLowercased) {
            write(count, bits: 7, pattern: 0)
            HPACKCopy.lowercased(name, to: place, count: count)
            place += count
        }
    }

    /// Writes a string in the Huffman code. False, and nothing written, where that would not be shorter.
    @inline(__always)
    private mutating func writeCoded(
        _ text: UnsafeRawPointer, count: Int, _ huffman: HPACKHuffman, codes: UnsafePointer<UInt64>
    ) -> Bool {
        if count < 0x7F {
            // The length surely fits one byte, so it can be written when it is known.
            let coded = huffman.encode(text, count: count, codes: codes, into: place + 1, limit: count)
            guard coded >= 0 else { return false }
            write(byte: 0x80 | UInt8(truncatingIfNeeded: coded))
            place += coded
            return true
        }
        let coded = huffman.encodedCount(text, count: count, codes: codes)
        guard coded < count else { return false }
        write(coded, bits: 7, pattern: 0x80)
        _ = huffman.encode(text, count: count, codes: codes, into: place, limit: count)
        place += coded
        return true
    }
}
