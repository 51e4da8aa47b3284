// What a request head means for routing and for the connection: Host, Connection, Upgrade, Expect, TE.

import HTTPWire
import Testing

@Suite("Requests: Host (rule 10)")
struct RequestHostTests {
    @Test(
        "accepted",
        arguments: [
            ("example.test", "example.test", UInt16?.none),
            ("EXAMPLE.test:8080", "EXAMPLE.test", 8080),
            ("example.test.", "example.test.", nil),
            ("example.test:", "example.test", nil),
            ("example.test:00080", "example.test", 80),
            ("example.test:65535", "example.test", 65535),
            ("under_score.xn--bcher-kva.test", "under_score.xn--bcher-kva.test", nil),
            ("192.0.2.1:1", "192.0.2.1", 1),
            ("localhost", "localhost", nil),
            ("[::]", "[::]", nil),
            ("[::1]:443", "[::1]", 443),
            ("[2001:DB8:0:0:8:800:200c:417a]", "[2001:DB8:0:0:8:800:200c:417a]", nil),
            ("[2001:db8::]", "[2001:db8::]", nil),
            ("[1:2:3:4:5:6:7::]", "[1:2:3:4:5:6:7::]", nil),
            ("[::ffff:192.0.2.128]", "[::ffff:192.0.2.128]", nil),
            ("[1:2:3:4:5:6:1.2.3.4]", "[1:2:3:4:5:6:1.2.3.4]", nil),
        ])
    func accepted(_ value: String, _ host: String, _ port: UInt16?) throws {
        let outcome = RequestOutcome("GET / HTTP/1.1\r\nHost: \(value)\r\n\r\n")
        let head = try #require(outcome.head)
        #expect(outcome.text(head.host) == host)
        #expect(head.port == port)
        let absolute = RequestOutcome("GET http://\(value)/ HTTP/1.1\r\nHost: \(value)\r\n\r\n")
        #expect(absolute.text(absolute.head?.host) == host)
    }

    @Test(
        "refused",
        arguments: [
            "", "a b", "a,b", "a/b", "a\\b", "a?b", "a%62", "a@b", "@b", "u:p@b", "a;b", "a=b", "a\"b", "{a}", "(a)",
            "a..b", ".a", ".", ":80", "a:0", "a:65536", "a:99999", "a:000080", "a:-1", "a:8o", "a:80:80", "caf\u{E9}",
            "[", "[]", "[:]", "[:::]", "[::1", "[::1]x", "[::1]:x", "[1::2::3]", "[1:2:3:4:5:6:7]",
            "[1:2:3:4:5:6:7:8:9]", "[1:2:3:4:5:6:7:8::]", "[12345::]", "[g::]", "[::1.2.3]", "[::1.2.3.256]",
            "[::1.2.3.04]", "[1:2:3:4:5:6:7:1.2.3.4]", "[::1%25eth0]", "[v1.a]", "::1", "[1:]", "[:1::]",
            String(repeating: "a", count: 263),
        ])
    func refused(_ value: String) {
        let error = RequestOutcome("GET / HTTP/1.1\r\nHost: \(value)\r\n\r\n").error
        #expect(error?.kind == (value.contains("@") ? .userInformation : .badHost), "\(value)")
        #expect(error?.status == 400)
        // In a target, `/` and `?` end the authority.
        guard !value.contains("/"), !value.contains("?") else { return }
        let absolute = RequestOutcome("GET http://\(value)/ HTTP/1.1\r\nHost: a\r\n\r\n").error
        #expect(absolute?.status == 400, "\(value)")
    }

    @Test("exactly one, except that HTTP/1.0 may have none")
    func count() {
        Refusal("", .hostMissing).check("GET / HTTP/1.1\r\nX: y\r\n\r\n")
        Refusal("", .hostMissing).check("GET http://a/ HTTP/1.1\r\nX: y\r\n\r\n")
        Refusal("", .hostRepeated).check("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n")
        Refusal("", .hostRepeated).check("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nhOsT: b\r\n\r\n")
        Refusal("", .hostRepeated).check("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n")
        #expect(RequestOutcome("GET / HTTP/1.0\r\n\r\n").head?.host.isEmpty == true)
        #expect(RequestOutcome("GET / HTTP/1.0\r\nHost:\r\n\r\n").error?.kind == .badHost)
    }

    @Test(
        "agrees with the target's authority",
        arguments: [
            ("GET http://a/ HTTP/1.1", "a", true), ("GET http://a/ HTTP/1.1", "A", true),
            ("GET http://a/ HTTP/1.1", "a:80", true), ("GET http://a:80/ HTTP/1.1", "a", true),
            ("GET https://a/ HTTP/1.1", "a:443", true), ("GET http://a:81/ HTTP/1.1", "a:81", true),
            ("GET http://[::A]/ HTTP/1.1", "[::a]", true), ("CONNECT a:443 HTTP/1.1", "a", true),
            ("CONNECT a:443 HTTP/1.1", "a:443", true),
            ("GET http://a/ HTTP/1.1", "b", false), ("GET http://a/ HTTP/1.1", "a.", false),
            ("GET http://a/ HTTP/1.1", "a:443", false), ("GET https://a/ HTTP/1.1", "a:80", false),
            ("GET http://a:81/ HTTP/1.1", "a", false), ("GET http://a:81/ HTTP/1.1", "a:82", false),
            ("CONNECT a:443 HTTP/1.1", "a:80", false), ("CONNECT a:443 HTTP/1.1", "b", false),
        ])
    func agreement(_ line: String, _ host: String, _ agrees: Bool) {
        let outcome = RequestOutcome("\(line)\r\nHost: \(host)\r\n\r\n")
        #expect((outcome.head != nil) == agrees)
        #expect(outcome.error?.kind == (agrees ? nil : .hostDisagrees))
    }
}

@Suite("Requests: the connection (rules 12 and 15)")
struct RequestConnectionTests {
    private func get(_ fields: String, version: String = "1.1") -> RequestOutcome {
        RequestOutcome("GET / HTTP/\(version)\r\nHost: a\r\n\(fields)\r\n")
    }

    @Test(
        "how long it lasts",
        arguments: [
            ("", "1.1", true), ("Connection: keep-alive\r\n", "1.1", true), ("Connection: close\r\n", "1.1", false),
            ("Connection: x, CLOSE\r\n", "1.1", false),
            ("Connection: keep-alive\r\nConnection: close\r\n", "1.1", false),
            ("Connection: closed\r\n", "1.1", true), ("Connection:\r\n", "1.1", true),
            ("Proxy-Connection: close\r\n", "1.1", true), ("", "1.0", false),
            ("Connection: Keep-Alive\r\n", "1.0", true),
            ("Connection: keep-alive, close\r\n", "1.0", false), ("Keep-Alive: timeout=5\r\n", "1.0", false),
        ])
    func persistence(_ fields: String, _ version: String, _ keepAlive: Bool) {
        #expect(get(fields, version: version).head?.keepAlive == keepAlive)
    }

    @Test("fields between two hops are dropped, Trailer and Via are not")
    func hopByHop() {
        let dropped = [
            "Connection: x", "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "TE: trailers", "Upgrade: h2c",
            "HTTP2-Settings: AAMAAABkAAQAAP__", "Proxy-Authorization: Basic eA==", "Proxy-Authenticate: Basic",
            "Proxy-Authentication-Info: x", "Content-Length: 0", "Expect: 100-continue", "Proxy: http://evil.test",
        ]
        let kept = ["Trailer: X-Sum", "Via: 1.1 p", "Authorization: x", "Cookie: a=b", "X-Any: y", "Date: x"]
        let outcome = get((dropped + kept).map { "\($0)\r\n" }.joined())
        #expect(outcome.forwarded == ["Trailer", "Via", "Authorization", "Cookie", "X-Any", "Date"])
    }

    @Test("fields that Connection names are dropped, whichever case and order")
    func nominated() {
        let outcome = get(
            "x-secret: 1\r\nConnection: close, X-SECRET ,, other\r\nX-Secret: 2\r\nOther: 3\r\nThird: 4\r\n")
        #expect(outcome.forwarded == ["Third"])
        let spread = get(
            "Connection: a\r\nA: 1\r\nB: 2\r\nConnection: b\r\nTrailer: x\r\nConnection: trailer\r\nAb: 3\r\n")
        #expect(spread.forwarded == ["Ab"])
    }

    @Test(
        "Connection cannot name what is meant for the recipient",
        arguments: [
            "Authorization", "Cookie", "Via", "Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host",
            "X-Forwarded-Port", "X-Forwarded-Anything", "X-Real-IP", "CF-Connecting-IP", "CF-Ray", "Martlet-Ray",
            "Martlet-Anything", "Cache-Control", "traceparent", "tracestate", "CDN-Loop", "Max-Forwards", "Range",
            "If-None-Match", "Content-Type", "Content-Encoding", "Content-Range", "Accept", "Origin", "Referer",
            "Set-Cookie", "Location", "Date", "Vary",
        ])
    func protected(_ name: String) {
        let outcome = get("Connection: close, \(name.lowercased())\r\n\(name): x\r\n")
        #expect(outcome.forwarded == [name])
    }

    @Test("Connection cannot take away Host or the framing")
    func framingStays() {
        let outcome = RequestOutcome(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: Host, Content-Length\r\n\r\n")
        #expect(outcome.text(outcome.head?.host) == "a")
        #expect(outcome.head?.framing == .length(5))
        let chunked = RequestOutcome(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: Transfer-Encoding\r\n\r\n")
        #expect(chunked.head?.framing == .chunked)
    }

    @Test("options that are no tokens, or too many")
    func refusedOptions() {
        #expect(get("Connection: close;x\r\n").error?.kind == .badConnection)
        #expect(get("Connection: \"close\"\r\n").error?.kind == .badConnection)
        #expect(get("Connection: a b\r\n").error?.kind == .badConnection)
        let many = (0..<32).map { "x\($0)" }.joined(separator: ",")
        #expect(get("Connection: \(many)\r\n").head != nil)
        #expect(get("Connection: \(many),y\r\n").error?.kind == .tooManyConnectionOptions)
    }

    @Test(
        "an upgrade is offered by Connection, Upgrade and HTTP/1.1 together",
        arguments: [
            ("Connection: Upgrade\r\nUpgrade: websocket\r\n", "1.1", "websocket"),
            ("Connection: keep-alive, upgrade\r\nUpgrade: WebSocket\r\n", "1.1", "WebSocket"),
            ("Upgrade: websocket\r\n", "1.1", nil), ("Connection: upgrade\r\n", "1.1", nil),
            ("Connection: upgrade\r\nUpgrade:\r\n", "1.1", nil),
            ("Connection: upgrade\r\nUpgrade: websocket\r\n", "1.0", nil),
            ("Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n", "1.1", nil),
        ] as [(String, String, String?)])
    func upgrade(_ fields: String, _ version: String, _ upgrade: String?) throws {
        let outcome = get(fields, version: version)
        let head = try #require(outcome.head)
        #expect(outcome.text(head.upgrade) == upgrade)
        #expect(outcome.forwarded == [])
    }

    @Test(
        "expectations",
        arguments: [
            ("Expect: 100-continue\r\nContent-Length: 3\r\n", "1.1", true),
            ("Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n", "1.1", true),
            ("Expect: 100-continue\r\n", "1.1", false), ("Expect: 100-continue\r\nContent-Length: 0\r\n", "1.1", false),
            ("Expect: 100-continue\r\nContent-Length: 3\r\n", "1.0", false),
            ("Expect: anything\r\nContent-Length: 3\r\n", "1.0", false), ("Content-Length: 3\r\n", "1.1", false),
        ])
    func expectation(_ fields: String, _ version: String, _ expects: Bool) throws {
        #expect(try #require(get(fields, version: version).head).expectsContinue == expects)
    }

    @Test(
        "other expectations are refused with 417",
        arguments: ["200-ok", "", "100-continue, x", "100-continue;x", "\"100-continue\""])
    func unknownExpectation(_ value: String) {
        let error = get("Expect: \(value)\r\n").error
        #expect(error?.kind == .expectationUnknown)
        #expect(error?.status == 417)
        #expect(get("Expect: 100-continue\r\nExpect: \(value)\r\n").error?.kind == .expectationUnknown)
    }

    @Test(
        "trailers are wanted by TE",
        arguments: [
            ("", false), ("TE: trailers\r\n", true), ("TE: gzip;q=0.5, Trailers\r\n", true),
            ("TE: trailersx\r\n", false),
            ("TE:\r\n", false), ("TE: gzip\r\nTE: trailers\r\n", true),
        ])
    func trailers(_ fields: String, _ wants: Bool) {
        #expect(get(fields).head?.wantsTrailers == wants)
    }
}
