import Limits
import Synchronization

/// Remembers which objects proved uncacheable, so that requests for them do not wait for one another.
///
/// A table of fixed size that forgets: each hash has one slot, a newer one takes it over. Forgetting costs one request
/// that leads where it might have gone alone; a wrong memory, one that goes alone where it might have waited. So there
/// is no lock and no chain.
package final class HitForMiss: Sendable {
    private static let slotCount = 1 << 16
    //    hash 32 ┊ reason 8 ┊ seconds 24
    private static let secondsBits: UInt64 = 24
    private static let tagMask: UInt64 = 0xffff_ffff_0000_0000
    // Unchecked, for a pointer is not Sendable: it never changes, what it points to is atomic, and it is freed with the last
    // reference to this table.
    private nonisolated(unsafe) let slots: UnsafeMutablePointer<Atomic<UInt64>>

    package init() {
        slots = .allocate(capacity: Self.slotCount)
        for slot in 0..<Self.slotCount { (slots + slot).initialize(to: Atomic(0)) }
    }

    deinit {
        slots.deinitialize(count: Self.slotCount)
        slots.deallocate()
    }

    /// The object was fetched and may not be stored, for this reason.
    package func note(_ hash: KeyHash, _ reason: StorageRefusal, nowMilliseconds: Int64) {
        let until = Self.seconds(nowMilliseconds) &+ UInt64(Limits.cacheHitForMissSeconds)
        slots[Self.slot(hash)].store(
            Self.tag(hash) | UInt64(reason.rawValue) << Self.secondsBits | (until & Self.secondsMask),
            ordering: .relaxed)
    }

    /// Why it could not be stored when it was fetched lately; nil if it was not.
    package func reason(_ hash: KeyHash, nowMilliseconds: Int64) -> StorageRefusal? {
        let found = slots[Self.slot(hash)].load(ordering: .relaxed)
        guard found != 0, found & Self.tagMask == Self.tag(hash) else { return nil }
        let left = ((found & Self.secondsMask) &- Self.seconds(nowMilliseconds)) & Self.secondsMask
        guard left > 0, left <= UInt64(Limits.cacheHitForMissSeconds) else { return nil }
        return StorageRefusal(rawValue: UInt8(truncatingIfNeeded: found >> Self.secondsBits))
    }

    /// It has been stored after all.
    package func forget(_ hash: KeyHash) {
        let slot = Self.slot(hash)
        if slots[slot].load(ordering: .relaxed) & Self.tagMask == Self.tag(hash) {
            slots[slot].store(0, ordering: .relaxed)
        }
    }

    private static var secondsMask: UInt64 { (1 << secondsBits) - 1 }
    private static func tag(_ hash: KeyHash) -> UInt64 { hash.low & tagMask }
    private static func slot(_ hash: KeyHash) -> Int { Int(truncatingIfNeeded: hash.high & UInt64(slotCount - 1)) }
    private static func seconds(_ milliseconds: Int64) -> UInt64 { UInt64(max(0, milliseconds) / 1000) }
}
