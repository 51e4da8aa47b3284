// The store in one file: GRDB's pool of readers, and one thread that writes.
//
// SQLite has one writer at a time and flushes the write-ahead log at each commit (`synchronous = FULL`: what was
// acknowledged is there after a power cut). A flush costs more than a hundred small writes. So writes that wait while
// one is flushed are committed together, in one transaction:
//
//     BEGIN IMMEDIATE   SAVEPOINT  body 1  RELEASE   SAVEPOINT  body 2 (throws)  ROLLBACK TO   …   COMMIT   → callers
//
// A body that throws takes back its own savepoint only. Nobody hears of success before the commit.

import GRDB
import Glibc
import Limits

final class SQLiteStore: StoreBackend {
    let dialect = SQLDialect.sqlite
    let path: String
    private let pool: DatabasePool
    private let readers = JobQueue(writersMax: 0)
    private let writer = JobQueue(writersMax: .max)
    private let threads = StoreThreads()
    private let texts = SQLiteStatementTexts()
    private let key: SecretKey
    private let onPublished: @Sendable () -> Void

    static func open(
        path: String, key: SecretKey, onPublished: @escaping @Sendable () -> Void
    ) throws(StoreError) -> SQLiteStore {
        // The file is its owner's: the configuration of all zones is in it.
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            throw .unavailable("\(path) cannot be opened: \(String(cString: strerror(errno)))")
        }
        Glibc.close(descriptor)
        flushDirectory(of: path)
        do {
            let pool = try DatabasePool(path: path, configuration: configuration())
            try pool.writeWithoutTransaction { database in
                // GRDB itself asks for less (`NORMAL`) when it turns the write-ahead log on.
                try database.execute(sql: "PRAGMA synchronous = FULL")
                try database.execute(sql: "PRAGMA journal_size_limit = \(Limits.storeSQLiteLogBytesMax)")
                try migrate(database, key: key, migrations: Schema.migrations)
            }
            return try SQLiteStore(path: path, pool: pool, key: key, onPublished: onPublished)
        } catch {
            throw StoreError(sqlite: error)
        }
    }

    private static func migrate(_ database: Database, key: SecretKey, migrations: [Migration]) throws {
        try database.inTransaction(.immediate) {
            try Migrator.run(SQLiteMigration(database), key: key, migrations: migrations)
            return .commit
        }
    }

    /// Brings a file to other steps than the program's: for tests.
    static func migrate(path: String, key: SecretKey, migrations: [Migration]) throws {
        let queue = try DatabaseQueue(path: path, configuration: configuration())
        try queue.inDatabase { try migrate($0, key: key, migrations: migrations) }
    }

    private static func configuration() -> Configuration {
        var configuration = Configuration()
        configuration.label = "martlet"
        configuration.maximumReaderCount = Limits.storeSQLiteReadersMax
        configuration.busyMode = .timeout(Double(Limits.storeSQLiteBusyMilliseconds) / 1000)
        configuration.foreignKeysEnabled = true
        // Without it a rollback that fails would trap.
        configuration.allowsUnsafeTransactions = true
        configuration.prepareDatabase { database in
            // As PostgreSQL has it.
            try database.execute(sql: "PRAGMA case_sensitive_like = ON")
            try database.execute(sql: "PRAGMA trusted_schema = OFF")
        }
        return configuration
    }

    private init(
        path: String, pool: DatabasePool, key: SecretKey, onPublished: @escaping @Sendable () -> Void
    ) throws(StoreError) {
        self.path = path
        self.pool = pool
        self.key = key
        self.onPublished = onPublished
        try threads.start { [self] in
            while let job = writer.take() { commitGroup(from: job) }
        }
        for _ in 0..<Limits.storeSQLiteReadersMax {
            try threads.start { [self] in
                while let job = readers.take() { read(job) }
            }
        }
    }

    func submit(_ job: StoreJob) {
        if let refusal = (job.isWrite ? writer : readers).add(job) { job.fail(refusal) }
    }

    func close() async {
        writer.close()
        readers.close()
        await threads.join()
        // Moves the log into the file.
        try? pool.close()
    }

    private func read(_ job: StoreJob) {
        guard !job.isLate else { return job.fail(.unavailable("its turn came too late")) }
        do {
            try pool.read { database in
                let transaction = Transaction(session: SQLiteSession(database, texts: texts), key: key, isWrite: false)
                defer { transaction.end() }
                try job.body(transaction)
                if let failure = transaction.failure { throw failure }
            }
            job.finish(.success(()))
        } catch {
            job.finish(.failure(error is DatabaseError ? StoreError(sqlite: error) : error))
        }
    }

    // MARK: The writer's thread

    private struct Done {
        let job: StoreJob
        let result: Result<Void, any Error>
        let publishes: Bool
    }

    private func commitGroup(from first: StoreJob) {
        pool.writeWithoutTransaction { database in
            var unfinished: [StoreJob] = []
            commitGroup(from: first, database, &unfinished)
            // The whole transaction was lost halfway, through somebody: each on its own.
            for job in unfinished {
                var none: [StoreJob] = []
                commitGroup(from: job, database, &none, isAlone: true)
            }
        }
    }

    private func commitGroup(
        from first: StoreJob, _ database: Database, _ unfinished: inout [StoreJob], isAlone: Bool = false
    ) {
        let session = SQLiteSession(database, texts: texts)
        do throws(StoreError) {
            // An earlier rollback failed.
            if database.isInsideTransaction { _ = try session.execute("ROLLBACK", []) }
            _ = try session.execute("BEGIN IMMEDIATE", [])
        } catch {
            finish([Done(job: first, result: .failure(error), publishes: false)])
            return
        }
        let until = ContinuousClock.now + .milliseconds(Limits.storeSQLiteGroupMilliseconds)
        var group: [Done] = []
        var next: StoreJob? = first
        while let job = next {
            let done = run(job, session)
            group.append(done)
            guard database.isInsideTransaction else {
                // Disk full or the like: SQLite has rolled back everybody's work.
                if group.count == 1 {
                    finish([lost(done)])
                } else {
                    unfinished = group.map(\.job)
                }
                return
            }
            let goesOn = !isAlone && group.count < Limits.storeSQLiteGroupMax && ContinuousClock.now < until
            next = goesOn ? writer.takeIfAny() : nil
        }
        do throws(StoreError) {
            _ = try session.execute("COMMIT", [])
            finish(group)
        } catch {
            if database.isInsideTransaction { _ = try? session.execute("ROLLBACK", []) }
            finish(group.map { Done(job: $0.job, result: .failure(error), publishes: false) })
        }
    }

    private func lost(_ done: Done) -> Done {
        guard case .success = done.result else { return done }
        return Done(
            job: done.job, result: .failure(StoreError.unavailable("the transaction was lost")), publishes: false)
    }

    private func run(_ job: StoreJob, _ session: SQLiteSession) -> Done {
        guard !job.isLate else {
            return Done(job: job, result: .failure(StoreError.unavailable("its turn came too late")), publishes: false)
        }
        let transaction = Transaction(session: session, key: key, isWrite: true)
        do {
            _ = try session.execute("SAVEPOINT body", [])
            do {
                defer { transaction.end() }
                try job.body(transaction)
            }
            if let failure = transaction.failure { throw failure }
            for statement in try transaction.closing() { _ = try session.execute(statement.sql, statement.values) }
            _ = try session.execute("RELEASE body", [])
            return Done(job: job, result: .success(()), publishes: transaction.publishes)
        } catch {
            _ = try? session.execute("ROLLBACK TO body", [])
            _ = try? session.execute("RELEASE body", [])
            return Done(job: job, result: .failure(error), publishes: false)
        }
    }

    private func finish(_ group: [Done]) {
        if group.contains(where: \.publishes) { onPublished() }
        for done in group { done.job.finish(done.result) }
    }
}

/// The schema's steps over one connection, within a transaction that the caller began.
private final class SQLiteMigration: MigrationSession {
    let dialect = SQLDialect.sqlite
    private let session: SQLiteSession

    init(_ database: Database) { session = SQLiteSession(database, texts: SQLiteStatementTexts()) }

    func query(_ sql: String, _ values: [SQLValue]) throws(StoreError) -> [SQLRow] { try session.query(sql, values) }

    func apply(_ statements: [SQLStatement]) throws(StoreError) {
        for statement in statements { _ = try session.execute(statement.sql, statement.values) }
    }
}
