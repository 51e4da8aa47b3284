// The frame around every page: head, navigation, title, notices.

enum Layout {
    /// The bird of heraldry that has no feet: always on the wing.
    static let mark: HTML = """
        <svg class="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false"><path d="M2 9c6 0 10 2 13 6 3-5 8-8 15-9\
        -3 2-5 4-6 7 1 6-3 12-10 14 1-2 1-3 1-5-4 0-7-1-9-4 2 0 4 0 6-1-4-1-8-4-10-8z"/></svg>
        """

    static func document(_ page: Page, _ session: Session?) -> HTML {
        let content: HTML =
            page.isBare || session == nil
            ? "<main id=\"content\" class=\"bare\">\(bare(page))</main>"
            : frame(page, session)
        return """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <meta name="robots" content="noindex">
            <title>\(title(page))</title>
            <link rel="icon" href="\(Asset.icon.path)" type="image/svg+xml">
            <link rel="stylesheet" href="\(Asset.style.path)">
            <script src="\(Asset.script.path)" defer></script>
            </head>
            <body>\(content)</body>
            </html>
            """
    }

    private static func title(_ page: Page) -> String {
        ([page.title, page.zone?.name].compactMap { $0 } + ["Martlet"]).joined(separator: " · ")
    }

    private static func bare(_ page: Page) -> HTML {
        page.isBare ? page.body : "<div class=\"door\">\(mark)<h1>\(page.title)</h1>\(page.body)</div>"
    }

    private static func frame(_ page: Page, _ session: Session?) -> HTML {
        """
        <a class="skip" href="#content">Skip to the content</a>
        <header class="top"><a class="brand" href="/">\(mark)<span>Martlet</span></a>
        <details class="menu"><summary>Menu</summary><nav aria-label="Main">\(navigation(page))\(person(session))</nav></details>
        </header>
        <div class="side"><nav aria-label="Main">\(navigation(page))</nav>\(person(session))</div>
        <main id="content" tabindex="-1">\(crumbs(page))
        <div class="heading"><h1>\(page.title)</h1><div class="actions">\(page.actions)</div></div>
        \(tabs(page))\(Banner.notice(page.notice))\(page.body)</main>
        """
    }

    private static func person(_ session: Session?) -> HTML {
        guard let session else { return .none }
        let account: HTML = session.account.map { "<span class=\"account\">\($0.name)</span>" } ?? .none
        return """
            <div class="person"><p>\(account)<span>\(session.person)</span></p>
            <form method="post" action="\(SignInPage.outPath)">\(Field.csrf(session))
            <button class="button quiet" type="submit">Sign out</button></form></div>
            """
    }

    private static let sections: [(section: Page.Section, text: String, link: String)] = [
        (.overview, "Overview", "/"), (.zones, "Zones", "/zones"), (.edges, "Edges", "/edges"),
        (.rules, "Rules and lists", "/rules"), (.audit, "Audit log", "/audit"), (.tokens, "API tokens", "/tokens"),
    ]

    private static func navigation(_ page: Page) -> HTML {
        let items = sections.map { item in
            link(item.text, item.link, isHere: item.section == page.section, isExact: page.zone == nil)
        }
        return "<ul class=\"places\">\(items)</ul>"
    }

    private static func link(_ text: String, _ link: String, isHere: Bool, isExact: Bool = true) -> HTML {
        let mark: HTML = isHere ? (isExact ? " aria-current=\"page\"" : " aria-current=\"true\"") : .none
        return "<li><a href=\"\(link)\"\(mark)>\(text)</a></li>"
    }

    private static let zoneTabs: [(tab: Page.ZoneTab, text: String, part: String)] = [
        (.overview, "Overview", ""), (.records, "DNS", "/dns"), (.certificates, "Certificates", "/certificates"),
        (.cache, "Cache", "/cache"), (.settings, "Settings", "/settings"), (.rules, "Rules", "/rules"),
    ]

    private static func tabs(_ page: Page) -> HTML {
        guard let zone = page.zone else { return .none }
        let items = zoneTabs.map { link($0.text, zone.link + $0.part, isHere: $0.tab == page.zoneTab) }
        return "<nav class=\"tabs\" aria-label=\"Zone\"><ul>\(items)</ul></nav>"
    }

    private static func crumbs(_ page: Page) -> HTML {
        guard !page.crumbs.isEmpty else { return .none }
        let items = page.crumbs.map { "<li><a href=\"\($0.link)\">\($0.text)</a></li>" as HTML }
        return "<nav class=\"crumbs\" aria-label=\"Breadcrumb\"><ol>\(items)</ol></nav>"
    }
}
