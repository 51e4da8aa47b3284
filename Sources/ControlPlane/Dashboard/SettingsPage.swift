// A zone's settings: one form for each subject; a control for each setting, made from the setting's own description.

import JSON

enum SettingsPage {
    static let routes: [PageRoute] = [
        .get("/zones/{zone}/settings") { .page(try await page($0, try await $0.zone(), subject: nil, .none)) },
        .post("/zones/{zone}/settings/{subject}", save),
    ]

    private static let write = Permission.zone("Zone Settings", .write)

    private static func page(
        _ visit: Visit, _ zone: ZoneSummary, subject failed: String?, _ problem: FormProblem
    ) async throws -> Page {
        let stored = try await visit.get(zone.path + "/settings").list
        var values: [String: JSONValue] = [:]
        for setting in stored { values[setting["id"]?.string ?? ""] = setting["value"] ?? .null }
        let mayWrite = visit.may(write, zone: zone)
        var body = problem.banner(fields: ZoneSetting.all.map(\.id))
        if !mayWrite {
            body += "<p class=\"notice\">Your token may look at settings, and cannot change them.</p>"
        }
        for subject in SettingSubject.all {
            let isTyped = subject.id == failed
            let fields = subject.settings.compactMap { text -> HTML? in
                guard let setting = ZoneSetting.find(text.id) else { return nil }
                let value = values[text.id] ?? setting.standard
                return SettingControl(setting: setting, text: text)
                    .field(value, typed: isTyped ? visit.form : nil, problem: problem[text.id])
            }
            let off: HTML = .when(!mayWrite) { " disabled" }
            let form = Field.form(
                visit, "\(zone.link)/settings/\(subject.id)",
                """
                <fieldset\(off)><legend class="unseen">\(subject.title)</legend>\(fields)\
                \(Field.buttons("Save \(subject.title)"))</fieldset>
                """)
            body += "<section class=\"card\" id=\"\(subject.id)\"><h2>\(subject.title)</h2>\(form)</section>"
        }
        return .zone(zone, .settings, "Settings", status: problem.status, body: body)
    }

    /// Only what was changed is sent: what others changed meanwhile stays.
    private static func save(_ visit: Visit) async throws -> PageAnswer {
        let zone = try await visit.zone()
        guard let subject = SettingSubject.all.first(where: { $0.id == visit.parameter("subject") }) else {
            return .redirect(zone.link + "/settings")
        }
        let stored = try await visit.get(zone.path + "/settings").list
        var items: [JSONValue] = []
        for text in subject.settings {
            guard let setting = ZoneSetting.find(text.id) else { continue }
            let before = stored.first { $0["id"]?.string == text.id }?["value"] ?? setting.standard
            let value = SettingControl(setting: setting, text: text).value(visit.form, before: before)
            if value != before { items.append(["id": .string(text.id), "value": value]) }
        }
        guard !items.isEmpty else {
            return .redirect(
                "\(zone.link)/settings#\(subject.id)", Notice(text: "\(subject.title): nothing was different."))
        }
        let reply = await visit.ask("PATCH", zone.path + "/settings", ["items": .array(items)])
        if let problem = reply.problem {
            let names = ["security_header.strict_transport_security.max_age": "security_header"]
            return .page(
                try await page(visit, zone, subject: subject.id, FormProblem(problem, names: names)))
        }
        return .redirect(
            "\(zone.link)/settings#\(subject.id)",
            Notice(
                text:
                    "\(subject.title): \(items.count == 1 ? "1 setting was" : "\(items.count) settings were") changed.")
        )
    }
}

/// One setting as a control, and back.
struct SettingControl: Sendable {
    let setting: ZoneSetting
    let text: SettingText

    /// - Parameter typed: What was sent and not taken: shown again as it was.
    func field(_ value: JSONValue, typed: PageForm?, problem: String?) -> HTML {
        let hint: HTML = "\(text.hint)"
        switch setting.schema {
        case .choice(["on", "off"]):
            let isOn = typed.map { $0.has(text.id) } ?? (value == "on")
            return Field.check(text.id, text.label, isOn: isOn, hint: hint, problem: problem)
        case .choice(let choices):
            return Field.select(
                text.id, text.label, typed?.text(text.id) ?? value.string ?? "",
                choices.map { ($0, Self.words[$0] ?? SettingText.words($0)) }, hint: hint, problem: problem)
        case .integer(let range):
            return Field.input(
                text.id, text.label, typed?.text(text.id) ?? value.text, type: "number", hint: hint, problem: problem,
                extra: "min=\"\(range.lowerBound)\" max=\"\(range.upperBound)\"", unit: text.unit)
        case .array:
            let shown = (value.array ?? []).compactMap(\.string).joined(separator: "\n")
            return Field.area(
                text.id, text.label, typed?[text.id] ?? shown, rows: 3, hint: hint, problem: problem)
        default: return transportSecurity(value, typed: typed, problem: problem)
        }
    }

    func value(_ form: PageForm, before: JSONValue) -> JSONValue {
        switch setting.schema {
        case .choice(["on", "off"]): return form.has(text.id) ? "on" : "off"
        case .integer: return Int64(form.text(text.id)).map { .number(JSONNumber($0)) } ?? .string(form.text(text.id))
        case .array: return .array(form.lines(text.id).map { .string($0) })
        case .object: return transportSecurity(form, before: before)
        default: return .string(form.text(text.id))
        }
    }

    private static let words = [
        "1.0": "TLS 1.0", "1.1": "TLS 1.1", "1.2": "TLS 1.2", "1.3": "TLS 1.3", "1": "HTTP/1.1", "2": "HTTP/2",
        "full": "Full: HTTPS to the origin, any certificate", "strict": "Strict: HTTPS, a valid certificate",
        "flexible": "Flexible: plain HTTP to the origin", "off": "Off",
    ]

    // MARK: HTTP Strict Transport Security (RFC 6797)

    private static let flags: [(name: String, label: String)] = [
        ("enabled", "Send Strict-Transport-Security"), ("include_subdomains", "For all names below as well"),
        ("preload", "Allow browsers to build it in"), ("nosniff", "Send X-Content-Type-Options: nosniff"),
    ]

    private func transportSecurity(_ value: JSONValue, typed: PageForm?, problem: String?) -> HTML {
        let now = value["strict_transport_security"]
        let checks = Self.flags.map { flag in
            let name = "\(text.id).\(flag.name)"
            return Field.check(name, flag.label, isOn: typed.map { $0.has(name) } ?? (now?[flag.name] == true))
        }
        let age = "\(text.id).max_age"
        return """
            <fieldset><legend>\(text.label)</legend><p class="hint">\(text.hint)</p>\(checks)\
            \(Field.input(
                age, "Browsers remember it for", typed?.text(age) ?? now?["max_age"]?.text ?? "0", type: "number",
                problem: problem, extra: "min=\"0\" max=\"63072000\"", unit: "seconds"))</fieldset>
            """
    }

    private func transportSecurity(_ form: PageForm, before: JSONValue) -> JSONValue {
        // Members that the form does not show stay.
        var inner = before["strict_transport_security"]?.object ?? [:]
        for flag in Self.flags { inner[flag.name] = .boolean(form.has("\(text.id).\(flag.name)")) }
        let age = form.text("\(text.id).max_age")
        inner["max_age"] = Int64(age).map { .number(JSONNumber($0)) } ?? .string(age)
        var whole = before.object ?? [:]
        whole["strict_transport_security"] = .object(inner)
        return .object(whole)
    }
}
