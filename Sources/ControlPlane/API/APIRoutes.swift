import JSON

/// Every endpoint there is.
enum APIRoutes {
    static let all: [Route] =
        Accounts.routes + Users.routes + Tokens.routes + Zones.routes + ZoneSettings.routes + Records.routes
        + Purges.routes
        + CustomCertificates.routes + LoadBalancing.routes + PageRules.routes + RulesLists.routes + Rulesets.routes
        + AuditLogs.routes + ConfigHistory.routes + Sites.routes + Nodes.routes + JoinTokens.routes + Globals.routes
        + Switches.routes
        + Rollouts.routes
        + [
            Route(.get, "/openapi.json", "Documentation", "This document", needs: .nothing, access: Route.Access.none) {
                _ in
                APIAnswer(body: .raw(document, type: "application/json"))
            },
            Route(.get, "/ips", "Documentation", "The networks that the edge asks origins from", needs: .nothing) {
                call in
                let set = try call.transaction.first("SELECT value FROM meta WHERE key = ?", ["edge_networks"])
                let blocks = try set?.text(0).split(separator: " ").map(String.init) ?? []
                return .result([
                    "ipv4_cidrs": .array(blocks.filter { !$0.contains(":") }.map { .string($0) }),
                    "ipv6_cidrs": .array(blocks.filter { $0.contains(":") }.map { .string($0) }), "etag": "",
                ])
            },
        ]

    /// Made once: the endpoints do not change while the process runs.
    private static let document = OpenAPIDocument.make(all.filter { $0.path != "/openapi.json" }).bytes
}
