// Tables that become cards where the window is narrow, and what surrounds lists.

import Limits

/// A table. The first cell of a row is its heading.
struct Table: Sendable {
    let caption: String
    let columns: [String]
    var rows: [[HTML]] = []
    var kind = ""

    /// Roles are written out: as cards (`display: block`) elements would lose them.
    var html: HTML {
        let heads = columns.map { column in
            column.isEmpty
                ? "<th role=\"columnheader\" scope=\"col\"><span class=\"unseen\">Actions</span></th>"
                : "<th role=\"columnheader\" scope=\"col\">\(column)</th>" as HTML
        }
        return """
            <table role="table" class="table \(kind)"><caption class="unseen">\(caption)</caption>
            <thead role="rowgroup"><tr role="row">\(heads)</tr></thead><tbody role="rowgroup">\(rows.map(row))</tbody></table>
            """
    }

    private func row(_ cells: [HTML]) -> HTML {
        let shown = zip(columns, cells).enumerated().map { index, pair -> HTML in
            if index == 0 { return "<th role=\"rowheader\" scope=\"row\">\(pair.1)</th>" }
            if pair.0.isEmpty { return "<td role=\"cell\" class=\"actions\">\(pair.1)</td>" }
            return "<td role=\"cell\" data-label=\"\(pair.0)\"><div>\(pair.1)</div></td>"
        }
        return "<tr role=\"row\">\(shown)</tr>\n"
    }
}

enum Parts {
    /// A list that has nothing in it says what to do next.
    static func empty(_ title: String, _ text: HTML, _ action: HTML = .none) -> HTML {
        "<div class=\"empty\"><h2>\(title)</h2><p>\(text)</p>\(action)</div>"
    }

    static func card(_ title: String, _ body: HTML, note: HTML = .none) -> HTML {
        let note: HTML = .when(note != .none) { "<p class=\"note\">\(note)</p>" }
        return "<section class=\"card\"><h2>\(title)</h2>\(note)\(body)</section>"
    }

    static func button(_ text: String, _ link: String, kind: String = "") -> HTML {
        "<a class=\"button \(kind)\" href=\"\(link)\">\(text)</a>"
    }

    /// - Parameter name: What the link is about, for those who hear links without what stands around them.
    static func action(_ text: String, _ name: String, _ link: String, kind: String = "") -> HTML {
        "<a class=\"action \(kind)\" href=\"\(link)\">\(text)<span class=\"unseen\"> \(name)</span></a>"
    }

    static func badge(_ text: String, _ kind: String) -> HTML { "<span class=\"badge \(kind)\">\(text)</span>" }

    /// RFC 3339 to something to read; the exact moment stands behind it.
    static func time(_ text: String?) -> HTML {
        guard let text, let time = APITime(parsing: text) else { return "<span class=\"faint\">never</span>" }
        let exact = time.text
        return
            "<time datetime=\"\(exact)\">\(String(exact.prefix(10))) \(String(exact.dropFirst(11).prefix(5))) UTC</time>"
    }

    static func day(_ text: String?) -> HTML {
        guard let text, let time = APITime(parsing: text) else { return "<span class=\"faint\">never</span>" }
        return "<time datetime=\"\(time.text)\">\(String(time.text.prefix(10)))</time>"
    }

    /// How long it has been.
    static func ago(_ text: String?, at now: APITime) -> HTML {
        guard let text, let time = APITime(parsing: text) else { return "<span class=\"faint\">never</span>" }
        let seconds = max((now.microseconds &- time.microseconds) / 1_000_000, 0)
        let shown =
            switch seconds {
            case ..<15: "now"
            case ..<120: "\(seconds) s ago"
            case ..<7200: "\(seconds / 60) min ago"
            case ..<172_800: "\(seconds / 3600) h ago"
            default: "\(seconds / 86_400) days ago"
            }
        return "<time datetime=\"\(time.text)\">\(shown)</time>"
    }

    static func pager(page: Int, perPage: Int, total: Int, what: String, link: (Int) -> String) -> HTML {
        let last = max((total + perPage - 1) / max(perPage, 1), 1)
        guard total > perPage || page > 1 else { return .none }
        let before: HTML = page > 1 ? "<a class=\"button\" rel=\"prev\" href=\"\(link(page - 1))\">Previous</a>" : .none
        let after: HTML = page < last ? "<a class=\"button\" rel=\"next\" href=\"\(link(page + 1))\">Next</a>" : .none
        return """
            <nav class="pager" aria-label="Pages"><span>Page \(page) of \(last), \(total) \(what)</span>\
            <span class="buttons">\(before)\(after)</span></nav>
            """
    }

    /// The page before something that cannot be undone.
    static func confirm(
        _ visit: Visit, _ text: HTML, _ action: String, button: String, back: String, fields: HTML = .none
    ) -> HTML {
        """
        <section class="card danger"><p>\(text)</p>\
        \(Field.form(visit, action, fields + Field.buttons(button, kind: "dangerous", back: back)))</section>
        """
    }

    static func facts(_ rows: [(name: String, value: HTML)]) -> HTML {
        "<dl class=\"facts\">\(rows.map { "<div><dt>\($0.name)</dt><dd>\($0.value)</dd></div>" as HTML })</dl>"
    }
}
