// From the bytes of a field name to its row in the table, ignoring case.
//
// A name's first and last eight bytes are loaded once (for names of up to 16 bytes they overlap and cover all of it)
// and compared with constants: one XOR, OR and branch per candidate of the same length. The compiler folds the loads
// from the literals away, which is why everything here is `@inline(__always)`.

/// The bytes of one name, loaded for comparison. Names longer than 32 bytes are known to nobody.
private struct NameWords {
    let head: UInt64
    let second: UInt64
    let third: UInt64
    let tail: UInt64

    @inline(__always)
    init(_ bytes: Span<UInt8>, start: Int, count: Int) {
        if count < 8 {
            head = bytes.shortWord(at: start, count: count)
            second = 0
            third = 0
            tail = 0
            return
        }
        head = bytes.word(at: start)
        tail = bytes.word(at: start &+ count &- 8)
        second = count > 16 ? bytes.word(at: start &+ 8) : 0
        third = count > 24 ? bytes.word(at: start &+ 16) : 0
    }

    /// Whether the name is `name` in any case. The lengths are already known to be equal. A letter has bit 0x40 set and
    /// differs between the cases in 0x20; hyphen and digits have no 0x40 and must match exactly.
    @inline(__always)
    func matches(_ name: StaticString) -> Bool {
        let count = name.utf8CodeUnitCount
        if count < 8 { return Self.equal(head, Self.constant(name, at: 0, count: count)) }
        var result = Self.equal(head, Self.constant(name, at: 0, count: 8))
        if count > 8 { result = result && Self.equal(tail, Self.constant(name, at: count &- 8, count: 8)) }
        if count > 16 { result = result && Self.equal(second, Self.constant(name, at: 8, count: 8)) }
        if count > 24 { result = result && Self.equal(third, Self.constant(name, at: 16, count: 8)) }
        return result
    }

    @inline(__always)
    private static func equal(_ word: UInt64, _ constant: UInt64) -> Bool {
        word | ((constant & 0x4040_4040_4040_4040) &>> 1) == constant
    }

    /// Up to eight bytes of a literal as a little-endian word. `name` is one of the literals below, never data.
    @inline(__always)
    private static func constant(_ name: StaticString, at start: Int, count: Int) -> UInt64 {
        let base = UnsafeRawPointer(name.utf8Start) + start
        if count == 8 { return UInt64(littleEndian: base.loadUnaligned(as: UInt64.self)) }
        var word: UInt64 = 0
        var offset = 0
        if count & 4 != 0 {
            word = UInt64(UInt32(littleEndian: base.loadUnaligned(as: UInt32.self)))
            offset = 4
        }
        if count & 2 != 0 {
            let pair = UInt16(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
            word |= UInt64(pair) &<< UInt64(offset &* 8)
            offset += 2
        }
        if count & 1 != 0 {
            word |= UInt64(base.load(fromByteOffset: offset, as: UInt8.self)) &<< UInt64(offset &* 8)
        }
        return word
    }
}

extension KnownField {
    /// Which field the bytes of `name` name, ignoring case. A name found here is a token, by the table's contents.
    package static func identify(_ bytes: Span<UInt8>, _ name: ByteRange) -> KnownField {
        guard name.end <= bytes.count else { return .other }
        return identify(bytes, start: Int(name.start), count: Int(name.count))
    }

    @inline(__always)
    static func identify(_ bytes: Span<UInt8>, start: Int, count: Int) -> KnownField {
        guard count >= 2, count <= 25 else { return .other }
        let name = NameWords(bytes, start: start, count: count)
        return count <= 12 ? identifyShort(name, count: count) : identifyLong(name, count: count)
    }

    @inline(__always)
    private static func identifyShort(_ name: NameWords, count: Int) -> KnownField {
        switch count {
        case 2:
            if name.matches("te") { return .te }
        case 3:
            if name.matches("via") { return .via }
            if name.matches("age") { return .age }
        case 4:
            if name.matches("host") { return .host }
            if name.matches("date") { return .date }
            if name.matches("etag") { return .eTag }
            if name.matches("vary") { return .vary }
        case 5:
            if name.matches("range") { return .range }
            if name.matches("proxy") { return .proxy }
        case 6:
            if name.matches("accept") { return .accept }
            if name.matches("cookie") { return .cookie }
            if name.matches("server") { return .server }
            if name.matches("origin") { return .origin }
            if name.matches("expect") { return .expect }
            if name.matches("pragma") { return .pragma }
        case 7:
            if name.matches("referer") { return .referer }
            if name.matches("expires") { return .expires }
            if name.matches("upgrade") { return .upgrade }
            if name.matches("trailer") { return .trailer }
            if name.matches("alt-svc") { return .altSvc }
        case 8:
            if name.matches("location") { return .location }
            if name.matches("if-range") { return .ifRange }
            if name.matches("if-match") { return .ifMatch }
            if name.matches("cdn-loop") { return .cdnLoop }
        case 9:
            if name.matches("forwarded") { return .forwarded }
            if name.matches("x-real-ip") { return .xRealIP }
            if name.matches("cache-tag") { return .cacheTag }
        case 10:
            if name.matches("connection") { return .connection }
            if name.matches("user-agent") { return .userAgent }
            if name.matches("set-cookie") { return .setCookie }
            if name.matches("keep-alive") { return .keepAlive }
            if name.matches("tracestate") { return .tracestate }
        case 11:
            if name.matches("traceparent") { return .traceparent }
            if name.matches("martlet-ray") { return .martletRay }
            if name.matches("retry-after") { return .retryAfter }
        case 12:
            if name.matches("content-type") { return .contentType }
            if name.matches("cache-status") { return .cacheStatus }
            if name.matches("max-forwards") { return .maxForwards }
        default:
            break
        }
        return .other
    }

    @inline(__always)
    private static func identifyLong(_ name: NameWords, count: Int) -> KnownField {
        switch count {
        case 13:
            if name.matches("cache-control") { return .cacheControl }
            if name.matches("authorization") { return .authorization }
            if name.matches("last-modified") { return .lastModified }
            if name.matches("if-none-match") { return .ifNoneMatch }
            if name.matches("accept-ranges") { return .acceptRanges }
            if name.matches("content-range") { return .contentRange }
        case 14:
            if name.matches("content-length") { return .contentLength }
            if name.matches("http2-settings") { return .http2Settings }
        case 15:
            if name.matches("accept-encoding") { return .acceptEncoding }
            if name.matches("accept-language") { return .acceptLanguage }
            if name.matches("x-forwarded-for") { return .xForwardedFor }
        case 16:
            if name.matches("content-encoding") { return .contentEncoding }
            if name.matches("content-language") { return .contentLanguage }
            if name.matches("content-location") { return .contentLocation }
            if name.matches("proxy-connection") { return .proxyConnection }
            if name.matches("x-forwarded-host") { return .xForwardedHost }
            if name.matches("x-forwarded-port") { return .xForwardedPort }
            if name.matches("www-authenticate") { return .wwwAuthenticate }
        case 17:
            if name.matches("transfer-encoding") { return .transferEncoding }
            if name.matches("if-modified-since") { return .ifModifiedSince }
            if name.matches("x-forwarded-proto") { return .xForwardedProto }
            if name.matches("cdn-cache-control") { return .cdnCacheControl }
        case 18:
            if name.matches("proxy-authenticate") { return .proxyAuthenticate }
        case 19:
            if name.matches("if-unmodified-since") { return .ifUnmodifiedSince }
            if name.matches("proxy-authorization") { return .proxyAuthorization }
        case 25:
            if name.matches("strict-transport-security") { return .strictTransportSecurity }
            if name.matches("proxy-authentication-info") { return .proxyAuthenticationInfo }
            if name.matches("martlet-cdn-cache-control") { return .martletCDNCacheControl }
        default:
            break
        }
        return .other
    }
}
