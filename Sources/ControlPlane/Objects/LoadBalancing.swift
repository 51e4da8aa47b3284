// Load balancers of a zone, and the pools and monitors of an account that they are made of; health checks of a zone.

import ConfigModel
import JSON
import Limits

enum LoadBalancing {
    static let routes = monitors.routes + pools.routes + balancers.routes + healthchecks.routes

    private static let accountRead = Permission.account("Load Balancing: Monitors and Pools", .read)
    private static let accountWrite = Permission.account("Load Balancing: Monitors and Pools", .write)
    private static let headers = BodySchema.map(.array(.text(1024), count: 0...16))

    private static let monitors = ObjectKind(
        kind: "monitor", title: "monitor", tag: "Load Balancers",
        path: "/accounts/{account_id}/load_balancers/monitors",
        variable: "monitor_id", read: accountRead, write: accountWrite,
        members: [
            .optional("type", .choice(["http", "https", "tcp", "udp_icmp", "icmp_ping", "smtp"])),
            .optional("description", .text(1000)), .optional("method", .text(16)), .optional("path", .text(2048)),
            .optional("header", headers), .optional("port", .integer(0...65_535)),
            .optional("timeout", .integer(1...120)),
            .optional("retries", .integer(0...5)), .optional("interval", .integer(5...3600)),
            .optional("consecutive_up", .integer(0...100)), .optional("consecutive_down", .integer(0...100)),
            .optional("expected_body", .text(10_240)), .optional("expected_codes", .text(64)),
            .optional("follow_redirects", .boolean), .optional("allow_insecure", .boolean),
            .optional("probe_zone", .text(253)),
        ],
        standards: [
            "type": "http", "description": "", "method": "GET", "path": "/", "header": [:], "port": 0, "timeout": 5,
            "retries": 2, "interval": 60, "consecutive_up": 0, "consecutive_down": 0, "expected_body": "",
            "expected_codes": "200", "follow_redirects": false, "allow_insecure": false, "probe_zone": "",
        ], hasUniqueNames: false,
        complete: { row, _ in
            guard let path = row.body["path"]?.string, !path.isEmpty, !Origin.Health.isPath(path) else { return }
            throw APIError.invalid("path", "the path of a URL, visible ASCII without blanks", found: path)
        },
        audited: { shown in
            var shown = shown
            shown["header"] = ObjectKind.withoutValues(shown["header"])
            return shown
        },
        mayDelete: { row, call in
            let pattern = TextFilter(.contains, "\"monitor\":\"\(row.id)\"").condition("body")
            let users = try call.transaction.query(
                "SELECT name FROM objects WHERE kind = 'pool' AND scope_id = ? AND \(pattern.sql) LIMIT 2",
                [.text(row.scopeID)] + pattern.values)
            guard let first = users.first else { return }
            throw APIError(
                412, 1005,
                "The monitor is used by \(users.count > 1 ? "several pools, among them" : "the pool") \(try first.text(0))"
            )
        })

    private static let origin = BodySchema.object([
        .required("name", .string(1...100)), .required("address", .string(1...253)), .optional("enabled", .boolean),
        .optional("weight", .number(0...1)), .optional("port", .integer(0...65_535)), .optional("header", headers),
        .optional("virtual_network_id", .text(64)),
    ])
    private static let pools = ObjectKind(
        kind: "pool", title: "pool", tag: "Load Balancers", path: "/accounts/{account_id}/load_balancers/pools",
        variable: "pool_id", read: accountRead, write: accountWrite,
        members: [
            .required("name", .string(1...100)), .required("origins", .array(origin, count: 0...256)),
            .optional("description", .text(1000)), .optional("enabled", .boolean),
            .optional("minimum_origins", .integer(0...256)), .optional("monitor", .nullable(.text(32))),
            .optional("check_regions", .nullable(.array(.text(16), count: 0...64))),
            .optional("notification_email", .text(255)), .optional("notification_filter", .nullable(.map(.anything))),
            .optional("latitude", .number(-90...90)), .optional("longitude", .number(-180...180)),
            .optional("load_shedding", .map(.anything)), .optional("origin_steering", .map(.anything)),
        ],
        standards: ["description": "", "enabled": true, "minimum_origins": 1, "monitor": "", "notification_email": ""],
        complete: { row, call in
            row.body["origins"] = .array(
                (row.body["origins"]?.array ?? []).map { origin in
                    .object((["enabled": true, "weight": 1] as JSONObject).merging(origin.object ?? [:]))
                })
            for origin in row.body["origins"]?.array ?? [] { try checkOrigin(origin) }
            guard let monitor = row.body["monitor"]?.string, !monitor.isEmpty else { return }
            guard try ObjectRow.find("monitor", row.scopeID, monitor, call.transaction) != nil else {
                throw APIError.invalid("monitor", "the identifier of one of the account's monitors", found: monitor)
            }
        },
        audited: { shown in
            var shown = shown
            shown["origins"] = .array(
                (shown["origins"]?.array ?? []).map { origin in
                    var origin = origin.object ?? [:]
                    origin["header"] = ObjectKind.withoutValues(origin["header"])
                    return .object(origin)
                })
            return shown
        },
        mayDelete: { row, call in
            let balancers = try call.transaction.query(
                """
                SELECT o.name FROM objects o JOIN zones z ON z.id = o.scope_id \
                WHERE o.kind = 'load_balancer' AND z.account_id = ? AND o.body LIKE ?
                """, [.text(row.scopeID), .text("%\"\(row.id)\"%")])
            guard balancers.isEmpty else {
                throw APIError(412, 1005, "The pool is used by the load balancer \(try balancers[0].text(0))")
            }
        })

    /// What is sent to the origin as it stands is held against the rules of martlet.yaml.
    private static func checkOrigin(_ origin: JSONValue) throws(APIError) {
        let address = origin["address"]?.string ?? ""
        guard Origin.isAddress(address) else {
            throw .invalid("origins.address", "a host name or an IP address without brackets and port", found: address)
        }
        for value in origin["header"]?["Host"]?.array ?? [] {
            guard Origin.isHostValue(value.string ?? "") else {
                throw .invalid("origins.header.Host", "a Host value such as www.example.com", found: value.string ?? "")
            }
        }
    }

    private static let poolIDs = BodySchema.array(.id, count: 1...64)
    private static let balancers = ObjectKind(
        kind: "load_balancer", title: "load balancer", tag: "Load Balancers", path: "/zones/{zone_id}/load_balancers",
        variable: "load_balancer_id", read: .zone("Load Balancers", .read), write: .zone("Load Balancers", .write),
        members: [
            .required("name", .string(1...253, .hostname), "The host name that is balanced."),
            .required("default_pools", poolIDs), .required("fallback_pool", .id), .optional("description", .text(1000)),
            .optional("enabled", .boolean), .optional("proxied", .boolean), .optional("ttl", .integer(1...86_400)),
            .optional(
                "steering_policy",
                .choice([
                    "", "off", "geo", "random", "dynamic_latency", "proximity", "least_outstanding_requests",
                    "least_connections",
                ])),
            .optional("region_pools", .map(poolIDs)), .optional("pop_pools", .map(poolIDs)),
            .optional("country_pools", .map(poolIDs)),
            .optional("session_affinity", .choice(["", "none", "cookie", "ip_cookie", "header"])),
            .optional("session_affinity_ttl", .integer(1...604_800)),
            .optional("session_affinity_attributes", .map(.anything)), .optional("adaptive_routing", .map(.anything)),
            .optional("location_strategy", .map(.anything)), .optional("random_steering", .map(.anything)),
            .optional("rules", .array(.map(.anything), count: 0...100)),
            .optional("networks", .array(.text(64), count: 0...16)),
        ],
        standards: [
            "description": "", "enabled": true, "proxied": false, "ttl": 30, "steering_policy": "",
            "session_affinity": "none",
            "region_pools": [:], "pop_pools": [:], "country_pools": [:],
        ],
        complete: { row, call in
            let zone = try call.theZone()
            guard let name = row.body["name"]?.string.flatMap({ DomainName($0, allowsWildcard: true) }),
                let apex = DomainName(zone.name), name.isIn(apex)
            else { throw APIError.invalid("name", "a host name in \(zone.name)") }
            row.name = name.text
            row.body["name"] = .string(name.text)
            try requirePools(of: row.body, zone.accountID, call)
        })

    /// Whatever names a pool names one of the account's.
    private static func requirePools(of body: JSONObject, _ accountID: String, _ call: APICall) throws {
        var wanted = try pools(.object(body), "")
        for (index, rule) in (body["rules"]?.array ?? []).enumerated() {
            if let overrides = rule["overrides"] { wanted += try pools(overrides, "rules.\(index).overrides.") }
        }
        let ids = Set(wanted.map(\.id)).sorted()
        guard ids.count <= Limits.apiBalancerPoolsMax else {
            throw APIError.invalid("the pools", "at most \(Limits.apiBalancerPoolsMax)", found: "\(ids.count)")
        }
        guard !ids.isEmpty else { return }
        // Changed, not read alone: who deletes one of them at the same time has to wait, and then looks again.
        let found = try call.transaction.query(
            """
            UPDATE objects SET version = version WHERE kind = 'pool' AND scope_id = ? \
            AND id IN (\(ids.map { _ in "?" }.joined(separator: ", "))) RETURNING id
            """, [.text(accountID)] + ids.map { .text($0) })
        let known = Set(try found.map { try $0.text(0) })
        if let stranger = wanted.first(where: { !known.contains($0.id) }) {
            throw APIError.invalid(stranger.place, "identifiers of the account's pools", found: stranger.id)
        }
    }

    /// Every identifier of a pool that a balancer, or a rule's overrides, gives, with its place.
    private static func pools(_ value: JSONValue, _ path: String) throws(APIError) -> [(place: String, id: String)] {
        var found: [(place: String, id: String)] = []
        func take(_ value: JSONValue?, _ place: String) throws(APIError) {
            guard let value, !value.isNull else { return }
            guard let id = value.string, ObjectID.isValid(id) else {
                throw .invalid(place, "an identifier of 32 hexadecimal digits", found: BodySchema.shown(value))
            }
            found.append((place, id))
        }
        func takeAll(_ value: JSONValue?, _ place: String) throws(APIError) {
            guard let value, !value.isNull else { return }
            guard let values = value.array else { throw .invalid(place, "an array", found: value.kind) }
            for value in values { try take(value, place) }
        }
        try take(value["fallback_pool"], path + "fallback_pool")
        try takeAll(value["default_pools"], path + "default_pools")
        for name in ["region_pools", "pop_pools", "country_pools"] {
            guard let groups = value[name], !groups.isNull else { continue }
            guard let groups = groups.object else { throw .invalid(path + name, "an object", found: groups.kind) }
            for (group, ids) in groups.members { try takeAll(ids, "\(path)\(name).\(group.prefix(32))") }
        }
        return found
    }

    private static let healthchecks = ObjectKind(
        kind: "healthcheck", title: "health check", tag: "Health Checks", path: "/zones/{zone_id}/healthchecks",
        variable: "healthcheck_id", read: .zone("Health Checks", .read), write: .zone("Health Checks", .write),
        members: [
            .required("name", .string(1...100)), .required("address", .string(1...253)),
            .optional("description", .text(1000)),
            .optional("type", .choice(["HTTP", "HTTPS", "TCP"])), .optional("suspended", .boolean),
            .optional("interval", .integer(5...3600)), .optional("retries", .integer(0...5)),
            .optional("timeout", .integer(1...120)), .optional("consecutive_fails", .integer(1...100)),
            .optional("consecutive_successes", .integer(1...100)),
            .optional("check_regions", .nullable(.array(.text(16), count: 0...64))),
            .optional("http_config", .nullable(.map(.anything))), .optional("tcp_config", .nullable(.map(.anything))),
            .readOnly("status", .choice(["unknown", "healthy", "unhealthy", "suspended"])),
            .readOnly("failure_reason", .text(1000)),
        ],
        standards: [
            "description": "", "type": "HTTP", "suspended": false, "interval": 60, "retries": 2, "timeout": 5,
            "consecutive_fails": 1, "consecutive_successes": 1, "status": "unknown", "failure_reason": "",
        ])
}
