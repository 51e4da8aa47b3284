import Foundation
import Testing

/// Answers as origins should not send them. The same strictness as for requests (rule 15): whatever leaves in doubt
/// where an answer ends is a 502, and no byte of it becomes another client's answer.
@Suite("Hostile origins", .onStageThreads)
struct HostileOriginJourneys {
    /// An answer that is refused as a whole.
    struct BrokenAnswer: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let bytes: String

        init(_ name: String, _ bytes: String) {
            testDescription = name
            self.bytes = bytes
        }
    }

    private static let head = "HTTP/1.1 200 OK\r\n"

    @Test(
        "A head that cannot be trusted is a 502",
        arguments: [
            BrokenAnswer(
                "length beside coding", head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            BrokenAnswer("two lengths", head + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
            BrokenAnswer("list of lengths", head + "Content-Length: 5, 6\r\n\r\nhello!"),
            BrokenAnswer("negative length", head + "Content-Length: -5\r\n\r\nhello"),
            BrokenAnswer("signed length", head + "Content-Length: +5\r\n\r\nhello"),
            BrokenAnswer("hexadecimal length", head + "Content-Length: 0x5\r\n\r\nhello"),
            BrokenAnswer("empty length", head + "Content-Length:\r\n\r\nhello"),
            BrokenAnswer("overflowing length", head + "Content-Length: 18446744073709551621\r\n\r\nhello"),
            BrokenAnswer("another coding", head + "Transfer-Encoding: gzip\r\n\r\nhello"),
            BrokenAnswer("two codings", head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
            BrokenAnswer(
                "chunked twice", head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            BrokenAnswer("coding in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            BrokenAnswer("bare LF behind the status line", "HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\nhello"),
            BrokenAnswer("bare LF behind a field", head + "X-A: b\nContent-Length: 5\r\n\r\nhello"),
            BrokenAnswer("bare LF for the empty line", head + "Content-Length: 5\r\n\nhello"),
            BrokenAnswer("bare CR in a value", head + "X-A: b\rSet-Cookie: evil=1\r\nContent-Length: 0\r\n\r\n"),
            BrokenAnswer("NUL in a value", head + "X-A: b\0c\r\nContent-Length: 0\r\n\r\n"),
            BrokenAnswer("control in a value", head + "X-A: b\u{01}c\r\nContent-Length: 0\r\n\r\n"),
            BrokenAnswer("fold", head + "X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n"),
            BrokenAnswer("space before a colon", head + "Content-Length : 5\r\n\r\nhello"),
            BrokenAnswer("no colon", head + "hello\r\nContent-Length: 0\r\n\r\n"),
            BrokenAnswer("empty name", head + ": b\r\nContent-Length: 0\r\n\r\n"),
            BrokenAnswer("name that is no token", head + "X(A): b\r\nContent-Length: 0\r\n\r\n"),
            BrokenAnswer("HTTP/0.9", "<html>hello</html>\r\n\r\n"),
            BrokenAnswer("HTTP/2.0", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
            BrokenAnswer("another protocol", "SSH-2.0-OpenSSH_9.2p1\r\n\r\n"),
            BrokenAnswer("lower-case version", "http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
            BrokenAnswer("status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"),
            BrokenAnswer("status of four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"),
            BrokenAnswer("status of letters", "HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n"),
            BrokenAnswer("status 099", "HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n"),
            BrokenAnswer("no status", "HTTP/1.1\r\nContent-Length: 0\r\n\r\n"),
            BrokenAnswer("control in the reason", "HTTP/1.1 200 O\u{01}K\r\nContent-Length: 0\r\n\r\n"),
            BrokenAnswer("garbage", "\u{01}\u{02}\u{03}\0\u{04}\r\n\r\n"),
            BrokenAnswer("a TLS alert", "\u{15}\u{03}\u{03}\0\u{02}\u{02}\u{28}\r\n\r\n"),
            BrokenAnswer("a head of 1 MiB", head + "X-A: \(String(repeating: "a", count: 1 << 20))\r\n\r\n"),
            BrokenAnswer("5,000 fields", head + String(repeating: "X-A: b\r\n", count: 5000) + "\r\n"),
            BrokenAnswer("an endless status line", "HTTP/1.1 200 \(String(repeating: "a", count: 1 << 20))\r\n\r\n"),
            BrokenAnswer(
                "100 interim answers",
                String(repeating: "HTTP/1.1 103 Early Hints\r\n\r\n", count: 100) + head + "Content-Length: 0\r\n\r\n"),
            BrokenAnswer(
                "an interim answer with a length",
                "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhello" + head + "Content-Length: 0\r\n\r\n"),
        ])
    func brokenHeads(answer: BrokenAnswer) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { connection in
            let request = try connection.readRequest()
            try connection.send(request.target == "/good" ? ok("good") : answer.bytes)
            connection.waitForEnd()
        }
        let edge = try stage.edge([origin.url], "attempts: 1")
        let client = try edge.client()
        try client.send(request("GET /bad", "Accept: application/json"))
        let got = try client.readAnswer()
        #expect(got.status == 502, "\(got.head)\(got.text)")
        #expect(!got.has("Set-Cookie"))
        let entry = try edge.logged(ray: got.ray)
        #expect(entry["status"] as? Int == 502)
        #expect((entry["error"] as? String)?.hasPrefix("origin_bad_response") == true, "\(entry)")
        // The edge lives, and the broken connection serves nobody else.
        let good = try edge.get("/good")
        #expect(good.text == "good")
        #expect(origin.connectionCount == 2)
    }

    @Test(
        "A body that breaks in its middle is cut for the client, too: never a clean end",
        arguments: [
            BrokenAnswer("bad chunk size", head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n"),
            BrokenAnswer("chunk size with a sign", head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n+0\r\n\r\n"),
            BrokenAnswer(
                "bare LF behind a chunk size", head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\n\r\n"),
            BrokenAnswer("chunk without its CRLF", head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n"),
            BrokenAnswer(
                "chunk size beyond 64 bits",
                head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n10000000000000000\r\n"),
            BrokenAnswer(
                "broken trailer", head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX A: b\r\n\r\n"),
            BrokenAnswer(
                "endless trailers",
                head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"
                    + String(repeating: "X-A: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n", count: 3000)),
            BrokenAnswer("end inside a chunk", head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nwo"),
            BrokenAnswer("end between chunks", head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
            BrokenAnswer(
                "end before the trailers' end", head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"),
            BrokenAnswer("end before the length", head + "Content-Length: 100\r\n\r\nhello"),
            BrokenAnswer("end before any of the length", head + "Content-Length: 100\r\n\r\n"),
        ])
    func brokenBodies(answer: BrokenAnswer) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { connection in
            _ = try connection.readRequest()
            try connection.send(answer.bytes)
        }
        let edge = try stage.edge([origin.url], "attempts: 1")
        let client = try edge.client()
        try client.send(request("GET /bad"))
        let got = try client.readAnswer()
        // An edge that has not begun to answer may still say 502; having begun, it may only cut.
        if got.status != 502 {
            #expect(got.status == 200)
            #expect(got.ending == .cut, "\(got.head)\(got.text)")
            #expect("hello".hasPrefix(got.text.prefix(5)))
        }
        #expect(try client.readToEnd().bytes.isEmpty)
        let entry = try edge.logged(ray: got.ray)
        #expect((entry["error"] as? String)?.hasPrefix("origin_") == true, "\(entry)")
    }

    @Test("A reset in the middle of a body is not its end", arguments: [true, false])
    func resetInBody(isCounted: Bool) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let reached = Gate()
        let origin = try stage.origin { connection in
            _ = try connection.readRequest()
            let framing = isCounted ? "Content-Length: 100\r\n\r\nhello" : "Connection: close\r\n\r\nhello"
            try connection.send("HTTP/1.1 200 OK\r\n" + framing)
            reached.pass()
            connection.wire.reset()
        }
        let edge = try stage.edge([origin.url], "attempts: 1")
        let client = try edge.client()
        try client.send(request("GET /"))
        let head = try client.read(through: "\r\n\r\n").text
        #expect(head.hasPrefix("HTTP/1.1 200"))
        if client.buffered.isEmpty { _ = try client.receive() }
        reached.open()
        let rest = try client.readToEnd()
        // Chunked without its last chunk, fewer bytes than the length, or a reset: each tells the client.
        let isChunked = head.lowercased().contains("transfer-encoding: chunked")
        let tells = !rest.inOrder || isCounted || (isChunked && !rest.bytes.text.hasSuffix("0\r\n\r\n"))
        #expect(tells, "\(head)\(rest.bytes.text)")
    }

    @Test("An endless head is given up", arguments: ["X-A: b\r\n", "a"])
    func endlessHead(piece: String) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let gaveUp = Gate()
        let origin = try stage.origin(isRecording: false) { connection in
            _ = try connection.readRequest()
            try connection.send("HTTP/1.1 200 OK\r\nX-Start: ")
            let bytes = [UInt8](String(repeating: piece, count: 65536 / piece.utf8.count).utf8)
            defer { gaveUp.open() }
            // 256 MiB would be enough to show in memory.
            for _ in 0..<4096 { try connection.wire.send(bytes) }
        }
        let edge = try stage.edge([origin.url], "attempts: 1")
        #expect(try edge.get("/").status == 502)
        #expect(gaveUp.pass())
        #expect(edge.process.memoryKiB("VmHWM") < 200_000)
    }

    @Test("Endless interim answers are given up")
    func endlessInterim() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin(isRecording: false) { connection in
            _ = try connection.readRequest()
            for _ in 0..<200_000 { try connection.send("HTTP/1.1 102 Processing\r\n\r\n") }
        }
        let edge = try stage.edge([origin.url], "attempts: 1")
        let client = try edge.client()
        try client.send(request("GET /"))
        let answer = try client.readAnswer()
        #expect(answer.status == 502)
        #expect(answer.interim.count <= 64)
    }

    @Test("A connection that closes or resets before an answer is a 502", arguments: [false, true])
    func closesAtOnce(byReset: Bool) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { connection in
            _ = try connection.readRequest()
            if byReset { connection.wire.reset() }
        }
        let edge = try stage.edge([origin.url], "attempts: 1")
        let answer = try edge.exchange(request("POST /", body: "hello"))
        #expect(answer.status == 502)
        #expect(try edge.logged(ray: answer.ray)["error"] as? String == "origin_closed_early")
    }

    @Test("Half a head and then the end is a 502")
    func closesInHead() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { connection in
            _ = try connection.readRequest()
            try connection.send("HTTP/1.1 200 OK\r\nContent-")
        }
        let edge = try stage.edge([origin.url], "attempts: 1")
        let answer = try edge.get("/")
        #expect(answer.status == 502)
        #expect((try edge.logged(ray: answer.ray)["error"] as? String)?.hasPrefix("origin_") == true)
    }
}
