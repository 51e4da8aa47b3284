package import JSON

/// Certificates of a zone, for people.
package enum CertificateViews {
    package static func table(_ certificates: [JSONValue]) -> TextTable {
        var table = TextTable([
            .left("hosts"), .left("status"), .left("issuer"), .left("expires"), .whole("id"),
        ])
        for certificate in certificates {
            let hosts = (certificate["hosts"]?.array ?? []).compactMap(\.string)
            table.add([
                hosts.joined(separator: ", "), certificate.text("status"), certificate.text("issuer"),
                ScreenText.time(certificate.text("expires_on")), certificate.text("id"),
            ])
        }
        return table
    }
}
