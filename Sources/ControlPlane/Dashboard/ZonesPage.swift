// Zones: the list, a new one, one at a glance, its end.

import JSON
import Limits

enum ZonesPage {
    static let routes: [PageRoute] = [
        .get("/zones", list), .get("/zones/new") { .page(new($0, name: "", problem: .none)) },
        .post("/zones/new", create),
        .get("/zones/{zone}", show), .post("/zones/{zone}/pause", pause),
        .get("/zones/{zone}/delete") {
            .page(delete($0, try await $0.zone(), problem: nil))
        }, .post("/zones/{zone}/delete", deleteNow),
    ]

    // MARK: The list

    private static func list(_ visit: Visit) async throws -> PageAnswer {
        let search = PageForm.trimmed(visit.query["search"] ?? "")
        let perPage = Limits.dashboardZonesPerPage
        let reply = try await visit.get(
            "/zones"
                + LinkText.query([
                    ("name", search.isEmpty ? nil : "contains:" + search), ("page", "\(visit.page)"),
                    ("per_page", "\(perPage)"),
                ]))
        let mayAdd = visit.may(Zones.write)
        let add = Parts.button("Add a zone", "/zones/new", kind: "primary")
        var page = Page(title: "Zones", section: .zones, actions: mayAdd ? add : .none, body: .none)
        if reply.totalCount == 0, search.isEmpty {
            page.actions = .none
            page.body = Parts.empty(
                "No zones yet",
                "A zone is a domain with everything Martlet does for it: records, certificates, caching.",
                mayAdd ? add : "<p>Your token cannot add one.</p>")
            return .page(page)
        }
        page.body = searchForm(search)
        guard reply.totalCount > 0 else {
            page.body += Parts.empty(
                "Nothing found", "No zone has “\(search)” in its name.", Parts.button("Show all zones", "/zones"))
            return .page(page)
        }
        page.body +=
            Table(
                caption: "Zones", columns: ["Name", "Status", "Account", "Added"],
                rows: reply.list.map { json in
                    let zone = ZoneSummary(json)
                    return [
                        "<a class=\"name\" href=\"\(zone.link)\">\(zone.name)</a>", status(zone),
                        "\(json["account"]?["name"]?.string ?? "")", Parts.day(json["created_on"]?.string),
                    ]
                }
            ).html
        page.body += Parts.pager(page: visit.page, perPage: perPage, total: reply.totalCount, what: "zones") {
            "/zones" + LinkText.query([("search", search), ("page", "\($0)")])
        }
        return .page(page)
    }

    private static func searchForm(_ search: String) -> HTML {
        """
        <form class="filter" method="get" action="/zones" role="search"><div class="field"><label for="search">Search \
        zones</label><input type="search" id="search" name="search" value="\(search)" placeholder="Part of a name"></div>\
        <button class="button" type="submit">Search</button></form>
        """
    }

    static func status(_ zone: ZoneSummary) -> HTML {
        if zone.json["paused"] == true { return Parts.badge("Paused", "warn") }
        let text = zone.json["status"]?.string ?? "unknown"
        return text == "active" ? Parts.badge("Active", "good") : Parts.badge(text, "warn")
    }

    // MARK: A new one

    private static func new(_ visit: Visit, name: String, problem: FormProblem) -> Page {
        let field = Field.input(
            "name", "Domain", name, hint: "Such as example.com: the domain itself, not a host in it.",
            problem: problem["name"],
            extra:
                "required maxlength=\"253\" autocapitalize=\"none\" spellcheck=\"false\" autocomplete=\"off\" inputmode=\"url\""
        )
        return Page(
            title: "Add a zone", section: .zones, crumbs: [("Zones", "/zones")], status: problem.status,
            body: problem.banner(fields: ["name"])
                + "<section class=\"card\">"
                + Field.form(visit, "/zones/new", field + Field.buttons("Add zone", back: "/zones")) + "</section>")
    }

    private static func create(_ visit: Visit) async throws -> PageAnswer {
        let name = visit.form.text("name")
        var body: JSONObject = ["name": .string(name)]
        if let id = visit.session.account?.id { body["account"] = ["id": .string(id)] }
        let reply = await visit.ask("POST", "/zones", .object(body))
        if let problem = reply.problem {
            return .page(new(visit, name: name, problem: FormProblem(problem, codes: [1061: "name", 1105: "name"])))
        }
        return .redirect(
            ZoneSummary(reply.result).link + "/dns",
            Notice(text: "\(reply.result["name"]?.string ?? name) was added. Next: its DNS records."))
    }

    // MARK: One

    private static func show(_ visit: Visit) async throws -> PageAnswer {
        let zone = try await visit.zone()
        let records = await visit.ask("GET", zone.path + "/dns_records?per_page=1")
        let certificates = await visit.ask("GET", zone.path + "/custom_certificates?per_page=1")
        let servers = (zone.json["name_servers"]?.array ?? []).compactMap(\.string)
        let facts = Parts.facts([
            ("Status", status(zone)), ("DNS records", count(records, zone.link + "/dns")),
            ("Certificates", count(certificates, zone.link + "/certificates")),
            (
                "Name servers",
                servers.isEmpty
                    ? "<span class=\"faint\">none given</span>" : "\(servers.map { "<code>\($0)</code> " as HTML })"
            ), ("Added", Parts.time(zone.json["created_on"]?.string)),
            ("Changed", Parts.time(zone.json["modified_on"]?.string)), ("Identifier", "<code>\(zone.id)</code>"),
        ])
        var body = Parts.card("At a glance", facts)
        if visit.may(Zones.write, zone: zone) { body += changes(visit, zone) }
        return .page(.zone(zone, .overview, zone.name, body: body))
    }

    private static func count(_ reply: APIReply, _ link: String) -> HTML {
        reply.problem == nil
            ? "<a href=\"\(link)\">\(reply.totalCount)</a>" : "<span class=\"faint\">not shown to this token</span>"
    }

    private static func changes(_ visit: Visit, _ zone: ZoneSummary) -> HTML {
        let isPaused = zone.json["paused"] == true
        let pause = Field.form(
            visit, zone.link + "/pause", kind: "row",
            """
            \(Field.hidden("paused", isPaused ? "false" : "true"))<p>\
            \(isPaused ? "The zone is paused: edges pass its requests on without doing anything to them."
                : "Pause the zone: edges pass its requests on without doing anything to them.")</p>\
            <button class="button" type="submit">\(isPaused ? "Resume zone" : "Pause zone")</button>
            """)
        return Parts.card(
            "Change",
            """
            \(pause)<div class="row"><p>Delete the zone with its records, certificates, settings and rules.</p>\
            <a class="button dangerous-quiet" href="\(zone.link)/delete">Delete zone…</a></div>
            """)
    }

    private static func pause(_ visit: Visit) async throws -> PageAnswer {
        let zone = try await visit.zone()
        let isPaused = visit.form["paused"] == "true"
        let reply = await visit.ask("PATCH", zone.path, ["paused": .boolean(isPaused)])
        guard reply.problem == nil else { throw PageFailure(reply: reply) }
        return .redirect(
            zone.link, Notice(text: isPaused ? "\(zone.name) is paused." : "\(zone.name) is active again."))
    }

    // MARK: Its end

    private static func delete(_ visit: Visit, _ zone: ZoneSummary, problem: FormProblem?) -> Page {
        let field = Field.input(
            "name", "Type \(zone.name) to confirm", "", problem: problem?["name"],
            extra: "required autocomplete=\"off\" autocapitalize=\"none\" spellcheck=\"false\"")
        return Page.zone(
            zone, .overview, "Delete \(zone.name)?", status: problem?.status ?? 200,
            body: Parts.confirm(
                visit,
                """
                Its DNS records, certificates, settings and rules go with it, and edges stop serving it. This cannot be \
                undone.
                """, zone.link + "/delete", button: "Delete this zone", back: zone.link, fields: field))
    }

    private static func deleteNow(_ visit: Visit) async throws -> PageAnswer {
        let zone = try await visit.zone()
        guard visit.form.text("name").lowercased() == zone.name else {
            return .page(
                delete(
                    visit, zone,
                    problem: FormProblem(field: "name", "This is not the zone’s name: nothing was deleted.")))
        }
        let reply = await visit.ask("DELETE", zone.path)
        guard reply.problem == nil else { throw PageFailure(reply: reply) }
        return .redirect("/zones", Notice(text: "\(zone.name) was deleted."))
    }
}
