// One request of somebody who is signed in, and how its page asks the API: by the same `answer` that every other client
// gets, with the session's token. Pages have no rights of their own and check nothing a second time.

import JSON
import Limits

/// What the API answered to a page.
struct APIReply: Sendable {
    struct Problem: Sendable {
        var code: Int64
        var message: String
        /// The error chain: what led to it, more exactly.
        var details: [String]
    }

    let status: Int
    let result: JSONValue
    let info: JSONValue?
    /// nil: it did what it was asked.
    let problem: Problem?
    /// The body as it came, where it is no JSON.
    let bytes: [UInt8]

    init(_ response: APIResponse) {
        status = response.status
        let json = response.type.hasPrefix("application/json") ? try? JSONValue(parsing: response.body) : nil
        result = json?["result"] ?? .null
        info = json?["result_info"]
        bytes = json == nil ? response.body : []
        guard response.status >= 400 || json?["success"] == false else {
            problem = nil
            return
        }
        let error = json?["errors"]?.array?.first
        problem = Problem(
            code: error?["code"]?.integer ?? 0,
            message: error?["message"]?.string ?? "The API answered with status \(response.status)",
            details: (error?["error_chain"]?.array ?? []).compactMap { $0["message"]?.string })
    }

    /// The members of a list.
    var list: [JSONValue] { result.array ?? [] }
    var totalCount: Int { Int(clamping: info?["total_count"]?.integer ?? Int64(list.count)) }
}

/// A page cannot be shown, because the API would not answer what it is made of.
struct PageFailure: Error {
    let reply: APIReply
}

/// One request within a session.
struct Visit: Sendable {
    let service: APIService
    let request: APIRequest
    let session: Session
    let caller: Caller
    /// What varies in the path.
    let parameters: [String: String]
    let query: Query
    let form: PageForm
    let now: APITime

    /// A part of the path; the page's pattern has it, or there would be no visit.
    func parameter(_ name: String) -> String { parameters[name] ?? "" }
    /// The same, as a part of another path.
    func part(_ name: String) -> String { LinkText.encode(parameter(name)) }

    var path: String { String(request.target.prefix { $0 != "?" }) }
    var page: Int { Int(query["page"] ?? "").map { min(max($0, 1), Limits.apiPageMax) } ?? 1 }

    /// Asks the API.
    ///
    /// - Parameter path: Below `/client/v4`.
    func ask(_ method: String, _ path: String, _ body: JSONValue? = nil) async -> APIReply {
        await ask(method, path, bytes: body?.bytes ?? [], type: "application/json")
    }

    func ask(_ method: String, _ path: String, bytes: [UInt8], type: String) async -> APIReply {
        var fields = APIFields()
        fields["authorization"] = "Bearer \(session.token)"
        fields["content-type"] = type
        return APIReply(
            await service.answer(
                APIRequest(
                    method: method, target: APIService.root + path, fields: fields, body: bytes,
                    address: request.address)))
    }

    /// What a page cannot do without.
    func get(_ path: String) async throws(PageFailure) -> APIReply {
        let reply = await ask("GET", path)
        guard reply.problem == nil else { throw PageFailure(reply: reply) }
        return reply
    }

    /// The account's paths, which begin with it.
    func account() throws(PageFailure) -> String {
        guard let id = session.account?.id else {
            throw PageFailure(reply: APIReply(.problem(403, "This token reaches no account")))
        }
        return "/accounts/\(id)"
    }

    func may(_ permission: Permission, zone: ZoneSummary) -> Bool {
        caller.may(permission, .zone(zone.id, account: zone.accountID))
    }

    /// On the account, or on all its zones.
    func may(_ permission: Permission) -> Bool {
        guard let id = session.account?.id else { return false }
        return caller.may(permission, permission.scope == .zone ? .zone("*", account: id) : .account(id))
    }
}

extension APIService {
    /// Whom the API takes a token for: pages offer only what it may.
    ///
    /// - Throws: `APIError.invalidToken`, or what the store throws.
    func caller(token: String, from address: String?, at now: APITime) async throws -> Caller {
        try await store.read { try Authentication.caller(.token(token), from: address, now: now, $0) }
    }
}

extension APIResponse {
    /// The envelope of an error that the dashboard found itself.
    static func problem(_ status: Int, _ message: String) -> APIResponse {
        APIResponse(
            status: status, type: "application/json", body: Envelope.failure(APIError(status, 0, message)).bytes,
            fields: [])
    }
}

/// The zone that a page is about.
struct ZoneSummary: Sendable {
    let id: String
    let name: String
    let accountID: String
    let json: JSONValue

    init(_ json: JSONValue) {
        id = json["id"]?.string ?? ""
        name = json["name"]?.string ?? ""
        accountID = json["account"]?["id"]?.string ?? ""
        self.json = json
    }

    /// Of the dashboard's pages.
    var link: String { "/zones/\(LinkText.encode(id))" }
    /// Of the API's endpoints.
    var path: String { "/zones/\(LinkText.encode(id))" }
}

extension Visit {
    func zone() async throws(PageFailure) -> ZoneSummary {
        ZoneSummary(try await get("/zones/\(part("zone"))").result)
    }
}
