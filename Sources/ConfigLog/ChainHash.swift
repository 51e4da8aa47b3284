#if !FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    import Crypto
#endif

/// 32 bytes that stand for a history or for a content: SHA-256 (FIPS 180-4).
package struct ChainHash: Sendable, Hashable, CustomStringConvertible {
    /// In network order, so that the first word's first byte is the hash's first byte.
    let words: (UInt64, UInt64, UInt64, UInt64)

    init(_ first: UInt64, _ second: UInt64, _ third: UInt64, _ fourth: UInt64) {
        words = (first, second, third, fourth)
    }

    /// Where a log begins.
    package static let zero = ChainHash(0, 0, 0, 0)

    /// Nil unless there are exactly 32 bytes.
    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 32 else { return nil }
        var words: [UInt64] = [0, 0, 0, 0]
        for (index, byte) in bytes.enumerated() where index < 32 {
            words[index / 8] = words[index / 8] << 8 | UInt64(byte)
        }
        self.init(words[0], words[1], words[2], words[3])
    }

    /// Nil unless there are exactly 64 hexadecimal digits.
    package init?(hex: String) {
        guard hex.utf8.count == 64 else { return nil }
        var bytes: [UInt8] = []
        var high: UInt8?
        for digit in hex.utf8 {
            let value: UInt8
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = digit - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = digit - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = digit - UInt8(ascii: "A") + 10
            default: return nil
            }
            if let first = high {
                bytes.append(first << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        self.init(bytes: bytes)
    }

    /// The 32 bytes.
    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(32)
        bytes.write(self)
        return bytes
    }

    /// 64 hexadecimal digits.
    package var description: String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    package static func == (left: ChainHash, right: ChainHash) -> Bool { left.words == right.words }

    package func hash(into hasher: inout Hasher) {
        // The words are uniformly spread already.
        hasher.combine(words.0)
        hasher.combine(words.3)
    }

    /// The SHA-256 of some bytes: a content's address.
    package static func of(_ bytes: [UInt8]) -> ChainHash {
        bytes.withUnsafeBytes { digest(UnsafeRawBufferPointer(start: nil, count: 0), $0) }
    }

    /// The SHA-256 of a hash and the bytes behind it.
    static func of(_ previous: ChainHash, _ bytes: ArraySlice<UInt8>) -> ChainHash {
        previous.bytes.withUnsafeBytes { first in bytes.withUnsafeBytes { digest(first, $0) } }
    }

    #if FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
        // A fuzzer cannot make SHA-256 come out right, and would see nothing behind it.
        private static func digest(_ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer) -> ChainHash {
            var sum: UInt64 = 0xCBF2_9CE4_8422_2325
            for byte in first { sum = (sum ^ UInt64(byte)) &* 0x100_0000_01B3 }
            for byte in second { sum = (sum ^ UInt64(byte)) &* 0x100_0000_01B3 }
            return ChainHash(sum, ~sum, sum, ~sum)
        }
    #else
        private static func digest(_ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer) -> ChainHash {
            var sha = SHA256()
            sha.update(bufferPointer: first)
            sha.update(bufferPointer: second)
            return sha.finalize().withUnsafeBytes { digest in
                ChainHash(
                    UInt64(bigEndian: digest.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
                    UInt64(bigEndian: digest.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
                    UInt64(bigEndian: digest.loadUnaligned(fromByteOffset: 16, as: UInt64.self)),
                    UInt64(bigEndian: digest.loadUnaligned(fromByteOffset: 24, as: UInt64.self)))
            }
        }
    #endif
}
