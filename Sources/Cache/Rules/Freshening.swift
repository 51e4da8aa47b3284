// What a 304 to our own conditional request, or a 200 to HEAD, does to a stored response (RFC 9111, sections 3.2, 4.3.3
// to 4.3.5).
//
// The stored fields and the new ones are joined to the head of a response that an origin could have sent, and that is
// judged and rendered like any other: an update has no rules of its own beyond which fields it replaces.

import ConfigModel
package import HTTPWire
import Limits
import NIOCore

/// What became of a stored response.
package enum FresheningVerdict: Sendable {
    case updated(Freshened)
    /// The 304 is about another response than this one (section 4.3.4): to be asked for without conditions.
    case otherResponse
    /// The answer to HEAD shows that it has changed (section 4.3.5).
    case invalid
    /// It may not be kept any longer: it is served once more and then removed.
    case refused(StorageRefusal)
    /// Nothing follows for it: the answer says nothing about it, or came to a request whose answers are not stored
    /// (Authorization, no-store). After a 304 it may answer that request all the same.
    case unaffected
}

/// A stored response after an update.
package struct Freshened: Sendable {
    package var facts: StoredFacts
    /// Complete, with an inline body behind it.
    package var head: StoredHead
    /// Sorted, as `StoredResponse.tags`.
    package var tags: [UInt64]
    /// It varies by other fields than before, so that its secondary key has to be computed anew.
    package var changesVary: Bool
}

/// Updates of stored responses. None changes what is stored: they return what takes its place.
package enum Freshening {
    /// What a 304 does to the response whose validators were sent.
    package static func by304(
        _ stored: StoredResponse, request: RequestHead, _ requestBytes: Span<UInt8>, response: ResponseHead,
        _ bytes: Span<UInt8>, _ context: StorageContext
    ) -> FresheningVerdict {
        guard isAbout(stored.head, response, bytes) else { return .otherResponse }
        return update(stored, request, requestBytes, response, bytes, context)
    }

    /// What the response to HEAD does to a response to GET that could have been chosen for it. Only a 200 says
    /// something about a 200.
    package static func byHEAD(
        _ stored: StoredResponse, request: RequestHead, _ requestBytes: Span<UInt8>, response: ResponseHead,
        _ bytes: Span<UInt8>, _ context: StorageContext
    ) -> FresheningVerdict {
        guard response.status == 200, stored.facts.status == 200 || stored.facts.flags.contains(.isPartial) else {
            return .unaffected
        }
        if let length = response.contentLength, length != stored.facts.representationBytes { return .invalid }
        let isSame = stored.head.bytes.readableBytesSpan { span in
            for (field, own) in [(KnownField.eTag, stored.head.eTag), (.lastModified, stored.head.lastModified)] {
                guard let new = response.only(field), !own.isEmpty else { continue }
                let isEqual =
                    field == .eTag
                    ? EntityTag.weakMatch(span, own, bytes, new.range) : Octet.equal(span, own, bytes, new.range)
                if !isEqual { return false }
            }
            return true
        }
        guard isSame else { return .invalid }
        return update(stored, request, requestBytes, response, bytes, context)
    }

    /// Whether a 304 is about the response whose validators it answers (section 4.3.4): by a strong ETag if it has one,
    /// else by whichever validators it has. One without any, which sloppy origins send, answers the only question that
    /// was put.
    private static func isAbout(_ stored: StoredHead, _ response: ResponseHead, _ bytes: Span<UInt8>) -> Bool {
        stored.bytes.readableBytesSpan { span in
            if let tag = response.only(.eTag)?.range, !stored.eTag.isEmpty {
                return EntityTag.isWeak(bytes, tag)
                    ? EntityTag.weakMatch(bytes, tag, span, stored.eTag)
                    : EntityTag.strongMatch(bytes, tag, span, stored.eTag)
            }
            if let date = response.only(.lastModified)?.range, !stored.lastModified.isEmpty {
                return Octet.equal(bytes, date, span, stored.lastModified)
            }
            return true
        }
    }

    private static func update(
        _ stored: StoredResponse, _ request: RequestHead, _ requestBytes: Span<UInt8>, _ response: ResponseHead,
        _ bytes: Span<UInt8>, _ context: StorageContext
    ) -> FresheningVerdict {
        if context.settings.respectsClientDirectives, RequestDirectives(request, requestBytes).noStore {
            return .unaffected
        }
        // What the parser took twice apart it takes together as well; were it not so, the response could not be kept.
        guard let joined = JoinedHead(stored, response, bytes) else { return .refused(.interim) }
        return joined.bytes.readableBytesSpan { span in
            let verdict = StorageRules.judgeResponse(
                request: request, requestBytes, response: joined.head, span, context)
            switch verdict {
            case .refuse(let refusal): return refusal.isAboutRequest ? .unaffected : .refused(refusal)
            case .store(let storable):
                return .updated(
                    freshened(stored, storable, joined.head, span, tags: newTags(stored, response, bytes)))
            }
        }
    }

    private static func newTags(
        _ stored: StoredResponse, _ response: ResponseHead, _ bytes: Span<UInt8>
    ) -> [UInt64] {
        response.has(.cacheTag) ? CacheTag.hashes(of: response, bytes) : stored.tags
    }

    private static func freshened(
        _ stored: StoredResponse, _ storable: Storable, _ head: ResponseHead, _ bytes: Span<UInt8>, tags: [UInt64]
    ) -> Freshened {
        var facts = storable.facts
        facts.status = stored.facts.status
        facts.representationBytes = stored.facts.representationBytes
        facts.flags.formUnion(stored.facts.flags.intersection([.isPartial, .answeredAuthorization]))
        var body: [ByteBuffer] = []
        if case .inline = stored.body {
            var rest = stored.head.bytes
            if rest.readSlice(length: stored.head.end) != nil, rest.readableBytes > 0 { body = [rest] }
        }
        let rendered = StoredHead.render(
            head, bytes, facts: facts, strip: storable.strip, contentLength: facts.representationBytes, body: body)
        let names: [UInt8]? =
            if case .names(let names) = Vary.requirement(of: head, bytes) { names } else { nil }
        return Freshened(facts: facts, head: rendered, tags: tags, changesVary: names != stored.vary?.names)
    }
}

/// The head that results from an update: the new fields, and those stored ones of whose name there is no new one.
private struct JoinedHead {
    private(set) var head = ResponseHead()
    let bytes: ByteBuffer

    /// Nil if the two do not make a head, which the parser has to say.
    init?(_ stored: StoredResponse, _ response: ResponseHead, _ responseBytes: Span<UInt8>) {
        let storedLines = stored.head.bytes
        let bound = storedLines.readableBytes &+ responseBytes.count &+ 2 &* response.fields.count &+ 512
        var buffer = ByteBufferAllocator().buffer(capacity: bound)
        var newCount = 0
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: bound) { target in
            var writer = ByteWriter(target)
            writer.write("HTTP/1.1 200 OK\r\n")
            for index in response.fields.indices where Self.replaces(response.fields[index], responseBytes) {
                writer.write(field: response.fields[index], of: responseBytes)
                newCount &+= 1
            }
            if stored.facts.flags.contains(.isTargeted), !response.has(.martletCDNCacheControl) {
                Self.writeTargeted(stored.facts, to: &writer)
                newCount &+= 1
            }
            storedLines.withUnsafeReadableBytes { source in
                writer.write(UnsafeRawBufferPointer(rebasing: source[..<min(stored.head.typeEnd, source.count)]))
            }
            writer.write("\r\n")
            return writer.hasOverflowed ? 0 : writer.count
        }
        bytes = buffer
        let bounds = HeadBounds(
            startLineBytesMax: 32, headBytesMax: .max, fieldCountMax: 3 * Limits.responseFieldCountMax)
        var parser = ResponseHeadParser(bounds: bounds)
        var head = ResponseHead()
        let isComplete = buffer.readableBytesSpan { span in
            do throws(WireError) {
                guard case .complete = try parser.parse(span, answering: .get, into: &head) else { return false }
            } catch {
                return false
            }
            Self.removeReplaced(&head, newCount: newCount, span)
            return true
        }
        guard isComplete else { return nil }
        head.status = stored.facts.flags.contains(.isPartial) ? 200 : Int(stored.facts.status)
        self.head = head
    }

    /// Whether a new field takes the place of stored ones. Not: what is not stored, and what tells how to read the
    /// stored bytes, which the origin has not sent anew (RFC 9111, section 3.2).
    private static func replaces(_ field: Field, _ bytes: Span<UInt8>) -> Bool {
        switch field.known {
        case _ where field.isDropped: false
        case .contentEncoding, .contentRange, .setCookie, .trailer, .martletRay: false
        case .other: !bytes.hasPrefixIgnoringCase(field.name, "proxy-")
        default: true
        }
    }

    /// Removes stored fields with the name of a new one. A stored Date goes in any case: it is the old response's.
    private static func removeReplaced(_ head: inout ResponseHead, newCount: Int, _ bytes: Span<UInt8>) {
        let new = head.fields.prefix(newCount)
        var kept = ContiguousArray(new)
        for field in head.fields.dropFirst(newCount) {
            if field.known == .date { continue }
            let isReplaced = new.contains { other in
                other.known == field.known
                    && (field.known != .other || bytes.equalsIgnoringCase(other.name, field.name))
            }
            if !isReplaced { kept.append(field) }
        }
        head.fields = kept
    }

    /// The targeted field that governs the stored response, as far as its facts still know it.
    private static func writeTargeted(_ facts: StoredFacts, to writer: inout ByteWriter) {
        let isShared = facts.flags.contains(.staleOnlyByOrigin)
        writer.write("Martlet-CDN-Cache-Control: ")
        writer.write(isShared ? "s-maxage=" : "max-age=")
        writer.write(decimal: UInt64(clamping: facts.freshnessLifetime / 1000))
        if facts.flags.contains(.mustRevalidate) { writer.write(", must-revalidate") }
        if facts.flags.contains(.noCache) { writer.write(", no-cache") }
        if facts.flags.contains(.immutable) { writer.write(", immutable") }
        if facts.flags.contains(.answeredAuthorization) { writer.write(", public") }
        writer.write(", stale-while-revalidate=")
        writer.write(decimal: UInt64(clamping: facts.staleWhileRevalidate / 1000))
        writer.write(", stale-if-error=")
        writer.write(decimal: UInt64(clamping: facts.staleIfError / 1000))
        writer.write("\r\n")
    }
}

extension ByteBuffer {
    /// Runs `body` with what there is to read.
    fileprivate func readableBytesSpan<Result>(_ body: (Span<UInt8>) -> Result) -> Result {
        withUnsafeReadableBytes { raw in
            body(Span(_unsafeElements: raw.bindMemory(to: UInt8.self)))
        }
    }
}
