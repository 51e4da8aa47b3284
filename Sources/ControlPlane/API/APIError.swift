// What the API says when it cannot do what it was asked. Codes are those that Cloudflare's clients look for.

import JSON

/// One error of an answer.
package struct APIError: Error, Sendable, Equatable {
    /// HTTP status.
    package var status: Int
    /// The code in the envelope, which clients compare.
    package var code: Int
    package var message: String
    /// What led to it, more exactly: the envelope's `error_chain`.
    package var chain: [Link] = []
    /// Seconds after which another attempt may succeed; sent as `Retry-After`.
    package var retryAfterSeconds: Int?
    /// Methods that the path has (RFC 9110, section 15.5.6).
    package var allowed: [String] = []

    package struct Link: Sendable, Equatable {
        package var code: Int
        package var message: String
    }

    package init(_ status: Int, _ code: Int, _ message: String, chain: [Link] = [], retryAfterSeconds: Int? = nil) {
        self.status = status
        self.code = code
        self.message = message
        self.chain = chain
        self.retryAfterSeconds = retryAfterSeconds
    }
}

/// The errors that more than one kind of object has.
extension APIError {
    // MARK: Who asks

    /// Nobody said who they are, or what they said is not enough for this.
    static let unauthenticated = APIError(403, 10000, "Authentication error")

    static func invalidHeaders(_ why: String) -> APIError {
        APIError(400, 6003, "Invalid request headers", chain: [.init(code: 6111, message: why)])
    }

    static let invalidToken = APIError(403, 9109, "Invalid access token")

    /// A token that is good, for other things.
    static func forbidden(_ permission: String) -> APIError {
        APIError(
            403, 10000, "Authentication error",
            chain: [.init(code: 9109, message: "Unauthorized to access requested resource: needs \(permission)")])
    }

    // MARK: What is asked

    /// `7003` of a path that leads nowhere, or whose object does not exist.
    static func noRoute(_ path: String) -> APIError {
        APIError(
            404, 7003,
            "Could not route to \(path.prefix(200)), perhaps your object identifier is invalid?",
            chain: [.init(code: 7000, message: "No route for that URI")])
    }

    static func methodNotAllowed(_ method: String, expected: [String]) -> APIError {
        var error = APIError(
            405, 10405, "Method \(method.prefix(16)) is not allowed here; expected \(expected.joined(separator: ", "))")
        error.allowed = expected
        return error
    }

    static func notFound(_ kind: String, _ id: String) -> APIError {
        APIError(404, 7003, "There is no \(kind) \(id.prefix(64)), perhaps your object identifier is invalid?")
    }

    /// A body that is no JSON.
    static func malformed(_ problem: JSONProblem) -> APIError {
        APIError(400, 6007, "Malformed JSON in request body: \(problem.description)")
    }

    /// A value that is not as it must be. `path` is where it stands in the body: `rules.0.action`.
    static func invalid(_ path: String, _ expected: String, found: String? = nil) -> APIError {
        let place = path.isEmpty ? "the body" : path
        let end = found.map { ", found \($0)" } ?? ""
        return APIError(
            400, 1004, "Validation failed: \(place): expected \(expected)\(end)",
            chain: [.init(code: 9005, message: "\(place): expected \(expected)\(end)")])
    }

    static let bodyTooLarge = APIError(413, 10413, "The request body is larger than this endpoint takes")

    static let changeTooLarge = APIError(
        413, 10413,
        "The change is larger than can be stored, or sent to the edges, in one piece: make it in several requests")

    /// The connection ended, or the framing broke, in the middle of it.
    static let bodyIncomplete = APIError(400, 10400, "The request body ended before its end")

    static func conflict(_ message: String) -> APIError { APIError(409, 1003, message) }

    // MARK: What we cannot do now

    static func throttled(seconds: Int) -> APIError {
        APIError(429, 971, "Please wait and consider throttling your request speed", retryAfterSeconds: seconds)
    }

    static let unavailable = APIError(
        503, 10503, "The configuration store cannot be reached; nothing was changed", retryAfterSeconds: 1)

    /// The store's answer to the commit was lost.
    static let unknownOutcome = APIError(
        503, 10504, "The configuration store went away during the change; look whether it was made before you repeat it"
    )

    static let internalError = APIError(500, 10500, "Internal error; the process log of the control plane says more")
}
