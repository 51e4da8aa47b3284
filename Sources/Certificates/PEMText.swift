import SwiftASN1

/// The documents of a PEM file (RFC 7468), taken out of whatever text stands around them.
///
/// Certificate files come with `openssl x509 -text` output, "Bag Attributes" and Windows line ends; a strict reader
/// of the whole file would refuse what every other server takes.
struct PEMText {
    struct Block {
        /// What stands behind BEGIN: `CERTIFICATE`, `EC PRIVATE KEY`.
        let label: String
        /// The block with its first and last line, ending in line feeds only.
        let text: String

        /// Whether the block is a key under a pass phrase (PKCS#8, or the headers of RFC 1421).
        var isEncrypted: Bool { label == "ENCRYPTED PRIVATE KEY" || text.contains("Proc-Type: 4,ENCRYPTED") }

        func document() throws -> PEMDocument { try PEMDocument(pemString: text) }
    }

    let blocks: [Block]

    init(_ bytes: [UInt8]) {
        var blocks: [Block] = []
        var label: String?
        var lines: [Substring] = []
        let text = String(decoding: bytes, as: UTF8.self)
        for line in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline) {
            if let opened = Self.label(line, "-----BEGIN ") {
                label = opened
                lines = [line]
            } else if let current = label {
                lines.append(line)
                if Self.label(line, "-----END ") == current {
                    blocks.append(Block(label: current, text: lines.joined(separator: "\n") + "\n"))
                    label = nil
                }
            }
        }
        self.blocks = blocks
    }

    private static func label(_ line: Substring, _ opening: String) -> String? {
        var line = line
        while line.last?.isWhitespace == true { line.removeLast() }
        guard line.hasPrefix(opening), line.hasSuffix("-----"), line.count > opening.count + 5 else { return nil }
        return String(line.dropFirst(opening.count).dropLast(5))
    }
}
