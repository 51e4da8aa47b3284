// The control plane's truth: one schema in SQLite or PostgreSQL, the same rules on both.
//
//     read / write ──▶ line of jobs ──▶ threads of the database ──▶ body(Transaction) ──▶ commit ──▶ caller
//                                                                  rows, audit, outbox     │
//                                                                                          └▶ Sequencer is woken
//
// A write returns after the durable commit, and the next read on any connection sees it. What a transaction publishes
// stands in the same transaction; the `Sequencer` gives it its number afterwards.

import Limits
package import Logging
import Synchronization

/// One of the two databases, behind the store.
protocol StoreBackend: Sendable {
    var dialect: SQLDialect { get }
    /// Runs the job, or fails it.
    func submit(_ job: StoreJob)
    func close() async
}

/// Transactions over SQLite or PostgreSQL.
package final class Store: Sendable {
    package let location: StoreLocation
    let backend: any StoreBackend
    let key: SecretKey
    let bell: OutboxBell
    private let log: Logger

    private init(
        location: StoreLocation, backend: any StoreBackend, key: SecretKey, bell: OutboxBell, log: Logger
    ) {
        self.location = location
        self.backend = backend
        self.key = key
        self.bell = bell
        self.log = log
    }

    /// Opens the database and brings its schema up to date.
    ///
    /// - Throws: `.unavailable` when it cannot be reached, `.other` when its schema is newer than this program's or its
    ///   secrets were sealed with another key.
    package static func open(
        _ location: StoreLocation, key: SecretKey, log: Logger
    ) async throws(StoreError) -> Store {
        let bell = OutboxBell()
        let onPublished: @Sendable () -> Void = { bell.ring() }
        let backend: any StoreBackend
        switch location {
        case .sqlite(let path):
            backend = try await onThread { () throws(StoreError) in
                try SQLiteStore.open(path: path, key: key, onPublished: onPublished)
            }
        case .postgres(let url):
            backend = try await onThread { () throws(StoreError) in
                try PostgresStore.open(url: url, key: key, log: log, onPublished: onPublished)
            }
        }
        return Store(location: location, backend: backend, key: key, bell: bell, log: log)
    }

    /// Runs the body over one consistent snapshot. It may run more than once.
    package func read<T: Sendable>(
        _ body: @escaping @Sendable (Transaction) throws -> T
    ) async throws -> T {
        try await submit(isWrite: false, scopes: [], body)
    }

    /// Runs the body in a transaction, and returns after its durable commit. The body may run more than once: after a
    /// serialization failure or a lost connection.
    ///
    /// PostgreSQL sees two writers of one row, and runs the later one again. It does not see a decision over rows that
    /// the body only read, or that are not there: the body's scope names that, and writers with an equal scope go one
    /// after the other. Locks are taken in one order, so scopes cannot deadlock.
    @discardableResult
    package func write<T: Sendable>(
        locking scopes: [String] = [], _ body: @escaping @Sendable (Transaction) throws -> T
    ) async throws -> T {
        guard scopes.count <= Limits.storeScopesMax else {
            throw StoreError.tooLarge("\(scopes.count) scopes, expected at most \(Limits.storeScopesMax)")
        }
        return try await submit(isWrite: true, scopes: Set(scopes).sorted(), body)
    }

    /// Finishes what is in the line, then closes all connections.
    package func close() async {
        await backend.close()
    }

    private func submit<T: Sendable>(
        isWrite: Bool, scopes: [String], _ body: @escaping @Sendable (Transaction) throws -> T
    ) async throws -> T {
        let box = AnswerBox<T>()
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            backend.submit(
                StoreJob(
                    isWrite: isWrite, scopes: scopes,
                    body: { transaction in
                        let value = try body(transaction)
                        box.value.withLock { $0 = value }
                    },
                    finish: { continuation.resume(with: $0) }))
        }
        guard let value = box.value.withLock({ $0 }) else { throw StoreError.other("a body gave no value") }
        return value
    }
}

/// The value of a body's last run, on its way from the database's thread to the caller.
private final class AnswerBox<T: Sendable>: Sendable {
    let value = Mutex<T?>(nil)
}

/// Runs what blocks on a thread of its own, once.
func onThread<T: Sendable>(_ body: @escaping @Sendable () throws(StoreError) -> T) async throws(StoreError) -> T {
    let result = await withCheckedContinuation { (continuation: CheckedContinuation<Result<T, StoreError>, Never>) in
        do throws(StoreError) {
            try StoreThreads().start { () in
                do throws(StoreError) {
                    continuation.resume(returning: .success(try body()))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        } catch {
            continuation.resume(returning: .failure(error))
        }
    }
    return try result.get()
}
