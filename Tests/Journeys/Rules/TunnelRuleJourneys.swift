import Foundation
import Testing

/// Rule 12: a tunnel only behind a 101 that was asked for (RFC 9110, section 7.8).
@Suite("Upgrades and tunnels", .onStageThreads)
struct TunnelRuleJourneys {
    private static let upgrade = request(
        "GET /chat", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    private static let switching =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

    /// An origin that switches and then sends everything back.
    private func echoing(_ stage: Stage) throws -> ScriptedOrigin {
        try stage.origin { connection in
            let request = try connection.readRequest()
            guard request.has("Upgrade") else {
                try connection.send(ok("no upgrade"))
                return
            }
            try connection.send(Self.switching)
            while true {
                let bytes = try connection.wire.readSome()
                try connection.wire.send(bytes)
            }
        }
    }

    @Test("A WebSocket is tunnelled both ways after the 101")
    func webSocket() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try echoing(stage)
        let edge = try stage.edge([origin.url])
        let client = try edge.client()
        try client.send(Self.upgrade)
        let answer = try client.readAnswer()
        #expect(answer.status == 101)
        #expect(answer["Upgrade"]?.lowercased() == "websocket")
        #expect(answer["Connection"]?.lowercased() == "upgrade")
        #expect(answer["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        let asked = try #require(origin.requests.first)
        #expect(asked["Upgrade"]?.lowercased() == "websocket")
        #expect(asked["Connection"]?.lowercased() == "upgrade")
        #expect(asked["Sec-WebSocket-Key"] == "dGhlIHNhbXBsZSBub25jZQ==")
        // Bytes that are no HTTP and no text, more than any buffer between.
        for size in [1, 125, 70_000, 1_000_000] {
            let frame = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            let back = Shared<[UInt8]>([])
            let done = Gate()
            Thread {
                back.withLock { $0 = (try? client.read(exactly: size)) ?? [] }
                done.open()
            }.start()
            try client.send(frame)
            done.pass()
            #expect(back.current == frame, "\(size) bytes")
        }
    }

    @Test("A tunnel ends for both when either side ends it")
    func tunnelEnds() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let ended = Gate()
        let origin = try stage.origin { connection in
            let request = try connection.readRequest()
            try connection.send(Self.switching + "hello")
            if request.target == "/origin-ends" { return }
            connection.waitForEnd()
            ended.open()
        }
        let edge = try stage.edge([origin.url])
        let client = try edge.client()
        try client.send(Self.upgrade)
        #expect(try client.readAnswer().status == 101)
        #expect(try client.read(exactly: 5) == Array("hello".utf8))
        client.abandon()
        #expect(ended.pass())

        let other = try edge.client()
        try other.send(Self.upgrade.replacing("/chat", with: "/origin-ends"))
        #expect(try other.readAnswer().status == 101)
        #expect(try other.readToEnd().bytes == Array("hello".utf8))
    }

    @Test("What a client sends behind an upgrade that is declined stays a request")
    func declinedUpgrade() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { request in ok("answer to \(request.target)") }
        let edge = try stage.edge([origin.url])
        let client = try edge.client()
        try client.send(Self.upgrade + request("GET /admin", "X-Forwarded-For: 1.2.3.4"))
        #expect(try client.readAnswer().text == "answer to /chat")
        let second = try client.readAnswer()
        #expect(second.text == "answer to /admin")
        let seen = try #require(origin.requests(to: "/admin").first)
        #expect(seen.has("Martlet-Ray"), "it went through the edge's stages, not through a tunnel: \(seen.head)")
        #expect(seen["X-Forwarded-For"] == "127.0.0.1")
    }

    @Test("Nothing behind an upgrade reaches the origin before its 101, everything does after it")
    func bytesWaitForTheSwitch() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let early = Shared<Int>(0)
        let origin = try stage.origin { connection in
            _ = try connection.readRequest()
            // Were the bytes passed on at once they would be here soon; a pass needs no luck, only a failure does.
            if (try? connection.wire.receive(within: .milliseconds(400))) == true {
                early.withLock { $0 += connection.wire.buffered.count }
            }
            try connection.send(Self.switching)
            let bytes = try connection.wire.read(exactly: 14)
            try connection.wire.send(bytes)
            connection.waitForEnd()
        }
        let edge = try stage.edge([origin.url])
        let client = try edge.client()
        try client.send(Self.upgrade + "behind the ask")
        #expect(try client.readAnswer().status == 101)
        #expect(try client.read(exactly: 14).text == "behind the ask")
        #expect(early.current == 0)
    }

    @Test(
        "A 101 that nobody asked for is a broken answer",
        arguments: [
            request("GET /plain"),
            request("GET /named-only", "Upgrade: websocket"),
            request(
                "GET /h2c", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
                "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"),
            "GET /old HTTP/1.0\r\nHost: example.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        ])
    func uninvitedSwitch(asking: String) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { connection in
            _ = try connection.readRequest()
            try connection.send(Self.switching + "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled")
            connection.waitForEnd()
        }
        let edge = try stage.edge([origin.url])
        let client = try edge.client()
        try client.send(asking)
        let answer = try client.readAnswer()
        #expect(answer.status == 502, "\(answer.head)")
        #expect(!answer.text.contains("smuggled"))
        let asked = try #require(origin.requests.first)
        #expect(!asked.has("Upgrade"), "\(asked.head)")
        #expect(!asked.has("HTTP2-Settings"), "\(asked.head)")
    }

    @Test(
        "CONNECT is refused, and nothing is connected to",
        arguments: [
            "CONNECT 127.0.0.1:PORT HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n",
            "CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\n\r\n",
            "CONNECT example.test:443 HTTP/1.1\r\nHost: example.test\r\nContent-Length: 4\r\n\r\nabcd",
            "CONNECT /path HTTP/1.1\r\nHost: example.test\r\n\r\n",
        ])
    func connect(asking: String) throws {
        let stage = try RuleStage.shared
        let mark = RuleStage.mark()
        let client = try stage.edge.client()
        try client.send(
            asking.replacing("PORT", with: "\(stage.origin.port)")
                + "GET /\(mark) HTTP/1.1\r\nHost: example.test\r\n\r\n")
        let answer = try client.readAnswer()
        #expect([400, 405, 421, 501].contains(answer.status), "\(answer.head)")
        #expect(try client.readToEnd().bytes.isEmpty)
        #expect(!stage.origin.saw("CONNECT"))
        #expect(!stage.origin.saw(mark))
    }

    @Test("An upgrade behind a pipelined request waits for its turn")
    func pipelinedUpgrade() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { connection in
            while true {
                let request = try connection.readRequest()
                if request.has("Upgrade") { break }
                try connection.send(ok("plain"))
            }
            try connection.send(Self.switching)
            while true {
                let bytes = try connection.wire.readSome()
                try connection.wire.send(bytes)
            }
        }
        let edge = try stage.edge([origin.url])
        let client = try edge.client()
        try client.send(request("GET /first") + Self.upgrade)
        #expect(try client.readAnswer().text == "plain")
        #expect(try client.readAnswer().status == 101)
        try client.send("frames")
        #expect(try client.read(exactly: 6).text == "frames")
    }

    @Test("An upgrade request with a body sends it framed, then switches")
    func upgradeWithBody() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { connection in
            let request = try connection.readRequest()
            try connection.send(Self.switching + "got \(request.text)")
            connection.waitForEnd()
        }
        let edge = try stage.edge([origin.url])
        let client = try edge.client()
        try client.send(
            request("POST /chat", "Connection: Upgrade", "Upgrade: websocket", body: "hello"))
        let answer = try client.readAnswer()
        // Refusing the combination is as safe as serving it; sending the body into a tunnel is neither.
        if answer.status == 101 { #expect(try client.read(exactly: 9).text == "got hello") }
        #expect(origin.requests.allSatisfy { $0.text == "hello" })
    }
}
