// One DNS record's form: a new one, and one that is changed.

import JSON

enum RecordFormPage {
    static let routes: [PageRoute] = [
        .get("/zones/{zone}/dns/new") { visit in
            let zone = try await visit.zone()
            return .page(form(visit, zone, Draft(type: visit.query["type"] ?? "A"), id: nil, problem: .none))
        }, .post("/zones/{zone}/dns/new") { try await save($0, id: nil) }, .get("/zones/{zone}/dns/{record}", edit),
        .post("/zones/{zone}/dns/{record}") { try await save($0, id: $0.part("record")) },
    ]

    /// What the form shows: a record's values, or what somebody typed and the API did not take.
    private struct Draft {
        var type = "A"
        var name = ""
        var content = ""
        var ttl = "1"
        var priority = ""
        var isProxied = false
        var comment = ""

        init(type: String) { self.type = RecordType.find(type)?.name ?? "A" }

        init(_ record: JSONValue, in zone: ZoneSummary) {
            let full = record["name"]?.string ?? ""
            type = record["type"]?.string ?? "A"
            name =
                full == zone.name
                ? "@" : full.hasSuffix("." + zone.name) ? String(full.dropLast(zone.name.count + 1)) : full
            content = record["content"]?.string ?? ""
            ttl = record["ttl"]?.integer.map { "\($0)" } ?? "1"
            priority = record["priority"]?.integer.map { "\($0)" } ?? ""
            isProxied = record["proxied"] == true
            comment = record["comment"]?.string ?? ""
        }

        init(_ form: PageForm) {
            type = form.text("type")
            name = form.text("name")
            content = form.text("content")
            ttl = form.text("ttl")
            priority = form.text("priority")
            isProxied = form.has("proxied")
            comment = form.text("comment")
        }

        /// As the API takes it. What makes no sense goes there as it is, to be told what was expected.
        var json: JSONValue {
            var body: JSONObject = [
                "type": .string(type), "name": .string(name), "content": .string(content),
                "proxied": .boolean(isProxied), "comment": comment.isEmpty ? .null : .string(comment),
                "ttl": Self.number(ttl) ?? 1,
            ]
            if RecordType.find(type)?.hasPriority == true { body["priority"] = Self.number(priority) ?? 0 }
            return .object(body)
        }

        private static func number(_ text: String) -> JSONValue? {
            text.isEmpty ? nil : Int64(text).map { .number(JSONNumber($0)) } ?? .string(text)
        }
    }

    private static let ttls: [(value: String, text: String)] = [
        ("1", "Automatic"), ("60", "1 minute"), ("300", "5 minutes"), ("600", "10 minutes"), ("1800", "30 minutes"),
        ("3600", "1 hour"), ("7200", "2 hours"), ("18000", "5 hours"), ("43200", "12 hours"), ("86400", "1 day"),
    ]

    /// What stands in a record of a type, by an example from the networks and names that are reserved for examples.
    private static let examples = [
        "A": "192.0.2.1", "AAAA": "2001:db8::1", "CNAME": "www.example.net", "MX": "mail.example.net",
        "NS": "ns1.example.net", "PTR": "host.example.net", "TXT": "v=spf1 -all", "CAA": "0 issue \"ca.example.net\"",
        "SRV": "5 5060 sip.example.net", "HTTPS": "1 . alpn=\"h2\"", "SVCB": "1 . alpn=\"h2\"",
        "DS": "12345 13 2 9F86D081…", "DNSKEY": "257 3 13 mdsswUyr…", "TLSA": "3 1 1 9F86D081…",
        "SSHFP": "4 2 9F86D081…", "URI": "1 \"https://example.net/\"",
        "NAPTR": "100 10 \"S\" \"SIP+D2U\" \"\" _sip._udp",
        "LOC": "52 22 23.000 N 4 53 32.000 E -2m 0m 10000m 10m", "CERT": "1 12345 13 MIIB…",
        "SMIMEA": "3 1 1 9F86D081…", "OPENPGPKEY": "mQINBF…",
    ]

    private static func form(_ visit: Visit, _ zone: ZoneSummary, _ draft: Draft, id: String?, problem: FormProblem)
        -> Page
    {
        let shown = ["type", "name", "content", "ttl", "priority", "proxied", "comment"]
        var ttls = ttls
        if !ttls.contains(where: { $0.value == draft.ttl }) { ttls.append((draft.ttl, "\(draft.ttl) seconds")) }
        let fields: HTML = """
            <div class="pair">\(typeField(draft, problem["type"]))\
            \(Field.input(
                "name", "Name", draft.name, hint: "@ for \(zone.name) itself, * for all names below it.",
                problem: problem["name"],
                extra: "required autocapitalize=\"none\" spellcheck=\"false\" autocomplete=\"off\""))</div>\
            \(Field.area(
                "content", "Content", draft.content, rows: 2,
                hint: "Such as <code data-example>\(examples[draft.type] ?? "")</code>", problem: problem["content"],
                extra: "required"))\
            <div class="pair">\(Field.select("ttl", "TTL", draft.ttl, ttls, problem: problem["ttl"]))\
            \(Field.input(
                "priority", "Priority", draft.priority, type: "number",
                hint: "For MX, SRV and URI: the lowest is asked first.", problem: problem["priority"],
                extra: "min=\"0\" max=\"65535\""))</div>\
            \(Field.check(
                "proxied", "Proxied", isOn: draft.isProxied,
                hint: "For A, AAAA and CNAME: clients reach the edge, which caches, protects and passes on.",
                problem: problem["proxied"]))\
            \(Field.input(
                "comment", "Comment", draft.comment, hint: "For yourself; clients never see it.",
                problem: problem["comment"], extra: "maxlength=\"500\" autocomplete=\"off\""))\
            \(Field.buttons(id == nil ? "Add record" : "Save record", back: zone.link + "/dns"))
            """
        let end: HTML =
            id.map { id in
                """
                <section class="card"><div class="row"><p>Delete this record.</p>\
                <a class="button dangerous-quiet" href="\(zone.link)/dns/\(id)/delete">Delete record…</a></div></section>
                """
            } ?? .none
        return Page.zone(
            zone, .records, id == nil ? "Add a record" : "Edit record", status: problem.status,
            crumbs: [("DNS", zone.link + "/dns")],
            body: problem.banner(fields: shown)
                + "<section class=\"card\">\(Field.form(visit, "\(zone.link)/dns/\(id ?? "new")", fields))</section>"
                + end)
    }

    /// What the script needs to show only the fields that a type has.
    private static func typeField(_ draft: Draft, _ problem: String?) -> HTML {
        let options = RecordType.all.map { type -> HTML in
            let mark: HTML = .when(type.name == draft.type) { " selected" }
            return """
                <option value="\(type.name)"\(mark) data-example="\(examples[type.name] ?? "")"\
                \(.when(type.hasPriority) { " data-priority" })\(.when(type.mayBeProxied) { " data-proxied" })>\
                \(type.name)</option>
                """
        }
        let wrong: HTML = problem.map { "<p class=\"wrong\" id=\"e-type\">\($0)</p>" } ?? .none
        return """
            <div class="field" data-field="type"><label for="f-type">Type</label><select id="f-type" name="type" \
            data-record-type>\(options)</select>\(wrong)</div>
            """
    }

    private static func edit(_ visit: Visit) async throws -> PageAnswer {
        let zone = try await visit.zone()
        let record = try await visit.get("\(zone.path)/dns_records/\(visit.part("record"))").result
        return .page(form(visit, zone, Draft(record, in: zone), id: visit.part("record"), problem: .none))
    }

    private static func save(_ visit: Visit, id: String?) async throws -> PageAnswer {
        let zone = try await visit.zone()
        let draft = Draft(visit.form)
        // PATCH: what the form does not show (tags, settings) stays.
        let reply =
            if let id {
                await visit.ask("PATCH", "\(zone.path)/dns_records/\(id)", draft.json)
            } else {
                await visit.ask("POST", "\(zone.path)/dns_records", draft.json)
            }
        guard let problem = reply.problem else {
            return .redirect(
                zone.link + "/dns", Notice(text: id == nil ? "The record was added." : "The record was saved."))
        }
        let codes: [Int64: String] = [
            9000: "name", 9004: "proxied", 9005: "content", 81053: "name", 81054: "name", 81057: "content",
            81058: "content",
        ]
        return .page(
            form(visit, zone, draft, id: id, problem: FormProblem(problem, codes: codes, names: ["data": "content"])))
    }
}
