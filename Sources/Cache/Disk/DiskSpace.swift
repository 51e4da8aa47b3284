// Which files there are, how large they are, how much of them can still be found, and in which order they go.
// A unit is a file: a segment of many small objects, or one large object.

import Synchronization

/// The accounts of the disk's space.
final class DiskSpace: Sendable {
    struct Unit: Sendable {
        let isLarge: Bool
        /// Bytes of the file.
        var bytes: UInt64 = 0
        /// Bytes of it that the index refers to.
        var live: UInt64 = 0
        /// Being written: not to be reclaimed.
        var isOpen = true
        /// Where the index has a large object.
        var hash: KeyHash?
        fileprivate var order: UInt64 = 0
    }

    private struct State {
        var units: [UInt32: Unit] = [:]
        /// Oldest first. An entry whose order is not its unit's any more is void.
        var queue: ContiguousArray<(number: UInt32, order: UInt64)> = []
        var queueStart = 0
        var nextOrder: UInt64 = 0
        var nextNumber: UInt32
        var bytes: UInt64 = 0
        var live: UInt64 = 0
        var largeObjects = 0
        var indexBytes: UInt64 = 0
        var bytesMax: UInt64
    }

    private let state: Mutex<State>

    init(bytesMax: UInt64, nextNumber: UInt32) {
        state = Mutex(State(nextNumber: nextNumber, bytesMax: bytesMax))
    }

    var bytesMax: UInt64 { state.withLock { $0.bytesMax } }
    func setBytesMax(_ bytes: UInt64) { state.withLock { $0.bytesMax = bytes } }
    /// Journals and checkpoints.
    func setIndexBytes(_ bytes: UInt64) { state.withLock { $0.indexBytes = bytes } }
    var nextNumber: UInt32 { state.withLock { $0.nextNumber } }

    var totals: (bytes: UInt64, live: UInt64, largeObjects: Int) {
        state.withLock { ($0.bytes + $0.indexBytes, $0.live, $0.largeObjects) }
    }

    /// Bytes that may still be written before something must go; negative: that must go now.
    var room: Int64 {
        state.withLock { Int64(clamping: $0.bytesMax) - Int64(clamping: $0.bytes + $0.indexBytes) }
    }

    // MARK: Units

    /// A number for a new file; nil once all were used.
    func newUnit(isLarge: Bool) -> UInt32? {
        state.withLock { state in
            guard state.nextNumber < .max else { return nil }
            let number = state.nextNumber
            state.nextNumber += 1
            Self.enter(number, Unit(isLarge: isLarge), &state)
            return number
        }
    }

    /// A file that was found at the start.
    func restore(_ number: UInt32, isLarge: Bool, bytes: UInt64) {
        state.withLock { state in
            Self.enter(number, Unit(isLarge: isLarge, bytes: bytes, isOpen: false), &state)
            state.bytes += bytes
        }
    }

    private static func enter(_ number: UInt32, _ unit: Unit, _ state: inout State) {
        var unit = unit
        unit.order = state.nextOrder
        state.units[number] = unit
        state.queue.append((number, unit.order))
        state.nextOrder += 1
    }

    func grow(_ number: UInt32, by bytes: UInt64) {
        state.withLock { state in
            guard state.units[number] != nil else { return }
            state.units[number]?.bytes += bytes
            state.bytes += bytes
        }
    }

    /// Nothing more is written to it.
    func finish(_ number: UInt32) { state.withLock { $0.units[number]?.isOpen = false } }

    /// The file is gone.
    func remove(_ number: UInt32) {
        state.withLock { state in
            guard let unit = state.units.removeValue(forKey: number) else { return }
            state.bytes -= min(state.bytes, unit.bytes)
        }
    }

    func unit(_ number: UInt32) -> Unit? { state.withLock { $0.units[number] } }

    // MARK: Order

    /// The unit that is to go next.
    func oldest() -> UInt32? {
        state.withLock { state in
            var index = state.queueStart
            var oldest: UInt32?
            while index < state.queue.count {
                let entry = state.queue[index]
                guard let unit = state.units[entry.number], unit.order == entry.order else {
                    if index == state.queueStart { state.queueStart += 1 }
                    index += 1
                    continue
                }
                if !unit.isOpen {
                    oldest = entry.number
                    break
                }
                index += 1
            }
            if state.queueStart > 1024, state.queueStart > state.queue.count / 2 {
                state.queue.removeFirst(state.queueStart)
                state.queueStart = 0
            }
            return oldest
        }
    }

    /// Spares a unit: it is the youngest again.
    func requeue(_ number: UInt32) {
        state.withLock { state in
            guard state.units[number] != nil else { return }
            state.units[number]?.order = state.nextOrder
            state.queue.append((number, state.nextOrder))
            state.nextOrder += 1
        }
    }

    // MARK: What can be found

    func credit(_ slot: DiskSlot) {
        state.withLock { state in
            state.units[slot.unit]?.live += slot.byteCount
            state.live += slot.byteCount
            guard slot.isLarge else { return }
            state.largeObjects += 1
            state.units[slot.unit]?.hash = KeyHash(high: slot.high, low: slot.low)
        }
    }

    /// - Returns: Whether nothing in the file can be found any more, and nothing is written to it.
    func debit(_ slot: DiskSlot) -> Bool {
        state.withLock { state in
            state.live -= min(state.live, slot.byteCount)
            if slot.isLarge { state.largeObjects -= 1 }
            guard var unit = state.units[slot.unit] else { return false }
            unit.live -= min(unit.live, slot.byteCount)
            state.units[slot.unit] = unit
            return unit.live == 0 && !unit.isOpen
        }
    }
}
