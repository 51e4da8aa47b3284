import ArgumentParser
import ConfigModel
import Dispatch
import Glibc

/// Where the process begins: on its only thread, before anything asynchronous.
@main
enum Program {
    static func main() {
        SignalWatch.block()
        // The main thread waits here for good; commands run on others and end the process themselves.
        let forever = DispatchSemaphore(value: 0)
        Task.detached {
            await Martlet.main()
            exit(0)
        }
        forever.wait()
    }
}

/// The command line: what there is to run, and nothing of how it works.
struct Martlet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet",
        abstract: "The whole edge in one program: TLS, HTTP, load balancing, and more to come.",
        discussion: """
            Start with a configuration file of ten lines:

              listen:
                http:  ["127.0.0.1:8080"]
                https: ["127.0.0.1:8443"]
              zones:
                example.test:
                  origins: ["http://127.0.0.1:8000"]

            then run

              martlet check -c martlet.yaml     # says what is wrong, and where
              martlet up -c martlet.yaml        # serves until it is told to stop
              martlet purge --tag news          # takes what the origin has changed out of the cache

            Signals while it runs: HUP reloads the configuration and reopens the access log, TERM stops after the
            requests under way, USR2 hands everything over to a new binary without refusing a connection.
            """,
        subcommands: [
            Up.self, Check.self, PurgeCommand.self, CacheCommand.self, ControlCommand.self, RelayCommand.self,
            SimulateCommand.self, SimulateEdgeCommand.self,
            Version.self,
        ],
        groupedSubcommands: [
            CommandGroup(
                name: "Through the control plane's API",
                subcommands: [
                    LoginCommand.self, LogoutCommand.self, WhoamiCommand.self, ApplyCommand.self, ZoneCommand.self,
                    DNSCommand.self,
                    CertificateCommand.self, TokenCommand.self, EdgeCommand.self, ConfigCommand.self,
                ])
        ]
    )
}

/// `martlet up`
struct Up: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run everything this machine should run.",
        discussion: """
            Reads FILE, listens on its addresses and serves its zones until SIGTERM or SIGINT. A changed file is put in \
            force by itself, after it has been checked; a bad one changes nothing and is reported in the log.
            """
    )

    @OptionGroup var file: ConfigurationFile

    func run() async throws {
        let process = EdgeProcess(configurationPath: file.config)
        do {
            try await process.run()
        } catch let error as ConfigurationError {
            StandardError.write("\(error)\n")
            throw ExitCode(ExitStatus.configuration)
        } catch {
            StandardError.write("martlet: \(error)\n")
            throw ExitCode(ExitStatus.failure)
        }
    }
}

/// `martlet check`
struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check a configuration file without serving it.",
        discussion: """
            Prints every problem with its file, line and column, what was expected and what was found. Exits with 0 when \
            the file can be served, with 78 when it cannot.
            """
    )

    @OptionGroup var file: ConfigurationFile
    @Flag(help: "Print the result as JSON.")
    var json = false

    func run() throws {
        do {
            let loaded = try Configuration.load(path: file.config)
            let problems = loaded.warnings + CertificateCheck.problems(of: loaded.configuration, file: file.config)
            report(problems, zones: loaded.configuration.zones.count)
            if problems.contains(where: { $0.severity == .error }) { throw ExitCode(ExitStatus.configuration) }
        } catch let error as ConfigurationError {
            if json { report(error.problems, zones: 0) } else { StandardError.write("\(error)\n") }
            throw ExitCode(ExitStatus.configuration)
        }
    }

    private func report(_ problems: [ConfigurationProblem], zones: Int) {
        if json { return print(CheckReport.json(problems, file: file.config)) }
        for problem in problems { StandardError.write("\(problem)\n") }
        guard !problems.contains(where: { $0.severity == .error }) else { return }
        print("\(file.config): valid, \(zones) zone\(zones == 1 ? "" : "s")")
    }
}

/// `martlet version`
struct Version: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print the version.")

    @Flag(help: "Print as JSON.")
    var json = false

    func run() {
        print(json ? "{\"version\":\"\(BuildVersion.text)\"}" : "martlet \(BuildVersion.text)")
    }
}

/// `-c FILE`, the same for every command that takes one.
struct ConfigurationFile: ParsableArguments {
    @Option(name: [.short, .long], help: ArgumentHelp("The configuration file.", valueName: "file"))
    var config = "martlet.yaml"
}

/// Exit codes (sysexits.h where it has one).
enum ExitStatus {
    static let failure: Int32 = 1
    /// EX_UNAVAILABLE: the control plane cannot be reached, or cannot do it now.
    static let unavailable: Int32 = 69
    /// EX_NOPERM: the token is missing, void, or not allowed to do this.
    static let noPermission: Int32 = 77
    /// What shells say of a process that SIGINT ended.
    static let interrupted: Int32 = 130
    /// EX_CONFIG
    static let configuration: Int32 = 78
}

enum BuildVersion {
    static let text = "0.1.0"
}

enum StandardError {
    static func write(_ text: String) { DirectOutput.write(text, to: 2) }
}

/// Past the C library's buffer, which a process that goes on running would not empty into a file or a pipe.
enum StandardOutput {
    static func write(_ text: String) { DirectOutput.write(text, to: 1) }
}

private enum DirectOutput {
    static func write(_ text: String, to descriptor: Int32) {
        var text = text
        text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
                guard count > 0 else { return }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
        }
    }
}
