// What the nodes report, on its way into the store; and who they are, in memory, for those who let them in.
//
//     reports of this process's children, every few seconds ──▶ note ──▶ nodes, node_samples
//     frames as they are sealed ──▶ observe ──┐
//     the table at each note ─────────────────┴──▶ standing(of:)     in memory: asked at each connection, and each second
//
// Several control processes share the tables. Each speaks of the nodes below itself; that a node is gone counts only from
// the process that had it last, or once nobody has spoken of it for a while.

package import ConfigLog
import Distribution
import JSON
import Limits
package import Logging
import Synchronization

/// What is known of a node that asks to be let in.
package struct NodeStanding: Sendable, Equatable {
    /// `relay` or `edge`.
    package var role: String
    package var isEnrolled: Bool
    package var isCanary: Bool
}

/// Notes what nodes report, and knows who may come in.
package final class NodeDesk: Sendable {
    private struct State {
        var standings: [String: NodeStanding] = [:]
        /// Counts what was heard beside the table: a reading of it that began before is void.
        var news: UInt64 = 0
        var sampledAt: Int64 = 0
        var prunedAt: Int64 = 0
    }
    private let store: Store
    private let log: Logger
    /// Tells this process from others in `nodes.reporter`.
    private let reporter: String
    private let state = Mutex(State())

    package init(store: Store, log: Logger) {
        self.store = store
        self.log = log
        reporter = StoreID.make()
    }

    /// Who a node is; nil: nobody that was enrolled. Cheap, for any thread.
    package func standing(of name: String) -> NodeStanding? { state.withLock { $0.standings[name] } }

    /// Whether a node may follow in this role.
    package func isAdmitted(_ name: String, role: String) -> Bool {
        standing(of: name).map { $0.isEnrolled && $0.role == role } ?? false
    }

    /// A node has just joined: it is let in before its frame comes round.
    func admit(_ name: String, _ standing: NodeStanding) { set(name, standing) }

    private func set(_ name: String, _ standing: NodeStanding?) {
        state.withLock { state in
            state.standings[name] = standing
            state.news &+= 1
        }
    }

    /// Reads all standings from the store: before the first node is let in.
    package func load() async throws {
        for _ in 0..<Limits.storeRetriesMax {
            let news = state.withLock { $0.news }
            if try await read(unlessAfter: news) { return }
        }
    }

    private func read(unlessAfter news: UInt64) async throws -> Bool {
        let standings = try await store.read { transaction in
            try transaction.query(
                "SELECT name, role, state, canary FROM nodes LIMIT ?", [SQLValue(Limits.fleetNodesMax)]
            )
            .map { row in
                (
                    try row.text(0),
                    NodeStanding(
                        role: try row.text(1), isEnrolled: try row.text(2) == NodeRow.State.enrolled.rawValue,
                        isCanary: try row.bool(3))
                )
            }
        }
        return state.withLock { state in
            guard state.news == news else { return false }
            state.standings = Dictionary(standings) { first, _ in first }
            return true
        }
    }

    /// Takes over what a sealed frame says of nodes: a node that was revoked through another process is out at once.
    package func observe(_ frame: Frame) {
        for group in frame.groups {
            for change in group.changes where change.key.hasPrefix(NodeRow.keyPrefix) {
                let name = String(change.key.dropFirst(NodeRow.keyPrefix.count))
                let standing = change.value.flatMap(NodeStanding.init(published:))
                set(name, standing)
            }
        }
    }

    /// Makes the edge within this process known: it needs no certificate, and is the canary of the fleet unless somebody
    /// said otherwise.
    package func registerLocal(_ name: String = "local") async throws {
        try await store.write(locking: ["node/\(name)"]) { transaction in
            guard try NodeRow.find(name, transaction) == nil else { return }
            var row = NodeRow(name: name, role: "edge", enrolledOn: APITime(microseconds: transaction.now))
            row.isCanary = true
            try row.store(transaction)
            row.publish(transaction)
            transaction.audit(
                AuditEntry(
                    actor: "system", action: "create", resource: "node/\(name)",
                    scope: try FleetAccount.scope(transaction), after: row.identity.text))
        }
        try await load()
    }

    // MARK: Reports

    /// Notes what the nodes below this process reported; those that were never enrolled are passed over. Each ten seconds a
    /// sample of every connected edge is kept.
    package func note(_ reports: [NodeReport]) async throws {
        let now = APITime.now
        let (samples, prunes) = state.withLock { state -> (Bool, Bool) in
            let slot = now.microseconds / (Limits.fleetSampleSeconds * 1_000_000)
            let samples = slot != state.sampledAt
            state.sampledAt = slot
            let prunes = now.microseconds - state.prunedAt >= Limits.fleetSamplePruneSeconds * 1_000_000
            if prunes { state.prunedAt = now.microseconds }
            return (samples, prunes)
        }
        try await load()
        let known = reports.prefix(Limits.fleetNodesMax).filter { standing(of: $0.name) != nil }
        let reporter = reporter
        try await store.write { transaction in
            for part in Self.parts(known) { try Self.upsert(part, by: reporter, at: now, transaction) }
            guard samples else { return }
            let edges = known.filter { $0.role == .leaf && $0.isConnected }
            for part in Self.parts(edges) { try NodeSamples.insert(part, at: now, transaction) }
        }
        if prunes { try await store.write { try NodeSamples.prune(at: now, $0) } }
    }

    private static func parts(_ reports: [NodeReport]) -> [ArraySlice<NodeReport>] {
        stride(from: 0, to: reports.count, by: Limits.fleetRowsPerStatement).map {
            reports[$0..<min($0 + Limits.fleetRowsPerStatement, reports.count)]
        }
    }

    /// Only rows that are there: names were looked up. Should one have gone since, an incomplete row would be made, which
    /// the columns' standards forbid.
    private static func upsert(
        _ reports: ArraySlice<NodeReport>, by reporter: String, at now: APITime, _ transaction: Transaction
    ) throws {
        guard !reports.isEmpty else { return }
        let names = Array(repeating: "?", count: reports.count).joined(separator: ", ")
        let there = Set(
            try transaction.query("SELECT name FROM nodes WHERE name IN (\(names))", reports.map { .text($0.name) }).map
            {
                try $0.text(0)
            })
        let reports = reports.filter { there.contains($0.name) }
        guard !reports.isEmpty else { return }
        let row = "(?, ?, 'enrolled', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        let silentSince = now.microseconds - Limits.fleetSilentSeconds * 1_000_000
        try transaction.execute(
            """
            INSERT INTO nodes (name, role, state, enrolled_on, reporter, parent, version, epoch, sequence, applied_at,
                lag_ms, health, connected, seen_at)
            VALUES \(Array(repeating: row, count: reports.count).joined(separator: ", "))
            ON CONFLICT (name) DO UPDATE SET reporter = excluded.reporter, parent = excluded.parent,
                version = excluded.version, epoch = excluded.epoch, sequence = excluded.sequence,
                applied_at = excluded.applied_at, lag_ms = excluded.lag_ms, health = excluded.health,
                connected = excluded.connected,
                seen_at = CASE WHEN excluded.connected = 1 THEN excluded.seen_at ELSE nodes.seen_at END
            WHERE excluded.connected = 1 OR nodes.reporter = excluded.reporter OR nodes.seen_at IS NULL
                OR nodes.seen_at < ?
            """, reports.flatMap { values($0, by: reporter, at: now) } + [.integer(silentSince)])
    }

    private static func values(_ report: NodeReport, by reporter: String, at now: APITime) -> [SQLValue] {
        [
            .text(report.name), .text(report.role.word), SQLValue(now), .text(reporter), .text(report.parent),
            .text(report.software), .integer(Int64(clamping: report.position.epoch)),
            .integer(Int64(clamping: report.position.sequence)),
            .integer(Int64(min(report.appliedAtMilliseconds, 1 << 50)) * 1000),
            .integer(Int64(report.lagMilliseconds)), .text(report.health.json.text), SQLValue(report.isConnected),
            SQLValue(now),
        ]
    }
}

extension NodeStanding {
    /// Of `node/<name>`.
    init?(published bytes: [UInt8]) {
        guard let json = try? JSONValue(parsing: bytes), let role = json["role"]?.string else { return nil }
        self.init(
            role: role, isEnrolled: json["state"]?.string == NodeRow.State.enrolled.rawValue,
            isCanary: json["canary"]?.boolean ?? false)
    }
}

extension HealthSummary {
    var json: JSONValue {
        func number(_ value: some FixedWidthInteger) -> JSONValue { .number(JSONNumber(Int64(clamping: value))) }
        return [
            "requests": number(requests), "server_errors": number(serverErrors), "cache_hits": number(cacheHits),
            "bytes_sent": number(bytesSent), "p99_us": number(latencyP99Microseconds), "crashes": number(crashes),
            "refused_objects": number(refusedObjects),
        ]
    }
}
