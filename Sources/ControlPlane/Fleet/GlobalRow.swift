// Global objects and switches as they are stored: the published object, whole, in `objects`.

import ConfigLog
import ConfigModel
import JSON
import Limits

struct GlobalRow: Sendable {
    static let kind = "global"
    static let switchKind = "switch"

    var kind: GlobalKind
    var id: String
    var object: GlobalObject
    var modifiedOn: APITime

    /// As resources and roll-outs name it.
    var name: String { "\(kind.rawValue)/\(id)" }

    static func find(_ kind: GlobalKind, _ id: String, _ transaction: Transaction) throws -> GlobalRow? {
        try ObjectRow.find(Self.kind, kind.rawValue, id, transaction).map { row in
            GlobalRow(
                kind: kind, id: id, object: try GlobalObject(decoding: JSONValue.object(row.body).bytes),
                modifiedOn: row.modifiedOn)
        }
    }

    /// Stores and publishes it. What holds nowhere any more goes.
    func store(at now: APITime, _ transaction: Transaction) throws {
        let key = kind.key(id)
        if object.body == nil, object.stage == .everybody {
            try transaction.execute(
                "DELETE FROM objects WHERE kind = ? AND scope_id = ? AND id = ?",
                [.text(Self.kind), .text(kind.rawValue), .text(id)])
            transaction.publish(Change(key: key, value: nil))
            return
        }
        let bytes = object.encoded
        guard bytes.count <= Limits.globalObjectBytesMax else { throw APIError.bodyTooLarge }
        try Self.put(Self.kind, kind.rawValue, id, bytes, at: now, transaction)
        transaction.publish(Change(key: key, value: bytes))
    }

    static func put(
        _ kind: String, _ scope: String, _ id: String, _ bytes: [UInt8], at now: APITime, _ transaction: Transaction
    ) throws {
        try transaction.execute(
            """
            INSERT INTO objects (kind, scope_id, id, name, body, version, created_on, modified_on)
            VALUES (?, ?, ?, ?, ?, 1, ?, ?) ON CONFLICT (kind, scope_id, id)
            DO UPDATE SET body = excluded.body, version = objects.version + 1, modified_on = excluded.modified_on
            """,
            [
                .text(kind), .text(scope), .text(id), .text(id), .text(String(decoding: bytes, as: UTF8.self)),
                SQLValue(now), SQLValue(now),
            ])
    }

    /// Where what was published last stands in the log; nil while it has no number.
    func sequence(_ transaction: Transaction) throws -> UInt64? {
        guard
            let row = try transaction.first(
                "SELECT sequence, value FROM log_state WHERE key = ?", [.text(kind.key(id))]),
            try row.blob(1) == object.encoded
        else { return nil }
        return UInt64(clamping: try row.integer(0))
    }
}

/// A roll-out as it is stored.
struct RolloutRow: Sendable {
    var id: String
    var kind: GlobalKind
    var objectID: String
    var version: Int64
    var machine: Rollout
    /// What happened, oldest first.
    var events: [JSONValue]
    var revision: Int64
    var createdOn: APITime
    var modifiedOn: APITime

    private static let columns = "id, kind, object_id, version, machine, events, revision, created_on, modified_on"

    var name: String { "\(kind.rawValue)/\(objectID)" }

    private init(_ row: SQLRow) throws {
        guard let kind = GlobalKind(rawValue: try row.text(1)) else { throw StoreError.corrupt("a roll-out's kind") }
        id = try row.text(0)
        self.kind = kind
        objectID = try row.text(2)
        version = try row.integer(3)
        machine = try Rollout(stored: try JSONValue(stored: try row.text(4)))
        events = try JSONValue(stored: try row.text(5)).array ?? []
        revision = try row.integer(6)
        createdOn = APITime(microseconds: try row.integer(7))
        modifiedOn = APITime(microseconds: try row.integer(8))
    }

    init(kind: GlobalKind, objectID: String, version: Int64, machine: Rollout, at now: APITime) {
        (id, self.kind, self.objectID, self.version, self.machine) = (
            StoreID.ordered(at: now.microseconds), kind, objectID, version, machine
        )
        (events, revision, createdOn, modifiedOn) = ([], 1, now, now)
    }

    static func find(_ id: String, _ transaction: Transaction) throws -> RolloutRow? {
        try transaction.first("SELECT \(columns) FROM rollouts WHERE id = ?", [.text(id)]).map { try RolloutRow($0) }
    }

    /// The newest one of an object.
    static func newest(_ kind: GlobalKind, _ id: String, _ transaction: Transaction) throws -> RolloutRow? {
        try transaction.first(
            "SELECT \(columns) FROM rollouts WHERE kind = ? AND object_id = ? ORDER BY id DESC LIMIT 1",
            [.text(kind.rawValue), .text(id)]
        ).map { try RolloutRow($0) }
    }

    /// Those under way: at most one of each object.
    static func underWay(_ transaction: Transaction) throws -> [RolloutRow] {
        try transaction.query(
            "SELECT \(columns) FROM rollouts WHERE state IN ('running', 'paused') ORDER BY id LIMIT ?",
            [SQLValue(Limits.rolloutsKeptMax)]
        ).map { try RolloutRow($0) }
    }

    /// Newest first.
    static func page(_ paging: Paging, _ transaction: Transaction) throws -> (rows: [RolloutRow], total: Int) {
        let rows = try transaction.query(
            "SELECT \(columns) FROM rollouts ORDER BY id DESC LIMIT ? OFFSET ?",
            [SQLValue(paging.perPage), SQLValue(paging.offset)]
        ).map { try RolloutRow($0) }
        return (rows, Int(try transaction.first("SELECT count(*) FROM rollouts")?.integer(0) ?? 0))
    }

    mutating func note(_ event: String, _ detail: String, at now: APITime) {
        events.append(["at": now.json, "event": .string(event), "detail": .string(detail)])
        if events.count > Limits.rolloutEventsMax { events.removeFirst(events.count - Limits.rolloutEventsMax) }
    }

    func insert(_ transaction: Transaction) throws {
        try transaction.execute(
            "INSERT INTO rollouts (\(Self.columns), state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                .text(id), .text(kind.rawValue), .text(objectID), .integer(version), .text(machine.json.text),
                .text(JSONValue.array(events).text), .integer(revision), SQLValue(createdOn), SQLValue(modifiedOn),
                .text(machine.state.rawValue),
            ])
        // The oldest go, those under way never.
        try transaction.execute(
            """
            DELETE FROM rollouts WHERE state NOT IN ('running', 'paused') AND id NOT IN
                (SELECT id FROM rollouts ORDER BY id DESC LIMIT ?)
            """, [SQLValue(Limits.rolloutsKeptMax)])
    }

    /// Only over what was read: somebody may have led, or paused it, meanwhile.
    mutating func update(at now: APITime, _ transaction: Transaction) throws {
        let changed = try transaction.execute(
            """
            UPDATE rollouts SET machine = ?, events = ?, state = ?, revision = revision + 1, modified_on = ?
            WHERE id = ? AND revision = ?
            """,
            [
                .text(machine.json.text), .text(JSONValue.array(events).text), .text(machine.state.rawValue),
                SQLValue(now), .text(id), .integer(revision),
            ])
        guard changed == 1 else { throw StoreError.conflict }
        revision += 1
        modifiedOn = now
    }

    var json: JSONObject {
        [
            "id": .string(id), "kind": .string(kind.rawValue), "object_id": .string(objectID),
            "version": .number(JSONNumber(version)), "state": .string(machine.state.rawValue),
            "stage": machine.stage.map { .string($0.rawValue) } ?? .null,
            "soak_seconds": .number(JSONNumber(machine.soakMilliseconds / 1000)),
            "stage_started_on": machine.stage == nil
                ? .null
                : APITime(microseconds: machine.startedAt.multipliedReportingOverflow(by: 1000).partialValue).json,
            "reason": .string(machine.reason), "nodes": .number(JSONNumber(machine.baseline.count)),
            "created_on": createdOn.json, "modified_on": modifiedOn.json, "events": .array(events),
        ]
    }

    /// For the audit log.
    var summary: JSONValue {
        [
            "rollout": .string(id), "version": .number(JSONNumber(version)), "state": .string(machine.state.rawValue),
            "stage": machine.stage.map { .string($0.rawValue) } ?? .null, "reason": .string(machine.reason),
        ]
    }
}

extension RolloutEdge {
    /// Every edge that is enrolled, as it was last reported.
    static func all(at now: APITime, _ transaction: Transaction) throws -> [RolloutEdge] {
        try transaction.query(
            "SELECT \(NodeRow.columns) FROM nodes WHERE role = 'edge' AND state = 'enrolled' ORDER BY name LIMIT ?",
            [SQLValue(Limits.fleetNodesMax)]
        ).map { row in
            let node = try NodeRow(row)
            return RolloutEdge(
                name: node.name, isCanary: node.isCanary, isConnected: node.isConnected(at: now),
                sequence: UInt64(clamping: node.sequence ?? 0), health: Health(node.health ?? [:]))
        }
    }
}
