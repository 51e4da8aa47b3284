// One stream, and the table of those that are open (RFC 9113, section 5.1).
//
// A stream lies in `rows` at its slot. `index` finds the slot by the identifier: open addressing over at least twice as
// many places as there are streams, so that a probe seldom takes a second look, and never more than there are streams.
// Nothing is allocated but when more streams are open than ever before.

/// A stream that is open, or half of it.
struct HTTP2StreamState: Sendable {
    /// 0: this row is free.
    var id: UInt32 = 0
    var flags: Flags = []
    var urgency: UInt8 = 3
    /// Where it waits for its turn; see `HTTP2Scheduler`.
    var lane = HTTP2Scheduler.noLane
    /// What we may still send. Negative after the peer made its windows smaller (RFC 9113, section 6.9.2).
    var sendWindow = 0
    /// What the peer may still send.
    var receiveWindow = 0
    /// What the shell has given back and the peer has not been told of.
    var owed = 0
    /// What of the body waits in the shell.
    var pending = 0
    /// What of the peer's body must still come by its Content-Length; -1: it has none.
    var expected = -1
    /// Neighbours in the lane; of a free row, the next one.
    var next: Int32 = -1
    var previous: Int32 = -1

    struct Flags: OptionSet, Sendable {
        let rawValue: UInt16
        /// The peer has ended its half: half-closed (remote).
        static let remoteEnded = Flags(rawValue: 1)
        /// We have ended ours: half-closed (local).
        static let localEnded = Flags(rawValue: 2)
        /// The peer's head has come; of a response, the final one.
        static let headReceived = Flags(rawValue: 4)
        /// A head of ours is out. Before that, an origin knows nothing of the stream.
        static let headSent = Flags(rawValue: 8)
        /// END_STREAM goes with the last of what is pending.
        static let ends = Flags(rawValue: 16)
        /// The request's method: its response has no body, or a tunnel's.
        static let isHead = Flags(rawValue: 32)
        static let isConnect = Flags(rawValue: 64)
        /// The head was beyond bounds or wrong: what comes of the body is thrown away.
        static let isRefused = Flags(rawValue: 128)
        static let isIncremental = Flags(rawValue: 256)
    }
}

/// The open streams of a connection.
struct HTTP2StreamTable: Sendable {
    var rows: ContiguousArray<HTTP2StreamState> = []
    private(set) var count = 0
    private var index: ContiguousArray<UInt32> = []
    /// 32 minus the logarithm of the index's size.
    private var shift: UInt32 = 32
    private var firstFree: Int32 = -1

    @inline(__always)
    private func place(of id: UInt32) -> Int {
        Int(((id &>> 1) &* 0x9E37_79B1) &>> shift)
    }

    /// The slot of stream `id`, or -1.
    @inline(__always)
    func slot(of id: UInt32) -> Int {
        guard count > 0, id != 0 else { return -1 }
        let mask = index.count &- 1
        var place = place(of: id)
        while true {
            let entry = index[place]
            if entry == 0 { return -1 }
            let slot = Int(entry) &- 1
            if rows[slot].id == id { return slot }
            place = (place &+ 1) & mask
        }
    }

    /// Whether `ref` is open.
    @inline(__always)
    func isOpen(_ ref: HTTP2StreamRef) -> Bool {
        ref.slot < rows.count && rows[ref.slot].id == ref.id && ref.id != 0
    }

    /// Takes a row for stream `id`, which is not in the table.
    @inline(__always)
    mutating func insert(_ id: UInt32) -> Int {
        if (count &+ 1) &* 2 > index.count { grow() }
        var slot = Int(firstFree)
        if slot >= 0 {
            firstFree = rows[slot].next
            rows[slot].next = -1
            rows[slot].id = id
        } else {
            slot = rows.count
            var row = HTTP2StreamState()
            row.id = id
            rows.append(row)
        }
        count &+= 1
        enter(slot)
        return slot
    }

    /// Frees a row.
    @inline(__always)
    mutating func remove(_ slot: Int) {
        leave(rows[slot].id)
        rows[slot] = HTTP2StreamState()
        rows[slot].next = firstFree
        firstFree = Int32(truncatingIfNeeded: slot)
        count &-= 1
    }

    private mutating func enter(_ slot: Int) {
        let mask = index.count &- 1
        var place = place(of: rows[slot].id)
        while index[place] != 0 { place = (place &+ 1) & mask }
        index[place] = UInt32(truncatingIfNeeded: slot &+ 1)
    }

    /// Takes an identifier out and moves those up that had to make way for it, so that no probe ends too early.
    private mutating func leave(_ id: UInt32) {
        let mask = index.count &- 1
        var hole = place(of: id)
        while index[hole] != 0, rows[Int(index[hole]) &- 1].id != id { hole = (hole &+ 1) & mask }
        guard index[hole] != 0 else { return }
        var next = (hole &+ 1) & mask
        while index[next] != 0 {
            let wanted = place(of: rows[Int(index[next]) &- 1].id)
            // The entry may move to the hole if its own place does not lie behind the hole.
            if (next &- wanted) & mask >= (next &- hole) & mask {
                index[hole] = index[next]
                hole = next
            }
            next = (next &+ 1) & mask
        }
        index[hole] = 0
    }

    @inline(never)
    private mutating func grow() {
        let size = max(8, index.count &* 2)
        index = ContiguousArray(repeating: 0, count: size)
        shift = 32 &- UInt32(truncatingIfNeeded: size.trailingZeroBitCount)
        for slot in rows.indices where rows[slot].id != 0 { enter(slot) }
    }

    /// Lets go of all memory where no stream is open.
    mutating func trim() {
        guard count == 0 else { return }
        rows = []
        index = []
        shift = 32
        firstFree = -1
    }
}

/// How the latest streams ended (RFC 9113, section 5.1): what may still be on its way for them is not an error, and what
/// cannot be is.
struct HTTP2ClosedStreams: Sendable {
    enum End: UInt32, Sendable {
        /// The peer's half ended by END_STREAM: nothing but stream management may follow it.
        case endedByPeer
        case resetByPeer
        /// We have cut the peer off: what it had already sent is thrown away.
        case resetByUs
        /// Not known any more, or not known at all.
        case forgotten
        /// Never begun: a stream of a higher number was (RFC 9113, section 5.1.1).
        case skipped
    }

    private var entries: ContiguousArray<UInt32> = []
    private var position = 0
    /// The highest identifier that is not remembered any more.
    private var forgotten: UInt32 = 0
    private let countMax: Int

    init(countMax: Int) { self.countMax = max(1, countMax) }

    @inline(__always)
    mutating func note(_ id: UInt32, _ end: End) {
        let entry = (id &>> 1) &<< 2 | end.rawValue
        if entries.count < countMax {
            if entries.isEmpty { entries.reserveCapacity(countMax) }
            entries.append(entry)
            return
        }
        forgotten = max(forgotten, (entries[position] &>> 2) &<< 1 | 1)
        entries[position] = entry
        position = position &+ 1 == countMax ? 0 : position &+ 1
    }

    /// The peer has ended stream `id`, which we had cut off: once. False where that is not what is known of it. Whatever it
    /// sends there is still thrown away (RFC 9113, section 5.1), as if nothing was known of the stream.
    mutating func noteEnd(of id: UInt32) -> Bool {
        guard let index = entries.firstIndex(of: (id &>> 1) &<< 2 | End.resetByUs.rawValue) else { return false }
        entries[index] = (id &>> 1) &<< 2 | End.forgotten.rawValue
        return true
    }

    /// How stream `id`, which is neither open nor idle, came to its end.
    func end(of id: UInt32) -> End {
        for entry in entries where entry &>> 2 == id &>> 1 { return End(rawValue: entry & 3) ?? .forgotten }
        return id <= forgotten ? .forgotten : .skipped
    }
}
