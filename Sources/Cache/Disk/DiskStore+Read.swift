// Looking up and loading.

import Glibc
import Limits
import Logging
package import NIOCore
import Synchronization

extension DiskStore {
    /// What there is under a key, newest first. Touches memory alone. Another key may have the same hash: loading
    /// tells.
    package func candidates(_ hash: KeyHash) -> [DiskEntry] {
        guard !isClosed.load(ordering: .relaxed) else { return [] }
        var slots = index.variants(hash)
        if slots.isEmpty { return [] }
        if slots.count > 1 {
            slots.sort { ($0.unit, $0.offset) > ($1.unit, $1.offset) }
        }
        return names.entries(slots)
    }

    /// Loads an object: a small one whole, of a large one the head.
    ///
    /// - Parameters:
    ///   - key: The whole key, as it was asked for.
    ///   - done: Runs on `eventLoop`, never before this returns. nil: it is gone, is another key's, is corrupt, or too
    ///     many reads wait. What it gives may have been purged: ask the ledger.
    package func load(
        _ entry: DiskEntry, key: [UInt8], on eventLoop: any EventLoop,
        _ done: @escaping @Sendable (StoredResponse?) -> Void
    ) {
        files.read(on: eventLoop, done) { [self] in loadNow(entry.slot, key) }
    }

    /// Counts a use: so that it is spared when its segment goes.
    package func touch(_ response: StoredResponse) {
        _ = touched(response)
    }

    func touched(_ response: StoredResponse) -> Bool {
        var isFound = false
        let vary = response.vary.map { DiskEntry.short($0.hash) } ?? 0
        for slot in index.variants(response.key.hash)
        where slot.vary == vary && (slot.varyNames == 0) == (response.vary == nil) {
            if index.update(slot, { $0.uses += 1 }) { isFound = true }
        }
        return isFound
    }

    func loadNow(_ slot: DiskSlot, _ key: [UInt8]) -> StoredResponse? {
        // Read while it was being written anew elsewhere: the place it had then.
        let response = slot.isLarge ? loadLarge(slot, key) : loadSmall(slot, key)
        guard let response else { return nil }
        response.diskState.store(2, ordering: .relaxed)
        if slot.isSoftPurged { response.isSoftPurged.store(true, ordering: .relaxed) }
        _ = index.update(slot) { $0.uses += 1 }
        return response
    }

    // MARK: Small

    private func loadSmall(_ slot: DiskSlot, _ key: [UInt8]) -> StoredResponse? {
        guard let file = segments.withLock({ $0[slot.unit] }) else { return nil }
        let count = Int(clamping: slot.byteCount)
        return withUnsafeTemporaryAllocation(byteCount: count, alignment: 16) { bytes in
            guard file.read(into: bytes, at: UInt64(slot.offset) * DiskSlot.offsetStep) else {
                discard(slot)
                return nil
            }
            counters.add { counters in
                counters.reads += 1
                counters.readBytes += UInt64(count)
            }
            let whole = UnsafeRawBufferPointer(bytes)
            guard let record = DiskRecord(whole, wantsHead: true), let body = Self.body(record, whole) else {
                discard(slot)
                return nil
            }
            // Not corrupt: another key's hash is the same.
            guard record.key == key else { return nil }
            return Self.response(record, body)
        }
    }

    /// The body behind a record, if its checksums fit.
    private static func body(_ record: DiskRecord, _ whole: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        guard record.bodyBytes <= UInt64(whole.count - record.byteCount) else { return nil }
        let end = record.byteCount + Int(record.bodyBytes)
        let body = UnsafeRawBufferPointer(rebasing: whole[record.byteCount..<end])
        return checksums(body) == record.checksums ? body : nil
    }

    /// The checksums of a body's blocks.
    static func checksums(_ body: UnsafeRawBufferPointer) -> [UInt32] {
        stride(from: 0, to: body.count, by: Limits.cacheDiskChecksumBytes).map { start in
            let end = min(start + Limits.cacheDiskChecksumBytes, body.count)
            return DiskChecksum.of(UnsafeRawBufferPointer(rebasing: body[start..<end]))
        }
    }

    private static func response(_ record: DiskRecord, _ body: UnsafeRawBufferPointer) -> StoredResponse? {
        guard var head = record.head else { return nil }
        if body.count <= Limits.cacheInlineBodyBytesMax, record.trailers == nil {
            if !body.isEmpty {
                let fields = head.bytes
                head.bytes = ExactBuffer.make(count: head.end + body.count) { target in
                    fields.withUnsafeReadableBytes { target.copyMemory(from: $0) }
                    UnsafeMutableRawBufferPointer(rebasing: target[head.end...]).copyMemory(from: body)
                }
            }
            return record.response(head, .inline)
        }
        let blocks = stride(from: 0, to: body.count, by: Limits.cacheBlockBytes).map { start in
            let end = min(start + Limits.cacheBlockBytes, body.count)
            let block = UnsafeRawBufferPointer(rebasing: body[start..<end])
            return ExactBuffer.make(count: block.count) { $0.copyMemory(from: block) }
        }
        return record.response(head, .blocks(BlockBody(blocks: blocks, trailers: record.trailers)))
    }

    // MARK: Large

    private func loadLarge(_ slot: DiskSlot, _ key: [UInt8]) -> StoredResponse? {
        let known = files.body(slot.unit)
        guard let file = known.map({ $0.openFile() }) ?? files.open(slot.unit) else {
            // Evicted since. If the file is missing although it was not, the object is; too few descriptors are no
            // reason.
            if errno == ENOENT, space.unit(slot.unit) != nil { discard(slot) }
            return nil
        }
        guard let record = DiskFiles.record(file, wantsHead: true) else {
            discard(slot)
            return nil
        }
        counters.add { $0.reads += 1 }
        guard record.key == key, let head = record.head else { return nil }
        if let known { return known.isComplete ? record.response(head, .file(known)) : nil }
        guard let checksums = DiskFiles.table(file, record) else {
            discard(slot)
            return nil
        }
        let body = FileBody(unit: slot.unit, files: files, file: file, record: record, checksums: checksums)
        let entered = files.enter(body)
        if entered === body { files.opened(body) }
        return record.response(head, .file(entered))
    }

    // MARK: Corrupt

    /// Forgets what cannot be read.
    func discard(_ slot: DiskSlot) {
        let removed = index.remove(KeyHash(high: slot.high, low: slot.low), journal: journal) { $0.place == slot.place }
        guard !removed.isEmpty else { return }
        forget(removed)
        reportCorrupt(removed.count, slot.unit)
    }

    /// Forgets a large object by its file.
    func discardLarge(_ unit: UInt32) {
        guard let hash = space.unit(unit)?.hash else { return }
        for slot in index.variants(hash) where slot.unit == unit && slot.isLarge { discard(slot) }
    }

    private func reportCorrupt(_ count: Int, _ unit: UInt32) {
        let total = counters.snapshot.corrupt
        counters.add { $0.corrupt += UInt64(count) }
        // The first ones tell that something is wrong with the device; the metrics tell how much.
        guard total < 16 else { return }
        log.warning("An object of the cache was corrupt on the disk, and is dropped", metadata: ["file": "\(unit)"])
    }

    /// The accounts of what is no longer in the index. Files that hold nothing any more go.
    func forget(_ slots: [DiskSlot]) {
        for slot in slots {
            names.subtract(slot.byteCount, zone: slot.zone)
            guard space.debit(slot) else { continue }
            let number = slot.unit
            writer.submit(isUrgent: true) { [self] in dropIfEmpty(number) }
        }
    }
}
