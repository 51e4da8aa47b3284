import Foundation
import Testing

/// What an HTTP/1.1 origin gets of a request that came by HTTP/2: framing made anew, nothing copied that would be read
/// otherwise (rule 14 of the design; RFC 9113, sections 8.2 and 10.3).
@Suite("HTTP/2: translation to HTTP/1.1", .onStageThreads)
struct TranslationJourneys {
    private func forwarded(
        _ fields: [[String]] = [], method: String = "GET", body: String = "", over transport: Transport = .clear,
        authority: String? = nil, suffix: String = ""
    ) throws -> Message {
        let page = try Page()
        var arguments: [String: Any] = ["path": page.path + suffix, "fields": fields, "method": method, "body": body]
        if let authority { arguments["authority"] = authority }
        let reply = try HTTP2Stage.shared.play("exchanges", "ask", over: transport, arguments).reply("reply")
        #expect(reply.status == 200, "\(reply)")
        #expect(page.requests.count == 1)
        return try #require(page.requests.first)
    }

    @Test("A request line, one Host, no pseudo-header field", arguments: Transport.allCases)
    func head(transport: Transport) throws {
        let request = try forwarded(
            [["user-agent", "journey"], ["x-odd", "a, b"], ["x-odd", "c"]], over: transport, suffix: "?a=b&c=%20")
        #expect(request.startLine.hasSuffix("?a=b&c=%20 HTTP/1.1") && request.method == "GET", "\(request.head)")
        #expect(request.all("Host") == ["example.test"], "\(request.head)")
        #expect(request.all("X-Odd") == ["a, b", "c"] && request["User-Agent"] == "journey", "\(request.head)")
        #expect(request.fields.allSatisfy { !$0.name.hasPrefix(":") }, "\(request.head)")
        #expect(!request.has("Transfer-Encoding") && !request.has("Content-Length"), "\(request.head)")
        #expect(request["X-Forwarded-Proto"] == (transport == .tls ? "https" : "http"), "\(request.head)")
        #expect(request["X-Forwarded-For"] == "127.0.0.1", "\(request.head)")
        #expect(request["Via"]?.hasPrefix("2") == true, "\(request.head)")
        #expect(!request.has("HTTP2-Settings"))
    }

    @Test("Host is :authority as it came, its port too")
    func authority() throws {
        let request = try forwarded(authority: "example.test:8443")
        #expect(request.all("Host") == ["example.test:8443"], "\(request.head)")
    }

    @Test("A body of known length has Content-Length, one of unknown length is chunked")
    func framing() throws {
        let known = try forwarded([["content-length", "5"]], method: "POST", body: "hello")
        #expect(
            known["Content-Length"] == "5" && !known.has("Transfer-Encoding") && known.text == "hello", "\(known.head)")
        let unknown = try forwarded(method: "POST", body: "hello")
        #expect(unknown["Transfer-Encoding"] == "chunked" && !unknown.has("Content-Length"), "\(unknown.head)")
        #expect(unknown.text == "hello")
        let folded = try forwarded(
            [["content-length", "5"], ["content-length", "5"]], method: "POST", body: "hello")
        #expect(folded.all("Content-Length") == ["5"] && folded.text == "hello", "\(folded.head)")
    }

    @Test("A GET with a body keeps it framed")
    func unusualBody() throws {
        let request = try forwarded(body: "GET /admin HTTP/1.1\r\nhost: example.test\r\n\r\n")
        #expect(request.has("Transfer-Encoding") != request.has("Content-Length"), "\(request.head)")
        #expect(request.text.hasPrefix("GET /admin"))
    }

    @Test("A POST without a body has no framing that says otherwise")
    func emptyPost() throws {
        let request = try forwarded(method: "POST")
        #expect(["0", nil].contains(request["Content-Length"]) && !request.has("Transfer-Encoding"), "\(request.head)")
    }

    @Test("Crumbs of cookies are one field (§8.2.3)", arguments: Transport.allCases)
    func cookies(transport: Transport) throws {
        let request = try forwarded(
            [["cookie", "a=b"], ["x-between", "1"], ["cookie", "c=d"], ["cookie", "e=f; g=h"]], over: transport)
        #expect(request.all("Cookie") == ["a=b; c=d; e=f; g=h"], "\(request.head)")
    }

    @Test("te: trailers asks for trailers, and goes no further than this hop")
    func te() throws {
        let request = try forwarded([["te", "trailers"]])
        let te = request.all("TE")
        // If it is sent on, then as this hop's own, named by Connection (RFC 9110, section 10.1.4).
        let isNamed = request.all("Connection").contains { $0.lowercased().contains("te") }
        #expect(te.isEmpty || (te == ["trailers"] && isNamed), "\(request.head)")
    }

    @Test(
        "Trailers that may not be are not passed on (RFC 9110, §6.5.1)",
        arguments: ["content-length", "host", "authorization", "cookie", "x-forwarded-for", "martlet-ray"])
    func trailers(name: String) throws {
        let page = try Page { connection, request, _ in
            try connection.send(ok("\(request.trailers.map(\.name))"))
        }
        let found = try HTTP2Stage.shared.play(
            "exchanges", "trailers", ["path": page.path, "fields": [[name, "1"], ["x-kept", "a"]], "ends": true])
        let reply = found.reply("reply")
        guard reply.status == 200 else {
            // Refused as a whole is as good.
            #expect(reply.status == 400 || reply.reset == .protocolError, "\(reply)")
            return
        }
        let request = try #require(page.requests.first)
        #expect(request.trailer(name) == nil && request.trailer("x-kept") == "a", "\(request.trailers)")
    }

    @Test("What a client claims to have been forwarded is replaced, as over HTTP/1.1")
    func forwardingClaims() throws {
        let request = try forwarded([
            ["x-forwarded-for", "203.0.113.7"], ["x-forwarded-proto", "gopher"], ["forwarded", "for=203.0.113.7"],
            ["martlet-ray", "0123456789abcdef"],
        ])
        #expect(request.all("X-Forwarded-For") == ["127.0.0.1"] && request.all("X-Forwarded-Proto") == ["http"])
        #expect(request["Forwarded"]?.contains("203.0.113.7") == false && request["Martlet-Ray"] != "0123456789abcdef")
    }

    @Test("An answer's names come in lower case and without what belongs to HTTP/1.1", arguments: Transport.allCases)
    func answer(transport: Transport) throws {
        let page = try Page { connection, _, _ in
            try connection.send(
                "HTTP/1.1 200 OK\r\nX-Upper-CASE: Value\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nConnection: X-Named\r\n"
                    + "X-Named: gone\r\nKeep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
            )
        }
        let reply = try HTTP2Stage.shared.ask(page.path, over: transport)
        #expect(reply.isWhole("hello") && reply["x-upper-case"] == "Value", "\(reply)")
        #expect(reply.fields.filter { $0.name == "set-cookie" }.map(\.value) == ["a=b", "c=d"], "\(reply)")
        for name in ["connection", "x-named", "keep-alive", "transfer-encoding", "content-length"] {
            #expect(!reply.fields.contains { $0.name == name }, "\(name): \(reply)")
        }
    }

    @Test("OPTIONS * is the server's own, as over HTTP/1.1")
    func asterisk() throws {
        let stage = try HTTP2Stage.shared
        let old = try stage.edge.exchange("OPTIONS * HTTP/1.1\r\nHost: example.test\r\nConnection: close\r\n\r\n")
        let reply = try stage.ask("*", method: "OPTIONS")
        #expect(reply.status == old.status && reply.hasEnded, "\(reply) \(old)")
    }

    @Test(
        "Whether a request is secure is what the connection is, not what :scheme claims", arguments: Transport.allCases)
    func scheme(transport: Transport) throws {
        let page = try Page("Cache-Control: max-age=600")
        let claimed = transport == .tls ? "http" : "https"
        let reply = try HTTP2Stage.shared.play(
            "exchanges", "claiming", over: transport, ["path": page.path, "scheme": claimed]
        ).reply("reply")
        // Refusing it is as good: the host is not served by that scheme here.
        #expect([200, 400, 421].contains(reply.status) || reply.reset == .protocolError, "\(reply)")
        let truth = transport == .tls ? "https" : "http"
        for request in page.requests { #expect(request["X-Forwarded-Proto"] == truth, "\(request.head)") }
        let before = page.requests.count
        // No object of the other scheme came of it.
        #expect(try HTTP2Stage.shared.ask(page.path, over: transport == .tls ? .clear : .tls).status == 200)
        #expect(page.requests.count == before + 1)
    }

    @Test("A redirection to https names what was asked for")
    func redirect() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try HTTP2Stage(on: stage, ["redirect_to_https: true"])
        let page = try Page(on: cast)
        let reply = try cast.ask(page.path + "?a=b")
        #expect(reply.status == 301, "\(reply)")
        #expect(
            reply["location"]?.hasSuffix("\(page.path)?a=b") == true
                && reply["location"]?.hasPrefix("https://example.test") == true)
        #expect(try cast.ask(page.path, over: .tls).status == 200)
    }
}
