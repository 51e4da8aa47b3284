// Everything that the cache has under one key. Immutable: a variant more, or one updated, makes another object that takes
// its place as a whole, so that whoever looked one up reads it without a lock for as long as it likes.
//
//     table ──▶ StoredObject ──▶ newest: StoredResponse           what does not vary has nothing but this
//                            └─▶ older: [StoredResponse, …]       newest first

internal import Glibc
internal import Limits

/// All variants under one key.
package final class StoredObject: Sendable {
    // What a lookup reads comes first: it is in as few cache lines as can be.

    /// The variant stored or updated last.
    package let newest: StoredResponse
    /// The zone's part of the store, of which a hit notes that it is in use.
    let room: MemoryZone
    package let key: CacheKey
    /// The other variants, newest first; empty for what does not vary.
    package let older: [StoredResponse]
    package let zone: ZoneTag
    /// What the store charges for it: its variants and itself.
    package let memoryBytes: Int

    /// This object in memory.
    static let objectBytes = 112

    init(newest: StoredResponse, older: [StoredResponse], room: MemoryZone) {
        self.key = newest.key
        self.zone = newest.zone
        self.newest = newest
        self.older = older
        self.room = room
        memoryBytes = older.reduce(Self.charge(newest)) { $0 &+ $1.memoryBytes &+ 8 }
    }

    /// What the store charges for a response alone under its key.
    static func charge(_ response: StoredResponse) -> Int { objectBytes &+ response.memoryBytes }

    /// How many variants there are.
    package var count: Int { 1 &+ older.count }

    /// The variants, newest first. Beyond the last one it is the newest again.
    package subscript(_ index: Int) -> StoredResponse {
        index >= 1 && index <= older.count ? older[index &- 1] : newest
    }

    /// Whether it is the object of this very key; equal hashes alone do not say so.
    @inline(__always)
    func isNamed(_ bytes: UnsafeRawBufferPointer) -> Bool {
        key.bytes.withUnsafeBytes { own in
            guard own.count == bytes.count else { return false }
            guard let one = own.baseAddress, let other = bytes.baseAddress else { return true }
            return memcmp(one, other, own.count) == 0
        }
    }

    /// The object with `response` as its newest variant, in the place of the one for the same request fields, and without
    /// `superseded`. The oldest variants are left out beyond `variantsMax`, or where the whole would exceed `bytesMax`.
    ///
    /// A response without Vary suits every request, and the newest that suits is taken (RFC 9111, section 4.1): nothing
    /// older would ever be chosen again, so nothing older stays.
    func adding(
        _ response: StoredResponse, superseding superseded: StoredResponse?, bytesMax: Int
    ) -> StoredObject {
        guard response.vary != nil else { return StoredObject(newest: response, older: [], room: room) }
        var kept: [StoredResponse] = []
        var bytes = Self.charge(response)
        for index in 0..<count {
            let variant = self[index]
            if variant === superseded || variant.vary == response.vary { continue }
            bytes = bytes &+ variant.memoryBytes &+ 8
            guard kept.count &+ 1 < Limits.cacheVariantsMax, bytes <= bytesMax else { break }
            kept.append(variant)
        }
        return StoredObject(newest: response, older: kept, room: room)
    }

    /// The object without one of its variants; nil if none is left.
    func without(_ response: StoredResponse) -> StoredObject? {
        let kept = (0..<count).map { self[$0] }.filter { $0 !== response }
        guard let first = kept.first else { return nil }
        return StoredObject(newest: first, older: Array(kept.dropFirst()), room: room)
    }

    func holds(_ response: StoredResponse) -> Bool {
        newest === response || older.contains { $0 === response }
    }
}
