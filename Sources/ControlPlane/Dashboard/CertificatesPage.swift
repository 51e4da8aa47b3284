// A zone's certificates: what there is and until when, a new one, another in its place, its end.

import JSON
import Limits

enum CertificatesPage {
    static let routes: [PageRoute] = [
        .get("/zones/{zone}/certificates", list),
        .get("/zones/{zone}/certificates/new") { .page(form($0, try await $0.zone(), nil, .none)) },
        .post("/zones/{zone}/certificates/new") { try await save($0, nil) },
        .get("/zones/{zone}/certificates/{certificate}") { visit in
            let zone = try await visit.zone()
            return .page(form(visit, zone, try await find(visit, zone), .none))
        },
        .post("/zones/{zone}/certificates/{certificate}") { visit in
            let zone = try await visit.zone()
            return try await save(visit, try await find(visit, zone))
        }, .get("/zones/{zone}/certificates/{certificate}/delete", delete),
        .post("/zones/{zone}/certificates/{certificate}/delete", deleteNow),
    ]

    private static let write = Permission.zone("SSL and Certificates", .write)
    /// Days before its end from which a certificate is shown as ending soon.
    private static let soonDays: Int64 = 21

    private static func find(_ visit: Visit, _ zone: ZoneSummary) async throws -> JSONValue {
        try await visit.get("\(zone.path)/custom_certificates/\(visit.part("certificate"))").result
    }

    private static func list(_ visit: Visit) async throws -> PageAnswer {
        let zone = try await visit.zone()
        let perPage = Limits.dashboardRowsPerPage
        let reply = try await visit.get(
            "\(zone.path)/custom_certificates"
                + LinkText.query([("page", "\(visit.page)"), ("per_page", "\(perPage)")]))
        let mayWrite = visit.may(write, zone: zone)
        let add = Parts.button("Upload a certificate", zone.link + "/certificates/new", kind: "primary")
        guard reply.totalCount > 0 else {
            return .page(
                .zone(
                    zone, .certificates, "Certificates",
                    body: Parts.empty(
                        "No certificates yet",
                        "Upload one that names \(zone.name): edges then answer HTTPS for it. Its key is sealed and never shown again.",
                        mayWrite ? add : "<p>Your token cannot upload one.</p>")))
        }
        var table = Table(
            caption: "Certificates of \(zone.name)",
            columns: ["Hosts", "Issuer", "Expires", "Uploaded"] + (mayWrite ? [""] : []))
        for json in reply.list {
            let hosts = hosts(json)
            let link = "\(zone.link)/certificates/\(LinkText.encode(json["id"]?.string ?? ""))"
            var cells: [HTML] = [
                "<span class=\"name\">\(hosts)</span>", "<span class=\"long\">\(json["issuer"]?.string ?? "")</span>",
                "<span>\(expiry(json["expires_on"]?.string, at: visit.now))</span>",
                "<span class=\"tight\">\(Parts.day(json["uploaded_on"]?.string))</span>",
            ]
            if mayWrite {
                cells.append(
                    Parts.action("Replace", hosts, link)
                        + Parts.action("Delete", hosts, link + "/delete", kind: "dangerous"))
            }
            table.rows.append(cells)
        }
        let pager = Parts.pager(page: visit.page, perPage: perPage, total: reply.totalCount, what: "certificates") {
            "\(zone.link)/certificates?page=\($0)"
        }
        return .page(
            .zone(
                zone, .certificates, "Certificates", actions: mayWrite ? add : .none, body: table.html + pager))
    }

    private static func hosts(_ json: JSONValue) -> String {
        let hosts = (json["hosts"]?.array ?? []).compactMap(\.string)
        let shown = hosts.prefix(4).joined(separator: ", ")
        return hosts.count > 4 ? "\(shown) and \(hosts.count - 4) more" : shown
    }

    private static func expiry(_ text: String?, at now: APITime) -> HTML {
        guard let text, let time = APITime(parsing: text) else { return Parts.time(nil) }
        let days = (time.microseconds - now.microseconds) / 86_400_000_000
        let day = "<span class=\"tight\">\(Parts.day(text))</span> " as HTML
        if time < now { return day + Parts.badge("Expired", "bad") }
        if days < soonDays { return day + Parts.badge(days == 1 ? "1 day left" : "\(days) days left", "warn") }
        return day
    }

    // MARK: A form for two files

    private static func form(_ visit: Visit, _ zone: ZoneSummary, _ old: JSONValue?, _ problem: FormProblem) -> Page {
        let fields: HTML = """
            \(Field.area(
                "certificate", "Certificate", visit.form["certificate"] ?? "", rows: 7,
                hint: "PEM: the certificate first, then those between it and the root.", problem: problem["certificate"],
                extra: "autocomplete=\"off\""))\
            \(Field.file("certificate_file", "Or choose its file", extra: "accept=\".pem,.crt,.cer,.txt\""))\
            \(Field.area(
                "private_key", "Private key", "", rows: 7,
                hint: "PEM, not encrypted. It is held against the certificate, sealed, and never shown again.",
                problem: problem["private_key"], extra: "autocomplete=\"off\""))\
            \(Field.file("private_key_file", "Or choose its file", extra: "accept=\".pem,.key,.txt\""))\
            \(Field.buttons(old == nil ? "Upload certificate" : "Replace certificate", back: zone.link + "/certificates"))
            """
        let place = old?["id"]?.string.map(LinkText.encode) ?? "new"
        let note: HTML = old.map { "It takes the place of the one for \(hosts($0)), without a gap." } ?? .none
        return Page.zone(
            zone, .certificates, old == nil ? "Upload a certificate" : "Replace a certificate", status: problem.status,
            crumbs: [("Certificates", zone.link + "/certificates")],
            body: problem.banner(fields: ["certificate", "private_key"])
                + Parts.card(
                    "Certificate and key",
                    Field.form(visit, "\(zone.link)/certificates/\(place)", hasFiles: true, fields), note: note))
    }

    private static func save(_ visit: Visit, _ old: JSONValue?) async throws -> PageAnswer {
        let zone = try await visit.zone()
        func text(_ name: String) -> String {
            let file = visit.form.text(name + "_file")
            return file.isEmpty ? visit.form.text(name) : file
        }
        let (certificate, key) = (text("certificate"), text("private_key"))
        for (name, value) in [("certificate", certificate), ("private_key", key)] where value.isEmpty {
            return .page(form(visit, zone, old, FormProblem(field: name, "Paste it here, or choose its file.")))
        }
        let body: JSONValue = ["certificate": .string(certificate + "\n"), "private_key": .string(key + "\n")]
        let path = zone.path + "/custom_certificates"
        let reply =
            if let id = old?["id"]?.string {
                await visit.ask("PATCH", "\(path)/\(LinkText.encode(id))", body)
            } else {
                await visit.ask("POST", path, body)
            }
        guard let problem = reply.problem else {
            return .redirect(
                zone.link + "/certificates",
                Notice(
                    text: "The certificate for \(hosts(reply.result)) is in force on every edge that has heard of it."))
        }
        let codes: [Int64: String] = [
            1208: "certificate", 1209: "private_key", 1210: "private_key", 1211: "certificate", 1212: "certificate",
            1213: "certificate",
        ]
        return .page(form(visit, zone, old, FormProblem(problem, codes: codes)))
    }

    // MARK: Its end

    private static func delete(_ visit: Visit) async throws -> PageAnswer {
        let zone = try await visit.zone()
        let certificate = try await find(visit, zone)
        return .page(
            .zone(
                zone, .certificates, "Delete this certificate?",
                crumbs: [("Certificates", zone.link + "/certificates")],
                body: Parts.confirm(
                    visit,
                    """
                    Edges stop answering HTTPS with the certificate for <strong>\(hosts(certificate))</strong>, and its key \
                    is forgotten.
                    """, "\(zone.link)/certificates/\(visit.part("certificate"))/delete", button: "Delete certificate",
                    back: zone.link + "/certificates")))
    }

    private static func deleteNow(_ visit: Visit) async throws -> PageAnswer {
        let zone = try await visit.zone()
        let reply = await visit.ask("DELETE", "\(zone.path)/custom_certificates/\(visit.part("certificate"))")
        guard reply.problem == nil else { throw PageFailure(reply: reply) }
        return .redirect(zone.link + "/certificates", Notice(text: "The certificate was deleted."))
    }
}
