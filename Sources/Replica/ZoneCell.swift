import Synchronization

/// Why a zone does not load.
package struct ZoneFault: Error, Sendable, CustomStringConvertible {
    package let id: ZoneID
    /// What the decoder said, cut to a bounded length.
    package let reason: String
    /// Whether the last good one still answers.
    package let servesOlder: Bool

    package var description: String { "zone \(id): \(reason)\(servesOlder ? " (the last good one stays)" : "")" }
}

/// What a zone is at the moment, for the tables: they hold cells and do not know what is published in them.
package class ZoneCell: @unchecked Sendable {
    // Unchecked: a class that others derive from cannot be checked. All of it is immutable but for two atomics.
    package let id: ZoneID
    /// The cell no longer says what the zone is; whoever holds it may go on with it, but nobody may begin with it.
    fileprivate let stale = Atomic<Bool>(false)
    /// An event loop answered from it since the table last asked.
    private let used = Atomic<Bool>(false)

    init(id: ZoneID) { self.id = id }

    /// nil for a zone that can be served.
    var outcome: ZoneAbsence? { nil }

    /// Whether a lookup that began now would find this cell.
    package var isCurrent: Bool { !stale.load(ordering: .acquiring) }

    func setStale(_ isStale: Bool) { stale.store(isStale, ordering: .releasing) }

    func noteUse() {
        if !used.load(ordering: .relaxed) { used.store(true, ordering: .relaxed) }
    }

    func takeUse() -> Bool {
        guard used.load(ordering: .relaxed) else { return false }
        used.store(false, ordering: .relaxed)
        return true
    }
}

/// Why a cell has nothing to serve.
enum ZoneAbsence {
    /// There is a name, and no zone behind it.
    case absent
    case bad(ZoneFault)
}

/// A decoded zone. Whoever holds it keeps it, whatever changes meanwhile.
package final class PublishedZone<Z: Sendable>: ZoneCell, @unchecked Sendable {
    // Unchecked: immutable, as the class it derives from.
    package let value: Z

    init(id: ZoneID, value: Z) {
        self.value = value
        super.init(id: id)
    }
}

/// A zone without keys, or one that does not load and never did here.
final class EmptyZone: ZoneCell, @unchecked Sendable {
    // Unchecked: immutable, as the class it derives from.
    private let why: ZoneAbsence

    init(id: ZoneID, _ why: ZoneAbsence) {
        self.why = why
        super.init(id: id)
    }

    override var outcome: ZoneAbsence? { why }
}

/// What a lookup found.
package enum ZoneLookup<Z: Sendable>: Sendable {
    /// No zone has that name.
    case none
    case zone(PublishedZone<Z>)
    /// There is a zone, and it does not load.
    case bad(ZoneFault)
}
