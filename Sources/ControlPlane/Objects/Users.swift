import JSON

/// A user as it is stored.
struct UserRow: Sendable {
    var id: String
    var email: String
    var firstName: String?
    var lastName: String?
    var createdOn: APITime
    var modifiedOn: APITime

    static func find(_ id: String, _ transaction: Transaction) throws -> UserRow? {
        try transaction.query(
            "SELECT id, email, first_name, last_name, created_on, modified_on FROM users WHERE id = ?", [.text(id)]
        ).first.map { row in
            UserRow(
                id: try row.text(0), email: try row.text(1), firstName: try row.textOrNil(2),
                lastName: try row.textOrNil(3), createdOn: APITime(microseconds: try row.integer(4)),
                modifiedOn: APITime(microseconds: try row.integer(5)))
        }
    }

    static func insert(id: String, email: String, at now: APITime, _ transaction: Transaction) throws {
        try transaction.execute(
            "INSERT INTO users (id, email, created_on, modified_on) VALUES (?, ?, ?, ?)",
            [.text(id), .text(email), .integer(now.microseconds), .integer(now.microseconds)])
    }

    var json: JSONValue {
        [
            "id": .string(id), "email": .string(email), "username": .string(email),
            "first_name": firstName.map { .string($0) } ?? .null, "last_name": lastName.map { .string($0) } ?? .null,
            "telephone": nil, "country": nil, "zipcode": nil, "two_factor_authentication_enabled": false,
            "two_factor_authentication_locked": false, "has_pro_zones": false, "has_business_zones": false,
            "has_enterprise_zones": true, "suspended": false, "betas": [], "organizations": [],
            "created_on": createdOn.json, "modified_on": modifiedOn.json,
        ]
    }
}

/// `/user`
enum Users {
    private static let shape = BodySchema.named(
        "User",
        .object([
            .readOnly("id", .id), .readOnly("email", .text(255)), .optional("first_name", .nullable(.text(60))),
            .optional("last_name", .nullable(.text(60))), .readOnly("created_on", .time),
            .readOnly("modified_on", .time),
        ]))

    static let routes: [Route] = [
        Route(.get, "/user", "User", "Show who the token belongs to", needs: .token, result: shape) {
            .result(try user(of: $0).json)
        },
        Route(
            .patch, "/user", "User", "Change the user's name", needs: .user(.user("User Details", .write)),
            payload: .json(shape, isPartial: true), result: shape, handle: edit),
    ]

    private static func user(of call: APICall) throws -> UserRow {
        guard let id = call.caller.userID, let user = try UserRow.find(id, call.transaction) else {
            throw APIError.forbidden("a token that belongs to a user")
        }
        return user
    }

    private static func edit(_ call: APICall) throws -> APIAnswer {
        var user = try user(of: call)
        let before = user.json
        if let value = call.body["first_name"] { user.firstName = value.string }
        if let value = call.body["last_name"] { user.lastName = value.string }
        user.modifiedOn = call.now
        try call.transaction.execute(
            "UPDATE users SET first_name = ?, last_name = ?, modified_on = ? WHERE id = ?",
            [SQLValue(user.firstName), SQLValue(user.lastName), .integer(call.now.microseconds), .text(user.id)])
        call.audit("update", "user", user.id, before: before, after: user.json)
        return .result(user.json)
    }
}

extension SQLValue {
    init(_ time: APITime?) { self = time.map { .integer($0.microseconds) } ?? .null }
}
