// Brings a database to the newest schema, one numbered step after the other, each in a transaction.

import Limits

/// A connection that migrates, alone: it holds a lock that another process waits for.
protocol MigrationSession: AnyObject {
    var dialect: SQLDialect { get }
    func query(_ sql: String, _ values: [SQLValue]) throws(StoreError) -> [SQLRow]
    /// All statements in one transaction.
    func apply(_ statements: [SQLStatement]) throws(StoreError)
}

enum Migrator {
    private static let schemaKey = "schema"
    private static let checkKey = "key.check"

    /// Takes the steps that are missing, and holds the store's key against the one that its secrets were sealed with.
    ///
    /// - Returns: the step the database stood at before.
    @discardableResult
    static func run(
        _ session: some MigrationSession, key: SecretKey, migrations: [Migration] = Schema.migrations
    ) throws(StoreError) -> Int {
        let dialect = session.dialect
        try session.apply([SQLStatement(sql: dialect.render(Schema.meta))])
        let found = try read(session, schemaKey).map { Int($0) ?? Int.max } ?? 0
        let newest = migrations.last?.number ?? 0
        guard found <= newest else {
            throw .other(
                "the database has schema \(found == Int.max ? "unknown" : String(found)), and this program knows up to "
                    + "\(newest): a newer martlet has been here; run that one, or restore a backup from before")
        }
        for migration in migrations where migration.number > found {
            let steps = migration.statements.map { SQLStatement(sql: dialect.render($0)) }
            try session.apply(steps + [write(schemaKey, String(migration.number))])
        }
        try check(session, key)
        return found
    }

    private static func check(_ session: some MigrationSession, _ key: SecretKey) throws(StoreError) {
        switch try read(session, checkKey) {
        case nil: try session.apply([write(checkKey, key.check)])
        case key.check: break
        default:
            throw .other("the key file is not the one that this database's secrets were sealed with: restore that file")
        }
    }

    private static func read(_ session: some MigrationSession, _ name: String) throws(StoreError) -> String? {
        try session.query("SELECT value FROM meta WHERE key = ?", [.text(name)]).first?.text(0)
    }

    private static func write(_ name: String, _ value: String) -> SQLStatement {
        SQLStatement(
            sql: "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            values: [.text(name), .text(value)])
    }
}
