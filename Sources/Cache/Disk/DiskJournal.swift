// The journal: what happened to the index since the last checkpoint, in batches.
//
//     magic 4 ┊ checksum 4 ┊ store 8 ┊ number 8 ┊ bytes 4 ┊ records …
//
// Numbers of batches go up by one, over all journals of a store: a missing batch is noticed. Reading ends at the first
// batch that is not whole. Any thread queues records; the keeper's thread writes them.
//
// Nothing is flushed to the device for ordinary changes: losing the last of them to a power cut loses objects, or
// brings back ones that were replaced and are still judged by their own lifetime. Removals are flushed within a second,
// purges before they are acknowledged (DiskFloor.swift).

import Glibc
import Limits
import Synchronization

/// Queues and writes the records of changes.
final class DiskJournal: Sendable {
    enum Kind: UInt8 {
        case put = 1
        case delete = 2
        case zone = 3
        case names = 4
        case purge = 5
        case settle = 6
    }

    private struct Queue {
        var bytes: [UInt8] = []
        var completions: [@Sendable (Bool) -> Void] = []
        var hasDeletes = false
        /// The keeper was told, and has not come yet.
        var isAnnounced = false
        /// More than could be queued: the index on the disk is worthless until a checkpoint replaces it.
        var isLost = false
    }

    private struct Output {
        var file: OpenFile?
        var byteCount: UInt64 = 0
        var lastBatch: UInt64
        var isUnflushed = false
    }

    private let queue = Mutex(Queue())
    private let output: Mutex<Output>
    private let store: UInt64
    private let floor: DiskFloor
    private let writeCall: DiskWriteCall
    /// Asks the keeper to come and flush.
    private let announce: @Sendable () -> Void

    /// - Parameter lastBatch: The number of the last batch of all journals so far.
    init(
        store: UInt64, lastBatch: UInt64, floor: DiskFloor, writeCall: @escaping DiskWriteCall,
        announce: @escaping @Sendable () -> Void
    ) {
        self.store = store
        self.floor = floor
        self.writeCall = writeCall
        self.announce = announce
        output = Mutex(Output(lastBatch: lastBatch))
    }

    // MARK: Records

    func put(_ slot: DiskSlot) {
        record(.put) { bytes in withUnsafeBytes(of: slot) { bytes.append(contentsOf: $0) } }
    }

    func delete(_ slot: DiskSlot) {
        record(.delete) { bytes in
            bytes.putLittle(slot.high)
            bytes.putLittle(slot.low)
            bytes.putLittle(slot.unit)
            bytes.putLittle(slot.offset)
        }
    }

    func defineZone(_ number: UInt32, _ tag: ZoneTag) {
        record(.zone) { bytes in
            bytes.putLittle(number)
            bytes.putLittle(tag.value)
        }
    }

    func defineNames(_ number: UInt32, _ names: [UInt8]) {
        record(.names) { bytes in
            bytes.putLittle(number)
            bytes.putLittle(UInt32(clamping: names.count))
            bytes.append(contentsOf: names)
        }
    }

    func settle(_ zone: ZoneTag?, upTo sequence: UInt64) {
        record(.settle) { bytes in
            bytes.append(zone == nil ? 1 : 0)
            bytes.putLittle(zone?.value ?? 0)
            bytes.putLittle(sequence)
        }
    }

    /// - Parameter completion: Told, on the keeper's thread, whether the purges outlive a power cut. False: they could
    ///   not be written, but are tried again.
    func purge(_ purges: [PurgeRecord], _ completion: @escaping @Sendable (Bool) -> Void) {
        guard let last = purges.last else { return completion(true) }
        // Batches are written in order: once the last of them is on the device, all are.
        for purge in purges.dropLast() { record(.purge) { DiskPurge.append(purge, to: &$0) } }
        let isQueued = record(.purge, completion) { DiskPurge.append(last, to: &$0) }
        if !isQueued { completion(false) }
    }

    @discardableResult
    private func record(
        _ kind: Kind, _ completion: (@Sendable (Bool) -> Void)? = nil, _ write: (inout [UInt8]) -> Void
    ) -> Bool {
        let (isQueued, mustAnnounce) = queue.withLock { queue in
            guard !queue.isLost, queue.bytes.count < Limits.cacheDiskJournalBytesQueuedMax else {
                queue.isLost = true
                return (false, false)
            }
            queue.bytes.append(kind.rawValue)
            write(&queue.bytes)
            if let completion { queue.completions.append(completion) }
            if kind == .delete { queue.hasDeletes = true }
            defer { queue.isAnnounced = true }
            return (true, !queue.isAnnounced)
        }
        if mustAnnounce { announce() }
        return isQueued
    }

    // MARK: The keeper's side

    var isLost: Bool { queue.withLock { $0.isLost } }
    var queuedBytes: Int { queue.withLock { $0.bytes.count } }
    var byteCount: UInt64 { output.withLock { $0.byteCount } }
    var lastBatch: UInt64 { output.withLock { $0.lastBatch } }

    /// Goes on in a new, empty file. What was queued is written to the old one before, if it can be.
    func continueIn(_ file: OpenFile) {
        flush()
        output.withLock { output in
            output.file = file
            output.byteCount = 0
            output.isUnflushed = false
        }
    }

    /// After a checkpoint made good for everything that was lost.
    func startAnew() {
        let refused = queue.withLock { queue in
            let refused = queue.completions
            queue = Queue()
            return refused
        }
        for completion in refused { completion(false) }
    }

    /// Writes what is queued.
    ///
    /// - Returns: False if it could not be, and waits for the next attempt.
    @discardableResult
    func flush() -> Bool {
        let taken = queue.withLock { queue in
            let taken = queue
            queue.bytes = []
            queue.completions = []
            queue.hasDeletes = false
            queue.isAnnounced = false
            return taken
        }
        guard !taken.bytes.isEmpty else { return true }
        guard let batch = write(taken.bytes, mustFlushSoon: taken.hasDeletes) else {
            putBack(taken)
            // Whoever asked is not kept waiting for a disk that may be full for hours.
            for completion in taken.completions { completion(false) }
            return false
        }
        guard !taken.completions.isEmpty else { return true }
        let isDurable = flushToDevice() && floor.raise(to: batch)
        for completion in taken.completions { completion(isDurable) }
        return true
    }

    private func putBack(_ taken: Queue) {
        queue.withLock { queue in
            queue.bytes = taken.bytes + queue.bytes
            queue.hasDeletes = queue.hasDeletes || taken.hasDeletes
        }
    }

    private func write(_ records: [UInt8], mustFlushSoon: Bool) -> UInt64? {
        output.withLock { output in
            guard let file = output.file else { return nil }
            let number = output.lastBatch + 1
            let batch = DiskBatch.bytes(records, store: store, number: number)
            let failure = batch.withUnsafeBytes { file.write($0, at: output.byteCount, by: writeCall) }
            guard failure == 0 else { return nil }
            output.byteCount += UInt64(batch.count)
            output.lastBatch = number
            if mustFlushSoon { output.isUnflushed = true }
            return number
        }
    }

    /// Once a second: what was removed is to stay removed over a power cut.
    func flushRemovals() {
        if output.withLock({ $0.isUnflushed }) { flushToDevice() }
    }

    @discardableResult
    private func flushToDevice() -> Bool {
        output.withLock { output in
            guard let file = output.file, fdatasync(file.descriptor) == 0 else { return false }
            output.isUnflushed = false
            return true
        }
    }
}

/// One batch as bytes.
enum DiskBatch {
    static let headBytes = 28

    static func bytes(_ records: [UInt8], store: UInt64, number: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(headBytes + records.count)
        bytes.putLittle(DiskMagic.batch)
        bytes.putLittle(UInt32(0))
        bytes.putLittle(store)
        bytes.putLittle(number)
        bytes.putLittle(UInt32(clamping: records.count))
        bytes.append(contentsOf: records)
        let checksum = bytes.withUnsafeBytes { DiskChecksum.of(UnsafeRawBufferPointer(rebasing: $0[8...])) }
        bytes.setLittle(checksum, at: 4)
        return bytes
    }

    /// Reads batches from `offset` on as long as they are whole, of this store, and numbered one behind the other.
    ///
    /// - Parameter apply: Takes a batch's records; false ends the reading.
    /// - Returns: The number of the last batch.
    static func read(
        _ file: OpenFile, store: UInt64, after lastBatch: UInt64, _ apply: (UnsafeRawBufferPointer) -> Bool
    ) -> UInt64 {
        var last = lastBatch
        var offset: UInt64 = 0
        let end = file.byteCount
        var buffer: [UInt8] = []
        while end >= offset + UInt64(headBytes) {
            let length = withUnsafeTemporaryAllocation(byteCount: headBytes, alignment: 8) { head -> Int? in
                guard file.read(into: head, at: offset) else { return nil }
                var cursor = DiskCursor(UnsafeRawBufferPointer(head))
                guard cursor.next(UInt32.self) == DiskMagic.batch, cursor.next(UInt32.self) != nil,
                    cursor.next(UInt64.self) == store, let number = cursor.next(UInt64.self), number == last &+ 1,
                    let count = cursor.next(UInt32.self), UInt64(count) <= end - offset - UInt64(headBytes)
                else { return nil }
                return headBytes + Int(count)
            }
            guard let length else { return last }
            if buffer.count < length { buffer = [UInt8](repeating: 0, count: length) }
            let isWhole = buffer.withUnsafeMutableBytes { bytes -> Bool in
                let batch = UnsafeMutableRawBufferPointer(rebasing: bytes[..<length])
                guard file.read(into: batch, at: offset) else { return false }
                let checksum = DiskChecksum.of(UnsafeRawBufferPointer(rebasing: batch[8...]))
                guard batch.loadUnaligned(fromByteOffset: 4, as: UInt32.self) == checksum else { return false }
                return apply(UnsafeRawBufferPointer(rebasing: batch[headBytes...]))
            }
            guard isWhole else { return last }
            last &+= 1
            offset += UInt64(length)
        }
        return last
    }
}
