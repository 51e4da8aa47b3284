import Foundation
import Testing

/// Rule 15: what belongs to one connection stays on it (RFC 9110, section 7.6.1).
@Suite("Hop by hop", .onStageThreads)
struct HopByHopJourneys {
    @Test("Fields of the client's connection, and those it nominates, do not reach the origin")
    func requestFields() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url])
        let answer = try edge.exchange(
            request(
                "GET /", "Connection: keep-alive, X-Private, x-other", "Keep-Alive: timeout=5", "X-Private: 1",
                "X-Other: 2", "X-Kept: 3", "Proxy-Connection: keep-alive", "TE: gzip, trailers", "Upgrade: foo"))
        #expect(answer.status == 200)
        let seen = try #require(origin.requests.first)
        for name in ["Keep-Alive", "X-Private", "X-Other", "Proxy-Connection", "Upgrade"] {
            #expect(!seen.has(name), "\(name) in \(seen.head)")
        }
        #expect(seen.all("TE").allSatisfy { $0.lowercased() == "trailers" }, "\(seen.head)")
        #expect(seen["X-Kept"] == "3")
        #expect(!seen.all("Connection").contains { $0.lowercased().contains("x-private") })
    }

    @Test("Connection nominates nothing that the edge or the origin stands on")
    func protectedFields() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url], top: "trusted_proxies: [\"127.0.0.0/8\"]")
        let answer = try edge.exchange(
            request(
                "POST /",
                "Connection: close, Host, Content-Length, Authorization, X-Forwarded-For, X-Forwarded-Proto, Forwarded",
                "Connection: X-Forwarded-Host, Martlet-Ray, traceparent", "Authorization: Basic YTpi",
                "X-Forwarded-For: 203.0.113.7", body: "hello"))
        #expect(answer.status == 200)
        let seen = try #require(origin.requests.first)
        #expect(seen["Host"] == "example.test")
        #expect(seen["Content-Length"] == "5")
        #expect(seen.text == "hello")
        #expect(seen["Authorization"] == "Basic YTpi")
        #expect(seen["X-Forwarded-For"]?.hasPrefix("203.0.113.7") == true, "\(seen.head)")
        for name in ["X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "Martlet-Ray", "traceparent"] {
            #expect(seen.has(name), "\(name) missing in \(seen.head)")
        }
    }

    @Test("Fields of the origin's connection, and those it nominates, do not reach the client")
    func responseFields() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { _ in
            ok(
                "body", "Connection: keep-alive, X-Private", "Keep-Alive: timeout=5", "X-Private: 1", "X-Kept: 2",
                "Proxy-Connection: keep-alive", "Upgrade: h2c")
        }
        let edge = try stage.edge([origin.url])
        let answer = try edge.exchange(request("GET /"))
        for name in ["X-Private", "Proxy-Connection", "Upgrade"] {
            #expect(!answer.has(name), "\(name) in \(answer.head)")
        }
        #expect(answer["Keep-Alive"] != "timeout=5")
        #expect(answer["X-Kept"] == "2")
        #expect(answer.text == "body")
    }

    @Test("The origin's Connection nominates no framing")
    func protectedResponseFields() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { _ in ok("body", "Connection: Content-Length, Set-Cookie", "Set-Cookie: a=b") }
        let edge = try stage.edge([origin.url])
        let answer = try edge.exchange(request("GET /"))
        #expect(answer.text == "body")
        #expect(answer["Content-Length"] == "4")
    }

    @Test("Trailers pass, those that would change framing, routing or identity do not")
    func trailers() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let bad =
            "Content-Length: 1\r\nTransfer-Encoding: gzip\r\nHost: evil.test\r\nAuthorization: x\r\n"
            + "Set-Cookie: a=b\r\nX-Forwarded-For: 6.6.6.6\r\nMartlet-Ray: 1\r\nConnection: close\r\n"
        let origin = try stage.origin { request in
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\n\(bad)"
                + "X-Sum: \(request.trailer("X-Sum") ?? "none")\r\n\r\n"
        }
        let edge = try stage.edge([origin.url])
        let answer = try edge.exchange(
            request("POST /", "Connection: TE", "TE: trailers", "Transfer-Encoding: chunked", "Trailer: X-Sum")
                + "5\r\nhello\r\n0\r\n\(bad)X-Sum: 42\r\n\r\n")
        #expect(answer.text == "hello")
        #expect(answer.trailer("X-Sum") == "42")
        #expect(answer.trailers.map { $0.name.lowercased() } == ["x-sum"], "\(answer.trailers)")
        let seen = try #require(origin.requests.first)
        #expect(seen.trailers.map { $0.name.lowercased() } == ["x-sum"], "\(seen.trailers)")
    }

    @Test("Bytes on an idle pooled connection discard it, whatever they look like")
    func bytesWhileIdle() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let discarded = Gate()
        let origin = try stage.origin { connection in
            let request = try connection.readRequest()
            try connection.send(ok("answer to \(request.target)"))
            if connection.index == 0 {
                pause(milliseconds: 50)
                try connection.send(ok("uninvited"))
                connection.waitForEnd()
                discarded.open()
            }
        }
        let edge = try stage.edge([origin.url])
        #expect(try edge.get("/one").text == "answer to /one")
        #expect(discarded.pass())
        for index in 2...6 { #expect(try edge.get("/\(index)").text == "answer to /\(index)") }
        #expect(origin.requests.count == 6)
    }

    @Test("Bytes behind an answer do not become the answer to another request")
    func excessBytes() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { connection in
            let request = try connection.readRequest()
            try connection.send(ok("answer to \(request.target)") + ok("poison"))
            connection.waitForEnd()
        }
        let edge = try stage.edge([origin.url])
        let client = try edge.client()
        for index in 1...5 {
            try client.send(request("GET /\(index)"))
            #expect(try client.readAnswer().text == "answer to /\(index)")
        }
        #expect(origin.connectionCount == 5)
    }
}
