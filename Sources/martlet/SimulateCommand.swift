import ArgumentParser
import FoundationEssentials
import Glibc
import Logging
import Simulation

/// `martlet simulate`
struct SimulateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Simulate how changes of the configuration reach the edges.",
        discussion: """
            Runs the real root, relays and edges of the distribution over a simulated world: round trips between regions, \
            packet loss, and faults where asked for, in virtual time and from a seed, so that every run can be repeated. \
            Prints how long changes took from their commit to being applied, and what it cost. Exits with 1 if a node \
            ever showed another history than the root's, half a change or a gap, or did not arrive at the end.

              martlet simulate --edges 330 --changes 300/s --for 60s
              martlet simulate --fault relay-killed --fault corrupt-byte --json

            With --processes there is nothing simulated: so many relays and edges are started as processes of this \
            machine, behind a root in this one, and follow it over TLS for --for of real time.

              martlet simulate --processes 20 --changes 300/s --for 10s

            Faults: \(SimulationFault.allCases.map(\.rawValue).joined(separator: ", ")).
            """
    )

    @Option(help: "Edges; there are as many relays as the square root of it.") var edges = 330
    @Option(help: "Relays, if not that many.") var relays: Int?
    @Option(help: ArgumentHelp("Changes a second, such as 300/s.", valueName: "rate")) var changes = Rate(
        perSecond: 300)
    @Option(name: .customLong("for"), help: ArgumentHelp("Virtual time, such as 60s or 10m.", valueName: "time"))
    var duration = Span(seconds: 60)
    @Option(help: "What all chance comes from.") var seed: UInt64 = 1
    @Option(help: ArgumentHelp("The share of packets lost, such as 0.0002.", valueName: "share")) var loss: Double?
    @Option(help: ArgumentHelp("What goes wrong; may be given more than once.", valueName: "name"))
    var fault: [SimulationFault] = []
    @Option(help: "Real processes instead: relays and edges on this machine; a relay for each few edges.")
    var processes: Int?
    @Flag(help: "Print as JSON.") var json = false

    func run() async throws {
        if let processes { return try await tryOut(processes) }
        var options = SimulationOptions()
        options.edges = edges
        options.relays = relays
        options.changesPerSecond = changes.perSecond
        options.seconds = duration.seconds
        options.seed = seed
        options.faults = Set(fault)
        if let loss { options.lossRate = loss }
        let report: SimulationReport
        do {
            report = try Simulation.run(options)
        } catch {
            throw ValidationError(error.description)
        }
        print(json ? report.json() : report.table)
        if !report.hasConverged { throw ExitCode(ExitStatus.failure) }
    }

    /// With real processes.
    private func tryOut(_ processes: Int) async throws {
        var options = TrialOptions(executable: try Self.executable(), edgeCommand: ["simulate-edge"])
        options.processes = processes
        options.relays = relays
        options.changesPerSecond = changes.perSecond
        options.seconds = duration.seconds
        var name = Array("/tmp/martlet-simulate-XXXXXX".utf8CString)
        guard let directory = mkdtemp(&name).map({ String(cString: $0) }) else {
            throw ValidationError("a directory under /tmp cannot be made: \(String(cString: strerror(errno)))")
        }
        defer { try? FileManager.default.removeItem(atPath: directory) }
        var log = Logger(label: "simulate")
        log.logLevel = .error
        let trial: ProcessTrial
        do {
            trial = try ProcessTrial(options, directory: directory, log: log)
        } catch let error as TrialError {
            throw ValidationError(error.description)
        }
        let report = try await SignalWatch.whileNotToldToStop { try await trial.run() }
        guard let report else { throw ExitCode(ExitStatus.failure) }
        print(json ? report.json : report.table)
        if !report.hasConverged { throw ExitCode(ExitStatus.failure) }
    }

    private static func executable() throws -> String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = readlink("/proc/self/exe", &buffer, Int(PATH_MAX))
        guard count > 0 else { throw ValidationError("/proc/self/exe does not say where this program is") }
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// `300/s`, `300` or `18000/m`.
    struct Rate: ExpressibleByArgument {
        let perSecond: Double

        init(perSecond: Double) { self.perSecond = perSecond }

        init?(argument: String) {
            let parts = argument.split(separator: "/", omittingEmptySubsequences: false)
            guard (1...2).contains(parts.count), let number = Double(parts[0]), number > 0, number.isFinite else {
                return nil
            }
            switch parts.count == 2 ? parts[1] : "s" {
            case "s": perSecond = number
            case "m": perSecond = number / 60
            default: return nil
            }
        }

        var defaultValueDescription: String { "\(Int(perSecond))/s" }
    }

    /// `60s`, `60` or `10m`.
    struct Span: ExpressibleByArgument {
        let seconds: Double

        init(seconds: Double) { self.seconds = seconds }

        init?(argument: String) {
            let isMinutes = argument.hasSuffix("m")
            let digits = isMinutes || argument.hasSuffix("s") ? argument.dropLast() : argument[...]
            guard let number = Double(digits), number > 0, number.isFinite else { return nil }
            seconds = isMinutes ? number * 60 : number
        }

        var defaultValueDescription: String { "\(Int(seconds))s" }
    }
}

extension SimulationFault: ExpressibleByArgument {}

/// `martlet simulate-edge`: an edge of `simulate --processes`. Nobody else calls it.
struct SimulateEdgeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate-edge", abstract: "An edge that follows and serves nobody.", shouldDisplay: false)

    @OptionGroup var joining: JoinOptions

    func run() async throws {
        var log = Logger(label: "edge")
        log.logLevel = .notice
        guard let token = try joining.readToken() else { throw ValidationError("a token is needed") }
        let (data, parents) = (joining.data, try joining.parents)
        _ = try await SignalWatch.whileNotToldToStop { [log] in
            try await TrialEdge.run(data: data, parents: parents, token: token, log: log)
        }
    }
}
