import Admin
import Cache
import ConfigModel
import Limits
import NIOCore
import Pipeline
import Replica
import Telemetry

/// What the operator may ask of the cache, answered by the edge that has it.
extension CacheOperations {
    /// - Parameters:
    ///   - serving: the configuration in force.
    ///   - replica: that of an edge that follows one: it knows the zones that nobody has asked for.
    ///   - loop: where what the disk has is handed over.
    init(
        _ cache: EdgeCache, serving: @escaping @Sendable () -> Serving, replica: Replica?, metrics: SharedMetrics,
        loop: any EventLoop, counts: @escaping @Sendable () async -> MetricsSnapshot
    ) {
        let desk = CacheOffice(
            cache: cache, serving: serving, replica: replica, metrics: metrics, loop: loop, counts: counts)
        self.init(
            purge: { purge throws(CacheProblem) in try await desk.purge(purge) },
            inspect: { url, zone throws(CacheProblem) in try await desk.inspect(url, zone: zone) },
            statistics: { await desk.statistics() })
    }
}

/// The work behind `CacheOperations`. Cold: none of it runs on an event loop.
private struct CacheOffice: Sendable {
    let cache: EdgeCache
    let serving: @Sendable () -> Serving
    let replica: Replica?
    let metrics: SharedMetrics
    let loop: any EventLoop
    let counts: @Sendable () async -> MetricsSnapshot

    // MARK: Zones

    /// Those that requests are served by now: of zones that are followed, one site of each that was asked for lately.
    private var served: [ServedZone] {
        guard let followed = serving().followed else { return serving().zones }
        return followed.table.decoded.compactMap { zone in
            zone.served.first { $0.cache != nil } ?? zone.served.first
        }
    }

    private func zone(named name: String) throws(CacheProblem) -> CacheZone {
        let zone: ServedZone?
        if let followed = serving().followed {
            let found = followed.zone(forHost: name).flatMap { $0.name == name ? $0 : nil }
            zone = found?.served.first { $0.cache != nil } ?? found?.sites.first?.served(isSecure: false)
        } else {
            zone = serving().zones.first { $0.name == name }
        }
        guard let zone else { throw .unknownZone(name) }
        guard let cached = zone.cache else { throw .cacheOff(zone: name) }
        return cached
    }

    /// Every zone that may have something stored.
    private var cachedZones: [CacheZone] {
        guard serving().followed != nil, let replica else { return served.compactMap(\.cache) }
        var zones = served.compactMap(\.cache)
        var known = Set(zones.map(\.tag))
        var last: String?
        while let page = try? replica.zones(after: last, limit: Limits.cacheZonesPerLook), !page.isEmpty {
            for (name, id) in page {
                let identity = id.description
                let tag = KeyRecipe(zoneName: identity, settings: CacheKeySettings(), secret: cache.secret).zone
                // Nobody has asked for it lately, but a former process may have left something on the disk.
                guard !known.contains(tag),
                    cache.memory.statistics(of: tag) != nil || cache.disk?.zoneBytes(tag) ?? 0 > 0,
                    let zone = cache.zone(Zone(name: name, hostnames: [], origins: []), identity: identity)
                else { continue }
                known.insert(tag)
                zones.append(zone)
            }
            last = page.last?.name
        }
        return zones
    }

    private func zone(forHost host: String) throws(CacheProblem) -> CacheZone {
        let bytes = Array(host.utf8)
        let found =
            if let followed = serving().followed {
                followed.zone(forHost: host)?.served(forHost: bytes.span, isSecure: false)
            } else {
                serving().zone(forHost: bytes.span)
            }
        guard let zone = found else { throw .noZone(host: host) }
        guard let cached = zone.cache else { throw .cacheOff(zone: zone.name) }
        return cached
    }

    /// The zone that is named, or the one that answers for what `text` begins with.
    private func zone(_ named: CacheZone?, of text: String) throws(CacheProblem) -> CacheZone {
        if let named { return named }
        return try zone(forHost: host(of: text))
    }

    /// The host of `https://host:port/path` or `host:port/path`, without its port.
    private func host(of text: String) -> String {
        var rest = Substring(text)
        for scheme in ["https://", "http://"] where rest.lowercased().hasPrefix(scheme) {
            rest = rest.dropFirst(scheme.count)
            break
        }
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        if authority.hasPrefix("[") { return authority.prefix { $0 != "]" } + "]" }
        return authority.prefix { $0 != ":" }.lowercased()
    }

    // MARK: Purge

    func purge(_ purge: CachePurge) async throws(CacheProblem) -> CachePurgeAnswer {
        var scopes: [(zone: CacheZone, scopes: [PurgeScope])] = []
        func add(_ scope: PurgeScope, _ zone: CacheZone) {
            if let index = scopes.firstIndex(where: { $0.zone === zone }) {
                scopes[index].scopes.append(scope)
            } else {
                scopes.append((zone, [scope]))
            }
        }
        let named = try purge.zone.map { name throws(CacheProblem) in try zone(named: name) }
        for url in purge.files {
            let zone = try zone(named, of: url)
            guard let key = zone.recipe.key(forURL: url) else { throw .badURL(url) }
            add(.url(key.urlHash), zone)
        }
        for host in purge.hosts {
            guard let scope = PurgeScope.host(parsing: host) else { throw .badURL(host) }
            add(scope, try zone(named, of: host))
        }
        for prefix in purge.prefixes {
            guard let scope = PurgeScope.prefix(parsing: prefix) else { throw .badURL(prefix) }
            add(scope, try zone(named, of: prefix))
        }
        let everywhere = purge.tags.map { PurgeScope.tag(CacheTag.hash($0)) } + (purge.everything ? [.everything] : [])
        if !everywhere.isEmpty {
            for zone in named.map({ [$0] }) ?? cachedZones {
                for scope in everywhere { add(scope, zone) }
            }
        }
        return await run(purge, scopes)
    }

    private func run(_ purge: CachePurge, _ scopes: [(zone: CacheZone, scopes: [PurgeScope])]) async -> CachePurgeAnswer
    {
        var count = PurgeCount()
        for (zone, scopes) in scopes {
            count += await cache.purge(scopes, in: zone, isSoft: purge.isSoft, isDryRun: purge.isDryRun)
        }
        let objects = count.objects
        if !purge.isDryRun {
            metrics.add(.cachePurges)
            metrics.add(.cachePurgedObjects, UInt64(max(0, objects)))
        }
        return CachePurgeAnswer(
            objects: objects, memoryObjects: count.memory, diskObjects: count.disk, zones: scopes.map(\.zone.name))
    }

    // MARK: Inspect

    func inspect(_ url: String, zone name: String?) async throws(CacheProblem) -> CacheInspection {
        let zone: CacheZone
        if let name { zone = try self.zone(named: name) } else { zone = try self.zone(forHost: host(of: url)) }
        guard let key = zone.recipe.key(forURL: url) else { throw .badURL(url) }
        let now = WallClock.milliseconds()
        let inMemory = responses(of: key, in: zone)
        var variants = inMemory.filter { zone.purges.verdict(for: $0) != .purged }.map { $0.inspected(now: now) }
        let settled = zone.purges.settled
        for stored in await onDisk(key, settled: settled) where zone.purges.verdict(for: stored) != .purged {
            let isKnown = inMemory.contains { $0.key == stored.key && $0.vary == stored.vary }
            if !isKnown { variants.append(stored.inspected(now: now, isInMemory: false)) }
        }
        let refusal = cache.hitForMiss.reason(key.hash, nowMilliseconds: now)
        return CacheInspection(
            zone: zone.name, key: String(decoding: key.bytes.map { $0 == 0x0A ? 0x20 : $0 }, as: UTF8.self),
            hash: key.hash.text, isFilling: cache.fills.joinable(key.hash) != nil,
            uncacheable: refusal?.label.description, variants: variants)
    }

    /// Everything stored in memory for a URL; with keys of more parts than the URL, the whole zone is looked through.
    private func responses(of key: CacheKey, in zone: CacheZone) -> [StoredResponse] {
        var found: [StoredResponse] = []
        guard zone.settings.key.hasParts else {
            guard let object = key.bytes.withUnsafeBytes({ cache.memory.peek(key.hash, $0) }) else { return [] }
            for index in 0..<object.count { found.append(object[index]) }
            return found
        }
        _ = cache.memory.sweep(zone: zone.tag) { response in
            if response.key.urlHash == key.urlHash { found.append(response) }
            return .keep
        }
        return found
    }

    private func onDisk(_ key: CacheKey, settled: UInt64) async -> [StoredResponse] {
        guard let disk = cache.disk else { return [] }
        var found: [StoredResponse] = []
        for entry in disk.candidates(key.hash) {
            let stored = await withCheckedContinuation { continuation in
                disk.load(entry, key: key.bytes, on: loop) { continuation.resume(returning: $0) }
            }
            guard let stored else { continue }
            // The index was swept for these.
            ZonePurges.noteClean(stored, upTo: settled)
            found.append(stored)
        }
        return found
    }

    // MARK: Statistics

    func statistics() async -> CacheStatistics {
        let memory = cache.memory.statistics()
        let disk = cache.disk
        let zones = served.filter { $0.cache != nil }
        let snapshot = await counts()
        let shown = zones.map { zone -> CacheStatistics.Zone in
            var row = CacheStatistics.Zone(name: zone.name)
            guard let cached = zone.cache else { return row }
            let own = cache.memory.statistics(of: cached.tag)
            row.memoryBytes = UInt64(own?.bytes ?? 0)
            row.memoryObjects = own?.objects ?? 0
            row.diskBytes = disk?.zoneBytes(cached.tag) ?? 0
            for result in CacheResult.allCases {
                row.requests[result.label.description] = snapshot.cacheResults(zone: zone.metricsIndex, result)
            }
            row.bytesServed = snapshot.cacheBytes(zone: zone.metricsIndex)
            return row
        }
        let largest = shown.sorted { $0.memoryBytes + $0.diskBytes > $1.memoryBytes + $1.diskBytes }
        return CacheStatistics(
            memory: CacheStatistics.Store(
                bytes: UInt64(memory.bytes), bytesMax: UInt64(memory.bytesMax), objects: memory.objects,
                evictions: memory.evictions),
            disk: disk.map { disk in
                let own = disk.statistics
                return CacheStatistics.Store(
                    bytes: own.bytes, bytesMax: disk.bytesMax, objects: own.objects, evictions: own.evicted)
            },
            fillsActive: cache.fills.count, waiters: snapshot[.cacheWaiters], zoneCount: zones.count,
            zones: Array(largest.prefix(Limits.cacheZonesShownMax)))
    }
}

extension KeyHash {
    /// 32 hexadecimal digits.
    fileprivate var text: String {
        [high, low].map { word in
            let digits = String(word, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }
}

extension StoredResponse {
    /// What an operator is told of it.
    fileprivate func inspected(now: Int64, isInMemory: Bool = true) -> CacheInspection.Variant {
        var variant = CacheInspection.Variant()
        variant.vary =
            vary.map { String(decoding: $0.names, as: UTF8.self).split(separator: ",").map(String.init) } ?? []
        variant.varyHash = vary?.hash.text
        variant.status = Int(facts.status)
        variant.age = facts.age(at: now) / 1000
        variant.freshnessLifetime = facts.freshnessLifetime / 1000
        variant.freshFor = facts.remainingLifetime(at: now) / 1000
        variant.staleWhileRevalidate = facts.staleWhileRevalidate / 1000
        variant.staleIfError = facts.staleIfError / 1000
        variant.isSoftPurged = isSoftPurged.load(ordering: .relaxed)
        variant.flags = facts.flags.names
        // Of a body on the disk, memory has the head.
        var hasBodyOnDisk = false
        if case .file = body { hasBodyOnDisk = true }
        variant.isInMemory = isInMemory && !hasBodyOnDisk
        variant.isOnDisk = hasBodyOnDisk || diskState.load(ordering: .relaxed) == 2
        variant.bytes = facts.representationBytes
        variant.memoryBytes = isInMemory ? memoryBytes : 0
        variant.tagCount = tags.count
        variant.eTag = text(head.eTag)
        variant.lastModified = text(head.lastModified)
        variant.contentType = text(head.contentType)
        variant.storedAt = facts.responseTime
        if case .partial(let body) = body {
            variant.ranges = body.pieces.map { "\($0.range.lowerBound)-\($0.range.upperBound - 1)" }
        }
        return variant
    }

    private func text(_ range: Range<Int>) -> String? {
        guard !range.isEmpty else { return nil }
        return head.bytes.getString(at: head.bytes.readerIndex + range.lowerBound, length: range.count)
    }
}

extension StoredFacts.Flags {
    fileprivate var names: [String] {
        let all: [(StoredFacts.Flags, String)] = [
            (.mustRevalidate, "must_revalidate"), (.noCache, "no_cache"), (.immutable, "immutable"),
            (.lifetimeIsOurs, "zone_ttl"), (.isHeuristic, "heuristic"), (.isPartial, "partial"),
        ]
        return all.filter { contains($0.0) }.map(\.1)
    }
}
