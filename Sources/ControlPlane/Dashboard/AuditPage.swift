// Who changed what, and what it was before.

import JSON
import Limits

enum AuditPage {
    static let routes: [PageRoute] = [.get("/audit", list)]

    /// What there is to filter by.
    private static let actions: [(value: String, text: String)] =
        [("", "All actions")]
        + ["create", "update", "delete", "purge", "import", "roll"].map {
            ($0, $0.prefix(1).uppercased() + $0.dropFirst())
        }

    /// Names for what the log keeps by identifier only.
    struct Names: Sendable {
        private var names: [String: String] = [:]

        /// Without those that the token may not read.
        init(_ visit: Visit) async {
            let tokens = await visit.ask("GET", TokensPage.path(visit) + "?per_page=\(Limits.apiObjectsPerPageMax)")
            let zones = await visit.ask("GET", "/zones?per_page=\(Limits.apiZonesPerPageMax)")
            for object in tokens.list + zones.list {
                if let id = object["id"]?.string { names[id] = object["name"]?.string }
            }
        }

        subscript(_ id: String) -> String? { names[id] }
    }

    private static func list(_ visit: Visit) async throws -> PageAnswer {
        let query = visit.query
        let filters = [
            ("action.type", query["action"]), ("since", day(query["since"])),
            ("before", day(query["until"], isEnd: true)),
        ]
        let perPage = Limits.dashboardRowsPerPage
        let reply = try await visit.get(
            "\(try visit.account())/audit_logs"
                + LinkText.query(
                    filters.map { (name: $0.0, value: $0.1) } + [("page", "\(visit.page)"), ("per_page", "\(perPage)")])
        )
        var body: HTML = """
            <form class="filter" method="get" action="/audit"><div class="field"><label for="action">Action</label>\
            <select id="action" name="action">\(Field.options(query["action"] ?? "", actions))</select></div>\
            <div class="field"><label for="since">From</label><input type="date" id="since" name="since" \
            value="\(query["since"] ?? "")"></div><div class="field"><label for="until">Until</label><input type="date" \
            id="until" name="until" value="\(query["until"] ?? "")"></div>\
            <button class="button" type="submit">Filter</button></form>
            """
        if reply.list.isEmpty {
            body += Parts.empty(
                "Nothing here", "No change fits. Every change that anybody makes is kept with what was before.",
                Parts.button("Show all changes", "/audit"))
        } else {
            body += table(reply.list, await Names(visit))
        }
        body += Parts.pager(page: visit.page, perPage: perPage, total: reply.totalCount, what: "changes") { page in
            "/audit"
                + LinkText.query([
                    ("action", query["action"]), ("since", query["since"]), ("until", query["until"]),
                    ("page", "\(page)"),
                ])
        }
        return .page(Page(title: "Audit log", section: .audit, body: body))
    }

    /// A day of a date field as a moment; what is none goes to the API as it is, to be told what was expected.
    private static func day(_ text: String?, isEnd: Bool = false) -> String? {
        guard let text, !text.isEmpty else { return nil }
        return text.count == 10 ? text + (isEnd ? "T23:59:59.999999Z" : "T00:00:00Z") : text
    }

    static func table(_ entries: [JSONValue], _ names: Names, isShort: Bool = false) -> HTML {
        var table = Table(
            caption: "Changes", columns: ["When", "Who", "What", "Where"] + (isShort ? [] : ["Details"]), kind: "audit")
        for entry in entries {
            var cells: [HTML] = [
                "<span class=\"tight\">\(Parts.time(entry["when"]?.string))</span>", "\(actor(entry["actor"], names))",
                what(entry, names), place(entry["owner"]?["id"]?.string ?? "", names),
            ]
            if !isShort { cells.append(details(entry)) }
            table.rows.append(cells)
        }
        return table.html
    }

    private static func actor(_ actor: JSONValue?, _ names: Names) -> String {
        let id = actor?["id"]?.string ?? ""
        guard actor?["type"] == "token" else { return "Martlet itself" }
        return names[id] ?? "Token \(id.prefix(8))…"
    }

    private static let kinds = [
        "dns_record": "DNS record", "setting": "setting", "certificate": "certificate", "token": "token",
        "zone": "zone",
        "ruleset": "ruleset", "pagerule": "page rule", "list": "list", "account": "account", "user": "user",
        "node": "edge", "join_token": "join token",
    ]
    private static let verbs = [
        "create": "Created", "update": "Changed", "delete": "Deleted", "revoke": "Revoked",
        "roll": "Rolled",
    ]

    private static func what(_ entry: JSONValue, _ names: Names) -> HTML {
        let action = entry["action"]?["type"]?.string ?? ""
        let kind = entry["resource"]?["type"]?.string ?? ""
        let id = entry["resource"]?["id"]?.string ?? ""
        let after = (entry["newValue"]?.string).flatMap { try? JSONValue(parsing: Array($0.utf8)) }
        let before = (entry["oldValue"]?.string).flatMap { try? JSONValue(parsing: Array($0.utf8)) }
        let name =
            after?["name"]?.string ?? before?["name"]?.string ?? names[id] ?? SettingSubject.label(id)
            ?? (ObjectID.isValid(id) ? "" : id)
        let type = (after ?? before)?["type"]?.string
        let title =
            kind == "dns_record" ? "\(type ?? "DNS") record" : kinds[kind] ?? SettingText.words(kind).lowercased()
        // Where it was done stands in the next column.
        if kind == "zone", action == "purge" { return "Purged the cache" }
        if kind == "zone", action == "import" { return "Imported records" }
        let verb = verbs[action] ?? SettingText.words(action)
        return "\(verb) \(title) <span class=\"name\">\(name)</span>"
    }

    private static func place(_ scope: String, _ names: Names) -> HTML {
        let parts = scope.split(separator: "/").map(String.init)
        if parts.count > 3, parts[2] == "zone" {
            return names[parts[3]].map { "<a href=\"/zones/\(LinkText.encode(parts[3]))\">\($0)</a>" }
                ?? "<span class=\"faint\">a zone that is gone</span>"
        }
        return "<span class=\"faint\">\(parts.first == "user" ? "User" : "Account")</span>"
    }

    private static func details(_ entry: JSONValue) -> HTML {
        let sides = [("Before", entry["oldValue"]?.string), ("After", entry["newValue"]?.string)]
        let shown = sides.compactMap { title, text -> HTML? in
            guard let text, !text.isEmpty else { return nil }
            guard text.utf8.count <= Limits.dashboardAuditBytesMax, let json = try? JSONValue(parsing: Array(text.utf8))
            else {
                return "<p class=\"label\">\(title)</p><pre>\(String(text.prefix(Limits.dashboardAuditBytesMax)))</pre>"
            }
            return "<p class=\"label\">\(title)</p><pre>\(PrettyJSON.text(json))</pre>"
        }
        guard !shown.isEmpty else { return "<span class=\"faint\">none kept</span>" }
        return "<details><summary>Show</summary>\(shown)</details>"
    }
}
