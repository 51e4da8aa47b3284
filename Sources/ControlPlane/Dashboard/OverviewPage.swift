enum OverviewPage {
    static let routes: [PageRoute] = [.get("/", show)]

    private static func show(_ visit: Visit) async throws -> PageAnswer {
        .page(Page(title: "Overview", section: .overview, body: .none))
    }
}
