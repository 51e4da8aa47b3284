// Nodes: who is let in, what they report, who may come in.

import ConfigLog
import JSON
import Limits
import Logging
import Synchronization
import Testing

@testable import ControlPlane

/// Two control processes over one store, with an account and an authority.
private func withFleet(_ kind: StoreKind, _ body: (APIStage, Enrolment, NodeDesk, String) async throws -> Void)
    async throws
{
    try await withAPI(kind) { api in
        let authority = FleetAuthorityRecord(certificate: Array("certificate".utf8), key: Array("key".utf8))
        _ = try await FleetAuthorityRecord.load(api.store) { authority }
        let desk = NodeDesk(store: api.store, log: StoreStage.quiet)
        let path = "/accounts/\(try await api.account())/martlet"
        try await body(api, Enrolment(store: api.store, desk: desk), desk, path)
    }
}

extension StoreStage {
    static var quiet: Logger {
        Logger(label: "fleet-test") { _ in SwiftLogNoOpLogHandler() }
    }
}

/// Numbers certificates as they are issued.
private final class Issuing: Sendable {
    private let count = Mutex(0)
    @Sendable func issue(_ name: String) -> IssuedNode<[UInt8]> {
        let number = count.withLock { count in
            count += 1
            return count
        }
        return IssuedNode(serial: "s\(number)", notAfter: 1_900_000_000_000_000, certificate: Array(name.utf8))
    }
}

private func report(
    _ name: String, role: NodeRole = .leaf, sequence: UInt64 = 1, requests: UInt64 = 0, isConnected: Bool = true
) -> NodeReport {
    var health = HealthSummary()
    health.requests = requests
    health.latencyP99Microseconds = UInt32(clamping: requests)
    return NodeReport(
        name: name, role: role, parent: "root", position: LogPosition(epoch: 1, sequence: sequence, hash: .zero),
        appliedAtMilliseconds: 1_700_000_000_000, lagMilliseconds: 7, health: health, isConnected: isConnected,
        software: "1.2.3")
}

@Suite("The fleet")
struct FleetTests {
    private func token(_ api: APIStage, _ path: String, _ body: JSONValue) async throws -> [UInt8] {
        let made = await api.call("POST", path + "/join_tokens", body)
        let text = try #require(made.result["token"]?.string, "\(made.text)")
        let parts = text.split(separator: ".")
        #expect(parts.count == 3 && parts[0] == "mj1" && parts[1].utf8.count == 40 && parts[2].utf8.count == 43)
        return APIToken.hash(String(parts[1]))
    }

    private func refusal(
        _ enrolment: Enrolment, _ request: JoinRequest, _ issuing: Issuing = Issuing()
    ) async -> JoinRefusal.Kind? {
        do throws(JoinRefusal) {
            _ = try await enrolment.admit(request, issue: issuing.issue)
            return nil
        } catch {
            return error.kind
        }
    }

    @Test("a token lets one node in once; with its key again it is the same answer", arguments: StoreKind.allCases)
    func once(_ kind: StoreKind) async throws {
        try await withFleet(kind) { api, enrolment, desk, path in
            let digest = try await token(api, path, ["role": "edge"])
            let issuing = Issuing()
            var request = JoinRequest(proof: .token(digest: digest), name: "fra-1", role: "edge", keyDigest: [1])
            let (name, issued) = try await enrolment.admit(request, issue: issuing.issue)
            #expect(name == "fra-1" && issued.serial == "s1")
            #expect(desk.isAdmitted("fra-1", role: "edge") && !desk.isAdmitted("fra-1", role: "relay"))
            #expect(try await enrolment.admit(request, issue: issuing.issue).issued.serial == "s2")
            request.keyDigest = [2]
            #expect(await refusal(enrolment, request) == .used)
            let shown = await api.call("GET", path + "/join_tokens").result.array?.first
            #expect(shown?["state"] == "used" && shown?["used_by"] == "fra-1" && shown?["token"] == nil)
            let node = await api.call("GET", path + "/nodes/fra-1").result
            #expect(node["state"] == "enrolled" && node["role"] == "edge" && node["connected"] == false)
            let keys = try await api.published().filter { $0.key == "node/fra-1" }
            #expect(keys.last?.value == #"{"role":"edge","state":"enrolled","canary":false}"#)
            // After it was revoked, not even its own key brings it back.
            #expect(await api.call("DELETE", path + "/nodes/fra-1").status == 200)
            request.keyDigest = [1]
            #expect(await refusal(enrolment, request) == .revoked)
        }
    }

    @Test("of many that come at once with one token, at two processes, one gets in", arguments: StoreKind.allCases)
    func race(_ kind: StoreKind) async throws {
        try await withFleet(kind) { api, enrolment, _, path in
            for round in 0..<5 {
                let digest = try await token(api, path, ["role": "edge"])
                let outcomes = await withTaskGroup(of: JoinRefusal.Kind?.self) { group in
                    for number in 0..<8 {
                        let request = JoinRequest(
                            proof: .token(digest: digest), name: "e\(round)-\(number)", role: "edge",
                            keyDigest: [UInt8(number)])
                        group.addTask { await refusal(enrolment, request) }
                    }
                    return await group.reduce(into: [JoinRefusal.Kind?]()) { $0.append($1) }
                }
                #expect(outcomes.filter { $0 == nil }.count == 1)
                #expect(outcomes.compactMap { $0 }.allSatisfy { $0 == .used })
            }
            #expect(await api.call("GET", path + "/nodes").result.array?.count == 5)
        }
    }

    @Test("a name is one node's: to join anew it needs a token made for it, and what it had before is void")
    func names() async throws {
        try await withFleet(.sqlite) { api, enrolment, _, path in
            let issuing = Issuing()
            func joins(_ body: JSONValue, _ name: String?, _ expected: JoinRefusal.Kind? = nil) async throws {
                let proof = JoinRequest.Proof.token(digest: try await token(api, path, body))
                let request = JoinRequest(proof: proof, name: name, role: "edge", keyDigest: [1])
                let kind = await refusal(enrolment, request, issuing)
                #expect(kind == expected, "\(body.text) \(name ?? "-")")
            }
            try await joins(["role": "edge"], "a", nil)
            try await joins(["role": "edge"], "a", .nameTaken)
            try await joins(["role": "edge"], nil, .nameNeeded)
            try await joins(["role": "edge"], "local", .wrongName)
            try await joins(["role": "edge"], "A", .wrongName)
            try await joins(["role": "relay"], "b", .wrongRole)
            let named: JSONValue = ["role": "edge", "name": "a"]
            try await joins(named, "b", .wrongName)
            func renewal(_ serial: String) -> JoinRequest {
                JoinRequest(proof: .renewal(serial: serial), name: "a", role: "edge", keyDigest: [1])
            }
            // s1 → s2; the answer is lost, so s1 again → s3; then s2 was never seen.
            #expect(await refusal(enrolment, renewal("s1"), issuing) == nil)
            #expect(await refusal(enrolment, renewal("s1"), issuing) == nil)
            #expect(await refusal(enrolment, renewal("s2"), issuing) == .revoked)
            try await joins(named, nil, nil)
            #expect(await refusal(enrolment, renewal("s3"), issuing) == .revoked)
            #expect(await refusal(enrolment, renewal("s4"), issuing) == nil)
            #expect(await api.call("DELETE", path + "/nodes/a").status == 200)
            #expect(await refusal(enrolment, renewal("s5"), issuing) == .revoked)
            try await joins(["role": "edge"], "a", .nameTaken)
            try await joins(named, nil, nil)
        }
    }

    @Test("a token that ended, or that nobody made, lets nobody in")
    func ended() async throws {
        try await withFleet(.sqlite) { api, enrolment, _, path in
            let digest = try await token(api, path, ["role": "edge", "name": "x", "expires_in": 60])
            try await api.store.write { try $0.execute("UPDATE join_tokens SET expires_on = created_on") }
            func request(_ digest: [UInt8]) -> JoinRequest {
                JoinRequest(proof: .token(digest: digest), name: nil, role: "edge", keyDigest: [])
            }
            #expect(await refusal(enrolment, request(digest)) == .expired)
            #expect(await refusal(enrolment, request([1, 2])) == .unknownToken)
            let id = await api.call("GET", path + "/join_tokens").result.array?.first?["id"]?.string ?? ""
            #expect(await api.call("DELETE", path + "/join_tokens/\(id)").status == 200)
            #expect(await refusal(enrolment, request(digest)) == .unknownToken)
            #expect(await api.call("POST", path + "/join_tokens", ["role": "root"]).status == 400)
            #expect(await api.call("POST", path + "/join_tokens", ["role": "edge", "name": "local"]).status == 400)
        }
    }

    @Test("what nodes report is shown, and summed up in samples", arguments: StoreKind.allCases)
    func reports(_ kind: StoreKind) async throws {
        try await withFleet(kind) { api, _, desk, path in
            try await desk.registerLocal()
            try await desk.registerLocal()
            for name in ["a", "b"] { try await desk.registerLocal(name) }
            try await desk.note([
                report("local", sequence: 3, requests: 10), report("a", requests: 32), report("nobody", requests: 5),
                report("b", isConnected: false),
            ])
            let nodes = await api.call("GET", path + "/nodes").result.array ?? []
            #expect(nodes.map { $0["name"]?.string } == ["a", "b", "local"])
            #expect(nodes.map { $0["connected"]?.boolean } == [true, false, true])
            let local = nodes.last ?? .null
            #expect(local["canary"] == true && local["sequence"] == 3 && local["lag_ms"] == 7)
            #expect(local["version"] == "1.2.3" && local["health"]?["requests"] == 10 && local["parent"] == "root")
            #expect(await api.call("GET", path + "/nodes?connected=false").result.array?.count == 1)
            let samples = await api.call("GET", path + "/samples").result.array ?? []
            #expect(samples.count == 1 && samples.first?["requests"] == 42 && samples.first?["nodes"] == 2)
            #expect(samples.first?["p99_us"] == 32)
            #expect(await api.call("GET", path + "/nodes/a/samples").result.array?.first?["requests"] == 32)
            #expect(await api.call("GET", path + "/nodes/nobody").status == 404)
        }
    }

    @Test("a node that went to another control process is there still", arguments: StoreKind.allCases)
    func twoDesks(_ kind: StoreKind) async throws {
        try await withFleet(kind) { api, _, desk, path in
            try await desk.registerLocal("a")
            let other = NodeDesk(store: api.store, log: StoreStage.quiet)
            func isConnected() async -> Bool? {
                await api.call("GET", path + "/nodes/a").result["connected"]?.boolean
            }
            try await desk.note([report("a")])
            try await other.note([report("a")])
            try await desk.note([report("a", isConnected: false)])
            #expect(await isConnected() == true)
            try await other.note([report("a", isConnected: false)])
            #expect(await isConnected() == false)
            try await other.note([report("a")])
            try await api.store.write { transaction in
                let long = transaction.now - 60_000_000
                try transaction.execute("UPDATE nodes SET seen_at = ?", [.integer(long)])
            }
            // Whoever said so has not said so again.
            #expect(await isConnected() == false)
        }
    }

    @Test("samples are kept for an hour", arguments: StoreKind.allCases)
    func retention(_ kind: StoreKind) async throws {
        try await withFleet(kind) { api, _, desk, _ in
            try await desk.registerLocal("a")
            let now = APITime.now
            for minutes in [0, 30, 61, 90] {
                let at = APITime(microseconds: now.microseconds - Int64(minutes) * 60_000_000)
                try await api.store.write { try NodeSamples.insert([report("a")][...], at: at, $0) }
            }
            try await api.store.write { try NodeSamples.prune(at: now, $0) }
            #expect(try await api.store.count("node_samples") == 2)
        }
    }

    @Test("who is revoked, or made a canary, through another process is known as soon as it is sealed")
    func observed() async throws {
        try await withFleet(.sqlite) { api, _, desk, path in
            try await desk.registerLocal("a")
            #expect(desk.isAdmitted("a", role: "edge") && desk.standing(of: "a")?.isCanary == true)
            _ = await api.call("PATCH", path + "/nodes/a", ["canary": false])
            _ = await api.call("DELETE", path + "/nodes/a")
            let changes = try await api.published().filter { $0.key == "node/a" }
            #expect(changes.count == 3)
            let frame = try Frame.seal(
                epoch: 1, after: (0, .zero),
                groups: [changes.map { Change(key: $0.key, value: Array($0.value.utf8)) }], committedAt: 1)
            desk.observe(frame)
            #expect(!desk.isAdmitted("a", role: "edge"))
            _ = await api.call("DELETE", path + "/nodes/a?forget=true")
            #expect(await api.call("GET", path + "/nodes/a").status == 404)
            try await desk.load()
            #expect(desk.standing(of: "a") == nil)
            let last = try await api.published().last
            #expect(last?.value == "-")
        }
    }

    @Test("one authority for all processes, its key sealed", arguments: StoreKind.allCases)
    func authority(_ kind: StoreKind) async throws {
        try await withAPI(kind) { api in
            let path = "/accounts/\(try await api.account())/martlet"
            #expect(await api.call("POST", path + "/join_tokens", ["role": "edge"]).status == 409)
            let records = try await withThrowingTaskGroup(of: FleetAuthorityRecord.self) { group in
                for number in 0..<6 {
                    group.addTask {
                        try await FleetAuthorityRecord.load(api.store) {
                            FleetAuthorityRecord(certificate: [0, 255, UInt8(number)], key: Array("secret key".utf8))
                        }
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(Set(records.map(\.certificate)).count == 1 && records.first?.key == Array("secret key".utf8))
            let sealed = try await api.store.read { try $0.first("SELECT sealed FROM secrets")?.blob(0) ?? [] }
            #expect(!String(decoding: sealed, as: UTF8.self).contains("secret"))
        }
    }

    @Test("edges need a permission of their own, and belong to the first account")
    func permissions() async throws {
        try await withFleet(.sqlite) { api, _, desk, path in
            try await desk.registerLocal("a")
            let account = try await api.account()
            let reader = try await api.token(["Edges Read"], on: ["com.cloudflare.api.account.\(account)"])
            let other = try await api.token(["Account Settings Write"], on: ["com.cloudflare.api.account.*"])
            #expect(await api.call("GET", path + "/nodes", token: reader).status == 200)
            #expect(await api.call("GET", path + "/nodes", token: other).status == 403)
            #expect(await api.call("DELETE", path + "/nodes/a", token: reader).status == 403)
            #expect(await api.call("POST", path + "/join_tokens", ["role": "edge"], token: reader).status == 403)
            let second = StoreID.make()
            try await api.store.write {
                try AccountRow.insert(id: second, name: "b", at: APITime(microseconds: $0.now), $0)
            }
            #expect(await api.call("GET", "/accounts/\(second)/martlet/nodes").status == 404)
        }
    }

    @Test("every change of the fleet has its row in the audit log, without secrets")
    func audit() async throws {
        try await withFleet(.sqlite) { api, enrolment, _, path in
            let digest = try await token(api, path, ["role": "edge", "name": "a"])
            let request = JoinRequest(proof: .token(digest: digest), name: nil, role: "edge", keyDigest: [1])
            _ = try await enrolment.admit(request, issue: Issuing().issue)
            _ = await api.call("PATCH", path + "/nodes/a", ["canary": true])
            _ = await api.call("DELETE", path + "/nodes/a")
            let rows = await api.call("GET", "/accounts/\(try await api.account())/audit_logs").result.array ?? []
            let actions = rows.compactMap { $0["action"]?["type"]?.string }
            #expect(actions == ["revoke", "update", "enrol", "create", "create"], "\(actions)")
            #expect(!rows.contains { $0.text.contains("mj1.") })
        }
    }
}
