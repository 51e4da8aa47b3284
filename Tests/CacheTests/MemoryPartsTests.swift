// The parts that the store is made of, against models of them.

import Testing

@testable import Cache

@Suite("Memory store: its parts")
struct MemoryPartsTests {
    @Test("Two slots fill a cache line, and a shard's lock and table fit one")
    func layout() {
        #expect(MemoryLayout<MemorySlot>.stride == 32)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: MemoryShard.stride, alignment: MemoryShard.stride)
        defer { memory.deallocate() }
        let offset = UnsafeMutableRawPointer(MemoryShard(memory, at: 0).table) - memory
        #expect(offset >= MemoryLayout<ShardLock>.size)
        #expect(offset + MemoryLayout<MemoryTable>.size <= MemoryShard.stride)
    }

    @Test("A shard's table agrees with a dictionary through additions and removals", arguments: 1...6)
    func table(seed: UInt64) {
        var table = MemoryTable()
        var random = MemoryRandom(seed)
        var model: [UInt64: StoredObject] = [:]
        let room = MemoryZone(tag: MemoryStage.zone(0), minute: 0)
        for turn in 0..<6000 {
            // Few low bits: long runs that wrap round the table's end.
            let low = UInt64(random.below(40)) << 32 | UInt64(random.below(6) + 1018)
            let high = ~low
            if let slot = table.slot(low, high) {
                let expected = model[low]
                #expect(slot.pointee.object?.takeUnretainedValue() === expected)
                if random.below(2) == 0 {
                    let removed = table.remove(slot)
                    #expect(removed === expected)
                    model[low] = nil
                }
            } else {
                #expect(model[low] == nil)
                let key = CacheKey(
                    hash: KeyHash(high: high, low: low), urlHash: KeyHash(high: high, low: low), bytes: [])
                let object = StoredObject(newest: MemoryStage.response(key), older: [], room: room)
                table.add(
                    MemorySlot(
                        low: low, high: high, object: Unmanaged.passRetained(object), stamp: UInt32(turn), uses: 0,
                        queue: .small, zoneBits: 0))
                model[low] = object
                let isFound = table.slot(QueueItem(low: low, stamp: UInt32(turn))) != nil
                let isOther = table.slot(QueueItem(low: low, stamp: UInt32(turn) + 1)) != nil
                #expect(isFound && !isOther)
            }
            let count = table.count
            #expect(count == model.count)
        }
        for (low, object) in model {
            let found = table.slot(low, ~low)?.pointee.object?.takeUnretainedValue()
            #expect(found === object)
        }
        var lows: [UInt64] = []
        table.collect(zoneBits: nil, into: &lows)
        #expect(Set(lows) == Set(model.keys) && lows.count == model.count)
    }

    @Test("A queue gives back what it got in the order it got it, and its memory too", arguments: 1...4)
    func queue(seed: UInt64) {
        var queue = HashQueue()
        var random = MemoryRandom(seed)
        var model: [UInt64] = []
        var next: UInt64 = 0
        for turn in 0..<4000 {
            let isFilling = turn / 500 % 2 == 0
            if (random.below(4) != 0) == isFilling {
                queue.push(QueueItem(low: next, stamp: UInt32(truncatingIfNeeded: next)))
                model.append(next)
                next += 1
            } else {
                let item = queue.pop()
                #expect(item?.low == model.first)
                if !model.isEmpty { model.removeFirst() }
            }
            #expect(queue.count == model.count)
            #expect(queue.memoryBytes <= max(8, model.count * 4 + 4) * 16)
        }
        var lows: [UInt64] = []
        queue.collect(into: &lows)
        #expect(lows == model)
    }

    @Test("A ghost is remembered for as many others as its window, and once")
    func ghosts() {
        var random = MemoryRandom(3)
        var ghosts = GhostTable()
        let isRecalled = ghosts.recall(1, window: 100)
        #expect(!isRecalled)
        let hashes = (0..<3000).map { _ in random.next() }
        for hash in hashes { ghosts.remember(hash, window: 1000) }
        // Full buckets lose some.
        let recent = Self.recalled(hashes.suffix(900), &ghosts, window: 1000)
        #expect(recent > 780)
        let again = Self.recalled(hashes.suffix(900), &ghosts, window: 1000)
        #expect(again == 0)
        let old = Self.recalled(hashes.prefix(2000), &ghosts, window: 1000)
        #expect(old < 3)
    }

    private static func recalled(_ hashes: ArraySlice<UInt64>, _ ghosts: inout GhostTable, window: Int) -> Int {
        var count = 0
        for hash in hashes where ghosts.recall(hash, window: window) { count += 1 }
        return count
    }

    @Test("The ghosts' memory follows their window, and what is remembered survives that")
    func ghostMemory() {
        var random = MemoryRandom(4)
        var ghosts = GhostTable()
        for window in [16, 50, 400, 3000] {
            let hashes = (0..<10).map { _ in random.next() }
            for hash in hashes { ghosts.remember(hash, window: window) }
            ghosts.remember(random.next(), window: window * 4)
            let recalled = Self.recalled(hashes[...], &ghosts, window: window * 4)
            #expect(recalled >= 9)
            #expect(ghosts.memoryBytes >= window * 8 && ghosts.memoryBytes <= window * 4 * 8 * 4)
        }
        ghosts.remember(1, window: 16)
        #expect(ghosts.memoryBytes <= 16 * 8 * 12)
    }
}
