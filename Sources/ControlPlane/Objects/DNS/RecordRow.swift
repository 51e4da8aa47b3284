// DNS records as they are stored, shown and published.

import ConfigLog
import JSON
import Limits

/// A record as it is stored.
struct RecordRow: Sendable {
    var id: String
    var zoneID: String
    var name: String
    var type: RecordType
    var content: RecordContent
    /// Seconds; 1: automatic.
    var ttl: Int64
    var isProxied: Bool
    var comment: String?
    var tags: JSONValue
    var settings: JSONValue
    var createdOn: APITime
    var modifiedOn: APITime
    var commentModifiedOn: APITime?
    var tagsModifiedOn: APITime?

    private static let columns = """
        id, zone_id, name, type, content, ttl, proxied, priority, data, comment, tags, settings, created_on, \
        modified_on, comment_modified_on, tags_modified_on
        """

    private init(_ row: SQLRow) throws {
        id = try row.text(0)
        zoneID = try row.text(1)
        name = try row.text(2)
        let typeName = try row.text(3)
        guard let type = RecordType.find(typeName) else {
            throw StoreError.corrupt("record \(id) has the type \(typeName.prefix(16)), which no record has")
        }
        self.type = type
        let data = try row.textOrNil(8).map { try JSONValue(stored: $0).object ?? [:] }
        content = RecordContent(stored: try row.text(4), priority: try row.integerOrNil(7), data: data)
        ttl = try row.integer(5)
        isProxied = try row.bool(6)
        comment = try row.textOrNil(9)
        tags = try JSONValue(stored: try row.text(10))
        settings = try JSONValue(stored: try row.text(11))
        createdOn = APITime(microseconds: try row.integer(12))
        modifiedOn = APITime(microseconds: try row.integer(13))
        commentModifiedOn = try row.integerOrNil(14).map { APITime(microseconds: $0) }
        tagsModifiedOn = try row.integerOrNil(15).map { APITime(microseconds: $0) }
    }

    /// A new one.
    init(id: String, zoneID: String, name: String, type: RecordType, content: RecordContent, at now: APITime) {
        self.id = id
        self.zoneID = zoneID
        self.name = name
        self.type = type
        self.content = content
        ttl = 1
        isProxied = false
        tags = []
        settings = [:]
        (createdOn, modifiedOn) = (now, now)
    }

    static func find(_ id: String, in zone: ZoneRow, _ transaction: Transaction) throws -> RecordRow? {
        guard ObjectID.isValid(id) else { return nil }
        return try transaction.first(
            "SELECT \(columns) FROM dns_records WHERE id = ? AND zone_id = ?", [.text(id), .text(zone.id)]
        ).map { try RecordRow($0) }
    }

    /// All with a name.
    static func named(_ name: String, in zone: ZoneRow, _ transaction: Transaction) throws -> [RecordRow] {
        try transaction.query(
            "SELECT \(columns) FROM dns_records WHERE zone_id = ? AND name = ?", [.text(zone.id), .text(name)]
        ).map { try RecordRow($0) }
    }

    static func select(
        where condition: String, _ values: [SQLValue], order: String, limit: Int, offset: Int,
        _ transaction: Transaction
    ) throws -> [RecordRow] {
        try transaction.query(
            "SELECT \(columns) FROM dns_records WHERE \(condition) ORDER BY \(order) LIMIT ? OFFSET ?",
            values + [SQLValue(limit), SQLValue(offset)]
        ).map { try RecordRow($0) }
    }

    static func count(where condition: String, _ values: [SQLValue], _ transaction: Transaction) throws -> Int {
        Int(try transaction.first("SELECT count(*) FROM dns_records WHERE \(condition)", values)?.integer(0) ?? 0)
    }

    // MARK: Writing

    private var values: [SQLValue] {
        [
            .text(id), .text(zoneID), .text(name), .text(type.name), .text(content.text), .integer(ttl),
            SQLValue(isProxied), SQLValue(content.priority), SQLValue(content.data?.text), SQLValue(comment),
            .text(tags.text), .text(settings.text), SQLValue(createdOn), SQLValue(modifiedOn),
            SQLValue(commentModifiedOn), SQLValue(tagsModifiedOn),
        ]
    }

    func insert(_ zone: ZoneRow, _ transaction: Transaction) throws {
        try transaction.execute(
            "INSERT INTO dns_records (\(Self.columns)) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        publish(zone, transaction)
    }

    func update(_ zone: ZoneRow, _ transaction: Transaction) throws {
        try transaction.execute(
            """
            UPDATE dns_records SET name = ?, type = ?, content = ?, ttl = ?, proxied = ?, priority = ?, data = ?, \
            comment = ?, tags = ?, settings = ?, created_on = ?, modified_on = ?, comment_modified_on = ?, \
            tags_modified_on = ? WHERE id = ?
            """, Array(values.dropFirst(2)) + [.text(id)])
        publish(zone, transaction)
    }

    func delete(_ zone: ZoneRow, _ transaction: Transaction) throws {
        try transaction.execute("DELETE FROM dns_records WHERE id = ?", [.text(id)])
        transaction.publish(Change(key: zone.key("dns/\(id)"), value: nil))
    }

    private func publish(_ zone: ZoneRow, _ transaction: Transaction) {
        var edge: JSONObject = [
            "name": .string(name), "type": .string(type.name), "content": .string(content.text),
            "ttl": .number(JSONNumber(ttl)), "proxied": .boolean(isProxied),
        ]
        if let priority = content.priority { edge["priority"] = .number(JSONNumber(priority)) }
        if let data = content.data { edge["data"] = .object(data) }
        if settings.object?.isEmpty == false { edge["settings"] = settings }
        transaction.publish(Change(key: zone.key("dns/\(id)"), value: JSONValue.object(edge).bytes))
    }

    // MARK: As it is shown

    var json: JSONObject {
        var shown: JSONObject = [
            "id": .string(id), "name": .string(name), "type": .string(type.name), "content": .string(content.text),
            "proxiable": .boolean(type.mayBeProxied), "proxied": .boolean(isProxied), "ttl": .number(JSONNumber(ttl)),
            "settings": settings, "meta": [:], "comment": comment.map { .string($0) } ?? .null, "tags": tags,
            "created_on": createdOn.json, "modified_on": modifiedOn.json,
        ]
        if let priority = content.priority { shown["priority"] = .number(JSONNumber(priority)) }
        if let data = content.data { shown["data"] = .object(data) }
        if let commentModifiedOn { shown["comment_modified_on"] = commentModifiedOn.json }
        if let tagsModifiedOn { shown["tags_modified_on"] = tagsModifiedOn.json }
        return shown
    }
}

extension RecordContent {
    /// As it was stored.
    init(stored text: String, priority: Int64?, data: JSONObject?) {
        self.text = text
        self.priority = priority
        self.data = data
    }
}
