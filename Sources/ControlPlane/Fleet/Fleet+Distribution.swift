// Between the store and those who speak to nodes: the authority that is kept, and the desk that nodes enrol at.

package import ConfigLog
package import Distribution
import FoundationEssentials
import Limits

extension FleetAuthority {
    /// The installation's, made now if there is none yet.
    ///
    /// - Throws: `StoreError`, `DistributionError`.
    package static func kept(in store: Store) async throws -> FleetAuthority {
        let record = try await FleetAuthorityRecord.load(store) {
            let made = try FleetAuthority.make(now: Date())
            return FleetAuthorityRecord(certificate: made.certificateDER, key: made.keyDER)
        }
        return try FleetAuthority(certificateDER: record.certificate, keyDER: record.key)
    }
}

extension Enrolment {
    /// For `ConfigNode`.
    ///
    /// - Parameter edgeKey: Opens customers' private keys; each edge is sent it.
    package func desk(_ authority: FleetAuthority, edgeKey: SecretKey) -> EnrolmentDesk {
        EnrolmentDesk { request throws(EnrolmentRefusal) in
            let proof: JoinRequest.Proof =
                switch request.proof {
                case .token(let digest): .token(digest: digest)
                case .renewal(let serial): .renewal(serial: serial)
                }
            let wanted = JoinRequest(
                proof: proof, name: request.name?.text, role: request.role.word, keyDigest: request.keyDigest)
            do throws(JoinRefusal) {
                return try await admit(wanted) { name in
                    guard let name = NodeName(name) else {
                        throw JoinRefusal(kind: .wrongName, text: "expected \(NodeName.rule)")
                    }
                    let issued = try authority.issue(csr: request.csr, name: name, role: request.role, now: Date())
                    let notAfter = issued.notAfter.timeIntervalSince1970 * 1_000_000
                    return IssuedNode(
                        serial: issued.serial, notAfter: Int64(exactly: notAfter.rounded()) ?? 0, certificate: issued,
                        // Relays pass on what they cannot read.
                        sealedKey: request.role == .leaf ? try NodeSecret.seal(edgeKey.bytes, for: issued.der) : [])
                }.issued.certificate
            } catch {
                throw EnrolmentRefusal(error.kind.refusal, error.text)
            }
        }
    }
}

extension JoinRefusal.Kind {
    var refusal: EnrolmentRefusal.Kind {
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

extension NodeDesk {
    /// For `ConfigNode.Door`.
    package var admission: @Sendable (NodeName, NodeRole) -> Bool {
        { name, role in self.isAdmitted(name.text, role: role.word) }
    }
}
