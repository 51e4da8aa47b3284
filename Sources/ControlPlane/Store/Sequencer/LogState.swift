// What all frames together amount to: each key with its newest value. The sequencer keeps it in the transaction that seals a
// frame, so the table and the log's position always agree. Whoever has no replica, or one too far behind, begins from here:
// frames are kept for a while only.
//
//     leader.sequence   the newest frame
//     leader.state      how far the table has come: the same, but in a store from before there was this table: then what
//                       lies between is folded in from the frames that are kept. -1 if they were gone by then

package import ConfigLog
import Limits

/// Some of the log's state, in the order of the keys' bytes.
package struct LogStatePage: Sendable {
    /// Of the whole state; the same for all pages.
    package let position: LogPosition
    /// What came before is void: this is the first page, or the first once more after the connection was lost.
    package let isFirst: Bool
    package let entries: [(key: String, value: [UInt8])]
}

enum LogState {
    /// What the table's column says when nobody can complete it.
    private static let unknown: Int64 = -1

    /// Puts into the table what a frame changed: of several changes of a key the last.
    static func fold(_ frames: [Frame], _ transaction: Transaction) throws {
        var newest: [String: (value: [UInt8]?, sequence: UInt64)] = [:]
        for frame in frames {
            for group in frame.groups {
                for change in group.changes { newest[change.key] = (change.value, group.sequence) }
            }
        }
        // In order, so that pages of the index are visited once.
        var gone: [SQLValue] = []
        var rows: [[SQLValue]] = []
        for (key, change) in newest.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
            guard let value = change.value else {
                gone.append(.text(key))
                continue
            }
            rows.append(
                [.text(key), .integer(Int64(clamping: change.sequence)), SQLValue(value.count), .blob(value)])
        }
        try inParts(rows.count) { range in
            let places = Array(repeating: "(?, ?, ?, ?)", count: range.count).joined(separator: ", ")
            try transaction.execute(
                """
                INSERT INTO log_state (key, sequence, size, value) VALUES \(places) ON CONFLICT (key) \
                DO UPDATE SET sequence = excluded.sequence, size = excluded.size, value = excluded.value
                """, Array(rows[range].joined()))
        }
        try inParts(gone.count) { range in
            let places = Array(repeating: "?", count: range.count).joined(separator: ", ")
            try transaction.execute("DELETE FROM log_state WHERE key IN (\(places))", Array(gone[range]))
        }
    }

    /// Few statements, and few different ones: each text is prepared once.
    private static func inParts(_ count: Int, _ body: (Range<Int>) throws -> Void) throws {
        var place = 0
        for size in Limits.logStateRowsPerStatement {
            while count - place >= size {
                try body(place..<place + size)
                place += size
            }
        }
        if place < count { try body(place..<count) }
    }

    /// Takes in some of the frames that the table lacks. Returns whether there may be more.
    static func catchUp(_ transaction: Transaction) throws -> Bool {
        let position = try LogTable.position(transaction)
        guard let state = try transaction.first("SELECT state FROM leader WHERE id = 1")?.integer(0), state >= 0,
            UInt64(state) < position.sequence
        else { return false }
        var next = unknown
        do {
            let frames = try LogTable.frames(
                transaction, after: UInt64(state), countMax: Limits.sequencerFramesPerTurnMax)
            if let last = frames.last {
                try fold(frames, transaction)
                next = Int64(clamping: last.last)
            }
        } catch StoreError.pruned {
            // What they said is known to nobody but the replicas.
        }
        let changed = try transaction.execute(
            "UPDATE leader SET state = ? WHERE id = 1 AND state = ?", [.integer(next), .integer(state)])
        guard changed == 1 else { throw StoreError.conflict }
        return next != unknown && UInt64(next) < position.sequence
    }

    /// The position that the table stands for.
    static func position(_ transaction: Transaction) throws -> LogPosition {
        let position = try LogTable.position(transaction)
        let state = try transaction.first("SELECT state FROM leader WHERE id = 1")?.integer(0) ?? unknown
        guard state >= 0 else {
            throw StoreError.other(
                "the state of the log is not whole: its first frames were removed before this program kept the state; fill "
                    + "the replica from another node's")
        }
        guard UInt64(state) == position.sequence else {
            throw StoreError.unavailable("the state of the log is being completed")
        }
        return position
    }

    /// The entries behind a key, within the bounds of one page.
    static func entries(after key: String, _ transaction: Transaction) throws -> [(key: String, value: [UInt8])] {
        let after = SQLValue.text(key)
        return try transaction.query(
            """
            SELECT key, value FROM log_state WHERE key > ? AND key <= (
                SELECT max(key) FROM (
                    SELECT key, size, SUM(size) OVER (ORDER BY key) AS total FROM (
                        SELECT key, size FROM log_state WHERE key > ? ORDER BY key LIMIT ?
                    ) AS few
                ) AS summed
                WHERE total - size < ?
            )
            ORDER BY key
            """, [after, after, SQLValue(Limits.logStatePageRowsMax), SQLValue(Limits.logStatePageBytesTarget)]
        ).map { (try $0.text(0), try $0.blob(1)) }
    }
}

extension Store {
    /// Hands out the whole state of the log, page by page, all from one snapshot of the store: what an empty replica is
    /// filled with. At least one page comes, an empty one if nothing was ever published.
    ///
    /// - Parameter take: Called on a thread of the store, which waits meanwhile: a page should take well under a second. The
    ///   pages may begin once more (`isFirst`) if the connection is lost.
    /// - Returns: What the pages stand for: frames behind it complete them.
    /// - Throws: `StoreError.other` if the state is not whole; what `take` throws.
    package func logState(
        _ take: @escaping @Sendable (LogStatePage) throws -> Void
    ) async throws -> LogPosition {
        while try await write({ try LogState.catchUp($0) }) {}
        return try await read { transaction in
            let position = try LogState.position(transaction)
            var last = ""
            var isFirst = true
            while true {
                let entries = try LogState.entries(after: last, transaction)
                if isFirst || !entries.isEmpty {
                    try take(LogStatePage(position: position, isFirst: isFirst, entries: entries))
                }
                guard let end = entries.last else { return position }
                last = end.key
                isFirst = false
            }
        }
    }
}
