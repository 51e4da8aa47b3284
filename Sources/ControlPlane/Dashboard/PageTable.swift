/// What a page's handler answers.
enum PageAnswer: Sendable {
    case page(Page)
    /// After a form was taken: elsewhere on this dashboard, with a notice there.
    case redirect(String, Notice? = nil)
    /// To be saved under a name.
    case file([UInt8], type: String, name: String)
    /// A part of a page, for the script.
    case fragment(HTML)
}

/// One page: its place, and what makes it.
struct PageRoute: Sendable {
    let method: String
    /// With `{names}` for what varies.
    let path: String
    let handle: @Sendable (Visit) async throws -> PageAnswer

    static func get(_ path: String, _ handle: @escaping @Sendable (Visit) async throws -> PageAnswer) -> PageRoute {
        PageRoute(method: "GET", path: path, handle: handle)
    }
    static func post(_ path: String, _ handle: @escaping @Sendable (Visit) async throws -> PageAnswer) -> PageRoute {
        PageRoute(method: "POST", path: path, handle: handle)
    }
}

/// All pages, found by method and path.
struct PageTable: Sendable {
    enum Match: Sendable {
        case page(PageRoute, parameters: [String: String])
        /// The place exists, for another method.
        case otherMethod
        case nothing
    }

    private let routes: [(parts: [Substring], route: PageRoute)]

    static let all = PageTable(
        [.post(SignInPage.outPath) { _ in .redirect(SignInPage.path) }] + OverviewPage.routes + ZonesPage.routes
            + RecordsPage.routes + RecordFormPage.routes + RecordFilePage.routes + CertificatesPage.routes
            + CachePage.routes + SettingsPage.routes + RulesPage.routes + ListsPage.routes + AuditPage.routes
            + TokensPage.routes + TokenFormPage.routes + EdgesPage.routes)

    init(_ routes: [PageRoute]) {
        // Fixed parts before those that vary: `/zones/new` is no zone's identifier.
        self.routes = routes.map { ($0.path.split(separator: "/"), $0) }.sorted { left, right in
            left.parts.filter { $0.hasPrefix("{") }.count < right.parts.filter { $0.hasPrefix("{") }.count
        }
    }

    func find(_ method: String, _ path: Substring) -> Match {
        let parts = path.split(separator: "/")
        var isElsewhere = false
        for (pattern, route) in routes where pattern.count == parts.count {
            guard let parameters = Self.match(pattern, parts) else { continue }
            if route.method == method { return .page(route, parameters: parameters) }
            isElsewhere = true
        }
        return isElsewhere ? .otherMethod : .nothing
    }

    private static func match(_ pattern: [Substring], _ parts: [Substring]) -> [String: String]? {
        var parameters: [String: String] = [:]
        for (wanted, part) in zip(pattern, parts) {
            if wanted.hasPrefix("{") {
                guard let value = PercentText.decode(part) else { return nil }
                parameters[String(wanted.dropFirst().dropLast())] = value
            } else if wanted != part {
                return nil
            }
        }
        return parameters
    }
}
