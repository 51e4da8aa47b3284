import ArgumentParser
import ConfigModel
import Glibc
import Operator
import Synchronization

/// `martlet apply`
struct ApplyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply",
        abstract: "Bring the zones of a configuration file into the control plane.",
        discussion: """
            Shows what would be created, changed and deleted, asks, and does it; a second run finds nothing to do. Only \
            `zones` of the file counts, the rest may be missing; relative paths count from the file's directory and must \
            be there on the edges. --prune deletes zones that an earlier apply made and the file no longer names, with \
            all their records; zones made by others stay.

            Ctrl-C finishes the step under way; the next run goes on there.

              martlet apply -f martlet.yaml --dry-run
              martlet apply -f martlet.yaml --prune --yes
            """
    )

    @Option(name: .shortAndLong, help: ArgumentHelp("The configuration file.", valueName: "file"))
    var file = "martlet.yaml"
    @Flag(help: "Delete zones that apply made and the file no longer names.") var prune = false
    @Option(help: "The account of new zones, where there are several.") var account: String?
    @OptionGroup var caution: CautionOptions
    @OptionGroup var api: APIOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let stop = StopRequest()
        let wanted = try load()
        try await api.run(stop: stop) { client in
            var accountID: String?
            if let account { accountID = try await client.account(account) }
            let applier = Applier(client, account: accountID) { StandardError.write(ScreenText.plain($0) + "\n") }
            let plan = try await applier.plan(wanted, prune: prune)
            guard plan.refused.isEmpty else {
                throw OperatorProblem(
                    .input, "\(plan.refused.joined(separator: "; ")); nothing was changed",
                    help: "leave it out of the file that is applied")
            }
            if !output.json { print(plan.text) }
            guard !caution.dryRun, !plan.changes.isEmpty else {
                if output.json { print(plan.json(isApplied: false).text) }
                return
            }
            flushOutput()
            let what = "apply \(ScreenText.count(plan.changes.count, "change")) to \(client.name)"
            try Terminal.confirm(what, isAgreed: caution.yes)
            stop.deferring()
            let outcome = try await applier.run(plan) { stop.isAsked }
            try report(outcome, plan)
        }
    }

    private func load() throws -> [ZoneDocument] {
        do {
            let loaded = try ZoneDocument.load(path: file)
            for warning in loaded.warnings { StandardError.write("\(warning)\n") }
            return loaded.zones
        } catch let error as ConfigurationError {
            StandardError.write("\(error)\n")
            throw ExitCode(ExitStatus.configuration)
        }
    }

    private func report(_ outcome: Applier.Outcome, _ plan: ApplyPlan) throws {
        let count = plan.changes.count
        guard outcome.failures.isEmpty else {
            throw OperatorProblem(
                .refused, "\(outcome.doneCount) of \(count) done; \(outcome.failures.joined(separator: "; "))",
                help: "mend the file and run it again")
        }
        guard !outcome.isStopped else {
            throw OperatorProblem(
                .stopped, "stopped: \(outcome.doneCount) of \(count) done", help: "run it again to go on")
        }
        output.show(plan.json(isApplied: true), "\(ScreenText.count(count, "change")) done")
    }

    /// What was printed stands before the question.
    private func flushOutput() { fflush(nil) }
}

/// Ctrl-C and TERM: at once while nothing is being changed, behind the step under way afterwards; a second time at once.
final class StopRequest: Sendable {
    private let isDeferring = Atomic<Bool>(false)
    private let asked = Atomic<Bool>(false)

    /// Signals are taken by a thread of their own from here on; the others keep them blocked.
    init() {
        let signals = SignalWatch()
        Task { [self] in
            for await event in signals.events {
                switch event {
                case .signal(SIGUSR2): continue
                case .signal(let number): take(number)
                case .tick: signals.tickTaken()
                }
            }
        }
    }

    /// Whether somebody asked to stop.
    var isAsked: Bool { asked.load(ordering: .acquiring) }

    /// From now on a step under way is finished first.
    func deferring() { isDeferring.store(true, ordering: .releasing) }

    private func take(_ number: Int32) {
        guard isDeferring.load(ordering: .acquiring), !asked.exchange(true, ordering: .acquiringAndReleasing) else {
            exit(128 + number)
        }
        StandardError.write("martlet: stops behind the step under way; once more to stop at once\n")
    }
}
