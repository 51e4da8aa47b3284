// Zone files: in and out (RFC 1035, section 5).

import JSON

enum RecordFilePage {
    static let routes: [PageRoute] = [
        .get("/zones/{zone}/dns/import") { .page(form($0, try await $0.zone(), text: "", problem: .none)) },
        .post("/zones/{zone}/dns/import", take), .get("/zones/{zone}/dns/export", export),
    ]

    private static func form(_ visit: Visit, _ zone: ZoneSummary, text: String, problem: FormProblem) -> Page {
        let fields: HTML = """
            \(Field.file("file", "Zone file", hint: "In BIND’s format, as other name servers export it.",
                problem: problem["file"], extra: "accept=\".zone,.txt,.db,text/plain\""))\
            \(Field.area("text", "Or paste it here", text, rows: 8, problem: problem["text"]))\
            \(Field.check("proxied", "Proxy what can be proxied", isOn: visit.form.has("proxied"),
                hint: "A, AAAA and CNAME records; the others stay DNS only."))\
            \(Field.buttons("Import", back: zone.link + "/dns"))
            """
        return Page.zone(
            zone, .records, "Import a zone file", status: problem.status, crumbs: [("DNS", zone.link + "/dns")],
            body: problem.banner(fields: ["file", "text"])
                + Parts.card(
                    "What is imported",
                    Field.form(visit, zone.link + "/dns/import", hasFiles: true, fields),
                    note:
                        "All of it or nothing. Records that are there already stay as they are; SOA and the NS records of \(zone.name) are passed over."
                ))
    }

    private static func take(_ visit: Visit) async throws -> PageAnswer {
        let zone = try await visit.zone()
        let text = visit.form.text("text")
        let file = visit.form.text("file").isEmpty ? text : visit.form.text("file")
        guard !file.isEmpty else {
            return .page(
                form(
                    visit, zone, text: "",
                    problem: FormProblem(field: "file", "Choose a file, or paste its text below.")))
        }
        // A boundary that the file does not contain.
        var boundary = "martlet"
        while file.contains(boundary) { boundary = "martlet-" + StoreID.make() }
        let body = """
            --\(boundary)\r\nContent-Disposition: form-data; name="proxied"\r\n\r\n\(visit.form.has("proxied"))\r\n\
            --\(boundary)\r\nContent-Disposition: form-data; name="file"; filename="zone"\r\n\r\n\(file)\n\r\n--\(boundary)--\r\n
            """
        let reply = await visit.ask(
            "POST", zone.path + "/dns_records/import", bytes: Array(body.utf8),
            type: "multipart/form-data; boundary=\(boundary)")
        if let problem = reply.problem {
            return .page(form(visit, zone, text: text, problem: FormProblem(problem)))
        }
        let added = reply.result["recs_added"]?.integer ?? 0
        let read = reply.result["total_records_parsed"]?.integer ?? 0
        return .redirect(zone.link + "/dns", Notice(text: "\(added) of \(read) records were added."))
    }

    private static func export(_ visit: Visit) async throws -> PageAnswer {
        let zone = try await visit.zone()
        let reply = try await visit.get(zone.path + "/dns_records/export")
        return .file(reply.bytes, type: "text/plain; charset=utf-8", name: "\(zone.name).zone")
    }
}
