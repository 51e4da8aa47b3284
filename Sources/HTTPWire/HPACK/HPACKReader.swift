// Reading integers and the bounds of strings (RFC 7541, section 5) from a block.

/// A position within a block. Valid as long as the block's memory is.
struct HPACKReader {
    let base: UnsafeRawPointer
    let count: Int
    var position = 0

    /// A string literal as it stands in the block (RFC 7541, section 5.2).
    struct Text {
        var start = 0
        var count = 0
        var isHuffman = false

        /// Most bytes it can stand for.
        @inline(__always)
        var decodedCountMax: Int { isHuffman ? HPACKHuffman.decodedCountMax(count) : count }
    }

    /// The byte at `position`, which is within the block.
    @inline(__always)
    var byte: UInt8 { base.load(fromByteOffset: position, as: UInt8.self) }

    /// Reads the integer that begins with the low `bits` bits of the byte at `position` (RFC 7541, section 5.1). `start`
    /// is where the field begins that it is part of.
    @inline(__always)
    mutating func integer(bits: UInt8, of start: Int) throws(HPACKError) -> Int {
        guard position < count else { throw HPACKError(.truncated, at: start) }
        let mask: UInt8 = (1 &<< bits) &- 1
        let first = byte & mask
        position &+= 1
        return first < mask ? Int(first) : try longInteger(Int(mask), of: start)
    }

    /// The rest of an integer that does not fit its prefix.
    @inline(never)
    private mutating func longInteger(_ prefix: Int, of start: Int) throws(HPACKError) -> Int {
        var value = prefix
        // 5 × 7 bits are enough for 32, and too few to overflow 64.
        for shift in stride(from: 0, to: 35, by: 7) {
            guard position < count else { throw HPACKError(.truncated, at: start) }
            let next = byte
            position &+= 1
            value &+= Int(next & 0x7F) &<< shift
            if next & 0x80 == 0 {
                guard value <= Int(UInt32.max) else { break }
                return value
            }
        }
        throw HPACKError(.integerTooLarge, at: start)
    }

    /// Reads a string's length, and moves behind the string.
    @inline(__always)
    mutating func text(of start: Int) throws(HPACKError) -> Text {
        guard position < count else { throw HPACKError(.truncated, at: start) }
        let isHuffman = byte & 0x80 != 0
        let length = try integer(bits: 7, of: start)
        guard length <= count &- position else { throw HPACKError(.stringBeyondBlock, at: start) }
        let text = Text(start: position, count: length, isHuffman: isHuffman)
        position &+= length
        return text
    }

    /// Decodes a string, and returns how many bytes it has. `target` has room for `decodedCountMax` bytes, or for what
    /// `decodedCount` said, and `HPACKCopy.slackBytes`.
    @inline(__always)
    func decode(
        _ text: Text, into target: UnsafeMutableRawPointer, _ huffman: HPACKHuffman, of start: Int
    ) throws(HPACKError) -> Int {
        guard text.isHuffman else {
            HPACKCopy.exact(base + text.start, to: target, count: text.count)
            return text.count
        }
        do {
            return try huffman.decode(base + text.start, count: text.count, into: target)
        } catch {
            throw Self.error(error, at: start)
        }
    }

    /// How many bytes a string has.
    func decodedCount(_ text: Text, _ huffman: HPACKHuffman, of start: Int) throws(HPACKError) -> Int {
        guard text.isHuffman else { return text.count }
        do {
            return try huffman.decodedCount(base + text.start, count: text.count)
        } catch {
            throw Self.error(error, at: start)
        }
    }

    private static func error(_ fault: HPACKHuffman.Fault, at start: Int) -> HPACKError {
        HPACKError(fault == .endOfString ? .huffmanEOS : .huffmanPadding, at: start)
    }
}
