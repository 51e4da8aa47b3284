// What becomes of a client's connection: order, keep-alive, early responses, framing for old clients.

import ConfigModel
import Exchange
import HTTPWire
import Limits
import NIOCore
import NIOEmbedded
import Telemetry
import Testing

@testable import Listener

private let get = "GET / HTTP/1.1\r\nHost: h.test\r\n\r\n"

@Suite("HTTP1Connection: one after the other")
struct OrderTests {
    @Test("pipelined requests are answered in order, each when the one before is over", arguments: [1, 7, 10_000])
    func pipelining(pieceBytes: Int) throws {
        let door = try Door()
        defer { door.finish() }
        let origin = try door.addOrigin()
        let requests = (0..<5).map { "GET /\($0) HTTP/1.1\r\nHost: h.test\r\n\r\n" }.joined()
        var rest = requests.utf8[...]
        while !rest.isEmpty {
            try door.client.say(String(decoding: rest.prefix(pieceBytes), as: UTF8.self))
            rest = rest.dropFirst(pieceBytes)
        }
        for index in 0..<5 {
            let asked = try origin.heard()
            #expect(asked.hasPrefix("GET /\(index) HTTP/1.1\r\n"))
            #expect(statuses(asked.replacingLineEnds()).isEmpty)
            try origin.say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\(index)")
            let heard = try #require(Heard(try door.client.heard()))
            #expect(heard.status == 200)
            #expect(heard.rest == "\(index)")
        }
        #expect(try origin.heard() == "")
        #expect(door.client.isActive && !door.watch.outputEnded)
    }

    @Test("answers of our own keep their place among the origin's")
    func mixed() throws {
        let door = try Door()
        defer { door.finish() }
        let origin = try door.addOrigin()
        try door.client.say(
            get + "GET / HTTP/1.1\r\nHost: other.test\r\n\r\n" + get + "GET / HTTP/1.1\r\nHost: other.test\r\n\r\n")
        #expect(try door.client.heard() == "")
        try origin.say("HTTP/1.1 204 No Content\r\n\r\n")
        #expect(statuses(try door.client.heard()) == [204, 421])
        try origin.say("HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n")
        #expect(statuses(try door.client.heard()) == [205, 421])
    }

    @Test("many pipelined answers of our own do not nest")
    func deep() throws {
        let door = try Door()
        defer { door.finish() }
        let count = 2_000
        try door.client.say(String(repeating: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", count: count))
        #expect(try door.client.heard().components(separator: "HTTP/1.1 421").count == count + 1)
    }

    @Test("more pipelined bytes than are kept pause the reading until there is room")
    func pipelineBound() throws {
        let door = try Door()
        defer { door.finish() }
        let origin = try door.addOrigin()
        try door.client.say(get)
        #expect(door.client.isReading)
        let padded = "GET / HTTP/1.1\r\nHost: h.test\r\nX: " + String(repeating: "x", count: 1_000) + "\r\n\r\n"
        let count = Limits.pipelineBytesMax / padded.utf8.count + 1
        try door.client.say(String(repeating: padded, count: count))
        #expect(!door.client.isReading)
        for _ in 0...count { try origin.say("HTTP/1.1 204 No Content\r\n\r\n") }
        #expect(door.client.isReading)
        #expect(statuses(try door.client.heard()).count == count + 1)
    }

    @Test(
        "a head as long as the configuration allows is read, however it comes", arguments: [50_000, 100_000, 200_000])
    func longHead(count: Int) throws {
        let door = try Door { $0.limits.headBytes = 256 * 1024 }
        defer { door.finish() }
        let origin = try door.addOrigin()
        let head = "GET / HTTP/1.1\r\nHost: h.test\r\nX: " + String(repeating: "x", count: count) + "\r\n\r\n"
        var rest = head.utf8[...]
        while !rest.isEmpty {
            // A client whose bytes are not read cannot go on.
            guard door.client.isReading else { break }
            try door.client.say(String(decoding: rest.prefix(4096), as: UTF8.self))
            rest = rest.dropFirst(4096)
        }
        #expect(rest.isEmpty)
        #expect(try origin.heard().hasPrefix("GET / HTTP/1.1\r\n"))
    }

    @Test("a client that pipelines without reading is not answered without bound")
    func deafClient() throws {
        let door = try Door()
        defer { door.finish() }
        door.watch.isBlocked = true
        let page = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        for _ in 0..<200 {
            if door.watch.heldBytes > Limits.writeBufferBytesHigh { door.setWritable(false) }
            guard door.client.isReading, door.client.isActive else { break }
            try door.client.say(String(repeating: page, count: 50))
        }
        // One batch more than the channel takes, at most, beside what was pipelined when it became full.
        #expect(door.watch.heldBytes < 4 * Limits.writeBufferBytesHigh)
    }
}

@Suite("HTTP1Connection: keep-alive")
struct KeepAliveTests {
    /// Request fields and version, what the response says of the connection, and whether it stays.
    @Test(
        "rules of RFC 9112, section 9.3",
        arguments: [
            ("1.1", "", nil, true), ("1.1", "Connection: close\r\n", "close", false),
            ("1.1", "Connection: keep-alive\r\n", nil, true),
            ("1.1", "Connection: keep-alive, close\r\n", "close", false),
            ("1.1", "Connection: CLOSE\r\n", "close", false), ("1.0", "", "close", false),
            ("1.0", "Connection: keep-alive\r\n", "keep-alive", true),
            ("1.0", "Connection: keep-alive, close\r\n", "close", false),
            ("1.0", "Connection: close\r\n", "close", false),
        ] as [(String, String, String?, Bool)])
    func rules(version: String, fields: String, said: String?, stays: Bool) throws {
        let door = try Door()
        defer { door.finish() }
        let origin = try door.addOrigin()
        try door.client.say("GET / HTTP/\(version)\r\nHost: h.test\r\n\(fields)\r\n")
        try origin.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        let heard = try #require(Heard(try door.client.heard()))
        #expect(heard.fields["connection"] == said)
        #expect(heard.rest == "hi")
        #expect(door.watch.outputEnded == !stays)
    }

    @Test("the origin's wish to close is not the client's")
    func originCloses() throws {
        let door = try Door()
        defer { door.finish() }
        let origin = try door.addOrigin()
        try door.client.say(get)
        try origin.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\nKeep-Alive: timeout=1\r\n\r\nhi")
        let heard = try #require(Heard(try door.client.heard()))
        #expect(heard.fields["connection"] == nil)
        #expect(heard.fields["keep-alive"] == nil)
        #expect(!door.watch.outputEnded)
    }

    @Test("the last request that a connection may make is told so")
    func requestLimit() throws {
        let door = try Door { $0.limits.requestsPerConnection = 3 }
        defer { door.finish() }
        try door.client.say(String(repeating: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", count: 5))
        let text = try door.client.heard()
        #expect(statuses(text) == [421, 421, 421])
        #expect(text.components(separator: "Connection: close").count == 2)
        #expect(door.watch.outputEnded)
    }

    @Test("a stopping process ends idle connections and says so to the others")
    func draining() throws {
        let idle = try Door()
        defer { idle.finish() }
        idle.loop.isDraining = true
        idle.loop.deadlines.drainAll()
        #expect(idle.watch.outputEnded)
        let busy = try Door()
        defer { busy.finish() }
        let origin = try busy.addOrigin()
        try busy.client.say(get)
        busy.loop.isDraining = true
        busy.loop.deadlines.drainAll()
        #expect(!busy.watch.outputEnded)
        try origin.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        let heard = try #require(Heard(try busy.client.heard()))
        #expect(heard.fields["connection"] == "close")
        #expect(busy.watch.outputEnded)
    }

    @Test(
        "a head that is none is answered and ends the connection",
        arguments: [
            ("GET / HTTP/1.1\nHost: h.test\r\n\r\n", 400), ("GET / HTTP/2.0\r\n\r\n", 505),
            ("GET / HTTP/1.1\r\n\r\n", 400), ("GET  / HTTP/1.1\r\nHost: h.test\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: h.test\r\nExpect: tea\r\n\r\n", 417),
            ("GET /" + String(repeating: "a", count: 20_000) + " HTTP/1.1\r\nHost: h.test\r\n\r\n", 414),
            ("GET / HTTP/1.1\r\nHost: h.test\r\n" + String(repeating: "a: b\r\n", count: 129) + "\r\n", 431),
        ])
    func refused(head: String, status: Int) throws {
        let door = try Door()
        defer { door.finish() }
        // What looks like a request behind it is none.
        try door.client.say(head + get)
        let heard = try #require(Heard(try door.client.heard()))
        #expect(heard.status == status)
        #expect(heard.fields["connection"] == "close")
        #expect(heard.fields["content-length"] == "\(heard.rest.utf8.count)")
        #expect(door.watch.outputEnded)
    }

    @Test("nothing behind a CONNECT is a request")
    func connect() throws {
        let door = try Door()
        defer { door.finish() }
        _ = try door.addOrigin()
        try door.client.say("CONNECT h.test:443 HTTP/1.1\r\nHost: h.test:443\r\n\r\n" + get)
        #expect(statuses(try door.client.heard()) == [405])
        #expect(door.watch.outputEnded)
    }

    @Test("a client that ends its half still gets what it asked for")
    func halfClose() throws {
        let door = try Door()
        defer { door.finish() }
        let origin = try door.addOrigin()
        try door.client.say(get)
        door.client.endInput()
        #expect(door.client.isActive)
        try origin.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        #expect(try door.client.heard().hasSuffix("\r\n\r\nhi"))
        door.eventLoop.run()
        #expect(!door.client.isActive)
    }

    @Test(
        "half a request gets nothing",
        arguments: ["GET / HT", "POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 9\r\n\r\nabc"])
    func halfRequest(text: String) throws {
        let door = try Door()
        defer { door.finish() }
        let origin = try door.addOrigin()
        try door.client.say(text)
        door.client.endInput()
        #expect(try door.client.heard() == "")
        #expect(!door.client.isActive)
        // Nor does the origin get to think that it was whole.
        #expect(try origin.heard().isEmpty || !origin.isActive)
    }
}

@Suite("HTTP1Connection: early responses")
struct EarlyResponseTests {
    private static func post(_ fields: String) -> String { "POST / HTTP/1.1\r\nHost: x\r\n\(fields)\r\n" }

    @Test("a body little enough is read and thrown away, and the next request follows")
    func drained() throws {
        let door = try Door()
        defer { door.finish() }
        let body = String(repeating: "b", count: Limits.drainBodyBytesMax)
        try door.client.say(Self.post("Content-Length: \(body.utf8.count)\r\n"))
        #expect(statuses(try door.client.heard()) == [421])
        for part in 0..<4 { try door.client.say(String(body.dropFirst(part * body.count / 4).prefix(body.count / 4))) }
        #expect(!door.watch.outputEnded)
        try door.client.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(statuses(try door.client.heard()) == [421])
    }

    @Test("what a drained body contains is never a request")
    func smuggled() throws {
        let door = try Door()
        defer { door.finish() }
        let hidden = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        try door.client.say(Self.post("Content-Length: \(hidden.utf8.count)\r\n") + hidden)
        #expect(statuses(try door.client.heard()) == [421])
        try door.client.say(
            Self.post("Transfer-Encoding: chunked\r\n") + "1b\r\n\(hidden)".prefix(4 + 27) + "\r\n0\r\n\r\n")
        #expect(statuses(try door.client.heard()) == [421])
        #expect(!door.watch.outputEnded)
    }

    @Test("a body too large to throw away closes the connection, and says so")
    func tooLarge() throws {
        let door = try Door()
        defer { door.finish() }
        try door.client.say(Self.post("Content-Length: \(Limits.drainBodyBytesMax + 1)\r\n"))
        let heard = try #require(Heard(try door.client.heard()))
        #expect(heard.fields["connection"] == "close")
        #expect(door.watch.outputEnded)
    }

    @Test("a client that waits for 100 has not sent its body, and may or may not: the connection closes")
    func expectation() throws {
        let door = try Door()
        defer { door.finish() }
        try door.client.say(Self.post("Content-Length: 5\r\nExpect: 100-continue\r\n"))
        let heard = try #require(Heard(try door.client.heard()))
        #expect(heard.fields["connection"] == "close")
        #expect(door.watch.outputEnded)
    }

    @Test("chunks without end are thrown away within the bound only")
    func endlessChunks() throws {
        let door = try Door()
        defer { door.finish() }
        try door.client.say(Self.post("Transfer-Encoding: chunked\r\n"))
        #expect(statuses(try door.client.heard()) == [421])
        let chunk = "4000\r\n" + String(repeating: "c", count: 0x4000) + "\r\n"
        var count = 0
        while !door.watch.outputEnded, count < 100 {
            try door.client.say(chunk)
            count += 1
        }
        #expect(count * 0x4000 > Limits.drainBodyBytesMax)
        #expect(count * 0x4000 <= Limits.drainBodyBytesMax + 2 * 0x4000)
    }

    @Test("a chunk that is none ends the draining and the connection")
    func badChunk() throws {
        let door = try Door()
        defer { door.finish() }
        try door.client.say(Self.post("Transfer-Encoding: chunked\r\n") + "xyz\r\n" + get)
        #expect(statuses(try door.client.heard()) == [421])
        #expect(door.watch.outputEnded)
    }

    @Test("a client that does not send the rest is not waited for without end")
    func stalled() throws {
        let door = try Door { $0.timeouts.body = 1_000 }
        defer { door.finish() }
        try door.client.say(Self.post("Content-Length: 5\r\n") + "ab")
        door.tick(milliseconds: 1_500)
        #expect(!door.client.isActive)
    }
}

@Suite("HTTP1Connection: framing")
struct FramingTests {
    private func answer(_ request: String, _ response: String, ends: Bool = false) throws -> (Heard?, Door) {
        let door = try Door()
        let origin = try door.addOrigin()
        try door.client.say(request)
        try origin.say(response)
        if ends { origin.endInput() }
        return (Heard(try door.client.heard()), door)
    }

    private static let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 7\r\n\r\n"

    @Test("a client of HTTP/1.1 gets chunks anew")
    func chunks() throws {
        let (heard, door) = try answer(get, Self.chunked)
        defer { door.finish() }
        #expect(heard?.fields["transfer-encoding"] == "chunked")
        #expect(heard?.fields["content-length"] == nil)
        #expect(heard?.rest == "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        #expect(!door.watch.outputEnded)
    }

    @Test("trailers go to who asked for them")
    func trailers() throws {
        let (heard, door) = try answer(
            "GET / HTTP/1.1\r\nHost: h.test\r\nTE: trailers\r\nConnection: TE\r\n\r\n", Self.chunked)
        defer { door.finish() }
        #expect(heard?.rest == "3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 7\r\n\r\n")
    }

    @Test("a client of HTTP/1.0 gets the body as it is, and the end of the connection as its end")
    func oldClient() throws {
        let (heard, door) = try answer("GET / HTTP/1.0\r\nHost: h.test\r\nConnection: keep-alive\r\n\r\n", Self.chunked)
        defer { door.finish() }
        #expect(heard?.fields["transfer-encoding"] == nil)
        #expect(heard?.fields["connection"] == "close")
        #expect(heard?.rest == "abcde")
        #expect(door.watch.outputEnded)
    }

    @Test("a body that ends with the origin's connection becomes chunks")
    func untilClose() throws {
        let (heard, door) = try answer(get, "HTTP/1.1 200 OK\r\n\r\nabc", ends: true)
        defer { door.finish() }
        #expect(heard?.rest == "3\r\nabc\r\n0\r\n\r\n")
        #expect(!door.watch.outputEnded)
    }

    @Test(
        "HEAD and 304 keep the length of what they stand for, 204 has none",
        arguments: [
            ("HEAD", "200 OK\r\nContent-Length: 5\r\n", "5"), ("GET", "304 Not Modified\r\nContent-Length: 5\r\n", "5"),
            ("GET", "204 No Content\r\nContent-Length: 0\r\n", nil),
            ("HEAD", "200 OK\r\nTransfer-Encoding: chunked\r\n", nil),
        ] as [(String, String, String?)])
    func bodiless(method: String, head: String, length: String?) throws {
        let (heard, door) = try answer("\(method) / HTTP/1.1\r\nHost: h.test\r\n\r\n", "HTTP/1.1 \(head)\r\n")
        defer { door.finish() }
        #expect(heard?.fields["content-length"] == length)
        #expect(heard?.rest == "")
        #expect(!door.watch.outputEnded)
    }

    @Test("our own answer to HEAD has no body, but its length")
    func headOfOurs() throws {
        let door = try Door()
        defer { door.finish() }
        try door.client.say("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
        let heard = try #require(Heard(try door.client.heard()))
        #expect(heard.rest == "")
        #expect((Int(heard.fields["content-length"] ?? "") ?? 0) > 100)
    }

    @Test(
        "a response cut short never looks whole",
        arguments: [
            ("1.1", "Content-Length: 9\r\n\r\nabc"), ("1.1", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
        ])
    func cut(version: String, rest: String) throws {
        let (heard, door) = try answer(
            "GET / HTTP/\(version)\r\nHost: h.test\r\n\r\n", "HTTP/1.1 200 OK\r\n" + rest, ends: true)
        defer { door.finish() }
        #expect(heard?.rest.contains("abc") == true)
        #expect(heard?.rest.contains("0\r\n\r\n") == false)
        door.eventLoop.run()
        #expect(door.watch.outputEnded || !door.client.isActive)
    }

    @Test("a switch of protocols opens a tunnel only behind the origin's 101")
    func tunnel() throws {
        let door = try Door()
        defer { door.finish() }
        let origin = try door.addOrigin()
        try door.client.say("GET / HTTP/1.1\r\nHost: h.test\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nearly")
        #expect(try origin.heard().hasSuffix("\r\n\r\n"))
        try origin.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhello")
        #expect(try origin.heard() == "early")
        let heard = try #require(Heard(try door.client.heard()))
        #expect(heard.status == 101)
        #expect(heard.fields["upgrade"] == "x")
        #expect(heard.rest == "hello")
        try door.client.say("GET / HTTP/1.1\r\n\r\n")
        #expect(try origin.heard() == "GET / HTTP/1.1\r\n\r\n")
        origin.endInput()
        #expect(door.watch.outputEnded)
    }

    @Test("a switch that is declined leaves what came early a request")
    func declined() throws {
        let door = try Door()
        defer { door.finish() }
        let origin = try door.addOrigin()
        try door.client.say(
            "GET /1 HTTP/1.1\r\nHost: h.test\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: h.test\r\n\r\n"
        )
        _ = try origin.heard()
        try origin.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        #expect(try origin.heard().hasPrefix("GET /2 "))
    }
}

extension String {
    /// The parts between occurrences of `separator`.
    fileprivate func components(separator: String) -> [String] {
        let wanted = Array(separator.utf8)
        let bytes = Array(utf8)
        var parts: [String] = []
        var start = 0
        var index = 0
        while index + wanted.count <= bytes.count {
            if bytes[index] == wanted[0], bytes[index..<index + wanted.count].elementsEqual(wanted) {
                parts.append(String(decoding: bytes[start..<index], as: UTF8.self))
                index += wanted.count
                start = index
            } else {
                index += 1
            }
        }
        return parts + [String(decoding: bytes[start...], as: UTF8.self)]
    }

    fileprivate func replacingLineEnds() -> String { components(separator: "\r\n").dropFirst().joined(separator: " ") }
}
