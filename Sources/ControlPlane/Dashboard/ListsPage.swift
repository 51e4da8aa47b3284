// Lists that rules refer to by name: addresses, hosts, networks' numbers, redirects.

import JSON
import Limits

enum ListsPage {
    static let routes: [PageRoute] = [
        .get("/lists/new") { .page(new($0, .none)) }, .post("/lists/new", create),
        .get("/lists/{list}") { visit in
            let list = try await find(visit)
            return .page(form(visit, list, try await items(visit), .none))
        }, .post("/lists/{list}", save), .get("/lists/{list}/delete", delete), .post("/lists/{list}/delete", deleteNow),
    ]

    private static let write = Permission.account("Account Filter Lists", .write)
    private static let root = "/rules/lists"
    private static let crumbs = [(text: "Rules and lists", link: "/rules")]
    private static let kinds: [(value: String, text: String)] = [
        ("ip", "Addresses and networks"), ("hostname", "Host names"), ("asn", "Networks’ numbers (ASN)"),
        ("redirect", "Redirects"),
    ]

    private static func one(_ visit: Visit) throws -> String { "\(try visit.account())\(root)/\(visit.part("list"))" }
    private static func find(_ visit: Visit) async throws -> JSONValue { try await visit.get(one(visit)).result }

    /// On the page of all rules.
    static func section(_ visit: Visit) async throws -> HTML {
        let reply = await visit.ask("GET", try visit.account() + root)
        let mayWrite = visit.may(write)
        let add = Parts.button("Add a list", "/lists/new")
        let heading: HTML = """
            <div class="heading"><h2>Lists</h2><div class="actions">\(.when(mayWrite && !reply.list.isEmpty) { add })</div></div>
            """
        if let problem = reply.problem {
            return "<section class=\"part\">\(heading)\(Banner.problem(problem))</section>"
        }
        guard !reply.list.isEmpty else {
            return """
                <section class="part">\(heading)<div class="empty"><p>No lists yet. Rules refer to a list by its name, so \
                that many of them change at once when it does.</p>\(.when(mayWrite) { add })</div></section>
                """
        }
        var table = Table(caption: "Lists", columns: ["Name", "Kind", "Items", "Changed", ""])
        for list in reply.list {
            let name = list["name"]?.string ?? ""
            let link = "/lists/\(LinkText.encode(list["id"]?.string ?? ""))"
            let end: HTML = .when(mayWrite) { Parts.action("Delete", name, link + "/delete", kind: "dangerous") }
            let about = list["description"]?.string ?? ""
            table.rows.append([
                "<span class=\"name\">\(name)</span>\(.when(!about.isEmpty) { "<span class=\"comment\">\(about)</span>" })",
                "\(title(list["kind"]))", "\(list["num_items"]?.integer ?? 0)",
                "<span class=\"tight\">\(Parts.time(list["modified_on"]?.string))</span>",
                Parts.action(mayWrite ? "Edit" : "Show", name, link) + end,
            ])
        }
        return "<section class=\"part\">\(heading)\(table.html)</section>"
    }

    private static func title(_ kind: JSONValue?) -> String {
        kinds.first { $0.value == kind?.string }?.text ?? kind?.string ?? ""
    }

    // MARK: A new one

    private static func new(_ visit: Visit, _ problem: FormProblem) -> Page {
        let fields: HTML = """
            \(Field.input(
                "name", "Name", visit.form["name"] ?? "", hint: "Lower-case letters, digits and _; it stays as it is.",
                problem: problem["name"], extra: "required maxlength=\"50\" pattern=\"[a-z0-9_]+\" autocapitalize=\"none\""))\
            \(Field.select("kind", "What is in it", visit.form["kind"] ?? "ip", kinds, problem: problem["kind"]))\
            \(Field.input("description", "Description", visit.form["description"] ?? "", problem: problem["description"]))\
            \(Field.buttons("Add list", back: "/rules"))
            """
        return Page(
            title: "Add a list", section: .rules, crumbs: crumbs, status: problem.status,
            body: problem.banner(fields: ["name", "kind", "description"])
                + "<section class=\"card\">\(Field.form(visit, "/lists/new", fields))</section>")
    }

    private static func create(_ visit: Visit) async throws -> PageAnswer {
        let body: JSONValue = [
            "name": .string(visit.form.text("name")), "kind": .string(visit.form.text("kind")),
            "description": .string(visit.form.text("description")),
        ]
        let reply = await visit.ask("POST", try visit.account() + root, body)
        if let problem = reply.problem { return .page(new(visit, FormProblem(problem, codes: [1003: "name"]))) }
        return .redirect(
            "/lists/\(LinkText.encode(reply.result["id"]?.string ?? ""))",
            Notice(text: "The list was added. Next: its items."))
    }

    // MARK: One

    /// All of them: the API gives them out in pages, each with the cursor of the next.
    private static func items(_ visit: Visit) async throws -> String {
        var items: [JSONValue] = []
        var cursor: String?
        repeat {
            let reply = try await visit.get(
                try one(visit) + "/items" + LinkText.query([("per_page", "500"), ("cursor", cursor)]))
            items += reply.list
            cursor = reply.info?["cursors"]?["after"]?.string
        } while cursor != nil && items.count < Limits.apiListItemsMax
        let readOnly = ["id", "created_on", "modified_on"]
        return PrettyJSON.text(
            .array(
                items.map {
                    PrettyJSON.editable($0, without: $0["comment"] == .null ? readOnly + ["comment"] : readOnly)
                }))
    }

    private static func example(_ kind: JSONValue?) -> String {
        switch kind?.string {
        case "hostname": "[{\"hostname\": {\"url_hostname\": \"shop.example\"}, \"comment\": \"…\"}]"
        case "asn": "[{\"asn\": 64496, \"comment\": \"…\"}]"
        case "redirect":
            "[{\"redirect\": {\"source_url\": \"example.com/old\", \"target_url\": \"https://example.com/new\"}}]"
        default: "[{\"ip\": \"192.0.2.0/24\", \"comment\": \"…\"}]"
        }
    }

    private static func form(_ visit: Visit, _ list: JSONValue, _ items: String, _ problem: FormProblem) -> Page {
        let name = list["name"]?.string ?? ""
        let link = "/lists/\(visit.part("list"))"
        let facts = Parts.facts([
            ("Kind", "\(title(list["kind"]))"), ("In rules", "<code>$\(name)</code>"),
            ("Description", "\(list["description"]?.string ?? "")"),
        ])
        let area = Field.area(
            "json", "Items", items, rows: min(max(items.split(separator: "\n").count + 1, 8), 30),
            hint: "JSON, such as <code>\(example(list["kind"]))</code>", problem: problem["json"])
        let content: HTML =
            visit.may(write)
            ? Field.form(visit, link, area + Field.buttons("Save items", back: "/rules"))
            : "<pre tabindex=\"0\" aria-label=\"Items\">\(items)</pre>"
        return Page(
            title: name, section: .rules, crumbs: crumbs, status: problem.status,
            body: problem.banner(fields: ["json"]) + Parts.card("About it", facts)
                + "<section class=\"card wide\"><h2>What is in it</h2>\(content)</section>")
    }

    private static func save(_ visit: Visit) async throws -> PageAnswer {
        let text = visit.form["json"] ?? ""
        let reply = await visit.ask("PUT", try one(visit) + "/items", bytes: Array(text.utf8), type: "application/json")
        if let problem = reply.problem {
            return .page(form(visit, try await find(visit), text, FormProblem(problem, whole: "json")))
        }
        return .redirect("/rules", Notice(text: "The list’s items were saved."))
    }

    private static func delete(_ visit: Visit) async throws -> PageAnswer {
        let list = try await find(visit)
        return .page(
            Page(
                title: "Delete this list?", section: .rules, crumbs: crumbs,
                body: Parts.confirm(
                    visit,
                    """
                    <strong>\(list["name"]?.string ?? "")</strong> goes with its \(list["num_items"]?.integer ?? 0) items. Rules \
                    that refer to it find nothing in it any more.
                    """, "/lists/\(visit.part("list"))/delete", button: "Delete list", back: "/rules")))
    }

    private static func deleteNow(_ visit: Visit) async throws -> PageAnswer {
        let reply = await visit.ask("DELETE", try one(visit))
        guard reply.problem == nil else { throw PageFailure(reply: reply) }
        return .redirect("/rules", Notice(text: "The list was deleted."))
    }
}
