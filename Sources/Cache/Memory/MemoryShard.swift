// One of the parts that the store's table is cut into, so that event loops seldom wait for each other: a lock of its own
// and an open-addressing table. The hash's upper bits choose the shard, its lower ones the slot.
//
//     slot, 32 bytes: │ hash low 8 │ hash high 8 │ object 8 │ stamp 4 │ uses 1 │ queue 1 │ zone's bits 2 │
//
// Linear probing, at most three quarters full. Removal moves what follows back by one, so that there are no tombstones
// and a table that is filled and emptied for months is as quick as a new one.
//
// What a slot's fields say may be changed under the shard's lock alone for `uses`, and for everything else under the
// lock of the object's zone as well. The order is always: zone, then shard.

internal import Limits
internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#endif

/// Where an object stands in its zone's queues.
enum QueueKind: UInt8 {
    case small
    case main
}

struct MemorySlot {
    var low: UInt64
    var high: UInt64
    /// Retained by the table; nil: the slot is free.
    var object: Unmanaged<StoredObject>?
    /// Together with `low` tells the queues' item that stands for this entry from those of its predecessors.
    var stamp: UInt32
    /// Lookups since it was queued, up to `usesMax`.
    var uses: UInt8
    var queue: QueueKind
    /// The lower bits of its zone's tag: a sweep of one zone leaves the others' objects untouched.
    var zoneBits: UInt16

    static let free = MemorySlot(low: 0, high: 0, object: nil, stamp: 0, uses: 0, queue: .small, zoneBits: 0)
    static let usesMax: UInt8 = 3
}

/// A lock for some tens of nanoseconds.
///
/// Measured, ns for locking and unlocking, one thread and two threads at one lock: this 6 and 24, `Mutex` 11 and 70,
/// `pthread_mutex_t` 12 and 60–100. Whoever finds it taken for longer than its holder can need gives its core away: the
/// holder was interrupted.
struct ShardLock: ~Copyable {
    private let word = Atomic<UInt32>(0)

    @inline(__always)
    borrowing func lock() {
        if word.compareExchange(expected: 0, desired: 1, successOrdering: .acquiring, failureOrdering: .relaxed)
            .exchanged
        {
            return
        }
        wait()
    }

    @inline(never)
    private borrowing func wait() {
        var looks = 0
        while true {
            if word.load(ordering: .relaxed) == 0,
                word.compareExchange(
                    expected: 0, desired: 1, successOrdering: .acquiring, failureOrdering: .relaxed
                ).exchanged
            {
                return
            }
            looks &+= 1
            if looks == Limits.cacheLockSpinsMax {
                sched_yield()
                looks = 0
            }
        }
    }

    @inline(__always)
    borrowing func unlock() { word.store(0, ordering: .releasing) }
}

/// Where a lock is, and the table that it guards: a cache line of their own, so that no two shards share one.
///
/// Two pointers into one piece of memory and not a structure of both, since whoever changes the table must not seem to be
/// changing the lock that others are waiting for.
struct MemoryShard {
    private let base: UnsafeMutableRawPointer

    static let stride = 64
    private static let tableOffset = 8

    /// The shard at a place in the memory of all.
    @inline(__always)
    init(_ memory: UnsafeMutableRawPointer, at index: Int) { base = memory + index &* Self.stride }

    @inline(__always)
    var lock: UnsafeMutablePointer<ShardLock> { base.assumingMemoryBound(to: ShardLock.self) }

    @inline(__always)
    var table: UnsafeMutablePointer<MemoryTable> {
        (base + Self.tableOffset).assumingMemoryBound(to: MemoryTable.self)
    }

    func create() {
        base.bindMemory(to: ShardLock.self, capacity: 1).initialize(to: ShardLock())
        (base + Self.tableOffset).bindMemory(to: MemoryTable.self, capacity: 1).initialize(to: MemoryTable())
    }

    func destroy() {
        table.deinitialize(count: 1)
        lock.deinitialize(count: 1)
    }
}

struct MemoryTable: ~Copyable {
    private var slots: UnsafeMutablePointer<MemorySlot>
    /// Slots, less one; their number is a power of two.
    private var mask: Int
    private(set) var count = 0

    private static let slotsMin = 8

    init() {
        slots = Self.allocate(Self.slotsMin)
        mask = Self.slotsMin &- 1
    }

    deinit {
        for index in 0...mask { slots[index].object?.release() }
        slots.deallocate()
    }

    private static func allocate(_ count: Int) -> UnsafeMutablePointer<MemorySlot> {
        // No slot lies in two cache lines.
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: count &* MemoryLayout<MemorySlot>.stride, alignment: 64)
        let slots = memory.bindMemory(to: MemorySlot.self, capacity: count)
        slots.initialize(repeating: .free, count: count)
        return slots
    }

    /// Bytes of its slots.
    var bytes: Int { (mask &+ 1) &* MemoryLayout<MemorySlot>.stride }

    // MARK: Slots

    /// The slot of this hash.
    @inline(__always)
    borrowing func slot(_ low: UInt64, _ high: UInt64) -> UnsafeMutablePointer<MemorySlot>? {
        var index = Int(truncatingIfNeeded: low) & mask
        while true {
            let slot = slots + index
            if slot.pointee.object == nil { return nil }
            if slot.pointee.low == low, slot.pointee.high == high { return slot }
            index = (index &+ 1) & mask
        }
    }

    /// The slot of the entry that a queue's item stands for, if it is still there.
    borrowing func slot(_ item: QueueItem) -> UnsafeMutablePointer<MemorySlot>? {
        var index = Int(truncatingIfNeeded: item.low) & mask
        while true {
            let slot = slots + index
            if slot.pointee.object == nil { return nil }
            if slot.pointee.low == item.low, slot.pointee.stamp == item.stamp { return slot }
            index = (index &+ 1) & mask
        }
    }

    /// Adds a slot whose hash has none. The object is retained by the caller for the table.
    mutating func add(_ slot: MemorySlot) {
        if (count &+ 1) &* 4 > (mask &+ 1) &* 3 { grow() }
        place(slot)
        count &+= 1
    }

    private mutating func place(_ slot: MemorySlot) {
        var index = Int(truncatingIfNeeded: slot.low) & mask
        while slots[index].object != nil { index = (index &+ 1) & mask }
        slots[index] = slot
    }

    private mutating func grow() {
        let old = slots
        let oldCount = mask &+ 1
        slots = Self.allocate(oldCount &* 2)
        mask = oldCount &* 2 &- 1
        for index in 0..<oldCount where old[index].object != nil { place(old[index]) }
        old.deallocate()
    }

    /// Frees a slot and returns its object, which the caller now holds. Every slot with one, and every pointer to one, is
    /// void afterwards.
    mutating func remove(_ slot: UnsafeMutablePointer<MemorySlot>) -> StoredObject? {
        let object = slot.pointee.object
        var hole = slot - slots
        var index = hole
        while true {
            index = (index &+ 1) & mask
            guard slots[index].object != nil else { break }
            // Where it would like to be; it may move back as far as that, and no further.
            let wanted = Int(truncatingIfNeeded: slots[index].low) & mask
            if (index &- wanted) & mask >= (index &- hole) & mask {
                slots[hole] = slots[index]
                hole = index
            }
        }
        slots[hole] = .free
        count &-= 1
        return object?.takeRetainedValue()
    }

    /// The hashes' lower halves of all entries, or of those of a zone (by its tag's bits), without a look at the objects.
    borrowing func collect(zoneBits: UInt16?, into lows: inout [UInt64]) {
        lows.removeAll(keepingCapacity: true)
        for index in 0...mask where slots[index].object != nil {
            if let zoneBits, slots[index].zoneBits != zoneBits { continue }
            lows.append(slots[index].low)
        }
    }

    /// Looks at the objects of these lower halves of hashes, and at what a purge asks of them, so that they are on their way
    /// from memory, all at once, when they are needed one after the other.
    borrowing func touch(_ lows: ArraySlice<UInt64>) {
        var sum: UInt64 = 0
        for low in lows { sum &+= look(low) }
        // The sum means nothing, but must be needed for something: else the compiler leaves out the looking.
        if sum == .max { sched_yield() }
    }

    @inline(__always)
    private borrowing func look(_ low: UInt64) -> UInt64 {
        var index = Int(truncatingIfNeeded: low) & mask
        while let object = slots[index].object {
            guard slots[index].low == low else {
                index = (index &+ 1) & mask
                continue
            }
            return object._withUnsafeGuaranteedRef { object in
                let newest = object.newest
                let state = UInt64(newest.diskState.load(ordering: .relaxed))
                return object.zone.value &+ newest.birth &+ (newest.tags.first ?? 0) &+ state
            }
        }
        return 0
    }

    /// The objects with this lower half of a hash, of which there is hardly ever more than one.
    borrowing func objects(low: UInt64, into found: inout [StoredObject]) {
        var index = Int(truncatingIfNeeded: low) & mask
        while let object = slots[index].object {
            if slots[index].low == low { found.append(object.takeUnretainedValue()) }
            index = (index &+ 1) & mask
        }
    }

    /// The same, held by the table alone.
    @inline(__always)
    borrowing func forEach(low: UInt64, _ body: (StoredObject) -> Void) {
        var index = Int(truncatingIfNeeded: low) & mask
        while let object = slots[index].object {
            if slots[index].low == low { object._withUnsafeGuaranteedRef(body) }
            index = (index &+ 1) & mask
        }
    }
}
