// What a control plane's API answers, out of its envelope: results, whole lists, or problems in words.

package import JSON
import Limits

/// Asks an API. Patience is bounded: what the API puts off (429, 503 with `Retry-After`) is asked again a few times.
package struct APIClient: Sendable {
    /// How the API is called in errors: its address.
    package let name: String
    /// Where the token came from, for errors; never the token.
    package let tokenSource: String
    private let transport: APITransport
    private let pause: @Sendable (_ seconds: Int) async throws -> Void
    private let notice: @Sendable (String) -> Void

    /// - Parameters:
    ///   - pause: Waits so many seconds.
    ///   - notice: Tells of waits, in words.
    package init(
        name: String, tokenSource: String = "", transport: @escaping APITransport,
        pause: @escaping @Sendable (Int) async throws -> Void = { try await Task.sleep(for: .seconds($0)) },
        notice: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.name = name
        self.tokenSource = tokenSource
        self.transport = transport
        self.pause = pause
        self.notice = notice
    }

    /// One that reaches the API without HTTP.
    ///
    /// - Parameter exchange: Method, path below `/client/v4`, query and body (null: none) to status and envelope.
    package init(
        name: String,
        exchange:
            @escaping @Sendable (
                _ method: String, _ path: String, _ query: [(name: String, value: String)], _ body: JSONValue
            ) async throws -> (status: Int, envelope: JSONValue)
    ) {
        self.init(name: name) { question in
            guard case .bytes = question.body else {
                let body: JSONValue = if case .json(let value) = question.body { value } else { .null }
                let answer = try await exchange(question.method, question.path, question.query, body)
                return APIReply(status: answer.status, body: answer.envelope.bytes)
            }
            throw OperatorProblem(.input, "files cannot be sent within one process")
        }
    }

    /// The `result` of an answer.
    ///
    /// - Throws: `OperatorProblem`.
    package func result(
        _ method: String, _ path: String, query: [(name: String, value: String)] = [], body: APIQuestion.Body = .none
    ) async throws -> JSONValue {
        try await envelope(APIQuestion(method, path, query: query, body: body))["result"] ?? .null
    }

    /// All elements of a list, over all its pages.
    ///
    /// - Throws: `OperatorProblem`, also if the list does not end.
    package func list(
        _ path: String, query: [(name: String, value: String)] = [], perPage: Int = Limits.operatorObjectsPerPage,
        countMax: Int = .max
    ) async throws -> [JSONValue] {
        var elements: [JSONValue] = []
        var next: (name: String, value: String) = ("page", "1")
        for _ in 0..<Limits.operatorPagesMax {
            let asked = APIQuestion("GET", path, query: query + [("per_page", "\(min(perPage, countMax))"), next])
            let envelope = try await envelope(asked)
            guard let page = envelope["result"]?.array else {
                if envelope["result"]?.isNull ?? true { return elements }
                throw malformed(asked, "a list as its result")
            }
            elements += page
            guard elements.count < countMax else { return Array(elements.prefix(countMax)) }
            guard !page.isEmpty, let following = Self.following(envelope["result_info"]) else { return elements }
            next = following
        }
        throw malformed(APIQuestion("GET", path), "a list of at most \(Limits.operatorPagesMax) pages")
    }

    /// Which page comes next; nil behind the last.
    private static func following(_ info: JSONValue?) -> (name: String, value: String)? {
        if let cursor = info?["cursors"]?["after"]?.string ?? info?["cursor"]?.string, !cursor.isEmpty {
            return ("cursor", cursor)
        }
        guard let page = info?["page"]?.integer, let pages = info?["total_pages"]?.integer, page < pages else {
            return nil
        }
        return ("page", "\(page + 1)")
    }

    /// The bytes of an answer that has no envelope, such as a zone file.
    package func file(_ path: String) async throws -> [UInt8] {
        let asked = APIQuestion("GET", path)
        let reply = try await patiently(asked)
        guard reply.status == 200 else {
            _ = try opened(reply, asked)
            throw malformed(asked, "a file")
        }
        return reply.body
    }

    // MARK: One answer

    private func envelope(_ question: APIQuestion) async throws -> JSONValue {
        try opened(await patiently(question), question)
    }

    private func patiently(_ question: APIQuestion) async throws -> APIReply {
        for attempt in 1... {
            let reply = try await transport(question)
            guard let seconds = Self.wait(reply, question) else { return reply }
            guard attempt < Limits.operatorAttemptsMax, seconds <= Limits.operatorWaitSecondsMax else { return reply }
            notice("the API asks for patience (\(reply.status)); the next attempt comes in \(seconds) s")
            try await pause(seconds)
        }
        throw OperatorProblem(.unreachable, "\(name) asks for patience again and again")
    }

    /// Seconds until the question may be asked again; nil: it was answered. A change whose fate is unknown (a 503 that
    /// names no time) must not be made twice.
    private static func wait(_ reply: APIReply, _ question: APIQuestion) -> Int? {
        guard reply.status == 429 || reply.status == 503 else { return nil }
        if let seconds = reply.retryAfterSeconds { return max(0, seconds) }
        return question.isRead || reply.status == 429 ? Limits.operatorWaitSecondsDefault : nil
    }

    private func opened(_ reply: APIReply, _ question: APIQuestion) throws -> JSONValue {
        if (300..<400).contains(reply.status) {
            let place = reply.location.map { " to \($0.prefix(200))" } ?? ""
            throw OperatorProblem(
                .answer, "\(name) answered with a redirect\(place), which a token is not sent along with",
                help: "give the address that it leads to: martlet login URL")
        }
        guard reply.type.contains("json"), let envelope = try? JSONValue(stored: text(reply)),
            let success = envelope["success"]?.boolean
        else {
            let type = reply.type.isEmpty ? "something unnamed" : String(reply.type.prefix(60))
            throw OperatorProblem(
                .answer, "\(name) answered \(reply.status) with \(type), which is no answer of a control plane's API",
                help: "is the address right? It usually ends in \(APIAddress.standardPath)")
        }
        guard success, (200..<300).contains(reply.status) else { throw problem(reply, envelope, question) }
        return envelope
    }

    private func text(_ reply: APIReply) throws -> String {
        guard let text = String(validating: reply.body, as: UTF8.self) else {
            throw OperatorProblem(.answer, "\(name) answered with bytes that are not UTF-8")
        }
        return text
    }

    private func malformed(_ question: APIQuestion, _ expected: String) -> OperatorProblem {
        OperatorProblem(
            .answer, "expected \(expected) from \(question.method) \(question.path), found something else",
            help: "is \(name) the API of a control plane of this version?")
    }

    // MARK: What it said no with

    private func problem(_ reply: APIReply, _ envelope: JSONValue, _ question: APIQuestion) -> OperatorProblem {
        let errors = envelope["errors"]?.array ?? []
        let links = errors.flatMap { $0["error_chain"]?.array ?? [] }
        let codes = (errors + links).compactMap { $0["code"]?.integer }
        var said = errors.map(Self.words).joined(separator: "; ")
        // A link that only repeats its error adds nothing.
        for link in links.compactMap({ $0["message"]?.string }) where !said.contains(link) { said += " (\(link))" }
        if said.isEmpty { said = "no reason was given" }
        let what = "\(question.method) \(question.path.prefix(200))"
        if reply.status == 404 && codes.contains(7000) || codes.contains(10405) {
            return OperatorProblem(
                .unknownToAPI, "this control plane does not know \(what) yet",
                help: "\(name) runs an older version than this command; update it")
        }
        switch reply.status {
        case 401, 403: return OperatorProblem(.credentials, said, help: credentialsHelp(codes))
        case 404: return OperatorProblem(.notFound, said)
        case 429:
            return OperatorProblem(
                .unreachable, said,
                help: reply.retryAfterSeconds.map { "try again in \($0) s" } ?? "try again in some minutes")
        case 500...:
            return OperatorProblem(
                .unreachable, "\(said) (\(what) answered \(reply.status))",
                help: "see the log of the control plane at \(name)")
        default:
            // 6003: fields that make no sense; 1001 and the like are about what was sent.
            guard codes.contains(6003) else { return OperatorProblem(.refused, said) }
            return OperatorProblem(.credentials, said, help: credentialsHelp(codes))
        }
    }

    private static func words(_ error: JSONValue) -> String {
        let code = error["code"]?.integer.map { " (\($0))" } ?? ""
        return (error["message"]?.string ?? "no reason was given") + code
    }

    private func credentialsHelp(_ codes: [Int64]) -> String {
        let source = tokenSource.isEmpty ? "" : ", which came from \(tokenSource),"
        if codes.contains(9109), !codes.contains(10000) || codes.contains(6003) || codes.contains(6111) {
            return "the token\(source) is void or belongs to another control plane: martlet login URL"
        }
        return "the token\(source) is not allowed to do this: use one that is, or make one by martlet token create"
    }
}
