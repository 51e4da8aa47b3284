import ArgumentParser
import JSON
import Operator

extension ConfigCommand {
    /// `martlet config limits`
    struct LimitsCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "limits", abstract: "Limits and time-outs towards clients, for all edges: show, set, clear.",
            subcommands: [Show.self, Set.self, Clear.self], defaultSubcommand: Show.self)

        /// The one object of its kind.
        private static let object = "/globals/limits/client"

        struct Show: AsyncParsableCommand {
            static let configuration = CommandConfiguration(abstract: "Show what is set, and how far it is rolled out.")
            @OptionGroup var account: EdgeNodes.AccountOptions
            @OptionGroup var api: APIOptions
            @OptionGroup var output: OutputOptions

            func run() async throws {
                try await api.run { client in
                    let globals = try await client.list(try await account.path(client, "/globals"))
                    output.show(
                        .array(globals), ConfigViews.globals(globals),
                        empty: "Nothing is set: every edge has its own limits.")
                }
            }
        }

        struct Set: AsyncParsableCommand {
            static let configuration = CommandConfiguration(
                abstract:
                    "Set some, in stages: canaries, 1 %, 10 %, 50 %, all; each stage goes back by itself if edges suffer.",
                discussion: """
                    Names and values are those of martlet.yaml; nothing behind = takes one away.

                      martlet config limits set timeouts.idle=60s limits.connections=100000
                      martlet config limits set timeouts.idle= --soak 5m
                    """)
            @Argument(help: "limits.NAME=VALUE or timeouts.NAME=VALUE, several if need be.") var values: [String]
            @Option(help: ArgumentHelp("How long each stage is watched: 10s to 1d.", valueName: "time"))
            var soak: String?
            @Flag(help: "Say what would be changed, and change nothing.") var dryRun = false
            @OptionGroup var account: EdgeNodes.AccountOptions
            @OptionGroup var api: APIOptions
            @OptionGroup var output: OutputOptions

            func run() async throws {
                try await api.run { client in
                    let root = try await account.path(client, "")
                    let current = try await client.list("\(root)/globals").first {
                        $0.text("kind") == "limits" && $0.text("id") == "client"
                    }?["body"]
                    let body = try LimitsWish.body(values, current: current)
                    let changes = JSONDifference.lines(from: current ?? .object([:]), to: .object(body))
                    if dryRun { return print(changes.isEmpty ? "nothing to do" : changes.joined(separator: "\n")) }
                    let query = try soak.map { [("soak_seconds", "\(try DurationWords.seconds($0, for: "--soak"))")] }
                    let result = try await client.result(
                        "PUT", root + LimitsCommand.object, query: query ?? [], body: .json(.object(body)))
                    let rollout = result["rollout"]?.string.map { "; martlet config rollouts show \($0)" } ?? ""
                    let words =
                        changes.isEmpty ? "nothing changed" : changes.joined(separator: "\n") + "\nrolls out\(rollout)"
                    output.show(result, words)
                }
            }
        }

        struct Clear: AsyncParsableCommand {
            static let configuration = CommandConfiguration(
                abstract: "Take all of it away: every edge has its own limits again. Asks first.")
            @OptionGroup var caution: CautionOptions
            @OptionGroup var account: EdgeNodes.AccountOptions
            @OptionGroup var api: APIOptions
            @OptionGroup var output: OutputOptions

            func run() async throws {
                try await api.run { client in
                    guard try caution.allows("take away the limits of all edges") else { return }
                    let path = try await account.path(client, LimitsCommand.object)
                    let result = try await client.result("DELETE", path)
                    output.show(result, "taken away")
                }
            }
        }
    }
}
