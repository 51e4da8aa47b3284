// What an unsafe request makes stale (RFC 9111, section 4.4): its own URI, and those its response points to, if they
// are of the same origin; otherwise one site could empty another's cache.

package import HTTPWire

package enum Invalidation {
    /// Whether a response to this method invalidates: an unsafe method, or one that nobody knows, and no error.
    package static func applies(_ method: Method, status: Int) -> Bool {
        !method.isSafe && (200...399).contains(status)
    }

    /// Where Location or Content-Location leads on the request's own origin: path and query as a range of `bytes`,
    /// without the fragment; empty means `/`. Nil for other origins, and for references relative to a path, which are
    /// left alone: the target itself is invalidated anyhow.
    /// - Parameter isSecure: the request came over TLS.
    package static func target(
        _ field: KnownField, request: RequestHead, _ requestBytes: Span<UInt8>, isSecure: Bool,
        response: ResponseHead, _ bytes: Span<UInt8>
    ) -> ByteRange? {
        guard let value = response.first(field), value.end <= bytes.count, !value.isEmpty else { return nil }
        let fragment = bytes.firstIndex(of: UInt8(ascii: "#"), from: Int(value.start), limit: value.end)
        let reference = ByteRange(from: Int(value.start), to: fragment)
        var authorityStart: Int
        if bytes.hasPrefixIgnoringCase(reference, isSecure ? "https://" : "http://") {
            authorityStart = Int(reference.start) &+ (isSecure ? 8 : 7)
        } else if bytes.hasPrefixIgnoringCase(reference, "//") {
            authorityStart = Int(reference.start) &+ 2
        } else {
            return bytes.hasPrefixIgnoringCase(reference, "/") ? reference : nil
        }
        var authorityEnd = authorityStart
        while authorityEnd < reference.end, bytes[authorityEnd] != UInt8(ascii: "/"),
            bytes[authorityEnd] != UInt8(ascii: "?")
        {
            authorityEnd &+= 1
        }
        let authority = ByteRange(from: authorityStart, to: authorityEnd)
        guard isOwn(authority, bytes, request, requestBytes, defaultPort: isSecure ? 443 : 80) else { return nil }
        return ByteRange(from: authorityEnd, to: reference.end)
    }

    /// Whether Content-Location is the target URI itself (RFC 9110, section 9.3.3).
    static func isOwnTarget(
        _ request: RequestHead, _ requestBytes: Span<UInt8>, isSecure: Bool, _ response: ResponseHead,
        _ bytes: Span<UInt8>
    ) -> Bool {
        guard response.only(.contentLocation) != nil,
            let location = target(
                .contentLocation, request: request, requestBytes, isSecure: isSecure, response: response, bytes)
        else { return false }
        // Both are absolute paths, or empty ones that mean `/`.
        let isRoot = location.isEmpty || bytes.equalsIgnoringCase(location, "/")
        if isRoot, !request.hasQuery { return request.path.count <= 1 }
        guard !request.path.isEmpty else { return false }
        let own = Int(request.path.start)..<(request.hasQuery ? request.query.end : request.path.end)
        return Octet.equal(bytes, location.range, requestBytes, own)
    }

    /// Whether an authority names the host and port that the request was for.
    private static func isOwn(
        _ authority: ByteRange, _ bytes: Span<UInt8>, _ request: RequestHead, _ requestBytes: Span<UInt8>,
        defaultPort: UInt16
    ) -> Bool {
        var hostEnd = authority.end
        var port = defaultPort
        var digitsStart = authority.end
        while digitsStart > Int(authority.start), Octet.digit(bytes[digitsStart &- 1]) != nil { digitsStart &-= 1 }
        if digitsStart > Int(authority.start), bytes[digitsStart &- 1] == UInt8(ascii: ":") {
            hostEnd = digitsStart &- 1
            if digitsStart < authority.end {
                guard let number = Decimal.read(bytes, from: digitsStart, limit: authority.end)?.number,
                    number > 0, let named = UInt16(exactly: number)
                else { return false }
                port = named
            }
        }
        return port == request.port ?? defaultPort
            && Octet.equalIgnoringCase(bytes, Int(authority.start)..<hostEnd, requestBytes, request.host.range)
    }
}
