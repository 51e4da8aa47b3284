// Making room: the oldest file goes.
//
// In a segment that goes, some objects are spared, that is, written once more at the end of the log:
//
//     1. those used since they were written or last spared, of zones that have no more than their share;
//     2. those of zones that have less than half of their share, used or not, so that another zone's flood cannot wash
//        them out;
//
// as far as the budget goes. Half of every segment that goes is added to it, so that in the long run each byte that
// objects are given costs at most one written for those spared, while a segment full of what is used may still be
// spared whole. A zone above its share is spared nothing. A large object that is used is moved to the end of the
// queue instead. This is S3-FIFO's main queue on a log; its small queue is the memory in front.

import Glibc
import Limits
import NIOCore
import Synchronization

extension DiskStore {
    /// Frees space until that many bytes, and what sparing takes, fit.
    ///
    /// - Returns: False if they cannot.
    func makeRoom(_ bytes: UInt64, _ writing: inout DiskWriting) -> Bool {
        let wanted = Int64(clamping: bytes &+ segmentBytes)
        // The budget lets most rounds free something; more rounds than files are none.
        var rounds = 0
        while space.room < wanted {
            guard rounds < Self.roundsMax, evictOldest(&writing) else { return false }
            rounds += 1
        }
        return true
    }

    private static let roundsMax = 100_000

    /// Lets the oldest file go. False if there is none.
    @discardableResult
    func evictOldest(_ writing: inout DiskWriting) -> Bool {
        guard let number = space.oldest(), let unit = space.unit(number) else {
            // Only the segment that is being written is left.
            guard writing.segment.map({ $0.offset > 0 }) ?? false else { return false }
            finishSegment(&writing)
            return space.oldest() != nil
        }
        if unit.isLarge {
            evictLarge(number, unit)
        } else {
            evictSegment(number, unit, &writing)
        }
        return true
    }

    // MARK: Large

    private func evictLarge(_ number: UInt32, _ unit: DiskSpace.Unit) {
        let slots = (unit.hash.map { index.variants($0) } ?? []).filter { $0.unit == number }
        for slot in slots where slot.uses > 0 && names.standing(slot.zone, of: space.bytesMax) != .greedy {
            guard index.update(slot, { $0.uses -= 1 }) else { continue }
            space.requeue(number)
            counters.add { $0.spared += 1 }
            return
        }
        let removed = unit.hash.map { hash in index.remove(hash, journal: nil) { $0.unit == number } } ?? []
        counters.add { $0.evicted += UInt64(removed.count) }
        release(removed)
        dropUnit(number)
    }

    // MARK: Segments

    private func evictSegment(_ number: UInt32, _ unit: DiskSpace.Unit, _ writing: inout DiskWriting) {
        var slots: [DiskSlot] = []
        for shard in 0..<DiskIndex.shardCount {
            index.forEach(shard: shard) { if $0.unit == number { slots.append($0) } }
        }
        let budgetMax = space.bytesMax / 4
        let budget = min((writing.spareBudget ?? budgetMax) &+ unit.bytes / 2, budgetMax)
        writing.spareBudget = budget
        writing.spareBudget = budget - spare(slots, budget, &writing)
        // Not journaled: a slot whose file is missing is nothing at the next start.
        var removed: [DiskSlot] = []
        for shard in 0..<DiskIndex.shardCount {
            removed += index.scan(shard: shard, journal: nil) { $0.unit == number ? .remove : .keep }
        }
        counters.add { $0.evicted += UInt64(removed.count) }
        release(removed)
        dropUnit(number)
    }

    /// - Returns: How many bytes were written once more.
    private func spare(_ slots: [DiskSlot], _ bytesMax: UInt64, _ writing: inout DiskWriting) -> UInt64 {
        guard let file = slots.first.flatMap({ slot in segments.withLock { $0[slot.unit] } }), !isPaused else {
            return 0
        }
        var rest = bytesMax
        for wantsUsed in [true, false] {
            let chosen = slots.filter { slot in
                guard (slot.uses > 0) == wantsUsed else { return false }
                let standing = names.standing(slot.zone, of: space.bytesMax)
                return wantsUsed ? standing != .greedy : standing == .modest
            }
            // In the order of their places, so that the device reads forwards.
            for slot in chosen.sorted(by: { $0.offset < $1.offset }) where slot.byteCount <= rest {
                guard move(slot, from: file, &writing) else { return bytesMax - rest }
                rest -= slot.byteCount
            }
        }
        return bytesMax - rest
    }

    /// Writes a record once more. False if nothing more can be written.
    private func move(_ slot: DiskSlot, from file: OpenFile, _ writing: inout DiskWriting) -> Bool {
        let count = Int(clamping: slot.byteCount)
        writing.scratch.removeAll(keepingCapacity: true)
        writing.scratch.append(contentsOf: repeatElement(0, count: count))
        let isRead = writing.scratch.withUnsafeMutableBytes { bytes in
            file.read(into: bytes, at: UInt64(slot.offset) * DiskSlot.offsetStep)
                && isWorthMoving(slot, UnsafeRawBufferPointer(bytes))
        }
        guard isRead else { return true }
        guard let place = appendRecord(&writing, mayReclaim: false) else { return false }
        var moved = slot
        // Credited first: the segment must not look empty in between.
        moved.unit = place.unit
        moved.offset = place.offset
        space.credit(moved)
        let isMoved = index.update(slot, journal: journal) { current in
            current.unit = place.unit
            current.offset = place.offset
            if current.uses > 0 { current.uses -= 1 }
        }
        // Removed or replaced meanwhile: the copy leads nowhere. Else the old place is what is given back.
        _ = space.debit(isMoved ? slot : moved)
        if isMoved { counters.add { $0.spared += 1 } }
        return true
    }

    /// Whether the record is whole, and, if nobody uses it, could still be served without asking the origin.
    private func isWorthMoving(_ slot: DiskSlot, _ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let record = DiskRecord(bytes, wantsHead: false), record.hash.high == slot.high,
            record.hash.low == slot.low
        else { return false }
        guard slot.uses == 0 else { return true }
        let age = record.facts.initialAge &+ max(0, Self.wallMilliseconds() &- record.facts.responseTime)
        let stale = max(record.facts.staleWhileRevalidate, record.facts.staleIfError)
        return age < record.facts.freshnessLifetime &+ stale
    }

    private static func wallMilliseconds() -> Int64 {
        var now = timespec()
        _ = clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec) &* 1000 &+ Int64(now.tv_nsec) / 1_000_000
    }

    // MARK: Files

    private func release(_ slots: [DiskSlot]) {
        for slot in slots {
            names.subtract(slot.byteCount, zone: slot.zone)
            _ = space.debit(slot)
        }
    }

    /// Removes a file. Who reads it goes on.
    func dropUnit(_ number: UInt32) {
        guard let unit = space.unit(number) else { return }
        directory.remove(unit.isLarge ? .large(number) : .segment(number))
        segments.withLock { $0[number] = nil }
        space.remove(number)
    }

    /// Removes a file to which nothing leads any more.
    func dropIfEmpty(_ number: UInt32) {
        guard let unit = space.unit(number), unit.live == 0, !unit.isOpen else { return }
        dropUnit(number)
    }

    // MARK: A zone's own bound

    /// Brings a zone a tenth below its bound: its objects in the oldest files go. On the keeper's thread.
    func trim(_ zone: UInt32) {
        let quota = names.quota(zone)
        guard let bytesMax = quota.bytesMax, quota.bytes > bytesMax / 10 * 9 else { return }
        var bytesByUnit: [UInt32: UInt64] = [:]
        for shard in 0..<DiskIndex.shardCount {
            index.forEach(shard: shard) { if $0.zone == zone { bytesByUnit[$0.unit, default: 0] += $0.byteCount } }
        }
        var surplus = Int64(clamping: quota.bytes) - Int64(clamping: bytesMax / 10 * 9)
        var limit: UInt32 = 0
        for (unit, bytes) in bytesByUnit.sorted(by: { $0.key < $1.key }) where surplus > 0 {
            limit = unit
            surplus -= Int64(clamping: bytes)
        }
        for shard in 0..<DiskIndex.shardCount {
            let removed = index.scan(shard: shard, journal: journal) { slot in
                slot.zone == zone && slot.unit <= limit ? .remove : .keep
            }
            counters.add { $0.evicted += UInt64(removed.count) }
            forget(removed)
        }
        journal.flush()
    }
}
