// Edges and relays: what each has applied, how it is, who may join.

import JSON
import Limits

enum EdgesPage {
    static let routes: [PageRoute] = [
        .get("/edges", list),
        .get("/edges/table") { visit in
            .fragment(table(try await EdgeReading.nodes(visit, page: visit.page).nodes, at: visit.now))
        }, .get("/edges/new") { .page(form($0, .none)) }, .post("/edges/new", create),
        .get("/edges/nodes/{node}", show),
        .get("/edges/nodes/{node}/graphs") { visit in
            .fragment(
                OverviewPage.graphs(try await EdgeReading.samples(visit, of: visit.parameter("node")), at: visit.now))
        }, .post("/edges/nodes/{node}/canary", canary), .get("/edges/nodes/{node}/delete", delete),
        .post("/edges/nodes/{node}/delete", deleteNow), .post("/edges/tokens/{token}/delete", deleteToken),
    ]

    private static let crumbs = [(text: "Edges", link: "/edges")]

    // MARK: The list

    private static func list(_ visit: Visit) async throws -> PageAnswer {
        let (nodes, total) = try await EdgeReading.nodes(visit, page: visit.page)
        let mayWrite = visit.may(EdgeReading.write)
        let add = Parts.button("Add an edge", "/edges/new", kind: "primary")
        let tokens = await openTokens(visit, mayWrite: mayWrite)
        guard !nodes.isEmpty else {
            let empty = Parts.empty(
                "No edges yet",
                "An edge serves your zones where your clients are. It joins with a token that you make here.",
                mayWrite ? add : "<p>Your token cannot add one.</p>")
            return .page(Page(title: "Edges", section: .edges, body: empty + tokens))
        }
        let pager = Parts.pager(page: visit.page, perPage: Limits.dashboardNodesPerPage, total: total, what: "edges") {
            "/edges?page=\($0)"
        }
        return .page(
            Page(
                title: "Edges", section: .edges, actions: mayWrite ? add : .none,
                body: """
                    <div data-refresh="/edges/table?page=\(visit.page)">\(table(nodes, at: visit.now))</div>\(pager)\(tokens)
                    """))
    }

    private static func table(_ nodes: [EdgeNode], at now: APITime) -> HTML {
        Table(
            caption: "Edges and relays",
            columns: ["Name", "State", "Applied", "Lag", "Requests", "5xx", "Version", "Seen"],
            rows: nodes.map { node in
                [
                    """
                    <a class="name" href="\(node.link)">\(node.name)</a><span class="comment">\(node.role)\
                    \(node.parent.map { " behind \($0)" as HTML } ?? .none)</span>
                    """, "<span>\(state(node))</span>", applied(node), "<span class=\"tight\">\(lag(node))</span>",
                    "<span class=\"tight\">\(node.health.map { Figures.short($0.requestsPerSecond) + "/s" } ?? "–")</span>",
                    "<span class=\"tight\">\(node.health?.errorShare.map(Figures.share) ?? "–")</span>",
                    node.version.isEmpty ? "–" : "<code>\(node.version)</code>",
                    "<span class=\"tight\">\(Parts.ago(node.seenOn, at: now))</span>",
                ]
            }, kind: "edges"
        ).html
    }

    private static func state(_ node: EdgeNode) -> HTML {
        let canary: HTML = .when(node.isCanary) { " " + Parts.badge("Canary", "accent") }
        if node.isRevoked { return Parts.badge("Revoked", "bad") }
        return (node.isConnected ? Parts.badge("Connected", "good") : Parts.badge("Away", "warn")) + canary
    }

    private static func applied(_ node: EdgeNode) -> HTML {
        guard let sequence = node.sequence else { return "<span class=\"faint\">nothing yet</span>" }
        let behind: HTML =
            switch node.behind {
            case 0?: "<span class=\"comment\">up to date</span>"
            case let count?: "<span class=\"comment\">\(count) behind</span>"
            case nil: .none
            }
        return "<span class=\"tight\">\(sequence)\(behind)</span>"
    }

    private static func lag(_ node: EdgeNode) -> String {
        node.lagMilliseconds.map { Figures.milliseconds(Double($0)) } ?? "–"
    }

    // MARK: One

    private static func show(_ visit: Visit) async throws -> PageAnswer {
        let node = try await EdgeReading.node(visit)
        let samples = try await EdgeReading.samples(visit, of: node.name)
        let facts = Parts.facts([
            ("State", state(node)), ("Role", "\(node.role)"),
            ("Parent", node.parent.map { "\($0)" } ?? "<span class=\"faint\">none</span>"), ("Applied", applied(node)),
            ("Applied at", Parts.time(node.appliedOn)), ("Lag", "\(lag(node))"),
            ("Crashes, refused objects", "\(node.health.map { "\($0.crashes), \($0.refusedObjects)" } ?? "–")"),
            ("Version", node.version.isEmpty ? "–" : "<code>\(node.version)</code>"), ("Seen", Parts.time(node.seenOn)),
            ("Joined", Parts.time(node.enrolledOn)), ("Certificate until", Parts.time(node.certificateExpiresOn)),
        ])
        var body: HTML = """
            <section class="part"><div class="heading"><h2>Traffic</h2></div><div class="grid" \
            data-refresh="\(node.link)/graphs">\(OverviewPage.graphs(samples, at: visit.now))</div></section>\
            \(Parts.card("At a glance", facts))
            """
        if visit.may(EdgeReading.write), !node.isRevoked { body += changes(visit, node) }
        return .page(Page(title: node.name, section: .edges, crumbs: crumbs, body: body))
    }

    private static func changes(_ visit: Visit, _ node: EdgeNode) -> HTML {
        let canary = Field.form(
            visit, node.link + "/canary", kind: "row",
            """
            \(Field.hidden("canary", node.isCanary ? "false" : "true"))<p>\
            \(node.isCanary ? "It is a canary: roll-outs reach it before any other edge." : "Make it a canary: roll-outs reach it before other edges.")\
            </p><button class="button" type="submit">\(node.isCanary ? "No canary any more" : "Make it a canary")</button>
            """)
        return Parts.card(
            "Change",
            """
            \(canary)<div class="row"><p>Revoke its certificate: it is cut off, and serves what it knows until it is stopped.</p>\
            <a class="button dangerous-quiet" href="\(node.link)/delete">Revoke…</a></div>
            """)
    }

    private static func canary(_ visit: Visit) async throws -> PageAnswer {
        let isOn = visit.form["canary"] == "true"
        let name = visit.parameter("node")
        let reply = await visit.ask(
            "PATCH", try EdgeReading.root(visit) + "/nodes/\(visit.part("node"))", ["canary": .boolean(isOn)])
        guard reply.problem == nil else { throw PageFailure(reply: reply) }
        return .redirect(
            "/edges/nodes/\(visit.part("node"))",
            Notice(text: isOn ? "\(name) is a canary." : "\(name) is an edge like the others."))
    }

    private static func delete(_ visit: Visit) async throws -> PageAnswer {
        let node = try await EdgeReading.node(visit)
        return .page(
            Page(
                title: "Revoke \(node.name)?", section: .edges, crumbs: crumbs,
                body: Parts.confirm(
                    visit,
                    """
                    Its certificate counts for nothing any more: it hears of no further change. To come back it has to join \
                    again with a new token.
                    """, node.link + "/delete", button: "Revoke", back: node.link)))
    }

    private static func deleteNow(_ visit: Visit) async throws -> PageAnswer {
        let reply = await visit.ask("DELETE", try EdgeReading.root(visit) + "/nodes/\(visit.part("node"))")
        guard reply.problem == nil else { throw PageFailure(reply: reply) }
        return .redirect("/edges", Notice(text: "\(visit.parameter("node")) was revoked."))
    }

    // MARK: Who may join

    private static func openTokens(_ visit: Visit, mayWrite: Bool) async -> HTML {
        let tokens = ((try? await EdgeReading.joinTokens(visit)) ?? []).filter { $0.state == "open" }
        guard !tokens.isEmpty else { return .none }
        var table = Table(caption: "Join tokens", columns: ["For", "Role", "Expires"] + (mayWrite ? [""] : []))
        for token in tokens {
            let name = token.name ?? "whoever has it"
            var cells: [HTML] = ["<span class=\"name\">\(name)</span>", "\(token.role)", Parts.time(token.expiresOn)]
            if mayWrite {
                cells.append(
                    Field.form(
                        visit, "/edges/tokens/\(LinkText.encode(token.id))/delete", kind: "inline",
                        "<button class=\"link dangerous\" type=\"submit\">Withdraw<span class=\"unseen\"> \(name)</span></button>"
                    ))
            }
            table.rows.append(cells)
        }
        return "<section class=\"part\"><div class=\"heading\"><h2>Waiting to join</h2></div>\(table.html)</section>"
    }

    private static func form(_ visit: Visit, _ problem: FormProblem) -> Page {
        guard visit.may(EdgeReading.write) else {
            return Page(
                title: "Add an edge", section: .edges, crumbs: crumbs,
                body: Parts.empty(
                    "Nothing to do here",
                    "Your token cannot add edges: that needs the permission \(EdgeReading.write.name)."))
        }
        let lives = [("3600", "1 hour"), ("86400", "1 day"), ("604800", "7 days")]
        let fields: HTML = """
            \(Field.select("role", "What joins", visit.form["role"] ?? "edge",
                [("edge", "An edge: serves clients"), ("relay", "A relay: passes changes on to edges")], problem: problem["role"]))\
            \(Field.input("name", "Name", visit.form["name"] ?? "",
                hint: "a–z, 0–9 and -, such as fra-1. Empty: it names itself.", problem: problem["name"],
                extra: "maxlength=\"63\" pattern=\"[a-z0-9\\-]*\" autocapitalize=\"none\" autocomplete=\"off\""))\
            \(Field.select("expires_in", "The token is good for", visit.form["expires_in"] ?? "3600", lives, problem: problem["expires_in"]))\
            \(Field.buttons("Make join token", back: "/edges"))
            """
        return Page(
            title: "Add an edge", section: .edges, crumbs: crumbs, status: problem.status,
            body: problem.banner(fields: ["role", "name", "expires_in"])
                + Parts.card(
                    "A token to join with", Field.form(visit, "/edges/new", fields),
                    note:
                        "It lets one machine in, once. Start it there with: martlet edge --join HOST:7071 --token TOKEN --data DIR"
                ))
    }

    private static func create(_ visit: Visit) async throws -> PageAnswer {
        let role = visit.form.text("role")
        var body: JSONObject = ["role": .string(role)]
        if !visit.form.text("name").isEmpty { body["name"] = .string(visit.form.text("name")) }
        if let seconds = Int64(visit.form.text("expires_in")) { body["expires_in"] = .number(JSONNumber(seconds)) }
        let reply = await visit.ask("POST", try EdgeReading.root(visit) + "/join_tokens", .object(body))
        guard let problem = reply.problem else {
            return .redirect(
                "/edges",
                Notice(
                    text: """
                        The join token is shown this once. On the new machine: martlet \(role) --join HOST:7071 --token TOKEN \
                        --data DIR, with this control plane’s host and distribution port.
                        """, secret: reply.result["token"]?.string))
        }
        return .page(form(visit, FormProblem(problem, codes: [1003: "name"])))
    }

    private static func deleteToken(_ visit: Visit) async throws -> PageAnswer {
        let reply = await visit.ask("DELETE", try EdgeReading.root(visit) + "/join_tokens/\(visit.part("token"))")
        guard reply.problem == nil else { throw PageFailure(reply: reply) }
        return .redirect("/edges", Notice(text: "The join token was withdrawn."))
    }
}
