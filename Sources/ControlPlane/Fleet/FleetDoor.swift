// Where the fleet's records and the distribution meet: who this root is, who is enrolled, who may follow, and what those
// that follow report.

import ConfigLog
import Distribution
import FoundationEssentials
import Limits
import Logging
import Replica
import Synchronization

/// The fleet as a control process serves it.
struct FleetDoor: Sendable {
    let identity: RootIdentity
    let desk: NodeDesk
    private let authority: FleetAuthority
    private let enrolment: Enrolment
    private let edgeKey: SecretKey
    private let log: Logger

    /// Loads the installation's authority, or makes it, and reads who is enrolled.
    ///
    /// - Parameter hasLocalEdge: whether an edge serves within this process.
    /// - Throws: `StoreError`, `DistributionError`.
    static func open(_ store: Store, edgeKey: SecretKey, hasLocalEdge: Bool, log: Logger) async throws -> FleetDoor {
        let record = try await FleetAuthorityRecord.load(store) {
            let made = try FleetAuthority.make(now: Date())
            return FleetAuthorityRecord(certificate: made.certificateDER, key: made.keyDER)
        }
        let authority = try FleetAuthority(certificateDER: record.certificate, keyDER: record.key)
        // Two control processes on one database are two roots.
        guard let name = NodeName("control-\(StoreID.make().prefix(8))") else {
            throw StoreError.other("no name can be made for this control process")
        }
        let desk = NodeDesk(store: store, log: log)
        try await desk.load()
        if hasLocalEdge { try await desk.registerLocal(Self.localEdge) }
        return FleetDoor(
            identity: RootIdentity(authority: authority, name: name), desk: desk, authority: authority,
            enrolment: Enrolment(store: store, desk: desk), edgeKey: edgeKey, log: log)
    }

    /// The name of the edge in a control process itself.
    static let localEdge = "local"

    /// The root's listener.
    func door(at address: PeerAddress) -> ConfigNode.Door {
        ConfigNode.Door(
            listen: address, desk: EnrolmentDesk { request throws(EnrolmentRefusal) in try await enrol(request) },
            isAdmitted: { [desk] name, role in desk.isAdmitted(name.text, role: role.word) })
    }

    private func enrol(_ request: EnrolmentRequest) async throws(EnrolmentRefusal) -> IssuedCertificate {
        let proof: JoinRequest.Proof =
            switch request.proof {
            case .token(let digest): .token(digest: digest)
            case .renewal(let serial): .renewal(serial: serial)
            }
        let asked = JoinRequest(
            proof: proof, name: request.name?.text, role: request.role.word, keyDigest: request.keyDigest)
        // The last one counts: the transaction may have to begin anew.
        let newest = Mutex<IssuedCertificate?>(nil)
        do {
            let (name, _) = try await enrolment.admit(asked) { [authority, edgeKey] name in
                guard let node = NodeName(name) else {
                    throw JoinRefusal(
                        kind: .wrongName, text: "expected a name of a-z, 0-9 and -, found \(name.prefix(64))")
                }
                let made = try authority.issue(csr: request.csr, name: node, role: request.role, now: Date())
                newest.withLock { $0 = made }
                return IssuedNode(
                    serial: made.serial, notAfter: Int64(made.notAfter.timeIntervalSince1970 * 1_000_000),
                    certificate: made.der,
                    // Relays pass on what they cannot read.
                    sealedKey: request.role == .leaf ? try NodeSecret.seal(edgeKey.bytes, for: made.der) : [])
            }
            log.notice("a node is enrolled", metadata: ["node": "\(name)", "role": "\(request.role.word)"])
        } catch let refusal as JoinRefusal {
            log.warning(
                "a node is refused", metadata: ["node": "\(request.name?.text ?? "")", "reason": "\(refusal.text)"])
            throw EnrolmentRefusal(refusal.kind.asked, refusal.text)
        } catch {
            throw EnrolmentRefusal(.unavailable, "the certificate could not be issued")
        }
        guard let issued = newest.withLock({ $0 }) else {
            throw EnrolmentRefusal(.unavailable, "the certificate could not be issued")
        }
        return issued
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

extension JoinRefusal.Kind {
    /// The same in the words of the protocol.
    fileprivate var asked: EnrolmentRefusal.Kind {
        switch self {
        case .unknownToken: .unknownToken
        case .expired: .expired
        case .used: .used
        case .wrongRole: .wrongRole
        case .wrongName: .wrongName
        case .nameNeeded: .nameNeeded
        case .nameTaken: .nameTaken
        case .revoked: .revoked
        case .malformed: .malformed
        case .unavailable: .unavailable
        }
    }
}
