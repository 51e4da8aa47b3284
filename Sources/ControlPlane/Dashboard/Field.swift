// The parts of forms: every control has its label, its hint and its error beside it, tied together for those who hear
// the page instead of seeing it.

enum Field {
    static func csrf(_ session: Session) -> HTML {
        "<input type=\"hidden\" name=\"csrf\" value=\"\(session.formToken)\">"
    }

    /// A form that is sent to this dashboard.
    ///
    /// - Parameter hasFiles: Whether some of its fields are files.
    static func form(_ visit: Visit, _ action: String, hasFiles: Bool = false, kind: String = "stack", _ body: HTML)
        -> HTML
    {
        let encoding: HTML = .when(hasFiles) { " enctype=\"multipart/form-data\"" }
        return """
            <form method="post" action="\(action)" class="\(kind)"\(encoding)>\(csrf(visit.session))\(body)</form>
            """
    }

    /// One line of text.
    static func input(
        _ name: String, _ label: String, _ value: String, type: String = "text", hint: HTML = .none,
        problem: String? = nil, extra: HTML = .none, unit: String? = nil
    ) -> HTML {
        let control: HTML = """
            <input type="\(type)" id="f-\(name)" name="\(name)" value="\(value)"\(described(name, hint, problem)) \(extra)>
            """
        let shown: HTML = unit.map { "<div class=\"with-unit\">\(control)<span>\($0)</span></div>" } ?? control
        return wrap(name, label, hint, problem, shown)
    }

    static func area(
        _ name: String, _ label: String, _ value: String, rows: Int = 6, hint: HTML = .none, problem: String? = nil,
        isCode: Bool = true, extra: HTML = .none
    ) -> HTML {
        let kind: HTML = .when(isCode) { " class=\"code\"" }
        // A line end right behind the start tag is the parser's, not the value's.
        return wrap(
            name, label, hint, problem,
            """
            <textarea id="f-\(name)" name="\(name)" rows="\(rows)" spellcheck="false"\(kind)\
            \(described(name, hint, problem)) \(extra)>
            \(value)</textarea>
            """)
    }

    static func select(
        _ name: String, _ label: String, _ value: String, _ choices: [(value: String, text: String)],
        hint: HTML = .none, problem: String? = nil, extra: HTML = .none
    ) -> HTML {
        wrap(
            name, label, hint, problem,
            """
            <select id="f-\(name)" name="\(name)"\(described(name, hint, problem)) \(extra)>\
            \(options(value, choices))</select>
            """)
    }

    static func options(_ value: String, _ choices: [(value: String, text: String)]) -> [HTML] {
        choices.map { choice in
            let mark: HTML = .when(choice.value == value) { " selected" }
            return "<option value=\"\(choice.value)\"\(mark)>\(choice.text)</option>"
        }
    }

    static func check(
        _ name: String, _ label: String, isOn: Bool, value: String = "on", hint: HTML = .none, problem: String? = nil,
        id: String? = nil
    ) -> HTML {
        let mark: HTML = .when(isOn) { " checked" }
        let id = id ?? name
        return """
            <div class="field check\(problem == nil ? "" : " wrong")"><input type="checkbox" id="f-\(id)" name="\(name)" \
            value="\(value)"\(mark)\(described(id, hint, problem))><label for="f-\(id)">\(label)</label>\
            \(notes(id, hint, problem))</div>
            """
    }

    static func file(_ name: String, _ label: String, hint: HTML = .none, problem: String? = nil, extra: HTML = .none)
        -> HTML
    {
        wrap(
            name, label, hint, problem,
            "<input type=\"file\" id=\"f-\(name)\" name=\"\(name)\"\(described(name, hint, problem)) \(extra)>")
    }

    /// The end of a form: what sends it, and the way back.
    static func buttons(_ label: String, kind: String = "primary", back: String? = nil) -> HTML {
        let link: HTML = back.map { "<a class=\"button quiet\" href=\"\($0)\">Cancel</a>" } ?? .none
        return "<div class=\"buttons\"><button class=\"button \(kind)\" type=\"submit\">\(label)</button>\(link)</div>"
    }

    static func hidden(_ name: String, _ value: String) -> HTML {
        "<input type=\"hidden\" name=\"\(name)\" value=\"\(value)\">"
    }

    private static func wrap(_ name: String, _ label: String, _ hint: HTML, _ problem: String?, _ control: HTML) -> HTML
    {
        """
        <div class="field\(problem == nil ? "" : " wrong")" data-field="\(name)"><label for="f-\(name)">\(label)</label>\
        \(control)\(notes(name, hint, problem))</div>
        """
    }

    private static func notes(_ name: String, _ hint: HTML, _ problem: String?) -> HTML {
        let hinted: HTML = .when(hint != .none) { "<p class=\"hint\" id=\"h-\(name)\">\(hint)</p>" }
        let wrong: HTML = problem.map { "<p class=\"wrong\" id=\"e-\(name)\">\($0)</p>" } ?? .none
        return wrong + hinted
    }

    private static func described(_ name: String, _ hint: HTML, _ problem: String?) -> HTML {
        var ids: [String] = []
        if problem != nil { ids.append("e-\(name)") }
        if hint != .none { ids.append("h-\(name)") }
        let by: HTML = .when(!ids.isEmpty) { " aria-describedby=\"\(ids.joined(separator: " "))\"" }
        return by + .when(problem != nil) { " aria-invalid=\"true\"" }
    }
}

/// What the API found wrong with a form, by the form's field.
struct FormProblem: Sendable {
    let problem: APIReply.Problem?
    private let field: String?
    private let text: String

    static let none = FormProblem(nil)

    /// - Parameters:
    ///   - codes: Which field an error is about, by its code.
    ///   - names: Which field shows a member of the body, where they have different names.
    init(
        _ problem: APIReply.Problem?, codes: [Int64: String] = [:], names: [String: String] = [:]
    ) {
        self.problem = problem
        // `Validation failed: ttl: expected …`: the chain has it without the first words.
        let detail = problem?.details.first ?? ""
        let place = detail.firstRange(of: ": ").map { String(detail[..<$0.lowerBound]) } ?? ""
        let path = problem?.code == 1004 ? place : ""
        let member = names[path] ?? path
        field = problem.flatMap { codes[$0.code] ?? (member.isEmpty ? nil : member) }
        let rest = path.isEmpty ? problem?.message ?? "" : String(detail.dropFirst(path.count + 2))
        text = rest.prefix(1).uppercased() + rest.dropFirst()
    }

    /// All that is wrong stands beside one field, which is the whole body.
    init(_ problem: APIReply.Problem?, whole name: String) {
        self.problem = problem
        field = problem == nil ? nil : name
        text = problem.map { $0.code == 1004 ? $0.details.first ?? $0.message : $0.message } ?? ""
    }

    /// Of one field that was looked at here.
    init(field: String, _ text: String) {
        problem = APIReply.Problem(code: 0, message: text, details: [])
        self.field = field
        self.text = text
    }

    /// What stands beside a field.
    subscript(_ name: String) -> String? { field == name ? text : nil }

    /// What stands above the form: whole if no field shows it, else a line that says that one does.
    func banner(fields: [String]) -> HTML {
        guard let problem else { return .none }
        guard let field, fields.contains(field) else { return Banner.problem(problem) }
        return """
            <div class="banner problem" role="alert"><p>Nothing was saved: <a href="#f-\(field)">one field needs another \
            look</a>.</p></div>
            """
    }

    /// The status of the page that shows the form again.
    var status: Int { problem == nil ? 200 : 422 }
}
