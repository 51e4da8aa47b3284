// Secrets for one node that travel in the log, where every node could see them: sealed to the key of its certificate
// (HPKE, RFC 9180).

import Crypto
import FoundationEssentials
import SwiftASN1
import X509

/// Seals what one node alone may read.
package enum NodeSecret {
    static let suite = HPKE.Ciphersuite.P256_SHA256_AES_GCM_256
    static let info = Array("martlet node secret 1".utf8)
    /// Bytes of the encapsulated key, an uncompressed point, which stand before the sealed ones.
    static let keyBytes = 65

    /// - Parameter certificate: of the node, DER.
    /// - Throws: `identity` if it has a key of another kind.
    package static func seal(_ plain: [UInt8], for certificate: [UInt8]) throws(DistributionError) -> [UInt8] {
        do {
            let parsed = try Certificate(derEncoded: certificate)
            guard let signing = P256.Signing.PublicKey(parsed.publicKey) else {
                throw DistributionError(.identity, "a node's certificate has a key of another kind than P-256")
            }
            let key = try P256.KeyAgreement.PublicKey(x963Representation: signing.x963Representation)
            var sender = try HPKE.Sender(recipientKey: key, ciphersuite: suite, info: Data(info))
            let sealed = try sender.seal(plain)
            return Array(sender.encapsulatedKey) + Array(sealed)
        } catch {
            throw error as? DistributionError ?? DistributionError(.identity, "a secret cannot be sealed for the node")
        }
    }
}

extension NodeIdentity {
    /// What was sealed for this node's present key.
    ///
    /// - Throws: `identity` if it was sealed for another one.
    package func open(_ sealed: [UInt8]) throws(DistributionError) -> [UInt8] {
        do {
            let key = try P256.KeyAgreement.PrivateKey(rawRepresentation: self.key.rawRepresentation)
            var recipient = try HPKE.Recipient(
                privateKey: key, ciphersuite: NodeSecret.suite, info: Data(NodeSecret.info),
                encapsulatedKey: Data(sealed.prefix(NodeSecret.keyBytes)))
            return Array(try recipient.open(Data(sealed.dropFirst(NodeSecret.keyBytes))))
        } catch {
            throw DistributionError(.identity, "a secret in the log was not sealed for the present key of \(name)")
        }
    }
}
