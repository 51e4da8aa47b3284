import ArgumentParser
import JSON
import Limits
import Operator

/// `martlet cert`
struct CertificateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cert", abstract: "Certificates of a zone: list, upload, delete.",
        subcommands: [List.self, Upload.self, Delete.self])

    private static func path(_ zone: ZoneReference) -> String { zone.path("/custom_certificates") }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List certificates.")
        @Argument(help: "The zone's name or identifier.") var zone: String
        @OptionGroup var api: APIOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await api.run { client in
                let certificates = try await client.list(CertificateCommand.path(try await client.zone(zone)))
                output.show(
                    .array(certificates), CertificateViews.table(certificates), empty: "There are no certificates.")
            }
        }
    }

    struct Upload: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Bring a certificate and its private key, or put them in the place of another.",
            discussion: "  martlet cert upload example.com --certificate chain.pem --key key.pem")
        @Argument(help: "The zone's name or identifier.") var zone: String
        @Option(help: ArgumentHelp("PEM, the leaf first, then what issued it.", valueName: "file"))
        var certificate: String
        @Option(help: ArgumentHelp("PEM; kept sealed, and never shown again.", valueName: "file")) var key: String
        @Option(help: ArgumentHelp("The certificate that this one takes the place of.", valueName: "id"))
        var replace: String?
        @OptionGroup var api: APIOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await api.run { client in
                let body: JSONValue = [
                    "certificate": .string(
                        try InputFile.text(certificate, bytesMax: Limits.apiCertificateBytesMax)),
                    "private_key": .string(try InputFile.text(key, bytesMax: Limits.apiCertificateBytesMax)),
                ]
                let root = CertificateCommand.path(try await client.zone(zone))
                let result =
                    if let replace {
                        try await client.result("PATCH", "\(root)/\(PercentText.encoded(replace))", body: .json(body))
                    } else {
                        try await client.result("POST", root, body: .json(body))
                    }
                let hosts = (result["hosts"]?.array ?? []).compactMap(\.string).joined(separator: ", ")
                output.show(
                    result,
                    ScreenText.plain(
                        "\(replace == nil ? "uploaded" : "replaced") \(result.text("id")) for \(hosts), "
                            + "valid until \(ScreenText.time(result.text("expires_on")))"))
            }
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Delete a certificate; asks first.")
        @Argument(help: "The zone's name or identifier.") var zone: String
        @Argument(help: "The certificate's identifier.") var certificate: String
        @OptionGroup var caution: CautionOptions
        @OptionGroup var api: APIOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await api.run { client in
                let zone = try await client.zone(zone)
                let path = "\(CertificateCommand.path(zone))/\(PercentText.encoded(certificate))"
                let shown = try await client.result("GET", path)
                let hosts = (shown["hosts"]?.array ?? []).compactMap(\.string).joined(separator: ", ")
                guard try caution.allows("delete the certificate \(certificate) of \(hosts)") else { return }
                let result = try await client.result("DELETE", path)
                output.show(result, ScreenText.plain("deleted \(certificate)"))
            }
        }
    }
}
