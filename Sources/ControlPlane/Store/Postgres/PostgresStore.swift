// The store in PostgreSQL: a bounded number of connections, each with a thread of its own.
//
// A thread connects when it has its first job, keeps the connection, and connects again when it broke. A job waits for
// that, within its deadline:
//
//     conflict                 nothing was committed   → once more, after a pause
//     lost before COMMIT       nothing was committed   → connect, once more
//     lost after COMMIT        unknown                 → connect, make sure that the old connection's server process
//                                                        is gone, and look whether the audit row is there

import Limits
import Logging

final class PostgresStore: StoreBackend {
    let dialect = SQLDialect.postgres
    let url: PostgresURL
    private let queue = JobQueue(writersMax: Limits.storePostgresWritersMax)
    private let threads = StoreThreads()
    private let key: SecretKey
    private let log: Logger
    private let onPublished: @Sendable () -> Void

    /// Connects once, to migrate and to find out early what is wrong.
    static func open(
        url text: String, key: SecretKey, log: Logger, onPublished: @escaping @Sendable () -> Void
    ) throws(StoreError) -> PostgresStore {
        let url = try PostgresURL(text)
        if url.isExposed {
            log.warning("the connection to the store may go unencrypted: expected sslmode=verify-full in its URL")
        }
        let connection = try PostgresConnection(url)
        if !connection.isDurable {
            log.warning("the store's server runs with fsync = off: a crash may lose everything")
        }
        try PostgresMigration(connection).run(key: key)
        return try PostgresStore(url: url, key: key, log: log, onPublished: onPublished)
    }

    private init(
        url: PostgresURL, key: SecretKey, log: Logger, onPublished: @escaping @Sendable () -> Void
    ) throws(StoreError) {
        self.url = url
        self.key = key
        self.log = log
        self.onPublished = onPublished
        for _ in 0..<Limits.storePostgresConnectionsMax {
            try threads.start { [self] in
                var worker = PostgresWorker(url: url, key: key, log: log)
                while let job = queue.take(isReady: worker.isConnected) {
                    worker.run(job, onPublished: onPublished)
                    queue.done(job)
                }
            }
        }
    }

    func submit(_ job: StoreJob) {
        if let refusal = queue.add(job) { job.fail(refusal) }
    }

    func close() async {
        queue.close()
        await threads.join()
    }
}

/// What one thread does: its connection, and its jobs one after the other.
struct PostgresWorker {
    private var link: PostgresLink
    private let key: SecretKey

    init(url: PostgresURL, key: SecretKey, log: Logger) {
        link = PostgresLink(url: url, log: log)
        self.key = key
    }

    var isConnected: Bool { link.isConnected }

    mutating func run(_ job: StoreJob, onPublished: () -> Void) {
        var conflicts = Backoff(Limits.storeRetryMillisecondsRange)
        var losses = Backoff(Limits.storeRetryMillisecondsRange)
        var cause = StoreError.unavailable("its turn came too late")
        while !job.isLate {
            let connection: PostgresConnection
            do throws(StoreError) {
                connection = try link.connected(until: job.deadline)
            } catch {
                return job.fail(error)
            }
            let session = PostgresTransaction(connection, isWrite: job.isWrite, scopes: job.scopes)
            switch session.attempt(key: key, job.body) {
            case .finished(let result, let publishes):
                if publishes { onPublished() }
                job.finish(result)
                return session.endRead()
            case .conflict:
                guard conflicts.count < Limits.storeRetriesMax else { return job.fail(.conflict) }
                cause = .conflict
                conflicts.pause(until: job.deadline)
            case .lost(let why):
                cause = why
                guard losses.count < Limits.storeRetriesMax else { return job.fail(why) }
                losses.pause(until: job.deadline)
            case .unknown(let marker, let publishes):
                switch settle(marker, of: connection) {
                case true?:
                    if publishes { onPublished() }
                    return job.finish(.success(()))
                case false?:
                    cause = .unavailable("the connection broke")
                case nil:
                    return job.fail(.unknownOutcome)
                }
            }
        }
        job.fail(cause)
    }

    /// Whether the transaction with this audit row was committed, nil if that cannot be found out.
    private mutating func settle(_ marker: String?, of broken: PostgresConnection) -> Bool? {
        guard let marker else { return nil }
        let deadline = ContinuousClock.now + .milliseconds(Limits.storeSettleMilliseconds)
        let process = SQLValue.integer(Int64(broken.serverProcess))
        let start = SQLValue.text(broken.serverProcessStart)
        var pause = Backoff(Limits.storeRetryMillisecondsRange)
        while ContinuousClock.now < deadline {
            guard let connection = try? link.connected(until: deadline) else { return nil }
            // While the old process lives it may still commit.
            let alive = try? connection.roundTrip([
                SQLStatement(
                    sql: """
                        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                        WHERE pid = CAST(? AS INTEGER) AND backend_start::text = ?
                        """, values: [process, start])
            ]).last?.rows.count
            if alive == 0 {
                let found = try? connection.roundTrip([
                    SQLStatement(sql: "SELECT 1 FROM audit WHERE id = ?", values: [.text(marker)])
                ])
                if let rows = found?.last?.rows { return !rows.isEmpty }
            }
            pause.pause(until: deadline)
        }
        return nil
    }
}
