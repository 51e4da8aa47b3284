// A client's conditions, evaluated against what is stored (RFC 9110, section 13; RFC 9111, section 4.3.2).

package import HTTPWire
import NIOCore

/// What a request's conditions come to.
package enum ConditionVerdict: Sendable, Equatable {
    /// There is none, or it holds: the response is sent.
    case proceed
    /// 304.
    case notModified
    /// If-Match or If-Unmodified-Since: about the origin's state, which only the origin knows.
    case mustForward
}

package enum Preconditions {
    /// Evaluates If-None-Match and If-Modified-Since, in the order of RFC 9110, section 13.2.2.
    /// - Parameters:
    ///   - stored: what would be answered: fresh, validated, or allowed to be stale.
    ///   - nowMilliseconds: the wall clock, to read dates whose year has two digits.
    package static func evaluate(
        _ request: RequestHead, _ bytes: Span<UInt8>, _ stored: StoredResponse, nowMilliseconds: Int64
    ) -> ConditionVerdict {
        if request.has(.ifMatch) || request.has(.ifUnmodifiedSince) { return .mustForward }
        let hasTags = request.has(.ifNoneMatch)
        guard hasTags || request.has(.ifModifiedSince) else { return .proceed }
        // Conditions ask whether a success would have to be repeated (RFC 9110, section 13.2.1).
        guard request.method == .get || request.method == .head, stored.facts.status / 100 == 2 else { return .proceed }
        let isUnmodified =
            hasTags
            ? hasMatchingTag(request, bytes, stored)
            : isUnmodifiedSince(request, bytes, stored.facts, nowMilliseconds: nowMilliseconds)
        return isUnmodified ? .notModified : .proceed
    }

    /// Whether a request's Range counts: If-Range is missing, or names exactly what is stored (RFC 9110, section
    /// 13.1.5). Where it does not, the whole is sent.
    package static func rangeApplies(
        _ request: RequestHead, _ bytes: Span<UInt8>, _ stored: StoredResponse, nowMilliseconds: Int64
    ) -> Bool {
        guard request.has(.ifRange) else { return true }
        guard let value = only(.ifRange, request), value.end <= bytes.count, !value.isEmpty else { return false }
        let first = bytes[Int(value.start)]
        if first == UInt8(ascii: "\"") || EntityTag.isWeak(bytes, value.range) {
            guard stored.facts.flags.contains(.hasStrongETag) else { return false }
            let head = stored.head.bytes
            return EntityTag.strongMatch(bytes, value.range, head.readableBytesUInt8Span, stored.head.eTag)
        }
        guard stored.facts.flags.contains(.hasStrongLastModified), let lastModified = stored.facts.lastModified,
            let seconds = HTTPDate.parse(bytes, value, now: nowMilliseconds / 1000)
        else { return false }
        return seconds == wholeSeconds(lastModified)
    }

    private static func hasMatchingTag(
        _ request: RequestHead, _ bytes: Span<UInt8>, _ stored: StoredResponse
    ) -> Bool {
        let head = stored.head.bytes
        let span = head.readableBytesUInt8Span
        for field in request.fields where field.known == .ifNoneMatch {
            if EntityTag.list(bytes, field.value, hasMatchFor: span, stored.head.eTag) { return true }
        }
        return false
    }

    /// Not later than Last-Modified, or where there is none than Date (RFC 9111, section 4.3.2). What is no date, or
    /// stands there twice, is no condition (RFC 9110, section 13.1.3).
    private static func isUnmodifiedSince(
        _ request: RequestHead, _ bytes: Span<UInt8>, _ facts: StoredFacts, nowMilliseconds: Int64
    ) -> Bool {
        guard let value = only(.ifModifiedSince, request),
            let seconds = HTTPDate.parse(bytes, value, now: nowMilliseconds / 1000)
        else { return false }
        return wholeSeconds(facts.lastModified ?? facts.date) <= seconds
    }

    /// The value of a field that is there once.
    private static func only(_ known: KnownField, _ request: RequestHead) -> ByteRange? {
        var value: ByteRange?
        for field in request.fields where field.known == known {
            guard value == nil else { return nil }
            value = field.value
        }
        return value
    }

    /// Downwards: what dates on the wire say.
    private static func wholeSeconds(_ milliseconds: Int64) -> Int64 {
        let seconds = milliseconds / 1000
        return milliseconds % 1000 < 0 ? seconds &- 1 : seconds
    }
}
