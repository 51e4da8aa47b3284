/// What stands in a queue for an entry of the table: its hash's lower half and its stamp. An entry that is gone leaves
/// its item behind; whoever comes upon it finds no such stamp and goes on.
struct QueueItem {
    var low: UInt64
    var stamp: UInt32
}

/// First in, first out, in a ring that grows and shrinks with what is in it.
struct HashQueue {
    private var ring: [QueueItem] = []
    private var head = 0
    private(set) var count = 0

    private static let capacityMin = 8

    /// Bytes of memory it takes.
    var memoryBytes: Int { ring.count &* MemoryLayout<QueueItem>.stride }

    mutating func push(_ item: QueueItem) {
        if count == ring.count { resize(max(Self.capacityMin, ring.count &* 2)) }
        ring[(head &+ count) & (ring.count &- 1)] = item
        count &+= 1
    }

    mutating func pop() -> QueueItem? {
        guard count > 0 else { return nil }
        let item = ring[head]
        head = (head &+ 1) & (ring.count &- 1)
        count &-= 1
        if count == 0 {
            clear()
        } else if count &* 4 < ring.count, ring.count > Self.capacityMin {
            resize(ring.count / 2)
        }
        return item
    }

    /// Empties it and gives its memory back.
    mutating func clear() { self = HashQueue() }

    /// The lower halves of all items' hashes, in order.
    func collect(into lows: inout [UInt64]) {
        for offset in 0..<count { lows.append(ring[(head &+ offset) & (ring.count &- 1)].low) }
    }

    private mutating func resize(_ capacity: Int) {
        var next = [QueueItem](repeating: QueueItem(low: 0, stamp: 0), count: capacity)
        for offset in 0..<count { next[offset] = ring[(head &+ offset) & (ring.count &- 1)] }
        ring = next
        head = 0
    }
}
