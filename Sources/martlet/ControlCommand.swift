import ArgumentParser
import ControlPlane
import Distribution
import Glibc
import Limits
import Logging
import Replica
import Telemetry

/// `martlet control`
struct ControlCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "control",
        abstract: "Run the control plane: the API, its store and the log of changes.",
        discussion: """
            Speaks Cloudflare's v4 API under /client/v4, so that their tools work with CLOUDFLARE_BASE_URL set to it. The \
            first start makes an account and a token that may do everything, printed once and kept in DATA/admin-token.

              martlet control --api 127.0.0.1:7070 --data ./var
              martlet control --store postgres://martlet@db.example/martlet

            Several control processes may share one PostgreSQL: one of them numbers the changes, and another takes over \
            within seconds when it ends. SQLite belongs to one process.
            """
    )

    @Option(help: ArgumentHelp("The address of the API.", valueName: "address")) var api = "127.0.0.1:7070"
    @Option(help: ArgumentHelp("The directory of everything it writes.", valueName: "dir")) var data = "./var"
    @Option(
        help: ArgumentHelp(
            "Where it keeps what it is told: a file of SQLite (DATA/control.db unless given), or postgres://…",
            valueName: "place"))
    var store: String?
    @Option(
        help: ArgumentHelp(
            "Where relays and edges join, such as 0.0.0.0:7071; without it nobody can.", valueName: "address"))
    var distribution: String?
    @Option(help: "Requests of one caller in five minutes; 0: as many as come.") var rate: Int?
    @Option(help: "The least of what is logged: trace, debug, info, notice, warning or error.") var logLevel = "info"
    @Option(help: "The form of the log's lines: text or json.") var logFormat = "text"

    func validate() throws {
        guard address != nil else {
            throw ValidationError("--api: expected an address such as 127.0.0.1:7070, found \(api)")
        }
        guard Logger.Level(rawValue: logLevel) != nil else {
            throw ValidationError(
                "--log-level: expected trace, debug, info, notice, warning or error, found \(logLevel)")
        }
        guard ["text", "json"].contains(logFormat) else {
            throw ValidationError("--log-format: expected text or json, found \(logFormat)")
        }
        if let rate, rate < 0 { throw ValidationError("--rate: expected 0 or more, found \(rate)") }
    }

    private var address: (host: String, port: Int)? {
        guard let colon = api.lastIndex(of: ":"), let port = Int(api[api.index(after: colon)...]),
            (0...65_535).contains(port)
        else { return nil }
        let host = api[..<colon].filter { $0 != "[" && $0 != "]" }
        return host.isEmpty ? nil : (host, port)
    }

    /// Until it ends by itself, or SIGTERM or SIGINT come.
    private static func run(_ process: ControlProcess, _ log: Logger) async throws {
        let signals = SignalWatch()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await process.run() }
            group.addTask {
                for await event in signals.events {
                    switch event {
                    case .signal(SIGTERM), .signal(SIGINT):
                        log.notice("control plane stops")
                        return
                    case .signal: continue
                    case .tick: signals.tickTaken()
                    }
                }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    func run() async throws {
        guard let address else { return }
        ProcessLog.bootstrap(
            level: Logger.Level(rawValue: logLevel) ?? .info, format: logFormat == "json" ? .json : .text)
        let log = Logger(label: "control")
        do {
            try Edge.makeDataDirectory(data)
            let replica = try Replica.open(path: data + "/replica", bytesMax: Limits.replicaBytesDefault, log: log)
            defer { replica.close() }
            let options = ControlProcess.Options(
                host: address.host, port: address.port, data: data, store: store ?? "\(data)/control.db",
                distribution: try distribution.map { try PeerAddress(parsing: $0) }, rate: rate)
            let process = ControlProcess(
                options, replica: replica, hooks: .init(say: { StandardOutput.write($0 + "\n") }), log: log)
            try await Self.run(process, log)
        } catch {
            StandardError.write("martlet control: \(error)\n")
            throw ExitCode(ExitStatus.failure)
        }
    }
}
