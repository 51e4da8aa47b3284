// DNS names, Host values and field tokens as the configuration may hold them.

/// Checks and normalises names: lower case, no trailing dot.
enum HostName {
    private static let labelBytesMax = 63
    private static let nameBytesMax = 253

    /// A name of letter-digit-hyphen labels (RFC 1123, section 2.1). Origins may have underscores as well: container
    /// networks hand out such names.
    /// - Throws: `Misread` that says what is wrong with it.
    static func normalized(_ text: String, underscores: Bool = false) throws(Misread) -> String {
        if isNormal(text, underscores: underscores) { return text }
        let expected = "a host name such as www.example.test"
        var name = text.lowercased()
        if name.hasSuffix(".") { name.removeLast() }
        guard !name.isEmpty else { throw Misread(expected: expected) }
        guard name.utf8.count <= nameBytesMax else {
            throw Misread(expected: expected, help: "a name has at most \(nameBytesMax) bytes")
        }
        if name.contains("://") || name.contains("/") {
            throw Misread(expected: expected, help: "the name alone, without scheme and path")
        }
        if name.contains(":") { throw Misread(expected: expected, help: "the name alone, without a port") }
        if name.contains("*") {
            throw Misread(expected: expected, help: "a wildcard stands alone as the first label: *.example.test")
        }
        if !name.utf8.allSatisfy({ $0 < 0x80 }) {
            throw Misread(expected: expected, help: "write an international name in its ASCII form, xn--…")
        }
        for label in name.split(separator: ".", omittingEmptySubsequences: false) {
            try check(label: label, underscores: underscores, expected: expected)
        }
        return name
    }

    /// Whether a name needs no change: one pass over its bytes, for files with a million of them.
    private static func isNormal(_ name: String, underscores: Bool) -> Bool {
        var labelCount = 0
        var last = UInt8(ascii: ".")
        for byte in name.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): break
            case UInt8(ascii: "-"): if labelCount == 0 { return false }
            case UInt8(ascii: "_"): if !underscores { return false }
            case UInt8(ascii: "."): if labelCount == 0 || last == UInt8(ascii: "-") { return false }
            default: return false
            }
            labelCount = byte == UInt8(ascii: ".") ? 0 : labelCount + 1
            if labelCount > labelBytesMax { return false }
            last = byte
        }
        return labelCount > 0 && last != UInt8(ascii: "-") && name.utf8.count <= nameBytesMax
    }

    private static func check(label: Substring, underscores: Bool, expected: String) throws(Misread) {
        guard !label.isEmpty else { throw Misread(expected: expected, help: "two dots in a row, or a dot in front") }
        guard label.utf8.count <= labelBytesMax else {
            throw Misread(expected: expected, help: "a label has at most \(labelBytesMax) bytes")
        }
        guard !label.hasPrefix("-"), !label.hasSuffix("-") else {
            throw Misread(expected: expected, help: "a label neither begins nor ends with a hyphen")
        }
        let isFine = label.utf8.allSatisfy { byte in
            isLetterOrDigit(byte) || byte == UInt8(ascii: "-") || (underscores && byte == UInt8(ascii: "_"))
        }
        guard isFine else { throw Misread(expected: expected, help: "letters, digits, hyphens and dots") }
    }

    /// A name, `*.name` or `*`.
    static func pattern(_ text: String) throws(Misread) -> String {
        if text == "*" { return text }
        guard text.hasPrefix("*.") else { return try normalized(text) }
        return try "*." + normalized(String(text.dropFirst(2)))
    }

    /// A Host value: a name or IP literal, with or without a port (RFC 9110, section 7.2). Kept as written.
    static func hostField(_ text: String) throws(Misread) -> String {
        var host = text[...]
        if let colon = text.lastIndex(of: ":"), !text.hasSuffix("]") {
            guard let port = SocketAddressText.port(text[text.index(after: colon)...]), port > 0 else {
                throw Misread(expected: "a Host value such as www.example.test or www.example.test:8080")
            }
            host = text[..<colon]
        }
        if host.hasPrefix("["), host.hasSuffix("]") {
            guard AddressBits(String(host.dropFirst().dropLast()))?.isIPv4 == false else {
                throw Misread(expected: "an IPv6 address between the brackets")
            }
        } else {
            _ = try normalized(String(host), underscores: true)
        }
        return text
    }

    /// A token (RFC 9110, section 5.6.2): what field names and cookie names (RFC 6265, section 4.1.1) are made of.
    static func isToken(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 256
            && text.utf8.allSatisfy { isLetterOrDigit($0) || "!#$%&'*+-.^_`|~".utf8.contains($0) }
    }

    static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        default: Quantity.isDigit(byte)
        }
    }
}
