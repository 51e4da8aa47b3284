// Back to how things were right after a change. All that came later is undone object by object, each by a call of the API as
// anybody could make it: with the caller's own permissions, checked, noted and published. All of it or nothing.

import JSON
import Limits

enum ConfigRollback {
    struct Plan: Sendable {
        var steps: [UndoStep] = []
        var skipped: [(resource: String, reason: String)] = []
    }

    /// What the steps must not be disturbed in: the locks of the routes that they call.
    static func locks(_ call: APICall) throws -> [String] {
        let scopes = Set(
            try plan(call).steps.flatMap { step -> [String] in
                guard let (route, parameters) = route(step) else { return [] }
                return route.locks(parameters)
            })
        guard scopes.count < Limits.storeScopesMax else {
            throw APIError.conflict("This goes over too many zones at once: go by zone")
        }
        return ["config/rollback"] + scopes.sorted()
    }

    static func answer(_ call: APICall) throws -> APIAnswer {
        let to = call.body["to"]?.string ?? ""
        let isDry = call.body["dry_run"]?.boolean ?? false
        let plan = try plan(call)
        if !isDry, !plan.steps.isEmpty {
            for (number, step) in plan.steps.enumerated() { try perform(step, number + 1, call) }
            call.audit(
                "rollback", "config", to,
                after: [
                    "to": .string(to), "steps": .number(JSONNumber(plan.steps.count)),
                    "skipped": .number(JSONNumber(plan.skipped.count)),
                ])
        }
        let steps = plan.steps.map { step -> JSONValue in
            [
                "action": .string(step.action), "resource": .string(step.resource), "scope": .string(step.scope),
                "method": .string(step.method), "path": .string(step.path), "summary": .string(step.summary),
            ]
        }
        return .result([
            "to": .string(to), "dry_run": .boolean(isDry), "steps": .array(steps),
            "skipped": .array(
                plan.skipped.map { ["resource": .string($0.resource), "reason": .string($0.reason)] }),
        ])
    }

    // MARK: The plan

    static func plan(_ call: APICall) throws -> Plan {
        let zone = call.body["zone"]?.string
        let place = try ConfigHistory.place(zone, call)
        let target = try ConfigHistory.entry(call.body["to"]?.string ?? "", place, call)
        let entries = try HistoryEntry.between(target.id, Optional<String>.none, place, call.transaction)
        var plan = Plan()
        for entry in entries where entry.before == nil && entry.after == nil || entry.action == "purge" {
            plan.skipped.append((entry.resource, ConfigUndo.refusal(of: entry) ?? "the log does not say what it was"))
        }
        let isUndone: (HistoryEntry) -> Bool = { !["purge", "rollback", "rollout", "import"].contains($0.action) }
        let changes = HistoryChange.all(entries.filter(isUndone)).filter { !$0.isNothing }
        // What is in a zone that goes again goes with it.
        let made = Set(changes.filter { $0.entry.kind == "zone" && $0.before == nil }.map(\.entry.objectID))
        for change in changes {
            if change.entry.kind != "zone", let zone = change.entry.zoneID, made.contains(zone) { continue }
            if change.entry.kind == "zone", change.before == nil, change.after == nil { continue }
            do {
                plan.steps.append(
                    try ConfigUndo.step(change.entry, wanted: change.before, current: change.after))
            } catch let refusal as UndoRefusal {
                plan.skipped.append((change.entry.resource, refusal.reason))
            }
        }
        plan.steps = sorted(plan.steps)
        return plan
    }

    /// Records that go make room; then comes what others need, before those; what nobody needs any more goes last.
    private static func sorted(_ steps: [UndoStep]) -> [UndoStep] {
        func rank(_ step: UndoStep) -> (Int, Int) {
            let kind = step.resource.prefix { $0 != "/" }
            let place = ConfigUndo.order.firstIndex { $0 == kind } ?? ConfigUndo.order.count
            guard step.action == "delete" else { return (1, place) }
            return kind == "dns_record" || kind == "list_item" ? (0, place) : (2, -place)
        }
        return steps.enumerated().sorted { left, right in
            let (one, other) = (rank(left.element), rank(right.element))
            return one != other ? one < other : left.offset < right.offset
        }.map(\.element)
    }

    // MARK: Performing

    private static let table = RouteTable(APIRoutes.all)

    private static func route(_ step: UndoStep) -> (Route, [String: String])? {
        guard case .route(let route, let parameters) = table.find(step.method, step.path[...]) else { return nil }
        return (route, parameters)
    }

    private static func perform(_ step: UndoStep, _ number: Int, _ call: APICall) throws {
        guard let (route, parameters) = route(step) else {
            throw APIError(409, 1003, "Step \(number), \(step.summary): there is no \(step.method) \(step.path)")
        }
        do {
            let account = try APIService.account(route, parameters, call.caller, call.transaction)
            let zone = try APIService.zone(route, parameters, call.caller, call.transaction)
            try APIService.check(route, parameters, call.caller, zone, account)
            switch route.payload {
            case .json(let schema, let isPartial): try schema.check(step.body, isPartial: isPartial)
            case .none, .optional, .file: break
            }
            _ = try route.handle(
                APICall(
                    route: route, parameters: parameters, query: Query.none, body: step.body, form: FormFile(),
                    caller: call.caller, now: call.now, requestID: call.requestID, transaction: call.transaction,
                    zone: zone, account: account, restoredID: step.restoredID))
        } catch let error as APIError {
            throw APIError(
                error.status, error.code, "Step \(number), \(step.summary): \(error.message)", chain: error.chain)
        }
    }
}
