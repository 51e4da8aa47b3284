// The distribution with real processes on this machine: the root in this one, every relay and edge one of its own, over
// TLS on loopback. What the simulation cannot show: what it costs, and how fast it is where nothing is far away.

import ConfigLog
import Distribution
import FoundationEssentials
import Glibc
import Limits
package import Logging
import Replica
import Synchronization

/// What is tried.
package struct TrialOptions: Sendable {
    /// Relays and edges together.
    package var processes = 20
    /// Nil: the square root of the processes.
    package var relays: Int?
    package var changesPerSecond = 300.0
    package var seconds = 10.0
    /// Bytes of the values of one change, as in the simulation.
    package var valueBytes = 1000
    package var keyPairs = 2048
    /// This program.
    package var executable: String
    /// The command that runs `TrialEdge`.
    package var edgeCommand: [String]

    package init(executable: String, edgeCommand: [String]) {
        self.executable = executable
        self.edgeCommand = edgeCommand
    }

    var relayCount: Int { relays ?? max(1, Int(Double(processes).squareRoot().rounded())) }

    func check() throws(TrialError) {
        guard Limits.trialProcessesRange.contains(processes) else {
            throw TrialError(
                description: "expected \(Limits.trialProcessesRange) processes, found \(processes)")
        }
        guard relayCount >= 1, relayCount < processes else {
            throw TrialError(description: "expected at least one relay and one edge of \(processes) processes")
        }
        guard seconds > 0, seconds <= Limits.trialSecondsMax, changesPerSecond > 0,
            changesPerSecond <= Limits.trialChangesPerSecondMax
        else {
            throw TrialError(
                description: "expected up to \(Int(Limits.trialChangesPerSecondMax)) changes a second for up to "
                    + "\(Int(Limits.trialSecondsMax)) s of real time")
        }
    }
}

/// One trial, from the first process to the last.
package final class ProcessTrial: Sendable {
    private let options: TrialOptions
    private let directory: String
    private let authority: FleetAuthority
    private let tokens = Mutex<[[UInt8]: (NodeName, NodeRole)]>([:])
    private let children = Mutex<[ChildProcess]>([])
    private let replica: Replica
    private let log: Logger

    /// - Parameter directory: for everything it writes.
    /// - Throws: `TrialError`, and what keeps the root from starting.
    package init(_ options: TrialOptions, directory: String, log: Logger) throws {
        try options.check()
        self.options = options
        self.directory = directory
        self.log = log
        authority = try FleetAuthority.make(now: Date())
        replica = try Replica.open(
            path: directory + "/root", bytesMax: Limits.trialReplicaBytesMax, log: log)
    }

    /// Runs it. Whatever happens, no process is left.
    package func run() async throws -> TrialReport {
        let result: Result<TrialReport, any Error>
        do {
            result = .success(try await measured())
        } catch {
            result = .failure(error)
        }
        for child in children.withLock({ $0 }) { await child.stop(within: Limits.trialStopSecondsMax) }
        replica.close()
        return try result.get()
    }

    private func measured() async throws -> TrialReport {
        let root = try await startRoot()
        do {
            try await startChildren(root)
            let load = try await runLoad(root)
            await root.stop()
            return try await collect(load)
        } catch {
            await root.stop()
            throw error
        }
    }

    // MARK: Starting

    private func startRoot() async throws -> ConfigNode {
        guard let name = NodeName("root") else { throw TrialError(description: "no name") }
        return try await ConfigNode.root(
            identity: RootIdentity(authority: authority, name: name), replica: replica, at: .none,
            door: ConfigNode.Door(
                listen: PeerAddress(host: "127.0.0.1", port: 0), desk: desk, isAdmitted: { _, _ in true }),
            log: log)
    }

    private var desk: EnrolmentDesk {
        EnrolmentDesk { [self] request throws(EnrolmentRefusal) in
            guard case .token(let digest) = request.proof, let (name, role) = tokens.withLock({ $0[digest] }) else {
                throw EnrolmentRefusal(.unknownToken, "not of this trial")
            }
            do throws(DistributionError) {
                return try authority.issue(csr: request.csr, name: name, role: role, now: Date())
            } catch {
                throw EnrolmentRefusal(.malformed, error.description)
            }
        }
    }

    private func token(_ text: String, _ role: NodeRole) throws(TrialError) -> String {
        guard let name = NodeName(text) else { throw TrialError(description: "`\(text)` is no node's name") }
        let token = JoinToken.make(authority: authority.digest)
        tokens.withLock { $0[token.secretDigest] = (name, role) }
        return token.text
    }

    private func startChildren(_ root: ConfigNode) async throws {
        guard let port = root.status.port else { throw TrialError(description: "the root does not listen") }
        var relays: [ChildProcess] = []
        for number in 1...options.relayCount {
            let name = "relay-\(number)"
            try await say(name, .relay, root)
            let arguments = [
                "relay", "--join", "127.0.0.1:\(port)", "--listen", "127.0.0.1:0", "--data", "\(directory)/\(name)",
            ]
            relays.append(try start(arguments, name, .relay))
        }
        var addresses: [String] = []
        for relay in relays {
            try await wait("\(relay.name) listens", Limits.trialJoinSecondsMax) { [self] in
                try check(relay)
                return TrialFile.read(relay.output)?.contains("\n") == true
            }
            let line = TrialFile.read(relay.output)?.split(separator: "\n").first ?? ""
            addresses.append("127.0.0.1:\(line.split(separator: " ").last ?? "")")
        }
        for number in 1...(options.processes - options.relayCount) {
            let name = "edge-\(number)"
            try await say(name, .leaf, root)
            // Its own relay first, another one for when that is lost.
            let first = (number - 1) % addresses.count
            let parents = Set([first, (first + 1) % addresses.count]).sorted { $0 == first && $1 != first }
            let arguments =
                options.edgeCommand + [
                    "--join", parents.map { addresses[$0] }.joined(separator: ","), "--data", "\(directory)/\(name)",
                ]
            _ = try start(arguments, name, .leaf)
        }
        try await wait("all follow", Limits.trialJoinSecondsMax) { [self] in
            for child in children.withLock({ $0 }) { try check(child) }
            let head = replica.position
            let nodes = await root.nodes()
            return nodes.count == options.processes && nodes.allSatisfy { $0.isConnected && $0.position == head }
        }
    }

    private func start(_ arguments: [String], _ name: String, _ role: NodeRole) throws(TrialError) -> ChildProcess {
        let child = try ChildProcess.start(
            options.executable, arguments, environment: ["MARTLET_JOIN_TOKEN": try token(name, role)], name: name,
            in: directory)
        children.withLock { $0.append(child) }
        return child
    }

    private func check(_ child: ChildProcess) throws(TrialError) {
        guard child.isRunning else { throw TrialError(description: "\(child.name) ended: \(child.lastWords)") }
    }

    private func wait(_ what: String, _ seconds: Int, _ isSo: () async throws -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while try await !isSo() {
            try Task.checkCancellation()
            guard ContinuousClock.now < deadline else {
                throw TrialError(description: "after \(seconds) s it is still not so that \(what)")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    // MARK: Changes

    /// What came of the load.
    struct Load {
        /// When each sequence was committed, from the first of the load on.
        var first: UInt64 = 0
        var committed: [UInt64] = []
        var seconds = 0.0
        var rootBytes: UInt64 = 0
        var rootCPU = 0.0
        var cpu: [String: Double] = [:]
        var resident: [String: Int] = [:]
        var rootResident = 0
    }

    private func sealer(at position: LogPosition) -> LogSealer {
        LogSealer(at: position == .none ? LogPosition(epoch: 1, sequence: 0, hash: .zero) : position)
    }

    /// What relays read of a node.
    private func say(_ name: String, _ role: NodeRole, _ root: ConfigNode) async throws {
        var sealer = sealer(at: root.status.position)
        let value = Array(#"{"role":"\#(role.word)","state":"enrolled","canary":false}"#.utf8)
        try sealer.add([Change(key: "node/\(name)", value: value)], committedAt: unixMilliseconds())
        while let frame = try sealer.seal(now: sharedMicroseconds() / 1000) { try await root.publish(frame) }
    }

    private func unixMilliseconds() -> UInt64 {
        UInt64(max(0, Date().timeIntervalSince1970) * 1000)
    }

    private func runLoad(_ root: ConfigNode) async throws -> Load {
        var load = Load()
        var sealer = sealer(at: root.status.position)
        load.first = sealer.position.sequence + 1
        let before = children.withLock { $0.map { ($0.name, $0.usage.cpuMilliseconds) } }
        let (rootBefore, bytesBefore) = (ChildProcess.usage("self").cpuMilliseconds, root.status.bytesSent)
        let start = sharedMicroseconds()
        let total = Int(options.changesPerSecond * options.seconds)
        var made = 0
        while made < total {
            try Task.checkCancellation()
            let now = sharedMicroseconds()
            let due = min(total, Int(Double(now - start) / 1_000_000 * options.changesPerSecond) + 1)
            while made < due {
                let changes = SimulatedReplica.changes(
                    number: UInt64(made), pair: made % options.keyPairs, valueBytes: options.valueBytes)
                try sealer.add(changes, committedAt: unixMilliseconds())
                load.committed.append(sharedMicroseconds())
                made += 1
            }
            while let frame = try sealer.seal(now: sharedMicroseconds() / 1000) { try await root.publish(frame) }
            try await Task.sleep(for: .milliseconds(1))
        }
        while sealer.nextDeadline(now: 0) != nil {
            if let frame = try sealer.seal(now: sharedMicroseconds() / 1000) { try await root.publish(frame) }
            try await Task.sleep(for: .milliseconds(1))
        }
        load.seconds = Double(sharedMicroseconds() - start) / 1_000_000
        let end = sealer.position
        try await wait("all have the last change", Limits.trialArrivalSecondsMax) { [self] in
            for child in children.withLock({ $0 }) { try check(child) }
            return await root.nodes().allSatisfy { $0.isConnected && $0.position == end } && replica.position == end
        }
        load.rootCPU = ChildProcess.usage("self").cpuMilliseconds - rootBefore
        load.rootResident = ChildProcess.usage("self").residentBytes
        load.rootBytes = root.status.bytesSent - bytesBefore
        let after = children.withLock { $0.map { ($0.name, $0.usage) } }
        for ((name, was), (_, usage)) in zip(before, after) {
            load.cpu[name] = usage.cpuMilliseconds - was
            load.resident[name] = usage.residentBytes
        }
        return load
    }

    // MARK: Collecting

    private func collect(_ load: Load) async throws -> TrialReport {
        let expected = TrialEnd(try replica.summary())
        var report = TrialReport(options, load)
        // Edges first: none of them has to look for another relay.
        for child in children.withLock({ $0.reversed() }) {
            await child.stop(within: Limits.trialStopSecondsMax)
            if child.name.hasPrefix("relay") {
                report.relayBytes.append(Self.sentBytes(child))
            } else {
                report.add(child.name, TrialFile.read(child.output) ?? "", load, expected: expected)
            }
        }
        children.withLock { $0 = [] }
        report.finish()
        return report
    }

    /// What a relay says at its end.
    private static func sentBytes(_ child: ChildProcess) -> UInt64 {
        let word = child.lastWords.split(separator: " ").last { $0.hasPrefix("sent=") }
        return word.flatMap { UInt64($0.dropFirst(5)) } ?? 0
    }
}
