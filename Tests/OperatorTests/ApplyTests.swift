import ConfigModel
import JSON
import Synchronization
import Testing

@testable import Operator

@Suite("apply")
struct ApplyTests {
    private func document(_ name: String, _ origin: String = "http://127.0.0.1:1") -> ZoneDocument {
        ZoneDocument(name: name, site: ["origins": [.string(origin)]])
    }

    private func signs(_ plan: ApplyPlan) -> [String] { plan.steps.map { "\($0.action.rawValue) \($0.name)" } }

    // MARK: Planning

    @Test("what is missing is made, what differs is changed, what is the same is left alone")
    func plan() {
        let existing = [
            AppliedZone(
                id: "1", name: "same.example", site: ["managed_by": "apply", "origins": ["http://127.0.0.1:1"]]),
            AppliedZone(
                id: "2", name: "other.example", site: ["managed_by": "apply", "origins": ["http://127.0.0.1:2"]]),
            AppliedZone(id: "3", name: "bare.example", site: nil),
        ]
        let wanted = ["new.example", "same.example", "other.example", "bare.example"].map { document($0) }
        let plan = ApplyPlanner.plan(wanted: wanted, existing: existing, prune: false)
        #expect(
            signs(plan) == ["create new.example", "unchanged same.example", "update other.example", "add bare.example"])
        #expect(plan.steps[2].notes == ["origins: [\"http://127.0.0.1:2\"] → [\"http://127.0.0.1:1\"]"])
        // Whose the zone is stays as it was.
        #expect(plan.steps[0].site?["managed_by"] == "apply" && plan.steps[2].site?["managed_by"] == "apply")
        #expect(plan.steps[3].site == document("x").site)
        #expect(plan.summary == "1 to create, 1 to get a site, 1 to change, 1 unchanged")
    }

    @Test("the order of members is no difference, the order of a list is")
    func order() {
        let site: JSONObject = ["attempts": 2, "origins": ["a", "b"]]
        func action(_ wanted: JSONObject) -> ApplyStep.Action? {
            let existing = AppliedZone(id: "1", name: "a.example", site: site)
            return ApplyPlanner.plan(
                wanted: [ZoneDocument(name: "a.example", site: wanted)], existing: [existing], prune: false
            ).steps.first?.action
        }
        #expect(action(["origins": ["a", "b"], "attempts": 2]) == .unchanged)
        #expect(action(["origins": ["b", "a"], "attempts": 2]) == .update)
        #expect(action(["origins": ["a", "b"], "attempts": "2"]) == .update)
    }

    @Test("only prune deletes, and only what apply made")
    func prune() {
        let existing = [
            AppliedZone(id: "1", name: "b.example", site: ["managed_by": "apply"]),
            AppliedZone(id: "2", name: "a.example", site: ["managed_by": "apply"]),
            AppliedZone(id: "3", name: "hand.example", site: ["origins": []]),
            AppliedZone(id: "4", name: "bare.example", site: nil),
        ]
        #expect(ApplyPlanner.plan(wanted: [], existing: existing, prune: false).steps.isEmpty)
        let plan = ApplyPlanner.plan(wanted: [], existing: existing, prune: true)
        #expect(signs(plan) == ["delete a.example", "delete b.example", "keep hand.example"])
        #expect(plan.changes.count == 2)
    }

    @Test("a name that no control plane can keep is refused, before anything is done")
    func refused() {
        let wanted = [document("2001:db8::1"), document("a.example")]
        let plan = ApplyPlanner.plan(wanted: wanted, existing: [], prune: false)
        #expect(plan.refused.count == 1 && signs(plan) == ["create a.example"])
    }

    @Test(
        "what no name server answers for is made as such",
        arguments: [
            ("*", "internal"), ("localhost", "internal"), ("192.0.2.1", "internal"), ("a.example", "full"),
            ("1.example", "full"),
        ])
    func types(name: String, type: String) {
        #expect(ApplyPlanner.type(name) == type)
    }

    @Test("nobody else's mark in the file makes a zone apply's")
    func forgedMark() {
        var wanted = document("bare.example")
        wanted.site["managed_by"] = "apply"
        let plan = ApplyPlanner.plan(
            wanted: [wanted], existing: [AppliedZone(id: "1", name: "bare.example", site: nil)], prune: false)
        #expect(plan.steps[0].site?["managed_by"] == nil)
    }

    @Test("a plan is shown line by line, and counted where it is long")
    func text() {
        let wanted = [document("a\u{1b}.example"), document("b.example", "http://new")]
        let existing = [
            AppliedZone(id: "1", name: "b.example", site: ["origins": ["http://old"]]),
            AppliedZone(id: "2", name: "c.example", site: ["managed_by": "apply"]),
        ]
        let plan = ApplyPlanner.plan(wanted: wanted, existing: existing, prune: true)
        #expect(
            plan.text == """
                + create a?.example  (http://127.0.0.1:1)
                ~ update b.example
                    origins: ["http://old"] → ["http://new"]
                - delete c.example
                1 to create, 1 to change, 1 to delete
                """)
        #expect(plan.json(isApplied: true)["changes"] == 3)
        let many = ApplyPlanner.plan(
            wanted: (0..<1000).map { document("z\($0).example") }, existing: [], prune: false)
        #expect(many.text.split(separator: "\n").count == 202 && many.text.contains("and 800 zones more"))
    }

    // MARK: Doing

    @Test("the second run finds nothing to do; a change changes one; prune takes the rest away")
    func twice() async throws {
        let control = FakeControl([.init(id: "h", name: "hand.example", site: ["origins": []], records: 3)])
        let applier = Applier(control.client)
        let wanted = (0..<120).map { document("z\($0).example") }
        let first = try await applier.plan(wanted, prune: true)
        #expect(first.count(.create) == 120 && first.count(.keep) == 1)
        #expect(try await applier.run(first).doneCount == 120)
        #expect(control.changes.count == 240)
        let second = try await applier.plan(wanted, prune: true)
        #expect(second.changes.isEmpty && second.summary == "nothing to do: 1 kept, 120 unchanged")

        var changed = wanted
        changed[7] = document("z7.example", "http://127.0.0.1:2")
        let third = try await applier.plan(changed, prune: false)
        #expect(third.changes.map(\.name) == ["z7.example"])
        _ = try await applier.run(third)
        #expect(control.zone("z7.example")?.site == ["origins": ["http://127.0.0.1:2"], "managed_by": "apply"])

        control.set { $0.zones[1].records = 14 }
        let last = try await applier.plan([], prune: true)
        #expect(last.count(.delete) == 120)
        #expect(last.steps.first { $0.name == "z0.example" }?.notes == ["with 14 records"])
        _ = try await applier.run(last)
        #expect(control.state.withLock { $0.zones.map(\.name) } == ["hand.example"])
    }

    @Test("a zone that is refused leaves nothing behind, and the others go on")
    func refusedSite() async throws {
        let control = FakeControl()
        control.set { $0.refusing = ["b.example"] }
        let applier = Applier(control.client)
        let plan = try await applier.plan(["a.example", "b.example", "c.example"].map { document($0) }, prune: false)
        let outcome = try await applier.run(plan)
        #expect(outcome.doneCount == 2 && outcome.failures == ["create b.example: a bad site (1004)"])
        #expect(control.zone("b.example") == nil && control.zone("c.example") != nil)
    }

    @Test("an API that goes away ends it, and the next run goes on")
    func gone() async throws {
        let control = FakeControl()
        control.set { $0.dyingAt = "b.example" }
        let applier = Applier(control.client)
        let wanted = ["a.example", "b.example", "c.example"].map { document($0) }
        let plan = try await applier.plan(wanted, prune: false)
        let ended = await problem { _ = try await applier.run(plan) }
        #expect(ended?.kind == .unreachable && ended?.message.contains("1 of 3 done") == true)
        #expect(control.zone("c.example") == nil)
        control.set { $0.dyingAt = nil }
        let rest = try await applier.plan(wanted, prune: false)
        #expect(signs(rest) == ["unchanged a.example", "add b.example", "create c.example"])
        #expect(try await applier.run(rest).doneCount == 2)
        #expect(try await applier.plan(wanted, prune: false).changes.isEmpty)
    }

    @Test("who asks to stop gets the step under way and no other")
    func stopped() async throws {
        let control = FakeControl()
        let applier = Applier(control.client)
        let wanted = ["a.example", "b.example", "c.example"].map { document($0) }
        let plan = try await applier.plan(wanted, prune: false)
        let outcome = try await applier.run(plan) { control.zone("a.example") != nil }
        #expect(outcome == Applier.Outcome(doneCount: 1, failures: [], isStopped: true))
        #expect(control.zone("b.example") == nil)
    }

    @Test("an older control plane is named as such")
    func unknown() async throws {
        let api = ScriptedAPI([
            .result([["id": "1", "name": "a.example"]]),
            .failure(404, 7003, "Could not route", chain: [(7000, "No route for that URI")]),
        ])
        let ended = await problem { _ = try await Applier(api.client).plan([document("a.example")], prune: false) }
        #expect(ended?.kind == .unknownToAPI && ended?.message.contains("/martlet/site yet") == true)
    }

    // MARK: What else is shown

    @Test("limits are changed one by one")
    func limits() throws {
        let current: JSONValue = ["limits": ["connections": 10], "timeouts": ["idle": "60s"]]
        #expect(
            try LimitsWish.body(["limits.body_rate=1KiB", "limits.connections=20", "timeouts.idle="], current: current)
                == ["limits": ["connections": 20, "body_rate": "1KiB"]])
        #expect(try LimitsWish.body(["timeouts.idle=5m"], current: nil) == ["timeouts": ["idle": "5m"]])
        for bad in ["idle=5m", "timeouts=5m", "zones.x=1", "timeouts.idle", "timeouts.=1", "limits.a.b=1"] {
            #expect(throws: OperatorProblem.self) { try LimitsWish.body([bad], current: nil) }
        }
    }

    @Test("differences are told by their path, as far as anybody reads")
    func differences() {
        let before: JSONValue = ["a": 1, "b": ["c": "x", "d": 1], "e": [1]]
        let after: JSONValue = ["a": 1, "b": ["c": "y", "f": true], "e": [2]]
        #expect(
            JSONDifference.lines(from: before, to: after) == [
                "b.c: x → y", "b.d: removed 1", "b.f: added true", "e: [1] → [2]",
            ])
        #expect(JSONDifference.lines(from: before, to: after, linesMax: 1) == ["b.c: x → y", "and 3 more"])
        #expect(JSONDifference.lines(from: before, to: before).isEmpty)
    }

    @Test("nodes are shown whatever they have reported")
    func nodes() {
        let quiet: JSONValue = ["name": "a", "role": "edge", "state": "enrolled", "connected": false, "health": nil]
        let busy: JSONValue = [
            "name": "b", "role": "edge", "state": "enrolled", "connected": true, "canary": true, "sequence": 7,
            "behind": 0, "lag_ms": 12, "health": ["requests": 605, "server_errors": 7, "p99_us": 1234],
        ]
        let lines = NodeViews.table([quiet, busy]).text().split(separator: "\n")
        #expect(lines[1].contains("away") && lines[1].contains("never"))
        #expect(lines[2].contains("connected") && lines[2].contains(" 10.0 ") && lines[2].contains("1.2 %"))
        #expect(NodeViews.facts(busy).contains("last minute: requests"))
    }
}
