package import ConfigModel
package import FoundationEssentials
package import NIOSSL
import Synchronization

/// The certificates of all zones of one configuration.
///
/// The operator's files are read and checked when a store is made, so that a bad one is refused with the configuration
/// that names it. TLS contexts are made when the first client of a certificate comes. A context itself is cheap, 6
/// microseconds and 4 KiB; but with 100,000 zones most would never be used, and one of the local authority may first
/// take a new key and two flushed files, which is no work for an event loop. Hence two ways to a context:
/// `readyContext`, which only looks, and `context(forZone:)`, which makes one and blocks. `prepare` does so ahead for
/// small configurations.
///
/// At most `contextsMax` contexts are kept; beyond, those go first that no handshake used lately.
///
/// A store's contents do not change but for contexts coming and going: a reload and `CertificateWatch` make new stores,
/// which share what stayed the same.
package final class CertificateStore: Sendable {
    /// The default bound of contexts kept.
    package static let contextsMaxDefault = 10_000

    /// What does not hinder serving, but should be logged.
    package let warnings: [CertificateWarning]
    /// The zone whose certificate is served to a client that names no host or one that no zone takes: the zone of
    /// `*` if there is one, else the first of the file. nil without any zone.
    package let fallbackZone: Int?
    let slots: [CertificateSlot]
    private let zones: [Zone]
    private let slotOfZone: [Int]
    private let authority: LocalAuthority?
    private let dataDirectory: String
    private let contextsMax: Int
    /// Slots with contexts, in the order a sweep visits them.
    private let ready: Mutex<[CertificateSlot]>

    /// The certificate to give to clients, if any zone is served by the local authority.
    package var authorityPath: String? { authority?.certificatePath }

    /// Reads and checks every certificate that the configuration names. Blocks on the disk.
    ///
    /// - Throws: the first error, with zone and file.
    package convenience init(
        configuration: Configuration, contextsMax: Int = contextsMaxDefault, now: Date = Date()
    ) throws(CertificateError) {
        try self.init(configuration, previous: nil, contextsMax: contextsMax, now: now)
    }

    /// The store of another configuration. Whatever it shares with this one is taken over: a certificate whose files
    /// did not change, or changed without a byte of them changing, keeps its context, and so its clients' tickets. What
    /// ALPN offers is part of a context: where that changes, all are made anew.
    ///
    /// - Throws: the first error; this store then stays good.
    package func reloaded(
        with configuration: Configuration, now: Date = Date()
    ) throws(CertificateError) -> CertificateStore {
        try CertificateStore(configuration, previous: self, contextsMax: contextsMax, now: now)
    }

    private init(
        _ configuration: Configuration, previous: CertificateStore?, contextsMax: Int, now: Date
    ) throws(CertificateError) {
        var old: [CertificateSlot.Source: CertificateSlot] = [:]
        // Another data directory means another authority, whose leaves are others.
        let isSameData = previous?.dataDirectory == configuration.data
        let offersHTTP2 = configuration.listen.http2
        for slot in previous?.slots ?? [] where slot.offersHTTP2 == offersHTTP2 {
            if case .local = slot.source, !isSameData { continue }
            old[slot.source] = slot
        }
        var slots: [CertificateSlot] = []
        var slotOfZone: [Int] = []
        var places: [CertificateSlot.Source: Int] = [:]
        for zone in configuration.zones {
            let source: CertificateSlot.Source =
                zone.tls.map { .files($0) } ?? .local(zone: zone.name, hostnames: zone.hostnames)
            let place: Int
            if let known = places[source] {
                place = known
            } else {
                do {
                    slots.append(try Self.slot(source, old[source], offersHTTP2: offersHTTP2))
                } catch {
                    throw error.of(zone: zone.name)
                }
                place = slots.count - 1
                places[source] = place
            }
            slotOfZone.append(place)
        }
        if configuration.zones.contains(where: { $0.tls == nil }), !configuration.listen.https.isEmpty {
            authority =
                if isSameData, let known = previous?.authority { known } else {
                    try LocalAuthority.open(data: configuration.data, now: now)
                }
        } else {
            authority = nil
        }
        self.slots = slots
        self.slotOfZone = slotOfZone
        zones = configuration.zones
        warnings = Self.warnings(configuration.zones, slots, slotOfZone, now)
        self.contextsMax = contextsMax
        dataDirectory = configuration.data
        fallbackZone = Self.fallback(configuration.zones)
        ready = Mutex(slots.filter(\.isReady))
    }

    /// A store with some slots replaced and all else shared; see `CertificateWatch`.
    init(_ other: CertificateStore, replacing: [Int: CertificateSlot], now: Date) {
        zones = other.zones
        slots = other.slots.enumerated().map { replacing[$0.offset] ?? $0.element }
        slotOfZone = other.slotOfZone
        warnings = Self.warnings(zones, slots, slotOfZone, now)
        fallbackZone = other.fallbackZone
        authority = other.authority
        dataDirectory = other.dataDirectory
        contextsMax = other.contextsMax
        ready = Mutex(slots.filter(\.isReady))
    }

    private static func fallback(_ zones: [Zone]) -> Int? {
        zones.firstIndex { $0.name == "*" || $0.hostnames.contains("*") } ?? zones.indices.first
    }

    private static func warnings(
        _ zones: [Zone], _ slots: [CertificateSlot], _ slotOfZone: [Int], _ now: Date
    ) -> [CertificateWarning] {
        zip(zones, slotOfZone).flatMap { zone, place -> [CertificateWarning] in
            guard let files = zone.tls, let loaded = slots[place].loaded else { return [] }
            return loaded.warnings(zone: zone.name, path: files.certificate, hostnames: zone.hostnames, now: now)
        }
    }

    private static func slot(
        _ source: CertificateSlot.Source, _ old: CertificateSlot?, offersHTTP2: Bool
    ) throws(CertificateError) -> CertificateSlot {
        guard case .files(let files) = source else {
            return old
                ?? CertificateSlot(source: source, loaded: nil, fingerprints: [], offersHTTP2: offersHTTP2)
        }
        return try load(files, old, offersHTTP2: offersHTTP2)
    }

    /// The slot of two files: `old` itself if neither was touched, its context if no byte changed, else a new one.
    static func load(
        _ files: Zone.CertificateFiles, _ old: CertificateSlot?, offersHTTP2: Bool
    ) throws(CertificateError) -> CertificateSlot {
        // Taken before reading: a change in between is then seen as one later.
        let fingerprints = fingerprints(files)
        if let old, !old.isOutdated, old.fingerprints == fingerprints { return old }
        let loaded = try LoadedCertificate.load(files)
        if let old, old.loaded?.digest == loaded.digest {
            return CertificateSlot(old, fingerprints: fingerprints, isOutdated: false)
        }
        return CertificateSlot(
            source: .files(files), loaded: loaded, fingerprints: fingerprints, offersHTTP2: offersHTTP2)
    }

    static func fingerprints(_ files: Zone.CertificateFiles) -> [FileFingerprint?] {
        [FileFingerprint(files.certificate), FileFingerprint(files.key)]
    }
}

// MARK: Contexts

extension CertificateStore {
    /// The context of a zone's certificate if it has been made. Never blocks for long: for event loops.
    ///
    /// `zone` is the zone's place in the configuration this store was made from.
    package func readyContext(forZone zone: Int) -> NIOSSLContext? {
        slot(zone)?.use()
    }

    /// The context of a zone's certificate, made if need be. Blocks on the disk: for a thread pool.
    ///
    /// - Throws: why there is none; the connection is then to be closed with the alert internal_error.
    package func context(forZone zone: Int, now: Date = Date()) throws(CertificateError) -> NIOSSLContext {
        guard let slot = slot(zone) else { throw CertificateError(.engine, "no zone \(zone)") }
        let (context, made) = try slot.make(authority, now: now)
        if made { keep(slot) }
        return context
    }

    /// Makes the contexts of the first zones, so that their first clients need not wait.
    ///
    /// - Throws: the first error; a local authority that cannot write, most likely.
    package func prepare(zonesMax: Int, now: Date = Date()) throws(CertificateError) {
        for zone in slotOfZone.indices.prefix(min(zonesMax, contextsMax)) {
            _ = try context(forZone: zone, now: now)
        }
    }

    /// Contexts kept at the moment, for a gauge.
    package var contextCount: Int { ready.withLock { $0.count } }

    private func slot(_ zone: Int) -> CertificateSlot? {
        slotOfZone.indices.contains(zone) ? slots[slotOfZone[zone]] : nil
    }

    /// Notes a new context, and gives others up if there are too many: each slot that was used since it was last looked
    /// at gets a second chance.
    private func keep(_ slot: CertificateSlot) {
        ready.withLock { ready in
            if ready.count >= contextsMax {
                // An eighth at once, so that not every new context moves the list.
                Self.sweep(&ready, surplus: ready.count - contextsMax + max(1, contextsMax / 8))
            }
            ready.append(slot)
        }
    }

    private static func sweep(_ ready: inout [CertificateSlot], surplus: Int) {
        var dropped = 0
        var used: [CertificateSlot] = []
        var rest: [CertificateSlot] = []
        rest.reserveCapacity(ready.count)
        for candidate in ready {
            if dropped == surplus {
                rest.append(candidate)
            } else if candidate.dropIfUnused() {
                dropped += 1
            } else {
                used.append(candidate)
            }
        }
        // If nearly all were in use, the oldest go all the same, or the bound would be none. Their marks were taken off
        // just now: one that is used again this very moment may stay on its thread's account.
        while dropped < surplus, let oldest = used.first {
            if !oldest.dropIfUnused() { _ = oldest.dropIfUnused() }
            used.removeFirst()
            dropped += 1
        }
        ready = rest + used
    }

    /// Gives up contexts of local leaves that are due for renewal.
    func dropDue(_ now: Date) {
        ready.withLock { ready in ready.removeAll { $0.dropIfDue(now) } }
    }
}
