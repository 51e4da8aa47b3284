// What keeps purged objects purged. A cache may forget an object at any time, but must never bring one back that was
// purged. The purges are in the journal, and a journal can be cut short: by a power cut, a fault of the device, an
// operator. So a purge is acknowledged only once it is on the device, and then the number of its batch is put into this
// file. A store whose journal cannot be read up to that number does not know which of its objects were purged, and
// forgets them all.
//
// It stands in two places, written one after the other: one is whole at any moment, and once a purge is acknowledged no
// single fault makes the file say less than it should.

import Glibc
import Synchronization

/// The least number of batches that must be readable.
final class DiskFloor: Sendable {
    private static let placeCount: UInt64 = 2
    private static let placeBytes = 32
    private static let placeStride: UInt64 = 4096

    private struct State {
        var sequence: UInt64
    }

    private let file: OpenFile
    private let store: UInt64
    private let writeCall: DiskWriteCall
    private let state: Mutex<State>

    private init(file: OpenFile, store: UInt64, sequence: UInt64, writeCall: @escaping DiskWriteCall) {
        self.file = file
        self.store = store
        self.writeCall = writeCall
        state = Mutex(State(sequence: sequence))
    }

    var sequence: UInt64 { state.withLock { $0.sequence } }

    /// Opens the file; nil if it is missing or neither place can be read.
    static func open(_ path: String, store: UInt64, writeCall: @escaping DiskWriteCall) -> DiskFloor? {
        guard let file = OpenFile.open(path, O_RDWR) else { return nil }
        let places = (0..<placeCount).map { read(file, place: $0, store: store) }
        guard let sequence = places.compactMap({ $0 }).max() else { return nil }
        return DiskFloor(file: file, store: store, sequence: sequence, writeCall: writeCall)
    }

    /// A new file.
    static func create(_ path: String, store: UInt64, writeCall: @escaping DiskWriteCall) -> DiskFloor? {
        unlink(path)
        guard let file = OpenFile.open(path, O_RDWR | O_CREAT | O_EXCL) else { return nil }
        let floor = DiskFloor(file: file, store: store, sequence: 0, writeCall: writeCall)
        return floor.raise(to: 0) ? floor : nil
    }

    /// True once it is on the device.
    func raise(to sequence: UInt64) -> Bool {
        state.withLock { state in
            var bytes: [UInt8] = []
            bytes.putLittle(DiskMagic.floor)
            bytes.putLittle(UInt32(0))
            bytes.putLittle(store)
            bytes.putLittle(max(sequence, state.sequence))
            bytes.putLittle(UInt64(0))
            let checksum = bytes.withUnsafeBytes { DiskChecksum.of(UnsafeRawBufferPointer(rebasing: $0[8...])) }
            bytes.setLittle(checksum, at: 4)
            for place in 0..<Self.placeCount {
                let failure = bytes.withUnsafeBytes { file.write($0, at: place * Self.placeStride, by: writeCall) }
                guard failure == 0, fdatasync(file.descriptor) == 0 else { return false }
            }
            state.sequence = max(sequence, state.sequence)
            return true
        }
    }

    private static func read(_ file: OpenFile, place: UInt64, store: UInt64) -> UInt64? {
        withUnsafeTemporaryAllocation(byteCount: placeBytes, alignment: 8) { bytes in
            guard file.read(into: bytes, at: place * placeStride) else { return nil }
            var cursor = DiskCursor(UnsafeRawBufferPointer(bytes))
            guard cursor.next(UInt32.self) == DiskMagic.floor, let checksum = cursor.next(UInt32.self),
                checksum == DiskChecksum.of(UnsafeRawBufferPointer(rebasing: bytes[8...])),
                cursor.next(UInt64.self) == store
            else { return nil }
            return cursor.next(UInt64.self)
        }
    }
}
