// Large objects: begun, finished, given up, and given a new head.

import Glibc
import Limits
import NIOCore
import Synchronization

extension DiskStore {
    /// A file for an object that is too large for memory, or whose size is not known.
    ///
    /// - Parameters:
    ///   - expectedBytes: Of the body, if known.
    ///   - progress: Told on the writer's thread, never from within a call of the writer.
    /// - Returns: nil if there is no room for it, too many are written at once, or the disk pauses after a failure.
    package func beginLarge(
        zone: ZoneTag, expectedBytes: UInt64?, progress: @escaping @Sendable (LargeProgress) -> Void
    ) -> LargeWriter? {
        guard !isClosed.load(ordering: .relaxed), !isPaused, (expectedBytes ?? 0) <= objectBytesMax,
            let zone = names.number(zone, journal: journal), hasQuota(zone, Int(clamping: expectedBytes ?? 0))
        else {
            counters.add { $0.writesDropped += 1 }
            return nil
        }
        guard writerCount.add(1, ordering: .relaxed).newValue <= Limits.cacheDiskWritersMax, let body = newBody() else {
            writerCount.subtract(1, ordering: .relaxed)
            counters.add { $0.writesDropped += 1 }
            return nil
        }
        return LargeWriter(store: self, body: body, progress: progress)
    }

    /// The largest object that is taken, whatever is configured: one must not wash out all others.
    var objectBytesMax: UInt64 { space.bytesMax / Limits.cacheDiskObjectShare }

    private func newBody() -> FileBody? {
        space.newUnit(isLarge: true).map { files.enter(FileBody(filling: $0, files: files)) }
    }

    /// A 304 changed what is known of a large object: writes its head anew. Others follow the new response from now on.
    ///
    /// - Parameter response: The new one, with the body of the old.
    package func updateHead(_ response: StoredResponse) {
        guard case .file(let body) = response.body, body.isComplete else { return }
        response.diskState.store(1, ordering: .relaxed)
        let isQueued = writer.submit { [self] in
            let isWritten = writing.withLock { _ in updateHeadNow(response, body) }
            response.diskState.store(isWritten ? 2 : 0, ordering: .releasing)
        }
        if !isQueued { response.diskState.store(0, ordering: .relaxed) }
    }

    // MARK: The writer's thread

    /// The file of a body that is being written; made when it is first asked for. nil if it cannot be.
    func file(of body: FileBody) -> OpenFile? {
        if let file = body.withState({ $0.file }) { return file }
        guard let file = directory.open(.large(body.unit), O_RDWR | O_CREAT | O_EXCL) else {
            writeFailed(errno)
            return nil
        }
        posix_fadvise(file.descriptor, 0, 0, Int32(POSIX_FADV_RANDOM))
        body.withState { $0.file = file }
        return file
    }

    private func updateHeadNow(_ response: StoredResponse, _ body: FileBody) -> Bool {
        // Evicted or removed meanwhile: it must not come back by its new head.
        let isThere = index.variants(response.key.hash).contains { $0.unit == body.unit && $0.isLarge }
        guard isThere, !isPaused, let file = body.openFile(), let old = DiskFiles.record(file, wantsHead: false) else {
            return false
        }
        var record = DiskRecord(response, version: old.version &+ 1)
        record.bodyBytes = old.bodyBytes
        record.tableChecksum = old.tableChecksum
        record.trailers = old.trailers
        guard writeSlot(&record, file) else { return false }
        return enterLarge(response, record, body.unit)
    }

    /// Writes a record to the slot that is the older one: the other stays whole whatever happens.
    func writeSlot(_ record: inout DiskRecord, _ file: OpenFile) -> Bool {
        var bytes: [UInt8] = []
        record.append(to: &bytes)
        guard !bytes.isEmpty, bytes.count <= Limits.cacheDiskSlotBytes else { return false }
        let offset = record.version % 2 * UInt64(Limits.cacheDiskSlotBytes)
        let failure = bytes.withUnsafeBytes { file.write($0, at: offset, by: directory.writeCall) }
        if failure != 0 { writeFailed(failure) }
        return failure == 0
    }

    /// Enters a large object whose file is whole.
    func enterLarge(_ response: StoredResponse, _ record: DiskRecord, _ unit: UInt32) -> Bool {
        guard var slot = newSlot(response) else { return false }
        slot.isLarge = true
        slot.unit = unit
        let bytes = record.bodyBytes &+ UInt64(record.byteCount)
        slot.length = UInt32(clamping: bytes / DiskSlot.largeStep + 1)
        counters.add { counters in
            counters.writes += 1
            counters.writeBytes += bytes
        }
        guard enter(slot, response) else { return false }
        space.finish(unit)
        // Replaced or removed between the two: nobody else may have seen that it is finished.
        dropIfEmpty(unit)
        return true
    }

    /// Room for more of an object that is being written; false: it has become too large.
    func reserve(_ bytes: UInt64, _ unit: UInt32) -> Bool {
        guard let current = space.unit(unit), current.bytes &+ bytes <= objectBytesMax, !isPaused else { return false }
        guard writing.withLock({ makeRoom(bytes, &$0) }) else { return false }
        space.grow(unit, by: bytes)
        return true
    }

    /// One of the writers is done.
    func writerEnded() { writerCount.subtract(1, ordering: .relaxed) }

    /// Gives up an object that is being written. Who reads it goes on as far as it came.
    func abandon(_ body: FileBody) {
        body.fail()
        dropUnit(body.unit)
        counters.add { $0.writesDropped += 1 }
        writerEnded()
    }

    /// A small object too large for a record: a file of its own, at once.
    func writeAsLarge(_ response: StoredResponse, _ bodyBytes: Int, _ writing: inout DiskWriting) -> Bool {
        guard case .blocks(let blocks) = response.body, UInt64(clamping: bodyBytes) <= objectBytesMax,
            makeRoom(UInt64(clamping: bodyBytes), &writing), let body = newBody()
        else { return false }
        let isWritten = writeWhole(response, blocks, body)
        if !isWritten {
            body.fail()
            dropUnit(body.unit)
        }
        return isWritten
    }

    private func writeWhole(_ response: StoredResponse, _ blocks: BlockBody, _ body: FileBody) -> Bool {
        guard let file = file(of: body) else { return false }
        space.grow(body.unit, by: UInt64(clamping: blocks.byteCount))
        var checksums = BlockChecksums()
        var record = DiskRecord(response, version: 1)
        record.trailers = blocks.trailers
        var failure: Int32 = 0
        for block in blocks.blocks where failure == 0 {
            failure = block.withUnsafeReadableBytes { bytes in
                checksums.add(bytes)
                return file.write(bytes, at: DiskFiles.bodyStart + record.bodyBytes, by: directory.writeCall)
            }
            record.bodyBytes += UInt64(block.readableBytes)
        }
        let table = checksums.finish()
        if failure == 0 {
            failure = table.withUnsafeBytes { bytes in
                record.tableChecksum = DiskChecksum.of(bytes)
                return file.write(bytes, at: DiskFiles.bodyStart + record.bodyBytes, by: directory.writeCall)
            }
        }
        guard failure == 0 else {
            writeFailed(failure)
            return false
        }
        guard writeSlot(&record, file) else { return false }
        body.advance(by: blocks.byteCount, checksums: table)
        body.complete(lastChecksum: nil, trailers: blocks.trailers)
        return enterLarge(response, record, body.unit)
    }
}
