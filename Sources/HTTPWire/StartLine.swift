// What request lines and status lines share: the protocol version (RFC 9112, section 2.3).

enum StartLine {
    private static var http11: UInt64 { 0x312E_312F_5054_5448 }  // "HTTP/1.1", little-endian
    private static var http10: UInt64 { 0x302E_312F_5054_5448 }  // "HTTP/1.0", little-endian

    /// Reads `HTTP/1.x` at `start`: 0 for HTTP/1.0, 1 for HTTP/1.1 and any higher minor version, which is processed as
    /// 1.1 (RFC 9110, section 2.5). Nil if it does not end within `limit`.
    /// - Throws: `versionUnsupported` for another major version, `badVersion` for anything that is no version.
    @inline(__always)
    static func version(
        _ bytes: Span<UInt8>, at start: Int, limit: Int, side: WireError.Side
    ) throws(WireError) -> UInt8? {
        if start &+ 8 <= limit {
            let word = bytes.word(at: start)
            if word == http11 { return 1 }
            if word == http10 { return 0 }
        }
        return try unusualVersion(bytes, at: start, limit: limit, side: side)
    }

    @inline(never)
    private static func unusualVersion(
        _ bytes: Span<UInt8>, at start: Int, limit: Int, side: WireError.Side
    ) throws(WireError) -> UInt8? {
        let pattern: StaticString = "HTTP/0.0"
        let expected = UnsafeBufferPointer(start: pattern.utf8Start, count: pattern.utf8CodeUnitCount)
        for offset in 0..<expected.count {
            guard start &+ offset < limit else { return nil }
            let byte = bytes.byte(at: start &+ offset)
            let isExpected = expected[offset] == ASCII.zero ? ASCII.isDigit(byte) : byte == expected[offset]
            guard isExpected else {
                let isLineFeed = byte == ASCII.lineFeed
                throw WireError(isLineFeed ? .bareLineFeed : .badVersion, side: side, at: start &+ offset)
            }
        }
        guard bytes.byte(at: start &+ 5) == UInt8(ascii: "1") else {
            throw WireError(.versionUnsupported, side: side, at: start &+ 5)
        }
        return bytes.byte(at: start &+ 7) == ASCII.zero ? 0 : 1
    }
}
