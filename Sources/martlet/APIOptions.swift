import ArgumentParser
import FoundationEssentials
import Glibc
import JSON
import Operator

/// Which control plane a command speaks to, the same for all that do.
struct APIOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The control plane's API, such as http://127.0.0.1:7070.", valueName: "url"))
    var api: String?
    @Option(help: ArgumentHelp("A file that holds the token; - reads it from standard input.", valueName: "file"))
    var tokenFile: String?
    @Option(
        help: ArgumentHelp(
            "The data directory of a control process on this machine: its first token is used.", valueName: "dir"))
    var data: String?
    @Option(help: ArgumentHelp("Certificates (PEM) to trust instead of the system's.", valueName: "file"))
    var ca: String?

    /// Whether any of them was given.
    var isGiven: Bool { api != nil || tokenFile != nil || data != nil }

    private var search: CredentialSearch {
        CredentialSearch(
            api: api, tokenFile: tokenFile, data: data, authorities: ca,
            environment: ProcessInfo.processInfo.environment)
    }

    /// Runs a command against the API and says in words what kept it from its end.
    ///
    /// - Parameter stop: Takes the signals, if any does: else they end the process.
    func run(stop: StopRequest? = nil, _ body: @escaping (APIClient) async throws -> Void) async throws {
        if stop == nil { OperatorRun.endBySignals() }
        try await OperatorRun.reported {
            let found = try search.find()
            try await OperatorRun.with(found.credentials, source: found.tokenSource, stop: stop, body)
        }
    }

    /// An address without credentials: for `login`.
    func authority(for address: APIAddress) -> String? { search.authority(for: address) }
}

/// What every command of the operator does around its own work.
enum OperatorRun {
    /// Says on standard error what failed, and ends with the exit status for it.
    static func reported(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let problem as OperatorProblem {
            fflush(nil)
            StandardError.write("martlet: \(problem)\n")
            throw ExitCode(status(problem.kind))
        }
    }

    /// The program blocks the signals that `up` waits for; a command ends by them as any other program does.
    static func endBySignals() { AdminClient.allowInterrupts() }

    static func with(
        _ credentials: Credentials, source: String, stop: StopRequest? = nil,
        _ body: @escaping (APIClient) async throws -> Void
    ) async throws {
        try await HTTPTransport.with(
            credentials.address, token: credentials.token, authorities: credentials.authorities
        ) { transport in
            try await body(
                APIClient(
                    name: "\(credentials.address)", tokenSource: source, transport: transport,
                    pause: { try await pause($0, stop) }, notice: { StandardError.write("martlet: \($0)\n") }))
        }
    }

    /// Waits, and looks every second whether somebody wants to stop: nothing is under way meanwhile.
    private static func pause(_ seconds: Int, _ stop: StopRequest?) async throws {
        for _ in 0..<seconds {
            if stop?.isAsked == true { throw OperatorProblem(.stopped, "stopped while the API asked for patience") }
            try await Task.sleep(for: .seconds(1))
        }
    }

    private static func status(_ kind: OperatorProblem.Kind) -> Int32 {
        switch kind {
        case .unreachable: ExitStatus.unavailable
        case .credentials: ExitStatus.noPermission
        case .stopped: ExitStatus.interrupted
        case .input, .unknownToAPI, .notFound, .refused, .answer: ExitStatus.failure
        }
    }
}

/// `--json`, the same for every command that shows something.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Print the API's result as JSON.") var json = false

    /// The result as it is for scripts, else what people read; an empty list as words.
    func show(_ result: @autoclosure () -> JSONValue, _ table: @autoclosure () -> TextTable, empty: String) {
        if json { return print(result().text) }
        if result().array?.isEmpty ?? false { return StandardError.write("\(empty)\n") }
        print(table().text(widthMax: Terminal.width))
    }

    func show(_ result: @autoclosure () -> JSONValue, _ words: @autoclosure () -> String) {
        print(json ? result().text : words())
    }
}

/// `--yes` and `--dry-run`, the same for every command that takes something away.
struct CautionOptions: ParsableArguments {
    @Flag(name: .shortAndLong, help: "Do it without asking.") var yes = false
    @Flag(help: "Say what would be done, and do nothing.") var dryRun = false

    /// Whether to go on: not in a dry run.
    ///
    /// - Parameter what: Completes "Would …" and "… ? [y/N]": `delete the zone example.test`.
    /// - Throws: `OperatorProblem` if nobody agreed.
    func allows(_ what: String) throws -> Bool {
        if dryRun {
            print("would \(what)")
            return false
        }
        try Terminal.confirm(what, isAgreed: yes)
        return true
    }
}
