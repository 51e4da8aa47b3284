// What edges did, every ten seconds of the last hour: for graphs.

import ConfigLog
import JSON
import Limits

enum NodeSamples {
    private static var slotMicroseconds: Int64 { Limits.fleetSampleSeconds * 1_000_000 }

    /// One sample of each, at the slot that the moment lies in.
    static func insert(_ reports: ArraySlice<NodeReport>, at now: APITime, _ transaction: Transaction) throws {
        guard !reports.isEmpty else { return }
        let at = now.microseconds / slotMicroseconds * slotMicroseconds
        let values = reports.flatMap { report -> [SQLValue] in
            [
                .text(report.name), .integer(at), count(report.health.requests), count(report.health.serverErrors),
                count(report.health.cacheHits), count(report.health.bytesSent),
                count(UInt64(report.health.latencyP99Microseconds)),
            ]
        }
        let rows = Array(repeating: "(?, ?, ?, ?, ?, ?, ?)", count: reports.count).joined(separator: ", ")
        try transaction.execute(
            """
            INSERT INTO node_samples (name, at, requests, server_errors, cache_hits, bytes, p99_us) VALUES \(rows)
            ON CONFLICT (name, at) DO NOTHING
            """, values)
    }

    /// No node's word makes a sum too large for the column.
    private static func count(_ value: UInt64) -> SQLValue { .integer(Int64(min(value, 1 << 48))) }

    static func prune(at now: APITime, _ transaction: Transaction) throws {
        let oldest = now.microseconds - Limits.fleetSamplesKeptSeconds * 1_000_000
        let end = try transaction.first(
            "SELECT max(at) FROM (SELECT at FROM node_samples WHERE at < ? ORDER BY at LIMIT ?) AS old",
            [.integer(oldest), SQLValue(Limits.fleetSamplePruneRowsMax)])?.integerOrNil(0)
        if let end { try transaction.execute("DELETE FROM node_samples WHERE at <= ?", [.integer(end)]) }
    }

    /// Oldest first; of one node, or of all together: counts add up, the latency is the worst edge's.
    static func list(_ name: String?, at now: APITime, _ transaction: Transaction) throws -> [JSONValue] {
        let since = now.microseconds - Limits.fleetSamplesKeptSeconds * 1_000_000
        let rows = try transaction.query(
            """
            SELECT at, CAST(sum(requests) AS BIGINT), CAST(sum(server_errors) AS BIGINT),
                CAST(sum(cache_hits) AS BIGINT), CAST(sum(bytes) AS BIGINT), max(p99_us), count(*)
            FROM node_samples WHERE at >= ? \(name == nil ? "" : "AND name = ?") GROUP BY at ORDER BY at LIMIT ?
            """,
            [.integer(since)] + (name.map { [.text($0)] } ?? [])
                + [SQLValue(Int(Limits.fleetSamplesKeptSeconds / Limits.fleetSampleSeconds + 1))])
        let names = ["requests", "server_errors", "cache_hits", "bytes", "p99_us", "nodes"]
        return try rows.map { row in
            var sample: JSONObject = ["at": APITime(microseconds: try row.integer(0)).json]
            for (place, name) in names.enumerated() {
                sample[name] = .number(JSONNumber(try row.integer(place + 1)))
            }
            return .object(sample)
        }
    }
}
