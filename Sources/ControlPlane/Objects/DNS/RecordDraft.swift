// From what a client sends to a record that may be stored.

import JSON
import Limits

/// Takes a client's members into a record and holds it against the zone's other records.
enum RecordDraft {
    static let shape = BodySchema.named(
        "DNSRecord",
        .object([
            .readOnly("id", .id),
            .required("name", .string(1...1024), "Complete, or below the zone; @ for the zone itself."),
            .required("type", .choice(RecordType.all.map(\.name))),
            .optional("content", .text(16_384)),
            .optional("data", .object([]), "The parts of the content, of types that have some."),
            .optional("priority", .integer(0...65_535)),
            .optional("ttl", .oneOf([.integer(1...1), .integer(30...86_400)]), "Seconds; 1 is automatic."),
            .optional("proxied", .nullable(.boolean)), .optional("comment", .nullable(.text(500))),
            .optional("tags", .nullable(.array(.string(1...300), count: 0...20))),
            .optional("settings", .nullable(.map(.anything))), .readOnly("proxiable", .boolean),
            .readOnly("created_on", .time), .readOnly("modified_on", .time),
        ]))

    static let identical = APIError(400, 81057, "The record already exists.")
    private static let addressExists = APIError(
        400, 81053, "An A, AAAA, or CNAME record with that host already exists.")
    private static let aliasExists = APIError(400, 81054, "A CNAME record with that host already exists.")
    static func notFound(_ id: String) -> APIError { APIError(404, 81044, "Record does not exist.") }

    /// A new record.
    static func create(
        _ body: JSONValue, id: String = StoreID.make(), _ zone: ZoneRow, at now: APITime, _ transaction: Transaction
    ) throws -> RecordRow {
        var record = RecordRow(
            id: id, zoneID: zone.id, name: try name(body, zone), type: try type(body),
            content: RecordContent(stored: "", priority: nil, data: nil), at: now)
        try take(body, into: &record, isNew: true, at: now)
        try check(record, zone, transaction)
        try record.insert(zone, transaction)
        return record
    }

    /// Another content for the record; with `isWhole`, members that are not there go back to what they are without.
    static func change(
        _ record: RecordRow, _ body: JSONValue, isWhole: Bool, _ zone: ZoneRow, at now: APITime,
        _ transaction: Transaction
    ) throws -> RecordRow {
        var changed = record
        if isWhole || body["name"] != nil { changed.name = try name(body, zone) }
        if isWhole || body["type"] != nil { changed.type = try type(body) }
        if isWhole {
            (changed.ttl, changed.isProxied, changed.comment, changed.tags, changed.settings) = (1, false, nil, [], [:])
        }
        try take(body, into: &changed, isNew: isWhole, at: now)
        changed.modifiedOn = now
        try check(changed, zone, transaction)
        try changed.update(zone, transaction)
        return changed
    }

    // MARK: Members

    private static func type(_ body: JSONValue) throws(APIError) -> RecordType {
        guard let type = body["type"]?.string.flatMap(RecordType.find) else {
            throw .invalid(
                "type", "one of \(RecordType.all.map(\.name).joined(separator: ", "))",
                found: body["type"].map(BodySchema.shown))
        }
        return type
    }

    /// `@`, `www`, `www.example.com` and `www.example.com.` within `example.com`.
    static func name(_ body: JSONValue, _ zone: ZoneRow) throws(APIError) -> String {
        let text = body["name"]?.string ?? ""
        guard let apex = DomainName(zone.name) else { throw .internalError }
        if text == "@" || text.isEmpty { return apex.text }
        guard let name = DomainName(text, allowsWildcard: true) else {
            throw APIError(400, 9000, "DNS name is invalid: \(text.prefix(100))")
        }
        if name.isIn(apex) { return name.text }
        guard !text.hasSuffix("."), let below = DomainName("\(name.text).\(apex.text)", allowsWildcard: true) else {
            throw APIError(400, 9000, "DNS name is invalid: \(text.prefix(100)) does not lie in \(apex.text)")
        }
        return below.text
    }

    private static func take(_ body: JSONValue, into record: inout RecordRow, isNew: Bool, at now: APITime)
        throws(APIError)
    {
        let hasContent = body["content"]?.string != nil || body["data"]?.object != nil
        if isNew || hasContent || body["priority"] != nil || body["type"] != nil {
            let content = body["content"]?.string ?? (hasContent || isNew ? nil : record.content.text)
            // Text beside parts is what the server made of them before.
            let data = body["data"]?.object.flatMap { $0.isEmpty ? nil : $0 }
            record.content = try RecordContent(
                record.type, content: content, data: data,
                priority: body["priority"]?.integer ?? record.content.priority)
        }
        if let ttl = body["ttl"]?.integer { record.ttl = ttl }
        if let proxied = body["proxied"]?.boolean { record.isProxied = proxied }
        if let comment = body["comment"], comment.string != record.comment {
            record.comment = comment.string.flatMap { $0.isEmpty ? nil : $0 }
            record.commentModifiedOn = now
        }
        if let tags = body["tags"], tags != record.tags {
            record.tags = tags.isNull ? [] : tags
            record.tagsModifiedOn = now
        }
        if let settings = body["settings"] { record.settings = settings.isNull ? [:] : settings }
        guard !record.isProxied || record.type.mayBeProxied else {
            throw APIError(400, 9004, "This record type cannot be proxied: \(record.type.name); A, AAAA and CNAME can")
        }
        if record.isProxied { record.ttl = 1 }
        if record.name.contains("*"), record.type.name == "NS" {
            throw APIError(400, 9000, "DNS name is invalid: a wildcard has no NS records")
        }
    }

    // MARK: Beside the zone's other records

    private static func check(_ record: RecordRow, _ zone: ZoneRow, _ transaction: Transaction) throws {
        let others = try RecordRow.named(record.name, in: zone, transaction).filter { $0.id != record.id }
        for other in others {
            if other.type.name == record.type.name, other.content == record.content { throw identical }
            if record.type.name == "CNAME", ["A", "AAAA", "CNAME"].contains(other.type.name) { throw addressExists }
            if other.type.name == "CNAME", ["A", "AAAA"].contains(record.type.name) { throw aliasExists }
            // A name with an alias has nothing else (RFC 1034, section 3.6.2), unless the edge answers in its place.
            guard record.name != zone.name else { continue }
            if record.type.name == "CNAME", !record.isProxied { throw addressExists }
            if other.type.name == "CNAME", !other.isProxied { throw aliasExists }
        }
        guard others.count < Limits.apiRecordsPerNameMax else {
            throw APIError(400, 81045, "\(record.name) has \(others.count) records, which is the most a name may have")
        }
    }

    /// - Throws: `APIError` if so many more records are too many for the zone. Counted once for each request.
    static func requireRoom(for more: Int, in zone: ZoneRow, _ transaction: Transaction) throws {
        let count = try RecordRow.count(where: "zone_id = ?", [.text(zone.id)], transaction)
        guard count + more <= Limits.apiRecordsPerZoneMax else {
            throw APIError(
                400, 81045,
                "The zone has \(count) records, and may have \(Limits.apiRecordsPerZoneMax): no room for \(more)")
        }
    }
}
