package import Limits

/// Whoever waits for something within a bound of time. One slot in its event loop's `DeadlineTable` each.
///
/// A base class rather than a protocol: the table keeps one word per waiter and calls through a vtable. Open, and so
/// public, only because Swift lets no class of another module inherit otherwise.
open class Deadlined {
    /// The slot in the table; nil while none is held.
    package final var deadlineSlot: Int?

    package init() {}

    /// The deadline set last has passed. It is unset already; set another to go on waiting.
    open func deadlinePassed() {}

    /// The process is stopping: finish what is under way, begin nothing, close what is idle.
    open func drain() {}

    /// The process stops now.
    open func cut() {}
}

/// The deadlines of one event loop.
///
/// Every request moves its connection's deadline several times, and almost none ever passes. So a deadline is one
/// word in contiguous memory, setting it is one store, and every tick the loop reads that from end to end:
/// 100,000 connections are 400 KB, some 30 µs ten times a second. Precision is one tick, always late, never early.
/// Only its event loop may touch it.
package final class DeadlineTable {
    private static let unset = UInt32.max

    /// One word for each slot, and `unset` in the room behind them. No array: before each store that would ask whether
    /// somebody else holds a copy of it.
    private var ticks: UnsafeMutableBufferPointer<UInt32>
    private var owners: ContiguousArray<Deadlined?> = []
    private var freeSlots: ContiguousArray<Int> = []
    private var currentTick: UInt32 = 0

    private static let slotsMin = 64

    package init() {
        ticks = .allocate(capacity: Self.slotsMin)
        ticks.initialize(repeating: Self.unset)
    }

    deinit { ticks.deallocate() }

    /// Gives `owner` a slot. It is held strongly until `release`.
    package func register(_ owner: Deadlined) {
        guard owner.deadlineSlot == nil else { return }
        if let slot = freeSlots.popLast() {
            owners[slot] = owner
            owner.deadlineSlot = slot
        } else {
            if owners.count == ticks.count { grow() }
            owner.deadlineSlot = owners.count
            owners.append(owner)
        }
    }

    private func grow() {
        let larger = UnsafeMutableBufferPointer<UInt32>.allocate(capacity: ticks.count * 2)
        larger.initialize(repeating: Self.unset)
        for slot in ticks.indices { larger[slot] = ticks[slot] }
        ticks.deallocate()
        ticks = larger
    }

    package func release(_ owner: Deadlined) {
        guard let slot = owner.deadlineSlot else { return }
        owner.deadlineSlot = nil
        owners[slot] = nil
        ticks[slot] = Self.unset
        freeSlots.append(slot)
    }

    /// Sets or moves the deadline.
    package func set(_ owner: Deadlined, milliseconds: Int) {
        guard let slot = owner.deadlineSlot, ticks.indices.contains(slot) else { return }
        let away = UInt32(clamping: milliseconds / Limits.deadlineTickMilliseconds)
        ticks[slot] = min(currentTick &+ min(away, 1 << 30) &+ 2, Self.unset - 1)
    }

    package func unset(_ owner: Deadlined) {
        guard let slot = owner.deadlineSlot, ticks.indices.contains(slot) else { return }
        ticks[slot] = Self.unset
    }

    /// One tick has passed: tells everyone whose deadline lies behind.
    package func tick() {
        currentTick &+= 1
        var slot = 0
        // The count is read anew each time: a deadline that passes may register or release others.
        while slot < owners.count {
            if ticks[slot] <= currentTick {
                ticks[slot] = Self.unset
                owners[slot]?.deadlinePassed()
            }
            slot += 1
        }
    }

    /// Tells everyone that the process is stopping.
    package func drainAll() {
        var slot = 0
        while slot < owners.count {
            owners[slot]?.drain()
            slot += 1
        }
    }

    /// Tells everyone that the process stops now.
    package func cutAll() {
        var slot = 0
        while slot < owners.count {
            owners[slot]?.cut()
            slot += 1
        }
    }

    /// Slots in use.
    package var count: Int { owners.count - freeSlots.count }
}
