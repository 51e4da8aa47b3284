// The syntax of Cache-Control (RFC 9111, section 5.2), read the way origins and clients write it.
//
// Where text can be read in two ways, the way is taken in which more restrictions are seen: a quote that is never
// closed hides no directive behind it, and a quoted string begins only where a value does.

import Limits

/// A directive with a meaning here (RFC 9111, section 5.2; RFC 5861; RFC 8246).
package enum CacheDirectiveName: UInt8, Sendable {
    case other
    case noCache  // RFC 9111, 5.2.1.4 and 5.2.2.4
    case noStore  // RFC 9111, 5.2.1.5 and 5.2.2.5
    case noTransform  // RFC 9111, 5.2.1.6 and 5.2.2.6
    case maxAge  // RFC 9111, 5.2.1.1 and 5.2.2.1
    case maxStale  // RFC 9111, 5.2.1.2
    case minFresh  // RFC 9111, 5.2.1.3
    case onlyIfCached  // RFC 9111, 5.2.1.7
    case mustRevalidate  // RFC 9111, 5.2.2.2
    case mustUnderstand  // RFC 9111, 5.2.2.3
    case isPrivate  // RFC 9111, 5.2.2.7
    case proxyRevalidate  // RFC 9111, 5.2.2.8
    case isPublic  // RFC 9111, 5.2.2.9
    case sMaxAge  // RFC 9111, 5.2.2.10
    case staleWhileRevalidate  // RFC 5861, 3
    case staleIfError  // RFC 5861, 4
    case immutable  // RFC 8246, 2

    /// Which directive the bytes of `name` name, ignoring case (RFC 9111, section 5.2).
    package static func identify(_ bytes: Span<UInt8>, _ name: ByteRange) -> CacheDirectiveName {
        let (candidate, text): (CacheDirectiveName, StaticString)
        switch name.count {
        case 6: (candidate, text) = (.isPublic, "public")
        case 7:
            if bytes.equalsIgnoringCase(name, "private") { return .isPrivate }
            (candidate, text) = (.maxAge, "max-age")
        case 8:
            if bytes.equalsIgnoringCase(name, "no-cache") { return .noCache }
            if bytes.equalsIgnoringCase(name, "no-store") { return .noStore }
            (candidate, text) = (.sMaxAge, "s-maxage")
        case 9:
            if bytes.equalsIgnoringCase(name, "max-stale") { return .maxStale }
            if bytes.equalsIgnoringCase(name, "min-fresh") { return .minFresh }
            (candidate, text) = (.immutable, "immutable")
        case 12: (candidate, text) = (.noTransform, "no-transform")
        case 14:
            if bytes.equalsIgnoringCase(name, "only-if-cached") { return .onlyIfCached }
            (candidate, text) = (.staleIfError, "stale-if-error")
        case 15:
            if bytes.equalsIgnoringCase(name, "must-revalidate") { return .mustRevalidate }
            (candidate, text) = (.mustUnderstand, "must-understand")
        case 16: (candidate, text) = (.proxyRevalidate, "proxy-revalidate")
        case 22: (candidate, text) = (.staleWhileRevalidate, "stale-while-revalidate")
        default: return .other
        }
        return bytes.equalsIgnoringCase(name, text) ? candidate : .other
    }
}

/// One directive as it stands in the field.
package struct CacheDirective: Sendable, Equatable {
    /// What stands behind the name.
    package enum Argument: Sendable, Equatable {
        case none
        case token(ByteRange)
        /// The bytes between the quotes, backslashes included.
        case quoted(ByteRange)
        /// Something that the grammar does not know: white space around `=`, no value behind it, text behind a quote.
        case malformed
    }

    package var name: CacheDirectiveName
    package var argument: Argument
}

/// Walks the directives of one Cache-Control line.
package struct CacheDirectives: Sendable {
    private var position: Int
    private let end: Int

    package init(_ value: ByteRange) {
        position = Int(value.start)
        end = value.end
    }

    /// The next directive, or nil behind the last. Empty members are skipped (RFC 9110, section 5.6.1.2).
    package mutating func next(in bytes: Span<UInt8>) -> CacheDirective? {
        let limit = min(end, bytes.count)
        while position < limit {
            let start = position
            var nameEnd = start
            while nameEnd < limit, bytes[nameEnd] != ASCII.comma, bytes[nameEnd] != UInt8(ascii: "=") { nameEnd &+= 1 }
            let name = bytes.trimmingBlanks(ByteRange(start, nameEnd))
            guard nameEnd < limit, bytes[nameEnd] == UInt8(ascii: "=") else {
                position = nameEnd &+ 1
                if name.isEmpty { continue }
                return CacheDirective(name: .identify(bytes, name), argument: .none)
            }
            let argument = takeArgument(in: bytes, from: nameEnd &+ 1, limit: limit)
            let isTight = name.end == nameEnd
            return CacheDirective(name: .identify(bytes, name), argument: isTight ? argument : .malformed)
        }
        return nil
    }

    /// What stands between `=` and the comma that ends the member; `position` moves behind that.
    private mutating func takeArgument(in bytes: Span<UInt8>, from start: Int, limit: Int) -> CacheDirective.Argument {
        if start < limit, bytes[start] == UInt8(ascii: "\""), let quote = Self.closingQuote(bytes, start, limit) {
            let comma = bytes.firstIndex(of: ASCII.comma, from: quote &+ 1, limit: limit)
            position = comma &+ 1
            let rest = bytes.trimmingBlanks(ByteRange(quote &+ 1, comma))
            return rest.isEmpty ? .quoted(ByteRange(start &+ 1, quote)) : .malformed
        }
        let comma = bytes.firstIndex(of: ASCII.comma, from: start, limit: limit)
        position = comma &+ 1
        let value = bytes.trimmingBlanks(ByteRange(start, comma))
        guard Int(value.start) == start, !value.isEmpty,
            bytes.endOfToken(from: start, limit: value.end) == value.end
        else { return .malformed }
        return .token(value)
    }

    private static func closingQuote(_ bytes: Span<UInt8>, _ opening: Int, _ limit: Int) -> Int? {
        var index = opening &+ 1
        while index < limit {
            if bytes[index] == UInt8(ascii: "\"") { return index }
            index &+= bytes[index] == UInt8(ascii: "\\") ? 2 : 1
        }
        return nil
    }
}

/// Spans of time as caching fields write them.
package enum DeltaSeconds {
    /// Milliseconds of the decimal seconds that the whole of `range` is; nil if it is something else. Spans beyond 2³¹
    /// seconds count as that long (RFC 9111, section 1.2.2).
    package static func milliseconds(_ bytes: Span<UInt8>, _ range: ByteRange) -> Int64? {
        guard !range.isEmpty, range.end <= bytes.count else { return nil }
        var seconds: Int64 = 0
        for index in range.range {
            guard ASCII.isDigit(bytes[index]) else { return nil }
            seconds = min(
                seconds &* 10 &+ Int64(bytes[index] &- ASCII.zero), Limits.cacheLifetimeMillisecondsMax / 1000)
        }
        return seconds &* 1000
    }
}

extension CacheDirective {
    /// The argument as a span of time in milliseconds; both the token and the quoted form are read (RFC 9111,
    /// section 5.2). Nil if it is none.
    package func milliseconds(in bytes: Span<UInt8>) -> Int64? {
        switch argument {
        case .token(let range), .quoted(let range): DeltaSeconds.milliseconds(bytes, range)
        case .none, .malformed: nil
        }
    }
}
