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

    private static let columns = "kind, scope_id, id, name, body, version, created_on, modified_on"

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

    static func count(_ kind: String, _ scopeID: String, _ transaction: Transaction) throws -> Int {
        Int(
            try transaction.first(
                "SELECT count(*) FROM objects WHERE kind = ? AND scope_id = ?", [.text(kind), .text(scopeID)]
            )?.integer(0) ?? 0)
    }

    func insert(_ transaction: Transaction) throws {
        let text = body.text
        guard text.utf8.count <= Limits.apiObjectBytesMax else { throw APIError.bodyTooLarge }
        try transaction.execute(
            "INSERT INTO objects (\(Self.columns)) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                .text(kind), .text(scopeID), .text(id), .text(name), .text(text), .integer(version),
                SQLValue(createdOn), SQLValue(modifiedOn),
            ])
    }

    mutating func update(at now: APITime, _ transaction: Transaction) throws {
        let text = body.text
        guard text.utf8.count <= Limits.apiObjectBytesMax else { throw APIError.bodyTooLarge }
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
