// Whether a response may be stored in a cache that everyone shares (RFC 9111, section 3), and what is known of it then.
//
// The order of the questions is that of the reasons which operators want to read first: what the request rules out,
// what the status does, what the origin says, what cannot be shared, and at last whether storing it would be of any use.

package import ConfigModel
package import HTTPWire
import Limits

/// What a judgement depends on beside the two messages.
package struct StorageContext: Sendable {
    package var settings: CacheSettings
    /// The request came over TLS: its URI's scheme is https.
    package var isSecure: Bool
    /// The largest object that is stored, in bytes.
    package var objectBytesMax: UInt64
    /// When the request left and when the response's head was here; milliseconds since 1970.
    package var requestTime: Int64
    package var responseTime: Int64

    package init(
        settings: CacheSettings, isSecure: Bool, objectBytesMax: UInt64, requestTime: Int64, responseTime: Int64
    ) {
        self.settings = settings
        self.isSecure = isSecure
        self.objectBytesMax = objectBytesMax
        self.requestTime = requestTime
        self.responseTime = responseTime
    }
}

/// Whether a response is stored.
package enum StorageVerdict: Sendable {
    case store(Storable)
    case refuse(StorageRefusal)
}

/// What is known of a response that may be stored.
package struct Storable: Sendable {
    /// `representationBytes` is Content-Length's, or 0 where only the end will tell; of a 206 the complete length.
    package var facts: StoredFacts
    /// What `StoredHead.render` leaves out.
    package var strip: StrippedFields
    /// Of a 206: which bytes it has.
    package var part: Range<UInt64>?
}

/// The decision.
package enum StorageRules {
    /// Judges the final response to a request. Ranges of the heads count from the bytes beside them.
    package static func judge(
        request: RequestHead, _ requestBytes: Span<UInt8>, response: ResponseHead, _ bytes: Span<UInt8>,
        _ context: StorageContext
    ) -> StorageVerdict {
        guard context.settings.isEnabled else { return .refuse(.off) }
        if let refusal = StorageRefusal.ofRequest(request, requestBytes, settings: context.settings) {
            return .refuse(refusal)
        }
        return judgeResponse(request: request, requestBytes, response: response, bytes, context)
    }

    /// The same for a request that rules nothing out, or one (HEAD) whose response only updates another.
    static func judgeResponse(
        request: RequestHead, _ requestBytes: Span<UInt8>, response: ResponseHead, _ bytes: Span<UInt8>,
        _ context: StorageContext
    ) -> StorageVerdict {
        var directives = ResponseDirectives(response, bytes)
        directives.withdrawEssentialFields(bytes)
        if let refusal = refusal(ofStatus: response.status, directives, request, context) { return .refuse(refusal) }
        if let refusal = refusal(ofSharing: response, directives, request, bytes) { return .refuse(refusal) }
        var storable = Storable(facts: StoredFacts(), strip: StrippedFields(directives), part: nil)
        storable.facts.status = UInt16(clamping: response.status)
        if let refusal = takeLength(response, request, bytes, &storable, context) { return .refuse(refusal) }
        takeTimes(response, bytes, &storable.facts, context)
        takeValidators(response, bytes, &storable.facts)
        if request.has(.authorization) { storable.facts.flags.insert(.answeredAuthorization) }
        if refusesRanges(response, bytes) { storable.facts.flags.insert(.refusesRanges) }
        if let refusal = takeLifetime(response, directives, bytes, &storable.facts, context) {
            return .refuse(refusal)
        }
        if request.method == .post {
            guard storable.facts.flags.isDisjoint(with: [.isHeuristic, .lifetimeIsOurs]), response.status / 100 == 2
            else { return .refuse(.noLifetime) }
            guard Invalidation.isOwnTarget(request, requestBytes, isSecure: context.isSecure, response, bytes) else {
                return .refuse(.postContentLocation)
            }
        }
        guard storable.facts.isOfUse(in: context.settings) || hasValidator(response) else {
            return .refuse(.noValidator)
        }
        return .store(storable)
    }

    // MARK: What rules it out

    private static func refusal(
        ofStatus status: Int, _ directives: ResponseDirectives, _ request: RequestHead, _ context: StorageContext
    ) -> StorageRefusal? {
        guard status >= 200 else { return .interim }
        switch StatusClass(status) {
        case .never: return .status
        case .requestCaused:
            guard context.settings.ttl(forStatus: status) != nil else { return .requestShape }
        case .error:
            guard StatusClass.isOrdinary(request) else { return .requestShape }
        case .plain: break
        }
        // must-understand takes the place of no-store where it is understood (RFC 9111, section 5.2.2.3).
        if directives.mustUnderstand { return StatusClass.isUnderstood(status) ? nil : .statusNotUnderstood }
        return directives.noStore ? .noStore : nil
    }

    private static func refusal(
        ofSharing response: ResponseHead, _ directives: ResponseDirectives, _ request: RequestHead,
        _ bytes: Span<UInt8>
    ) -> StorageRefusal? {
        if directives.isPrivate { return .isPrivate }
        if response.has(.setCookie), !StrippedFields(directives).contains(.setCookie, in: bytes) { return .setCookie }
        if request.has(.authorization) {
            guard directives.isPublic || directives.mustRevalidate || directives.sMaxAge != nil else {
                return .authorization
            }
        }
        switch Vary.requirement(of: response, bytes) {
        case .none, .names: return nil
        case .unmatchable: return .varyStar
        case .tooMany: return .varyTooMany
        }
    }

    /// Content-Length, and of a 206 what Content-Range says (RFC 9111, section 3.3; RFC 9110, section 15.3.7).
    private static func takeLength(
        _ response: ResponseHead, _ request: RequestHead, _ bytes: Span<UInt8>, _ storable: inout Storable,
        _ context: StorageContext
    ) -> StorageRefusal? {
        storable.facts.representationBytes = response.contentLength ?? 0
        if response.status == 206 {
            // Without a request for it, or with a length that nobody knows, nothing can be told of what is missing.
            guard request.has(.range), request.method == .get, let content = ContentRange(of: response, bytes),
                let range = content.range, let completeLength = content.completeLength
            else { return .partialInvalid }
            if let length = response.contentLength, length != UInt64(range.count) { return .partialInvalid }
            storable.part = range
            storable.facts.representationBytes = completeLength
            storable.facts.flags.insert(.isPartial)
        }
        return storable.facts.representationBytes > context.objectBytesMax ? .tooLarge : nil
    }

    // MARK: What is known of it

    private static func takeTimes(
        _ response: ResponseHead, _ bytes: Span<UInt8>, _ facts: inout StoredFacts, _ context: StorageContext
    ) {
        facts.requestTime = context.requestTime
        facts.responseTime = context.responseTime
        let date = response.first(.date).flatMap { CacheDate.milliseconds(bytes, $0, now: context.responseTime) }
        facts.date = date ?? context.responseTime
        facts.initialAge = StoredFacts.initialAge(
            date: date, age: age(of: response, bytes), requestTime: context.requestTime,
            responseTime: context.responseTime)
        if let value = response.first(.lastModified) {
            facts.lastModified = CacheDate.milliseconds(bytes, value, now: context.responseTime)
        }
        // Strong only if the same clock has seen both, and nothing could change unseen between (RFC 9110, section
        // 8.8.2.2).
        if let date, let lastModified = facts.lastModified,
            date &- lastModified >= Limits.cacheStrongLastModifiedMilliseconds
        {
            facts.flags.insert(.hasStrongLastModified)
        }
    }

    /// The first member of the first Age line, if that is a number; else there is none (RFC 9111, section 5.1).
    private static func age(of response: ResponseHead, _ bytes: Span<UInt8>) -> Int64 {
        guard let value = response.first(.age) else { return 0 }
        var members = ListMembers(value)
        guard let first = members.next(in: bytes) else { return 0 }
        return DeltaSeconds.milliseconds(bytes, first) ?? 0
    }

    private static func takeValidators(_ response: ResponseHead, _ bytes: Span<UInt8>, _ facts: inout StoredFacts) {
        guard let tag = response.only(.eTag), tag.count >= 2, tag.end <= bytes.count,
            bytes[Int(tag.start)] == UInt8(ascii: "\""), bytes[tag.end &- 1] == UInt8(ascii: "\"")
        else { return }
        facts.flags.insert(.hasStrongETag)
    }

    private static func refusesRanges(_ response: ResponseHead, _ bytes: Span<UInt8>) -> Bool {
        guard let value = response.first(.acceptRanges) else { return false }
        return bytes.equalsIgnoringCase(value, "none")
    }

    /// Whether it can be validated: one ETag, or a Last-Modified.
    private static func hasValidator(_ response: ResponseHead) -> Bool {
        response.only(.eTag) != nil || response.only(.lastModified) != nil
    }
}

extension ResponseHead {
    /// The value of a field that is there once and not empty. Of two ETags, neither can be relied on.
    func only(_ field: KnownField) -> ByteRange? {
        guard has(field) else { return nil }
        var value: ByteRange?
        for index in fields.indices where fields[index].known == field {
            guard value == nil else { return nil }
            value = fields[index].value
        }
        return value.flatMap { $0.isEmpty ? nil : $0 }
    }
}

extension CacheSettings {
    /// The zone's lifetime for a status, in milliseconds. A range does not cover errors that are mostly the request's
    /// own doing; only an entry for that one status does.
    func ttl(forStatus status: Int) -> Int64? {
        for entry in ttlByStatus where entry.statuses.contains(status) {
            if StatusClass.needsOwnTTL(status), entry.statuses.count > 1 { continue }
            return CacheDate.clamped(Int64(entry.ttl))
        }
        return nil
    }
}
