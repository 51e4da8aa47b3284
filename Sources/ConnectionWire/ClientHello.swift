/// A ClientHello that has been checked (RFC 8446, section 4.1.2; RFC 5246, section 7.4.1.2 for older clients).
///
/// The value holds positions, not copies: every accessor takes the bytes that the parser was given, from the
/// connection's first byte, and they must be the same bytes. Only a hello that was spread over several records
/// carries a copy of itself (`reassembled`). `summary(in:)` makes the one small copy that outlives the bytes.
package struct ClientHello: Sendable {
    /// More than three times what any client sends; comparing each pair of types stays cheap.
    package static let extensionCountMax = 128

    /// A run of bytes within the hello. 16 bits suffice, since a hello has at most 16 KiB and a record header.
    struct Section: Sendable, Equatable {
        var start: UInt16 = 0
        var count: UInt16 = 0

        var range: Range<Int> { Int(start)..<Int(start) + Int(count) }
    }

    /// Bytes of the records the hello came in. More may follow: they are the engine's, as these are.
    package let recordsByteCount: Int
    /// What the client calls its version, at most 0x0303 in honest TLS 1.3 clients.
    package internal(set) var legacyVersion: UInt16 = 0
    /// The highest version in supported_versions that is not GREASE; without that extension, `legacyVersion`.
    package internal(set) var maximumVersion: UInt16 = 0
    /// Whether the client resumes a TLS 1.3 session (pre_shared_key), sends early data, or encrypts its real hello.
    package internal(set) var offersPreSharedKey = false
    package internal(set) var offersEarlyData = false
    package internal(set) var offersEncryptedClientHello = false

    /// The message without record headers; empty where the input holds it in one piece.
    var reassembled: [UInt8] = []
    var ciphers = Section()
    var extensionBlock = Section()
    var extensionCount = 0
    var serverName = Section()
    var hasServerNameExtension = false
    /// The protocol names, each behind its length.
    var protocols = Section()
    var versions = Section()
    var groups = Section()
    var signatures = Section()
    var formats = Section()

    init(recordsByteCount: Int) {
        self.recordsByteCount = recordsByteCount
    }

    /// Calls `body` with the bytes that the sections point into.
    @inline(__always)
    func withMessage<Result>(_ input: Span<UInt8>, _ body: (Span<UInt8>) -> Result) -> Result {
        reassembled.isEmpty ? body(input) : body(reassembled.span)
    }
}

// MARK: The server name

extension ClientHello {
    /// Whether the client named a host (RFC 6066, section 3).
    package var hasServerName: Bool { serverName.count > 0 }

    /// Calls `body` with the host name's bytes: letters of either case, digits, `-`, `_` and single dots between
    /// labels of 1 to 63 bytes, at most 253 bytes in all, without a trailing dot. Returns nil if there is none.
    package func withServerName<Result>(in input: Span<UInt8>, _ body: (Span<UInt8>) -> Result) -> Result? {
        guard hasServerName else { return nil }
        return withMessage(input) { message in
            guard serverName.range.upperBound <= message.count else { return nil }
            return body(message.extracting(serverName.range))
        }
    }

    /// The host name in lower case, for logs, and for look-ups that are not in a hurry.
    package func serverName(in input: Span<UInt8>) -> String? {
        withServerName(in: input) { name in
            var text = ""
            text.reserveCapacity(name.count)
            for index in name.indices {
                let byte = name[index]
                let isUpper = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
                text.unicodeScalars.append(Unicode.Scalar(isUpper ? byte | 0x20 : byte))
            }
            return text
        }
    }
}

// MARK: The lists

extension ClientHello {
    /// Whether the client offers this application protocol (RFC 7301, section 3.1). Allocates nothing.
    package func offers(protocol name: StaticString, in input: Span<UInt8>) -> Bool {
        withMessage(input) { message in
            var position = protocols.range.lowerBound
            let end = min(protocols.range.upperBound, message.count)
            while position < end {
                let count = Int(message[position])
                let start = position + 1
                guard start + count <= end else { return false }
                if count == name.utf8CodeUnitCount {
                    var index = 0
                    while index < count, message[start + index] == name.utf8Start[index] { index += 1 }
                    if index == count { return true }
                }
                position = start + count
            }
            return false
        }
    }

    /// The application protocols offered, in the client's order. For logs and tests: allocates.
    package func applicationProtocols(in input: Span<UInt8>) -> [[UInt8]] {
        withMessage(input) { message in
            var names: [[UInt8]] = []
            var position = protocols.range.lowerBound
            let end = min(protocols.range.upperBound, message.count)
            while position < end {
                let start = position + 1
                let stop = min(start + Int(message[position]), end)
                names.append((start..<stop).map { message[$0] })
                position = stop
            }
            return names
        }
    }

    /// The lists below are as the client sent them, in its order, GREASE (RFC 8701) included. They allocate.
    package func cipherSuites(in input: Span<UInt8>) -> [UInt16] { pairs(ciphers, input) }
    package func supportedVersions(in input: Span<UInt8>) -> [UInt16] { pairs(versions, input) }
    package func supportedGroups(in input: Span<UInt8>) -> [UInt16] { pairs(groups, input) }
    package func signatureAlgorithms(in input: Span<UInt8>) -> [UInt16] { pairs(signatures, input) }

    /// Types of the extensions.
    package func extensions(in input: Span<UInt8>) -> [UInt16] {
        var types: [UInt16] = []
        types.reserveCapacity(extensionCount)
        withMessage(input) { message in forEachExtension(message) { type in types.append(type) } }
        return types
    }

    /// Formats of elliptic curve points (RFC 8422, section 5.1.2).
    package func pointFormats(in input: Span<UInt8>) -> [UInt8] {
        withMessage(input) { message in
            formats.range.upperBound <= message.count ? formats.range.map { message[$0] } : []
        }
    }

    private func pairs(_ section: Section, _ input: Span<UInt8>) -> [UInt16] {
        var values: [UInt16] = []
        values.reserveCapacity(Int(section.count) / 2)
        withMessage(input) { message in Self.forEachPair(section, message) { value in values.append(value) } }
        return values
    }

    static func forEachPair(_ section: Section, _ message: Span<UInt8>, _ body: (UInt16) -> Void) {
        var position = section.range.lowerBound
        let end = min(section.range.upperBound, message.count)
        while position + 1 < end {
            body(UInt16(message[position]) << 8 | UInt16(message[position + 1]))
            position += 2
        }
    }

    func forEachExtension(_ message: Span<UInt8>, _ body: (UInt16) -> Void) {
        var position = extensionBlock.range.lowerBound
        let end = min(extensionBlock.range.upperBound, message.count)
        while end - position >= 4 {
            body(UInt16(message[position]) << 8 | UInt16(message[position + 1]))
            position += 4 + (Int(message[position + 2]) << 8 | Int(message[position + 3]))
        }
    }

    /// GREASE: values that clients make up so that servers stay tolerant (RFC 8701, section 2).
    package static func isGREASE(_ value: UInt16) -> Bool {
        value & 0x0F0F == 0x0A0A && value >> 8 == value & 0xFF
    }
}
