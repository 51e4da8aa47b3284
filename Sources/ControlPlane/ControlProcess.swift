// The control plane put together: the store, the log of changes, the replica, the root of the distribution, the API.

package import ConfigLog
package import Distribution
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
        /// Where relays and edges join; nil: nobody can.
        package var distribution: PeerAddress?
        /// Requests of one caller in `Limits.apiRateWindowSeconds`; 0: as many as come.
        package var rate: Int

        /// - Parameter rate: nil: the standard.
        package init(
            host: String, port: Int, data: String, store: String, distribution: PeerAddress? = nil, rate: Int? = nil
        ) {
            self.distribution = distribution
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
        /// How the edge within this process does; nil: there is none.
        package var localHealth: (@Sendable () -> HealthSummary)?
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
        let key = try SecretKey.load(path: options.data + "/store-key")
        let store = try await Store.open(location, key: key, log: log)
        do {
            try await serve(store, key.edgeKey)
        } catch {
            await store.close()
            throw error
        }
        await store.close()
    }

    private func serve(_ store: Store, _ edgeKey: SecretKey) async throws {
        let keeper = ReplicaKeeper(store: store, replica: replica, log: log, onTouched: hooks.onTouched)
        // Before a first token is made: an empty store may be a lost one.
        try await keeper.requireStore()
        let tokenPath = options.data + "/admin-token"
        if let secret = try await Bootstrap.run(store, tokenPath: tokenPath) {
            // Shown this once, to whoever starts it; the log never sees it.
            hooks.say(
                "The first token may do everything, and is shown this once; it is kept in \(tokenPath):\n\(secret)")
        }
        let fleet = try await FleetDoor.open(
            store, edgeKey: edgeKey, hasLocalEdge: hooks.localHealth != nil, log: log)
        let (position, recent) = try await keeper.catchUp()
        let (failures, failed) = AsyncStream.makeStream(of: ReplicaError.self)
        let node = try await ConfigNode.root(
            identity: fleet.identity, replica: replica, at: position, recent: recent,
            door: options.distribution.map { fleet.door(at: $0) },
            hooks: .init(onTouched: hooks.onTouched, onReplicaFailed: { failed.yield($0) }), log: log)
        if let address = options.distribution {
            hooks.say("distribution: \(PeerAddress(host: address.host, port: node.status.port ?? address.port))")
        }
        log.notice("control plane starts", metadata: ["store": "\(store.location)", "at": "\(position)"])
        do {
            try await work(store, node, fleet, after: position, failures)
        } catch {
            await node.stop()
            throw error
        }
        await node.stop()
    }

    private func work(
        _ store: Store, _ node: ConfigNode, _ fleet: FleetDoor, after position: LogPosition,
        _ failures: AsyncStream<ReplicaError>
    ) async throws {
        let sequencer = Sequencer(store: store, log: log)
        let service = APIService(store: store, rateRequests: options.rate, log: log)
        let server = APIServer(service, host: options.host, port: options.port, log: log) { [options, hooks] port in
            let host = options.host.contains(":") ? "[\(options.host)]" : options.host
            hooks.say("API: http://\(host):\(port)\(APIService.root)")
            await hooks.onReady(service)
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await sequencer.run(after: position.sequence) { frame in
                    fleet.desk.observe(frame)
                    try await node.publish(frame)
                }
            }
            group.addTask { try await server.run() }
            group.addTask { [replica, hooks] in
                try await fleet.noteReports(of: node, replica: replica, localHealth: hooks.localHealth)
            }
            group.addTask { [log] in
                await RolloutDriver(store: store, log: log, isLeading: { sequencer.isLeader }).run()
            }
            // Brought up again by whoever runs this process: the replica is filled anew then.
            group.addTask { for await failure in failures { throw failure } }
            // Whichever ends first takes the others with it.
            defer { group.cancelAll() }
            try await group.next()
        }
    }
}
