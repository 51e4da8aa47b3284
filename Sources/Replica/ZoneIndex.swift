// Host → zone, and zone → what is decoded of it, for any number of threads.
//
// Three bounded tables, each in shards with a lock that is held for one probe of eight slots and never while anything
// is read, decoded or freed: hosts with their zones, hosts without one, and decoded zones. A change of a zone replaces
// that zone's cell; a change of a name outdates the hosts below it (NameStamps.swift). What is not in the tables is
// read from the replica. Locks nest in one order: a flight's result, its shard of flights, a shard of zones.

import ConfigLog
import Limits
import Logging
import Synchronization

/// The tables behind `ZoneTable`, which know nothing of what a zone decodes to.
final class ZoneIndex: Sendable {
    /// What a host leads to.
    enum Answer {
        case none
        case cell(ZoneCell)
        /// The replica could not be read.
        case failed(ReplicaError)
    }

    final class Shard<Value: Kept>: Sendable {
        struct Content: Sendable {
            var sets: KeptSets<Value>
            var hits: UInt64 = 0
        }

        // Held for one probe.
        let content: Mutex<Content>

        init(capacity: Int) { content = Mutex(Content(sets: KeptSets(capacity: capacity))) }

        func find(_ key: HostKey, stamp: UInt32) -> Value? {
            content.withLock { content in
                let value = content.sets.find(key, stamp: stamp)
                if value != nil { content.hits &+= 1 }
                return value
            }
        }
    }

    final class FlightShard: Sendable {
        let flights = Mutex<[ZoneID: ZoneFlight]>([:])
    }

    let replica: Replica
    let log: Logger
    let make: @Sendable (ZoneID, [ZoneEntry]) throws -> ZoneCell
    let stamps = NameStamps()
    let faults = Mutex(ZoneFaults())
    let loads = Atomic<UInt64>(0)
    let failures = Atomic<UInt64>(0)
    let evictions = Atomic<UInt64>(0)
    let walks = Atomic<UInt64>(0)
    private let fingerprint: HostFingerprint
    private let hosts: [Shard<ZoneID>]
    private let strangers: [Shard<Nothing>]
    let zones: [Shard<ZoneCell>]
    let flights: [FlightShard]

    init(
        replica: Replica, zonesMax: Int, log: Logger,
        make: @escaping @Sendable (ZoneID, [ZoneEntry]) throws -> ZoneCell
    ) {
        self.replica = replica
        self.log = log
        self.make = make
        var generator = SystemRandomNumberGenerator()
        fingerprint = HostFingerprint(using: &generator)
        let shards = Limits.zoneTableShardCount
        let range = Limits.zonesDecodedRange
        let zonesMax = min(max(zonesMax, range.lowerBound), range.upperBound)
        hosts = (0..<shards).map { _ in Shard(capacity: Limits.zoneHostsKnownMax / shards) }
        strangers = (0..<shards).map { _ in Shard(capacity: Limits.zoneHostsUnknownMax / shards) }
        zones = (0..<shards).map { _ in Shard(capacity: zonesMax / shards) }
        flights = (0..<shards).map { _ in FlightShard() }
    }

    // MARK: Lookup

    /// A host as the tables know it: its name without a last dot, its key, and its stamp from before the lookup.
    struct Question {
        let name: UnsafeRawBufferPointer
        let key: HostKey
        let stamp: UInt32
    }

    /// nil: no zone can have such a name.
    func question(_ host: UnsafeRawBufferPointer) -> Question? {
        var name = host
        if name.last == UInt8(ascii: ".") { name = UnsafeRawBufferPointer(rebasing: name.dropLast()) }
        guard (1...Limits.zoneNameBytesMax).contains(name.count) else { return nil }
        return Question(name: name, key: fingerprint.key(name), stamp: stamps[NameStamps.index(of: name)])
    }

    func find(_ host: UnsafeRawBufferPointer) -> Answer {
        guard let question = question(host) else { return .none }
        return find(question)
    }

    func find(_ question: Question) -> Answer {
        let key = question.key
        let shard = Int(truncatingIfNeeded: key.first) & Int.max % Limits.zoneTableShardCount
        if let id = hosts[shard].find(key, stamp: question.stamp) { return cell(id) }
        if strangers[shard].find(key, stamp: question.stamp) != nil { return .none }
        _ = walks.add(1, ordering: .relaxed)
        do throws(ReplicaError) {
            let id = try replica.file().read { transaction throws(ReplicaError) in
                try transaction.zone(ofHost: question.name)
            }
            guard let id else {
                strangers[shard].content.withLock { content in
                    _ = content.sets.store(key, stamp: question.stamp, Nothing())
                }
                return .none
            }
            hosts[shard].content.withLock { content in _ = content.sets.store(key, stamp: question.stamp, id) }
            return cell(id)
        } catch {
            return .failed(error)
        }
    }

    /// The zone as it is decoded, or as it is decoded now.
    func cell(_ id: ZoneID) -> Answer {
        if let cell = zoneShard(id).find(ZoneIndex.key(id), stamp: 0), cell.isCurrent { return .cell(cell) }
        return load(id)
    }

    static func key(_ id: ZoneID) -> HostKey { HostKey(first: id.high, second: id.low) }

    func zoneShard(_ id: ZoneID) -> Shard<ZoneCell> {
        zones[Int(truncatingIfNeeded: id.high ^ id.high >> 32) & Int.max % zones.count]
    }

    func flightShard(_ id: ZoneID) -> FlightShard {
        flights[Int(truncatingIfNeeded: id.high ^ id.high >> 32) & Int.max % flights.count]
    }

    // MARK: Changes

    /// Makes the tables say what the replica says now. When it returns, every lookup that begins sees the new state.
    func publish(_ touched: Touched) {
        guard !touched.isEverything else { return outdateEverything() }
        for name in touched.names { stamps.change(name) }
        for id in touched.zones {
            // Whoever is reading the zone may have begun before the change: it reads again.
            flightShard(id).flights.withLock { flights in flights[id]?.outdate() }
            let isDecoded = zoneShard(id).content.withLock { content in content.sets.peek(ZoneIndex.key(id)) != nil }
            // Readers have the older one until the new one is there: none of them waits for this.
            if isDecoded { _ = load(id, isChanged: true) }
        }
    }

    /// Cells stay as what to fall back on; each is decoded again when it is asked for.
    private func outdateEverything() {
        stamps.changeAll()
        for shard in flights {
            shard.flights.withLock { flights in for flight in flights.values { flight.outdate() } }
        }
        for shard in zones {
            shard.content.withLock { content in content.sets.forEach { cell in cell.setStale(true) } }
        }
    }

    // MARK: Statistics

    var hits: UInt64 {
        hosts.reduce(0) { sum, shard in sum &+ shard.content.withLock { content in content.hits } }
            &+ strangers.reduce(0) { sum, shard in sum &+ shard.content.withLock { content in content.hits } }
    }

    var decodedCells: [ZoneCell] {
        var cells: [ZoneCell] = []
        for shard in zones { shard.content.withLock { content in content.sets.forEach { cell in cells.append(cell) } } }
        return cells
    }

    var decodedCount: Int {
        zones.reduce(0) { sum, shard in sum &+ shard.content.withLock { content in content.sets.used } }
    }
}
