// API tokens: of a user (`/user/tokens`) and of an account (`/accounts/{account_id}/tokens`), with the same shape.

import JSON
import Limits

/// A token as it is stored, without its secret, of which only a hash is kept.
struct TokenRow: Sendable {
    enum State: String { case active, disabled, expired }

    var id: String
    var accountID: String?
    var userID: String?
    var name: String
    var policies: JSONValue
    var condition: JSONValue
    var isDisabled: Bool
    var expiresOn: APITime?
    var notBefore: APITime?
    var issuedOn: APITime
    var modifiedOn: APITime
    var lastUsedOn: APITime?

    private static let columns = """
        id, account_id, user_id, name, policies, condition, status, expires_on, not_before, issued_on, modified_on, \
        last_used_on
        """

    private init(_ row: SQLRow) throws {
        func time(_ column: Int) throws -> APITime? { try row.integerOrNil(column).map { APITime(microseconds: $0) } }
        id = try row.text(0)
        accountID = try row.textOrNil(1)
        userID = try row.textOrNil(2)
        name = try row.text(3)
        policies = try JSONValue(stored: try row.text(4))
        condition = try JSONValue(stored: try row.textOrNil(5) ?? "{}")
        isDisabled = try row.text(6) == State.disabled.rawValue
        expiresOn = try time(7)
        notBefore = try time(8)
        issuedOn = APITime(microseconds: try row.integer(9))
        modifiedOn = APITime(microseconds: try row.integer(10))
        lastUsedOn = try time(11)
    }

    /// A new one.
    init(name: String, policies: JSONValue, owner: Tokens.Owner, at now: APITime) {
        id = StoreID.make()
        (accountID, userID) = (owner.accountID, owner.userID)
        self.name = name
        self.policies = policies
        condition = [:]
        isDisabled = false
        (issuedOn, modifiedOn) = (now, now)
    }

    static func find(hash: [UInt8], _ transaction: Transaction) throws -> TokenRow? {
        try transaction.query("SELECT \(columns) FROM tokens WHERE hash = ?", [.blob(hash)]).first.map {
            try TokenRow($0)
        }
    }

    static func find(_ id: String, of owner: Tokens.Owner, _ transaction: Transaction) throws -> TokenRow? {
        try transaction.query(
            "SELECT \(columns) FROM tokens WHERE id = ? AND \(owner.column) = ?", [.text(id), .text(owner.id)]
        ).first.map { try TokenRow($0) }
    }

    static func page(
        of owner: Tokens.Owner, _ paging: Paging, _ transaction: Transaction
    ) throws -> (rows: [TokenRow], total: Int) {
        let rows = try transaction.query(
            "SELECT \(columns) FROM tokens WHERE \(owner.column) = ? ORDER BY issued_on, id LIMIT ? OFFSET ?",
            [.text(owner.id), SQLValue(paging.perPage), SQLValue(paging.offset)]
        ).map { try TokenRow($0) }
        return (rows, try count(of: owner, transaction))
    }

    static func count(of owner: Tokens.Owner, _ transaction: Transaction) throws -> Int {
        Int(
            try transaction.first("SELECT count(*) FROM tokens WHERE \(owner.column) = ?", [.text(owner.id)])?
                .integer(0) ?? 0)
    }

    func insert(hash: [UInt8], _ transaction: Transaction) throws {
        try transaction.execute(
            "INSERT INTO tokens (\(Self.columns), hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                .text(id), SQLValue(accountID), SQLValue(userID), .text(name), .text(policies.text),
                .text(condition.text), .text(storedState), SQLValue(expiresOn), SQLValue(notBefore), SQLValue(issuedOn),
                SQLValue(modifiedOn), SQLValue(lastUsedOn), .blob(hash),
            ])
    }

    func update(_ transaction: Transaction) throws {
        try transaction.execute(
            """
            UPDATE tokens SET name = ?, policies = ?, condition = ?, status = ?, expires_on = ?, not_before = ?, \
            modified_on = ? WHERE id = ?
            """,
            [
                .text(name), .text(policies.text), .text(condition.text), .text(storedState), SQLValue(expiresOn),
                SQLValue(notBefore), SQLValue(modifiedOn), .text(id),
            ])
    }

    private var storedState: String { (isDisabled ? State.disabled : .active).rawValue }

    func state(at now: APITime) -> State {
        if isDisabled { return .disabled }
        if let expiresOn, expiresOn <= now { return .expired }
        if let notBefore, notBefore > now { return .disabled }
        return .active
    }

    /// Whether it may be used from an address (`condition.request_ip`).
    func allows(_ address: String?) -> Bool {
        guard let rule = condition["request_ip"] else { return true }
        guard let address else { return false }
        func holds(_ name: String) -> Bool? {
            guard let blocks = rule[name]?.array, !blocks.isEmpty else { return nil }
            return blocks.contains { $0.string.map { AddressText.block($0, contains: address) } ?? false }
        }
        return holds("in") ?? true && !(holds("not_in") ?? false)
    }

    func json(at now: APITime) -> JSONObject {
        var shown: JSONObject = [
            "id": .string(id), "name": .string(name), "status": .string(state(at: now).rawValue),
            "issued_on": issuedOn.json, "modified_on": modifiedOn.json, "policies": policies,
        ]
        if let lastUsedOn { shown["last_used_on"] = lastUsedOn.json }
        if let notBefore { shown["not_before"] = notBefore.json }
        if let expiresOn { shown["expires_on"] = expiresOn.json }
        if condition.object?.isEmpty == false { shown["condition"] = condition }
        return shown
    }
}

enum Tokens {
    /// Whose a token is.
    enum Owner: Sendable {
        case user(String)
        case account(String)

        var id: String {
            switch self {
            case .user(let id), .account(let id): id
            }
        }
        var column: String {
            switch self {
            case .user: "user_id";
            case .account: "account_id"
            }
        }
        var userID: String? { if case .user(let id) = self { id } else { nil } }
        var accountID: String? { if case .account(let id) = self { id } else { nil } }
    }

    private static let blocks = BodySchema.array(.string(1...64, .address), count: 0...256)
    private static let policy = BodySchema.named(
        "TokenPolicy",
        .object([
            .readOnly("id", .id), .required("effect", .choice(["allow", "deny"])),
            .required(
                "permission_groups",
                .array(
                    .object([.required("id", .id), .optional("name", .text(255)), .optional("meta", .anything)]),
                    count: 1...128)),
            .required(
                "resources", .map(.oneOf([.text(64), .map(.text(64))])), "com.cloudflare.api.account.zone.ID or .*"),
        ]))
    static let shape = BodySchema.named(
        "Token",
        .object([
            .readOnly("id", .id), .required("name", .string(1...120)),
            .required("policies", .array(policy, count: 1...Limits.apiPoliciesMax)),
            .optional(
                "condition",
                .object([.optional("request_ip", .object([.optional("in", blocks), .optional("not_in", blocks)]))])),
            .optional("expires_on", .nullable(.time)), .optional("not_before", .nullable(.time)),
            .optional("status", .choice(["active", "disabled", "expired"])), .readOnly("issued_on", .time),
            .readOnly("modified_on", .time), .readOnly("last_used_on", .time),
        ]))

    static let routes: [Route] =
        routes("/user/tokens", "User", need: { .user(.user("API Tokens", $0)) })
        + routes("/accounts/{account_id}/tokens", "Accounts", need: { .account(.account("Account API Tokens", $0)) })

    private static func routes(_ path: String, _ tag: String, need: (Permission.Level) -> Need) -> [Route] {
        let one = path + "/{token_id}"
        return [
            Route(.get, path, tag, "List tokens", needs: need(.read), isPaged: true, handle: list),
            Route(
                .post, path, tag, "Make a token; its secret is shown this once", needs: need(.write),
                payload: .json(shape), result: shape, handle: create),
            Route(
                .get, path + "/verify", tag, "Check the token that the request is made with", needs: .nothing,
                handle: verify),
            Route(.get, path + "/permission_groups", tag, "List what tokens can allow", needs: .token, handle: groups),
            Route(.get, one, tag, "Show a token", needs: need(.read), result: shape) {
                .result(try token($0).json(at: $0.now))
            },
            Route(
                .put, one, tag, "Change a token", needs: need(.write), payload: .json(shape), result: shape,
                handle: update),
            Route(.delete, one, tag, "Revoke a token", needs: need(.write), handle: delete),
            Route(
                .put, one + "/value", tag, "Roll a token: a new secret, and the old one is void", needs: need(.write),
                payload: .optional(.object([])), handle: roll),
        ]
    }

    private static func owner(_ call: APICall) throws(APIError) -> Owner {
        if let account = call.account { return .account(account.id) }
        guard let userID = call.caller.userID else { throw .forbidden("a token that belongs to a user") }
        return .user(userID)
    }

    private static func token(_ call: APICall) throws -> TokenRow {
        let id = call.parameter("token_id")
        guard let token = try TokenRow.find(id, of: owner(call), call.transaction) else {
            throw APIError.notFound("token", id)
        }
        return token
    }

    private static func list(_ call: APICall) throws -> APIAnswer {
        let paging = try call.paging()
        let (tokens, total) = try TokenRow.page(of: owner(call), paging, call.transaction)
        return .page(
            tokens.map { .object($0.json(at: call.now)) }, paging.info(count: tokens.count, total: total))
    }

    private static func create(_ call: APICall) throws -> APIAnswer {
        let owner = try owner(call)
        guard try TokenRow.count(of: owner, call.transaction) < Limits.apiTokensMax else {
            throw APIError.conflict("There are \(Limits.apiTokensMax) tokens already, which is the most there may be")
        }
        var token = TokenRow(name: "", policies: [], owner: owner, at: call.now)
        try take(call, into: &token)
        let secret = APIToken.make()
        try token.insert(hash: APIToken.hash(secret), call.transaction)
        call.audit("create", "token", token.id, after: .object(token.json(at: call.now)))
        var shown = token.json(at: call.now)
        shown["value"] = .string(secret)
        return .result(shown)
    }

    private static func update(_ call: APICall) throws -> APIAnswer {
        var token = try token(call)
        let before = token.json(at: call.now)
        try take(call, into: &token)
        token.modifiedOn = call.now
        try token.update(call.transaction)
        call.audit("update", "token", token.id, before: .object(before), after: .object(token.json(at: call.now)))
        return .result(token.json(at: call.now))
    }

    private static func take(_ call: APICall, into token: inout TokenRow) throws {
        let body = call.body
        token.name = body["name"]?.string ?? token.name
        token.policies = .array(try (body["policies"]?.array ?? []).enumerated().map { try policy($1, at: $0, call) })
        token.condition = body["condition"] ?? [:]
        token.expiresOn = body["expires_on"]?.string.flatMap(APITime.init(parsing:))
        token.notBefore = body["not_before"]?.string.flatMap(APITime.init(parsing:))
        token.isDisabled = body["status"]?.string == TokenRow.State.disabled.rawValue
    }

    /// Nobody makes a token that can do more than the one it is made with.
    private static func policy(_ json: JSONValue, at index: Int, _ call: APICall) throws -> JSONValue {
        var policy: JSONObject = ["id": .string(StoreID.make()), "effect": json["effect"] ?? "allow"]
        var groups: [JSONValue] = []
        for (place, group) in (json["permission_groups"]?.array ?? []).enumerated() {
            guard let known = group["id"]?.string.flatMap(PermissionGroup.find) else {
                throw APIError.invalid(
                    "policies.\(index).permission_groups.\(place).id", "one of GET …/tokens/permission_groups",
                    found: group["id"].map(BodySchema.shown))
            }
            groups.append(["id": .string(known.id), "name": .string(known.name)])
        }
        policy["permission_groups"] = .array(groups)
        policy["resources"] = json["resources"] ?? [:]
        try checkResources(json["resources"], at: "policies.\(index).resources")
        let count = TokenPolicy(.object(policy)).resources.count
        guard count <= Limits.apiPolicyResourcesMax else {
            throw APIError.invalid(
                "policies.\(index).resources", "at most \(Limits.apiPolicyResourcesMax) resources", found: "\(count)")
        }
        try requireMayGrant(TokenPolicy(.object(policy)), call)
        return .object(policy)
    }

    /// - Throws: `APIError` for what names nothing: it would allow nothing, and nobody would see why.
    private static func checkResources(_ value: JSONValue?, at path: String) throws(APIError) {
        guard let members = value?.object?.members, !members.isEmpty else {
            throw .invalid(path, "at least one resource", found: "none")
        }
        for (name, value) in members {
            guard isResource(name, [.account, .zone, .user]) else {
                throw .invalid(
                    path, "com.cloudflare.api.account.zone.ID and the like, or .*", found: "\(name.prefix(100))")
            }
            if let inner = value.object {
                guard isResource(name, [.account]), !inner.isEmpty else {
                    throw .invalid("\(path).\(name.prefix(100))", "zones within an account")
                }
                for (zone, value) in inner.members where !isResource(zone, [.zone]) || value.string != "*" {
                    throw .invalid(
                        "\(path).\(name.prefix(100))", "zones, each with \"*\"", found: "\(zone.prefix(100))")
                }
            } else if value.string != "*" {
                throw .invalid("\(path).\(name.prefix(100))", "\"*\"", found: BodySchema.shown(value))
            }
        }
    }

    private static func isResource(_ name: String, _ scopes: [Permission.Scope]) -> Bool {
        guard let dot = name.lastIndex(of: ".") else { return false }
        let id = name[name.index(after: dot)...]
        return scopes.contains { $0.rawValue == name[..<dot] } && (id == "*" || ObjectID.isValid(String(id)))
    }

    /// - Throws: `APIError` if the caller could do by a policy what they cannot do themselves.
    private static func requireMayGrant(_ policy: TokenPolicy, _ call: APICall) throws(APIError) {
        guard policy.isAllow else { return }
        // What is denied to the caller would have to be denied to the token, now and later.
        guard call.caller.policies.allSatisfy(\.isAllow), !call.caller.isBounded else {
            throw .forbidden("a token without denials, expiry and addresses, to make, change or roll others")
        }
        for group in policy.groups {
            for (outer, resource) in policy.resources {
                let isHeld = call.caller.policies.contains { $0.covers(group, resource, within: outer) }
                guard isHeld else {
                    throw .forbidden("\(group.name) on \(resource.prefix(100)), which the token would have")
                }
            }
        }
    }

    private static func delete(_ call: APICall) throws -> APIAnswer {
        let token = try token(call)
        try call.transaction.execute("DELETE FROM tokens WHERE id = ?", [.text(token.id)])
        call.audit("delete", "token", token.id, before: .object(token.json(at: call.now)))
        return .result(["id": .string(token.id)])
    }

    private static func roll(_ call: APICall) throws -> APIAnswer {
        let token = try token(call)
        // Whoever has the new secret can do what the token can.
        for policy in token.policies.array ?? [] { try requireMayGrant(TokenPolicy(policy), call) }
        let secret = APIToken.make()
        try call.transaction.execute(
            "UPDATE tokens SET hash = ?, modified_on = ? WHERE id = ?",
            [.blob(APIToken.hash(secret)), .integer(call.now.microseconds), .text(token.id)])
        call.audit("roll", "token", token.id)
        return .result(.string(secret))
    }

    private static func verify(_ call: APICall) throws -> APIAnswer {
        guard let id = call.caller.tokenID,
            let owner = call.caller.userID.map(Owner.user) ?? call.caller.accountID.map(Owner.account),
            let token = try TokenRow.find(id, of: owner, call.transaction)
        else { throw APIError.unauthenticated }
        var shown: JSONObject = ["id": .string(id), "status": .string(token.state(at: call.now).rawValue)]
        if let notBefore = token.notBefore { shown["not_before"] = notBefore.json }
        if let expiresOn = token.expiresOn { shown["expires_on"] = expiresOn.json }
        return .result(shown)
    }

    private static func groups(_ call: APICall) throws -> APIAnswer {
        .result(.array(PermissionGroup.all.map(\.json)))
    }
}
