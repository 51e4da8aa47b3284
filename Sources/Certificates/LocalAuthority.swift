import ConfigModel
import Crypto
package import FoundationEssentials
import Limits
import SwiftASN1
import X509

/// Martlet's own certificate authority, for zones without a certificate of their own: made on first start, kept for
/// ten years, trusted by whoever installs `ca.pem`.
///
///     <data>/ca/ca.pem                0644   what clients are given to trust
///     <data>/ca/ca.key                0600   never leaves this machine
///     <data>/certificates/<zone>.pem  0644   leaf
///     <data>/certificates/<zone>.key  0600
///
/// Both directories are 0700. A lock file in each keeps two processes that start at once from making two of a thing.
/// The key is written before its certificate: whoever sees the certificate finds the key.
package struct LocalAuthority: Sendable {
    let certificate: Certificate
    let key: Certificate.PrivateKey
    /// The file to give to clients, `<data>/ca/ca.pem`.
    package let certificatePath: String
    private let leafDirectory: String

    private static let authorityDays = 3650.0
    /// Clocks of clients run late; a certificate is valid from a little before it was made.
    private static let skewSeconds = 3600.0
    static let secondsPerDay = 86_400.0

    /// Opens the authority under a data directory, and makes it if it is not there.
    ///
    /// - Throws: a file error, or what is wrong with the files found. A damaged authority is never replaced, since
    ///   clients trust the old one.
    package static func open(data: String, now: Date = Date()) throws(CertificateError) -> LocalAuthority {
        let directory = data + "/ca"
        try DiskFile.makeDirectory(directory, mode: 0o700)
        try DiskFile.makeDirectory(data + "/certificates", mode: 0o700)
        let authority = try DirectoryLock.hold(directory) { () throws(CertificateError) in
            try openLocked(data: data, directory: directory, now: now)
        }
        guard authority.certificate.notValidAfter > now else {
            throw CertificateError(
                .authority, path: authority.certificatePath,
                "the local authority expired on \(authority.certificate.notValidAfter.formatted(.iso8601)): "
                    + "remove ca.pem and ca.key to make another"
            )
        }
        return authority
    }

    private static func openLocked(
        data: String, directory: String, now: Date
    ) throws(CertificateError) -> LocalAuthority {
        let path = directory + "/ca.pem"
        let keyPath = directory + "/ca.key"
        let bytesMax = Limits.certificateFileBytesMax
        switch (
            try DiskFile.readIfPresent(path, bytesMax: bytesMax),
            try DiskFile.readIfPresent(keyPath, bytesMax: bytesMax)
        ) {
        case (let certificate?, let key?):
            return try parse(certificate, key, data: data, path: path, keyPath: keyPath)
        case (.some, nil):
            throw CertificateError(
                .authority, path: keyPath, "expected the key of \(path), found none: restore it, or remove both files"
            )
        case (nil, let key?):
            // A start was cut off between the two files, and nobody can trust the certificate yet.
            let parsed = try parseKey(key, keyPath)
            return try make(key: parsed, data: data, path: path, now: now)
        case (nil, nil):
            let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
            try DiskFile.write(try pem(key, keyPath), to: keyPath, mode: 0o600)
            return try make(key: key, data: data, path: path, now: now)
        }
    }

    private init(certificate: Certificate, key: Certificate.PrivateKey, data: String, path: String) {
        self.certificate = certificate
        self.key = key
        certificatePath = path
        leafDirectory = data + "/certificates"
    }

    private static func make(
        key: Certificate.PrivateKey, data: String, path: String, now: Date
    ) throws(CertificateError) -> LocalAuthority {
        do {
            let identifier = SubjectKeyIdentifier(hash: key.publicKey)
            // Two authorities in one trust store are told apart by a piece of their keys.
            let mark = identifier.keyIdentifier.prefix(4).map { format($0) }.joined()
            let name = try DistinguishedName {
                CommonName("Martlet local authority \(mark)")
                OrganizationName("Martlet")
            }
            let certificate = try Certificate(
                version: .v3,
                serialNumber: .init(),
                publicKey: key.publicKey,
                notValidBefore: now.addingTimeInterval(-secondsPerDay),
                notValidAfter: now.addingTimeInterval(authorityDays * secondsPerDay),
                issuer: name,
                subject: name,
                signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                    Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                    identifier
                },
                issuerPrivateKey: key
            )
            try DiskFile.write(try pem(certificate), to: path, mode: 0o644)
            return LocalAuthority(certificate: certificate, key: key, data: data, path: path)
        } catch let error as CertificateError {
            throw error
        } catch {
            throw CertificateError(.authority, path: path, "the local authority cannot be made: \(error)")
        }
    }

    private static func format(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16)
        return digits.count == 1 ? "0" + digits : digits
    }

    private static func parse(
        _ certificate: [UInt8], _ key: [UInt8], data: String, path: String, keyPath: String
    ) throws(CertificateError) -> LocalAuthority {
        let parsedKey = try parseKey(key, keyPath)
        let parsed: Certificate
        do {
            parsed = try Certificate(pemEncoded: String(decoding: certificate, as: UTF8.self))
        } catch {
            throw CertificateError(.authority, path: path, "the local authority's certificate is damaged: \(error)")
        }
        guard parsed.publicKey == parsedKey.publicKey else {
            throw CertificateError(.authority, path: keyPath, "expected the key of \(path), found another")
        }
        return LocalAuthority(certificate: parsed, key: parsedKey, data: data, path: path)
    }

    private static func parseKey(_ key: [UInt8], _ path: String) throws(CertificateError) -> Certificate.PrivateKey {
        do {
            return try Certificate.PrivateKey(pemEncoded: String(decoding: key, as: UTF8.self))
        } catch {
            throw CertificateError(.authority, path: path, "the local authority's key is damaged")
        }
    }

    private static func pem(_ key: Certificate.PrivateKey, _ path: String) throws(CertificateError) -> [UInt8] {
        do {
            return Array((try key.serializeAsPEM().pemString + "\n").utf8)
        } catch {
            throw CertificateError(.authority, path: path, "a new key cannot be encoded")
        }
    }

    private static func pem(_ certificate: Certificate) throws -> [UInt8] {
        Array((try certificate.serializeAsPEM().pemString + "\n").utf8)
    }
}

// MARK: Leaves

extension LocalAuthority {
    private static let leafDays = 90.0

    /// The moment from which a leaf is to be replaced: when less than a third of its life is left.
    static func renewal(notBefore: Date, notAfter: Date) -> Date {
        notAfter.addingTimeInterval(-notAfter.timeIntervalSince(notBefore) / 3)
    }

    /// The certificate of a zone: the one on the disk if it is still good, else a new one. Blocks on the disk.
    package func leaf(
        zone: String, hostnames: [String], now: Date = Date()
    ) throws(CertificateError) -> LoadedCertificate {
        let base = leafDirectory + "/" + Self.fileName(zone)
        let files = (certificate: base + ".pem", key: base + ".key")
        let names = CoveredNames.names(for: hostnames)
        if let leaf = kept(files, names, now) { return leaf }
        return try DirectoryLock.hold(leafDirectory) { () throws(CertificateError) in
            // Another process may have made it meanwhile.
            if let leaf = kept(files, names, now) { return leaf }
            let bytes = try issue(names, now: now, path: files.certificate)
            try DiskFile.write(bytes.key, to: files.key, mode: 0o600)
            try DiskFile.write(bytes.certificate, to: files.certificate, mode: 0o644)
            return try LoadedCertificate.parse(
                certificate: bytes.certificate, key: bytes.key, .init(certificate: files.certificate, key: files.key)
            )
        }
    }

    /// A zone's name as a file name. A name that is no DNS name, `*` above all, gets one that no DNS name can have.
    static func fileName(_ zone: String) -> String {
        let isPlain = zone.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "."): true
            default: false
            }
        }
        if isPlain, let first = zone.utf8.first, first != UInt8(ascii: "."), zone.utf8.count <= 200 { return zone }
        return zone == "*" ? "_any" : "_" + SHA256.hash(data: Array(zone.utf8)).prefix(16).map(Self.format).joined()
    }

    /// What is on the disk, if it is of this authority, for these names, and young enough. Anything else is made anew,
    /// a damaged file included: nothing depends on a leaf.
    private func kept(
        _ files: (certificate: String, key: String), _ names: [GeneralName], _ now: Date
    ) -> LoadedCertificate? {
        do {
            let files = Zone.CertificateFiles(certificate: files.certificate, key: files.key)
            let bytes = try DiskFile.read(files.certificate, bytesMax: Limits.certificateFileBytesMax)
            let leaf = try LoadedCertificate.load(files)
            let parsed = try Certificate(pemEncoded: String(decoding: bytes, as: UTF8.self))
            guard certificate.publicKey.isValidSignature(parsed.signature, for: parsed),
                parsed.issuer == certificate.subject, Set(leaf.names) == Set(names),
                leaf.notBefore <= now, now < Self.renewal(notBefore: leaf.notBefore, notAfter: leaf.notAfter)
            else { return nil }
            return leaf
        } catch {
            return nil
        }
    }

    private func issue(
        _ names: [GeneralName], now: Date, path: String
    ) throws(CertificateError) -> (certificate: [UInt8], key: [UInt8]) {
        do {
            let leafKey = Certificate.PrivateKey(P256.Signing.PrivateKey())
            let notAfter = min(now.addingTimeInterval(Self.leafDays * Self.secondsPerDay), certificate.notValidAfter)
            let leaf = try Certificate(
                version: .v3,
                serialNumber: .init(),
                publicKey: leafKey.publicKey,
                notValidBefore: max(now.addingTimeInterval(-Self.skewSeconds), certificate.notValidBefore),
                notValidAfter: notAfter,
                issuer: certificate.subject,
                subject: try Self.subject(names),
                signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.notCertificateAuthority)
                    Critical(KeyUsage(digitalSignature: true))
                    try ExtendedKeyUsage([.serverAuth])
                    SubjectAlternativeNames(names)
                    SubjectKeyIdentifier(hash: leafKey.publicKey)
                    AuthorityKeyIdentifier(
                        keyIdentifier: SubjectKeyIdentifier(hash: certificate.publicKey).keyIdentifier
                    )
                },
                issuerPrivateKey: key
            )
            return (try Self.pem(leaf), try Self.pem(leafKey, path))
        } catch let error as CertificateError {
            throw error
        } catch {
            throw CertificateError(.authority, path: path, "a certificate cannot be issued: \(error)")
        }
    }

    /// A common name has at most 64 characters (RFC 5280, appendix A.1) and is for eyes only; the names that count
    /// are in subjectAltName.
    private static func subject(_ names: [GeneralName]) throws -> DistinguishedName {
        for name in names {
            if case .dnsName(let text) = name, text.utf8.count <= 64 {
                return try DistinguishedName { CommonName(text) }
            }
        }
        return try DistinguishedName { CommonName("Martlet") }
    }
}
