// What a zone adds to its keys beside the URL. Each part is a line of its own behind it:
//
//     LF h:name=value    a request field; several lines of it joined by commas
//     LF c:name=value    a cookie; all of that name, joined by semicolons
//     LF d:mobile        the kind of device
//     LF l:de-at         the first language
//
// A field or cookie that is not there has no `=`, so that it differs from an empty one. Control bytes and `%` in a value
// are written as `%0A`, so that no value can pretend to be another line.

import ConfigModel
package import HTTPWire
import Limits

/// One part of a key beyond the URL.
enum KeyPart: Sendable {
    case header(KnownField, name: [UInt8])
    case cookie(name: [UInt8])
    case device
    case language

    /// The parts in the order in which they are written.
    static func all(of settings: CacheKeySettings) -> [KeyPart] {
        var parts: [KeyPart] = settings.headers.map { header in
            let name = Array(header.utf8)
            return .header(KnownField.identify(name.span, ByteRange(from: 0, to: name.count)), name: name)
        }
        parts += settings.cookies.map { .cookie(name: Array($0.utf8)) }
        if settings.device { parts.append(.device) }
        if settings.language { parts.append(.language) }
        return parts
    }

    func write(_ request: RequestHead, _ bytes: Span<UInt8>, _ writer: inout ByteWriter) {
        switch self {
        case .header(let known, let name): Self.writeHeader(known, name, request, bytes, &writer)
        case .cookie(let name): Self.writeCookie(name, request, bytes, &writer)
        case .device:
            writer.write("\nd:")
            writer.write(DeviceKind.of(request, bytes).label)
        case .language: Self.writeLanguage(request, bytes, &writer)
        }
    }

    private static func writeHeader(
        _ known: KnownField, _ name: [UInt8], _ request: RequestHead, _ bytes: Span<UInt8>, _ writer: inout ByteWriter
    ) {
        writer.write("\nh:")
        name.withUnsafeBytes { writer.write($0) }
        var separator: StaticString = "="
        for field in request.fields where !field.isDropped && field.known == known {
            if known == .other {
                guard Octet.equalIgnoringCase(bytes, field.name.range, name.span, 0..<name.count) else { continue }
            }
            writer.write(separator)
            writeEscaped(field.value, bytes, &writer)
            separator = ","
        }
    }

    private static func writeCookie(
        _ name: [UInt8], _ request: RequestHead, _ bytes: Span<UInt8>, _ writer: inout ByteWriter
    ) {
        writer.write("\nc:")
        name.withUnsafeBytes { writer.write($0) }
        var separator: StaticString = "="
        var cookies = CookiePairs()
        while let cookie = cookies.next(request, bytes) {
            guard Octet.equal(bytes, cookie.name.range, name.span, 0..<name.count) else { continue }
            writer.write(separator)
            writeEscaped(cookie.value, bytes, &writer)
            separator = ";"
        }
    }

    /// The first member of Accept-Language, in lower case and without its weight: browsers list by preference. Nothing
    /// where that is no language tag.
    private static func writeLanguage(_ request: RequestHead, _ bytes: Span<UInt8>, _ writer: inout ByteWriter) {
        writer.write("\nl:")
        guard let value = request.first(.acceptLanguage) else { return }
        var members = ListMembers(value)
        guard let member = members.next(in: bytes) else { return }
        var end = Int(member.start)
        while end < member.end, isTagByte(bytes[end]) { end &+= 1 }
        guard end == member.end || bytes[end] == UInt8(ascii: ";") || Octet.isBlank(bytes[end]) else { return }
        for index in Int(member.start)..<end { writer.write(byte: Octet.lowercased(bytes[index])) }
    }

    private static func isTagByte(_ byte: UInt8) -> Bool {
        Octet.lowercased(byte) &- 0x61 < 26 || byte &- 0x30 < 10 || byte == UInt8(ascii: "-")
    }

    private static func writeEscaped(_ value: ByteRange, _ bytes: Span<UInt8>, _ writer: inout ByteWriter) {
        guard value.end <= bytes.count else { return }
        for index in value.range {
            let byte = bytes[index]
            if byte < 0x20 || byte == 0x7F || byte == UInt8(ascii: "%") {
                writer.write(byte < 0x10 ? "%0" : "%")
                writer.write(hex: UInt64(byte))
            } else {
                writer.write(byte: byte)
            }
        }
    }
}

/// The kind of device that a request comes from, as far as its User-Agent tells.
package enum DeviceKind: UInt8, Sendable {
    case desktop
    case mobile
    case tablet

    package var label: StaticString {
        switch self {
        case .desktop: "desktop"
        case .mobile: "mobile"
        case .tablet: "tablet"
        }
    }

    /// Tablets say so, are iPads, or run Android without calling themselves mobile; telephones call themselves mobile.
    /// Everything else, and what says nothing, is a desktop.
    package static func of(_ request: RequestHead, _ bytes: Span<UInt8>) -> DeviceKind {
        guard var agent = request.first(.userAgent) else { return .desktop }
        agent.count = min(agent.count, UInt32(Limits.cacheUserAgentBytesMax))
        if contains("ipad", agent, bytes) || contains("tablet", agent, bytes) || contains("kindle", agent, bytes) {
            return .tablet
        }
        let isMobile = contains("mobi", agent, bytes) || contains("iphone", agent, bytes)
        if isMobile { return .mobile }
        return contains("android", agent, bytes) ? .tablet : .desktop
    }

    /// Whether `text`, in lower case, stands somewhere in a value of any case.
    private static func contains(_ text: StaticString, _ value: ByteRange, _ bytes: Span<UInt8>) -> Bool {
        let count = UInt32(truncatingIfNeeded: text.utf8CodeUnitCount)
        guard value.end <= bytes.count, count > 0, value.count >= count else { return false }
        let first = text.utf8Start.pointee
        let last = value.end &- Int(count)
        for start in Int(value.start)...last where Octet.lowercased(bytes[start]) == first {
            let place = ByteRange(start: UInt32(truncatingIfNeeded: start), count: count)
            if bytes.equalsIgnoringCase(place, text) { return true }
        }
        return false
    }
}
