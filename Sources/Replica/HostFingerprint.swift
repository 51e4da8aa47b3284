// What stands for a host name in the tables: 122 bits instead of up to 253 bytes.
//
// The name is cut into words of up to 7 bytes, each with its count of bytes and the last one marked, so that two names
// never give the same words. The words are the coefficients of a polynomial over the field of p = 2^61 - 1, evaluated
// at two secret points. Two different names have one fingerprint at no more than 37 of 2^61 points each: less than one
// time in 2^111, whoever chose the names.

/// The fingerprint of a host name in any case.
struct HostKey: Sendable, Equatable {
    var first: UInt64
    var second: UInt64
}

/// The secrets of one process.
struct HostFingerprint: Sendable {
    private let points: (UInt64, UInt64)
    private static let prime: UInt64 = (1 << 61) - 1
    private static let lastMark: UInt64 = 1 << 59
    private static let wordBytes = 7

    init(using generator: inout some RandomNumberGenerator) {
        points = (2 + generator.next() % (Self.prime - 2), 2 + generator.next() % (Self.prime - 2))
    }

    func key(_ name: UnsafeRawBufferPointer) -> HostKey {
        var key = HostKey(first: 0, second: 0)
        var index = 0
        while name.count &- index >= 8 {
            let word = UInt64(littleEndian: name.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            take(Self.lowercased(word) & ((1 << 56) - 1) | UInt64(Self.wordBytes) << 56, &key)
            index &+= Self.wordBytes
        }
        var word: UInt64 = 0
        var count: UInt64 = 0
        while index < name.count {
            word |= UInt64(name[index]) << (count &* 8)
            count &+= 1
            index &+= 1
        }
        take(Self.lowercased(word) | count << 56 | Self.lastMark, &key)
        return key
    }

    private func take(_ word: UInt64, _ key: inout HostKey) {
        key.first = Self.product(key.first &+ word, points.0)
        key.second = Self.product(key.second &+ word, points.1)
    }

    /// Modulo the prime; the first factor is below 2^62 and folded once.
    private static func product(_ one: UInt64, _ other: UInt64) -> UInt64 {
        let (high, low) = folded(one).multipliedFullWidth(by: other)
        return folded((low & prime) &+ (low >> 61 | high << 3))
    }

    private static func folded(_ value: UInt64) -> UInt64 {
        let folded = (value & prime) &+ (value >> 61)
        return folded >= prime ? folded &- prime : folded
    }

    /// Folds eight bytes: in each, 0x80 - "A" carries into the top bit from "A" on, 0x7F - "Z" beyond "Z".
    private static func lowercased(_ word: UInt64) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let low = word & (ones &* 0x7F)
        let fromA = low &+ ones &* UInt64(0x80 - UInt8(ascii: "A"))
        let beyondZ = low &+ ones &* UInt64(0x7F - UInt8(ascii: "Z"))
        let isUpper = ~word & (fromA ^ beyondZ) & (ones &* 0x80)
        return word | isUpper >> 2
    }
}
