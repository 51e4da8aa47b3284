// The nodes of the fleet: `/accounts/{account_id}/martlet/nodes`, and what they did: `…/samples`.

import ConfigLog
import JSON
import Limits

enum Nodes {
    static let read = Need.account(.account("Edges", .read))
    static let write = Need.account(.account("Edges", .write))

    private static let path = "/accounts/{account_id}/martlet/nodes"
    private static let count = BodySchema.integer(0...Int64.max)
    private static let health = BodySchema.object([
        .readOnly("requests", count), .readOnly("server_errors", count), .readOnly("cache_hits", count),
        .readOnly("bytes_sent", count), .readOnly("p99_us", count), .readOnly("crashes", count),
        .readOnly("refused_objects", count),
    ])
    private static let shape = BodySchema.named(
        "Node",
        .object([
            .readOnly("name", .string(1...Limits.nodeNameBytesMax)), .readOnly("role", .choice(["relay", "edge"])),
            .readOnly("parent", .text(128), "The node that it follows."),
            .readOnly("state", .choice(["enrolled", "revoked"])),
            .optional("canary", .boolean, "Whether new versions of global objects come here first."),
            .readOnly("connected", .boolean), .readOnly("epoch", count),
            .readOnly("sequence", .nullable(count), "The newest change that is applied there."),
            .readOnly("behind", .nullable(count), "Changes that are not."),
            .readOnly("lag_ms", count, "From a commit to its being applied, the last time."),
            .readOnly("version", .text(64)), .readOnly("health", .nullable(health), "Of the last minute."),
            .readOnly("applied_at", .nullable(.time)), .readOnly("seen_at", .nullable(.time)),
            .readOnly("enrolled_on", .time), .readOnly("certificate_expires_on", .nullable(.time)),
        ]))
    private static let sample = BodySchema.named(
        "NodeSample",
        .object([
            .readOnly("at", .time), .readOnly("requests", count, "In the minute before."),
            .readOnly("server_errors", count), .readOnly("cache_hits", count), .readOnly("bytes", count),
            .readOnly("p99_us", count, "Of the slowest edge."), .readOnly("nodes", count, "Edges that it is of."),
        ]))

    static let routes: [Route] = [
        Route(
            .get, path, "Edges", "List the nodes of the fleet", needs: read,
            query: [
                .init(name: "role", schema: .choice(["relay", "edge"]), about: ""),
                .init(name: "state", schema: .choice(["enrolled", "revoked"]), about: ""),
                .init(name: "connected", schema: .boolean, about: ""),
            ], isPaged: true, result: .array(shape, count: 0...Limits.apiObjectsPerPageMax), handle: list),
        Route(.get, path + "/{name}", "Edges", "Show a node", needs: read, result: shape) { call in
            .result(try node(call).json(at: call.now, logSequence: logSequence(call.transaction)))
        },
        Route(
            .patch, path + "/{name}", "Edges", "Make a node a canary, or not", needs: write,
            payload: .json(shape, isPartial: true), result: shape, handle: update),
        Route(
            .delete, path + "/{name}", "Edges", "Revoke a node: it is cut off at once, and needs a new token to join",
            needs: write,
            query: [.init(name: "forget", schema: .boolean, about: "Remove it from the list as well.")],
            handle: revoke),
        Route(
            .get, path + "/{name}/samples", "Edges", "What a node did in the last hour, every ten seconds", needs: read,
            result: .array(sample, count: 0...361)
        ) { call in
            .result(.array(try NodeSamples.list(node(call).name, at: call.now, call.transaction)))
        },
        Route(
            .get, "/accounts/{account_id}/martlet/samples", "Edges",
            "What all edges together did in the last hour, every ten seconds", needs: read,
            result: .array(sample, count: 0...361)
        ) { call in
            try FleetAccount.check(call)
            return .result(.array(try NodeSamples.list(nil, at: call.now, call.transaction)))
        },
    ]

    private static func logSequence(_ transaction: Transaction) throws -> Int64 {
        Int64(clamping: try LogTable.position(transaction).sequence)
    }

    private static func node(_ call: APICall) throws -> NodeRow {
        try FleetAccount.check(call)
        let name = call.parameter("name")
        guard let row = try NodeRow.find(name, call.transaction) else { throw APIError.notFound("node", name) }
        return row
    }

    private static func list(_ call: APICall) throws -> APIAnswer {
        try FleetAccount.check(call)
        var conditions: [String] = []
        var values: [SQLValue] = []
        for (name, choices) in [("role", ["relay", "edge"]), ("state", ["enrolled", "revoked"])] {
            guard let value = try call.query.choice(name, choices) else { continue }
            conditions.append("\(name) = ?")
            values.append(.text(value))
        }
        if let isConnected = try call.query.boolean("connected") {
            conditions.append(isConnected ? "(connected = 1 AND seen_at > ?)" : "(connected = 0 OR seen_at <= ?)")
            values.append(.integer(call.now.microseconds - Limits.fleetSilentSeconds * 1_000_000))
        }
        let condition = conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
        let paging = try call.paging()
        let rows = try call.transaction.query(
            "SELECT \(NodeRow.columns) FROM nodes \(condition) ORDER BY name LIMIT ? OFFSET ?",
            values + [SQLValue(paging.perPage), SQLValue(paging.offset)]
        ).map { try NodeRow($0) }
        let total = Int(
            try call.transaction.first("SELECT count(*) FROM nodes \(condition)", values)?.integer(0) ?? 0)
        let sequence = try logSequence(call.transaction)
        return .page(
            rows.map { .object($0.json(at: call.now, logSequence: sequence)) },
            paging.info(count: rows.count, total: total))
    }

    private static func update(_ call: APICall) throws -> APIAnswer {
        var row = try node(call)
        let before = row.identity
        if let isCanary = call.body["canary"]?.boolean, isCanary != row.isCanary {
            row.isCanary = isCanary
            try row.store(call.transaction)
            row.publish(call.transaction)
            call.audit("update", "node", row.name, before: before, after: row.identity)
        }
        return .result(row.json(at: call.now, logSequence: try logSequence(call.transaction)))
    }

    private static func revoke(_ call: APICall) throws -> APIAnswer {
        var row = try node(call)
        guard !NodeRow.reservedNames.contains(row.name) else {
            throw APIError.conflict("\(row.name) is the control plane's own edge: it cannot be revoked")
        }
        let before = row.identity
        let forgets = try call.query.boolean("forget") == true
        if forgets {
            try call.transaction.execute("DELETE FROM node_samples WHERE name = ?", [.text(row.name)])
            try call.transaction.execute("DELETE FROM nodes WHERE name = ?", [.text(row.name)])
            // Who is not known is not let in either.
            call.transaction.publish(Change(key: NodeRow.key(row.name), value: nil))
            call.audit("delete", "node", row.name, before: before)
        } else if row.state != .revoked {
            (row.state, row.isCanary) = (.revoked, false)
            try row.store(call.transaction)
            row.publish(call.transaction)
            call.audit("revoke", "node", row.name, before: before, after: row.identity)
        }
        return .result(["name": .string(row.name)])
    }
}
