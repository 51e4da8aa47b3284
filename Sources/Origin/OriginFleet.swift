package import ConfigModel
package import Exchange
import Limits
package import Logging
import NIOConcurrencyHelpers
import NIOCore
package import Telemetry

/// Every origin server in use, with its health checks and look-ups.
///
/// A new configuration finds here the servers it has in common with the last one: their pools stay warm and their
/// health stays known. Those that no configuration names any more are retired by `settle`.
package final class OriginFleet: @unchecked Sendable {
    // Unchecked: everything below is used by one configuration change at a time, under `lock`.
    private let lock = NIOLock()
    private let loops: [EdgeLoop]
    private let log: Logger
    private let metrics: SharedMetrics?
    private let originLoops: OriginLoops
    private var members: [OriginServer.Key: Member] = [:]
    /// What the configuration being built names, and in which zones.
    private var wanted: [OriginServer.Key: Set<String>] = [:]
    private var nextLoop = 0

    private struct Member {
        var server: OriginServer
        var checker: HealthChecker?
        var lookup: RepeatedTask?
        var zones: Set<String> = []
        /// How many leases name it.
        var leaseCount = 0
        /// Whether the configuration in force names it.
        var isConfigured = false
    }

    /// - Parameter metrics: for what happens on no event loop.
    package init(loops: [EdgeLoop], log: Logger, metrics: SharedMetrics? = nil) {
        self.metrics = metrics
        self.loops = loops
        originLoops = OriginLoops(count: loops.count)
        self.log = log
    }

    /// The server for one configured origin: the one there is, or a new one.
    ///
    /// - Throws: what NIOSSL says of an unreadable CA or client certificate.
    package func server(for origin: ConfigModel.Origin, of zone: Zone) throws -> OriginServer {
        let key = OriginServer.Key(
            origin: origin, pool: zone.pool, timeouts: zone.timeouts, ejection: zone.ejection)
        return try lock.withLock {
            wanted[key, default: []].insert(zone.name)
            return try member(key).server
        }
    }

    /// The one there is, or a new one. Under the lock.
    private func member(_ key: OriginServer.Key) throws -> Member {
        if let known = members[key] { return known }
        let member = Member(
            server: OriginServer(
                key: key, loopCount: loops.count, security: try OriginSecurity(key.origin), log: log,
                metrics: metrics, loops: originLoops))
        members[key] = member
        return member
    }

    /// The servers for a zone that came by itself, not with a configuration: kept, checked and looked up for as long as
    /// somebody holds the lease.
    ///
    /// - Throws: what NIOSSL says of an unreadable CA or client certificate.
    package func lease(_ zone: Zone) throws -> OriginLease {
        let keys = zone.origins.map {
            OriginServer.Key(origin: $0, pool: zone.pool, timeouts: zone.timeouts, ejection: zone.ejection)
        }
        return try lock.withLock {
            var leased: [OriginServer.Key] = []
            var servers: [OriginServer] = []
            do {
                for key in keys {
                    servers.append(try member(key).server)
                    members[key]?.leaseCount += 1
                    members[key]?.zones.insert(zone.name)
                    leased.append(key)
                    start(key)
                }
            } catch {
                for key in leased { giveBack(key) }
                throw error
            }
            return OriginLease(servers: servers, keys: keys, fleet: self)
        }
    }

    fileprivate func end(_ keys: [OriginServer.Key]) {
        lock.withLock { for key in keys { giveBack(key) } }
    }

    /// Under the lock.
    private func giveBack(_ key: OriginServer.Key) {
        members[key]?.leaseCount -= 1
        guard let member = members[key], member.leaseCount <= 0, !member.isConfigured, wanted[key] == nil else {
            return
        }
        retire(key)
    }

    private func retire(_ key: OriginServer.Key) {
        guard let member = members.removeValue(forKey: key) else { return }
        member.checker?.stop()
        member.lookup?.cancel()
        member.server.retire()
    }

    /// The configuration that was just built is in force: starts what is new, retires what it does not name.
    package func settle() {
        lock.withLock {
            for (key, member) in members where wanted[key] == nil {
                members[key]?.isConfigured = false
                if member.leaseCount == 0 { retire(key) }
            }
            for (key, zones) in wanted {
                members[key]?.zones = zones
                members[key]?.isConfigured = true
                start(key)
            }
            wanted = [:]
        }
    }

    /// The configuration that was just built is not wanted after all.
    package func discard() {
        lock.withLock {
            for key in wanted.keys where members[key]?.lookup == nil { members[key] = nil }
            wanted = [:]
        }
    }

    private func start(_ key: OriginServer.Key) {
        guard var member = members[key], !loops.isEmpty else { return }
        let loop = loops[nextLoop % loops.count]
        if let check = key.origin.health, member.checker == nil {
            let checker = HealthChecker(server: member.server, check: check, loop: loop, log: log)
            checker.start()
            member.checker = checker
            nextLoop += 1
        }
        if member.lookup == nil {
            let server = member.server
            let every = TimeAmount.milliseconds(Int64(key.origin.resolveEvery))
            member.lookup = loop.eventLoop.scheduleRepeatedTask(initialDelay: every, delay: every) { _ in
                server.addresses.refresh()
            }
        }
        members[key] = member
    }

    /// How every origin is, for the metrics.
    package func statuses(now: UInt64) -> [OriginStatus] {
        lock.withLock {
            members.values.flatMap { member in
                member.zones.sorted().map { zone in
                    OriginStatus(
                        zone: zone, origin: member.server.name, isHealthy: member.server.health.isUp,
                        isEjected: member.server.health.isUp && !member.server.health.isAvailable(now: now),
                        activeConnections: max(0, member.server.openConnections - member.server.idleConnections),
                        idleConnections: member.server.idleConnections)
                }
            }
        }
    }
}

/// A zone's hold on its origin servers.
package final class OriginLease: Sendable {
    /// In the order of the zone's origins.
    package let servers: [OriginServer]
    private let keys: [OriginServer.Key]
    private let fleet: OriginFleet

    fileprivate init(servers: [OriginServer], keys: [OriginServer.Key], fleet: OriginFleet) {
        self.servers = servers
        self.keys = keys
        self.fleet = fleet
    }

    deinit { fleet.end(keys) }
}
