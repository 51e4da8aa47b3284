/// What a page is made of, before the frame is put around it.
struct Page: Sendable {
    /// Where it stands in the main navigation.
    enum Section: String, Sendable { case overview, zones, edges, rules, audit, tokens }
    /// Where it stands within a zone.
    enum ZoneTab: String, Sendable { case overview, records, certificates, cache, settings, rules }

    var title: String
    var section: Section?
    var zone: ZoneSummary?
    var zoneTab: ZoneTab?
    /// From the top down to the page above this one.
    var crumbs: [(text: String, link: String)] = []
    var status = 200
    /// Without navigation.
    var isBare = false
    /// Links and buttons beside the title.
    var actions = HTML.none
    var body: HTML
    var notice: Notice?
    /// Set by the frame: navigation shows only what the token may read.
    var caller: Caller?

    /// A page that says what went wrong.
    static func failure(_ status: Int, _ title: String, _ text: String) -> Page {
        Page(
            title: title, status: status,
            body: """
                <div class="empty"><p>\(text)</p><p><a class="button" href="/">Go to the overview</a></p></div>
                """)
    }

    /// The API's error, as the API says it.
    static func failure(_ reply: APIReply) -> Page {
        let title =
            switch reply.status {
            case 401, 403: "Your token does not allow this"
            case 404: "There is no such thing"
            case 429: "Too many requests"
            case 503: "The control plane cannot answer now"
            default: "That did not work"
            }
        return Page(
            title: title, status: reply.status,
            body: """
                <div class="empty">\(Banner.problem(reply.problem))
                <p><a class="button" href="/">Go to the overview</a></p></div>
                """)
    }

    /// One of a zone's pages.
    static func zone(
        _ zone: ZoneSummary, _ tab: ZoneTab, _ title: String, actions: HTML = .none, status: Int = 200,
        crumbs: [(text: String, link: String)] = [], body: HTML
    ) -> Page {
        Page(
            title: title, section: .zones, zone: zone, zoneTab: tab,
            crumbs: [("Zones", "/zones"), (zone.name, zone.link)] + crumbs, status: status, actions: actions, body: body
        )
    }
}

/// Messages above a page's content.
enum Banner {
    static func problem(_ problem: APIReply.Problem?) -> HTML {
        guard let problem else { return .none }
        let details = problem.details.filter { !problem.message.contains($0) }
        let list: HTML = .when(!details.isEmpty) { "<ul>\(details.map { "<li>\($0)</li>" as HTML })</ul>" }
        let code: HTML = .when(problem.code > 0) { " <span class=\"code\">Error \(problem.code)</span>" }
        return "<div class=\"banner problem\" role=\"alert\"><p>\(problem.message)\(code)</p>\(list)</div>"
    }

    static func notice(_ notice: Notice?) -> HTML {
        guard let notice else { return .none }
        guard let secret = notice.secret else {
            return "<div class=\"banner done\" role=\"status\"><p>\(notice.text)</p></div>"
        }
        return """
            <div class="banner done" role="status"><p>\(notice.text)</p>
            <div class="secret"><label class="unseen" for="secret">The secret</label>
            <input id="secret" readonly value="\(secret)" spellcheck="false" data-select>
            <button class="button" type="button" data-copy="secret" hidden>Copy</button></div></div>
            """
    }
}
