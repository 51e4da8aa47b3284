// Decoding a Huffman-coded string (RFC 7541, section 5.2).

extension HPACKHuffman {
    /// How a string ended.
    enum Fault: Error {
        /// What stands behind the last symbol is not the start of EOS, or more than seven bits of it.
        case padding
        /// The string holds EOS.
        case endOfString
    }

    /// Most bytes that `count` coded bytes can stand for: the shortest codes have five bits.
    @inline(__always)
    static func decodedCountMax(_ count: Int) -> Int { (count &* 8) / 5 }

    /// Bits not yet decoded, the next one at the top.
    private struct Bits {
        let source: UnsafeRawPointer
        let end: Int
        var position = 0
        var word: UInt64 = 0
        /// How many bits of `word` are the input's.
        var count = 0

        @inline(__always)
        init(_ source: UnsafeRawPointer, _ count: Int) {
            self.source = source
            end = count
        }

        /// Leaves at least 56 bits in `word`. False, and nothing done, with fewer than 8 bytes of input left.
        @inline(__always)
        mutating func refillWide() -> Bool {
            guard position &+ 8 <= end else { return false }
            let next = UInt64(bigEndian: source.loadUnaligned(fromByteOffset: position, as: UInt64.self))
            word |= next &>> UInt64(truncatingIfNeeded: count)
            let taken = (63 &- count) &>> 3
            position &+= taken
            count &+= taken &* 8
            return true
        }

        /// Takes what is left of the input as far as it fits.
        @inline(__always)
        mutating func refillNarrow() {
            while count <= 56, position < end {
                let next = UInt64(source.load(fromByteOffset: position, as: UInt8.self))
                word |= next &<< UInt64(truncatingIfNeeded: 56 &- count)
                position &+= 1
                count &+= 8
            }
        }

        @inline(__always)
        mutating func drop(_ length: Int) {
            word &<<= UInt64(truncatingIfNeeded: length)
            count &-= length
        }

        @inline(__always)
        var step: Int { Int(truncatingIfNeeded: word &>> UInt64(64 &- HPACKHuffman.stepBits)) }

        /// Whether all that is left is padding.
        @inline(__always)
        var isPadding: Bool {
            guard count < 8, position == end else { return false }
            let mask = ~(UInt64.max &>> UInt64(truncatingIfNeeded: count))
            return word & mask == mask
        }
    }

    /// Decodes `count` bytes into `target`, which has room for `decodedCountMax(count)` bytes and one more, or for what
    /// `decodedCount` said and one more. Returns how many bytes there are.
    @inline(__always)
    func decode(
        _ source: UnsafeRawPointer, count: Int, into target: UnsafeMutableRawPointer
    ) throws(Fault) -> Int {
        var bits = Bits(source, count)
        var out = 0
        while bits.refillWide() {
            // Five steps of eleven bits are in 56 bits.
            var steps = 5
            while steps > 0 {
                let step = Step(decoding[bits.step])
                if step.count == 0 { break }
                target.storeBytes(of: step.pair.littleEndian, toByteOffset: out, as: UInt16.self)
                out &+= step.count
                bits.drop(step.length)
                steps &-= 1
            }
            // A long code may need more bits than are left of these; its turn comes at the next refill.
            if steps > 0, bits.count >= Self.codeBitsMax { _ = try longCode(&bits, into: target, at: &out) }
        }
        return try decodeEnd(&bits, into: target, at: out)
    }

    /// The last bytes, of which there may not be enough for a whole step.
    @inline(__always)
    private func decodeEnd(
        _ bits: inout Bits, into target: UnsafeMutableRawPointer, at start: Int
    ) throws(Fault) -> Int {
        var out = start
        while true {
            bits.refillNarrow()
            let step = Step(decoding[bits.step])
            if step.count > 0, step.length <= bits.count {
                target.storeBytes(of: step.pair.littleEndian, toByteOffset: out, as: UInt16.self)
                out &+= step.count
                bits.drop(step.length)
            } else if step.count > 0, step.firstLength <= bits.count {
                target.storeBytes(of: UInt8(truncatingIfNeeded: step.pair), toByteOffset: out, as: UInt8.self)
                out &+= 1
                bits.drop(step.firstLength)
            } else if bits.isPadding {
                return out
            } else if try !longCode(&bits, into: target, at: &out) {
                throw .padding
            }
        }
    }

    /// Takes a symbol whose code is longer than a step. False if the input ends within it.
    @inline(never)
    private func longCode(
        _ bits: inout Bits, into target: UnsafeMutableRawPointer, at out: inout Int
    ) throws(Fault) -> Bool {
        let code = bits.word &>> 32
        var length = Self.stepBits
        while length < Self.codeBitsMax, code >= codeEnds[length] { length &+= 1 }
        guard length <= bits.count else { return false }
        let place = Int(code &>> UInt64(truncatingIfNeeded: 32 &- length)) &+ symbolOffsets[length]
        // The code is complete: every 30 bits are a symbol's, and EOS is the last.
        let symbol = Int(symbols[min(max(place, 0), Self.endOfString)])
        guard symbol != Self.endOfString else { throw .endOfString }
        target.storeBytes(of: UInt8(truncatingIfNeeded: symbol), toByteOffset: out, as: UInt8.self)
        out &+= 1
        bits.drop(length)
        return true
    }

    /// How many bytes `count` coded bytes stand for; the code is checked as by `decode`.
    func decodedCount(_ source: UnsafeRawPointer, count: Int) throws(Fault) -> Int {
        var bits = Bits(source, count)
        var out = 0
        var discarded: UInt16 = 0
        while true {
            bits.refillNarrow()
            let step = Step(decoding[bits.step])
            if step.count > 0, step.firstLength <= bits.count {
                out &+= 1
                bits.drop(step.firstLength)
            } else if bits.isPadding {
                return out
            } else {
                var place = 0
                let isWhole = try withUnsafeMutableBytes(of: &discarded) { bytes throws(Fault) -> Bool in
                    guard let base = bytes.baseAddress else { return false }
                    return try longCode(&bits, into: base, at: &place)
                }
                guard isWhole else { throw .padding }
                out &+= 1
            }
        }
    }
}
