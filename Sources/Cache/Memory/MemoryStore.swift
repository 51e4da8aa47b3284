// The cache in memory: one for the process, used by all event loops and by threads beside them; it outlives
// configurations.
//
//     hash ──▶ shard (lock, table of slots) ──▶ StoredObject ──▶ variants
//                        ▲
//     zone ──▶ MemoryZone (lock, queues of hashes, ghosts) ──▶ which object is to go
//     zones by size ──▶ ZoneRanking (lock) ──▶ whose object is to go
//
// A lookup takes one shard's lock for some tens of nanoseconds, compares two words, counts the use in the slot and
// retains the object; the key's bytes are compared when the lock is free again. It moves nothing and writes to nothing
// that other shards' users read. Everything else takes the zone's lock first and a shard's within it, never two
// shards', and runs nobody else's code under either. Objects are released, and hooks called, when no lock is held.
//
// The bound is on everything: objects with their buffers as the allocator rounds them, tables, queues, ghosts. An insert
// reserves its bytes first and makes room until they fit, so the bound holds at every moment.

internal import Limits
internal import Synchronization

package final class MemoryStore: Sendable {
    private let limit: Atomic<Int>
    /// What everything takes, and what inserts under way have reserved.
    let total = Atomic<Int>(0)
    /// Of that, the shards' tables.
    private let tableBytes = Atomic<Int>(0)
    private let refusals = Atomic<UInt64>(0)
    let evictions = Atomic<UInt64>(0)
    /// Minutes of the wall clock, as inserts tell it; never goes back.
    let minute = Atomic<UInt32>(0)

    // Guarded by the lock that each shard has; the pointer itself never changes.
    nonisolated(unsafe) private let shards: UnsafeMutableRawPointer
    let shardCount: Int
    private let shardShift: UInt64

    private let zones = Mutex<[ZoneTag: MemoryZone]>([:])
    let ranking = Mutex(ZoneRanking())
    private let hook = Mutex(Hook())

    /// A closure read out of a `Mutex` by itself is stored back wrapped once more each time: each call would be slower than
    /// the last. In a structure it is not.
    private struct Hook {
        var call: (@Sendable (StoredObject, Bool) -> Void)?
    }

    /// - Parameter bytesMax: the most bytes it takes, all told.
    package init(bytesMax: Int) {
        limit = Atomic(max(bytesMax, 0))
        var bits: UInt64 = 4
        while bits < Limits.cacheMemoryShardBitsMax, bytesMax >> Int(bits) > Limits.cacheMemoryBytesPerShard {
            bits &+= 1
        }
        shardCount = 1 &<< Int(bits)
        shardShift = 64 &- bits
        shards = UnsafeMutableRawPointer.allocate(
            byteCount: shardCount &* MemoryShard.stride, alignment: MemoryShard.stride)
        for index in 0..<shardCount {
            let shard = MemoryShard(shards, at: index)
            shard.create()
            chargeTable(shard.table.pointee.bytes &+ MemoryShard.stride)
        }
    }

    deinit {
        for index in 0..<shardCount { MemoryShard(shards, at: index).destroy() }
        shards.deallocate()
    }

    /// The most bytes it takes.
    package var bytesMax: Int { limit.load(ordering: .relaxed) }

    /// Changes the bound and evicts down to it before it returns: for a thread beside the loops.
    package func setBytesMax(_ bytes: Int) {
        limit.store(max(bytes, 0), ordering: .relaxed)
        makeRoom(evictionsMax: .max)
    }

    /// Called with each object that was evicted for want of space, and whether it had been looked up often enough to be
    /// worth keeping elsewhere; on the inserting thread, no lock held. Not for what was purged, replaced or removed.
    package func onEviction(_ hook: @escaping @Sendable (_ object: StoredObject, _ wasHot: Bool) -> Void) {
        self.hook.withLock { $0.call = hook }
    }

    var evictionHook: (@Sendable (StoredObject, Bool) -> Void)? { hook.withLock { $0.call } }

    // MARK: Looking up

    /// The object under a key; nil if there is none. Counts as a use of it.
    package func object(_ hash: KeyHash, _ key: UnsafeRawBufferPointer) -> StoredObject? {
        let shard = MemoryShard(shards, at: shardIndex(hash.low))
        shard.lock.pointee.lock()
        guard let slot = shard.table.pointee.slot(hash.low, hash.high) else {
            shard.lock.pointee.unlock()
            return nil
        }
        if slot.pointee.uses < MemorySlot.usesMax { slot.pointee.uses &+= 1 }
        let object = slot.pointee.object?.takeUnretainedValue()
        shard.lock.pointee.unlock()
        // What another key with this hash has is none of this request's business.
        guard let object, object.isNamed(key) else { return nil }
        object.room.noteUse(minute.load(ordering: .relaxed))
        return object
    }

    /// The same without counting it as a use.
    package func peek(_ hash: KeyHash, _ key: UnsafeRawBufferPointer) -> StoredObject? {
        guard let object = entry(hash), object.isNamed(key) else { return nil }
        return object
    }

    func entry(_ hash: KeyHash) -> StoredObject? {
        withShard(hash.low) { $0.slot(hash.low, hash.high)?.pointee.object?.takeUnretainedValue() }
    }

    // MARK: Shards

    @inline(__always)
    func shardIndex(_ low: UInt64) -> Int { Int(truncatingIfNeeded: low &>> shardShift) }

    /// Runs `body` on the table of the hash's shard, under its lock.
    @inline(__always)
    func withShard<Result>(_ low: UInt64, _ body: (inout MemoryTable) -> Result) -> Result {
        withShard(at: shardIndex(low), body)
    }

    @inline(__always)
    func withShard<Result>(at index: Int, _ body: (inout MemoryTable) -> Result) -> Result {
        let shard = MemoryShard(shards, at: index)
        shard.lock.pointee.lock()
        defer { shard.lock.pointee.unlock() }
        return body(&shard.table.pointee)
    }

    func chargeTable(_ bytes: Int) {
        guard bytes != 0 else { return }
        total.add(bytes, ordering: .relaxed)
        tableBytes.add(bytes, ordering: .relaxed)
    }

    // MARK: Zones

    /// The zone of a tag, made if need be.
    func room(_ tag: ZoneTag) -> MemoryZone {
        let now = minute.load(ordering: .relaxed)
        let (zone, isNew) = zones.withLock { zones -> (MemoryZone, Bool) in
            if let zone = zones[tag] { return (zone, false) }
            let zone = MemoryZone(tag: tag, minute: now)
            zones[tag] = zone
            return (zone, true)
        }
        if isNew {
            total.add(MemoryZone.ownBytes, ordering: .relaxed)
            ranking.withLock { $0.add(zone) }
        }
        return zone
    }

    func existingRoom(_ tag: ZoneTag) -> MemoryZone? { zones.withLock { $0[tag] } }

    /// Forgets a zone that has nothing and is idle.
    func retire(_ zone: MemoryZone) {
        let isRetired = zone.queues.withLock { queues in
            guard !queues.isRetired, queues.objectBytes == 0, zone.objects.load(ordering: .relaxed) == 0 else {
                return false
            }
            queues.small.clear()
            queues.main.clear()
            queues.ghosts.clear()
            queues.dead = 0
            settleQueueBytes(zone, &queues)
            queues.isRetired = true
            return true
        }
        guard isRetired else { return }
        ranking.withLock { $0.remove(zone) }
        zones.withLock { zones in
            if zones[zone.tag] === zone { zones[zone.tag] = nil }
        }
        total.subtract(MemoryZone.ownBytes, ordering: .relaxed)
    }

    /// Changes what a zone is charged with.
    @inline(__always)
    func charge(_ zone: MemoryZone, _ bytes: Int) {
        zone.bytes.add(bytes, ordering: .relaxed)
        total.add(bytes, ordering: .relaxed)
    }

    /// Charges a zone with what its queues have grown by. Under its lock.
    func settleQueueBytes(_ zone: MemoryZone, _ queues: inout ZoneQueues) {
        let bytes = queues.ownBytes
        guard bytes != queues.chargedBytes else { return }
        charge(zone, bytes &- queues.chargedBytes)
        queues.chargedBytes = bytes
    }

    func settleRank(_ zone: MemoryZone) {
        guard ZoneRanking.isMisplaced(zone) else { return }
        ranking.withLock { $0.settle(zone) }
    }

    func refuse() -> Bool {
        refusals.add(1, ordering: .relaxed)
        return false
    }

    // MARK: Statistics

    package func statistics() -> MemoryStatistics {
        var statistics = MemoryStatistics()
        statistics.bytes = total.load(ordering: .relaxed)
        statistics.bytesMax = bytesMax
        statistics.tableBytes = tableBytes.load(ordering: .relaxed)
        statistics.evictions = evictions.load(ordering: .relaxed)
        statistics.refusals = refusals.load(ordering: .relaxed)
        let all = zones.withLock { Array($0.values) }
        statistics.zones = all.count
        for zone in all {
            statistics.objects &+= zone.objects.load(ordering: .relaxed)
            statistics.responses &+= zone.responses.load(ordering: .relaxed)
        }
        return statistics
    }

    /// nil for a zone that has nothing here.
    package func statistics(of tag: ZoneTag) -> MemoryZoneStatistics? {
        existingRoom(tag).map(MemoryZoneStatistics.init)
    }

    package func statisticsByZone() -> [(zone: ZoneTag, statistics: MemoryZoneStatistics)] {
        zones.withLock { Array($0.values) }.map { ($0.tag, MemoryZoneStatistics($0)) }
    }
}

/// What is in the memory store, at one moment or nearly so.
package struct MemoryStatistics: Sendable, Equatable {
    /// All that it takes, and the most that it may take.
    package var bytes = 0
    package var bytesMax = 0
    /// Of `bytes`, what the tables take.
    package var tableBytes = 0
    /// Keys, and variants under them.
    package var objects = 0
    package var responses = 0
    package var zones = 0
    /// Objects evicted for want of space, and responses too large to be taken, since the start.
    package var evictions: UInt64 = 0
    package var refusals: UInt64 = 0
}

/// The same of one zone.
package struct MemoryZoneStatistics: Sendable, Equatable {
    package var bytes: Int
    package var objects: Int
    package var responses: Int
    package var evictions: UInt64

    init(_ zone: MemoryZone) {
        bytes = zone.bytes.load(ordering: .relaxed)
        objects = zone.objects.load(ordering: .relaxed)
        responses = zone.responses.load(ordering: .relaxed)
        evictions = zone.evictions.load(ordering: .relaxed)
    }
}
