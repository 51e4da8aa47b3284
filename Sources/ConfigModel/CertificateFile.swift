// Whether certificate and key files can be used, as far as that can be told without parsing ASN.1. Their contents
// never reach a message.

import Limits

/// A PEM file and what it should hold.
struct CertificateFile: Hashable {
    enum Content: Hashable { case certificate, key }

    enum Verdict: Equatable {
        case fine
        /// Completes "expected …, found …".
        case bad(expected: String, found: String, help: String?)
        case readableByAll
    }

    let path: String
    let content: Content

    /// Opens the file and looks at its PEM labels (RFC 7468).
    func verdict() -> Verdict {
        let bytes: [UInt8]
        do {
            bytes = try BoundedFile.read(path, bytesMax: Limits.certificateFileBytesMax)
        } catch {
            return .bad(expected: "a readable file", found: error.text, help: "looked for \(path)")
        }
        let text = String(decoding: bytes, as: UTF8.self)
        let labels = CertificateFile.labels(text)
        let hasCertificate = labels.contains("CERTIFICATE")
        let hasKey = labels.contains { $0.hasSuffix("PRIVATE KEY") }
        switch content {
        case .certificate:
            guard !hasCertificate else { return .fine }
            let help = hasKey ? "it holds a private key; are certificate and key swapped?" : CertificateFile.derHelp
            return .bad(expected: "a PEM certificate", found: "a file without one", help: help)
        case .key:
            guard hasKey else {
                let help = hasCertificate ? "it holds a certificate; are the two swapped?" : CertificateFile.derHelp
                return .bad(expected: "a PEM private key", found: "a file without one", help: help)
            }
            if labels.contains("ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
                let help = "decrypt it: openssl pkey -in KEY -out PLAIN, then chmod 600 PLAIN"
                return .bad(expected: "a private key without a passphrase", found: "an encrypted one", help: help)
            }
            return BoundedFile.isReadableByAll(path) ? .readableByAll : .fine
        }
    }

    private static let derHelp = "PEM begins with -----BEGIN; convert DER with openssl"

    private static func labels(_ text: String) -> [Substring] {
        let begin = "-----BEGIN "
        return text.split(whereSeparator: \.isNewline).compactMap { line in
            guard line.hasPrefix(begin), let end = line.dropFirst(begin.count).firstIndex(of: "-") else { return nil }
            return line[line.index(line.startIndex, offsetBy: begin.count)..<end]
        }
    }
}

extension ConfigurationReader {
    /// Looks at a certificate or key once, and says what is wrong wherever it is named.
    mutating func checkFile(_ path: String, _ content: CertificateFile.Content, _ slot: Slot) {
        guard files == .onDisk else { return }
        let file = CertificateFile(path: path, content: content)
        let known = certificateChecks[file]
        let verdict = known ?? file.verdict()
        certificateChecks[file] = verdict
        switch verdict {
        case .fine:
            break
        case .bad(let expected, let found, let help):
            report(slot.place, "expected \(expected) for \(slot.label), found: \(found)", help: help)
        case .readableByAll:
            // Once for each file, however many zones share it.
            guard known == nil else { return }
            warn(slot.place, "every user of this machine can read the private key", help: "chmod 600 \(path)")
        }
    }
}
