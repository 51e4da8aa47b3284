import Limits

/// What is to be purged: at least one scope, checked and in one spelling. Any object that one of them covers goes.
package struct CachePurge: Sendable, Equatable {
    /// In lower case. nil: URLs, hosts and prefixes find their zone by their host; tags and `everything` are about every
    /// zone.
    package var zone: String?
    /// Absolute `http` and `https` URLs without user and fragment, beyond ASCII percent-encoded, otherwise as given:
    /// every variant, whatever the zone adds to its keys.
    package var files: [String] = []
    /// Host names in lower case, an IPv6 address in brackets; with a port, that one alone is meant. Every scheme.
    package var hosts: [String] = []
    /// `host/path…`, the host in lower case, with its port if one was given, and the path raw. Every scheme.
    package var prefixes: [String] = []
    /// Tags of Cache-Tag, in any case.
    package var tags: [String] = []
    /// Then no other scope is given.
    package var everything = false
    /// Marks stale instead of removing.
    package var isSoft = false
    /// Counts what it would be, and changes nothing.
    package var isDryRun = false

    package init() {}

    /// The same, checked and in one spelling.
    ///
    /// - Throws: `.badRequest` or `.badURL`.
    package func checked() throws(CacheProblem) -> CachePurge {
        var purge = self
        let itemCount = files.count + hosts.count + prefixes.count + tags.count
        guard itemCount > 0 || everything else {
            throw .badRequest("expected \"files\", \"hosts\", \"prefixes\", \"tags\" or \"everything\", found none")
        }
        guard itemCount == 0 || !everything else {
            throw .badRequest("expected \"everything\" alone, found it beside others")
        }
        guard itemCount <= Limits.cachePurgeItemsMax else {
            throw .badRequest("expected at most \(Limits.cachePurgeItemsMax) items, found \(itemCount)")
        }
        purge.zone = try zone.map { name throws(CacheProblem) in try PurgeText.zone(name) }
        purge.files = try files.map { text throws(CacheProblem) in try PurgeText.url(text) }
        purge.hosts = try hosts.map { text throws(CacheProblem) in try PurgeText.host(text) }
        purge.prefixes = try prefixes.map { text throws(CacheProblem) in try PurgeText.prefix(text) }
        purge.tags = try tags.map { text throws(CacheProblem) in try PurgeText.tag(text) }
        return purge
    }
}

/// How the texts of a purge are spelled.
enum PurgeText {
    /// Longest URL: what a request line could hold.
    static let urlBytesMax = Limits.requestLineBytesRange.upperBound

    static func zone(_ text: String) throws(CacheProblem) -> String {
        guard isVisible(text), (1...Limits.hostBytesMax).contains(text.utf8.count) else {
            throw .badRequest("expected the name of a zone, found \"\(shown(text))\"")
        }
        return text.lowercased()
    }

    /// `http://` or `https://`, an authority without a user, and no fragment: a client never sends one.
    static func url(_ written: String) throws(CacheProblem) -> String {
        let text = encoded(written)
        guard isVisible(text), text.utf8.count <= urlBytesMax, let rest = withoutScheme(text), !text.contains("#")
        else {
            throw .badURL(shown(text))
        }
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        guard !authority.isEmpty, !authority.contains("@") else { throw .badURL(shown(text)) }
        return text
    }

    static func host(_ text: String) throws(CacheProblem) -> String {
        guard let authority = authority(text[...]) else {
            throw .badRequest(
                "expected a host such as www.example.test, without a scheme, found \"\(shown(text))\"")
        }
        return authority
    }

    /// A scheme in front is dropped: a prefix covers both.
    static func prefix(_ written: String) throws(CacheProblem) -> String {
        let text = encoded(written)
        let rest = withoutScheme(text) ?? text[...]
        let host = rest.prefix { $0 != "/" }
        guard isVisible(text), text.utf8.count <= urlBytesMax, !text.contains("#"), let authority = authority(host)
        else {
            throw .badRequest("expected a prefix such as www.example.test/blog/, found \"\(shown(text))\"")
        }
        let path = rest.dropFirst(host.count)
        return authority + (path.isEmpty ? "/" : path)
    }

    /// A host and perhaps a port, in lower case and without the dot that a host may end in; nil if it is none.
    private static func authority(_ text: Substring) -> String? {
        var host = text
        var port: Substring = ""
        if let colon = text.lastIndex(of: ":"), !text.hasSuffix("]") {
            host = text[..<colon]
            port = text[colon...]
            let digits = port.dropFirst()
            guard digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
                let number = UInt16(digits), number > 0
            else { return nil }
        }
        let isLiteral = host.hasPrefix("[") && host.hasSuffix("]")
        if host.hasSuffix(".") { host = host.dropLast() }
        guard isVisible(String(host)), (1...Limits.hostBytesMax).contains(host.utf8.count),
            !host.utf8.contains(where: { "/?#@\\*%".utf8.contains($0) }),
            isLiteral || !host.utf8.contains(where: { ":[]".utf8.contains($0) })
        else { return nil }
        return host.lowercased() + port
    }

    static func tag(_ text: String) throws(CacheProblem) -> String {
        guard isVisible(text), !text.contains(","), (1...Limits.cacheTagBytesMax).contains(text.utf8.count) else {
            throw .badRequest(
                "expected a tag of visible ASCII without commas, at most \(Limits.cacheTagBytesMax) bytes, "
                    + "found \"\(shown(text))\"")
        }
        return text
    }

    private static func withoutScheme(_ text: String) -> Substring? {
        for scheme in ["http://", "https://"] where text.prefix(scheme.count).lowercased() == scheme {
            return text.dropFirst(scheme.count)
        }
        return nil
    }

    /// Bytes beyond ASCII percent-encoded, as clients send them (RFC 3986, section 2.5).
    private static func encoded(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 >= 0x80 }) else { return text }
        var out = ""
        for scalar in text.unicodeScalars {
            if scalar.isASCII {
                out.unicodeScalars.append(scalar)
            } else {
                for byte in String(scalar).utf8 { out += "%" + String(byte, radix: 16, uppercase: true) }
            }
        }
        return out
    }

    /// Whether a text is visible ASCII: what can stand in a key. Empty is.
    private static func isVisible(_ text: String) -> Bool { text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } }

    /// A text as it may stand in an answer: short, and without what a terminal would obey.
    static func shown(_ text: String) -> String {
        let scalars = text.unicodeScalars.prefix(200).map { scalar in
            scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value) ? "?" : Character(scalar)
        }
        return String(scalars) + (text.unicodeScalars.count > 200 ? "…" : "")
    }
}

/// What a purge did, or would do.
package struct CachePurgeAnswer: Sendable, Equatable {
    /// Responses removed or marked; one that is both in memory and on the disk counts once.
    package var objects: Int
    package var memoryObjects: Int
    package var diskObjects: Int
    /// The zones it was about.
    package var zones: [String]

    package init(objects: Int = 0, memoryObjects: Int = 0, diskObjects: Int = 0, zones: [String] = []) {
        self.objects = objects
        self.memoryObjects = memoryObjects
        self.diskObjects = diskObjects
        self.zones = zones
    }
}
