// The replica that a control process has itself: where snapshots for relays and edges come from, and with `martlet up`
// the very one that its edge serves from.

import ConfigLog
import Limits
import Logging
import Replica

/// Brings a replica to where the store is, whatever it holds.
struct ReplicaKeeper {
    let store: Store
    let replica: Replica
    let log: Logger
    let onTouched: @Sendable (Touched) -> Void

    /// Where the store stands, and its newest frames; those that the replica still lacks are among them.
    ///
    /// - Throws: `StoreError` or `ReplicaError`, where one of them cannot be used now.
    func catchUp() async throws -> (position: LogPosition, recent: [Frame]) {
        for _ in 0..<Limits.controlCatchUpAttemptsMax {
            let position = try await store.logPosition()
            let recent = try await newestFrames(upTo: position)
            try await checkHistory(position)
            // Before the first frame there is nothing to stand at, whatever the epoch will be.
            if position.sequence == 0, replica.position.sequence == 0 { return (.none, []) }
            if follows(recent, position) { return (position, recent) }
            try await refill()
        }
        throw StoreError.unavailable("the log moves on faster than the replica can be filled")
    }

    /// - Throws: `StoreError` if the store has never numbered anything, and the replica holds something.
    func requireStore() async throws { try require(try await store.logPosition()) }

    private func require(_ position: LogPosition) throws {
        guard position.sequence == 0, replica.position.sequence > 0 else { return }
        throw StoreError.other(
            "the store is empty, and the replica beside it stands at \(replica.position): restore the store, or remove the "
                + "directory `replica` to begin anew")
    }

    /// Whether the store may have lost what others hold.
    ///
    /// One that is empty while the replica is not is another store, or none: nobody's zones are taken away for that. One
    /// that stands behind the replica was restored from a backup: a new epoch makes every node take what it says now.
    private func checkHistory(_ position: LogPosition) async throws {
        let own = replica.position
        guard own.sequence > 0 else { return }
        try require(position)
        let isLost =
            own.epoch == position.epoch
            && (own.sequence > position.sequence || own.sequence == position.sequence && own.hash != position.hash)
        guard isLost else { return }
        let epoch = try await store.startEpoch()
        // The first frame of the epoch, so that nobody waits for a change to hear of it.
        try await store.write { transaction in
            transaction.publish(Change(key: "log/epoch", value: Array("\(epoch)".utf8)))
        }
        log.warning(
            "the store stands behind its replica, as after a restored backup: a new epoch begins",
            metadata: ["store": "\(position)", "replica": "\(own)", "epoch": "\(epoch)"])
    }

    /// Frames that end at a position, oldest first, as many as children are offered.
    private func newestFrames(upTo position: LogPosition) async throws -> [Frame] {
        guard position.sequence > 0 else { return [] }
        var after = position.sequence - min(position.sequence, UInt64(Limits.controlRecentGroupsMax))
        var frames: [Frame] = []
        var bytes = 0
        while after < position.sequence {
            let more: [Frame]
            do {
                more = try await store.frames(after: after, countMax: Limits.sequencerFramesPerTurnMax)
            } catch StoreError.pruned(let oldest) {
                guard oldest > after + 1, frames.isEmpty else { throw StoreError.pruned(oldest: oldest) }
                after = oldest - 1
                continue
            }
            guard let last = more.last else { break }
            frames += more
            bytes += more.reduce(0) { $0 + $1.bytes.count }
            after = last.last
            while bytes > Limits.configWindowBytesMax, let first = frames.first, frames.count > 1 {
                bytes -= first.bytes.count
                frames.removeFirst()
            }
        }
        return frames
    }

    /// Whether the replica stands within these frames.
    private func follows(_ frames: [Frame], _ position: LogPosition) -> Bool {
        let own = replica.position
        if own == position { return true }
        guard let last = frames.last, last.position == position else { return false }
        if own.sequence == 0 { return frames.first?.first == 1 }
        return frames.contains {
            $0.position == own || ($0.first == own.sequence + 1 && $0.previous == own.hash && $0.epoch == own.epoch)
        }
    }

    private func refill() async throws {
        log.notice("the replica is filled from the store", metadata: ["from": "\(replica.position)"])
        let refill = try replica.beginRefill()
        let position = try await store.logState { page in
            if page.isFirst { refill.restart() }
            for entry in page.entries { try refill.add(key: entry.key, value: entry.value) }
        }
        onTouched(try refill.finish(at: position.sequence == 0 ? .none : position))
        log.notice("the replica is whole again", metadata: ["at": "\(position)"])
    }
}
