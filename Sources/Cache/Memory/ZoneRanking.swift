// Which zone has the most: whom the next eviction is to concern. Zones are kept in classes of size, eight to each power
// of two, and move when their size leaves their class by a margin: so an insert seldom comes here, and finding the
// largest of a hundred thousand zones looks at a few.
//
// Every zone is owed the same share of the bound. The largest is the one furthest above it, and there is always one at
// or above it, for the shares add up to the bound: taking from the largest never takes from a zone that has less than
// its share (max-min fairness). Zones that nobody has asked for anything for `Limits.cacheZoneIdleMinutes` are owed
// nothing and come first.

internal import Limits
internal import Synchronization

/// Guarded by the store's `ranking` lock.
struct ZoneRanking {
    /// By size; then the idle, and the empty.
    private var classes = [[MemoryZone]](repeating: [], count: ZoneRanking.classCount &+ 2)
    /// No class of size above this one has a zone.
    private var highest = 0
    /// Where the search in a class begins, so that equals take turns.
    private var turn = 0
    /// The class in which zones are being looked at for idleness, and the place in it.
    private var hand = (rank: 0, position: 0)
    private(set) var count = 0

    private static let stepsPerOctave = 8
    private static let classCount = 64 * stepsPerOctave
    private static let idleRank = classCount
    private static let emptyRank = classCount + 1

    /// The class of a size.
    static func rank(_ bytes: Int) -> Int {
        let bytes = UInt64(max(bytes, stepsPerOctave))
        let octave = 63 &- bytes.leadingZeroBitCount
        let step = Int(truncatingIfNeeded: bytes &>> UInt64(octave &- 3)) & (stepsPerOctave &- 1)
        return octave &* stepsPerOctave &+ step
    }

    /// Where a zone belongs. Not among the idle: there it only gets by `findIdle`.
    private static func rank(_ zone: MemoryZone) -> Int {
        zone.objects.load(ordering: .relaxed) > 0 ? rank(zone.bytes.load(ordering: .relaxed)) : emptyRank
    }

    /// Whether a zone has left its class: upwards at once, downwards by a sixteenth of its size.
    @inline(__always)
    static func isMisplaced(_ zone: MemoryZone) -> Bool {
        let rank = zone.rank.load(ordering: .relaxed)
        if rank >= idleRank { return (rank == emptyRank) != (zone.objects.load(ordering: .relaxed) == 0) }
        let bytes = zone.bytes.load(ordering: .relaxed)
        return Self.rank(bytes) > rank || Self.rank(bytes &+ bytes / 16) < rank
            || zone.objects.load(ordering: .relaxed) == 0
    }

    mutating func add(_ zone: MemoryZone) {
        place(zone, Self.rank(zone))
        count &+= 1
    }

    mutating func remove(_ zone: MemoryZone) {
        guard take(zone) else { return }
        zone.rank.store(-1, ordering: .relaxed)
        count &-= 1
    }

    /// Puts a zone where it belongs.
    mutating func settle(_ zone: MemoryZone) {
        let rank = Self.rank(zone)
        guard zone.rank.load(ordering: .relaxed) != rank, take(zone) else { return }
        place(zone, rank)
    }

    /// The zone to take from: an idle one, or else the largest. nil: none has anything.
    mutating func victim(bytesMax: Int, minute: UInt32) -> MemoryZone? {
        if let zone = idleVictim(minute) { return zone }
        let share = bytesMax / max(1, count &- classes[Self.idleRank].count)
        while highest > 0, classes[highest].isEmpty { highest &-= 1 }
        var rank = highest
        while rank >= 0 {
            if let zone = largest(rank, share: share) { return zone }
            rank &-= 1
        }
        return nil
    }

    /// The largest of some in a class, or the first that has its share.
    private mutating func largest(_ rank: Int, share: Int) -> MemoryZone? {
        var found: MemoryZone?
        var foundBytes = 0
        var looks = 0
        while looks < min(classes[rank].count, Limits.cacheZoneLooksMax) {
            turn &+= 1
            let zone = classes[rank][Int(UInt(bitPattern: turn) % UInt(classes[rank].count))]
            if Self.rank(zone) != rank {
                // Has changed since, within the margin. Another is in its place now.
                settle(zone)
                continue
            }
            looks &+= 1
            let bytes = zone.bytes.load(ordering: .relaxed)
            guard bytes > foundBytes else { continue }
            found = zone
            foundBytes = bytes
            if looks >= Self.stepsPerOctave, bytes >= share { break }
        }
        return found
    }

    // MARK: Idle zones

    /// Looks at a few zones in turn, sets the idle aside, and returns those that are empty too: they may go.
    mutating func findIdle(_ minute: UInt32) -> [MemoryZone] {
        var empty: [MemoryZone] = []
        for _ in 0..<Limits.cacheZoneLooksMax {
            while hand.rank == Self.idleRank || hand.position >= classes[hand.rank].count {
                hand = (hand.rank &+ 1, 0)
                guard hand.rank < classes.count else {
                    hand = (0, 0)
                    return empty
                }
            }
            let zone = classes[hand.rank][hand.position]
            if !zone.isIdle(minute) {
                hand.position &+= 1
            } else if hand.rank == Self.emptyRank {
                empty.append(zone)
                hand.position &+= 1
            } else if take(zone) {
                place(zone, Self.idleRank)
            }
        }
        return empty
    }

    private mutating func idleVictim(_ minute: UInt32) -> MemoryZone? {
        while let zone = classes[Self.idleRank].last {
            if zone.isIdle(minute), zone.objects.load(ordering: .relaxed) > 0 { return zone }
            // Awake again, or with nothing left to take.
            settle(zone)
        }
        return nil
    }

    // MARK: Places

    private mutating func place(_ zone: MemoryZone, _ rank: Int) {
        zone.position = classes[rank].count
        classes[rank].append(zone)
        zone.rank.store(rank, ordering: .relaxed)
        if rank < Self.classCount { highest = max(highest, rank) }
    }

    /// Takes a zone out of its class, where the last one gets its place. False: it was in none.
    private mutating func take(_ zone: MemoryZone) -> Bool {
        let rank = zone.rank.load(ordering: .relaxed)
        guard rank >= 0, zone.position < classes[rank].count, let last = classes[rank].popLast() else { return false }
        if last !== zone {
            classes[rank][zone.position] = last
            last.position = zone.position
        }
        return true
    }
}
