package import Certificates
package import ConfigModel
import HTTPWire
package import Origin
package import Replica

/// A zone that came from the control plane, ready to serve. Immutable; a change of the zone makes another one, and who
/// began with this one ends with it.
package final class FollowedZone: Sendable {
    /// Hosts of the zone that are served alike.
    package struct Site: Sendable {
        package let hostnames: [String]
        /// For requests in the clear, and for those over TLS: Cloudflare's `ssl` setting lets them go to different ports.
        package let clear: ServedZone
        package let secure: ServedZone

        package init(hostnames: [String], clear: ServedZone, secure: ServedZone) {
            self.hostnames = hostnames
            self.clear = clear
            self.secure = secure
        }
    }

    package let name: String
    package let sites: [Site]
    package let certificates: ZoneCertificates?
    private let hosts: HostTable

    /// - Parameter certificates: nil where no client speaks TLS.
    package init(name: String, sites: [Site], certificates: ZoneCertificates?) {
        self.name = name
        self.sites = sites
        self.certificates = certificates
        hosts = HostTable(hostnames: sites.map(\.hostnames))
    }

    package func served(forHost host: Span<UInt8>, isSecure: Bool) -> ServedZone? {
        guard let index = hosts.zone(forHost: host), sites.indices.contains(index) else { return nil }
        return isSecure ? sites[index].secure : sites[index].clear
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
