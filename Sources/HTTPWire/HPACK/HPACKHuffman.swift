// The Huffman code of RFC 7541, appendix B, and the tables that encode and decode it.
//
// The code is canonical: within one length, codes rise with the symbols, and each length begins behind the last. So the
// lengths say it all, and the tables are built from them once, before their first use:
// - `decoding` is asked with the next 11 bits. Codes of up to 11 bits are all that text is made of, and most pairs of
//   symbols fit, so a row holds one symbol or two. Longer codes are found by comparing with the first code of each length;
// - `encoding` holds code and length of each byte; `encodingLowercased` has the letters' lower-case codes for both cases.

/// The tables of the Huffman code. They live as long as the process.
///
/// @unchecked Sendable: nobody has the pointers before `init` has written what they point to, and nobody writes later.
struct HPACKHuffman: @unchecked Sendable {
    static let shared = HPACKHuffman()

    /// Bits that `decoding` is indexed with.
    static var stepBits: Int { 11 }
    /// The longest code's length, and the number of EOS, whose code is the last of that length.
    static var codeBitsMax: Int { 30 }
    static var endOfString: Int { 256 }

    /// See `Step`.
    let decoding: UnsafePointer<UInt32>
    /// Code in the low 32 bits, length above.
    let encoding: UnsafePointer<UInt64>
    let encodingLowercased: UnsafePointer<UInt64>
    /// By length: the end of its codes, aligned to the top of 32 bits (a code is of the first length whose end is above
    /// it), and what to add to a code to have its place in `symbols`.
    let codeEnds: UnsafePointer<UInt64>
    let symbolOffsets: UnsafePointer<Int>
    /// All symbols in the order of their codes.
    let symbols: UnsafePointer<UInt16>

    /// A row of `decoding`: one symbol or two, the first in the lowest byte.
    struct Step {
        let bits: UInt32

        @inline(__always) init(_ bits: UInt32) { self.bits = bits }

        init(first: Int, firstLength: Int) {
            bits = UInt32(first | firstLength << 16 | firstLength << 20 | 1 << 24)
        }

        init(first: Int, firstLength: Int, second: Int, secondLength: Int) {
            bits = UInt32(first | second << 8 | (firstLength + secondLength) << 16 | firstLength << 20 | 2 << 24)
        }

        /// Both symbols, as they are stored.
        @inline(__always) var pair: UInt16 { UInt16(truncatingIfNeeded: bits) }
        /// Bits that all symbols of the row take.
        @inline(__always) var length: Int { Int(bits &>> 16 & 0xF) }
        /// Bits that the first takes.
        @inline(__always) var firstLength: Int { Int(bits &>> 20 & 0xF) }
        /// How many symbols; 0 where the code is longer than a step.
        @inline(__always) var count: Int { Int(bits &>> 24) }
    }

    private init() {
        let lengths = Self.codeLengths
        let symbolOrder = lengths.indices.sorted { (lengths[$0], $0) < (lengths[$1], $1) }
        let codes = UnsafeMutablePointer<UInt64>.allocate(capacity: 256)
        let lowercased = UnsafeMutablePointer<UInt64>.allocate(capacity: 256)
        let ends = UnsafeMutablePointer<UInt64>.allocate(capacity: Self.codeBitsMax + 1)
        let offsets = UnsafeMutablePointer<Int>.allocate(capacity: Self.codeBitsMax + 1)
        let order = UnsafeMutablePointer<UInt16>.allocate(capacity: lengths.count)
        var code = 0
        var place = 0
        for length in 0...Self.codeBitsMax {
            offsets[length] = place - code
            while place < symbolOrder.count, Int(lengths[symbolOrder[place]]) == length {
                let symbol = symbolOrder[place]
                if symbol < 256 { codes[symbol] = UInt64(code) | UInt64(length) << 32 }
                order[place] = UInt16(symbol)
                code += 1
                place += 1
            }
            ends[length] = UInt64(code) << UInt64(32 - length)
            code <<= 1
        }
        for byte in 0..<256 { lowercased[byte] = codes[Int(ASCII.lowercased(UInt8(byte)))] }
        encoding = UnsafePointer(codes)
        encodingLowercased = UnsafePointer(lowercased)
        codeEnds = UnsafePointer(ends)
        symbolOffsets = UnsafePointer(offsets)
        symbols = UnsafePointer(order)
        decoding = Self.steps(codes)
    }

    private static func steps(_ codes: UnsafeMutablePointer<UInt64>) -> UnsafePointer<UInt32> {
        let rows = UnsafeMutablePointer<UInt32>.allocate(capacity: 1 << stepBits)
        rows.initialize(repeating: 0, count: 1 << stepBits)
        let short = (0..<256).filter { codes[$0] >> 32 <= UInt64(stepBits) }
        for first in short {
            let (code, length) = (Int(codes[first] & 0xFFFF_FFFF), Int(codes[first] >> 32))
            let rest = stepBits - length
            for row in (code << rest)..<((code + 1) << rest) {
                rows[row] = Step(first: first, firstLength: length).bits
            }
            for second in short where Int(codes[second] >> 32) <= rest {
                let (nextCode, nextLength) = (Int(codes[second] & 0xFFFF_FFFF), Int(codes[second] >> 32))
                let spare = rest - nextLength
                let both = code << nextLength | nextCode
                let step = Step(first: first, firstLength: length, second: second, secondLength: nextLength)
                for row in (both << spare)..<((both + 1) << spare) { rows[row] = step.bits }
            }
        }
        return UnsafePointer(rows)
    }

    /// The length of each symbol's code in bits, EOS last (RFC 7541, appendix B).
    private static var codeLengths: [UInt8] {
        [
            13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
            28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
            6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
            5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
            13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
            7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
            15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
            6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
            20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
            24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
            22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
            21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
            26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
            19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
            20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
            26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
            30,
        ]
    }
}
