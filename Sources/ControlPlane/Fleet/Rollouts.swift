// `/accounts/{account_id}/martlet/rollouts`: how far a new version of a global object has come, and what people do about it.

import ConfigModel
import JSON
import Limits

enum Rollouts {
    private static let path = "/accounts/{account_id}/martlet/rollouts"
    private static let count = BodySchema.integer(0...Int64.max)
    static let shape = BodySchema.named(
        "Rollout",
        .object([
            .readOnly("id", .id), .readOnly("kind", .choice(GlobalKind.allCases.map(\.rawValue))),
            .readOnly("object_id", .text(64)), .readOnly("version", count),
            .readOnly(
                "state", .choice(["running", "paused", "done", "rolled_back", "aborted", "superseded"])),
            .readOnly("stage", .nullable(.choice(Rollout.Stage.allCases.map(\.rawValue)))),
            .readOnly("soak_seconds", count), .readOnly("stage_started_on", .nullable(.time)),
            .readOnly("reason", .text(1000), "Why it was taken back."),
            .readOnly("nodes", count, "Edges that are watched in this stage."), .readOnly("created_on", .time),
            .readOnly("modified_on", .time),
            .readOnly("events", .array(.map(.anything), count: 0...Limits.rolloutEventsMax)),
        ]))

    static let routes: [Route] =
        [
            Route(
                .get, path, "Global objects", "List roll-outs, newest first", needs: Nodes.read, isPaged: true,
                result: .array(shape, count: 0...Limits.apiObjectsPerPageMax)
            ) { call in
                try FleetAccount.check(call)
                let paging = try call.paging()
                let (rows, total) = try RolloutRow.page(paging, call.transaction)
                return .page(rows.map { .object($0.json) }, paging.info(count: rows.count, total: total))
            },
            Route(.get, path + "/{rollout_id}", "Global objects", "Show a roll-out", needs: Nodes.read, result: shape) {
                .result(try find($0).json)
            },
        ]
        + [
            ("pause", "Stay in this stage; edges are watched still"),
            ("resume", "Go on, with the whole time of this stage"),
            ("promote", "Go to the next stage at once"),
            ("abort", "Take it back everywhere"),
        ].map { word, summary in
            Route(
                .post, path + "/{rollout_id}/\(word)", "Global objects", summary, needs: Nodes.write,
                payload: .optional(.object([])), result: shape
            ) { try act(word, $0) }
        }

    private static func find(_ call: APICall) throws -> RolloutRow {
        try FleetAccount.check(call)
        let id = call.parameter("rollout_id")
        guard let row = try RolloutRow.find(id, call.transaction) else { throw APIError.notFound("roll-out", id) }
        return row
    }

    private static func act(_ word: String, _ call: APICall) throws -> APIAnswer {
        var row = try find(call)
        let before = row.summary
        var actions: [Rollout.Action]?
        switch word {
        case "pause": actions = row.machine.pause() ? [] : nil
        case "resume": actions = row.machine.resume() ? [] : nil
        case "promote": actions = row.machine.promote(try sight(row, at: call.now, call.transaction))
        default: actions = row.machine.abort()
        }
        guard let actions else {
            throw APIError.conflict("The roll-out is \(row.machine.state.rawValue): it cannot be told to \(word)")
        }
        try perform(actions, &row, at: call.now, call.transaction)
        row.note(word, call.caller.name, at: call.now)
        try row.update(at: call.now, call.transaction)
        call.audit(word, "rollout", row.id, before: before, after: row.summary)
        return .result(row.json)
    }

    // MARK: For the driver too

    static func sight(_ row: RolloutRow, at now: APITime, _ transaction: Transaction) throws -> Rollout.Sight {
        let object = try GlobalRow.find(row.kind, row.objectID, transaction)
        return Rollout.Sight(
            now: now.microseconds / 1000, sequence: try object?.sequence(transaction),
            edges: try RolloutEdge.all(at: now, transaction))
    }

    static func perform(
        _ actions: [Rollout.Action], _ row: inout RolloutRow, at now: APITime, _ transaction: Transaction
    ) throws {
        guard !actions.isEmpty else { return }
        guard var global = try GlobalRow.find(row.kind, row.objectID, transaction) else {
            throw StoreError.corrupt("a roll-out without its object")
        }
        for action in actions {
            switch action {
            case .publish(let stage): global.object.stage = stage
            case .publishPrevious:
                global.object = GlobalObject(
                    version: global.object.version + 1, body: global.object.previous, stage: .everybody,
                    salt: global.object.salt)
            }
        }
        try global.store(at: now, transaction)
    }
}
