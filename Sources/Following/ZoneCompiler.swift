// From what the replica holds of a zone to what requests are served by.

package import Cache
package import Certificates
import ConfigModel
import JSON
import Limits
package import Origin
package import Pipeline
package import Replica
import Synchronization
package import Telemetry

/// Makes `FollowedZone`s. Runs on the thread that needs the zone: the one that applies frames, or an event loop that is
/// asked for a zone for the first time.
package final class ZoneCompiler: Sendable {
    /// What a zone is made with.
    package struct Parts: Sendable {
        package var replica: Replica
        package var fleet: OriginFleet
        package var cache: EdgeCache?
        package var metrics: ZoneRegistry
        /// nil where nobody speaks TLS.
        package var certificates: CertificateShelf?
        /// What `listen` says for all zones.
        package var offersHTTP2: Bool
        /// Opens the private keys that come sealed; nil: this node was given no key for them.
        package var keys: (@Sendable (_ sealed: [UInt8], _ context: String) throws -> [UInt8])?

        package init(
            replica: Replica, fleet: OriginFleet, cache: EdgeCache?, metrics: ZoneRegistry,
            certificates: CertificateShelf?, offersHTTP2: Bool,
            keys: (@Sendable (_ sealed: [UInt8], _ context: String) throws -> [UInt8])?
        ) {
            self.replica = replica
            self.fleet = fleet
            self.cache = cache
            self.metrics = metrics
            self.certificates = certificates
            self.offersHTTP2 = offersHTTP2
            self.keys = keys
        }
    }

    private let parts: Parts
    /// Whether the operator's switch lets zones be cached.
    private let cacheIsOn = Atomic<Bool>(true)
    private let http2IsOn = Atomic<Bool>(true)
    /// Which zones read which other keys of the replica when they were made.
    private let users = Mutex<[String: Set<ZoneID>]>([:])
    private struct Former {
        weak var zone: FollowedZone?
    }
    /// What zones were made into last.
    private let former = Mutex<[ZoneID: Former]>([:])
    /// Zones that are to be made again at a time: microseconds since 1970.
    private let renewals = Mutex<[ZoneID: Int64]>([:])

    package init(_ parts: Parts) { self.parts = parts }

    // MARK: What a change of something else means

    /// The operator's switches.
    ///
    /// - Returns: whether that is a change.
    package func set(cacheIsOn: Bool, http2IsOn: Bool) -> Bool {
        let cacheWasOn = self.cacheIsOn.exchange(cacheIsOn, ordering: .relaxed)
        let http2WasOn = self.http2IsOn.exchange(http2IsOn, ordering: .relaxed)
        return cacheWasOn != cacheIsOn || http2WasOn != http2IsOn
    }

    /// Zones that were made of one of these keys. They may have been forgotten since; making them again costs little.
    package func zones(using keys: [String]) -> [ZoneID] {
        users.withLock { users in Array(keys.reduce(into: Set<ZoneID>()) { $0.formUnion(users[$1] ?? []) }) }
    }

    /// Zones for which the time has come.
    package func takeDue(now microseconds: Int64) -> [ZoneID] {
        renewals.withLock { renewals in
            let due = renewals.filter { $0.value <= microseconds }.map(\.key)
            for id in due { renewals[id] = nil }
            return due
        }
    }

    // MARK: Making

    /// - Throws: what is wrong with the zone, for the operator.
    package func compile(_ id: ZoneID, _ entries: [ZoneEntry]) throws -> FollowedZone {
        let content = try ZoneContent(id, entries)
        let now = WallClock.milliseconds() * 1000
        let isDeveloped = content.developmentUntil > now
        renewals.withLock { $0[id] = isDeveloped ? content.developmentUntil : nil }
        let behaviour = ZoneBehaviour(
            content.settings, isCached: !isDeveloped && cacheIsOn.load(ordering: .relaxed))
        guard !content.isPaused else { return FollowedZone(name: content.name, sites: [], certificates: nil) }
        let former = former.withLock { $0[id]?.zone }
        var balanced = BalancedOrigins(replica: parts.replica, account: content.account, behaviour: behaviour)
        defer { note(id, balanced.readKeys) }
        var sites = try balancerSites(id, content, behaviour, &balanced)
        if let site = content.site { sites.append(try ownSite(id, site, content, behaviour)) }
        sites += recordSites(id, content, behaviour, former)
        let zone = FollowedZone(
            name: content.name, sites: sites, certificates: try certificates(content, behaviour, sites))
        remember(zone, id)
        return zone
    }

    /// So that the next version can take over what did not change: with it, its pools of connections.
    private func remember(_ zone: FollowedZone, _ id: ZoneID) {
        former.withLock { former in
            // Those that nobody holds any more are swept out now and then.
            if former.count >= 1024, former.count.nonzeroBitCount == 1 {
                former = former.filter { $0.value.zone != nil }
            }
            former[id] = Former(zone: zone)
        }
    }

    private func note(_ id: ZoneID, _ keys: Set<String>) {
        guard !keys.isEmpty else { return }
        users.withLock { users in for key in keys { users[key, default: []].insert(id) } }
    }

    private func balancerSites(
        _ id: ZoneID, _ content: ZoneContent, _ behaviour: ZoneBehaviour, _ balanced: inout BalancedOrigins
    ) throws -> [FollowedSite] {
        var sites: [FollowedSite] = []
        for balancer in content.balancers {
            guard let name = balancer["name"]?.string, balancer["proxied"]?.boolean ?? false,
                let clear = try balanced.site(balancer, isSecure: false),
                let secure = try balanced.site(balancer, isSecure: true)
            else { continue }
            func zone(_ origins: [Origin]) -> Zone {
                var zone = behaviour.zone(
                    content.name, hostnames: [name], origins: origins, listensHTTPS: parts.certificates != nil)
                zone.balance = clear.balance
                return zone
            }
            sites.append(try site(id, zone(clear.origins), zone(secure.origins)))
        }
        return sites
    }

    /// The zone as martlet.yaml has it. What Cloudflare's settings switch off is off here too; else it says how it is.
    private func ownSite(
        _ id: ZoneID, _ site: JSONObject, _ content: ZoneContent, _ behaviour: ZoneBehaviour
    ) throws -> FollowedSite {
        var zone = try Zone.parse(site: site, named: content.name)
        let standard = behaviour.zone(content.name, hostnames: [], origins: [], listensHTTPS: parts.certificates != nil)
        zone.cache.isEnabled = zone.cache.isEnabled && standard.cache.isEnabled
        zone.redirectToHTTPS = (zone.redirectToHTTPS || standard.redirectToHTTPS) && parts.certificates != nil
        return try self.site(id, zone, zone)
    }

    /// One site a name. Who asks for it first makes it, unless the zone's former version has the very same.
    private func recordSites(
        _ id: ZoneID, _ content: ZoneContent, _ behaviour: ZoneBehaviour, _ former: FollowedZone?
    ) -> [FollowedSite] {
        var addresses: [String: [String]] = [:]
        var names: [String] = []
        for record in content.records
        where ["A", "AAAA", "CNAME"].contains(record.type) && Origin.isAddress(record.content) {
            if addresses[record.name] == nil { names.append(record.name) }
            addresses[record.name, default: []].append(record.content)
        }
        let known = former?.servedByHost ?? [:]
        let (zoneName, listensHTTPS) = (content.name, parts.certificates != nil)
        return names.map { name in
            let origins = Array((addresses[name] ?? []).prefix(Limits.originsPerZoneMax))
            let served = known[name]
            return FollowedSite(hostnames: [name]) { [self] isSecure in
                let zone = behaviour.zone(
                    zoneName, hostnames: [name],
                    origins: origins.map { behaviour.origin($0, port: nil, for: name, isSecure: isSecure) },
                    listensHTTPS: listensHTTPS)
                if let same = served?.first(where: { $0.configuration == zone }) { return same }
                return try serve(zone, id)
            }
        }
    }

    private func site(_ id: ZoneID, _ clear: Zone, _ secure: Zone) throws -> FollowedSite {
        let served = try serve(clear, id)
        guard secure != clear else { return FollowedSite(hostnames: clear.hostnames, served: served) }
        let other = try serve(secure, id)
        return FollowedSite(hostnames: clear.hostnames) { isSecure in isSecure ? other : served }
    }

    private func serve(_ zone: Zone, _ id: ZoneID) throws -> ServedZone {
        let lease = try parts.fleet.lease(zone)
        return ServedZone(
            configuration: zone, balancer: Balancer(zone: zone, servers: lease.servers),
            metricsIndex: parts.metrics.index(of: zone.name), cache: parts.cache?.zone(zone, identity: id.description),
            lease: lease)
    }

    private func certificates(
        _ content: ZoneContent, _ behaviour: ZoneBehaviour, _ sites: [FollowedSite]
    ) throws -> ZoneCertificates? {
        guard let shelf = parts.certificates else { return nil }
        let given = try content.certificates.map { certificate in
            let name = "the certificate \(certificate.id)"
            guard let keys = parts.keys else {
                throw FollowingError(
                    "\(name): expected a key to open its private key with, found none: enrol this edge again")
            }
            guard let sealed = Hexadecimal.bytes(certificate.sealedKey) else {
                throw FollowingError("\(name): expected its sealed key in hexadecimal")
            }
            return (
                name: name, certificate: Array(certificate.chain.utf8),
                key: try keys(sealed, "certificate/\(certificate.id)")
            )
        }
        // A site's own files are of this machine: what `martlet up` has in its martlet.yaml.
        let files = try content.site.flatMap { try Zone.parse(site: $0, named: content.name).tls }
        return try shelf.certificates(
            zone: content.name, hostnames: Self.localNames(content.name, sites), given: given, files: files,
            offersHTTP2: behaviour.offersHTTP2 && parts.offersHTTP2 && http2IsOn.load(ordering: .relaxed),
            versions: behaviour.versions)
    }
}

extension ZoneCompiler {
    private static let localNamesMax = 100

    /// What the local authority vouches for: the zone, what lies right below it, and the deeper or foreign names.
    private static func localNames(_ zone: String, _ sites: [FollowedSite]) -> [String] {
        let hosts = sites.flatMap(\.hostnames)
        // Nothing lies below "*" or below an address.
        guard zone.contains(where: \.isLetter) else {
            return hosts.isEmpty ? [zone] : Array(hosts.prefix(localNamesMax))
        }
        let others = hosts.filter { host in
            host != zone && !(host.hasSuffix("." + zone) && !host.dropLast(zone.count + 1).contains("."))
        }
        return [zone, "*.\(zone)"] + others.prefix(localNamesMax)
    }
}

/// Digits of sealed bytes.
enum Hexadecimal {
    /// nil: not an even number of hexadecimal digits.
    static func bytes(_ text: String) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count / 2)
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = Character(UnicodeScalar(digits[index])).hexDigitValue,
                let low = Character(UnicodeScalar(digits[index + 1])).hexDigitValue
            else { return nil }
            bytes.append(UInt8(truncatingIfNeeded: high << 4 | low))
        }
        return bytes
    }
}
