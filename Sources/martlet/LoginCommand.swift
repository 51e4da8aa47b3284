import ArgumentParser
import FoundationEssentials
import Glibc
import JSON
import Operator

/// `martlet login`
struct LoginCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "login",
        abstract: "Keep the address of a control plane and a token for it.",
        discussion: """
            The token is read from --token-file, or from standard input, or asked for; never from the command line, \
            where others could see it. It is checked, and kept in ~/.config/martlet/credentials for its owner alone.

              martlet login http://127.0.0.1:7070 --token-file ./var/admin-token
              printenv TOKEN | martlet login https://control.example
            """
    )

    @Argument(help: "The control plane's API, such as http://127.0.0.1:7070.") var url: String
    @Option(help: ArgumentHelp("A file that holds the token; - reads it from standard input.", valueName: "file"))
    var tokenFile: String?
    @Option(help: ArgumentHelp("Certificates (PEM) to trust instead of the system's.", valueName: "file"))
    var ca: String?
    @OptionGroup var output: OutputOptions

    func run() async throws {
        try await OperatorRun.reported {
            let address = try APIAddress(parsing: url)
            let file = try CredentialsFile(environment: ProcessInfo.processInfo.environment)
            let credentials = Credentials(address: address, token: try token(for: address), authorities: absolute(ca))
            if address.isClear {
                StandardError.write(
                    "martlet: what is sent to \(address), the token too, can be read on the way; use https\n")
            }
            // Not before: somebody may have broken off while a terminal did not show what they type.
            OperatorRun.endBySignals()
            try await OperatorRun.with(credentials, source: tokenFile ?? "what was typed") { client in
                let verified = try await client.result("GET", "/user/tokens/verify")
                try file.save(credentials)
                output.show(verified, "signed in at \(address); kept in \(file.path)")
            }
        }
    }

    private func token(for address: APIAddress) throws -> Secret {
        guard tokenFile == nil, isatty(STDIN_FILENO) == 1 else {
            OperatorRun.endBySignals()
            return try CredentialSearch.secret(tokenFile ?? "-")
        }
        return try Secret(try Terminal.secret("Token for \(address): "), from: "the terminal")
    }

    /// The credentials are used from everywhere.
    private func absolute(_ path: String?) -> String? {
        guard let path, !path.hasPrefix("/"), let here = getcwd(nil, 0) else { return path }
        defer { free(here) }
        return "\(String(cString: here))/\(path)"
    }
}

/// `martlet logout`
struct LogoutCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logout",
        abstract: "Forget the control plane and the token that login kept.",
        discussion: "The token goes on counting until it is revoked: martlet token revoke ID."
    )

    func run() async throws {
        try await OperatorRun.reported {
            let file = try CredentialsFile(environment: ProcessInfo.processInfo.environment)
            print(try file.remove() ? "removed \(file.path)" : "there was nothing to forget")
        }
    }
}

/// `martlet whoami`
struct WhoamiCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "whoami", abstract: "Show which control plane is asked, and with whose token.")

    @OptionGroup var api: APIOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        try await api.run { client in
            let verified = try await client.result("GET", "/user/tokens/verify")
            // A token that belongs to an account has no user.
            let user = try? await client.result("GET", "/user")
            let accounts = (try? await client.list("/accounts")) ?? []
            var result = verified.object ?? [:]
            result["user"] = user ?? .null
            result["accounts"] = .array(accounts)
            if output.json { return print(JSONValue.object(result).text) }
            var facts = FactList()
            facts.add("api", client.name)
            facts.add("token", "\(verified.text("id")), \(verified.text("status")), from \(client.tokenSource)")
            facts.add("expires", verified["expires_on"]?.string.map(ScreenText.time))
            facts.add("user", user?.text("email"))
            for account in accounts { facts.add("account", "\(account.text("name")) (\(account.text("id")))") }
            print(facts.text)
        }
    }
}
