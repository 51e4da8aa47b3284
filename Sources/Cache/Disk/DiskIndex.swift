// The index of everything on the disk: open addressing with linear probing, split into shards of a lock each. A byte
// of the hash for each slot tells most misses without touching the slot, so that tables may be filled to seven eighths;
// they grow by a quarter, not to the double, because a million objects are to take less than 100 MB at any moment.
//
// The journal's record of a change is queued under the lock of the shard that it changes: so the journal has the
// changes of one key in the order they happened, which is what lets a checkpoint be taken shard by shard.

import Limits
import Synchronization

/// The table of all slots.
final class DiskIndex: Sendable {
    static let shardCount = 1024
    private let shards: [Shard]

    private final class Shard: Sendable {
        let table = Mutex(DiskTable())
    }

    init() { shards = (0..<Self.shardCount).map { _ in Shard() } }

    private func shard(_ low: UInt64) -> Shard { shards[Int(truncatingIfNeeded: low) & (Self.shardCount - 1)] }

    /// Objects in it.
    var count: Int { shards.reduce(0) { total, shard in total + shard.table.withLock { $0.count } } }

    /// Every variant of a key, in no order.
    func variants(_ hash: KeyHash) -> [DiskSlot] {
        shard(hash.low).table.withLock { table in
            var found: [DiskSlot] = []
            table.forEach(hash) { found.append($0) }
            return found
        }
    }

    /// Puts a slot in place of the same variant's, if there is one.
    ///
    /// - Returns: What it displaced: that variant, and the oldest ones where there were too many.
    func put(_ slot: DiskSlot, journal: DiskJournal?) -> [DiskSlot] {
        shard(slot.low).table.withLock { table in
            var displaced: [DiskSlot] = []
            let hash = KeyHash(high: slot.high, low: slot.low)
            table.removeAll(hash) { other in
                guard other.isVariant(of: slot) else { return false }
                displaced.append(other)
                return true
            }
            Self.makeRoom(hash, &table, &displaced)
            table.insert(slot)
            if let journal {
                for old in displaced { journal.delete(old) }
                journal.put(slot)
            }
            return displaced
        }
    }

    private static func makeRoom(_ hash: KeyHash, _ table: inout DiskTable, _ displaced: inout [DiskSlot]) {
        var count = 0
        var oldest: DiskSlot?
        table.forEach(hash) { slot in
            count += 1
            if oldest.map({ slot.unit < $0.unit || slot.unit == $0.unit && slot.offset < $0.offset }) ?? true {
                oldest = slot
            }
        }
        guard count >= Limits.cacheVariantsMax, let oldest else { return }
        table.removeAll(hash) { $0.place == oldest.place }
        displaced.append(oldest)
    }

    /// Removes the variants of a key that `isWanted` names.
    func remove(_ hash: KeyHash, journal: DiskJournal?, where isWanted: (DiskSlot) -> Bool) -> [DiskSlot] {
        shard(hash.low).table.withLock { table in
            var removed: [DiskSlot] = []
            table.removeAll(hash) { slot in
                guard isWanted(slot) else { return false }
                removed.append(slot)
                return true
            }
            if let journal { for slot in removed { journal.delete(slot) } }
            return removed
        }
    }

    /// Changes the slot at a place, if it is still there. Marks and uses are not journaled unless asked for.
    func update(
        _ old: DiskSlot, journal: DiskJournal? = nil, _ change: (inout DiskSlot) -> Void
    ) -> Bool {
        shard(old.low).table.withLock { table in
            var isFound = false
            table.change(KeyHash(high: old.high, low: old.low)) { slot in
                guard slot.place == old.place, !isFound else { return }
                change(&slot)
                isFound = true
                journal?.put(slot)
            }
            return isFound
        }
    }

    enum Fate {
        case keep
        case remove
        /// Keep what `decide` made of it, and journal that.
        case change
    }

    /// Looks at every slot of one shard.
    ///
    /// - Returns: What was removed.
    func scan(
        shard number: Int, journal: DiskJournal?, _ decide: (inout DiskSlot) -> Fate
    ) -> [DiskSlot] {
        guard shards.indices.contains(number) else { return [] }
        return shards[number].table.withLock { table in
            var removed: [DiskSlot] = []
            table.scan { slot in
                switch decide(&slot) {
                case .keep: return false
                case .change:
                    journal?.put(slot)
                    return false
                case .remove:
                    removed.append(slot)
                    journal?.delete(slot)
                    return true
                }
            }
            return removed
        }
    }

    /// Every slot of one shard, each once.
    func forEach(shard number: Int, _ body: (DiskSlot) -> Void) {
        guard shards.indices.contains(number) else { return }
        shards[number].table.withLock { table in
            table.scan { slot in
                body(slot)
                return false
            }
        }
    }
}

/// One shard's table. Slots and their bytes of hash stand in two runs of memory; a byte of 0 is an empty slot.
struct DiskTable: ~Copyable, @unchecked Sendable {
    // Unchecked: it owns its memory, cannot be copied, and is only touched under its shard's lock.
    private var slots: UnsafeMutablePointer<DiskSlot>?
    private var prints: UnsafeMutablePointer<UInt8>?
    private var capacity = 0
    private(set) var count = 0

    init() {}

    deinit {
        slots?.deallocate()
        prints?.deallocate()
    }

    // The upper bits choose the first slot, other ones the byte: the lowest chose the shard.
    private func home(_ high: UInt64) -> Int {
        Int(truncatingIfNeeded: high.multipliedFullWidth(by: UInt64(capacity)).high)
    }

    private static func print(_ low: UInt64) -> UInt8 { max(1, UInt8(truncatingIfNeeded: low >> 10)) }

    private func after(_ index: Int) -> Int { index + 1 == capacity ? 0 : index + 1 }

    /// Calls `body` with the number of each slot under the hash. Ends at the first empty slot, of which there are some.
    private func probe(_ hash: KeyHash, _ body: (Int, UnsafeMutablePointer<DiskSlot>) -> Bool) {
        guard let slots, let prints, count > 0 else { return }
        let print = Self.print(hash.low)
        var index = home(hash.high)
        while prints[index] != 0 {
            if prints[index] == print, slots[index].high == hash.high, slots[index].low == hash.low {
                guard body(index, slots + index) else { return }
            }
            index = after(index)
        }
    }

    func forEach(_ hash: KeyHash, _ body: (DiskSlot) -> Void) {
        probe(hash) { _, slot in
            body(slot.pointee)
            return true
        }
    }

    /// `body` must leave the hash as it is.
    mutating func change(_ hash: KeyHash, _ body: (inout DiskSlot) -> Void) {
        probe(hash) { _, slot in
            body(&slot.pointee)
            return true
        }
    }

    mutating func insert(_ slot: DiskSlot) {
        if count + 1 > capacity / 8 * 7 { grow() }
        place(slot)
        count += 1
    }

    private func place(_ slot: DiskSlot) {
        guard let slots, let prints else { return }
        var index = home(slot.high)
        while prints[index] != 0 { index = after(index) }
        prints[index] = Self.print(slot.low)
        (slots + index).initialize(to: slot)
    }

    private mutating func grow() {
        let (oldSlots, oldPrints, oldCapacity) = (slots, prints, capacity)
        capacity = max(16, (oldCapacity + oldCapacity / 4) / 8 * 8 + 8)
        slots = .allocate(capacity: capacity)
        let newPrints = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        newPrints.initialize(repeating: 0, count: capacity)
        prints = newPrints
        guard let oldSlots, let oldPrints else { return }
        for index in 0..<oldCapacity where oldPrints[index] != 0 { place(oldSlots[index]) }
        oldSlots.deallocate()
        oldPrints.deallocate()
    }

    mutating func removeAll(_ hash: KeyHash, where isWanted: (DiskSlot) -> Bool) {
        // A removal moves what follows, so the search begins anew; keys have few variants.
        while true {
            var found: Int?
            probe(hash) { index, slot in
                guard isWanted(slot.pointee) else { return true }
                found = index
                return false
            }
            guard let found else { return }
            remove(at: found)
        }
    }

    /// Calls `isRemoved` with every slot, some of them perhaps twice.
    mutating func scan(_ isRemoved: (inout DiskSlot) -> Bool) {
        guard let slots, let prints else { return }
        var index = 0
        while index < capacity {
            guard prints[index] != 0, isRemoved(&slots[index]) else {
                index += 1
                continue
            }
            // Another slot may have come in its place.
            remove(at: index)
        }
    }

    /// Closes the gap: every slot behind it that would no longer be found moves up.
    private mutating func remove(at removed: Int) {
        guard let slots, let prints else { return }
        var gap = removed
        var index = after(gap)
        while prints[index] != 0 {
            let home = home(slots[index].high)
            let isReachable = gap < index ? home > gap && home <= index : home > gap || home <= index
            if !isReachable {
                prints[gap] = prints[index]
                slots[gap] = slots[index]
                gap = index
            }
            index = after(index)
        }
        prints[gap] = 0
        count -= 1
    }
}
