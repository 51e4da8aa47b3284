internal import Limits
internal import Synchronization

/// One zone's part of the store: its queues and what they add up to. The rules are in `MemoryStore+Eviction.swift`.
final class MemoryZone: Sendable {
    let tag: ZoneTag
    let queues = Mutex(ZoneQueues())

    /// What it is charged with, and what inserts under way have reserved.
    let bytes = Atomic<Int>(MemoryZone.ownBytes)
    let objects = Atomic<Int>(0)
    let responses = Atomic<Int>(0)
    let evictions = Atomic<UInt64>(0)
    /// The store's minute when it was last looked up in or added to.
    let lastUsed: Atomic<UInt32>
    /// Its class in `ZoneRanking`, to be read without that one's lock.
    let rank = Atomic<Int>(-1)
    /// Its place there. Guarded by the ranking's lock, which every access holds.
    nonisolated(unsafe) var position = 0

    /// This object, its lock, its place in tables.
    static let ownBytes = 448

    init(tag: ZoneTag, minute: UInt32) {
        self.tag = tag
        lastUsed = Atomic(minute)
    }

    /// What sweeps of this zone look for in the table.
    var bits: UInt16 { UInt16(truncatingIfNeeded: tag.value) }

    @inline(__always)
    func noteUse(_ minute: UInt32) {
        // Written once a minute: every core has the line, and none takes it from the others.
        if lastUsed.load(ordering: .relaxed) != minute { lastUsed.store(minute, ordering: .relaxed) }
    }

    func isIdle(_ minute: UInt32) -> Bool {
        let last = lastUsed.load(ordering: .relaxed)
        return minute > last && minute &- last > Limits.cacheZoneIdleMinutes
    }
}

/// The queues of one zone. See `MemoryStore+Eviction.swift`.
struct ZoneQueues {
    var small = HashQueue()
    var main = HashQueue()
    var ghosts = GhostTable()
    /// Bytes of the objects in each queue.
    var smallBytes = 0
    var mainBytes = 0
    /// Of the last entry; wraps round.
    var stamp: UInt32 = 0
    /// Items in the queues whose entries are gone.
    var dead = 0
    /// Bytes of the queues themselves that the zone was last charged with.
    var chargedBytes = 0
    /// No longer the store's zone of this tag.
    var isRetired = false

    var ownBytes: Int { small.memoryBytes &+ main.memoryBytes &+ ghosts.memoryBytes }
    var objectBytes: Int { smallBytes &+ mainBytes }
    /// As many as there are objects: were it as many as are in the main queue now, a main queue that has run empty could
    /// not fill again.
    var ghostWindow: Int { max(Limits.cacheGhostsMin, small.count &+ main.count &- dead) }

    mutating func push(_ item: QueueItem, to queue: QueueKind, bytes: Int) {
        switch queue {
        case .small: small.push(item)
        case .main: main.push(item)
        }
        charge(queue, bytes)
    }

    mutating func charge(_ queue: QueueKind, _ bytes: Int) {
        switch queue {
        case .small: smallBytes &+= bytes
        case .main: mainBytes &+= bytes
        }
    }
}
