package import HTTPWire

/// What of a response is not stored although the response is: the fields that its own private and no-cache directives
/// name (RFC 9111, sections 5.2.2.4 and 5.2.2.7). Ranges of the bytes it was judged from.
package struct StrippedFields: Sendable, Equatable {
    package var noCacheFields = DirectiveFieldNames()
    package var privateFields = DirectiveFieldNames()

    package init() {}

    init(_ directives: ResponseDirectives) {
        noCacheFields = directives.noCacheFields
        privateFields = directives.privateFields
    }

    package var isEmpty: Bool { noCacheFields.isEmpty && privateFields.isEmpty }

    /// Whether the field called `name` is left out.
    package func contains(_ name: ByteRange, in bytes: Span<UInt8>) -> Bool {
        noCacheFields.contains(name, in: bytes) || privateFields.contains(name, in: bytes)
    }

    /// Whether `field` is left out.
    package func contains(_ field: KnownField, in bytes: Span<UInt8>) -> Bool {
        noCacheFields.contains(field, in: bytes) || privateFields.contains(field, in: bytes)
    }
}

extension ResponseDirectives {
    /// Takes a directive that names a field without which the rest would mean something else (how the content is
    /// encoded, what it varies by, how long it is fresh) for one that names none, which is stricter.
    mutating func withdrawEssentialFields(_ bytes: Span<UInt8>) {
        if noCacheFields.namesEssential(in: bytes) { noCache = true }
        if privateFields.namesEssential(in: bytes) { isPrivate = true }
    }
}

extension DirectiveFieldNames {
    fileprivate func namesEssential(in bytes: Span<UInt8>) -> Bool {
        guard !isEmpty else { return false }
        let essential: [KnownField] = [
            .contentType, .contentEncoding, .contentRange, .contentLength, .vary, .cacheControl, .cdnCacheControl,
            .expires, .date, .age, .eTag, .lastModified,
        ]
        return essential.contains { contains($0, in: bytes) }
    }
}
