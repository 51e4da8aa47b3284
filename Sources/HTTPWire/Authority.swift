// Host names, addresses and ports, from a Host field or from a request target (RFC 3986, section 3.2).
//
// Narrower than RFC 3986 on purpose: a name is made of DNS-like labels of letters, digits and `-._~`. Percent-encoded
// bytes and sub-delimiters (`!$&'()*+,;=`) are refused: no name in DNS has them, no zone can be called so, and a comma
// is what two Host fields joined by somebody else look like. Empty labels are refused but for one trailing dot.
// IPvFuture and zone identifiers are refused. An empty port (`host:`) counts as none (RFC 3986, section 6.2.3).

internal import Limits

/// A host and perhaps a port.
package struct Authority: Sendable, Equatable {
    /// As received; an IPv6 literal keeps its brackets.
    package var host: ByteRange
    /// 1 to 65535, or nil when none is named.
    package var port: UInt16?

    /// Reads the whole of `range` as `host [ ":" port ]`.
    /// - Throws: `badHost`, or `userInformation` for anything before an `@`.
    package static func parse(
        _ bytes: Span<UInt8>, _ range: ByteRange, side: WireError.Side = .request
    ) throws(WireError) -> Authority {
        let start = Int(range.start)
        let end = range.end
        guard end <= bytes.count, start < end, end &- start <= Limits.hostBytesMax else {
            throw WireError(.badHost, side: side, at: start)
        }
        let hostEnd: Int
        if bytes.byte(at: start) == UInt8(ascii: "[") {
            hostEnd = addressLiteralEnd(bytes, from: start, limit: end)
        } else {
            hostEnd = nameEnd(bytes, from: start, limit: end)
        }
        guard hostEnd > start else { throw fault(bytes, from: start, limit: end, side: side) }
        var authority = Authority(host: ByteRange(start, hostEnd), port: nil)
        if hostEnd == end { return authority }
        guard bytes.byte(at: hostEnd) == ASCII.colon else { throw fault(bytes, from: start, limit: end, side: side) }
        if hostEnd &+ 1 == end { return authority }
        guard let port = port(bytes, from: hostEnd &+ 1, limit: end) else {
            throw fault(bytes, from: hostEnd, limit: end, side: side)
        }
        authority.port = port
        return authority
    }

    /// The end of a name that starts at `start`, or `start` if its labels are not well-formed.
    private static func nameEnd(_ bytes: Span<UInt8>, from start: Int, limit: Int) -> Int {
        var index = start
        var labelIsEmpty = true
        while index < limit {
            let byte = bytes.byte(at: index)
            guard CharacterClass.hostName.contains(byte) else { break }
            if byte == ASCII.dot {
                if labelIsEmpty { return start }
                labelIsEmpty = true
            } else {
                labelIsEmpty = false
            }
            index &+= 1
        }
        return index
    }

    /// 1 to 5 digits worth 1 to 65535; else nil.
    private static func port(_ bytes: Span<UInt8>, from start: Int, limit: Int) -> UInt16? {
        guard start < limit, limit &- start <= 5 else { return nil }
        var value: UInt32 = 0
        for index in start..<limit {
            let byte = bytes.byte(at: index)
            guard ASCII.isDigit(byte) else { return nil }
            value = value &* 10 &+ UInt32(byte &- ASCII.zero)
        }
        return value == 0 ? nil : UInt16(exactly: value)
    }

    @inline(never)
    private static func fault(
        _ bytes: Span<UInt8>, from start: Int, limit: Int, side: WireError.Side
    ) -> WireError {
        let at = bytes.firstIndex(of: UInt8(ascii: "@"), from: start, limit: limit)
        return at < limit ? WireError(.userInformation, side: side, at: at) : WireError(.badHost, side: side, at: start)
    }
}

// MARK: IPv6 literals (RFC 3986, section 3.2.2; RFC 4291, section 2.2)

extension Authority {
    /// The position behind the `]` of the IPv6 literal that opens at `start`, or `start` if there is none.
    private static func addressLiteralEnd(_ bytes: Span<UInt8>, from start: Int, limit: Int) -> Int {
        let close = bytes.firstIndex(of: UInt8(ascii: "]"), from: start, limit: limit)
        guard close < limit, isIPv6(bytes, from: start &+ 1, limit: close) else { return start }
        return close &+ 1
    }

    /// Eight groups of 1 to 4 hex digits, one run of them perhaps written `::`, the last two perhaps as IPv4.
    private static func isIPv6(_ bytes: Span<UInt8>, from start: Int, limit: Int) -> Bool {
        var index = start
        var groups = 0
        var isCompressed = false
        if limit &- start >= 2, bytes.byte(at: start) == ASCII.colon {
            guard bytes.byte(at: start &+ 1) == ASCII.colon else { return false }
            isCompressed = true
            index = start &+ 2
        }
        while index < limit {
            let groupStart = index
            while index < limit, CharacterClass.hexDigit.contains(bytes.byte(at: index)) { index &+= 1 }
            let digits = index &- groupStart
            if index < limit, bytes.byte(at: index) == ASCII.dot {
                guard isIPv4(bytes, from: groupStart, limit: limit) else { return false }
                groups &+= 2
                return isCompressed ? groups <= 7 : groups == 8
            }
            guard digits >= 1, digits <= 4, groups < 8 else { return false }
            groups &+= 1
            if index == limit { break }
            guard bytes.byte(at: index) == ASCII.colon, index &+ 1 < limit else { return false }
            index &+= 1
            if bytes.byte(at: index) == ASCII.colon {
                guard !isCompressed else { return false }
                isCompressed = true
                index &+= 1
            }
        }
        return isCompressed ? groups <= 7 : groups == 8
    }

    /// Four decimal numbers up to 255, without leading zeros.
    private static func isIPv4(_ bytes: Span<UInt8>, from start: Int, limit: Int) -> Bool {
        var index = start
        for part in 0..<4 {
            let partStart = index
            var value = 0
            while index < limit, ASCII.isDigit(bytes.byte(at: index)), index &- partStart < 3 {
                value = value &* 10 &+ Int(bytes.byte(at: index) &- ASCII.zero)
                index &+= 1
            }
            let digits = index &- partStart
            guard digits >= 1, value <= 255 else { return false }
            guard digits == 1 || bytes.byte(at: partStart) != ASCII.zero else { return false }
            if part == 3 { break }
            guard index < limit, bytes.byte(at: index) == ASCII.dot else { return false }
            index &+= 1
        }
        return index == limit
    }
}
