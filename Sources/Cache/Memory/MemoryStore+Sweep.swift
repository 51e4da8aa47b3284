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
        var lows: [UInt64] = []
        if let tag {
            guard let zone = existingRoom(tag) else { return count }
            if zone.objects.load(ordering: .relaxed) < Limits.cacheSweepByQueueMax {
                // A small zone is found by its queues, however many objects the others have.
                zone.queues.withLock { queues in
                    queues.small.collect(into: &lows)
                    queues.main.collect(into: &lows)
                }
                sweep(lows, tag, verdict, &count)
            } else {
                for index in 0..<shardCount {
                    withShard(at: index) { $0.collect(zoneBits: zone.bits, into: &lows) }
                    sweep(lows, tag, verdict, &count)
                }
            }
            tidy(zone)
        } else {
            for index in 0..<shardCount {
                withShard(at: index) { $0.collect(zoneBits: nil, into: &lows) }
                sweep(lows, nil, verdict, &count)
            }
            for (tag, _) in statisticsByZone() { existingRoom(tag).map(tidy) }
        }
        return count
    }

    private func sweep(
        _ lows: [UInt64], _ tag: ZoneTag?, _ verdict: (StoredResponse) -> SweepVerdict, _ count: inout SweepCount
    ) {
        var found: [StoredObject] = []
        for low in lows {
            withShard(low) { $0.objects(low: low, into: &found) }
            for object in found where tag == nil || object.zone == tag { judge(object, verdict, &count) }
            found.removeAll(keepingCapacity: true)
        }
    }

    private func judge(
        _ object: StoredObject, _ verdict: (StoredResponse) -> SweepVerdict, _ count: inout SweepCount
    ) {
        var doomed: [StoredResponse] = []
        for index in 0..<object.count {
            let response = object[index]
            count.examined &+= 1
            switch verdict(response) {
            case .keep: break
            case .remove: doomed.append(response)
            case .markStale:
                if !response.isSoftPurged.exchange(true, ordering: .relaxed) { count.marked &+= 1 }
            }
        }
        if doomed.isEmpty { return }
        if doomed.count == object.count, remove(object, isGone: { _ in true }) {
            count.removed &+= doomed.count
            return
        }
        // Some of them, or another object has taken its place meanwhile, perhaps with the same responses.
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
