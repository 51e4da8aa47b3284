// Rules as they are written: rulesets of a zone and of the account, and page rules, each as its JSON.

import JSON
import Limits

enum RulesPage {
    static let routes: [PageRoute] =
        [.get("/zones/{zone}/rules", zoneList), .get("/rules", accountList)]
        + ["/zones/{zone}/rules", "/rules"].flatMap { root -> [PageRoute] in
            [
                .get(root + "/{kind}/new") { visit in .page(try form(try await Place(visit), nil, "", .none)) },
                .post(root + "/{kind}/new") { try await save(try await Place($0), isNew: true) },
                .get(root + "/{kind}/{object}") { visit in
                    let place = try await Place(visit)
                    let object = try await visit.get(place.one).result
                    return .page(try form(place, object, place.kind.text(object), .none))
                }, .post(root + "/{kind}/{object}") { try await save(try await Place($0), isNew: false) },
                .get(root + "/{kind}/{object}/delete", delete), .post(root + "/{kind}/{object}/delete", deleteNow),
            ]
        }

    // MARK: What there is

    /// What one kind of rules is called, and how one begins.
    struct Kind: Sendable {
        /// In the dashboard's paths.
        let id: String
        let title: String
        let titles: String
        /// In the API's paths.
        let path: String
        let write: Permission
        /// Members that the server sets.
        let readOnly: [String]
        let template: JSONValue
        let about: HTML

        func text(_ object: JSONValue) -> String {
            var shown = PrettyJSON.editable(object, without: readOnly)
            if let rules = shown["rules"]?.array, var object = shown.object {
                object["rules"] = .array(rules.map { PrettyJSON.editable($0, without: ["version", "last_updated"]) })
                shown = .object(object)
            }
            return PrettyJSON.text(shown)
        }
    }

    private static func rulesets(_ write: Permission, kind: String) -> Kind {
        Kind(
            id: "rulesets", title: "ruleset", titles: "Rulesets", path: "/rulesets", write: write,
            readOnly: ["id", "version", "last_updated"],
            template: [
                "name": "My rules", "description": "", "kind": .string(kind), "phase": "http_request_firewall_custom",
                "rules": [
                    [
                        "action": "block", "expression": "(http.request.uri.path eq \"/private\")",
                        "description": "What it is for", "enabled": true,
                    ]
                ],
            ],
            about: """
                A list of rules for one phase of a request, in their order. Rules keep their <code>id</code>: leave it with \
                those that stay.
                """)
    }
    private static let zoneKinds = [
        rulesets(.zone("Zone WAF", .write), kind: "zone"),
        Kind(
            id: "pagerules", title: "page rule", titles: "Page rules", path: "/pagerules",
            write: .zone("Page Rules", .write), readOnly: ["id", "created_on", "modified_on"],
            template: [
                "targets": [
                    ["target": "url", "constraint": ["operator": "matches", "value": "https://example.com/images/*"]]
                ], "actions": [["id": "cache_level", "value": "cache_everything"]], "priority": 1, "status": "active",
            ], about: "What happens to URLs that match a pattern."),
    ]
    private static let accountKinds = [rulesets(.account("Account Rulesets", .write), kind: "root")]

    /// Whose rules a page is about.
    struct Place: Sendable {
        let visit: Visit
        let zone: ZoneSummary?
        let kind: Kind
        let root: String

        init(_ visit: Visit) async throws {
            self.visit = visit
            zone = visit.parameters["zone"] == nil ? nil : try await visit.zone()
            let kinds = zone == nil ? accountKinds : zoneKinds
            guard let kind = kinds.first(where: { $0.id == visit.parameter("kind") }) else {
                throw PageFailure(reply: APIReply(.problem(404, "There are no such rules")))
            }
            self.kind = kind
            root = try zone?.path ?? visit.account()
        }

        var list: String { root + kind.path }
        var one: String { "\(list)/\(visit.part("object"))" }
        /// Of the list, on this dashboard.
        var back: String { zone.map { $0.link + "/rules" } ?? "/rules" }
        var mayWrite: Bool { zone.map { visit.may(kind.write, zone: $0) } ?? visit.may(kind.write) }

        func page(_ title: String, status: Int = 200, body: HTML) -> Page {
            guard let zone else {
                return Page(
                    title: title, section: .rules, crumbs: [("Rules and lists", "/rules")], status: status, body: body)
            }
            return .zone(zone, .rules, title, status: status, crumbs: [("Rules", back)], body: body)
        }
    }

    // MARK: Lists

    private static func zoneList(_ visit: Visit) async throws -> PageAnswer {
        let zone = try await visit.zone()
        var body = HTML.none
        for kind in zoneKinds {
            let reply = await visit.ask("GET", zone.path + kind.path)
            body += section(kind, reply, link: zone.link + "/rules", mayWrite: visit.may(kind.write, zone: zone))
        }
        return .page(.zone(zone, .rules, "Rules", body: body))
    }

    private static func accountList(_ visit: Visit) async throws -> PageAnswer {
        var body = try await ListsPage.section(visit)
        for kind in accountKinds {
            let reply = await visit.ask("GET", try visit.account() + kind.path)
            body += section(kind, reply, link: "/rules", mayWrite: visit.may(kind.write))
        }
        return .page(Page(title: "Rules and lists", section: .rules, body: body))
    }

    private static func section(_ kind: Kind, _ reply: APIReply, link: String, mayWrite: Bool) -> HTML {
        let add = Parts.button("Add a \(kind.title)", "\(link)/\(kind.id)/new")
        let heading: HTML = """
            <div class="heading"><h2>\(kind.titles)</h2><div class="actions">\(.when(mayWrite && !reply.list.isEmpty) { add })\
            </div></div>
            """
        if let problem = reply.problem {
            return "<section class=\"part\">\(heading)\(Banner.problem(problem))</section>"
        }
        guard !reply.list.isEmpty else {
            return """
                <section class="part">\(heading)<div class="empty"><p>No \(kind.titles.lowercased()) yet. \(kind.about)</p>\
                \(.when(mayWrite) { add })</div></section>
                """
        }
        let isRuleset = kind.id == "rulesets"
        var table = Table(
            caption: kind.titles,
            columns: isRuleset
                ? ["Name", "Phase", "Version", "Changed", ""] : ["URL", "Actions", "Status", "Changed", ""])
        for object in reply.list {
            let place = "\(link)/\(kind.id)/\(LinkText.encode(object["id"]?.string ?? ""))"
            let name = isRuleset ? object["name"]?.string ?? "" : pattern(object)
            let facts: [HTML] =
                isRuleset
                ? ["<code>\(object["phase"]?.string ?? "")</code>", "\(object["version"]?.string ?? "")"]
                : [
                    "\((object["actions"]?.array ?? []).compactMap { $0["id"]?.string }.joined(separator: ", "))",
                    object["status"] == "active" ? Parts.badge("Active", "good") : Parts.badge("Disabled", ""),
                ]
            let end: HTML = .when(mayWrite) { Parts.action("Delete", name, place + "/delete", kind: "dangerous") }
            let changed = object["last_updated"]?.string ?? object["modified_on"]?.string
            table.rows.append(
                ["<span class=\"name\">\(name)</span>"] + facts + [
                    "<span class=\"tight\">\(Parts.time(changed))</span>",
                    Parts.action(mayWrite ? "Edit" : "Show", name, place) + end,
                ])
        }
        return "<section class=\"part\">\(heading)\(table.html)</section>"
    }

    private static func pattern(_ object: JSONValue) -> String {
        object["targets"]?.array?.first?["constraint"]?["value"]?.string ?? ""
    }

    // MARK: One

    private static func form(_ place: Place, _ object: JSONValue?, _ text: String, _ problem: FormProblem) throws
        -> Page
    {
        let (visit, kind) = (place.visit, place.kind)
        let name = object.map { $0["name"]?.string ?? pattern($0) } ?? ""
        let title = object == nil ? "Add a \(kind.title)" : name.isEmpty ? "Edit \(kind.title)" : name
        let shown = text.isEmpty && object == nil ? PrettyJSON.text(kind.template) : text
        guard place.mayWrite else {
            return place.page(title, body: "<pre tabindex=\"0\" aria-label=\"JSON\">\(shown)</pre>")
        }
        let area = Field.area(
            "json", "JSON", shown, rows: min(max(shown.split(separator: "\n").count + 1, 10), 30), hint: kind.about,
            problem: problem["json"])
        return place.page(
            title, status: problem.status,
            body: problem.banner(fields: ["json"])
                + "<section class=\"card wide\">"
                + Field.form(
                    visit, "\(place.back)/\(kind.id)/\(object == nil ? "new" : visit.part("object"))",
                    area + Field.buttons("Save \(kind.title)", back: place.back)) + "</section>")
    }

    private static func save(_ place: Place, isNew: Bool) async throws -> PageAnswer {
        let visit = place.visit
        let text = visit.form["json"] ?? ""
        let reply = await visit.ask(
            isNew ? "POST" : "PUT", isNew ? place.list : place.one, bytes: Array(text.utf8), type: "application/json")
        if let problem = reply.problem {
            let object = isNew ? nil : try await visit.get(place.one).result
            return .page(try form(place, object, text, FormProblem(problem, whole: "json")))
        }
        return .redirect(place.back, Notice(text: "The \(place.kind.title) was saved."))
    }

    private static func delete(_ visit: Visit) async throws -> PageAnswer {
        let place = try await Place(visit)
        let object = try await visit.get(place.one).result
        let name = object["name"]?.string ?? pattern(object)
        return .page(
            place.page(
                "Delete this \(place.kind.title)?",
                body: Parts.confirm(
                    visit, "<strong>\(name)</strong> goes with all its rules, which no longer apply to requests.",
                    "\(place.back)/\(place.kind.id)/\(visit.part("object"))/delete",
                    button: "Delete \(place.kind.title)", back: place.back)))
    }

    private static func deleteNow(_ visit: Visit) async throws -> PageAnswer {
        let place = try await Place(visit)
        let reply = await visit.ask("DELETE", place.one)
        guard reply.problem == nil else { throw PageFailure(reply: reply) }
        return .redirect(place.back, Notice(text: "The \(place.kind.title) was deleted."))
    }
}
