import Foundation
import Testing

/// Clients that stall, drip, never read, or close one half.
@Suite("Slow clients", .onStageThreads)
struct SlowClientJourneys {
    private func edge(_ stage: Stage, _ top: String) throws -> (Edge, ScriptedOrigin) {
        let origin = try stage.origin { request in ok("took \(request.text)") }
        return (try stage.edge([origin.url], top: top), origin)
    }

    @Test("A head that does not end in time is a 408", arguments: ["GET / HT", "GET / HTTP/1.1\r\nHost: example.te"])
    func headerTimeout(start: String) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (edge, origin) = try edge(stage, "timeouts: { header: 500ms }")
        let client = try edge.client()
        try client.send(start)
        let answer = try client.readAnswer()
        #expect(answer.status == 408)
        #expect(answer.announcesClose)
        #expect(try client.readToEnd().bytes.isEmpty)
        #expect(origin.connectionCount == 0)
        #expect(try edge.logged(ray: answer.ray)["error"] as? String == "header_timeout")
    }

    @Test("A head that drips for ever is a 408 however steadily it drips")
    func drippedHead() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (edge, _) = try edge(stage, "timeouts: { header: 1s }")
        let client = try edge.client()
        try client.send("GET / HTTP/1.1\r\nHost: example.test\r\n")
        let isOver = Shared(false)
        defer { isOver.withLock { $0 = true } }
        let dripped = Gate()
        Thread {
            while !isOver.current {
                if (try? client.send("X-A: b\r\n")) == nil { break }
                pause(milliseconds: 100)
            }
            dripped.open()
        }.start()
        #expect(try client.readAnswer().status == 408)
        isOver.withLock { $0 = true }
        dripped.pass()
    }

    @Test("A second request's head has the same time")
    func secondHeaderTimeout() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (edge, _) = try edge(stage, "timeouts: { header: 500ms }")
        let client = try edge.client()
        try client.send(request("GET /one") + "GET /two HTTP/1.1\r\nHost:")
        #expect(try client.readAnswer().status == 200)
        #expect(try client.readAnswer().status == 408)
        #expect(try client.readToEnd().bytes.isEmpty)
    }

    @Test("A connection that says nothing is closed")
    func silence() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (edge, _) = try edge(stage, "timeouts: { header: 500ms, idle: 500ms }")
        let bytes = try edge.client().readToEnd().bytes.text
        #expect(bytes.isEmpty || bytes.hasPrefix("HTTP/1.1 408 "))
    }

    @Test("A connection that is idle between requests is closed without a word")
    func idle() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (edge, _) = try edge(stage, "timeouts: { idle: 500ms }")
        let client = try edge.client()
        try client.send(request("GET /"))
        #expect(try client.readAnswer().status == 200)
        #expect(try client.endsWithoutAnotherByte())
    }

    @Test("A body that stops is a 408, and never whole at the origin", arguments: [true, false])
    func stalledBody(isChunked: Bool) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (edge, origin) = try edge(stage, "timeouts: { body: 500ms }")
        let client = try edge.client()
        try client.send(
            request("POST /", isChunked ? "Transfer-Encoding: chunked" : "Content-Length: 100")
                + (isChunked ? "5\r\nhello\r\n" : "hello"))
        let answer = try client.readAnswer()
        #expect(answer.status == 408)
        #expect(answer.announcesClose)
        #expect(try client.readToEnd().bytes.isEmpty)
        #expect(origin.requests.isEmpty)
    }

    @Test("A body that drips below the rate is a 408 though it never stops")
    func drippedBody() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (edge, origin) = try edge(stage, "timeouts: { body: 2s }\nlimits: { body_rate: 1000 }")
        let client = try edge.client()
        try client.send(request("POST /", "Content-Length: 100000"))
        let isOver = Shared(false)
        defer { isOver.withLock { $0 = true } }
        let dripped = Gate()
        Thread {
            while !isOver.current {
                if (try? client.send("x")) == nil { break }
                pause(milliseconds: 100)
            }
            dripped.open()
        }.start()
        let answer = try client.readAnswer()
        #expect(answer.status == 408)
        isOver.withLock { $0 = true }
        dripped.pass()
        #expect(origin.requests.isEmpty)
    }

    @Test("A body above the rate is served though it takes long")
    func steadyBody() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (edge, _) = try edge(stage, "timeouts: { body: 3s }\nlimits: { body_rate: 10 }")
        let client = try edge.client()
        try client.send(request("POST /", "Content-Length: 200"))
        for _ in 0..<20 {
            try client.send("0123456789")
            pause(milliseconds: 50)
        }
        #expect(try client.readAnswer().text.hasPrefix("took 0123456789"))
    }

    @Test("A client that never reads is let go, and the origin with it")
    func neverReads() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let ended = Gate()
        let origin = try stage.origin(isRecording: false) { connection in
            _ = try connection.readRequest()
            defer { ended.open() }
            try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            let piece = [UInt8](repeating: 97, count: 65536)
            for _ in 0..<15_000 { try connection.wire.send(piece) }
        }
        let edge = try stage.edge([origin.url], top: "timeouts: { write: 1s }")
        let client = try edge.client(receiveBufferBytes: 4096)
        try client.send(request("GET /"))
        // The origin's writes stall while the edge holds on and fail once it lets go.
        #expect(ended.pass())
        let rest = try client.readToEnd()
        #expect(rest.bytes.count < 1_000_000_000)
    }

    @Test("A client that closes its half behind a request still gets its answer", arguments: ["GET", "POST"])
    func halfClosed(method: String) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let half = Gate()
        let origin = try stage.origin { request in
            half.pass()
            // Time for the end of the client's half to be seen before the answer.
            pause(milliseconds: 200)
            return ok("answer \(request.text)")
        }
        let edge = try stage.edge([origin.url])
        let client = try edge.client()
        try client.send(method == "GET" ? request("GET /") : request("POST /", body: "hello"))
        client.finishWriting()
        half.open()
        let answer = try client.readAnswer()
        #expect(answer.text == (method == "GET" ? "answer " : "answer hello"))
        #expect(try client.readToEnd().bytes.isEmpty)
    }

    @Test("Half-closed behind a pipeline, every request still gets its answer")
    func halfClosedPipeline() throws {
        let stage = try RuleStage.shared
        let mark = RuleStage.mark()
        let client = try stage.edge.client()
        try client.send((1...3).map { request("GET /\(mark)/\($0)") }.joined())
        client.finishWriting()
        for index in 1...3 { #expect(try client.readAnswer().text == "reached /\(mark)/\(index)") }
        #expect(try client.readToEnd().bytes.isEmpty)
    }

    @Test("Half-closed in the middle of a body, the request never becomes whole", arguments: [true, false])
    func halfClosedBody(isChunked: Bool) throws {
        let stage = try RuleStage.shared
        let mark = RuleStage.mark()
        let client = try stage.edge.client()
        try client.send(
            request("POST /\(mark)", isChunked ? "Transfer-Encoding: chunked" : "Content-Length: 100")
                + (isChunked ? "5\r\nhello\r\n" : "hello"))
        client.finishWriting()
        let bytes = try client.readToEnd().bytes.text
        #expect(bytes.isEmpty || bytes.hasPrefix("HTTP/1.1 400 "), "\(bytes)")
        #expect(stage.origin.requests(to: mark).isEmpty)
    }

    @Test("Half-closed in the middle of a head, the connection ends")
    func halfClosedHead() throws {
        let stage = try RuleStage.shared
        let client = try stage.edge.client()
        try client.send("GET / HTTP/1.1\r\nHost: exa")
        client.finishWriting()
        let bytes = try client.readToEnd().bytes.text
        #expect(bytes.isEmpty || bytes.hasPrefix("HTTP/1.1 400 "), "\(bytes)")
    }

    @Test("An upload that the client resets is never whole at the origin, nor its connection used again")
    func resetsUpload() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (arrived, ended) = (Gate(), Gate())
        let origin = try stage.origin { connection in
            if connection.index > 0 {
                _ = try connection.readRequest()
                try connection.send(ok("fresh"))
                return
            }
            var request = try connection.wire.readRequestHead()
            arrived.open()
            defer { ended.open() }
            try connection.wire.readBody(of: &request)
            try connection.send(ok("whole"))
        }
        let edge = try stage.edge([origin.url])
        let client = try edge.client()
        try client.send(request("POST /", "Transfer-Encoding: chunked") + "5\r\nhello\r\n")
        #expect(arrived.pass())
        client.reset()
        #expect(ended.pass())
        #expect(try edge.get("/").text == "fresh")
    }

    @Test("A client that leaves in the middle of a download frees the origin")
    func leavesDuringDownload() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let ended = Gate()
        let origin = try stage.origin(isRecording: false) { connection in
            _ = try connection.readRequest()
            defer { ended.open() }
            try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            let piece = [UInt8](repeating: 97, count: 65536)
            for _ in 0..<15_000 {
                try connection.wire.send(piece)
                pause(milliseconds: 1)
            }
        }
        let edge = try stage.edge([origin.url])
        let client = try edge.client()
        try client.send(request("GET /"))
        _ = try client.read(exactly: 100_000)
        client.reset()
        #expect(ended.pass())
        #expect(try edge.metric("martlet_requests_total") >= 0)
    }

    @Test("A client that leaves while the origin thinks frees the origin")
    func leavesWhileWaiting() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let arrived = Gate()
        let ended = Gate()
        let origin = try stage.origin { connection in
            _ = try connection.readRequest()
            arrived.open()
            connection.waitForEnd()
            ended.open()
        }
        let edge = try stage.edge([origin.url])
        let client = try edge.client()
        try client.send(request("GET /"))
        #expect(arrived.pass())
        client.reset()
        #expect(ended.pass())
    }
}
