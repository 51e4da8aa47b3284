import ArgumentParser
import JSON
import Limits
import Operator

/// `martlet edge list` and its neighbours: the machines that follow the control plane.
enum EdgeNodes {
    static let subcommands: [any ParsableCommand.Type] = [
        List.self, Show.self, Watch.self, Token.self, Revoke.self, Canary.self,
    ]

    /// The account whose edges they are.
    struct AccountOptions: ParsableArguments {
        @Option(help: "The account, where there are several.") var account: String?

        func path(_ client: APIClient, _ rest: String) async throws -> String {
            "/accounts/\(try await client.account(account))/martlet\(rest)"
        }

        func node(_ client: APIClient, _ name: String) async throws -> String {
            try await path(client, "/nodes/\(PercentText.encoded(name))")
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List edges and relays: how far they are, how they do.")
        @OptionGroup var account: AccountOptions
        @OptionGroup var api: APIOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await api.run { client in
                let nodes = try await client.list(try await account.path(client, "/nodes"))
                output.show(.array(nodes), NodeViews.table(nodes), empty: "No edge has joined yet: martlet edge token.")
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show one edge or relay.")
        @Argument(help: "Its name.") var name: String
        @OptionGroup var account: AccountOptions
        @OptionGroup var api: APIOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await api.run { client in
                let node = try await client.result("GET", try await account.node(client, name))
                output.show(node, NodeViews.facts(node))
            }
        }
    }

    struct Watch: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the list again and again until Ctrl-C.")
        @Option(help: ArgumentHelp("Stop after so many looks.", valueName: "number")) var count: Int?
        @OptionGroup var account: AccountOptions
        @OptionGroup var api: APIOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await api.run { client in
                let path = try await account.path(client, "/nodes")
                for look in 1... {
                    let nodes = try await client.list(path)
                    // A terminal is drawn anew, a file gets one table below the other.
                    if !output.json, Terminal.width != nil { StandardOutput.write("\u{1b}[H\u{1b}[2J") }
                    let text =
                        output.json
                        ? JSONValue.array(nodes).text : NodeViews.table(nodes).text(widthMax: Terminal.width) + "\n"
                    StandardOutput.write(text + "\n")
                    if let count, look >= count { return }
                    try await Task.sleep(for: .milliseconds(Limits.operatorWatchMilliseconds))
                }
            }
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shut an edge or relay out: its certificate counts no more. Asks first.")
        @Argument(help: "Its name.") var name: String
        @Flag(help: "Remove it from the list as well, so that its name is free.") var forget = false
        @OptionGroup var caution: CautionOptions
        @OptionGroup var account: AccountOptions
        @OptionGroup var api: APIOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await api.run { client in
                let path = try await account.node(client, name)
                let node = try await client.result("GET", path)
                guard try caution.allows("revoke the \(node.text("role")) \(node.text("name"))") else { return }
                let result = try await client.result(
                    "DELETE", path, query: forget ? [("forget", "true")] : [])
                output.show(result, ScreenText.plain("revoked \(node.text("name"))"))
            }
        }
    }

    struct Canary: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Choose whether an edge is among the first that a change reaches.")
        enum State: String, ExpressibleByArgument, CaseIterable { case on, off }
        @Argument(help: "Its name.") var name: String
        @Argument(help: "on or off.") var state: State
        @OptionGroup var account: AccountOptions
        @OptionGroup var api: APIOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await api.run { client in
                let node = try await client.result(
                    "PATCH", try await account.node(client, name), body: .json(["canary": .boolean(state == .on)]))
                output.show(node, ScreenText.plain("\(name) is \(state == .on ? "a" : "no") canary"))
            }
        }
    }
}

extension EdgeNodes {
    /// `martlet edge token`
    struct Token: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "token", abstract: "Tokens that edges and relays join with: make one, list, delete.",
            subcommands: [Create.self, List.self, Delete.self], defaultSubcommand: Create.self)

        struct Create: AsyncParsableCommand {
            static let configuration = CommandConfiguration(
                abstract:
                    "Make a token for one machine to join with; it is printed this once, alone on standard output.",
                discussion: """
                      martlet edge token --name fra1 > token
                      martlet edge --join control.example:7071 --token - -c martlet.yaml < token
                    """)
            enum Role: String, ExpressibleByArgument, CaseIterable { case edge, relay }
            @Option(help: "What it joins as: edge or relay.") var role = Role.edge
            @Option(help: "The name it must have: a–z, 0–9, -; else it names itself.") var name: String?
            @Option(help: ArgumentHelp("Until when it must have joined: 10m, 1h, 7d.", valueName: "time"))
            var expires: String?
            @OptionGroup var account: AccountOptions
            @OptionGroup var api: APIOptions
            @OptionGroup var output: OutputOptions

            func run() async throws {
                try await api.run { client in
                    var body: JSONObject = ["role": .string(role.rawValue)]
                    if let name { body["name"] = .string(name) }
                    if let expires {
                        let seconds = try DurationWords.seconds(expires, for: "--expires")
                        body["expires_in"] = .number(JSONNumber(seconds))
                    }
                    let path = try await account.path(client, "/join_tokens")
                    let token = try await client.result("POST", path, body: .json(.object(body)))
                    if output.json { return print(token.text) }
                    StandardError.write(
                        "for one \(role.rawValue), until \(ScreenText.time(token.text("expires_on"))) UTC; "
                            + "shown this once:\n")
                    print(ScreenText.plain(token.text("token")))
                }
            }
        }

        struct List: AsyncParsableCommand {
            static let configuration = CommandConfiguration(abstract: "List tokens; what they are is never shown.")
            @OptionGroup var account: AccountOptions
            @OptionGroup var api: APIOptions
            @OptionGroup var output: OutputOptions

            func run() async throws {
                try await api.run { client in
                    let tokens = try await client.list(try await account.path(client, "/join_tokens"))
                    output.show(.array(tokens), NodeViews.joinTokens(tokens), empty: "There are no tokens.")
                }
            }
        }

        struct Delete: AsyncParsableCommand {
            static let configuration = CommandConfiguration(
                abstract: "Delete a token; whoever joined by it stays. Asks first.")
            @Argument(help: "The token's identifier.") var token: String
            @OptionGroup var caution: CautionOptions
            @OptionGroup var account: AccountOptions
            @OptionGroup var api: APIOptions
            @OptionGroup var output: OutputOptions

            func run() async throws {
                try await api.run { client in
                    let path = try await account.path(client, "/join_tokens/\(PercentText.encoded(token))")
                    guard try caution.allows("delete the join token \(token)") else { return }
                    let result = try await client.result("DELETE", path)
                    output.show(result, ScreenText.plain("deleted \(token)"))
                }
            }
        }
    }
}
