// Purges one behind the other, and none that a later one makes redundant: a thousand unsafe requests to one URL are one
// purge of that URL, the last.

/// Purges that may still be about something, oldest first.
struct PurgeList {
    private struct Target: Hashable {
        var zone: ZoneTag?
        var scope: PurgeScope
    }

    /// The sequences of the records with one target, of which there is one of either kind at most; 0: none.
    fileprivate struct Latest {
        var hard: UInt64 = 0
        var soft: UInt64 = 0
    }

    private(set) var records: [PurgeRecord] = []
    private var latest: [Target: Latest] = [:]

    init() {}

    /// In any order.
    init(_ records: [PurgeRecord]) { replace(with: records) }

    /// Adds a purge and drops those that it makes redundant: older ones of the same, or of anything if it is of
    /// everything, but for hard ones if it is soft.
    ///
    /// - Returns: false if one that is here makes it redundant.
    @discardableResult
    mutating func add(_ record: PurgeRecord) -> Bool {
        let target = Target(zone: record.zone, scope: record.scope)
        let own = latest[target] ?? Latest()
        if own.hard >= record.sequence || record.isSoft && own.soft >= record.sequence { return false }
        if record.scope == .everything {
            dropCovered(by: record)
        } else {
            if own.soft < record.sequence { remove(own.soft, target) }
            if !record.isSoft { remove(own.hard, target) }
        }
        records.insert(record, at: firstIndex(from: record.sequence))
        latest[target, default: Latest()].note(record)
        return true
    }

    /// - Returns: whether there were any.
    @discardableResult
    mutating func removeAll(where isUnwanted: (PurgeRecord) -> Bool) -> Bool {
        let before = records.count
        records.removeAll(where: isUnwanted)
        guard records.count != before else { return false }
        latest = [:]
        for record in records { latest[Target(zone: record.zone, scope: record.scope), default: Latest()].note(record) }
        return true
    }

    mutating func replace(with records: [PurgeRecord]) {
        self.records = []
        latest = [:]
        for record in records.sorted(by: { $0.sequence < $1.sequence }) { add(record) }
    }

    // MARK: Within

    private mutating func dropCovered(by record: PurgeRecord) {
        removeAll { other in
            other.sequence < record.sequence && (record.zone == nil || other.zone == record.zone)
                && (other.isSoft || !record.isSoft)
        }
    }

    /// Of the first record with this sequence or a higher one.
    private func firstIndex(from sequence: UInt64) -> Int {
        // Nearly always the new one is the last.
        guard let last = records.last, last.sequence >= sequence else { return records.count }
        var low = 0
        var high = records.count
        while low < high {
            let middle = (low &+ high) / 2
            if records[middle].sequence < sequence { low = middle &+ 1 } else { high = middle }
        }
        return low
    }

    private mutating func remove(_ sequence: UInt64, _ target: Target) {
        guard sequence > 0 else { return }
        var index = firstIndex(from: sequence)
        while index < records.count, records[index].sequence == sequence {
            if records[index].zone == target.zone, records[index].scope == target.scope {
                records.remove(at: index)
                return
            }
            index += 1
        }
    }
}

extension PurgeList.Latest {
    fileprivate mutating func note(_ record: PurgeRecord) {
        guard !record.isSoft else {
            soft = record.sequence
            return
        }
        hard = record.sequence
        if soft < hard { soft = 0 }
    }
}
