// The control plane put together: the store, the log of changes, the API.

import ConfigLog
import Glibc
import Limits
package import Logging

/// One control process, from its start until its task is cancelled.
package struct ControlProcess: Sendable {
    private let host: String
    private let port: Int
    private let data: String
    private let store: String
    private let rate: Int
    private let log: Logger
    private let say: @Sendable (String) -> Void

    /// - Parameters:
    ///   - data: The directory for keys, the first token and, with SQLite, the store.
    ///   - store: A path, or the URL of a PostgreSQL.
    ///   - rate: Requests of one caller in `Limits.apiRateWindowSeconds`; 0: as many as come; nil: the standard.
    ///   - say: Tells whoever started it: where the API listens, and at the first start its token.
    package init(
        host: String, port: Int, data: String, store: String, rate: Int?, log: Logger,
        say: @escaping @Sendable (String) -> Void
    ) {
        self.host = host
        self.port = port
        self.data = data
        self.store = store
        self.rate = rate ?? Limits.apiRateRequestsDefault
        self.log = log
        self.say = say
    }

    /// - Throws: `StoreError` if the store cannot be opened, or what keeps the API from listening.
    package func run() async throws {
        guard mkdir(data, 0o750) == 0 || errno == EEXIST else {
            throw StoreError.unavailable(
                "cannot create the data directory \(data): \(String(cString: strerror(errno)))")
        }
        let location = try StoreLocation(parsing: store)
        let store = try await Store.open(location, key: SecretKey.load(path: data + "/store-key"), log: log)
        do {
            try await serve(store)
        } catch {
            await store.close()
            throw error
        }
        await store.close()
    }

    private func serve(_ store: Store) async throws {
        let tokenPath = data + "/admin-token"
        if let secret = try await Bootstrap.run(store, tokenPath: tokenPath) {
            // Shown this once, to whoever starts it; the log never sees it.
            say("The first token may do everything, and is shown this once; it is kept in \(tokenPath):\n\(secret)")
        }
        let position = try await store.logPosition()
        let sequencer = Sequencer(store: store, log: log)
        let service = APIService(store: store, rateRequests: rate, log: log)
        let server = APIServer(service, host: host, port: port, log: log) { [host, say] port in
            say("API: http://\(host.contains(":") ? "[\(host)]" : host):\(port)\(APIService.root)")
        }
        log.notice("control plane starts", metadata: ["store": "\(store.location)", "at": "\(position)"])
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await sequencer.run(after: position.sequence) { [log] frame in
                    log.debug(
                        "changes sealed", metadata: ["to": "\(frame.position)", "groups": "\(frame.groups.count)"])
                }
            }
            group.addTask { try await server.run() }
            // Whichever ends first takes the other with it.
            defer { group.cancelAll() }
            try await group.next()
        }
    }
}
