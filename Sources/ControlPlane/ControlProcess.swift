// The control plane put together: the store, the log of changes, the replica, the API.

import ConfigLog
import Glibc
import Limits
package import Logging
package import Replica

/// One control process, from its start until its task is cancelled.
package struct ControlProcess: Sendable {
    /// What it is started with.
    package struct Options: Sendable {
        /// Where the API listens; port 0 takes any that is free.
        package var host: String
        package var port: Int
        /// The directory for keys, the first token and, with SQLite, the store.
        package var data: String
        /// A path, or the URL of a PostgreSQL.
        package var store: String
        /// Requests of one caller in `Limits.apiRateWindowSeconds`; 0: as many as come.
        package var rate: Int

        /// - Parameter rate: nil: the standard.
        package init(host: String, port: Int, data: String, store: String, rate: Int? = nil) {
            self.host = host
            self.port = port
            self.data = data
            self.store = store
            self.rate = rate ?? Limits.apiRateRequestsDefault
        }
    }

    /// What others do at its events.
    package struct Hooks: Sendable {
        /// Tells whoever started it: where the API listens, and at the first start its token.
        package var say: @Sendable (String) -> Void
        /// Something was applied to the replica. On the thread that applied it.
        package var onTouched: @Sendable (Touched) -> Void = { _ in }
        /// The API answers, and the replica is where the store is.
        package var onReady: @Sendable (APIService) async -> Void = { _ in }

        package init(say: @escaping @Sendable (String) -> Void) { self.say = say }
    }

    private let options: Options
    private let replica: Replica
    private let hooks: Hooks
    private let log: Logger

    /// - Parameter replica: its own, or that of the edge in the same process.
    package init(_ options: Options, replica: Replica, hooks: Hooks, log: Logger) {
        self.options = options
        self.replica = replica
        self.hooks = hooks
        self.log = log
    }

    /// The key that opens what the log holds sealed for edges.
    ///
    /// - Throws: `StoreError` if the key cannot be read or made.
    package static func edgeKey(data: String) throws -> SecretKey {
        try SecretKey.load(path: data + "/store-key").edgeKey
    }

    /// - Throws: `StoreError` if the store cannot be opened, or what keeps the API from listening.
    package func run() async throws {
        guard mkdir(options.data, 0o750) == 0 || errno == EEXIST else {
            throw StoreError.unavailable(
                "cannot create the data directory \(options.data): \(String(cString: strerror(errno)))")
        }
        let location = try StoreLocation(parsing: options.store)
        let store = try await Store.open(
            location, key: SecretKey.load(path: options.data + "/store-key"), log: log)
        do {
            try await serve(store)
        } catch {
            await store.close()
            throw error
        }
        await store.close()
    }

    private func serve(_ store: Store) async throws {
        let tokenPath = options.data + "/admin-token"
        if let secret = try await Bootstrap.run(store, tokenPath: tokenPath) {
            // Shown this once, to whoever starts it; the log never sees it.
            hooks.say(
                "The first token may do everything, and is shown this once; it is kept in \(tokenPath):\n\(secret)")
        }
        let keeper = ReplicaKeeper(store: store, replica: replica, log: log, onTouched: hooks.onTouched)
        let (position, recent) = try await keeper.catchUp()
        for frame in recent where frame.first > replica.position.sequence {
            hooks.onTouched(try replica.apply(frame))
        }
        let sequencer = Sequencer(store: store, log: log)
        let service = APIService(store: store, rateRequests: options.rate, log: log)
        let server = APIServer(service, host: options.host, port: options.port, log: log) { [options, hooks] port in
            let host = options.host.contains(":") ? "[\(options.host)]" : options.host
            hooks.say("API: http://\(host):\(port)\(APIService.root)")
            await hooks.onReady(service)
        }
        log.notice("control plane starts", metadata: ["store": "\(store.location)", "at": "\(position)"])
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { [replica, hooks] in
                try await sequencer.run(after: position.sequence) { frame in
                    hooks.onTouched(try replica.apply(frame))
                }
            }
            group.addTask { try await server.run() }
            // Whichever ends first takes the other with it.
            defer { group.cancelAll() }
            try await group.next()
        }
    }
}
