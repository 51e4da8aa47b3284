package import Cache
import Exchange
import HTTPWire
import Limits
import NIOCore
import Synchronization
import Telemetry

/// Reading what is being fetched, by this journey or by another.
extension Journey: FillReader {
    /// Becomes a reader, and looks at what there is.
    func join(_ fill: Fill) {
        visit.fill = fill
        fillAdvanced(fill.view(), by: read(fill))
    }

    /// Becomes a reader.
    @discardableResult
    func read(_ fill: Fill) -> FillOutlet {
        let outlet = fill.outlet(on: loop.eventLoop)
        visit.outlet = outlet
        outlet.add(self)
        loop.metrics.adjust(.cacheWaiters, by: 1)
        return outlet
    }

    /// Reads no more. The leader stays the leader.
    func leaveFill() {
        guard let outlet = visit.outlet else { return }
        visit.outlet = nil
        visit.fillView = nil
        outlet.remove(self)
        loop.metrics.adjust(.cacheWaiters, by: -1)
        if visit.role == .waiter { visit.fill = nil }
    }

    package func fillAdvanced(_ view: FillView, by outlet: FillOutlet) {
        guard visit.outlet === outlet else { return }
        visit.fillView = view
        if visit.plan.isActive { return pump() }
        switch view.phase {
        case .waiting: return
        case .streaming(let head), .complete(let head): beginReading(head)
        case .stored(let stored): readStored(stored)
        case .released: goAlone()
        case .failed(let failure): takeOver(after: failure)
        }
    }

    // MARK: What waiting led to

    private func beginReading(_ head: FillHead) {
        let fits = visit.role == .leader || requestFits(head.response.vary)
        guard fits else { return waitForVariant(head.response.vary) }
        if visit.role == .waiter {
            visit.report?.isCollapsed = true
            visit.report?.forwardedStatus = head.response.facts.status
        }
        serveFilling(head)
    }

    private func requestFits(_ vary: VaryKey?) -> Bool {
        guard let cache = zone?.cache else { return false }
        return requestBytes.withBytes { bytes in cache.fits(vary, request, bytes) }
    }

    /// What is being fetched is for other requests than this: on to the fetch of its own variant.
    private func waitForVariant(_ vary: VaryKey?) {
        leaveFill()
        guard let cache = zone?.cache, let key = visit.key, let vary, visit.rounds < Self.roundsMax else {
            return goAlone()
        }
        visit.rounds += 1
        visit.report?.forward = .varyMiss
        let hash = requestBytes.withBytes { bytes in cache.varyHash(names: vary.names, request, bytes) }
        visit.tableHash = key.hash.combined(with: hash)
        run(takePlace(cache, key))
    }

    /// The fetch ended in a stored response: validated, or brought from the disk.
    private func readStored(_ stored: StoredResponse) {
        leaveFill()
        guard requestFits(stored.vary), visit.rounds < Self.roundsMax else { return goAlone() }
        let now = WallClock.milliseconds()
        guard let cache = zone?.cache else { return goAlone() }
        let verdict = stored.facts.use(
            at: now, request: visit.directives, settings: cache.settings,
            isSoftPurged: stored.isSoftPurged.load(ordering: .relaxed))
        // Validated this moment, it serves those who waited for that, fresh or not (RFC 9111, section 4.3.3).
        let isJustValidated = stored.facts.responseTime >= visit.requestTime
        guard verdict.use == .fresh || isJustValidated, cache.purges.verdict(for: stored) != .purged else {
            visit.rounds += 1
            forgetLookup()
            return run(from: .cache)
        }
        if visit.stored == nil {
            visit.report = CacheReport(.hit, ttlSeconds: Self.seconds(verdict.remaining))
        } else {
            visit.report = CacheReport(
                .revalidated, forward: visit.report?.forward, ttlSeconds: Self.seconds(verdict.remaining))
        }
        visit.report?.isCollapsed = true
        visit.role = .none
        serve(stored, now: now)
    }

    /// What came may not be shared: everyone who waited fetches, in parallel.
    private func goAlone() {
        leaveFill()
        guard let cache = zone?.cache else { return fail(.internalError) }
        visit.report?.detail = "not_shared"
        visit.asksForWhole = visit.stored != nil
        beginFetching(cache, as: .alone)
        run(from: .balance)
    }

    /// The leader failed before there was a response: another takes its place, within bounds.
    private func takeOver(after failure: Failure) {
        let generation = (visit.fill?.generation ?? 0) + 1
        leaveFill()
        guard failure.side != .origin || failure == .originClosedEarly, generation < Limits.cacheLeadersMax,
            let cache = zone?.cache, let key = visit.key
        else { return fail(failure) }
        run(takePlace(cache, key, generation: generation))
    }

    // MARK: The response that is being filled

    private func serveFilling(_ head: FillHead) {
        guard let client else { return }
        let now = WallClock.milliseconds()
        let response = head.response
        // First-hand it has no age but what caches before this one gave it.
        let isFirstHand = visit.role == .leader && response.facts.initialAge < 1000
        if visit.asksForWhole, response.facts.status == 200 {
            let verdict = requestBytes.withBytes { bytes in
                Preconditions.evaluate(request, bytes, response, nowMilliseconds: now)
            }
            if case .notModified = verdict {
                leaveFill()
                return serveNotModified(response, now: now)
            }
            if head.contentLength != nil, request.has(.range), serveFillingRange(response, now: now) { return }
        }
        status = Int(response.facts.status)
        renderCacheFields(response.head, age: isFirstHand ? nil : response.facts.ageSeconds(at: now))
        let start = response.head.upstreamCacheStatusEnd
        if let length = head.contentLength {
            client.respond(
                status: status, fields: responseFields, stored: response.head.slice(start, response.head.end),
                isHeadEnded: true, framing: .length(length))
            send(BodyPlan(.fill, range: 0..<length))
        } else {
            client.respond(
                status: status, fields: responseFields, stored: response.head.slice(start, response.head.typeEnd),
                isHeadEnded: false, framing: .chunked)
            send(BodyPlan(.fill, range: 0..<UInt64.max))
        }
        // The head goes out although the body is not here yet.
        self.client?.flush()
    }

    private func serveFillingRange(_ response: StoredResponse, now: Int64) -> Bool {
        let selection = requestBytes.withBytes { bytes in
            RangeSelection(request, bytes, of: response, nowMilliseconds: now)
        }
        switch selection {
        case .single(let range):
            serveRange(range, response.facts, response.head, .fill, now: now)
            client?.flush()
            return true
        case .unsatisfiable:
            serveUnsatisfiable(response.facts, response.head, now: now)
            return true
        case .whole, .multiple:
            return false
        }
    }
}
