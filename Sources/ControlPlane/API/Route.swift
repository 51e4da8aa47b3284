// One endpoint, described once: the router, the check of permissions, the check of bodies and the OpenAPI document all
// read the same description.

import Limits

/// An endpoint.
struct Route: Sendable {
    enum Method: String, Sendable, CaseIterable {
        case get = "GET", post = "POST", put = "PUT", patch = "PATCH", delete = "DELETE"
    }

    /// What happens to the store meanwhile.
    enum Access: Sendable {
        /// Nothing: the handler gets no transaction.
        case none
        case read
        case write
    }

    enum Payload: Sendable {
        case none
        /// JSON of this shape. Partial: of its members none need be there.
        case json(BodySchema, isPartial: Bool = false)
        /// JSON of this shape, or nothing.
        case optional(BodySchema)
        /// A form with a file, or a file as it is.
        case file(maximumBytes: Int)
    }

    struct Parameter: Sendable {
        var name: String
        var schema: BodySchema
        var about: String
    }

    let method: Method
    /// Below `/client/v4`, with `{names}` for what varies.
    let path: String
    let tag: String
    let summary: String
    let need: Need
    let access: Access
    let query: [Parameter]
    let isPaged: Bool
    let payload: Payload
    let result: BodySchema
    /// What must not be changed by others meanwhile, beyond the rows that are changed here.
    let locks: @Sendable ([String: String]) -> [String]
    let handle: @Sendable (APICall) throws -> APIAnswer
    /// More locks, of a call that must be looked at first; it is looked at in a transaction of its own.
    let prepare: (@Sendable (APICall) throws -> [String])?

    init(
        _ method: Method, _ path: String, _ tag: String, _ summary: String, needs need: Need, access: Access? = nil,
        query: [Parameter] = [], isPaged: Bool = false, payload: Payload = .none, result: BodySchema = .anything,
        locks: @escaping @Sendable ([String: String]) -> [String] = { _ in [] },
        handle: @escaping @Sendable (APICall) throws -> APIAnswer,
        prepare: (@Sendable (APICall) throws -> [String])? = nil
    ) {
        self.method = method
        self.path = path
        self.tag = tag
        self.summary = summary
        self.need = need
        self.access = access ?? (method == .get ? .read : .write)
        self.query = query
        self.isPaged = isPaged
        self.payload = payload
        self.result = result
        self.locks = locks
        self.handle = handle
        self.prepare = prepare
    }

    /// Parts of the path; those in braces vary.
    var parts: [Substring] { path.split(separator: "/") }

    /// The largest body it takes.
    var bodyBytesMax: Int {
        switch payload {
        case .none, .json, .optional: Limits.apiBodyBytesMax
        case .file(let maximum): maximum
        }
    }
}

/// What a caller must be allowed to do.
enum Need: Sendable, Equatable {
    /// Anybody may.
    case nothing
    /// Any token that is valid.
    case token
    /// A permission on the user itself.
    case user(Permission)
    /// A permission on the account that the path names with `{account_id}`.
    case account(Permission)
    /// A permission on the zone that the path names with `{zone_id}`.
    case zone(Permission)
    /// Decided by the handler, which asks for each object.
    case each(Permission)

    var permission: Permission? {
        switch self {
        case .nothing, .token: nil
        case .user(let permission), .account(let permission), .zone(let permission), .each(let permission): permission
        }
    }
}
