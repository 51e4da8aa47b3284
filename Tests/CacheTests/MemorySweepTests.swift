// Sweeps, and many threads at once.

import Limits
import NIOCore
import Synchronization
import Testing

@testable import Cache

private typealias Stage = MemoryStage

@Suite("Memory store: sweeps")
struct MemorySweepTests {
    @Test("A sweep sees each response of its zone once, in small zones and in large ones", arguments: [100, 6000])
    func seesAll(count: Int) {
        let store = MemoryStore(bytesMax: 64 << 20)
        for number in 0..<count {
            store.insert(Stage.response(number, zone: 1))
            if number % 10 == 0 { store.insert(Stage.response(number, zone: 2)) }
        }
        var seen: [ObjectIdentifier: Int] = [:]
        let found = store.sweep(zone: Stage.zone(1)) { response in
            #expect(response.zone == Stage.zone(1))
            seen[ObjectIdentifier(response), default: 0] += 1
            return .keep
        }
        #expect(found.examined == count && found.removed == 0 && seen.count == count)
        #expect(store.sweep(zone: nil) { _ in .keep }.examined == count + (count + 9) / 10)
        #expect(store.sweep(zone: Stage.zone(9)) { _ in .remove } == SweepCount())
    }

    @Test("A look at a zone sees each of its responses once, in small zones and in large ones", arguments: [100, 6000])
    func looks(count: Int) {
        let store = MemoryStore(bytesMax: 64 << 20)
        for number in 0..<count {
            for value in 0..<2 {
                store.insert(Stage.response(Stage.key(number, zone: 1), zone: 1, vary: Stage.vary(value)))
            }
            if number % 10 == 0 { store.insert(Stage.response(number, zone: 2)) }
        }
        var seen: [ObjectIdentifier: Int] = [:]
        store.forEach(zone: Stage.zone(1)) { response in
            #expect(response.zone == Stage.zone(1))
            seen[ObjectIdentifier(response), default: 0] += 1
        }
        #expect(seen.count == count * 2 && seen.values.allSatisfy { $0 == 1 })
        store.forEach(zone: Stage.zone(9)) { _ in Issue.record("nothing is there") }
        #expect(store.statistics().responses == count * 2 + (count + 9) / 10)
    }

    @Test("A sweep removes and marks what it is told to, variants one by one", arguments: [30, 6000])
    func removes(count: Int) {
        let store = MemoryStore(bytesMax: 64 << 20)
        for number in 0..<count {
            for value in 0..<2 {
                store.insert(Stage.response(Stage.key(number), vary: Stage.vary(value), tags: [UInt64(number % 3)]))
            }
        }
        let found = store.sweep(zone: Stage.zone(0)) { response in
            if response.tags == [0] { return .remove }
            if response.tags == [1], response.vary == Stage.vary(0) { return .remove }
            return response.tags == [2] ? .markStale : .keep
        }
        #expect(found.examined == count * 2 && found.removed == count && found.marked == count / 3 * 2)
        #expect(store.statistics().objects == count / 3 * 2 && store.statistics().responses == count)
        for number in 0..<count where number % 3 != 0 {
            let object = store.peek(Stage.key(number))
            #expect(object?.count == (number % 3 == 1 ? 1 : 2))
            let isMarked = object?.newest.isSoftPurged.load(ordering: .relaxed)
            #expect(isMarked == (number % 3 == 2))
        }
        #expect(store.sweep(zone: nil) { _ in .markStale }.marked == count / 3)
        expectCharged(store)
    }

    @Test("After everything was removed the zone's queues are empty, and the zone goes on as new")
    func everything() {
        let store = MemoryStore(bytesMax: 64 << 20)
        for number in 0..<20_000 { store.insert(Stage.response(number)) }
        let full = store.statistics().bytes
        #expect(store.sweep(zone: Stage.zone(0)) { _ in .remove }.removed == 20_000)
        let zone = store.existingRoom(Stage.zone(0))
        zone?.queues.withLock { queues in
            #expect(queues.small.count + queues.main.count <= 2 * Limits.cacheCompactionItems)
        }
        #expect(store.statistics().bytes - store.statistics().tableBytes < full / 1000)
        #expect(store.insert(Stage.response(1)))
        #expect(store.has(1))
        expectCharged(store)
    }

    @Test("Entries that are gone do not pile up in the queues")
    func compaction() {
        let store = MemoryStore(bytesMax: 64 << 20)
        for number in 0..<30_000 {
            store.insert(Stage.response(number))
            if number >= 100 { _ = store.remove(Stage.key(number - 100)) }
        }
        let bytes = store.statistics(of: Stage.zone(0))?.bytes ?? .max
        #expect(store.statistics().objects == 100)
        #expect(bytes < 100 * 1500)
        expectCharged(store)
    }

    @Test("Entries move in the tables while a sweep is under way: it misses none that was there")
    func moving() async {
        let store = MemoryStore(bytesMax: 256 << 20)
        let count = 20_000
        for number in 0..<count { store.insert(Stage.response(number)) }
        let isDone = MemoryCounter(0)
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                // Removals move what is behind them, growth moves everything.
                var number = count
                while isDone.value.load(ordering: .relaxed) == 0 {
                    store.insert(Stage.response(number))
                    if number % 3 != 0 { _ = store.remove(Stage.key(number)) }
                    number += 1
                }
            }
            group.addTask {
                var seen = Set<ObjectIdentifier>()
                _ = store.sweep(zone: Stage.zone(0)) { response in
                    seen.insert(ObjectIdentifier(response))
                    return .keep
                }
                isDone.value.store(1, ordering: .relaxed)
                let missed = (0..<count).filter { number in
                    store.peek(Stage.key(number)).map { !seen.contains(ObjectIdentifier($0.newest)) } ?? false
                }
                #expect(missed.isEmpty)
            }
        }
    }
}

@Suite("Memory store: many threads")
struct MemoryConcurrencyTests {
    @Test("All operations at once: nobody finds another's content, and the figures agree in the end")
    func everything() async {
        let store = MemoryStore(bytesMax: 2 << 20)
        let evicted = MemoryCounter(0)
        store.onEviction { _, _ in evicted.value.add(1, ordering: .relaxed) }
        await withTaskGroup(of: Void.self) { group in
            for worker in 0..<4 {
                group.addTask {
                    var random = MemoryRandom(UInt64(worker) + 1)
                    for _ in 0..<6000 { Self.act(store, &random) }
                }
            }
            group.addTask {
                for turn in 0..<12 {
                    _ = store.sweep(zone: turn % 2 == 0 ? nil : Stage.zone(turn % 3)) { response in
                        response.head.bytes.readableBytes % 7 == 0 ? .remove : .keep
                    }
                }
            }
        }
        let told = evicted.value.load(ordering: .relaxed)
        #expect(told == Int(store.statistics().evictions))
        #expect(store.statistics().bytes <= store.bytesMax)
        #expect(store.recount().responses == store.statistics().responses)
        expectCharged(store)
    }

    private static func act(_ store: MemoryStore, _ random: inout MemoryRandom) {
        let number = random.below(1500)
        let zone = number % 3
        let key = Stage.key(number, zone: zone)
        switch random.below(12) {
        case 0...3:
            let vary = random.below(2) == 0 ? nil : Stage.vary(random.below(3))
            store.insert(Stage.response(key, zone: zone, bytes: 1 + random.below(4000), vary: vary))
        case 4: _ = store.remove(key)
        case 5:
            guard let object = store.peek(key) else { return }
            store.replace(object.newest, with: Stage.response(key, zone: zone, bytes: 100, vary: object.newest.vary))
        case 6:
            if let object = store.peek(key) { store.remove(object[object.count - 1]) }
        default:
            guard let object = store.object(key) else { return }
            for index in 0..<object.count where object[index].key != key || object[index].zone != Stage.zone(zone) {
                Issue.record("another's content")
            }
        }
        guard store.statistics().bytes <= store.bytesMax + 4 * 8192 else {
            Issue.record("over the bound by more than what is being inserted")
            return
        }
    }
}
