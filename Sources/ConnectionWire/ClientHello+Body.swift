/// The body of a ClientHello: every length checked, every list's shape checked, positions kept.
///
/// Each vector's bounds are those of RFC 8446, section 4.1.2, and of the section named beside its extension. An
/// extension not named here is stepped over.
extension ClientHello {
    /// Extensions that we look into.
    private enum ExtensionType {
        static let serverName: UInt16 = 0  // RFC 6066, section 3
        static let supportedGroups: UInt16 = 10  // RFC 8446, section 4.2.7
        static let pointFormats: UInt16 = 11  // RFC 8422, section 5.1.2
        static let signatureAlgorithms: UInt16 = 13  // RFC 8446, section 4.2.3
        static let applicationProtocols: UInt16 = 16  // RFC 7301, section 3.1
        static let preSharedKey: UInt16 = 41  // RFC 8446, section 4.2.11
        static let earlyData: UInt16 = 42  // RFC 8446, section 4.2.10
        static let supportedVersions: UInt16 = 43  // RFC 8446, section 4.2.1
        static let encryptedClientHello: UInt16 = 0xFE0D  // RFC 9849, section 5
    }

    /// A place in the message, and where the vector that is being read ends.
    private struct Cursor {
        var position: Int
        let end: Int

        mutating func byte(_ message: Span<UInt8>) throws(ClientHelloError) -> Int {
            guard position < end else { throw .malformed }
            defer { position += 1 }
            return Int(message[position])
        }

        mutating func pair(_ message: Span<UInt8>) throws(ClientHelloError) -> Int {
            let high = try byte(message)
            return high << 8 | (try byte(message))
        }

        /// The next `count` bytes.
        mutating func take(_ count: Int) throws(ClientHelloError) -> Cursor {
            guard end - position >= count else { throw .malformed }
            defer { position += count }
            return Cursor(position: position, end: position + count)
        }

        var isAtEnd: Bool { position == end }
        var count: Int { end - position }
        var section: Section {
            Section(start: UInt16(truncatingIfNeeded: position), count: UInt16(truncatingIfNeeded: count))
        }
    }

    /// Reads the body that lies in `from..<to`.
    mutating func read(_ message: Span<UInt8>, from: Int, to: Int) throws(ClientHelloError) {
        guard to <= message.count, to <= Int(UInt16.max), from <= to else { throw .malformed }
        var body = Cursor(position: from, end: to)
        legacyVersion = UInt16(truncatingIfNeeded: try body.pair(message))
        maximumVersion = legacyVersion
        _ = try body.take(32)
        let sessionByteCount = try body.byte(message)
        guard sessionByteCount <= 32 else { throw .malformed }
        _ = try body.take(sessionByteCount)
        let cipherList = try body.take(try body.pair(message))
        guard cipherList.count >= 2, cipherList.count % 2 == 0 else { throw .malformed }
        ciphers = cipherList.section
        let compressions = try body.take(try body.byte(message))
        guard compressions.count >= 1 else { throw .malformed }
        // Clients before TLS 1.3 may end here (RFC 5246, section 7.4.1.2).
        if body.isAtEnd { return }
        let block = try body.take(try body.pair(message))
        guard body.isAtEnd else { throw .malformed }
        extensionBlock = block.section
        try readExtensions(message, block)
    }

    private mutating func readExtensions(_ message: Span<UInt8>, _ block: Cursor) throws(ClientHelloError) {
        var block = block
        // Every type below 64 has a bit; only the few above are compared with those before them.
        var seen: UInt64 = 0
        while !block.isAtEnd {
            guard !offersPreSharedKey else { throw .misplacedPreSharedKey }
            let start = block.position
            let type = UInt16(truncatingIfNeeded: try block.pair(message))
            let value = try block.take(try block.pair(message))
            if type < 64 {
                guard seen & 1 << UInt64(type) == 0 else { throw .duplicateExtension }
                seen |= 1 << UInt64(type)
            } else {
                try refuseDuplicate(of: type, before: start, message)
            }
            extensionCount += 1
            guard extensionCount <= Self.extensionCountMax else { throw .tooManyExtensions }
            try read(message, type, value)
        }
    }

    private func refuseDuplicate(of type: UInt16, before end: Int, _ message: Span<UInt8>) throws(ClientHelloError) {
        var position = Int(extensionBlock.start)
        while end - position >= 4 {
            let other = UInt16(message[position]) << 8 | UInt16(message[position + 1])
            guard other != type else { throw .duplicateExtension }
            position += 4 + (Int(message[position + 2]) << 8 | Int(message[position + 3]))
        }
    }

    private mutating func read(_ message: Span<UInt8>, _ type: UInt16, _ value: Cursor) throws(ClientHelloError) {
        switch type {
        case ExtensionType.serverName:
            hasServerNameExtension = true
            serverName = try Self.hostName(message, value)
        case ExtensionType.supportedGroups:
            groups = try Self.pairList(message, value, lengthBytes: 2)
        case ExtensionType.signatureAlgorithms:
            signatures = try Self.pairList(message, value, lengthBytes: 2)
        case ExtensionType.pointFormats:
            var value = value
            let list = try value.take(try value.byte(message))
            guard value.isAtEnd, list.count >= 1 else { throw .malformed }
            formats = list.section
        case ExtensionType.applicationProtocols:
            protocols = try Self.protocolNames(message, value)
        case ExtensionType.supportedVersions:
            versions = try Self.pairList(message, value, lengthBytes: 1)
            var highest: UInt16 = 0
            Self.forEachPair(versions, message) { version in
                if !Self.isGREASE(version), version > highest { highest = version }
            }
            if highest > 0 { maximumVersion = highest }
        case ExtensionType.preSharedKey: offersPreSharedKey = true
        case ExtensionType.earlyData: offersEarlyData = true
        case ExtensionType.encryptedClientHello: offersEncryptedClientHello = true
        default: break
        }
    }

    /// A list of 16-bit values behind its length, at least one of them, and nothing after it.
    private static func pairList(
        _ message: Span<UInt8>, _ value: Cursor, lengthBytes: Int
    ) throws(ClientHelloError) -> Section {
        var value = value
        let byteCount = lengthBytes == 1 ? try value.byte(message) : try value.pair(message)
        let list = try value.take(byteCount)
        guard value.isAtEnd, list.count >= 2, list.count % 2 == 0 else { throw .malformed }
        return list.section
    }

    /// RFC 7301, section 3.1: at least one name, none of them empty.
    private static func protocolNames(_ message: Span<UInt8>, _ value: Cursor) throws(ClientHelloError) -> Section {
        var value = value
        let list = try value.take(try value.pair(message))
        guard value.isAtEnd, list.count >= 2 else { throw .malformed }
        var names = list
        while !names.isAtEnd {
            let name = try names.take(try names.byte(message))
            guard name.count >= 1 else { throw .malformed }
        }
        return list.section
    }

    /// RFC 6066, section 3: a list of exactly one name, whose type is host_name: nobody ever defined another type,
    /// and two names of one type are forbidden.
    private static func hostName(_ message: Span<UInt8>, _ value: Cursor) throws(ClientHelloError) -> Section {
        var value = value
        var list = try value.take(try value.pair(message))
        guard value.isAtEnd, try list.byte(message) == 0 else { throw .malformed }
        let name = try list.take(try list.pair(message))
        guard list.isAtEnd, name.count >= 1 else { throw .malformed }
        // Some clients keep the root's dot that the RFC forbids; it names the same host.
        let hasDot = name.count > 1 && message[name.end - 1] == UInt8(ascii: ".")
        let bare = Cursor(position: name.position, end: hasDot ? name.end - 1 : name.end)
        guard isHostName(message, bare.position..<bare.end) else { throw .badServerName }
        return bare.section
    }

    private static func isHostName(_ message: Span<UInt8>, _ range: Range<Int>) -> Bool {
        guard (1...253).contains(range.count) else { return false }
        var labelByteCount = 0
        for index in range {
            switch message[index] {
            case UInt8(ascii: "."):
                guard labelByteCount > 0 else { return false }
                labelByteCount = 0
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "_"):
                labelByteCount += 1
                guard labelByteCount <= 63 else { return false }
            default:
                return false
            }
        }
        return labelByteCount > 0
    }
}
