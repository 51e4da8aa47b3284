import ConfigLog
import ConfigModel
import ControlPlane
import Distribution
import Limits
import Logging
import Replica
import Synchronization

/// How an edge comes to follow a control plane elsewhere.
struct EdgeJoin: Sendable {
    /// The preferred one first.
    let parents: [PeerAddress]
    /// Needed at the first start alone.
    let token: JoinToken?
    /// nil: as the token says, or the identity that is there.
    let name: NodeName?

    /// The file of such an edge has no zones and no control plane of its own.
    ///
    /// - Throws: `ConfigurationError`.
    func checked(_ configuration: Configuration) throws -> Configuration {
        guard configuration.control == nil else {
            throw StartFailure(
                "expected a martlet.yaml without \"api\" for `martlet edge`, found one: an edge follows the control plane "
                    + "that --join names; `martlet up` has one of its own")
        }
        guard configuration.zones.isEmpty else {
            throw StartFailure(
                "expected a martlet.yaml without zones for `martlet edge`, found \(configuration.zones.count): the control "
                    + "plane has them; `martlet apply -f FILE` brings these to it")
        }
        return configuration
    }
}

/// The edge's end of the distribution.
final class JoinedNode: Sendable {
    private let node: ConfigNode
    private let replica: Replica
    private let health: HealthSlot

    /// Filled once there is an edge.
    private final class HealthSlot: Sendable {
        let meter = Mutex<HealthMeter?>(nil)
    }

    private init(_ node: ConfigNode, _ replica: Replica, _ health: HealthSlot) {
        self.node = node
        self.replica = replica
        self.health = health
    }

    /// Enrols if need be, opens the replica, and begins to follow.
    ///
    /// - Throws: `DistributionError`, `ReplicaError`.
    static func start(_ join: EdgeJoin, data: String, log: Logger) async throws -> (JoinedNode, EdgeFollowing) {
        let directory = data + "/identity"
        let identity = try await NodeIdentity.loadOrEnrol(
            directory: directory, role: .leaf, name: join.name, parents: join.parents, token: join.token, log: log)
        let replica = try Replica.open(path: data + "/replica", bytesMax: Limits.replicaBytesDefault, log: log)
        let keys = EdgeKeys(replica: replica, identity: identity, directory: directory)
        let following = EdgeFollowing(
            replica: replica, node: identity.name.text, isCanary: false,
            keys: { sealed, context in try keys.open(sealed, for: context) })
        let health = HealthSlot()
        let node = try await ConfigNode.edge(
            identity: identity, directory: directory, parents: join.parents, replica: replica,
            hooks: .init(
                onTouched: { [news = following.news] touched in news.applied(touched) },
                health: { health.meter.withLock { $0 }?.summary ?? HealthSummary() }),
            software: BuildVersion.text, log: log)
        log.notice(
            "follows the control plane",
            metadata: [
                "node": "\(identity.name)", "parents": "\(join.parents.map(\.description).joined(separator: ","))",
                "at": "\(replica.position)",
            ])
        return (JoinedNode(node, replica, health), following)
    }

    /// Waits until the replica holds anything, but not for ever.
    func awaitState(milliseconds: Int) async -> Bool {
        for _ in 0..<(milliseconds / Limits.signalTickMilliseconds) {
            if replica.position != .none { return true }
            try? await Task.sleep(for: .milliseconds(Limits.signalTickMilliseconds))
        }
        return replica.position != .none
    }

    func watch(_ meter: HealthMeter) { health.meter.withLock { $0 = meter } }

    func stop() async { await node.stop() }
}

/// The key that opens customers' private keys: it came with the log, sealed for this node's certificate.
private final class EdgeKeys: Sendable {
    private struct State {
        var identity: NodeIdentity
        var sealed: [UInt8] = []
        var key: SecretKey?
    }

    private let replica: Replica
    private let directory: String
    private let state: Mutex<State>

    init(replica: Replica, identity: NodeIdentity, directory: String) {
        self.replica = replica
        self.directory = directory
        state = Mutex(State(identity: identity))
    }

    func open(_ sealed: [UInt8], for context: String) throws -> [UInt8] { try key().open(sealed, for: context) }

    private func key() throws -> SecretKey {
        try state.withLock { state in
            let sealed = try replica.value("node-key/\(state.identity.name)") ?? []
            if let key = state.key, state.sealed == sealed || sealed.isEmpty { return key }
            guard !sealed.isEmpty else {
                throw StartFailure(
                    "expected the key of certificates from the control plane, found none yet: it comes with the enrolment"
                )
            }
            let bytes: [UInt8]
            do {
                bytes = try state.identity.open(sealed)
            } catch {
                // It was sealed for the certificate that has taken the place of the one from the start.
                guard let renewed = try NodeIdentity.load(directory: directory), renewed.serial != state.identity.serial
                else { throw error }
                bytes = try renewed.open(sealed)
                state.identity = renewed
            }
            let key = SecretKey(bytes: bytes)
            (state.sealed, state.key) = (sealed, key)
            return key
        }
    }
}
