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
/// 3. The disk's journal gets the record, so that it holds after a crash; meanwhile what it meets in memory is counted,
///    and then what it meets in the disk's index. That is the answer.
/// 4. Memory and index are swept, beside everything else.
/// 5. Once no fetch is under way that began earlier, everything is swept once more if there was one, and the record is
///    forgotten. From then on a response that no sweep has met is not used.
extension EdgeCache {
    /// Purges, or with `isDryRun` counts what it would. Blocks for as long as memory is counted: not for event loops.
    package func purge(_ scopes: [PurgeScope], in zone: CacheZone, isSoft: Bool, isDryRun: Bool) async -> PurgeCount {
        guard !scopes.isEmpty else { return PurgeCount() }
        // What the purge before is about is not counted again.
        await reclaiming.withLock { $0 }?.value
        var count = PurgeCount()
        if isDryRun {
            count.memory = countMemory(scopes, in: zone, &count.both)
            count.disk = await countDisk(scopes, in: zone)
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
        // The device takes its milliseconds while memory is counted.
        let isJournalled = Latch()
        if let disk { disk.recordPurges(records) { _ in isJournalled.open() } } else { isJournalled.open() }
        // Before the disk is swept: what it has, or is about to have, of these is not counted twice.
        count.memory = countMemory(scopes, in: zone, &count.both)
        await isJournalled.opened()
        let isDiskSwept = Latch()
        count.disk = await sweepDisk(records) { isDiskSwept.open() }
        let reclaim = Task.detached { [self] in
            sweepMemory(of: zone)
            await isDiskSwept.opened()
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
        let cover = PurgeCover(scopes, zone.tag)
        var found = 0
        memory.forEach(zone: zone.tag) { response in
            guard cover.covers(response) else { return }
            found += 1
            if response.diskState.load(ordering: .relaxed) != 0 { both += 1 }
        }
        return found
    }

    /// Removes or marks what the ledger says was purged, and notes of everything else that it is clean.
    private func sweepMemory(of zone: CacheZone) {
        _ = memory.sweep(zone: zone.tag) { zone.purges.verdict(for: $0) == .purged ? .remove : .keep }
    }

    // MARK: The disk

    /// - Parameter done: When the index has nothing of it any more; the count is there before.
    private func sweepDisk(_ records: [PurgeRecord], _ done: @escaping @Sendable () -> Void) async -> Int {
        guard let disk else {
            done()
            return 0
        }
        return await withCheckedContinuation { continuation in
            disk.sweep(records, counted: { continuation.resume(returning: $0) }, done: done)
        }
    }

    private func countDisk(_ scopes: [PurgeScope], in zone: CacheZone) async -> Int {
        guard let disk else { return 0 }
        return await withCheckedContinuation { continuation in
            disk.count(zone: zone.tag, scopes) { continuation.resume(returning: $0) }
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
        let isDiskSwept = Latch()
        _ = await sweepDisk(records) { isDiskSwept.open() }
        await isDiskSwept.opened()
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

/// Many scopes at once, as one purge has them.
private struct PurgeCover {
    private let only: PurgeScope?
    private var marks = PurgeMarks()

    init(_ scopes: [PurgeScope], _ zone: ZoneTag) {
        only = scopes.count == 1 ? scopes.first : nil
        for (index, scope) in scopes.enumerated() {
            marks.add(PurgeRecord(sequence: UInt64(index) + 1, zone: zone, scope: scope, isSoft: false))
        }
    }

    func covers(_ response: StoredResponse) -> Bool {
        if let only { return only.covers(response) }
        return response.key.bytes.withUnsafeBytes {
            marks.mark(keyBytes: $0, urlHash: response.key.urlHash, tags: response.tags).hard > 0
        }
    }
}

/// Opened once, waited for by one.
private final class Latch: Sendable {
    private enum State {
        case shut
        case awaited(CheckedContinuation<Void, Never>)
        case open
    }

    private let state = Mutex(State.shut)

    func open() {
        let waiting = state.withLock { state -> CheckedContinuation<Void, Never>? in
            defer { state = .open }
            if case .awaited(let continuation) = state { return continuation }
            return nil
        }
        waiting?.resume()
    }

    func opened() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state -> Bool in
                if case .open = state { return true }
                state = .awaited(continuation)
                return false
            }
            if isOpen { continuation.resume() }
        }
    }
}
