// Kinds of objects whose endpoints are alike: list, create, show, replace, change, delete.

import ConfigLog
import JSON
import Limits

/// One such kind, described once.
struct ObjectKind: Sendable {
    /// As it is stored, and in keys for edges.
    let kind: String
    /// For people: `pool`.
    let title: String
    let tag: String
    /// Of the list: `/accounts/{account_id}/load_balancers/pools`.
    let path: String
    /// The variable of one object's path.
    let variable: String
    let read: Permission
    let write: Permission
    let members: [BodySchema.Member]
    /// What members are that were not given.
    let standards: JSONObject
    /// Whether two may not have one name.
    var hasUniqueNames = true
    /// Members that a list can be asked for by, beside `name`.
    var filters: [String] = []
    /// Checks what a schema cannot say, and completes what is shown.
    var complete: @Sendable (inout ObjectRow, APICall) throws -> Void = { _, _ in }
    /// What the audit log says of it: all but secrets.
    var audited: @Sendable (JSONObject) -> JSONObject = { $0 }
    /// Refuses to delete what others refer to.
    var mayDelete: @Sendable (ObjectRow, APICall) throws -> Void = { _, _ in }

    private var shape: BodySchema {
        .named(
            title.split(separator: " ").map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined(),
            .object(
                [.readOnly("id", .id)] + members + [.readOnly("created_on", .time), .readOnly("modified_on", .time)]))
    }

    private func need(_ permission: Permission) -> Need {
        permission.scope == .zone ? .zone(permission) : .account(permission)
    }

    var routes: [Route] {
        let one = "\(path)/{\(variable)}"
        let locks: @Sendable ([String: String]) -> [String] = { [kind] in
            ["\(kind)/\($0["zone_id"] ?? $0["account_id"] ?? "")"]
        }
        return [
            Route(.get, path, tag, "List every \(title)", needs: need(read), isPaged: true, handle: list),
            Route(
                .post, path, tag, "Create a \(title)", needs: need(write), payload: .json(shape), result: shape,
                locks: locks, handle: create),
            Route(.get, one, tag, "Show a \(title)", needs: need(read), result: shape) { .result(try find($0).json) },
            Route(
                .put, one, tag, "Replace a \(title)", needs: need(write), payload: .json(shape), result: shape,
                locks: locks
            ) { try update($0, isWhole: true) },
            Route(
                .patch, one, tag, "Change a \(title)", needs: need(write), payload: .json(shape, isPartial: true),
                result: shape, locks: locks
            ) { try update($0, isWhole: false) },
            Route(.delete, one, tag, "Delete a \(title)", needs: need(write), locks: locks, handle: delete),
        ]
    }

    /// Stands in the audit log where the value of a header would.
    static let notKept = "[not kept]"

    /// Header fields with their values left out: they may be credentials. The host is none.
    static func withoutValues(_ header: JSONValue?) -> JSONValue? {
        guard let members = header?.object?.members else { return header }
        var shown = JSONObject()
        for (name, value) in members { shown[name] = name.lowercased() == "host" ? value : [.string(notKept)] }
        return .object(shown)
    }

    private func scope(_ call: APICall) throws -> String { try call.zone?.id ?? call.theAccount().id }

    private func key(_ row: ObjectRow, _ call: APICall) -> String {
        call.zone.map { $0.key("\(kind)/\(row.id)") } ?? "account/\(row.scopeID)/\(kind)/\(row.id)"
    }

    func find(_ call: APICall) throws -> ObjectRow {
        let id = call.parameter(variable)
        guard let row = try ObjectRow.find(kind, scope(call), id, call.transaction) else {
            throw APIError.notFound(title, id)
        }
        return row
    }

    private func list(_ call: APICall) throws -> APIAnswer {
        let paging = try call.paging()
        let asked = filters.filter { call.query[$0] != nil }
        guard !asked.isEmpty else {
            let (rows, total) = try ObjectRow.page(
                kind, scope(call), name: call.query["name"], paging, call.transaction)
            return .page(rows.map { .object($0.json) }, paging.info(count: rows.count, total: total))
        }
        var rows = try ObjectRow.all(kind, scope(call), call.transaction)
        if let name = call.query["name"] { rows = rows.filter { $0.name == name } }
        for member in asked { rows = rows.filter { $0.body[member]?.string == call.query[member] } }
        let page = paging.slice(rows)
        return .page(page.map { .object($0.json) }, paging.info(count: page.count, total: rows.count))
    }

    private func create(_ call: APICall) throws -> APIAnswer {
        let scopeID = try scope(call)
        guard try ObjectRow.count(kind, scopeID, call.transaction) < Limits.apiObjectsMax else {
            throw APIError.conflict("There are \(Limits.apiObjectsMax) of them already, which is the most there may be")
        }
        var row = ObjectRow(
            kind: kind, scopeID: scopeID, id: call.newID(), name: "", body: standards, at: call.now)
        try take(call, into: &row)
        try row.insert(call.transaction)
        call.transaction.publish(Change(key: key(row, call), value: JSONValue.object(row.body).bytes))
        call.audit("create", kind, row.id, after: .object(audited(row.json)))
        return .result(row.json)
    }

    private func update(_ call: APICall, isWhole: Bool) throws -> APIAnswer {
        var row = try find(call)
        let before = row.json
        if isWhole { row.body = standards }
        try take(call, into: &row)
        try row.update(at: call.now, call.transaction)
        call.transaction.publish(Change(key: key(row, call), value: JSONValue.object(row.body).bytes))
        call.audit("update", kind, row.id, before: .object(audited(before)), after: .object(audited(row.json)))
        return .result(row.json)
    }

    /// Members that are described, and no others; what the server sets is not taken from a client.
    private func take(_ call: APICall, into row: inout ObjectRow) throws {
        for member in members where !member.isReadOnly {
            if let value = call.body[member.name] { row.body[member.name] = value }
        }
        row.name = row.body["name"]?.string ?? row.id
        if hasUniqueNames {
            guard try !ObjectRow.hasName(row.name, but: row.id, kind, row.scopeID, call.transaction) else {
                throw APIError.conflict("A \(title) with the name \(row.name.prefix(100)) exists already")
            }
        }
        try complete(&row, call)
    }

    private func delete(_ call: APICall) throws -> APIAnswer {
        let row = try find(call)
        try mayDelete(row, call)
        try row.delete(call.transaction)
        call.transaction.publish(Change(key: key(row, call), value: nil))
        call.audit("delete", kind, row.id, before: .object(audited(row.json)))
        return .result(["id": .string(row.id)])
    }
}
