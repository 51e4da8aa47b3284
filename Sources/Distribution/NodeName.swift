package import ConfigLog
import Limits

/// A node's name: what its certificate is for, and what operators call it. A DNS label in lower case.
package struct NodeName: Sendable, Hashable, CustomStringConvertible {
    package let text: String
    package var description: String { text }

    /// Nil unless it is 1 to 63 of a–z, 0–9 and `-`, with no `-` at either end (RFC 1035, section 2.3.1).
    package init?(_ text: String) {
        guard 1...Limits.nodeNameBytesMax ~= text.utf8.count, text.utf8.first != UInt8(ascii: "-"),
            text.utf8.last != UInt8(ascii: "-")
        else { return nil }
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): break
            default: return nil
            }
        }
        self.text = text
    }

    /// What a name must look like, for errors.
    package static let rule = "1 to 63 of a-z, 0-9 and -, with a letter or digit at both ends"
}

extension NodeRole {
    /// The role as people and certificates have it: `root`, `relay` or `edge`.
    package var word: String {
        switch self {
        case .root: "root"
        case .relay: "relay"
        case .leaf: "edge"
        }
    }

    package init?(word: some StringProtocol) {
        switch word {
        case "root": self = .root
        case "relay": self = .relay
        case "edge": self = .leaf
        default: return nil
        }
    }
}
