// How one object comes back to what it was: as a call of the API itself, so that it is checked, noted and published like any
// other. And what cannot come back, with the reason.

import JSON

/// One call of a rollback.
struct UndoStep: Sendable {
    var action: String
    var method: String
    var path: String
    var body: JSONValue
    /// Of an object that comes back under its identifier.
    var restoredID: String?
    var resource: String
    var scope: String
    var summary: String
}

/// Why something stays as it is.
struct UndoRefusal: Error, Sendable {
    let reason: String
}

enum ConfigUndo {
    /// Kinds in the order they are made in: what others refer to comes first.
    static let order = [
        "account", "zone", "monitor", "pool", "list", "list_item", "ruleset", "setting", "site", "dns_record",
        "load_balancer", "healthcheck", "pagerule", "switch", "global",
    ]

    private static let refusals: [String: String] = [
        "certificate": "its private key is not kept in the log: upload it again",
        "token": "tokens do not come back: make another one", "user": "users are not part of the configuration",
        "join_token": "join tokens do not come back: make another one",
        "node": "nodes are let in and revoked by hand", "rollout": "roll-outs are paused, promoted and aborted by hand",
        "fleet_authority": "there is one certificate authority",
    ]

    /// Nil: it can be undone.
    static func refusal(of entry: HistoryEntry) -> String? {
        if let reason = refusals[entry.kind] { return reason }
        switch entry.action {
        case "purge": return "what was purged does not come back"
        case "import": return "the records that it added are changes of their own"
        case "rollback": return "what it did are changes of their own"
        case "rollout": return "roll-outs are paused, promoted and aborted by hand"
        default: break
        }
        if entry.kind == "setting", entry.objectID == "development_mode" { return "development mode ends by itself" }
        if isPartial(entry.before) { return headerReason }
        return order.contains(entry.kind) ? nil : "changes of this kind are not undone"
    }

    private static let headerReason = "the values of its header are not kept in the log: set them again"

    /// Whether the log left something out.
    private static func isPartial(_ text: String?) -> Bool {
        text?.contains(JSONValue.string(ObjectKind.notKept).text) ?? false
    }

    /// The call that takes an object from what it is to what it was.
    ///
    /// - Parameters:
    ///   - wanted: What it was; nil: it was not there.
    ///   - current: What it is.
    /// - Throws: `UndoRefusal`.
    static func step(_ entry: HistoryEntry, wanted: String?, current: String?) throws -> UndoStep {
        if let reason = refusals[entry.kind] { throw UndoRefusal(reason: reason) }
        let (was, isNow) = (HistoryChange.essence(wanted), HistoryChange.essence(current))
        guard let paths = paths(entry) else { throw UndoRefusal(reason: "changes of this kind are not undone") }
        let action = was == nil ? "delete" : isNow == nil ? "create" : "update"
        var step = UndoStep(
            action: action, method: "DELETE", path: paths.one, body: .null, restoredID: nil, resource: entry.resource,
            scope: entry.scope, summary: "\(action) \(summary(entry, was ?? isNow))")
        guard let was else {
            if entry.kind == "list_item" {
                step.path = paths.all
                let id = entry.objectID.split(separator: "/").last.map(String.init) ?? ""
                step.body = ["items": [["id": .string(id)]]]
            }
            return step
        }
        (step.method, step.body) = ("PUT", was)
        if isNow == nil {
            (step.method, step.path, step.restoredID) = ("POST", paths.all, entry.objectID)
        }
        try adapt(&step, entry, was, isNow)
        return step
    }

    private static func summary(_ entry: HistoryEntry, _ value: JSONValue?) -> String {
        let name = value?["name"]?.string ?? entry.objectID
        return "\(entry.kind.replacing("_", with: " ")) \(name.prefix(100))"
    }

    /// Where the object is changed, and where its kind is made.
    private static func paths(_ entry: HistoryEntry) -> (one: String, all: String)? {
        guard let account = entry.accountID else { return nil }
        let id = entry.objectID
        let owner = entry.zoneID.map { "/zones/\($0)" } ?? "/accounts/\(account)"
        let all: String
        switch entry.kind {
        case "account": return ("/accounts/\(account)", "/accounts")
        case "zone": all = "/zones"
        case "site": return ("\(owner)/martlet/site", "\(owner)/martlet/site")
        case "dns_record": all = owner + "/dns_records"
        case "setting": all = owner + "/settings"
        case "load_balancer": all = owner + "/load_balancers"
        case "healthcheck": all = owner + "/healthchecks"
        case "pagerule": all = owner + "/pagerules"
        case "ruleset": all = owner + "/rulesets"
        case "monitor", "pool": all = "/accounts/\(account)/load_balancers/\(entry.kind)s"
        case "list": all = "/accounts/\(account)/rules/lists"
        case "list_item":
            let parts = id.split(separator: "/")
            guard parts.count == 2 else { return nil }
            let items = "/accounts/\(account)/rules/lists/\(parts[0])/items"
            return ("\(items)/\(parts[1])", items)
        case "switch": all = "/accounts/\(account)/martlet/switches"
        case "global": all = "/accounts/\(account)/martlet/globals"
        default: return nil
        }
        return ("\(all)/\(id)", all)
    }

    /// What is particular to a kind.
    private static func adapt(
        _ step: inout UndoStep, _ entry: HistoryEntry, _ was: JSONValue, _ isNow: JSONValue?
    ) throws {
        switch entry.kind {
        case "setting":
            guard entry.objectID != "development_mode" else {
                throw UndoRefusal(reason: "development mode ends by itself")
            }
            (step.method, step.body, step.restoredID) = ("PATCH", ["value": was], nil)
            step.path = paths(entry)?.one ?? step.path
        case "site", "switch", "global", "account":
            (step.method, step.restoredID) = ("PUT", nil)
            step.path = paths(entry)?.one ?? step.path
        case "zone":
            if isNow == nil {
                step.body = [
                    "name": was["name"] ?? .null, "type": was["type"] ?? "full",
                    "account": ["id": was["account"]?["id"] ?? .null], "paused": was["paused"] ?? false,
                    "vanity_name_servers": was["vanity_name_servers"] ?? [],
                ]
            } else {
                step.method = "PATCH"
                step.body = [
                    "paused": was["paused"] ?? false, "type": was["type"] ?? "full",
                    "vanity_name_servers": was["vanity_name_servers"] ?? [],
                ]
            }
        case "monitor":
            guard isPartial(was.text) else { return }
            guard isNow?["header"] == was["header"], var body = was.object else {
                throw UndoRefusal(reason: headerReason)
            }
            body["header"] = Optional<JSONValue>.none
            (step.method, step.body) = ("PATCH", .object(body))
        case "pool":
            guard !isPartial(was.text) else { throw UndoRefusal(reason: headerReason) }
        case "list_item":
            let id = entry.objectID.split(separator: "/").last.map(String.init)
            guard let item = was.object else { throw UndoRefusal(reason: "the log does not have the item") }
            (step.method, step.path, step.restoredID) = ("POST", paths(entry)?.all ?? step.path, id)
            step.body = [.object(item)]
        default: break
        }
    }
}
