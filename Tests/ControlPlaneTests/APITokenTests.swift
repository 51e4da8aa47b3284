// Who may do what.

import JSON
import Testing

@testable import ControlPlane

private let everyZone = "com.cloudflare.api.account.zone.*"

@Suite("API: tokens")
struct APITokenTests {
    @Test("a token does what its groups allow on its resources, and nothing else", arguments: StoreKind.allCases)
    func scopes(kind: StoreKind) async throws {
        try await withAPI(kind) { api in
            let (mine, other) = (try await api.zone("mine.example"), try await api.zone("other.example"))
            let token = try await api.token(
                ["DNS Write", "Zone Read"], on: ["com.cloudflare.api.account.zone.\(mine)"])
            let record: JSONValue = ["name": "www", "type": "A", "content": "192.0.2.1"]
            #expect(await api.call("POST", "/zones/\(mine)/dns_records", record, token: token).status == 200)
            #expect(await api.call("GET", "/zones/\(mine)/dns_records", token: token).status == 200)
            for (method, path, body) in [
                ("POST", "/zones/\(other)/dns_records", record), ("PATCH", "/zones/\(mine)", ["paused": true]),
                ("POST", "/zones/\(mine)/purge_cache", ["purge_everything": true]),
                ("POST", "/zones", ["name": "new.example"]),
                ("DELETE", "/zones/\(mine)", nil), ("GET", "/user/tokens", nil),
            ] as [(String, String, JSONValue?)] {
                let answer = await api.call(method, path, body, token: token)
                #expect(answer.status == 403 && answer.code == 10000, "\(method) \(path): \(answer.text)")
            }
            #expect(await api.call("GET", "/zones", token: token).result.array?.map { $0["name"] } == ["mine.example"])
        }
    }

    @Test("a denial counts more than a permission")
    func denial() async throws {
        try await withAPI { api in
            let (mine, other) = (try await api.zone("mine.example"), try await api.zone("other.example"))
            var body = api.tokenBody(["Zone Read"], on: [everyZone]).object ?? [:]
            let deny =
                api.tokenBody(["Zone Read"], on: ["com.cloudflare.api.account.zone.\(other)"], effect: "deny")[
                    "policies"]?.array ?? []
            body["policies"] = .array((body["policies"]?.array ?? []) + deny)
            let token = try #require(await api.call("POST", "/user/tokens", .object(body)).result["value"]?.string)
            #expect(await api.call("GET", "/zones/\(mine)", token: token).status == 200)
            #expect(await api.call("GET", "/zones/\(other)", token: token).status == 403)
            #expect(await api.call("GET", "/zones", token: token).result.array?.map { $0["id"]?.string } == [mine])
        }
    }

    @Test("nobody makes or rolls a token that can do more than they can")
    func escalation() async throws {
        try await withAPI { api in
            let mine = try await api.zone()
            let zone = "com.cloudflare.api.account.zone.\(mine)"
            var body = api.tokenBody(["DNS Write"], on: [zone]).object ?? [:]
            body["policies"] = .array(
                (body["policies"]?.array ?? [])
                    + (api.tokenBody(["API Tokens Write"], on: ["com.cloudflare.api.user.*"])["policies"]?.array ?? []))
            let token = try #require(await api.call("POST", "/user/tokens", .object(body)).result["value"]?.string)
            #expect(
                await api.call("POST", "/user/tokens", api.tokenBody(["DNS Read"], on: [zone]), token: token).status
                    == 403)
            #expect(
                await api.call("POST", "/user/tokens", api.tokenBody(["DNS Write"], on: [zone]), token: token).status
                    == 200)
            #expect(
                await api.call("POST", "/user/tokens", api.tokenBody(["DNS Write"], on: [everyZone]), token: token)
                    .status == 403)
            #expect(
                await api.call("POST", "/user/tokens", api.tokenBody(["Zone Write"], on: [zone]), token: token).status
                    == 403)
            let rootID = try #require(await api.call("GET", "/user/tokens/verify").result["id"]?.string)
            #expect(await api.call("PUT", "/user/tokens/\(rootID)/value", [:], token: token).status == 403)
        }
    }

    @Test("what is expired, disabled, not valid yet, or from elsewhere is refused")
    func states() async throws {
        try await withAPI { api in
            for also in [
                ["expires_on": "2001-01-01T00:00:00Z"], ["not_before": "2999-01-01T00:00:00Z"], ["status": "disabled"],
                ["condition": ["request_ip": ["in": ["198.51.100.0/24"]]]],
                ["condition": ["request_ip": ["not_in": ["192.0.2.0/31"]]]],
            ] as [JSONObject] {
                let token = try await api.token(["Zone Read"], on: [everyZone], also: also)
                #expect(await api.call("GET", "/zones", token: token).code == 9109, "\(also.text)")
            }
            let near = try await api.token(
                ["Zone Read"], on: [everyZone], also: ["condition": ["request_ip": ["in": ["192.0.2.0/24"]]]])
            #expect(await api.call("GET", "/zones", token: near).status == 200)
            #expect(await api.call("GET", "/zones", token: near, from: "2001:db8::1").status == 403)
        }
    }

    @Test("a rolled token's old secret is void at once, a revoked one's too")
    func rollAndRevoke() async throws {
        try await withAPI { api in
            let made = await api.call("POST", "/user/tokens", api.tokenBody(["Zone Read"], on: [everyZone]))
            let (id, old) = (try #require(made.result["id"]?.string), try #require(made.result["value"]?.string))
            let new = try #require(await api.call("PUT", "/user/tokens/\(id)/value", [:]).result.string)
            #expect(await api.call("GET", "/zones", token: old).status == 403)
            #expect(await api.call("GET", "/zones", token: new).status == 200)
            #expect(!(await api.call("GET", "/user/tokens/\(id)").text.contains(new)))
            #expect(await api.call("DELETE", "/user/tokens/\(id)").status == 200)
            #expect(await api.call("GET", "/zones", token: new).status == 403)
            #expect(await api.call("DELETE", "/user/tokens/\(id)").status == 404)
        }
    }

    @Test("an account's token reaches nothing outside of it, whatever its resources say")
    func accountTokens() async throws {
        try await withAPI { api in
            let mine = try await api.zone("mine.example")
            let account = try await api.account()
            let other = StoreID.make()
            try await api.store.write { transaction in
                try AccountRow.insert(id: other, name: "Other", at: APITime(microseconds: transaction.now), transaction)
            }
            let theirs = await api.call(
                "POST", "/zones", ["name": "theirs.example", "account": ["id": .string(other)]])
            let their = try #require(theirs.result["id"]?.string)
            let made = await api.call(
                "POST", "/accounts/\(account)/tokens", api.tokenBody(["Zone Read"], on: [everyZone]))
            let token = try #require(made.result["value"]?.string)
            #expect(await api.call("GET", "/zones", token: token).result.array?.map { $0["id"]?.string } == [mine])
            #expect(await api.call("GET", "/zones/\(their)", token: token).status == 403)
            #expect(
                await api.call("GET", "/accounts/\(account)/tokens/verify", token: token).result["status"] == "active")
        }
    }

    @Test(
        "a token does not free itself of its expiry or its addresses, and IPv4 peers of a socket of both families count"
    )
    func ownBounds() async throws {
        try await withAPI { api in
            let until: JSONObject = ["expires_on": "2999-01-01T00:00:00Z"]
            let body = api.tokenBody(["API Tokens Write"], on: ["com.cloudflare.api.user.*"], also: until)
            let made = await api.call("POST", "/user/tokens", body)
            let (id, token) = (made.result["id"]?.string ?? "", made.result["value"]?.string)
            let free = api.tokenBody(["API Tokens Write"], on: ["com.cloudflare.api.user.*"])
            #expect(await api.call("PUT", "/user/tokens/\(id)", free, token: token).status == 403)
            #expect(await api.call("POST", "/user/tokens", free, token: token).status == 403)
            let near = try await api.token(
                ["Zone Read"], on: [everyZone], also: ["condition": ["request_ip": ["not_in": ["192.0.2.0/24"]]]])
            #expect(await api.call("GET", "/zones", token: near, from: "::ffff:192.0.2.9").status == 403)
            #expect(await api.call("GET", "/zones", token: near, from: nil).status == 403)
            #expect(await api.call("GET", "/zones", token: near, from: "198.51.100.1").status == 200)
        }
    }

    @Test("groups that do not exist are named in the error")
    func unknownGroup() async throws {
        try await withAPI { api in
            let answer = await api.call("POST", "/user/tokens", api.tokenBody([StoreID.make()], on: [everyZone]))
            #expect(answer.status == 400 && answer.message.contains("policies.0.permission_groups.0.id"))
        }
    }
}

@Suite("API: addresses")
struct APIAddressTests {
    @Test(
        "blocks have the addresses of their own family",
        arguments: [
            ("192.0.2.0/24", "192.0.2.9", true), ("192.0.2.7/24", "192.0.2.9", true),
            ("192.0.2.0/24", "192.0.3.9", false),
            ("192.0.2.9", "192.0.2.9", true), ("0.0.0.0/0", "192.0.2.9", true), ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "192.0.2.9", false), ("::/0", "::ffff:192.0.2.9", false), ("::/0", "2001:db8::1", true),
            ("192.0.2.0/24", "::ffff:192.0.2.9", true), ("::ffff:192.0.2.0/120", "192.0.2.9", true),
            ("2001:db8::/32", "2001:db8:1::1", true), ("2001:db8::/32", "2001:db9::1", false),
            ("nothing", "192.0.2.9", false),
            ("192.0.2.0/33", "192.0.2.9", false), ("192.0.2.0/24", "nobody", false), ("", "192.0.2.9", false),
        ])
    func blocks(block: String, address: String, isIn: Bool) {
        #expect(AddressText.block(block, contains: address) == isIn)
    }
}
