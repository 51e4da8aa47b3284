import Cache
import Exchange
import HTTPWire
import Limits
import NIOCore
import Synchronization
import Telemetry

/// Validating what is stored, falling back on it, and fetches that nobody waits for.
extension Journey {
    // MARK: A 304 to our own conditions

    /// What it says of the stored response. Acted on when the response is over, so that its connection is kept.
    func noteFreshening(of stored: StoredResponse, _ cache: CacheZone, _ bytes: ByteBuffer) -> Bool {
        visit.report?.forwardedStatus = 304
        let context = storageContext(cache)
        visit.freshening = requestBytes.withBytes { requestSpan in
            bytes.withBytes { span in
                Freshening.by304(stored, request: request, requestSpan, response: answer.head, span, context)
            }
        }
        visit.freshenedVary = bytes.withBytes { span in Vary.requirement(of: answer.head, span) }
        return true
    }

    func finishFreshening(_ verdict: FresheningVerdict) {
        visit.freshening = nil
        guard let stored = visit.stored, let cache = zone?.cache else { return fail(.internalError) }
        switch verdict {
        case .updated(let freshened):
            loop.metrics.add(.cacheRevalidationsNotModified)
            let new = replace(stored, by: freshened, cache)
            endFill(.stored(new))
            answerRevalidated(new)
        case .refused(let refusal):
            // It may be given to who validated it, and to nobody after.
            visit.report?.detail = refusal.label
            drop(stored, cache)
            endFill(.released)
            answerRevalidated(stored)
        case .unaffected:
            // Valid for this request, which may not change what is stored.
            endFill(.released)
            answerRevalidated(stored)
        case .otherResponse, .invalid:
            // The 304 speaks of something else than what is here: the whole is fetched.
            loop.metrics.add(.cacheRevalidationsChanged)
            visit.validates = false
            visit.stored = nil
            status = 0
            run(from: .balance)
        }
    }

    private func answerRevalidated(_ stored: StoredResponse) {
        guard client != nil else { return endOrphan() }
        let now = WallClock.milliseconds()
        visit.report?.outcome = .revalidated
        visit.report?.ttlSeconds = Self.seconds(stored.facts.remainingLifetime(at: now))
        visit.stored = nil
        serve(stored, now: now)
    }

    /// The stored response with what the 304 changed.
    private func replace(_ stored: StoredResponse, by freshened: Freshened, _ cache: CacheZone) -> StoredResponse {
        var vary = stored.vary
        if freshened.changesVary, case .names(let names) = visit.freshenedVary {
            let hash = requestBytes.withBytes { bytes in cache.varyHash(names: names, request, bytes) }
            vary = VaryKey(names: names, hash: hash)
        }
        let new = StoredResponse(
            key: stored.key, zone: stored.zone, facts: freshened.facts, head: freshened.head, body: stored.body,
            vary: vary, tags: freshened.tags, birth: visit.birth ?? stored.birth)
        new.diskState.store(stored.diskState.load(ordering: .relaxed), ordering: .relaxed)
        if case .file = stored.body { cache.store.disk?.updateHead(new) }
        if request.method == .head {
            // No fetch of it was noted: it may only take the place of what is still there.
            new.isSoftPurged.store(stored.isSoftPurged.load(ordering: .relaxed), ordering: .relaxed)
            ZonePurges.noteClean(new, upTo: stored.purgeChecked.load(ordering: .relaxed))
            _ = cache.store.memory.replace(stored, with: new)
            return new
        }
        if freshened.changesVary {
            _ = cache.store.memory.remove(stored)
            _ = cache.store.memory.insert(new, zoneBytesMax: cache.memoryBytesMax)
        } else if !cache.store.memory.replace(stored, with: new) {
            _ = cache.store.memory.insert(new, zoneBytesMax: cache.memoryBytesMax)
        }
        return new
    }

    private func drop(_ stored: StoredResponse, _ cache: CacheZone) {
        _ = cache.store.memory.remove(stored)
        _ = cache.store.disk?.remove(stored)
    }

    // MARK: HEAD

    /// The head of a GET that is stored may be brought up to date by the answer to a HEAD (RFC 9111, section 4.3.5).
    func freshenByHead(_ cache: CacheZone, _ bytes: ByteBuffer) {
        guard let stored = visit.stored, answer.head.status == 200 else { return }
        visit.freshenedVary = bytes.withBytes { span in Vary.requirement(of: answer.head, span) }
        let context = storageContext(cache)
        let verdict = requestBytes.withBytes { requestSpan in
            bytes.withBytes { span in
                Freshening.byHEAD(stored, request: request, requestSpan, response: answer.head, span, context)
            }
        }
        switch verdict {
        case .updated(let freshened): _ = replace(stored, by: freshened, cache)
        case .invalid, .refused: drop(stored, cache)
        case .otherResponse, .unaffected: break
        }
    }

    // MARK: Stale

    /// Answers with what is stored although it is stale, because the origin does not answer (RFC 5861, section 4).
    func serveStale(_ stored: StoredResponse, because detail: StaticString) {
        let now = WallClock.milliseconds()
        loop.metrics.add(.cacheRevalidationsFailed)
        endFill(.failed(failure ?? .originBadResponse))
        visit.role = .none
        visit.stored = nil
        guard client != nil else { return endOrphan() }
        visit.report?.outcome = .stale
        visit.report?.detail = detail
        visit.report?.ttlSeconds = Self.seconds(stored.facts.remainingLifetime(at: now))
        leaveFill()
        serve(stored, now: now)
    }

    // MARK: Beside the request

    /// Fetches anew what is being served stale; nobody waits for it.
    func revalidateBeside(_ stored: StoredResponse, of object: StoredObject?, _ key: RenderedKey, _ cache: CacheZone) {
        // A fetch for everybody does not carry one user's credentials; a cookie is left out (`takeForFetch`).
        guard !request.has(.authorization) else { return }
        var hash = key.hash
        if let vary = stored.vary { hash = hash.combined(with: vary.hash) }
        let memory = cache.store.memory
        let place = cache.store.fills.place(
            for: hash,
            isStored: { memory.peek(key.hash, key.bytes) !== object },
            make: {
                Fill(key: stored.key, tableHash: hash, zone: cache.tag, birth: cache.purges.fillBegan())
            })
        guard case .lead(let fill) = place else { return }
        loop.metrics.adjust(.cacheFillsActive, by: 1)
        desk.takeForFetch(like: self).beginRevalidation(of: stored, fill)
    }

    /// A fetch without a client, for the request of another journey.
    fileprivate func beginRevalidation(of stored: StoredResponse, _ fill: Fill) {
        startedAt = MonotonicClock.nanoseconds()
        ray = loop.identifiers.next()
        isRequestComplete = true
        isOrphan = true
        visit.key = stored.key
        visit.tableHash = fill.tableHash
        visit.stored = stored
        visit.validates = stored.head.hasValidator
        visit.asksForWhole = true
        visit.requestTime = WallClock.milliseconds()
        visit.fill = fill
        visit.birth = fill.birth
        visit.role = .leader
        run(from: .balance)
    }

    // MARK: Fetches without a client

    /// The client is gone. Whether the fetch goes on without it, within bounds.
    var mayGoOnAlone: Bool {
        guard visit.role == .leader, let fill = visit.fill else { return false }
        if fill.readerCount > 0 { return true }
        guard fill.isStoring, desk.orphanCount < Limits.cacheAbandonedFillsMax else { return false }
        guard let length = visit.head?.contentLength else { return fill.total <= Limits.cacheAbandonedBytesMax }
        return length &- min(length, visit.filled) <= Limits.cacheAbandonedBytesMax
    }

    /// Nobody reads any more, and too much is still to come.
    func abandonIfTooMuch(_ fill: Fill) {
        guard fill.readerCount == 0, !fill.isStoring || visit.head?.contentLength == nil,
            !fill.isStoring || visit.filled > Limits.cacheAbandonedBytesMax
        else { return }
        loop.metrics.add(.cacheFillsAbandoned)
        endFill(.failed(.clientClosed))
        endOrphan()
    }

    func endIfOrphaned() {
        if isOrphan { endOrphan() }
    }
}
