import ConfigLog
import Distribution
import FoundationEssentials
import Glibc
import Logging
import Replica
import Synchronization
import Testing

/// A directory that is gone with the test.
final class Scratch: Sendable {
    let path: String

    init() throws {
        var name = Array("/tmp/martlet-distribution-XXXXXX".utf8CString)
        path = try #require(mkdtemp(&name).map { String(cString: $0) })
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// Waits until something is so. The bound only ends a test that has failed anyway.
func eventually(
    _ what: String, seconds: Int = 30, sourceLocation: SourceLocation = #_sourceLocation,
    _ isSo: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while ContinuousClock.now < deadline {
        if try await isSo() { return }
        try await Task.sleep(for: .milliseconds(10))
    }
    Issue.record("it never came that \(what)", sourceLocation: sourceLocation)
    throw CancellationError()
}

let quiet: Logger = {
    var log = Logger(label: "test")
    log.logLevel = getenv("MARTLET_TEST_LOG") == nil ? .critical : .debug
    return log
}()

func name(_ text: String) throws -> NodeName { try #require(NodeName(text)) }

func replica(_ path: String) throws -> Replica {
    try Replica.open(path: path, bytesMax: 64 * 1024 * 1024, log: quiet)
}

/// What a control plane's store knows of tokens and nodes.
final class TestDesk: Sendable {
    struct Token {
        var role: NodeRole
        var name: NodeName?
        var isExpired = false
        var usedBy: [UInt8]?
        var givenTo: NodeName?
    }

    struct State {
        var tokens: [[UInt8]: Token] = [:]
        var nodes: [NodeName: NodeRole] = [:]
        var revoked: Set<NodeName> = []
        var renewals = 0
        var requests = 0
    }

    let authority: FleetAuthority
    let state = Mutex(State())

    init() throws { authority = try FleetAuthority.make(now: Date()) }

    func token(_ role: NodeRole, _ name: NodeName?) -> JoinToken {
        let token = JoinToken.make(authority: authority.digest)
        state.withLock { $0.tokens[token.secretDigest] = Token(role: role, name: name) }
        return token
    }

    var desk: EnrolmentDesk {
        EnrolmentDesk { [self] request throws(EnrolmentRefusal) in
            let name = try state.withLock { state throws(EnrolmentRefusal) in try Self.decide(request, &state) }
            do throws(DistributionError) {
                return try authority.issue(csr: request.csr, name: name, role: request.role, now: Date())
            } catch {
                throw EnrolmentRefusal(.malformed, error.description)
            }
        }
    }

    private static func decide(_ request: EnrolmentRequest, _ state: inout State) throws(EnrolmentRefusal) -> NodeName {
        state.requests += 1
        switch request.proof {
        case .renewal:
            guard let name = request.name, !state.revoked.contains(name) else {
                throw EnrolmentRefusal(.revoked, "revoked")
            }
            state.renewals += 1
            return name
        case .token(let digest):
            guard var token = state.tokens[digest] else { throw EnrolmentRefusal(.unknownToken, "no such token") }
            guard !token.isExpired else { throw EnrolmentRefusal(.expired, "the token has expired") }
            guard token.role == request.role else { throw EnrolmentRefusal(.wrongRole, "not for this role") }
            guard let name = token.name ?? request.name else { throw EnrolmentRefusal(.nameNeeded, "no name") }
            if let usedBy = token.usedBy, usedBy != request.keyDigest {
                throw EnrolmentRefusal(.used, "the token was used")
            }
            token.usedBy = request.keyDigest
            state.tokens[digest] = token
            state.nodes[name] = request.role
            return name
        }
    }

    var isAdmitted: @Sendable (NodeName, NodeRole) -> Bool {
        { [self] name, role in state.withLock { $0.nodes[name] == role && !$0.revoked.contains(name) } }
    }
}

/// A root with its log, as a control process has one.
final class TestRoot: Sendable {
    let scratch: Scratch
    let desk: TestDesk
    let replica: Replica
    let node: ConfigNode
    private let sealer: Mutex<LogSealer>

    init(
        desk: TestDesk? = nil, at position: LogPosition = LogPosition(epoch: 1, sequence: 0, hash: .zero),
        port: Int = 0, bounds: LogBounds = LogBounds(), hooks: ConfigNode.Hooks = ConfigNode.Hooks()
    ) async throws {
        scratch = try Scratch()
        self.desk = try desk ?? TestDesk()
        replica = try DistributionTests.replica(scratch.path + "/replica")
        node = try await ConfigNode.root(
            identity: RootIdentity(authority: self.desk.authority, name: name("control")), replica: replica, at: .none,
            door: ConfigNode.Door(
                listen: PeerAddress(host: "127.0.0.1", port: port), desk: self.desk.desk,
                isAdmitted: self.desk.isAdmitted),
            hooks: hooks, bounds: bounds, log: quiet)
        sealer = Mutex(LogSealer(at: position))
    }

    var address: PeerAddress {
        get throws { PeerAddress(host: "127.0.0.1", port: try #require(node.status.port)) }
    }

    /// Commits changes: one frame.
    @discardableResult
    func commit(_ changes: [Change]) async throws -> Frame {
        let frame = try sealer.withLock { sealer in
            var time = timespec()
            clock_gettime(CLOCK_REALTIME, &time)
            let now = UInt64(time.tv_sec) * 1000 + UInt64(time.tv_nsec) / 1_000_000
            try sealer.add(changes, committedAt: now)
            return try sealer.seal(now: .max)
        }
        let sealed = try #require(frame)
        try await node.publish(sealed)
        return sealed
    }

    @discardableResult
    func commit(_ key: String, _ value: String) async throws -> Frame {
        try await commit([Change(key: key, value: Array(value.utf8))])
    }

    /// Says of a node what relays read.
    func say(_ name: String, _ role: NodeRole, _ state: String = "enrolled") async throws {
        try await commit("node/\(name)", #"{"role":"\#(role.word)","state":"\#(state)","canary":false}"#)
    }

    func stop() async {
        await node.stop()
        replica.close()
    }
}

/// A relay or an edge in a directory of its own.
final class TestNode: Sendable {
    let directory: String
    let replica: Replica
    let node: ConfigNode

    static func join(
        _ root: TestRoot, _ role: NodeRole, _ text: String, in scratch: Scratch, at parents: [PeerAddress]? = nil
    ) async throws -> NodeIdentity {
        let wanted = try name(text)
        return try await NodeIdentity.loadOrEnrol(
            directory: "\(scratch.path)/\(text)", role: role, name: nil, parents: parents ?? [root.address],
            token: root.desk.token(role, wanted), log: quiet)
    }

    init(
        _ identity: NodeIdentity, in scratch: Scratch, parents: [PeerAddress], role: NodeRole? = nil,
        bounds: LogBounds = LogBounds(), hooks: ConfigNode.Hooks = ConfigNode.Hooks()
    ) async throws {
        directory = "\(scratch.path)/\(identity.name)"
        replica = try DistributionTests.replica("\(directory)/replica")
        if (role ?? identity.role) == .relay {
            node = try await ConfigNode.relay(
                identity: identity, directory: directory, parents: parents, replica: replica,
                door: ConfigNode.Door(listen: PeerAddress(host: "127.0.0.1", port: 0)), hooks: hooks, bounds: bounds,
                log: quiet)
        } else {
            node = try await ConfigNode.edge(
                identity: identity, directory: directory, parents: parents, replica: replica, hooks: hooks,
                bounds: bounds, software: "1.0", log: quiet)
        }
    }

    var address: PeerAddress {
        get throws { PeerAddress(host: "127.0.0.1", port: try #require(node.status.port)) }
    }

    func text(_ key: String) throws -> String? {
        try replica.value(key).map { String(decoding: $0, as: UTF8.self) }
    }

    func stop() async {
        await node.stop()
        replica.close()
    }
}
