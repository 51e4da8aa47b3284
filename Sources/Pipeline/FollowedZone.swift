package import Certificates
package import ConfigModel
import HTTPWire
package import Origin
package import Replica
import Synchronization

/// Hosts of a zone that is followed, which are served alike. What serves them is made when the first request asks for it:
/// a zone may have a hundred thousand names, of which most are never asked for.
package final class FollowedSite: Sendable {
    package let hostnames: [String]
    private let make: @Sendable (_ isSecure: Bool) throws -> ServedZone
    private let clear = AtomicLazyReference<ServedZone>()
    private let secure = AtomicLazyReference<ServedZone>()

    /// - Parameter make: What serves requests in the clear, or those over TLS: Cloudflare's `ssl` setting lets them go to
    ///   different ports. Called when it is first needed, on the thread that does; more than once if several need it at once.
    package init(hostnames: [String], make: @escaping @Sendable (_ isSecure: Bool) throws -> ServedZone) {
        self.hostnames = hostnames
        self.make = make
    }

    /// One that is made already, and that serves both.
    package init(hostnames: [String], served: ServedZone) {
        self.hostnames = hostnames
        make = { _ in served }
        _ = clear.storeIfNil(served)
        _ = secure.storeIfNil(served)
    }

    /// nil: it cannot be served.
    package func served(isSecure: Bool) -> ServedZone? {
        if let known = made(isSecure: isSecure) { return known }
        guard let fresh = try? make(isSecure) else { return nil }
        return isSecure ? secure.storeIfNil(fresh) : clear.storeIfNil(fresh)
    }

    /// What has been made so far.
    package func made(isSecure: Bool) -> ServedZone? { isSecure ? secure.load() : clear.load() }
}

/// A zone that came from the control plane, ready to serve. Immutable; a change of the zone makes another one, and who
/// began with this one ends with it.
package final class FollowedZone: Sendable {
    package let name: String
    package let sites: [FollowedSite]
    package let certificates: ZoneCertificates?
    private let hosts: HostTable

    /// - Parameter certificates: nil where no client speaks TLS.
    package init(name: String, sites: [FollowedSite], certificates: ZoneCertificates?) {
        self.name = name
        self.sites = sites
        self.certificates = certificates
        hosts = HostTable(hostnames: sites.map(\.hostnames))
    }

    package func served(forHost host: Span<UInt8>, isSecure: Bool) -> ServedZone? {
        guard let index = hosts.zone(forHost: host), sites.indices.contains(index) else { return nil }
        return sites[index].served(isSecure: isSecure)
    }

    /// What serves requests by now, of sites with one host each.
    package var servedByHost: [String: [ServedZone]] {
        var found: [String: [ServedZone]] = [:]
        for site in sites where site.hostnames.count == 1 {
            let made = [false, true].compactMap { site.made(isSecure: $0) }
            if !made.isEmpty { found[site.hostnames[0]] = made }
        }
        return found
    }

    /// Everything of it that serves requests by now.
    package var served: [ServedZone] {
        sites.flatMap { site in [false, true].compactMap { site.made(isSecure: $0) } }
    }

    /// What a client is given that names a host of this zone; nil where no client speaks TLS.
    package func certificate(forHost host: Span<UInt8>) -> CertificateChoice? {
        var name: [UInt8] = []
        name.reserveCapacity(host.count)
        for index in host.indices {
            let byte = host[index]
            name.append(byte &- UInt8(ascii: "A") < 26 ? byte | 0x20 : byte)
        }
        if name.last == UInt8(ascii: ".") { name.removeLast() }
        return certificates?.choice(forHost: String(decoding: name, as: UTF8.self))
    }
}

/// The zones that an edge follows: of each host the zone as it is now.
package final class FollowedZones: Sendable {
    package let table: ZoneTable<FollowedZone>
    /// What clients are given that name no host, or one of no zone; nil where nobody speaks TLS.
    package let certificates: CertificateShelf?

    package init(table: ZoneTable<FollowedZone>, certificates: CertificateShelf?) {
        self.table = table
        self.certificates = certificates
    }

    /// The zone that takes every host that no other one takes has this name.
    package static let everyHost = "*"

    /// The zone of a host. For threads without a cache of their own.
    package func zone(forHost host: String) -> FollowedZone? {
        if case .zone(let found) = table.lookup(host: host) { return found.value }
        guard case .zone(let found) = table.lookup(host: Self.everyHost) else { return nil }
        return found.value
    }
}

/// What one event loop knows of the zones that are followed. Touched by that loop alone.
package final class FollowedHosts {
    private let cache: ZoneCache<FollowedZone>
    private let everyHost: [UInt8]

    init(_ zones: FollowedZones) {
        cache = zones.table.makeCache()
        everyHost = Array(FollowedZones.everyHost.utf8)
    }

    /// The zone of a host: decoded here if nobody has asked for it lately.
    package func zone(forHost host: Span<UInt8>) -> FollowedZone? {
        switch cache.lookup(host: host) {
        case .zone(let found): return found.value
        case .bad: return nil
        case .none:
            let found = everyHost.withUnsafeBytes { name in cache.lookup(host: name) }
            if case .zone(let found) = found { return found.value }
            return nil
        }
    }
}
