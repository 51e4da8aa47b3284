import JSON
import Limits

/// One call of an endpoint: who calls, what was asked, and the transaction that it is answered in.
struct APICall {
    let route: Route
    let parameters: [String: String]
    let query: Query
    /// The body, checked against the endpoint's description; null without one.
    let body: JSONValue
    /// Of endpoints that take a file.
    let form: FormFile
    let caller: Caller
    let now: APITime
    let requestID: String
    let transaction: Transaction
    /// The zone that the path names.
    let zone: ZoneRow?
    /// The account that the path names.
    let account: AccountRow?
    /// Of an object that comes back: the identifier that others know it by.
    var restoredID: String?

    /// For a new object.
    func newID() -> String { restoredID ?? StoreID.make() }

    /// A part of the path; the route has it, or there would be no call.
    func parameter(_ name: String) -> String { parameters[name] ?? "" }

    /// - Throws: `APIError` if the endpoint's path names no zone: a mistake of ours, told as one.
    func theZone() throws(APIError) -> ZoneRow {
        guard let zone else { throw .internalError }
        return zone
    }

    func theAccount() throws(APIError) -> AccountRow {
        guard let account else { throw .internalError }
        return account
    }

    func paging(standard: Int = Limits.apiObjectsPerPage, maximum: Int = Limits.apiObjectsPerPageMax) throws(APIError)
        -> Paging
    {
        try Paging(query, standard: standard, maximum: maximum)
    }

    private var scope: String {
        if let zone { return zone.auditScope }
        if let id = account?.id ?? caller.accountID { return "account/\(id)" }
        return caller.userID.map { "user/\($0)" } ?? ""
    }

    /// Notes a change for the audit log, with the object before and after; never with secrets in it.
    ///
    /// - Parameter scope: Where it lies, if not in what the path names.
    func audit(
        _ action: String, _ kind: String, _ id: String, before: JSONValue? = nil, after: JSONValue? = nil,
        scope: String? = nil
    ) {
        transaction.audit(
            AuditEntry(
                actor: caller.name, action: action, resource: "\(kind)/\(id)", scope: scope ?? self.scope,
                before: before?.text, after: after?.text, requestID: requestID))
    }
}

/// Who calls.
struct Caller: Sendable {
    /// The token; nil where anybody may call, and for the process itself.
    var tokenID: String?
    var processName: String?
    var userID: String?
    /// Whether the token ends by itself, or is good from some addresses only.
    var isBounded = false
    /// Set for a token that belongs to an account: it reaches nothing outside.
    var accountID: String?
    var policies: [TokenPolicy] = []

    static let nobody = Caller()

    /// For the audit log.
    var name: String { tokenID.map { "token/\($0)" } ?? processName ?? "nobody" }

    func may(_ permission: Permission, _ target: Target) -> Bool {
        if let accountID, target.account != accountID { return false }
        let matching = policies.filter { $0.applies(permission, to: target) }
        return !matching.isEmpty && matching.allSatisfy(\.isAllow)
    }

    /// - Throws: `APIError.forbidden`.
    func require(_ permission: Permission, _ target: Target) throws(APIError) {
        guard may(permission, target) else { throw .forbidden(permission.name) }
    }
}
