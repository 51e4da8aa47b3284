/// What the index alone can say of some purges.
struct DiskMatcher {
    /// Objects are marked instead of removed.
    let isSoft: Bool
    private let zone: UInt32?
    /// The sequence of the latest purge of everything; 0: none. Likewise of each hash, cut as it is in a slot.
    private var everything: UInt64 = 0
    private var urls: [UInt32: UInt64] = [:]
    private var hosts: [UInt32: UInt64] = [:]
    private var tags: [(tag: UInt64, sequence: UInt64)] = []
    private var shortTags: [UInt32: UInt64] = [:]

    /// - Parameters:
    ///   - records: Of one kind.
    ///   - zone: The number of the zone that they are about; nil: all.
    init(_ records: [PurgeRecord], zone: UInt32?) {
        isSoft = records.first?.isSoft ?? false
        self.zone = zone
        for record in records {
            let sequence = record.sequence
            switch record.scope {
            case .everything: everything.raise(to: sequence)
            case .url(let hash): urls[DiskEntry.short(hash), default: 0].raise(to: sequence)
            case .host(let host), .prefix(let host, _):
                hosts[host.name.withUnsafeBytes { DiskChecksum.of($0) }, default: 0].raise(to: sequence)
            case .tag(let tag):
                tags.append((tag, sequence))
                shortTags[DiskSlot.short(tag), default: 0].raise(to: sequence)
            }
        }
    }

    /// Whether a purge with this sequence may be about an object. A birth of all ones may stand for more: better forgotten
    /// than kept.
    static func isOlder(_ slot: DiskSlot, than sequence: UInt64) -> Bool {
        slot.birth == .max ? sequence > 0 : UInt64(slot.birth) < sequence
    }

    func match(_ slot: DiskSlot) -> DiskSlot.TagMatch {
        guard zone.map({ $0 == slot.zone }) ?? true else { return .no }
        if Self.isOlder(slot, than: everything) { return .yes }
        if !urls.isEmpty, let sequence = urls[slot.url], Self.isOlder(slot, than: sequence) { return .yes }
        let byTag = tags.isEmpty ? .no : matchTags(slot)
        if byTag == .no, !hosts.isEmpty, let sequence = hosts[slot.host], Self.isOlder(slot, than: sequence) {
            // Port and path are in the record.
            return .perhaps
        }
        return byTag
    }

    private func matchTags(_ slot: DiskSlot) -> DiskSlot.TagMatch {
        guard slot.hasManyTags else {
            let (first, second, third) = slot.tagWords
            return isPurged(slot, by: first) || isPurged(slot, by: second) || isPurged(slot, by: third) ? .yes : .no
        }
        let mayBeFound = tags.contains { tag, sequence in
            Self.isOlder(slot, than: sequence) && slot.match(tag: tag) != .no
        }
        return mayBeFound ? .perhaps : .no
    }

    /// 0 is no tag.
    private func isPurged(_ slot: DiskSlot, by short: UInt32) -> Bool {
        guard short != 0, let sequence = shortTags[short] else { return false }
        return Self.isOlder(slot, than: sequence)
    }
}

extension UInt64 {
    fileprivate mutating func raise(to other: UInt64) { self = Swift.max(self, other) }
}
