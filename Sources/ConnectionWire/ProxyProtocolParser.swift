import Limits

/// Reads a PROXY protocol header, version 1 or 2, from the first bytes of a connection (HAProxy's specification,
/// revision of 2020/03/05 and later; sections are cited as in it).
///
/// The caller hands over everything received so far, from the connection's first byte; the parser keeps no state
/// and starts anew each time, which is cheap since version 1 ends within 107 bytes and version 2 names its length
/// in byte 16. A byte that cannot belong to a header is refused as soon as it is seen, without waiting for more.
package enum ProxyProtocolParser {
    /// Parses the header at the start of `bytes`.
    ///
    /// - Throws: the first reason why the bytes are no header; the connection is then to be closed.
    package static func parse(_ bytes: Span<UInt8>) throws(ProxyProtocolError) -> ProxyProtocolProgress {
        guard bytes.count > 0 else { return .needsMore }
        // The two versions part at the first byte: "P" against CR.
        return bytes[0] == signature[0] ? try parseBinary(bytes) : try parseLine(bytes)
    }

    /// Section 2.2: the 12 bytes that open version 2.
    static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]

    /// Whether `bytes` begin with `expected` as far as both reach.
    static func matches(_ bytes: Span<UInt8>, _ expected: [UInt8], from start: Int = 0) -> Bool {
        var index = 0
        while index < expected.count, start &+ index < bytes.count {
            if bytes[start &+ index] != expected[index] { return false }
            index &+= 1
        }
        return true
    }
}

// MARK: Version 2 (section 2.2)

extension ProxyProtocolParser {
    private static let fixedByteCount = 16
    /// Types of the TLVs we look at (section 2.2.3); every other one is skipped.
    private static let checksumType: UInt8 = 0x03

    static func parseBinary(_ bytes: Span<UInt8>) throws(ProxyProtocolError) -> ProxyProtocolProgress {
        guard matches(bytes, signature) else { throw .notProxyProtocol }
        guard bytes.count > signature.count else { return .needsMore }
        guard bytes[12] >> 4 == 2 else { throw .badVersion }
        let command = bytes[12] & 0x0F
        guard command <= 1 else { throw .badCommand }
        guard bytes.count >= fixedByteCount else { return .needsMore }
        let byteCount = fixedByteCount + (Int(bytes[14]) << 8 | Int(bytes[15]))
        guard byteCount <= Limits.proxyProtocolV2BytesMax else { throw .tooLong }
        // LOCAL: the family and the whole block are to be ignored.
        let isLocal = command == 0
        let addressByteCount = isLocal ? nil : try blockByteCount(family: bytes[13])
        if let addressByteCount, byteCount < fixedByteCount + addressByteCount { throw .badLength }
        guard bytes.count >= byteCount else { return .needsMore }
        var header = ProxyHeader(byteCount: byteCount, version: 2, relay: nil)
        guard let addressByteCount else { return .complete(header) }
        header.relay = relay(bytes, family: bytes[13])
        try checkTLVs(bytes, from: fixedByteCount + addressByteCount, to: byteCount)
        return .complete(header)
    }

    /// Bytes of the address block of a family and transport; nil where either is unspecified, since nobody can
    /// then say where the addresses end.
    private static func blockByteCount(family: UInt8) throws(ProxyProtocolError) -> Int? {
        let transport = family & 0x0F
        guard transport <= 2 else { throw .badFamily }
        let byteCount: Int
        switch family >> 4 {
        case 0: return nil
        case 1: byteCount = 2 * 4 + 2 * 2
        case 2: byteCount = 2 * 16 + 2 * 2
        case 3: byteCount = 2 * 108
        default: throw .badFamily
        }
        return transport == 0 ? nil : byteCount
    }

    /// The addresses of TCP over IPv4 or IPv6; the caller has seen to it that they are all there.
    private static func relay(_ bytes: Span<UInt8>, family: UInt8) -> ProxyHeader.Relay? {
        let start = fixedByteCount
        switch family {
        case 0x11:
            return ProxyHeader.Relay(
                source: IPEndpoint(
                    ipv4: UInt32(truncatingIfNeeded: integer(bytes, at: start, byteCount: 4)),
                    port: UInt16(truncatingIfNeeded: integer(bytes, at: start + 8, byteCount: 2))
                ),
                destination: IPEndpoint(
                    ipv4: UInt32(truncatingIfNeeded: integer(bytes, at: start + 4, byteCount: 4)),
                    port: UInt16(truncatingIfNeeded: integer(bytes, at: start + 10, byteCount: 2))
                )
            )
        case 0x21:
            return ProxyHeader.Relay(
                source: IPEndpoint(
                    high: integer(bytes, at: start, byteCount: 8),
                    low: integer(bytes, at: start + 8, byteCount: 8),
                    port: UInt16(truncatingIfNeeded: integer(bytes, at: start + 32, byteCount: 2))
                ),
                destination: IPEndpoint(
                    high: integer(bytes, at: start + 16, byteCount: 8),
                    low: integer(bytes, at: start + 24, byteCount: 8),
                    port: UInt16(truncatingIfNeeded: integer(bytes, at: start + 34, byteCount: 2))
                )
            )
        default:
            return nil
        }
    }

    /// Up to 8 bytes as one number, the first byte the highest. Bytes beyond the end count as none.
    private static func integer(_ bytes: Span<UInt8>, at start: Int, byteCount: Int) -> UInt64 {
        var value: UInt64 = 0
        var index = start
        while index < start + byteCount, index < bytes.count {
            value = value << 8 | UInt64(bytes[index])
            index += 1
        }
        return value
    }

    /// Walks over the TLVs (section 2.2): each must end within the block, and a checksum must be right.
    private static func checkTLVs(_ bytes: Span<UInt8>, from: Int, to end: Int) throws(ProxyProtocolError) {
        var position = from
        var checksumStart: Int?
        while position < end {
            guard end - position >= 3 else { throw .badTLV }
            let valueByteCount = Int(bytes[position + 1]) << 8 | Int(bytes[position + 2])
            let valueStart = position + 3
            guard end - valueStart >= valueByteCount else { throw .badTLV }
            if bytes[position] == checksumType {
                guard valueByteCount == 4, checksumStart == nil else { throw .badTLV }
                checksumStart = valueStart
            }
            position = valueStart + valueByteCount
        }
        guard let checksumStart else { return }
        // Section 2.2.3: summed over the whole header with the checksum's own four bytes as zeros.
        let stated = integer(bytes, at: checksumStart, byteCount: 4)
        let computed = CRC32C.checksum(bytes, count: end, zeros: checksumStart..<checksumStart + 4)
        guard stated == UInt64(computed) else { throw .badChecksum }
    }
}
