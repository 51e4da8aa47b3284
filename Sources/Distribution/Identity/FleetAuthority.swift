// The installation's own certificate authority: one for all nodes, made at the first start of a control plane, and kept
// in its store. It vouches for nodes to each other, and for nothing else.

package import ConfigLog
import Crypto
package import FoundationEssentials
import Limits
import SwiftASN1
import X509

/// Issues the certificates by which nodes know each other.
package struct FleetAuthority: Sendable {
    private let certificate: Certificate
    private let key: P256.Signing.PrivateKey
    package let certificateDER: [UInt8]

    private static let secondsPerDay = 86_400.0

    /// A new authority. Clients and servers that know another one will not talk to its nodes.
    ///
    /// - Throws: `authority`.
    package static func make(now: Date) throws(DistributionError) -> FleetAuthority {
        let key = P256.Signing.PrivateKey()
        do {
            let certificateKey = Certificate.PrivateKey(key)
            let identifier = SubjectKeyIdentifier(hash: certificateKey.publicKey)
            // Two authorities are told apart by a piece of their keys.
            let name = try DistinguishedName {
                CommonName("Martlet nodes \(hexadecimal(identifier.keyIdentifier.prefix(4)))")
                OrganizationName("Martlet")
            }
            let certificate = try Certificate(
                version: .v3,
                serialNumber: .init(),
                publicKey: certificateKey.publicKey,
                notValidBefore: now.addingTimeInterval(-Double(Limits.nodeCertificateSkewSeconds)),
                notValidAfter: now.addingTimeInterval(Double(Limits.fleetAuthorityDays) * secondsPerDay),
                issuer: name,
                subject: name,
                signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                    Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                    identifier
                },
                issuerPrivateKey: certificateKey
            )
            return FleetAuthority(certificate: certificate, key: key, certificateDER: try certificate.der())
        } catch {
            throw DistributionError(.authority, "the nodes' authority cannot be made: \(error)")
        }
    }

    private init(certificate: Certificate, key: P256.Signing.PrivateKey, certificateDER: [UInt8]) {
        self.certificate = certificate
        self.key = key
        self.certificateDER = certificateDER
    }

    /// One that was kept.
    ///
    /// - Parameter keyDER: as `keyDER` gave it. Secret.
    /// - Throws: `authority` if either is damaged, or they do not belong together.
    package init(certificateDER: [UInt8], keyDER: [UInt8]) throws(DistributionError) {
        do {
            key = try P256.Signing.PrivateKey(derRepresentation: keyDER)
            certificate = try Certificate(derEncoded: certificateDER)
        } catch {
            // Not the error itself: it may quote what it read.
            throw DistributionError(
                .authority, "the nodes' authority in the store is damaged: restore the store from a backup")
        }
        guard certificate.publicKey == Certificate.PrivateKey(key).publicKey else {
            throw DistributionError(
                .authority, "key and certificate of the nodes' authority do not belong together: restore both")
        }
        self.certificateDER = certificateDER
    }

    /// PKCS #8. Secret.
    package var keyDER: [UInt8] { Array(key.derRepresentation) }
    /// SHA-256 of the certificate: what a join token carries.
    package var digest: [UInt8] { Self.digest(ofCertificate: certificateDER) }
    package var notAfter: Date { certificate.notValidAfter }

    static func digest(ofCertificate der: [UInt8]) -> [UInt8] { Array(SHA256.hash(data: der)) }

    // MARK: Issuing

    /// A certificate for the key of a signing request. What else the request says does not count.
    ///
    /// - Throws: `identity` if the request cannot be used, `authority` if the authority has expired.
    package func issue(
        csr: [UInt8], name: NodeName, role: NodeRole, now: Date
    ) throws(DistributionError) -> IssuedCertificate {
        let request = try SigningRequest(der: csr)
        let end = now.addingTimeInterval(Double(Limits.nodeCertificateDays) * Self.secondsPerDay)
        return try issue(request.publicKey, name: name, role: role, from: now, to: end)
    }

    func issue(
        _ publicKey: Certificate.PublicKey, name: NodeName, role: NodeRole, from start: Date, to end: Date
    ) throws(DistributionError) -> IssuedCertificate {
        let notBefore = max(
            start.addingTimeInterval(-Double(Limits.nodeCertificateSkewSeconds)), certificate.notValidBefore)
        let notAfter = min(end, certificate.notValidAfter)
        guard notBefore < notAfter else {
            throw DistributionError(
                .authority, "the nodes' authority expired on \(certificate.notValidAfter.formatted(.iso8601))")
        }
        do {
            let issued = try Certificate(
                version: .v3,
                serialNumber: .init(),
                publicKey: publicKey,
                notValidBefore: notBefore,
                notValidAfter: notAfter,
                issuer: certificate.subject,
                subject: try DistinguishedName { CommonName(name.text) },
                signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.notCertificateAuthority)
                    Critical(KeyUsage(digitalSignature: true))
                    try ExtendedKeyUsage(Self.usages(role))
                    SubjectAlternativeNames([.uniformResourceIdentifier(NodeCertificate.uri(role, name))])
                    SubjectKeyIdentifier(hash: publicKey)
                    AuthorityKeyIdentifier(
                        keyIdentifier: SubjectKeyIdentifier(hash: certificate.publicKey).keyIdentifier)
                },
                issuerPrivateKey: Certificate.PrivateKey(key)
            )
            return IssuedCertificate(
                der: try issued.der(), name: name, role: role, serial: hexadecimal(issued.serialNumber.bytes),
                notBefore: issued.notValidBefore, notAfter: issued.notValidAfter)
        } catch {
            throw DistributionError(.authority, "a certificate for \(role.word) \(name) cannot be issued: \(error)")
        }
    }

    /// An edge's certificate is of no use to pass for somebody's parent.
    private static func usages(_ role: NodeRole) -> [ExtendedKeyUsage.Usage] {
        switch role {
        case .root: [.serverAuth]
        case .relay: [.serverAuth, .clientAuth]
        case .leaf: [.clientAuth]
        }
    }

    /// The control plane's own: a new key and a certificate for it.
    ///
    /// - Throws: `authority`.
    package func rootIdentity(name: NodeName, now: Date) throws(DistributionError) -> NodeIdentity {
        let key = P256.Signing.PrivateKey()
        let end = now.addingTimeInterval(Double(Limits.nodeCertificateDays) * Self.secondsPerDay)
        let issued = try issue(Certificate.PrivateKey(key).publicKey, name: name, role: .root, from: now, to: end)
        return try NodeIdentity(key: key, certificateDER: issued.der, authorityDER: certificateDER, now: now)
    }
}

/// The control plane as a node: its certificates are made when they are needed, and kept nowhere.
package struct RootIdentity: Sendable {
    let authority: FleetAuthority
    let name: NodeName

    package init(authority: FleetAuthority, name: NodeName) {
        self.authority = authority
        self.name = name
    }
}

/// A certificate that was just issued, with what to remember of it.
package struct IssuedCertificate: Sendable {
    package let der: [UInt8]
    package let name: NodeName
    package let role: NodeRole
    /// Hexadecimal, lower case.
    package let serial: String
    package let notBefore: Date
    package let notAfter: Date
}

extension Certificate {
    func der() throws -> [UInt8] {
        var serializer = DER.Serializer()
        try serializer.serialize(self)
        return serializer.serializedBytes
    }
}

/// A request for a certificate (RFC 2986) that shows to have the key it names.
struct SigningRequest {
    let publicKey: Certificate.PublicKey
    /// SHA-256 of the key.
    let keyDigest: [UInt8]

    /// - Throws: `identity` unless it is a request for a P-256 key, signed by it.
    init(der: [UInt8]) throws(DistributionError) {
        guard der.count <= Limits.enrolmentCertificateBytesMax,
            let request = try? CertificateSigningRequest(derEncoded: der)
        else { throw DistributionError(.identity, "the signing request cannot be read") }
        guard let key = P256.Signing.PublicKey(request.publicKey) else {
            throw DistributionError(.identity, "the signing request is for another kind of key than P-256")
        }
        guard request.publicKey.isValidSignature(request.signature, for: request) else {
            throw DistributionError(.identity, "the signing request is not signed by the key that it is for")
        }
        publicKey = request.publicKey
        keyDigest = Array(SHA256.hash(data: key.x963Representation))
    }

    /// A request for this key.
    static func make(_ key: P256.Signing.PrivateKey) throws(DistributionError) -> [UInt8] {
        do {
            let request = try CertificateSigningRequest(
                version: .v1, subject: DistinguishedName {}, privateKey: Certificate.PrivateKey(key),
                attributes: CertificateSigningRequest.Attributes())
            var serializer = DER.Serializer()
            try serializer.serialize(request)
            return serializer.serializedBytes
        } catch {
            throw DistributionError(.identity, "a signing request cannot be made: \(error)")
        }
    }
}
