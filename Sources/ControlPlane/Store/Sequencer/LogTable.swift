// The tables of the log: what the sequencer does within one transaction.

import ConfigLog
import Limits

/// Somebody else leads since: what this leader was about to write is not written.
struct Fenced: Error {}

/// An outbox row that does not decode. It must not stop those after it.
struct BadOutboxRow: Error {
    let id: Int64
    let why: String
}

enum LogTable {
    /// The newest frame's position; the epoch of the next one, if there is none yet.
    static func position(_ transaction: Transaction) throws -> LogPosition {
        guard let row = try transaction.first("SELECT epoch, sequence, hash FROM leader WHERE id = 1"),
            let hash = ChainHash(bytes: try row.blob(2))
        else { throw StoreError.corrupt("the row of the log's position") }
        return LogPosition(
            epoch: UInt64(clamping: try row.integer(0)), sequence: UInt64(clamping: try row.integer(1)), hash: hash)
    }

    /// Frames that follow a sequence, oldest first: at least one if there is one, then as many as keep within the bounds.
    static func frames(
        _ transaction: Transaction, after sequence: UInt64, countMax: Int
    ) throws -> [Frame] {
        let after = SQLValue.integer(Int64(clamping: sequence))
        let rows = try transaction.query(
            """
            SELECT first, bytes FROM frames WHERE last > ? AND first <= (
                SELECT max(first) FROM (
                    SELECT first, size, SUM(size) OVER (ORDER BY first) AS total FROM (
                        SELECT first, size FROM frames WHERE last > ? ORDER BY first LIMIT ?
                    ) AS few
                ) AS summed
                WHERE total - size < ?
            )
            ORDER BY first
            """, [after, after, SQLValue(countMax), SQLValue(Limits.sequencerTurnBytesMax)])
        guard let row = rows.first else {
            let end = try position(transaction).sequence
            if end > sequence { throw StoreError.pruned(oldest: end &+ 1) }
            if end < sequence {
                throw StoreError.other("the log ends at sequence \(end), before \(sequence): was a backup restored?")
            }
            return []
        }
        let first = UInt64(clamping: try row.integer(0))
        guard first == sequence &+ 1 else { throw StoreError.pruned(oldest: first) }
        return try rows.map { row in
            do {
                return try Frame(decoding: try row.blob(1))
            } catch let error as ConfigLogError {
                throw StoreError.corrupt("frame \(try row.integer(0)): \(error)")
            }
        }
    }

    /// Takes the leader's seat: from here on no earlier leader can write a frame.
    static func lead(_ transaction: Transaction, dialect: SQLDialect, holder: String) throws -> Int64 {
        let rows = try transaction.query(
            """
            UPDATE leader SET generation = generation + 1, holder = ?, renewed = \(dialect.clock) WHERE id = 1
            RETURNING generation
            """, [.text(holder)])
        guard let row = rows.first else { throw StoreError.corrupt("the row of the leader") }
        return try row.integer(0)
    }

    /// Says that the leader of this generation lives.
    static func renew(_ transaction: Transaction, dialect: SQLDialect, generation: Int64) throws {
        let changed = try transaction.execute(
            "UPDATE leader SET renewed = \(dialect.clock) WHERE id = 1 AND generation = ?", [.integer(generation)])
        guard changed == 1 else { throw Fenced() }
    }

    /// Numbers what waits, as one frame. Nil if nothing waits.
    ///
    /// Everything happens in this one transaction: the row of the leader, which a later leader has changed, the frame,
    /// the position and the numbers of the outbox rows. So no number is used twice and none is skipped, whoever dies when.
    static func seal(_ transaction: Transaction, dialect: SQLDialect, generation: Int64) throws -> Frame? {
        let rows = try transaction.query(
            """
            SELECT id, changes, created FROM outbox WHERE sequence IS NULL AND id <= (
                SELECT max(id) FROM (
                    SELECT id, size, SUM(size) OVER (ORDER BY id) AS total FROM (
                        SELECT id, length(changes) AS size FROM outbox WHERE sequence IS NULL ORDER BY id LIMIT ?
                    ) AS few
                ) AS summed
                WHERE total - size < ?
            )
            ORDER BY id
            """, [SQLValue(Limits.sequencerGroupsMax), SQLValue(Limits.configFrameBytesTarget)])
        guard let last = rows.last else { return nil }
        let position = try position(transaction)
        var newest: Int64 = 0
        let groups = try rows.map { row -> [Change] in
            newest = max(newest, try row.integer(2))
            do {
                let changes = try ChangeGroup(decoding: try row.blob(1)).changes
                guard !changes.contains(where: { $0.key.utf8.contains(0) }) else {
                    throw BadOutboxRow(id: try row.integer(0), why: "a key with a NUL byte")
                }
                return changes
            } catch let error as ConfigLogError {
                throw BadOutboxRow(id: try row.integer(0), why: "\(error)")
            }
        }
        let frame = try Frame.seal(
            epoch: position.epoch, after: (position.sequence, position.hash), groups: groups,
            committedAt: UInt64(clamping: newest / 1000))
        try write(transaction, frame, dialect: dialect, generation: generation)
        let numbered = try transaction.execute(
            """
            WITH numbered AS (
                SELECT id AS row_id, row_number() OVER (ORDER BY id) AS place
                FROM outbox WHERE sequence IS NULL AND id <= ?
            )
            UPDATE outbox SET sequence = ? + numbered.place FROM numbered WHERE outbox.id = numbered.row_id
            """, [.integer(try last.integer(0)), .integer(Int64(clamping: position.sequence))])
        guard numbered == groups.count else { throw StoreError.conflict }
        return frame
    }

    private static func write(
        _ transaction: Transaction, _ frame: Frame, dialect: SQLDialect, generation: Int64
    ) throws {
        let last = SQLValue.integer(Int64(clamping: frame.last))
        let hash = SQLValue.blob(frame.hash.bytes)
        let led = try transaction.execute(
            """
            UPDATE leader SET sequence = ?, hash = ?, renewed = \(dialect.clock),
                state = CASE WHEN state = sequence THEN ? ELSE state END
            WHERE id = 1 AND generation = ? AND sequence = ?
            """, [last, hash, last, .integer(generation), .integer(Int64(clamping: frame.first) - 1)])
        guard led == 1 else { throw Fenced() }
        try LogState.fold([frame], transaction)
        try transaction.execute(
            "INSERT INTO frames (first, last, epoch, hash, bytes, size, committed) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                .integer(Int64(clamping: frame.first)), last, .integer(Int64(clamping: frame.epoch)), hash,
                .blob(frame.bytes), SQLValue(frame.bytes.count),
                .integer(Int64(clamping: frame.committedAtMilliseconds)),
            ])
    }

    /// Takes a row out of the line that no frame can carry.
    static func setAside(_ transaction: Transaction, _ id: Int64) throws {
        try transaction.execute("UPDATE outbox SET sequence = 0 WHERE id = ? AND sequence IS NULL", [.integer(id)])
    }

    /// Removes what is kept no longer, some rows at a time. Returns whether there may be more.
    static func prune(_ transaction: Transaction) throws -> Bool {
        let oldest = try transaction.first(
            """
            SELECT min(first) FROM (
                SELECT first, row_number() OVER (ORDER BY first DESC) AS place,
                    SUM(size) OVER (ORDER BY first DESC) AS total
                FROM frames
            ) AS summed
            WHERE place <= ? OR (place <= ? AND total <= ?)
            """,
            [
                SQLValue(Limits.sequencerFramesKeptMin), SQLValue(Limits.sequencerFramesKeptMax),
                SQLValue(Limits.sequencerFramesKeptBytesMax),
            ])?.integerOrNil(0)
        let rowsMax = SQLValue(Limits.sequencerPruneRowsMax)
        var removed = 0
        if let oldest {
            for (table, key, column) in [("frames", "first", "last"), ("outbox", "id", "sequence")] {
                removed += try transaction.execute(
                    "DELETE FROM \(table) WHERE \(key) IN (SELECT \(key) FROM \(table) WHERE \(column) < ? LIMIT ?)",
                    [.integer(oldest), rowsMax])
            }
        }
        let audit = transaction.now - Int64(Limits.auditKeptDays) * 86_400_000_000
        removed += try transaction.execute(
            "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < ? LIMIT ?)", [.integer(audit), rowsMax])
        return removed > 0
    }
}

extension SQLDialect {
    /// The database's own clock in microseconds since 1970: several control processes need not agree on the time.
    var clock: String {
        switch self {
        case .sqlite: "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"
        case .postgres: "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"
        }
    }
}
