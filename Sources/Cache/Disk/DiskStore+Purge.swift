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

    /// Makes purges outlive a restart.
    ///
    /// - Parameter done: Runs on the keeper's thread. True: all are on the device. False: one could not be written; it
    ///   will be in the next checkpoint, if that can be.
    package func recordPurges(_ records: [PurgeRecord], _ done: @escaping @Sendable (Bool) -> Void) {
        guard let last = records.last, !isClosed.load(ordering: .acquiring) else { return done(records.isEmpty) }
        // First, so that a checkpoint that does not have them from the journal has them from here.
        purges.withLock { purges in
            for record in records { purges.add(record) }
            guard purges.records.count > Limits.cacheDiskPurgesMax else { return }
            purges.replace(with: DiskPurge.folded(purges.records))
        }
        ledgerSequence.max(last.sequence, ordering: .relaxed)
        journal.purge(records, done)
    }

    /// The ledger has no more use for the purges up to a sequence: of one zone, or, with nil, those of all zones.
    package func settlePurges(zone: ZoneTag?, upTo sequence: UInt64) {
        purges.withLock { _ = $0.removeAll { $0.zone == zone && $0.sequence <= sequence } }
        journal.settle(zone, upTo: sequence)
    }

    /// Removes, or marks, everything that some purges are about, also what is queued to be written.
    ///
    /// - Parameters:
    ///   - records: Of one zone, or of all, and of one kind.
    ///   - counted: Runs on the keeper's thread as soon as it is known how many objects there are. Most of them are in the
    ///     index yet: the ledger keeps them from being used.
    ///   - done: Runs on the keeper's thread, when they are not.
    package func sweep(
        _ records: [PurgeRecord], counted: @escaping @Sendable (Int) -> Void, done: @escaping @Sendable () -> Void
    ) {
        let isQueued = keeper.submit(isUrgent: true) { [self] in sweepNow(records, counted, done) }
        guard !isQueued else { return }
        counted(0)
        done()
    }

    /// Sweeps for a purge at some time, together with others of its kind that come until then.
    package func sweepSoon(_ record: PurgeRecord) {
        let isFirst = purgesToSweep.withLock { purges in
            defer { purges.add(record) }
            return purges.records.isEmpty
        }
        guard isFirst else { return }
        keeper.submit(isUrgent: true) { [self] in
            let records = purgesToSweep.withLock { purges in
                defer { purges = PurgeList() }
                return purges.records
            }
            // As many sweeps as there are zones and kinds.
            for (_, records) in Dictionary(grouping: records, by: { SweepGroup(zone: $0.zone, isSoft: $0.isSoft) }) {
                sweepNow(records, { _ in }, {})
            }
        }
    }

    private struct SweepGroup: Hashable {
        var zone: ZoneTag?
        var isSoft: Bool
    }

    // MARK: The keeper's thread

    private func sweepNow(
        _ records: [PurgeRecord], _ counted: @Sendable (Int) -> Void, _ done: @Sendable () -> Void
    ) {
        sweeps.withLock { $0 += records }
        if let matcher = matcher(records) {
            counted(examine(matcher, records))
            let removed = carryOut(matcher)
            counters.add { $0.removed += UInt64(removed) }
        } else {
            counted(0)
        }
        // Everything that was queued before has been judged once the writer comes to this.
        let isEnded = writer.submit(isUrgent: true) { [self] in endSweep(records) }
        if !isEnded { endSweep(records) }
        done()
    }

    /// nil: a zone without a number, which has nothing here.
    private func matcher(_ records: [PurgeRecord]) -> DiskMatcher? {
        guard let zone = records.first?.zone else { return DiskMatcher(records, zone: nil) }
        return names.known(zone).map { DiskMatcher(records, zone: $0) }
    }

    private func endSweep(_ records: [PurgeRecord]) {
        let ended = Set(records.map(\.sequence))
        sweeps.withLock { sweeps in sweeps.removeAll { ended.contains($0.sequence) } }
    }

    /// Counts what the index knows to be purged, and settles with the records what it does not know.
    private func examine(_ matcher: DiskMatcher, _ records: [PurgeRecord]) -> Int {
        var count = 0
        var doubtful: [DiskSlot] = []
        for shard in 0..<DiskIndex.shardCount {
            index.forEach(shard: shard) { slot in
                switch matcher.match(slot) {
                case .no: return
                case .perhaps: doubtful.append(slot)
                case .yes: if !(matcher.isSoft && slot.isSoftPurged) { count += 1 }
                }
            }
        }
        // The slots of some shards may have been seen while others changed: each is judged by its place.
        return count + doubtful.reduce(0) { $0 + (judge($1, records) ? 1 : 0) }
    }

    /// - Returns: How many objects were removed.
    private func carryOut(_ matcher: DiskMatcher) -> Int {
        var count = 0
        for shard in 0..<DiskIndex.shardCount {
            let removed = index.scan(shard: shard, journal: journal) { slot in
                guard case .yes = matcher.match(slot) else { return .keep }
                guard matcher.isSoft else { return .remove }
                guard !slot.isSoftPurged else { return .keep }
                slot.isSoftPurged = true
                return .change
            }
            forget(removed)
            count += removed.count
            if journal.queuedBytes > Limits.cacheDiskJournalBytesQueuedMax / 8 { journal.flush() }
        }
        journal.flush()
        return count
    }

    /// Reads what the index cannot tell, and removes or marks it. What cannot be read goes.
    private func judge(_ slot: DiskSlot, _ purges: [PurgeRecord]) -> Bool {
        let record = self.record(slot)
        if let record {
            let isCovered = record.key.withUnsafeBytes { key in
                purges.contains { purge in
                    DiskMatcher.isOlder(slot, than: purge.sequence)
                        && purge.scope.covers(keyBytes: key, urlHash: record.urlHash, tags: record.tags)
                }
            }
            guard isCovered else { return false }
            if purges.first?.isSoft == true {
                var isNew = false
                let isThere = index.update(slot, journal: journal) { slot in
                    isNew = !slot.isSoftPurged
                    slot.isSoftPurged = true
                }
                return isThere && isNew
            }
        }
        let hash = KeyHash(high: slot.high, low: slot.low)
        let removed = index.remove(hash, journal: journal) { $0.place == slot.place }
        forget(removed)
        counters.add { $0.removed += UInt64(removed.count) }
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
