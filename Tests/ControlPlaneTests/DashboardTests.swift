// The dashboard's frame: signing in and out, sessions, forms that come from elsewhere, what browsers are told.

import Foundation
import JSON
import Limits
import Synchronization
import Testing

@testable import ControlPlane

@Suite("Dashboard: sessions and forms")
struct DashboardTests {
    @Test("signing in leads to where one wanted to go, and out to nothing at all")
    func inAndOut() async throws {
        try await withDashboard { stage in
            let visitor = Visitor(stage.dashboard)
            let asked = await visitor.get("/zones?search=a")
            #expect(asked.status == 303 && asked.location == "/sign-in?next=%2Fzones%3Fsearch%3Da")
            let door = await visitor.get(try #require(asked.location))
            #expect(door.status == 200 && door.value(of: "next") == "/zones?search=a")
            let entered = await visitor.signIn(" \(stage.api.root)\n", next: "/zones?search=a")
            #expect(entered.status == 303 && entered.location == "/zones?search=a")
            #expect(await visitor.get("/sign-in").location == "/")
            let before = try #require(visitor.cookie)
            let left = await visitor.post("/sign-out", [])
            #expect(left.location == "/sign-in" && visitor.cookie == nil)
            #expect(await visitor.send("GET", "/", fields: ["cookie": before]).location == "/sign-in")
        }
    }

    @Test(
        "nobody is led elsewhere",
        arguments: ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "", "/\u{1}"])
    func next(place: String) async throws {
        try await withDashboard { stage in
            let visitor = Visitor(stage.dashboard)
            #expect(await visitor.signIn(stage.api.root, next: place).location == "/")
        }
    }

    @Test("a token that is not accepted is told so beside its field, with no session", arguments: ["wrong", "a b", ""])
    func wrongToken(token: String) async throws {
        try await withDashboard { stage in
            let visitor = Visitor(stage.dashboard)
            let answer = await visitor.signIn(token)
            #expect([400, 403].contains(answer.status) && answer.field("set-cookie") == nil)
            #expect(answer.text.contains("aria-invalid=\"true\""))
            #expect(token.isEmpty || !answer.text.contains("value=\"\(token)\""))
            #expect(stage.dashboard.sessions.count == 0)
        }
    }

    @Test("attempts to sign in are bounded by address")
    func attempts() async throws {
        try await withDashboard(rate: 3) { stage in
            let visitor = Visitor(stage.dashboard)
            for number in 0..<3 { #expect(await visitor.signIn("guess\(number)").status == 403) }
            #expect(await visitor.signIn("guess4").status == 429)
        }
    }

    @Test("the cookie is for this host, this site and no script; over TLS for TLS alone")
    func cookie() async throws {
        try await withDashboard { stage in
            let plain = await Visitor(stage.dashboard).signIn(stage.api.root).field("set-cookie") ?? ""
            #expect(
                plain.hasPrefix("martlet=") && plain.hasSuffix("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"))
            let tls = await Visitor(stage.dashboard).signIn(stage.api.root, fields: ["x-forwarded-proto": "https"])
            let secure = tls.field("set-cookie") ?? ""
            #expect(secure.hasPrefix("__Host-martlet=") && secure.hasSuffix("; HttpOnly; SameSite=Strict; Secure"))
            #expect(!plain.contains(stage.api.root) && !secure.contains(stage.api.root))
        }
    }

    @Test("a session ends after twelve hours, and not before")
    func expiry() async throws {
        try await withDashboard { stage in
            let visitor = await stage.visitor()
            stage.ahead.seconds.withLock { $0 = Limits.dashboardSessionSeconds - 600 }
            #expect(await visitor.get("/zones").status == 200)
            stage.ahead.seconds.withLock { $0 = Limits.dashboardSessionSeconds + 600 }
            #expect(await visitor.get("/zones").location == "/sign-in?next=%2Fzones")
            #expect(stage.dashboard.sessions.count == 0)
        }
    }

    @Test("so many sessions at a time: the one that was used least lately makes room")
    func sessionsBounded() async throws {
        try await withDashboard(sessionsMax: 2) { stage in
            let first = await stage.visitor()
            stage.ahead.seconds.withLock { $0 = 10 }
            let second = await stage.visitor()
            stage.ahead.seconds.withLock { $0 = 20 }
            #expect(await first.get("/zones").status == 200)
            stage.ahead.seconds.withLock { $0 = 30 }
            let third = await stage.visitor()
            #expect(stage.dashboard.sessions.count == 2)
            #expect(await first.get("/zones").status == 200)
            #expect(await second.get("/zones").status == 303)
            #expect(await third.get("/zones").status == 200)
        }
    }

    @Test("a token that is revoked ends its sessions")
    func revoked() async throws {
        try await withDashboard { stage in
            let token = try await stage.api.token(["Zone Read"], on: ["com.cloudflare.api.account.zone.*"])
            let visitor = await stage.visitor(token)
            #expect(await visitor.get("/zones").status == 200)
            let list = await stage.api.call("GET", "/user/tokens").result.array ?? []
            let id = try #require(list.first { $0["name"] == "a token" }?["id"]?.string)
            #expect(await stage.api.call("DELETE", "/user/tokens/\(id)").status == 200)
            #expect(await visitor.get("/zones").location == "/sign-in?ended=1")
            #expect(visitor.cookie == nil && stage.dashboard.sessions.count == 0)
        }
    }

    @Test("a form without the session's token changes nothing")
    func formToken() async throws {
        try await withDashboard { stage in
            let visitor = await stage.visitor()
            let other = await stage.visitor()
            let foreign = try #require(await other.get("/zones/new").formToken)
            for token in ["", "x", foreign] {
                let answer = await visitor.send(
                    "POST", "/zones/new", Visitor.form([("csrf", token), ("name", "a.example")]))
                #expect(answer.status == 403)
            }
            #expect(await stage.api.call("GET", "/zones").result == [])
        }
    }

    @Test(
        "a form of another site is refused, also the one to sign in with",
        arguments: [
            ["sec-fetch-site": "cross-site"], ["sec-fetch-site": "same-site"], ["origin": "https://evil.example"],
            ["origin": "null"],
        ])
    func otherSites(fields: [String: String]) async throws {
        try await withDashboard { stage in
            #expect(await Visitor(stage.dashboard).signIn(stage.api.root, fields: fields).status == 403)
            let visitor = await stage.visitor()
            #expect(await visitor.post("/zones/new", [("name", "a.example")], fields: fields).status == 403)
            #expect(await stage.api.call("GET", "/zones").result == [])
            let own = await visitor.post(
                "/zones/new", [("name", "a.example")],
                fields: ["sec-fetch-site": "same-origin", "origin": "https://dash.example"])
            #expect(own.status == 303)
        }
    }

    @Test("browsers are told to run nothing inline and to frame nothing")
    func policy() async throws {
        try await withDashboard { stage in
            let visitor = await stage.visitor()
            for place in ["/", "/zones", "/nowhere", "/edges"] {
                let page = await visitor.get(place)
                let policy = page.field("content-security-policy") ?? ""
                #expect(
                    policy.hasPrefix("default-src 'none';") && policy.contains("frame-ancestors 'none'"), "\(place)")
                #expect(!policy.contains("unsafe") && page.field("x-content-type-options") == "nosniff")
                #expect(
                    !page.text.contains("<script>") && !page.text.contains(" style=") && !page.text.contains(" onclick")
                )
            }
        }
    }

    @Test("style and script have names that change with them, and may be kept")
    func assets() async throws {
        try await withDashboard { stage in
            let visitor = Visitor(stage.dashboard)
            for asset in [Asset.style, .script, .icon] {
                let answer = await visitor.get(asset.path)
                #expect(answer.status == 200 && answer.text.count > 100)
                #expect(answer.field("cache-control")?.contains("immutable") == true)
            }
            #expect(await visitor.get("/assets/style-0.css").status == 303)
        }
    }

    @Test(
        "what leads nowhere says so within the frame",
        arguments: [
            ("GET", "/nowhere", 404), ("GET", "/zones/%ff", 404), ("PUT", "/zones", 405), ("GET", "/sign-out", 405),
            ("GET", "/zones/00000000000000000000000000000000", 404), ("GET", "/zones/..%2Faccounts", 404),
            ("GET", "/zones?page=%zz", 400),
        ])
    func nowhere(method: String, target: String, status: Int) async throws {
        try await withDashboard { stage in
            let answer = await (await stage.visitor()).send(method, target)
            #expect(answer.status == status)
            #expect(answer.text.contains("<h1>") && answer.text.contains("Sign out"))
        }
    }

    @Test("nobody who is not signed in may send much")
    func bodies() async throws {
        try await withDashboard { stage in
            var head = APIRequest(method: "POST", target: "/zones/new")
            #expect(stage.dashboard.bodyBytesMax(head) == Limits.dashboardSignInBytesMax)
            head.fields["cookie"] = "martlet=" + String(repeating: "a", count: 64)
            #expect(stage.dashboard.bodyBytesMax(head) == Limits.dashboardSignInBytesMax)
            head.fields["cookie"] = await stage.visitor().cookie
            #expect(stage.dashboard.bodyBytesMax(head) == Limits.dashboardBodyBytesMax)
            #expect(stage.dashboard.tooLarge(head).status == 413)
        }
    }

    @Test("forms that cannot be read are refused: too many fields, no UTF-8, no boundary")
    func forms() async throws {
        try await withDashboard { stage in
            let visitor = await stage.visitor()
            let many = String(repeating: "a=b&", count: Limits.dashboardFormFieldsMax + 1)
            #expect(await visitor.send("POST", "/zones/new", many).status == 400)
            #expect(await visitor.send("POST", "/zones/new", "name=%ff").status == 400)
            let noBoundary = ["content-type": "multipart/form-data"]
            #expect(await visitor.send("POST", "/zones/new", "x", fields: noBoundary).status == 400)
        }
    }
}
