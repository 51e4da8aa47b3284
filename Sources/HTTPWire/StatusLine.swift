// The status line: version SP status SP [reason] CRLF (RFC 9112, section 4).

enum StatusLine {
    /// Reads the line at `start`. Returns the position behind its CRLF, or nil if it does not end within `limit`.
    static func parse(
        _ bytes: Span<UInt8>, at start: Int, limit: Int, into head: inout ResponseHead
    ) throws(WireError) -> Int? {
        guard let minor = try StartLine.version(bytes, at: start, limit: limit, side: .response) else { return nil }
        head.minorVersion = minor
        var index = start &+ 8
        guard index < limit else { return nil }
        guard bytes.byte(at: index) == ASCII.space else { throw fault(bytes.byte(at: index), at: index) }
        index &+= 1
        var status = 0
        for _ in 0..<3 {
            guard index < limit else { return nil }
            let byte = bytes.byte(at: index)
            guard ASCII.isDigit(byte) else { throw fault(byte, at: index, otherwise: .badStatus) }
            status = status &* 10 &+ Int(byte &- ASCII.zero)
            index &+= 1
        }
        guard status >= 100, status <= 599 else { throw WireError(.badStatus, side: .response, at: index &- 3) }
        head.status = status
        guard index < limit else { return nil }
        if bytes.byte(at: index) == ASCII.space {
            let reasonStart = index &+ 1
            index = bytes.endOfValue(from: min(reasonStart, limit), limit: limit)
            head.reason = ByteRange(reasonStart, index)
        }
        guard index < limit else { return nil }
        guard bytes.byte(at: index) == ASCII.carriageReturn else { throw fault(bytes.byte(at: index), at: index) }
        guard index &+ 1 < limit else { return nil }
        guard bytes.byte(at: index &+ 1) == ASCII.lineFeed else {
            throw WireError(.bareCarriageReturn, side: .response, at: index)
        }
        return index &+ 2
    }

    @inline(never)
    private static func fault(_ byte: UInt8, at: Int, otherwise kind: WireError.Kind = .badStatusLine) -> WireError {
        WireError(byte == ASCII.lineFeed ? .bareLineFeed : kind, side: .response, at: at)
    }
}
