// What a response says to a shared cache: Cache-Control (RFC 9111, section 5.2.2) or, before it, a targeted field
// (RFC 9213). Their error handling differs: Cache-Control is read member by member and each member that cannot be read
// makes the response stricter; a targeted field is a structured field, valid as a whole or as good as absent.

import Limits

/// Field names that `private` and `no-cache` list (RFC 9111, sections 5.2.2.4 and 5.2.2.7), as ranges of the bytes
/// they were read from.
package struct DirectiveFieldNames: Sendable, Equatable {
    /// Lists of one response; a directive that comes more often counts as one without names, which is stricter.
    static var listsMax: Int { 4 }

    private var lists = InlineArray<4, ByteRange>(repeating: .empty)
    private var count = 0

    package init() {}

    package var isEmpty: Bool { count == 0 }

    /// Adds a comma-separated list; false if it is no list of field names, or one too many.
    mutating func add(_ list: ByteRange, in bytes: Span<UInt8>) -> Bool {
        guard count < Self.listsMax else { return false }
        var members = ListMembers(list)
        var isEmpty = true
        while let member = members.next(in: bytes) {
            guard bytes.endOfToken(from: Int(member.start), limit: member.end) == member.end else { return false }
            isEmpty = false
        }
        guard !isEmpty else { return false }
        lists[count] = list
        count &+= 1
        return true
    }

    mutating func removeAll() { count = 0 }

    /// Whether one of the lists names the field `name`, both of them ranges of `bytes`.
    package func contains(_ name: ByteRange, in bytes: Span<UInt8>) -> Bool {
        for index in 0..<count {
            var members = ListMembers(lists[index])
            while let member = members.next(in: bytes) {
                if bytes.equalsIgnoringCase(member, name) { return true }
            }
        }
        return false
    }

    /// Whether one of the lists names `field`.
    package func contains(_ field: KnownField, in bytes: Span<UInt8>) -> Bool {
        for index in 0..<count {
            var members = ListMembers(lists[index])
            while let member = members.next(in: bytes) {
                if KnownField.identify(bytes, member) == field { return true }
            }
        }
        return false
    }

    package static func == (one: DirectiveFieldNames, other: DirectiveFieldNames) -> Bool {
        guard one.count == other.count else { return false }
        for index in 0..<one.count where one.lists[index] != other.lists[index] { return false }
        return true
    }
}

/// The cache directives of a response that apply here. Spans are milliseconds; one that is there but cannot be read, or
/// that several members give different values for, is 0: such a response counts as stale (RFC 9111, section 4.2.1).
package struct ResponseDirectives: Sendable, Equatable {
    /// Which field they are from.
    package enum Source: UInt8, Sendable {
        case none
        case cacheControl
        case cdnCacheControl
        case martletCDNCacheControl

        /// Whether Cache-Control and Expires are to be ignored (RFC 9213, section 2.2).
        package var isTargeted: Bool { self == .cdnCacheControl || self == .martletCDNCacheControl }
    }

    package var source = Source.none
    package var noStore = false
    /// Without field names.
    package var noCache = false
    /// Without field names.
    package var isPrivate = false
    package var isPublic = false
    package var mustRevalidate = false
    package var proxyRevalidate = false
    package var mustUnderstand = false
    package var noTransform = false
    package var immutable = false
    package var maxAge: Int64?
    package var sMaxAge: Int64?
    package var staleWhileRevalidate: Int64?
    package var staleIfError: Int64?
    /// Fields that may be used again only after validation.
    package var noCacheFields = DirectiveFieldNames()
    /// Fields that may not be stored here.
    package var privateFields = DirectiveFieldNames()

    package init() {}

    /// The directives of a response: of Martlet-CDN-Cache-Control, else of CDN-Cache-Control, else of Cache-Control.
    package init(_ response: borrowing ResponseHead, _ bytes: Span<UInt8>) {
        if response.has(.martletCDNCacheControl), readTargeted(.martletCDNCacheControl, response, bytes) {
            source = .martletCDNCacheControl
        } else if response.has(.cdnCacheControl), readTargeted(.cdnCacheControl, response, bytes) {
            source = .cdnCacheControl
        } else if response.has(.cacheControl) {
            source = .cacheControl
            for index in response.fields.indices where response.fields[index].known == .cacheControl {
                var directives = CacheDirectives(response.fields[index].value)
                while let directive = directives.next(in: bytes) { take(directive, bytes) }
            }
        }
    }

    // MARK: Cache-Control

    private mutating func take(_ directive: CacheDirective, _ bytes: Span<UInt8>) {
        switch directive.name {
        case .noCache: noCache = !Self.take(directive.argument, into: &noCacheFields, bytes) || noCache
        case .isPrivate: isPrivate = !Self.take(directive.argument, into: &privateFields, bytes) || isPrivate
        case .maxAge: maxAge = Self.agreed(maxAge, directive.milliseconds(in: bytes))
        case .sMaxAge: sMaxAge = Self.agreed(sMaxAge, directive.milliseconds(in: bytes))
        case .staleWhileRevalidate:
            staleWhileRevalidate = min(staleWhileRevalidate ?? .max, directive.milliseconds(in: bytes) ?? 0)
        case .staleIfError: staleIfError = min(staleIfError ?? .max, directive.milliseconds(in: bytes) ?? 0)
        default: setFlag(directive.name, true)
        }
    }

    /// Whether an argument is a list of field names, which is then added.
    private static func take(
        _ argument: CacheDirective.Argument, into names: inout DirectiveFieldNames, _ bytes: Span<UInt8>
    ) -> Bool {
        switch argument {
        case .token(let list), .quoted(let list): names.add(list, in: bytes)
        case .none, .malformed: false
        }
    }

    /// One lifetime of those that several members give: theirs if they agree, else 0.
    private static func agreed(_ old: Int64?, _ new: Int64?) -> Int64 {
        guard let new else { return 0 }
        return old ?? new == new ? new : 0
    }

    private mutating func setFlag(_ name: CacheDirectiveName, _ value: Bool) {
        switch name {
        case .noStore: noStore = value
        case .noTransform: noTransform = value
        case .mustRevalidate: mustRevalidate = value
        case .proxyRevalidate: proxyRevalidate = value
        case .mustUnderstand: mustUnderstand = value
        case .isPublic: isPublic = value
        case .immutable: immutable = value
        default: break
        }
    }

    // MARK: Targeted fields

    /// Reads the lines of a targeted field; false, with nothing taken, if there is no member or something is broken
    /// (RFC 9213, section 2.1). A line without members beside others is broken too: joined, they would have an empty
    /// member between commas.
    private mutating func readTargeted(
        _ field: KnownField, _ response: borrowing ResponseHead, _ bytes: Span<UInt8>
    ) -> Bool {
        var result = ResponseDirectives()
        var memberCount = 0
        var isBroken = false
        for index in response.fields.indices where response.fields[index].known == field {
            var dictionary = StructuredDictionary(response.fields[index].value)
            let before = memberCount
            do throws(StructuredFieldError) {
                while let member = try dictionary.next(in: bytes) {
                    memberCount &+= 1
                    result.take(member, bytes)
                }
            } catch {
                isBroken = true
            }
            if memberCount == before { isBroken = true }
        }
        guard !isBroken, memberCount > 0 else { return false }
        self = result
        return true
    }

    /// A member overrides an earlier one of the same key (RFC 9651, section 4.2.2). A span of another type than Integer
    /// is not used, and what is not used is no lifetime either (RFC 9213, section 2.1).
    private mutating func take(_ member: StructuredMember, _ bytes: Span<UInt8>) {
        let name = CacheDirectiveName.identify(bytes, member.key)
        switch name {
        case .maxAge: maxAge = Self.milliseconds(member.value)
        case .sMaxAge: sMaxAge = Self.milliseconds(member.value)
        case .staleWhileRevalidate: staleWhileRevalidate = Self.milliseconds(member.value)
        case .staleIfError: staleIfError = Self.milliseconds(member.value)
        case .noCache: noCache = Self.take(member.value, into: &noCacheFields, bytes)
        case .isPrivate: isPrivate = Self.take(member.value, into: &privateFields, bytes)
        default: setFlag(name, member.value != .boolean(false))
        }
    }

    private static func milliseconds(_ value: StructuredValue) -> Int64 {
        guard case .integer(let seconds) = value, seconds >= 0 else { return 0 }
        return min(seconds, Limits.cacheLifetimeMillisecondsMax / 1000) &* 1000
    }

    /// Whether the directive holds for the whole response, its field names added if it has some.
    private static func take(
        _ value: StructuredValue, into names: inout DirectiveFieldNames, _ bytes: Span<UInt8>
    ) -> Bool {
        names.removeAll()
        switch value {
        case .boolean(let isSet): return isSet
        case .string(let list), .token(let list): return !names.add(list, in: bytes)
        default: return true
        }
    }
}
