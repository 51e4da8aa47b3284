import ArgumentParser
import Simulation

/// `martlet simulate`
struct SimulateCommand: ParsableCommand {
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
    @Flag(help: "Print as JSON.") var json = false

    func run() throws {
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
