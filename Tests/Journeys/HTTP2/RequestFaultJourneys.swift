import Foundation
import Testing

/// Requests that break a rule of RFC 9113, section 8, or that HTTP/1.1 would read differently: rule 14 of the design.
///
/// Each comes on a connection of its own and fails alone: the connection goes on, and the origin never hears of it.
@Suite("HTTP/2: faulty requests", .onStageThreads)
struct RequestFaultJourneys {
    /// What the edge may do about a stream.
    enum Verdict: Sendable {
        /// RST_STREAM with PROTOCOL_ERROR, or a 400 before it (RFC 9113, section 8.1.1).
        case malformed
        /// An answer with one of these statuses.
        case status(Set<Int>)
        /// 200, and the origin has it.
        case served
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var fields: [[String]]
        var ends = true
        var then: [Part] = []
        var verdict = Verdict.malformed

        enum Part: Sendable {
            case data(String, ends: Bool)
            case trailers([[String]], ends: Bool)

            var json: [String: Any] {
                switch self {
                case .data(let text, let ends): ["data": text, "ends": ends]
                case .trailers(let fields, let ends): ["trailers": fields, "ends": ends]
                }
            }
        }

        init(_ name: String, _ fields: [[String]], _ verdict: Verdict = .malformed) {
            testDescription = name
            self.fields = fields
            self.verdict = verdict
        }

        /// A good head and one more field.
        init(_ name: String, with field: String, _ value: String, _ verdict: Verdict = .malformed) {
            self.init(name, Self.head() + [[field, value]], verdict)
        }

        /// A good head with one pseudo-header field changed, or left out.
        init(_ name: String, _ pseudo: String, is value: String?, _ verdict: Verdict = .malformed) {
            let fields = Self.head().compactMap { field in
                field[0] != pseudo ? field : value.map { [pseudo, $0] }
            }
            self.init(name, fields, verdict)
        }

        /// A POST with these fields and what follows its head.
        init(_ name: String, posting fields: [[String]], _ then: [Part], _ verdict: Verdict = .malformed) {
            self.init(name, Self.head("POST") + fields, verdict)
            ends = false
            self.then = then
        }

        static func head(_ method: String = "GET") -> [[String]] {
            [[":method", method], [":scheme", "SCHEME"], [":authority", "example.test"], [":path", "/MARK"]]
        }

        func json(mark: String) -> [String: Any] {
            let marked = fields.map { [$0[0], $0[1].replacing("MARK", with: mark)] }
            return ["fields": marked, "ends": ends, "then": then.map(\.json)]
        }
    }

    /// All cases played once over each transport, by one process each.
    private final class Played: Sendable {
        static let clear = Result { try Played(.clear) }
        static let tls = Result { try Played(.tls) }

        let pages: [Page]
        let outcomes: Shared<[Findings]>

        init(_ transport: Transport) throws {
            let stage = try HTTP2Stage.shared
            let alive = try Page()
            pages = try RequestFaultJourneys.cases.map { _ in try Page() }
            let cases = zip(RequestFaultJourneys.cases, pages).map { $0.json(mark: $1.mark) }
            let found = try stage.play("faults", "requests", over: transport, ["cases": cases, "alive": alive.path])
            outcomes = Shared(found.parts("outcomes"))
        }
    }

    @Test("Each fails alone, and what is merely odd is served", arguments: cases.indices, Transport.allCases)
    func request(index: Int, transport: Transport) throws {
        let played = try (transport == .tls ? Played.tls : Played.clear).get()
        let outcome = try #require(played.outcomes.current.dropFirst(index).first)
        let (subject, reached) = (Self.cases[index], played.pages[index].requests)
        let reset = HTTP2Code(rawValue: outcome.int("reset"))
        let text = "\(subject.testDescription): \(outcome), reached \(reached.map(\.head))"
        switch subject.verdict {
        case .malformed:
            #expect(reset == .protocolError || outcome.int("status") == 400, "\(text)")
            // A fault behind the head may be found after the head went on, but never with a whole request.
            #expect(reached.allSatisfy { _ in !subject.then.isEmpty }, "\(text)")
        case .status(let statuses):
            #expect(statuses.contains(outcome.int("status")), "\(text)")
            #expect(reached.isEmpty, "\(text)")
        case .served:
            #expect(outcome.int("status") == 200 && outcome.flag("ended"), "\(text)")
            #expect(reached.count == 1, "\(text)")
        }
        #expect(outcome.int("goaway") == -1 && outcome.int("after") == 200, "the connection: \(text)")
    }

    static let cases: [Case] = pseudoCases + authorityCases + fieldCases + lengthCases + servedCases

    private static let pseudoCases: [Case] = [
        Case("§8.3.1 no :method", ":method", is: nil),
        Case("§8.3.1 no :scheme", ":scheme", is: nil),
        Case("§8.3.1 no :path", ":path", is: nil),
        Case("§8.3.1 empty :path", ":path", is: ""),
        Case("§8.3.1 :path without its slash", ":path", is: "MARK"),
        Case("§8.3.1 :path as a URL", ":path", is: "http://example.test/MARK"),
        Case("a space in :path", ":path", is: "/MARK HTTP/1.1"),
        Case("CRLF in :path", ":path", is: "/MARK HTTP/1.1\r\nhost: other.test\r\n\r\nGET /"),
        Case("a bare LF in :path", ":path", is: "/MARK\n"),
        Case("NUL in :path", ":path", is: "/MARK\u{0}"),
        Case("DEL in :path", ":path", is: "/MARK\u{7f}"),
        Case("a fragment in :path", ":path", is: "/MARK#part"),
        Case("§8.3.1 * with GET", ":path", is: "*"),
        Case("empty :method", ":method", is: ""),
        Case("a space in :method", ":method", is: "GET /MARK"),
        Case("CRLF in :method", ":method", is: "GET / HTTP/1.1\r\nhost: example.test\r\n\r\nGET"),
        Case("empty :scheme", ":scheme", is: ""),
        Case("CRLF in :scheme", ":scheme", is: "http\r\nx: y"),
        Case("§8.3 :method twice", Case.head() + [[":method", "GET"]]),
        Case("§8.3 :path twice", Case.head() + [[":path", "/MARK"]]),
        Case("§8.3 :authority twice", Case.head() + [[":authority", "example.test"]]),
        Case("§8.3 an unknown one", [[":unknown", "x"]] + Case.head()),
        Case("§8.3 a response's", [[":status", "200"]] + Case.head()),
        Case("§8.3 one behind a regular field", [["x-a", "b"]] + Case.head()),
        Case("§8.3 :path in upper case", Case.head().map { $0[0] == ":path" ? [":PATH", $0[1]] : $0 }),
        Case("RFC 8441, section 4: :protocol without CONNECT", Case.head() + [[":protocol", "websocket"]]),
        Case("§8.5 CONNECT with :path", ":method", is: "CONNECT"),
        Case(
            "§8.5 CONNECT is off", [[":method", "CONNECT"], [":authority", "example.test:443"]],
            .status([400, 403, 405, 501])),
        Case(
            "RFC 9220, section 3: a protocol that nobody has",
            [[":method", "CONNECT"], [":protocol", "gopher"]] + Case.head().dropFirst(), .status([501])),
    ]

    private static let authorityCases: [Case] = [
        Case("neither :authority nor host", ":authority", is: nil),
        Case("§8.3.1 host that differs", with: "host", "other.test"),
        Case("two hosts", Case.head() + [["host", "example.test"], ["host", "example.test"]]),
        Case("§8.3.1 :authority with a user", ":authority", is: "user@example.test"),
        Case("empty :authority", ":authority", is: ""),
        Case("a space in :authority", ":authority", is: "example.test other.test"),
        Case("a path in :authority", ":authority", is: "example.test/MARK"),
        Case("CRLF in :authority", ":authority", is: "example.test\r\nx: y"),
        Case("a port that is none", ":authority", is: "example.test:80x"),
        Case("a comma in :authority", ":authority", is: "example.test,other.test"),
    ]

    private static let fieldCases: [Case] = [
        Case("§8.2.1 an upper-case name", with: "X-Upper", "a"),
        Case("§8.2.1 an empty name", with: "", "a"),
        Case("§8.2.1 a space in a name", with: "x a", "b"),
        Case("§8.2.1 a colon in a name", with: "x:a", "b"),
        Case("§8.2.1 CRLF in a name", with: "x: b\r\nx-smuggled", "b"),
        Case("§8.2.1 NUL in a name", with: "x\u{0}", "b"),
        Case("§8.2.1 a byte above 0x7f in a name", with: "x\u{e9}", "b"),
        Case("§8.2.1 CRLF in a value", with: "x-a", "b\r\nx-smuggled: c"),
        Case(
            "§8.2.1 a whole request in a value", with: "x-a",
            "b\r\n\r\nGET /admin HTTP/1.1\r\nhost: example.test\r\n\r\n"),
        Case("§8.2.1 a bare CR in a value", with: "x-a", "b\rc"),
        Case("§8.2.1 a bare LF in a value", with: "x-a", "b\nc"),
        Case("§8.2.1 NUL in a value", with: "x-a", "b\u{0}c"),
        Case("§8.2.1 a leading space", with: "x-a", " b"),
        Case("§8.2.1 a trailing tab", with: "x-a", "b\t"),
        Case("§8.2.2 connection", with: "connection", "close"),
        Case("§8.2.2 connection that names host", with: "connection", "host"),
        Case("§8.2.2 keep-alive", with: "keep-alive", "timeout=5"),
        Case("§8.2.2 proxy-connection", with: "proxy-connection", "keep-alive"),
        Case("§8.2.2 transfer-encoding", with: "transfer-encoding", "chunked"),
        Case("§8.2.2 upgrade", with: "upgrade", "websocket"),
        Case("§8.2.2 te other than trailers", with: "te", "gzip"),
        Case("§8.2.2 te with more than trailers", with: "te", "trailers, deflate"),
        Case("an expectation that nobody knows", with: "expect", "200-maybe", .status([417])),
    ]

    private static let lengthCases: [Case] = [
        Case("§8.1.1 content-length without a body", with: "content-length", "5"),
        Case("§8.1.1 a body that falls short", posting: [["content-length", "10"]], [.data("12345", ends: true)]),
        Case("§8.1.1 a body that is too long", posting: [["content-length", "3"]], [.data("12345", ends: true)]),
        Case(
            "§8.1.1 a body that is too long, later", posting: [["content-length", "3"]],
            [.data("123", ends: false), .data("GET / HTTP/1.1\r\n\r\n", ends: true)]),
        Case("§8.1.1 no body where one is said", posting: [["content-length", "3"]], [.data("", ends: true)]),
        Case(
            "§8.1.1 trailers instead of a body", posting: [["content-length", "3"]],
            [.trailers([["x-a", "b"]], ends: true)]),
        Case("a signed length", posting: [["content-length", "+5"]], [.data("12345", ends: true)]),
        Case("a length that is hexadecimal", posting: [["content-length", "0x5"]], [.data("12345", ends: true)]),
        Case(
            "a length that overflows", posting: [["content-length", "18446744073709551621"]],
            [.data("12345", ends: true)]),
        Case(
            "two lengths", posting: [["content-length", "5"], ["content-length", "6"]], [.data("12345", ends: true)]),
        Case("two lengths in a list", posting: [["content-length", "5, 6"]], [.data("12345", ends: true)]),
        Case(
            "§8.1 trailers that do not end the stream", posting: [],
            [.data("a", ends: false), .trailers([["x-a", "b"]], ends: false)]),
        Case(
            "§8.1 a pseudo-header field in trailers", posting: [],
            [.data("a", ends: false), .trailers([[":path", "/"]], ends: true)]),
        Case(
            "§8.2.1 upper case in trailers", posting: [],
            [.data("a", ends: false), .trailers([["X-A", "b"]], ends: true)]),
        Case(
            "§8.2.1 CRLF in trailers", posting: [],
            [.data("a", ends: false), .trailers([["x-a", "b\r\nc: d"]], ends: true)]),
        Case(
            "§8.2.2 connection in trailers", posting: [],
            [.data("a", ends: false), .trailers([["connection", "close"]], ends: true)]),
    ]

    private static let servedCases: [Case] = [
        Case(
            "host alone (§8.3.1)", Case.head().filter { $0[0] != ":authority" } + [["host", "example.test"]], .served),
        Case("host that agrees", with: "host", "example.test", .served),
        Case(":authority in upper case", ":authority", is: "EXAMPLE.test", .served),
        Case("a query with everything", ":path", is: "/MARK?a=b&c[]=%20'\"{}|^`", .served),
        Case("te: trailers", with: "te", "trailers", .served),
        Case("an empty value", with: "x-empty", "", .served),
        Case("bytes above 0x7f in a value", with: "x-latin", "caf\u{e9}", .served),
        Case("a method that nobody knows", ":method", is: "PROPFIND", .served),
        Case(
            "two equal lengths", posting: [["content-length", "5"], ["content-length", "5"]],
            [.data("12345", ends: true)], .served),
        Case("a body of unknown length", posting: [], [.data("123", ends: false), .data("45", ends: true)], .served),
        Case("an empty body of known length", posting: [["content-length", "0"]], [.data("", ends: true)], .served),
        Case("trailers", posting: [], [.data("123", ends: false), .trailers([["x-a", "b"]], ends: true)], .served),
        Case(
            "a last frame without bytes", posting: [["content-length", "3"]],
            [.data("123", ends: false), .data("", ends: true)], .served),
    ]
}
