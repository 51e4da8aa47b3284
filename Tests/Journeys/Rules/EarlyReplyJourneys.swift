import Foundation
import Testing

/// Rule 13: whoever answers before the request is over reads the rest of it as what it is, or closes.
@Suite("Replies before the request is over", .onStageThreads)
struct EarlyReplyJourneys {
    @Test("A body behind an unknown host is never read as a request", arguments: [false, true])
    func bodyBehindUnknownHost(isChunked: Bool) throws {
        let stage = try RuleStage.shared
        let mark = RuleStage.mark()
        let hidden = "GET /\(mark) HTTP/1.1\r\nHost: example.test\r\n\r\n"
        let framing = isChunked ? "Transfer-Encoding: chunked" : "Content-Length: \(hidden.utf8.count)"
        let body = isChunked ? "\(String(hidden.utf8.count, radix: 16))\r\n\(hidden)\r\n0\r\n\r\n" : hidden
        let client = try stage.edge.client()
        try client.send("POST / HTTP/1.1\r\nHost: nobody.invalid\r\n\(framing)\r\n\r\n\(body)")
        let answer = try client.readAnswer()
        #expect(answer.status == 421)
        if answer.announcesClose {
            #expect(try client.readToEnd().bytes.isEmpty)
        } else {
            try client.send(request("GET /after-\(mark)"))
            #expect(try client.readAnswer().text == "reached /after-\(mark)")
        }
        #expect(!stage.origin.saw("GET /\(mark)"))
    }

    @Test("A body beyond the zone's limit is refused before the origin hears of it")
    func tooLargeByLength() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url], "limits: { body: 1000 }")
        let client = try edge.client()
        try client.send("POST /large HTTP/1.1\r\nHost: example.test\r\nContent-Length: 1001\r\n\r\n")
        #expect(try client.readAnswer().status == 413)
        #expect(origin.connectionCount == 0)
        #expect(try edge.exchange(request("POST /fits", body: String(repeating: "a", count: 1000))).status == 200)
    }

    @Test("A chunked body that grows beyond the limit is refused, and never whole at the origin")
    func tooLargeByChunks() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url], "limits: { body: 1000 }")
        let client = try edge.client()
        try client.send("POST /large HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n\r\n")
        let chunk = "190\r\n" + String(repeating: "a", count: 400) + "\r\n"
        try client.send(chunk + chunk + chunk + "0\r\n\r\n")
        let answer = try client.readAnswer()
        #expect(answer.status == 413)
        // What is left of the body is drained, or the connection closes: never is it read as a request.
        if answer.announcesClose {
            #expect(try client.readToEnd().bytes.isEmpty)
        } else {
            try client.send(request("GET /next"))
            #expect(try client.readAnswer().status == 200)
        }
        #expect(origin.requests(to: "/large").isEmpty, "a body was whole at the origin")
    }

    @Test("An origin that answers early is heard while the upload goes on, and its connection is not used again")
    func originAnswersEarly() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { connection in
            let request = try connection.readRequestHead()
            try connection.send(ok("early \(request.target)"))
            connection.waitForEnd()
        }
        let edge = try stage.edge([origin.url])
        let client = try edge.client()
        try client.send("POST /one HTTP/1.1\r\nHost: example.test\r\nContent-Length: 200000\r\n\r\nbegin")
        #expect(try client.readAnswer().text == "early /one")
        #expect(try edge.get("/two").text == "early /two")
        #expect(origin.connectionCount == 2)
    }

    @Test("Pipelined requests behind an early reply are served in order or the connection closes, never mixed up")
    func pipelineBehindEarlyReply() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { connection in
            while true {
                var request = try connection.readRequestHead()
                try connection.send(ok("answer to \(request.target)"))
                try connection.wire.readBody(of: &request)
            }
        }
        let edge = try stage.edge([origin.url])
        let client = try edge.client()
        let body = "GET /hidden HTTP/1.1\r\nHost: example.test\r\n\r\n"
        try client.send("POST /first HTTP/1.1\r\nHost: example.test\r\nContent-Length: \(body.utf8.count)\r\n\r\n")
        #expect(try client.readAnswer().text == "answer to /first")
        // The client goes on as it may (RFC 9112, section 9.5 leaves it the choice): body, then the next request.
        do {
            try client.send(body + request("GET /second"))
            let next = try client.readAnswer()
            #expect(next.text == "answer to /second")
        } catch WireFailure.closed, WireFailure.reset {
            // Closing is right, too.
        }
        #expect(origin.requests(to: "hidden").isEmpty)
        #expect(!origin.requests.contains { $0.method == "GET" && $0.target == "/hidden" })
    }

    @Test("A small body left by an early refusal is drained and the connection goes on, or it closes")
    func drainedBody() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { request in ok("answer to \(request.target)") }
        let edge = try stage.edge([origin.url], "limits: { body: 10 }")
        let client = try edge.client()
        try client.send(request("POST /large", body: "a body of some 30 bytes, no more") + request("GET /next"))
        let answer = try client.readAnswer()
        #expect(answer.status == 413)
        if !answer.announcesClose {
            #expect(try client.readAnswer().text == "answer to /next")
        } else {
            #expect(try client.readToEnd().bytes.isEmpty)
            #expect(origin.requests.isEmpty)
        }
    }

    @Test("An early refusal is readable although the client goes on sending")
    func refusalSurvivesTheUpload() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url], "limits: { body: 1000 }")
        let client = try edge.client()
        try client.send("POST /large HTTP/1.1\r\nHost: example.test\r\nContent-Length: 150000\r\n\r\n")
        try? client.send([UInt8](repeating: 97, count: 150_000))
        #expect(try client.readAnswer().status == 413)
    }
}
