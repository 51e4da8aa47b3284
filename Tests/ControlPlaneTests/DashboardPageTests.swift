// Pages do what their forms say, by the API, and show what it answers.

import Foundation
import JSON
import Testing

@testable import ControlPlane

@Suite("Dashboard: pages")
struct DashboardPageTests {
    @Test("a zone from its form to its end")
    func zone() async throws {
        try await withDashboard { stage in
            let visitor = await stage.visitor()
            #expect(await visitor.get("/zones").text.contains("No zones yet"))
            let wrong = await visitor.post("/zones/new", [("name", "no domain")])
            #expect(
                wrong.status == 422 && wrong.text.contains("id=\"e-name\"")
                    && wrong.text.contains("value=\"no domain\""))
            let made = await visitor.post("/zones/new", [("name", "example.com")])
            let place = try #require(made.location)
            #expect(made.status == 303 && place.hasSuffix("/dns"))
            let zone = String(place.dropLast(4))
            #expect(await visitor.get(place).text.contains("example.com was added"))
            #expect(await !visitor.get(place).text.contains("example.com was added"))
            let twice = await visitor.post("/zones/new", [("name", "example.com")])
            #expect(twice.status == 422 && twice.text.contains("id=\"e-name\""))
            #expect(await visitor.get("/zones?search=nothing").text.contains("Nothing found"))
            #expect(await visitor.post(zone + "/pause", [("paused", "true")]).status == 303)
            #expect(await visitor.get(zone).text.contains("Paused"))
            #expect(await visitor.post(zone + "/delete", [("name", "example")]).status == 422)
            #expect(await visitor.get(zone).status == 200)
            #expect(await visitor.post(zone + "/delete", [("name", "Example.com ")]).location == "/zones")
            #expect(await visitor.get(zone).status == 404)
        }
    }

    @Test("a record from its form to its end; what the form does not show stays")
    func record() async throws {
        try await withDashboard { stage in
            let id = try await stage.api.zone()
            let visitor = await stage.visitor()
            let dns = "/zones/\(id)/dns"
            #expect(await visitor.get(dns).text.contains("No records yet"))
            let fields = [
                ("type", "MX"), ("name", "@"), ("content", "mail.example.net"), ("ttl", "300"), ("priority", "7"),
            ]
            #expect(await visitor.post(dns + "/new", fields).location == dns)
            let list = await stage.api.call("GET", "/zones/\(id)/dns_records").result.array ?? []
            let record = try #require(list.first)
            #expect(record["priority"] == 7 && record["ttl"] == 300 && record["name"] == "example.com")
            let one = "\(dns)/\(record["id"]?.string ?? "")"
            let patched = await stage.api.call(
                "PATCH", "/zones/\(id)/dns_records/\(record["id"]?.string ?? "")", ["tags": ["a:b"]])
            #expect(patched.status == 200)
            #expect(await visitor.get(one).value(of: "name") == "@")
            #expect(
                await visitor.post(one, [("type", "MX"), ("name", "mail"), ("content", "b.example"), ("ttl", "1")])
                    .status == 303)
            let changed = await stage.api.call("GET", "/zones/\(id)/dns_records").result.array?.first
            #expect(changed?["name"] == "mail.example.com" && changed?["tags"] == ["a:b"])
            #expect(await visitor.get(one + "/delete").text.contains("Delete this MX record?"))
            #expect(await visitor.post(one + "/delete", []).location == dns)
            #expect(await stage.api.call("GET", "/zones/\(id)/dns_records").result == [])
        }
    }

    @Test(
        "what the API does not take stands beside its field, with what was typed",
        arguments: [
            ("A", "www", "no address", "1", "", "content"), ("A", "www", "192.0.2.1", "7", "", "ttl"),
            ("A", "www", "192.0.2.1", "x", "", "ttl"), ("A", "a..b", "192.0.2.1", "1", "", "name"),
            ("TXT", "www", "text", "1", "proxied=on", "proxied"),
            ("A", "www", "192.0.2.1", "1", "comment=" + String(repeating: "x", count: 600), "comment"),
        ] as [(String, String, String, String, String, String)])
    func recordErrors(type: String, name: String, content: String, ttl: String, more: String, field: String)
        async throws
    {
        try await withDashboard { stage in
            let id = try await stage.api.zone()
            let visitor = await stage.visitor()
            var fields = [("type", type), ("name", name), ("content", content), ("ttl", ttl)]
            let extra = more.split(separator: "=").map(String.init)
            if extra.count == 2 { fields.append((extra[0], extra[1])) }
            let answer = await visitor.post("/zones/\(id)/dns/new", fields)
            #expect(answer.status == 422)
            #expect(answer.text.contains("id=\"e-\(field)\""), "\(answer.text)")
            #expect(answer.text.contains("one field needs another look"))
            #expect(await stage.api.call("GET", "/zones/\(id)/dns_records").result == [])
        }
    }

    @Test("a zone file in by text and by file, and out")
    func zoneFile() async throws {
        try await withDashboard { stage in
            let id = try await stage.api.zone()
            let visitor = await stage.visitor()
            let dns = "/zones/\(id)/dns"
            let token = try #require(await visitor.get(dns + "/import").formToken)
            #expect(await visitor.post(dns + "/import", [("text", "")]).status == 422)
            #expect(
                await visitor.post(dns + "/import", [("text", "www 300 IN A 192.0.2.1"), ("proxied", "on")]).status
                    == 303)
            let multipart = """
                --b\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n\(token)\r\n--b\r\nContent-Disposition: form-data; \
                name="file"; filename="z"\r\n\r\nmail 300 IN A 192.0.2.2\n\r\n--b--\r\n
                """
            let sent = await visitor.send(
                "POST", dns + "/import", multipart, fields: ["content-type": "multipart/form-data; boundary=b"])
            #expect(sent.status == 303, "\(sent.text)")
            let bad = await visitor.post(dns + "/import", [("text", "www 300 IN A nowhere")])
            #expect(bad.status == 422 && bad.text.contains("Line 1"))
            let file = await visitor.get(dns + "/export")
            #expect(file.field("content-disposition") == "attachment; filename=\"example.com.zone\"")
            #expect(file.text.contains("192.0.2.1") && file.text.contains("192.0.2.2"))
        }
    }

    @Test("purging by line, and everything after a page that asks")
    func purge() async throws {
        try await withDashboard { stage in
            let id = try await stage.api.zone()
            let visitor = await stage.visitor()
            let cache = "/zones/\(id)/cache"
            #expect(await visitor.get(cache).text.contains("Purge everything…"))
            let items = [("kind", "hosts"), ("items", "www.example.com\r\n\r\n a.example.com "), ("soft", "on")]
            #expect(await visitor.post(cache, items).location == cache)
            let foreign = await visitor.post(cache, [("kind", "hosts"), ("items", "other.example")])
            #expect(foreign.status == 422 && foreign.text.contains("id=\"e-items\""))
            #expect(await visitor.post(cache, [("kind", "nonsense"), ("items", "x")]).status == 422)
            #expect(await visitor.post(cache + "/everything", []).location == cache)
            let purges = try await stage.api.published().filter { $0.key.hasPrefix("purge/") }
            #expect(purges.count == 2)
            #expect(purges.first?.value.contains("[\"www.example.com\",\"a.example.com\"]") == true)
            #expect(purges.first?.value.contains("\"soft\":true") == true)
            #expect(purges.last?.value.contains("\"everything\":true") == true)
        }
    }

    @Test("a certificate with its key, the wrong key, another in its place, its end")
    func certificate() async throws {
        try await withDashboard { stage in
            let id = try await stage.api.zone()
            let visitor = await stage.visitor()
            let place = "/zones/\(id)/certificates"
            #expect(await visitor.get(place).text.contains("No certificates yet"))
            let (pair, other) = (try TestPair.make("example.com"), try TestPair.make("www.example.com"))
            func fields(_ certificate: String, _ key: String) -> [(String, String)] {
                [("certificate", certificate), ("private_key", key)]
            }
            #expect(
                await visitor.post(place + "/new", fields(pair.certificate, "")).text.contains("id=\"e-private_key\""))
            let mixed = await visitor.post(place + "/new", fields(pair.certificate, other.key))
            #expect(
                mixed.status == 422 && mixed.text.contains("id=\"e-private_key\"") && !mixed.text.contains(other.key))
            #expect(await visitor.post(place + "/new", fields(pair.certificate, pair.key)).location == place)
            let list = await visitor.get(place)
            #expect(list.text.contains("example.com") && !list.text.contains("PRIVATE KEY"))
            let made = await stage.api.call("GET", "/zones/\(id)/custom_certificates").result.array?.first
            let one = "\(place)/\(made?["id"]?.string ?? "")"
            #expect(await visitor.post(one, fields(other.certificate, other.key)).status == 303)
            #expect(await visitor.get(place).text.contains("www.example.com"))
            #expect(await visitor.post(one + "/delete", []).status == 303)
            #expect(await stage.api.call("GET", "/zones/\(id)/custom_certificates").result == [])
        }
    }

    @Test("settings: only what was changed is sent; every control comes back as it was")
    func settings() async throws {
        try await withDashboard { stage in
            let id = try await stage.api.zone()
            let visitor = await stage.visitor()
            let place = "/zones/\(id)/settings"
            let page = await visitor.get(place)
            for setting in ZoneSetting.all {
                #expect(page.text.contains("name=\"\(setting.id)"), "\(setting.id) has no control")
            }
            // As a browser sends the form untouched, but for one: checked boxes, selects, texts.
            let cache = [
                ("cache_level", "basic"), ("browser_cache_ttl", "14400"),
            ]
            #expect(await visitor.post(place + "/cache", cache).location == place + "#cache")
            let changed = try await stage.api.published().filter { $0.key.contains("/setting/") }.map(\.key)
            #expect(changed == ["zone/\(id)/setting/cache_level"])
            let wrong = await visitor.post(place + "/cache", [("cache_level", "basic"), ("browser_cache_ttl", "-3")])
            #expect(
                wrong.status == 422 && wrong.text.contains("id=\"e-browser_cache_ttl\"")
                    && wrong.text.contains("value=\"-3\""))
            #expect(try await stage.api.published().filter { $0.key.contains("/setting/") }.count == 1)
        }
    }

    @Test("strict transport security keeps what its form does not show")
    func transportSecurity() async throws {
        let form = PageForm([("security_header.enabled", "on"), ("security_header.max_age", "600")])
        let setting = try #require(ZoneSetting.find("security_header"))
        let control = SettingControl(setting: setting, text: SettingText("security_header", "", ""))
        let value = control.value(form, before: ["strict_transport_security": ["max_age": 1, "more": "kept"]])
        #expect(value["strict_transport_security"]?["enabled"] == true)
        #expect(value["strict_transport_security"]?["preload"] == false)
        #expect(value["strict_transport_security"]?["max_age"] == 600)
        #expect(value["strict_transport_security"]?["more"] == "kept")
    }

    @Test("rules as JSON: made, changed, wrong, deleted", arguments: ["zone", "account"])
    func rules(scope: String) async throws {
        try await withDashboard { stage in
            let root = scope == "zone" ? "/zones/\(try await stage.api.zone())" : ""
            let visitor = await stage.visitor()
            let kind = scope == "zone" ? "zone" : "root"
            func body(_ action: String) -> String {
                """
                {"name": "mine", "kind": "\(kind)", "phase": "http_request_firewall_custom", "rules": [{"action": \
                "\(action)", "expression": "true"}]}
                """
            }
            let list = root + "/rules"
            #expect(await visitor.get(list).text.contains("No rulesets yet"))
            let made = await visitor.post(list + "/rulesets/new", [("json", body("block"))])
            #expect(made.location == list, "\(made.text)")
            let objects = scope == "zone" ? root : "/accounts/\(try await stage.api.account())"
            let ruleset = await stage.api.call("GET", objects + "/rulesets").result.array?.first
            let one = "\(list)/rulesets/\(ruleset?["id"]?.string ?? "")"
            #expect(await visitor.get(list).text.contains("href=\"\(one)\""))
            #expect(await visitor.get(one).text.contains("&quot;expression&quot;: &quot;true&quot;"))
            for (text, told) in [(body("explode"), "rules.0.action"), ("{", "Malformed JSON")] {
                let wrong = await visitor.post(one, [("json", text)])
                #expect(
                    wrong.status == 422 && wrong.text.contains("id=\"e-json\"") && wrong.text.contains(told),
                    "\(wrong.text)")
            }
            #expect(await visitor.post(one, [("json", body("log"))]).location == list)
            #expect(await visitor.get(one).text.contains("&quot;log&quot;"))
            #expect(await visitor.get(one + "/delete").status == 200)
            #expect(await visitor.post(one + "/delete", []).location == list)
            #expect(await visitor.get(list + "/nonsense/new").status == 404)
        }
    }

    @Test("a list and its items")
    func lists() async throws {
        try await withDashboard { stage in
            let visitor = await stage.visitor()
            let wrong = await visitor.post("/lists/new", [("name", "No Name"), ("kind", "ip")])
            #expect(wrong.status == 422 && wrong.text.contains("id=\"e-name\""))
            let made = await visitor.post("/lists/new", [("name", "office"), ("kind", "ip")])
            let place = try #require(made.location)
            #expect(await visitor.post(place, [("json", "[{\"ip\": \"192.0.2.0/24\"}]")]).location == "/rules")
            #expect(await visitor.get(place).text.contains("192.0.2.0/24"))
            #expect(await visitor.post(place, [("json", "[{\"ip\": \"nothing\"}]")]).status == 422)
            #expect(await visitor.get("/rules").text.contains("office"))
            #expect(await visitor.post(place + "/delete", []).location == "/rules")
            #expect(await visitor.get(place).status == 404)
        }
    }

    @Test("the audit log says who, what and where, and can be asked for a day")
    func audit() async throws {
        try await withDashboard { stage in
            let id = try await stage.api.zone()
            let body: JSONValue = ["type": "A", "name": "www", "content": "192.0.2.1"]
            #expect(await stage.api.call("POST", "/zones/\(id)/dns_records", body).status == 200)
            let visitor = await stage.visitor()
            let page = await visitor.get("/audit")
            #expect(page.text.contains("Created A record") && page.text.contains("www.example.com"))
            #expect(page.text.contains("First token: may do everything"))
            #expect(page.text.contains("/zones/\(id)"))
            #expect(await visitor.get("/audit?action=delete").text.contains("Nothing here"))
            #expect(await visitor.get("/audit?until=2020-01-01").text.contains("Nothing here"))
            #expect(await visitor.get("/audit?since=nonsense").status == 400)
        }
    }
}
