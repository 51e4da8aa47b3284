// What may stand in an origin, for those that do not come from martlet.yaml: the file's own rules. All of it reaches the
// origin's socket as it stands, so none of it may hold a line feed or a blank.

import Limits

extension Origin {
    /// Whether it is a Host value (RFC 9110, section 7.2).
    package static func isHostValue(_ text: String) -> Bool { (try? HostName.hostField(text)) != nil }

    /// Whether it is what an origin is reached by: a DNS name or an IP address without brackets.
    package static func isAddress(_ text: String) -> Bool {
        AddressBits(text) != nil || (try? HostName.normalized(text, underscores: true)) != nil
    }
}

extension Origin.Health {
    /// Whether it is the path, perhaps with a query, of a URL (RFC 3986, sections 3.3 and 3.4): visible ASCII.
    package static func isPath(_ text: String) -> Bool {
        text.hasPrefix("/") && text.utf8.count <= 2048
            && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "#") }
    }
}
