// Purges that come with the log: `purge/<zone id>/<id>`, executed here, each at least once.
//
// A purge is in the replica before it is executed, and a crash may come between the two. So it is written down up to
// where purges were executed (`<data>/purges`), and a start executes again what is newer. The control plane keeps a
// zone's newest purges for a day: an edge that was away for longer, or that finds as many as are kept, cannot know what
// it missed and forgets everything of that zone.

package import Cache
import ConfigModel
import Glibc
import JSON
import Limits
package import Logging
package import Pipeline
package import Replica
import Synchronization

/// Executes the purges of a replica's zones, one after the other.
package final class PurgeFollower: Sendable {
    private struct Order {
        var zone: ZoneID
        /// Microseconds since 1970; 0: unknown.
        var at: Int64
        /// nil: everything of the zone.
        var purge: JSONObject?
    }

    private struct State {
        var waiting: [Order] = []
        var worker: Task<Void, Never>?
        var isStopped = false
        /// When the newest purge executed was asked for.
        var mark: Int64 = 0
        var writtenMark: Int64 = 0
        var executed: UInt64 = 0
    }

    private let cache: EdgeCache
    private let replica: Replica
    private let zones: @Sendable (ZoneID) -> FollowedZone?
    private let path: String
    private let log: Logger
    private let state = Mutex(State())

    /// - Parameters:
    ///   - data: the directory in which it is kept up to where purges were executed.
    ///   - zones: a zone as it is now.
    package init(
        cache: EdgeCache, replica: Replica, data: String, zones: @escaping @Sendable (ZoneID) -> FollowedZone?,
        log: Logger
    ) {
        self.cache = cache
        self.replica = replica
        self.zones = zones
        path = data + "/purges"
        self.log = log
    }

    /// Purges executed since the start.
    package var executed: UInt64 { state.withLock { $0.executed } }

    // MARK: What is to be done

    /// What the replica holds and may not have been executed: at the start, and after a snapshot. Blocks on the disk.
    ///
    /// - Parameter awayMicroseconds: before a snapshot that came in, how long nothing had come: what was purged and
    ///   forgotten meanwhile is in no snapshot. nil at the start: the replica has had every frame.
    package func resume(awayMicroseconds: Int64?) {
        let known = state.withLock { $0.mark }
        // All that a snapshot holds may be new here.
        let mark = awayMicroseconds != nil ? 0 : known > 0 ? known : readMark()
        if let awayMicroseconds, awayMicroseconds > Limits.apiPurgesKeptSeconds * 1_000_000 {
            log.notice("away for longer than purges are kept: everything in the cache is purged")
            _ = cache.ledger.recordEverything(isSoft: false)
        }
        var orders: [ZoneID: [Order]] = [:]
        do {
            try replica.each(prefix: "purge/") { key, value in
                guard let order = Self.order(key, value) else { return true }
                if order.at > mark - Limits.followedPurgeSlackMicroseconds {
                    orders[order.zone, default: []].append(order)
                }
                return true
            }
        } catch {
            log.error("purges cannot be read: everything in the cache is purged", metadata: ["reason": "\(error)"])
            _ = cache.ledger.recordEverything(isSoft: false)
        }
        for (zone, all) in orders {
            if all.count >= Limits.apiPurgesKeptMax {
                enter([Order(zone: zone, at: all.map(\.at).max() ?? 0, purge: nil)])
            } else {
                enter(all)
            }
        }
    }

    /// Keys of the log that were applied just now.
    package func take(_ keys: [String]) {
        let purges = keys.filter { $0.hasPrefix("purge/") }
        guard !purges.isEmpty else { return }
        var orders: [Order] = []
        for key in purges {
            // Gone again: it was executed a day ago, or a thousand purges ago.
            guard let value = try? replica.value(key) else { continue }
            if let order = value.withUnsafeBytes({ Self.order(key, $0) }) { orders.append(order) }
        }
        enter(orders)
    }

    private static func order(_ key: String, _ value: UnsafeRawBufferPointer) -> Order? {
        let parts = key.split(separator: "/")
        guard parts.count == 3, let zone = ZoneID(hex: parts[1]) else { return nil }
        let purge = try? JSONValue(stored: String(decoding: value, as: UTF8.self)).object
        // One that cannot be read is about everything: better too much than too little.
        return Order(zone: zone, at: purge?["at"]?.integer ?? 0, purge: purge)
    }

    private func enter(_ orders: [Order]) {
        guard !orders.isEmpty else { return }
        state.withLock { state in
            guard !state.isStopped else { return }
            state.waiting += orders
            if state.waiting.count > Limits.followedPurgesWaitingMax {
                let latest = Dictionary(grouping: state.waiting, by: \.zone).mapValues { $0.map(\.at).max() ?? 0 }
                state.waiting = latest.map { Order(zone: $0.key, at: $0.value, purge: nil) }
            }
            if state.worker == nil { state.worker = Task.detached { await self.work() } }
        }
    }

    // MARK: Doing it

    private func work() async {
        while let order = state.withLock({ state -> Order? in
            guard !state.isStopped, !state.waiting.isEmpty else {
                state.worker = nil
                return nil
            }
            return state.waiting.removeFirst()
        }) {
            await execute(order)
            let mark = state.withLock { state -> Int64? in
                state.executed &+= 1
                state.mark = max(state.mark, order.at)
                let isDue = state.mark - state.writtenMark >= Int64(Limits.followedPurgeMarkMilliseconds) * 1000
                guard isDue || state.waiting.isEmpty, state.mark > state.writtenMark else { return nil }
                state.writtenMark = state.mark
                return state.mark
            }
            if let mark { write(mark) }
        }
    }

    private func execute(_ order: Order) async {
        let zone = zones(order.zone)
        let name = zone?.name ?? order.zone.description
        let cached = (zone?.served ?? []).compactMap(\.cache)
        guard
            let any = cached.first
                ?? cache.zone(
                    Zone(name: name, hostnames: [], origins: []), identity: order.zone.description)
        else { return }
        let scopes = order.purge.map { Self.scopes($0, zone, any) } ?? [.everything]
        let count = await cache.purge(
            scopes, in: any, isSoft: order.purge?["soft"]?.boolean ?? false, isDryRun: false)
        log.debug("purged", metadata: ["zone": "\(name)", "objects": "\(count.objects)"])
    }

    private static func scopes(_ purge: JSONObject, _ zone: FollowedZone?, _ any: CacheZone) -> [PurgeScope] {
        if purge["everything"]?.boolean == true { return [.everything] }
        func texts(_ name: String) -> [String] { (purge[name]?.array ?? []).compactMap(\.string) }
        var scopes = texts("tags").map { PurgeScope.tag(CacheTag.hash($0)) }
        scopes += texts("hosts").compactMap { PurgeScope.host(parsing: $0) }
        scopes += texts("prefixes").compactMap { PurgeScope.prefix(parsing: $0) }
        for url in texts("files") {
            // What of the URL counts is the site's affair, and may differ between its two sides.
            let host = Array(host(of: url).utf8)
            let sides = [true, false].compactMap { zone?.served(forHost: host.span, isSecure: $0)?.cache }
            let hashes = Set((sides.isEmpty ? [any] : sides).compactMap { $0.recipe.key(forURL: url)?.urlHash })
            scopes += hashes.map { .url($0) }
        }
        return scopes
    }

    private static func host(of url: String) -> Substring {
        guard let start = url.firstRange(of: "://") else { return "" }
        return url[start.upperBound...].prefix { $0 != "/" && $0 != "?" && $0 != ":" && $0 != "#" }
    }

    // MARK: Up to where

    /// Ends the work after the purge that is under way, and writes down how far it came.
    package func stop() async {
        let worker = state.withLock { state -> Task<Void, Never>? in
            state.isStopped = true
            return state.worker
        }
        await worker?.value
        let mark = state.withLock { state in state.mark > state.writtenMark ? state.mark : nil }
        if let mark { write(mark) }
    }

    /// 0: none, or none that can be read.
    private func readMark() -> Int64 {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return 0 }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 32)
        let count = read(descriptor, &bytes, bytes.count)
        guard count > 0 else { return 0 }
        return max(0, Int64(String(decoding: bytes.prefix(count), as: UTF8.self).filter { $0 != "\n" }) ?? 0)
    }

    private func write(_ mark: Int64) {
        let draft = path + ".tmp"
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { return }
        let text = Array("\(mark)\n".utf8)
        let isWhole = Glibc.write(descriptor, text, text.count) == text.count
        close(descriptor)
        // Lost, it means that purges are executed twice: nothing worth more than a draft.
        if isWhole { rename(draft, path) } else { unlink(draft) }
    }
}
