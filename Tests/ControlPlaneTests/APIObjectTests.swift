// Zones, settings, purges, and the other objects.

import JSON
import Testing

@testable import ControlPlane

@Suite("API: zones and what belongs to them")
struct APIObjectTests {
    @Test("zones are made, found, changed and deleted with all that is in them", arguments: StoreKind.allCases)
    func zones(kind: StoreKind) async throws {
        try await withAPI(kind) { api in
            let id = try await api.zone("Example.COM.")
            #expect(await api.call("POST", "/zones", ["name": "example.com"]).code == 1061)
            #expect(await api.call("POST", "/zones", ["name": "com"]).status == 400)
            let shown = await api.call("GET", "/zones/\(id)").result
            #expect(shown["name"] == "example.com" && shown["status"] == "active" && shown["paused"] == false)
            #expect(await api.call("PATCH", "/zones/\(id)", ["paused": true]).result["paused"] == true)
            for index in 0..<25 { _ = try await api.zone("z\(index).example") }
            #expect(await api.call("GET", "/zones?page=2").result.array?.count == 6)
            #expect(await api.call("GET", "/zones?page=3").result == [])
            #expect(await api.call("GET", "/zones?per_page=1000").json["result_info"]?["per_page"] == 50)
            #expect(
                await api.call("GET", "/zones?name=contains:z2&order=name&direction=desc").result.array?.first?["name"]
                    == "z24.example")
            #expect(await api.call("GET", "/zones?name=EXAMPLE.com").result.array?.count == 1)
            _ = await api.call("POST", "/zones/\(id)/dns_records", ["name": "a", "type": "A", "content": "192.0.2.1"])
            #expect(await api.call("DELETE", "/zones/\(id)").result == ["id": .string(id)])
            #expect(await api.call("GET", "/zones/\(id)").status == 404)
            var state: [String: String] = [:]
            for (key, value) in try await api.published() { state[key] = value == "-" ? nil : value }
            #expect(state.keys.filter { $0.contains(id) || $0 == "name/example.com" }.isEmpty)
            #expect(state["name/z1.example"] != nil)
        }
    }

    @Test("settings have their standard value until they are set; what they cannot be is refused")
    func settings() async throws {
        try await withAPI { api in
            let path = "/zones/\(try await api.zone())/settings"
            #expect(await api.call("GET", path).result.array?.count == ZoneSetting.all.count)
            for setting in ZoneSetting.all {
                #expect(throws: Never.self) { try setting.schema.check(setting.standard, at: setting.id) }
            }
            #expect(await api.call("GET", path + "/ssl").result["value"] == "full")
            #expect(await api.call("PATCH", path + "/ssl", ["value": "strict"]).result["value"] == "strict")
            #expect(await api.call("PATCH", path + "/ssl", ["value": "odd"]).status == 400)
            #expect(await api.call("GET", path + "/odd").code == 1006)
            let many = await api.call(
                "PATCH", path, ["items": [["id": "brotli", "value": "off"], ["id": "http3", "value": "maybe"]]])
            #expect(many.status == 400)
            #expect(await api.call("GET", path + "/brotli").result["value"] == "on")
            #expect(await api.call("PATCH", path + "/development_mode", ["value": "on"]).result["value"] == "on")
            let seconds = await api.call("GET", path + "/development_mode").result["time_remaining"]?.integer ?? 0
            #expect((10_000...10_800).contains(seconds))
        }
    }

    @Test("a purge is published, and nobody purges what is not theirs")
    func purges() async throws {
        try await withAPI { api in
            let zone = try await api.zone()
            let path = "/zones/\(zone)/purge_cache"
            for body in [
                ["purge_everything": true],
                ["files": ["https://www.example.com/a", ["url": "http://example.com/b?c"]]],
                ["tags": ["t"], "soft": true], ["hosts": ["a.example.com"]], ["prefixes": ["example.com/x"]],
            ] as [JSONValue] {
                let answer = await api.call("POST", path, body)
                #expect(answer.status == 200, "\(answer.text)")
            }
            #expect(try await api.published().filter { $0.key.hasPrefix("purge/\(zone)/") }.count == 5)
            for body in [
                [:], ["purge_everything": true, "tags": ["t"]], ["files": ["https://other.test/"]],
                ["hosts": ["notexample.com"]],
                ["files": ["/x"]], ["files": []],
            ] as [JSONValue] {
                #expect(await api.call("POST", path, body).status == 400, "\(body.text)")
            }
        }
    }

    @Test("purges are kept for a day, and go with their zone", arguments: StoreKind.allCases)
    func oldPurges(kind: StoreKind) async throws {
        try await withAPI(kind) { api in
            let zone = try await api.zone()
            let old = StoreID.ordered(at: 1)
            try await api.store.write { transaction in
                let dayBefore = APITime(microseconds: transaction.now - 90_000 * 1_000_000)
                try ObjectRow(kind: Purges.kind, scopeID: zone, id: old, name: old, body: [:], at: dayBefore)
                    .insert(transaction)
            }
            for _ in 0..<2 { _ = await api.call("POST", "/zones/\(zone)/purge_cache", ["purge_everything": true]) }
            let keys = try await api.published().filter { $0.key.hasPrefix("purge/") }
            #expect(keys.filter { $0.value == "-" }.map(\.key) == ["purge/\(zone)/\(old)"])
            #expect(Set(keys.map(\.key)).count == 3)
            _ = await api.call("DELETE", "/zones/\(zone)")
            #expect(try await api.published().filter { $0.key.hasPrefix("purge/") && $0.value == "-" }.count == 3)
        }
    }

    @Test("pools, monitors and load balancers refer to each other, and nothing goes that is referred to")
    func balancing() async throws {
        try await withAPI { api in
            let (zone, account) = (try await api.zone(), try await api.account())
            let root = "/accounts/\(account)/load_balancers"
            let monitor = try #require(await api.call("POST", root + "/monitors", ["type": "https"]).result["id"])
            let body: JSONValue = [
                "name": "p", "origins": [["name": "o", "address": "192.0.2.1"]], "monitor": monitor,
            ]
            let pool = await api.call("POST", root + "/pools", body)
            #expect(pool.result["origins"]?.array?.first?["weight"] == 1)
            let id = try #require(pool.result["id"]?.string)
            #expect(await api.call("POST", root + "/pools", body).status == 409)
            #expect(
                await api.call(
                    "POST", root + "/pools", ["name": "q", "origins": [], "monitor": .string(StoreID.make())]
                ).status == 400)
            let balancer = await api.call(
                "POST", "/zones/\(zone)/load_balancers",
                ["name": "lb.example.com", "default_pools": [.string(id)], "fallback_pool": .string(id)])
            #expect(balancer.status == 200, "\(balancer.text)")
            #expect(await api.call("DELETE", root + "/pools/\(id)").status == 412)
            #expect(await api.call("DELETE", root + "/monitors/\(monitor.string ?? "")").status == 412)
            #expect(
                await api.call("DELETE", "/zones/\(zone)/load_balancers/\(balancer.result["id"]?.string ?? "")").status
                    == 200)
            #expect(await api.call("DELETE", root + "/pools/\(id)").status == 200)
            #expect(
                await api.call("PATCH", root + "/monitors/\(monitor.string ?? "")", ["interval": 30]).result["interval"]
                    == 30)
        }
    }

    @Test("rules keep their identity, and get a version for each change; a phase has one ruleset to begin with")
    func rulesets() async throws {
        try await withAPI { api in
            let root = "/zones/\(try await api.zone())/rulesets"
            let entry = root + "/phases/http_request_firewall_custom/entrypoint"
            #expect(await api.call("GET", entry).code == 10003)
            let rule: JSONValue = ["action": "block", "expression": "true", "ref": "r"]
            let made = await api.call("PUT", entry, ["rules": [rule]])
            let id = try #require(made.result["id"]?.string)
            let first = try #require(made.result["rules"]?.array?.first)
            #expect(first["version"] == "1" && first["enabled"] == true)
            let same = await api.call("PUT", entry, ["rules": [rule]])
            #expect(same.result["version"] == "2" && same.result["rules"]?.array?.first == first)
            let added = await api.call(
                "POST", "\(root)/\(id)/rules", ["action": "log", "expression": "false", "position": ["index": 1]])
            #expect(added.result["rules"]?.array?.map { $0["action"] } == ["log", "block"])
            let edited = await api.call(
                "PATCH", "\(root)/\(id)/rules/\(first["id"]?.string ?? "")",
                ["action": "block", "enabled": false, "position": ["before": ""]])
            #expect(edited.result["rules"]?.array?.first?["version"] == "2")
            #expect(edited.result["rules"]?.array?.first?["expression"] == "true")
            #expect(
                await api.call("POST", root, ["name": "x", "kind": "zone", "phase": "http_request_firewall_custom"])
                    .status == 409)
            #expect(
                await api.call("PUT", entry, ["rules": [["action": "odd", "expression": "x"]]]).message.contains(
                    "rules.0.action"))
            #expect(await api.call("DELETE", "\(root)/\(id)").status == 204)
        }
    }

    @Test("page rules are listed by status; what they lack is said")
    func pageRules() async throws {
        try await withAPI { api in
            let path = "/zones/\(try await api.zone())/pagerules"
            let target: JSONValue = [
                "target": "url", "constraint": ["operator": "matches", "value": "*example.com/images/*"],
            ]
            let body: JSONValue = [
                "targets": [target], "actions": [["id": "cache_level", "value": "bypass"]], "status": "active",
            ]
            #expect(await api.call("POST", path, body).result["priority"] == 1)
            #expect(await api.call("POST", path, ["targets": [target], "actions": [["id": "ssl"]]]).status == 200)
            #expect(await api.call("GET", path + "?status=active").result.array?.count == 1)
            #expect(await api.call("GET", path).result.array?.count == 2)
            #expect(await api.call("POST", path, ["targets": [target]]).message.contains("actions"))
        }
    }

    @Test("items of lists are added, replaced and removed")
    func lists() async throws {
        try await withAPI { api in
            let root = "/accounts/\(try await api.account())/rules/lists"
            let id = try #require(
                await api.call("POST", root, ["name": "bad_ones", "kind": "ip"]).result["id"]?.string)
            #expect(await api.call("POST", root, ["name": "bad_ones", "kind": "ip"]).status == 409)
            #expect(await api.call("POST", root, ["name": "No", "kind": "ip"]).status == 400)
            let items = "\(root)/\(id)/items"
            let operation = await api.call(
                "POST", items, [["ip": "192.0.2.0/24"], ["ip": "2001:db8::1", "comment": "x"]])
            let operationID = try #require(operation.result["operation_id"]?.string)
            #expect(await api.call("GET", "\(root)/bulk_operations/\(operationID)").result["status"] == "completed")
            _ = await api.call("POST", items, [["ip": "192.0.2.0/24", "comment": "again"]])
            let all = await api.call("GET", items).result.array ?? []
            // It is the same item.
            #expect(all.count == 2 && all.first?["comment"] == "again")
            #expect(await api.call("POST", items, [["ip": "192.0.2.0/33"]]).status == 400)
            #expect(await api.call("POST", items, [["asn": 1]]).status == 400)
            let page = await api.call("GET", items + "?per_page=1")
            let cursor = try #require(page.json["result_info"]?["cursors"]?["after"]?.string)
            #expect(await api.call("GET", items + "?per_page=1&cursor=\(cursor)").result.array == [all[1]])
            _ = await api.call("DELETE", items, ["items": [["id": all[0]["id"] ?? .null]]])
            #expect(await api.call("GET", "\(root)/\(id)").result["num_items"] == 1)
        }
    }

    @Test("a certificate's key is sealed, and shown nowhere")
    func certificates() async throws {
        try await withAPI { api in
            let path = "/zones/\(try await api.zone())/custom_certificates"
            let (certificate, key) = try TestPair.make("www.example.com")
            let made = await api.call("POST", path, ["certificate": .string(certificate), "private_key": .string(key)])
            #expect(made.result["hosts"] == ["www.example.com"], "\(made.text)")
            let secret = String(key.split(separator: "\n")[1])
            #expect(!made.text.contains(secret))
            #expect(!(await api.call("GET", path).text.contains(secret)))
            #expect(try await api.published().allSatisfy { !$0.value.contains(secret) })
            let rows = try await api.store.read { try $0.query("SELECT before, after FROM audit") }
            #expect(rows.allSatisfy { !"\($0)".contains(secret) })
            let (_, otherKey) = try TestPair.make("www.example.com")
            #expect(
                await api.call("POST", path, ["certificate": .string(certificate), "private_key": .string(otherKey)])
                    .code == 1210)
            #expect(await api.call("POST", path, ["certificate": "x", "private_key": .string(key)]).code == 1208)
            #expect(await api.call("DELETE", path + "/\(made.result["id"]?.string ?? "")").status == 200)
        }
    }
}
