// What the tests of the memory store and of the purge ledger put into it.

import NIOCore
import Synchronization

@testable import Cache

/// SplitMix64: the same sequence in every run.
struct MemoryRandom: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return Self.mix(state)
    }

    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

    static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

/// A number that tasks share.
final class MemoryCounter: Sendable {
    let value: Atomic<Int>
    init(_ value: Int) { self.value = Atomic(value) }
}

enum MemoryStage {
    static func zone(_ number: Int) -> ZoneTag { ZoneTag(MemoryRandom.mix(UInt64(number) &+ 77)) }

    static func hash(_ text: String) -> KeyHash {
        var low: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in text.utf8 { low = (low ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return KeyHash(high: MemoryRandom.mix(low ^ 0x55), low: MemoryRandom.mix(low))
    }

    /// The key of a URL, with custom parts behind it if there are any.
    static func key(
        _ path: String, zone: Int = 0, scheme: String = "https", host: String = "www.example.test", port: Int = 443,
        parts: String = ""
    ) -> CacheKey {
        let url = "zone\(zone)\n\(scheme)\n\(host)\n\(port)\n\(path)"
        let whole = parts.isEmpty ? url : url + "\n" + parts
        return CacheKey(hash: hash(whole), urlHash: hash(url), bytes: Array(whole.utf8))
    }

    static func key(_ number: Int, zone: Int = 0) -> CacheKey { key("/\(number)", zone: zone) }

    static func vary(_ value: Int, names: String = "accept-language") -> VaryKey {
        VaryKey(names: Array(names.utf8), hash: KeyHash(high: 1, low: UInt64(value)))
    }

    static func response(
        _ key: CacheKey, zone: Int = 0, bytes: Int = 64, vary: VaryKey? = nil, tags: [UInt64] = [], birth: UInt64 = 0,
        minute: Int64 = 0
    ) -> StoredResponse {
        var facts = StoredFacts()
        facts.responseTime = minute * 60_000
        let head = StoredHead(
            bytes: ExactBuffer.make(count: bytes) { _ in }, notModifiedEnd: 0, commonEnd: 0, typeEnd: 0, end: 0,
            eTag: 0..<0, lastModified: 0..<0, contentType: 0..<0)
        return StoredResponse(
            key: key, zone: Self.zone(zone), facts: facts, head: head, body: .inline, vary: vary, tags: tags.sorted(),
            birth: birth)
    }

    static func response(_ number: Int, zone: Int = 0, bytes: Int = 64, minute: Int64 = 0) -> StoredResponse {
        response(key(number, zone: zone), zone: zone, bytes: bytes, minute: minute)
    }
}

extension MemoryStore {
    func object(_ key: CacheKey) -> StoredObject? { key.bytes.withUnsafeBytes { object(key.hash, $0) } }
    func peek(_ key: CacheKey) -> StoredObject? { key.bytes.withUnsafeBytes { peek(key.hash, $0) } }
    func remove(_ key: CacheKey) -> Int { key.bytes.withUnsafeBytes { remove(key.hash, $0) } }

    func has(_ number: Int, zone: Int = 0) -> Bool { peek(MemoryStage.key(number, zone: zone)) != nil }
}

extension MemoryStore {
    /// What the store says of itself, counted again from what is in it.
    func recount() -> (objects: Int, responses: Int, objectBytes: Int) {
        var counts = (objects: 0, responses: 0, objectBytes: 0)
        var lows: [UInt64] = []
        var found: [StoredObject] = []
        for index in 0..<shardCount {
            withShard(at: index) { table in
                table.collect(zoneBits: nil, into: &lows)
                for low in Set(lows) { table.objects(low: low, into: &found) }
            }
        }
        for object in found {
            counts.objects += 1
            counts.responses += object.count
            counts.objectBytes += object.memoryBytes
        }
        return counts
    }
}
