// `/accounts/{account_id}/audit_logs` and `/user/audit_logs`: who changed what.

import JSON
import Limits

enum AuditLogs {
    static let routes: [Route] = [
        Route(
            .get, "/accounts/{account_id}/audit_logs", "Audit Logs", "List the changes of an account and its zones",
            needs: .account(.account("Account Audit Logs", .read)), query: parameters, isPaged: true
        ) { call in
            let account = try call.theAccount()
            return try list(
                call, "(scope = ? OR scope LIKE ?)",
                [.text("account/\(account.id)"), .text("account/\(account.id)/%")])
        },
        Route(
            .get, "/user/audit_logs", "Audit Logs", "List the changes of the user",
            needs: .user(.user("User Details", .read)), query: parameters, isPaged: true
        ) { call in
            let userID = call.caller.userID ?? ""
            return try list(call, "scope = ?", [.text("user/\(userID)")])
        },
    ]

    private static let parameters: [Route.Parameter] = [
        .init(name: "since", schema: .time, about: "Not before."),
        .init(name: "before", schema: .time, about: "Not after."),
        .init(name: "action.type", schema: .text(64), about: ""),
        .init(name: "direction", schema: .choice(["asc", "desc"]), about: "Newest first, unless asc."),
    ]

    private static func list(_ call: APICall, _ scope: String, _ values: [SQLValue]) throws -> APIAnswer {
        var condition = scope
        var values = values
        for (name, comparison) in [("since", ">="), ("before", "<=")] {
            guard let text = call.query[name] else { continue }
            guard let time = APITime(parsing: text) else {
                throw APIError.invalid(name, "a time such as 2030-01-31T12:00:00Z", found: text)
            }
            condition += " AND at \(comparison) ?"
            values.append(.integer(time.microseconds))
        }
        if let action = call.query["action.type"] {
            condition += " AND action = ?"
            values.append(.text(action))
        }
        let direction = try call.query.choice("direction", ["asc", "desc"]) ?? "desc"
        let paging = try call.paging(standard: 100, maximum: Limits.apiObjectsPerPageMax)
        let rows = try call.transaction.query(
            """
            SELECT id, at, actor, action, resource, scope, before, after, request_id FROM audit WHERE \(condition) \
            ORDER BY id \(direction) LIMIT ? OFFSET ?
            """, values + [SQLValue(paging.perPage), SQLValue(paging.offset)])
        let total = Int(
            try call.transaction.first("SELECT count(*) FROM audit WHERE \(condition)", values)?.integer(0) ?? 0)
        return .page(try rows.map(shown), paging.info(count: rows.count, total: total))
    }

    private static func shown(_ row: SQLRow) throws -> JSONValue {
        let resource = try row.text(4).split(separator: "/", maxSplits: 1).map(String.init)
        let actor = try row.text(2).split(separator: "/", maxSplits: 1).map(String.init)
        return [
            "id": .string(try row.text(0)), "when": APITime(microseconds: try row.integer(1)).json,
            "action": ["type": .string(try row.text(3)), "result": true],
            "actor": ["type": .string(actor.first ?? ""), "id": .string(actor.count > 1 ? actor[1] : "")],
            "resource": ["type": .string(resource.first ?? ""), "id": .string(resource.count > 1 ? resource[1] : "")],
            "owner": ["id": .string(try row.text(5))], "interface": "API",
            "oldValue": .string(try row.textOrNil(6) ?? ""), "newValue": .string(try row.textOrNil(7) ?? ""),
            "metadata": ["request_id": .string(try row.text(8))],
        ]
    }
}
