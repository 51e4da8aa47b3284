// What all endpoints have in common: the envelope, routes, credentials, bodies, rates.

import Foundation
import JSON
import Testing

@testable import ControlPlane

@Suite("API: every endpoint")
struct APITests {
    @Test(
        "the first start makes a token, in a file that nobody else can read; the second makes none",
        arguments: StoreKind.allCases)
    func firstStart(kind: StoreKind) async throws {
        try await withStore(kind) { store, stage in
            let path = stage.folder + "/admin-token"
            let secret = try #require(try await Bootstrap.run(store, tokenPath: path))
            #expect(try String(contentsOfFile: path, encoding: .utf8) == secret + "\n")
            let rights = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(rights == 0o600)
            #expect(try await Bootstrap.run(store, tokenPath: path) == nil)
            #expect(try String(contentsOfFile: path, encoding: .utf8) == secret + "\n")
        }
    }

    @Test("answers come in the envelope, with the request's identifier; slashes at the end do not count")
    func envelope() async throws {
        try await withAPI { api in
            let answer = await api.call("GET", "/zones/?per_page=5")
            #expect(answer.status == 200)
            #expect(answer.json["success"] == true && answer.json["errors"] == [] && answer.json["messages"] == [])
            #expect(answer.json["result_info"]?["per_page"] == 5)
            #expect(answer.fields.contains { $0.name == "x-request-id" && $0.value.count == 32 })
        }
    }

    @Test(
        "what leads nowhere has the code that clients know",
        arguments: [
            ("GET", "/nowhere", 404, 7003), ("GET", "/zones/abc", 404, 7003), ("PUT", "/zones", 405, 10405),
            ("GET", "/zones/00000000000000000000000000000000/dns_records", 404, 7003), ("GET", "", 404, 7003),
            ("GET", "/zones/%ff", 404, 7003), ("GET", "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r", 404, 7003),
        ])
    func nowhere(method: String, path: String, status: Int, code: Int64) async throws {
        try await withAPI { api in
            let answer = await api.call(method, path)
            #expect(answer.status == status)
            #expect(answer.code == code)
            #expect(answer.json["success"] == false && answer.result == .null)
        }
    }

    @Test(
        "who does not say who they are, or says it badly, is told so",
        arguments: [
            ("", 403, 10000), ("Basic abc", 400, 6003), ("Bearer", 400, 6003), ("Bearer a b", 400, 6003),
            ("Bearer \u{7f}", 400, 6003), ("Bearer unknown", 403, 9109),
        ])
    func credentials(field: String, status: Int, code: Int64) async throws {
        try await withAPI { api in
            let answer = await api.call("GET", "/zones", fields: ["authorization": field])
            #expect(answer.status == status)
            #expect(answer.code == code)
        }
    }

    @Test("a token serves as a key for its user's address, and for no other")
    func key() async throws {
        try await withAPI { api in
            let good = ["authorization": "", "x-auth-key": api.root, "x-auth-email": "admin@localhost"]
            #expect(await api.call("GET", "/zones", fields: good).status == 200)
            #expect(await api.call("GET", "/zones", fields: good.merging(["x-auth-email": "x@y"]) { $1 }).status == 403)
            #expect(await api.call("GET", "/zones", fields: good.merging(["x-auth-email": ""]) { $1 }).status == 400)
        }
    }

    @Test(
        "bodies that are no JSON, or not of the right shape, say what was expected and where",
        arguments: [
            ("{", 6007, "byte 1"), ("{}", 1004, "name"), ("{\"name\":5}", 1004, "name"), ("[]", 1004, "object"),
            ("{\"name\":\"a.b\",\"name\":\"c.d\"}", 6007, "twice"),
            ("{\"name\":\"a.b\",\"type\":\"odd\"}", 1004, "full"),
            ("{\"name\":\"a.b\"} x", 6007, "nothing more"), ("\u{0}", 6007, "JSON value"),
        ])
    func bodies(body: String, code: Int64, words: String) async throws {
        try await withAPI { api in
            let answer = await api.call("POST", "/zones", bytes: Array(body.utf8))
            #expect(answer.status == 400)
            #expect(answer.code == code)
            #expect(answer.message.contains(words), "\(answer.message)")
        }
    }

    @Test("nobody's body is looked at without a token that is good", arguments: ["", "Bearer unknown"])
    func bodyOfNobody(field: String) async throws {
        try await withAPI { api in
            let answer = await api.call("POST", "/zones", bytes: Array("{bad".utf8), fields: ["authorization": field])
            #expect(answer.status == 403)
        }
    }

    @Test("whoever guesses tokens is held up, however they write them")
    func guesses() async throws {
        try await withAPI(rate: 5) { api in
            for number in 0..<6 { _ = await api.call("GET", "/zones", token: "guess\(number)") }
            #expect(await api.call("GET", "/zones", token: "another").status == 429)
            for blanks in 1...5 {
                let field = "bEaReR" + String(repeating: " ", count: blanks) + api.root
                #expect(await api.call("GET", "/zones", fields: ["authorization": field]).status == 200)
            }
            #expect(await api.call("GET", "/zones").status == 429)
        }
    }

    @Test("what is deep is stored, and read again")
    func deep() async throws {
        try await withAPI { api in
            let root = "/zones/\(try await api.zone())/rulesets"
            let deep = String(repeating: "{\"a\":", count: 29) + "1" + String(repeating: "}", count: 29)
            let body = "{\"rules\":[{\"action\":\"block\",\"expression\":\"true\",\"action_parameters\":\(deep)}]}"
            let path = root + "/phases/http_request_firewall_custom/entrypoint"
            let made = await api.call("PUT", path, bytes: Array(body.utf8))
            #expect(made.status == 200, "\(made.text)")
            let listed = await api.call("GET", root).result.array ?? []
            let id = try #require(listed.first?["id"]?.string)
            let far: JSONValue = [
                "action": "log", "expression": "true", "position": ["index": .number(JSONNumber(Int64.min))],
            ]
            #expect(await api.call("POST", "\(root)/\(id)/rules", far).status == 200)
            #expect(await api.call("DELETE", "\(root)/\(id)").status == 204)
        }
    }

    @Test("a body beyond the bound is refused")
    func tooLarge() async throws {
        try await withAPI { api in
            let answer = await api.call("POST", "/zones", bytes: [UInt8](repeating: 0x20, count: 5 * 1024 * 1024))
            #expect(answer.status == 413)
        }
    }

    @Test("one request too many is told when to come again; others are not held up")
    func rates() async throws {
        try await withAPI(rate: 3) { api in
            for left in [2, 1, 0] {
                let answer = await api.call("GET", "/user/tokens/verify")
                #expect(answer.status == 200)
                #expect(
                    answer.fields.contains { $0.name == "ratelimit" && $0.value.hasPrefix("\"default\";r=\(left);t=") })
            }
            let answer = await api.call("GET", "/user/tokens/verify")
            #expect(answer.status == 429 && answer.code == 971)
            #expect(answer.fields.contains { $0.name == "retry-after" && (Int($0.value) ?? 0) > 0 })
            #expect(await api.call("GET", "/zones", token: "another").status == 403)
        }
    }

    @Test("the OpenAPI document has every endpoint, and all it refers to is in it")
    func document() async throws {
        try await withAPI { api in
            let answer = await api.call("GET", "/openapi.json", fields: ["authorization": ""])
            #expect(answer.json["openapi"] == "3.1.0")
            for route in APIRoutes.all where route.path != "/openapi.json" {
                let operation = answer.json["paths"]?[route.path]?[route.method.rawValue.lowercased()]
                #expect(operation?["summary"] == .string(route.summary))
            }
            let names = Set(answer.json["components"]?["schemas"]?.object?.names ?? [])
            for reference in answer.text.split(separator: "\"#/components/schemas/").dropFirst() {
                #expect(names.contains(String(reference.prefix { $0 != "\"" })))
            }
        }
    }

    @Test("every change has its line in the audit log, and no line has a secret")
    func audit() async throws {
        try await withAPI { api in
            let zone = try await api.zone()
            let secret = try await api.token(["DNS Write"], on: ["com.cloudflare.api.account.zone.*"])
            _ = await api.call("PATCH", "/zones/\(zone)", ["paused": true])
            let account = try await api.account()
            let lines = await api.call("GET", "/accounts/\(account)/audit_logs")
            let actions = (lines.result.array ?? []).compactMap { $0["action"]?["type"]?.string }
            #expect(actions == ["update", "create"])
            #expect(lines.result.array?.first?["oldValue"]?.string?.contains("\"paused\":false") == true)
            _ = await api.call("DELETE", "/zones/\(zone)")
            #expect(await api.call("GET", "/accounts/\(account)/audit_logs").result.array?.count == 3)
            let own = await api.call("GET", "/user/audit_logs")
            #expect(own.text.contains("\"token\"") && !own.text.contains(secret) && !own.text.contains(api.root))
        }
    }
}

@Suite("JSON")
struct JSONTests {
    @Test(
        "what is JSON is read, and written back as it was",
        arguments: [
            "null", "true", "[]", "{}", "[1,-0.5e+10,12345678901234567890]", "{\"b\":1,\"a\":[{}]}",
            "\"\\\"\\\\\\n\\u0001\"",
            "\"äöü€😀\"",
        ])
    func round(text: String) throws {
        #expect(try JSONValue(parsing: text).text == text)
    }

    @Test(
        "what is not, is not",
        arguments: [
            "", " ", "nul", "01", "1.", ".5", "+1", "1e", "\"", "\"\n\"", "\"\\x\"", "\"\\ud800\"",
            "\"\\ud800\\u0041\"", "[1,]",
            "{\"a\"}", "{a:1}", "[1 2]", "\u{feff}1", "{\"a\":1,\"a\":2}", "\"\\u12\"", "\"\\u+123\"",
        ])
    func refused(text: String) {
        #expect(throws: JSONProblem.self) { try JSONValue(parsing: text) }
    }

    @Test("escapes and surrogates are characters")
    func escapes() throws {
        #expect(try JSONValue(parsing: "\"\\u00e4\\ud83d\\ude00\\/\"") == "ä😀/")
    }

    @Test("depth is bounded, and bytes that are not UTF-8 are refused")
    func bounds() {
        #expect(throws: JSONProblem.self) { try JSONValue(parsing: String(repeating: "[", count: 100_000)) }
        #expect(throws: JSONProblem.self) { try JSONValue(parsing: [0x22, 0xff, 0x22]) }
    }

    @Test("random bytes never do anything but parse or be refused")
    func noise() {
        var generator = SystemRandomNumberGenerator()
        let alphabet = Array("{}[]\",:\\u0123456789abcdef-+.eEtrufalsn \n".utf8)
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0..<40, using: &generator)).map { _ in
                alphabet.randomElement(using: &generator) ?? 0
            }
            guard let value = try? JSONValue(parsing: bytes) else { continue }
            #expect((try? JSONValue(parsing: value.bytes)) == value)
        }
    }

    @Test("objects of many members find each")
    func manyMembers() {
        var object = JSONObject()
        for index in 0..<100 { object["m\(index)"] = .number(JSONNumber(index)) }
        object["m50"] = nil
        #expect(object.count == 99 && object["m50"] == nil)
        for index in 0..<100 where index != 50 { #expect(object["m\(index)"]?.integer == Int64(index)) }
    }
}
