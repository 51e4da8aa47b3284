import Crypto

/// What a ClientHello says about the software that sent it, copied out of the connection's bytes: one allocation of
/// a few hundred bytes. The fingerprints are computed when asked for.
///
/// JA3 is Salesforce's; JA4 is FoxIO's TLS client fingerprint (not the rest of that family). GREASE values
/// (RFC 8701) count in neither.
package struct ClientHelloSummary: Sendable, Equatable {
    package let legacyVersion: UInt16
    /// See `ClientHello.maximumVersion`.
    package let maximumVersion: UInt16
    /// Whether a server_name extension was there.
    package let namesServer: Bool
    /// First and last character of the first application protocol as JA4 wants them, `00` without any.
    let protocolMark: [2 of UInt8]
    /// Cipher suites, extensions, groups, signature algorithms, point formats, one list behind the other.
    private let values: [UInt16]
    private let ends: [5 of UInt16]

    package var cipherSuites: ArraySlice<UInt16> { list(0) }
    package var extensions: ArraySlice<UInt16> { list(1) }
    package var groups: ArraySlice<UInt16> { list(2) }
    package var signatureAlgorithms: ArraySlice<UInt16> { list(3) }
    package var pointFormats: ArraySlice<UInt16> { list(4) }

    private func list(_ index: Int) -> ArraySlice<UInt16> {
        values[(index == 0 ? 0 : Int(ends[index - 1]))..<Int(ends[index])]
    }

    package static func == (one: Self, other: Self) -> Bool {
        one.legacyVersion == other.legacyVersion && one.maximumVersion == other.maximumVersion
            && one.namesServer == other.namesServer && one.protocolMark[0] == other.protocolMark[0]
            && one.protocolMark[1] == other.protocolMark[1] && one.values == other.values
            && (0..<5).allSatisfy { one.ends[$0] == other.ends[$0] }
    }

    init(_ hello: ClientHello, _ message: Span<UInt8>) {
        legacyVersion = hello.legacyVersion
        maximumVersion = hello.maximumVersion
        namesServer = hello.hasServerNameExtension
        protocolMark = Self.mark(hello, message)
        var values: [UInt16] = []
        values.reserveCapacity(
            Int(hello.ciphers.count) / 2 + hello.extensionCount + Int(hello.groups.count) / 2
                + Int(hello.signatures.count) / 2 + Int(hello.formats.count)
        )
        var ends: [5 of UInt16] = [0, 0, 0, 0, 0]
        let append = { (value: UInt16) in
            if !ClientHello.isGREASE(value) { values.append(value) }
        }
        // A hello has at most 16 KiB: the counts fit 16 bits.
        ClientHello.forEachPair(hello.ciphers, message, append)
        ends[0] = UInt16(truncatingIfNeeded: values.count)
        hello.forEachExtension(message, append)
        ends[1] = UInt16(truncatingIfNeeded: values.count)
        ClientHello.forEachPair(hello.groups, message, append)
        ends[2] = UInt16(truncatingIfNeeded: values.count)
        ClientHello.forEachPair(hello.signatures, message, append)
        ends[3] = UInt16(truncatingIfNeeded: values.count)
        if hello.formats.range.upperBound <= message.count {
            for index in hello.formats.range { values.append(UInt16(message[index])) }
        }
        ends[4] = UInt16(truncatingIfNeeded: values.count)
        self.values = values
        self.ends = ends
    }

    /// JA4, "ALPN Extension Value": the name's first and last byte, or, if either is not alphanumeric, the first and
    /// last digit of its hexadecimal form.
    private static func mark(_ hello: ClientHello, _ message: Span<UInt8>) -> [2 of UInt8] {
        let start = Int(hello.protocols.start)
        guard hello.protocols.count >= 2, start < message.count else { return [0x30, 0x30] }
        let last = start + Int(message[start])
        guard last > start, last < message.count else { return [0x30, 0x30] }
        let ends = (message[start + 1], message[last])
        if isAlphanumeric(ends.0), isAlphanumeric(ends.1) { return [ends.0, ends.1] }
        return [hexDigit(ends.0 >> 4), hexDigit(ends.1 & 0xF)]
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: false
        }
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x57 + value }
}

extension ClientHello {
    /// Copies what the fingerprints need.
    package func summary(in input: Span<UInt8>) -> ClientHelloSummary {
        withMessage(input) { message in ClientHelloSummary(self, message) }
    }
}

// MARK: Fingerprints

extension ClientHelloSummary {
    /// The text that JA3 hashes: version, ciphers, extensions, groups, point formats, in decimal and the client's
    /// order. About 200 bytes.
    package var ja3Text: String {
        let lists = [cipherSuites, extensions, groups, pointFormats]
        return lists.reduce(String(legacyVersion)) { text, list in
            text + "," + list.map { String($0) }.joined(separator: "-")
        }
    }

    /// JA3: MD5 of `ja3Text`, 32 hexadecimal digits. MD5 is the definition's choice; nothing is secured by it.
    package var ja3: String { Self.hex(Insecure.MD5.hash(data: Array(ja3Text.utf8)), digits: 32) }

    /// JA4 over TCP, 36 characters: `t13d1516h2_8daaf6152771_e5627efa2ab1`.
    package var ja4: String {
        let ciphers = Self.hexList(cipherSuites.sorted())
        return ja4Opening + "_" + Self.shortHash(ciphers) + "_" + Self.shortHash(extensionText)
    }

    /// JA4 before hashing, its lists sorted: what the specification calls JA4_r.
    package var ja4Text: String {
        ja4Opening + "_" + Self.hexList(cipherSuites.sorted()) + "_" + extensionText
    }

    /// Transport, version, server name, counts, application protocol.
    private var ja4Opening: String {
        let version =
            switch maximumVersion {
            case 0x0304: "13"
            case 0x0303: "12"
            case 0x0302: "11"
            case 0x0301: "10"
            case 0x0300: "s3"
            case 0x0002: "s2"
            default: "00"
            }
        let mark = String(decoding: [protocolMark[0], protocolMark[1]], as: UTF8.self)
        return "t" + version + (namesServer ? "d" : "i") + Self.twoDigits(cipherSuites.count)
            + Self.twoDigits(extensions.count) + mark
    }

    /// The extensions, sorted, without server_name and application protocols, which the opening tells; then the
    /// signature algorithms in the client's order. Empty without extensions.
    private var extensionText: String {
        let types = extensions.filter { $0 != 0x0000 && $0 != 0x0010 }.sorted()
        guard !types.isEmpty else { return "" }
        let algorithms = Self.hexList(signatureAlgorithms)
        return Self.hexList(types) + (algorithms.isEmpty ? "" : "_" + algorithms)
    }

    private static func twoDigits(_ count: Int) -> String {
        let capped = min(count, 99)
        return (capped < 10 ? "0" : "") + String(capped)
    }

    private static func hexList(_ values: some Collection<UInt16>) -> String {
        values.map { value in
            let digits = String(value, radix: 16)
            return String(repeating: "0", count: 4 - digits.count) + digits
        }.joined(separator: ",")
    }

    /// The first 12 digits of the SHA-256, or zeros for an empty list.
    private static func shortHash(_ text: String) -> String {
        text.isEmpty ? "000000000000" : hex(SHA256.hash(data: Array(text.utf8)), digits: 12)
    }

    private static func hex(_ digest: some Sequence<UInt8>, digits: Int) -> String {
        var text: [UInt8] = []
        text.reserveCapacity(64)
        for byte in digest {
            text.append(hexDigit(byte >> 4))
            text.append(hexDigit(byte & 0xF))
        }
        return String(decoding: text.prefix(digits), as: UTF8.self)
    }
}
