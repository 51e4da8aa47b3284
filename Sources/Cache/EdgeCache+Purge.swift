import Limits
import Synchronization

/// How many responses a purge met.
package struct PurgeCount: Sendable {
    package var memory = 0
    package var disk = 0
    /// Of those in memory, the ones that are on the disk too, or on their way to it.
    package var both = 0

    /// Each once. Approximate while other purges, or requests that meet what was purged, remove the same objects.
    package var objects: Int { memory + max(0, disk - both) }

    package init() {}

    package static func += (sum: inout PurgeCount, other: PurgeCount) {
        sum.memory += other.memory
        sum.disk += other.disk
        sum.both += other.both
    }
}

/// Purging: in force at once, for what is stored and for what is being fetched; swept and counted right after.
///
/// 1. The ledger gets a record: from then on no older response that it is about is served, wherever it lies.
/// 2. Fetches under way that it may be about are joined by nobody any more; whether what they bring is stored the
///    ledger says when it is here.
/// 3. The disk's journal gets the record, so that it holds after a crash.
/// 4. What it meets in memory is counted, which is the answer; the disk's index is swept.
/// 5. Memory is swept, beside everything else.
/// 6. Once no fetch is under way that began earlier, everything is swept once more if there was one, and the record is
///    forgotten. From then on a response that no sweep has met is not used.
extension EdgeCache {
    /// Purges, or with `isDryRun` counts what it would. Blocks for as long as memory is swept: not for event loops.
    package func purge(_ scopes: [PurgeScope], in zone: CacheZone, isSoft: Bool, isDryRun: Bool) async -> PurgeCount {
        guard !scopes.isEmpty else { return PurgeCount() }
        // What the purge before is about is not counted again.
        await reclaiming.withLock { $0 }?.value
        var count = PurgeCount()
        if isDryRun {
            count.memory = countMemory(scopes, in: zone, &count.both)
            for scope in scopes { count.disk += await countDisk(scope, in: zone) }
            return count
        }
        let records = scopes.map { zone.purges.record($0, isSoft: isSoft) }
        fills.invalidate { fill in
            fill.zone == zone.tag && scopes.contains { $0.mayCover(fill) }
        }
        guard let last = records.last?.sequence else { return count }
        zone.purges.sweepBegan(last)
        // Before anything is swept: what such a fetch, load or write brings may come behind the sweep.
        let needsSecondSweep = zone.purges.hasFills(olderThan: last)
        await journal(records)
        // Before the disk is swept: what it has, or is about to have, of these is not counted twice.
        count.memory = countMemory(scopes, in: zone, &count.both)
        if let disk {
            for record in records { count.disk += await sweep(disk, record) }
        }
        let reclaim = Task.detached { [self] in
            sweepMemory(of: zone)
            if needsSecondSweep {
                Task.detached { await self.sweepAgain(records, in: zone) }
            } else {
                settle(last, in: zone)
            }
        }
        reclaiming.withLock { $0 = reclaim }
        return count
    }

    private func countMemory(_ scopes: [PurgeScope], in zone: CacheZone, _ both: inout Int) -> Int {
        var found = 0
        _ = memory.sweep(zone: zone.tag) { response in
            guard scopes.contains(where: { $0.covers(response) }) else { return .keep }
            found += 1
            if response.diskState.load(ordering: .relaxed) != 0 { both += 1 }
            return .keep
        }
        return found
    }

    /// Removes or marks what the ledger says was purged, and notes of everything else that it is clean.
    private func sweepMemory(of zone: CacheZone) {
        _ = memory.sweep(zone: zone.tag) { zone.purges.verdict(for: $0) == .purged ? .remove : .keep }
    }

    // MARK: The disk

    private func journal(_ records: [PurgeRecord]) async {
        guard let disk else { return }
        for record in records {
            await withCheckedContinuation { continuation in
                disk.recordPurge(record) { _ in continuation.resume() }
            }
        }
    }

    private func sweep(_ disk: DiskStore, _ record: PurgeRecord) async -> Int {
        await withCheckedContinuation { continuation in
            disk.sweep(record) { continuation.resume(returning: $0) }
        }
    }

    private func countDisk(_ scope: PurgeScope, in zone: CacheZone) async -> Int {
        guard let disk else { return 0 }
        return await withCheckedContinuation { continuation in
            disk.count(zone: zone.tag, scope) { continuation.resume(returning: $0) }
        }
    }

    // MARK: Afterwards

    private func settle(_ sequence: UInt64, in zone: CacheZone) {
        disk?.settlePurges(zone: zone.tag, upTo: zone.purges.sweepEnded(sequence))
    }

    /// Waits until nothing older is on its way, and sweeps what that has brought.
    private func sweepAgain(_ records: [PurgeRecord], in zone: CacheZone) async {
        guard let last = records.last?.sequence else { return }
        for _ in 0..<Limits.cacheSettleAttemptsMax {
            try? await Task.sleep(for: .milliseconds(Limits.cacheSettleMilliseconds))
            if !zone.purges.hasFills(olderThan: last) { break }
        }
        sweepMemory(of: zone)
        if let disk {
            for record in records { _ = await sweep(disk, record) }
        }
        settle(last, in: zone)
    }
}

extension PurgeScope {
    /// Whether what is being fetched may be about it. Of tags nothing is known before the head is there.
    fileprivate func mayCover(_ fill: Fill) -> Bool {
        if case .tag = self, fill.head == nil { return true }
        return fill.key.bytes.withUnsafeBytes {
            covers(keyBytes: $0, urlHash: fill.key.urlHash, tags: fill.head?.response.tags ?? [])
        }
    }
}
