// `/accounts/{account_id}/martlet/globals` and `…/switches`: what holds on all edges. A new version of a global object is
// rolled out; a switch is thrown everywhere at once.

import ConfigLog
import ConfigModel
import JSON
import Limits

enum Globals {
    private static let path = "/accounts/{account_id}/martlet/globals"
    private static let one = path + "/{kind}/{id}"
    private static let count = BodySchema.integer(0...Int64.max)
    private static let shape = BodySchema.named(
        "GlobalObject",
        .object([
            .readOnly("kind", .choice(GlobalKind.allCases.map(\.rawValue))), .readOnly("id", .text(64)),
            .readOnly("version", count), .readOnly("body", .anything, "Null while it is being taken away."),
            .readOnly("previous", .anything, "What holds where the new version has not come."),
            .readOnly("stage", .object([.readOnly("canary", .boolean), .readOnly("percent", .integer(0...100))])),
            .readOnly("salt", .text(64)), .readOnly("modified_on", .time),
            .readOnly("rollout", .nullable(.id), "The newest of its roll-outs."),
        ]))
    private static let soak = Route.Parameter(
        name: "soak_seconds", schema: .integer(Limits.rolloutSoakSecondsRange),
        about: "How long each stage is watched; \(Limits.rolloutSoakSecondsDefault) unless given.")
    private static let locks: @Sendable ([String: String]) -> [String] = {
        ["global/\($0["kind"] ?? "")/\($0["id"] ?? "")"]
    }

    static let routes: [Route] = [
        Route(
            .get, path, "Global objects", "List global objects", needs: Nodes.read, isPaged: true,
            result: .array(shape, count: 0...Limits.apiObjectsPerPageMax), handle: list),
        Route(.get, one, "Global objects", "Show a global object", needs: Nodes.read, result: shape) { call in
            .result(try json(existing(call), call.transaction))
        },
        Route(
            .put, one, "Global objects", "Set a global object; it is rolled out in stages", needs: Nodes.write,
            query: [soak], payload: .json(.map(.anything)), result: shape, locks: locks
        ) { call in
            let (kind, id) = try target(call)
            guard call.body.bytes.count <= Limits.globalBodyBytesMax else { throw APIError.bodyTooLarge }
            do throws(ConfigurationError) {
                try kind.check(call.body)
            } catch {
                let problem = error.errors.first
                let help = problem?.help.map { " (\($0))" } ?? ""
                throw APIError(400, 1004, "Validation failed: \(problem?.message ?? "the body")\(help)")
            }
            return .result(try json(begin(kind, id, body: call.body, call), call.transaction))
        },
        Route(
            .delete, one, "Global objects", "Take a global object away, in stages", needs: Nodes.write, query: [soak],
            result: shape, locks: locks
        ) { call in
            let row = try existing(call)
            return .result(try json(begin(row.kind, row.id, body: Optional<JSONValue>.none, call), call.transaction))
        },
    ]

    private static func target(_ call: APICall) throws -> (GlobalKind, String) {
        try FleetAccount.check(call)
        let (name, id) = (call.parameter("kind"), call.parameter("id"))
        guard let kind = GlobalKind(rawValue: name), kind.ids.contains(id) else {
            let known = GlobalKind.allCases.flatMap { kind in kind.ids.map { "\(kind.rawValue)/\($0)" } }
            throw APIError(
                404, 7003,
                "There is no kind of global object \("\(name)/\(id)".prefix(64)): expected \(known.joined(separator: ", "))"
            )
        }
        return (kind, id)
    }

    private static func existing(_ call: APICall) throws -> GlobalRow {
        let (kind, id) = try target(call)
        guard let row = try GlobalRow.find(kind, id, call.transaction) else {
            throw APIError.notFound("global object", "\(kind.rawValue)/\(id)")
        }
        return row
    }

    private static func json(_ row: GlobalRow, _ transaction: Transaction) throws -> JSONObject {
        let rollout = try RolloutRow.newest(row.kind, row.id, transaction)?.id
        return [
            "kind": .string(row.kind.rawValue), "id": .string(row.id),
            "version": .number(JSONNumber(row.object.version)), "body": row.object.body ?? .null,
            "previous": row.object.previous ?? .null,
            "stage": [
                "canary": .boolean(row.object.stage.hasCanaries),
                "percent": .number(JSONNumber(row.object.stage.percent)),
            ],
            "salt": .string(row.object.salt), "modified_on": row.modifiedOn.json,
            "rollout": rollout.map { .string($0) } ?? .null,
        ]
    }

    private static func list(_ call: APICall) throws -> APIAnswer {
        try FleetAccount.check(call)
        let rows = try GlobalKind.allCases.flatMap { kind in
            try kind.ids.compactMap { try GlobalRow.find(kind, $0, call.transaction) }
        }
        let paging = try call.paging()
        let page = paging.slice(rows)
        return .page(
            try page.map { .object(try json($0, call.transaction)) }, paging.info(count: page.count, total: rows.count))
    }

    /// Stores the version for nobody yet, and begins its roll-out. What was under way ends; edges that had it go back to the
    /// last version that had come to everybody.
    private static func begin(
        _ kind: GlobalKind, _ id: String, body: JSONValue?, _ call: APICall
    ) throws -> GlobalRow {
        let seconds = Int64(try call.query.integer("soak_seconds") ?? Int(Limits.rolloutSoakSecondsDefault))
        guard Limits.rolloutSoakSecondsRange.contains(seconds) else {
            throw APIError.invalid(
                "soak_seconds",
                "\(Limits.rolloutSoakSecondsRange.lowerBound) to \(Limits.rolloutSoakSecondsRange.upperBound)",
                found: "\(seconds)")
        }
        let existing = try GlobalRow.find(kind, id, call.transaction)
        var last = try RolloutRow.newest(kind, id, call.transaction)
        let isUnderWay = last?.machine.state.isOver == false
        let version = max(existing?.object.version ?? 0, last?.version ?? 0) + 1
        if isUnderWay {
            last?.machine.supersede(by: version)
            last?.note("superseded", "version \(version)", at: call.now)
            try last?.update(at: call.now, call.transaction)
        }
        let salt = StoreID.make()
        let row = GlobalRow(
            kind: kind, id: id,
            object: GlobalObject(
                version: version, body: body, previous: isUnderWay ? existing?.object.previous : existing?.object.body,
                stage: .nobody, salt: salt), modifiedOn: call.now)
        try row.store(at: call.now, call.transaction)
        var rollout = RolloutRow(
            kind: kind, objectID: id, version: version,
            machine: Rollout(salt: salt, soakMilliseconds: seconds * 1000), at: call.now)
        rollout.note("begun", call.caller.name, at: call.now)
        try rollout.insert(call.transaction)
        call.audit(
            body == nil ? "delete" : "update", "global", row.name, before: existing?.object.body,
            after: body)
        return row
    }
}

enum Switches {
    private static let path = "/accounts/{account_id}/martlet/switches"
    private static let shape = BodySchema.named(
        "Switch",
        .object([
            .readOnly("name", .choice(GlobalSwitch.allCases.map(\.rawValue))), .required("enabled", .boolean),
            .readOnly("modified_on", .nullable(.time)),
        ]))

    static let routes: [Route] = [
        Route(
            .get, path, "Global objects", "List what can be turned off everywhere", needs: Nodes.read,
            result: .array(shape, count: 0...64)
        ) { call in
            try FleetAccount.check(call)
            return .result(.array(try GlobalSwitch.allCases.map { .object(try json($0, call.transaction)) }))
        },
        Route(
            .put, path + "/{name}", "Global objects", "Turn something off, or on again, on all edges at once",
            needs: Nodes.write, payload: .json(shape), result: shape, locks: { ["switch/\($0["name"] ?? "")"] }
        ) { call in
            try FleetAccount.check(call)
            guard let name = GlobalSwitch(rawValue: call.parameter("name")) else {
                throw APIError(
                    404, 7003,
                    "There is no such switch: expected one of \(GlobalSwitch.allCases.map(\.rawValue).joined(separator: ", "))"
                )
            }
            let before = try json(name, call.transaction)
            let version = try row(name, call.transaction)?.version ?? 0
            let object = GlobalSwitch.object(isEnabled: call.body["enabled"]?.boolean ?? true, version: version + 1)
            try GlobalRow.put(GlobalRow.switchKind, "", name.rawValue, object.encoded, at: call.now, call.transaction)
            call.transaction.publish(Change(key: name.key, value: object.encoded))
            let after = try json(name, call.transaction)
            call.audit("update", "switch", name.rawValue, before: .object(before), after: .object(after))
            return .result(after)
        },
    ]

    private static func row(_ name: GlobalSwitch, _ transaction: Transaction) throws -> ObjectRow? {
        try ObjectRow.find(GlobalRow.switchKind, "", name.rawValue, transaction)
    }

    private static func json(_ name: GlobalSwitch, _ transaction: Transaction) throws -> JSONObject {
        let row = try row(name, transaction)
        let isOn =
            try row.map { GlobalSwitch.isOn(try GlobalObject(decoding: JSONValue.object($0.body).bytes)) } ?? true
        return [
            "name": .string(name.rawValue), "enabled": .boolean(isOn), "modified_on": row?.modifiedOn.json ?? .null,
        ]
    }
}
