// A sum over all entries of the state that is kept with every change.
//
// Each entry has a hash of 128 bits; the sum adds the hashes, lane by lane, so that an entry is taken out as easily as
// it is put in and the order does not matter. Replicas at one position must have one sum, and what is read from the
// file must add up to the sum that was written with it. That finds faults of ours and of disks. It is not made to
// withstand somebody who chooses values in order to meet a sum: the log's chain and the manifests of snapshots
// (SHA-256) are.

/// The sum of a set of entries, their count and their bytes.
struct StateSum: Sendable, Equatable {
    var first: UInt64 = 0
    var second: UInt64 = 0
    var keys: UInt64 = 0
    var contentBytes: UInt64 = 0

    mutating func add(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        let hash = EntryHash(key, value)
        first &+= hash.first
        second &+= hash.second
        keys &+= 1
        contentBytes &+= UInt64(key.count &+ value.count)
    }

    mutating func remove(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        let hash = EntryHash(key, value)
        first &-= hash.first
        second &-= hash.second
        keys &-= 1
        contentBytes &-= UInt64(key.count &+ value.count)
    }
}

/// Two lanes of multiply-and-fold over a key and a value, 16 bytes a step, the same on every machine.
private struct EntryHash {
    var first: UInt64
    var second: UInt64

    // The first 64 bits of the fractional parts of the square roots of 2, 3, 5, 7, 11 and 13.
    private static let root2: UInt64 = 0x6A09_E667_F3BC_C908
    private static let root3: UInt64 = 0xBB67_AE85_84CA_A73B
    private static let root5: UInt64 = 0x3C6E_F372_FE94_F82B
    private static let root7: UInt64 = 0xA54F_F53A_5F1D_36F1
    private static let root11: UInt64 = 0x510E_527F_ADE6_82D1
    private static let root13: UInt64 = 0x9B05_688C_2B3E_6C1F

    init(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        // The lengths tell where the key ends, so that no two entries give the same words.
        first = EntryHash.fold(UInt64(key.count) ^ EntryHash.root2, UInt64(value.count) ^ EntryHash.root3)
        second = EntryHash.fold(UInt64(value.count) ^ EntryHash.root5, UInt64(key.count) ^ EntryHash.root7)
        take(key)
        take(value)
        first = EntryHash.fold(first ^ EntryHash.root11, EntryHash.root3)
        second = EntryHash.fold(second ^ EntryHash.root13, EntryHash.root5)
    }

    private mutating func take(_ bytes: UnsafeRawBufferPointer) {
        var offset = 0
        while bytes.count &- offset >= 16 {
            step(
                UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)),
                UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset &+ 8, as: UInt64.self)))
            offset &+= 16
        }
        guard offset < bytes.count else { return }
        var words: (UInt64, UInt64) = (0, 0)
        for index in offset..<bytes.count {
            let shift = UInt64(index &- offset) &* 8
            if shift < 64 {
                words.0 |= UInt64(bytes[index]) << shift
            } else {
                words.1 |= UInt64(bytes[index]) << (shift &- 64)
            }
        }
        step(words.0, words.1)
    }

    private mutating func step(_ low: UInt64, _ high: UInt64) {
        first = EntryHash.fold(low ^ EntryHash.root2, high ^ first)
        second = EntryHash.fold(low ^ second, high ^ EntryHash.root7)
    }

    private static func fold(_ one: UInt64, _ other: UInt64) -> UInt64 {
        let product = one.multipliedFullWidth(by: other)
        return product.high ^ product.low
    }
}
