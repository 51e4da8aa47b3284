import Limits

/// Version 1 of the PROXY protocol: one line of ASCII text (section 2.1).
///
/// `PROXY TCP4 192.0.2.1 198.51.100.2 56324 443` CR LF. Strict, as the section asks: single spaces, no leading
/// zeros, an address of the family named, and CRLF within the first 107 bytes.
extension ProxyProtocolParser {
    private static let opening: [UInt8] = Array("PROXY ".utf8)
    private static let tcp4: [UInt8] = Array("TCP4 ".utf8)
    private static let tcp6: [UInt8] = Array("TCP6 ".utf8)
    private static let unknown: [UInt8] = Array("UNKNOWN".utf8)

    static func parseLine(_ bytes: Span<UInt8>) throws(ProxyProtocolError) -> ProxyProtocolProgress {
        guard matches(bytes, opening) else { throw .notProxyProtocol }
        guard let lineEnd = try findLineEnd(bytes) else { return .needsMore }
        let byteCount = lineEnd + 2
        let start = opening.count
        guard start <= lineEnd else { throw .badTransport }
        if starts(bytes, with: unknown, at: start, before: lineEnd) {
            let afterName = start + unknown.count
            // Whatever stands behind it is ignored, but "UNKNOWNX" is another word.
            guard afterName == lineEnd || bytes[afterName] == UInt8(ascii: " ") else { throw .badTransport }
            return .complete(ProxyHeader(byteCount: byteCount, version: 1, relay: nil))
        }
        let isIPv4 = starts(bytes, with: tcp4, at: start, before: lineEnd)
        guard isIPv4 || starts(bytes, with: tcp6, at: start, before: lineEnd) else { throw .badTransport }
        var position = start + tcp4.count
        let source = try word(bytes, &position, lineEnd)
        let destination = try word(bytes, &position, lineEnd)
        let sourcePort = try word(bytes, &position, lineEnd)
        let destinationPort = try word(bytes, &position, lineEnd)
        guard position > lineEnd else { throw .badAddress }
        let relay = ProxyHeader.Relay(
            source: try endpoint(bytes, address: source, port: sourcePort, isIPv4: isIPv4),
            destination: try endpoint(bytes, address: destination, port: destinationPort, isIPv4: isIPv4)
        )
        return .complete(ProxyHeader(byteCount: byteCount, version: 1, relay: relay))
    }

    /// Where the CR of the line's CRLF stands; nil while it has not come.
    private static func findLineEnd(_ bytes: Span<UInt8>) throws(ProxyProtocolError) -> Int? {
        let searched = min(bytes.count, Limits.proxyProtocolV1BytesMax)
        var index = 0
        while index < searched {
            if bytes[index] == 0x0A { throw .badLineEnd }
            if bytes[index] == 0x0D {
                guard index + 1 < searched else { break }
                guard bytes[index + 1] == 0x0A else { throw .badLineEnd }
                return index
            }
            index += 1
        }
        guard bytes.count < Limits.proxyProtocolV1BytesMax else { throw .tooLong }
        return nil
    }

    private static func starts(_ bytes: Span<UInt8>, with word: [UInt8], at start: Int, before end: Int) -> Bool {
        end - start >= word.count && matches(bytes, word, from: start)
    }

    /// The next word, which ends at a space or at the line's end. `position` moves behind that.
    private static func word(
        _ bytes: Span<UInt8>, _ position: inout Int, _ lineEnd: Int
    ) throws(ProxyProtocolError) -> Range<Int> {
        let start = position
        var index = start
        while index < lineEnd, bytes[index] != UInt8(ascii: " ") { index += 1 }
        guard index > start else { throw .badAddress }
        position = index + 1
        return start..<index
    }

    private static func endpoint(
        _ bytes: Span<UInt8>, address: Range<Int>, port: Range<Int>, isIPv4: Bool
    ) throws(ProxyProtocolError) -> IPEndpoint {
        guard let port = decimal(bytes, port, max: 65_535) else { throw .badAddress }
        if isIPv4 {
            guard let address = ipv4(bytes, address) else { throw .badAddress }
            return IPEndpoint(ipv4: address, port: UInt16(truncatingIfNeeded: port))
        }
        guard let address = ipv6(bytes, address) else { throw .badAddress }
        return IPEndpoint(high: address.high, low: address.low, port: UInt16(truncatingIfNeeded: port))
    }

    /// A decimal number without leading zeros.
    private static func decimal(_ bytes: Span<UInt8>, _ range: Range<Int>, max: Int) -> Int? {
        guard range.count >= 1, range.count <= 5 else { return nil }
        if bytes[range.lowerBound] == UInt8(ascii: "0"), range.count > 1 { return nil }
        var value = 0
        for index in range {
            let digit = Int(bytes[index]) - Int(UInt8(ascii: "0"))
            guard digit >= 0, digit <= 9 else { return nil }
            value = value * 10 + digit
        }
        return value <= max ? value : nil
    }

    /// Four decimal numbers of 0...255 with single dots between them.
    private static func ipv4(_ bytes: Span<UInt8>, _ range: Range<Int>) -> UInt32? {
        var address: UInt32 = 0
        var parts = 0
        var start = range.lowerBound
        var index = start
        while index <= range.upperBound {
            if index == range.upperBound || bytes[index] == UInt8(ascii: ".") {
                guard parts < 4, let part = decimal(bytes, start..<index, max: 255) else { return nil }
                address = address << 8 | UInt32(truncatingIfNeeded: part)
                parts += 1
                start = index + 1
            }
            index += 1
        }
        return parts == 4 ? address : nil
    }

    /// Groups of 1 to 4 hexadecimal digits with single colons, and at most one `::` for one zero group or more.
    ///
    /// The dotted tail that RFC 4291 also knows is refused: the section speaks of sets of hexadecimal digits only.
    private static func ipv6(_ bytes: Span<UInt8>, _ range: Range<Int>) -> (high: UInt64, low: UInt64)? {
        // Groups before and behind the "::"; both shift left as they fill.
        var head = WideAddress()
        var tail = WideAddress()
        var gapSeen = false
        var index = range.lowerBound
        let end = range.upperBound
        if end - index >= 2, bytes[index] == UInt8(ascii: ":"), bytes[index + 1] == UInt8(ascii: ":") {
            gapSeen = true
            index += 2
        }
        while index < end {
            guard let group = hexGroup(bytes, &index, end) else { return nil }
            guard head.groups + tail.groups < 8 else { return nil }
            if gapSeen { tail.append(group) } else { head.append(group) }
            guard index < end else { break }
            guard bytes[index] == UInt8(ascii: ":") else { return nil }
            index += 1
            guard index < end else { return nil }
            if bytes[index] == UInt8(ascii: ":") {
                guard !gapSeen else { return nil }
                gapSeen = true
                index += 1
            }
        }
        let groups = head.groups + tail.groups
        guard gapSeen ? groups <= 7 : groups == 8 else { return nil }
        head.shift(groups: 8 - head.groups)
        return (head.high | tail.high, head.low | tail.low)
    }

    private static func hexGroup(_ bytes: Span<UInt8>, _ index: inout Int, _ end: Int) -> UInt64? {
        var value: UInt64 = 0
        var digits = 0
        while index < end, let digit = hexDigit(bytes[index]) {
            guard digits < 4 else { return nil }
            value = value << 4 | digit
            digits += 1
            index += 1
        }
        return digits > 0 ? value : nil
    }

    private static func hexDigit(_ byte: UInt8) -> UInt64? {
        switch byte {
        case 0x30...0x39: UInt64(byte &- 0x30)
        case 0x41...0x46: UInt64(byte &- 0x41 &+ 10)
        case 0x61...0x66: UInt64(byte &- 0x61 &+ 10)
        default: nil
        }
    }

    /// 128 bits that are filled from the right, 16 at a time.
    private struct WideAddress {
        var high: UInt64 = 0
        var low: UInt64 = 0
        var groups = 0

        mutating func append(_ group: UInt64) {
            shift(groups: 1)
            low |= group
            groups += 1
        }

        mutating func shift(groups count: Int) {
            for _ in 0..<max(0, count) {
                high = high << 16 | low >> 48
                low <<= 16
            }
        }
    }
}
