// Load balancers: pools of origins that are the account's, in the order in which they stand in for each other.

import ConfigModel
import JSON
import Limits
import Replica

/// Reads pools and monitors, and remembers which zones are made of them: a change of a pool is a change of those.
struct BalancedOrigins {
    let replica: Replica
    let account: String
    let behaviour: ZoneBehaviour
    /// Keys of the replica that were looked at.
    private(set) var readKeys: Set<String> = []

    init(replica: Replica, account: String, behaviour: ZoneBehaviour) {
        self.replica = replica
        self.account = account
        self.behaviour = behaviour
    }

    private mutating func object(_ kind: String, _ id: String) throws -> JSONObject? {
        let key = "account/\(account)/\(kind)/\(id)"
        readKeys.insert(key)
        guard let value = try replica.value(key) else { return nil }
        return try JSONValue(stored: String(decoding: value, as: UTF8.self)).object
    }

    /// The origins of a load balancer, and how a request is given one. nil: it is switched off, or has none.
    mutating func site(_ balancer: JSONObject, isSecure: Bool) throws -> (origins: [Origin], balance: Zone.Balance)? {
        guard balancer["enabled"]?.boolean ?? true, let name = balancer["name"]?.string else { return nil }
        var ids = (balancer["default_pools"]?.array ?? []).compactMap(\.string)
        // It is what is left when all others are down, whether it is among them or not.
        if let fallback = balancer["fallback_pool"]?.string, !ids.contains(fallback) { ids.append(fallback) }
        let policy = balancer["steering_policy"]?.string ?? ""
        let spreads = ["random", "least_outstanding_requests", "least_connections"].contains(policy)
        var origins: [Origin] = []
        for id in ids {
            guard let pool = try object("pool", id), pool["enabled"]?.boolean ?? true else { continue }
            let monitor = try (pool["monitor"]?.string).flatMap { $0.isEmpty ? nil : try object("monitor", $0) }
            var found = try poolOrigins(pool, monitor, for: name, isSecure: isSecure)
            // Without steering the first pool takes everything while it can, and the others stand in for it.
            if !spreads, !origins.isEmpty { for index in found.indices { found[index].backup = true } }
            origins += found
        }
        guard !origins.isEmpty else { return nil }
        Self.reduceWeights(&origins)
        return (Array(origins.prefix(Limits.originsPerZoneMax)), balance(balancer, policy))
    }

    /// Equal weights are 1: a round of the balancer is as long as their sum.
    private static func reduceWeights(_ origins: inout [Origin]) {
        var divisor = 0
        for origin in origins {
            var (larger, smaller) = (max(divisor, origin.weight), min(divisor, origin.weight))
            while smaller > 0 { (larger, smaller) = (smaller, larger % smaller) }
            divisor = larger
        }
        guard divisor > 1 else { return }
        for index in origins.indices { origins[index].weight /= divisor }
    }

    private func balance(_ balancer: JSONObject, _ policy: String) -> Zone.Balance {
        switch balancer["session_affinity"]?.string {
        case "cookie": .sticky(cookie: "__cflb")
        case "ip_cookie": .hash(.clientAddress)
        default: policy.hasPrefix("least_") ? .leastOutstanding : .roundRobin
        }
    }

    private func poolOrigins(
        _ pool: JSONObject, _ monitor: JSONObject?, for host: String, isSecure: Bool
    ) throws -> [Origin] {
        var origins: [Origin] = []
        for item in pool["origins"]?.array ?? [] {
            guard item["enabled"]?.boolean ?? true, let address = item["address"]?.string else { continue }
            guard Origin.isAddress(address) else {
                throw FollowingError(
                    "an origin's address: expected a name or an IP address, found \(address.prefix(100))")
            }
            let weight = item["weight"]?.double ?? 1
            guard weight > 0 else { continue }
            let port = item["port"]?.integer.flatMap { (1...65_535).contains($0) ? Int($0) : nil }
            var origin = behaviour.origin(address, port: port, for: host, isSecure: isSecure)
            origin.weight = max(1, Int(min(weight, 1) * 100))
            if let host = item["header"]?["Host"]?.array?.first?.string {
                guard Origin.isHostValue(host) else {
                    throw FollowingError(
                        "an origin's Host: expected a Host value, found \(host.prefix(100).debugDescription)")
                }
                origin.hostHeader = host
            }
            origin.health = monitor.flatMap { Self.health($0) }
            origins.append(origin)
        }
        return origins
    }

    /// nil: a kind of monitor that is not run here (`tcp`, `smtp` and the like); passive ejection then has to do.
    private static func health(_ monitor: JSONObject) -> Origin.Health? {
        guard ["http", "https"].contains(monitor["type"]?.string ?? "http") else { return nil }
        var health = Origin.Health()
        if let path = monitor["path"]?.string, Origin.Health.isPath(path) { health.path = path }
        if let seconds = monitor["interval"]?.integer, (1...3600).contains(seconds) {
            health.every = Int(seconds) * 1000
        }
        if let seconds = monitor["timeout"]?.integer, (1...120).contains(seconds) {
            health.timeout = min(Int(seconds) * 1000, health.every)
        }
        if let count = monitor["consecutive_up"]?.integer, (1...100).contains(count) {
            health.healthyAfter = Int(count)
        }
        let down = monitor["consecutive_down"]?.integer ?? 0
        let retries = monitor["retries"]?.integer ?? 2
        health.unhealthyAfter = Int(clamping: max(1, min(100, down > 0 ? down : retries &+ 1)))
        if let codes = monitor["expected_codes"]?.string.flatMap({ statuses($0) }) { health.expectStatus = codes }
        return health
    }

    /// `200`, `2xx`, `200,302`: the range from the lowest to the highest of them.
    static func statuses(_ text: String) -> ClosedRange<Int>? {
        var range: ClosedRange<Int>?
        for part in text.split(separator: ",") {
            let word = part.filter { $0 != " " }.lowercased()
            let found: ClosedRange<Int>
            if let status = Int(word), (100...599).contains(status) {
                found = status...status
            } else if word.count == 3, word.hasSuffix("xx"), let hundred = Int(word.prefix(1)),
                (1...5).contains(hundred)
            {
                found = hundred * 100...hundred * 100 + 99
            } else {
                return nil
            }
            range = range.map { min($0.lowerBound, found.lowerBound)...max($0.upperBound, found.upperBound) } ?? found
        }
        return range
    }
}
