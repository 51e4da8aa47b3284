// A new API token: what it may do, on what, until when, from where.

import JSON
import Limits

enum TokenFormPage {
    static let routes: [PageRoute] = [
        .get("/tokens/new") { .page(try await form($0, .none)) }, .post("/tokens/new", create),
    ]

    /// What a token can be allowed, by subject: `DNS`, on zones, to read or to write.
    private struct Subject: Sendable {
        var name: String
        var scope: Permission.Scope
        var read: String?
        var write: String?

        var field: String { "may-" + (read ?? write ?? "") }
    }

    private static func subjects(_ visit: Visit) async throws -> [Subject] {
        var subjects: [Subject] = []
        for group in try await visit.get(TokensPage.path(visit) + "/permission_groups").list {
            guard let id = group["id"]?.string, let name = group["name"]?.string,
                let scope = (group["scopes"]?.array?.first?.string).flatMap(Permission.Scope.init(rawValue:))
            else { continue }
            let isRead = name.hasSuffix(" Read")
            guard isRead || name.hasSuffix(" Write") else { continue }
            let subject = String(name.dropLast(isRead ? 5 : 6))
            let place = subjects.firstIndex { $0.name == subject && $0.scope == scope }
            if let place {
                if isRead { subjects[place].read = id } else { subjects[place].write = id }
            } else {
                subjects.append(Subject(name: subject, scope: scope, read: isRead ? id : nil, write: isRead ? nil : id))
            }
        }
        return subjects
    }

    // MARK: The form

    private static func form(_ visit: Visit, _ problem: FormProblem) async throws -> Page {
        let subjects = try await subjects(visit)
        let zones = await visit.ask("GET", "/zones?per_page=\(Limits.dashboardZoneChoicesMax)").list.map(
            ZoneSummary.init)
        let scopes: [(Permission.Scope, String)] = [
            (.zone, "On zones"), (.account, "On the account"), (.user, "On the user"),
        ]
        let levels = scopes.map { scope, title -> HTML in
            let rows = subjects.filter { $0.scope == scope }.map { level($0, visit.form) }
            return rows.isEmpty ? .none : "<fieldset class=\"levels\"><legend>\(title)</legend>\(rows)</fieldset>"
        }
        let choices = [("*", "All zones")] + zones.map { ($0.id, $0.name) }
        let fields: HTML = """
            \(Field.input(
                "name", "Name", visit.form["name"] ?? "", hint: "What will use it, such as: deploys from CI.",
                problem: problem["name"], extra: "required maxlength=\"120\" autocomplete=\"off\""))\
            <div class="field\(problem["policies"] == nil ? "" : " wrong")" id="f-policies"><p class="label">What it may do</p>\
            \(problem["policies"].map { "<p class=\"wrong\">\($0)</p>" } ?? .none)</div>\(levels)\
            \(Field.select("zone", "Which zones", visit.form["zone"] ?? "*", choices, hint: "For what it may do on zones."))\
            <div class="pair">\(Field.input(
                "expires", "Expires on", visit.form["expires"] ?? "", type: "date", hint: "At the end of that day, UTC. Empty: never.",
                problem: problem["expires"]))\
            \(Field.input(
                "addresses", "Only from", visit.form["addresses"] ?? "",
                hint: "Addresses or networks with blanks between them, such as 192.0.2.0/24. Empty: from anywhere.",
                problem: problem["addresses"], extra: "autocomplete=\"off\""))</div>\
            \(Field.buttons("Create token", back: "/tokens"))
            """
        return Page(
            title: "Create a token", section: .tokens, crumbs: [("API tokens", "/tokens")], status: problem.status,
            body: problem.banner(fields: ["name", "policies", "expires", "addresses"])
                + "<section class=\"card\">\(Field.form(visit, "/tokens/new", fields))</section>")
    }

    private static func level(_ subject: Subject, _ form: PageForm) -> HTML {
        let chosen = form[subject.field] ?? ""
        var choices = [(value: "", text: "No access")]
        if let id = subject.read { choices.append((id, "Read")) }
        if let id = subject.write { choices.append((id, "Read and write")) }
        return """
            <div class="level"><label for="\(subject.field)">\(subject.name)</label><select id="\(subject.field)" \
            name="\(subject.field)">\(Field.options(chosen, choices))</select></div>
            """
    }

    // MARK: Making it

    private static func create(_ visit: Visit) async throws -> PageAnswer {
        let form = visit.form
        let policies = try await policies(visit)
        guard !policies.isEmpty else {
            return .page(
                try await self.form(visit, FormProblem(field: "policies", "Choose at least one thing that it may do.")))
        }
        var body: JSONObject = ["name": .string(form.text("name")), "policies": .array(policies)]
        let day = form.text("expires")
        if !day.isEmpty { body["expires_on"] = .string(day.count == 10 ? day + "T23:59:59Z" : day) }
        let blocks = form.text("addresses").split { $0 == " " || $0 == "," }.map { JSONValue.string(String($0)) }
        if !blocks.isEmpty { body["condition"] = ["request_ip": ["in": .array(blocks)]] }
        let reply = await visit.ask("POST", TokensPage.path(visit), .object(body))
        guard let problem = reply.problem else {
            return .redirect(
                "/tokens",
                Notice(
                    text: "“\(form.text("name"))” was created. Its secret is shown this once: copy it now.",
                    secret: reply.result["value"]?.string))
        }
        var names = ["expires_on": "expires"]
        for index in blocks.indices { names["condition.request_ip.in.\(index)"] = "addresses" }
        return .page(try await self.form(visit, FormProblem(problem, codes: [10000: "policies"], names: names)))
    }

    /// One policy for each scope that something was chosen in.
    private static func policies(_ visit: Visit) async throws -> [JSONValue] {
        let known = try await subjects(visit)
        let zone = visit.form.text("zone")
        var policies: [JSONValue] = []
        for scope in [Permission.Scope.zone, .account, .user] {
            let groups = known.filter { $0.scope == scope }.compactMap { subject -> JSONValue? in
                let id = visit.form.text(subject.field)
                return id.isEmpty || id != subject.read && id != subject.write ? nil : ["id": .string(id)]
            }
            guard !groups.isEmpty else { continue }
            let id =
                switch scope {
                case .zone: zone.isEmpty ? "*" : zone
                case .account: visit.session.account?.id ?? "*"
                case .user: visit.caller.userID ?? "*"
                }
            policies.append([
                "effect": "allow", "permission_groups": .array(groups),
                "resources": .object(["\(scope.rawValue).\(id)": "*"]),
            ])
        }
        return policies
    }
}
