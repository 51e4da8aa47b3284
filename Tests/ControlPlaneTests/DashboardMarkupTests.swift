// Names are other people's: whatever they are, they stay text.

import Foundation
import JSON
import Testing

@testable import ControlPlane

@Suite("Dashboard: markup")
struct DashboardMarkupTests {
    private static let hostile = "</textarea></title><img src=x onerror=alert(1)>\"'`&amp;\u{202e}"

    @Test("what is put into markup is text, in elements and in attributes")
    func escaping() {
        let name = "<b a=\"1\" c='2'>&\u{0}\u{7f}\n"
        let html: HTML = "<p title=\"\(name)\">\(name)</p>"
        let text = "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;\u{fffd}\u{fffd}\n"
        #expect(html.text == "<p title=\"\(text)\">\(text)</p>")
        #expect(("\(html)\([html])\(3)" as HTML).text == html.text + html.text + "3")
    }

    @Test("links hold anything")
    func links() {
        #expect(LinkText.encode("a/b?c=ä\"<") == "a%2Fb%3Fc%3D%C3%A4%22%3C")
        #expect(LinkText.query([("a", "x&y"), ("b", nil), ("c", "")]) == "?a=x%26y")
        #expect(LinkText.query([]) == "")
    }

    @Test("hostile names do nothing on any page that shows them")
    func everywhere() async throws {
        try await withDashboard { stage in
            let hostile = JSONValue.string(Self.hostile)
            let (api, id) = (stage.api, try await stage.api.zone())
            let account = try await api.account()
            let record: JSONValue = ["type": "TXT", "name": "www", "content": hostile, "comment": hostile]
            let made = await api.call("POST", "/zones/\(id)/dns_records", record)
            #expect(made.status == 200, "\(made.text)")
            let rules: JSONValue = [
                "name": hostile, "kind": "zone", "phase": "http_request_firewall_custom", "description": hostile,
                "rules": [["action": "block", "expression": hostile]],
            ]
            let ruleset = await api.call("POST", "/zones/\(id)/rulesets", rules)
            let pattern: JSONValue = ["target": "url", "constraint": ["operator": "matches", "value": hostile]]
            let pageRule: JSONValue = ["targets": [pattern], "actions": [["id": hostile]]]
            #expect(await api.call("POST", "/zones/\(id)/pagerules", pageRule).status == 200)
            let list = await api.call(
                "POST", "/accounts/\(account)/rules/lists", ["name": "l", "kind": "ip", "description": hostile])
            var draft = api.tokenBody(["DNS Read"], on: ["com.cloudflare.api.account.zone.*"]).object ?? [:]
            draft["name"] = hostile
            let token = await api.call("POST", "/user/tokens", .object(draft))
            #expect(await api.call("PUT", "/accounts/\(account)", ["name": hostile]).status == 200)
            let zone = "/zones/\(id)"
            func name(_ answer: APIStage.Answer) -> String { answer.result["id"]?.string ?? "none" }
            let visitor = await stage.visitor()
            let question = LinkText.encode(Self.hostile)
            for place in [
                "/", "/zones", "/zones?search=\(question)", zone, zone + "/dns", zone + "/dns?search=\(question)",
                zone + "/dns/\(name(made))", zone + "/dns/\(name(made))/delete", zone + "/rules",
                zone + "/rules/rulesets/\(name(ruleset))", zone + "/rules/rulesets/\(name(ruleset))/delete", "/rules",
                "/lists/\(name(list))", "/audit", "/audit?action=\(question)&since=\(question)", "/tokens",
                "/tokens/\(name(token))", "/tokens/\(name(token))/roll", "/tokens/\(name(token))/delete", "/tokens/new",
                "/\(question)", "/zones/\(question)", "/edges/nodes/\(question)",
            ] {
                let page = await visitor.get(place)
                #expect(!page.text.contains("<img"), "\(place)")
                #expect(!page.text.contains("</textarea></title>"), "\(place)")
            }
            let typed = await visitor.post("/zones/new", [("name", Self.hostile)])
            #expect(typed.status == 422 && !typed.text.contains("<img"))
            let door = await Visitor(stage.dashboard).get("/sign-in?next=/%22%3E%3Cimg%3E")
            #expect(!door.text.contains("<img"))
        }
    }

    @Test("every page has one main heading, a language, a title, landmarks and labelled controls")
    func accessibility() async throws {
        try await withDashboard { stage in
            let id = try await stage.api.zone()
            let visitor = await stage.visitor()
            let zone = "/zones/\(id)"
            for place in [
                "/", "/zones", "/zones/new", zone, zone + "/dns", zone + "/dns/new", zone + "/dns/import",
                zone + "/certificates", zone + "/certificates/new", zone + "/cache", zone + "/cache/everything",
                zone + "/settings", zone + "/rules", zone + "/rules/rulesets/new", zone + "/delete", "/rules",
                "/lists/new",
                "/audit", "/tokens", "/tokens/new", "/edges", "/edges/new", "/nowhere",
            ] {
                let text = await visitor.get(place).text
                #expect(text.components(separatedBy: "<h1").count == 2, "\(place)")
                #expect(
                    text.contains("<html lang=\"en\">") && text.contains("<main ") && text.contains("<nav "), "\(place)"
                )
                #expect(text.contains("· Martlet</title>"), "\(place)")
                for control in text.matches(of: /<(input|select|textarea) ([^>]*)>/) {
                    let attributes = String(control.2)
                    if attributes.contains("type=\"hidden\"") || attributes.hasSuffix(" hidden") { continue }
                    let id = attributes.firstMatch(of: /id="([^"]+)"/).map { String($0.1) } ?? "none"
                    #expect(text.contains("for=\"\(id)\""), "\(place): \(attributes)")
                }
                let identifiers = text.matches(of: /\ id="([^"]+)"/).map { String($0.1) }
                #expect(Set(identifiers).count == identifiers.count, "\(place): \(identifiers)")
            }
        }
    }
}
