// What a hostile reading of the API found, each with what it does now.

import ConfigLog
import JSON
import Limits
import Testing

@testable import ControlPlane

@Suite("API: what a hostile reading found")
struct APIReviewTests {
    @Test("a load balancer names pools of its account, wherever it names them", arguments: StoreKind.allCases)
    func pools(_ kind: StoreKind) async throws {
        try await withAPI(kind) { api in
            let (zone, account) = (try await api.zone(), try await api.account())
            let root = "/accounts/\(account)/load_balancers/pools"
            let pool = await api.call("POST", root, ["name": "p", "origins": []]).result["id"] ?? .null
            let stranger = JSONValue.string(StoreID.make())
            let base: JSONObject = ["name": "lb.example.com", "default_pools": [pool], "fallback_pool": pool]
            for extra in [
                ["region_pools": ["WEU": [stranger]]], ["pop_pools": ["FRA": [pool, stranger]]],
                ["country_pools": ["DE": [stranger]]],
                ["rules": [["name": "r", "overrides": ["fallback_pool": stranger]]]],
                ["rules": [["overrides": ["region_pools": ["X": [stranger]]]]]],
                ["rules": [["overrides": ["default_pools": ["odd"]]]]],
            ] as [JSONObject] {
                let made = await api.call("POST", "/zones/\(zone)/load_balancers", .object(base.merging(extra)))
                #expect(made.status == 400 && made.message.contains("pool"), "\(made.text)")
            }
            let good = base.merging([
                "region_pools": ["WEU": [pool]], "rules": [["overrides": ["default_pools": [pool]]]],
            ])
            #expect(await api.call("POST", "/zones/\(zone)/load_balancers", .object(good)).status == 200)
            #expect(await api.call("DELETE", root + "/\(pool.string ?? "")").status == 412)
        }
    }

    @Test("ten thousand items fit in a list, each a row and a key of its own", arguments: StoreKind.allCases)
    func items(_ kind: StoreKind) async throws {
        try await withAPI(kind) { api in
            let root = "/accounts/\(try await api.account())/rules/lists"
            let list = await api.call("POST", root, ["name": "l", "kind": "ip"]).result["id"]?.string ?? ""
            let items = "\(root)/\(list)/items"
            let all: [JSONValue] = (0..<Limits.apiListItemsMax).map { number in
                ["ip": .string("10.\(number >> 16 & 255).\(number >> 8 & 255).\(number & 255)")]
            }
            let added = await api.call("POST", items, .array(all))
            #expect(added.status == 200, "\(added.text.prefix(200))")
            #expect(await api.call("GET", "\(root)/\(list)").result["num_items"] == 10_000)
            let more = await api.call("POST", items, [["ip": "192.0.2.1"]])
            #expect(more.status == 400 && more.message.contains("10000 items"))
            var seen: [String] = []
            var cursor = ""
            repeat {
                let page = await api.call("GET", "\(items)?per_page=500&cursor=\(cursor)")
                seen += (page.result.array ?? []).compactMap { $0["ip"]?.string }
                cursor = page.json["result_info"]?["cursors"]?["after"]?.string ?? ""
            } while !cursor.isEmpty
            #expect(seen == all.compactMap { $0["ip"]?.string })
            // One more comment is one more key.
            let keys = try await api.published().count
            #expect(await api.call("POST", items, [["ip": "10.0.0.7", "comment": "seven"]]).status == 200)
            #expect(try await api.published().count == keys + 1)
            let found = await api.call("GET", items + "?search=10.0.0.7%22").result.array
            #expect(found?.count == 1 && found?.first?["comment"] == "seven")
            #expect(await api.call("PUT", items, [["ip": "10.0.0.7"]]).status == 200)
            #expect(await api.call("GET", "\(root)/\(list)").result["num_items"] == 1)
        }
    }

    @Test("a change of a list that could not travel is refused before any work")
    func largeItems() async throws {
        try await withAPI { api in
            let root = "/accounts/\(try await api.account())/rules/lists"
            let list = await api.call("POST", root, ["name": "l", "kind": "redirect"]).result["id"]?.string ?? ""
            let target = String(repeating: "x", count: 900)
            for part in 0..<3 {
                let items: [JSONValue] = (0..<3000).map { number in
                    ["redirect": ["source_url": .string("a.example/\(part)/\(number)"), "target_url": .string(target)]]
                }
                #expect(await api.call("POST", "\(root)/\(list)/items", .array(items)).status == 200)
            }
            #expect(await api.call("GET", "\(root)/\(list)").result["num_items"] == 9000)
        }
    }

    @Test("kinds are bounded in number, and the bound says so")
    func bounds() async throws {
        try await withAPI { api in
            let zone = try await api.zone()
            let now = APITime.now
            try await api.store.write { transaction in
                for (kind, count) in [("ruleset", Limits.apiRulesetsMax), ("certificate", Limits.apiCertificatesMax)] {
                    for number in 0..<count {
                        try ObjectRow(kind: kind, scopeID: zone, name: "\(number)", body: ["rules": []], at: now)
                            .insert(transaction)
                    }
                }
            }
            let full = await api.call(
                "POST", "/zones/\(zone)/rulesets", ["name": "r", "kind": "custom", "phase": "http_ratelimit"])
            #expect(full.status == 409 && full.message.contains("200 rulesets"), "\(full.text)")
            let pair = try TestPair.make("www.example.com")
            let body: JSONValue = ["certificate": .string(pair.certificate), "private_key": .string(pair.key)]
            #expect(await api.call("POST", "/zones/\(zone)/custom_certificates", body).status == 409)
            let page = await api.call("GET", "/zones/\(zone)/custom_certificates?per_page=30&page=4")
            #expect(page.result.array?.count == 10 && page.json["result_info"]?["total_count"] == 100)
        }
    }

    @Test("filters have bounds, and fold the letters of ASCII alone", arguments: StoreKind.allCases)
    func filters(_ kind: StoreKind) async throws {
        try await withAPI(kind) { api in
            let records = "/zones/\(try await api.zone())/dns_records"
            let long = String(repeating: "a", count: 1025)
            #expect(await api.call("GET", records + "?name.contains=\(long)").status == 400)
            for (name, comment) in [("a", "\u{c9}cole"), ("b", "100%\u{301} sure"), ("c", "PLAIN")] {
                _ = await api.call(
                    "POST", records,
                    ["name": .string(name), "type": "A", "content": "192.0.2.1", "comment": .string(comment)])
            }
            func found(_ query: String) async -> [String] {
                (await api.call("GET", records + "?" + query).result.array ?? []).compactMap { $0["name"]?.string }
            }
            #expect(await found("comment.exact=%C3%89cole") == ["a.example.com"])
            #expect(await found("comment.contains=%C3%89COL") == ["a.example.com"])
            #expect(await found("comment.contains=plain") == ["c.example.com"])
            #expect(await found("comment.startswith=1%25%CC%81") == [])
        }
    }

    @Test("hexadecimal digits are those of ASCII")
    func digits() async throws {
        try await withAPI { api in
            let records = "/zones/\(try await api.zone())/dns_records"
            func tlsa(_ digits: String) async -> Int {
                await api.call(
                    "POST", records,
                    [
                        "name": "_443._tcp", "type": "TLSA",
                        "data": ["usage": 3, "selector": 1, "matching_type": 0, "certificate": .string(digits)],
                    ]
                ).status
            }
            #expect(await tlsa("\u{ff21}\u{ff21}") == 400)
            #expect(await tlsa("AbCd") == 200)
        }
    }

    @Test("a purge names a host and at most a port before the path")
    func purges() async throws {
        try await withAPI { api in
            let path = "/zones/\(try await api.zone())/purge_cache"
            for file in [
                "https://example.com:x@evil.example/", "https://example.com:80@evil.example",
                "https://user@example.com/", "https://example.com:8a/", "https://example.com:123456/",
                "https://example.com\\@evil.example/",
            ] {
                #expect(await api.call("POST", path, ["files": [.string(file)]]).status == 400, "\(file)")
            }
            for file in ["https://example.com:8443/a@b:c", "http://www.example.com?x=a@b", "https://example.com#f"] {
                #expect(await api.call("POST", path, ["files": [.string(file)]]).status == 200, "\(file)")
            }
        }
    }

    @Test("a ruleset's rules stay unless they are given")
    func rules() async throws {
        try await withAPI { api in
            let root = "/zones/\(try await api.zone())/rulesets"
            let entry = root + "/phases/http_ratelimit/entrypoint"
            let rule: JSONValue = ["action": "block", "expression": "true"]
            #expect(await api.call("PUT", entry, ["rules": [rule]]).result["rules"]?.array?.count == 1)
            let kept = await api.call("PUT", entry, ["description": "x"]).result
            #expect(kept["rules"]?.array?.count == 1 && kept["description"] == "x")
            let listed = await api.call("GET", root).result.array?.first
            #expect(listed?["description"] == "x" && listed?["rules"] == nil && listed?["version"] == "2")
            #expect(await api.call("PUT", entry, ["rules": []]).result["rules"] == [])
            #expect(
                await api.call("POST", root, ["name": "r", "kind": "zone", "phase": "http_ratelimit"]).status == 409)
        }
    }

    @Test("another method is told which there are; a policy without meaning is refused")
    func small() async throws {
        try await withAPI { api in
            let answer = await api.call("DELETE", "/accounts")
            #expect(answer.status == 405)
            #expect(answer.fields.first { $0.name == "allow" }?.value.contains("GET") == true)
            for resources in [
                [:], ["x": "*"], ["com.cloudflare.api.account.zone.x": "*"],
                ["com.cloudflare.api.account.zone.*": "x"], ["com.cloudflare.api.account.*": [:]],
                ["com.cloudflare.api.user.*": ["com.cloudflare.api.account.zone.*": "*"]],
                ["com.cloudflare.api.account.*": ["com.cloudflare.api.user.*": "*"]],
            ] as [JSONValue] {
                let id = PermissionGroup.all.first { $0.name == "DNS Read" }?.id ?? ""
                let policy: JSONValue = [
                    "effect": "allow", "permission_groups": [["id": .string(id)]], "resources": resources,
                ]
                let made = await api.call("POST", "/user/tokens", ["name": "t", "policies": [policy]])
                #expect(made.status == 400, "\(resources.text): \(made.text)")
            }
        }
    }

    @Test("whether something exists is told to those who may do it")
    func existence() async throws {
        try await withAPI { api in
            let zone = try await api.zone()
            let token = try await api.token(["DNS Read"], on: ["com.cloudflare.api.account.zone.\(zone)"])
            let broad = try await api.token(["DNS Read"], on: ["com.cloudflare.api.account.zone.*"])
            let (other, none) = (try await api.zone("other.example"), StoreID.make())
            for path in ["/zones/\(other)/dns_records", "/zones/\(none)/dns_records", "/accounts/\(none)"] {
                let answer = await api.call("GET", path, token: token)
                #expect(answer.status == 403 && answer.code == 10000, "\(path): \(answer.text)")
            }
            #expect(await api.call("GET", "/zones/\(none)/dns_records", token: broad).status == 404)
            #expect(await api.call("GET", "/accounts/\(none)").status == 404)
            let verify = await api.call(
                "GET", "/accounts/\(none)/tokens/verify", fields: ["authorization": ""])
            #expect(verify.status == 403, "\(verify.text)")
        }
    }

    @Test("when a token was last used is noted once a minute, by one write", arguments: StoreKind.allCases)
    func lastUsed(_ kind: StoreKind) async throws {
        try await withAPI(kind) { api in
            func used() async -> JSONValue? {
                await api.call("GET", "/user/tokens").result.array?.first?["last_used_on"]
            }
            #expect(await eventually { await used() != nil })
            let uses = TokenUses()
            let now = APITime.now
            #expect(uses.due(at: now) == nil)
            uses.note("a")
            uses.note("a")
            #expect(uses.due(at: now) == ["a"])
            uses.note("b")
            #expect(uses.due(at: APITime(microseconds: now.microseconds + 59_000_000)) == nil)
            #expect(uses.due(at: APITime(microseconds: now.microseconds + 60_000_000)) == ["b"])
            for number in 0...Limits.apiTokenUsesMax { uses.note("\(number)") }
            let many = uses.due(at: APITime(microseconds: now.microseconds + 200_000_000))
            #expect(many?.count == Limits.apiTokenUsesMax)
        }
    }
}
