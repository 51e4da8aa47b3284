package import HTTPWire

/// The content codings that a client takes, of those that origins speak (RFC 9110, section 12.5.3).
///
/// Clients write Accept-Encoding in hundreds of ways that mean the same; each would be a variant of its own. Weights are
/// only told apart from zero: which of the codings that a client takes it gets is the origin's choice, and no client is
/// harmed by it. The origin gets `acceptEncoding` instead of the client's words, so that what a variant is stored for is
/// what it was made for.
package struct ContentCodings: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let gzip = ContentCodings(rawValue: 1)
    package static let brotli = ContentCodings(rawValue: 2)
    package static let zstd = ContentCodings(rawValue: 4)
    /// No coding at all; taken unless it is refused.
    package static let identity = ContentCodings(rawValue: 8)

    /// What the request takes; nil if it has no Accept-Encoding, which is then not sent to the origin either.
    package init?(_ request: RequestHead, _ bytes: Span<UInt8>) {
        guard request.has(.acceptEncoding) else { return nil }
        var taken: ContentCodings = []
        var named: ContentCodings = []
        var takesOthers: Bool?
        for field in request.fields where field.known == .acceptEncoding {
            // What browsers say, word for word: most requests by far.
            if bytes.equals(field.value, "gzip, deflate, br, zstd") || bytes.equals(field.value, "gzip, deflate, br") {
                let browser: ContentCodings = field.value.count > 17 ? [.gzip, .brotli, .zstd] : [.gzip, .brotli]
                taken.formUnion(browser)
                named.formUnion(browser)
                continue
            }
            var members = ListMembers(field.value)
            while let member = members.next(in: bytes) {
                let (coding, isTaken) = Self.read(member, bytes)
                if bytes.equals(coding, "*") {
                    takesOthers = isTaken
                    continue
                }
                guard let coding = Self.identify(coding, bytes) else { continue }
                named.insert(coding)
                if isTaken {
                    taken.insert(coding)
                } else {
                    taken.remove(coding)
                }
            }
        }
        let all: ContentCodings = [.gzip, .brotli, .zstd, .identity]
        if takesOthers == true { taken.formUnion(all.subtracting(named)) }
        if takesOthers == nil, !named.contains(.identity) { taken.insert(.identity) }
        self = taken
    }

    /// One member's coding, and whether its weight is above zero. A weight that is no number refuses.
    private static func read(_ member: ByteRange, _ bytes: Span<UInt8>) -> (coding: ByteRange, isTaken: Bool) {
        let semicolon = bytes.firstIndex(of: UInt8(ascii: ";"), from: Int(member.start), limit: member.end)
        let coding = bytes.trimmingBlanks(ByteRange(from: Int(member.start), to: semicolon))
        guard semicolon < member.end else { return (coding, true) }
        let weight = bytes.trimmingBlanks(ByteRange(from: semicolon &+ 1, to: member.end))
        guard weight.count > 2, bytes.hasPrefixIgnoringCase(weight, "q=") else { return (coding, false) }
        var isAboveZero = false
        for index in Int(weight.start) &+ 2..<weight.end {
            switch bytes[index] {
            case UInt8(ascii: "1")...UInt8(ascii: "9"): isAboveZero = true
            case UInt8(ascii: "0"), UInt8(ascii: "."): break
            default: return (coding, false)
            }
        }
        return (coding, isAboveZero)
    }

    private static func identify(_ coding: ByteRange, _ bytes: Span<UInt8>) -> ContentCodings? {
        if bytes.equalsIgnoringCase(coding, "gzip") || bytes.equalsIgnoringCase(coding, "x-gzip") { return .gzip }
        if bytes.equalsIgnoringCase(coding, "br") { return .brotli }
        if bytes.equalsIgnoringCase(coding, "zstd") { return .zstd }
        if bytes.equalsIgnoringCase(coding, "identity") { return .identity }
        return nil
    }

    /// The value of Accept-Encoding that says this, the same text for the same set.
    package var acceptEncoding: StaticString {
        switch rawValue & 0xF {
        case 0: "identity;q=0"
        case 1: "gzip, identity;q=0"
        case 2: "br, identity;q=0"
        case 3: "br, gzip, identity;q=0"
        case 4: "zstd, identity;q=0"
        case 5: "zstd, gzip, identity;q=0"
        case 6: "zstd, br, identity;q=0"
        case 7: "zstd, br, gzip, identity;q=0"
        case 8: "identity"
        case 9: "gzip"
        case 10: "br"
        case 11: "br, gzip"
        case 12: "zstd"
        case 13: "zstd, gzip"
        case 14: "zstd, br"
        default: "zstd, br, gzip"
        }
    }
}
