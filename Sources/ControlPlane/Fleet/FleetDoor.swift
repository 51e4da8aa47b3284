// Where the fleet's records and the distribution meet: who this root is, who is enrolled, who may follow, and what those
// that follow report.

import ConfigLog
import Distribution
import Limits
import Logging
import Replica

/// The fleet as a control process serves it.
struct FleetDoor: Sendable {
    let identity: RootIdentity
    let desk: NodeDesk
    private let enrolments: EnrolmentDesk
    private let log: Logger

    /// Loads the installation's authority, or makes it, and reads who is enrolled.
    ///
    /// - Parameter hasLocalEdge: whether an edge serves within this process.
    /// - Throws: `StoreError`, `DistributionError`.
    static func open(_ store: Store, edgeKey: SecretKey, hasLocalEdge: Bool, log: Logger) async throws -> FleetDoor {
        let authority = try await FleetAuthority.kept(in: store)
        // Two control processes on one database are two roots.
        guard let name = NodeName("control-\(StoreID.make().prefix(8))") else {
            throw StoreError.other("no name can be made for this control process")
        }
        let desk = NodeDesk(store: store, log: log)
        try await desk.load()
        if hasLocalEdge { try await desk.registerLocal(Self.localEdge) }
        return FleetDoor(
            identity: RootIdentity(authority: authority, name: name), desk: desk,
            enrolments: Enrolment(store: store, desk: desk).desk(authority, edgeKey: edgeKey), log: log)
    }

    /// The name of the edge in a control process itself.
    static let localEdge = "local"

    /// The root's listener.
    func door(at address: PeerAddress) -> ConfigNode.Door {
        ConfigNode.Door(listen: address, desk: enrolments, isAdmitted: desk.admission)
    }

    // MARK: Reports

    /// Notes, every few seconds, what the nodes below say, and how the edge within this process does.
    ///
    /// - Throws: `CancellationError` at the end.
    func noteReports(
        of node: ConfigNode, replica: Replica, localHealth: (@Sendable () -> HealthSummary)?
    ) async throws {
        while true {
            var reports = await node.nodes()
            if let localHealth { reports.append(local(node, replica, localHealth())) }
            do {
                try await desk.note(reports)
            } catch let error as StoreError {
                log.warning("what the edges report cannot be noted", metadata: ["reason": "\(error)"])
            }
            try await Task.sleep(for: .milliseconds(Limits.healthSampleMilliseconds))
        }
    }

    private func local(_ node: ConfigNode, _ replica: Replica, _ health: HealthSummary) -> NodeReport {
        let status = node.status
        return NodeReport(
            name: Self.localEdge, role: .leaf, parent: status.name.text, position: replica.position,
            appliedAtMilliseconds: UInt64(max(0, APITime.now.microseconds / 1000)),
            lagMilliseconds: status.lagMilliseconds, health: health, isConnected: true)
    }
}
