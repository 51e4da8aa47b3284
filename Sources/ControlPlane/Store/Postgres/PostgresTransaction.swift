// One try at a job's transaction on one connection.

import Limits

/// How a try ended.
enum PostgresTry {
    /// The caller can be told.
    case finished(Result<Void, any Error>, publishes: Bool)
    /// A serialization failure or a deadlock: nothing was committed, another try may do better.
    case conflict
    /// The connection broke before COMMIT was sent: nothing was committed.
    case lost(StoreError)
    /// It broke between COMMIT and its answer. The audit row of this id tells which, if there is one.
    case unknown(marker: String?, publishes: Bool)
}

/// The session of one transaction. BEGIN and the scopes' locks go out with the first statement, so that they cost no
/// round trip of their own.
///
/// The locks are the session's, taken before BEGIN: the transaction's snapshot, taken at its first statement, then has
/// all that earlier holders committed.
final class PostgresTransaction: SQLSession {
    private let connection: PostgresConnection
    private let scopes: [String]
    private let isWrite: Bool
    private var hasBegun = false

    init(_ connection: PostgresConnection, isWrite: Bool, scopes: [String]) {
        self.connection = connection
        self.isWrite = isWrite
        self.scopes = scopes
    }

    func query(_ sql: String, _ values: [SQLValue]) throws(StoreError) -> [SQLRow] {
        try run(SQLStatement(sql: sql, values: values)).rows
    }

    func execute(_ sql: String, _ values: [SQLValue]) throws(StoreError) -> Int {
        try run(SQLStatement(sql: sql, values: values)).changed
    }

    private func run(_ statement: SQLStatement) throws(StoreError) -> PostgresOutcome {
        let outcomes = try send([statement])
        guard let outcome = outcomes.last else { throw .other("a statement gave no result") }
        return outcome
    }

    /// Sends statements of the transaction, the first ones behind what begins it.
    private func send(_ statements: [SQLStatement]) throws(StoreError) -> [PostgresOutcome] {
        guard !hasBegun else { return try connection.roundTrip(statements) }
        hasBegun = true
        let locks = scopes.map {
            SQLStatement(sql: "SELECT pg_advisory_lock(?)", values: [.integer(PostgresLock.key(scope: $0))])
        }
        let begin =
            isWrite ? "BEGIN ISOLATION LEVEL REPEATABLE READ" : "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        return try connection.roundTrip([SQLStatement(sql: begin)] + statements, first: locks)
    }

    /// Takes everything back, locks included.
    private func rollBack() {
        guard hasBegun, !connection.isBroken else { return }
        connection.end([SQLStatement(sql: "ROLLBACK")] + closingLocks)
    }

    private var closingLocks: [SQLStatement] {
        scopes.isEmpty ? [] : [SQLStatement(sql: "SELECT pg_advisory_unlock_all()")]
    }

    /// Runs the body, then commits what it wrote.
    func attempt(key: SecretKey, _ body: (Transaction) throws -> Void) -> PostgresTry {
        let transaction = Transaction(session: self, key: key, isWrite: isWrite)
        do {
            do {
                defer { transaction.end() }
                try body(transaction)
            }
            if let failure = transaction.failure { throw failure }
            // Who only read need not wait for the end: `endRead`.
            return isWrite ? try commit(transaction) : .finished(.success(()), publishes: false)
        } catch {
            return failed(error, transaction)
        }
    }

    private func failed(_ error: any Error, _ transaction: Transaction) -> PostgresTry {
        rollBack()
        // The body may have thrown something else for a statement's sake.
        let cause = transaction.failure ?? (error as? StoreError)
        if connection.isBroken, let cause { return .lost(cause) }
        if cause == .conflict { return .conflict }
        return .finished(.failure(error), publishes: false)
    }

    /// Ends a transaction that changed nothing, after its caller was told.
    func endRead() {
        guard !isWrite, hasBegun, !connection.isBroken else { return }
        connection.end([SQLStatement(sql: "COMMIT")])
    }

    private func commit(_ transaction: Transaction) throws -> PostgresTry {
        let closing = try transaction.closing()
        guard hasBegun || !closing.isEmpty else { return .finished(.success(()), publishes: false) }
        // A lock that cannot be had must stop what comes after it: it has a Sync of its own.
        if !hasBegun, !scopes.isEmpty { _ = try send([]) }
        do throws(StoreError) {
            _ = try send(closing + [SQLStatement(sql: "COMMIT")] + closingLocks)
        } catch {
            guard connection.isBroken else { throw error }
            return .unknown(marker: transaction.marker, publishes: transaction.publishes)
        }
        return .finished(.success(()), publishes: transaction.publishes)
    }
}
