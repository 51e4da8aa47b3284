internal import Limits

/// Scopes as operators write them. A scheme in front is accepted and does not count; a fragment is left out.
extension PurgeScope {
    /// `www.example.test`, or with a port; nil if it names no host.
    package static func host(parsing text: String) -> PurgeScope? {
        guard let (host, rest) = split(text), rest.isEmpty || rest.elementsEqual("/".utf8) else { return nil }
        return .host(host)
    }

    /// `www.example.test/images`: a host, and what the path begins with. Blanks and bytes beyond ASCII are
    /// percent-encoded, as clients send them. nil if it names no host, or is too long.
    package static func prefix(parsing text: String) -> PurgeScope? {
        guard let (host, rest) = split(text) else { return nil }
        guard !rest.isEmpty else { return .prefix(host, path: Array("/".utf8)) }
        guard rest.first == UInt8(ascii: "/") else { return nil }
        var path: [UInt8] = []
        for byte in rest {
            guard byte >= 0x20, byte != 0x7F, path.count < Limits.cachePurgePrefixBytesMax else { return nil }
            if byte == UInt8(ascii: "#") { break }
            if byte > 0x20, byte < 0x80 {
                path.append(byte)
            } else {
                path.append(contentsOf: [UInt8(ascii: "%"), hexDigit(byte &>> 4), hexDigit(byte & 0xF)])
            }
        }
        return .prefix(host, path: path)
    }

    /// The host, and what follows it.
    private static func split(_ text: String) -> (PurgeHost, ArraySlice<UInt8>)? {
        var bytes = Array(text.utf8)[...]
        for scheme in ["http://", "https://"] where bytes.count >= scheme.utf8.count {
            if bytes.prefix(scheme.utf8.count).map(lowercased) == Array(scheme.utf8) {
                bytes = bytes.dropFirst(scheme.utf8.count)
                break
            }
        }
        let end = bytes.firstIndex { "/?#".utf8.contains($0) } ?? bytes.endIndex
        guard let host = authority(bytes[..<end]) else { return nil }
        return (host, bytes[end...])
    }

    /// RFC 3986, section 3.2, without user information.
    private static func authority(_ bytes: ArraySlice<UInt8>) -> PurgeHost? {
        var name = bytes
        var port: [UInt8]?
        let portSearch = bytes.lastIndex(of: UInt8(ascii: "]")).map { bytes[$0...] } ?? bytes
        if let colon = portSearch.lastIndex(of: UInt8(ascii: ":")) {
            guard let number = UInt16(String(decoding: bytes[(colon &+ 1)...], as: UTF8.self)), number > 0 else {
                return nil
            }
            port = Array(String(number).utf8)
            name = bytes[..<colon]
        }
        if name.last == UInt8(ascii: ".") { name = name.dropLast() }
        guard !name.isEmpty, name.count <= Limits.hostBytesMax else { return nil }
        let isLiteral = name.first == UInt8(ascii: "[") && name.last == UInt8(ascii: "]")
        for byte in name {
            guard byte > 0x20, byte < 0x7F, byte != UInt8(ascii: "@") else { return nil }
            guard isLiteral || !":[]".utf8.contains(byte) else { return nil }
        }
        return PurgeHost(name: name.map(lowercased), port: port)
    }

    private static func lowercased(_ byte: UInt8) -> UInt8 {
        byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") &+ value : UInt8(ascii: "A") &+ value &- 10
    }
}
