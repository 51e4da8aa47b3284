// Tokens made, rolled and revoked in the dashboard; and what somebody sees whose token may do little.

import Foundation
import JSON
import Testing

@testable import ControlPlane

@Suite("Dashboard: tokens and permissions")
struct DashboardTokenTests {
    @Test("a token from its form: what it may, where, until when; its secret is shown once")
    func create() async throws {
        try await withDashboard { stage in
            let id = try await stage.api.zone()
            let visitor = await stage.visitor()
            let page = await visitor.get("/tokens/new")
            #expect(page.text.contains(">example.com</option>"))
            let group = try #require(PermissionGroup.all.first { $0.name == "DNS Read" })
            let writes = try #require(PermissionGroup.all.first { $0.name == "DNS Write" })
            let field = "may-\(group.id)"
            #expect(page.text.contains("name=\"\(field)\""))
            let nothing = await visitor.post("/tokens/new", [("name", "ci")])
            #expect(nothing.status == 422 && nothing.text.contains("Choose at least one thing"))
            let items = [
                ("name", "ci"), (field, writes.id), ("zone", id), ("expires", "2099-12-31"),
                ("addresses", "192.0.2.0/24, ::1"),
            ]
            #expect(await visitor.post("/tokens/new", items).location == "/tokens")
            let shown = await visitor.get("/tokens")
            let secret = try #require(
                shown.text.firstRange(of: "id=\"secret\" readonly value=\"").map {
                    String(shown.text[$0.upperBound...].prefix { $0 != "\"" })
                })
            #expect(await !visitor.get("/tokens").text.contains(secret))
            let allowed = await stage.api.call("GET", "/zones/\(id)/dns_records", token: secret)
            #expect(allowed.status == 200)
            #expect(await stage.api.call("GET", "/zones/\(id)/settings", token: secret).status == 403)
            #expect(
                await stage.api.call("GET", "/zones/\(id)/dns_records", token: secret, from: "198.51.100.1").status
                    == 403)
            let wrong = await visitor.post("/tokens/new", [("name", "x"), (field, group.id), ("addresses", "nowhere")])
            #expect(wrong.status == 422 && wrong.text.contains("id=\"e-addresses\""), "\(wrong.text)")
        }
    }

    @Test("rolling and revoking one's own token ends the session, after the new secret was shown")
    func own() async throws {
        try await withDashboard { stage in
            let visitor = await stage.visitor()
            let list = await stage.api.call("GET", "/user/tokens").result.array ?? []
            let id = try #require(list.first?["id"]?.string)
            #expect(await visitor.get("/tokens/\(id)/roll").text.contains("You are signed in with it"))
            let rolled = await visitor.post("/tokens/\(id)/roll", [])
            let secret = try #require(
                rolled.text.firstRange(of: "id=\"secret\" readonly value=\"").map {
                    String(rolled.text[$0.upperBound...].prefix { $0 != "\"" })
                })
            #expect(await visitor.get("/zones").location == "/sign-in?ended=1")
            let again = await stage.visitor(secret)
            #expect(await again.get("/tokens/\(id)/delete").text.contains("will be signed out"))
            #expect(await again.post("/tokens/\(id)/delete", []).status == 303)
            #expect(await again.get("/zones").location == "/sign-in?ended=1")
        }
    }

    @Test("a token that may only read sees no forms, and is refused what it sends all the same")
    func readOnly() async throws {
        try await withDashboard { stage in
            let id = try await stage.api.zone()
            let body: JSONValue = ["type": "A", "name": "www", "content": "192.0.2.1"]
            let record = await stage.api.call("POST", "/zones/\(id)/dns_records", body).result["id"]?.string ?? ""
            let token = try await stage.api.token(
                [
                    "Zone Read", "DNS Read", "Zone Settings Read", "SSL and Certificates Read", "Zone WAF Read",
                    "Page Rules Read",
                ],
                on: ["com.cloudflare.api.account.zone.*"])
            let visitor = await stage.visitor(token)
            let zone = "/zones/\(id)"
            for place in [
                "/zones", zone, zone + "/dns", zone + "/certificates", zone + "/cache", zone + "/rules",
                zone + "/settings",
            ] {
                let page = await visitor.get(place)
                #expect(page.status == 200, "\(place)")
                for word in ["primary", "dangerous", ">Edit", ">Add a", ">Import"] {
                    let main = page.text.components(separatedBy: "<main").last ?? ""
                    #expect(
                        !main.contains(word) || place.hasSuffix("settings"),
                        "\(place): \(word)")
                }
            }
            #expect(await visitor.get(zone + "/settings").text.contains("<fieldset disabled>"))
            #expect(await visitor.post(zone + "/dns/\(record)/delete", []).status == 403)
            #expect(await visitor.post(zone + "/cache/everything", []).status == 403)
            let refused = await visitor.post(zone + "/pause", [("paused", "true")])
            #expect(refused.status == 403 && refused.text.contains("needs Zone Write"))
            #expect(await stage.api.call("GET", "/zones/\(id)/dns_records").result.array?.count == 1)
        }
    }

    @Test("a token for one zone sees that zone and no other, and nothing of the account")
    func oneZone() async throws {
        try await withDashboard { stage in
            let own = try await stage.api.zone("own.example")
            let other = try await stage.api.zone("other.example")
            let token = try await stage.api.token(
                ["Zone Read", "DNS Write"], on: ["com.cloudflare.api.account.zone.\(own)"])
            let visitor = await stage.visitor(token)
            let list = await visitor.get("/zones")
            #expect(list.text.contains("own.example") && !list.text.contains("other.example"))
            #expect(await visitor.get("/zones/\(other)").status == 403)
            #expect(await visitor.get("/audit").status == 403)
            #expect(await visitor.get("/tokens").status == 403)
            let overview = await visitor.get("/")
            #expect(overview.status == 200 && !overview.text.contains("Latest changes"))
        }
    }
}
