// Looking up, putting in, replacing, taking out; and that what the store is charged with is what is in it.

import Limits
import NIOCore
import Synchronization
import Testing

@testable import Cache

private typealias Stage = MemoryStage

@Suite("Memory store: objects and variants")
struct MemoryStoreTests {
    let store = MemoryStore(bytesMax: 8 << 20)

    @Test("What was put in is found by its key, and by no other")
    func found() {
        let response = Stage.response(1)
        #expect(store.insert(response))
        #expect(store.object(Stage.key(1))?.newest === response)
        #expect(store.object(Stage.key(2)) == nil)
        #expect(store.statistics().objects == 1)
    }

    @Test("Equal hashes are not equal keys: another's content is never found, nor replaced")
    func collision() {
        let mine = Stage.key("/mine")
        let twin = CacheKey(
            hash: mine.hash, urlHash: mine.urlHash, bytes: Array("zone0\nhttps\nother.test\n443\n/".utf8))
        let response = Stage.response(mine)
        #expect(store.insert(response))
        #expect(store.object(twin) == nil)
        #expect(!store.insert(Stage.response(twin)))
        #expect(store.remove(twin) == 0)
        #expect(!store.replace(Stage.response(twin), with: Stage.response(twin)))
        #expect(store.object(mine)?.newest === response)
        #expect(store.statistics().refusals == 1)
    }

    @Test("Hashes whose lower halves are equal are kept apart")
    func halves() {
        let one = CacheKey(hash: KeyHash(high: 1, low: 9), urlHash: KeyHash(high: 1, low: 9), bytes: [1])
        let two = CacheKey(hash: KeyHash(high: 2, low: 9), urlHash: KeyHash(high: 2, low: 9), bytes: [2])
        #expect(store.insert(Stage.response(one)) && store.insert(Stage.response(two)))
        #expect(store.object(one)?.key == one && store.object(two)?.key == two)
        #expect(store.sweep(zone: nil) { $0.key == one ? .remove : .keep }.removed == 1)
        #expect(store.object(one) == nil && store.object(two)?.key == two)
    }

    @Test("A variant takes the place of the one for the same fields; the newest comes first")
    func variants() {
        let key = Stage.key("/v")
        let first = Stage.response(key, vary: Stage.vary(1))
        let second = Stage.response(key, vary: Stage.vary(2))
        let third = Stage.response(key, vary: Stage.vary(1))
        for response in [first, second, third] { #expect(store.insert(response)) }
        let object = store.object(key)
        #expect(object?.count == 2)
        #expect(object?.newest === third && object?[1] === second && object?[7] === third)
        #expect(store.statistics().objects == 1 && store.statistics().responses == 2)
    }

    @Test("A response without Vary takes the place of all variants")
    func withoutVary() {
        let key = Stage.key("/v")
        for value in 0..<5 { #expect(store.insert(Stage.response(key, vary: Stage.vary(value)))) }
        let plain = Stage.response(key)
        #expect(store.insert(plain))
        #expect(store.object(key)?.count == 1 && store.object(key)?.newest === plain)
    }

    @Test("There are never more variants than the bound; the oldest make room")
    func variantsMax() {
        let key = Stage.key("/v")
        for value in 0..<Limits.cacheVariantsMax + 10 { store.insert(Stage.response(key, vary: Stage.vary(value))) }
        let object = store.object(key)
        #expect(object?.count == Limits.cacheVariantsMax)
        #expect(object?.newest.vary == Stage.vary(Limits.cacheVariantsMax + 9))
        #expect(object?[Limits.cacheVariantsMax - 1].vary == Stage.vary(10))
    }

    @Test("All variants together are held to what one object may take")
    func variantBytes() {
        let key = Stage.key("/v")
        for value in 0..<20 { #expect(store.insert(Stage.response(key, bytes: 100_000, vary: Stage.vary(value)))) }
        let object = store.object(key)
        #expect((object?.memoryBytes ?? .max) <= store.bytesMax / Int(Limits.cacheMemoryObjectShare))
        #expect((object?.count ?? 0) > 4)
    }

    @Test("An update takes effect only where the one it updates still is")
    func replace() {
        let key = Stage.key("/u")
        let old = Stage.response(key, vary: Stage.vary(1))
        let other = Stage.response(key, vary: Stage.vary(2))
        let new = Stage.response(key, bytes: 5000, vary: Stage.vary(1))
        #expect(store.insert(old) && store.insert(other))
        #expect(store.replace(old, with: new))
        #expect(store.object(key)?.newest === new && store.object(key)?[1] === other && store.object(key)?.count == 2)
        #expect(!store.replace(old, with: Stage.response(key)))
        #expect(store.remove(key) == 2)
        #expect(!store.replace(new, with: Stage.response(key)))
        #expect(store.object(key) == nil)
    }

    @Test("One variant can be removed; with the last one the key is gone")
    func removeVariant() {
        let key = Stage.key("/r")
        let one = Stage.response(key, vary: Stage.vary(1))
        let two = Stage.response(key, vary: Stage.vary(2))
        #expect(store.insert(one) && store.insert(two))
        #expect(store.remove(two))
        #expect(!store.remove(two))
        #expect(store.object(key)?.newest === one)
        #expect(store.remove(one))
        #expect(store.object(key) == nil && store.statistics().objects == 0 && store.statistics().responses == 0)
    }

    @Test("What is larger than a tenth of the store, or than its zone may be, is refused")
    func refused() {
        #expect(!store.insert(Stage.response(1, bytes: store.bytesMax / 10)))
        #expect(store.insert(Stage.response(1, bytes: store.bytesMax / 16)))
        #expect(!store.insert(Stage.response(2, bytes: 100_000), zoneBytesMax: 90_000))
        #expect(store.statistics().refusals == 2)
    }

    @Test("Whoever has looked an object up keeps it, whatever becomes of it")
    func kept() {
        let key = Stage.key("/k")
        #expect(store.insert(Stage.response(key, bytes: 3000)))
        let object = store.object(key)
        #expect(store.remove(key) == 1)
        #expect(object?.newest.head.bytes.readableBytes == 3000)
    }

    @Test("Random operations: the store agrees with a dictionary, and its figures with what is in it", arguments: 1...6)
    func model(seed: UInt64) {
        let store = MemoryStore(bytesMax: 256 << 20)
        var random = MemoryRandom(seed)
        var model: [Int: [StoredResponse]] = [:]
        for _ in 0..<8000 {
            let number = random.below(300)
            let key = Stage.key(number, zone: number % 3)
            switch random.below(10) {
            case 0...4:
                let vary = random.below(3) == 0 ? nil : Stage.vary(random.below(4))
                let response = Stage.response(key, zone: number % 3, bytes: 1 + random.below(3000), vary: vary)
                #expect(store.insert(response))
                let kept = vary == nil ? [] : (model[number] ?? []).filter { $0.vary != vary }
                model[number] = [response] + kept
            case 5:
                #expect(store.remove(key) == model.removeValue(forKey: number)?.count ?? 0)
            case 6:
                guard let doomed = model[number]?.randomElement(using: &random) else { continue }
                #expect(store.remove(doomed))
                model[number]?.removeAll { $0 === doomed }
                if model[number]?.isEmpty == true { model[number] = nil }
            default:
                let object = store.object(key)
                let found = object.map { object in (0..<object.count).map { ObjectIdentifier(object[$0]) } }
                #expect(found == model[number].map { $0.map(ObjectIdentifier.init) })
            }
        }
        let counts = store.recount()
        let statistics = store.statistics()
        #expect(statistics.objects == model.count && counts.objects == model.count)
        #expect(statistics.responses == model.values.reduce(0) { $0 + $1.count })
        #expect(counts.responses == statistics.responses)
        expectCharged(store)
    }
}

/// That what the store and its zones are charged with is what is in them.
func expectCharged(_ store: MemoryStore, sourceLocation: SourceLocation = #_sourceLocation) {
    let statistics = store.statistics()
    let zones = store.statisticsByZone()
    #expect(
        statistics.bytes == statistics.tableBytes + zones.reduce(0) { $0 + $1.statistics.bytes },
        sourceLocation: sourceLocation)
    var own = 0
    for (tag, _) in zones {
        guard let zone = store.existingRoom(tag) else { continue }
        zone.queues.withLock { queues in
            own += MemoryZone.ownBytes + queues.ownBytes
            let bytes = zone.bytes.load(ordering: .relaxed)
            #expect(
                bytes == MemoryZone.ownBytes + queues.ownBytes + queues.objectBytes, sourceLocation: sourceLocation)
            let items = queues.small.count + queues.main.count
            let objects = zone.objects.load(ordering: .relaxed)
            #expect(items == objects + queues.dead, sourceLocation: sourceLocation)
        }
    }
    #expect(
        statistics.bytes == statistics.tableBytes + own + store.recount().objectBytes, sourceLocation: sourceLocation)
}
