// Writing small objects.

import Glibc
import Limits
import Logging
import NIOCore
import Synchronization

/// What the writer's thread works with.
struct DiskWriting {
    struct Segment {
        let number: UInt32
        let file: OpenFile
        var offset: UInt64 = 0
    }

    /// The segment that is being written.
    var segment: Segment?
    /// Bytes that may still be written for objects that are spared; nil: as many as there can be.
    var spareBudget: UInt64?
    /// Room for one record.
    var scratch: [UInt8] = []
}

extension DiskStore {
    /// Queues an object in memory to be written. `diskState` says what became of it: 1 while it waits, 2 once it is on
    /// the disk, 0 if it is not. Bodies with gaps are not written.
    package func write(_ response: StoredResponse) {
        guard let bytes = Self.bodyBytes(response) else { return }
        guard response.diskState.compareExchange(expected: 0, desired: 1, ordering: .relaxed).exchanged else { return }
        let count = response.head.end + bytes + response.key.bytes.count
        let queued = queuedWriteBytes.add(count, ordering: .relaxed).newValue
        let start = DiskClock.nanoseconds()
        let isQueued =
            queued <= Limits.cacheDiskWriteBytesQueuedMax && !isPaused && !isClosed.load(ordering: .relaxed)
            && writer.submit { [self] in
                let isWritten = writing.withLock { writeNow(response, bodyBytes: bytes, &$0) }
                queuedWriteBytes.subtract(count, ordering: .relaxed)
                response.diskState.store(isWritten ? 2 : 0, ordering: .releasing)
                observer.didWrite(DiskClock.nanoseconds() &- start)
                if !isWritten { counters.add { $0.writesDropped += 1 } }
            }
        guard !isQueued else { return }
        queuedWriteBytes.subtract(count, ordering: .relaxed)
        response.diskState.store(0, ordering: .relaxed)
        counters.add { $0.writesDropped += 1 }
    }

    /// What memory no longer has room for: written if the disk does not have it, and counted as used if it does.
    package func keep(_ response: StoredResponse) {
        guard !touched(response) else { return }
        _ = response.diskState.compareExchange(expected: 2, desired: 0, ordering: .relaxed)
        write(response)
    }

    /// Whether nothing is written for a while.
    var isPaused: Bool {
        isShort.load(ordering: .relaxed) || pausedUntil.load(ordering: .relaxed) > DiskClock.seconds()
    }

    /// Bytes of a body in memory; nil for what is not written from memory.
    private static func bodyBytes(_ response: StoredResponse) -> Int? {
        switch response.body {
        case .inline: max(0, response.head.bytes.readableBytes - response.head.end)
        case .blocks(let body): body.byteCount
        case .file, .partial: nil
        }
    }

    // MARK: The writer's thread

    private func writeNow(_ response: StoredResponse, bodyBytes: Int, _ writing: inout DiskWriting) -> Bool {
        guard !isPaused, var slot = newSlot(response), hasQuota(slot.zone, bodyBytes) else { return false }
        let whole = bodyBytes + response.head.end + response.key.bytes.count
        guard whole < recordBytesMax else { return writeAsLarge(response, bodyBytes, &writing) }
        writing.scratch.removeAll(keepingCapacity: true)
        Self.append(response, bodyBytes, to: &writing.scratch)
        let count = writing.scratch.count
        guard count > bodyBytes, count - bodyBytes < DiskRecord.bytesMax else { return false }
        guard let place = appendRecord(&writing, mayReclaim: true) else { return false }
        slot.unit = place.unit
        slot.offset = place.offset
        slot.length = UInt32(clamping: count / Int(DiskSlot.offsetStep))
        counters.add { counters in
            counters.writes += 1
            counters.writeBytes += UInt64(count)
        }
        return enter(slot, response)
    }

    /// The largest record that goes into a segment.
    private var recordBytesMax: Int { min(Limits.cacheDiskRecordBytesMax, Int(clamping: segmentBytes / 4)) }

    var segmentBytes: UInt64 {
        let range = Limits.cacheDiskSegmentBytesRange
        return min(max(space.bytesMax / Limits.cacheDiskSegmentsWanted, range.lowerBound), range.upperBound)
    }

    /// A slot without a place; nil if there are too many zones or lists of Vary names.
    func newSlot(_ response: StoredResponse) -> DiskSlot? {
        guard let zone = names.number(response.zone, journal: journal),
            let list = names.number(response.vary?.names, journal: journal)
        else { return nil }
        var slot = DiskSlot()
        slot.high = response.key.hash.high
        slot.low = response.key.hash.low
        slot.url = DiskEntry.short(response.key.urlHash)
        slot.host = response.key.bytes.withUnsafeBytes { key in
            KeyParts(key).map { DiskChecksum.of(UnsafeRawBufferPointer(rebasing: key[$0.host])) } ?? 0
        }
        slot.vary = response.vary.map { DiskEntry.short($0.hash) } ?? 0
        slot.varyNames = list
        slot.zone = zone
        slot.birth = UInt32(clamping: response.birth)
        slot.setTags(response.tags)
        slot.isSoftPurged = response.isSoftPurged.load(ordering: .relaxed)
        return slot
    }

    /// Whether the zone may have that much more. If not, its oldest objects go, but not for this one's sake: the sweep
    /// that finds them looks at the whole index, and so makes room for many at once.
    func hasQuota(_ zone: UInt32, _ bytes: Int) -> Bool {
        let quota = names.quota(zone)
        guard let bytesMax = quota.bytesMax, quota.bytes &+ UInt64(clamping: bytes) > bytesMax else { return true }
        keeper.submit { [self] in trim(zone) }
        return false
    }

    private static func append(_ response: StoredResponse, _ bodyBytes: Int, to bytes: inout [UInt8]) {
        var record = DiskRecord(response)
        record.bodyBytes = UInt64(clamping: bodyBytes)
        switch response.body {
        case .blocks(let body):
            record.trailers = body.trailers
            var joined = BlockChecksums()
            for block in body.blocks { block.withUnsafeReadableBytes { joined.add($0) } }
            record.checksums = joined.finish()
            record.append(to: &bytes)
            for block in body.blocks { block.withUnsafeReadableBytes { bytes.append(contentsOf: $0) } }
        default:
            response.head.bytes.withUnsafeReadableBytes { all in
                let body = UnsafeRawBufferPointer(rebasing: all[min(response.head.end, all.count)...])
                record.checksums = checksums(body)
                record.append(to: &bytes)
                bytes.append(contentsOf: body)
            }
        }
        while bytes.count % Int(DiskSlot.offsetStep) != 0 { bytes.append(0) }
    }

    /// Puts the scratch's bytes behind the last record.
    ///
    /// - Parameter mayReclaim: Not while space is being reclaimed: what is spared goes into the room that is left.
    func appendRecord(_ writing: inout DiskWriting, mayReclaim: Bool) -> DiskPlace? {
        let count = UInt64(writing.scratch.count)
        if mayReclaim, !makeRoom(count, &writing) { return nil }
        if let segment = writing.segment, segment.offset + count > segmentBytes { finishSegment(&writing) }
        guard var segment = writing.segment ?? beginSegment() else {
            writing.segment = nil
            return nil
        }
        let failure = writing.scratch.withUnsafeBytes {
            segment.file.write($0, at: segment.offset, by: directory.writeCall)
        }
        guard failure == 0 else {
            writing.segment = segment
            writeFailed(failure)
            return nil
        }
        let place = DiskPlace(
            unit: segment.number, offset: UInt32(clamping: segment.offset / DiskSlot.offsetStep))
        segment.offset += count
        space.grow(segment.number, by: count)
        writing.segment = segment
        return place
    }

    private func beginSegment() -> DiskWriting.Segment? {
        guard let number = space.newUnit(isLarge: false) else { return nil }
        guard let file = directory.open(.segment(number), O_RDWR | O_CREAT | O_EXCL) else {
            space.remove(number)
            writeFailed(errno)
            return nil
        }
        segments.withLock { $0[number] = file }
        return DiskWriting.Segment(number: number, file: file)
    }

    func finishSegment(_ writing: inout DiskWriting) {
        guard let segment = writing.segment else { return }
        writing.segment = nil
        space.finish(segment.number)
        dropIfEmpty(segment.number)
    }

    /// Puts an object that is on the disk now into the index, unless it was purged meanwhile.
    func enter(_ slot: DiskSlot, _ response: StoredResponse) -> Bool {
        var slot = slot
        for purge in sweeps.withLock({ $0 }) where purge.isAbout(response) {
            guard purge.isSoft else {
                // Nothing will lead to it; its bytes go with their file.
                if slot.isLarge { dropUnit(slot.unit) }
                return false
            }
            slot.isSoftPurged = true
        }
        space.credit(slot)
        names.add(slot.byteCount, zone: slot.zone)
        let displaced = index.put(slot, journal: journal)
        // A large object's new head has the place of the old one.
        forget(displaced)
        return true
    }

    /// The operating system refused a write: the disk is left alone for a while, and something goes to make room.
    func writeFailed(_ code: Int32) {
        counters.add { $0.writeErrors += 1 }
        let wasPaused = isPaused
        pausedUntil.store(DiskClock.seconds() + Limits.cacheDiskPauseSeconds, ordering: .relaxed)
        guard !wasPaused else { return }
        let reason = strerror(code).map { text in String(cString: text) } ?? "error \(code)"
        log.warning("The cache cannot write to the disk, and pauses", metadata: ["reason": "\(reason)"])
        guard code == ENOSPC || code == EDQUOT else { return }
        writer.submit(isUrgent: true) { [self] in writing.withLock { _ = evictOldest(&$0) } }
    }
}

/// Checksums of a body that comes in pieces: one for every full block, and one for the rest.
struct BlockChecksums {
    private var finished: [UInt32] = []
    private var current: UInt32 = 0
    private var currentBytes = 0

    mutating func add(_ bytes: UnsafeRawBufferPointer) {
        var rest = bytes
        while !rest.isEmpty {
            let count = min(rest.count, Limits.cacheDiskChecksumBytes - currentBytes)
            current = DiskChecksum.of(UnsafeRawBufferPointer(rebasing: rest[..<count]), after: current)
            currentBytes += count
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            guard currentBytes == Limits.cacheDiskChecksumBytes else { continue }
            finished.append(current)
            current = 0
            currentBytes = 0
        }
    }

    /// The blocks that became whole since the last call.
    mutating func takeFinished() -> [UInt32] {
        defer { finished.removeAll() }
        return finished
    }

    /// All that were not taken, with the last, shorter one.
    mutating func finish() -> [UInt32] {
        if currentBytes > 0 { finished.append(current) }
        currentBytes = 0
        current = 0
        return takeFinished()
    }
}

extension PurgeRecord {
    /// Whether a response is older than it and covered by it.
    func isAbout(_ response: StoredResponse) -> Bool {
        response.birth < sequence && (zone == nil || zone == response.zone) && scope.covers(response)
    }
}
