// The hash of `HostTable`.
//
// A name is cut into words of up to 7 bytes; each word also holds its count of bytes and, in the last one, a mark,
// so that two names never give the same words. The words are the coefficients of a polynomial over the field of
// p = 2^61 - 1, evaluated at a secret point: two names of at most 37 words meet at no more than 37 of 2^61 points,
// whoever chose them. What comes out passes through a bijection keyed by a second secret, since a polynomial alone
// keeps the order of neighbouring names and linear probing would suffer from it.
//
// Upper case is folded on the way, eight bytes at a time where the whole name is at hand.

/// Keyed hashes of host names; equal for names that differ only in case.
struct HostHash: Sendable {
    private let point: UInt64
    private let spread: UInt64

    private static let prime: UInt64 = (1 << 61) - 1
    /// Marks the last word of a name; words stay below 2^60 and so below the prime.
    private static let lastMark: UInt64 = 1 << 59
    private static let wordBytes = 7

    init(using generator: inout some RandomNumberGenerator) {
        self.init(point: generator.next(), spread: generator.next())
    }

    init(point: UInt64, spread: UInt64) {
        // Any point of the field but 0 and 1.
        self.point = 2 + point % (HostHash.prime - 2)
        self.spread = spread
    }

    /// The hash of a whole name, from the front.
    func whole(_ name: Span<UInt8>) -> UInt64 {
        name.withUnsafeBytes { bytes in
            var state: UInt64 = 0
            var index = 0
            while bytes.count &- index >= 8 {
                let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
                state = mixed(state, HostHash.lowercased(word) & ((1 << 56) - 1) | UInt64(HostHash.wordBytes) << 56)
                index &+= HostHash.wordBytes
            }
            var word: UInt64 = 0
            var count: UInt64 = 0
            while index < bytes.count {
                word |= UInt64(bytes[index]) << (count &* 8)
                count &+= 1
                index &+= 1
            }
            // Up to 7 bytes are left, and the mark tells a full last word from one that others follow.
            return finished(mixed(state, HostHash.lowercased(word) | count << 56 | HostHash.lastMark))
        }
    }

    /// The state of a hash that grows towards the front of a name.
    struct Suffix {
        fileprivate var state: UInt64 = 0
        fileprivate var word: UInt64 = 0
        fileprivate var count: UInt64 = 0
    }

    /// Takes the byte, in lower case, that stands before the suffix.
    func extend(_ suffix: inout Suffix, by byte: UInt8) {
        suffix.word = suffix.word << 8 | UInt64(byte)
        suffix.count &+= 1
        guard suffix.count == UInt64(HostHash.wordBytes) else { return }
        suffix.state = mixed(suffix.state, suffix.word | suffix.count << 56)
        suffix.word = 0
        suffix.count = 0
    }

    /// The hash of the suffix as it stands.
    func finish(_ suffix: Suffix) -> UInt64 {
        finished(mixed(suffix.state, suffix.word | suffix.count << 56 | HostHash.lastMark))
    }

    /// The hash of a whole name, from the back: equal to what growing it byte by byte gives.
    func suffix(_ name: Span<UInt8>) -> UInt64 {
        var suffix = Suffix()
        for index in name.indices.reversed() { extend(&suffix, by: HostHash.lowercased(name[index])) }
        return finish(suffix)
    }

    // MARK: Arithmetic

    /// (state + word) * point modulo the prime; both below 2^62, so the sum fits.
    private func mixed(_ state: UInt64, _ word: UInt64) -> UInt64 {
        let (high, low) = HostHash.reduced(state &+ word).multipliedFullWidth(by: point)
        return HostHash.reduced((low & HostHash.prime) &+ (low >> 61 | high << 3))
    }

    /// At most one above the prime's multiple: enough for the next product.
    private static func reduced(_ value: UInt64) -> UInt64 {
        let folded = (value & prime) &+ (value >> 61)
        return folded >= prime ? folded &- prime : folded
    }

    /// Never 0, which marks an empty slot.
    private func finished(_ state: UInt64) -> UInt64 {
        var hash = state ^ spread
        hash = (hash ^ (hash >> 32)) &* 0xD6E8_FEB8_6659_FD93
        hash = (hash ^ (hash >> 32)) &* 0xD6E8_FEB8_6659_FD93
        hash ^= hash >> 32
        return hash == 0 ? 1 : hash
    }

    static func lowercased(_ byte: UInt8) -> UInt8 {
        byte &- UInt8(ascii: "A") < 26 ? byte | 0x20 : byte
    }

    /// Folds eight bytes: in each, 0x80 - "A" carries into the top bit from "A" on, 0x7F - "Z" beyond "Z".
    static func lowercased(_ word: UInt64) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let low = word & (ones &* 0x7F)
        let fromA = low &+ ones &* UInt64(0x80 - UInt8(ascii: "A"))
        let beyondZ = low &+ ones &* UInt64(0x7F - UInt8(ascii: "Z"))
        let isUpper = ~word & (fromA ^ beyondZ) & (ones &* 0x80)
        return word | isUpper >> 2
    }
}
