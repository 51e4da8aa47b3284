// `/accounts/{account_id}/rules/lists`: lists of addresses, hosts, numbers or redirects that rules refer to by name.
// Changes of items are done when their answer is sent; clients that ask for the operation find it completed. Items are rows,
// and keys for the edges, of their own (`ListItems`).

import ConfigLog
import JSON
import Limits

enum RulesLists {
    private static let read = Need.account(.account("Account Filter Lists", .read))
    private static let write = Need.account(.account("Account Filter Lists", .write))
    private static let root = "/accounts/{account_id}/rules/lists"
    private static let one = root + "/{list_id}"
    private static let items = one + "/items"

    private static let kinds = ["ip", "redirect", "hostname", "asn"]
    private static let item = BodySchema.object([
        .optional("ip", .string(1...64, .address)), .optional("asn", .integer(0...0xffff_ffff)),
        .optional("hostname", .object([.required("url_hostname", .string(1...253, .hostname))])),
        .optional("redirect", .map(.anything)), .optional("comment", .nullable(.text(500))),
    ])
    private static let itemsShape = BodySchema.array(item, count: 0...Limits.apiListItemsMax)

    private static let locks: @Sendable ([String: String]) -> [String] = { ["list/\($0["account_id"] ?? "")"] }

    static let routes: [Route] = [
        Route(.get, root, "Lists", "List the lists", needs: read, handle: list),
        Route(
            .post, root, "Lists", "Create a list", needs: write,
            payload: .json(
                .object([
                    .required("name", .string(1...50), "Lower-case letters, digits and _"),
                    .required("kind", .choice(kinds)), .optional("description", .text(500)),
                ])), locks: locks, handle: create),
        Route(.get, one, "Lists", "Show a list", needs: read) { .result(try shown(find($0), $0)) },
        Route(
            .put, one, "Lists", "Change a list's description", needs: write,
            payload: .json(.object([.optional("description", .text(500))])), locks: locks, handle: update),
        Route(.delete, one, "Lists", "Delete a list with its items", needs: write, locks: locks, handle: delete),
        Route(.get, items, "Lists", "List a list's items", needs: read, handle: listItems),
        Route(
            .post, items, "Lists", "Add items, or replace those that are alike", needs: write,
            payload: .json(itemsShape), locks: locks
        ) {
            try change($0, isWhole: false)
        },
        Route(.put, items, "Lists", "Replace all items", needs: write, payload: .json(itemsShape), locks: locks) {
            try change($0, isWhole: true)
        },
        Route(
            .delete, items, "Lists", "Remove items", needs: write,
            payload: .json(
                .object([.required("items", .array(.object([.required("id", .id)]), count: 0...Limits.apiListItemsMax))]
                )),
            locks: locks, handle: removeItems),
        Route(.get, items + "/{item_id}", "Lists", "Show an item", needs: read, handle: showItem),
        Route(.get, root + "/bulk_operations/{operation_id}", "Lists", "How a change of items went", needs: read) {
            call in
            .result(["id": .string(call.parameter("operation_id")), "status": "completed", "completed": call.now.json])
        },
    ]

    private static func find(_ call: APICall) throws -> ObjectRow {
        let id = call.parameter("list_id")
        guard let row = try ObjectRow.find("list", call.theAccount().id, id, call.transaction) else {
            throw APIError.notFound("list", id)
        }
        return row
    }

    private static func shown(_ list: ObjectRow, _ call: APICall) throws -> JSONObject {
        shown(list, count: try ListItems.count([list.id], call.transaction)[list.id] ?? 0)
    }

    private static func shown(_ list: ObjectRow, count: Int) -> JSONObject {
        var shown = list.json
        shown["num_items"] = .number(JSONNumber(count))
        shown["num_referencing_filters"] = 0
        return shown
    }

    private static func list(_ call: APICall) throws -> APIAnswer {
        let rows = try ObjectRow.all("list", call.theAccount().id, call.transaction)
        let counts = try ListItems.count(rows.map(\.id), call.transaction)
        return .result(.array(rows.map { .object(shown($0, count: counts[$0.id] ?? 0)) }))
    }

    private static func create(_ call: APICall) throws -> APIAnswer {
        let account = try call.theAccount()
        let name = call.body["name"]?.string ?? ""
        guard
            name.utf8.allSatisfy({ byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                    || byte == UInt8(ascii: "_")
            })
        else { throw APIError.invalid("name", "lower-case letters, digits and _", found: name) }
        try ObjectRow.requireRoom(Limits.apiListsMax, "lists", "list", account.id, call.transaction)
        guard try !ObjectRow.hasName(name, but: "", "list", account.id, call.transaction) else {
            throw APIError.conflict("A list with the name \(name) exists already")
        }
        let list = ObjectRow(
            kind: "list", scopeID: account.id, id: call.newID(), name: name,
            body: [
                "name": .string(name), "kind": call.body["kind"] ?? "ip", "description": call.body["description"] ?? "",
            ], at: call.now)
        try list.insert(call.transaction)
        publish(list, call)
        call.audit("create", "list", list.id, after: .object(try shown(list, call)))
        return .result(try shown(list, call))
    }

    private static func publish(_ list: ObjectRow, _ call: APICall) {
        call.transaction.publish(
            Change(key: "account/\(list.scopeID)/list/\(list.id)", value: JSONValue.object(list.body).bytes))
    }

    private static func update(_ call: APICall) throws -> APIAnswer {
        var list = try find(call)
        let before = try shown(list, call)
        if let text = call.body["description"] { list.body["description"] = text }
        try list.update(at: call.now, call.transaction)
        publish(list, call)
        let after = try shown(list, call)
        call.audit("update", "list", list.id, before: .object(before), after: .object(after))
        return .result(after)
    }

    private static func delete(_ call: APICall) throws -> APIAnswer {
        let list = try find(call)
        let before = try shown(list, call)
        try ListItems.change(list, remove: .all, add: [], call)
        try list.delete(call.transaction)
        call.transaction.publish(Change(key: "account/\(list.scopeID)/list/\(list.id)", value: nil))
        call.audit("delete", "list", list.id, before: .object(before))
        return .result(["id": .string(list.id)])
    }

    // MARK: Items

    private static func listItems(_ call: APICall) throws -> APIAnswer {
        let list = try find(call)
        let perPage = min(max(try call.query.integer("per_page") ?? 25, 1), 500)
        // The cursor is the identifier of the last item that was shown.
        let found = try ListItems.page(
            list, after: call.query["cursor"], search: call.query["search"], limit: perPage + 1, call.transaction)
        let page = found.prefix(perPage).map { JSONValue.object($0.json) }
        var info: JSONObject = ["count": .number(JSONNumber(page.count)), "per_page": .number(JSONNumber(perPage))]
        if found.count > page.count, let last = page.last?["id"] { info["cursors"] = ["after": last] }
        return .cursor(page, .object(info))
    }

    private static func showItem(_ call: APICall) throws -> APIAnswer {
        let id = call.parameter("item_id")
        guard let item = try ObjectRow.find(ListItems.kind, find(call).id, id, call.transaction) else {
            throw APIError.notFound("item", id)
        }
        return .result(item.json)
    }

    private static func change(_ call: APICall, isWhole: Bool) throws -> APIAnswer {
        let list = try find(call)
        let kind = list.body["kind"]?.string ?? ""
        let given = try (call.body.array ?? []).enumerated().map { index, item -> (JSONValue, JSONValue) in
            guard let value = item[kind], !value.isNull else {
                throw APIError.invalid("\(index).\(kind)", "a value: the list is one of \(kind)", found: "nothing")
            }
            if kind == "redirect" { try redirectCheck(value, at: "\(index).redirect") }
            return (value, item["comment"] ?? .null)
        }
        try ListItems.change(list, remove: isWhole ? .others : .nothing, add: given, call)
        return .result(["operation_id": .string(StoreID.make())])
    }

    private static func redirectCheck(_ value: JSONValue, at path: String) throws(APIError) {
        guard let object = value.object else { throw .invalid(path, "an object", found: value.kind) }
        for name in ["source_url", "target_url"] {
            guard let text = object[name]?.string, (1...2048).contains(text.utf8.count) else {
                throw .invalid("\(path).\(name)", "a URL", found: object[name].map(BodySchema.shown) ?? "nothing")
            }
        }
        if let code = object["status_code"]?.integer, ![301, 302, 307, 308].contains(code) {
            throw .invalid("\(path).status_code", "301, 302, 307 or 308", found: "\(code)")
        }
    }

    private static func removeItems(_ call: APICall) throws -> APIAnswer {
        let gone = Set((call.body["items"]?.array ?? []).compactMap { $0["id"]?.string })
        try ListItems.change(find(call), remove: .these(gone), add: [], call)
        return .result(["operation_id": .string(StoreID.make())])
    }
}
