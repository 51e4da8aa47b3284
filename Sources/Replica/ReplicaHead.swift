// The record in which the file says what it is and where in the log it stands. It is written in the transaction of
// every change, so that position and content cannot part.
//
//     "mreplica" | layout u32 | 0 u32 | position 48 bytes | sum u64, u64 | keys u64 | content bytes u64

import ConfigLog

/// Position and sum of a state.
struct ReplicaHead: Sendable, Equatable {
    static let layout: UInt32 = 1
    static let byteCount = 16 + 48 + 32
    private static let magic = Array("mreplica".utf8)

    var position: LogPosition = .none
    var sum = StateSum()

    var encoded: [UInt8] {
        var bytes = ReplicaHead.magic
        bytes.append(littleEndian: UInt64(ReplicaHead.layout))
        bytes += position.encoded
        bytes.append(littleEndian: sum.first)
        bytes.append(littleEndian: sum.second)
        bytes.append(littleEndian: sum.keys)
        bytes.append(littleEndian: sum.contentBytes)
        return bytes
    }

    init() {}

    init(position: LogPosition, sum: StateSum) {
        self.position = position
        self.sum = sum
    }

    /// - Throws: `damaged`, also for a layout of another version.
    init(decoding bytes: UnsafeRawBufferPointer, path: String) throws(ReplicaError) {
        guard bytes.count >= 16, bytes.prefix(8).elementsEqual(ReplicaHead.magic) else {
            throw ReplicaError(.damaged, "\(path) is not a replica of Martlet's configuration")
        }
        let layout = bytes.littleEndian64(at: 8)
        guard layout == UInt64(ReplicaHead.layout) else {
            throw ReplicaError(
                .damaged, "\(path) has layout \(layout), and this version reads layout \(ReplicaHead.layout)")
        }
        guard bytes.count == ReplicaHead.byteCount,
            let position = try? LogPosition(decoding: [UInt8](bytes[16..<64]))
        else { throw ReplicaError(.damaged, "\(path) does not say where in the log it stands") }
        self.position = position
        sum.first = bytes.littleEndian64(at: 64)
        sum.second = bytes.littleEndian64(at: 72)
        sum.keys = bytes.littleEndian64(at: 80)
        sum.contentBytes = bytes.littleEndian64(at: 88)
    }
}

extension [UInt8] {
    mutating func append(littleEndian value: UInt64) {
        for shift in stride(from: UInt64(0), to: 64, by: 8) { append(UInt8(truncatingIfNeeded: value >> shift)) }
    }
}

extension UnsafeRawBufferPointer {
    /// Zero beyond the end.
    func littleEndian16(at offset: Int) -> UInt16 {
        guard offset >= 0, offset <= count &- 2 else { return 0 }
        return UInt16(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }

    /// Zero beyond the end.
    func littleEndian32(at offset: Int) -> UInt32 {
        guard offset >= 0, offset <= count &- 4 else { return 0 }
        return UInt32(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    /// Zero beyond the end.
    func littleEndian64(at offset: Int) -> UInt64 {
        guard offset >= 0, offset <= count &- 8 else { return 0 }
        return UInt64(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
}
