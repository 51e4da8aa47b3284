// What an origin's connection makes of what the origin sends, and whether it is used again afterwards (rules 12, 13 and
// 15: every doubt closes it).

import ConfigModel
import Exchange
import HTTPWire
import Limits
import NIOCore
import NIOEmbedded
import Telemetry
import Testing

@testable import Origin

/// One response as an origin may send it, and what must come of it.
struct ResponseCase: Sendable, CustomTestStringConvertible {
    var name: String
    var method = HTTPWire.Method.get
    var mayUpgrade = false
    var response: String
    /// The origin ends its half behind the response.
    var ends = false
    var body = ""
    var outline: [Ear.Event]
    var isReused: Bool

    var testDescription: String { name }

    static let all: [ResponseCase] = [
        .init(
            name: "a length", response: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", body: "hello",
            outline: [.head(200), .end(nil)], isReused: true),
        .init(
            name: "a length of nothing", response: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            outline: [.head(200), .end(nil)], isReused: true),
        .init(
            name: "a length with Connection: close",
            response: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", body: "hi",
            outline: [.head(200), .end(nil)], isReused: false),
        .init(
            name: "HTTP/1.0 without keep-alive", response: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", body: "hi",
            outline: [.head(200), .end(nil)], isReused: false),
        .init(
            name: "HTTP/1.0 with keep-alive",
            response: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi", body: "hi",
            outline: [.head(200), .end(nil)], isReused: true),
        .init(
            name: "bytes behind the response",
            response: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\n",
            body: "hi", outline: [.head(200), .end(nil)], isReused: false),
        .init(
            name: "one byte behind the response", response: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi\n",
            body: "hi", outline: [.head(200), .end(nil)], isReused: false),
        .init(
            name: "chunks",
            response: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n",
            body: "hello!", outline: [.head(200), .end(nil)], isReused: true),
        .init(
            name: "chunks with trailers",
            response:
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 7\r\nContent-Length: 9\r\n\r\n",
            body: "hi", outline: [.head(200), .end("X-Sum: 7\r\n")], isReused: true),
        .init(
            name: "bytes behind the last chunk",
            response: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\nx", body: "hi",
            outline: [.head(200), .end(nil)], isReused: false),
        .init(
            name: "a bad chunk", response: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhiX\r\n",
            body: "hi",
            outline: [.head(200), .failed(.originBadResponse)], isReused: false),
        .init(
            name: "until the connection ends", response: "HTTP/1.1 200 OK\r\n\r\nhello", ends: true, body: "hello",
            outline: [.head(200), .end(nil)], isReused: false),
        .init(
            name: "HEAD with a length", method: .head, response: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
            outline: [.head(200), .end(nil)], isReused: true),
        .init(
            name: "HEAD with chunks announced", method: .head,
            response: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", outline: [.head(200), .end(nil)],
            isReused: true),
        .init(
            name: "HEAD answered with a body", method: .head,
            response: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            outline: [.head(200), .end(nil)], isReused: false),
        .init(
            name: "204", response: "HTTP/1.1 204 No Content\r\n\r\n", outline: [.head(204), .end(nil)], isReused: true),
        .init(
            name: "204 with a body", response: "HTTP/1.1 204 No Content\r\n\r\nhello",
            outline: [.head(204), .end(nil)],
            isReused: false),
        .init(
            name: "304 with the length of what it stands for",
            response: "HTTP/1.1 304 Not Modified\r\nContent-Length: 999\r\n\r\n", outline: [.head(304), .end(nil)],
            isReused: true),
        .init(
            name: "interim responses first",
            response: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
                + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            body: "hi", outline: [.interim(100), .interim(103), .head(200), .end(nil)], isReused: true),
        .init(
            name: "101 that nobody asked for",
            response: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            outline: [.failed(.originBadResponse)], isReused: false),
        .init(
            name: "101 without saying to what", mayUpgrade: true, response: "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            outline: [.failed(.originBadResponse)], isReused: false),
        .init(
            name: "101 that was asked for, with the first bytes behind it", mayUpgrade: true,
            response: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nframe",
            body: "frame", outline: [.switched], isReused: false),
        .init(
            name: "an upgrade declined", mayUpgrade: true, response: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            outline: [.head(200), .end(nil)], isReused: true),
        .init(
            name: "both framings",
            response: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            outline: [.failed(.originBadResponse)], isReused: false),
        .init(
            name: "two lengths", response: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
            outline: [.failed(.originBadResponse)], isReused: false),
        .init(
            name: "no HTTP", response: "SSH-2.0-OpenSSH_9\r\n", outline: [.failed(.originBadResponse)], isReused: false),
        .init(
            name: "the end in the head", response: "HTTP/1.1 200 OK\r\nConte", ends: true,
            outline: [.failed(.originClosedEarly)], isReused: false),
        .init(
            name: "the end in the body", response: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", ends: true,
            body: "hel", outline: [.head(200), .failed(.originClosedEarly)], isReused: false),
        .init(
            name: "the end in the chunks", response: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
            ends: true, body: "hi", outline: [.head(200), .failed(.originClosedEarly)], isReused: false),
        .init(
            name: "the end at once", response: "", ends: true, outline: [.failed(.originClosedEarly)], isReused: false),
    ]
}

@Suite("OriginConnection")
struct OriginConnectionTests {
    private let bench = OriginBench()

    @Test("a response in one piece", arguments: ResponseCase.all)
    func inOnePiece(_ example: ResponseCase) throws {
        try run(example, pieces: example.response.isEmpty ? [] : [example.response])
    }

    @Test("a response byte by byte", arguments: ResponseCase.all)
    func byteByByte(_ example: ResponseCase) throws {
        try run(example, pieces: example.response.unicodeScalars.map { String($0) })
    }

    private func run(_ example: ResponseCase, pieces: [String]) throws {
        defer { bench.finish() }
        let (connection, channel) = try bench.connect()
        let ear = Ear()
        connection.ask(ear, method: example.method, mayUpgrade: example.mayUpgrade)
        for piece in pieces where channel.isActive { try channel.say(piece) }
        if example.ends { channel.endInput() }
        #expect(ear.outline == example.outline)
        #expect(ear.body == example.body)
        #expect(bench.server.idleConnections == (example.isReused ? 1 : 0))
        let isOpen = example.isReused || ear.outline == [.switched]
        #expect(channel.isActive == isOpen)
        #expect(bench.server.openConnections == (isOpen ? 1 : 0))
        #expect(bench.gauge(.originConnectionsActive) == (isOpen && !example.isReused ? 1 : 0))
        #expect(bench.gauge(.originConnectionsIdle) == (example.isReused ? 1 : 0))
    }

    @Test("a connection says that it is reused from its second exchange on, before that is sent")
    func isReused() throws {
        defer { bench.finish() }
        let (connection, channel) = try bench.connect()
        #expect(!connection.isReused)
        connection.ask(Ear())
        try channel.say("HTTP/1.1 204 No Content\r\n\r\n")
        let second = Ear()
        guard case .ready(let link) = bench.server.acquire(for: second, on: bench.loop, fresh: false) else {
            Issue.record("no idle connection")
            return
        }
        #expect(link === connection)
        #expect(link.isReused)
    }

    @Test("many exchanges go over one connection")
    func manyExchanges() throws {
        defer { bench.finish() }
        let (connection, channel) = try bench.connect()
        connection.cancel()
        for round in 0..<100 {
            let ear = Ear()
            guard case .ready(let link) = bench.server.acquire(for: ear, on: bench.loop, fresh: false) else {
                Issue.record("no idle connection in round \(round)")
                return
            }
            #expect(bench.server.idleConnections == 0)
            link.ask(ear)
            #expect(try channel.heard() == "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            try channel.say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
            #expect(ear.outline == [.head(200), .end(nil)])
        }
        #expect(bench.server.openConnections == 1)
    }

    @Test("as many interim responses as are allowed pass, and one more breaks the origin's word")
    func interimFlood() throws {
        defer { bench.finish() }
        let (connection, channel) = try bench.connect()
        let ear = Ear()
        connection.ask(ear)
        for _ in 0..<Limits.interimResponsesMax { try channel.say("HTTP/1.1 103 Early Hints\r\n\r\n") }
        #expect(ear.events == Array(repeating: .interim(103), count: Limits.interimResponsesMax))
        #expect(channel.isActive)
        try channel.say("HTTP/1.1 103 Early Hints\r\n\r\n")
        #expect(ear.events.last == .failed(.originBadResponse))
        #expect(!channel.isActive)
    }

    @Test("bytes on an idle connection close it, and nobody gets it any more")
    func bytesWhileIdle() throws {
        defer { bench.finish() }
        let (connection, channel) = try bench.connect()
        connection.cancel()
        #expect(bench.server.idleConnections == 1)
        try channel.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        #expect(!channel.isActive)
        #expect(bench.server.idleConnections == 0)
        #expect(bench.server.openConnections == 0)
        #expect(bench.gauge(.originConnectionsIdle) == 0)
    }

    @Test("an origin that ends an idle connection takes it from the pool")
    func endWhileIdle() throws {
        defer { bench.finish() }
        let (connection, channel) = try bench.connect()
        connection.cancel()
        channel.endInput()
        #expect(!channel.isActive)
        #expect(bench.server.idleConnections == 0)
        #expect(bench.server.openConnections == 0)
    }

    @Test("a connection that died between being taken and being used says so to who sends on it")
    func diedInHand() throws {
        defer { bench.finish() }
        let (connection, channel) = try bench.connect()
        connection.cancel()
        let ear = Ear()
        guard case .ready(let link) = bench.server.acquire(for: ear, on: bench.loop, fresh: false) else { return }
        channel.endInput()
        link.ask(ear)
        #expect(ear.events == [.failed(.pooledConnectionLost)])
        #expect(bench.server.openConnections == 0)
    }

    @Test("giving up in the middle closes, giving up before sending gives back")
    func cancel() throws {
        defer { bench.finish() }
        let (connection, channel) = try bench.connect()
        let ear = Ear()
        connection.attach(ear)
        connection.cancel()
        #expect(channel.isActive)
        #expect(bench.server.idleConnections == 1)
        guard case .ready(let link) = bench.server.acquire(for: ear, on: bench.loop, fresh: false) else { return }
        link.ask(ear)
        link.cancel()
        #expect(!channel.isActive)
        #expect(ear.events.isEmpty)
        #expect(bench.server.openConnections == 0)
    }

    @Test("when the loop asks for the reading to stop, it stops, and a whole response makes it go on")
    func pause() throws {
        defer { bench.finish() }
        let (connection, channel) = try bench.connect()
        let ear = Ear()
        connection.ask(ear)
        try channel.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        connection.pauseResponse()
        #expect(!channel.isReading)
        connection.resumeResponse()
        #expect(channel.isReading)
        connection.pauseResponse()
        // What the kernel had given already still comes.
        try channel.say("cd")
        #expect(ear.outline == [.head(200), .end(nil)])
        #expect(channel.isReading)
        #expect(bench.server.idleConnections == 1)
    }
}

@Suite("OriginConnection: the request")
struct OriginConnectionRequestTests {
    private let bench = OriginBench()

    @Test("an early response is told, and its connection is not used again")
    func earlyResponse() throws {
        defer { bench.finish() }
        let (connection, channel) = try bench.connect()
        let ear = Ear()
        connection.attach(ear)
        connection.send(
            ByteBuffer(string: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"),
            shape: RequestShape(method: .post, framing: .length(10), mayUpgrade: false), isComplete: false)
        #expect(connection.sendBody(ByteBuffer(string: "hello")))
        try channel.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        #expect(ear.outline == [.head(403), .end(nil)])
        #expect(ear.body == "no")
        #expect(bench.server.idleConnections == 0)
        #expect(!channel.isActive)
        // What comes later does nothing.
        _ = connection.sendBody(ByteBuffer(string: "world"))
        connection.sendEnd(trailers: nil)
        #expect(bench.server.openConnections == 0)
    }

    @Test("a response that ends behind its request's end leaves the connection in use, though it began before")
    func overlapping() throws {
        defer { bench.finish() }
        let (connection, channel) = try bench.connect()
        let ear = Ear()
        connection.attach(ear)
        connection.send(
            ByteBuffer(string: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"),
            shape: RequestShape(method: .post, framing: .length(5), mayUpgrade: false), isComplete: false)
        try channel.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
        _ = connection.sendBody(ByteBuffer(string: "hello"))
        connection.sendEnd(trailers: nil)
        try channel.say("k")
        #expect(ear.outline == [.head(200), .end(nil)])
        #expect(bench.server.idleConnections == 1)
    }

    @Test(
        "a chunked body is framed anew, large and small, with its trailers",
        arguments: [1, 16 * 1024, 16 * 1024 + 1, 100_000])
    func chunked(count: Int) throws {
        defer { bench.finish() }
        let (connection, channel) = try bench.connect()
        connection.attach(Ear())
        connection.send(
            ByteBuffer(string: "POST / HTTP/1.1\r\n\r\n"),
            shape: RequestShape(method: .post, framing: .chunked, mayUpgrade: false), isComplete: false)
        // An empty piece must not become the last chunk.
        #expect(connection.sendBody(ByteBuffer()))
        #expect(connection.sendBody(ByteBuffer(repeating: UInt8(ascii: "x"), count: count)))
        #expect(connection.sendBody(ByteBuffer(string: "end")))
        connection.sendEnd(trailers: ByteBuffer(string: "X-Sum: 7\r\n"))
        let expected =
            "POST / HTTP/1.1\r\n\r\n" + String(count, radix: 16) + "\r\n" + String(repeating: "x", count: count)
            + "\r\n3\r\nend\r\n0\r\nX-Sum: 7\r\n\r\n"
        #expect(try channel.heard().lowercased() == expected.lowercased())
        try channel.say("HTTP/1.1 204 No Content\r\n\r\n")
        #expect(bench.server.idleConnections == 1)
    }

    @Test("a full socket is said once, and said again when there is room")
    func backPressure() throws {
        defer { bench.finish() }
        let (connection, channel) = try bench.connect()
        let ear = Ear()
        connection.attach(ear)
        connection.send(
            ByteBuffer(string: "POST / HTTP/1.1\r\n\r\n"),
            shape: RequestShape(method: .post, framing: .length(9), mayUpgrade: false), isComplete: false)
        channel.isWritable = false
        #expect(!connection.sendBody(ByteBuffer(string: "abc")))
        #expect(ear.events.isEmpty)
        channel.isWritable = true
        channel.pipeline.fireChannelWritabilityChanged()
        channel.pipeline.fireChannelWritabilityChanged()
        #expect(ear.events == [.writable])
        #expect(connection.sendBody(ByteBuffer(string: "def")))
    }

    @Test("a tunnel passes bytes both ways as they are, and ends with the origin's end")
    func tunnel() throws {
        defer { bench.finish() }
        let (connection, channel) = try bench.connect()
        let ear = Ear()
        connection.ask(ear, mayUpgrade: true)
        _ = try channel.heard()
        try channel.say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        #expect(connection.sendBody(ByteBuffer(string: "ping")))
        #expect(try channel.heard() == "ping")
        try channel.say("pong")
        #expect(ear.body == "pong")
        // However long nothing is said: a tunnel's time is the client's side's matter.
        bench.tick(milliseconds: 2 * Limits.firstByteTimeoutMillisecondsDefault)
        #expect(channel.isActive)
        channel.endInput()
        #expect(ear.outline == [.switched, .end(nil)])
        #expect(!channel.isActive)
        #expect(bench.server.openConnections == 0)
    }
}

@Suite("OriginConnection: time")
struct OriginConnectionTimeTests {
    private let bench: OriginBench

    init() {
        var timeouts = Zone.OriginTimeouts()
        timeouts.firstByte = 1_000
        timeouts.idle = 5_000
        var pool = Zone.Pool()
        pool.keepAlive = 2_000
        bench = OriginBench(pool: pool, timeouts: timeouts)
    }

    @Test("an origin that does not begin to answer")
    func firstByte() throws {
        defer { bench.finish() }
        let (connection, channel) = try bench.connect()
        let ear = Ear()
        connection.ask(ear)
        for _ in 0..<10 { bench.loop.tick() }
        #expect(ear.events.isEmpty)
        bench.tick(milliseconds: 300)
        #expect(ear.events == [.failed(.originFirstByteTimeout)])
        #expect(!channel.isActive)
    }

    @Test("interim responses do not put the first byte off")
    func interimIsNoAnswer() throws {
        defer { bench.finish() }
        let (connection, channel) = try bench.connect()
        let ear = Ear()
        connection.ask(ear)
        for _ in 0..<6 where channel.isActive {
            try channel.say("HTTP/1.1 102 Processing\r\n\r\n")
            for _ in 0..<3 { bench.loop.tick() }
        }
        #expect(ear.events.last == .failed(.originFirstByteTimeout))
    }

    @Test(
        "a body that stops",
        arguments: ["Content-Length: 9\r\n\r\nab", "Transfer-Encoding: chunked\r\n\r\n9\r\nab", "\r\nab"])
    func idle(_ rest: String) throws {
        defer { bench.finish() }
        let (connection, channel) = try bench.connect()
        let ear = Ear()
        connection.ask(ear)
        try channel.say("HTTP/1.1 200 OK\r\n" + rest)
        for _ in 0..<3 {
            for _ in 0..<45 { bench.loop.tick() }
            try channel.say("c")
        }
        #expect(ear.outline == [.head(200)])
        bench.tick(milliseconds: 5_000)
        #expect(ear.outline == [.head(200), .failed(.originIdleTimeout)])
    }

    @Test(
        "while reading is paused the origin cannot be late, even when the pause comes from within its bytes",
        arguments: ["Content-Length: 9\r\n\r\nab", "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", "\r\nab"])
    func pausedIsNotLate(_ rest: String) throws {
        defer { bench.finish() }
        let (connection, channel) = try bench.connect()
        let ear = Ear()
        ear.onEvent = { [unowned connection] event in
            if case .body = event { connection.pauseResponse() }
        }
        connection.ask(ear)
        try channel.say("HTTP/1.1 200 OK\r\n" + rest)
        #expect(!channel.isReading)
        bench.tick(milliseconds: 60_000)
        #expect(ear.outline == [.head(200)])
        #expect(channel.isActive)
        connection.resumeResponse()
        bench.tick(milliseconds: 6_000)
        #expect(ear.outline == [.head(200), .failed(.originIdleTimeout)])
    }

    @Test("a pause between an interim response and the final one leaves the first byte's deadline in force")
    func pausedBeforeHead() throws {
        defer { bench.finish() }
        let (connection, channel) = try bench.connect()
        let ear = Ear()
        connection.ask(ear)
        try channel.say("HTTP/1.1 103 Early Hints\r\n\r\n")
        connection.pauseResponse()
        connection.resumeResponse()
        bench.tick(milliseconds: 60_000)
        #expect(ear.events.last == .failed(.originFirstByteTimeout))
    }

    @Test("an idle connection ages out")
    func keepAlive() throws {
        defer { bench.finish() }
        let (connection, channel) = try bench.connect()
        connection.cancel()
        for _ in 0..<20 { bench.loop.tick() }
        #expect(channel.isActive)
        bench.tick(milliseconds: 300)
        #expect(!channel.isActive)
        #expect(bench.server.idleConnections == 0)
        #expect(bench.server.openConnections == 0)
    }

    @Test("the keep-alive of the shelf does not reach into the next exchange")
    func shelfDeadlineIsGone() throws {
        defer { bench.finish() }
        let (connection, channel) = try bench.connect()
        connection.cancel()
        let ear = Ear()
        guard case .ready(let link) = bench.server.acquire(for: ear, on: bench.loop, fresh: false) else { return }
        link.ask(ear)
        try channel.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na")
        for _ in 0..<40 { bench.loop.tick() }
        try channel.say("b")
        #expect(ear.outline == [.head(200), .end(nil)])
    }
}
