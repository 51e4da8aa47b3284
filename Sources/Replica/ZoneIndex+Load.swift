// Decoding a zone: once at a time for each zone, however many threads ask for it.

import Limits
import Logging
import Synchronization

/// One decoding under way. Who else wants the zone waits for its result.
final class ZoneFlight: Sendable {
    // Held by the thread that decodes, from before anybody else can see the flight until the result is there.
    let result = Mutex<ZoneIndex.Landing?>(nil)
    private let isOutdated = Atomic<Bool>(false)

    /// The zone changed: what was read may be from before.
    func outdate() { isOutdated.store(true, ordering: .sequentiallyConsistent) }

    func begin() { isOutdated.store(false, ordering: .sequentiallyConsistent) }

    var mustReadAgain: Bool { isOutdated.load(ordering: .sequentiallyConsistent) }
}

/// Zones that do not load, as many of them as are worth knowing.
struct ZoneFaults: Sendable {
    private(set) var known: [ZoneID: ZoneFault] = [:]
    private var logged = 0

    /// - Returns: whether the log should hear of it. A flood of bad zones is counted, not written.
    mutating func add(_ fault: ZoneFault) -> Bool {
        let isNew = known[fault.id]?.reason != fault.reason
        if known.count < Limits.zoneFaultsKeptMax || known[fault.id] != nil { known[fault.id] = fault }
        guard isNew, logged < Limits.zoneFaultsLoggedMax else { return false }
        logged += 1
        return true
    }

    mutating func remove(_ id: ZoneID) {
        guard !known.isEmpty else { return }
        known[id] = nil
        if known.isEmpty { logged = 0 }
    }
}

extension ZoneIndex {
    /// How a decoding ended.
    enum Landing: Sendable {
        case cell(ZoneCell)
        case failed(ReplicaError)
    }

    private enum Reading {
        case cell(ZoneCell)
        case bad(String)
        case failed(ReplicaError)
    }

    /// Decodes the zone, or waits for the thread that does.
    /// - Parameter isChanged: what the table has is outdated, though it may be used until the new one is there.
    func load(_ id: ZoneID, isChanged: Bool = false) -> Answer {
        var last: Landing?
        for _ in 0..<Limits.zoneLoadAttemptsMax {
            let own = ZoneFlight()
            var other: ZoneFlight?
            let landing = own.result.withLock { result -> Landing? in
                switch enter(id, own, isChanged: isChanged) {
                case .done(let cell): result = .cell(cell)
                case .waits(let flight): other = flight
                case .flies: result = fly(id, own)
                }
                return result
            }
            last = landing ?? other?.result.withLock { result in result }
            // What another thread found may have been outdated after all, if the zone changes all the time.
            if case .cell(let cell)? = last, landing != nil || cell.isCurrent { return .cell(cell) }
            if case .failed(let error)? = last { return .failed(error) }
        }
        if case .cell(let cell)? = last { return .cell(cell) }
        return .failed(ReplicaError(.stopped, "zone \(id) could not be read"))
    }

    /// What a thread that wants a zone has to do.
    private enum Entrance {
        /// Somebody was just done.
        case done(ZoneCell)
        case waits(ZoneFlight)
        case flies
    }

    private func enter(_ id: ZoneID, _ own: ZoneFlight, isChanged: Bool) -> Entrance {
        flightShard(id).flights.withLock { flights in
            if let other = flights[id] { return .waits(other) }
            if !isChanged {
                let cell = zoneShard(id).content.withLock { content in content.sets.peek(ZoneIndex.key(id)) }
                if let cell, cell.isCurrent { return .done(cell) }
            }
            flights[id] = own
            return .flies
        }
    }

    private func fly(_ id: ZoneID, _ flight: ZoneFlight) -> Landing {
        let shard = flightShard(id)
        var attempt = 1
        while true {
            flight.begin()
            let reading = read(id)
            let isLast = attempt >= Limits.zoneLoadAttemptsMax
            let done = shard.flights.withLock { flights -> (Landing, gone: ZoneCell?)? in
                let isOutdated = flight.mustReadAgain
                guard !isOutdated || isLast else { return nil }
                flights[id] = nil
                return land(id, reading, isOutdated: isOutdated)
            }
            if let (landing, gone) = done {
                // Freed here, where no lock is held.
                _ = gone
                return landing
            }
            attempt += 1
        }
    }

    private func read(_ id: ZoneID) -> Reading {
        _ = loads.add(1, ordering: .relaxed)
        do throws(ReplicaError) {
            var entries: [ZoneEntry] = []
            let isWhole = try replica.file().read { transaction throws(ReplicaError) in
                try transaction.entries(of: id, into: &entries)
            }
            guard isWhole else {
                return .bad("more than \(Limits.zoneEntriesMax) entries or \(Limits.zoneBytesMax) bytes")
            }
            guard !entries.isEmpty else { return .cell(EmptyZone(id: id, .absent)) }
            do {
                return .cell(try make(id, entries))
            } catch {
                let reason = "\(error)".utf8.prefix(Limits.zoneFaultReasonBytesMax)
                return .bad(String(decoding: reason, as: UTF8.self))
            }
        } catch {
            return .failed(error)
        }
    }

    /// Puts what was read into the table.
    /// - Returns: also the cell that went for it, for the caller to let go of.
    private func land(_ id: ZoneID, _ reading: Reading, isOutdated: Bool) -> (Landing, gone: ZoneCell?) {
        let shard = zoneShard(id)
        let key = ZoneIndex.key(id)
        let previous = shard.content.withLock { content in content.sets.peek(key) }
        var cell: ZoneCell
        var isPinned = false
        switch reading {
        case .failed(let error):
            // Nothing is known of the zone: the one before answers, and the next lookup tries again.
            previous?.setStale(true)
            if let previous, previous.outcome == nil { return (.cell(previous), nil) }
            return (.failed(error), nil)
        case .cell(let fresh):
            cell = fresh
            faults.withLock { faults in faults.remove(id) }
        case .bad(let reason):
            isPinned = true
            if let previous, previous.outcome == nil {
                cell = previous
                report(ZoneFault(id: id, reason: reason, servesOlder: true))
            } else {
                let fault = ZoneFault(id: id, reason: reason, servesOlder: false)
                cell = EmptyZone(id: id, .bad(fault))
                isPinned = false
                report(fault)
            }
        }
        cell.setStale(isOutdated)
        let gone = shard.content.withLock { content in
            let gone = content.sets.store(key, cell, isPinned: isPinned)
            // Under the lock: who publishes and finds a cell gone can rely on every event loop seeing that, too.
            if gone !== cell { gone?.setStale(true) }
            return gone
        }
        if let gone, gone.id != id { _ = evictions.add(1, ordering: .relaxed) }
        return (.cell(cell), gone)
    }

    private func report(_ fault: ZoneFault) {
        _ = failures.add(1, ordering: .relaxed)
        if faults.withLock({ faults in faults.add(fault) }) { log.error("A zone does not load: \(fault)") }
    }
}

extension ReadTransaction {
    /// The zone of a host: that of the longest name it has in common with one. Labels go from the whole host upwards.
    func zone(ofHost host: UnsafeRawBufferPointer) throws(ReplicaError) -> ZoneID? {
        let prefix = StateKey.namePrefix
        var key = prefix
        key.reserveCapacity(prefix.count + host.count)
        for byte in host { key.append(byte | (byte &- UInt8(ascii: "A") < 26 ? 0x20 : 0)) }
        // Offsets of the labels, the last ones of them.
        var starts = [prefix.count]
        for index in prefix.count..<key.count where key[index] == UInt8(ascii: ".") { starts.append(index + 1) }
        for start in starts.suffix(Limits.zoneNameLabelsMax) {
            // The prefix stands before the rest of the name, over labels that are done with.
            for (index, byte) in prefix.enumerated() { key[start - prefix.count + index] = byte }
            var found: Result<ZoneID?, ReplicaError> = .success(nil)
            key.withUnsafeBytes { bytes in
                let name = UnsafeRawBufferPointer(rebasing: bytes[(start - prefix.count)...])
                found = Result { () throws(ReplicaError) in try value(name).flatMap { value in ZoneID(bytes: value) } }
            }
            if let zone = try found.get() { return zone }
        }
        return nil
    }

    /// Everything of one zone, in the order of the keys.
    /// - Returns: false if there is more than may be.
    func entries(of id: ZoneID, into entries: inout [ZoneEntry]) throws(ReplicaError) -> Bool {
        var bytes = 0
        var isWhole = true
        try scan(prefix: StateKey.prefix(of: id)) { key, value in
            bytes &+= key.count &+ value.count
            isWhole = entries.count < Limits.zoneEntriesMax && bytes <= Limits.zoneBytesMax
            if isWhole { entries.append(ZoneEntry(key: String(decoding: key, as: UTF8.self), value: [UInt8](value))) }
            return isWhole
        }
        return isWhole
    }
}
