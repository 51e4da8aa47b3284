// What a store is after a restart: the last checkpoint, and the journals from then on.
//
// Nothing in the index is believed blindly. A slot says where a record should be; what is read there must have the
// key's bytes and fit its checksums, so a slot that points to bytes that never reached the device costs one read and is
// dropped. Only one thing cannot be seen in a record: that it was purged. If the purges may be incomplete (no whole
// checkpoint, or journals that do not reach up to the floor), everything is forgotten.

import Glibc

/// The index as it was read from the directory.
struct DiskRecovery {
    let index = DiskIndex()
    let names = DiskNames()
    private(set) var purges: [PurgeRecord] = []
    /// The highest sequence of the purge ledger that was met.
    private(set) var sequence: UInt64 = 0
    private(set) var lastBatch: UInt64 = 0
    /// The highest number of a journal or checkpoint.
    private(set) var generation: UInt64 = 0
    /// Above every number of a file that was met.
    private(set) var nextUnit: UInt32 = 1
    /// Whether the last process ended without a checkpoint.
    private(set) var hasJournal = false

    init() {}

    /// A new store in place of one that cannot be trusted: numbers go on, so that nothing old is taken for new.
    init(after names: [DiskDirectory.Name]) {
        note(names)
    }

    /// Reads what there is; nil if it cannot be trusted.
    static func read(_ directory: DiskDirectory, _ names: [DiskDirectory.Name], store: UInt64, floor: UInt64)
        -> DiskRecovery?
    {
        let checkpoints = names.compactMap { name -> UInt64? in
            if case .checkpoint(let generation) = name { generation } else { nil }
        }
        for generation in checkpoints.sorted(by: >) {
            var recovery = DiskRecovery()
            guard recovery.readCheckpoint(directory, generation, store: store) else { continue }
            recovery.readJournals(directory, names, from: generation, store: store)
            guard recovery.lastBatch >= floor else { continue }
            recovery.note(names)
            recovery.orderPurges()
            return recovery
        }
        return nil
    }

    private mutating func note(_ names: [DiskDirectory.Name]) {
        for name in names {
            switch name {
            case .checkpoint(let number), .journal(let number): generation = max(generation, number)
            case .segment(let number), .large(let number): noteUnit(number)
            case .draft: break
            }
        }
    }

    private mutating func noteUnit(_ number: UInt32) {
        if number >= nextUnit { nextUnit = number == .max ? .max : number + 1 }
    }

    // MARK: Files

    private mutating func readCheckpoint(_ directory: DiskDirectory, _ generation: UInt64, store: UInt64) -> Bool {
        guard let file = directory.open(.checkpoint(generation), O_RDONLY) else { return false }
        var head: DiskCheckpoint.Head?
        var isWhole = false
        var recovery = self
        _ = DiskBatch.read(file, store: store, after: 0) { records in
            if head == nil {
                head = DiskCheckpoint.Head(records)
                return head?.generation == generation
            }
            if DiskCheckpoint.isEnd(records) {
                isWhole = true
                return false
            }
            return recovery.apply(records)
        }
        guard let head, isWhole else { return false }
        self = recovery
        lastBatch = head.lastBatch
        sequence = max(sequence, head.sequence)
        nextUnit = max(nextUnit, head.nextUnit)
        return true
    }

    private mutating func readJournals(
        _ directory: DiskDirectory, _ names: [DiskDirectory.Name], from first: UInt64, store: UInt64
    ) {
        let generations = names.compactMap { name -> UInt64? in
            if case .journal(let generation) = name, generation >= first { generation } else { nil }
        }
        for generation in generations.sorted() {
            guard let file = directory.open(.journal(generation), O_RDONLY) else { return }
            var recovery = self
            let last = DiskBatch.read(file, store: store, after: lastBatch) { recovery.apply($0) }
            self = recovery
            if last > lastBatch { hasJournal = true }
            lastBatch = last
        }
    }

    // MARK: Records

    /// Applies a batch; false if it makes no sense.
    private mutating func apply(_ records: UnsafeRawBufferPointer) -> Bool {
        var cursor = DiskCursor(records)
        while !cursor.isAtEnd {
            guard let kind = cursor.next(UInt8.self).flatMap(DiskJournal.Kind.init(rawValue:)) else { return false }
            guard apply(kind, &cursor) else { return false }
        }
        return true
    }

    private mutating func apply(_ kind: DiskJournal.Kind, _ cursor: inout DiskCursor) -> Bool {
        switch kind {
        case .put:
            guard let bytes = cursor.next(count: MemoryLayout<DiskSlot>.size) else { return false }
            let slot = bytes.loadUnaligned(as: DiskSlot.self)
            noteUnit(slot.unit)
            sequence = max(sequence, UInt64(slot.birth))
            _ = index.put(slot, journal: nil)
        case .delete:
            guard let high = cursor.next(UInt64.self), let low = cursor.next(UInt64.self),
                let unit = cursor.next(UInt32.self), let offset = cursor.next(UInt32.self)
            else { return false }
            let place = DiskPlace(unit: unit, offset: offset)
            _ = index.remove(KeyHash(high: high, low: low), journal: nil) { $0.place == place }
        case .zone:
            guard let number = cursor.next(UInt32.self), let tag = cursor.next(UInt64.self) else { return false }
            names.define(zone: number, ZoneTag(tag))
        case .names:
            guard let number = cursor.next(UInt32.self), let count = cursor.next(UInt32.self),
                let bytes = cursor.next(count: Int(count))
            else { return false }
            names.define(names: number, Array(bytes))
        case .purge:
            guard let purge = DiskPurge.read(&cursor) else { return false }
            purges.append(purge)
            sequence = max(sequence, purge.sequence)
        case .settle:
            guard let hasZone = cursor.next(UInt8.self), let tag = cursor.next(UInt64.self),
                let limit = cursor.next(UInt64.self)
            else { return false }
            let zone = hasZone == 0 ? ZoneTag(tag) : nil
            purges.removeAll { $0.zone == zone && $0.sequence <= limit }
        }
        return true
    }

    /// The checkpoint and the journal behind it may both have one.
    private mutating func orderPurges() {
        purges.sort { $0.sequence < $1.sequence }
        var unique: [PurgeRecord] = []
        for purge in purges where unique.last != purge { unique.append(purge) }
        purges = unique
    }

    // MARK: What is really there

    /// Enters the files, drops slots that lead nowhere, and removes files to which nothing leads.
    func settle(_ directory: DiskDirectory, _ found: [DiskDirectory.Name], _ space: DiskSpace) {
        var sizes: [UInt32: UInt64] = [:]
        for name in found {
            guard let number = name.unit else { continue }
            var status = stat()
            guard lstat(directory.path(name), &status) == 0, status.st_mode & S_IFMT == S_IFREG else { continue }
            // Large files have holes; what they take is what counts.
            let taken = name.isLarge ? UInt64(clamping: status.st_blocks) &* 512 : UInt64(clamping: status.st_size)
            sizes[number] = UInt64(clamping: status.st_size)
            space.restore(number, isLarge: name.isLarge, bytes: taken)
        }
        let definitions = names.definitions
        for shard in 0..<DiskIndex.shardCount {
            _ = index.scan(shard: shard, journal: nil) { slot in
                guard Int(slot.zone) < definitions.zones.count, Int(slot.varyNames) <= definitions.names.count,
                    let size = sizes[slot.unit], space.unit(slot.unit)?.isLarge == slot.isLarge,
                    slot.isLarge || UInt64(slot.offset) * DiskSlot.offsetStep + slot.byteCount <= size
                else { return .remove }
                return .keep
            }
            // Looking twice at one is harmless above, but not to the accounts.
            index.forEach(shard: shard) { slot in
                space.credit(slot)
                names.add(slot.byteCount, zone: slot.zone)
            }
        }
        for name in found {
            switch name {
            case .segment(let number), .large(let number):
                guard space.unit(number).map({ $0.live == 0 }) ?? true else { continue }
                directory.remove(name)
                space.remove(number)
            case .draft: directory.remove(name)
            case .checkpoint, .journal: break
            }
        }
    }
}

extension DiskDirectory.Name {
    var unit: UInt32? {
        switch self {
        case .segment(let number), .large(let number): number
        case .checkpoint, .journal, .draft: nil
        }
    }

    var isLarge: Bool { if case .large = self { true } else { false } }
}
