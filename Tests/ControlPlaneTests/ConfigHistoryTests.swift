// What was changed, what moments differ in, and the way back: for every kind of object that the API writes.

import JSON
import Testing

@testable import ControlPlane

/// An account, and its history.
private struct Past {
    let api: APIStage
    let account: String
    var path: String { "/accounts/\(account)/martlet/config" }

    static func with(_ kind: StoreKind = .sqlite, _ body: (Past) async throws -> Void) async throws {
        try await withAPI(kind) { api in try await body(Past(api: api, account: try await api.account())) }
    }

    /// The newest change.
    func now() async -> String {
        await api.call("GET", path + "/history?per_page=1").result.array?.first?["id"]?.string ?? ""
    }

    func rollback(_ to: String, isDry: Bool = false) async -> APIStage.Answer {
        await api.call("POST", path + "/rollback", ["to": .string(to), "dry_run": .boolean(isDry)])
    }

    /// What GET says of each path, without what changes by itself. Null for what is not there.
    func state(_ paths: [String]) async -> [JSONValue] {
        var shown: [JSONValue] = []
        for path in paths {
            let answer = await api.call("GET", path)
            shown.append(answer.status == 200 ? Past.plain(answer.result) : .null)
        }
        return shown
    }

    private static let times: Set<String> = [
        "modified_on", "created_on", "last_updated", "version", "comment_modified_on", "tags_modified_on",
        "activated_on",
    ]

    private static func plain(_ value: JSONValue) -> JSONValue {
        if let values = value.array { return .array(values.map(plain)) }
        guard let object = value.object else { return value }
        var shown = JSONObject()
        for (name, value) in object.members
        where !Past.times.contains(name) {
            shown[name] = plain(value)
        }
        return .object(shown)
    }

    /// Makes, changes and deletes one object, and goes back from each to each.
    func roundTrip(_ all: String, _ first: JSONValue, _ second: JSONValue, method: String = "PUT") async throws {
        let base = await now()
        let made = await api.call("POST", all, first)
        let id = try #require(made.result["id"]?.string, "\(all): \(made.text)")
        let one = "\(all)/\(id)"
        let (afterCreate, created) = (await now(), await state([one]))
        let changed = await api.call(method, one, second)
        #expect(changed.status == 200, "\(changed.text)")
        let (afterChange, updated) = (await now(), await state([one]))
        #expect(created != updated)
        // Update undone, and done again; creation undone, and done again; deletion undone.
        for (to, expected) in [(afterCreate, created), (afterChange, updated), (base, [.null]), (afterChange, updated)]
        {
            let answer = await rollback(to)
            #expect(answer.status == 200 && answer.result["skipped"] == [], "\(all): \(answer.text)")
            #expect(await state([one]) == expected, "\(all)")
        }
        #expect([200, 204].contains(await api.call("DELETE", one).status))
        let answer = await rollback(afterCreate)
        #expect(answer.status == 200, "\(answer.text)")
        #expect(await state([one]) == created, "\(all)")
    }
}

@Suite("API: history and rollback")
struct ConfigHistoryTests {
    @Test("every kind of object comes back from each of its changes", arguments: StoreKind.allCases)
    func kinds(_ kind: StoreKind) async throws {
        try await Past.with(kind) { past in
            let zone = "/zones/\(try await past.api.zone())"
            let account = "/accounts/\(past.account)"
            try await past.roundTrip(
                zone + "/dns_records", ["name": "www", "type": "A", "content": "192.0.2.1", "comment": "one"],
                ["name": "www", "type": "AAAA", "content": "2001:db8::1", "proxied": true])
            try await past.roundTrip(
                zone + "/dns_records", ["name": "@", "type": "MX", "content": "mail.example.com", "priority": 10],
                ["name": "@", "type": "MX", "content": "mx.example.com", "priority": 5, "ttl": 300])
            try await past.roundTrip(
                account + "/load_balancers/pools", ["name": "p", "origins": [["name": "o", "address": "192.0.2.1"]]],
                ["name": "q", "origins": [], "description": "other"])
            try await past.roundTrip(
                account + "/load_balancers/monitors", ["type": "https", "path": "/a"], ["type": "http", "path": "/b"])
            try await past.roundTrip(
                zone + "/healthchecks", ["name": "h", "address": "192.0.2.1"], ["name": "h", "address": "192.0.2.2"])
            let target: JSONValue = [["target": "url", "constraint": ["operator": "matches", "value": "a/*"]]]
            try await past.roundTrip(
                zone + "/pagerules", ["targets": target, "actions": [["id": "always_online"]]],
                ["targets": target, "actions": [["id": "ssl", "value": "off"]], "status": "active"])
            try await past.roundTrip(
                zone + "/rulesets",
                [
                    "name": "r", "kind": "zone", "phase": "http_ratelimit",
                    "rules": [],
                ], ["description": "changed", "rules": []])
            try await past.roundTrip(
                account + "/rules/lists", ["name": "l", "kind": "ip"], ["description": "changed"])
        }
    }

    @Test("settings, zones, switches and accounts come back", arguments: StoreKind.allCases)
    func settings(_ kind: StoreKind) async throws {
        try await Past.with(kind) { past in
            let zone = "/zones/\(try await past.api.zone())"
            let account = "/accounts/\(past.account)"
            let paths = [zone + "/settings/ssl", zone, account + "/martlet/switches", account]
            let (base, before) = (await past.now(), await past.state(paths))
            _ = await past.api.call("PATCH", paths[0], ["value": "strict"])
            _ = await past.api.call("PATCH", zone, ["paused": true])
            _ = await past.api.call("PUT", paths[2] + "/cache", ["enabled": false])
            _ = await past.api.call("PUT", account, ["name": "Other"])
            let dry = await past.rollback(base, isDry: true)
            #expect(dry.result["steps"]?.array?.count == 4 && dry.result["dry_run"] == true, "\(dry.text)")
            #expect(await past.state(paths) != before)
            let answer = await past.rollback(base)
            #expect(answer.status == 200 && answer.result["steps"] == dry.result["steps"], "\(answer.text)")
            #expect(await past.state(paths) == before)
            // Nothing is left to do.
            #expect(await past.rollback(base).result["steps"] == [])
        }
    }

    @Test("a zone comes back with its records, settings and rules, under its identifier", arguments: StoreKind.allCases)
    func zone(_ kind: StoreKind) async throws {
        try await Past.with(kind) { past in
            let zone = "/zones/\(try await past.api.zone())"
            for number in 0..<5 {
                _ = await past.api.call(
                    "POST", zone + "/dns_records",
                    ["name": .string("a\(number)"), "type": "A", "content": "192.0.2.1"])
            }
            let file = "b 300 IN A 192.0.2.9\nc 300 IN TXT \"x\"\n"
            _ = await past.api.call("POST", zone + "/dns_records/import", bytes: Array(file.utf8))
            _ = await past.api.call("PATCH", zone + "/settings/ssl", ["value": "strict"])
            _ = await past.api.call("PATCH", zone, ["paused": true])
            let paths = [zone, zone + "/dns_records?order=name", zone + "/settings/ssl"]
            let (base, before) = (await past.now(), await past.state(paths))
            _ = await past.api.call(
                "POST", zone + "/dns_records", ["name": "later", "type": "A", "content": "192.0.2.1"])
            #expect(await past.api.call("DELETE", zone).status == 200)
            let answer = await past.rollback(base)
            #expect(answer.status == 200, "\(answer.text)")
            let after = await past.state(paths)
            #expect(after[1].array?.count == 7 && after[1] == before[1] && after[2] == before[2])
            #expect(
                after[0]["name"] == "example.com" && after[0]["paused"] == true && after[0]["id"] == before[0]["id"])
            // And the other way: a zone that was made goes, with all that is in it.
            let other = "/zones/\(try await past.api.zone("other.example"))"
            _ = await past.api.call("POST", other + "/dns_records", ["name": "a", "type": "A", "content": "192.0.2.1"])
            let gone = await past.rollback(base)
            #expect(gone.status == 200 && gone.result["steps"]?.array?.count == 1, "\(gone.text)")
            #expect(await past.api.call("GET", other).status == 404)
        }
    }

    @Test("what refers to each other comes back in the order that it needs")
    func references() async throws {
        try await Past.with { past in
            let zone = "/zones/\(try await past.api.zone())"
            let root = "/accounts/\(past.account)/load_balancers"
            func pool(_ name: String) async -> JSONValue {
                await past.api.call("POST", root + "/pools", ["name": .string(name), "origins": []]).result["id"]
                    ?? .null
            }
            let old = await pool("old")
            let made = await past.api.call(
                "POST", zone + "/load_balancers",
                ["name": "lb.example.com", "default_pools": [old], "fallback_pool": old])
            let balancer = zone + "/load_balancers/\(made.result["id"]?.string ?? "")"
            let (base, before) = (await past.now(), await past.state([balancer]))
            let new = await pool("new")
            _ = await past.api.call(
                "PUT", balancer, ["name": "lb.example.com", "default_pools": [new], "fallback_pool": new])
            #expect(await past.api.call("DELETE", root + "/pools/\(old.string ?? "")").status == 200)
            let answer = await past.rollback(base)
            #expect(answer.status == 200, "\(answer.text)")
            #expect(answer.result["steps"]?.array?.map { $0["action"]?.string } == ["create", "update", "delete"])
            #expect(await past.state([balancer]) == before)
            #expect(await past.api.call("GET", root + "/pools").result.array?.map { $0["name"] } == ["old"])
        }
    }

    @Test("items of lists come back", arguments: StoreKind.allCases)
    func items(_ kind: StoreKind) async throws {
        try await Past.with(kind) { past in
            let root = "/accounts/\(past.account)/rules/lists"
            let list = await past.api.call("POST", root, ["name": "l", "kind": "ip"]).result["id"]?.string ?? ""
            let items = "\(root)/\(list)/items"
            _ = await past.api.call("POST", items, [["ip": "192.0.2.1"], ["ip": "192.0.2.2", "comment": "two"]])
            let (base, before) = (await past.now(), await past.state([items]))
            _ = await past.api.call("PUT", items, [["ip": "192.0.2.2"], ["ip": "192.0.2.3"]])
            #expect(await past.state([items]) != before)
            var answer = await past.rollback(base)
            #expect(answer.status == 200, "\(answer.text)")
            #expect(await past.state([items]) == before)
            _ = await past.api.call("DELETE", "\(root)/\(list)")
            answer = await past.rollback(base)
            #expect(answer.status == 200, "\(answer.text)")
            #expect(await past.state([items]) == before)
        }
    }

    @Test("what cannot come back is named, with the reason, and all else comes back")
    func refused() async throws {
        try await Past.with { past in
            let zone = "/zones/\(try await past.api.zone())"
            let monitors = "/accounts/\(past.account)/load_balancers/monitors"
            let monitor =
                await past.api.call(
                    "POST", monitors, ["header": ["Authorization": ["Bearer sekret"], "Host": ["a.example"]]]
                ).result["id"]?.string ?? ""
            let base = await past.now()
            let pair = try TestPair.make("www.example.com")
            let made = await past.api.call(
                "POST", zone + "/custom_certificates",
                ["certificate": .string(pair.certificate), "private_key": .string(pair.key)])
            #expect(made.status == 200, "\(made.text)")
            _ = try await past.api.token(["DNS Read"], on: ["com.cloudflare.api.account.zone.*"])
            _ = await past.api.call("POST", zone + "/purge_cache", ["purge_everything": true])
            _ = await past.api.call("PATCH", zone + "/settings/ssl", ["value": "strict"])
            // Its path comes back, its header stays.
            _ = await past.api.call("PATCH", "\(monitors)/\(monitor)", ["path": "/other"])
            let dry = await past.rollback(base)
            let skipped = (dry.result["skipped"]?.array ?? []).map {
                "\($0["resource"]?.string ?? "") \($0["reason"]?.string ?? "")"
            }
            #expect(skipped.contains { $0.hasPrefix("certificate/") && $0.contains("private key") }, "\(dry.text)")
            #expect(skipped.contains { $0.hasPrefix("zone/") && $0.contains("purged") })
            #expect(dry.result["steps"]?.array?.count == 2, "\(dry.text)")
            #expect(await past.api.call("GET", zone + "/settings/ssl").result["value"] == "full")
            #expect(await past.api.call("GET", zone + "/custom_certificates").result.array?.count == 1)
            let shown = await past.api.call("GET", "\(monitors)/\(monitor)").result
            #expect(shown["path"] == "/" && shown["header"]?["Authorization"] == ["Bearer sekret"])
            let rows = await past.api.call("GET", "/accounts/\(past.account)/audit_logs").text
            #expect(!rows.contains("sekret") && rows.contains(ObjectKind.notKept) && rows.contains("a.example"))
            // A deleted one has lost it.
            let before = await past.now()
            _ = await past.api.call("DELETE", "\(monitors)/\(monitor)")
            let lost = await past.rollback(before)
            #expect(lost.result["steps"] == [] && lost.text.contains("header"), "\(lost.text)")
            let history = await past.api.call("GET", past.path + "/history").result.array ?? []
            #expect(history.first { $0["resource"]?.string?.hasPrefix("certificate/") == true }?["undoable"] == false)
        }
    }

    @Test(
        "the history says who, what and with which numbers; a difference says before and after",
        arguments: StoreKind.allCases)
    func history(_ kind: StoreKind) async throws {
        try await Past.with(kind) { past in
            let zoneID = try await past.api.zone()
            let base = await past.now()
            let made = await past.api.call(
                "POST", "/zones/\(zoneID)/dns_records", ["name": "www", "type": "A", "content": "192.0.2.1"])
            let id = made.result["id"]?.string ?? ""
            _ = await past.api.call("PATCH", "/zones/\(zoneID)/dns_records/\(id)", ["content": "192.0.2.2"])
            _ = try await past.api.zone("other.example")
            let all = await past.api.call("GET", past.path + "/history")
            #expect(all.result.array?.count == 4 && all.json["result_info"]?["total_count"] == 4, "\(all.text)")
            let mine = await past.api.call("GET", past.path + "/history?zone=\(zoneID)").result.array ?? []
            #expect(mine.map { $0["action"]?.string } == ["update", "create", "create"])
            #expect(mine.first?["summary"] == "update dns record A www.example.com" && mine.first?["sequence"] == .null)
            #expect(mine.first?["zone"]?.string == zoneID && mine.first?["undoable"] == true)
            #expect(mine.first?["actor"]?.string?.hasPrefix("token/") == true)
            try await past.api.store.write { try $0.execute("UPDATE outbox SET sequence = id") }
            let numbered = await past.api.call("GET", past.path + "/history?zone=\(zoneID)").result.array?.first
            #expect(numbered?["sequence"]?["from"] == 3 && numbered?["sequence"]?["to"] == 3)
            let diff = await past.api.call("GET", past.path + "/diff?from=\(base)&zone=\(zoneID)").result.array ?? []
            #expect(diff.count == 1 && diff.first?["change"] == "create" && diff.first?["before"] == .null)
            #expect(diff.first?["after"]?["content"] == "192.0.2.2")
            let first = mine.dropFirst().first?["id"]?.string ?? ""
            let step = await past.api.call("GET", past.path + "/diff?from=\(first)&to=\(await past.now())").result.array
            #expect(step?.count == 2 && step?.first?["change"] == "update")
            #expect(step?.first?["before"]?["content"] == "192.0.2.1")
            #expect(await past.api.call("GET", past.path + "/diff?from=\(StoreID.make())").status == 404)
            #expect(await past.api.call("GET", past.path + "/history?since=2999-01-01T00:00:00Z").result == [])
        }
    }

    @Test("nobody undoes what they could not do; and a step that fails takes all back")
    func rights() async throws {
        try await Past.with { past in
            let zoneID = try await past.api.zone()
            let records = "/zones/\(zoneID)/dns_records"
            let made = await past.api.call("POST", records, ["name": "www", "type": "A", "content": "192.0.2.1"])
            let base = await past.now()
            _ = await past.api.call("PATCH", "/zones/\(zoneID)/settings/ssl", ["value": "strict"])
            _ = await past.api.call("DELETE", "\(records)/\(made.result["id"]?.string ?? "")")
            let reader = try await past.api.token(
                ["Account Audit Logs Read"], on: ["com.cloudflare.api.account.\(past.account)"])
            let rollback: JSONValue = ["to": .string(base)]
            let refused = await past.api.call("POST", past.path + "/rollback", rollback, token: reader)
            #expect(refused.status == 403 && refused.message.hasPrefix("Step 1"), "\(refused.text)")
            #expect(await past.api.call("GET", past.path + "/history", token: reader).status == 200)
            // Something else has taken the name.
            try await past.api.store.write { transaction in
                guard let zone = try ZoneRow.find(zoneID, transaction) else { return }
                _ = try RecordDraft.create(
                    ["name": "www", "type": "CNAME", "content": "x.example"], zone,
                    at: APITime(microseconds: transaction.now), transaction)
            }
            let failed = await past.api.call("POST", past.path + "/rollback", rollback)
            #expect(failed.status == 400 && failed.code == 81054, "\(failed.text)")
            #expect(await past.api.call("GET", "/zones/\(zoneID)/settings/ssl").result["value"] == "strict")
            #expect(await past.api.call("POST", past.path + "/rollback", ["to": .string(StoreID.make())]).status == 404)
        }
    }
}
