import Limits
import Synchronization

/// How many responses a purge met.
package struct PurgeCount: Sendable {
    package var memory = 0
    package var disk = 0
    /// Of those in memory, the ones that are on the disk too.
    package var both = 0

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
/// 4. Memory and the disk's index are swept.
/// 5. Once no fetch is under way that began earlier, the record is forgotten.
extension EdgeCache {
    /// Purges, or with `isDryRun` counts what it would. Blocks for as long as memory is swept: not for event loops.
    package func purge(_ scopes: [PurgeScope], in zone: CacheZone, isSoft: Bool, isDryRun: Bool) async -> PurgeCount {
        guard !scopes.isEmpty else { return PurgeCount() }
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
        await journal(records, of: zone)
        count.memory = sweepMemory(scopes, in: zone, isSoft: isSoft, &count.both)
        if let disk {
            for record in records { count.disk += await sweep(disk, record, in: zone) }
        }
        settle(records, in: zone)
        return count
    }

    private func countMemory(_ scopes: [PurgeScope], in zone: CacheZone, _ both: inout Int) -> Int {
        var found = 0
        _ = memory.sweep(zone: zone.tag) { response in
            guard scopes.contains(where: { $0.covers(response) }) else { return .keep }
            found += 1
            if response.diskState.load(ordering: .relaxed) == 2 { both += 1 }
            return .keep
        }
        return found
    }

    private func sweepMemory(_ scopes: [PurgeScope], in zone: CacheZone, isSoft: Bool, _ both: inout Int) -> Int {
        var met = 0
        _ = memory.sweep(zone: zone.tag) { response in
            guard scopes.contains(where: { $0.covers(response) }) else { return .keep }
            met += 1
            if response.diskState.load(ordering: .relaxed) == 2 { both += 1 }
            return isSoft ? .markStale : .remove
        }
        return met
    }

    // MARK: The disk

    private func journal(_ records: [PurgeRecord], of zone: CacheZone) async {
        guard let disk else { return }
        for record in records {
            await withCheckedContinuation { continuation in
                disk.recordPurge(record) { _ in continuation.resume() }
            }
        }
    }

    private func sweep(_ disk: DiskStore, _ record: PurgeRecord, in zone: CacheZone) async -> Int {
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

    /// Forgets the records as soon as nothing older can come into the store any more.
    private func settle(_ records: [PurgeRecord], in zone: CacheZone) {
        guard let last = records.map(\.sequence).max() else { return }
        if zone.purges.settle(upTo: last) {
            disk?.settlePurges(zone: zone.tag, upTo: last)
            return
        }
        Task.detached { [self] in
            for _ in 0..<Limits.cacheSettleAttemptsMax {
                try? await Task.sleep(for: .milliseconds(Limits.cacheSettleMilliseconds))
                guard !zone.purges.hasFills(olderThan: last) else { continue }
                // What those fetches brought was judged when it was stored; what was loaded from the disk meanwhile was not.
                _ = memory.sweep(zone: zone.tag) { zone.purges.verdict(for: $0) == .purged ? .remove : .keep }
                if zone.purges.settle(upTo: last) {
                    disk?.settlePurges(zone: zone.tag, upTo: last)
                    return
                }
            }
        }
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
