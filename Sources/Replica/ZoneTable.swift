import Limits
package import Logging
import Synchronization

/// One key of a zone.
package struct ZoneEntry: Sendable {
    /// The whole key: `zone/<zone id>/…`.
    package let key: String
    package let value: [UInt8]

    package init(key: String, value: [UInt8]) {
        self.key = key
        self.value = value
    }
}

/// How the table is doing.
package struct ZoneTableStatistics: Sendable {
    /// Zones in the table now, those without keys and those that do not load among them.
    package var decoded: Int
    /// Hosts answered from the table, whether they have a zone or not; caches of event loops come before it.
    package var hits: UInt64
    /// Hosts looked up in the replica.
    package var misses: UInt64
    /// Zones read from the replica.
    package var loads: UInt64
    /// Of these, how many did not load.
    package var failures: UInt64
    /// Zones that went for others.
    package var evictions: UInt64
}

/// Host name → decoded zone, for any thread. A zone is decoded when it is first asked for and kept while it is used. A
/// change of a zone replaces that zone alone. A zone whose new content does not decode keeps its last good one.
package final class ZoneTable<Z: Sendable>: Sendable {
    private let index: ZoneIndex

    /// - Parameters:
    ///   - zonesMax: zones kept decoded; beyond, those used least make room.
    ///   - decode: makes a zone of its entries, which come in the order of their keys. It runs once at a time for each
    ///     zone, on the thread that needs it, and must not ask the table. What it throws is the operator's explanation.
    package init(
        replica: Replica, zonesMax: Int = Limits.zonesDecodedDefault, log: Logger,
        decode: @escaping @Sendable (ZoneID, [ZoneEntry]) throws -> Z
    ) {
        index = ZoneIndex(replica: replica, zonesMax: zonesMax, log: log) { id, entries in
            PublishedZone(id: id, value: try decode(id, entries))
        }
    }

    /// The zone of a host: the one with the longest name that the host ends with, whole labels only.
    /// - Parameter host: in any case, without a port; a last dot does not matter.
    package func lookup(host: UnsafeRawBufferPointer) -> ZoneLookup<Z> { ZoneTable.result(index.find(host)) }

    package func lookup(host: Span<UInt8>) -> ZoneLookup<Z> {
        host.withUnsafeBytes { bytes in lookup(host: bytes) }
    }

    package func lookup(host: String) -> ZoneLookup<Z> {
        var host = host
        return host.withUTF8 { bytes in lookup(host: UnsafeRawBufferPointer(bytes)) }
    }

    /// The zone with this id.
    package func zone(_ id: ZoneID) -> ZoneLookup<Z> { ZoneTable.result(index.cell(id)) }

    /// To be called after each `apply` and `finish`, by the thread that called them. When it returns, every lookup that
    /// begins finds what was applied. Zones that are decoded are decoded again here; nobody waits for that.
    package func publish(_ touched: Touched) { index.publish(touched) }

    /// The zones that are decoded now, in no order, those among them whose last good version answers. For an operator's
    /// look: it visits every place of the table.
    package var decoded: [Z] {
        index.decodedCells.compactMap { cell in
            if case .zone(let zone) = ZoneTable.result(cell) { zone.value } else { nil }
        }
    }

    /// Zones that do not load, up to a bound.
    package var faults: [ZoneFault] { index.faults.withLock { faults in Array(faults.known.values) } }

    package var statistics: ZoneTableStatistics {
        ZoneTableStatistics(
            decoded: index.decodedCount, hits: index.hits, misses: index.walks.load(ordering: .relaxed),
            loads: index.loads.load(ordering: .relaxed), failures: index.failures.load(ordering: .relaxed),
            evictions: index.evictions.load(ordering: .relaxed))
    }

    /// A cache for one event loop.
    package func makeCache() -> ZoneCache<Z> { ZoneCache(index: index) }

    static func result(_ answer: ZoneIndex.Answer) -> ZoneLookup<Z> {
        switch answer {
        case .none: return .none
        case .failed(let error):
            return .bad(ZoneFault(id: ZoneID(high: 0, low: 0), reason: error.description, servesOlder: false))
        case .cell(let cell): return result(cell)
        }
    }

    static func result(_ cell: ZoneCell) -> ZoneLookup<Z> {
        switch cell.outcome {
        case .absent?: .none
        case .bad(let fault)?: .bad(fault)
        // Cells with something to serve are made by this class's closure alone, which makes no others.
        case nil: .zone(unsafeDowncast(cell, to: PublishedZone<Z>.self))
        }
    }
}

/// What one event loop remembers of a `ZoneTable`, without locks. Touched by that loop alone.
package final class ZoneCache<Z: Sendable> {
    private let hosts: LoopHosts

    init(index: ZoneIndex) { hosts = LoopHosts(index: index) }

    /// As `ZoneTable.lookup`.
    package func lookup(host: UnsafeRawBufferPointer) -> ZoneLookup<Z> { ZoneTable.result(hosts.find(host)) }

    package func lookup(host: Span<UInt8>) -> ZoneLookup<Z> {
        host.withUnsafeBytes { bytes in lookup(host: bytes) }
    }

    package func lookup(host: String) -> ZoneLookup<Z> {
        var host = host
        return host.withUTF8 { bytes in lookup(host: UnsafeRawBufferPointer(bytes)) }
    }
}

/// The hosts of a `ZoneCache`: one place for each key, taken by whoever was asked for last. Not generic, since what
/// depends on another type's size is slow where the compiler does not know that type.
final class LoopHosts {
    private struct Slot {
        var key: HostKey
        var stamp: UInt32
        var cell: ZoneCell?
    }

    private let index: ZoneIndex
    private var slots: [Slot]

    init(index: ZoneIndex) {
        self.index = index
        let empty = Slot(key: HostKey(first: 0, second: 0), stamp: 0, cell: nil)
        slots = [Slot](repeating: empty, count: Limits.zoneHostsPerLoopMax)
    }

    func find(_ host: UnsafeRawBufferPointer) -> ZoneIndex.Answer {
        guard let question = index.question(host) else { return .none }
        let place = Int(truncatingIfNeeded: question.key.second) & Int.max % slots.count
        if slots[place].key == question.key, slots[place].stamp == question.stamp, let cell = slots[place].cell,
            cell.isCurrent
        {
            cell.noteUse()
            return .cell(cell)
        }
        let answer = index.find(question)
        if case .cell(let cell) = answer {
            slots[place] = Slot(key: question.key, stamp: question.stamp, cell: cell)
        }
        return answer
    }
}
