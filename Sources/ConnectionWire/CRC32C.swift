/// The CRC32C checksum of RFC 4960, appendix B (Castagnoli's polynomial, bits reflected), for PROXY protocol headers.
enum CRC32C {
    /// Remainders of the 16 half bytes: two steps for each byte are fast enough for a header of a few hundred bytes.
    private static let remainders: [UInt32] = (0..<16).map { halfByte in
        (0..<4).reduce(UInt32(halfByte)) { remainder, _ in
            remainder & 1 == 1 ? remainder >> 1 ^ 0x82F6_3B78 : remainder >> 1
        }
    }

    /// The checksum of the first `count` bytes, those at `zeros` taken as zero.
    static func checksum(_ bytes: Span<UInt8>, count: Int, zeros: Range<Int>) -> UInt32 {
        var remainder = ~UInt32(0)
        var index = 0
        while index < min(count, bytes.count) {
            remainder ^= zeros.contains(index) ? 0 : UInt32(bytes[index])
            remainder = remainder >> 4 ^ remainders[Int(remainder & 0xF)]
            remainder = remainder >> 4 ^ remainders[Int(remainder & 0xF)]
            index += 1
        }
        return ~remainder
    }
}
