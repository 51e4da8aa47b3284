import Cache
import ConfigModel
import Exchange
import HTTPWire
import NIOCore
import Origin

/// The request as the origin gets it (RFC 9110, section 7.6): what belongs to the client's hop is gone, what says
/// who asked and by which way is added, and the framing is written anew.
extension Journey {
    /// Room for what is added to a request's own bytes.
    private static let addedBytes = 768

    /// The whole head. The caller gives the buffer back to the loop once it is written.
    func renderRequest(for zone: ServedZone) -> ByteBuffer {
        var head = loop.takeOutput()
        requestBytes.withBytes { bytes in
            head.writeHead(capacity: bytes.count + Self.addedBytes) { writer in
                writeRequestLine(&writer, bytes)
                writeHost(&writer, bytes, zone)
                writeFields(&writer, bytes)
                writeForwarding(&writer, bytes)
                writeTrace(&writer, bytes)
                writeFraming(&writer, bytes)
                writer.write("\r\n")
            }
        }
        return head
    }

    private func writeRequestLine(_ writer: inout ByteWriter, _ bytes: Span<UInt8>) {
        // A fetch beside a HEAD is a GET.
        if request.method == .get { writer.write("GET") } else { writer.write(bytes, request.methodRange) }
        writer.write(byte: UInt8(ascii: " "))
        if let recipe = visit.key == nil ? nil : zone?.cache?.recipe, recipe.sortsQuery, request.hasQuery {
            writeSorted(recipe, &writer, bytes)
            return writer.write(" HTTP/1.1\r\n")
        }
        switch request.targetForm {
        case .absolute:
            writeOriginForm(&writer, bytes)
        case .origin, .asterisk, .authority:
            writer.write(bytes, request.target)
        }
        writer.write(" HTTP/1.1\r\n")
    }

    /// The parameters in the order that the key has them in: what is normalised for the cache is forwarded so.
    private func writeSorted(_ recipe: KeyRecipe, _ writer: inout ByteWriter, _ bytes: Span<UInt8>) {
        if request.path.isEmpty { writer.write("/") } else { writer.write(bytes, request.path) }
        writer.write("?")
        recipe.writeForwardedQuery(request, bytes, to: &writer)
    }

    /// An absolute target without its authority, which goes into Host (RFC 9112, section 3.2.2).
    private func writeOriginForm(_ writer: inout ByteWriter, _ bytes: Span<UInt8>) {
        if !request.path.isEmpty {
            writer.write(bytes, request.path)
        } else if request.method == .options, !request.hasQuery {
            writer.write("*")
        } else {
            writer.write("/")
        }
        guard request.hasQuery else { return }
        writer.write("?")
        writer.write(bytes, request.query)
    }

    private func writeHost(_ writer: inout ByteWriter, _ bytes: Span<UInt8>, _ zone: ServedZone) {
        writer.write("Host: ")
        if var configured = server?.key.origin.hostHeader {
            configured.withUTF8 { writer.write(UnsafeRawBufferPointer($0)) }
        } else if request.host.isEmpty {
            // HTTP/1.0 without Host: the origin speaks 1.1 and needs one.
            var name = zone.name == "*" ? server?.key.origin.host ?? "" : zone.name
            name.withUTF8 { writer.write(UnsafeRawBufferPointer($0)) }
        } else {
            writeAuthority(&writer, bytes)
        }
        writer.write("\r\n")
    }

    /// `host` or `host:port`.
    func writeAuthority(_ writer: inout ByteWriter, _ bytes: Span<UInt8>) {
        // In lower case, as the key has it: an odd spelling must not reach an origin that would answer it oddly.
        for position in request.host.range where position < bytes.count {
            let byte = bytes[position]
            writer.write(byte: byte &- 65 < 26 ? byte | 0x20 : byte)
        }
        guard let port = request.port else { return }
        writer.write(":")
        writer.write(decimal: UInt64(port))
    }

    private func writeFields(_ writer: inout ByteWriter, _ bytes: Span<UInt8>) {
        let normalizesEncoding = normalizesEncoding
        let mayBeSpoofed = !serving.usesStandardAddressHeader && !serving.isTrusted(peer)
        for field in request.fields where !field.isDropped {
            // Whoever is not trusted cannot name the client to the origin either.
            if mayBeSpoofed, serving.isAddressField(field, bytes) { continue }
            switch field.known {
            case .xForwardedFor, .xForwardedProto, .xForwardedHost, .xForwardedPort, .forwarded, .xRealIP,
                .martletRay, .traceparent, .tracestate, .via:
                continue
            case .ifNoneMatch where visit.asksForWhole, .ifModifiedSince where visit.asksForWhole,
                .ifRange where visit.asksForWhole, .range where visit.asksForWhole:
                continue
            case .acceptEncoding where normalizesEncoding:
                continue
            case .maxForwards where request.method == .trace || request.method == .options:
                writeMaxForwards(field, &writer, bytes)
            default:
                writer.write(field: field, of: bytes)
            }
        }
        if normalizesEncoding, let codings = ContentCodings(request, bytes) {
            writer.write(field: "Accept-Encoding", value: codings.acceptEncoding)
        }
        if visit.validates { visit.stored?.head.writeConditions(to: &writer) }
    }

    /// What two requests differ by only in spelling must not make two variants of one object.
    private var normalizesEncoding: Bool {
        visit.key != nil && request.method.isSafe && zone?.cache?.settings.normalizesAcceptEncoding == true
    }

    /// One forwarding less (RFC 9110, section 7.6.2). What is no number has no meaning and goes no further.
    private func writeMaxForwards(_ field: Field, _ writer: inout ByteWriter, _ bytes: Span<UInt8>) {
        guard let count = maxForwards, count > 0 else { return }
        writer.write(field: "Max-Forwards", decimal: UInt64(count - 1))
    }

    /// The number of Max-Forwards: digits only, and no more than a request could ever be forwarded.
    var maxForwards: UInt32? {
        guard let value = request.first(.maxForwards), let digits = text(value) else { return nil }
        return digits.utf8.allSatisfy { (48...57).contains($0) } ? UInt32(digits) : nil
    }

    // MARK: Who asked

    /// Forwarding fields of an untrusted peer are dropped: it could claim to be anybody. A trusted proxy's are
    /// continued (RFC 7239, section 5.2).
    private func writeForwarding(_ writer: inout ByteWriter, _ bytes: Span<UInt8>) {
        let isTrusted = !serving.configuration.trustedProxies.isEmpty && serving.isTrusted(peer)
        writer.write("X-Forwarded-For: ")
        if isTrusted { writeMembers(of: .xForwardedFor, &writer, bytes) }
        writer.write(peer)
        writer.write("\r\n")

        if isTrusted, let proto = request.first(.xForwardedProto) {
            writer.write("X-Forwarded-Proto: ")
            writer.write(bytes, proto)
        } else {
            writer.write(isSecure ? "X-Forwarded-Proto: https" : "X-Forwarded-Proto: http")
        }
        writer.write("\r\nX-Forwarded-Host: ")
        if isTrusted, let host = request.first(.xForwardedHost) {
            writer.write(bytes, host)
        } else {
            writeAuthority(&writer, bytes)
        }
        writer.write("\r\nForwarded: ")
        if isTrusted { writeMembers(of: .forwarded, &writer, bytes) }
        writeForwardedElement(&writer, bytes)
        writer.write("\r\n")
        writer.write("Via: ")
        writeMembers(of: .via, &writer, bytes)
        // The version received (RFC 9110, section 7.6.3).
        writer.write(version.received)
        writer.write(" martlet\r\n")
    }

    /// The values of all fields of that name, each followed by a comma.
    private func writeMembers(of known: KnownField, _ writer: inout ByteWriter, _ bytes: Span<UInt8>) {
        guard request.has(known) else { return }
        for field in request.fields where field.known == known && !field.value.isEmpty {
            writer.write(bytes, field.value)
            writer.write(", ")
        }
    }

    /// RFC 7239, section 4: an IPv6 address is bracketed and quoted, and so is a host with a port.
    private func writeForwardedElement(_ writer: inout ByteWriter, _ bytes: Span<UInt8>) {
        if peer.isIPv4 {
            writer.write("for=")
            writer.write(peer)
        } else {
            writer.write("for=\"[")
            writer.write(peer)
            writer.write("]\"")
        }
        if !request.host.isEmpty {
            writer.write(";host=\"")
            writeAuthority(&writer, bytes)
            writer.write("\"")
        }
        writer.write(isSecure ? ";proto=https" : ";proto=http")
    }

    // MARK: Where it belongs

    private func writeTrace(_ writer: inout ByteWriter, _ bytes: Span<UInt8>) {
        writer.write("Martlet-Ray: ")
        writer.write(identifier: ray)
        writer.write("\r\ntraceparent: 00-")
        if let parent = request.first(.traceparent), Self.isTraceParent(parent, bytes) {
            // The trace goes on; this hop is a new parent in it (W3C Trace Context, section 3.4).
            writer.write(bytes, ByteRange(start: parent.start + 3, count: 32))
            writer.write("-")
            writer.write(identifier: ray)
            writer.write("-")
            writer.write(bytes, ByteRange(start: parent.start + 53, count: 2))
            writer.write("\r\n")
            for field in request.fields where field.known == .tracestate { writer.write(field: field, of: bytes) }
        } else {
            writer.write(identifier: ray &* 0x9e37_79b9_7f4a_7c15 | 1)
            writer.write(identifier: ray)
            writer.write("-")
            writer.write(identifier: ray)
            writer.write("-00\r\n")
        }
    }

    /// W3C Trace Context, section 3.2: version 00, or a later one read as 00; lower-case hex; ids not all zero.
    static func isTraceParent(_ value: ByteRange, _ bytes: Span<UInt8>) -> Bool {
        guard value.count >= 55, value.end <= bytes.count else { return false }
        let start = Int(value.start)
        var traceBits: UInt8 = 0
        var parentBits: UInt8 = 0
        for offset in 0..<55 {
            let byte = bytes[start + offset]
            if offset == 2 || offset == 35 || offset == 52 {
                guard byte == UInt8(ascii: "-") else { return false }
                continue
            }
            guard (48...57).contains(byte) || (97...102).contains(byte) else { return false }
            if (3..<35).contains(offset) { traceBits |= byte & 0x4f }
            if (36..<52).contains(offset) { parentBits |= byte & 0x4f }
        }
        let isVersion00 = bytes[start] == 48 && bytes[start + 1] == 48
        let isVersionFF = bytes[start] == 102 && bytes[start + 1] == 102
        if value.count > 55, isVersion00 || bytes[start + 55] != UInt8(ascii: "-") { return false }
        return !isVersionFF && traceBits != 0 && parentBits != 0
    }

    // MARK: How it is framed

    /// `Upgrade: h2c` would open a tunnel through which requests pass that no room here ever sees. RFC 9113 has
    /// withdrawn it; the request goes on as HTTP/1.1.
    func refuseHTTP2Upgrade() {
        guard let protocols = request.upgrade else { return }
        let namesHTTP2 = requestBytes.withBytes { bytes in
            var list = ListMembers(protocols)
            while let member = list.next(in: bytes) {
                if bytes.hasPrefixIgnoringCase(member, "h2") || bytes.hasPrefixIgnoringCase(member, "http/2") {
                    return true
                }
            }
            return false
        }
        if namesHTTP2 { request.upgrade = nil }
    }

    private func writeFraming(_ writer: inout ByteWriter, _ bytes: Span<UInt8>) {
        switch request.framing {
        case .length(let count): writer.write(field: "Content-Length", decimal: count)
        case .chunked: writer.write("Transfer-Encoding: chunked\r\n")
        case .none, .untilClose: break
        }
        if request.expectsContinue { writer.write("Expect: 100-continue\r\n") }
        if let protocols = request.upgrade {
            writer.write("Connection: Upgrade\r\nUpgrade: ")
            writer.write(bytes, protocols)
            writer.write("\r\n")
        } else if request.wantsTrailers {
            writer.write("Connection: TE\r\nTE: trailers\r\n")
        }
    }
}
