import Cache
import ConfigModel
import Exchange
import HTTPWire
import Limits
import NIOCore
import Synchronization
import Telemetry

/// The cache stage: whether the request is answered from what is stored, waits for what another fetches, or goes to the
/// origin, and what for.
extension Journey {
    func lookUp() -> Step {
        guard let cache = zone?.cache else { return .proceed(.balance) }
        return requestBytes.withBytes { bytes in lookUp(in: cache, bytes) }
    }

    private func lookUp(in cache: CacheZone, _ bytes: Span<UInt8>) -> Step {
        // One copy for all that is asked below: a member of a class would be copied for each.
        let request = request
        if request.method != .get, request.method != .head { return passBy(cache, bytes) }
        if let refusal = StorageRefusal.ofRequest(request, bytes, settings: cache.settings) {
            let isLookedUp = refusal == .requestNoStore || refusal == .method
            guard isLookedUp else { return bypass(refusal.label) }
        }
        if request.has(.ifMatch) || request.has(.ifUnmodifiedSince) { return bypass("precondition") }
        if request.upgrade != nil { return bypass("upgrade") }
        if !cache.bypassCookies.isEmpty, cache.bypassCookies.match(request, bytes) { return bypass("cookie") }
        guard let key = cache.recipe.render(request, bytes, isSecure: isSecure, into: desk.keyScratch) else {
            return bypass("key_too_long")
        }
        visit.directives =
            cache.settings.respectsClientDirectives ? RequestDirectives(request, bytes) : RequestDirectives()
        let now = WallClock.milliseconds()
        guard let object = cache.store.memory.object(key.hash, key.bytes) else {
            return miss(cache, key, bytes, .uriMiss, now)
        }
        guard let stored = object.variant(for: request, bytes, in: cache) else {
            visit.seen = object
            return miss(cache, key, bytes, .varyMiss, now)
        }
        switch cache.purges.verdict(for: stored) {
        case .clean, .softPurged: break
        case .purged:
            _ = cache.store.memory.remove(stored)
            return miss(cache, key, bytes, .uriMiss, now)
        }
        return use(stored, of: object, cache, key, bytes, now)
    }

    /// What can be done with what is stored.
    private func use(
        _ stored: StoredResponse, of object: StoredObject?, _ cache: CacheZone, _ key: RenderedKey,
        _ bytes: Span<UInt8>, _ now: Int64
    ) -> Step {
        let verdict = stored.facts.use(
            at: now, request: visit.directives, settings: cache.settings,
            isSoftPurged: stored.isSoftPurged.load(ordering: .relaxed))
        if stored.facts.flags.contains(.isPartial) {
            // A part serves who asks for no more than it; whoever asks for more starts over.
            let selection = RangeSelection(request, bytes, of: stored, nowMilliseconds: now)
            guard verdict.use == .fresh, case .single(let range) = selection, case .partial(let body) = stored.body,
                body.covers(range)
            else {
                visit.seen = object
                return miss(cache, key, bytes, .partial, now)
            }
        }
        let ttl = Self.seconds(verdict.remaining)
        switch verdict.use {
        case .fresh:
            visit.report = CacheReport(.hit, ttlSeconds: ttl)
            keepOnDisk(stored, cache, remaining: verdict.remaining)
            serve(stored, now: now)
            return .wait
        case .staleWhileRevalidate:
            visit.report = CacheReport(.updating, ttlSeconds: ttl, detail: "stale_while_revalidate")
            revalidateBeside(stored, of: object, key, cache)
            serve(stored, now: now)
            return .wait
        case .staleByRequest:
            visit.report = CacheReport(.stale, ttlSeconds: ttl, detail: "max_stale")
            serve(stored, now: now)
            return .wait
        case .mustValidate:
            visit.seen = object
            visit.stored = stored
            visit.mayServeOnError = verdict.mayServeOnError
            visit.validates = stored.head.hasValidator && !stored.facts.flags.contains(.isPartial)
            let report = CacheReport(
                .expired, forward: verdict.reason.isByRequest ? .request : .stale, detail: verdict.reason.label)
            return forward(cache, key, bytes, report, now)
        }
    }

    /// Whole seconds, rounded down: what has been stale for a moment has less than none.
    static func seconds(_ milliseconds: Int64) -> Int64 {
        milliseconds >= 0 ? milliseconds / 1000 : (milliseconds - 999) / 1000
    }

    /// What was used again is worth keeping over a restart.
    @inline(__always)
    private func keepOnDisk(_ stored: StoredResponse, _ cache: CacheZone, remaining: Int64) {
        guard stored.diskState.load(ordering: .relaxed) == 0, remaining >= Limits.cacheDiskLifetimeMillisecondsMin
        else { return }
        guard let disk = cache.store.disk else { return }
        // Between the look at it and here it may have been purged; what is purged from here on finds it in the queue.
        let birth = cache.purges.fillBegan()
        if cache.purges.verdict(for: stored) != .purged { disk.write(stored) }
        cache.purges.fillEnded(birth)
    }

    // MARK: Past the cache

    private func bypass(_ detail: StaticString) -> Step {
        visit.report = CacheReport(.bypass, forward: .bypass, detail: detail)
        return .proceed(.balance)
    }

    /// A request that stored responses have no part in. A POST may bring one, though (RFC 9110, section 9.3.3), and an
    /// unsafe method invalidates; both by the key.
    private func passBy(_ cache: CacheZone, _ bytes: Span<UInt8>) -> Step {
        visit.report = CacheReport(.bypass, forward: .method, detail: nil)
        if !request.method.isSafe,
            let key = cache.recipe.render(request, bytes, isSecure: isSecure, into: desk.keyScratch)
        {
            let key = key.stored()
            visit.key = key
            visit.tableHash = key.hash
            visit.requestTime = WallClock.milliseconds()
            if request.method == .post { beginFetching(cache, as: .alone) }
        }
        return .proceed(.balance)
    }

    // MARK: Not there

    private func miss(
        _ cache: CacheZone, _ key: RenderedKey, _ bytes: Span<UInt8>, _ reason: ForwardReason, _ now: Int64
    ) -> Step {
        forward(cache, key, bytes, CacheReport(.miss, forward: reason), now)
    }

    /// To the origin, alone or for everybody; or behind somebody who is on the way already.
    private func forward(
        _ cache: CacheZone, _ key: RenderedKey, _ bytes: Span<UInt8>, _ report: CacheReport, _ now: Int64
    ) -> Step {
        visit.report = report
        visit.requestTime = now
        let stored = key.stored()
        visit.key = stored
        visit.tableHash = stored.hash
        if let vary = visit.stored?.vary { visit.tableHash = stored.hash.combined(with: vary.hash) }
        visit.settledBefore = cache.purges.settled
        if visit.stored == nil, let disk = cache.store.disk, let entry = entry(on: disk, cache, stored, bytes) {
            return load(entry, from: disk, cache, stored, bytes)
        }
        return fetch(cache, stored, bytes)
    }

    /// Which role the request has on its way to the origin.
    private func fetch(_ cache: CacheZone, _ key: CacheKey, _ bytes: Span<UInt8>) -> Step {
        if visit.directives.onlyIfCached { return failOnlyIfCached() }
        if request.method == .head {
            visit.validates = false
            visit.role = .none
            return .proceed(.balance)
        }
        if visit.directives.noStore {
            visit.validates = false
            return .proceed(.balance)
        }
        if visit.stored == nil, request.has(.range), !asksFromTheStart(bytes) {
            return fetchPart(cache, key, bytes)
        }
        // What proved uncacheable keeps the client's own conditions: its 304s are between it and the origin.
        if visit.stored == nil, cache.store.hitForMiss.reason(key.hash, nowMilliseconds: visit.requestTime) != nil {
            visit.report?.detail = "hit_for_miss"
            if !request.has(.range) { beginFetching(cache, as: .alone) }
            return .proceed(.balance)
        }
        if request.has(.authorization) || request.has(.cookie) {
            // Its own conditions are between it and the origin, whose 304 may carry what ours would not.
            visit.asksForWhole = visit.stored != nil
            beginFetching(cache, as: .alone)
            return .proceed(.balance)
        }
        return takePlace(cache, key)
    }

    private func failOnlyIfCached() -> Step {
        visit.report?.detail = "only_if_cached"
        return .fail(.onlyIfCached)
    }

    /// Leads the fetch of the key, or waits behind who does.
    func takePlace(_ cache: CacheZone, _ key: CacheKey, generation: Int = 0) -> Step {
        visit.asksForWhole = true
        let memory = cache.store.memory
        let seen = visit.seen
        let place = cache.store.fills.place(
            for: visit.tableHash,
            isStored: {
                let found = key.bytes.withUnsafeBytes { memory.peek(key.hash, $0) }
                return found != nil && found !== seen
            },
            make: {
                Fill(
                    key: key, tableHash: visit.tableHash, zone: cache.tag, birth: cache.purges.fillBegan(),
                    generation: generation)
            })
        switch place {
        case .lead(let fill):
            visit.fill = fill
            visit.birth = fill.birth
            visit.role = .leader
            loop.metrics.adjust(.cacheFillsActive, by: 1)
            return .proceed(.balance)
        case .join(let fill):
            visit.role = .waiter
            join(fill)
            return .wait
        case .stored where visit.rounds < Self.roundsMax:
            visit.rounds += 1
            forgetLookup()
            return .proceed(.cache)
        case .stored, .alone:
            visit.report?.detail = "busy"
            beginFetching(cache, as: .alone)
            return .proceed(.balance)
        }
    }

    /// What was looked up again and again came and went: then it is fetched without waiting for anybody.
    static let roundsMax = 3

    /// Looks at the store as if for the first time.
    func forgetLookup() {
        visit.seen = nil
        visit.stored = nil
        visit.validates = false
        visit.asksForWhole = false
        visit.key = nil
        visit.role = .none
    }

    /// From here on what comes is stored if it may be.
    func beginFetching(_ cache: CacheZone, as role: CacheVisit.Role) {
        visit.role = role
        if visit.birth == nil { visit.birth = cache.purges.fillBegan() }
    }

    /// `Range: bytes=0-`, with which players begin, is best answered out of the whole.
    private func asksFromTheStart(_ bytes: Span<UInt8>) -> Bool {
        guard let range = RangeField.only(request, bytes), case .from(0) = range else { return false }
        return !request.has(.ifRange)
    }

    /// A range of something that is not stored: read along if it is being fetched, else only the range is fetched.
    private func fetchPart(_ cache: CacheZone, _ key: CacheKey, _ bytes: Span<UInt8>) -> Step {
        if !request.has(.authorization), !request.has(.cookie), RangeField.only(request, bytes) != nil,
            let fill = cache.store.fills.joinable(visit.tableHash)
        {
            visit.role = .waiter
            visit.asksForWhole = true
            join(fill)
            return .wait
        }
        beginFetching(cache, as: .part)
        return .proceed(.balance)
    }

    // MARK: The disk

    private func entry(on disk: DiskStore, _ cache: CacheZone, _ key: CacheKey, _ bytes: Span<UInt8>) -> DiskEntry? {
        for entry in disk.candidates(key.hash) {
            guard let names = entry.varyNames else { return entry }
            let hash = cache.varyHash(names: names, request, bytes)
            if entry.hasVaryHash(hash) {
                visit.tableHash = key.hash.combined(with: hash)
                return entry
            }
        }
        return nil
    }

    /// One request brings it from the disk; the others wait for that one.
    private func load(
        _ entry: DiskEntry, from disk: DiskStore, _ cache: CacheZone, _ key: CacheKey, _ bytes: Span<UInt8>
    ) -> Step {
        if request.method == .get, !request.has(.authorization), !request.has(.cookie) {
            let step = takePlace(cache, key)
            guard visit.role == .leader else { return step }
        } else {
            beginFetching(cache, as: .alone)
        }
        visit.isLoading = true
        let bound = NIOLoopBound((self, visit.serial), eventLoop: loop.eventLoop)
        disk.load(entry, key: key.bytes, on: loop.eventLoop) { stored in
            let (journey, serial) = bound.value
            guard journey.visit.serial == serial else { return }
            journey.loaded(stored, cache, key)
        }
        return .wait
    }

    private func loaded(_ stored: StoredResponse?, _ cache: CacheZone, _ key: CacheKey) {
        visit.isLoading = false
        let usable = stored.flatMap { isUsable($0, cache) ? $0 : nil }
        if let usable {
            let isKept = cache.store.memory.insert(usable, zoneBytesMax: cache.memoryBytesMax)
            if isKept { loop.metrics.add(.cachePromotions) }
            // Those who wait look at it for themselves: it may be fresh enough for one and not for another.
            if visit.role == .leader {
                endFill(.stored(usable))
                visit.role = .none
            }
            if client == nil { return endIfOrphaned() }
            return run(useLoaded(usable, cache, key))
        }
        if client == nil, visit.role != .leader { return endIfOrphaned() }
        run(fetchLoaded(cache, key))
    }

    private func isUsable(_ stored: StoredResponse, _ cache: CacheZone) -> Bool {
        // The index that named it had been swept for these.
        ZonePurges.noteClean(stored, upTo: visit.settledBefore)
        if cache.purges.verdict(for: stored) == .purged {
            _ = cache.store.disk?.remove(stored)
            return false
        }
        return requestBytes.withBytes { bytes in cache.fits(stored.vary, request, bytes) }
    }

    /// As `use`, for what came from the disk.
    private func useLoaded(_ stored: StoredResponse, _ cache: CacheZone, _ key: CacheKey) -> Step {
        let now = WallClock.milliseconds()
        let object = key.bytes.withUnsafeBytes { cache.store.memory.peek(key.hash, $0) }
        return requestBytes.withBytes { bytes in
            guard let rendered = cache.recipe.render(request, bytes, isSecure: isSecure, into: desk.keyScratch) else {
                return bypass("key_too_long")
            }
            return use(stored, of: object, cache, rendered, bytes, now)
        }
    }

    /// What the disk had is gone: to the origin, in the role there is already.
    private func fetchLoaded(_ cache: CacheZone, _ key: CacheKey) -> Step {
        visit.requestTime = WallClock.milliseconds()
        if visit.directives.onlyIfCached { return failOnlyIfCached() }
        if visit.role == .leader { return .proceed(.balance) }
        return requestBytes.withBytes { bytes in fetch(cache, key, bytes) }
    }
}

extension KeyHash {
    /// The hash of a variant of this key.
    func combined(with other: KeyHash) -> KeyHash {
        KeyHash(
            high: high ^ (other.high &* 0x9e37_79b9_7f4a_7c15), low: low ^ (other.low &* 0xc2b2_ae3d_27d4_eb4f))
    }
}
