import Foundation
import Testing

/// One connection, several exchanges: keep-alive, pipelining, bodies, forms of the target.
@Suite("Conversations", .onStageThreads)
struct ConversationJourneys {
    @Test("A client's connection and an origin's both serve many requests")
    func keepAlive() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { request in ok("answer to \(request.target)") }
        let edge = try stage.edge([origin.url])
        let client = try edge.client()
        for index in 1...50 {
            try client.send(request("GET /\(index)"))
            #expect(try client.readAnswer().text == "answer to /\(index)")
        }
        #expect(origin.connectionCount == 1)
    }

    @Test("Connection: close is kept to")
    func clientCloses() throws {
        let stage = try RuleStage.shared
        let client = try stage.edge.client()
        try client.send(request("GET /last", "Connection: close") + request("GET /never"))
        let answer = try client.readAnswer()
        #expect(answer.text == "reached /last")
        #expect(answer.announcesClose)
        #expect(try client.readToEnd().bytes.isEmpty)
    }

    @Test("Pipelined requests are answered in their order, bodies and all")
    func pipelining() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { request in
            // The first is the slowest, so that an edge that mixes them up shows it.
            if request.target == "/1" { pause(milliseconds: 150) }
            return ok("\(request.target):\(request.text)")
        }
        let edge = try stage.edge([origin.url])
        let client = try edge.client()
        try client.send(
            request("POST /1", body: "one") + request("GET /2")
                + request("POST /3", "Transfer-Encoding: chunked") + "5\r\nthree\r\n0\r\n\r\n"
                + request("HEAD /4") + request("PUT /5", body: "five"))
        #expect(try client.readAnswer().text == "/1:one")
        #expect(try client.readAnswer().text == "/2:")
        #expect(try client.readAnswer().text == "/3:three")
        #expect(try client.readAnswer(to: "HEAD")["Content-Length"] == "3")
        #expect(try client.readAnswer().text == "/5:five")
        #expect(origin.requests.map(\.target) == ["/1", "/2", "/3", "/4", "/5"])
    }

    @Test("A pipeline cut anywhere is the same pipeline")
    func pipelineInPieces() throws {
        let stage = try RuleStage.shared
        let mark = RuleStage.mark()
        let bytes = Array(
            (request("POST /\(mark)/1", body: "one") + request("POST /\(mark)/2", "Transfer-Encoding: chunked")
                + "3\r\ntwo\r\n0\r\n\r\n" + request("GET /\(mark)/3")).utf8)
        for size in [1, 7, 50, 113] {
            let client = try stage.edge.client()
            for start in stride(from: 0, to: bytes.count, by: size) {
                try client.send(Array(bytes[start..<min(start + size, bytes.count)]))
                if size > 1 { pause(milliseconds: 1) }
            }
            for index in 1...3 { #expect(try client.readAnswer().text == "reached /\(mark)/\(index)") }
        }
    }

    @Test("500 pipelined requests are all answered, in order, however long they wait")
    func longPipeline() throws {
        let stage = try RuleStage.shared
        let mark = RuleStage.mark()
        let client = try stage.edge.client()
        let all = (0..<500).map { request("GET /\(mark)/\($0)", "X-Padding: \(String(repeating: "p", count: 300))") }
        let sent = Gate()
        Thread {
            try? client.send(all.joined())
            sent.open()
        }.start()
        for index in 0..<500 { #expect(try client.readAnswer().text == "reached /\(mark)/\(index)") }
        #expect(sent.pass())
    }

    @Test("100-continue comes from the origin, then the body goes")
    func continues() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { connection in
            var request = try connection.readRequestHead()
            try connection.send("HTTP/1.1 100 Continue\r\n\r\n")
            try connection.wire.readBody(of: &request)
            try connection.send(ok("took \(request.text)"))
            connection.waitForEnd()
        }
        let edge = try stage.edge([origin.url])
        let client = try edge.client()
        try client.send(request("PUT /", "Expect: 100-continue", "Content-Length: 5"))
        #expect(try client.read(through: "\r\n\r\n").text.hasPrefix("HTTP/1.1 100 "))
        try client.send("hello")
        #expect(try client.readAnswer().text == "took hello")
    }

    @Test("A client that waits for 100 gets one, or the answer, from an origin that knows nothing of it")
    func continuesWithoutTheOrigin() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { request in ok("took \(request.text)") }
        let edge = try stage.edge([origin.url])
        let client = try edge.client()
        try client.send(request("PUT /", "Expect: 100-continue", "Content-Length: 5"))
        // RFC 9110, section 10.1.1: a client need not wait for ever; this one does, so the edge must speak, or the
        // client sends after a while. Both are tried: first a short wait, then the body whatever came.
        let spoke = (try? client.receive(within: .seconds(2))) ?? false
        try client.send("hello")
        #expect(try client.readAnswer().text == "took hello")
        _ = spoke
    }

    @Test("An origin that declines with 417 is heard, and no body is sent to it")
    func declinedExpectation() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { connection in
            let request = try connection.readRequestHead()
            try connection.send(response("417 Expectation Failed", body: "no \(request.target)"))
            connection.waitForEnd()
        }
        let edge = try stage.edge([origin.url])
        let client = try edge.client()
        try client.send(request("PUT /one", "Expect: 100-continue", "Content-Length: 5"))
        let answer = try client.readAnswer()
        #expect(answer.status == 417)
        #expect(answer.text == "no /one")
        #expect(answer.interim.isEmpty)
        if !answer.announcesClose {
            // The client may send the body it announced, or the next request's, per its own choice; curl closes.
            client.finishWriting()
        }
        #expect(try edge.get("/two").text == "no /two")
        #expect(origin.connectionCount == 2, "a connection with an unresolved Expect was used again")
    }

    @Test("An unresolved Expect behind a final answer is never another client's trouble")
    func unresolvedExpectation() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { connection in
            while true {
                let request = try connection.readRequestHead()
                try connection.send(ok("answer to \(request.target)"))
            }
        }
        let edge = try stage.edge([origin.url])
        let client = try edge.client()
        try client.send(request("PUT /one", "Expect: 100-continue", "Content-Length: 44"))
        #expect(try client.readAnswer().text == "answer to /one")
        try? client.send(request("GET /hidden"))
        client.finishWriting()
        #expect(try edge.get("/two").text == "answer to /two")
        #expect(origin.requests(to: "hidden").isEmpty)
    }

    @Test("Another expectation is refused", arguments: ["200-ok", "100-continue, other", "x"])
    func unknownExpectation(value: String) throws {
        let stage = try RuleStage.shared
        let mark = RuleStage.mark()
        let client = try stage.edge.client()
        try client.send(request("PUT /\(mark)", "Expect: \(value)", body: "hello"))
        #expect(try client.readAnswer().status == 417)
        #expect(!stage.origin.saw(mark))
    }

    @Test("curl's own Expect and a body of 3 MiB go through", arguments: ["--http1.1", "--http1.0"])
    func curlUpload(version: String) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { request in ok("took \(request.body.count)") }
        let edge = try stage.edge([origin.url])
        let body = String(repeating: "0123456789abcdef", count: 3 << 16)
        let file = try stage.write(body, to: "body")
        let fetched = try stage.run(
            "curl", "-sS", version, "-H", "Host: example.test",
            "--data-binary", "@\(file.path)", "http://127.0.0.1:\(edge.httpPort)/upload")
        #expect(fetched.output == "took \(3 << 20)", "\(fetched.errors)")
    }

    @Test("Chunks and trailers go both ways on one connection")
    func chunkedBothWays() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { request in
            let size = String(request.body.count, radix: 16)
            return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\(size)\r\n\(request.text)\r\n0\r\n"
                + "X-Sum: \(request.trailer("X-Sum") ?? "none")\r\n\r\n"
        }
        let edge = try stage.edge([origin.url])
        let client = try edge.client()
        for index in 1...3 {
            try client.send(
                request("POST /", "Transfer-Encoding: chunked", "Connection: TE", "TE: trailers", "Trailer: X-Sum")
                    + "5\r\nhello\r\n3\r\n, \(index)\r\n0\r\nX-Sum: \(index)\r\n\r\n")
            let answer = try client.readAnswer()
            #expect(answer.text == "hello, \(index)")
            #expect(answer.trailer("X-Sum") == "\(index)")
        }
        #expect(origin.requests.allSatisfy { $0.all("Transfer-Encoding") == ["chunked"] })
    }

    @Test("OPTIONS * is passed on as such")
    func optionsAsterisk() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { _ in ok("", "Allow: GET, OPTIONS") }
        let edge = try stage.edge([origin.url])
        let answer = try edge.exchange(request("OPTIONS *"), method: "OPTIONS")
        #expect(answer.status == 200)
        #expect(answer["Allow"] == "GET, OPTIONS")
        #expect(origin.requests.map(\.startLine) == ["OPTIONS * HTTP/1.1"])
    }

    @Test("The absolute form reaches the origin in origin form")
    func absoluteForm() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url])
        let forms = [
            ("http://example.test/a/b?c=d", "/a/b?c=d"), ("http://example.test", "/"), ("http://example.test?q", "/?q"),
            ("http://example.test:80/", "/"),
        ]
        for (form, expected) in forms {
            let host = form.contains(":80") ? "example.test:80" : "example.test"
            let answer = try edge.exchange("GET \(form) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n")
            #expect(answer.status == 200, "\(form): \(answer.head)")
            #expect(origin.requests.last?.target == expected)
            #expect(origin.requests.last?["Host"]?.hasPrefix("example.test") == true)
        }
    }

    @Test("A connection serves as many requests as one may")
    func requestsPerConnection() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url], top: "limits: { requests_per_connection: 3 }")
        let client = try edge.client()
        for index in 1...3 {
            try client.send(request("GET /\(index)"))
            let answer = try client.readAnswer()
            #expect(answer.status == 200)
            #expect(answer.announcesClose == (index == 3), "\(index): \(answer.head)")
        }
        #expect(try client.endsWithoutAnotherByte())
    }

    @Test("A body of no bytes is told from no body", arguments: ["GET", "DELETE", "POST"])
    func bodyless(method: String) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url])
        #expect(try edge.exchange(request("\(method) /none")).status == 200)
        #expect(try edge.exchange(request("\(method) /zero", body: "")).status == 200)
        let none = try #require(origin.requests(to: "none").first)
        let zero = try #require(origin.requests(to: "zero").first)
        #expect(!none.has("Transfer-Encoding"), "\(none.head)")
        if method == "GET" { #expect(!none.has("Content-Length"), "\(none.head)") }
        #expect(zero["Content-Length"] == "0" || zero["Transfer-Encoding"] == "chunked", "\(zero.head)")
    }

    @Test("A GET with a body keeps it, and framing")
    func getWithBody() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { request in ok("got \(request.text)") }
        let edge = try stage.edge([origin.url])
        let client = try edge.client()
        try client.send(request("GET /", body: "GET /x HTTP/1.1\r\nHost: example.test\r\n\r\n") + request("GET /next"))
        #expect(try client.readAnswer().text.hasPrefix("got GET /x"))
        #expect(try client.readAnswer().text == "got ")
        #expect(origin.requests.map(\.target) == ["/", "/next"])
    }
}
