// What the store is compared with. Each is given every byte of the bound for objects and nothing to pay for its lists and
// tables, while the store pays for its own: what is drawn is to the store's disadvantage, if anything.

import Cache
import NIOCore

/// A cache that is asked for an object and takes it in if it has not got it.
protocol Policy: AnyObject {
    /// Whether it had it.
    func look(_ lookup: Lookup) -> Bool
}

enum Policies {
    static let names = ["S3-FIFO", "LRU", "FIFO", "CLOCK", "W-TinyLFU"]

    static func make(_ name: String, bytesMax: Int) -> any Policy {
        switch name {
        case "LRU": RecencyPolicy(bytesMax: bytesMax)
        case "FIFO": QueuePolicy(bytesMax: bytesMax, looksTwice: false)
        case "CLOCK": QueuePolicy(bytesMax: bytesMax, looksTwice: true)
        case "W-TinyLFU": SketchPolicy(bytesMax: bytesMax)
        default: StorePolicy(bytesMax: bytesMax)
        }
    }

    /// What an object of so many bytes is charged with, by all of them.
    static func charge(_ lookup: Lookup) -> Int { StorePolicy.response(lookup).memoryBytes }
}

/// Martlet's own store.
final class StorePolicy: Policy {
    private let store: MemoryStore
    init(bytesMax: Int) { store = MemoryStore(bytesMax: bytesMax) }

    func look(_ lookup: Lookup) -> Bool {
        let hash = Self.hash(lookup.object)
        let isThere = withUnsafeBytes(of: lookup.object) { store.object(hash, $0) != nil }
        if !isThere { _ = store.insert(Self.response(lookup)) }
        return isThere
    }

    private static func hash(_ object: UInt32) -> KeyHash {
        KeyHash(high: Random.mix(UInt64(object) | 1 << 40), low: Random.mix(UInt64(object) | 1 << 41))
    }

    static func response(_ lookup: Lookup) -> StoredResponse {
        let hash = hash(lookup.object)
        let key = CacheKey(hash: hash, urlHash: hash, bytes: withUnsafeBytes(of: lookup.object) { Array($0) })
        let head = StoredHead(
            bytes: ExactBuffer.make(count: Int(lookup.bytes)) { _ in }, notModifiedEnd: 0, commonEnd: 0, typeEnd: 0,
            end: 0, eTag: 0..<0, lastModified: 0..<0, contentType: 0..<0)
        return StoredResponse(
            key: key, zone: ZoneTag(UInt64(lookup.zone)), facts: StoredFacts(), head: head, body: .inline, vary: nil,
            tags: [], birth: 0)
    }
}

/// Least recently used.
final class RecencyPolicy: Policy {
    private var order = Chain()
    private let bytesMax: Int
    init(bytesMax: Int) { self.bytesMax = bytesMax }

    func look(_ lookup: Lookup) -> Bool {
        if order.moveToBack(lookup.object) { return true }
        let bytes = Sizes.charge(lookup)
        while order.bytes + bytes > bytesMax, order.popFront() != nil {}
        if bytes <= bytesMax { order.append(lookup.object, bytes: bytes) }
        return false
    }
}

/// First in, first out; as CLOCK whatever was asked for since it came by goes to the back once more.
final class QueuePolicy: Policy {
    private var order = Chain()
    private var wasUsed: Set<UInt32> = []
    private let bytesMax: Int
    private let looksTwice: Bool

    init(bytesMax: Int, looksTwice: Bool) {
        self.bytesMax = bytesMax
        self.looksTwice = looksTwice
    }

    func look(_ lookup: Lookup) -> Bool {
        if order.has(lookup.object) {
            if looksTwice { wasUsed.insert(lookup.object) }
            return true
        }
        let bytes = Sizes.charge(lookup)
        while order.bytes + bytes > bytesMax, let first = order.popFront() {
            if wasUsed.remove(first.object) != nil { order.append(first.object, bytes: first.bytes) }
        }
        if bytes <= bytesMax { order.append(lookup.object, bytes: bytes) }
        return false
    }
}

/// W-TinyLFU: a window of a hundredth by recency, behind it a main part in two segments, which is entered only by what
/// a sketch says is asked for more often than what would have to go.
final class SketchPolicy: Policy {
    private var window = Chain()
    private var probation = Chain()
    private var protected = Chain()
    private var sketch: Sketch
    private let windowMax: Int
    private let mainMax: Int

    init(bytesMax: Int) {
        windowMax = max(bytesMax / 100, 4096)
        mainMax = bytesMax - windowMax
        sketch = Sketch(counters: bytesMax / 1024)
    }

    func look(_ lookup: Lookup) -> Bool {
        sketch.add(lookup.object)
        if window.moveToBack(lookup.object) || protected.moveToBack(lookup.object) { return true }
        if let bytes = probation.remove(lookup.object) {
            protected.append(lookup.object, bytes: bytes)
            while protected.bytes > mainMax / 10 * 8, let first = protected.popFront() {
                probation.append(first.object, bytes: first.bytes)
            }
            return true
        }
        window.append(lookup.object, bytes: Sizes.charge(lookup))
        while window.bytes > windowMax, let candidate = window.popFront() { admit(candidate) }
        return false
    }

    private func admit(_ candidate: Chain.Member) {
        while probation.bytes + protected.bytes + candidate.bytes > mainMax {
            guard let victim = probation.first ?? protected.first else { return }
            if sketch.estimate(candidate.object) <= sketch.estimate(victim.object) { return }
            _ = probation.popFront() ?? protected.popFront()
        }
        probation.append(candidate.object, bytes: candidate.bytes)
    }
}

/// Sizes as all policies charge them, found out once for each.
enum Sizes {
    nonisolated(unsafe) private static var known: [UInt32: Int] = [:]  // One thread runs all of this.

    static func charge(_ lookup: Lookup) -> Int {
        if let bytes = known[lookup.bytes] { return bytes }
        let bytes = Policies.charge(lookup)
        known[lookup.bytes] = bytes
        return bytes
    }
}
