import ArgumentParser
import JSON
import Operator

/// `martlet token`
struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "API tokens: list, create, roll, revoke, verify.",
        subcommands: [
            List.self, Create.self, Roll.self, Revoke.self, Verify.self, Permissions.self,
        ])

    /// Whose tokens: the user's own, unless an account is named.
    struct OwnerOptions: ParsableArguments {
        @Option(help: "Tokens that belong to this account instead of your user.") var account: String?

        func path(_ client: APIClient) async throws -> String {
            guard let account else { return "/user/tokens" }
            return "/accounts/\(try await client.account(account))/tokens"
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List tokens; secrets are never shown.")
        @OptionGroup var owner: OwnerOptions
        @OptionGroup var api: APIOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await api.run { client in
                let tokens = try await client.list(try await owner.path(client))
                output.show(.array(tokens), TokenViews.table(tokens), empty: "There are no tokens.")
            }
        }
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a token; its secret is printed this once, alone on standard output.",
            discussion: """
                  martlet token create ci --allow "DNS Write" --zone example.com --expires 90d > ci-token
                """)
        @Argument(help: "What it is for, for people.") var name: String
        @Option(help: ArgumentHelp("A permission, such as \"DNS Write\"; several if need be.", valueName: "permission"))
        var allow: [String]
        @Option(help: "Of permissions on zones: only this zone; several if need be.") var zone: [String] = []
        @Option(help: ArgumentHelp("After this time it is void: 12h, 90d.", valueName: "time")) var expires: String?
        @Option(help: ArgumentHelp("Only from this address or block; several if need be.", valueName: "address"))
        var from: [String] = []
        @OptionGroup var owner: OwnerOptions
        @OptionGroup var api: APIOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            guard !allow.isEmpty else {
                throw ValidationError("Say what it may do by --allow; martlet token permissions lists what there is.")
            }
        }

        func run() async throws {
            try await api.run { client in
                let path = try await owner.path(client)
                var zones: [String] = []
                for zone in zone { zones.append(try await client.zone(zone).id) }
                var wish = TokenWish(name: name, permissions: allow, zones: zones, addresses: from)
                if let account = owner.account { wish.account = try await client.account(account) }
                if let expires {
                    wish.expiresOn = DurationWords.time(in: try DurationWords.seconds(expires, for: "--expires"))
                }
                let groups = try await client.result("GET", "\(path)/permission_groups").array ?? []
                let token = try await client.result("POST", path, body: .json(try wish.body(groups: groups)))
                TokenCommand.shown(token, secret: token.text("value"), "made the token \(token.text("id"))", output)
            }
        }
    }

    /// The secret goes where a script can take it, the words beside it.
    private static func shown(_ result: JSONValue, secret: String, _ words: String, _ output: OutputOptions) {
        if output.json { return print(result.text) }
        StandardError.write("\(ScreenText.plain(words)); its secret is shown this once:\n")
        print(ScreenText.plain(secret))
    }

    struct Roll: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a token a new secret; the old one is void at once. Asks first.")
        @Argument(help: "The token's identifier.") var token: String
        @OptionGroup var caution: CautionOptions
        @OptionGroup var owner: OwnerOptions
        @OptionGroup var api: APIOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await api.run { client in
                let path = "\(try await owner.path(client))/\(PercentText.encoded(token))"
                let name = try await client.result("GET", path).text("name")
                guard try caution.allows("roll the token \(token) (\(name)), whose secret is void then") else { return }
                let secret = try await client.result("PUT", "\(path)/value", body: .json([:]))
                TokenCommand.shown(secret, secret: secret.string ?? "", "rolled the token \(token)", output)
            }
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Revoke a token for good; asks first.")
        @Argument(help: "The token's identifier.") var token: String
        @OptionGroup var caution: CautionOptions
        @OptionGroup var owner: OwnerOptions
        @OptionGroup var api: APIOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await api.run { client in
                let path = "\(try await owner.path(client))/\(PercentText.encoded(token))"
                let name = try await client.result("GET", path).text("name")
                guard try caution.allows("revoke the token \(token) (\(name))") else { return }
                let result = try await client.result("DELETE", path)
                output.show(result, ScreenText.plain("revoked \(token) (\(name))"))
            }
        }
    }

    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Check the token that is used.")
        @OptionGroup var api: APIOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await api.run { client in
                let result = try await client.result("GET", "/user/tokens/verify")
                let end = result["expires_on"]?.string.map { ", until \(ScreenText.time($0))" } ?? ""
                output.show(result, ScreenText.plain("\(result.text("id")) is \(result.text("status"))\(end)"))
            }
        }
    }

    struct Permissions: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List what tokens can allow.")
        @OptionGroup var api: APIOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await api.run { client in
                let groups = try await client.result("GET", "/user/tokens/permission_groups")
                output.show(groups, TokenViews.groups(groups.array ?? []), empty: "There are no permissions.")
            }
        }
    }
}
