import Foundation
import Testing

/// Messages of every shape, stored and served: framing, trailers, interim answers, old clients, TLS.
@Suite("Cache: shapes of messages", .onStageThreads)
struct ShapeJourneys {
    @Test("A chunked answer is served with its length once it is known, to old clients too")
    func chunked() throws {
        let page = try Resource(playing: { connection, _, _ in
            try connection.send(
                "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "5;x=y\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
        })
        #expect(try page.get().text == "hello world")
        let hit = try page.get()
        hit.expectHit("hello world")
        #expect(hit["Content-Length"] == "11" && !hit.has("Transfer-Encoding"), "\(hit.head)")
        let old = try oldAnswer(page)
        old.expectHit("hello world")
        #expect(old["Content-Length"] == "11", "\(old.head)")
    }

    private func oldAnswer(_ page: Resource, _ fields: String...) throws -> Message {
        let lines =
            ["GET \(page.path) HTTP/1.0", "Host: \(page.host):\(page.stage.edge.httpPort)"] + fields + ["", ""]
        return try page.stage.edge.exchange(lines.joined(separator: "\r\n"))
    }

    @Test("An HTTP/1.0 client fills, hits, and keeps its connection only if it asks to")
    func oldClients() throws {
        let page = try Resource("Cache-Control: max-age=600")
        #expect(try oldAnswer(page).text == "v1")
        let hit = try oldAnswer(page)
        hit.expectHit("v1")
        try page.get().expectHit("v1")
        let client = try page.stage.edge.client()
        let kept =
            "GET \(page.path) HTTP/1.0\r\nHost: \(page.host):\(page.stage.edge.httpPort)\r\n"
            + "Connection: keep-alive\r\n\r\n"
        for _ in 1...2 {
            try client.send(kept)
            let answer = try client.readAnswer()
            answer.expectHit("v1")
            if answer.announcesClose || !answer.has("Connection") { return }
        }
    }

    @Test("An HTTP/1.0 client is not sent chunks of a fill that is under way")
    func oldClientDuringFill() throws {
        let (begun, release) = (Gate(), Gate())
        let page = try Resource(playing: { connection, _, _ in
            try connection.send(
                "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            begun.open()
            release.pass()
            try connection.send("6\r\n world\r\n0\r\n\r\n")
        })
        let first = try page.stage.edge.client()
        try first.send(page.request())
        #expect(begun.pass())
        let old = try page.stage.edge.client()
        try old.send("GET \(page.path) HTTP/1.0\r\nHost: \(page.host):\(page.stage.edge.httpPort)\r\n\r\n")
        pause(milliseconds: 100)
        release.open()
        let answer = try old.readAnswer()
        #expect(answer.text == "hello world" && !answer.has("Transfer-Encoding"), "\(answer)")
        #expect(try first.readAnswer().text == "hello world")
    }

    @Test("Trailers never turn into fields (RFC 9111 §3.1); a client that takes them gets them from the cache too")
    func trailers() throws {
        let page = try Resource(playing: { connection, _, _ in
            try connection.send(
                "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                    + "5\r\nhello\r\n0\r\nX-Sum: 42\r\nSet-Cookie: id=1\r\nCache-Control: no-store\r\n\r\n")
        })
        for number in 1...2 {
            let answer = try page.get("TE: trailers", "Connection: TE, close")
            #expect(answer.text == "hello" && !answer.has("X-Sum") && !answer.has("Set-Cookie"), "\(answer.head)")
            #expect(answer["Cache-Control"] == "max-age=600")
            #expect(answer.trailer("Set-Cookie") == nil || number == 1)
            if number == 2 {
                answer.expectHit()
                #expect(answer.trailer("X-Sum") == "42" || answer.has("Content-Length"), "\(answer.head)")
            }
        }
        let plain = try page.get()
        plain.expectHit("hello")
        #expect(plain.trailers.isEmpty, "not asked for: \(plain.trailers)")
    }

    @Test("Interim answers pass to who waits, and are no part of what is stored")
    func interim() throws {
        let page = try Resource { _, _ in
            "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nCache-Control: max-age=1\r\n\r\n"
                + ok("final", "Cache-Control: max-age=600")
        }
        let first = try page.get()
        #expect(first.text == "final" && first.interim.map(\.status) == [103], "\(first.interim)")
        let second = try page.get()
        second.expectHit("final")
        #expect(second.interim.isEmpty && !second.has("Link"))
    }

    @Test("Pipelined hits and misses keep their order")
    func pipelined() throws {
        let stored = try Resource("Cache-Control: max-age=600")
        _ = try stored.get()
        let slow = try Resource { _, number in
            pause(milliseconds: 50)
            return ok("slow \(number)")
        }
        let client = try stored.stage.edge.client()
        let both = stored.request() + slow.request()
        try client.send(both + both + stored.request(method: "HEAD") + stored.request())
        for expected in ["v1", "slow 1", "v1", "slow 2"] { #expect(try client.readAnswer().text == expected) }
        #expect(try client.readAnswer(to: "HEAD").status == 200)
        #expect(try client.readAnswer().text == "v1")
    }

    @Test("A client that asks to close gets its hit and the close; one that does not keeps its connection")
    func connection() throws {
        let page = try Resource("Cache-Control: max-age=600")
        _ = try page.get()
        let client = try page.stage.edge.client()
        for _ in 1...3 {
            try client.send(page.request())
            let answer = try client.readAnswer()
            answer.expectHit("v1")
            #expect(!answer.announcesClose)
        }
        try client.send(page.request(["Connection: close"]))
        #expect(try client.readAnswer().announcesClose)
        #expect(try client.endsWithoutAnotherByte())
    }

    @Test(
        "An empty body, a body of one byte, and those around the sizes where memory is cut",
        arguments: [
            0, 1, 16383, 16384, 16385, 65536, 262_143, 262_144, 262_145, 1_000_000,
        ])
    func sizes(count: Int) throws {
        let page = try Resource.large(count, "Cache-Control: max-age=600", on: CacheStage.shared)
        for number in 1...2 {
            let answer = try page.get()
            #expect(page.fault(in: answer, count: count) == nil)
            #expect(answer.cache.isHit == (number == 2), "\(answer.head)")
        }
        let chunked = try Resource.large(count, "Cache-Control: max-age=600", isChunked: true, on: CacheStage.shared)
        for _ in 1...2 { #expect(chunked.fault(in: try chunked.get(), count: count) == nil) }
        #expect(chunked.requestCount == 1)
        if count > 2 {
            let part = try page.get("Range: bytes=\(count / 2)-\(count - 1)")
            let fault = MarkedBody.fault(part.body, of: page.path, from: count / 2)
            #expect(part.status == 206 && part.body.count == count - count / 2 && fault == nil, "\(fault ?? part.head)")
        }
    }

    @Test("Fields up to the bounds are stored and come back")
    func manyFields() throws {
        let fields = (0..<90).map { "X-Field-\($0): \(String(repeating: "v", count: 100))\($0)" }
        let page = try Resource { _, _ in response("200 OK", fields: fields + ["Cache-Control: max-age=600"], body: "b")
        }
        _ = try page.get()
        let hit = try page.get()
        hit.expectHit("b")
        for index in [0, 45, 89] { #expect(hit["X-Field-\(index)"]?.hasSuffix("v\(index)") == true) }
    }

    @Test("The reason phrase may be anything or nothing")
    func reason() throws {
        for line in ["200", "200 ", "200 Very Fine Indeed"] {
            let page = try Resource { _, _ in
                "HTTP/1.1 \(line)\r\nCache-Control: max-age=600\r\nContent-Length: 1\r\n\r\nx"
            }
            guard try page.get().status == 200 else { continue }
            try page.get().expectHit("x")
        }
    }

    @Test("Over TLS: hits as in the clear, and a key of their own")
    func tls() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage, https: true)
        let page = try Resource("Cache-Control: max-age=600", on: cast)
        let url = "https://example.test:\(cast.edge.httpsPort)\(page.path)"
        func fetch(_ arguments: String...) throws -> String {
            let process = try stage.start(
                ["curl", "-sS", "-k", "--resolve", "example.test:\(cast.edge.httpsPort):127.0.0.1"] + arguments + [url])
            _ = process.waitForExit()
            return process.output + process.errors
        }
        #expect(try page.get().text == "v1")
        #expect(try fetch() == "v2", "another scheme, another object")
        let hit = try fetch("-i")
        #expect(hit.hasSuffix("v2") && hit.contains("martlet; hit"), "\(hit)")
        try page.get().expectHit("v1")
        #expect(try fetch("-r", "1-1") == "2")
        #expect(page.requestCount == 2)
    }
}
