/// Something about a zone's certificate that does not keep it from being served, but that somebody should see to.
package struct CertificateWarning: Sendable, Hashable, CustomStringConvertible {
    package let zone: String
    /// The certificate's file.
    package let path: String
    package let text: String

    package var description: String { "zone \(zone): \(path): \(text)" }
}
