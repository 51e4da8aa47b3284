// The request as the origin gets it.

import ConfigModel
import Exchange
import HTTPWire
import NIOCore
import Telemetry
import Testing

@testable import Pipeline

/// The lines of the request that an origin hears for `head`, the request line first.
private func rendered(
    _ head: String, secure: Bool = false, peer: String = "198.51.100.7", _ change: (inout Scene) -> Void = { _ in }
) throws -> [String] {
    let stage = try Stage(Scene(change))
    defer { stage.finish() }
    let channel = try stage.shelve()
    stage.journey.peer = Stage.address(peer)
    stage.journey.isSecure = secure
    try stage.begin(head)
    let text = try channel.heard()
    #expect(text.hasSuffix("\r\n\r\n"))
    // CRLF is one character to Swift.
    return text.dropLast(2).components("\r\n")
}

extension StringProtocol {
    /// The parts between occurrences of `separator`.
    fileprivate func components(_ separator: String) -> [String] {
        var parts = [""]
        for character in self {
            if String(character) == separator { parts.append("") } else { parts[parts.count - 1].append(character) }
        }
        return parts
    }
}

extension [String] {
    /// The values of the fields of that name.
    fileprivate func values(_ name: String) -> [String] {
        dropFirst().filter { $0.lowercased().hasPrefix(name.lowercased() + ":") }
            .map { String($0.dropFirst(name.count + 1).drop { $0 == " " }) }
    }
}

@Suite("Request rendering")
struct RenderingTests {
    @Test(
        "the request line is in origin form",
        arguments: [
            ("GET /a/b?c=d HTTP/1.1\r\nHost: h.test\r\n", "GET /a/b?c=d HTTP/1.1"),
            ("GET http://h.test/a?b HTTP/1.1\r\nHost: h.test\r\n", "GET /a?b HTTP/1.1"),
            ("GET http://h.test HTTP/1.1\r\nHost: h.test\r\n", "GET / HTTP/1.1"),
            ("GET http://h.test?x HTTP/1.1\r\nHost: h.test\r\n", "GET /?x HTTP/1.1"),
            ("OPTIONS http://h.test HTTP/1.1\r\nHost: h.test\r\n", "OPTIONS * HTTP/1.1"),
            ("OPTIONS http://h.test?x HTTP/1.1\r\nHost: h.test\r\n", "OPTIONS /?x HTTP/1.1"),
            ("OPTIONS * HTTP/1.1\r\nHost: h.test\r\n", "OPTIONS * HTTP/1.1"),
            ("BREW /pot HTTP/1.1\r\nHost: h.test\r\n", "BREW /pot HTTP/1.1"),
            ("GET / HTTP/1.0\r\nHost: h.test\r\n", "GET / HTTP/1.1"),
            ("GET /a?b?c?? HTTP/1.1\r\nHost: h.test\r\n", "GET /a?b?c?? HTTP/1.1"),
        ])
    func requestLine(head: String, expected: String) throws {
        let lines = try rendered(head + "\r\n")
        #expect(lines.first == expected)
        #expect(lines.values("Host") == ["h.test"])
    }

    @Test("Host is the client's, with its port, or the configured one")
    func host() throws {
        #expect(try rendered("GET / HTTP/1.1\r\nHost: h.test:8080\r\n\r\n").values("Host") == ["h.test:8080"])
        #expect(try rendered("GET / HTTP/1.1\r\nHost: [2001:db8::1]:81\r\n\r\n").values("Host") == ["[2001:db8::1]:81"])
        let lines = try rendered("GET / HTTP/1.1\r\nHost: h.test\r\n\r\n") { scene in
            scene.zone.origins[0].hostHeader = "inner.test"
        }
        #expect(lines.values("Host") == ["inner.test"])
        #expect(lines.values("X-Forwarded-Host") == ["h.test"])
        // HTTP/1.0 without one: the origin gets one all the same.
        #expect(try rendered("GET / HTTP/1.0\r\n\r\n").values("Host") == ["192.0.2.1"])
    }

    @Test("what belongs to the client's hop stays there, and what it names with it, but for what must not be named")
    func hopByHop() throws {
        let lines = try rendered(
            "GET / HTTP/1.1\r\nHost: h.test\r\nConnection: close, X-Hop, Authorization, X-Forwarded-For, Host\r\n"
                + "Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\nX-Hop: 1\r\nX-Kept: 2\r\n"
                + "Authorization: Basic x\r\nTrailer: X-Sum\r\n\r\n")
        for name in ["Keep-Alive", "Proxy-Connection", "X-Hop", "Connection", "TE", "Transfer-Encoding"] {
            #expect(lines.values(name).isEmpty, "\(name)")
        }
        #expect(lines.values("X-Kept") == ["2"])
        #expect(lines.values("Authorization") == ["Basic x"])
        #expect(lines.values("Host") == ["h.test"])
        #expect(lines.values("X-Forwarded-For") == ["198.51.100.7"])
    }

    @Test("a stranger's word on who it is counts for nothing")
    func untrusted() throws {
        let lines = try rendered(
            "GET / HTTP/1.1\r\nHost: h.test\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n"
                + "X-Forwarded-Host: evil.test\r\nX-Forwarded-Port: 1\r\nX-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n"
                + "Martlet-Ray: 0000000000000001\r\nVia: 1.0 before\r\n\r\n")
        #expect(lines.values("X-Forwarded-For") == ["198.51.100.7"])
        #expect(lines.values("X-Forwarded-Proto") == ["http"])
        #expect(lines.values("X-Forwarded-Host") == ["h.test"])
        #expect(lines.values("X-Forwarded-Port").isEmpty)
        #expect(lines.values("X-Real-IP").isEmpty)
        #expect(lines.values("Forwarded") == ["for=198.51.100.7;host=\"h.test\";proto=http"])
        #expect(lines.values("Via") == ["1.0 before, 1.1 martlet"])
        #expect(lines.values("Martlet-Ray").count == 1)
        #expect(lines.values("Martlet-Ray") != ["0000000000000001"])
    }

    @Test("a trusted proxy's word is continued")
    func trusted() throws {
        let lines = try rendered(
            "GET / HTTP/1.1\r\nHost: h.test\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 10.0.0.9\r\n"
                + "X-Forwarded-Proto: https\r\nX-Forwarded-Host: outer.test\r\nForwarded: for=203.0.113.9\r\n\r\n",
            peer: "10.0.0.1"
        ) { $0.configuration.trustedProxies = [AddressBlock(high: 0, low: 0xffff_0a00_0000, prefixBits: 104)] }
        #expect(lines.values("X-Forwarded-For") == ["203.0.113.9, 10.0.0.9, 10.0.0.1"])
        #expect(lines.values("X-Forwarded-Proto") == ["https"])
        #expect(lines.values("X-Forwarded-Host") == ["outer.test"])
        #expect(lines.values("Forwarded") == ["for=203.0.113.9, for=10.0.0.1;host=\"h.test\";proto=http"])
    }

    @Test("an IPv6 peer is bracketed and quoted in Forwarded, and plain in X-Forwarded-For")
    func peer6() throws {
        let lines = try rendered("GET / HTTP/1.1\r\nHost: h.test:81\r\n\r\n", secure: true, peer: "2001:db8::7")
        #expect(lines.values("Forwarded") == ["for=\"[2001:db8::7]\";host=\"h.test:81\";proto=https"])
        #expect(lines.values("X-Forwarded-For") == ["2001:db8::7"])
        #expect(lines.values("X-Forwarded-Proto") == ["https"])
    }

    @Test(
        "framing is written anew",
        arguments: [
            ("POST", "Content-Length: 5\r\n", ["5"], [String]()),
            ("POST", "Content-Length: 005\r\n", ["5"], []),
            ("POST", "Content-Length: 0\r\n", ["0"], []),
            ("POST", "Transfer-Encoding: chunked\r\n", [], ["chunked"]),
            ("POST", "Transfer-Encoding: CHUNKED\r\n", [], ["chunked"]),
            ("GET", "", [], []),
        ])
    func framing(method: String, fields: String, length: [String], coding: [String]) throws {
        let lines = try rendered("\(method) / HTTP/1.1\r\nHost: h.test\r\n\(fields)\r\n")
        #expect(lines.values("Content-Length") == length)
        #expect(lines.values("Transfer-Encoding") == coding)
    }

    @Test("Expect and TE: trailers are passed on in our own words")
    func expectations() throws {
        let lines = try rendered(
            "POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 5\r\nExpect: 100-Continue\r\nTE: trailers\r\n"
                + "Connection: TE\r\n\r\n")
        #expect(lines.values("Expect") == ["100-continue"])
        #expect(lines.values("TE") == ["trailers"])
        #expect(lines.values("Connection") == ["TE"])
    }

    @Test(
        "protocols to switch to are passed on, HTTP/2 never",
        arguments: [
            ("websocket", ["websocket"]), ("WebSocket, other", ["WebSocket, other"]), ("h2c", []), ("H2C", []),
            ("websocket, h2c", []), ("h2", []), ("HTTP/2.0", []), ("foo, HTTP/2", []), ("xh2c", ["xh2c"]),
        ])
    func upgrade(protocols: String, expected: [String]) throws {
        let lines = try rendered(
            "GET / HTTP/1.1\r\nHost: h.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: \(protocols)\r\n"
                + "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n")
        #expect(lines.values("Upgrade") == expected)
        #expect(lines.values("Connection") == (expected.isEmpty ? [] : ["Upgrade"]))
        #expect(lines.values("HTTP2-Settings").isEmpty)
    }

    @Test(
        "Max-Forwards counts down for TRACE and OPTIONS, and is another's matter elsewhere",
        arguments: [
            ("OPTIONS", "5", ["4"]), ("TRACE", "1", ["0"]), ("GET", "5", ["5"]), ("OPTIONS", "many", []),
            ("OPTIONS", "-1", []), ("OPTIONS", "010", ["9"]),
        ])
    func maxForwards(method: String, value: String, expected: [String]) throws {
        let lines = try rendered("\(method) / HTTP/1.1\r\nHost: h.test\r\nMax-Forwards: \(value)\r\n\r\n")
        #expect(lines.values("Max-Forwards") == expected)
    }

    @Test("a head of many large fields is rendered whole")
    func large() throws {
        let fields = (0..<100).map { "X-\($0): " + String(repeating: "v", count: 600) + "\r\n" }.joined()
        let lines = try rendered("GET / HTTP/1.1\r\nHost: h.test\r\n\(fields)\r\n") { scene in
            scene.configuration.limits.headBytes = 256 * 1024
        }
        for index in 0..<100 { #expect(lines.values("X-\(index)") == [String(repeating: "v", count: 600)]) }
    }
}

/// The parser's verdict on a range of bytes.
private func isTraceParent(_ bytes: [UInt8], _ range: ByteRange) -> Bool { Journey.isTraceParent(range, bytes.span) }

@Suite("Trace context")
struct TraceTests {
    private static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    private static let parent = "00f067aa0ba902b7"

    /// W3C Trace Context, section 3.2.
    static let table: [(String, Bool)] = [
        ("00-\(trace)-\(parent)-01", true),
        ("00-\(trace)-\(parent)-00", true),
        ("00-\(trace)-\(parent)-ff", true),
        ("01-\(trace)-\(parent)-01", true),
        ("cc-\(trace)-\(parent)-01-what-the-future-will-be", true),
        ("fe-\(trace)-\(parent)-01", true),
        ("cc-\(trace)-\(parent)-01x", false),
        ("cc-\(trace)-\(parent)-01.more", false),
        ("ff-\(trace)-\(parent)-01", false),
        ("00-\(trace)-\(parent)-01-more", false),
        ("00-\(trace)-\(parent)-01-", false),
        ("00-\(trace)-\(parent)-0", false),
        ("00-\(trace)-\(parent)", false),
        ("00-\(trace.uppercased())-\(parent)-01", false),
        ("00-\(trace)-\(parent.uppercased())-01", false),
        ("00-\(String(repeating: "0", count: 32))-\(parent)-01", false),
        ("00-\(trace)-\(String(repeating: "0", count: 16))-01", false),
        ("00-\(trace)-\(parent)-0g", false),
        ("0x-\(trace)-\(parent)-01", false),
        ("00_\(trace)-\(parent)-01", false),
        ("00-\(trace)_\(parent)-01", false),
        ("00-\(trace)-\(parent)_01", false),
        ("00-\(trace.dropLast())g-\(parent)-01", false),
        ("", false),
    ]

    @Test("which values are one", arguments: table)
    func validation(value: String, isValid: Bool) {
        let bytes = Array(value.utf8)
        let range = ByteRange(start: 0, count: UInt32(bytes.count))
        #expect(isTraceParent(bytes, range) == isValid)
    }

    @Test("each digit of the ids alone keeps them from being all zero")
    func nonzero() {
        for digit in "123456789abcdef" {
            for position in 0..<32 {
                var trace = Array(repeating: Character("0"), count: 32)
                trace[position] = digit
                let bytes = Array("00-\(String(trace))-\(Self.parent)-01".utf8)
                #expect(isTraceParent(bytes, ByteRange(start: 0, count: 55)), "\(digit) at \(position)")
            }
        }
    }

    @Test("a range beyond the bytes is no traceparent")
    func outOfRange() {
        let bytes = Array("00-\(Self.trace)-\(Self.parent)-0".utf8)
        #expect(!isTraceParent(bytes, ByteRange(start: 0, count: 55)))
        #expect(!isTraceParent(bytes, ByteRange(start: 3, count: 55)))
    }

    @Test("a trace goes on with this hop as its parent, tracestate included")
    func goesOn() throws {
        let lines = try rendered(
            "GET / HTTP/1.1\r\nHost: h.test\r\ntraceparent: 00-\(Self.trace)-\(Self.parent)-01\r\n"
                + "tracestate: a=1\r\ntracestate: b=2\r\n\r\n")
        let ray = try #require(lines.values("Martlet-Ray").first)
        #expect(lines.values("traceparent") == ["00-\(Self.trace)-\(ray)-01"])
        #expect(lines.values("tracestate") == ["a=1", "b=2"])
    }

    @Test("a bad one begins a new trace, without the state of the old")
    func beginsAnew() throws {
        let lines = try rendered(
            "GET / HTTP/1.1\r\nHost: h.test\r\ntraceparent: 00-\(Self.trace)-\(Self.parent)-01-x\r\ntracestate: a=1\r\n\r\n"
        )
        let made = try #require(lines.values("traceparent").first)
        let bytes = Array(made.utf8)
        #expect(isTraceParent(bytes, ByteRange(start: 0, count: UInt32(bytes.count))))
        #expect(!made.contains(Self.trace))
        #expect(lines.values("tracestate").isEmpty)
    }
}

@Suite("Who asks")
struct ClientAddressTests {
    /// 10.0.0.0/8.
    private static let ours = AddressBlock(high: 0, low: 0xffff_0a00_0000, prefixBits: 104)

    private func client(_ fields: String, peer: String = "10.0.0.1", header: String = "x-forwarded-for") throws
        -> String
    {
        let stage = try Stage(
            Scene {
                $0.configuration.trustedProxies = [Self.ours]
                $0.configuration.clientAddressHeader = header
            })
        defer { stage.finish() }
        stage.journey.peer = Stage.address(peer)
        try stage.begin("GET / HTTP/1.1\r\nHost: h.test\r\n\(fields)\r\n")
        return String(decoding: stage.journey.clientAddress.text, as: UTF8.self)
    }

    @Test(
        "the last address that is not a trusted proxy's",
        arguments: [
            ("", "10.0.0.1"),
            ("X-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9"),
            ("X-Forwarded-For: 6.6.6.6, 203.0.113.9\r\n", "203.0.113.9"),
            ("X-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.0.0.2\r\n", "203.0.113.9"),
            ("X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 203.0.113.9, 10.0.0.2\r\n", "203.0.113.9"),
            ("X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n", "10.0.0.3"),
            ("X-Forwarded-For: 203.0.113.9, unknown, 10.0.0.2\r\n", "10.0.0.2"),
            ("X-Forwarded-For: 203.0.113.9:4711\r\n", "203.0.113.9"),
            ("X-Forwarded-For: [2001:db8::9]:4711\r\n", "2001:db8::9"),
            ("X-Forwarded-For: ,, 203.0.113.9 ,\r\n", "203.0.113.9"),
        ])
    func fromTrusted(fields: String, expected: String) throws {
        #expect(try client(fields) == expected)
    }

    @Test("a stranger is itself")
    func fromStranger() throws {
        #expect(try client("X-Forwarded-For: 6.6.6.6\r\n", peer: "198.51.100.7") == "198.51.100.7")
    }

    @Test(
        "however many members a client sends ahead, the proxy's own word is the last", arguments: [10, 63, 64, 65, 500])
    func manyMembers(count: Int) throws {
        let claimed = Array(repeating: "6.6.6.6", count: count).joined(separator: ", ")
        #expect(try client("X-Forwarded-For: \(claimed), 203.0.113.9\r\n") == "203.0.113.9")
    }

    @Test("another field can be the one that counts")
    func header() throws {
        let fields = "X-Forwarded-For: 6.6.6.6\r\nCF-Connecting-IP: 203.0.113.9\r\n"
        #expect(try client(fields, header: "cf-connecting-ip") == "203.0.113.9")
    }
}
