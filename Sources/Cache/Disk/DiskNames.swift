// Zones and lists of Vary names as the index refers to them: by numbers that are given out once and never change, and
// which the journal defines before anything uses them.

import Limits
import Synchronization

/// The numbers of zones and lists of names, and what each zone has on the disk.
final class DiskNames: Sendable {
    private static let namesMax = 65_536

    private struct Zone {
        var tag: ZoneTag
        var bytes: UInt64 = 0
        var bytesMax: UInt64?
    }

    private struct State {
        var zones: [Zone] = []
        var zoneNumbers: [UInt64: UInt32] = [:]
        var names: [[UInt8]] = []
        var nameNumbers: [[UInt8]: UInt32] = [:]
        /// Zones with something on the disk.
        var occupiedZones = 0
    }

    private let state = Mutex(State())

    // MARK: Numbers

    /// The zone's number; nil if there are too many.
    func number(_ tag: ZoneTag, journal: DiskJournal) -> UInt32? {
        state.withLock { state in
            if let number = state.zoneNumbers[tag.value] { return number }
            let number = UInt32(clamping: state.zones.count)
            guard number < DiskSlot.zonesMax else { return nil }
            state.zones.append(Zone(tag: tag))
            state.zoneNumbers[tag.value] = number
            journal.defineZone(number, tag)
            return number
        }
    }

    /// The zone's number, if it has one.
    func known(_ tag: ZoneTag) -> UInt32? { state.withLock { $0.zoneNumbers[tag.value] } }

    /// The list's number, from 1; 0 for no Vary, nil if there are too many.
    func number(_ names: [UInt8]?, journal: DiskJournal) -> UInt32? {
        guard let names else { return 0 }
        return state.withLock { state in
            if let number = state.nameNumbers[names] { return number }
            guard state.names.count < Self.namesMax else { return nil }
            state.names.append(names)
            let number = UInt32(clamping: state.names.count)
            state.nameNumbers[names] = number
            journal.defineNames(number, names)
            return number
        }
    }

    /// What the caller gets to see of slots.
    func entries(_ slots: [DiskSlot]) -> [DiskEntry] {
        state.withLock { state in
            slots.map { slot in
                let zone = state.zones.indices.contains(Int(slot.zone)) ? state.zones[Int(slot.zone)].tag : ZoneTag(0)
                let number = Int(slot.varyNames) - 1
                let names = state.names.indices.contains(number) ? state.names[number] : nil
                return DiskEntry(slot: slot, zone: zone, varyNames: names)
            }
        }
    }

    // MARK: Recovery

    /// What a journal or a checkpoint defined. Numbers come in order; one that is there already is the same.
    func define(zone number: UInt32, _ tag: ZoneTag) {
        state.withLock { state in
            guard Int(number) == state.zones.count else { return }
            state.zones.append(Zone(tag: tag))
            state.zoneNumbers[tag.value] = number
        }
    }

    func define(names number: UInt32, _ names: [UInt8]) {
        state.withLock { state in
            guard Int(number) == state.names.count + 1 else { return }
            state.names.append(names)
            state.nameNumbers[names] = number
        }
    }

    /// Everything, for a checkpoint.
    var definitions: (zones: [ZoneTag], names: [[UInt8]]) {
        state.withLock { ($0.zones.map(\.tag), $0.names) }
    }

    // MARK: Shares

    func add(_ bytes: UInt64, zone: UInt32) {
        state.withLock { state in
            guard state.zones.indices.contains(Int(zone)) else { return }
            if state.zones[Int(zone)].bytes == 0, bytes > 0 { state.occupiedZones += 1 }
            state.zones[Int(zone)].bytes &+= bytes
        }
    }

    func subtract(_ bytes: UInt64, zone: UInt32) {
        state.withLock { state in
            guard state.zones.indices.contains(Int(zone)), state.zones[Int(zone)].bytes > 0 else { return }
            let rest = state.zones[Int(zone)].bytes
            state.zones[Int(zone)].bytes = rest - min(rest, bytes)
            if rest <= bytes { state.occupiedZones -= 1 }
        }
    }

    func setBytesMax(_ tag: ZoneTag, _ bytes: UInt64?, journal: DiskJournal) {
        guard let number = number(tag, journal: journal) else { return }
        state.withLock { $0.zones[Int(number)].bytesMax = bytes }
    }

    func bytes(_ tag: ZoneTag) -> UInt64 {
        state.withLock { state in state.zoneNumbers[tag.value].map { state.zones[Int($0)].bytes } ?? 0 }
    }

    /// What the zone has, and what it may have.
    func quota(_ zone: UInt32) -> (bytes: UInt64, bytesMax: UInt64?) {
        state.withLock { state in
            guard state.zones.indices.contains(Int(zone)) else { return (0, nil) }
            return (state.zones[Int(zone)].bytes, state.zones[Int(zone)].bytesMax)
        }
    }

    enum Standing {
        /// Below half of its fair share of the disk.
        case modest
        case fair
        /// Above its share.
        case greedy
    }

    /// How much a zone has beside the equal share of all zones that have anything.
    func standing(_ zone: UInt32, of bytesMax: UInt64) -> Standing {
        state.withLock { state in
            guard state.zones.indices.contains(Int(zone)) else { return .greedy }
            let entry = state.zones[Int(zone)]
            let share = min(bytesMax / UInt64(max(1, state.occupiedZones)), entry.bytesMax ?? .max)
            if entry.bytes > share { return .greedy }
            return entry.bytes < share / 2 ? .modest : .fair
        }
    }
}
