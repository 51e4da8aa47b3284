import Limits

/// What a node is in the tree.
package enum NodeRole: UInt8, Sendable, CustomStringConvertible {
    /// Beside the store: where frames come from.
    case root = 1
    /// Passes frames on, and has a replica of its own.
    case relay
    /// An edge.
    case leaf

    package var description: String {
        switch self {
        case .root: "root"
        case .relay: "relay"
        case .leaf: "leaf"
        }
    }
}

/// How a node does, over the last minute: what a rollout is held against.
package struct HealthSummary: Sendable, Equatable {
    package var requests: UInt64 = 0
    /// Answers of status 500 to 599 that were the edge's own.
    package var serverErrors: UInt64 = 0
    package var latencyP99Microseconds: UInt32 = 0
    /// Processes that ended against their will.
    package var crashes: UInt32 = 0
    /// Objects of the configuration that could not be put in force.
    package var refusedObjects: UInt32 = 0
    /// Requests that were answered from the cache.
    package var cacheHits: UInt64 = 0
    /// Bytes sent to clients.
    package var bytesSent: UInt64 = 0

    package init() {}
}

/// What is known of a node: passed up the tree, from the node itself to the root.
package struct NodeReport: Sendable, Equatable {
    package var name: String
    package var role: NodeRole
    /// The name of the node that it follows.
    package var parent: String
    /// What its replica holds.
    package var position: LogPosition
    /// When that was applied: milliseconds since 1970.
    package var appliedAtMilliseconds: UInt64
    /// From the commit of the newest group to its being applied there.
    package var lagMilliseconds: UInt32
    package var health: HealthSummary
    /// False once its parent has lost it.
    package var isConnected: Bool
    /// The version of its program; empty: it did not say.
    package var software: String

    package init(
        name: String, role: NodeRole, parent: String, position: LogPosition, appliedAtMilliseconds: UInt64,
        lagMilliseconds: UInt32, health: HealthSummary, isConnected: Bool, software: String = ""
    ) {
        self.name = name
        self.role = role
        self.parent = parent
        self.position = position
        self.appliedAtMilliseconds = appliedAtMilliseconds
        self.lagMilliseconds = lagMilliseconds
        self.health = health
        self.isConnected = isConnected
        self.software = software
    }
}

extension [UInt8] {
    mutating func write(_ health: HealthSummary) {
        write(health.requests)
        write(health.serverErrors)
        write(health.latencyP99Microseconds)
        write(health.crashes)
        write(health.refusedObjects)
        write(health.cacheHits)
        write(health.bytesSent)
    }

    mutating func write(_ report: NodeReport) {
        write(name: report.name, bytesMax: Limits.configNameBytesMax)
        append(report.role.rawValue)
        write(name: report.parent, bytesMax: Limits.configNameBytesMax)
        write(report.position)
        write(report.appliedAtMilliseconds)
        write(report.lagMilliseconds)
        write(report.health)
        append(report.isConnected ? 1 : 0)
        write(name: report.software, bytesMax: Limits.configSoftwareBytesMax)
    }
}

extension WireReader {
    mutating func role() throws(ConfigLogError) -> NodeRole {
        let raw = try integer(UInt8.self, "a role")
        guard let role = NodeRole(rawValue: raw) else {
            throw fail(.malformed, expected: "the role of a root, relay or leaf", found: "\(raw)")
        }
        return role
    }

    /// A node's name: it comes into logs and onto terminals, so that it holds no control characters.
    mutating func nodeName() throws(ConfigLogError) -> String {
        let name = try name("a node's name", bytesMax: Limits.configNameBytesMax)
        guard !name.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
            throw fail(.malformed, expected: "a name of printable characters", found: "a control character")
        }
        return name
    }

    /// A program's version: shown to people as it is.
    mutating func software() throws(ConfigLogError) -> String {
        let text = try name("a program's version", bytesMax: Limits.configSoftwareBytesMax)
        guard text.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else {
            throw fail(.malformed, expected: "a version of printable ASCII", found: "other characters")
        }
        return text
    }

    mutating func health() throws(ConfigLogError) -> HealthSummary {
        var health = HealthSummary()
        health.requests = try integer(UInt64.self, "a count of requests")
        health.serverErrors = try integer(UInt64.self, "a count of errors")
        health.latencyP99Microseconds = try integer(UInt32.self, "a latency")
        health.crashes = try integer(UInt32.self, "a count of crashes")
        health.refusedObjects = try integer(UInt32.self, "a count of objects")
        health.cacheHits = try integer(UInt64.self, "a count of hits")
        health.bytesSent = try integer(UInt64.self, "a count of bytes")
        return health
    }

    mutating func report() throws(ConfigLogError) -> NodeReport {
        NodeReport(
            name: try nodeName(), role: try role(), parent: try nodeName(), position: try position(),
            appliedAtMilliseconds: try integer(UInt64.self, "a time"),
            lagMilliseconds: try integer(UInt32.self, "a lag"), health: try health(),
            isConnected: try integer(UInt8.self, "a flag") & 1 == 1, software: try software())
    }
}
