// What somebody sees first: traffic, what there is, what was changed lately.

import JSON
import Limits

enum OverviewPage {
    static let routes: [PageRoute] = [
        .get("/", show), .get("/graphs") { .fragment(graphs(try await EdgeReading.samples($0), at: $0.now)) },
    ]

    /// The four graphs of an edge, or of all together.
    static func graphs(_ samples: [EdgeSample], at now: APITime) -> HTML {
        func points(_ value: (EdgeSample) -> Double?) -> [(age: Double, value: Double)] {
            samples.compactMap { sample in
                value(sample).map { (max(Double(now.microseconds &- sample.at.microseconds) / 1e6, 0), $0) }
            }
        }
        let all = [
            Graph(title: "Requests", format: { Figures.short($0) + "/s" }, points: points(\.requestsPerSecond)),
            Graph(title: "Hit ratio", format: Figures.share, points: points(\.hitShare), top: 1, kind: "good"),
            Graph(title: "Server errors (5xx)", format: Figures.share, points: points(\.errorShare), kind: "bad"),
            Graph(
                title: "99th percentile of response times", format: Figures.milliseconds,
                points: points(\.p99Milliseconds), kind: "warn"),
        ]
        return "\(all.map(\.html))"
    }

    private static func show(_ visit: Visit) async throws -> PageAnswer {
        let zones = try await visit.get("/zones?per_page=1")
        let mayReadEdges = visit.may(EdgeReading.read)
        let nodes: (nodes: [EdgeNode], total: Int) = mayReadEdges ? try await EdgeReading.nodes(visit) : ([], 0)
        var body = tiles(zones.totalCount, nodes.nodes, nodes.total, mayReadEdges: mayReadEdges)
        if zones.totalCount == 0 {
            body += Parts.empty(
                "Begin with a zone", "Add your domain, then the DNS records of what Martlet is to stand in front of.",
                visit.may(Zones.write) ? Parts.button("Add a zone", "/zones/new", kind: "primary") : .none)
        }
        if mayReadEdges {
            let samples = try await EdgeReading.samples(visit)
            body +=
                nodes.nodes.isEmpty
                ? Parts.empty(
                    "No edges yet", "Edges serve your zones and report their traffic here. An edge joins with a token.",
                    visit.may(EdgeReading.write) ? Parts.button("Add an edge", "/edges/new") : .none)
                : """
                <section class="part"><div class="heading"><h2>Traffic of all edges</h2></div>\
                <div class="grid" data-refresh="/graphs">\(graphs(samples, at: visit.now))</div></section>
                """
        }
        body += await changes(visit)
        return .page(Page(title: "Overview", section: .overview, body: body))
    }

    private static func tiles(_ zones: Int, _ nodes: [EdgeNode], _ total: Int, mayReadEdges: Bool) -> HTML {
        let counted = nodes.filter { !$0.isRevoked }
        let connected = counted.filter(\.isConnected)
        let slowest = connected.compactMap(\.lagMilliseconds).max()
        var tiles = [tile("Zones", "\(zones)", "/zones")]
        if mayReadEdges {
            tiles.append(
                tile(
                    "Edges and relays connected",
                    counted.isEmpty ? "0" : "\(connected.count) of \(total - (nodes.count - counted.count))", "/edges"))
            tiles.append(
                tile("Slowest to apply a change", slowest.map { Figures.milliseconds(Double($0)) } ?? "–", "/edges"))
        }
        return "<ul class=\"tiles\">\(tiles)</ul>"
    }

    private static func tile(_ name: String, _ value: String, _ link: String) -> HTML {
        "<li><a href=\"\(link)\"><span>\(name)</span><strong>\(value)</strong></a></li>"
    }

    private static func changes(_ visit: Visit) async -> HTML {
        guard let account = visit.session.account?.id, visit.may(.account("Account Audit Logs", .read)) else {
            return .none
        }
        let reply = await visit.ask("GET", "/accounts/\(account)/audit_logs?per_page=\(Limits.dashboardRecentChanges)")
        guard !reply.list.isEmpty else { return .none }
        return """
            <section class="part"><div class="heading"><h2>Latest changes</h2><div class="actions">\
            <a href="/audit">All changes</a></div></div>\
            \(AuditPage.table(reply.list, await AuditPage.Names(visit), isShort: true))</section>
            """
    }
}
