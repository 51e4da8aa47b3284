// What the API says of edges, as pages show it. The only file that knows the shapes of `/accounts/{id}/martlet/…`.

import JSON
import Limits

/// An edge or a relay.
struct EdgeNode: Sendable {
    let name: String
    let role: String
    let parent: String?
    let isRevoked: Bool
    let isCanary: Bool
    let isConnected: Bool
    /// The last change that it has applied.
    let sequence: Int64?
    /// Changes that it has yet to apply; nil before it has said anything.
    let behind: Int64?
    let lagMilliseconds: Int64?
    let version: String
    let health: Health?
    let appliedOn: String?
    let seenOn: String?
    let enrolledOn: String?
    let certificateExpiresOn: String?

    /// Of the last minute.
    struct Health: Sendable {
        let requestsPerSecond: Double
        let errorShare: Double?
        let hitShare: Double?
        let p99Milliseconds: Double?
        let crashes: Int64
        let refusedObjects: Int64

        init?(_ json: JSONValue?) {
            guard let json, let requests = json["requests"]?.double else { return nil }
            requestsPerSecond = requests / EdgeReading.countedSeconds
            errorShare = EdgeReading.share(json["server_errors"], of: requests)
            hitShare = EdgeReading.share(json["cache_hits"], of: requests)
            p99Milliseconds = json["p99_us"]?.double.map { $0 / 1000 }
            crashes = json["crashes"]?.integer ?? 0
            refusedObjects = json["refused_objects"]?.integer ?? 0
        }
    }

    init(_ json: JSONValue) {
        name = json["name"]?.string ?? ""
        role = json["role"]?.string ?? ""
        parent = json["parent"]?.string
        isRevoked = json["state"] == "revoked"
        isCanary = json["canary"] == true
        isConnected = json["connected"] == true
        sequence = json["sequence"]?.integer
        behind = json["behind"]?.integer
        lagMilliseconds = json["lag_ms"]?.integer
        version = json["version"]?.string ?? ""
        health = Health(json["health"])
        appliedOn = json["applied_at"]?.string
        seenOn = json["seen_at"]?.string
        enrolledOn = json["enrolled_on"]?.string
        certificateExpiresOn = json["certificate_expires_on"]?.string
    }

    var link: String { "/edges/nodes/\(LinkText.encode(name))" }
}

/// What edges did, at one moment of the last hour.
struct EdgeSample: Sendable {
    let at: APITime
    let requestsPerSecond: Double
    /// 0…1; nil without requests.
    let hitShare: Double?
    let errorShare: Double?
    /// Of the slowest edge.
    let p99Milliseconds: Double?

    init?(_ json: JSONValue) {
        guard let at = json["at"]?.string.flatMap(APITime.init(parsing:)), let requests = json["requests"]?.double
        else { return nil }
        self.at = at
        requestsPerSecond = requests / EdgeReading.countedSeconds
        hitShare = EdgeReading.share(json["cache_hits"], of: requests)
        errorShare = EdgeReading.share(json["server_errors"], of: requests)
        p99Milliseconds = requests > 0 ? json["p99_us"]?.double.map { $0 / 1000 } : nil
    }
}

/// A secret that lets an edge in, before it is used.
struct JoinTokenSummary: Sendable {
    let id: String
    let role: String
    let name: String?
    let state: String
    let expiresOn: String?
    let usedBy: String?

    init(_ json: JSONValue) {
        id = json["id"]?.string ?? ""
        role = json["role"]?.string ?? ""
        name = json["name"]?.string
        state = json["state"]?.string ?? ""
        expiresOn = json["expires_on"]?.string
        usedBy = json["used_by"]?.string
    }
}

enum EdgeReading {
    static let read = Permission.account("Edges", .read)
    static let write = Permission.account("Edges", .write)
    /// What the API's counts are of.
    static let countedSeconds: Double = 60

    static func root(_ visit: Visit) throws(PageFailure) -> String { try visit.account() + "/martlet" }

    /// A control plane without edges knows no such endpoints' objects: that is an empty list.
    static func nodes(_ visit: Visit, page: Int = 1) async throws(PageFailure) -> (nodes: [EdgeNode], total: Int) {
        let query = LinkText.query([("page", "\(page)"), ("per_page", "\(Limits.dashboardNodesPerPage)")])
        let reply = await visit.ask("GET", try root(visit) + "/nodes" + query)
        if reply.status == 404 { return ([], 0) }
        guard reply.problem == nil else { throw PageFailure(reply: reply) }
        return (reply.list.map(EdgeNode.init), reply.totalCount)
    }

    static func node(_ visit: Visit) async throws(PageFailure) -> EdgeNode {
        EdgeNode(try await visit.get(try root(visit) + "/nodes/\(visit.part("node"))").result)
    }

    /// - Parameter node: nil: all edges together.
    static func samples(_ visit: Visit, of node: String? = nil) async throws(PageFailure) -> [EdgeSample] {
        let place = node.map { "/nodes/\(LinkText.encode($0))" } ?? ""
        let reply = await visit.ask("GET", try root(visit) + place + "/samples")
        if reply.status == 404 { return [] }
        guard reply.problem == nil else { throw PageFailure(reply: reply) }
        return reply.list.suffix(Limits.dashboardGraphPointsMax).compactMap(EdgeSample.init)
    }

    static func joinTokens(_ visit: Visit) async throws(PageFailure) -> [JoinTokenSummary] {
        let reply = await visit.ask("GET", try root(visit) + "/join_tokens?per_page=\(Limits.dashboardNodesPerPage)")
        return reply.problem == nil ? reply.list.map(JoinTokenSummary.init) : []
    }

    static func share(_ part: JSONValue?, of whole: Double) -> Double? {
        guard whole > 0, let part = part?.double else { return nil }
        return min(max(part / whole, 0), 1)
    }
}
