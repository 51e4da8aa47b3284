// A bounded table of what was looked up: sets of eight slots, chosen by the key.
//
// Who is new comes into one of two slots on trial, and the next two who are new push it out. Who is asked for there
// again challenges the least used of the other six: it takes its place if it was asked for more often, and otherwise
// the other one's count goes down by one. So a flood of names that are each asked for once passes through two slots of
// eight, and never touches what is used.

/// What a set may throw out.
protocol Kept: Sendable {
    /// Whether it was used past the table since this was last asked.
    func takeUse() -> Bool
}

extension ZoneID: Kept {
    func takeUse() -> Bool { false }
}

extension ZoneCell: Kept {}

/// Knowing that there is nothing.
struct Nothing: Kept {
    func takeUse() -> Bool { false }
}

struct KeptSets<Value: Kept>: Sendable {
    private struct Slot {
        var stamp: UInt32 = 0
        var count: UInt8 = 0
        /// Not thrown out for a newcomer.
        var isPinned = false
        var value: Value?
    }

    private static var ways: Int { 8 }
    private static var trialWays: Int { 2 }
    private static var countMax: UInt8 { 15 }

    /// Apart from the slots, so that a probe reads two lines of memory. Zero for an empty slot, and perhaps for a used
    /// one.
    private var keys: [HostKey]
    private var slots: [Slot]
    private let setMask: Int
    private(set) var used = 0

    /// - Parameter capacity: rounded up to a power of two.
    init(capacity: Int) {
        var sets = 1
        while sets * Self.ways < capacity { sets *= 2 }
        setMask = sets - 1
        keys = [HostKey](repeating: HostKey(first: 0, second: 0), count: sets * Self.ways)
        slots = [Slot](repeating: Slot(), count: sets * Self.ways)
    }

    private func base(_ key: HostKey) -> Int {
        Int(truncatingIfNeeded: (key.second &* 0x9E37_79B9_7F4A_7C15) >> 20) & setMask &* Self.ways
    }

    private func index(_ key: HostKey) -> Int? {
        let base = base(key)
        for index in base..<base &+ Self.ways where keys[index] == key && slots[index].value != nil {
            return index
        }
        return nil
    }

    /// The value under a key if it was stored with this stamp. Counts as a use.
    mutating func find(_ key: HostKey, stamp: UInt32 = 0) -> Value? {
        guard let index = index(key), slots[index].stamp == stamp else { return nil }
        let value = slots[index].value
        if slots[index].count < Self.countMax { slots[index].count &+= 1 }
        let base = base(key)
        if index &- base >= Self.ways &- Self.trialWays { challenge(index, base) }
        return value
    }

    /// The value, without counting.
    func peek(_ key: HostKey) -> Value? { index(key).flatMap { index in slots[index].value } }

    /// Stores a value.
    /// - Returns: what was under that key, or had to go for it.
    mutating func store(_ key: HostKey, stamp: UInt32 = 0, _ value: Value, isPinned: Bool = false) -> Value? {
        if let index = index(key) {
            let old = slots[index].value
            slots[index].value = value
            slots[index].stamp = stamp
            slots[index].isPinned = isPinned
            return old
        }
        used &+= 1
        let base = base(key)
        let newcomer = Slot(stamp: stamp, count: 0, isPinned: isPinned, value: value)
        if let free = (base..<base &+ Self.ways).first(where: { index in slots[index].value == nil }) {
            keys[free] = key
            slots[free] = newcomer
            return nil
        }
        used &-= 1
        let trials = base &+ Self.ways &- Self.trialWays..<base &+ Self.ways
        // The older one on trial goes, unless it is pinned and the younger is not.
        let goes = trials.first { index in !slots[index].isPinned } ?? trials.lowerBound
        let gone = slots[goes].value
        for index in goes..<trials.upperBound &- 1 { exchange(index, index &+ 1) }
        keys[trials.upperBound &- 1] = key
        slots[trials.upperBound &- 1] = newcomer
        return gone
    }

    mutating func remove(_ key: HostKey) -> Value? {
        guard let index = index(key) else { return nil }
        let old = slots[index].value
        keys[index] = HostKey(first: 0, second: 0)
        slots[index] = Slot()
        used &-= 1
        return old
    }

    func forEach(_ body: (Value) -> Void) {
        for slot in slots { if let value = slot.value { body(value) } }
    }

    private mutating func exchange(_ one: Int, _ other: Int) {
        keys.swapAt(one, other)
        slots.swapAt(one, other)
    }

    /// One on trial was asked for again.
    private mutating func challenge(_ index: Int, _ base: Int) {
        var weakest = base
        for other in base..<base &+ Self.ways &- Self.trialWays {
            guard let value = slots[other].value else {
                exchange(index, other)
                return
            }
            if value.takeUse(), slots[other].count < Self.countMax { slots[other].count &+= 1 }
            if slots[weakest].isPinned || !slots[other].isPinned && slots[other].count < slots[weakest].count {
                weakest = other
            }
        }
        guard !slots[weakest].isPinned else { return }
        if slots[index].count > slots[weakest].count {
            exchange(index, weakest)
            // It begins its new trial where everybody begins.
            slots[index].count = 0
        } else if slots[weakest].count > 0 {
            slots[weakest].count &-= 1
        }
    }
}
