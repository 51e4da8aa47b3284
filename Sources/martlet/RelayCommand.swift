import ArgumentParser
import ConfigLog
import Distribution
import Glibc
import Limits
import Logging
import Replica
import Telemetry

/// `martlet relay`
struct RelayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "relay",
        abstract: "Run a relay: it follows a control plane and passes changes on to edges.",
        discussion: """
            A relay takes load off the control plane, and stands near its edges: they fetch changes, snapshots and their \
            certificates from it. It serves no clients and keeps no state but a copy of the configuration. Several relays \
            may stand behind one another.

            The first start needs a token, made by `martlet edge token --role relay`. From then on the certificate in \
            DATA/identity serves, and is renewed by itself.

              martlet relay --join control.example.net:7071 --token-file /run/join-token --listen 0.0.0.0:7072

            It ends on SIGTERM and SIGINT, with 0. With 78 when it is not let in: the token is used up, or the certificate \
            is of another installation. With 1 for all else.
            """
    )

    @OptionGroup var joining: JoinOptions
    @Option(help: ArgumentHelp("Where its edges reach it.", valueName: "address")) var listen = "0.0.0.0:7072"
    @Option(help: "The least of what is logged: trace, debug, info, notice, warning or error.") var logLevel = "info"
    @Option(help: "The form of the log: text or json.") var logFormat = "text"

    func validate() throws {
        do { _ = try address } catch { throw ValidationError("--listen: \(error)") }
        guard Logger.Level(rawValue: logLevel) != nil else {
            throw ValidationError(
                "--log-level: expected trace, debug, info, notice, warning or error, found \(logLevel)")
        }
        guard ["text", "json"].contains(logFormat) else {
            throw ValidationError("--log-format: expected text or json, found \(logFormat)")
        }
    }

    private var address: PeerAddress {
        get throws(DistributionError) { try PeerAddress(parsing: listen, defaultPort: nil) }
    }

    func run() async throws {
        ProcessLog.bootstrap(
            level: Logger.Level(rawValue: logLevel) ?? .info, format: logFormat == "json" ? .json : .text)
        _ = FileDescriptorLimit.raise()
        do {
            try await serve(Logger(label: "relay"))
        } catch {
            StandardError.write("martlet relay: \(error)\n")
            throw ExitCode(JoinOptions.exitCode(error))
        }
    }

    /// Until it fails, or a signal ends it; then it is ended in order.
    private func serve(_ log: Logger) async throws {
        _ = try await SignalWatch.whileNotToldToStop { try await serveUntilCancelled(log) }
    }

    private func serveUntilCancelled(_ log: Logger) async throws {
        try joining.openData()
        let identity = try await joining.identity(.relay, log)
        let replica = try Replica.open(
            path: joining.data + "/replica", bytesMax: Limits.replicaBytesDefault, log: log)
        defer { replica.close() }
        let node = try await ConfigNode.relay(
            identity: identity, directory: joining.identityDirectory, parents: joining.parents, replica: replica,
            door: ConfigNode.Door(listen: address), software: BuildVersion.text, log: log)
        let port = node.status.port ?? 0
        log.notice(
            "relay serves",
            metadata: [
                "name": "\(identity.name)", "at": "\(replica.position)", "port": "\(port)",
                "parents": "\(joining.join)",
                "version": "\(BuildVersion.text)",
            ])
        StandardOutput.write("relay \(identity.name) listens on port \(port)\n")
        SystemdNotifier.notify("READY=1\nSTATUS=serving")
        while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
        SystemdNotifier.notify("STOPPING=1")
        let status = node.status
        await node.stop()
        log.notice(
            "stopped",
            metadata: [
                "at": "\(replica.position)", "received": "\(status.bytesReceived)", "sent": "\(status.bytesSent)",
            ])
    }
}

extension SignalWatch {
    /// Returns at SIGTERM or SIGINT; other signals mean nothing to who waits here. Once in a process: when the task is
    /// cancelled, the stream of events ends for everybody.
    func untilToldToStop() async {
        for await event in events {
            switch event {
            case .signal(SIGTERM), .signal(SIGINT): return
            case .signal: continue
            case .tick: tickTaken()
            }
        }
    }

    /// Does something until it is done, or has been cancelled by SIGTERM or SIGINT and has ended in order.
    ///
    /// - Returns: nil if a signal ended it.
    static func whileNotToldToStop<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) async throws -> T? {
        let signals = SignalWatch()
        return try await withThrowingTaskGroup(of: T?.self) { group in
            group.addTask {
                await signals.untilToldToStop()
                return nil
            }
            group.addTask { try await body() }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
    }
}
