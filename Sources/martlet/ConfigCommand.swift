import ArgumentParser
import JSON
import Operator

/// `martlet config`
struct ConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "What was changed and how to undo it; limits, switches and roll-outs for all edges.",
        subcommands: [
            History.self, Difference.self, Rollback.self, LimitsCommand.self, Switch.self, Rollouts.self,
        ])

    struct History: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List changes, the newest first.")
        @Option(help: "Only of this zone.") var zone: String?
        @Option(help: ArgumentHelp("Only since this time: 2026-11-23T16:00:00Z.", valueName: "time")) var since: String?
        @Option(help: "At most so many.") var limit = 50
        @OptionGroup var account: EdgeNodes.AccountOptions
        @OptionGroup var api: APIOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            guard limit > 0 else { throw ValidationError("--limit: expected 1 or more, found \(limit)") }
        }

        func run() async throws {
            try await api.run { client in
                var query: [(name: String, value: String)] = []
                if let zone { query.append(("zone", try await client.zone(zone).id)) }
                if let since { query.append(("since", since)) }
                let entries = try await client.list(
                    try await account.path(client, "/config/history"), query: query, countMax: limit)
                output.show(.array(entries), ConfigViews.history(entries), empty: "There are no such changes.")
            }
        }
    }

    struct Difference: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "diff", abstract: "Show what is different between two points of the history.")
        @Argument(help: "An identifier of the history: the state right after it.") var from: String
        @Argument(help: "The same; without it, the state now.") var to: String?
        @OptionGroup var account: EdgeNodes.AccountOptions
        @OptionGroup var api: APIOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await api.run { client in
                let query = [("from", from)] + (to.map { [("to", $0)] } ?? [])
                let changes = try await client.result(
                    "GET", try await account.path(client, "/config/diff"), query: query)
                if output.json { return print(changes.text) }
                let list = changes.array ?? []
                if list.isEmpty { return StandardError.write("There is no difference.\n") }
                print(ConfigViews.difference(list))
            }
        }
    }

    struct Rollback: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Go back to what was right after a point of the history; shows the steps and asks first.",
            discussion: "What cannot be undone, such as secrets, is listed with the reason and stays as it is.")
        @Argument(help: "An identifier of the history.") var to: String
        @OptionGroup var caution: CautionOptions
        @OptionGroup var account: EdgeNodes.AccountOptions
        @OptionGroup var api: APIOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await api.run { client in
                let path = try await account.path(client, "/config/rollback")
                func ask(_ isDryRun: Bool) async throws -> JSONValue {
                    try await client.result(
                        "POST", path, body: .json(["to": .string(to), "dry_run": .boolean(isDryRun)]))
                }
                let plan = try await ask(true)
                if caution.dryRun || !output.json { output.show(plan, ConfigViews.rollback(plan)) }
                let steps = plan["steps"]?.array?.count ?? 0
                guard !caution.dryRun, steps > 0 || output.json else { return }
                try Terminal.confirm(
                    "roll back to \(to) by \(ScreenText.count(steps, "step"))", isAgreed: caution.yes || steps == 0)
                let done = try await ask(false)
                let count = done["steps"]?.array?.count ?? 0
                output.show(done, "rolled back: \(ScreenText.count(count, "step")) done")
            }
        }
    }

    struct Switch: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List switches, or set one at all edges at once; asks before it switches off.")
        enum State: String, ExpressibleByArgument, CaseIterable { case on, off }
        @Argument(help: "cache or http2.") var name: String?
        @Argument(help: "on or off.") var state: State?
        @OptionGroup var caution: CautionOptions
        @OptionGroup var account: EdgeNodes.AccountOptions
        @OptionGroup var api: APIOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            guard (name == nil) == (state == nil) else { throw ValidationError("Say on or off behind the name.") }
        }

        func run() async throws {
            try await api.run { client in
                let path = try await account.path(client, "/switches")
                guard let name, let state else {
                    let switches = try await client.list(path)
                    return output.show(
                        .array(switches), ConfigViews.switches(switches), empty: "There are no switches.")
                }
                if state == .off || caution.dryRun {
                    guard try caution.allows("switch \(name) \(state.rawValue) at all edges at once") else { return }
                }
                let result = try await client.result(
                    "PUT", "\(path)/\(PercentText.encoded(name))", body: .json(["enabled": .boolean(state == .on)]))
                output.show(result, ScreenText.plain("\(name) is \(state.rawValue)"))
            }
        }
    }

    struct Rollouts: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List roll-outs, show one, or pause, resume, promote or abort it.",
            discussion: """
                  martlet config rollouts
                  martlet config rollouts show ID
                  martlet config rollouts abort ID      # back to what was before, everywhere

                promote goes on to the next stage without waiting, abort goes back; both ask first.
                """)
        enum Action: String, ExpressibleByArgument, CaseIterable { case show, pause, resume, promote, abort }
        @Argument(help: "show, pause, resume, promote or abort.") var action: Action?
        @Argument(help: "The roll-out's identifier.") var id: String?
        @OptionGroup var caution: CautionOptions
        @OptionGroup var account: EdgeNodes.AccountOptions
        @OptionGroup var api: APIOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            guard (action == nil) == (id == nil) else { throw ValidationError("Name the roll-out by its identifier.") }
        }

        func run() async throws {
            try await api.run { client in
                let path = try await account.path(client, "/rollouts")
                guard let action, let id else {
                    let rollouts = try await client.list(path)
                    return output.show(
                        .array(rollouts), ConfigViews.rollouts(rollouts), empty: "There are no roll-outs.")
                }
                let one = "\(path)/\(PercentText.encoded(id))"
                if action == .promote || action == .abort || caution.dryRun, action != .show {
                    guard try caution.allows("\(action.rawValue) the roll-out \(id)") else { return }
                }
                let result =
                    action == .show
                    ? try await client.result("GET", one) : try await client.result("POST", "\(one)/\(action.rawValue)")
                output.show(result, ConfigViews.rollout(result))
            }
        }
    }
}
