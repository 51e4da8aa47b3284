// `/zones/{zone_id}/dns_records`

import JSON
import Limits

enum Records {
    private static let read = Permission.zone("DNS", .read)
    private static let write = Permission.zone("DNS", .write)
    private static let root = "/zones/{zone_id}/dns_records"
    private static let one = root + "/{dns_record_id}"
    private static let shape = RecordDraft.shape

    /// Conflicts between records are found by looking at the others: who writes to a zone's records does it alone.
    private static let locks: @Sendable ([String: String]) -> [String] = { ["dns/\($0["zone_id"] ?? "")"] }

    private static let change = BodySchema.array(.map(.anything), count: 0...Limits.apiBatchRecordsMax)
    private static let batchShape = BodySchema.object([
        .optional("deletes", .nullable(change)), .optional("patches", .nullable(change)),
        .optional("puts", .nullable(change)), .optional("posts", .nullable(change)),
    ])

    static let routes: [Route] = [
        Route(
            .get, root, "DNS Records", "List records", needs: .zone(read), query: RecordQuery.parameters, isPaged: true,
            result: .array(shape, count: 0...Limits.apiRecordsPerPageMax), handle: list),
        Route(
            .post, root, "DNS Records", "Create a record", needs: .zone(write), payload: .json(shape), result: shape,
            locks: locks, handle: create),
        Route(
            .post, root + "/batch", "DNS Records", "Delete, change and create records, all or none",
            needs: .zone(write),
            payload: .json(batchShape), locks: locks, handle: batch),
        Route(
            .post, root + "/import", "DNS Records", "Take the records of a zone file (RFC 1035, section 5)",
            needs: .zone(write), payload: .file(maximumBytes: Limits.apiImportBytesMax), locks: locks,
            handle: importFile),
        Route(.get, root + "/export", "DNS Records", "Write a zone file", needs: .zone(read), handle: export),
        Route(.get, one, "DNS Records", "Show a record", needs: .zone(read), result: shape) {
            .result(try record($0).json)
        },
        Route(
            .put, one, "DNS Records", "Replace a record", needs: .zone(write), payload: .json(shape), result: shape,
            locks: locks
        ) { try update($0, isWhole: true) },
        Route(
            .patch, one, "DNS Records", "Change a record", needs: .zone(write), payload: .json(shape, isPartial: true),
            result: shape, locks: locks
        ) { try update($0, isWhole: false) },
        Route(.delete, one, "DNS Records", "Delete a record", needs: .zone(write), locks: locks, handle: delete),
    ]

    private static func record(_ call: APICall) throws -> RecordRow {
        let id = call.parameter("dns_record_id")
        guard let record = try RecordRow.find(id, in: call.theZone(), call.transaction) else {
            throw RecordDraft.notFound(id)
        }
        return record
    }

    private static func list(_ call: APICall) throws -> APIAnswer {
        let query = try RecordQuery(call)
        let paging = try call.paging(standard: Limits.apiRecordsPerPage, maximum: Limits.apiRecordsPerPageMax)
        let rows = try RecordRow.select(
            where: query.condition, query.values, order: query.order, limit: paging.perPage, offset: paging.offset,
            call.transaction)
        let total = try RecordRow.count(where: query.condition, query.values, call.transaction)
        return .page(rows.map { .object($0.json) }, paging.info(count: rows.count, total: total))
    }

    private static func create(_ call: APICall) throws -> APIAnswer {
        try RecordDraft.requireRoom(for: 1, in: call.theZone(), call.transaction)
        let record = try RecordDraft.create(
            call.body, id: call.newID(), call.theZone(), at: call.now, call.transaction)
        call.audit("create", "dns_record", record.id, after: .object(record.json))
        return .result(record.json)
    }

    private static func update(_ call: APICall, isWhole: Bool) throws -> APIAnswer {
        let before = try record(call)
        let after = try RecordDraft.change(
            before, call.body, isWhole: isWhole, call.theZone(), at: call.now, call.transaction)
        call.audit("update", "dns_record", after.id, before: .object(before.json), after: .object(after.json))
        return .result(after.json)
    }

    private static func delete(_ call: APICall) throws -> APIAnswer {
        let record = try record(call)
        try record.delete(call.theZone(), call.transaction)
        call.audit("delete", "dns_record", record.id, before: .object(record.json))
        return .result(["id": .string(record.id)])
    }

    // MARK: Many at once

    /// Deletes, then patches, puts and posts: what one list makes room for, the next may take.
    private static func batch(_ call: APICall) throws -> APIAnswer {
        let zone = try call.theZone()
        let names = ["deletes", "patches", "puts", "posts"]
        let lists = names.map { call.body[$0]?.array ?? [] }
        guard lists.reduce(0, { $0 + $1.count }) <= Limits.apiBatchRecordsMax else {
            throw APIError.invalid("the batch", "at most \(Limits.apiBatchRecordsMax) records")
        }
        try RecordDraft.requireRoom(for: max(0, lists[3].count - lists[0].count), in: zone, call.transaction)
        var results: JSONObject = [:]
        for (name, list) in zip(names, lists) {
            var shown: [JSONValue] = []
            for (index, item) in list.enumerated() {
                let place = "\(name).\(index)"
                do { shown.append(.object(try apply(name, item, zone, call).json)) } catch let error as APIError {
                    throw APIError(error.status, error.code, "\(place): \(error.message)", chain: error.chain)
                }
            }
            results[name] = .array(shown)
        }
        return .result(results)
    }

    private static func apply(_ list: String, _ item: JSONValue, _ zone: ZoneRow, _ call: APICall) throws -> RecordRow {
        if list == "posts" {
            try shape.check(item)
            let record = try RecordDraft.create(item, zone, at: call.now, call.transaction)
            call.audit("create", "dns_record", record.id, after: .object(record.json))
            return record
        }
        let id = item["id"]?.string ?? ""
        guard let before = try RecordRow.find(id, in: zone, call.transaction) else { throw RecordDraft.notFound(id) }
        if list == "deletes" {
            try before.delete(zone, call.transaction)
            call.audit("delete", "dns_record", id, before: .object(before.json))
            return before
        }
        try shape.check(item, isPartial: list == "patches")
        let after = try RecordDraft.change(before, item, isWhole: list == "puts", zone, at: call.now, call.transaction)
        call.audit("update", "dns_record", id, before: .object(before.json), after: .object(after.json))
        return after
    }

    // MARK: Zone files

    /// All or nothing; SOA and the apex's NS are the edge's own and are passed over.
    private static func importFile(_ call: APICall) throws -> APIAnswer {
        let zone = try call.theZone()
        let isProxied = call.form["proxied"] == "true"
        var parsed = 0
        var added = 0
        let lines = try ZoneFile.parse(call.form.file, origin: zone.name)
        guard lines.count <= Limits.apiImportRecordsMax else {
            throw APIError.invalid(
                "file", "at most \(Limits.apiImportRecordsMax) records at a time", found: "\(lines.count)")
        }
        try RecordDraft.requireRoom(for: 0, in: zone, call.transaction)
        for line in lines {
            parsed += 1
            guard line.type != "SOA", !(line.type == "NS" && line.name == zone.name) else { continue }
            guard RecordType.find(line.type) != nil else {
                throw APIError(400, 9004, "Line \(line.number): records of type \(line.type.prefix(16)) are not taken")
            }
            let mayBeProxied = RecordType.find(line.type)?.mayBeProxied ?? false
            let body: JSONValue = [
                "name": .string(line.name + "."), "type": .string(line.type), "content": .string(line.content),
                "ttl": .number(JSONNumber(min(max(line.ttl ?? 1, line.ttl == nil ? 1 : 30), 86_400))),
                "proxied": .boolean(isProxied && mayBeProxied),
                "priority": line.priority.map { .number(JSONNumber($0)) } ?? 0,
            ]
            do {
                let record = try RecordDraft.create(body, zone, at: call.now, call.transaction)
                call.audit("create", "dns_record", record.id, after: .object(record.json))
                added += 1
            } catch let error as APIError where error == RecordDraft.identical {
                // It is there already: importing a file again changes nothing.
            } catch let error as APIError {
                throw APIError(error.status, error.code, "Line \(line.number): \(error.message)", chain: error.chain)
            }
        }
        call.audit("import", "zone", zone.id, after: ["recs_added": .number(JSONNumber(added))])
        return .result([
            "recs_added": .number(JSONNumber(added)), "total_records_parsed": .number(JSONNumber(parsed)),
        ])
    }

    private static func export(_ call: APICall) throws -> APIAnswer {
        let zone = try call.theZone()
        let records = try RecordRow.select(
            where: "zone_id = ?", [.text(zone.id)], order: "name, type, content, id",
            limit: Limits.apiRecordsPerZoneMax,
            offset: 0, call.transaction)
        return .raw(ZoneFile.render(zone.name, records, at: call.now), type: "text/plain; charset=utf-8")
    }
}
