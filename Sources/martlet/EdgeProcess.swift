import Certificates
import ConfigLog
import ConfigModel
import ControlPlane
import Distribution
import Exchange
import Glibc
import Limits
import Listener
import Logging
import NIOCore
import NIOPosix
import Origin
import Pipeline
import Replica
import Telemetry

/// `martlet up` and `martlet edge`: puts the rooms together, serves, and listens to the operator until the end.
///
/// One of these a process, used by one task: start, then one event after the other (a signal, a changed file), then
/// the end. What it hands to the event loops is immutable or theirs alone.
final class EdgeProcess {
    private let configurationPath: String
    private var log = Logger(label: "martlet")
    private var upstream = Upstream.file
    private let join: EdgeJoin?

    /// Where the zones come from.
    private enum Upstream {
        case file
        /// The control plane of this very process.
        case control(ControlHost, EdgeFollowing)
        /// A control plane elsewhere.
        case node(JoinedNode, EdgeFollowing)

        var following: EdgeFollowing? {
            switch self {
            case .file: nil
            case .control(_, let following), .node(_, let following): following
            }
        }
    }

    /// - Parameter join: how the edge comes to follow a control plane elsewhere; nil: the file has its zones, or its own
    ///   control plane.
    init(configurationPath: String, join: EdgeJoin? = nil) {
        self.configurationPath = configurationPath
        self.join = join
    }

    func run() async throws {
        let predecessor = Predecessor.adopt()
        let signals = SignalWatch()
        let loaded = try Configuration.load(path: configurationPath, needsZones: join == nil)
        var configuration = loaded.configuration
        if let join { configuration = try join.checked(configuration) }
        ProcessLog.bootstrap(
            level: Logger.Level(configuration.log.level), format: configuration.log.format == .json ? .json : .text)
        log = Logger(label: "martlet")
        for warning in loaded.warnings { log.warning("\(warning.oneLine)") }
        let files = raiseFileLimit(configuration)
        try Edge.makeDataDirectory(configuration.data)
        try DataLock.take(configuration.data, isSuccessor: predecessor.exists)
        if let join {
            upstream = try await beginNode(join, configuration)
        } else if let control = configuration.control {
            try await beginControl(control, configuration, isSuccessor: predecessor.exists)
        }
        let edge = try await Edge.start(configuration, following: upstream.following, log: log)
        try await predecessor.awaitTurn()
        var inherited = predecessor.sockets
        try await edge.listeners.commit(edge.listeners.prepare(configuration.listen, inherited: &inherited))
        let door = try await AdminDoor.open(
            configuration.admin, edge: edge, cache: edge.cacheOperations, inherited: &inherited, log: log)
        inherited.closeRest()
        edge.markReady(true)
        log.notice(
            "martlet \(BuildVersion.text) serves",
            metadata: [
                "addresses": "\(edge.listeners.addresses.joined(separator: " "))",
                "admin": "\(configuration.admin.map { "http://\($0)" } ?? "off")",
                "zones": "\(configuration.zones.count)", "loops": "\(edge.loopCount)", "files": "\(files)",
            ])
        predecessor.tellServing()
        SystemdNotifier.notify("MAINPID=\(getpid())\nREADY=1\nSTATUS=serving")

        switch upstream {
        case .file: break
        case .control(let host, _): host.watch(edge.health)
        case .node(let node, _): node.watch(edge.health)
        }
        let health = Task.detached {
            while !Task.isCancelled {
                await edge.measureHealth()
                try? await Task.sleep(for: .milliseconds(Limits.healthSampleMilliseconds))
            }
        }
        defer { health.cancel() }
        let successor = try await serve(edge, door, signals)
        await stop(edge, door, signals, tellsSystemd: !successor)
    }

    // MARK: The control plane

    /// Brings the control plane up beside the edge. What it cannot have at once, it goes on trying for: an edge that has
    /// served before serves on without it.
    private func beginControl(
        _ control: Configuration.Control, _ configuration: Configuration, isSuccessor: Bool
    ) async throws {
        let key = try ControlProcess.edgeKey(data: configuration.data)
        let replica = try Replica.open(
            path: configuration.data + "/replica", bytesMax: Limits.replicaBytesDefault, log: log)
        let following = EdgeFollowing(
            replica: replica, node: "local", isCanary: true,
            keys: { sealed, context in try key.open(sealed, for: context) })
        let host = ControlHost(
            control, data: configuration.data, replica: replica, news: following.news,
            zones: FileZones(path: configurationPath, log: log), log: log)
        host.start()
        upstream = .control(host, following)
        // The predecessor has its place until this process serves.
        guard !isSuccessor else { return }
        let patience =
            replica.position == .none ? Limits.controlStartMilliseconds : Limits.controlRestartMilliseconds
        if await !host.awaitReady(milliseconds: patience) {
            log.warning("the control plane is not there yet: serving what the replica has")
        }
    }

    /// Joins the control plane elsewhere, if that has not happened yet, and follows it. An edge that has served before serves
    /// on while nobody answers.
    private func beginNode(_ join: EdgeJoin, _ configuration: Configuration) async throws -> Upstream {
        let (node, following) = try await JoinedNode.start(join, data: configuration.data, log: log)
        if await !node.awaitState(milliseconds: Limits.controlStartMilliseconds) {
            log.warning("nothing came from the control plane yet: serving nothing until it does")
        }
        return .node(node, following)
    }

    /// More connections need more descriptors than a shell allows: two for each request under way.
    private func raiseFileLimit(_ configuration: Configuration) -> UInt64 {
        let limit = FileDescriptorLimit.raise()
        if let code = limit.errorNumber {
            log.warning(
                "file descriptor limit not raised",
                metadata: ["limit": "\(limit.soft)", "reason": "\(String(cString: strerror(code)))"])
        }
        if limit.soft < UInt64(configuration.limits.connections) * 2 {
            log.info(
                "fewer file descriptors than connections allowed would need",
                metadata: [
                    "descriptors": "\(limit.soft)", "connections": "\(configuration.limits.connections)",
                    "advice": "raise LimitNOFILE or lower limits.connections",
                ])
        }
        return UInt64(limit.soft)
    }

    // MARK: Serving

    /// Returns when it is time to stop; true: because a successor has taken over.
    private func serve(_ edge: Edge, _ door: AdminDoor?, _ signals: SignalWatch) async throws -> Bool {
        var reload = Reload(path: configurationPath, edge: edge, log: log)
        if case .control(let host, _) = upstream { reload.control = host }
        reload.join = join
        for await event in signals.events {
            switch event {
            case .signal(SIGHUP):
                edge.accessLog?.reopen()
                await reload.run(because: "SIGHUP")
            case .signal(SIGUSR2):
                var sockets = edge.listeners.handover
                door?.add(to: &sockets)
                let hasTakenOver = await Successor.start(sockets, log: log) { isHandingOver in
                    await edge.handOver(isHandingOver)
                    await door?.handOver(isHandingOver)
                }
                if hasTakenOver { return true }
            case .signal:
                return false
            case .tick:
                signals.tickTaken()
                await reload.poll()
                await edge.takeGlobals()
            }
        }
        return false
    }

    // MARK: The end

    /// Lets what is under way finish, within a bound; a second signal ends the wait.
    private func stop(_ edge: Edge, _ door: AdminDoor?, _ signals: SignalWatch, tellsSystemd: Bool) async {
        if tellsSystemd { SystemdNotifier.notify("STOPPING=1\nSTATUS=draining") }
        // A successor's door is the one that answers from here on.
        if !tellsSystemd { await door?.close() }
        edge.markReady(false)
        // Before the edge: a successor waits for its place, and what is left needs none of it.
        switch upstream {
        case .file: break
        case .control(let host, _): await host.stop()
        case .node(let node, _): await node.stop()
        }
        await edge.listeners.closeAll()
        await edge.drain()
        let timeout = edge.configuration.timeouts.drain
        let start = MonotonicClock.nanoseconds()
        var wantsOut = false
        let open = await edge.openConnections()
        log.notice("draining", metadata: ["connections": "\(open)", "at most ms": "\(timeout)"])
        for await event in signals.events {
            switch event {
            case .signal(SIGTERM), .signal(SIGINT): wantsOut = true
            case .signal(SIGHUP): edge.accessLog?.reopen()
            case .signal: break
            case .tick: signals.tickTaken()
            }
            if wantsOut { break }
            let elapsed = (MonotonicClock.nanoseconds() - start) / 1_000_000
            if await edge.openConnections() == 0 || elapsed >= UInt64(timeout) { break }
        }
        let left = await edge.openConnections()
        if tellsSystemd { await door?.close() }
        await edge.close()
        upstream.following?.replica.close()
        log.notice("stopped", metadata: ["connections cut": "\(left)"])
    }
}

extension Logger.Level {
    init(_ level: Configuration.Log.Level) {
        self =
            switch level {
            case .trace: .trace
            case .debug: .debug
            case .info: .info
            case .notice: .notice
            case .warning: .warning
            case .error: .error
            }
    }
}
