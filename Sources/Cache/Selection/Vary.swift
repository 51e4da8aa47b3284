// Vary (RFC 9110, section 12.5.5; RFC 9111, section 4.1): what a response depends on beside its key.

package import HTTPWire
import Limits

/// What a response says in Vary.
package enum VaryRequirement: Sendable, Equatable {
    /// Nothing: it answers every request with its key.
    case none
    /// `*`, something that is no field name, or a field that differs from request to request by our own doing: no other
    /// request matches, and it is not stored.
    case unmatchable
    /// More names than are kept.
    case tooMany
    /// The names in lower case, sorted, each once, joined by commas.
    case names([UInt8])
}

/// Secondary keys. The hash is computed from how the origin saw the request: a field that is dropped on the way counts
/// as absent.
package enum Vary {
    /// What all lines of Vary say together.
    package static func requirement(of response: ResponseHead, _ bytes: Span<UInt8>) -> VaryRequirement {
        guard response.has(.vary) else { return .none }
        var names: [[UInt8]] = []
        for field in response.fields where field.known == .vary {
            var members = ListMembers(field.value)
            while let member = members.next(in: bytes) {
                let name = member.range.map { Octet.lowercased(bytes[$0]) }
                guard isToken(name), name != [UInt8(ascii: "*")] else { return .unmatchable }
                switch KnownField.identify(bytes, member) {
                case .host: continue  // part of the key
                case .xForwardedFor, .forwarded, .xRealIP, .martletRay, .traceparent: return .unmatchable
                default: break
                }
                guard !names.contains(name) else { continue }
                // `*` may still come, but either way nothing is stored.
                guard names.count < Limits.cacheVaryNamesMax else { return .tooMany }
                names.append(name)
            }
        }
        guard !names.isEmpty else { return .none }
        names.sort { $0.lexicographicallyPrecedes($1) }
        let joined = Array(names.joined(separator: [UInt8(ascii: ",")]))
        return joined.count <= Limits.cacheVaryNameBytesMax ? .names(joined) : .tooMany
    }

    /// The secondary key of a response with these names, stored for this request.
    package static func key(
        names: [UInt8], _ request: RequestHead, _ bytes: Span<UInt8>, normalizesAcceptEncoding: Bool, secret: KeySecret
    ) -> VaryKey {
        VaryKey(
            names: names,
            hash: hash(
                names: names, request, bytes, normalizesAcceptEncoding: normalizesAcceptEncoding, secret: secret))
    }

    /// The hash over a request's values of these fields, each normalised as RFC 9111, section 4.1, allows: lines
    /// combined, white space around list members gone, and case folded where it means nothing.
    package static func hash(
        names: [UInt8], _ request: RequestHead, _ bytes: Span<UInt8>, normalizesAcceptEncoding: Bool, secret: KeySecret
    ) -> KeyHash {
        var hasher = SipHasher128(secret)
        var start = 0
        while start < names.count {
            let end = names.span.firstIndex(of: UInt8(ascii: ","), from: start, limit: names.count)
            let known = KnownField.identify(names.span, ByteRange(from: start, to: end))
            if known == .acceptEncoding, normalizesAcceptEncoding {
                // What the origin got: an absent field, or one of sixteen texts.
                hasher.update(byte: ContentCodings(request, bytes)?.rawValue ?? absentCodings)
            } else if known != .other, !request.has(known) {
                hasher.update(byte: absent)
            } else {
                add(known, names.span, start..<end, request, bytes, &hasher)
            }
            start = end &+ 1
        }
        return hasher.finish()
    }

    private static let absent: UInt8 = 0
    private static let present: UInt8 = 1
    /// No value of `ContentCodings`.
    private static let absentCodings: UInt8 = 0xFF

    private static func add(
        _ known: KnownField, _ names: Span<UInt8>, _ name: Range<Int>, _ request: RequestHead, _ bytes: Span<UInt8>,
        _ hasher: inout SipHasher128
    ) {
        let syntax = ValueSyntax(known, names, name)
        var isFirst = true
        var isAbsent = true
        for field in request.fields where field.known == known && !field.isDropped {
            if known == .other {
                guard Octet.equalIgnoringCase(bytes, field.name.range, names, name) else { continue }
            }
            if isAbsent { hasher.update(byte: present) }
            isAbsent = false
            if syntax == .single {
                add(field.value, foldsCase: false, bytes, &isFirst, &hasher)
                continue
            }
            var members = ListMembers(field.value)
            while let member = members.next(in: bytes) {
                add(member, foldsCase: syntax == .caselessList, bytes, &isFirst, &hasher)
            }
        }
        // Ends a value: none can hold it.
        hasher.update(byte: isAbsent ? absent : UInt8(ascii: "\n"))
    }

    private static func add(
        _ value: ByteRange, foldsCase: Bool, _ bytes: Span<UInt8>, _ isFirst: inout Bool, _ hasher: inout SipHasher128
    ) {
        guard value.end <= bytes.count else { return }
        if !isFirst { hasher.update(byte: UInt8(ascii: ",")) }
        isFirst = false
        if foldsCase {
            for index in value.range { hasher.update(byte: Octet.lowercased(bytes[index])) }
        } else {
            for index in value.range { hasher.update(byte: bytes[index]) }
        }
    }
}

/// How much of a field's value is spelling.
private enum ValueSyntax {
    /// A list, as is every field that may stand on several lines; so unknown fields are taken for lists.
    case list
    case caselessList
    /// No list: a comma in it, and the blanks around that, may mean something.
    case single

    init(_ known: KnownField, _ names: Span<UInt8>, _ name: Range<Int>) {
        switch known {
        case .acceptEncoding, .acceptLanguage: self = .caselessList
        case .cookie, .userAgent, .referer, .origin, .authorization, .ifModifiedSince, .ifUnmodifiedSince:
            self = .single
        case .other where names.equals(ByteRange(from: name.lowerBound, to: name.upperBound), "accept-charset"):
            self = .caselessList
        default: self = .list
        }
    }
}
