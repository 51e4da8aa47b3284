// The API without a socket: a fresh store, its first token, and calls.

import ConfigLog
import Foundation
import JSON
import Logging
import Testing

@testable import ControlPlane

/// Who calls, and what is called.
struct APIStage: Sendable {
    let service: APIService
    let store: Store
    /// May do everything.
    let root: String

    struct Answer: Sendable {
        var status: Int
        var json: JSONValue
        var text: String
        var fields: [(name: String, value: String)]

        var result: JSONValue { json["result"] ?? .null }
        var code: Int64? { json["errors"]?.array?.first?["code"]?.integer }
        var message: String { json["errors"]?.array?.first?["message"]?.string ?? "" }
    }

    func call(
        _ method: String, _ path: String, _ body: JSONValue? = nil, token: String? = nil, bytes: [UInt8]? = nil,
        fields: [String: String] = [:], from address: String? = "192.0.2.1"
    ) async -> Answer {
        var head = APIFields()
        head["authorization"] = "Bearer \(token ?? root)"
        for (name, value) in fields { head[name] = value.isEmpty ? nil : value }
        let answer = await service.answer(
            APIRequest(
                method: method, target: APIService.root + path, fields: head, body: bytes ?? body?.bytes ?? [],
                address: address))
        return Answer(
            status: answer.status, json: (try? JSONValue(parsing: answer.body)) ?? .null,
            text: String(decoding: answer.body, as: UTF8.self), fields: answer.fields)
    }

    /// A zone's identifier.
    func zone(_ name: String = "example.com") async throws -> String {
        let made = await call("POST", "/zones", ["name": .string(name)])
        return try #require(made.result["id"]?.string, "\(made.text)")
    }

    func account() async throws -> String {
        try #require(await call("GET", "/accounts").result.array?.first?["id"]?.string)
    }

    /// The secret of a token that allows these groups on these resources.
    func token(_ groups: [String], on resources: [String], effect: String = "allow", also: JSONObject = [:])
        async throws -> String
    {
        let made = await call("POST", "/user/tokens", tokenBody(groups, on: resources, effect: effect, also: also))
        return try #require(made.result["value"]?.string, "\(made.text)")
    }

    func tokenBody(_ groups: [String], on resources: [String], effect: String = "allow", also: JSONObject = [:])
        -> JSONValue
    {
        let ids = groups.map { name in PermissionGroup.all.first { $0.name == name }?.id ?? name }
        var on = JSONObject()
        for resource in resources { on[resource] = "*" }
        let policy: JSONValue = [
            "effect": .string(effect), "permission_groups": .array(ids.map { ["id": .string($0)] }),
            "resources": .object(on),
        ]
        return .object((["name": "a token", "policies": [policy]] as JSONObject).merging(also))
    }

    /// What is published, in order: keys with their values, "-" for what went.
    func published() async throws -> [(key: String, value: String)] {
        try await store.read { transaction in
            try transaction.query("SELECT changes FROM outbox ORDER BY id").flatMap { row in
                try ChangeGroup(decoding: try row.blob(0)).changes.map { change in
                    (change.key, change.value.map { String(decoding: $0, as: UTF8.self) } ?? "-")
                }
            }
        }
    }
}

func withAPI(_ kind: StoreKind = .sqlite, rate: Int = 0, _ body: (APIStage) async throws -> Void) async throws {
    try await withStore(kind) { store, stage in
        let path = stage.folder + "/admin-token"
        let secret = try #require(try await Bootstrap.run(store, tokenPath: path))
        try await body(
            APIStage(service: APIService(store: store, rateRequests: rate, log: stage.log), store: store, root: secret))
    }
}
