// A request to an answer, without a socket: routing, credentials, rates, bodies, transactions, errors. What it does
// depends on nothing but the store and the clock it is given.

import JSON
import Limits
package import Logging

/// The fields of a request that the API looks at, names in lower case.
package struct APIFields: Sendable {
    private var values: [String: String] = [:]
    package init() {}
    package subscript(_ name: String) -> String? {
        get { values[name] }
        set { values[name] = newValue }
    }
}

/// A request as its socket read it.
package struct APIRequest: Sendable {
    package var method: String
    /// Path and query.
    package var target: String
    package var fields: APIFields
    package var body: [UInt8]
    /// The peer's IP address.
    package var address: String?

    package init(
        method: String, target: String, fields: APIFields = APIFields(), body: [UInt8] = [], address: String? = nil
    ) {
        self.method = method
        self.target = target
        self.fields = fields
        self.body = body
        self.address = address
    }
}

/// An answer as its socket writes it.
package struct APIResponse: Sendable {
    package var status: Int
    package var type: String
    package var body: [UInt8]
    package var fields: [(name: String, value: String)]
}

/// The API under `/client/v4`.
package struct APIService: Sendable {
    package static let root = "/client/v4"

    let store: Store
    let table: RouteTable
    let rates: CallerRates
    let uses = TokenUses()
    let log: Logger

    package init(store: Store, rateRequests: Int = Limits.apiRateRequestsDefault, log: Logger) {
        self.init(store: store, rateRequests: rateRequests, routes: APIRoutes.all, log: log)
    }

    init(store: Store, rateRequests: Int, routes: [Route], log: Logger) {
        self.store = store
        table = RouteTable(routes)
        rates = CallerRates(requestsMax: rateRequests)
        self.log = log
    }

    /// The largest body that a request may have; known from its head.
    package func bodyBytesMax(method: String, target: String) -> Int {
        guard let path = Self.path(target), case .route(let route, _) = table.find(method, path) else {
            return Limits.apiBodyBytesMax
        }
        return route.bodyBytesMax
    }

    private static func path(_ target: String) -> Substring? {
        let path = target.prefix { $0 != "?" }
        guard path.hasPrefix(root) else { return nil }
        let rest = path.dropFirst(root.count)
        return rest.isEmpty || rest.hasPrefix("/") ? rest : nil
    }

    /// The answer to a request whose body nobody reads to its end.
    func refusal(_ error: APIError) -> APIResponse { Self.response(error, [("x-request-id", StoreID.make())]) }

    /// Answers; never throws, whatever happens.
    package func answer(_ request: APIRequest) async -> APIResponse {
        let requestID = StoreID.make()
        var fields: [(name: String, value: String)] = [("x-request-id", requestID)]
        do {
            let credentials = try Credentials(request.fields)
            let rate = rates.take(credentials, from: request.address)
            fields += rate.fields
            if let seconds = rate.waitSeconds { throw APIError.throttled(seconds: seconds) }
            let answer = try await answer(request, credentials, requestID)
            if let used = uses.due(at: .now) { Task { [store] in await TokenUses.keep(used, at: .now, store) } }
            return Self.response(answer, fields)
        } catch let error as APIError {
            if error == .invalidToken {
                do { try rates.takeRefusal(from: request.address) } catch { return Self.response(error, fields) }
            }
            return Self.response(error, fields)
        } catch {
            return Self.response(self.error(for: error, request, requestID), fields)
        }
    }

    /// Answers a request of this process itself, which may do everything and is counted against no rate: what
    /// `martlet up` does with the zones of its martlet.yaml.
    ///
    /// - Parameter actor: Who it is, for the audit log.
    package func answer(_ request: APIRequest, as actor: String) async -> APIResponse {
        let requestID = StoreID.make()
        do {
            return Self.response(try await answer(request, .process(actor), requestID), [("x-request-id", requestID)])
        } catch {
            return Self.response(error as? APIError ?? self.error(for: error, request, requestID), [])
        }
    }

    private func answer(
        _ request: APIRequest, _ credentials: Credentials, _ requestID: String
    ) async throws -> APIAnswer {
        let (route, parameters) = try find(request)
        if route.need != .nothing, credentials == .none { throw APIError.unauthenticated }
        let now = APITime.now
        // Nobody's body is looked at, and nobody waits for the writer, who has no business here.
        if route.need != .nothing, route.access == .write {
            try await store.read { _ = try Authentication.caller(credentials, from: request.address, now: now, $0) }
        }
        let query = try Query(parsing: request.target.drop { $0 != "?" }.dropFirst())
        let payload = try Self.payload(route, request)
        let begin: @Sendable (Transaction) throws -> APICall = { transaction in
            let caller = try Authentication.caller(credentials, from: request.address, now: now, transaction)
            if let id = caller.tokenID { uses.note(id) }
            let account = try Self.account(route, parameters, caller, transaction)
            let zone = try Self.zone(route, parameters, caller, transaction)
            try Self.check(route, parameters, caller, zone, account)
            return APICall(
                route: route, parameters: parameters, query: query, body: payload.body, form: payload.form,
                caller: caller, now: now, requestID: requestID, transaction: transaction, zone: zone, account: account)
        }
        guard route.access == .write else { return try await store.read { try route.handle(try begin($0)) } }
        guard let prepare = route.prepare else {
            return try await store.write(locking: route.locks(parameters)) { try route.handle(try begin($0)) }
        }
        let locks = try await store.read { try prepare(try begin($0)) }
        return try await store.write(locking: locks) { transaction in
            let call = try begin(transaction)
            guard Set(try prepare(call)).isSubset(of: locks) else {
                throw APIError.conflict("Something else was changed meanwhile: try again")
            }
            return try route.handle(call)
        }
    }

    private func find(_ request: APIRequest) throws(APIError) -> (Route, [String: String]) {
        guard let path = Self.path(request.target) else { throw .noRoute(request.target) }
        switch table.find(request.method, path) {
        case .route(let route, let parameters): return (route, parameters)
        case .otherMethods(let methods): throw .methodNotAllowed(request.method, expected: methods)
        case .nothing: throw .noRoute(String(request.target.prefix { $0 != "?" }))
        }
    }

    private static func payload(_ route: Route, _ request: APIRequest) throws(APIError) -> (
        body: JSONValue, form: FormFile
    ) {
        guard request.body.count <= route.bodyBytesMax else { throw .bodyTooLarge }
        switch route.payload {
        case .none: return (.null, FormFile())
        case .file: return (.null, try FormFile(request))
        case .optional(let schema):
            guard !request.body.isEmpty else { return (.null, FormFile()) }
            return (try json(request.body, schema, isPartial: false), FormFile())
        case .json(let schema, let isPartial): return (try json(request.body, schema, isPartial: isPartial), FormFile())
        }
    }

    private static func json(_ bytes: [UInt8], _ schema: BodySchema, isPartial: Bool) throws(APIError) -> JSONValue {
        let value: JSONValue
        do { value = try JSONValue(parsing: bytes) } catch { throw .malformed(error) }
        try schema.check(value, isPartial: isPartial)
        return value
    }

    // MARK: Who may

    /// What the path names is looked up first; whether it exists is told only to those who may know.
    static func account(
        _ route: Route, _ parameters: [String: String], _ caller: Caller, _ transaction: Transaction
    ) throws -> AccountRow? {
        guard let id = parameters["account_id"] else { return nil }
        guard let account = try AccountRow.find(id, transaction) else {
            try mayKnow(route, caller, .account(id))
            throw APIError.notFound("account", id)
        }
        return account
    }

    static func zone(
        _ route: Route, _ parameters: [String: String], _ caller: Caller, _ transaction: Transaction
    ) throws -> ZoneRow? {
        guard let id = parameters["zone_id"] else { return nil }
        guard let zone = try ZoneRow.find(id, transaction) else {
            try mayKnow(route, caller, .zone(id, account: caller.accountID ?? "*"))
            throw APIError.notFound("zone", id)
        }
        return zone
    }

    /// - Throws: What whoever may not do it is told of things that are there: that something is not there is for those who
    ///   could do it if it were.
    private static func mayKnow(_ route: Route, _ caller: Caller, _ target: Target) throws(APIError) {
        guard let permission = route.need.permission else {
            guard caller.tokenID != nil else { throw .unauthenticated }
            return
        }
        try caller.require(permission, target)
    }

    static func check(
        _ route: Route, _ parameters: [String: String], _ caller: Caller, _ zone: ZoneRow?, _ account: AccountRow?
    ) throws(APIError) {
        switch route.need {
        case .nothing, .token, .each: return
        case .user(let permission):
            guard let userID = caller.userID else { throw .forbidden(permission.name) }
            try caller.require(permission, .user(userID))
        case .account(let permission):
            guard let account else { throw .internalError }
            try caller.require(permission, .account(account.id))
        case .zone(let permission):
            guard let zone else { throw .internalError }
            try caller.require(permission, .zone(zone.id, account: zone.accountID))
        }
    }

    // MARK: What goes out

    private func error(for error: any Error, _ request: APIRequest, _ requestID: String) -> APIError {
        switch error as? StoreError {
        case .unavailable, .conflict:
            log.warning("the store cannot be used now", metadata: ["request": "\(requestID)", "reason": "\(error)"])
            return .unavailable
        case .unknownOutcome:
            log.error(
                "a change may or may not have been made", metadata: ["request": "\(requestID)", "reason": "\(error)"])
            return .unknownOutcome
        case .uniqueViolation(let table, _):
            return table == "zones" ? ZoneRow.exists : .conflict("An object of that name exists already")
        case .invalid(let why): return .invalid("", "values that can be stored", found: why)
        case .tooLarge: return .changeTooLarge
        default:
            log.error(
                "a request to the API failed",
                metadata: [
                    "request": "\(requestID)", "method": "\(request.method)",
                    "path": "\(request.target.prefix { $0 != "?" })", "reason": "\(error)",
                ])
            return .internalError
        }
    }

    private static func response(_ answer: APIAnswer, _ fields: [(name: String, value: String)]) -> APIResponse {
        switch answer.body {
        case .result(let value, let info):
            APIResponse(
                status: answer.status, type: "application/json", body: Envelope.success(value, info).bytes,
                fields: fields)
        case .raw(let bytes, let type): APIResponse(status: answer.status, type: type, body: bytes, fields: fields)
        }
    }

    private static func response(_ error: APIError, _ fields: [(name: String, value: String)]) -> APIResponse {
        var fields = fields
        if !error.allowed.isEmpty { fields.append(("allow", error.allowed.joined(separator: ", "))) }
        if let seconds = error.retryAfterSeconds { fields.append(("retry-after", "\(seconds)")) }
        return APIResponse(
            status: error.status, type: "application/json", body: Envelope.failure(error).bytes, fields: fields)
    }
}
