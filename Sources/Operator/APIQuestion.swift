// One request to the API and one answer, without a socket.

package import JSON

/// A request: what is asked, not of whom.
package struct APIQuestion: Sendable {
    package enum Body: Sendable {
        case none
        case json(JSONValue)
        case bytes([UInt8], type: String)
    }

    package var method: String
    /// Below the API's address, its parts encoded: `/zones/ID/dns_records`.
    package var path: String
    package var query: [(name: String, value: String)]
    package var body: Body

    package init(_ method: String, _ path: String, query: [(name: String, value: String)] = [], body: Body = .none) {
        self.method = method
        self.path = path
        self.query = query
        self.body = body
    }

    /// Path and query, encoded.
    package var target: String {
        guard !query.isEmpty else { return path }
        let parts = query.map { "\(PercentText.encoded($0.name))=\(PercentText.encoded($0.value))" }
        return path + "?" + parts.joined(separator: "&")
    }

    /// Whether asking it twice is asking it once.
    var isRead: Bool { method == "GET" }
}

/// An answer as it came.
package struct APIReply: Sendable {
    package var status: Int
    /// Of `Content-Type`, in lower case.
    package var type: String
    package var body: [UInt8]
    /// Of `Retry-After`, in seconds.
    package var retryAfterSeconds: Int?
    /// Of `Location`.
    package var location: String?

    package init(
        status: Int, type: String = "application/json", body: [UInt8], retryAfterSeconds: Int? = nil,
        location: String? = nil
    ) {
        self.status = status
        self.type = type
        self.body = body
        self.retryAfterSeconds = retryAfterSeconds
        self.location = location
    }
}

/// Brings a question to an API and its answer back.
///
/// - Throws: `OperatorProblem` if there is no answer.
package typealias APITransport = @Sendable (APIQuestion) async throws -> APIReply
