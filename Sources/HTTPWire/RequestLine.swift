// The request line: method SP target SP version CRLF (RFC 9112, section 3), and the four forms of a target.
//
// Exactly one SP stands between the parts; the looser splitting that RFC 9112 allows is how parsers come to disagree.

internal import Limits

enum RequestLine {
    private static var getAndSpace: UInt32 { 0x2054_4547 }  // "GET ", little-endian

    /// Reads the line at `start`. Returns the position behind its CRLF, or nil if it does not end within `limit`.
    static func parse(
        _ bytes: Span<UInt8>, at start: Int, limit: Int, into head: inout RequestHead
    ) throws(WireError) -> Int? {
        var methodEnd = start &+ 3
        if start &+ 8 <= limit, UInt32(truncatingIfNeeded: bytes.word(at: start)) == getAndSpace {
            head.method = .get
        } else {
            guard let end = try parseMethod(bytes, at: start, limit: limit) else { return nil }
            methodEnd = end
            head.method = Method.identify(bytes, ByteRange(start, end))
        }
        head.methodRange = ByteRange(start, methodEnd)

        let targetStart = methodEnd &+ 1
        let targetEnd = bytes.endOfTarget(from: targetStart, limit: limit)
        guard targetEnd < limit else { return nil }
        let space = bytes.byte(at: targetEnd)
        guard space == ASCII.space, targetEnd > targetStart else {
            throw fault(space, at: targetEnd, otherwise: space == ASCII.space ? .badRequestLine : .badTarget)
        }
        head.target = ByteRange(targetStart, targetEnd)

        let versionStart = targetEnd &+ 1
        guard let minor = try StartLine.version(bytes, at: versionStart, limit: limit, side: .request) else {
            return nil
        }
        head.minorVersion = minor
        let lineEnd = versionStart &+ 8
        guard lineEnd < limit else { return nil }
        let carriageReturn = bytes.byte(at: lineEnd)
        guard carriageReturn == ASCII.carriageReturn else {
            throw fault(carriageReturn, at: lineEnd, otherwise: .badVersion)
        }
        guard lineEnd &+ 1 < limit else { return nil }
        guard bytes.byte(at: lineEnd &+ 1) == ASCII.lineFeed else {
            throw WireError(.bareCarriageReturn, side: .request, at: lineEnd)
        }
        try parseTarget(bytes, into: &head)
        return lineEnd &+ 2
    }

    /// The end of the method, which a SP follows; nil if it does not end within `limit`.
    private static func parseMethod(_ bytes: Span<UInt8>, at start: Int, limit: Int) throws(WireError) -> Int? {
        let longest = start &+ Limits.methodBytesMax
        let end = bytes.endOfToken(from: start, limit: min(limit, longest &+ 1))
        guard end <= longest else { throw WireError(.methodTooLong, side: .request, at: start) }
        guard end < limit else { return nil }
        let space = bytes.byte(at: end)
        guard space == ASCII.space, end > start else { throw fault(space, at: end, otherwise: .badMethod) }
        return end
    }

    @inline(never)
    private static func fault(_ byte: UInt8, at: Int, otherwise kind: WireError.Kind) -> WireError {
        switch byte {
        case ASCII.lineFeed: WireError(.bareLineFeed, side: .request, at: at)
        case ASCII.carriageReturn: WireError(.badRequestLine, side: .request, at: at)
        default: WireError(kind, side: .request, at: at)
        }
    }
}

// MARK: Targets (RFC 9112, section 3.2)

extension RequestLine {
    /// Decides the form of `head.target` and takes it apart.
    private static func parseTarget(_ bytes: Span<UInt8>, into head: inout RequestHead) throws(WireError) {
        let start = Int(head.target.start)
        let end = head.target.end
        let first = bytes.byte(at: start)
        if first == ASCII.slash, head.method != .connect {
            head.targetForm = .origin
            splitPath(bytes, from: start, limit: end, into: &head)
            return
        }
        if head.method == .connect {
            // RFC 9110, 9.3.6: the port has no default and must be there.
            let authority = try Authority.parse(bytes, head.target)
            guard let port = authority.port else { throw refused(at: start) }
            head.targetForm = .authority
            head.host = authority.host
            head.port = port
            return
        }
        if first == ASCII.asterisk, end &- start == 1 {
            guard head.method == .options else { throw refused(at: start) }
            head.targetForm = .asterisk
            return
        }
        try parseAbsolute(bytes, into: &head)
    }

    /// `http://authority[/path][?query]`, or the same with https. Other schemes have no meaning at an HTTP server.
    private static func parseAbsolute(_ bytes: Span<UInt8>, into head: inout RequestHead) throws(WireError) {
        let start = Int(head.target.start)
        let end = head.target.end
        let schemeCount: Int
        if bytes.hasPrefixIgnoringCase(head.target, "http://") {
            schemeCount = 4
        } else if bytes.hasPrefixIgnoringCase(head.target, "https://") {
            schemeCount = 5
        } else {
            throw refused(at: start)
        }
        head.targetForm = .absolute
        head.scheme = ByteRange(start, start &+ schemeCount)
        let authorityStart = start &+ schemeCount &+ 3
        var authorityEnd = authorityStart
        while authorityEnd < end {
            let byte = bytes.byte(at: authorityEnd)
            if byte == ASCII.slash || byte == ASCII.question { break }
            authorityEnd &+= 1
        }
        let authority = try Authority.parse(bytes, ByteRange(authorityStart, authorityEnd))
        head.host = authority.host
        head.port = authority.port
        splitPath(bytes, from: authorityEnd, limit: end, into: &head)
    }

    /// Path up to the first `?`, query behind it.
    private static func splitPath(_ bytes: Span<UInt8>, from start: Int, limit: Int, into head: inout RequestHead) {
        let question = bytes.firstIndex(of: ASCII.question, from: start, limit: limit)
        head.path = ByteRange(start, question)
        if question < limit {
            head.hasQuery = true
            head.query = ByteRange(question &+ 1, limit)
        }
    }

    private static func refused(at start: Int) -> WireError {
        WireError(.targetFormRefused, side: .request, at: start)
    }
}
