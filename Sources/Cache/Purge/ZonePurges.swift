internal import Synchronization

/// What a purge ledger says of an object.
package enum PurgeVerdict: Sendable {
    case clean
    /// Serve it as stale. Said once of a `StoredResponse`, whose `isSoftPurged` is set and stays so.
    case softPurged
    /// It is gone: remove it and go on as after a miss.
    case purged
}

/// The purges of one zone. Any thread may use it; what is asked on each hit is one atomic load.
///
/// A purge is a record with a sequence. A response is born with the sequence that was the latest when its fetch began,
/// and every record with a higher one may be about it. So a purge is in effect as soon as it is recorded, for what is
/// stored, what lies on the disk and what is being fetched; removing the objects may take its time. Once all that is
/// older is gone, `settle(upTo:)` forgets the record.
package final class ZonePurges: Sendable {
    package let tag: ZoneTag
    private let counter: PurgeCounter
    private let latestSequence: Atomic<UInt64>
    /// The sequence up to which purges are forgotten, because everything older was swept.
    private let settledSequence = Atomic<UInt64>(0)
    private let state = Mutex(State())

    private struct State {
        var marks = PurgeMarks()
        /// How many fills of each birth are under way.
        var fills: [UInt64: Int] = [:]
        /// Purges that are being swept.
        var sweeps: Set<UInt64> = []
        /// The highest of those whose sweeps have ended.
        var swept: UInt64 = 0
    }

    init(tag: ZoneTag, counter: PurgeCounter, past: [PurgeRecord]) {
        self.tag = tag
        self.counter = counter
        latestSequence = Atomic(past.reduce(0) { max($0, $1.sequence) })
        state.withLock { state in
            for record in past { state.marks.add(record) }
        }
    }

    /// The sequence of the latest purge that concerns this zone.
    package var latest: UInt64 { latestSequence.load(ordering: .acquiring) }

    /// Records a purge, which is in effect when this returns. What is to survive a restart must be journalled.
    package func record(_ scope: PurgeScope, isSoft: Bool) -> PurgeRecord {
        state.withLock { state in
            let record = PurgeRecord(sequence: counter.next(), zone: tag, scope: scope, isSoft: isSoft)
            enter(record, &state)
            return record
        }
    }

    /// Enters a record made elsewhere: of all zones, or of a former process.
    func enter(_ record: PurgeRecord) {
        state.withLock { enter(record, &$0) }
    }

    private func enter(_ record: PurgeRecord, _ state: inout State) {
        state.marks.add(record)
        let before = latestSequence.load(ordering: .relaxed)
        latestSequence.store(max(before, record.sequence), ordering: .releasing)
    }

    // MARK: Asking

    /// Whether a response may be served. After this `isSoftPurged` is up to date too.
    @inline(__always)
    package func verdict(for response: StoredResponse) -> PurgeVerdict {
        let latest = latestSequence.load(ordering: .acquiring)
        if response.birth >= latest || response.purgeChecked.load(ordering: .acquiring) >= latest { return .clean }
        return check(response)
    }

    private func check(_ response: StoredResponse) -> PurgeVerdict {
        let checked = max(response.birth, response.purgeChecked.load(ordering: .acquiring))
        let (verdict, latest) = response.key.bytes.withUnsafeBytes {
            check(keyBytes: $0, urlHash: response.key.urlHash, tags: response.tags, checked: checked)
        }
        switch verdict {
        case .purged: return .purged
        case .softPurged:
            response.isSoftPurged.store(true, ordering: .relaxed)
            response.purgeChecked.store(latest, ordering: .releasing)
        case .clean:
            response.purgeChecked.store(latest, ordering: .releasing)
        }
        return verdict
    }

    /// The same for what is not in memory form.
    /// - Parameter checked: its birth, or the sequence up to which it was found clean if that is higher.
    package func verdict(
        keyBytes: UnsafeRawBufferPointer, urlHash: KeyHash, tags: [UInt64], checked: UInt64
    ) -> PurgeVerdict {
        guard checked < latest else { return .clean }
        return check(keyBytes: keyBytes, urlHash: urlHash, tags: tags, checked: checked).verdict
    }

    /// The verdict, and up to which sequence it holds.
    private func check(
        keyBytes: UnsafeRawBufferPointer, urlHash: KeyHash, tags: [UInt64], checked: UInt64
    ) -> (verdict: PurgeVerdict, latest: UInt64) {
        state.withLock { state in
            let mark = state.marks.mark(keyBytes: keyBytes, urlHash: urlHash, tags: tags)
            let latest = latestSequence.load(ordering: .relaxed)
            // No sweep has met it, so nobody knows: it was on its way from one place to another. A cache may forget.
            if checked < settledSequence.load(ordering: .relaxed) { return (.purged, latest) }
            if mark.hard > checked { return (.purged, latest) }
            return (mark.soft > checked ? .softPurged : .clean, latest)
        }
    }

    // MARK: Fills

    /// A fetch begins, or a load from the disk, that may end in the store. Until `fillEnded` no record is forgotten that
    /// is newer. A fetched response gets the result as its `birth`; a loaded one keeps the birth it has.
    package func fillBegan() -> UInt64 {
        state.withLock { state in
            let birth = latestSequence.load(ordering: .relaxed)
            state.fills[birth, default: 0] &+= 1
            return birth
        }
    }

    /// It has ended, and what came of it is in the store or never will be.
    package func fillEnded(_ birth: UInt64) {
        state.withLock { state in
            guard let count = state.fills[birth] else { return }
            state.fills[birth] = count > 1 ? count &- 1 : nil
        }
    }

    /// Whether a fill is under way that began before the purge with this sequence.
    package func hasFills(olderThan sequence: UInt64) -> Bool {
        state.withLock { $0.fills.keys.contains { $0 < sequence } }
    }

    // MARK: Settling

    /// The sequence up to which purges are forgotten. What is found by an index that was swept since is clean up to it:
    /// see `noteClean`.
    package var settled: UInt64 { settledSequence.load(ordering: .relaxed) }

    /// A response came out of an index that was swept: it is known to be clean.
    package static func noteClean(_ response: StoredResponse, upTo sequence: UInt64) {
        _ = response.purgeChecked.max(sequence, ordering: .releasing)
    }

    /// A sweep for the purge with this sequence begins: nothing up to it is forgotten before it has ended.
    package func sweepBegan(_ sequence: UInt64) {
        state.withLock { _ = $0.sweeps.insert(sequence) }
    }

    /// It has ended, and no fill is under way that is older. Forgets what no other sweep needs.
    /// - Returns: up to where everything is forgotten now.
    package func sweepEnded(_ sequence: UInt64) -> UInt64 {
        let target = state.withLock { state -> UInt64 in
            state.sweeps.remove(sequence)
            state.swept = max(state.swept, sequence)
            return state.sweeps.min().map { min($0 &- 1, state.swept) } ?? state.swept
        }
        return settle(upTo: target) ? target : settled
    }

    /// Forgets the purges up to a sequence: everything older was swept after the last older fill had ended.
    /// - Returns: false, having done nothing, while an older fill or sweep is under way.
    package func settle(upTo sequence: UInt64) -> Bool {
        state.withLock { state in
            guard !state.fills.keys.contains(where: { $0 < sequence }),
                !state.sweeps.contains(where: { $0 <= sequence })
            else { return false }
            state.marks.drop(upTo: sequence)
            _ = settledSequence.max(sequence, ordering: .relaxed)
            return true
        }
    }

    /// What is not settled, oldest first.
    package var records: [PurgeRecord] { state.withLock { $0.marks.records } }

    /// Gives all that is not settled a place behind the counter, and returns what was recorded for this zone alone.
    func resequence() -> [PurgeRecord] {
        state.withLock { state in
            guard !state.marks.records.isEmpty else { return [] }
            state.marks.resequence(counter.next)
            let records = state.marks.records
            latestSequence.store(records.last?.sequence ?? 0, ordering: .releasing)
            return records
        }
    }
}

/// Where all zones' sequences come from.
final class PurgeCounter: Sendable {
    private let value = Atomic<UInt64>(0)

    func next() -> UInt64 { value.wrappingAdd(1, ordering: .relaxed).newValue }
    var current: UInt64 { value.load(ordering: .relaxed) }

    func raise(to sequence: UInt64) {
        _ = value.max(sequence, ordering: .relaxed)
    }
}
