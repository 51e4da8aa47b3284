// One change as the audit log has it, and what many of them amount to: the log says before and after of each, so the state at
// any of its rows can be told for as long as rows are kept.

import JSON
import Limits

/// A row of the audit log.
struct HistoryEntry: Sendable {
    var id: String
    var at: APITime
    var actor: String
    var action: String
    /// `dns_record/<id>`
    var resource: String
    /// `account/<id>`, `account/<id>/zone/<id>`
    var scope: String
    /// JSON; nil: it was not there.
    var before: String?
    var after: String?

    private static let columns = "id, at, actor, action, resource, scope, before, after"

    init(_ row: SQLRow) throws {
        id = try row.text(0)
        at = APITime(microseconds: try row.integer(1))
        actor = try row.text(2)
        action = try row.text(3)
        resource = try row.text(4)
        scope = try row.text(5)
        before = try row.textOrNil(6)
        after = try row.textOrNil(7)
    }

    var kind: String { String(resource.prefix { $0 != "/" }) }
    var objectID: String { String(resource.drop { $0 != "/" }.dropFirst()) }
    var zoneID: String? { Self.part(scope, "zone") }
    var accountID: String? { Self.part(scope, "account") }

    private static func part(_ scope: String, _ name: String) -> String? {
        let parts = scope.split(separator: "/")
        return parts.firstIndex(of: Substring(name)).flatMap {
            parts.indices.contains($0 + 1) ? String(parts[$0 + 1]) : nil
        }
    }

    /// A line for people: the object's name if it has one.
    var summary: String {
        let shown = (after ?? before).flatMap { text in try? JSONValue(stored: text) }
        let named = shown?["name"]?.string ?? shown?["description"]?.string ?? ""
        let type = kind == "dns_record" ? (shown?["type"]?.string.map { "\($0) " } ?? "") : ""
        let what = named.isEmpty ? String(objectID.prefix(64)) : type + String(named.prefix(100))
        return "\(action) \(kind.replacing("_", with: " ")) \(what)"
    }

    // MARK: Reading

    /// The rows of an account, or of one of its zones.
    struct Place: Sendable {
        var sql: String
        var values: [SQLValue]

        init(account: String, zone: String?) {
            if let zone {
                (sql, values) = ("scope = ?", [.text("account/\(account)/zone/\(zone)")])
            } else {
                (sql, values) = (
                    "(scope = ? OR scope LIKE ?)", [.text("account/\(account)"), .text("account/\(account)/%")]
                )
            }
        }
    }

    static func find(_ id: String, _ place: Place, _ transaction: Transaction) throws -> HistoryEntry? {
        try transaction.first(
            "SELECT \(columns) FROM audit WHERE id = ? AND \(place.sql)", [.text(id)] + place.values
        ).map { try HistoryEntry($0) }
    }

    /// Newest first.
    static func page(
        _ place: Place, since: APITime?, _ paging: Paging, _ transaction: Transaction
    ) throws -> (rows: [HistoryEntry], total: Int) {
        let condition = place.sql + (since == nil ? "" : " AND at >= ?")
        let values = place.values + (since.map { [SQLValue($0)] } ?? [])
        let rows = try transaction.query(
            "SELECT \(columns) FROM audit WHERE \(condition) ORDER BY id DESC LIMIT ? OFFSET ?",
            values + [SQLValue(paging.perPage), SQLValue(paging.offset)]
        ).map { try HistoryEntry($0) }
        let total = try transaction.first("SELECT count(*) FROM audit WHERE \(condition)", values)?.integer(0) ?? 0
        return (rows, Int(total))
    }

    /// Those behind `from`, up to `to`, oldest first.
    static func between(
        _ from: String, _ to: String?, _ place: Place, _ transaction: Transaction
    ) throws -> [HistoryEntry] {
        let condition = "id > ? \(to == nil ? "" : "AND id <= ?") AND \(place.sql)"
        let values = [.text(from)] + (to.map { [.text($0)] } ?? []) + place.values
        let size = try transaction.first(
            """
            SELECT count(*), CAST(coalesce(sum(coalesce(length(before), 0) + coalesce(length(after), 0)), 0) AS BIGINT)
            FROM audit WHERE \(condition)
            """, values)
        guard let size, try size.integer(0) <= Limits.historyEntriesMax, try size.integer(1) <= Limits.historyBytesMax
        else {
            throw APIError.conflict(
                "There are more than \(Limits.historyEntriesMax) changes, or \(Limits.historyBytesMax) bytes of them, in between: go by zone, or in smaller steps"
            )
        }
        return try transaction.query("SELECT \(columns) FROM audit WHERE \(condition) ORDER BY id", values).map {
            try HistoryEntry($0)
        }
    }
}

/// What became of one object over some changes.
struct HistoryChange: Sendable {
    var entry: HistoryEntry
    /// Before the first of them, and after the last.
    var before: String?
    var after: String?

    /// By object, in the order of their first change.
    static func all(_ entries: [HistoryEntry]) -> [HistoryChange] {
        var places: [String: Int] = [:]
        var changes: [HistoryChange] = []
        for entry in entries where entry.before != nil || entry.after != nil {
            let name = "\(entry.scope) \(entry.resource)"
            if let place = places[name] {
                changes[place].after = entry.after
            } else {
                places[name] = changes.count
                changes.append(HistoryChange(entry: entry, before: entry.before, after: entry.after))
            }
        }
        return changes
    }

    var word: String { before == nil ? "create" : after == nil ? "delete" : "update" }

    private static let moving = [
        "modified_on", "created_on", "last_updated", "version", "comment_modified_on", "tags_modified_on",
        "activated_on", "development_mode",
    ]

    /// Times move with each change, and say nothing.
    static func essence(_ text: String?) -> JSONValue? {
        guard let text, let value = try? JSONValue(stored: text) else { return Optional<JSONValue>.none }
        guard var object = value.object else { return value }
        for name in moving {
            object[name] = Optional<JSONValue>.none
        }
        return .object(object)
    }

    var isNothing: Bool { Self.essence(before) == Self.essence(after) }
}
