package import ConfigModel
import Crypto
package import FoundationEssentials
import Limits
import NIOSSL
import SwiftASN1
import X509

/// A certificate chain and its key, read and checked: the key fits the leaf, each certificate is issued by the
/// next. Whether it is expired or lacks a name is a warning: an operator who serves it anyway has a reason, and
/// refusing would turn a browser's complaint into an outage.
package struct LoadedCertificate: Sendable {
    /// Leaf first.
    let chain: [NIOSSLCertificate]
    let key: NIOSSLPrivateKey
    /// The names of the leaf's subjectAltName extension.
    let names: [GeneralName]
    let notBefore: Date
    let notAfter: Date
    /// Of both files' bytes: equal digests mean that nothing changed.
    let digest: SHA256Digest

    private static let chainCountMax = 16

    /// Reads a zone's certificate and key.
    ///
    /// - Throws: what is wrong with either file, with its path.
    package static func load(_ files: Zone.CertificateFiles) throws(CertificateError) -> LoadedCertificate {
        let bytesMax = Limits.certificateFileBytesMax
        return try parse(
            certificate: try DiskFile.read(files.certificate, bytesMax: bytesMax),
            key: try DiskFile.read(files.key, bytesMax: bytesMax),
            files
        )
    }

    /// As `load`, of bytes already read. `files` only name the places of errors.
    static func parse(
        certificate: [UInt8], key: [UInt8], _ files: Zone.CertificateFiles
    ) throws(CertificateError) -> LoadedCertificate {
        let certificates = try certificateList(certificate, files.certificate)
        let (privateKey, engineKey) = try self.privateKey(key, files.key)
        guard let leaf = certificates.first else { throw CertificateError(.notPEM, "expected a certificate") }
        try checkKey(privateKey.publicKey, certificates.map(\.parsed), files)
        try checkOrder(certificates.map(\.parsed), files.certificate)
        var hash = SHA256()
        hash.update(data: certificate)
        hash.update(data: key)
        return LoadedCertificate(
            chain: certificates.map(\.engine),
            key: engineKey,
            names: Self.names(leaf.parsed),
            notBefore: leaf.parsed.notValidBefore,
            notAfter: leaf.parsed.notValidAfter,
            digest: hash.finalize()
        )
    }

    /// The names a certificate is for; an unreadable extension counts as none, and the check of names says so.
    static func names(_ certificate: Certificate) -> [GeneralName] {
        do {
            return try certificate.extensions.subjectAlternativeNames.map(Array.init) ?? []
        } catch {
            return []
        }
    }

    // MARK: Reading

    private static func certificateList(
        _ bytes: [UInt8], _ path: String
    ) throws(CertificateError) -> [(parsed: Certificate, engine: NIOSSLCertificate)] {
        let text = PEMText(bytes)
        let blocks = text.blocks.filter { $0.label == "CERTIFICATE" || $0.label == "X509 CERTIFICATE" }
        guard !blocks.isEmpty else {
            throw CertificateError(.notPEM, path: path, expected("a PEM certificate", bytes, text))
        }
        guard blocks.count <= chainCountMax else {
            throw CertificateError(
                .chainOrder, path: path, "expected at most \(chainCountMax) certificates, found \(blocks.count)"
            )
        }
        var list: [(parsed: Certificate, engine: NIOSSLCertificate)] = []
        for (index, block) in blocks.enumerated() {
            do {
                let der = try block.document().derBytes
                list.append((try Certificate(derEncoded: der), try NIOSSLCertificate(bytes: der, format: .der)))
            } catch {
                throw CertificateError(.badCertificate, path: path, "certificate \(index + 1) is damaged: \(error)")
            }
        }
        return list
    }

    private static func privateKey(
        _ bytes: [UInt8], _ path: String
    ) throws(CertificateError) -> (parsed: Certificate.PrivateKey, engine: NIOSSLPrivateKey) {
        let text = PEMText(bytes)
        guard let block = text.blocks.first(where: { $0.label.hasSuffix("PRIVATE KEY") }) else {
            throw CertificateError(.notPEM, path: path, expected("a PEM private key", bytes, text))
        }
        guard !block.isEncrypted else {
            throw CertificateError(
                .encryptedKey, path: path,
                "expected a key without a pass phrase, found an encrypted one; `openssl pkey` can decrypt it"
            )
        }
        do {
            let document = try block.document()
            return (
                try Certificate.PrivateKey(pemDocument: document),
                try NIOSSLPrivateKey(bytes: document.derBytes, format: .der)
            )
        } catch {
            // The library's text may quote the key's bytes: it is not passed on.
            throw CertificateError(
                .badKey, path: path,
                "expected an RSA (2048 bits or more), ECDSA (P-256, P-384, P-521) or Ed25519 key, "
                    + "found \(block.label) that is damaged or of another kind"
            )
        }
    }

    /// Says what a file holds instead of what it should.
    private static func expected(_ what: String, _ bytes: [UInt8], _ text: PEMText) -> String {
        if let label = text.blocks.first?.label { return "expected \(what), found \(label)" }
        if bytes.isEmpty { return "expected \(what), found an empty file" }
        if bytes.first == 0x30 { return "expected \(what), found what looks like DER; `openssl` can convert it" }
        return "expected \(what), found no PEM at all"
    }

    // MARK: Checking

    private static func checkKey(
        _ publicKey: Certificate.PublicKey, _ certificates: [Certificate], _ files: Zone.CertificateFiles
    ) throws(CertificateError) {
        guard let place = certificates.firstIndex(where: { $0.publicKey == publicKey }) else {
            throw CertificateError(
                .keyMismatch, path: files.key,
                "expected the key of the certificate in \(files.certificate), found another"
            )
        }
        guard place == 0 else {
            throw CertificateError(
                .chainOrder, path: files.certificate,
                "expected the certificate of the key first, found it in place \(place + 1)"
            )
        }
    }

    /// RFC 8446, section 4.4.2, lets a chain be in any order; clients before TLS 1.3 do not.
    private static func checkOrder(_ certificates: [Certificate], _ path: String) throws(CertificateError) {
        for (index, pair) in zip(certificates, certificates.dropFirst()).enumerated() {
            let (subject, issuer) = pair
            let isIssued =
                subject.issuer == issuer.subject
                && issuer.publicKey.isValidSignature(subject.signature, for: subject)
            guard isIssued else {
                throw CertificateError(
                    .chainOrder, path: path,
                    "expected in place \(index + 2) the issuer of the certificate before it, \(subject.issuer), "
                        + "found \(issuer.subject)"
                )
            }
        }
    }

    /// What an operator should know about this certificate as that of a zone with these hostnames.
    package func warnings(
        zone: String, path: String, hostnames: [String], now: Date = Date()
    ) -> [CertificateWarning] {
        var texts: [String] = []
        if notAfter < now { texts.append("expired on \(notAfter.formatted(.iso8601))") }
        if notBefore > now { texts.append("not valid before \(notBefore.formatted(.iso8601))") }
        let missing = hostnames.filter { $0 != "*" && !CoveredNames.covers(names, $0) }
        if !missing.isEmpty {
            let shown = missing.prefix(5).joined(separator: ", ") + (missing.count > 5 ? ", …" : "")
            texts.append("does not cover \(shown)")
        }
        return texts.map { CertificateWarning(zone: zone, path: path, text: $0) }
    }
}
