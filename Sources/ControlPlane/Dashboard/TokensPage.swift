// API tokens: the list, one at a glance, a new secret for it, its end.

import JSON
import Limits

enum TokensPage {
    static let routes: [PageRoute] = [
        .get("/tokens", list), .get("/tokens/{token}", show), .get("/tokens/{token}/roll", roll),
        .post("/tokens/{token}/roll", rollNow), .get("/tokens/{token}/delete", delete),
        .post("/tokens/{token}/delete", deleteNow),
    ]

    /// A user's tokens, or for the token of an account those of the account.
    static func path(_ visit: Visit) -> String {
        if visit.caller.userID == nil, let id = visit.session.account?.id { return "/accounts/\(id)/tokens" }
        return "/user/tokens"
    }

    static func mayWrite(_ visit: Visit) -> Bool {
        if let id = visit.caller.userID { return visit.caller.may(.user("API Tokens", .write), .user(id)) }
        return visit.may(.account("Account API Tokens", .write))
    }

    private static func list(_ visit: Visit) async throws -> PageAnswer {
        let perPage = Limits.dashboardRowsPerPage
        let reply = try await visit.get(
            path(visit) + LinkText.query([("page", "\(visit.page)"), ("per_page", "\(perPage)")]))
        let mayWrite = mayWrite(visit)
        var table = Table(
            caption: "API tokens", columns: ["Name", "Status", "May", "Made", "Expires"] + (mayWrite ? [""] : []))
        for token in reply.list {
            let id = token["id"]?.string ?? ""
            let name = token["name"]?.string ?? ""
            let isOwn = id == visit.caller.tokenID
            let link = "/tokens/\(LinkText.encode(id))"
            var cells: [HTML] = [
                """
                <a class="name" href="\(link)">\(name)</a>\
                \(.when(isOwn) { "<span class=\"comment\">you are signed in with it</span>" })
                """, status(token), "\(summary(token))",
                "<span class=\"tight\">\(Parts.day(token["issued_on"]?.string))</span>",
                "<span class=\"tight\">\(Parts.day(token["expires_on"]?.string))</span>",
            ]
            if mayWrite {
                cells.append(
                    Parts.action("Roll", name, link + "/roll")
                        + Parts.action("Revoke", name, link + "/delete", kind: "dangerous"))
            }
            table.rows.append(cells)
        }
        let body: HTML = """
            <p class="lead">A token is what programs, and people on this dashboard, show to say who they are. Give each as \
            little as it needs.</p>\(table.html)\
            \(Parts.pager(page: visit.page, perPage: perPage, total: reply.totalCount, what: "tokens") { "/tokens?page=\($0)" })
            """
        let add = Parts.button("Create a token", "/tokens/new", kind: "primary")
        return .page(Page(title: "API tokens", section: .tokens, actions: mayWrite ? add : .none, body: body))
    }

    private static func status(_ token: JSONValue) -> HTML {
        switch token["status"]?.string {
        case "active": Parts.badge("Active", "good")
        case "expired": Parts.badge("Expired", "bad")
        default: Parts.badge("Disabled", "warn")
        }
    }

    private static func groups(_ policy: JSONValue) -> [String] {
        (policy["permission_groups"]?.array ?? []).compactMap { $0["name"]?.string }
    }

    private static func summary(_ token: JSONValue) -> String {
        let all = (token["policies"]?.array ?? []).filter { $0["effect"] == "allow" }.flatMap(groups)
        let shown = all.prefix(3).joined(separator: ", ")
        return all.count > 3 ? "\(shown) and \(all.count - 3) more" : shown
    }

    // MARK: One

    private static func find(_ visit: Visit) async throws -> JSONValue {
        try await visit.get("\(path(visit))/\(visit.part("token"))").result
    }

    private static func show(_ visit: Visit) async throws -> PageAnswer {
        let token = try await find(visit)
        let blocks = ["in", "not_in"].flatMap { side in
            (token["condition"]?["request_ip"]?[side]?.array ?? []).compactMap(\.string).map {
                (side == "in" ? "" : "not ") + $0
            }
        }
        let facts = Parts.facts([
            ("Status", status(token)), ("Made", Parts.time(token["issued_on"]?.string)),
            ("Changed", Parts.time(token["modified_on"]?.string)), ("Expires", Parts.time(token["expires_on"]?.string)),
            ("From", blocks.isEmpty ? "any address" : "\(blocks.map { "<code>\($0)</code> " as HTML })"),
            ("Identifier", "<code>\(token["id"]?.string ?? "")</code>"),
        ])
        let names = await AuditPage.Names(visit)
        let policies = (token["policies"]?.array ?? []).map { policy -> HTML in
            let resources = (policy["resources"]?.object?.members ?? []).flatMap { name, value -> [HTML] in
                value.object?.names.map { "\(resource($0, names)) in \(resource(name, names))" } ?? [
                    resource(name, names)
                ]
            }
            return """
                <div class="policy"><h3>\(policy["effect"] == "deny" ? "Must not" : "May")</h3><ul class="tags">\
                \(groups(policy).map { "<li>\(Parts.badge($0, ""))</li>" as HTML })</ul><p class="note">on</p>\
                <ul>\(resources.map { "<li>\($0)</li>" as HTML })</ul></div>
                """
        }
        let link = "/tokens/\(visit.part("token"))"
        let actions: HTML = .when(mayWrite(visit)) {
            Parts.button("Roll…", link + "/roll") + Parts.button("Revoke…", link + "/delete", kind: "dangerous-quiet")
        }
        return .page(
            Page(
                title: token["name"]?.string ?? "", section: .tokens, crumbs: [("API tokens", "/tokens")],
                actions: actions,
                body: Parts.card("At a glance", facts) + Parts.card("What it may do", "\(policies)")))
    }

    /// `com.cloudflare.api.account.zone.ID` by the zone's name.
    private static func resource(_ text: String, _ names: AuditPage.Names) -> HTML {
        let id = text.lastIndex(of: ".").map { String(text[text.index(after: $0)...]) } ?? ""
        for (scope, one, all) in [
            (Permission.Scope.zone, "Zone", "All zones"), (.account, "Account", "All accounts"),
            (.user, "User", "The user"),
        ] where text == "\(scope.rawValue).\(id)" {
            if id == "*" { return "\(all)" }
            return names[id].map { "\(one) <strong>\($0)</strong>" } ?? "\(one) <code>\(id)</code>"
        }
        return "<code>\(text)</code>"
    }

    // MARK: A new secret, and its end

    private static func roll(_ visit: Visit) async throws -> PageAnswer {
        let token = try await find(visit)
        let isOwn = token["id"]?.string == visit.caller.tokenID
        return .page(
            Page(
                title: "Roll this token?", section: .tokens, crumbs: [("API tokens", "/tokens")],
                body: Parts.confirm(
                    visit,
                    """
                    <strong>\(token["name"]?.string ?? "")</strong> gets a new secret. The old one is void at once, wherever it \
                    is in use. \(.when(isOwn) { "You are signed in with it: sign in again with the new one, which is shown next." })
                    """, "/tokens/\(visit.part("token"))/roll", button: "Roll token", back: "/tokens")))
    }

    private static func rollNow(_ visit: Visit) async throws -> PageAnswer {
        let isOwn = visit.parameter("token") == visit.caller.tokenID
        let reply = await visit.ask("PUT", "\(path(visit))/\(visit.part("token"))/value", [:])
        guard reply.problem == nil else { throw PageFailure(reply: reply) }
        let notice = Notice(
            text: "The token has a new secret. It is shown this once: copy it now.", secret: reply.result.string)
        guard isOwn else { return .redirect("/tokens", notice) }
        // The session's token is void: this page is its last.
        return .page(
            Page(
                title: "The token has a new secret", section: .tokens,
                body: "<p><a class=\"button\" href=\"/tokens\">Sign in with it</a></p>", notice: notice))
    }

    private static func delete(_ visit: Visit) async throws -> PageAnswer {
        let token = try await find(visit)
        let isOwn = token["id"]?.string == visit.caller.tokenID
        return .page(
            Page(
                title: "Revoke this token?", section: .tokens, crumbs: [("API tokens", "/tokens")],
                body: Parts.confirm(
                    visit,
                    """
                    Whoever uses <strong>\(token["name"]?.string ?? "")</strong> is refused from now on. This cannot be undone. \
                    \(.when(isOwn) { "You are signed in with it, and will be signed out." })
                    """, "/tokens/\(visit.part("token"))/delete", button: "Revoke token", back: "/tokens")))
    }

    private static func deleteNow(_ visit: Visit) async throws -> PageAnswer {
        let reply = await visit.ask("DELETE", "\(path(visit))/\(visit.part("token"))")
        guard reply.problem == nil else { throw PageFailure(reply: reply) }
        return .redirect("/tokens", Notice(text: "The token was revoked."))
    }
}
