// Zones: a domain, the account it belongs to, and what is set for all of it.

import ConfigLog
import JSON
import Limits

/// A zone as it is stored.
struct ZoneRow: Sendable {
    var id: String
    var accountID: String
    var accountName: String
    var name: String
    var status: String
    var isPaused: Bool
    var type: String
    var createdOn: APITime
    var modifiedOn: APITime
    var activatedOn: APITime?
    /// Until when nothing is cached; 0: not so.
    var developmentMode: APITime
    var nameServers: JSONValue
    var vanityNameServers: JSONValue

    static let exists = APIError(400, 1061, "The zone exists already; a name belongs to one zone")

    private static let select = """
        SELECT z.id, z.account_id, a.name, z.name, z.status, z.paused, z.type, z.created_on, z.modified_on, \
        z.activated_on, z.development_mode, z.name_servers, z.vanity_name_servers \
        FROM zones z JOIN accounts a ON a.id = z.account_id
        """

    private init(_ row: SQLRow) throws {
        id = try row.text(0)
        accountID = try row.text(1)
        accountName = try row.text(2)
        name = try row.text(3)
        status = try row.text(4)
        isPaused = try row.bool(5)
        type = try row.text(6)
        createdOn = APITime(microseconds: try row.integer(7))
        modifiedOn = APITime(microseconds: try row.integer(8))
        activatedOn = try row.integerOrNil(9).map { APITime(microseconds: $0) }
        developmentMode = APITime(microseconds: try row.integer(10))
        nameServers = try JSONValue(stored: try row.text(11))
        vanityNameServers = try JSONValue(stored: try row.text(12))
    }

    /// A new one, active at once: who runs the control plane decides what it serves.
    init(
        id: String, name: DomainName, account: AccountRow, type: String, nameServers: [String], at now: APITime
    ) {
        self.id = id
        accountID = account.id
        accountName = account.name
        self.name = name.text
        status = "active"
        isPaused = false
        self.type = type
        (createdOn, modifiedOn, activatedOn) = (now, now, now)
        developmentMode = APITime(microseconds: 0)
        self.nameServers = .array(nameServers.map { .string($0) })
        vanityNameServers = []
    }

    static func find(_ id: String, _ transaction: Transaction) throws -> ZoneRow? {
        guard ObjectID.isValid(id) else { return nil }
        return try transaction.first("\(select) WHERE z.id = ?", [.text(id)]).map { try ZoneRow($0) }
    }

    /// Those that conditions hold for, each with the values of its placeholders.
    static func all(
        _ conditions: [(sql: String, values: [SQLValue])], match: String, order: String, _ paging: Paging,
        _ transaction: Transaction
    ) throws -> (rows: [ZoneRow], total: Int) {
        let joined = conditions.isEmpty ? "1 = 1" : conditions.map { "(\($0.sql))" }.joined(separator: match)
        let values = conditions.flatMap(\.values)
        let rows = try transaction.query(
            "\(select) WHERE \(joined) ORDER BY \(order) LIMIT ? OFFSET ?",
            values + [SQLValue(paging.perPage), SQLValue(paging.offset)])
        let total = try transaction.first(
            "SELECT count(*) FROM zones z JOIN accounts a ON a.id = z.account_id WHERE \(joined)", values)
        return (try rows.map { try ZoneRow($0) }, Int(try total?.integer(0) ?? 0))
    }

    func insert(_ transaction: Transaction) throws {
        try transaction.execute(
            """
            INSERT INTO zones (id, account_id, name, status, paused, type, created_on, modified_on, activated_on, \
            development_mode, name_servers, vanity_name_servers, meta, version) \
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                .text(id), .text(accountID), .text(name), .text(status), SQLValue(isPaused), .text(type),
                SQLValue(createdOn), SQLValue(modifiedOn), SQLValue(activatedOn), SQLValue(developmentMode),
                .text(nameServers.text), .text(vanityNameServers.text), "{}", 1,
            ])
        publish(transaction)
    }

    mutating func update(at now: APITime, _ transaction: Transaction) throws {
        modifiedOn = now
        try transaction.execute(
            """
            UPDATE zones SET paused = ?, type = ?, modified_on = ?, development_mode = ?, vanity_name_servers = ?, \
            version = version + 1 WHERE id = ?
            """,
            [
                SQLValue(isPaused), .text(type), SQLValue(modifiedOn), SQLValue(developmentMode),
                .text(vanityNameServers.text), .text(id),
            ])
        publish(transaction)
    }

    /// Where its changes stand in the audit log: with its account, which outlives it.
    var auditScope: String { "account/\(accountID)/zone/\(id)" }

    // MARK: For the edge

    private var nameKey: String { "name/\(name)" }
    func key(_ rest: String) -> String { "zone/\(id)/\(rest)" }

    private func publish(_ transaction: Transaction) {
        transaction.publish(Change(key: nameKey, value: ObjectID.bytes(id)))
        let meta: JSONValue = [
            "id": .string(id), "name": .string(name), "account": .string(accountID), "status": .string(status),
            "paused": .boolean(isPaused), "type": .string(type),
            "development_mode_until": .number(JSONNumber(developmentMode.microseconds)),
        ]
        transaction.publish(Change(key: key("meta"), value: meta.bytes))
    }

    func delete(_ transaction: Transaction) throws {
        try Sites.release(self, transaction)
        let records = try transaction.query("SELECT id FROM dns_records WHERE zone_id = ?", [.text(id)])
        for row in records { transaction.publish(Change(key: key("dns/\(try row.text(0))"), value: nil)) }
        let objects = try transaction.query("SELECT kind, id FROM objects WHERE scope_id = ?", [.text(id)])
        for row in objects {
            let (kind, objectID) = (try row.text(0), try row.text(1))
            let gone =
                switch kind {
                case Purges.kind: Purges.key(id, objectID)
                case "site": key("site")
                default: key("\(kind)/\(objectID)")
                }
            transaction.publish(Change(key: gone, value: nil))
        }
        try transaction.execute(
            "DELETE FROM secrets WHERE object_id IN (SELECT id FROM objects WHERE scope_id = ?)", [.text(id)])
        try transaction.execute("DELETE FROM objects WHERE scope_id = ?", [.text(id)])
        try transaction.execute("DELETE FROM zones WHERE id = ?", [.text(id)])
        transaction.publish(Change(key: key("meta"), value: nil))
        transaction.publish(Change(key: nameKey, value: nil))
    }

    // MARK: As it is shown

    /// Seconds that development mode lasts yet; below zero: how long ago it ended; 0: never used.
    func developmentSeconds(at now: APITime) -> Int64 {
        developmentMode.microseconds == 0 ? 0 : (developmentMode.microseconds - now.microseconds) / 1_000_000
    }

    func json(at now: APITime) -> JSONValue {
        [
            "id": .string(id), "name": .string(name), "status": .string(status), "paused": .boolean(isPaused),
            "type": .string(type), "development_mode": .number(JSONNumber(developmentSeconds(at: now))),
            "name_servers": nameServers, "original_name_servers": nil, "original_registrar": nil,
            "original_dnshost": nil, "vanity_name_servers": vanityNameServers, "modified_on": modifiedOn.json,
            "created_on": createdOn.json, "activated_on": activatedOn?.json ?? .null,
            "meta": [
                "step": 4, "custom_certificate_quota": 100, "page_rule_quota": 100, "phishing_detected": false,
                "cdn_only": false, "dns_only": false, "foundation_dns": false,
            ],
            "owner": ["id": nil, "type": "user", "email": nil],
            "account": ["id": .string(accountID), "name": .string(accountName)],
            "tenant": ["id": nil, "name": nil], "tenant_unit": ["id": nil],
            "permissions": ["#zone:read", "#zone:edit", "#dns_records:read", "#dns_records:edit"],
            "plan": Zones.plan,
        ]
    }
}

/// `/zones`
enum Zones {
    static let plan: JSONValue = [
        "id": "94f3b7b768b0458b56d2cac4fe5ec0f9", "name": "Enterprise Website", "price": 0, "currency": "USD",
        "frequency": "monthly", "is_subscribed": true, "can_subscribe": false, "legacy_id": "enterprise",
        "legacy_discount": false, "externally_managed": true,
    ]

    static let read = Permission.zone("Zone", .read)
    static let write = Permission.zone("Zone", .write)
    private static let types = ["full", "partial", "secondary", "internal"]
    private static let shape = BodySchema.named(
        "Zone",
        .object([
            .readOnly("id", .id), .required("name", .string(1...253, .hostname)),
            .optional("account", .object([.optional("id", .id)])), .optional("type", .choice(types)),
            .optional("jump_start", .boolean), .optional("paused", .boolean),
            .optional("vanity_name_servers", .array(.string(1...253, .hostname), count: 0...16)),
            .optional("plan", .anything), .readOnly("status", .choice(["initializing", "pending", "active", "moved"])),
            .readOnly("name_servers", .array(.text(253), count: 0...16)), .readOnly("created_on", .time),
            .readOnly("modified_on", .time), .readOnly("activated_on", .time),
        ]))

    static let routes: [Route] = [
        Route(
            .get, "/zones", "Zones", "List zones", needs: .token,
            query: [
                .init(
                    name: "name", schema: .text(300),
                    about: "Exactly, or with contains:, starts_with:, ends_with:, not: in front."),
                .init(name: "status", schema: .choice(["initializing", "pending", "active", "moved"]), about: ""),
                .init(name: "account.id", schema: .id, about: ""),
                .init(name: "account.name", schema: .text(100), about: ""),
                .init(name: "order", schema: .choice(Array(orders.keys.sorted())), about: ""),
                .init(name: "direction", schema: .choice(["asc", "desc"]), about: ""),
                .init(name: "match", schema: .choice(["any", "all"]), about: ""),
            ], isPaged: true, result: .array(shape, count: 0...Limits.apiZonesPerPageMax), handle: list),
        Route(
            .post, "/zones", "Zones", "Create a zone", needs: .each(write), payload: .json(shape), result: shape,
            handle: create),
        Route(.get, "/zones/{zone_id}", "Zones", "Show a zone", needs: .zone(read), result: shape) {
            .result(try $0.theZone().json(at: $0.now))
        },
        Route(
            .patch, "/zones/{zone_id}", "Zones", "Change a zone", needs: .zone(write),
            payload: .json(shape, isPartial: true), result: shape, handle: edit),
        Route(
            .delete, "/zones/{zone_id}", "Zones", "Delete a zone with all that is in it", needs: .zone(write),
            handle: delete),
        Route(
            .put, "/zones/{zone_id}/activation_check", "Zones", "Check the activation again", needs: .zone(write),
            payload: .optional(.anything)
        ) { .result(["id": .string(try $0.theZone().id)]) },
        Route(.get, "/zones/{zone_id}/available_plans", "Zones", "List the plans: there is one", needs: .zone(read)) {
            _ in
            .result([Zones.plan])
        },
    ]

    private static let orders = [
        "name": "z.name", "status": "z.status", "account.id": "z.account_id", "account.name": "a.name",
        "plan.name": "z.name",
    ]

    private static func list(_ call: APICall) throws -> APIAnswer {
        let query = call.query
        let paging = try call.paging(standard: Limits.apiZonesPerPage, maximum: Limits.apiZonesPerPageMax)
        var filters: [(sql: String, values: [SQLValue])] = []
        if let name = query["name"] { filters.append(TextFilter(prefixed: name).condition("z.name")) }
        if let status = query["status"] { filters.append(("z.status = ?", [.text(status)])) }
        if let id = query["account.id"] { filters.append(("z.account_id = ?", [.text(id)])) }
        if let name = query["account.name"] { filters.append(TextFilter(prefixed: name).condition("a.name")) }
        let match = try query.choice("match", ["any", "all"]) == "any" ? " OR " : " AND "
        let direction = try query.choice("direction", ["asc", "desc"]) ?? "asc"
        let column = try query.choice("order", Array(orders.keys)).flatMap { orders[$0] } ?? "z.name"
        // Whom the caller may see comes on top of what is asked for.
        var conditions: [(sql: String, values: [SQLValue])] = [visible(call.caller)]
        if !filters.isEmpty {
            conditions.append((filters.map { "(\($0.sql))" }.joined(separator: match), filters.flatMap(\.values)))
        }
        let found = try ZoneRow.all(
            conditions, match: " AND ", order: "\(column) \(direction), z.id \(direction)", paging, call.transaction)
        return .page(found.rows.map { $0.json(at: call.now) }, paging.info(count: found.rows.count, total: found.total))
    }

    /// The condition that a zone is one the caller may read. Denials are looked at as well as permissions.
    static func visible(_ caller: Caller) -> (sql: String, values: [SQLValue]) {
        let allowed = union(caller.policies.filter(\.isAllow))
        let denied = union(caller.policies.filter { !$0.isAllow })
        var condition = (sql: "(\(allowed.sql)) AND NOT (\(denied.sql))", values: allowed.values + denied.values)
        if let accountID = caller.accountID {
            condition.sql += " AND z.account_id = ?"
            condition.values.append(.text(accountID))
        }
        return condition
    }

    /// Zones that policies name: one list for each account, since databases bound how deep a condition may be.
    private static func union(_ policies: [TokenPolicy]) -> (sql: String, values: [SQLValue]) {
        func id(_ text: String, _ scope: Permission.Scope) -> String? {
            text.hasPrefix(scope.rawValue + ".") ? String(text.dropFirst(scope.rawValue.count + 1)) : nil
        }
        // "*" stands for every account.
        var zones: [String: Set<String>] = [:]
        for policy in policies where policy.groups.contains(where: { read.isGranted(by: $0) }) {
            for (outer, resource) in policy.resources {
                guard let zone = id(resource, .zone), let account = outer.map({ id($0, .account) }) ?? "*" else {
                    continue
                }
                zones[account, default: []].insert(zone)
            }
        }
        var parts: [String] = []
        var values: [SQLValue] = []
        for (account, names) in zones.sorted(by: { $0.key < $1.key }) {
            var part = "1 = 1"
            if account != "*" {
                part = "z.account_id = ?"
                values.append(.text(account))
            }
            if !names.contains("*") {
                part += " AND z.id IN (\(names.map { _ in "?" }.joined(separator: ", ")))"
                values += names.sorted().map { .text($0) }
            }
            parts.append("(\(part))")
        }
        return (parts.isEmpty ? "1 = 0" : parts.joined(separator: " OR "), values)
    }

    private static func create(_ call: APICall) throws -> APIAnswer {
        let type = call.body["type"]?.string ?? "full"
        let name = try name(type, call)
        let account = try account(call)
        try call.caller.require(write, .zone("*", account: account.id))
        try requireOwnNames(name, account, call)
        var zone = ZoneRow(
            id: call.newID(), name: name, account: account, type: type,
            nameServers: try NameServers.of(account, call.transaction), at: call.now)
        if call.restoredID != nil {
            zone.isPaused = call.body["paused"]?.boolean ?? false
            zone.vanityNameServers = call.body["vanity_name_servers"] ?? []
        }
        try zone.insert(call.transaction)
        let shown = zone.json(at: call.now)
        call.audit("create", "zone", zone.id, after: shown, scope: zone.auditScope)
        return .result(shown)
    }

    /// What no name server answers for may have names that no registry gives out: `localhost`, an address, or `*` for
    /// every host that no other zone takes.
    private static func name(_ type: String, _ call: APICall) throws -> DomainName {
        if let name = call.body["name"]?.string.flatMap({ DomainName($0, allowsWildcard: type == "internal") }),
            type == "internal" ? name.text == "*" || !name.text.hasPrefix("*") : name.labels.count > 1
        {
            return name
        }
        throw APIError.invalid(
            "name", "a domain name such as example.com", found: call.body["name"].map(BodySchema.shown))
    }

    /// A zone above or below it must be the same account's: the longest name that fits takes a request.
    private static func requireOwnNames(_ name: DomainName, _ account: AccountRow, _ call: APICall) throws {
        // A name of one label has none above it, and a list may not be empty.
        let above = name.labels.indices.dropFirst().map { name.labels[$0...].joined(separator: ".") } + ["."]
        let pattern = TextFilter(.endswith, "." + name.text).condition("name")
        let others = try call.transaction.first(
            """
            SELECT name FROM zones WHERE account_id <> ? AND (name IN (\(above.map { _ in "?" }.joined(separator: ", "))) \
            OR \(pattern.sql)) LIMIT 1
            """, [.text(account.id)] + above.map { .text($0) } + pattern.values)
        guard others == nil else {
            throw APIError(403, 1105, "\(name.text) lies above or below a zone of another account")
        }
        if let claimant = try Sites.claimant(of: [name.text] + above, call.transaction) {
            throw APIError(409, 1106, "\(name.text) is a hostname of the site of \(claimant): remove it there first")
        }
    }

    /// The one that is named, else the only one there is.
    private static func account(_ call: APICall) throws -> AccountRow {
        if let id = call.body["account"]?["id"]?.string {
            guard let account = try AccountRow.find(id, call.transaction) else {
                throw APIError.notFound("account", id)
            }
            return account
        }
        let accounts = try AccountRow.all(call.transaction).filter {
            call.caller.accountID == nil || $0.id == call.caller.accountID
        }
        guard accounts.count == 1, let only = accounts.first else {
            throw APIError.invalid(
                "account.id", "the identifier of one of your \(accounts.count) accounts", found: "nothing")
        }
        return only
    }

    private static func edit(_ call: APICall) throws -> APIAnswer {
        var zone = try call.theZone()
        let before = zone.json(at: call.now)
        if let paused = call.body["paused"]?.boolean { zone.isPaused = paused }
        if let type = call.body["type"]?.string { zone.type = type }
        if let names = call.body["vanity_name_servers"] { zone.vanityNameServers = names }
        try zone.update(at: call.now, call.transaction)
        let shown = zone.json(at: call.now)
        call.audit("update", "zone", zone.id, before: before, after: shown)
        return .result(shown)
    }

    /// What goes with the zone, each with a row of its own: so its history tells what there was.
    private static func auditContents(_ zone: ZoneRow, _ call: APICall) throws {
        let records = try RecordRow.select(
            where: "zone_id = ?", [.text(zone.id)], order: "id", limit: Limits.apiRecordsPerZoneMax, offset: 0,
            call.transaction)
        for record in records { call.audit("delete", "dns_record", record.id, before: .object(record.json)) }
        let settings = try call.transaction.query(
            "SELECT id, body FROM objects WHERE kind = 'setting' AND scope_id = ?", [.text(zone.id)])
        for row in settings {
            call.audit("delete", "setting", try row.text(0), before: try JSONValue(stored: try row.text(1)))
        }
        for kind in ["ruleset", "site", "load_balancer", "healthcheck", "pagerule"] {
            for row in try ObjectRow.all(kind, zone.id, call.transaction) {
                let isSite = kind == "site"
                call.audit(
                    "delete", kind, isSite ? zone.id : row.id, before: .object(isSite ? row.body : row.json))
            }
        }
    }

    private static func delete(_ call: APICall) throws -> APIAnswer {
        let zone = try call.theZone()
        try auditContents(zone, call)
        try zone.delete(call.transaction)
        call.audit("delete", "zone", zone.id, before: zone.json(at: call.now))
        return .result(["id": .string(zone.id)])
    }
}
