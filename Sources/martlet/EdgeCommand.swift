import ArgumentParser
import ConfigModel
import Distribution
import Limits

/// `martlet edge`: runs one, or asks about those there are.
struct EdgeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "edge",
        abstract: "Run an edge that follows a control plane; list, watch and revoke those that do.",
        discussion: """
            On the control plane:   martlet edge token --name edge-1
            On the edge's machine:  martlet edge --join control.example:7071 --token TOKEN -c martlet.yaml

            The token is needed at the first start alone; after it the edge has a certificate of its own under \
            DATA/identity. Its martlet.yaml says where to listen and how much to keep, and has no zones. Relays and control \
            planes are given one after another, separated by commas: the next is asked when one does not answer. An edge \
            that has served before starts and serves without any of them.
            """,
        subcommands: [Run.self] + EdgeNodes.subcommands, defaultSubcommand: Run.self)

    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Run an edge here (as without a subcommand).")
        @Option(
            help: ArgumentHelp("Where to join: a control plane or relays, host:port,host:port.", valueName: "addresses")
        )
        var join: String
        @Option(help: "The one-time token of `martlet edge token`; - reads it from standard input.") var token: String?
        @Option(help: "What the edge is called, if its token does not say: a-z, 0-9 and -.") var name: String?
        @OptionGroup var file: ConfigurationFile

        func run() async throws {
            do {
                try await EdgeProcess(configurationPath: file.config, join: joining()).run()
            } catch let error as ConfigurationError {
                StandardError.write("\(error)\n")
                throw ExitCode(ExitStatus.configuration)
            } catch {
                StandardError.write("martlet edge: \(error)\n")
                throw ExitCode(ExitStatus.failure)
            }
        }

        private func joining() throws -> EdgeJoin {
            var token = token
            if token == "-" { token = readLine(strippingNewline: true) }
            let name = try name.map { text in
                guard let name = NodeName(text) else {
                    throw StartFailure(
                        "--name: expected 1 to \(Limits.nodeNameBytesMax) of a-z, 0-9 and -, found \(text)")
                }
                return name
            }
            return EdgeJoin(
                parents: try PeerAddress.list(join), token: try token.map { try JoinToken(parsing: $0) }, name: name)
        }
    }
}
