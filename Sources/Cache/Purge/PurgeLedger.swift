internal import Synchronization

/// The purges of all zones: one ledger for the process, which outlives configurations.
package final class PurgeLedger: Sendable {
    private let counter = PurgeCounter()
    private let state = Mutex(State())

    private struct State {
        var zones: [ZoneTag: ZonePurges] = [:]
        /// Purges of everything in every zone: also for zones that come to be known later.
        var everywhere = PurgeMarks()
        /// Restored records of zones that nobody has asked for yet.
        var waiting: [ZoneTag: [PurgeRecord]] = [:]
    }

    package init() {}

    /// The purges of a zone. The same for as long as the process lives.
    package func zone(_ tag: ZoneTag) -> ZonePurges {
        state.withLock { state in
            if let zone = state.zones[tag] { return zone }
            let own = state.waiting.removeValue(forKey: tag) ?? []
            let past = (own + state.everywhere.records).sorted { $0.sequence < $1.sequence }
            let zone = ZonePurges(tag: tag, counter: counter, past: past)
            state.zones[tag] = zone
            return zone
        }
    }

    /// Purges every zone, also those that are not known yet: the disk may have objects of them.
    package func recordEverything(isSoft: Bool) -> PurgeRecord {
        state.withLock { state in
            let record = PurgeRecord(sequence: counter.next(), zone: nil, scope: .everything, isSoft: isSoft)
            state.everywhere.add(record)
            for zone in state.zones.values { zone.enter(record) }
            return record
        }
    }

    /// Forgets the purges of every zone up to a sequence. Each zone's own `settle(upTo:)` comes first.
    package func settleEverything(upTo sequence: UInt64) {
        state.withLock { $0.everywhere.drop(upTo: sequence) }
    }

    /// The highest sequence given out. What is stored must not be opened with less.
    package var sequence: UInt64 { counter.current }

    /// What is not settled and has a higher sequence than this, oldest first; a purge of every zone once.
    package func records(since sequence: UInt64 = 0) -> [PurgeRecord] {
        let (zones, others) = state.withLock { state in
            (Array(state.zones.values), state.everywhere.records + state.waiting.values.joined())
        }
        let own = zones.flatMap { $0.records.filter { $0.zone != nil } }
        return (own + others).filter { $0.sequence > sequence }.sorted { $0.sequence < $1.sequence }
    }

    /// Takes over what a former process has left on the disk, before anything on it is looked up.
    ///
    /// - Parameters:
    ///   - sequence: no birth and no record on the disk is higher.
    ///   - records: what that process had not settled.
    /// - Returns: purges recorded here before, with the higher sequences that they have from now on, so that they
    ///   concern what is on the disk as well; to be journalled. None may have been settled before.
    @discardableResult
    package func restore(sequence: UInt64, _ records: [PurgeRecord]) -> [PurgeRecord] {
        state.withLock { state in
            counter.raise(to: records.reduce(sequence) { max($0, $1.sequence) })
            var moved: [PurgeRecord] = []
            for zone in state.zones.values { moved += zone.resequence().filter { $0.zone != nil } }
            state.everywhere.resequence(counter.next)
            moved += state.everywhere.records
            for record in state.everywhere.records {
                for zone in state.zones.values { zone.enter(record) }
            }
            for record in records.sorted(by: { $0.sequence < $1.sequence }) {
                restore(record, &state)
            }
            return moved.sorted { $0.sequence < $1.sequence }
        }
    }

    private func restore(_ record: PurgeRecord, _ state: inout State) {
        guard let tag = record.zone else {
            state.everywhere.add(record)
            for zone in state.zones.values { zone.enter(record) }
            return
        }
        if let zone = state.zones[tag] {
            zone.enter(record)
        } else {
            state.waiting[tag, default: []].append(record)
        }
    }
}
