// Numbers to bytes and back, little-endian, for everything the disk store writes.

import CChecksum

extension [UInt8] {
    mutating func putLittle<Value: FixedWidthInteger>(_ value: Value) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }

    /// Overwrites what was left free for a number that is known later.
    mutating func setLittle<Value: FixedWidthInteger>(_ value: Value, at offset: Int) {
        guard offset >= 0, offset + MemoryLayout<Value>.size <= count else { return }
        withUnsafeMutableBytes { bytes in
            Swift.withUnsafeBytes(of: value.littleEndian) { source in
                UnsafeMutableRawBufferPointer(rebasing: bytes[offset...]).copyMemory(from: source)
            }
        }
    }
}

/// Reads what `putLittle` wrote. Answers nil behind the end, and then for ever.
struct DiskCursor {
    private let bytes: UnsafeRawBufferPointer
    private(set) var position = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var isAtEnd: Bool { position >= bytes.count }

    mutating func next<Value: FixedWidthInteger>(_ type: Value.Type = Value.self) -> Value? {
        let size = MemoryLayout<Value>.size
        guard bytes.count - position >= size else {
            position = bytes.count
            return nil
        }
        defer { position += size }
        return Value(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: Value.self))
    }

    mutating func next(count: Int) -> UnsafeRawBufferPointer? {
        guard count >= 0, bytes.count - position >= count else {
            position = bytes.count
            return nil
        }
        defer { position += count }
        return UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
    }
}

/// CRC32C.
enum DiskChecksum {
    static func of(_ bytes: UnsafeRawBufferPointer, after previous: UInt32 = 0) -> UInt32 {
        martlet_crc32c(previous, bytes.baseAddress, bytes.count)
    }
}

/// What tells our files, and their kinds, from others: four letters, the last of them the format's version.
enum DiskMagic {
    static let secret: UInt32 = 0x314B_4C4D  // MLK1
    static let floor: UInt32 = 0x3146_4C4D  // MLF1
    static let batch: UInt32 = 0x314A_4C4D  // MLJ1
    static let checkpoint: UInt32 = 0x3143_4C4D  // MLC1
    static let record: UInt32 = 0x3152_4C4D  // MLR1
}
