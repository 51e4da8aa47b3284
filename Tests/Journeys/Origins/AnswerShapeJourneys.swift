import Foundation
import Testing

/// Answers of every shape an origin may rightly send (RFC 9110, section 6; RFC 9112, section 6).
@Suite("Shapes of answers", .onStageThreads)
struct AnswerShapeJourneys {
    private func edge(
        _ stage: Stage, _ answer: @escaping @Sendable (Message) -> String
    ) throws -> (Edge, ScriptedOrigin) {
        let origin = try stage.origin { connection in
            while true {
                let request = try connection.readRequest()
                try connection.send(answer(request))
                if request.target.contains("close") { return }
            }
        }
        return (try stage.edge([origin.url]), origin)
    }

    @Test("A body that ends with its connection arrives whole, marked by a clean end of its own")
    func closeDelimited() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (edge, _) = try edge(stage) { _ in "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end" }
        let client = try edge.client()
        try client.send(request("GET /close"))
        let answer = try client.readAnswer()
        #expect(answer.text == "until the end")
        #expect(answer.ending == .complete || answer.ending == .close)
        #expect(answer.ending == .complete, "to an HTTP/1.1 client it is chunked: \(answer.head)")
    }

    @Test("A body that ends with its connection reaches an HTTP/1.0 client without chunks")
    func closeDelimitedToOldClient() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (edge, _) = try edge(stage) { request in
            request.target == "/chunked"
                ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
                : "HTTP/1.1 200 OK\r\n\r\nhello world"
        }
        for target in ["/chunked", "/close"] {
            let client = try edge.client()
            try client.send("GET \(target) HTTP/1.0\r\nHost: example.test\r\nConnection: keep-alive\r\n\r\n")
            let answer = try client.readAnswer()
            #expect(!answer.has("Transfer-Encoding"), "\(answer.head)")
            #expect(answer.text == "hello world")
            #expect(answer.ending != .cut)
        }
    }

    @Test("Chunks arrive as chunks, the same bytes")
    func chunked() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (edge, _) = try edge(stage) { _ in
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "5;ext=1\r\nhello\r\n1\r\n \r\nA\r\n0123456789\r\n0\r\n\r\n"
        }
        let client = try edge.client()
        for _ in 1...3 {
            try client.send(request("GET /"))
            let answer = try client.readAnswer()
            #expect(answer.text == "hello 0123456789")
            #expect(answer.all("Transfer-Encoding") == ["chunked"])
            #expect(!answer.has("Content-Length"))
        }
    }

    @Test("An answer to HEAD has its length and no body, and the connection goes on")
    func head() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (edge, origin) = try edge(stage) { request in
            switch request.target {
            case "/counted": "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nETag: \"x\"\r\n\r\n"
            case "/chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            case "/neither": "HTTP/1.1 200 OK\r\n\r\n"
            default: ok("body")
            }
        }
        let client = try edge.client()
        for target in ["/counted", "/chunked", "/neither"] {
            try client.send(request("HEAD \(target)") + request("GET /after\(target)"))
            let answer = try client.readAnswer(to: "HEAD")
            #expect(answer.status == 200)
            if target == "/counted" {
                #expect(answer["Content-Length"] == "12345")
                #expect(answer["ETag"] == "\"x\"")
            }
            let after = try client.readAnswer()
            #expect(after.text == "body", "\(answer.head)\(after.head)")
        }
        #expect(origin.requests.filter { $0.method == "HEAD" }.count == 3)
    }

    @Test("204 and 304 have no body, and the connection goes on", arguments: [204, 304])
    func withoutBody(status: Int) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (edge, _) = try edge(stage) { request in
            request.target == "/none" ? "HTTP/1.1 \(status) None\r\nETag: \"x\"\r\n\r\n" : ok("body")
        }
        let client = try edge.client()
        try client.send(request("GET /none") + request("GET /after"))
        let answer = try client.readAnswer()
        #expect(answer.status == status)
        #expect(answer["ETag"] == "\"x\"")
        #expect(!answer.has("Transfer-Encoding"))
        #expect(try client.readAnswer().text == "body")
    }

    @Test("A body behind a 204 or 304 is never another request's answer", arguments: [204, 304])
    func bodyBehindNone(status: Int) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (edge, _) = try edge(stage) { request in
            request.target == "/none"
                ? "HTTP/1.1 \(status) None\r\nContent-Length: 44\r\n\r\n" + ok("wrong")
                : ok("right")
        }
        for _ in 1...3 {
            let client = try edge.client()
            try client.send(request("GET /none"))
            #expect([status, 502].contains(try client.readAnswer().status))
            #expect(try edge.get("/after").text == "right")
        }
    }

    @Test("Interim answers pass to the client before the final one, 102 and 103, in order")
    func interim() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (edge, _) = try edge(stage) { _ in
            "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n"
                + "Connection: X-Secret\r\nX-Secret: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\n"
                + ok("final")
        }
        let client = try edge.client()
        try client.send(request("GET /"))
        let answer = try client.readAnswer()
        #expect(answer.text == "final")
        #expect(answer.interim.map(\.status) == [102, 103, 103])
        #expect(answer.interim.compactMap { $0["Link"] } == ["</a.css>; rel=preload", "</b.css>"])
        #expect(!answer.interim.contains { $0.has("X-Secret") })
    }

    @Test("An interim answer does not wait for the final one")
    func interimAtOnce() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let seen = Gate()
        let origin = try stage.origin { connection in
            _ = try connection.readRequest()
            try connection.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
            seen.pass()
            try connection.send(ok("final"))
            connection.waitForEnd()
        }
        let edge = try stage.edge([origin.url])
        let client = try edge.client()
        try client.send(request("GET /"))
        #expect(try client.read(through: "\r\n\r\n").text.hasPrefix("HTTP/1.1 103 "))
        seen.open()
        #expect(try client.readAnswer().text == "final")
    }

    @Test("HTTP/1.0 clients get no interim answers")
    func interimToOldClient() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (edge, _) = try edge(stage) { _ in "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + ok("final") }
        let answer = try edge.exchange("GET / HTTP/1.0\r\nHost: example.test\r\n\r\n")
        #expect(answer.interim.isEmpty)
        #expect(answer.text == "final")
    }

    @Test("A 100 that nobody waits for changes nothing")
    func uninvitedContinue() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (edge, _) = try edge(stage) { _ in "HTTP/1.1 100 Continue\r\n\r\n" + ok("final") }
        let client = try edge.client()
        for _ in 1...3 {
            try client.send(request("GET /"))
            #expect(try client.readAnswer().text == "final")
        }
    }

    @Test("A body sent to HEAD all the same is nobody's answer")
    func bodyBehindHead() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (edge, _) = try edge(stage) { request in ok(request.method == "HEAD" ? ok("wrong") : "right") }
        for _ in 1...3 {
            let client = try edge.client()
            try client.send(request("HEAD /"))
            #expect([200, 502].contains(try client.readAnswer(to: "HEAD").status))
            #expect(try edge.get("/after").text == "right")
        }
    }

    @Test("Trailers of an answer reach a client that takes them")
    func trailers() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (edge, _) = try edge(stage) { _ in
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 42\r\nX-More: 1\r\n\r\n"
        }
        let client = try edge.client()
        for _ in 1...2 {
            try client.send(request("GET /", "TE: trailers", "Connection: TE"))
            let answer = try client.readAnswer()
            #expect(answer.text == "hello")
            #expect(answer.trailer("X-Sum") == "42")
            #expect(answer.trailer("X-More") == "1")
        }
    }

    @Test(
        "Status, reason and fields arrive as the origin sent them", arguments: [200, 201, 299, 301, 404, 418, 500, 599])
    func statusAndFields(status: Int) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (edge, _) = try edge(stage) { _ in
            response(
                "\(status) Some Reason",
                fields: ["Set-Cookie: a=1", "Set-Cookie: b=2", "Content-Type: text/x-odd", "Server: origin/1"],
                body: "b")
        }
        let answer = try edge.get("/")
        #expect(answer.status == status)
        #expect(answer.all("Set-Cookie") == ["a=1", "b=2"])
        #expect(answer["Content-Type"] == "text/x-odd")
        #expect(answer.text == "b")
        #expect(answer.has("Martlet-Ray"))
    }

    @Test("An answer of HTTP/1.0 is served, and its connection not used again")
    func oldOrigin() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (edge, origin) = try edge(stage) { _ in "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold" }
        #expect(try edge.get("/close").text == "old")
        #expect(try edge.get("/close").text == "old")
        #expect(origin.connectionCount == 2)
    }

    @Test("Connection: close from the origin is kept to, the client's own connection stays")
    func originCloses() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (edge, origin) = try edge(stage) { _ in ok("bye", "Connection: close") }
        let client = try edge.client()
        for _ in 1...3 {
            try client.send(request("GET /close"))
            let answer = try client.readAnswer()
            #expect(answer.text == "bye")
            #expect(!answer.announcesClose, "the origin's close is not the client's: \(answer.head)")
        }
        #expect(origin.connectionCount == 3)
    }
}
