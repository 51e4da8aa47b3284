// Which records are asked for, and in which order.

import JSON

/// A list's filters as SQL.
struct RecordQuery: Sendable {
    let condition: String
    let values: [SQLValue]
    let order: String

    private static let columns = ["name": "name", "content": "content", "comment": "coalesce(comment, '')"]
    private static let orders = ["type", "name", "content", "ttl", "proxied"]

    static let parameters: [Route.Parameter] =
        columns.keys.sorted().flatMap { name in
            ["", ".exact", ".contains", ".startswith", ".endswith"].map {
                Route.Parameter(name: name + $0, schema: .text(300), about: "Letters count without their case.")
            }
        } + [
            .init(name: "type", schema: .choice(RecordType.all.map(\.name)), about: ""),
            .init(name: "proxied", schema: .boolean, about: ""),
            .init(name: "comment.present", schema: .text(10), about: ""),
            .init(name: "comment.absent", schema: .text(10), about: ""),
            .init(name: "tag", schema: .text(300), about: "name:value"),
            .init(name: "search", schema: .text(300), about: "Anywhere in name, content or comment."),
            .init(name: "order", schema: .choice(orders), about: ""),
            .init(name: "direction", schema: .choice(["asc", "desc"]), about: ""),
            .init(name: "match", schema: .choice(["any", "all"]), about: "Whether one filter must hold, or all."),
            .init(name: "tag_match", schema: .choice(["any", "all"]), about: ""),
        ]

    init(_ call: APICall) throws {
        let query = call.query
        var filters: [(sql: String, values: [SQLValue])] = []
        for (name, column) in Self.columns.sorted(by: { $0.key < $1.key }) {
            filters += TextFilter.all(name, in: query).map { $0.condition(column) }
        }
        if let type = query["type"] { filters.append(("type = ?", [.text(type.uppercased())])) }
        if let isProxied = try query.boolean("proxied") { filters.append(("proxied = ?", [SQLValue(isProxied)])) }
        if query.has("comment.present") { filters.append(("coalesce(comment, '') <> ''", [])) }
        if query.has("comment.absent") { filters.append(("coalesce(comment, '') = ''", [])) }
        if let tags = try Self.tags(query) { filters.append(tags) }
        let joiner = try query.choice("match", ["any", "all"]) == "any" ? " OR " : " AND "
        var parts: [(sql: String, values: [SQLValue])] = [("zone_id = ?", [.text(try call.theZone().id)])]
        if !filters.isEmpty {
            parts.append((filters.map { "(\($0.sql))" }.joined(separator: joiner), filters.flatMap(\.values)))
        }
        if let text = query["search"] {
            let found = Self.columns.values.sorted().map { TextFilter(.contains, text).condition($0) }
            parts.append((found.map(\.sql).joined(separator: " OR "), found.flatMap(\.values)))
        }
        condition = parts.map { "(\($0.sql))" }.joined(separator: " AND ")
        values = parts.flatMap(\.values)
        let direction = try query.choice("direction", ["asc", "desc"]) ?? "asc"
        let column = try query.choice("order", Self.orders) ?? "name"
        order = "\(column) \(direction), id \(direction)"
    }

    /// Tags are kept as a JSON list of texts, `name:value`.
    private static func tags(_ query: Query) throws(APIError) -> (sql: String, values: [SQLValue])? {
        var parts: [(sql: String, values: [SQLValue])] = []
        for text in query.list("tag") + query.list("tag.exact") {
            parts.append(TextFilter(.contains, JSONValue.string(text).text).condition("tags"))
        }
        for text in query.list("tag.present") { parts.append(TextFilter(.contains, "\"\(text)").condition("tags")) }
        for text in query.list("tag.absent") {
            let present = TextFilter(.contains, "\"\(text)").condition("tags")
            parts.append(("NOT (\(present.sql))", present.values))
        }
        guard !parts.isEmpty else { return nil }
        let joiner = try query.choice("tag_match", ["any", "all"]) == "any" ? " OR " : " AND "
        return (parts.map { "(\($0.sql))" }.joined(separator: joiner), parts.flatMap(\.values))
    }
}
