import Foundation
import JSON
import Testing

@testable import Operator

@Suite("From what people type to what the API takes")
struct WishTests {
    // MARK: Settings

    private static let settings: [JSONValue] = [
        ["id": "brotli", "value": "on"], ["id": "min_tls_version", "value": "1.2"],
        ["id": "browser_cache_ttl", "value": 14_400], ["id": "ciphers", "value": []],
    ]

    @Test("a setting keeps its kind")
    func settings() throws {
        let (items, changes) = try SettingWish.items(
            ["brotli=on", "min_tls_version=1.3", "browser_cache_ttl=60", "ciphers=[\"A\"]"], current: Self.settings)
        #expect(items.map { $0["value"] } == ["on", "1.3", 60, ["A"]])
        #expect(changes[0] == "brotli: on (as it is)" && changes[1] == "min_tls_version: 1.2 → 1.3")
    }

    @Test("what is no setting is refused", arguments: ["brotli", "nix=1", "browser_cache_ttl=soon", "ciphers=A", "=1"])
    func badSettings(text: String) {
        #expect(throws: OperatorProblem.self) { try SettingWish.items([text], current: Self.settings) }
    }

    // MARK: Records

    @Test("only what was said is sent")
    func records() throws {
        #expect(try RecordWish().body().isEmpty)
        var wish = RecordWish()
        (wish.type, wish.content, wish.ttl, wish.isProxied) = ("txt", "v=1", "1h", false)
        #expect(try wish.body() == ["type": "TXT", "content": "v=1", "ttl": 3600, "proxied": false])
        wish.ttl = "auto"
        #expect(try wish.body()["ttl"] == 1)
        for bad in ["1500ms", "soon", "-1", "99999999999999999999d"] {
            wish.ttl = bad
            #expect(throws: OperatorProblem.self) { try wish.body() }
        }
    }

    @Test("a form's boundary does not stand in its file")
    func form() throws {
        let file = "--martlet\r\na 300 IN A 192.0.2.1\r\n--martlet--\r\n"
        guard case .bytes(let bytes, let type) = ImportForm.body(Array(file.utf8), isProxied: true) else {
            Issue.record("no bytes")
            return
        }
        let boundary = try #require(type.split(separator: "=").last.map(String.init))
        let body = String(decoding: bytes, as: UTF8.self)
        #expect(!file.contains("--\(boundary)"))
        let parts = body.components(separatedBy: "--\(boundary)")
        #expect(parts.count == 4 && parts[1].hasSuffix("\r\n\r\ntrue\r\n") && parts[2].hasSuffix("\r\n\r\n\(file)\r\n"))
        #expect(parts[3] == "--\r\n")
    }

    // MARK: Tokens

    private static let groups: [JSONValue] = [
        ["id": "d", "name": "DNS Write", "scopes": ["com.cloudflare.api.account.zone"]],
        ["id": "z", "name": "Zone Read", "scopes": ["com.cloudflare.api.account.zone"]],
        ["id": "a", "name": "Account Settings Read", "scopes": ["com.cloudflare.api.account"]],
    ]

    @Test("permissions become one policy for each kind of resource")
    func tokens() throws {
        let wish = TokenWish(
            name: "ci", permissions: ["dns write", "z", "Account Settings Read"], zones: ["1", "2"],
            addresses: ["192.0.2.0/24"], expiresOn: "2027-01-01T00:00:00Z")
        let body = try wish.body(groups: Self.groups)
        let policies = try #require(body["policies"]?.array)
        #expect(policies.count == 2)
        #expect(policies[0]["permission_groups"] == [["id": "d"], ["id": "z"]])
        #expect(
            policies[0]["resources"] == [
                "com.cloudflare.api.account.zone.1": "*", "com.cloudflare.api.account.zone.2": "*",
            ])
        #expect(policies[1]["resources"] == ["com.cloudflare.api.account.*": "*"])
        #expect(body["condition"] == ["request_ip": ["in": ["192.0.2.0/24"]]])
        #expect(body["expires_on"] == "2027-01-01T00:00:00Z")
    }

    @Test("a permission on the zones of one account")
    func accountToken() throws {
        let body = try TokenWish(name: "x", permissions: ["DNS Write"], account: "7").body(groups: Self.groups)
        #expect(
            body["policies"]?.array?.first?["resources"] == [
                "com.cloudflare.api.account.7": ["com.cloudflare.api.account.zone.*": "*"]
            ])
    }

    @Test("an unknown permission is answered with those like it")
    func unknownPermission() {
        let ended = #expect(throws: OperatorProblem.self) {
            try TokenWish(name: "x", permissions: ["Zone Red"]).body(groups: Self.groups)
        }
        #expect(ended?.message.contains("Zone Read") == true)
    }

    // MARK: Purges

    private static func zone(_ name: String) -> JSONValue { ["id": .string("id-\(name)"), "name": .string(name)] }

    @Test("what is purged is sorted by the zone that it lies in, the longest name first")
    func purge() async throws {
        let api = ScriptedAPI([
            .result([]), .result([Self.zone("shop.example.com")]), .result([]), .result([Self.zone("example.com")]),
        ])
        var plan = PurgePlan()
        plan.files = ["https://a.shop.example.com:8443/x?y", "https://a.shop.example.com/z"]
        plan.hosts = ["www.example.com"]
        plan.isSoft = true
        let steps = try await plan.steps(api.client)
        #expect(steps.map(\.zone.name) == ["shop.example.com", "example.com"])
        #expect(steps.map(\.words) == ["2 URLs", "1 host"])
        #expect(steps[1].body == ["hosts": ["www.example.com"], "soft": true])
        #expect(api.asked[0].contains("name=a.shop.example.com"))
    }

    @Test("tags and everything need a zone; a host in no zone is refused")
    func purgeWithoutZone() async throws {
        var plan = PurgePlan()
        plan.tags = ["news"]
        #expect(await problem { _ = try await plan.steps(ScriptedAPI([]).client) }?.kind == .input)
        plan.tags = []
        plan.hosts = ["www.nix.example"]
        let api = ScriptedAPI([.result([]), .result([])])
        #expect(await problem { _ = try await plan.steps(api.client) }?.kind == .notFound)
        #expect(api.asked.count == 2)
        plan.hosts = []
        (plan.isEverything, plan.zone) = (true, "example.com")
        let steps = try await plan.steps(ScriptedAPI([.result([Self.zone("example.com")])]).client)
        #expect(steps.map(\.body) == [["purge_everything": true]])
    }
}
