import HTTPWire

/// A request's head as it is rendered for HTTP/1.1, taken apart again for HTTP/2 (RFC 9113, section 8.3.1).
///
///     METHOD target HTTP/1.1 CRLF
///     Host: authority CRLF
///     lines … CRLF
///
/// It was rendered here a moment ago, so its form is known: the Host line is the first.
struct RenderedRequest {
    private var method = ByteRange.empty
    private var target = ByteRange.empty
    private var authority = ByteRange.empty
    /// Where the lines begin that are behind Host.
    private var linesStart = 0
    /// Lines of the head, the request line and the empty one included.
    private(set) var lineCount = 0

    /// nil for what is no such head.
    init?(_ bytes: Span<UInt8>) {
        let end = bytes.count
        let methodEnd = bytes.firstIndex(of: UInt8(ascii: " "), from: 0, limit: end)
        guard methodEnd > 0, methodEnd < end else { return nil }
        let targetEnd = bytes.firstIndex(of: UInt8(ascii: " "), from: methodEnd + 1, limit: end)
        guard targetEnd > methodEnd + 1, targetEnd < end else { return nil }
        let lineEnd = bytes.firstIndex(of: UInt8(ascii: "\n"), from: targetEnd, limit: end)
        guard lineEnd < end else { return nil }
        method = Self.range(0, methodEnd)
        target = Self.range(methodEnd + 1, targetEnd)
        linesStart = lineEnd + 1
        var start = 0
        while start < end {
            start = bytes.firstIndex(of: UInt8(ascii: "\n"), from: start, limit: end) + 1
            lineCount += 1
        }
        guard let host = line(of: "host", bytes), Int(host.start) == linesStart else { return }
        authority = Self.value(of: "host", host, bytes)
        linesStart = host.end
    }

    private static func range(_ start: Int, _ end: Int) -> ByteRange {
        ByteRange(start: UInt32(clamping: start), count: UInt32(clamping: end - start))
    }

    /// The value of Sec-WebSocket-Key where the request asks for a WebSocket; else nil: another protocol's switch the
    /// origin is not told of, which it may decline in any case (RFC 9110, section 7.8).
    func webSocketKey(_ bytes: Span<UInt8>) -> [UInt8]? {
        guard let upgrade = line(of: "upgrade", bytes), let key = line(of: "sec-websocket-key", bytes),
            bytes.equalsIgnoringCase(Self.value(of: "upgrade", upgrade, bytes), "websocket")
        else { return nil }
        return Self.value(of: "sec-websocket-key", key, bytes).range.map { bytes[$0] }
    }

    private static func value(of name: StaticString, _ line: ByteRange, _ bytes: Span<UInt8>) -> ByteRange {
        var end = line.end - 1
        if end > 0, bytes[end - 1] == UInt8(ascii: "\r") { end -= 1 }
        return bytes.trimmingBlanks(range(Int(line.start) + name.utf8CodeUnitCount + 1, end))
    }

    /// The line of a field, its end included.
    private func line(of name: StaticString, _ bytes: Span<UInt8>) -> ByteRange? {
        var start = linesStart
        while start < bytes.count {
            let end = bytes.firstIndex(of: UInt8(ascii: "\n"), from: start, limit: bytes.count)
            guard end < bytes.count else { return nil }
            let colon = start + name.utf8CodeUnitCount
            if colon < end, bytes[colon] == UInt8(ascii: ":"),
                bytes.equalsIgnoringCase(Self.range(start, colon), name)
            {
                return Self.range(start, end + 1)
            }
            start = end + 1
        }
        return nil
    }

    /// Writes the fields.
    ///
    /// - Parameter connects: as an extended CONNECT to a WebSocket (RFC 8441, section 4).
    func encode(
        _ bytes: Span<UInt8>, connects: Bool, isSecure: Bool, with encoder: inout HPACKEncoder,
        to writer: inout ByteWriter
    ) {
        if connects {
            encoder.encode(.method, "CONNECT", to: &writer)
            encoder.encode(.protocol, "websocket", to: &writer)
        } else {
            encoder.encode(.method, method, of: bytes, to: &writer)
        }
        encoder.encode(.scheme, isSecure ? "https" : "http", to: &writer)
        if !authority.isEmpty { encoder.encode(.authority, authority, of: bytes, to: &writer) }
        encoder.encode(.path, target, of: bytes, to: &writer)
        guard connects, let key = line(of: "sec-websocket-key", bytes) else {
            encoder.encode(lines: bytes.extracting(linesStart..<bytes.count), to: &writer)
            return
        }
        // The key belongs to the other handshake (RFC 8441, section 5).
        encoder.encode(lines: bytes.extracting(linesStart..<Int(key.start)), to: &writer)
        encoder.encode(lines: bytes.extracting(key.end..<bytes.count), to: &writer)
    }
}
