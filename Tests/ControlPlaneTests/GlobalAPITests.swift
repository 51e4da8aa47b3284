// Global objects, switches and roll-outs through the API, and the driver over both stores.

import ConfigLog
import ConfigModel
import JSON
import Limits
import Logging
import Testing

@testable import ControlPlane

/// An API, a sequencer, a driver that is told when to look, and edges that report.
private struct FleetStage {
    let api: APIStage
    let path: String
    let sequencing: Sequencing
    let driver: RolloutDriver
    let desk: NodeDesk

    static func with(_ kind: StoreKind, edges: [String], _ body: (FleetStage) async throws -> Void) async throws {
        try await withStore(kind) { store, stage in
            let secret = try #require(try await Bootstrap.run(store, tokenPath: stage.folder + "/admin-token"))
            let api = APIStage(
                service: APIService(store: store, rateRequests: 0, log: stage.log), store: store, root: secret)
            let desk = NodeDesk(store: store, log: stage.log)
            for name in edges { try await desk.registerLocal(name) }
            let fleet = FleetStage(
                api: api, path: "/accounts/\(try await api.account())/martlet", sequencing: Sequencing(store, stage),
                driver: RolloutDriver(store: store, log: stage.log) { true }, desk: desk)
            for name in edges where name != edges.first {
                _ = await api.call("PATCH", fleet.path + "/nodes/\(name)", ["canary": false])
            }
            do {
                try await body(fleet)
            } catch {
                try await fleet.sequencing.stop()
                throw error
            }
            try await fleet.sequencing.stop()
        }
    }

    /// All that is published is numbered, applied and reported by these edges.
    func report(_ edges: [String], crashes: UInt32 = 0) async throws {
        var sequence: UInt64 = 0
        let isSealed = await eventually {
            let waiting = try? await api.store.read {
                try $0.first("SELECT count(*) FROM outbox WHERE sequence IS NULL")?.integer(0)
            }
            sequence = (try? await api.store.logPosition().sequence) ?? 0
            return waiting == 0
        }
        #expect(isSealed)
        var health = HealthSummary()
        health.crashes = crashes
        try await desk.note(
            edges.map {
                NodeReport(
                    name: $0, role: .leaf, parent: "root",
                    position: LogPosition(epoch: 1, sequence: sequence, hash: .zero), appliedAtMilliseconds: 1,
                    lagMilliseconds: 1, health: health, isConnected: true)
            })
    }

    /// A look at so many seconds from now.
    func look(in seconds: Int64 = 0) async throws {
        try await driver.look(at: APITime(microseconds: APITime.now.microseconds + seconds * 1_000_000))
    }

    func global() async -> JSONValue { await api.call("GET", path + "/globals/limits/client").result }
    func rollout() async -> JSONValue { await api.call("GET", path + "/rollouts").result.array?.first ?? .null }

    /// The newest published value of a key.
    func published(_ key: String) async throws -> GlobalObject? {
        let value = try await api.published().last { $0.key == key }?.value
        return try value.flatMap { $0 == "-" ? nil : try GlobalObject(decoding: Array($0.utf8)) }
    }
}

private let key = "global/limits/client"
private let first: JSONValue = ["limits": ["connections": 1000]]
private let second: JSONValue = ["limits": ["connections": 2000], "timeouts": ["idle": "9s"]]

@Suite("API: global objects")
struct GlobalAPITests {
    @Test("a version is rolled out, and the next one comes beside it", arguments: StoreKind.allCases)
    func rolledOut(_ kind: StoreKind) async throws {
        try await FleetStage.with(kind, edges: ["a"]) { fleet in
            let edges = ["a"]
            try await fleet.report(edges)
            let put = await fleet.api.call("PUT", fleet.path + "/globals/limits/client?soak_seconds=10", first)
            #expect(put.status == 200, "\(put.text)")
            #expect(try await fleet.published(key)?.stage == .nobody)
            try await fleet.look()
            #expect(await fleet.rollout()["stage"] == "canary")
            #expect(try await fleet.published(key)?.effective(node: "a", isCanary: true) == first)
            #expect(try await fleet.published(key)?.effective(node: "b", isCanary: false) == nil)
            // Nobody has applied it yet.
            try await fleet.look(in: 1)
            try await fleet.look(in: 12)
            #expect(await fleet.rollout()["stage"] == "canary")
            try await fleet.report(edges)
            try await fleet.look(in: 13)
            try await fleet.look(in: 24)
            #expect(await fleet.rollout()["state"] == "done")
            #expect(try await fleet.published(key)?.stage == .everybody)
            _ = await fleet.api.call("PUT", fleet.path + "/globals/limits/client?soak_seconds=10", second)
            let shown = await fleet.global()
            #expect(shown["version"] == 2 && shown["previous"] == first && shown["body"] == second)
            #expect(try await fleet.published(key)?.effective(node: "a", isCanary: true) == first)
        }
    }

    @Test("an edge that crashes takes it back, by whichever process leads", arguments: StoreKind.allCases)
    func rolledBack(_ kind: StoreKind) async throws {
        try await FleetStage.with(kind, edges: ["a", "b"]) { fleet in
            try await fleet.report(["a", "b"])
            _ = await fleet.api.call("PUT", fleet.path + "/globals/limits/client?soak_seconds=10", first)
            let id = await fleet.rollout()["id"]?.string ?? ""
            for _ in 0..<3 { _ = await fleet.api.call("POST", fleet.path + "/rollouts/\(id)/promote") }
            while await fleet.rollout()["state"] == "running" {
                _ = await fleet.api.call("POST", fleet.path + "/rollouts/\(id)/promote")
            }
            #expect(try await fleet.published(key)?.stage == .everybody)
            try await fleet.report(["a", "b"])
            _ = await fleet.api.call("PUT", fleet.path + "/globals/limits/client?soak_seconds=10", second)
            try await fleet.look()
            try await fleet.report(["a", "b"], crashes: 1)
            // The leader has changed: another driver goes on.
            let other = RolloutDriver(store: fleet.api.store, log: StoreStage.quiet) { true }
            try await other.look(at: APITime(microseconds: APITime.now.microseconds + 1_000_000))
            let rollout = await fleet.rollout()
            #expect(rollout["state"] == "rolled_back" && rollout["reason"]?.string?.contains("a crashed") == true)
            let now = try await fleet.published(key)
            #expect(now?.body == first && now?.stage == .everybody && now?.version == 3)
            let account = try await fleet.api.account()
            let rows = await fleet.api.call("GET", "/accounts/\(account)/audit_logs?action.type=rollout").result.array
            #expect(rows?.first?["newValue"]?.string?.contains("crashed") == true)
        }
    }

    @Test("paused, resumed, aborted; a newer version ends the one under way")
    func byHand() async throws {
        try await FleetStage.with(.sqlite, edges: ["a"]) { fleet in
            try await fleet.report(["a"])
            let path = fleet.path + "/globals/limits/client"
            _ = await fleet.api.call("PUT", path, first)
            try await fleet.look()
            let id = await fleet.rollout()["id"]?.string ?? ""
            func act(_ word: String) async -> APIStage.Answer {
                await fleet.api.call("POST", fleet.path + "/rollouts/\(id)/\(word)")
            }
            #expect(await act("resume").status == 409)
            #expect(await act("pause").result["state"] == "paused")
            #expect(await act("resume").result["state"] == "running")
            _ = await fleet.api.call("PUT", path, second)
            let shown = await fleet.api.call("GET", fleet.path + "/rollouts/\(id)").result
            #expect(shown["state"] == "superseded")
            #expect(await fleet.global()["previous"] == .null)
            #expect(await act("abort").status == 409)
            let newer = await fleet.rollout()["id"]?.string ?? ""
            let aborted = await fleet.api.call("POST", fleet.path + "/rollouts/\(newer)/abort")
            #expect(aborted.result["state"] == "aborted")
            // Nothing came before it: nothing is there.
            #expect(await fleet.api.call("GET", path).status == 404)
            let last = try await fleet.api.published().last { $0.key == key }
            #expect(last?.value == "-")
            _ = await fleet.api.call("PUT", path, first)
            #expect((await fleet.global()["version"]?.integer ?? 0) > 2)
        }
    }

    @Test("taking an object away is rolled out too")
    func deleted() async throws {
        try await FleetStage.with(.sqlite, edges: ["a"]) { fleet in
            try await fleet.report(["a"])
            let path = fleet.path + "/globals/limits/client"
            #expect(await fleet.api.call("DELETE", path).status == 404)
            _ = await fleet.api.call("PUT", path, first)
            for _ in 0..<3 {
                let id = await fleet.rollout()["id"]?.string ?? ""
                _ = await fleet.api.call("POST", fleet.path + "/rollouts/\(id)/promote")
            }
            #expect(await fleet.api.call("DELETE", path).status == 200)
            try await fleet.look()
            let object = try await fleet.published(key)
            #expect(object?.effective(node: "a", isCanary: true) == nil)
            #expect(object?.effective(node: "b", isCanary: false) == first)
            let id = await fleet.rollout()["id"]?.string ?? ""
            _ = await fleet.api.call("POST", fleet.path + "/rollouts/\(id)/promote")
            #expect(await fleet.api.call("GET", path).status == 404)
            let last = try await fleet.api.published().last { $0.key == key }
            #expect(last?.value == "-")
        }
    }

    @Test("what an edge could not read is refused")
    func refused() async throws {
        try await FleetStage.with(.sqlite, edges: []) { fleet in
            let path = fleet.path + "/globals/limits/client"
            let wrong = await fleet.api.call("PUT", path, ["limits": ["connections": "many"]])
            #expect(wrong.status == 400 && wrong.message.contains("connections"), "\(wrong.text)")
            #expect(await fleet.api.call("PUT", path + "?soak_seconds=1", first).status == 400)
            #expect(await fleet.api.call("PUT", fleet.path + "/globals/limits/other", first).status == 404)
            #expect(await fleet.api.call("GET", fleet.path + "/globals/odd/client").status == 404)
            let large = String(repeating: "x", count: Limits.globalBodyBytesMax)
            #expect(await fleet.api.call("PUT", path, ["limits": .string(large)]).status == 413)
        }
    }

    @Test("a switch is thrown at once", arguments: StoreKind.allCases)
    func switches(_ kind: StoreKind) async throws {
        try await FleetStage.with(kind, edges: []) { fleet in
            let path = fleet.path + "/switches"
            let all = await fleet.api.call("GET", path).result.array ?? []
            #expect(all.map { $0["name"]?.string } == ["cache", "http2"])
            #expect(all.allSatisfy { $0["enabled"] == true && $0["modified_on"] == .null })
            #expect(await fleet.api.call("PUT", path + "/cache", ["enabled": false]).result["enabled"] == false)
            let object = try #require(try await fleet.published("switch/cache"))
            #expect(!GlobalSwitch.isOn(object) && object.effective(node: "x", isCanary: false) != nil)
            #expect(await fleet.api.call("PUT", path + "/cache", ["enabled": true]).result["enabled"] == true)
            #expect(try await fleet.published("switch/cache")?.version == 2)
            #expect(await fleet.api.call("PUT", path + "/odd", ["enabled": true]).status == 404)
            #expect(await fleet.api.call("PUT", path + "/cache", [:]).status == 400)
        }
    }
}
