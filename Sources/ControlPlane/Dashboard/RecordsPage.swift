// A zone's DNS records: the list with its filters, and the end of a record.

import JSON
import Limits

enum RecordsPage {
    static let routes: [PageRoute] = [
        .get("/zones/{zone}/dns", list), .get("/zones/{zone}/dns/{record}/delete", delete),
        .post("/zones/{zone}/dns/{record}/delete", deleteNow),
    ]

    static let write = Permission.zone("DNS", .write)

    private static func list(_ visit: Visit) async throws -> PageAnswer {
        let zone = try await visit.zone()
        let search = PageForm.trimmed(visit.query["search"] ?? "")
        let type = visit.query["type"].flatMap { RecordType.find($0)?.name }
        let perPage = Limits.dashboardRowsPerPage
        let reply = try await visit.get(
            zone.path + "/dns_records"
                + LinkText.query([
                    ("search", search), ("type", type), ("page", "\(visit.page)"), ("per_page", "\(perPage)"),
                ]))
        let mayWrite = visit.may(write, zone: zone)
        let add = Parts.button("Add a record", zone.link + "/dns/new", kind: "primary")
        let files =
            Parts.button("Export", zone.link + "/dns/export")
            + .when(mayWrite) { Parts.button("Import", zone.link + "/dns/import") }
        let isFiltered = !search.isEmpty || type != nil
        if reply.totalCount == 0, !isFiltered {
            let next: HTML =
                mayWrite
                ? "<p class=\"buttons\">\(add)\(Parts.button("Import a zone file", zone.link + "/dns/import"))</p>"
                : "<p>Your token cannot add one.</p>"
            return .page(
                .zone(
                    zone, .records, "DNS records",
                    body: Parts.empty(
                        "No records yet",
                        "Records say where \(zone.name) and the names in it lead. Proxied ones go through the edge.",
                        next)))
        }
        var body = filter(zone, search, type)
        if reply.totalCount == 0 {
            body += Parts.empty(
                "Nothing found", "No record fits this filter.", Parts.button("Show all records", zone.link + "/dns"))
        } else {
            body += table(reply.list, zone, mayWrite: mayWrite)
            body += Parts.pager(page: visit.page, perPage: perPage, total: reply.totalCount, what: "records") {
                zone.link + "/dns" + LinkText.query([("search", search), ("type", type), ("page", "\($0)")])
            }
        }
        return .page(
            .zone(zone, .records, "DNS records", actions: files + .when(mayWrite) { add }, body: body))
    }

    private static func filter(_ zone: ZoneSummary, _ search: String, _ type: String?) -> HTML {
        let types = [("", "All types")] + RecordType.all.map { ($0.name, $0.name) }
        return """
            <form class="filter" method="get" action="\(zone.link)/dns" role="search"><div class="field">\
            <label for="search">Search records</label><input type="search" id="search" name="search" value="\(search)" \
            placeholder="Name, content or comment"></div><div class="field"><label for="type">Type</label>\
            <select id="type" name="type">\(Field.options(type ?? "", types))</select></div>\
            <button class="button" type="submit">Filter</button></form>
            """
    }

    private static func table(_ records: [JSONValue], _ zone: ZoneSummary, mayWrite: Bool) -> HTML {
        var table = Table(
            caption: "DNS records of \(zone.name)",
            columns: ["Name", "Type", "Content", "Proxy", "TTL"] + (mayWrite ? [""] : []), kind: "records")
        for record in records {
            let id = LinkText.encode(record["id"]?.string ?? "")
            let name = record["name"]?.string ?? ""
            let title = "\(record["type"]?.string ?? "") \(name)"
            var cells: [HTML] = [
                "<span class=\"name\">\(shown(name, in: zone))</span>\(comment(record))",
                "<span class=\"type\">\(record["type"]?.string ?? "")</span>",
                "<span class=\"content\">\(priority(record))\(record["content"]?.string ?? "")</span>",
                record["proxied"] == true
                    ? Parts.badge("Proxied", "accent")
                    : "<span class=\"faint\">DNS only</span>",
                ttl(record["ttl"]?.integer ?? 1),
            ]
            if mayWrite {
                cells.append(
                    Parts.action("Edit", title, "\(zone.link)/dns/\(id)")
                        + Parts.action("Delete", title, "\(zone.link)/dns/\(id)/delete", kind: "dangerous"))
            }
            table.rows.append(cells)
        }
        return table.html
    }

    /// The zone's own part of a name steps back.
    private static func shown(_ name: String, in zone: ZoneSummary) -> HTML {
        guard name.hasSuffix("." + zone.name) else { return "\(name)" }
        return "\(String(name.dropLast(zone.name.count + 1)))<span class=\"faint\">.\(zone.name)</span>"
    }

    private static func comment(_ record: JSONValue) -> HTML {
        guard let text = record["comment"]?.string, !text.isEmpty else { return .none }
        return "<span class=\"comment\">\(text)</span>"
    }

    private static func priority(_ record: JSONValue) -> HTML {
        record["priority"]?.integer.map { "<span class=\"faint\">\($0)</span> " } ?? .none
    }

    static func ttl(_ seconds: Int64) -> HTML {
        switch seconds {
        case 1: "Auto"
        case 86_400: "1 day"
        case let hours where hours % 3600 == 0: "\(hours / 3600) h"
        case let minutes where minutes % 60 == 0: "\(minutes / 60) min"
        default: "\(seconds) s"
        }
    }

    // MARK: The end of one

    private static func delete(_ visit: Visit) async throws -> PageAnswer {
        let zone = try await visit.zone()
        let record = try await visit.get("\(zone.path)/dns_records/\(visit.part("record"))").result
        let type = record["type"]?.string ?? ""
        let name = record["name"]?.string ?? ""
        return .page(
            .zone(
                zone, .records, "Delete this \(type) record?", crumbs: [("DNS", zone.link + "/dns")],
                body: Parts.confirm(
                    visit,
                    """
                    <strong>\(name)</strong> will no longer lead to <code>\(record["content"]?.string ?? "")</code>. Resolvers \
                    may remember it until its TTL is over.
                    """, "\(zone.link)/dns/\(visit.part("record"))/delete", button: "Delete record",
                    back: zone.link + "/dns")))
    }

    private static func deleteNow(_ visit: Visit) async throws -> PageAnswer {
        let zone = try await visit.zone()
        let reply = await visit.ask("DELETE", "\(zone.path)/dns_records/\(visit.part("record"))")
        guard reply.problem == nil else { throw PageFailure(reply: reply) }
        return .redirect(zone.link + "/dns", Notice(text: "The record was deleted."))
    }
}
