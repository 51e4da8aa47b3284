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
            if members[key] == nil {
                let server = OriginServer(
                    key: key, loopCount: loops.count, security: try OriginSecurity(origin), log: log,
                    metrics: metrics, loops: originLoops)
                members[key] = Member(server: server)
            }
            return members[key]?.server
                ?? OriginServer(
                    key: key, loopCount: loops.count, security: nil, log: log, metrics: metrics, loops: originLoops)
        }
    }

    /// The configuration that was just built is in force: starts what is new, retires what it does not name.
    package func settle() {
        lock.withLock {
            for key in members.keys where wanted[key] == nil {
                guard let member = members.removeValue(forKey: key) else { continue }
                member.checker?.stop()
                member.lookup?.cancel()
                member.server.retire()
            }
            for (key, zones) in wanted {
                members[key]?.zones = zones
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
