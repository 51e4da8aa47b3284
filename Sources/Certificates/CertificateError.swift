/// Why a certificate, a key or the local authority cannot be used. Always the operator's side; nothing here may be
/// shown to a client.
package struct CertificateError: Error, Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        /// A file cannot be read or written, or is too large.
        case file
        /// No PEM document of the kind looked for, or one that is damaged.
        case notPEM
        /// A certificate that does not parse.
        case badCertificate
        /// A private key that does not parse, or is of a kind that no client takes.
        case badKey
        /// A key under a pass phrase.
        case encryptedKey
        /// The key belongs to another certificate.
        case keyMismatch
        /// The certificates do not lead from the leaf to its issuers.
        case chainOrder
        /// The local authority is incomplete, damaged or expired.
        case authority
        /// The TLS engine refuses what passed all checks.
        case engine
    }

    package let kind: Kind
    /// The zone's name, where there is one.
    package let zone: String?
    /// The file at fault, where there is one.
    package let path: String?
    /// What was expected and what was found, without a final stop.
    package let text: String

    package init(_ kind: Kind, zone: String? = nil, path: String? = nil, _ text: String) {
        self.kind = kind
        self.zone = zone
        self.path = path
        self.text = text
    }

    /// The same error, said of a zone.
    func of(zone: String) -> CertificateError {
        CertificateError(kind, zone: zone, path: path, text)
    }
}

extension CertificateError: CustomStringConvertible {
    package var description: String {
        let whose = zone.map { "zone \($0): " } ?? ""
        let place = path.map { "\($0): " } ?? ""
        return whose + place + text
    }
}
