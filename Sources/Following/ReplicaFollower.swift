// What happens at an edge when the log brings something: zones are made anew, purges executed, switches thrown.

package import Cache
package import Logging
package import Pipeline
package import Replica
import Synchronization
package import Telemetry

/// Keeps an edge's zones as its replica has them.
package final class ReplicaFollower: Sendable {
    package let zones: FollowedZones
    private let replica: Replica
    private let compiler: ZoneCompiler
    private let purges: PurgeFollower?
    private let onOthers: @Sendable ([String]) -> Void
    /// Milliseconds since 1970: when the replica was last told anything. At the start, when its file was last written.
    private let lastApplied: Atomic<Int64>

    /// - Parameters:
    ///   - data: the edge's directory.
    ///   - onOthers: called with the keys that are about no zone, such as `global/…`; nil keys mean that all may have
    ///     changed. On the thread that applies.
    package init(
        _ parts: ZoneCompiler.Parts, data: String, log: Logger, onOthers: @escaping @Sendable ([String]) -> Void
    ) {
        let compiler = ZoneCompiler(parts)
        let table = ZoneTable<FollowedZone>(replica: parts.replica, log: log) { id, entries in
            try compiler.compile(id, entries)
        }
        self.compiler = compiler
        self.onOthers = onOthers
        replica = parts.replica
        lastApplied = Atomic(parts.replica.changedAtMilliseconds)
        zones = FollowedZones(table: table, certificates: parts.certificates)
        purges = parts.cache.map { cache in
            PurgeFollower(
                cache: cache, replica: parts.replica, data: data,
                zones: { id in if case .zone(let found) = table.zone(id) { found.value } else { nil } }, log: log)
        }
    }

    /// Zones that do not load: what an edge reports as refused.
    package var refusedCount: Int { zones.table.faults.count }
    package var faults: [ZoneFault] { zones.table.faults }
    package var purgesExecuted: UInt64 { purges?.executed ?? 0 }

    /// Before the first request: purges that a former process may not have come to. Blocks on the disk.
    package func begin() { purges?.resume(awayMicroseconds: nil) }

    /// After every frame and every snapshot, on the thread that applied it.
    package func applied(_ touched: Touched) {
        zones.table.publish(touched)
        let now = WallClock.milliseconds()
        let before = lastApplied.exchange(now, ordering: .relaxed)
        if touched.isEverything {
            purges?.resume(awayMicroseconds: (now - before) * 1000)
            onOthers([])
            return
        }
        guard !touched.keys.isEmpty else { return }
        remake(compiler.zones(using: touched.keys))
        purges?.take(touched.keys)
        let others = touched.keys.filter { !$0.hasPrefix("purge/") && !$0.hasPrefix("account/") }
        if !others.isEmpty { onOthers(others) }
    }

    private func remake(_ ids: [ZoneID]) {
        guard !ids.isEmpty else { return }
        var touched = Touched(position: replica.position)
        touched.zones = ids
        zones.table.publish(touched)
    }

    /// Now and then: zones whose time has come.
    package func upkeep() {
        remake(compiler.takeDue(now: WallClock.milliseconds() * 1000))
    }

    /// The operator's switches.
    package func set(_ globals: FollowedGlobals) {
        if compiler.set(cacheIsOn: globals.cacheIsOn, http2IsOn: globals.http2IsOn) { remakeAll() }
    }

    /// Every zone is made again when it is asked for next: what it is made of beside the replica has changed.
    package func remakeAll() {
        var touched = Touched(position: replica.position)
        touched.isEverything = true
        zones.table.publish(touched)
    }

    package func stop() async { await purges?.stop() }
}
