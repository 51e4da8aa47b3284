package import ConfigLog
import Limits

/// Somebody who wants a certificate, or a newer one. What can be checked without the store has been checked.
package struct EnrolmentRequest: Sendable {
    package enum Proof: Sendable, Equatable {
        /// SHA-256 of a join token's secret: find the token by it.
        case token(digest: [UInt8])
        /// The present certificate's number. It is valid, of this authority, and the request is signed by its key; only
        /// whether it is revoked is left to be found out.
        case renewal(serial: String)
    }

    package let proof: Proof
    /// What it wants to be called. Nil: whatever the token says. At a renewal, what its certificate says.
    package let name: NodeName?
    /// A relay or a leaf.
    package let role: NodeRole
    /// The signing request, for `FleetAuthority.issue`.
    package let csr: [UInt8]
    /// SHA-256 of the key that the certificate is for. Who comes again with the same token and the same key did not get
    /// the answer, and is to be answered again.
    package let keyDigest: [UInt8]
}

/// Why a node gets no certificate.
package struct EnrolmentRefusal: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Kind: UInt8, Sendable, CaseIterable {
        case unknownToken = 1
        case expired
        case used
        case wrongRole
        case wrongName
        /// Neither the token nor the node says what it is to be called.
        case nameNeeded
        case nameTaken
        case revoked
        /// The request cannot be read, or does not prove what it says.
        case malformed
        /// Too many at a time.
        case busy
        /// The store, or the way to it, does not answer.
        case unavailable

        /// False: the same request may be answered later.
        package var isFinal: Bool {
            switch self {
            case .busy, .unavailable: false
            default: true
            }
        }
    }

    package let kind: Kind
    /// For the operator of the node: what is wrong and what helps. No secrets.
    package let text: String

    package init(_ kind: Kind, _ text: String) {
        self.kind = kind
        self.text = text
    }

    package var description: String { text }
}

/// Decides who gets a certificate: over the store, so that a token counts once whoever is asked.
package struct EnrolmentDesk: Sendable {
    let enrol: @Sendable (EnrolmentRequest) async throws(EnrolmentRefusal) -> IssuedCertificate

    package init(
        _ enrol: @escaping @Sendable (EnrolmentRequest) async throws(EnrolmentRefusal) -> IssuedCertificate
    ) {
        self.enrol = enrol
    }
}
