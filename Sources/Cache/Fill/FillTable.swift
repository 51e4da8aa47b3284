import Limits
import Synchronization

/// The fetches under way, by key, over all event loops: what makes one request of many.
package final class FillTable: Sendable {
    private static let shardCount = 64
    private let shards: [Shard]
    /// Bytes of bodies that fills hold in memory and that no store counts yet.
    private let held = Atomic<Int>(0)
    private let heldMax: Int

    private final class Shard: Sendable {
        let fills = Mutex<[KeyHash: Fill]>([:])
    }

    /// - Parameter heldBytesMax: beyond it, requests go past the cache rather than fill it.
    package init(heldBytesMax: Int) {
        heldMax = heldBytesMax
        shards = (0..<Self.shardCount).map { _ in Shard() }
    }

    package enum Place: Sendable {
        /// Nobody fetches it: the caller leads.
        case lead(Fill)
        case join(Fill)
        /// It has come into the store meanwhile: look again.
        case stored
        /// It is under way, but not for others to share.
        case alone
    }

    /// Joins the fetch of that hash, or leads one.
    ///
    /// - Parameter isStored: asked with the table's lock held, so that nothing can complete in between: whether the store
    ///   has by now what the caller did not find.
    package func place(for hash: KeyHash, isStored: () -> Bool, make: () -> Fill) -> Place {
        shard(hash).fills.withLock { fills in
            if let fill = fills[hash] { return fill.isJoinable ? .join(fill) : .alone }
            if isStored() { return .stored }
            if held.load(ordering: .relaxed) > heldMax { return .alone }
            let fill = make()
            fills[hash] = fill
            return .lead(fill)
        }
    }

    /// Enters a fill whose head is known already; false if another is under way for its hash.
    package func claim(_ fill: Fill) -> Bool {
        guard held.load(ordering: .relaxed) <= heldMax else { return false }
        return shard(fill.tableHash).fills.withLock { fills in
            guard fills[fill.tableHash] == nil else { return false }
            fills[fill.tableHash] = fill
            return true
        }
    }

    /// The fetch of that hash, if it may be joined.
    package func joinable(_ hash: KeyHash) -> Fill? {
        shard(hash).fills.withLock { fills in fills[hash].flatMap { $0.isJoinable ? $0 : nil } }
    }

    /// It is over. What it brought must be in the store by now.
    package func remove(_ fill: Fill) {
        shard(fill.tableHash).fills.withLock { fills in
            if fills[fill.tableHash] === fill { fills[fill.tableHash] = nil }
        }
    }

    package func hold(_ bytes: Int) { held.wrappingAdd(bytes, ordering: .relaxed) }
    package func letGo(_ bytes: Int) { held.wrappingSubtract(bytes, ordering: .relaxed) }

    /// Fills that a purge or an invalidation is about go on for who reads them already. They are not stored, and who asks
    /// from now on fetches anew.
    package func invalidate(where isMeant: (Fill) -> Bool) {
        for shard in shards {
            shard.fills.withLock { fills in
                for (hash, fill) in fills where isMeant(fill) {
                    fill.invalidate()
                    fills[hash] = nil
                }
            }
        }
    }

    package var count: Int { shards.reduce(0) { $0 + $1.fills.withLock { $0.count } } }

    private func shard(_ hash: KeyHash) -> Shard {
        shards[Int(truncatingIfNeeded: hash.high & UInt64(Self.shardCount - 1))]
    }
}
