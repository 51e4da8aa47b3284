import Cache
import Exchange
import HTTPWire
import Limits
import NIOCore
import Telemetry

/// Answering from what is stored: whole, in parts, or by a 304.
extension Journey {
    /// Answers the client. The report is in `visit`.
    func serve(_ stored: StoredResponse, now: Int64) {
        guard let client else { return }
        if case .file(let body) = stored.body, !isOpen(body, of: stored) { return }
        // Status codes other than 200 have no conditions and no ranges (RFC 9110, section 13.2.1).
        if stored.facts.status == 200 || stored.facts.flags.contains(.isPartial), hasConditions {
            return serveConditionally(stored, client, now: now)
        }
        serveWhole(stored, client, now: now)
    }

    /// Whether the file of a body can be read to its end, whatever becomes of it in the meantime: asked before the head
    /// leaves. False: it is being opened, and then served, or is gone, and then looked up anew.
    private func isOpen(_ body: FileBody, of stored: StoredResponse) -> Bool {
        visit.reading = stored
        if visit.fileReader?.body === body { return true }
        if let reader = body.reader() {
            visit.fileReader = reader
            return true
        }
        let bound = NIOLoopBound((self, visit.serial), eventLoop: loop.eventLoop)
        body.open(on: loop.eventLoop) { reader in
            let (journey, serial) = bound.value
            guard journey.visit.serial == serial, journey.client != nil else { return }
            guard let reader else { return journey.lookUpAgain(without: stored) }
            journey.visit.fileReader = reader
            journey.serve(stored, now: WallClock.milliseconds())
        }
        return false
    }

    /// What was found cannot be read any more: that makes it a miss.
    private func lookUpAgain(without stored: StoredResponse) {
        guard let cache = zone?.cache else { return fail(.internalError) }
        _ = cache.store.memory.remove(stored)
        visit.rounds += 1
        visit.reading = nil
        forgetLookup()
        guard visit.rounds < Self.roundsMax else {
            visit.report = CacheReport(.bypass, forward: .bypass, detail: "disk_busy")
            return run(from: .balance)
        }
        run(from: .cache)
    }

    /// Whether the answer may be less than the whole.
    var hasConditions: Bool {
        // By their bits: a method of a member of a class copies it.
        request.seen & (KnownField.ifNoneMatch.bit | KnownField.ifModifiedSince.bit | KnownField.range.bit) != 0
    }

    private func serveWhole(_ stored: StoredResponse, _ client: any ClientStream, now: Int64) {
        let head = stored.head
        let start = head.upstreamCacheStatusEnd
        status = Int(stored.facts.status)
        renderCacheFields(head, age: stored.facts.ageSeconds(at: now))
        guard request.method != .head else {
            let slice = head.slice(start, head.end)
            client.respond(status: status, fields: responseFields, stored: slice, isHeadEnded: true, framing: .none)
            return client.respondEnd(trailers: nil)
        }
        if case .inline = stored.body {
            responseBodyBytes = UInt64(head.bytes.readableBytes - head.end)
            client.respond(
                status: status, fields: responseFields, stored: head.slice(start, head.bytes.readableBytes),
                isHeadEnded: true, framing: .length(responseBodyBytes))
            return client.respondEnd(trailers: nil)
        }
        serveBody(stored, client)
    }

    private func serveBody(_ stored: StoredResponse, _ client: any ClientStream) {
        let head = stored.head
        let start = head.upstreamCacheStatusEnd
        let length = stored.facts.representationBytes
        let source = BodyPlan.Source(stored)
        var plan = BodyPlan(source, range: 0..<length)
        if let trailers = stored.trailers, request.wantsTrailers, request.minorVersion == 1 {
            // Trailers need chunks, and so no Content-Length.
            plan.trailers = trailers
            client.respond(
                status: status, fields: responseFields, stored: head.slice(start, head.typeEnd), isHeadEnded: false,
                framing: .chunked)
        } else {
            client.respond(
                status: status, fields: responseFields, stored: head.slice(start, head.end), isHeadEnded: true,
                framing: .length(length))
        }
        send(plan)
    }

    // MARK: Conditions and ranges

    private func serveConditionally(_ stored: StoredResponse, _ client: any ClientStream, now: Int64) {
        let verdict = requestBytes.withBytes { bytes in
            Preconditions.evaluate(request, bytes, stored, nowMilliseconds: now)
        }
        if case .notModified = verdict { return serveNotModified(stored, now: now) }
        let selection = requestBytes.withBytes { bytes in
            RangeSelection(request, bytes, of: stored, nowMilliseconds: now)
        }
        switch selection {
        case .whole: serveWhole(stored, client, now: now)
        case .single(let range): serveRange(range, stored.facts, stored.head, BodyPlan.Source(stored), now: now)
        case .multiple(let ranges): serveRanges(ranges, stored, client, now: now)
        case .unsatisfiable: serveUnsatisfiable(stored.facts, stored.head, now: now)
        }
    }

    /// RFC 9110, section 15.4.5.
    func serveNotModified(_ stored: StoredResponse, now: Int64) {
        status = 304
        renderCacheFields(stored.head, age: stored.facts.ageSeconds(at: now))
        client?.respond(
            status: 304, fields: responseFields,
            stored: stored.head.slice(stored.head.upstreamCacheStatusEnd, stored.head.notModifiedEnd),
            isHeadEnded: false, framing: .none)
        client?.respondEnd(trailers: nil)
    }

    /// RFC 9110, section 15.3.7.1.
    func serveRange(
        _ range: Range<UInt64>, _ facts: StoredFacts, _ head: StoredHead, _ source: BodyPlan.Source, now: Int64
    ) {
        status = 206
        renderCacheFields(head, age: facts.ageSeconds(at: now)) { writer in
            writer.write("Content-Range: ")
            ContentRange.write(range, of: facts.representationBytes, to: &writer)
            writer.write("\r\n")
        }
        let length = range.upperBound &- range.lowerBound
        client?.respond(
            status: 206, fields: responseFields, stored: head.slice(head.upstreamCacheStatusEnd, head.typeEnd),
            isHeadEnded: false, framing: .length(length))
        send(BodyPlan(source, range: range))
    }

    /// RFC 9110, section 15.3.7.2.
    private func serveRanges(
        _ ranges: [Range<UInt64>], _ stored: StoredResponse, _ client: any ClientStream, now: Int64
    ) {
        let head = stored.head
        let plan = head.bytes.withBytes { bytes in
            MultipartPlan(
                ranges: ranges, length: stored.facts.representationBytes,
                contentType: bytes.extracting(head.contentType), boundary: .random())
        }
        status = 206
        renderCacheFields(head, age: stored.facts.ageSeconds(at: now)) { writer in
            writer.write("Content-Type: ")
            plan.writeContentType(to: &writer)
            writer.write("\r\n")
        }
        client.respond(
            status: 206, fields: responseFields, stored: head.slice(head.upstreamCacheStatusEnd, head.commonEnd),
            isHeadEnded: false, framing: .length(plan.totalBytes))
        var parts: [BodyPlan.Part] = []
        parts.reserveCapacity(plan.parts.count * 2 + 1)
        for part in plan.parts {
            parts.append(.bytes(part.head))
            parts.append(.range(part.range))
        }
        parts.append(.bytes(plan.tail))
        send(BodyPlan(BodyPlan.Source(stored), parts: parts))
    }

    /// RFC 9110, section 15.5.17.
    func serveUnsatisfiable(_ facts: StoredFacts, _ head: StoredHead, now: Int64) {
        status = 416
        renderCacheFields(head, age: facts.ageSeconds(at: now)) { writer in
            writer.write("Content-Range: ")
            ContentRange.writeUnsatisfied(length: facts.representationBytes, to: &writer)
            writer.write("\r\n")
        }
        client?.respond(
            status: 416, fields: responseFields,
            stored: head.slice(head.upstreamCacheStatusEnd, head.notModifiedEnd), isHeadEnded: false,
            framing: .length(0))
        leaveFill()
        client?.respondEnd(trailers: nil)
    }

    // MARK: The fields of a cached answer

    /// Age, Cache-Status and Martlet-Ray, and what `more` adds.
    ///
    /// - Parameter age: seconds; nil for a response that came first-hand.
    @inline(__always)
    func renderCacheFields(_ head: StoredHead, age: UInt64?, more: (inout ByteWriter) -> Void = { _ in }) {
        setResponseFields { lines in
            head.bytes.withBytes { bytes in
                let upstream = bytes.extracting(head.upstreamCacheStatus)
                lines.writeHead(capacity: 192 + upstream.count) { writer in
                    if let age { writer.write(field: "Age", decimal: age) }
                    if let report = visit.report { report.writeField(to: &writer, after: upstream) }
                    writer.write("Martlet-Ray: ")
                    writer.write(identifier: ray)
                    writer.write("\r\n")
                    more(&writer)
                }
            }
        }
    }
}

extension StoredHead {
    /// The lines from one offset to another.
    @inline(__always)
    func slice(_ start: Int, _ end: Int) -> ByteBuffer {
        bytes.getSlice(at: bytes.readerIndex + start, length: max(0, end - start)) ?? ByteBuffer()
    }
}

extension BodyPlan.Source {
    /// The body of a stored response.
    init(_ stored: StoredResponse) {
        switch stored.body {
        case .inline: self = .buffer(stored.head.slice(stored.head.end, stored.head.bytes.readableBytes))
        case .blocks(let body): self = .blocks(body)
        case .file(let body): self = .file(body)
        case .partial(let body): self = .partial(body)
        }
    }
}

extension StoredResponse {
    /// Trailer lines that came behind the body.
    var trailers: ByteBuffer? {
        switch body {
        case .inline, .partial: nil
        case .blocks(let body): body.trailers
        case .file(let body): body.trailers
        }
    }
}
