// Everything that has no table of its own: one row each, its body as JSON.

import ConfigLog
import JSON
import Limits

/// An object as it is stored.
struct ObjectRow: Sendable {
    var kind: String
    /// The zone or account it belongs to.
    var scopeID: String
    var id: String
    var name: String
    /// As it is shown, without `id` and the times.
    var body: JSONObject
    var version: Int64
    var createdOn: APITime
    var modifiedOn: APITime

    static let columns = "kind, scope_id, id, name, body, version, created_on, modified_on"

    private init(_ row: SQLRow) throws {
        kind = try row.text(0)
        scopeID = try row.text(1)
        id = try row.text(2)
        name = try row.text(3)
        body = try JSONValue(stored: try row.text(4)).object ?? [:]
        version = try row.integer(5)
        createdOn = APITime(microseconds: try row.integer(6))
        modifiedOn = APITime(microseconds: try row.integer(7))
    }

    init(kind: String, scopeID: String, id: String = StoreID.make(), name: String, body: JSONObject, at now: APITime) {
        (self.kind, self.scopeID, self.id, self.name, self.body) = (kind, scopeID, id, name, body)
        version = 1
        (createdOn, modifiedOn) = (now, now)
    }

    static func find(_ kind: String, _ scopeID: String, _ id: String, _ transaction: Transaction) throws -> ObjectRow? {
        try transaction.first(
            "SELECT \(columns) FROM objects WHERE kind = ? AND scope_id = ? AND id = ?",
            [.text(kind), .text(scopeID), .text(id)]
        ).map { try ObjectRow($0) }
    }

    /// In the order they were made.
    static func all(_ kind: String, _ scopeID: String, _ transaction: Transaction) throws -> [ObjectRow] {
        try transaction.query(
            "SELECT \(columns) FROM objects WHERE kind = ? AND scope_id = ? ORDER BY created_on, id LIMIT ?",
            [.text(kind), .text(scopeID), SQLValue(Limits.apiObjectsMax)]
        ).map { try ObjectRow($0) }
    }

    /// The same, page by page.
    static func page(
        _ kind: String, _ scopeID: String, name: String?, _ paging: Paging, _ transaction: Transaction
    ) throws -> (rows: [ObjectRow], total: Int) {
        let condition = "kind = ? AND scope_id = ?" + (name == nil ? "" : " AND name = ?")
        let values: [SQLValue] = [.text(kind), .text(scopeID)] + (name.map { [.text($0)] } ?? [])
        let rows = try transaction.query(
            "SELECT \(columns) FROM objects WHERE \(condition) ORDER BY created_on, id LIMIT ? OFFSET ?",
            values + [SQLValue(paging.perPage), SQLValue(paging.offset)]
        ).map { try ObjectRow($0) }
        let total = try transaction.first("SELECT count(*) FROM objects WHERE \(condition)", values)?.integer(0) ?? 0
        return (rows, Int(total))
    }

    /// All of a kind, as far as `keepHead` kept them: for lists of what is large.
    static func heads(_ kind: String, _ scopeID: String, _ transaction: Transaction) throws -> [ObjectRow] {
        try transaction.query(
            """
            SELECT kind, scope_id, id, name, coalesce(head, body), version, created_on, modified_on FROM objects
            WHERE kind = ? AND scope_id = ? ORDER BY created_on, id LIMIT ?
            """, [.text(kind), .text(scopeID), SQLValue(Limits.apiObjectsMax)]
        ).map { try ObjectRow($0) }
    }

    /// Keeps the body without a large member beside it. To be called after `insert` and `update`.
    func keepHead(without member: String, _ transaction: Transaction) throws {
        var head = body
        head[member] = Optional<JSONValue>.none
        try transaction.execute(
            "UPDATE objects SET head = ? WHERE kind = ? AND scope_id = ? AND id = ?",
            [.text(head.text), .text(kind), .text(scopeID), .text(id)])
    }

    /// The first one with a name.
    static func named(
        _ name: String, _ kind: String, _ scopeID: String, _ transaction: Transaction
    ) throws -> ObjectRow? {
        try transaction.first(
            "SELECT \(columns) FROM objects WHERE kind = ? AND scope_id = ? AND name = ? ORDER BY created_on, id LIMIT 1",
            [.text(kind), .text(scopeID), .text(name)]
        ).map { try ObjectRow($0) }
    }

    /// Whether another one has the name.
    static func hasName(
        _ name: String, but id: String, _ kind: String, _ scopeID: String, _ transaction: Transaction
    ) throws -> Bool {
        try transaction.first(
            "SELECT id FROM objects WHERE kind = ? AND scope_id = ? AND name = ? AND id <> ? LIMIT 1",
            [.text(kind), .text(scopeID), .text(name), .text(id)]) != nil
    }

    /// - Throws: `APIError` if there are so many already.
    static func requireRoom(
        _ maximum: Int, _ what: String, _ kind: String, _ scopeID: String, _ transaction: Transaction
    ) throws {
        guard try count(kind, scopeID, transaction) < maximum else {
            throw APIError.conflict("There are \(maximum) \(what) already, which is the most there may be")
        }
    }

    static func count(_ kind: String, _ scopeID: String, _ transaction: Transaction) throws -> Int {
        Int(
            try transaction.first(
                "SELECT count(*) FROM objects WHERE kind = ? AND scope_id = ?", [.text(kind), .text(scopeID)]
            )?.integer(0) ?? 0)
    }

    /// In the order of `columns`.
    var values: [SQLValue] {
        [
            .text(kind), .text(scopeID), .text(id), .text(name), .text(body.text), .integer(version),
            SQLValue(createdOn), SQLValue(modifiedOn),
        ]
    }

    static func select(
        _ condition: String, _ values: [SQLValue], order: String, limit: Int, _ transaction: Transaction
    ) throws -> [ObjectRow] {
        try transaction.query(
            "SELECT \(columns) FROM objects WHERE \(condition) ORDER BY \(order) LIMIT ?", values + [SQLValue(limit)]
        ).map { try ObjectRow($0) }
    }

    func insert(_ transaction: Transaction) throws {
        try checkSize(body.text)
        try transaction.execute("INSERT INTO objects (\(Self.columns)) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
    }

    private func checkSize(_ text: String) throws(APIError) {
        guard text.utf8.count <= Limits.apiObjectBytesMax else {
            throw APIError(
                413, 10413,
                "The \(kind.replacing("_", with: " ")) would be \(text.utf8.count) bytes, more than the \(Limits.apiObjectBytesMax) it may be"
            )
        }
    }

    mutating func update(at now: APITime, _ transaction: Transaction) throws {
        let text = body.text
        try checkSize(text)
        version += 1
        modifiedOn = now
        try transaction.execute(
            "UPDATE objects SET name = ?, body = ?, version = ?, modified_on = ? WHERE kind = ? AND scope_id = ? AND id = ?",
            [.text(name), .text(text), .integer(version), SQLValue(modifiedOn), .text(kind), .text(scopeID), .text(id)])
    }

    func delete(_ transaction: Transaction) throws {
        try transaction.execute(
            "DELETE FROM objects WHERE kind = ? AND scope_id = ? AND id = ?", [.text(kind), .text(scopeID), .text(id)])
    }

    var json: JSONObject {
        var shown: JSONObject = ["id": .string(id)]
        for (name, value) in body.members { shown[name] = value }
        shown["created_on"] = createdOn.json
        shown["modified_on"] = modifiedOn.json
        return shown
    }
}
