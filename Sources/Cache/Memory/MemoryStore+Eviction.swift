// Who has to go. Two questions, answered apart: whose object (`ZoneRanking`), and which of them. The second is S3-FIFO
// ("FIFO queues are all you need for cache eviction", SOSP 2023), for each zone on its own:
//
//     new ──▶ small, a tenth ──looked up in it──▶ main ◀──again, one use spent──┐
//                 │                                 └──used since it came by? ──┘
//                 └──no──▶ gone; its hash a ghost       └──no──▶ gone
//     new, and its hash is a ghost ──▶ main
//
// Most objects of a web cache are asked for once. They pass through the small queue and never reach the main one, so a
// crawler that walks a whole site takes a tenth of the memory and no more.
//
// Why not LRU: each hit would move a node to the end of a list that all loops share; here it adds to two bits in a slot
// that it has read anyway. And at a twentieth of the working set it has what is asked for more often, by 6 to 9 points in
// six traces of eight, by 18 while a zone floods; by 2 less where popularity moves abruptly (docs/hit-ratio.md). W-TinyLFU
// has one to three points more where popularity stays and 6 less where it moves; it keeps LRU lists, and a sketch that every
// lookup writes to.
//
// One lookup is enough to leave the small queue: the paper asks for two, which was no better in any trace and worse by
// up to a point where popularity changes. Counting to three is better than to one by up to a point.

internal import Limits
internal import Synchronization

extension MemoryStore {
    /// Evicts until what is charged fits. It aims below the bound by a reserve, with so many evictions at the most, and
    /// insists on the bound itself: so that who inserts something large seldom pays for all of it at once.
    ///
    /// - Returns: false if it does not fit, for what others have reserved.
    @discardableResult
    func makeRoom(evictionsMax: Int) -> Bool {
        let bound = bytesMax
        let aim = bound &- bound / Limits.cacheMemoryReserveDivisor
        var evicted = 0
        var failures = 0
        while true {
            let now = total.load(ordering: .relaxed)
            guard now > aim, now > bound || evicted < evictionsMax else { return true }
            let turn = evictions.load(ordering: .relaxed)
            if turn % Limits.cacheEvictionsPerIdleLook == 0 { lookForIdle() }
            let minute = minute.load(ordering: .relaxed)
            let victim = ranking.withLock { $0.victim(bytesMax: bound, minute: minute) }
            guard let victim, evict(from: victim) else {
                // Nothing anywhere, or another thread was quicker.
                failures &+= 1
                if failures > Limits.cacheEvictionFailuresMax { return total.load(ordering: .relaxed) <= bound }
                continue
            }
            evicted &+= 1
        }
    }

    /// Evicts from one zone until it has no more than its own bound.
    func makeRoom(in zone: MemoryZone, bytesMax: Int) -> Bool {
        while zone.bytes.load(ordering: .relaxed) > bytesMax {
            guard evict(from: zone) else { return false }
        }
        return true
    }

    private func lookForIdle() {
        let now = minute.load(ordering: .relaxed)
        for zone in ranking.withLock({ $0.findIdle(now) }) { retire(zone) }
    }

    /// Evicts one object. False: the zone has none.
    private func evict(from zone: MemoryZone) -> Bool {
        let victim = zone.queues.withLock { queues -> (object: StoredObject, wasHot: Bool)? in
            let victim = takeVictim(&queues)
            if let victim { account(zone, leaving: victim.object) }
            settleQueueBytes(zone, &queues)
            return victim
        }
        guard let victim else { return false }
        evictions.add(1, ordering: .relaxed)
        zone.evictions.add(1, ordering: .relaxed)
        settleRank(zone)
        evictionHook?(victim.object, victim.wasHot)
        return true
    }

    /// Under the zone's lock: takes the entry away that is to go.
    private func takeVictim(_ queues: inout ZoneQueues) -> (object: StoredObject, wasHot: Bool)? {
        var steps = 0
        while true {
            steps &+= 1
            // A zone in which everything is hot does not go round for ever: then it is the oldest that goes.
            let isForced = steps > Limits.cacheEvictionStepsMax
            let isSmallTooLarge = queues.smallBytes > queues.objectBytes / Limits.cacheSmallQueueDivisor
            if isSmallTooLarge || queues.main.count == 0, let item = queues.small.pop() {
                if let object = leaveSmall(item, isForced, &queues) { return (object, isForced) }
            } else if let item = queues.main.pop() {
                if let object = leaveMain(item, isForced, &queues) { return (object, true) }
            } else if let item = queues.small.pop() {
                if let object = leaveSmall(item, isForced, &queues) { return (object, isForced) }
            } else {
                return nil
            }
        }
    }

    private enum Departure {
        case gone(StoredObject)
        case moved(bytes: Int)
        case wasDead
    }

    private func leaveSmall(_ item: QueueItem, _ isForced: Bool, _ queues: inout ZoneQueues) -> StoredObject? {
        var hash: UInt64 = 0
        let departure = withShard(item.low) { table -> Departure in
            guard let slot = table.slot(item), let object = slot.pointee.object else { return .wasDead }
            if slot.pointee.uses >= Limits.cacheSmallQueueUsesMin, !isForced {
                slot.pointee.uses = 0
                slot.pointee.queue = .main
                return .moved(bytes: object._withUnsafeGuaranteedRef { $0.memoryBytes })
            }
            hash = slot.pointee.high
            return table.remove(slot).map(Departure.gone) ?? .wasDead
        }
        switch departure {
        case .gone(let object):
            queues.charge(.small, -object.memoryBytes)
            queues.ghosts.remember(hash, window: queues.ghostWindow)
            return object
        case .moved(let bytes):
            queues.charge(.small, -bytes)
            queues.push(item, to: .main, bytes: bytes)
        case .wasDead:
            queues.dead &-= 1
        }
        return nil
    }

    private func leaveMain(_ item: QueueItem, _ isForced: Bool, _ queues: inout ZoneQueues) -> StoredObject? {
        let departure = withShard(item.low) { table -> Departure in
            guard let slot = table.slot(item) else { return .wasDead }
            if slot.pointee.uses > 0, !isForced {
                slot.pointee.uses &-= 1
                return .moved(bytes: 0)
            }
            return table.remove(slot).map(Departure.gone) ?? .wasDead
        }
        switch departure {
        case .gone(let object):
            queues.charge(.main, -object.memoryBytes)
            return object
        case .moved(let bytes):
            queues.push(item, to: .main, bytes: bytes)
        case .wasDead:
            queues.dead &-= 1
        }
        return nil
    }
}
