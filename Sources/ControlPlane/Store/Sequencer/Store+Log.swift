package import ConfigLog
import Limits

extension Store {
    /// Where the log stands: the newest frame's position. Before the first frame the sequence is 0 and the epoch the
    /// first frame's.
    package func logPosition() async throws -> LogPosition {
        try await read { try LogTable.position($0) }
    }

    /// Frames after a sequence, oldest first; fewer than asked for when they are large. Empty at the log's end.
    ///
    /// - Throws: `StoreError.pruned` when they are no longer kept.
    package func frames(after sequence: UInt64, countMax: Int) async throws -> [Frame] {
        let countMax = max(1, min(countMax, Limits.sequencerFramesPerTurnMax))
        return try await read { try LogTable.frames($0, after: sequence, countMax: countMax) }
    }

    /// Begins a new epoch with the next frame, because frames may have been lost after they went out: a backup was
    /// restored. Whoever holds state of the older epoch takes a snapshot.
    ///
    /// - Returns: the new epoch.
    package func startEpoch() async throws -> UInt64 {
        try await write { transaction in
            let rows = try transaction.query("UPDATE leader SET epoch = epoch + 1 WHERE id = 1 RETURNING epoch")
            guard let row = rows.first else { throw StoreError.corrupt("the row of the log's position") }
            return UInt64(clamping: try row.integer(0))
        }
    }
}
