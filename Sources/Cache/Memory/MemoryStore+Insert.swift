internal import Limits
internal import Synchronization

// Putting in, replacing, taking out. An entry's object changes under its zone's lock, so what is read of it under that
// lock stays true until it is let go; the shard's lock is held only for the moments in which the table is touched, not
// while objects are made.
extension MemoryStore {
    /// Adds a response to what is under its key, in the place of the variant for the same request fields; one without
    /// Vary in the place of all variants.
    ///
    /// - Parameter zoneBytesMax: the most bytes its zone may take (`CacheSettings.memoryBytesMax`).
    /// - Returns: false if it was refused: larger than a tenth of the store or than its zone may be, no room to be had,
    ///   or its hash is another key's.
    @discardableResult
    package func insert(_ response: StoredResponse, zoneBytesMax: Int = .max) -> Bool {
        let charge = StoredObject.charge(response)
        let objectBytesMax = min(bytesMax / Int(Limits.cacheMemoryObjectShare), zoneBytesMax)
        guard charge <= objectBytesMax else { return refuse() }
        let now = advance(response.facts.responseTime)
        while true {
            let zone = room(response.zone)
            zone.noteUse(now)
            self.charge(zone, charge)
            settleRank(zone)
            let hasRoom =
                makeRoom(in: zone, bytesMax: zoneBytesMax) && makeRoom(evictionsMax: Limits.cacheEvictionsPerInsertMax)
            let outcome = hasRoom ? put(response, reserved: charge, objectBytesMax, zone).0 : .refused
            switch outcome {
            case .done:
                settleRank(zone)
                return true
            case .refused:
                self.charge(zone, -charge)
                settleRank(zone)
                return refuse()
            case .zoneIsRetired:
                self.charge(zone, -charge)
            }
        }
    }

    /// Puts `new` in the place of `old`, as the newest variant, if `old` itself is still there.
    @discardableResult
    package func replace(_ old: StoredResponse, with new: StoredResponse) -> Bool {
        guard let zone = existingRoom(old.zone), old.zone == new.zone, old.key == new.key else { return false }
        let displaced = zone.queues.withLock { queues -> StoredObject? in
            guard let object = entry(old.key.hash), object.room === zone, object.holds(old) else { return nil }
            let bytesMax = max(object.memoryBytes, self.bytesMax / Int(Limits.cacheMemoryObjectShare))
            exchange(object, for: object.adding(new, superseding: old, bytesMax: bytesMax), &queues, zone)
            return object
        }
        guard displaced != nil else { return false }
        makeRoom(evictionsMax: Limits.cacheEvictionsPerInsertMax)
        settleRank(zone)
        return true
    }

    /// Removes what is under a key.
    /// - Returns: how many responses that were.
    @discardableResult
    package func remove(_ hash: KeyHash, _ key: UnsafeRawBufferPointer) -> Int {
        while let object = peek(hash, key) {
            if exchange(object, for: nil) { return object.count }
        }
        return 0
    }

    /// Removes this variant, if it itself is still there.
    @discardableResult
    package func remove(_ response: StoredResponse) -> Bool {
        while let object = entry(response.key.hash), object.holds(response) {
            if exchange(object, for: object.without(response)) { return true }
        }
        return false
    }

    /// Leaves of an object's variants what `rest` has; nil: nothing. False: another has taken its place meanwhile.
    func exchange(_ object: StoredObject, for rest: StoredObject?) -> Bool {
        let zone = object.room
        let isDone = zone.queues.withLock { queues -> Bool in
            guard entry(object.key.hash) === object else { return false }
            if let rest {
                exchange(object, for: rest, &queues, zone)
            } else {
                drop(object, &queues, zone)
            }
            compact(zone, &queues, itemsMax: Limits.cacheCompactionItems)
            return true
        }
        if isDone { settleRank(zone) }
        return isDone
    }

    // MARK: Under the zone's lock

    private enum Outcome {
        case done
        case refused
        case zoneIsRetired
    }

    /// What it displaces is handed out, so that it is not freed under the lock.
    private func put(
        _ response: StoredResponse, reserved: Int, _ objectBytesMax: Int, _ zone: MemoryZone
    ) -> (Outcome, displaced: StoredObject?) {
        zone.queues.withLock { queues in
            guard !queues.isRetired else { return (.zoneIsRetired, nil) }
            guard let object = entry(response.key.hash) else {
                enter(StoredObject(newest: response, older: [], room: zone), &queues, zone)
                return (.done, nil)
            }
            guard object.room === zone, object.key.bytes == response.key.bytes else { return (.refused, object) }
            let next = object.adding(response, superseding: nil, bytesMax: objectBytesMax)
            exchange(object, for: next, &queues, zone)
            charge(zone, -reserved)
            return (.done, object)
        }
    }

    /// Makes an entry for a key that has none. Its bytes have been charged.
    private func enter(_ object: StoredObject, _ queues: inout ZoneQueues, _ zone: MemoryZone) {
        let hash = object.key.hash
        queues.stamp &+= 1
        let queue = queues.ghosts.recall(hash.high, window: queues.ghostWindow) ? QueueKind.main : .small
        queues.push(QueueItem(low: hash.low, stamp: queues.stamp), to: queue, bytes: object.memoryBytes)
        let slot = MemorySlot(
            low: hash.low, high: hash.high, object: Unmanaged.passRetained(object), stamp: queues.stamp, uses: 0,
            queue: queue, zoneBits: zone.bits
        )
        let grown = withShard(hash.low) { table in
            let before = table.bytes
            table.add(slot)
            return table.bytes &- before
        }
        chargeTable(grown)
        zone.objects.add(1, ordering: .relaxed)
        zone.responses.add(1, ordering: .relaxed)
        settleQueueBytes(zone, &queues)
    }

    /// Puts `next` in the place of `object`, which is the entry's, and charges the difference.
    private func exchange(
        _ object: StoredObject, for next: StoredObject, _ queues: inout ZoneQueues, _ zone: MemoryZone
    ) {
        let hash = object.key.hash
        let queue = withShard(hash.low) { table -> QueueKind in
            guard let slot = table.slot(hash.low, hash.high) else { return .small }
            // The caller holds the one that goes, so that nothing is freed here.
            slot.pointee.object?.release()
            slot.pointee.object = Unmanaged.passRetained(next)
            return slot.pointee.queue
        }
        let difference = next.memoryBytes &- object.memoryBytes
        queues.charge(queue, difference)
        charge(zone, difference)
        zone.responses.add(next.count &- object.count, ordering: .relaxed)
    }

    /// Takes an object's entry away; its queue's item stays behind.
    private func drop(_ object: StoredObject, _ queues: inout ZoneQueues, _ zone: MemoryZone) {
        let hash = object.key.hash
        let queue = withShard(hash.low) { table -> QueueKind? in
            guard let slot = table.slot(hash.low, hash.high) else { return nil }
            let queue = slot.pointee.queue
            _ = table.remove(slot)
            return queue
        }
        guard let queue else { return }
        queues.charge(queue, -object.memoryBytes)
        queues.dead &+= 1
        account(zone, leaving: object)
    }

    /// Discharges a zone of an object whose entry is gone.
    func account(_ zone: MemoryZone, leaving object: StoredObject) {
        charge(zone, -object.memoryBytes)
        zone.objects.subtract(1, ordering: .relaxed)
        zone.responses.subtract(object.count, ordering: .relaxed)
    }

    /// Goes round the queues where more than half of the items stand for nothing: those are left out, the others queue
    /// again behind. A whole round restores the order; while one is under way the order is merely not exact.
    func compact(_ zone: MemoryZone, _ queues: inout ZoneQueues, itemsMax: Int) {
        guard queues.dead > Limits.cacheCompactionItems else { return }
        guard queues.dead &* 2 > queues.small.count &+ queues.main.count else { return }
        for _ in 0..<itemsMax {
            if let item = queues.small.pop() {
                if isAlive(item) { queues.small.push(item) } else { queues.dead &-= 1 }
            }
            if let item = queues.main.pop() {
                if isAlive(item) { queues.main.push(item) } else { queues.dead &-= 1 }
            }
        }
        settleQueueBytes(zone, &queues)
    }

    private func isAlive(_ item: QueueItem) -> Bool { withShard(item.low) { $0.slot(item) != nil } }

    // MARK: Time

    /// Notes the time, as responses tell it, and returns the minute.
    private func advance(_ milliseconds: Int64) -> UInt32 {
        let now = UInt32(clamping: milliseconds / 60_000)
        let before = minute.load(ordering: .relaxed)
        guard now > before else { return before }
        // Two inserts at once may write in either order: a minute makes no difference.
        minute.store(now, ordering: .relaxed)
        return now
    }
}
