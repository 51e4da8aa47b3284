// One connection to PostgreSQL, driven by one thread: it sends several statements at once and waits with a deadline.
//
// The connection is always in libpq's pipeline mode. What is known together goes out together, and costs one round trip
// to the server:
//
//     ──▶ BEGIN, first statement, Sync          ──▶ audit, outbox, COMMIT, Sync
//     ◀── …                                     ◀── …
//
// The first statement that fails makes the server skip what follows it up to Sync.

import CPostgres
import Glibc
import Limits

/// What one statement of a round trip gave.
struct PostgresOutcome {
    var rows: [SQLRow] = []
    var changed = 0
}

/// Owned by the thread that made it: never shared.
final class PostgresConnection {
    private let connection: OpaquePointer
    private let url: PostgresURL
    /// Texts that are prepared on the server, and their names there.
    private var prepared: [String: String] = [:]
    private var nextName = 0
    /// Nothing more can be sent: the server or the way to it is gone, or it keeps silent.
    private(set) var isBroken = false
    /// The server's process for this connection, and when it began: tells it from a later one of the same number.
    let serverProcess: Int32
    private(set) var serverProcessStart = ""
    private(set) var isDurable = true
    /// How long an answer may take before the server is taken for gone.
    private var answerMilliseconds = Limits.storeStatementMilliseconds + Limits.storeAnswerGraceMilliseconds

    /// Connects, and makes the session what the store expects.
    init(_ url: PostgresURL) throws(StoreError) {
        self.url = url
        let parameters = url.connectionParameters
        let names = CStringArray(parameters.map(\.name))
        let values = CStringArray(parameters.map(\.value))
        let made = withExtendedLifetime((names, values)) { PQconnectdbParams(names.pointers, values.pointers, 0) }
        guard let connection = made else { throw .unavailable("out of memory") }
        self.connection = connection
        serverProcess = PQbackendPID(connection)
        // Notices would go to standard error.
        PQsetNoticeProcessor(connection, { _, _ in }, nil)
        guard PQstatus(connection) == CONNECTION_OK else {
            let why = url.withoutSecrets(String(cString: PQerrorMessage(connection)))
            isBroken = true
            throw .unavailable(why)
        }
        guard PQserverVersion(connection) >= Limits.storePostgresVersionMin else {
            isBroken = true
            throw .other("expected PostgreSQL 13 or later, found version \(PQserverVersion(connection))")
        }
        guard PQsetnonblocking(connection, 1) == 0, PQenterPipelineMode(connection) == 1 else {
            isBroken = true
            throw .unavailable("the connection cannot be set up")
        }
        try prepareSession()
    }

    deinit { PQfinish(connection) }

    private func prepareSession() throws(StoreError) {
        let settings = [
            ("statement_timeout", Limits.storeStatementMilliseconds), ("lock_timeout", Limits.storeLockMilliseconds),
            // A process that was stopped within a transaction does not hold its locks for ever.
            ("idle_in_transaction_session_timeout", Limits.storeStatementMilliseconds),
        ].map { SQLStatement(sql: "SET \($0.0) = \($0.1)") }
        let asking = SQLStatement(
            sql: """
                SELECT current_setting('server_encoding'), current_setting('fsync'), backend_start::text,
                    CASE WHEN current_setting('synchronous_commit') = 'off'
                        THEN set_config('synchronous_commit', 'on', false) END
                FROM pg_stat_activity WHERE pid = pg_backend_pid()
                """)
        guard let row = try roundTrip(settings + [asking]).last?.rows.first else {
            throw .unavailable("the server does not show this connection in pg_stat_activity")
        }
        guard try row.text(0) == "UTF8" else {
            throw .other("expected a database of encoding UTF8, found \(try row.text(0))")
        }
        isDurable = try row.text(1) == "on"
        serverProcessStart = try row.text(2)
    }

    /// Lets statements take longer than those of the API may.
    func allow(milliseconds: Int) throws(StoreError) {
        _ = try roundTrip([SQLStatement(sql: "SET statement_timeout = \(milliseconds)")])
        answerMilliseconds = milliseconds + Limits.storeAnswerGraceMilliseconds
    }

    // MARK: Statements

    /// Sends all statements at once, and returns what each gave. The first that fails is thrown; those after it were
    /// not executed.
    ///
    /// - Parameter first: goes out before them with a Sync of its own, since the server takes what lies between two Syncs
    ///   for a transaction. If it fails the others are executed nevertheless, and its error is thrown.
    func roundTrip(_ statements: [SQLStatement], first: [SQLStatement] = []) throws(StoreError) -> [PostgresOutcome] {
        guard !isBroken else { throw .unavailable("the connection is lost") }
        if prepared.count + first.count + statements.count > Limits.storeStatementsMax { try forgetPrepared() }
        var awaited: [Awaited] = []
        for part in [first, statements] where !part.isEmpty {
            for statement in part { try send(statement, &awaited) }
            guard PQpipelineSync(connection) == 1 else { throw broken() }
            awaited.append(.sync)
        }
        return try collect(awaited, until: .now + .milliseconds(answerMilliseconds))
    }

    /// Ends a transaction. If that fails nobody knows what state the session is in: it is not used again, and the server
    /// rolls back when the connection is closed.
    func end(_ statements: [SQLStatement]) {
        do throws(StoreError) {
            _ = try roundTrip(statements)
        } catch {
            isBroken = true
        }
    }

    /// What the server answers with, one after the other.
    private enum Awaited {
        case preparation(of: String)
        case outcome
        case sync
    }

    private func send(_ statement: SQLStatement, _ awaited: inout [Awaited]) throws(StoreError) {
        let name: String
        if let known = prepared[statement.sql] {
            name = known
        } else {
            name = "s\(nextName)"
            nextName += 1
            guard PQsendPrepare(connection, name, PostgresText.numbered(statement.sql), 0, nil) == 1 else {
                throw broken()
            }
            awaited.append(.preparation(of: statement.sql))
            // For the same text once more within this round trip.
            prepared[statement.sql] = name
        }
        awaited.append(.outcome)
        let sent = PostgresParameters(statement.values).withPointers { values, lengths, formats in
            PQsendQueryPrepared(connection, name, Int32(statement.values.count), values, lengths, formats, 1)
        }
        guard sent == 1 else { throw broken() }
    }

    private func collect(
        _ awaited: [Awaited], until deadline: ContinuousClock.Instant
    ) throws(StoreError) -> [PostgresOutcome] {
        var outcomes: [PostgresOutcome] = []
        var failure: StoreError?
        for next in awaited {
            guard let result = try nextResult(until: deadline) else { throw failure ?? broken() }
            switch (next, result.status) {
            case (.sync, PGRES_PIPELINE_SYNC): continue
            case (.sync, _), (_, PGRES_PIPELINE_SYNC): throw broken()
            case (.outcome, PGRES_TUPLES_OK), (.outcome, PGRES_COMMAND_OK):
                do throws(StoreError) {
                    outcomes.append(PostgresOutcome(rows: try result.rows(), changed: result.changed))
                } catch {
                    failure = failure ?? error
                }
            case (.preparation, PGRES_COMMAND_OK): break
            default:
                if case .preparation(let sql) = next { prepared[sql] = nil }
                if result.status != PGRES_PIPELINE_ABORTED { failure = failure ?? fail(result.error()) }
            }
            // Each statement's results end with nothing.
            while let more = try nextResult(until: deadline) { _ = more.status }
        }
        if let failure { throw failure }
        return outcomes
    }

    private func fail(_ error: PostgresFailure) -> StoreError {
        if error.endsConnection || error.isStale || error.state.isEmpty { isBroken = true }
        return error.state.isEmpty ? broken() : error.storeError
    }

    private func forgetPrepared() throws(StoreError) {
        prepared = [:]
        guard PQsendQueryParams(connection, "DEALLOCATE ALL", 0, nil, nil, nil, nil, 1) == 1,
            PQpipelineSync(connection) == 1
        else { throw broken() }
        _ = try collect([.outcome, .sync], until: .now + .milliseconds(Limits.storeStatementMilliseconds))
    }

    // MARK: Waiting

    /// The next result, nil where a statement's results end. Waits for it, but not beyond the deadline.
    private func nextResult(until deadline: ContinuousClock.Instant) throws(StoreError) -> PostgresResult? {
        while true {
            let unsent = PQflush(connection)
            guard unsent >= 0 else { throw broken() }
            if unsent == 0 || PQisBusy(connection) == 0, PQisBusy(connection) == 0 { break }
            try wait(forRoom: unsent == 1, until: deadline)
            guard PQconsumeInput(connection) == 1 else { throw broken() }
        }
        guard let result = PQgetResult(connection) else { return nil }
        return PostgresResult(result)
    }

    private func wait(forRoom: Bool, until deadline: ContinuousClock.Instant) throws(StoreError) {
        let left = ContinuousClock.now.duration(to: deadline)
        guard left > .zero else {
            isBroken = true
            throw .unavailable("the server does not answer")
        }
        var entry = pollfd(
            fd: PQsocket(connection), events: Int16(POLLIN | (forRoom ? POLLOUT : 0)), revents: 0)
        let milliseconds = left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000 + 1
        guard entry.fd >= 0, poll(&entry, 1, Int32(clamping: milliseconds)) >= 0 || errno == EINTR else {
            throw broken()
        }
    }

    private func broken() -> StoreError {
        isBroken = true
        let why = url.withoutSecrets(String(cString: PQerrorMessage(connection)))
        return .unavailable(why.isEmpty ? "the connection is lost" : why)
    }

    /// Waits until the server notifies this connection, somebody wakes it, or the time is over. Returns the channels
    /// that were notified.
    func waitForNotification(_ waker: Waker, milliseconds: Int) throws(StoreError) -> Set<String> {
        var channels = try notifications()
        guard channels.isEmpty else { return channels }
        let ready = Waker.wait(for: [PQsocket(connection), waker.descriptor], milliseconds: milliseconds)
        if ready.contains(PQsocket(connection)) { channels = try notifications() }
        return channels
    }

    private func notifications() throws(StoreError) -> Set<String> {
        guard !isBroken, PQconsumeInput(connection) == 1, PQstatus(connection) == CONNECTION_OK else { throw broken() }
        var channels: Set<String> = []
        while let notification = PQnotifies(connection) {
            channels.insert(String(cString: notification.pointee.relname))
            PQfreemem(notification)
        }
        return channels
    }
}
