import Limits

/// The schema's steps over one connection, while it holds the lock of migrations.
final class PostgresMigration: MigrationSession {
    let dialect = SQLDialect.postgres
    private let connection: PostgresConnection

    init(_ connection: PostgresConnection) { self.connection = connection }

    func run(key: SecretKey, migrations: [Migration] = Schema.migrations) throws(StoreError) {
        // A step may take longer than a statement of the API: an index over millions of rows.
        try connection.allow(milliseconds: Limits.storeMigrationMilliseconds)
        try lock()
        try Migrator.run(self, key: key, migrations: migrations)
        _ = try connection.roundTrip([SQLStatement(sql: "SELECT pg_advisory_unlock_all()")])
    }

    /// Another process may migrate just now: its lock is asked for again and again, since a wait within the server would
    /// be cut off by the time that a statement may take.
    private func lock() throws(StoreError) {
        let deadline = ContinuousClock.now + .milliseconds(Limits.storeMigrationLockMilliseconds)
        var backoff = Backoff(Limits.storePostgresReconnectMillisecondsRange)
        let trying = SQLStatement(
            sql: "SELECT pg_try_advisory_lock(CAST(? AS INTEGER), CAST(? AS INTEGER))",
            values: [.integer(Int64(PostgresLock.space)), .integer(Int64(PostgresLock.migration))])
        while try connection.roundTrip([trying]).last?.rows.first?.bool(0) != true {
            guard ContinuousClock.now < deadline else {
                throw .unavailable("another process has been changing the schema for a minute")
            }
            backoff.pause(until: deadline)
        }
    }

    func query(_ sql: String, _ values: [SQLValue]) throws(StoreError) -> [SQLRow] {
        try connection.roundTrip([SQLStatement(sql: sql, values: values)]).last?.rows ?? []
    }

    func apply(_ statements: [SQLStatement]) throws(StoreError) {
        let begin = [SQLStatement(sql: "BEGIN")]
        do throws(StoreError) {
            _ = try connection.roundTrip(begin + statements + [SQLStatement(sql: "COMMIT")])
        } catch {
            if !connection.isBroken { _ = try? connection.roundTrip([SQLStatement(sql: "ROLLBACK")]) }
            throw error
        }
    }
}
