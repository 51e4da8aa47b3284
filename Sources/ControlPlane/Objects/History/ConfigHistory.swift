// `/accounts/{account_id}/martlet/config`: what was changed, what two moments differ in, and the way back to one of them.

import JSON
import Limits

enum ConfigHistory {
    private static let path = "/accounts/{account_id}/martlet/config"
    private static let need = Need.account(.account("Account Audit Logs", .read))

    private static let entryShape = BodySchema.named(
        "HistoryEntry",
        .object([
            .readOnly("id", .id), .readOnly("at", .time), .readOnly("actor", .text(128)),
            .readOnly("action", .text(64)),
            .readOnly("resource", .text(256)), .readOnly("scope", .text(256)), .readOnly("zone", .nullable(.id)),
            .readOnly("summary", .text(256)),
            .readOnly(
                "sequence",
                .nullable(
                    .object([.readOnly("from", .integer(0...Int64.max)), .readOnly("to", .integer(0...Int64.max))])),
                "The numbers of the change in the log; null once they are forgotten."),
            .readOnly("undoable", .boolean), .readOnly("reason", .text(256), "Why it cannot be undone."),
        ]))
    private static let zone = Route.Parameter(name: "zone", schema: .id, about: "Of this zone alone.")

    static let routes: [Route] = [
        Route(
            .get, path + "/history", "History", "List what was changed, newest first", needs: need,
            query: [.init(name: "since", schema: .time, about: "Not before."), zone], isPaged: true,
            result: .array(entryShape, count: 0...Limits.apiObjectsPerPageMax), handle: history),
        Route(
            .get, path + "/diff", "History", "What objects differ in between two changes", needs: need,
            query: [
                .init(
                    name: "from", schema: .id, about: "Right after this change; before all that are kept, without it."),
                .init(name: "to", schema: .id, about: "Right after this change; as it is now, without it."), zone,
            ],
            result: .array(
                .object([
                    .readOnly("resource", .text(256)), .readOnly("scope", .text(256)),
                    .readOnly("change", .choice(["create", "update", "delete"])), .readOnly("before", .anything),
                    .readOnly("after", .anything),
                ]), count: 0...Limits.historyEntriesMax), handle: diff),
        Route(
            .post, path + "/rollback", "History", "Go back to how things were right after a change", needs: need,
            payload: .json(
                .object([
                    .required("to", .id, "The change to go back to."),
                    .optional("dry_run", .boolean, "Only say what would be done."),
                    .optional("zone", .nullable(.id), "Of this zone alone."),
                ])), handle: ConfigRollback.answer, prepare: ConfigRollback.locks),
    ]

    static func place(_ zone: String?, _ call: APICall) throws -> HistoryEntry.Place {
        if let zone, !ObjectID.isValid(zone) {
            throw APIError.invalid("zone", "a zone's identifier", found: String(zone.prefix(64)))
        }
        return HistoryEntry.Place(account: try call.theAccount().id, zone: zone)
    }

    static func entry(_ id: String, _ place: HistoryEntry.Place, _ call: APICall) throws -> HistoryEntry {
        guard let entry = try HistoryEntry.find(id, place, call.transaction) else {
            throw APIError.notFound("change in this history", id)
        }
        return entry
    }

    private static func history(_ call: APICall) throws -> APIAnswer {
        var since: APITime?
        if let text = call.query["since"] {
            guard let time = APITime(parsing: text) else {
                throw APIError.invalid("since", "a time such as 2030-01-31T12:00:00Z", found: String(text.prefix(64)))
            }
            since = time
        }
        let paging = try call.paging()
        let (rows, total) = try HistoryEntry.page(
            place(call.query["zone"], call), since: since, paging, call.transaction)
        let sequences = try sequences(of: rows, call.transaction)
        return .page(
            rows.map { shown($0, sequences[$0.at.microseconds]) }, paging.info(count: rows.count, total: total))
    }

    /// By time: a change and what it published are of one transaction, and have its time.
    private static func sequences(
        of rows: [HistoryEntry], _ transaction: Transaction
    ) throws -> [Int64: (from: Int64, to: Int64)] {
        let times = Set(rows.map(\.at.microseconds)).sorted()
        guard !times.isEmpty else { return [:] }
        let found = try transaction.query(
            """
            SELECT created, min(sequence), max(sequence) FROM outbox
            WHERE created IN (\(times.map { _ in "?" }.joined(separator: ", "))) AND sequence > 0 GROUP BY created
            """, times.map { .integer($0) })
        var sequences: [Int64: (from: Int64, to: Int64)] = [:]
        for row in found { sequences[try row.integer(0)] = (try row.integer(1), try row.integer(2)) }
        return sequences
    }

    private static func shown(_ entry: HistoryEntry, _ sequence: (from: Int64, to: Int64)?) -> JSONValue {
        let range = sequence.map { sequence -> JSONValue in
            ["from": .number(JSONNumber(sequence.from)), "to": .number(JSONNumber(sequence.to))]
        }
        let reason = ConfigUndo.refusal(of: entry)
        return [
            "id": .string(entry.id), "at": entry.at.json, "actor": .string(entry.actor),
            "action": .string(entry.action), "resource": .string(entry.resource), "scope": .string(entry.scope),
            "zone": entry.zoneID.map { .string($0) } ?? .null, "summary": .string(entry.summary),
            "sequence": range ?? .null, "undoable": .boolean(reason == nil), "reason": .string(reason ?? ""),
        ]
    }

    private static func diff(_ call: APICall) throws -> APIAnswer {
        let place = try place(call.query["zone"], call)
        let ends = try ["from", "to"].map { name in
            try call.query[name].map { try entry($0, place, call).id }
        }
        let entries = try HistoryEntry.between(ends[0] ?? "", ends[1], place, call.transaction)
        return .result(
            .array(
                HistoryChange.all(entries).filter { !$0.isNothing }.map { change in
                    [
                        "resource": .string(change.entry.resource), "scope": .string(change.entry.scope),
                        "change": .string(change.word), "before": value(change.before), "after": value(change.after),
                    ]
                }))
    }

    private static func value(_ text: String?) -> JSONValue {
        text.flatMap { text in try? JSONValue(stored: text) } ?? .null
    }
}
