// A request from its fields (RFC 9113, section 8.3.1): the head that an HTTP/1.1 parser would have left.
//
// Two kinds of fault are told apart. What breaks the form (pseudo-header fields, names, connection-specific fields,
// lengths) resets the stream, for whoever sends that is not spoken to. What says something that cannot be (a path, a host,
// an expectation) is answered as it is in HTTP/1.1.

internal import Limits

/// Reads one request.
struct HTTP2RequestReader {
    private let bounds: HTTP2Bounds
    private let endsStream: Bool

    /// The pseudo-header fields; `seen` has a bit for each.
    private var method = ByteRange.empty
    private var path = ByteRange.empty
    private var scheme = ByteRange.empty
    private var authority = ByteRange.empty
    private var seen: UInt8 = 0
    private var isBehindPseudo = false

    private var length = HTTP2ContentLength()
    private var hosts = 0
    private var host = ByteRange.empty
    private var cookies = 0
    private var isUnexpected = false

    private(set) var connectProtocol: ByteRange?
    private(set) var priority = HTTP2Priority()

    private static var methodBit: UInt8 { 1 }
    private static var pathBit: UInt8 { 2 }
    private static var schemeBit: UInt8 { 4 }
    private static var authorityBit: UInt8 { 8 }
    private static var protocolBit: UInt8 { 16 }

    init(bounds: HTTP2Bounds, endsStream: Bool) {
        self.bounds = bounds
        self.endsStream = endsStream
    }

    /// Fills `head` in from `fields`, which get longer where cookies are joined.
    mutating func read(_ fields: inout HPACKFields, into head: inout RequestHead) -> HTTP2HeadVerdict {
        head.reset()
        guard !fields.hasOverflowed, fields.listBytes <= bounds.headBytesMax else { return .tooLarge }
        for index in fields.entries.indices {
            let entry = fields.entries[index]
            guard entry.isWellFormed else { return .faulty }
            guard case .field(let known) = entry.kind else {
                guard !isBehindPseudo, take(pseudo: entry) else { return .faulty }
                continue
            }
            isBehindPseudo = true
            guard take(entry, known, fields.bytes.span, into: &head) else { return .faulty }
        }
        // Browsers send each cookie by itself: they are one field, as in HTTP/1.1.
        guard head.fields.count &- max(0, cookies &- 1) <= bounds.fieldCountMax else { return .tooLarge }
        if cookies > 1, !Self.join(&fields, into: &head) { return .tooLarge }
        head.byteCount = fields.byteCount
        return conclude(fields.bytes.span, into: &head)
    }

    // MARK: Fields

    /// A pseudo-header field: one of a request's, and the first of its name (RFC 9113, section 8.3).
    @inline(__always)
    private mutating func take(pseudo entry: HPACKFields.Entry) -> Bool {
        let bit: UInt8
        switch entry.kind {
        case .method:
            bit = Self.methodBit
            method = entry.value
        case .path:
            bit = Self.pathBit
            path = entry.value
        case .scheme:
            bit = Self.schemeBit
            scheme = entry.value
        case .authority:
            bit = Self.authorityBit
            authority = entry.value
        case .protocol:
            bit = Self.protocolBit
            connectProtocol = entry.value
        default: return false
        }
        guard seen & bit == 0 else { return false }
        seen |= bit
        return true
    }

    @inline(__always)
    private mutating func take(
        _ entry: HPACKFields.Entry, _ known: KnownField, _ bytes: Span<UInt8>, into head: inout RequestHead
    ) -> Bool {
        let bit = known.bit
        let special =
            KnownField.connectionSpecificBits | KnownField.te.bit | KnownField.cookie.bit | KnownField.host.bit
            | KnownField.contentLength.bit | KnownField.expect.bit | KnownField.other.bit
        if bit & special != 0 {
            switch known {
            case .connection, .proxyConnection, .keepAlive, .transferEncoding, .upgrade: return false
            case .te:
                guard bytes.equalsIgnoringCase(entry.value, "trailers") else { return false }
                head.wantsTrailers = true
            case .contentLength:
                guard length.take(bytes, entry.value) else { return false }
            case .host:
                hosts &+= 1
                host = entry.value
            case .expect:
                if !bytes.equalsIgnoringCase(entry.value, "100-continue") { isUnexpected = true }
            case .cookie:
                cookies &+= 1
            default:
                if entry.name.count == 8, bytes.equals(entry.name, "priority") { priority.update(bytes, entry.value) }
            }
        }
        head.seen |= bit
        head.fields.append(entry.field(known, isDropped: known.isDropped))
        return true
    }

    /// Cookies that came in pieces become one field (RFC 9113, section 8.2.3); the first one has it.
    private static func join(_ fields: inout HPACKFields, into head: inout RequestHead) -> Bool {
        let start = fields.byteCount
        var first = -1
        var kept = 0
        for index in head.fields.indices {
            let field = head.fields[index]
            guard field.known == .cookie else {
                head.fields[kept] = field
                kept &+= 1
                continue
            }
            if first < 0 {
                first = kept
                head.fields[kept] = field
                kept &+= 1
            } else if !fields.append("; ") {
                return false
            }
            guard fields.append(field.value) else { return false }
        }
        head.fields.removeLast(head.fields.count &- kept)
        if first >= 0 { head.fields[first].value = ByteRange(start, fields.byteCount) }
        return true
    }

    // MARK: The whole

    private mutating func conclude(_ bytes: Span<UInt8>, into head: inout RequestHead) -> HTTP2HeadVerdict {
        let isTunnel = seen & Self.protocolBit != 0
        guard seen & Self.methodBit != 0, !method.isEmpty else { return .faulty }
        head.methodRange = method
        head.method = Method.identify(bytes, method)
        if head.method == .connect, !isTunnel {
            // RFC 9113, 8.5: the authority alone.
            guard seen == Self.methodBit | Self.authorityBit else { return .faulty }
        } else {
            let needed = Self.methodBit | Self.schemeBit | Self.pathBit
            guard seen & needed == needed, !path.isEmpty, isScheme(bytes) else { return .faulty }
            // RFC 8441, 4.
            if isTunnel { guard head.method == .connect, seen & Self.authorityBit != 0 else { return .faulty } }
            head.scheme = scheme
        }
        head.contentLength = length.value
        head.framing = framing
        if endsStream, length.value ?? 0 > 0 { return .faulty }
        head.keepAlive = true
        do throws(WireError) {
            try concludeTarget(bytes, into: &head, isTunnel: isTunnel)
            try concludeHost(bytes, into: &head)
        } catch {
            return .malformed(error)
        }
        if isUnexpected { return .malformed(WireError(.expectationUnknown, side: .request, at: 0)) }
        head.expectsContinue =
            head.seen & KnownField.expect.bit != 0 && head.framing != .none && head.framing != .length(0)
        return .good
    }

    private var framing: BodyFraming {
        if let length = length.value { return .length(length) }
        return endsStream ? .none : .chunked
    }

    /// `ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )` (RFC 3986, section 3.1).
    @inline(__always)
    private func isScheme(_ bytes: Span<UInt8>) -> Bool {
        if bytes.equals(scheme, "https") || bytes.equals(scheme, "http") { return true }
        guard !scheme.isEmpty, ASCII.lowercased(bytes[Int(scheme.start)]) &- UInt8(ascii: "a") < 26 else {
            return false
        }
        for index in scheme.range {
            switch bytes[index] {
            case UInt8(ascii: "+"), UInt8(ascii: "-"), ASCII.dot: continue
            case let byte where ASCII.isDigit(byte) || ASCII.lowercased(byte) &- UInt8(ascii: "a") < 26: continue
            default: return false
            }
        }
        return true
    }

    private func concludeTarget(
        _ bytes: Span<UInt8>, into head: inout RequestHead, isTunnel: Bool
    ) throws(WireError) {
        if head.method == .other {
            guard method.count <= Limits.methodBytesMax else {
                throw WireError(.methodTooLong, side: .request, at: Int(method.start))
            }
            guard bytes.endOfToken(from: Int(method.start), limit: method.end) == method.end else {
                throw WireError(.badMethod, side: .request, at: Int(method.start))
            }
        }
        if head.method == .connect, !isTunnel {
            head.targetForm = .authority
            head.target = authority
            return
        }
        head.target = path
        let start = Int(path.start)
        guard Int(path.count) <= bounds.requestLineBytesMax else {
            throw WireError(.requestLineTooLong, side: .request, at: start)
        }
        guard bytes.endOfTarget(from: start, limit: path.end) == path.end else {
            throw WireError(.badTarget, side: .request, at: start)
        }
        guard bytes[start] == ASCII.slash else {
            guard bytes[start] == ASCII.asterisk, path.count == 1, head.method == .options else {
                throw WireError(.targetFormRefused, side: .request, at: start)
            }
            head.targetForm = .asterisk
            return
        }
        let question = bytes.firstIndex(of: ASCII.question, from: start, limit: path.end)
        head.path = ByteRange(start, question)
        if question < path.end {
            head.hasQuery = true
            head.query = ByteRange(question &+ 1, path.end)
        }
    }

    /// `:authority`, or Host where there is none; where there are both, of the same host (RFC 9113, section 8.3.1).
    private func concludeHost(_ bytes: Span<UInt8>, into head: inout RequestHead) throws(WireError) {
        guard hosts <= 1 else { throw WireError(.hostRepeated, side: .request, at: Int(host.start)) }
        guard seen & Self.authorityBit != 0 || hosts > 0 else {
            throw WireError(.hostMissing, side: .request, at: 0)
        }
        let named = try Authority.parse(bytes, seen & Self.authorityBit != 0 ? authority : host)
        head.host = named.host
        head.port = named.port
        if head.targetForm == .authority {
            // RFC 9110, 9.3.6: the port has no default and must be there.
            guard named.port != nil else {
                throw WireError(.targetFormRefused, side: .request, at: Int(authority.start))
            }
        }
        guard hosts > 0, seen & Self.authorityBit != 0 else { return }
        let other = try Authority.parse(bytes, host)
        let defaultPort: UInt16? =
            bytes.equalsIgnoringCase(scheme, "http") ? 80 : bytes.equalsIgnoringCase(scheme, "https") ? 443 : nil
        guard bytes.equalsIgnoringCase(other.host, named.host), other.port ?? defaultPort == named.port ?? defaultPort
        else { throw WireError(.hostDisagrees, side: .request, at: Int(host.start)) }
    }
}
