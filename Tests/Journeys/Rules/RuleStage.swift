import Foundation
import Testing

/// One edge and one origin for every journey that only sends requests: what one sends is told from what another
/// does by a mark in it.
final class RuleStage: Sendable {
    private static let started = Result { try RuleStage() }
    static var shared: RuleStage { get throws { try started.get() } }

    let edge: Edge
    let origin: ScriptedOrigin

    private init() throws {
        let stage = try Stage()
        // The edge's process group ends with this process; what is left is the directory.
        RuleStage.directory.withLock { $0 = stage.directory }
        atexit {
            if let directory = RuleStage.directory.current { try? FileManager.default.removeItem(at: directory) }
        }
        origin = try stage.origin { request in ok("reached \(request.target)") }
        edge = try stage.edge(
            [origin.url], top: "limits: { request_line: 8KiB, header_bytes: 32KiB, header_count: 64 }")
    }

    private static let directory = Shared<URL?>(nil)

    /// Words that only one journey uses.
    static func mark() -> String { "mark" + UUID().uuidString.filter { $0 != "-" }.lowercased() }
}

/// Bytes that a strict edge must not take for a request.
struct RefusedForm: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// Whole, with `MARK` where the journey's mark belongs.
    let bytes: String
    /// The answers that fit.
    let statuses: Set<Int>
    /// Whether the fault stands in the body, so that the head may have reached the origin before it was found.
    let isInBody: Bool

    init(_ name: String, _ bytes: String, _ statuses: Set<Int> = [400], isInBody: Bool = false) {
        testDescription = name
        self.bytes = bytes
        self.statuses = statuses
        self.isInBody = isInBody
    }

    /// A whole request around one field that is at fault.
    static func field(_ name: String, _ line: String, _ statuses: Set<Int> = [400]) -> Self {
        Self(name, "GET /MARK HTTP/1.1\r\nHost: example.test\r\n\(line)\r\n\r\n", statuses)
    }

    /// A chunked request whose body is this.
    static func chunks(_ name: String, _ body: String) -> Self {
        let head = "POST /MARK HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n\r\n"
        return Self(name, head + body, [400], isInBody: true)
    }

    /// Sends it, and a request behind it that must not be served either.
    func check(sourceLocation: SourceLocation = #_sourceLocation) throws {
        let stage = try RuleStage.shared
        let mark = RuleStage.mark()
        let client = try stage.edge.client()
        let behind = "GET /behind-\(mark) HTTP/1.1\r\nHost: example.test\r\n\r\n"
        try client.send(bytes.replacing("MARK", with: mark) + behind)
        let answer = try client.readAnswer()
        #expect(statuses.contains(answer.status), "\(answer.head)", sourceLocation: sourceLocation)
        #expect(answer.announcesClose, "\(answer.head)", sourceLocation: sourceLocation)
        #expect(!answer.ray.isEmpty, "\(answer.head)", sourceLocation: sourceLocation)
        let after = try client.readToEnd().bytes
        #expect(after.isEmpty, "after the refusal: \(after.text)", sourceLocation: sourceLocation)
        if isInBody {
            let whole = stage.origin.requests(to: mark)
            #expect(whole.isEmpty, "the origin took \(whole.map(\.head))", sourceLocation: sourceLocation)
        } else {
            #expect(!stage.origin.saw(mark), "the origin saw it", sourceLocation: sourceLocation)
        }
    }
}

/// Bytes that are a request, if an unusual one, and must be served.
struct AcceptedForm: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let bytes: String
    /// What must stand in the request as the origin got it.
    let forwards: @Sendable (Message) -> Bool

    init(_ name: String, _ bytes: String, forwards: @escaping @Sendable (Message) -> Bool = { _ in true }) {
        testDescription = name
        self.bytes = bytes
        self.forwards = forwards
    }

    static func field(
        _ name: String, _ line: String, forwards: @escaping @Sendable (Message) -> Bool = { _ in true }
    ) -> Self {
        Self(name, "GET /MARK HTTP/1.1\r\nHost: example.test\r\n\(line)\r\n\r\n", forwards: forwards)
    }

    static func chunks(
        _ name: String, _ body: String, forwards: @escaping @Sendable (Message) -> Bool
    ) -> Self {
        let head = "POST /MARK HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n\r\n"
        return Self(name, head + body, forwards: forwards)
    }

    /// Sends it, and another request behind it on the same connection to see that framing was kept.
    func check(sourceLocation: SourceLocation = #_sourceLocation) throws {
        let stage = try RuleStage.shared
        let mark = RuleStage.mark()
        let client = try stage.edge.client()
        let behind = "GET /behind-\(mark) HTTP/1.1\r\nHost: example.test\r\n\r\n"
        let sent = bytes.replacing("MARK", with: mark)
        try client.send(sent + behind)
        let answer = try client.readAnswer()
        #expect(answer.status == 200, "\(answer.head)\(answer.text)", sourceLocation: sourceLocation)
        let served = stage.origin.requests(to: "/\(mark)")
        #expect(served.count == 1, sourceLocation: sourceLocation)
        if let request = served.first {
            #expect(forwards(request), "forwarded as \(request.head)\(request.text)", sourceLocation: sourceLocation)
        }
        if !answer.announcesClose {
            let second = try client.readAnswer()
            #expect(second.text == "reached /behind-\(mark)", sourceLocation: sourceLocation)
        }
    }
}
