// The sequencer's own way to the database: transactions, the leader's seat, and waiting for news.

import Glibc
import Limits
import Logging

/// What may have happened while a sequencer waited.
struct SequencerNews: OptionSet, Sendable {
    let rawValue: Int
    /// This process published.
    static let publishedHere = SequencerNews(rawValue: 1)
    /// Another process published, or sealed a frame.
    static let elsewhere = SequencerNews(rawValue: 2)
}

protocol SequencerDesk: Sendable {
    var dialect: SQLDialect { get }
    func read<T: Sendable>(_ body: @escaping @Sendable (Transaction) throws -> T) async throws -> T
    func write<T: Sendable>(_ body: @escaping @Sendable (Transaction) throws -> T) async throws -> T
    /// Tries to get the leader's seat, without waiting. It stays with this desk until `resign`, or the connection's end.
    func claim() async throws -> Bool
    func resign() async
    func wait(milliseconds: Int) async throws -> SequencerNews
    /// Tells the sequencers of other processes that something was published.
    func tellOthers() async throws
    /// The last call.
    func finish() async
}

/// SQLite: the seat is a lock on a file beside the database, which the kernel takes back when its holder ends.
actor SQLiteDesk: SequencerDesk {
    nonisolated let dialect = SQLDialect.sqlite
    private let store: Store
    private let path: String
    private let waker: Waker
    private let executor: ThreadExecutor
    private var seat: Int32 = -1

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    init(store: Store, path: String, waker: Waker) throws(StoreError) {
        self.store = store
        self.path = path + "-leader"
        self.waker = waker
        executor = try ThreadExecutor()
    }

    nonisolated func read<T: Sendable>(_ body: @escaping @Sendable (Transaction) throws -> T) async throws -> T {
        try await store.read(body)
    }

    nonisolated func write<T: Sendable>(_ body: @escaping @Sendable (Transaction) throws -> T) async throws -> T {
        try await store.write(body)
    }

    func claim() throws -> Bool {
        guard seat < 0 else { return true }
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw StoreError.unavailable("\(path): \(String(cString: strerror(errno)))") }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            return false
        }
        seat = descriptor
        return true
    }

    func resign() {
        guard seat >= 0 else { return }
        // Not by closing alone: a child that was forked a moment ago has the descriptor too, until it executes.
        flock(seat, LOCK_UN)
        close(seat)
        seat = -1
    }

    func wait(milliseconds: Int) -> SequencerNews {
        let isRung = !Waker.wait(for: [waker.descriptor], milliseconds: milliseconds).isEmpty
        return isRung && waker.clear() ? .publishedHere : []
    }

    /// Processes that share a file look by themselves, now and then.
    nonisolated func tellOthers() {}

    func finish() {
        resign()
        executor.stop()
    }
}

/// PostgreSQL: the seat is an advisory lock of the very connection that writes the frames. The server gives it back when
/// the connection ends. A leader that holds it, and yet has not been heard of for the lease, was stopped or cut off: its
/// connection is ended from here.
actor PostgresDesk: SequencerDesk {
    nonisolated let dialect = SQLDialect.postgres
    private let key: SecretKey
    private let waker: Waker
    private let executor: ThreadExecutor
    private let log: Logger
    private let lease: Int
    private var link: PostgresLink
    private var isListening = false
    /// The leader's last word when its lease was found to be over.
    private var suspect: Int64?

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    init(url: PostgresURL, key: SecretKey, waker: Waker, leaseMilliseconds: Int, log: Logger) throws(StoreError) {
        self.key = key
        self.waker = waker
        self.log = log
        lease = leaseMilliseconds
        link = PostgresLink(url: url, log: log)
        executor = try ThreadExecutor()
    }

    func read<T: Sendable>(_ body: @escaping @Sendable (Transaction) throws -> T) throws -> T {
        try run(isWrite: false, body)
    }

    func write<T: Sendable>(_ body: @escaping @Sendable (Transaction) throws -> T) throws -> T {
        try run(isWrite: true, body)
    }

    private func run<T>(isWrite: Bool, _ body: (Transaction) throws -> T) throws -> T {
        var backoff = Backoff(Limits.storeRetryMillisecondsRange)
        while true {
            var value: T?
            let session = PostgresTransaction(try connected(), isWrite: isWrite, scopes: [])
            switch session.attempt(key: key, { value = try body($0) }) {
            case .finished(let result, _):
                session.endRead()
                try result.get()
                guard let value else { throw StoreError.other("a body gave no value") }
                return value
            case .conflict:
                guard backoff.count < Limits.storeRetriesMax else { throw StoreError.conflict }
                backoff.pause(until: .now + .milliseconds(Limits.storeWaitMilliseconds))
            // Whether it was committed is seen in the log itself.
            case .lost, .unknown:
                throw StoreError.unavailable("the sequencer's connection broke")
            }
        }
    }

    /// The connection; tried once, since the sequencer has a pause of its own.
    private func connected() throws -> PostgresConnection {
        if !link.isConnected { isListening = false }
        let connection = try link.connected(until: .now)
        if !isListening {
            _ = try connection.roundTrip(Self.channels.map { SQLStatement(sql: "LISTEN \($0)") })
            isListening = true
        }
        return connection
    }

    private static let published = "martlet_published"
    private static let sealed = "martlet_sealed"
    private static let channels = [published, sealed]
    /// Within the transaction that seals, so that nobody is told of a frame that is not there.
    static let tellSealed = "SELECT pg_notify('\(sealed)', '')"

    func claim() throws -> Bool {
        let numbers = [SQLValue.integer(Int64(PostgresLock.space)), .integer(Int64(PostgresLock.leader))]
        let connection = try connected()
        let trying = SQLStatement(
            sql: "SELECT pg_try_advisory_lock(CAST(? AS INTEGER), CAST(? AS INTEGER))", values: numbers)
        if try connection.roundTrip([trying]).last?.rows.first?.bool(0) == true {
            suspect = nil
            return true
        }
        let silent = SQLStatement(
            sql: "SELECT renewed FROM leader WHERE id = 1 AND renewed < \(dialect.clock) - ?",
            values: [.integer(Int64(lease) * 1000)])
        let word = try connection.roundTrip([silent]).last?.rows.first?.integer(0)
        defer { suspect = word }
        // Twice the same: whoever has just taken the seat has not said so yet, but soon will.
        guard let word, word == suspect else { return false }
        log.warning("the leading control process has not been heard of: its connection is ended")
        let ending = SQLStatement(
            sql: """
                SELECT pg_terminate_backend(pid) FROM pg_locks
                WHERE locktype = 'advisory' AND granted AND classid::bigint = ? AND objid::bigint = ? AND objsubid = 2
                    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                """, values: numbers)
        _ = try connection.roundTrip([ending])
        return false
    }

    func resign() {
        link.drop()
        isListening = false
    }

    func wait(milliseconds: Int) throws -> SequencerNews {
        var news: SequencerNews = []
        if !(try connected().waitForNotification(waker, milliseconds: milliseconds)).isEmpty { news.insert(.elsewhere) }
        if waker.clear() { news.insert(.publishedHere) }
        return news
    }

    func tellOthers() throws {
        _ = try connected().roundTrip([SQLStatement(sql: "SELECT pg_notify('\(Self.published)', '')")])
    }

    func finish() {
        resign()
        executor.stop()
    }
}
