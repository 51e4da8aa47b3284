// `…/rulesets` of zones and accounts: lists of rules, of which each phase of a request has one that it begins with.
// Shape is checked here; expressions are kept as they are written.

import ConfigLog
import JSON
import Limits

struct Rulesets: Sendable {
    static let routes =
        Rulesets(
            root: "/zones/{zone_id}/rulesets", subject: .zone("Zone WAF", .read), write: .zone("Zone WAF", .write),
            standardKind: "zone"
        ).routes
        + Rulesets(
            root: "/accounts/{account_id}/rulesets", subject: .account("Account Rulesets", .read),
            write: .account("Account Rulesets", .write), standardKind: "root"
        ).routes

    private let root: String
    private let read: Need
    private let write: Need
    /// Of the ruleset that a phase begins with.
    private let standardKind: String

    private init(root: String, subject: Permission, write: Permission, standardKind: String) {
        self.root = root
        read = subject.scope == .zone ? .zone(subject) : .account(subject)
        self.write = write.scope == .zone ? .zone(write) : .account(write)
        self.standardKind = standardKind
    }

    private static let phases = [
        "ddos_l4", "ddos_l7", "http_config_settings", "http_custom_errors", "http_log_custom_fields", "http_ratelimit",
        "http_request_cache_settings", "http_request_dynamic_redirect", "http_request_firewall_custom",
        "http_request_firewall_managed", "http_request_late_transform", "http_request_origin", "http_request_redirect",
        "http_request_sanitize", "http_request_sbfm", "http_request_transform", "http_response_cache_settings",
        "http_response_compression", "http_response_firewall_managed", "http_response_headers_transform",
        "magic_transit",
        "magic_transit_ids_managed", "magic_transit_managed", "magic_transit_ratelimit",
    ]
    private static let actions = [
        "block", "challenge", "compress_response", "ddos_dynamic", "execute", "force_connection_close", "js_challenge",
        "log",
        "log_custom_field", "managed_challenge", "redirect", "rewrite", "route", "score", "serve_error",
        "set_cache_control", "set_cache_settings", "set_cache_tags", "set_config", "skip",
    ]
    private static let ruleMembers: [BodySchema.Member] = [
        .required("action", .choice(actions)), .required("expression", .string(1...65_536)),
        .optional("action_parameters", .nullable(.map(.anything))), .optional("description", .nullable(.text(500))),
        .optional("enabled", .boolean), .optional("ref", .text(100)), .optional("logging", .map(.anything)),
        .optional("ratelimit", .map(.anything)), .optional("exposed_credential_check", .map(.anything)),
        .optional("position", .map(.anything), "before, after (identifiers) or index (from 1)."),
        .readOnly("id", .id), .readOnly("version", .text(16)), .readOnly("last_updated", .time),
    ]
    private static let rule = BodySchema.named("Rule", .object(ruleMembers))
    private static func shape(isNew: Bool) -> BodySchema {
        .object([
            BodySchema.Member(name: "name", schema: .text(255), isRequired: isNew),
            BodySchema.Member(name: "kind", schema: .choice(["managed", "custom", "root", "zone"]), isRequired: isNew),
            BodySchema.Member(name: "phase", schema: .choice(phases), isRequired: isNew),
            .optional("description", .text(1000)),
            .optional("rules", .nullable(.array(rule, count: 0...Limits.apiRulesMax))),
        ])
    }

    private var routes: [Route] {
        let one = root + "/{ruleset_id}"
        let entry = root + "/phases/{phase}/entrypoint"
        let locks: @Sendable ([String: String]) -> [String] = { ["ruleset/\($0["zone_id"] ?? $0["account_id"] ?? "")"] }
        let tag = "Rulesets"
        return [
            Route(.get, root, tag, "List rulesets, without their rules", needs: read, handle: list),
            Route(
                .post, root, tag, "Create a ruleset", needs: write, payload: .json(Self.shape(isNew: true)),
                locks: locks, handle: create),
            Route(.get, entry, tag, "Show the ruleset that a phase begins with", needs: read) {
                .result(try shown(entrypoint($0)))
            },
            Route(
                .put, entry, tag, "Replace the ruleset that a phase begins with", needs: write,
                payload: .json(Self.shape(isNew: false)), locks: locks, handle: putEntrypoint),
            Route(.get, one, tag, "Show a ruleset", needs: read) { .result(try shown(find($0))) },
            Route(
                .put, one, tag, "Replace a ruleset's rules", needs: write, payload: .json(Self.shape(isNew: false)),
                locks: locks
            ) { call in
                var row = try find(call)
                try replace(&row, call)
                return .result(try shown(row))
            },
            Route(.delete, one, tag, "Delete a ruleset", needs: write, locks: locks, handle: delete),
            Route(
                .post, one + "/rules", tag, "Add a rule", needs: write, payload: .json(Self.rule), locks: locks,
                handle: addRule),
            Route(
                .patch, one + "/rules/{rule_id}", tag, "Change a rule", needs: write,
                payload: .json(.object(Self.ruleMembers), isPartial: true), locks: locks, handle: editRule),
            Route(
                .delete, one + "/rules/{rule_id}", tag, "Delete a rule", needs: write, locks: locks, handle: deleteRule),
        ]
    }

    // MARK: Finding and showing

    private func scope(_ call: APICall) throws -> String { try call.zone?.id ?? call.theAccount().id }

    private func find(_ call: APICall) throws -> ObjectRow {
        let id = call.parameter("ruleset_id")
        guard let row = try ObjectRow.find("ruleset", scope(call), id, call.transaction) else {
            throw APIError(404, 10003, "could not find ruleset \(id.prefix(64))")
        }
        return row
    }

    private func phase(_ call: APICall) throws -> String {
        let phase = call.parameter("phase")
        guard Self.phases.contains(phase) else {
            throw APIError.invalid("phase", "one of \(Self.phases.joined(separator: ", "))", found: phase)
        }
        return phase
    }

    private func entrypointIfAny(_ call: APICall) throws -> ObjectRow? {
        let name = Self.storedName(standardKind, try phase(call))
        return try ObjectRow.named(name, "ruleset", scope(call), call.transaction)
    }

    /// What rulesets are found by: a phase begins with one. The name that people give is in the body.
    private static func storedName(_ kind: String, _ phase: String) -> String { "\(kind)/\(phase)" }

    private func entrypoint(_ call: APICall) throws -> ObjectRow {
        guard let row = try entrypointIfAny(call) else {
            throw APIError(
                404, 10003, "could not find entrypoint ruleset in the \(call.parameter("phase").prefix(64)) phase")
        }
        return row
    }

    private func shown(_ row: ObjectRow, rules: Bool = true) throws -> JSONObject {
        var shown: JSONObject = [
            "id": .string(row.id), "name": row.body["name"] ?? "", "description": row.body["description"] ?? "",
            "kind": row.body["kind"] ?? .null, "phase": row.body["phase"] ?? .null,
            "version": .string("\(row.version)"),
        ]
        if rules { shown["rules"] = row.body["rules"] ?? [] }
        shown["last_updated"] = row.modifiedOn.json
        return shown
    }

    // MARK: Rulesets

    private func list(_ call: APICall) throws -> APIAnswer {
        let rows = try ObjectRow.heads("ruleset", scope(call), call.transaction)
        return .result(.array(try rows.map { .object(try shown($0, rules: false)) }))
    }

    private func create(_ call: APICall) throws -> APIAnswer {
        let kind = call.body["kind"]?.string ?? ""
        guard kind == standardKind || kind == "custom" else {
            throw APIError.invalid("kind", "\(standardKind) or custom, here", found: kind)
        }
        let name = Self.storedName(kind, call.body["phase"]?.string ?? "")
        if kind == standardKind, try ObjectRow.named(name, "ruleset", scope(call), call.transaction) != nil {
            throw APIError(
                409, 20217,
                "A ruleset of this kind exists already in this phase: PUT …/phases/{phase}/entrypoint changes it")
        }
        return .result(try shown(insert(call, kind: kind, phase: call.body["phase"] ?? .null)))
    }

    private func insert(_ call: APICall, kind: String, phase: JSONValue) throws -> ObjectRow {
        try ObjectRow.requireRoom(
            Limits.apiRulesetsMax, "rulesets", "ruleset", scope(call), call.transaction)
        var row = ObjectRow(
            kind: "ruleset", scopeID: try scope(call), id: call.newID(),
            name: Self.storedName(kind, phase.string ?? ""),
            body: [
                "name": call.body["name"] ?? "default", "description": call.body["description"] ?? "",
                "kind": .string(kind), "phase": phase, "rules": [],
            ], at: call.now)
        row.body["rules"] = .array(try rules(call.body["rules"]?.array ?? [], of: row, call))
        try row.insert(call.transaction)
        try row.keepHead(without: "rules", call.transaction)
        publish(row, call)
        call.audit("create", "ruleset", row.id, after: .object(try shown(row)))
        return row
    }

    private func putEntrypoint(_ call: APICall) throws -> APIAnswer {
        guard var row = try entrypointIfAny(call) else {
            return .result(try shown(insert(call, kind: standardKind, phase: .string(phase(call)))))
        }
        try replace(&row, call)
        return .result(try shown(row))
    }

    private func replace(_ row: inout ObjectRow, _ call: APICall) throws {
        let before = try shown(row)
        for name in ["name", "description"] {
            if let text = call.body[name] { row.body[name] = text }
        }
        // Rules that nobody mentions stay, as name and description do; an empty list removes them.
        if let given = call.body["rules"]?.array { row.body["rules"] = .array(try rules(given, of: row, call)) }
        try store(&row, before, call)
    }

    private func store(_ row: inout ObjectRow, _ before: JSONObject, _ call: APICall) throws {
        guard (row.body["rules"]?.array ?? []).count <= Limits.apiRulesMax else {
            throw APIError.invalid("rules", "at most \(Limits.apiRulesMax) rules")
        }
        try row.update(at: call.now, call.transaction)
        try row.keepHead(without: "rules", call.transaction)
        publish(row, call)
        call.audit("update", "ruleset", row.id, before: .object(before), after: .object(try shown(row)))
    }

    private func key(_ row: ObjectRow, _ call: APICall) -> String {
        call.zone.map { $0.key("ruleset/\(row.id)") } ?? "account/\(row.scopeID)/ruleset/\(row.id)"
    }

    private func publish(_ row: ObjectRow, _ call: APICall) {
        call.transaction.publish(Change(key: key(row, call), value: JSONValue.object(row.body).bytes))
    }

    private func delete(_ call: APICall) throws -> APIAnswer {
        let row = try find(call)
        try row.delete(call.transaction)
        call.transaction.publish(Change(key: key(row, call), value: nil))
        call.audit("delete", "ruleset", row.id, before: .object(try shown(row)))
        return APIAnswer(status: 204, body: .raw([], type: "application/json"))
    }

    // MARK: Rules

    /// Rules keep their identifier and version by `id` or `ref`, and get a higher version if they changed.
    private func rules(_ given: [JSONValue], of row: ObjectRow, _ call: APICall) throws -> [JSONValue] {
        let known = row.body["rules"]?.array ?? []
        for name in ["id", "ref"] {
            let values = given.compactMap { $0[name]?.string }
            guard Set(values).count == values.count else { throw APIError.invalid("rules", "no \(name) twice") }
        }
        return try given.enumerated().map { index, rule in
            let before = known.first {
                rule["id"] != nil ? $0["id"] == rule["id"] : rule["ref"] != nil && $0["ref"] == rule["ref"]
            }
            return .object(try completed(rule, before, call, at: "rules.\(index)"))
        }
    }

    private func completed(_ given: JSONValue, _ before: JSONValue?, _ call: APICall, at path: String) throws
        -> JSONObject
    {
        try BodySchema.object(Self.ruleMembers).check(given, at: path)
        let id = before?["id"]?.string ?? StoreID.make()
        var rule: JSONObject = ["id": .string(id), "version": "1"]
        for member in Self.ruleMembers where !member.isReadOnly && member.name != "position" {
            if let value = given[member.name], !value.isNull { rule[member.name] = value }
        }
        rule["enabled"] = rule["enabled"] ?? true
        rule["description"] = rule["description"] ?? ""
        rule["ref"] = rule["ref"] ?? .string(id)
        if rule["action"] == "execute", rule["action_parameters"]?["id"]?.string == nil {
            throw APIError.invalid("\(path).action_parameters.id", "the ruleset to execute", found: "nothing")
        }
        guard let before = before?.object else {
            rule["last_updated"] = call.now.json
            return rule
        }
        var comparable = before
        comparable["last_updated"] = nil
        rule["version"] = before["version"] ?? "1"
        guard comparable != rule else { return before }
        let version = (before["version"]?.string).flatMap { Int($0) } ?? 1
        rule["version"] = .string("\(version + 1)")
        rule["last_updated"] = call.now.json
        return rule
    }

    private func addRule(_ call: APICall) throws -> APIAnswer {
        var row = try find(call)
        let before = try shown(row)
        var rules = row.body["rules"]?.array ?? []
        let rule = JSONValue.object(try completed(call.body, nil, call, at: ""))
        rules.insert(rule, at: try place(call.body["position"], in: rules))
        row.body["rules"] = .array(rules)
        try store(&row, before, call)
        return .result(try shown(row))
    }

    private func place(_ position: JSONValue?, in rules: [JSONValue]) throws(APIError) -> Int {
        guard let position = position?.object, !position.isEmpty else { return rules.count }
        if let index = position["index"]?.integer { return Int(clamping: min(max(index, 1) - 1, Int64(rules.count))) }
        for (name, offset) in [("before", 0), ("after", 1)] {
            guard let id = position[name]?.string else { continue }
            if id.isEmpty { return name == "before" ? 0 : rules.count }
            guard let found = rules.firstIndex(where: { $0["id"]?.string == id }) else {
                throw .invalid("position.\(name)", "a rule of this ruleset", found: id)
            }
            return found + offset
        }
        throw .invalid("position", "index, before or after")
    }

    private func index(_ call: APICall, in rules: [JSONValue]) throws(APIError) -> Int {
        let id = call.parameter("rule_id")
        guard let index = rules.firstIndex(where: { $0["id"]?.string == id }) else {
            throw APIError(404, 10003, "could not find rule \(id.prefix(64))")
        }
        return index
    }

    private func editRule(_ call: APICall) throws -> APIAnswer {
        var row = try find(call)
        let before = try shown(row)
        var rules = row.body["rules"]?.array ?? []
        let index = try index(call, in: rules)
        let old = rules.remove(at: index)
        let merged = (old.object ?? [:]).merging(call.body.object ?? [:])
        let rule = JSONValue.object(try completed(.object(merged), old, call, at: ""))
        rules.insert(rule, at: call.body["position"] == nil ? index : try place(call.body["position"], in: rules))
        row.body["rules"] = .array(rules)
        try store(&row, before, call)
        return .result(try shown(row))
    }

    private func deleteRule(_ call: APICall) throws -> APIAnswer {
        var row = try find(call)
        let before = try shown(row)
        var rules = row.body["rules"]?.array ?? []
        rules.remove(at: try index(call, in: rules))
        row.body["rules"] = .array(rules)
        try store(&row, before, call)
        return .result(try shown(row))
    }
}
