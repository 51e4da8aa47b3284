// Join tokens: `/accounts/{account_id}/martlet/join_tokens`. One lets one node in, once. The secret is shown this once, and
// kept as its hash; beside it stands the hash of the authority's certificate, so that who joins knows whom to trust.

import Crypto
import Distribution
import JSON
import Limits

struct JoinTokenRow: Sendable {
    var id: String
    var role: String
    /// The node that it is for; nil: whoever joins names itself.
    var name: String?
    var createdOn: APITime
    var expiresOn: APITime
    var usedOn: APITime?
    var usedBy: String?
    /// Of the key that it was used with.
    var keyDigest: [UInt8]?

    private static let columns = "id, role, name, created_on, expires_on, used_on, used_by, key_digest"

    private init(_ row: SQLRow) throws {
        id = try row.text(0)
        role = try row.text(1)
        name = try row.textOrNil(2)
        createdOn = APITime(microseconds: try row.integer(3))
        expiresOn = APITime(microseconds: try row.integer(4))
        usedOn = try row.integerOrNil(5).map { APITime(microseconds: $0) }
        usedBy = try row.textOrNil(6)
        keyDigest = try row.blobOrNil(7)
    }

    init(role: String, name: String?, createdOn: APITime, expiresOn: APITime) {
        (id, self.role, self.name, self.createdOn, self.expiresOn) = (StoreID.make(), role, name, createdOn, expiresOn)
    }

    static func find(_ id: String, _ transaction: Transaction) throws -> JoinTokenRow? {
        try transaction.first("SELECT \(columns) FROM join_tokens WHERE id = ?", [.text(id)]).map {
            try JoinTokenRow($0)
        }
    }

    static func find(digest: [UInt8], _ transaction: Transaction) throws -> JoinTokenRow? {
        try transaction.first("SELECT \(columns) FROM join_tokens WHERE digest = ?", [.blob(digest)]).map {
            try JoinTokenRow($0)
        }
    }

    /// Newest first.
    static func page(_ paging: Paging, _ transaction: Transaction) throws -> (rows: [JoinTokenRow], total: Int) {
        let rows = try transaction.query(
            "SELECT \(columns) FROM join_tokens ORDER BY created_on DESC, id LIMIT ? OFFSET ?",
            [SQLValue(paging.perPage), SQLValue(paging.offset)]
        ).map { try JoinTokenRow($0) }
        return (rows, try count(transaction))
    }

    static func count(_ transaction: Transaction) throws -> Int {
        Int(try transaction.first("SELECT count(*) FROM join_tokens")?.integer(0) ?? 0)
    }

    func insert(digest: [UInt8], _ transaction: Transaction) throws {
        try transaction.execute(
            "INSERT INTO join_tokens (id, digest, role, name, created_on, expires_on) VALUES (?, ?, ?, ?, ?, ?)",
            [.text(id), .blob(digest), .text(role), SQLValue(name), SQLValue(createdOn), SQLValue(expiresOn)])
    }

    /// Two control processes that take the same one write the same row: the later one finds it used.
    func use(by node: String, key: [UInt8], at now: APITime, _ transaction: Transaction) throws {
        try transaction.execute(
            "UPDATE join_tokens SET used_on = ?, used_by = ?, key_digest = ? WHERE id = ?",
            [SQLValue(now), .text(node), .blob(key), .text(id)])
    }

    /// Removes those that ended long ago.
    static func forgetOld(at now: APITime, _ transaction: Transaction) throws {
        try transaction.execute(
            "DELETE FROM join_tokens WHERE expires_on < ?",
            [.integer(now.microseconds - Limits.joinTokenKeptSeconds * 1_000_000)])
    }

    func json(at now: APITime) -> JSONObject {
        let state = usedOn != nil ? "used" : expiresOn <= now ? "expired" : "open"
        return [
            "id": .string(id), "role": .string(role), "name": name.map { .string($0) } ?? .null,
            "state": .string(state), "created_on": createdOn.json, "expires_on": expiresOn.json,
            "used_on": usedOn?.json ?? .null, "used_by": usedBy.map { .string($0) } ?? .null,
        ]
    }
}

enum JoinTokens {
    private static let path = "/accounts/{account_id}/martlet/join_tokens"
    private static let shape = BodySchema.named(
        "JoinToken",
        .object([
            .readOnly("id", .id), .required("role", .choice(["edge", "relay"])),
            .optional(
                "name", .nullable(.string(1...Limits.nodeNameBytesMax)),
                "The node that it is for; without it, whoever joins names itself."),
            .optional("expires_in", .integer(Limits.joinTokenSecondsRange), "Seconds that it is good for."),
            .readOnly("token", .text(128), "Shown this once."),
            .readOnly("state", .choice(["open", "used", "expired"])),
            .readOnly("created_on", .time), .readOnly("expires_on", .time), .readOnly("used_on", .nullable(.time)),
            .readOnly("used_by", .nullable(.text(Limits.nodeNameBytesMax))),
        ]))

    static let routes: [Route] = [
        Route(
            .get, path, "Edges", "List join tokens, newest first", needs: Nodes.read, isPaged: true,
            result: .array(shape, count: 0...Limits.apiObjectsPerPageMax)
        ) { call in
            try FleetAccount.check(call)
            let paging = try call.paging()
            let (rows, total) = try JoinTokenRow.page(paging, call.transaction)
            return .page(rows.map { .object($0.json(at: call.now)) }, paging.info(count: rows.count, total: total))
        },
        Route(
            .post, path, "Edges", "Make a token with which one node may join, once", needs: Nodes.write,
            payload: .json(shape), result: shape, handle: create),
        Route(.get, path + "/{join_token_id}", "Edges", "Show a join token", needs: Nodes.read, result: shape) {
            .result(try token($0).json(at: $0.now))
        },
        Route(.delete, path + "/{join_token_id}", "Edges", "Revoke a join token", needs: Nodes.write) { call in
            let row = try token(call)
            try call.transaction.execute("DELETE FROM join_tokens WHERE id = ?", [.text(row.id)])
            call.audit("delete", "join_token", row.id, before: .object(row.json(at: call.now)))
            return .result(["id": .string(row.id)])
        },
    ]

    private static func token(_ call: APICall) throws -> JoinTokenRow {
        try FleetAccount.check(call)
        let id = call.parameter("join_token_id")
        guard let row = try JoinTokenRow.find(id, call.transaction) else { throw APIError.notFound("join token", id) }
        return row
    }

    private static func create(_ call: APICall) throws -> APIAnswer {
        try FleetAccount.check(call)
        guard let authority = try FleetAuthorityRecord.certificate(call.transaction) else {
            throw APIError.conflict(
                "Nodes cannot join yet: this installation has no certificate authority; start the control plane with --distribution"
            )
        }
        try JoinTokenRow.forgetOld(at: call.now, call.transaction)
        guard try JoinTokenRow.count(call.transaction) < Limits.joinTokensMax else {
            throw APIError.conflict("There are \(Limits.joinTokensMax) join tokens already: delete some")
        }
        let name = call.body["name"]?.string
        if let name {
            guard NodeRow.isName(name), !NodeRow.reservedNames.contains(name) else {
                throw APIError.invalid(
                    "name",
                    "1 to \(Limits.nodeNameBytesMax) of a-z, 0-9 and -, not - at an end, and not a reserved name",
                    found: name)
            }
        }
        let seconds = call.body["expires_in"]?.integer ?? Limits.joinTokenSecondsDefault
        let row = JoinTokenRow(
            role: call.body["role"]?.string ?? "edge", name: name, createdOn: call.now,
            expiresOn: APITime(microseconds: call.now.microseconds + seconds * 1_000_000))
        let token = JoinToken.make(authority: Array(SHA256.hash(data: authority)))
        try row.insert(digest: token.secretDigest, call.transaction)
        call.audit("create", "join_token", row.id, after: .object(row.json(at: call.now)))
        var shown = row.json(at: call.now)
        shown["token"] = .string(token.text)
        return .result(shown)
    }
}
