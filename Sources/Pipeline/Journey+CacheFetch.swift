import Cache
import Exchange
import HTTPWire
import Limits
import NIOCore
import Telemetry

/// Fetching for the cache: what becomes of the origin's response.
extension Journey {
    /// Whether the response may concern the cache at all.
    var isFetching: Bool { visit.role != .none || visit.stored != nil || visit.key != nil }

    /// The origin's head is in `answer`. True: the cache answers the client, or will.
    func fetchedHead(_ bytes: ByteBuffer) -> Bool {
        guard let cache = zone?.cache else { return false }
        let head = answer.head
        if !request.method.isSafe { invalidate(in: cache, bytes) }
        if request.method == .head { freshenByHead(cache, bytes) }
        if let stored = visit.stored {
            if head.status == 304, visit.validates { return noteFreshening(of: stored, cache, bytes) }
            if StaleOnError.isError(status: head.status), visit.mayServeOnError {
                visit.report?.forwardedStatus = UInt16(truncatingIfNeeded: head.status)
                dropLink()
                serveStale(stored, because: "origin_error")
                return true
            }
        }
        visit.report?.forwardedStatus = UInt16(truncatingIfNeeded: head.status)
        guard visit.role != .none else { return false }
        switch judge(cache, bytes) {
        case .store(let storable): return beginStoring(storable, cache, bytes)
        case .refuse(let refusal): return refuse(refusal, cache, bytes)
        }
    }

    private func judge(_ cache: CacheZone, _ bytes: ByteBuffer) -> StorageVerdict {
        let context = storageContext(cache)
        return requestBytes.withBytes { requestSpan in
            bytes.withBytes { span in
                StorageRules.judge(request: request, requestSpan, response: answer.head, span, context)
            }
        }
    }

    func storageContext(_ cache: CacheZone) -> StorageContext {
        StorageContext(
            settings: cache.settings, isSecure: isSecure, objectBytesMax: cache.store.objectBytesMax,
            requestTime: visit.requestTime, responseTime: WallClock.milliseconds())
    }

    // MARK: Not to be stored

    /// Everyone who waits is let go; this request is answered by what came.
    private func refuse(_ refusal: StorageRefusal, _ cache: CacheZone, _ bytes: ByteBuffer) -> Bool {
        if visit.report?.detail == nil || visit.role != .leader { visit.report?.detail = refusal.label }
        // An answer to one user, or to one user's own conditions, says nothing of what others get.
        let isAboutAll =
            !refusal.isAboutRequest && !request.has(.authorization) && !request.has(.cookie)
            && answer.head.status != 304
        if let key = visit.key, isAboutAll, request.method == .get {
            cache.store.hitForMiss.note(key.hash, refusal, nowMilliseconds: visit.requestTime)
        }
        // What was stored is no longer what the origin says.
        if let stored = visit.stored, isAboutAll, !StaleOnError.isError(status: answer.head.status) {
            _ = cache.store.memory.remove(stored)
            _ = cache.store.disk?.remove(stored)
        }
        loop.metrics.add(refusal == .tooLarge ? .cacheFillsTooLarge : .cacheFillsUncacheable)
        endFill(.released)
        visit.role = .none
        if client == nil {
            endOrphan()
            return true
        }
        return answersOwnCondition(bytes)
    }

    /// The client's conditions were kept from the origin: whether they spare it the body.
    private func answersOwnCondition(_ bytes: ByteBuffer) -> Bool {
        guard visit.asksForWhole, answer.head.status == 200, !answer.head.has(.setCookie), let key = visit.key,
            let zone = zone?.cache,
            request.has(.ifNoneMatch) || request.has(.ifModifiedSince)
        else { return false }
        let now = WallClock.milliseconds()
        var facts = StoredFacts()
        facts.responseTime = now
        facts.date = now
        let head = bytes.withBytes { span in
            StoredHead.render(answer.head, span, facts: facts, strip: StrippedFields(), contentLength: 0)
        }
        let response = StoredResponse(
            key: key, zone: zone.tag, facts: facts, head: head, body: .inline, vary: nil, tags: [], birth: 0)
        let verdict = requestBytes.withBytes { span in
            Preconditions.evaluate(request, span, response, nowMilliseconds: now)
        }
        guard case .notModified = verdict else { return false }
        dropLink()
        serveNotModified(response, now: now)
        return true
    }

    // MARK: To be stored

    private func beginStoring(_ storable: Storable, _ cache: CacheZone, _ bytes: ByteBuffer) -> Bool {
        let requirement = bytes.withBytes { span in Vary.requirement(of: answer.head, span) }
        var vary: VaryKey?
        switch requirement {
        case .none: break
        case .names(let names):
            let hash = requestBytes.withBytes { span in cache.varyHash(names: names, request, span) }
            vary = VaryKey(names: names, hash: hash)
        case .unmatchable: return refuse(.varyStar, cache, bytes)
        case .tooMany: return refuse(.varyTooMany, cache, bytes)
        }
        let tags = bytes.withBytes { span in CacheTag.hashes(of: answer.head, span) }
        if storable.part != nil {
            guard visit.role == .part else { return refuse(.partialInvalid, cache, bytes) }
            collectPart(storable, vary, tags, bytes)
            return false
        }
        let length: UInt64? =
            switch answer.head.framing {
            case .none: 0
            case .length(let count): count
            case .chunked, .untilClose: nil
            }
        if let length, length > cache.store.memoryObjectBytesMax {
            visit.writer = beginWriter(cache, length)
            if visit.writer == nil { return refuse(.tooLarge, cache, bytes) }
        }
        guard let fill = fillToLead(cache) else {
            visit.writer?.abandon()
            visit.writer = nil
            visit.role = .none
            endBirth()
            return false
        }
        let response = filling(storable, fill, vary, tags, length, bytes)
        // A fetch that entered the table late may have begun before a purge that did not find it there.
        if cache.purges.verdict(for: response) == .purged {
            fill.invalidate()
            cache.store.fills.remove(fill)
        }
        begin(fill, FillHead(response: response, contentLength: length), bytes, cache)
        return true
    }

    /// The response as it will be stored, but for its body.
    private func filling(
        _ storable: Storable, _ fill: Fill, _ vary: VaryKey?, _ tags: [UInt64], _ length: UInt64?, _ bytes: ByteBuffer
    ) -> StoredResponse {
        var facts = storable.facts
        facts.representationBytes = length ?? 0
        let head = bytes.withBytes { span in
            StoredHead.render(
                answer.head, span, facts: facts, strip: storable.strip, contentLength: length ?? 0)
        }
        return StoredResponse(
            key: fill.key, zone: fill.zone, facts: facts, head: head, body: .inline, vary: vary, tags: tags,
            birth: fill.birth)
    }

    /// The fill it leads, or one that it may lead although it began alone; nil where another is at it.
    private func fillToLead(_ cache: CacheZone) -> Fill? {
        if visit.role == .leader { return visit.fill }
        guard let key = visit.key, let birth = visit.birth else { return nil }
        let fill = Fill(key: key, tableHash: visit.tableHash, zone: cache.tag, birth: birth)
        guard cache.store.fills.claim(fill) else { return nil }
        visit.fill = fill
        visit.role = .leader
        // A range that met a whole answer is served out of it.
        visit.asksForWhole = true
        loop.metrics.adjust(.cacheFillsActive, by: 1)
        return fill
    }

    private func begin(_ fill: Fill, _ head: FillHead, _ bytes: ByteBuffer, _ cache: CacheZone) {
        visit.head = head
        visit.report?.isStored = true
        let bound = NIOLoopBound((self, visit.serial), eventLoop: loop.eventLoop)
        fill.setLeader(
            FillLeader(eventLoop: loop.eventLoop) {
                let (journey, serial) = bound.value
                if journey.visit.serial == serial { journey.resumeOriginIfRoom() }
            })
        fill.begin(head, writer: visit.writer)
        // Its own client may have paused it while interim responses came.
        resumeOrigin()
        cache.store.hitForMiss.forget(fill.key.hash)
        if client != nil {
            read(fill)
            answerFirstHand(head, bytes)
        }
        // Everybody hears of it by `fillAdvanced`, this journey's own client too. An empty body is stored first: its end is
        // here already.
        if head.contentLength != 0 { fill.publish(on: loop.eventLoop) }
    }

    /// Whose request brought the response gets all of its fields, also those that others do not: cookies, and what
    /// private and no-cache name.
    private func answerFirstHand(_ head: FillHead, _ bytes: ByteBuffer) {
        guard !(visit.asksForWhole && hasConditions) else { return }
        status = answer.head.status
        renderResponseFields()
        visit.plan = BodyPlan(.fill, range: 0..<(head.contentLength ?? .max))
        client?.respond(answer.head, bytes: bytes)
    }

    private func beginWriter(_ cache: CacheZone, _ length: UInt64?) -> LargeWriter? {
        let bound = NIOLoopBound((self, visit.serial), eventLoop: loop.eventLoop)
        let eventLoop = loop.eventLoop
        let outcome = LargeOutcome()
        visit.outcome = outcome
        return cache.store.disk?.beginLarge(zone: cache.tag, expectedBytes: length) { progress in
            switch progress {
            case .written:
                eventLoop.execute {
                    let (journey, serial) = bound.value
                    if journey.visit.serial == serial { journey.resumeOriginIfRoom() }
                }
            case .committed: outcome.end(isCommitted: true)
            case .failed:
                outcome.end(isCommitted: false)
                eventLoop.execute {
                    let (journey, serial) = bound.value
                    if journey.visit.serial == serial { journey.writerFailed() }
                }
            }
        }
    }

    /// The disk takes no more of it: it goes on for those who read it, and is not stored.
    private func writerFailed() {
        guard visit.role == .leader, visit.writer != nil, let fill = visit.fill else { return }
        visit.writer = nil
        fill.outgrewMemory(nil)
        loop.metrics.add(.cacheFillsFailed)
        resumeOriginIfRoom()
    }

    private func resumeOriginIfRoom() {
        guard visit.isOriginPaused, visit.fill?.isCongested != true else { return }
        visit.isOriginPaused = false
        resumeOrigin()
        if client == nil, let fill = visit.fill { abandonIfTooMuch(fill) }
    }

    // MARK: The body

    /// True: it was for the cache.
    func fetchedBody(_ bytes: ByteBuffer) -> Bool {
        if visit.part != nil { keepPart(bytes) }
        guard visit.role == .leader, visit.head != nil, let fill = visit.fill, let cache = zone?.cache else {
            // Nobody is there for the rest of what was answered already.
            return client == nil || visit.freshening != nil
        }
        visit.filled &+= UInt64(bytes.readableBytes)
        guardSize(fill, cache)
        let isHeld = visit.writer == nil && fill.isStoring
        if isHeld {
            visit.held += bytes.readableBytes
            cache.store.fills.hold(bytes.readableBytes)
        }
        fill.append(ExactBuffer.copy(bytes))
        if !visit.isOriginPaused, fill.isCongested {
            visit.isOriginPaused = true
            pauseOrigin()
        }
        if client == nil { abandonIfTooMuch(fill) }
        return true
    }

    /// A body that grows beyond what its place holds goes to the next larger one, or is not stored.
    private func guardSize(_ fill: Fill, _ cache: CacheZone) {
        guard fill.isStoring else { return }
        let isTooLarge = visit.filled > cache.store.objectBytesMax
        let outgrowsMemory = visit.writer == nil && visit.filled > cache.store.memoryObjectBytesMax
        guard isTooLarge || outgrowsMemory else { return }
        visit.writer = isTooLarge ? nil : beginWriter(cache, nil)
        fill.outgrewMemory(visit.writer)
        letGoOfHeld(cache)
        guard visit.writer == nil else { return }
        loop.metrics.add(.cacheFillsTooLarge)
        cache.store.hitForMiss.note(fill.key.hash, .tooLarge, nowMilliseconds: WallClock.milliseconds())
    }

    private func letGoOfHeld(_ cache: CacheZone) {
        cache.store.fills.letGo(visit.held)
        visit.held = 0
    }

    /// True: it was for the cache.
    func fetchedFlush() -> Bool {
        guard visit.role == .leader, visit.head != nil, let fill = visit.fill else { return false }
        let serial = visit.serial
        fill.publish(on: loop.eventLoop)
        // The head goes out although the body is not here yet.
        if visit.serial == serial { client?.flush() }
        return true
    }

    /// True: it was for the cache.
    func fetchedEnd(trailers: ByteBuffer?) -> Bool {
        if let verdict = visit.freshening { finishFreshening(verdict); return true }
        if visit.part != nil { storePart() }
        guard visit.role == .leader, visit.head != nil, let fill = visit.fill, let cache = zone?.cache else {
            return client == nil
        }
        let isStoring = fill.isStoring
        let pieces = fill.complete(trailers: trailers)
        var staysInTable = false
        if isStoring {
            if let writer = visit.writer {
                staysInTable = commit(writer, trailers, fill, cache)
            } else {
                store(pieces, trailers, fill, cache)
            }
        }
        let isOrphan = client == nil
        letGoOfFill(fill, cache, staysInTable: staysInTable)
        fill.publish(on: loop.eventLoop)
        if isOrphan { endOrphan() }
        return true
    }

    /// The last of it goes to the disk. Until that is done, who asks for it reads the fill. False: it is not to be kept.
    private func commit(_ writer: LargeWriter, _ trailers: ByteBuffer?, _ fill: Fill, _ cache: CacheZone) -> Bool {
        guard let filling = visit.head?.response, let outcome = visit.outcome else { return false }
        let response = completed(filling, length: visit.filled, body: .file(writer.body))
        // The fill holds the writer while anybody reads; then what came is given up.
        guard cache.purges.verdict(for: response) != .purged else { return false }
        let birth = visit.birth
        visit.birth = nil
        outcome.whenEnded { isCommitted in
            if isCommitted, cache.purges.verdict(for: response) != .purged {
                _ = cache.store.memory.insert(response, zoneBytesMax: cache.memoryBytesMax)
            }
            cache.store.fills.remove(fill)
            if let birth { cache.purges.fillEnded(birth) }
        }
        writer.commit(response, trailers: trailers)
        loop.metrics.add(.cacheFillsStored)
        return true
    }

    private func store(
        _ pieces: ContiguousArray<ByteBuffer>?, _ trailers: ByteBuffer?, _ fill: Fill, _ cache: CacheZone
    ) {
        guard let filling = visit.head?.response, let pieces else { return }
        let isInline = visit.filled <= UInt64(Limits.cacheInlineBodyBytesMax) && trailers == nil
        let response =
            if isInline {
                completed(filling, length: visit.filled, body: .inline, inline: Array(pieces))
            } else {
                completed(
                    filling, length: visit.filled,
                    body: .blocks(BlockBody(blocks: BlockBody.arranged(pieces), trailers: trailers)))
            }
        guard cache.purges.verdict(for: response) != .purged else { return }
        if cache.store.memory.insert(response, zoneBytesMax: cache.memoryBytesMax) {
            loop.metrics.add(.cacheFillsStored)
        }
    }

    /// The response as it is stored, its length known.
    private func completed(
        _ filling: StoredResponse, length: UInt64, body: StoredBody, inline: [ByteBuffer] = []
    ) -> StoredResponse {
        var facts = filling.facts
        facts.representationBytes = length
        return StoredResponse(
            key: filling.key, zone: filling.zone, facts: facts,
            head: filling.head.completed(contentLength: length, body: inline), body: body, vary: filling.vary,
            tags: filling.tags, birth: filling.birth)
    }

    // MARK: Its end

    /// Those who wait or read learn how it ended.
    func endFill(_ phase: Fill.Phase) {
        guard visit.role == .leader, let fill = visit.fill, let cache = zone?.cache else { return endBirth() }
        visit.writer?.abandon()
        fill.end(phase)
        letGoOfFill(fill, cache)
        fill.publish(on: loop.eventLoop)
    }

    /// - Parameter staysInTable: others may still join it, and whoever stores it takes it out.
    private func letGoOfFill(_ fill: Fill, _ cache: CacheZone, staysInTable: Bool = false) {
        letGoOfHeld(cache)
        if !staysInTable { cache.store.fills.remove(fill) }
        visit.fill = visit.outlet == nil ? nil : fill
        visit.head = nil
        visit.writer = nil
        visit.role = .none
        loop.metrics.adjust(.cacheFillsActive, by: -1)
        endBirth()
    }

    /// No purge that comes from here on needs to know of this fetch.
    func endBirth() {
        guard let birth = visit.birth else { return }
        visit.birth = nil
        zone?.cache?.purges.fillEnded(birth)
    }
}

extension BlockBody {
    /// The same bytes in blocks of the size that they are kept in, each with exactly its memory.
    static func arranged(_ pieces: ContiguousArray<ByteBuffer>) -> [ByteBuffer] {
        var left = pieces.reduce(0) { $0 + $1.readableBytes }
        var blocks: [ByteBuffer] = []
        var index = 0
        var offset = 0
        while left > 0 {
            let count = min(left, Limits.cacheBlockBytes)
            blocks.append(
                ExactBuffer.make(count: count) { target in
                    var filled = 0
                    while filled < count, index < pieces.count {
                        let piece = pieces[index]
                        let taken = min(count - filled, piece.readableBytes - offset)
                        piece.withUnsafeReadableBytes { source in
                            let part = UnsafeRawBufferPointer(rebasing: source[offset..<offset + taken])
                            UnsafeMutableRawBufferPointer(rebasing: target[filled..<filled + taken]).copyMemory(
                                from: part)
                        }
                        filled += taken
                        offset += taken
                        if offset == piece.readableBytes {
                            index += 1
                            offset = 0
                        }
                    }
                })
            left -= count
        }
        return blocks
    }
}
