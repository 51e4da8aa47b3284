import Foundation
import Testing

/// A URL that one journey alone knows, and what the origin answers there.
///
/// ```swift
/// let page = try Resource("Cache-Control: max-age=60")
/// #expect(try page.get().text == "v1")
/// ```
final class Resource: Sendable {
    /// Writes an answer; `number` counts the requests that reached the origin, from 1.
    typealias Script = @Sendable (OriginConnection, Message, _ number: Int) throws -> Void

    let stage: CacheStage
    let host: String
    /// A word that stands in the path and nowhere else.
    let mark: String
    let path: String
    private let script: Script
    private let seen = Shared<[Message]>([])

    /// - Parameter suffix: put behind the mark, such as `/style.css`.
    init(
        playing script: @escaping Script, in zone: CacheZone = .plain, suffix: String = "", on stage: CacheStage? = nil
    ) throws {
        self.stage = try stage ?? CacheStage.shared
        self.script = script
        host = zone.rawValue
        mark = "mark" + UUID().uuidString.prefix(13).filter { $0 != "-" }.lowercased()
        path = "/\(mark)\(suffix)"
        self.stage.add(self)
    }

    /// An answer made from the request.
    convenience init(
        in zone: CacheZone = .plain, suffix: String = "", on stage: CacheStage? = nil,
        answering answer: @escaping @Sendable (Message, _ number: Int) throws -> String
    ) throws {
        try self.init(
            playing: { connection, request, number in
                let text = try answer(request, number)
                guard request.method == "HEAD", let end = text.range(of: "\r\n\r\n") else {
                    return try connection.send(text)
                }
                try connection.send(String(text[..<end.upperBound]))
            }, in: zone, suffix: suffix, on: stage)
    }

    /// 200 with these fields; the body says which answer of the origin it is: `v1`, `v2`, …
    convenience init(
        _ fields: String..., in zone: CacheZone = .plain, suffix: String = "", on stage: CacheStage? = nil
    ) throws {
        try self.init(in: zone, suffix: suffix, on: stage) { _, number in
            response("200 OK", fields: fields, body: "v\(number)")
        }
    }

    /// 200 with an entity tag and these fields, and 304 with the same to a request that has the tag.
    convenience init(
        validating tag: String, _ fields: String..., in zone: CacheZone = .plain, on stage: CacheStage? = nil
    ) throws {
        try self.init(in: zone, on: stage) { request, number in
            let all = ["ETag: \(tag)", "X-Answer: \(number)"] + fields
            if request["If-None-Match"] == tag {
                return "HTTP/1.1 304 Not Modified\r\n" + all.joined(separator: "\r\n") + "\r\n\r\n"
            }
            return response("200 OK", fields: all, body: "v\(number)")
        }
    }

    /// The mark in a request target; empty when it has none.
    static func mark(in target: String) -> String {
        guard let start = target.range(of: "mark") else { return "" }
        let word = target[start.lowerBound...].prefix { $0.isLetter || $0.isNumber }
        return String(word)
    }

    func play(_ connection: OriginConnection, _ request: Message) throws {
        let number = seen.withLock { seen in
            seen.append(request)
            return seen.count
        }
        try script(connection, request, number)
    }

    // MARK: What came to the origin

    /// Requests for it that the origin got.
    var requests: [Message] { seen.current }
    var requestCount: Int { seen.withLock { $0.count } }

    // MARK: Asking the edge for it

    var url: String { "http://\(authority)\(path)" }
    private var authority: String { "\(host):\(stage.edge.httpPort)" }

    /// The request's bytes, for a kept-alive connection.
    func request(_ fields: [String] = [], method: String = "GET", query: String = "", body: String? = nil) -> String {
        let hasHost = fields.contains { $0.lowercased().hasPrefix("host:") }
        var lines = ["\(method) \(path)\(query) HTTP/1.1"] + (hasHost ? [] : ["Host: \(authority)"]) + fields
        if let body { lines.append("Content-Length: \(body.utf8.count)") }
        return lines.joined(separator: "\r\n") + "\r\n\r\n" + (body ?? "")
    }

    /// One exchange on a connection of its own.
    func ask(_ method: String, _ fields: String..., query: String = "", body: String? = nil) throws -> Message {
        try exchange(request(fields + ["Connection: close"], method: method, query: query, body: body), method)
    }

    func get(_ fields: String..., query: String = "") throws -> Message {
        try exchange(request(fields + ["Connection: close"], query: query), "GET")
    }

    private func exchange(_ bytes: String, _ method: String) throws -> Message {
        let client = try stage.edge.client()
        try client.send(bytes)
        return try client.readAnswer(to: method)
    }
}
