package import Cache
package import ConfigModel
package import Exchange
package import HTTPWire
import Limits
package import Logging
import NIOCore
package import Origin
package import Telemetry

/// One configuration, ready to serve: what a request pins when it begins. Immutable, shared by all event loops.
package final class Serving: Sendable {
    package let configuration: Configuration
    package let zones: [ServedZone]
    private let hosts: HostTable
    /// The port that redirects to https name; nil where no listener has TLS.
    let httpsPort: Int?
    /// `client_address_header`, when it is not X-Forwarded-For, which the parser knows.
    private let addressHeader: [UInt8]?
    /// Where zones come from that the configuration does not have; nil: it has them all.
    package let followed: FollowedZones?

    /// - Parameter fleet: keeps the origin servers that the previous configuration had too.
    /// - Parameter cache: what zones are cached in; nil caches none.
    /// - Parameter followed: zones that come from the control plane, one by one. The configuration then has none.
    package init(
        configuration: Configuration, fleet: OriginFleet, metrics: ZoneRegistry, cache: EdgeCache? = nil,
        followed: FollowedZones? = nil
    ) throws {
        self.followed = followed
        self.configuration = configuration
        self.hosts = HostTable(hostnames: configuration.zones.map(\.hostnames))
        self.zones = try configuration.zones.map { zone in
            let servers = try zone.origins.map { try fleet.server(for: $0, of: zone) }
            return ServedZone(
                configuration: zone, balancer: Balancer(zone: zone, servers: servers),
                metricsIndex: metrics.index(of: zone.name), cache: cache?.zone(zone))
        }
        self.httpsPort = configuration.listen.https.first?.address.port
        let header = configuration.clientAddressHeader
        self.addressHeader = header == "x-forwarded-for" ? nil : Array(header.utf8)
    }

    package var headBounds: HeadBounds {
        HeadBounds(
            startLineBytesMax: configuration.limits.requestLineBytes, headBytesMax: configuration.limits.headBytes,
            fieldCountMax: configuration.limits.fieldCount)
    }

    /// The zone of a host as a connection's SNI or a Host field names it.
    package func zone(forHost host: Span<UInt8>) -> ServedZone? {
        guard let index = hosts.zone(forHost: host), zones.indices.contains(index) else { return nil }
        return zones[index]
    }

    package func zoneIndex(forHost host: Span<UInt8>) -> Int? { hosts.zone(forHost: host) }

    func zone(of journey: Journey) -> ServedZone? {
        if zones.count == 1, zones[0].takesEveryHost { return zones[0] }
        let hosts = followed == nil ? nil : journey.desk.followedHosts
        return journey.requestBytes.withBytes { bytes in
            let host = journey.request.host
            guard host.end <= bytes.count else { return nil }
            let name = bytes.extracting(host.range)
            guard let hosts else { return zone(forHost: name) }
            return hosts.zone(forHost: name)?.served(forHost: name, isSecure: journey.isSecure)
        }
    }

    package func isTrusted(_ address: IPAddress) -> Bool {
        configuration.trustedProxies.contains { $0.contains(high: address.high, low: address.low) }
    }

    /// The peer, or, when that is a trusted proxy, the last address it names that is not one.
    func clientAddress(of journey: Journey) -> IPAddress {
        guard !configuration.trustedProxies.isEmpty, isTrusted(journey.peer) else { return journey.peer }
        return journey.requestBytes.withBytes { bytes in
            var client = journey.peer
            for field in journey.request.fields.reversed() where isAddressField(field, bytes) {
                var members: [ByteRange] = []
                var list = ListMembers(field.value)
                // The last ones count: what stands first, the client may have made up.
                while let member = list.next(in: bytes) {
                    if members.count == Limits.forwardedMembersMax { members.removeFirst() }
                    members.append(member)
                }
                for member in members.reversed() {
                    guard let address = IPAddress(text: bytes, range: member) else { return client }
                    client = address
                    if !isTrusted(address) { return client }
                }
            }
            return client
        }
    }

    var usesStandardAddressHeader: Bool { addressHeader == nil }

    func isAddressField(_ field: Field, _ bytes: Span<UInt8>) -> Bool {
        guard let addressHeader else { return field.known == .xForwardedFor }
        guard Int(field.name.count) == addressHeader.count, field.name.end <= bytes.count else { return false }
        for offset in addressHeader.indices
        where (bytes[Int(field.name.start) + offset] | 0x20) != (addressHeader[offset] | 0x20) { return false }
        return true
    }
}

/// One zone of a `Serving`.
package final class ServedZone: Sendable {
    package let configuration: Zone
    package let balancer: Balancer
    /// The zone's place in the metrics.
    package let metricsIndex: Int
    let takesEveryHost: Bool
    /// Whether the balancing policy looks at how many exchanges each server has.
    let countsOutstanding: Bool
    /// For the access log.
    let nameBytes: [UInt8]
    /// nil where nothing of the zone is cached.
    package let cache: CacheZone?
    private let lease: OriginLease?

    /// - Parameter lease: keeps the balancer's servers, where no configuration names them.
    package init(
        configuration: Zone, balancer: Balancer, metricsIndex: Int, cache: CacheZone?, lease: OriginLease? = nil
    ) {
        self.lease = lease
        self.cache = cache
        self.configuration = configuration
        self.balancer = balancer
        self.metricsIndex = metricsIndex
        self.countsOutstanding = configuration.balance == .leastOutstanding
        self.nameBytes = Array(configuration.name.utf8)
        self.takesEveryHost = configuration.hostnames.contains("*")
    }

    package var name: String { configuration.name }

    /// What of the request the balancing policy looks at.
    func hint(of journey: Journey) -> Balancer.Hint {
        switch configuration.balance {
        case .roundRobin, .leastOutstanding:
            return .none
        case .hash(.clientAddress):
            return .hash(journey.clientAddress.high &* 31 &+ journey.clientAddress.low)
        case .hash(.uri):
            return journey.hashHint(of: journey.request.target)
        case .hash(.header(let name)):
            return journey.fieldValue(named: name).map(journey.hashHint) ?? .none
        case .hash(.cookie(let name)):
            return journey.cookie(named: name).map(journey.hashHint) ?? .none
        case .sticky(let name):
            return journey.cookie(named: name).flatMap(journey.identifier).map { .sticky($0) } ?? .none
        }
    }
}
