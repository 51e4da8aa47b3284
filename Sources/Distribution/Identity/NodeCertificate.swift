// What a node's certificate says.
//
//     subject          CN = the name
//     subjectAltName   URI martlet://node/<role>/<name>     what counts
//     extendedKeyUsage root: server; relay: both; edge: client
//     issuer           the installation's authority, directly
//
// The TLS engine checks chain and signature for connections; `init(_:issuedBy:now:)` does so for certificates that come
// another way: at joining, when no authority is known yet but by its digest, and for renewals.

import ConfigLog
import FoundationEssentials
import Limits
import SwiftASN1
import X509

/// A certificate of a node, read and checked.
struct NodeCertificate: Sendable {
    let der: [UInt8]
    let name: NodeName
    let role: NodeRole
    /// Hexadecimal, lower case.
    let serial: String
    let notBefore: Date
    let notAfter: Date
    let certificate: Certificate

    static let scheme = "martlet://node/"

    static func uri(_ role: NodeRole, _ name: NodeName) -> String { "\(scheme)\(role.word)/\(name)" }

    /// Reads what it says, and checks its dates; who issued it is not looked at.
    ///
    /// - Throws: `identity`.
    init(der: [UInt8], now: Date) throws(DistributionError) {
        guard der.count <= Limits.enrolmentCertificateBytesMax else {
            throw DistributionError(.identity, "a node's certificate of \(der.count) bytes is too large")
        }
        let parsed: Certificate
        let names: SubjectAlternativeNames?
        do {
            parsed = try Certificate(derEncoded: der)
            names = try parsed.extensions.subjectAlternativeNames
        } catch {
            throw DistributionError(.identity, "a node's certificate cannot be read: \(error)")
        }
        var found: (NodeRole, NodeName)?
        for case .uniformResourceIdentifier(let uri) in names ?? SubjectAlternativeNames([]) where found == nil {
            found = Self.identity(of: uri)
        }
        guard let (role, name) = found else {
            throw DistributionError(
                .identity, "the certificate is not a node's: expected a subjectAltName \(Self.scheme)<role>/<name>")
        }
        guard parsed.notValidBefore <= now, now < parsed.notValidAfter else {
            throw DistributionError(
                .identity,
                "the certificate of \(role.word) \(name) is valid from \(parsed.notValidBefore.formatted(.iso8601)) to "
                    + "\(parsed.notValidAfter.formatted(.iso8601)), and it is \(now.formatted(.iso8601)): check the clocks, "
                    + "or join again with a new token")
        }
        self.der = der
        self.name = name
        self.role = role
        serial = hexadecimal(parsed.serialNumber.bytes)
        notBefore = parsed.notValidBefore
        notAfter = parsed.notValidAfter
        certificate = parsed
    }

    /// The same, and checks that the authority issued it.
    init(der: [UInt8], issuedBy authority: Certificate, now: Date) throws(DistributionError) {
        try self.init(der: der, now: now)
        guard certificate.issuer == authority.subject, authority.notValidBefore <= now, now < authority.notValidAfter,
            (try? authority.extensions.basicConstraints)?.isAuthority == true,
            authority.publicKey.isValidSignature(certificate.signature, for: certificate)
        else {
            throw DistributionError(
                .identity, "the certificate of \(role.word) \(name) was not issued by this installation's authority")
        }
    }

    private static func identity(of uri: String) -> (NodeRole, NodeName)? {
        guard uri.hasPrefix(scheme) else { return nil }
        let parts = uri.dropFirst(scheme.count).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let role = NodeRole(word: parts[0]), let name = NodeName(String(parts[1])) else {
            return nil
        }
        return (role, name)
    }
}

extension BasicConstraints {
    var isAuthority: Bool {
        if case .isCertificateAuthority = self { true } else { false }
    }
}

/// Two digits a byte, lower case.
func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var out: [UInt8] = []
    for byte in bytes {
        out.append(digits[Int(byte >> 4)])
        out.append(digits[Int(byte & 15)])
    }
    return String(decoding: out, as: UTF8.self)
}
