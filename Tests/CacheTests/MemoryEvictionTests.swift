// Who has to go, within a zone and among zones; and the bound.

import Limits
import Synchronization
import Testing

@testable import Cache

private typealias Stage = MemoryStage

@Suite("Memory store: eviction")
struct MemoryEvictionTests {
    @Test("The bound holds after every insert, whatever the sizes", arguments: 1...4)
    func bound(seed: UInt64) {
        let store = MemoryStore(bytesMax: 2 << 20)
        var random = MemoryRandom(seed)
        for turn in 0..<6000 {
            let bytes = random.below(50) == 0 ? random.below(150_000) : random.below(4000)
            store.insert(Stage.response(random.below(3000), zone: random.below(5), bytes: bytes + 1))
            _ = store.object(Stage.key(random.below(3000), zone: random.below(5)))
            guard store.statistics().bytes <= store.bytesMax else {
                Issue.record("\(store.statistics().bytes) of \(store.bytesMax) at \(turn)")
                return
            }
        }
        #expect(store.statistics().evictions > 1000)
        #expect(store.statistics().bytes > store.bytesMax * 9 / 10)
        expectCharged(store)
    }

    @Test("One scan takes a tenth and no more: what was looked up stays")
    func scan() {
        let store = MemoryStore(bytesMax: 4 << 20)
        let hot = 1000
        // Long enough for the hot ones to reach the main queue.
        for round in 0..<12 {
            for number in 0..<hot {
                if store.object(Stage.key(number)) == nil { store.insert(Stage.response(number, bytes: 1000)) }
            }
            for number in 0..<600 { store.insert(Stage.response(1_000_000 + round * 600 + number, bytes: 1000)) }
        }
        let before = (0..<hot).filter { store.has($0) }.count
        for number in 0..<20_000 { store.insert(Stage.response(2_000_000 + number, bytes: 1000)) }
        let after = (0..<hot).filter { store.has($0) }.count
        #expect(before >= hot * 95 / 100)
        #expect(after >= before * 99 / 100)
    }

    @Test("What comes back soon after its eviction goes to the main queue")
    func ghosts() {
        let store = MemoryStore(bytesMax: 4 << 20)
        for number in 0..<1500 {
            store.insert(Stage.response(number, bytes: 1000))
            _ = store.object(Stage.key(number))
        }
        var next = 10_000
        while store.statistics().evictions < 20 {
            store.insert(Stage.response(next, bytes: 1000))
            next += 1
        }
        let evicted = (10_000..<next).filter { !store.has($0) }
        #expect(!evicted.isEmpty)
        for number in evicted { store.insert(Stage.response(number, bytes: 1000)) }
        for number in evicted {
            let key = Stage.key(number)
            let queue = store.withShard(key.hash.low) { $0.slot(key.hash.low, key.hash.high)?.pointee.queue }
            #expect(queue == .main)
        }
    }

    @Test("Where everything is hot an insert still finds room, in bounded time")
    func everythingHot() {
        let store = MemoryStore(bytesMax: 2 << 20)
        for number in 0..<3000 {
            #expect(store.insert(Stage.response(number)))
            for back in 0..<4 where number >= back { for _ in 0..<4 { _ = store.object(Stage.key(number - back)) } }
        }
        #expect(store.statistics().bytes <= store.bytesMax)
    }

    @Test("What is evicted is told, with whether it was hot; what is removed or replaced is not")
    func hook() {
        let store = MemoryStore(bytesMax: 1 << 20)
        let told = Mutex<[(Int, Bool)]>([])
        store.onEviction { object, wasHot in told.withLock { $0.append((object.count, wasHot)) } }
        for number in 0..<200 { store.insert(Stage.response(number, bytes: 1000)) }
        for number in 0..<200 { store.insert(Stage.response(number, bytes: 1000)) }
        for number in 0..<200 { _ = store.remove(Stage.key(number)) }
        #expect(told.withLock { $0.count } == 0)
        for number in 0..<2000 {
            store.insert(Stage.response(number, bytes: 1000))
            if number < 200 { for _ in 0..<2 { _ = store.object(Stage.key(number)) } }
        }
        let evictions = told.withLock { $0 }
        #expect(UInt64(evictions.count) == store.statistics().evictions)
        #expect(evictions.contains { !$0.1 } && evictions.allSatisfy { $0.0 == 1 })
    }

    @Test("A smaller bound is in effect when setting it returns")
    func smaller() {
        let store = MemoryStore(bytesMax: 8 << 20)
        for number in 0..<4000 { store.insert(Stage.response(number, bytes: 1000)) }
        store.setBytesMax(2 << 20)
        #expect(store.statistics().bytes <= 2 << 20)
        #expect(store.statistics().objects > 500)
        expectCharged(store)
    }

    @Test("A bound of nothing takes nothing, and does not wait for room for ever")
    func nothing() {
        let store = MemoryStore(bytesMax: 0)
        #expect(!store.insert(Stage.response(1)))
        #expect(store.object(Stage.key(1)) == nil)
    }
}

@Suite("Memory store: fairness among zones")
struct MemoryFairnessTests {
    @Test("A zone that floods the store takes nothing from those below their share")
    func flood() {
        let store = MemoryStore(bytesMax: 8 << 20)
        // Three small zones at some two thirds of a quarter each.
        for zone in 1...3 {
            for number in 0..<650 { #expect(store.insert(Stage.response(number, zone: zone, bytes: 1000))) }
        }
        for number in 0..<20_000 { store.insert(Stage.response(number, zone: 0, bytes: 1000)) }
        for zone in 1...3 {
            let statistics = store.statistics(of: Stage.zone(zone))
            #expect(statistics?.objects == 650 && statistics?.evictions == 0)
        }
        #expect((store.statistics(of: Stage.zone(0))?.evictions ?? 0) > 15_000)
    }

    @Test("Zones that all want everything end with about the same each")
    func equal() {
        let store = MemoryStore(bytesMax: 8 << 20)
        for number in 0..<30_000 {
            for zone in 0..<4 where number % (zone + 1) == 0 {
                store.insert(Stage.response(number, zone: zone, bytes: 500 + zone * 700))
            }
        }
        let share = store.bytesMax / 4
        for zone in 0..<4 {
            let bytes = store.statistics(of: Stage.zone(zone))?.bytes ?? 0
            #expect(bytes > share * 8 / 10 && bytes < share * 12 / 10)
        }
    }

    @Test("Shares move with the number of zones: a newcomer gets its own from the largest")
    func newcomer() {
        let store = MemoryStore(bytesMax: 8 << 20)
        for number in 0..<20_000 { store.insert(Stage.response(number, zone: 0, bytes: 1000)) }
        for number in 0..<20_000 { store.insert(Stage.response(number, zone: 1, bytes: 1000)) }
        let bytes = store.statistics(of: Stage.zone(1))?.bytes ?? 0
        #expect(bytes > store.bytesMax * 4 / 10 && bytes < store.bytesMax * 6 / 10)
    }

    @Test("Random floods: no zone well below its share ever loses anything", arguments: 1...4)
    func property(seed: UInt64) {
        let store = MemoryStore(bytesMax: 6 << 20)
        var random = MemoryRandom(seed)
        let zones = 6
        // Set after a zone was above three quarters of a share: it may have lost something then.
        var wasLarge = Set<Int>()
        for _ in 0..<20_000 {
            let zone = min(random.below(zones), random.below(zones))
            store.insert(Stage.response(random.below(4000), zone: zone, bytes: 1 + random.below(3000)))
            for zone in 0..<zones {
                guard let statistics = store.statistics(of: Stage.zone(zone)) else { continue }
                if statistics.bytes * zones * 4 > store.bytesMax * 3 { wasLarge.insert(zone) }
                if !wasLarge.contains(zone), statistics.evictions > 0 {
                    Issue.record("zone \(zone) lost something at \(statistics.bytes) bytes")
                    return
                }
            }
        }
        #expect(!wasLarge.isEmpty)
    }

    @Test("A zone keeps to its own bound while there is room for others")
    func zoneBound() {
        let store = MemoryStore(bytesMax: 8 << 20)
        for number in 0..<3000 { store.insert(Stage.response(number, zone: 0, bytes: 1000), zoneBytesMax: 500_000) }
        #expect((store.statistics(of: Stage.zone(0))?.bytes ?? .max) <= 500_000)
        #expect((store.statistics(of: Stage.zone(0))?.objects ?? 0) > 150)
        for number in 0..<1000 { store.insert(Stage.response(number, zone: 1, bytes: 1000)) }
        #expect(store.statistics(of: Stage.zone(1))?.objects == 1000)
    }

    @Test("What an idle zone has goes first; one that is only read is not idle")
    func idle() {
        let store = MemoryStore(bytesMax: 8 << 20)
        let late = Int64(Limits.cacheZoneIdleMinutes) + 5
        for number in 0..<600 {
            store.insert(Stage.response(number, zone: 1, bytes: 1000))
            store.insert(Stage.response(number, zone: 2, bytes: 1000))
        }
        for number in 0..<300 { store.insert(Stage.response(number, zone: 3, bytes: 1000, minute: late)) }
        // Zone 2 is looked up in: no insert, but a use.
        for number in 0..<600 { _ = store.object(Stage.key(number, zone: 2)) }
        for number in 300..<20_000 { store.insert(Stage.response(number, zone: 3, bytes: 1000, minute: late + 1)) }
        #expect(store.statistics(of: Stage.zone(1))?.objects ?? 0 == 0)
        #expect(store.statistics(of: Stage.zone(2))?.objects == 600)
        expectCharged(store)
    }

    @Test("Zones that are idle and empty are forgotten, and come back when they are used")
    func retired() {
        let store = MemoryStore(bytesMax: 4 << 20)
        for zone in 1...50 { store.insert(Stage.response(1, zone: zone)) }
        for zone in 1...50 { _ = store.remove(Stage.key(1, zone: zone)) }
        let late = Int64(Limits.cacheZoneIdleMinutes) + 5
        for number in 0..<20_000 { store.insert(Stage.response(number, zone: 0, bytes: 1000, minute: late)) }
        #expect(store.statistics().zones == 1)
        #expect(store.insert(Stage.response(1, zone: 7, minute: late)))
        #expect(store.has(1, zone: 7))
        expectCharged(store)
    }

    @Test("Tens of thousands of zones: the largest is found without asking all")
    func manyZones() {
        let store = MemoryStore(bytesMax: 16 << 20)
        for zone in 1...30_000 { store.insert(Stage.response(1, zone: zone)) }
        #expect(store.statistics().bytes <= store.bytesMax)
        let before = store.statistics(of: Stage.zone(0))?.objects ?? 0
        for number in 0..<2000 { store.insert(Stage.response(number, zone: 0, bytes: 1000)) }
        #expect(before == 0)
        // Above its share of a few hundred bytes it is the largest, and loses to itself.
        #expect((store.statistics(of: Stage.zone(0))?.evictions ?? 0) > 1900)
    }
}

@Suite("Memory store: ranking of zones")
struct ZoneRankingTests {
    @Test("Classes of size grow with the size, eight to each power of two")
    func classes() {
        var last = -1
        for bytes in 0..<100_000 {
            let rank = ZoneRanking.rank(bytes)
            #expect(rank == last || rank == last + 1 || last == -1)
            last = max(last, rank)
        }
        #expect(ZoneRanking.rank(.max) < 64 * 8 && ZoneRanking.rank(-1) == ZoneRanking.rank(8))
        #expect(ZoneRanking.rank(2 << 20) == ZoneRanking.rank(1 << 20) + 8)
    }

    @Test("The victim is among the largest, through any changes", arguments: 1...4)
    func victim(seed: UInt64) {
        var ranking = ZoneRanking()
        var random = MemoryRandom(seed)
        let zones = (0..<60).map { MemoryZone(tag: MemoryStage.zone($0), minute: 0) }
        for zone in zones {
            zone.objects.store(1, ordering: .relaxed)
            ranking.add(zone)
        }
        for _ in 0..<5000 {
            let zone = zones[random.below(zones.count)]
            zone.bytes.store(1 + random.below(1 << (4 + random.below(20))), ordering: .relaxed)
            zone.objects.store(random.below(4), ordering: .relaxed)
            if ZoneRanking.isMisplaced(zone) { ranking.settle(zone) }
            let candidates = zones.filter { $0.objects.load(ordering: .relaxed) > 0 }
            let largest = candidates.map { $0.bytes.load(ordering: .relaxed) }.max() ?? 0
            let victim = ranking.victim(bytesMax: 1 << 20, minute: 0)
            let bytes = victim?.bytes.load(ordering: .relaxed) ?? 0
            #expect(bytes * 8 >= largest * 7 || bytes + 8 >= largest)
        }
        for zone in zones { ranking.remove(zone) }
        #expect(ranking.count == 0 && ranking.victim(bytesMax: 1, minute: 0) == nil)
    }
}
