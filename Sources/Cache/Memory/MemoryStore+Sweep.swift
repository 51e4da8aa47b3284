internal import Limits
internal import Synchronization

/// What is to become of a response that a sweep comes to.
package enum SweepVerdict: Sendable {
    case keep
    case remove
    /// Sets `isSoftPurged`.
    case markStale
}

/// What a sweep did; responses, not keys.
package struct SweepCount: Sendable, Equatable {
    package var examined = 0
    package var removed = 0
    package var marked = 0
    package init() {}
}

// Sweeps run on a thread beside the event loops. They copy hashes out of the tables, one shard after the other, and come
// back for the objects one by one: entries move within a table when others are removed, but the hashes that were there
// when the shard was copied are the entries that were there. No lock is held for longer than copying one shard's hashes
// takes, and none while the verdict is asked for.
extension MemoryStore {
    /// Asks for a verdict on every response that was there when it was called, of one zone or of all. What is added
    /// meanwhile may be missed.
    package func sweep(zone tag: ZoneTag?, _ verdict: (StoredResponse) -> SweepVerdict) -> SweepCount {
        var count = SweepCount()
        var found: [StoredObject] = []
        walk(tag) { lows in
            gather(lows, into: &found)
            for object in found where tag == nil || object.zone == tag { judge(object, verdict, &count) }
            found.removeAll(keepingCapacity: true)
        }
        if let tag {
            existingRoom(tag).map(tidy)
        } else {
            for (tag, _) in statisticsByZone() { existingRoom(tag).map(tidy) }
        }
        return count
    }

    /// Looks at every response of a zone that is there; as `sweep`.
    ///
    /// - Parameter body: Runs while a shard is locked, for some tens of responses at a time: a comparison, no more.
    package func forEach(zone tag: ZoneTag, _ body: (StoredResponse) -> Void) {
        walk(tag) { lows in
            guard let first = lows.first else { return }
            withShard(first) { table in
                table.touch(lows)
                for low in lows {
                    table.forEach(low: low) { object in
                        guard object.zone == tag else { return }
                        body(object.newest)
                        for older in object.older { body(older) }
                    }
                }
            }
        }
    }

    /// Calls `visit` with the hashes' lower halves of all objects, of one zone or of all: a few at once, those of one shard.
    private func walk(_ tag: ZoneTag?, _ visit: (ArraySlice<UInt64>) -> Void) {
        var lows: [UInt64] = []
        let zone = tag.flatMap(existingRoom)
        if tag != nil, zone == nil { return }
        if let zone, zone.objects.load(ordering: .relaxed) < Limits.cacheSweepByQueueMax {
            // A small zone is found by its queues, however many objects the others have.
            zone.queues.withLock { queues in
                queues.small.collect(into: &lows)
                queues.main.collect(into: &lows)
            }
            // Now in order of their shards.
            lows.sort()
            // A key that was removed and came back is in a queue twice.
            lows.removeRepeats()
            return cut(lows, visit)
        }
        for index in 0..<shardCount {
            withShard(at: index) { $0.collect(zoneBits: zone?.bits, into: &lows) }
            cut(lows, visit)
        }
    }

    private func cut(_ lows: [UInt64], _ visit: (ArraySlice<UInt64>) -> Void) {
        var start = 0
        while start < lows.count {
            let shard = shardIndex(lows[start])
            var end = start &+ 1
            while end < lows.count, end &- start < Limits.cacheSweepBatch, shardIndex(lows[end]) == shard { end &+= 1 }
            visit(lows[start..<end])
            start = end
        }
    }

    /// The objects of some hashes that lie in one shard.
    ///
    /// Objects lie anywhere in memory, and each is waited for when it is first touched. So a batch of them is looked at
    /// before the first is retained: the processor fetches those at once, while it does one retain after the other.
    private func gather(_ lows: ArraySlice<UInt64>, into found: inout [StoredObject]) {
        guard let first = lows.first else { return }
        withShard(first) { table in
            table.touch(lows)
            for low in lows { table.objects(low: low, into: &found) }
        }
    }

    private func judge(
        _ object: StoredObject, _ verdict: (StoredResponse) -> SweepVerdict, _ count: inout SweepCount
    ) {
        count.examined &+= object.count
        if object.older.isEmpty {
            // Nearly all are so, and need no list.
            guard isDoomed(object.newest, verdict, &count) else { return }
            if exchange(object, for: nil) { count.removed &+= 1 } else { remove([object.newest], &count) }
            return
        }
        var doomed: [StoredResponse] = []
        for index in 0..<object.count where isDoomed(object[index], verdict, &count) { doomed.append(object[index]) }
        remove(doomed, &count)
    }

    private func isDoomed(
        _ response: StoredResponse, _ verdict: (StoredResponse) -> SweepVerdict, _ count: inout SweepCount
    ) -> Bool {
        switch verdict(response) {
        case .keep: return false
        case .remove: return true
        case .markStale:
            if !response.isSoftPurged.exchange(true, ordering: .relaxed) { count.marked &+= 1 }
            return false
        }
    }

    /// One by one: another object may have taken the place of theirs meanwhile, with the same responses or without.
    private func remove(_ doomed: [StoredResponse], _ count: inout SweepCount) {
        for response in doomed where remove(response) { count.removed &+= 1 }
    }

    /// After many removals: what they left in the queues.
    private func tidy(_ zone: MemoryZone) {
        var rounds = 0
        var isDone = false
        while !isDone {
            isDone = zone.queues.withLock { queues in
                let before = queues.dead
                let items = queues.small.count &+ queues.main.count
                compact(zone, &queues, itemsMax: Limits.cacheCompactionItems &* 4)
                rounds &+= 1
                // No more than once round, whatever is removed and added meanwhile.
                return queues.dead == before && items == queues.small.count &+ queues.main.count
                    && queues.dead &* 2 <= items
                    || rounds &* Limits.cacheCompactionItems &* 4 > items
            }
        }
    }
}

extension [UInt64] {
    /// Of equal neighbours only the first stays.
    fileprivate mutating func removeRepeats() {
        var kept = 0
        for index in indices where index == 0 || self[index] != self[index - 1] {
            self[kept] = self[index]
            kept += 1
        }
        removeLast(count - kept)
    }
}
