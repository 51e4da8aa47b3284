import Cache
import Exchange
import HTTPWire
import Limits
import NIOCore
import Telemetry

/// Parts of objects that clients asked for, kept and combined (RFC 9111, sections 3.3 and 3.4).
extension Journey {
    /// A 206 goes to the client as it is; a copy is kept.
    func collectPart(_ storable: Storable, _ vary: VaryKey?, _ tags: [UInt64], _ bytes: ByteBuffer) {
        guard let part = storable.part, let cache = zone?.cache,
            part.upperBound &- part.lowerBound <= cache.store.memoryObjectBytesMax
        else {
            visit.role = .none
            endBirth()
            return
        }
        let head = bytes.withBytes { span in
            StoredHead.render(
                answer.head, span, facts: storable.facts, strip: storable.strip,
                contentLength: storable.facts.representationBytes)
        }
        visit.part = PartInProgress(storable: storable, head: head, vary: vary, tags: tags)
        visit.report?.isStored = true
    }

    func keepPart(_ bytes: ByteBuffer) {
        visit.part?.pieces.append(ExactBuffer.copy(bytes))
        visit.part?.byteCount += bytes.readableBytes
        guard let part = visit.part, let range = part.storable.part,
            UInt64(part.byteCount) > range.upperBound &- range.lowerBound
        else { return }
        // More than it said it was.
        visit.part = nil
    }

    /// The part is complete: stored by itself, or together with what is there of the same representation.
    func storePart() {
        guard let part = visit.part, let range = part.storable.part, let key = visit.key, let cache = zone?.cache,
            UInt64(part.byteCount) == range.upperBound &- range.lowerBound
        else { return visit.part = nil }
        visit.part = nil
        let memory = cache.store.memory
        let found = key.bytes.withUnsafeBytes { memory.peek(key.hash, $0) }
        let old = requestBytes.withBytes { bytes in found?.variant(for: request, bytes, in: cache) }
        // What came whole meanwhile is better than a part of it.
        if let old, !old.facts.flags.contains(.isPartial), cache.purges.verdict(for: old) != .purged {
            return endBirth()
        }
        let body = combine(part, at: range.lowerBound, with: old)
        guard let body, body.byteCount <= cache.store.memoryObjectBytesMax else { return endBirth() }
        let response = response(part, body, key, cache)
        if cache.purges.verdict(for: response) != .purged {
            if memory.insert(response, zoneBytesMax: cache.memoryBytesMax) { loop.metrics.add(.cacheFillsStored) }
        }
        endBirth()
    }

    /// Parts are of one representation if they have one strong validator and one length (RFC 9110, section 15.3.7.3).
    private func combine(_ part: PartInProgress, at offset: UInt64, with old: StoredResponse?) -> PartialBody? {
        guard let old, case .partial(let body) = old.body,
            old.facts.representationBytes == part.storable.facts.representationBytes,
            old.facts.flags.contains(.hasStrongETag), part.storable.facts.flags.contains(.hasStrongETag),
            old.head.eTagBytes.elementsEqual(part.head.eTagBytes)
        else { return PartialBody().adding(part.pieces, at: offset) }
        return body.adding(part.pieces, at: offset) ?? PartialBody().adding(part.pieces, at: offset)
    }

    /// With every byte here, it is the whole: what answers any request.
    private func response(
        _ part: PartInProgress, _ body: PartialBody, _ key: CacheKey, _ cache: CacheZone
    ) -> StoredResponse {
        var facts = part.storable.facts
        var stored = StoredBody.partial(body)
        if let whole = body.whole(length: facts.representationBytes) {
            facts.status = 200
            facts.flags.remove(.isPartial)
            stored = .blocks(whole)
        }
        return StoredResponse(
            key: key, zone: cache.tag, facts: facts, head: part.head, body: stored, vary: part.vary, tags: part.tags,
            birth: visit.birth ?? 0)
    }
}

extension StoredHead {
    /// The value of ETag.
    var eTagBytes: ByteBufferView {
        let start = bytes.readerIndex + eTag.lowerBound
        return bytes.viewBytes(at: start, length: eTag.count) ?? ByteBufferView()
    }
}
