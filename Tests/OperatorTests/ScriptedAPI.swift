import JSON
import Synchronization

@testable import Operator

/// An API that answers from a script, and remembers what it was asked.
final class ScriptedAPI: Sendable {
    private let answers: Mutex<[APIReply]>
    private let heard = Mutex<[APIQuestion]>([])
    private let waited = Mutex<[Int]>([])

    init(_ answers: [APIReply]) { self.answers = Mutex(answers) }

    var questions: [APIQuestion] { heard.withLock { $0 } }
    /// Method and target of each question.
    var asked: [String] { questions.map { "\($0.method) \($0.target)" } }
    var waits: [Int] { waited.withLock { $0 } }

    var client: APIClient {
        APIClient(
            name: "the API", tokenSource: "a test",
            transport: { question in
                self.heard.withLock { $0.append(question) }
                let reply = self.answers.withLock { $0.isEmpty ? nil : $0.removeFirst() }
                guard let reply else { throw OperatorProblem(.unreachable, "the script is at its end") }
                return reply
            }, pause: { seconds in self.waited.withLock { $0.append(seconds) } })
    }
}

extension APIReply {
    /// In the envelope of a success.
    static func result(_ value: JSONValue, info: JSONValue? = nil) -> APIReply {
        var envelope: JSONObject = ["success": true, "errors": [], "messages": [], "result": value]
        if let info { envelope["result_info"] = info }
        return APIReply(status: 200, body: JSONValue.object(envelope).bytes)
    }

    static func page(_ values: [JSONValue], _ page: Int, of pages: Int) -> APIReply {
        result(
            .array(values),
            info: ["page": .number(JSONNumber(page)), "total_pages": .number(JSONNumber(pages))])
    }

    static func failure(
        _ status: Int, _ code: Int, _ message: String = "no", chain: [(Int, String)] = [], retryAfter: Int? = nil
    ) -> APIReply {
        var error: JSONObject = ["code": .number(JSONNumber(code)), "message": .string(message)]
        if !chain.isEmpty {
            error["error_chain"] = .array(
                chain.map { ["code": .number(JSONNumber($0.0)), "message": .string($0.1)] })
        }
        let envelope: JSONValue = ["success": false, "errors": [.object(error)], "messages": [], "result": nil]
        return APIReply(status: status, body: envelope.bytes, retryAfterSeconds: retryAfter)
    }
}

/// The problem that something throws.
func problem(_ body: () async throws -> Void) async -> OperatorProblem? {
    do { try await body() } catch { return error as? OperatorProblem }
    return nil
}
