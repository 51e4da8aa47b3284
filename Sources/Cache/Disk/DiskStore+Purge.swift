// Removing: one key, or what a purge covers. The index forgets at once; bytes go with their files.

import Limits
import Synchronization

extension DiskStore {
    /// Removes every variant of a key.
    ///
    /// - Returns: How many there were.
    @discardableResult
    package func remove(_ hash: KeyHash) -> Int {
        remove(hash) { _ in true }
    }

    /// Removes one variant.
    @discardableResult
    package func remove(_ response: StoredResponse) -> Bool {
        let vary = response.vary.map { DiskEntry.short($0.hash) } ?? 0
        let hasVary = response.vary != nil
        return remove(response.key.hash) { $0.vary == vary && ($0.varyNames != 0) == hasVary } > 0
    }

    private func remove(_ hash: KeyHash, where isWanted: @escaping @Sendable (DiskSlot) -> Bool) -> Int {
        let count = noted(index.remove(hash, journal: journal, where: isWanted))
        guard writer.isBusy else { return count }
        // What was queued to be written before now, or a new head that is being written, must not bring it back.
        writer.submit(isUrgent: true) { [self] in
            _ = noted(index.remove(hash, journal: journal, where: isWanted))
        }
        return count
    }

    private func noted(_ removed: [DiskSlot]) -> Int {
        guard !removed.isEmpty else { return 0 }
        forget(removed)
        counters.add { $0.removed += UInt64(removed.count) }
        return removed.count
    }

    // MARK: Purges

    /// Makes a purge outlive a restart.
    ///
    /// - Parameter done: Runs on the keeper's thread. True: it is on the device. False: it could not be written; it
    ///   will be in the next checkpoint, if that can be.
    package func recordPurge(_ record: PurgeRecord, _ done: @escaping @Sendable (Bool) -> Void) {
        guard !isClosed.load(ordering: .acquiring) else { return done(false) }
        // First, so that a checkpoint that does not have it from the journal has it from here.
        purges.withLock { purges in
            purges.append(record)
            if purges.count > Limits.cacheDiskPurgesMax { DiskPurge.fold(&purges) }
        }
        ledgerSequence.max(record.sequence, ordering: .relaxed)
        journal.purge(record, done)
    }

    /// The ledger has no more use for the purges up to a sequence: of one zone, or, with nil, those of all zones.
    package func settlePurges(zone: ZoneTag?, upTo sequence: UInt64) {
        purges.withLock { purges in purges.removeAll { $0.zone == zone && $0.sequence <= sequence } }
        journal.settle(zone, upTo: sequence)
    }

    /// Removes, or marks, everything that a purge is about, also what is queued to be written.
    ///
    /// - Parameter done: Runs on the keeper's thread, with how many objects there were.
    package func sweep(_ record: PurgeRecord, _ done: @escaping @Sendable (Int) -> Void) {
        let isQueued = keeper.submit(isUrgent: true) { [self] in
            sweeps.withLock { $0.append(record) }
            let count = sweepNow(record)
            counters.add { $0.removed += UInt64(count) }
            // Everything that was queued before has been judged once the writer comes to this.
            let isEnded = writer.submit(isUrgent: true) { [self] in endSweep(record) }
            if !isEnded { endSweep(record) }
            done(count)
        }
        if !isQueued { done(0) }
    }

    private func endSweep(_ record: PurgeRecord) {
        sweeps.withLock { sweeps in sweeps.removeAll { $0 == record } }
    }

    private func sweepNow(_ record: PurgeRecord) -> Int {
        var zone: UInt32?
        if let tag = record.zone {
            // A zone without a number has nothing here.
            guard let number = names.known(tag) else { return 0 }
            zone = number
        }
        let matcher = DiskMatcher(record, zone: zone)
        var count = 0
        for shard in 0..<DiskIndex.shardCount {
            count += sweepNow(record, matcher, shard: shard)
            if journal.queuedBytes > Limits.cacheDiskJournalBytesQueuedMax / 8 { journal.flush() }
        }
        journal.flush()
        return count
    }

    private func sweepNow(_ record: PurgeRecord, _ matcher: DiskMatcher, shard: Int) -> Int {
        var doubtful: [DiskSlot] = []
        var marked = 0
        let removed = index.scan(shard: shard, journal: journal) { slot in
            switch matcher.match(slot) {
            case .no: return .keep
            case .perhaps:
                doubtful.append(slot)
                return .keep
            case .yes:
                guard record.isSoft else { return .remove }
                guard !slot.isSoftPurged else { return .keep }
                slot.isSoftPurged = true
                marked += 1
                return .change
            }
        }
        forget(removed)
        return removed.count + marked + doubtful.reduce(0) { $0 + (judge($1, record) ? 1 : 0) }
    }

    /// Reads what the index cannot tell, and removes or marks it. What cannot be read goes.
    private func judge(_ slot: DiskSlot, _ purge: PurgeRecord) -> Bool {
        let record = self.record(slot)
        if let record {
            let isCovered = record.key.withUnsafeBytes { key in
                purge.scope.covers(keyBytes: key, urlHash: record.urlHash, tags: record.tags)
            }
            guard isCovered else { return false }
            if purge.isSoft { return index.update(slot, journal: journal) { $0.isSoftPurged = true } }
        }
        let hash = KeyHash(high: slot.high, low: slot.low)
        let removed = index.remove(hash, journal: journal) { $0.place == slot.place }
        forget(removed)
        return record != nil && !removed.isEmpty
    }

    private func record(_ slot: DiskSlot) -> DiskRecord? {
        if slot.isLarge {
            let file = files.body(slot.unit).map { $0.openFile() } ?? files.open(slot.unit)
            return file.flatMap { DiskFiles.record($0, wantsHead: false) }
        }
        guard let file = segments.withLock({ $0[slot.unit] }) else { return nil }
        return DiskRecord.read(
            file, at: UInt64(slot.offset) * DiskSlot.offsetStep, bytesMax: Int(clamping: slot.byteCount),
            wantsHead: false)
    }
}

/// What the index alone can say of a purge.
struct DiskMatcher {
    private enum Scope {
        case everything
        case url(UInt32)
        case host(UInt32)
        case tag(UInt64)
    }

    private let scope: Scope
    private let zone: UInt32?
    private let sequence: UInt64

    init(_ record: PurgeRecord, zone: UInt32?) {
        self.zone = zone
        sequence = record.sequence
        switch record.scope {
        case .everything: scope = .everything
        case .url(let hash): scope = .url(DiskEntry.short(hash))
        case .tag(let tag): scope = .tag(tag)
        case .host(let host), .prefix(let host, _):
            scope = .host(host.name.withUnsafeBytes { DiskChecksum.of($0) })
        }
    }

    func match(_ slot: DiskSlot) -> DiskSlot.TagMatch {
        // A birth of all ones may stand for more: better forgotten than kept.
        guard zone.map({ $0 == slot.zone }) ?? true, slot.birth == .max || UInt64(slot.birth) < sequence else {
            return .no
        }
        switch scope {
        case .everything: return .yes
        case .url(let url): return slot.url == url ? .yes : .no
        // Port and path are in the record.
        case .host(let host): return slot.host == host ? .perhaps : .no
        case .tag(let tag): return slot.match(tag: tag)
        }
    }
}
