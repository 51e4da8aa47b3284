// The items of a list: a row each, and a key for the edges each (`account/<account>/list/<list>/item/<item>`). A change costs
// what it changes, not what the list holds.

import ConfigLog
import Crypto
import JSON
import Limits

enum ListItems {
    static let kind = "list_item"

    /// Which items go.
    enum Removal {
        case nothing
        /// Those that are not among the added ones.
        case others
        case these(Set<String>)
        case all
    }

    /// By list.
    static func count(_ lists: [String], _ transaction: Transaction) throws -> [String: Int] {
        guard !lists.isEmpty else { return [:] }
        let rows = try transaction.query(
            """
            SELECT scope_id, count(*) FROM objects
            WHERE kind = ? AND scope_id IN (\(lists.map { _ in "?" }.joined(separator: ", "))) GROUP BY scope_id
            """, [.text(kind)] + lists.map { .text($0) })
        return Dictionary(try rows.map { (try $0.text(0), Int(try $0.integer(1))) }) { first, _ in first }
    }

    /// In the order they were added.
    static func page(
        _ list: ObjectRow, after cursor: String?, search: String?, limit: Int, _ transaction: Transaction
    ) throws -> [ObjectRow] {
        var condition = "kind = ? AND scope_id = ? AND id > ?"
        var values: [SQLValue] = [.text(kind), .text(list.id), .text(cursor ?? "")]
        if let search {
            let filter = TextFilter(.contains, search).condition("body")
            condition += " AND \(filter.sql)"
            values += filter.values
        }
        return try ObjectRow.select(condition, values, order: "id", limit: limit, transaction)
    }

    /// Items that are alike are one: the later comment counts, and the identifier stays.
    static func change(
        _ list: ObjectRow, remove removal: Removal, add given: [(value: JSONValue, comment: JSONValue)], _ call: APICall
    ) throws {
        let member = list.body["kind"]?.string ?? ""
        let present = try ObjectRow.select(
            "kind = ? AND scope_id = ?", [.text(kind), .text(list.id)], order: "id", limit: Limits.apiListItemsMax + 1,
            call.transaction)
        let byName = Dictionary(present.map { ($0.name, $0) }) { first, _ in first }
        var wanted: [String: ObjectRow] = [:]
        var before: [String: ObjectRow] = [:]
        for (number, item) in given.enumerated() {
            let name = name(of: item.value)
            let body: JSONObject = [member: item.value, "comment": item.comment]
            if var row = wanted[name] ?? byName[name] {
                row.body = body
                if wanted[name] == nil { before[name] = byName[name] }
                row.modifiedOn = call.now
                wanted[name] = row
            } else {
                let id = call.restoredID ?? StoreID.ordered(at: call.now.microseconds, number: number)
                wanted[name] = ObjectRow(kind: kind, scopeID: list.id, id: id, name: name, body: body, at: call.now)
            }
        }
        let gone =
            switch removal {
            case .nothing: [ObjectRow]()
            case .others: present.filter { wanted[$0.name] == nil }
            case .these(let ids): present.filter { ids.contains($0.id) }
            case .all: present
            }
        let changed = wanted.values.filter { before[$0.name]?.body != $0.body }.sorted { $0.id < $1.id }
        let total = present.count - gone.count + changed.count { before[$0.name] == nil }
        guard total <= Limits.apiListItemsMax else {
            throw APIError.invalid("the list", "at most \(Limits.apiListItemsMax) items", found: "\(total)")
        }
        try requireRoom(list, changed, gone)
        try write(changed, call.transaction)
        try remove(gone, list, call.transaction)
        for row in changed {
            call.transaction.publish(Change(key: key(list, row), value: JSONValue.object(row.body).bytes))
            let old = before[row.name].map { JSONValue.object($0.body) }
            call.audit(
                old == nil ? "create" : "update", kind, "\(list.id)/\(row.id)", before: old, after: .object(row.body))
        }
        for row in gone {
            call.transaction.publish(Change(key: key(list, row), value: nil))
            call.audit("delete", kind, "\(list.id)/\(row.id)", before: .object(row.body))
        }
    }

    private static func key(_ list: ObjectRow, _ item: ObjectRow) -> String {
        "account/\(list.scopeID)/list/\(list.id)/item/\(item.id)"
    }

    /// What items are alike by, short enough for an index.
    private static func name(of value: JSONValue) -> String {
        var ordered = value
        if let object = value.object {
            var sorted = JSONObject()
            for name in object.names.sorted() { sorted[name] = object[name] }
            ordered = .object(sorted)
        }
        return ObjectID.digits(SHA256.hash(data: ordered.bytes))
    }

    /// Before any work: one change travels in one piece.
    private static func requireRoom(_ list: ObjectRow, _ changed: [ObjectRow], _ gone: [ObjectRow]) throws(APIError) {
        let keyBytes = 128
        let bytes = changed.reduce(0) { $0 + $1.body.text.utf8.count + keyBytes } + gone.count * keyBytes
        guard bytes <= Limits.configGroupBytesMax - Limits.configFrameBytesTarget else {
            throw APIError(
                413, 10413,
                "The change is \(bytes) bytes for the edges, more than travels in one piece: change the list in several requests"
            )
        }
    }

    private static func write(_ rows: [ObjectRow], _ transaction: Transaction) throws {
        for start in stride(from: 0, to: rows.count, by: Limits.apiListRowsPerStatement) {
            let part = rows[start..<min(start + Limits.apiListRowsPerStatement, rows.count)]
            let places = Array(repeating: "(?, ?, ?, ?, ?, ?, ?, ?)", count: part.count).joined(separator: ", ")
            try transaction.execute(
                """
                INSERT INTO objects (\(ObjectRow.columns)) VALUES \(places) ON CONFLICT (kind, scope_id, id) \
                DO UPDATE SET body = excluded.body, version = objects.version + 1, modified_on = excluded.modified_on
                """, part.flatMap(\.values))
        }
    }

    private static func remove(_ rows: [ObjectRow], _ list: ObjectRow, _ transaction: Transaction) throws {
        for start in stride(from: 0, to: rows.count, by: Limits.apiListRowsPerStatement) {
            let part = rows[start..<min(start + Limits.apiListRowsPerStatement, rows.count)]
            try transaction.execute(
                """
                DELETE FROM objects WHERE kind = ? AND scope_id = ? \
                AND id IN (\(part.map { _ in "?" }.joined(separator: ", ")))
                """, [.text(kind), .text(list.id)] + part.map { .text($0.id) })
        }
    }
}
