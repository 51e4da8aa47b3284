import JSON
import Limits

/// An account as it is stored.
struct AccountRow: Sendable {
    var id: String
    var name: String
    var settings: JSONValue
    var createdOn: APITime

    private static let columns = "id, name, settings, created_on"

    private init(_ row: SQLRow) throws {
        id = try row.text(0)
        name = try row.text(1)
        settings = try JSONValue(stored: try row.text(2))
        createdOn = APITime(microseconds: try row.integer(3))
    }

    static func find(_ id: String, _ transaction: Transaction) throws -> AccountRow? {
        guard ObjectID.isValid(id) else { return nil }
        return try transaction.query("SELECT \(columns) FROM accounts WHERE id = ?", [.text(id)]).first.map {
            try AccountRow($0)
        }
    }

    /// In the order of their names.
    static func all(_ transaction: Transaction) throws -> [AccountRow] {
        try transaction.query("SELECT \(columns) FROM accounts ORDER BY name, id").map { try AccountRow($0) }
    }

    /// Stores a new one.
    static func insert(id: String, name: String, at now: APITime, _ transaction: Transaction) throws {
        try transaction.execute(
            "INSERT INTO accounts (id, name, settings, created_on, modified_on) VALUES (?, ?, ?, ?, ?)",
            [
                .text(id), .text(name), .text(Accounts.standardSettings.text), .integer(now.microseconds),
                .integer(now.microseconds),
            ])
    }

    var json: JSONValue {
        [
            "id": .string(id), "name": .string(name), "type": "standard", "settings": settings,
            "created_on": createdOn.json,
        ]
    }

    /// As other objects show theirs.
    var reference: JSONValue { ["id": .string(id), "name": .string(name)] }
}

/// `/accounts`
enum Accounts {
    static let standardSettings: JSONObject = ["enforce_twofactor": false]

    private static let shape = BodySchema.named(
        "Account",
        .object([
            .readOnly("id", .id), .required("name", .string(1...100), "Shown to people."),
            .readOnly("type", .choice(["standard"])),
            .optional("settings", .object([.optional("enforce_twofactor", .boolean)])), .readOnly("created_on", .time),
        ]))
    private static let read = Permission.account("Account Settings", .read)
    private static let write = Permission.account("Account Settings", .write)

    static let routes: [Route] = [
        Route(
            .get, "/accounts", "Accounts", "List the accounts that the token reaches", needs: .token,
            query: [.init(name: "name", schema: .text(100), about: "Exactly this name.")], isPaged: true,
            result: .array(shape, count: 0...Limits.apiObjectsPerPageMax), handle: list),
        Route(.get, "/accounts/{account_id}", "Accounts", "Show an account", needs: .account(read), result: shape) {
            .result(try $0.theAccount().json)
        },
        Route(
            .put, "/accounts/{account_id}", "Accounts", "Change an account", needs: .account(write),
            payload: .json(shape), result: shape, handle: update),
        Route(
            .get, "/memberships", "Accounts", "List the accounts that the user belongs to", needs: .token,
            isPaged: true,
            handle: memberships),
    ]

    /// Those that a policy names, and those that have a zone the caller may read.
    private static func visible(_ call: APICall) throws -> [AccountRow] {
        let zones = Zones.visible(call.caller)
        let rows = try call.transaction.query(
            "SELECT DISTINCT z.account_id FROM zones z WHERE \(zones.sql)", zones.values)
        let withZones = Set(try rows.map { try $0.text(0) })
        return try AccountRow.all(call.transaction).filter { account in
            if let own = call.caller.accountID { return own == account.id }
            return withZones.contains(account.id)
                || call.caller.policies.contains { policy in
                    policy.isAllow
                        && policy.resources.contains {
                            Target.account(account.id).isMeant(by: $0.resource, within: nil)
                        }
                }
        }
    }

    private static func list(_ call: APICall) throws -> APIAnswer {
        let name = call.query["name"]
        let accounts = try visible(call).filter { name == nil || $0.name == name }
        let paging = try call.paging()
        let page = paging.slice(accounts)
        return .page(page.map(\.json), paging.info(count: page.count, total: accounts.count))
    }

    private static func update(_ call: APICall) throws -> APIAnswer {
        var account = try call.theAccount()
        let before = account.json
        account.name = call.body["name"]?.string ?? account.name
        if let settings = call.body["settings"]?.object {
            account.settings = .object((account.settings.object ?? [:]).merging(settings))
        }
        try call.transaction.execute(
            "UPDATE accounts SET name = ?, settings = ?, modified_on = ? WHERE id = ?",
            [.text(account.name), .text(account.settings.text), .integer(call.now.microseconds), .text(account.id)])
        call.audit("update", "account", account.id, before: before, after: account.json)
        return .result(account.json)
    }

    private static func memberships(_ call: APICall) throws -> APIAnswer {
        let accounts = try visible(call)
        let paging = try call.paging()
        let page = paging.slice(accounts)
        let values: [JSONValue] = page.map { account in
            [
                "id": .string(account.id), "status": "accepted", "account": account.json, "roles": [],
                "api_access_enabled": true, "code": "", "permissions": [:],
            ]
        }
        return .page(values, paging.info(count: page.count, total: accounts.count))
    }
}
