// One exchange on an HTTP/2 connection to an origin: what of the request reaches the origin, and what its answer becomes.

import ConfigModel
import Exchange
import HTTPWire
import Limits
import NIOCore
import NIOEmbedded
import Telemetry
import Testing

@testable import Origin

@Suite("HTTP/2 to origins: exchanges")
struct HTTP2ExchangeTests {
    private let bench = HTTP2Bench()

    @Test("a request has its pseudo-fields, and nothing that belongs to HTTP/1.1 (RFC 9113, sections 8.2.2 and 8.3.1)")
    func request() throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        let ear = Ear()
        let link = try #require(bench.link(ear))
        link.attach(ear)
        link.send(
            ByteBuffer(
                string: "GET /a?b=c HTTP/1.1\r\nHost: example.test:81\r\nAccept: */*\r\nX-Upper: Value\r\n"
                    + "Connection: TE\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nUpgrade: x\r\n\r\n"),
            shape: .get, isComplete: true)
        try wire.pump()
        #expect(wire.far.heard() == [.request(1, "GET /a?b=c http example.test:81", ends: true)])
        #expect(wire.far.fields[1] == ["accept: */*", "x-upper: Value", "te: trailers"])
    }

    @Test("a response with a length, one without, and one with trailers", arguments: [1, 7, 100_000])
    func responses(pieces: Int) throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        let ears = try (0..<3).map { _ in
            let ear = Ear()
            try bench.ask(ear)
            return ear
        }
        try wire.pump()
        wire.far.respond(1, 200, "Content-Length: 5\r\n")
        wire.far.send(1, "hello", ends: true)
        wire.far.respond(3, 201)
        wire.far.send(3, "a")
        wire.far.send(3, "b", ends: true)
        wire.far.respond(5, 200, "X-A: b\r\nSet-Cookie: c\r\n")
        wire.far.send(5, "body")
        wire.far.trailers(5, "X-Sum: 7\r\ncontent-length: 1\r\n")
        try wire.pumpSlowly(pieces)
        #expect(ears[0].outline == [.head(200), .end(nil)])
        #expect(ears[0].body == "hello")
        #expect(ears[0].answer.head.framing == .length(5))
        #expect(ears[1].outline == [.head(201), .end(nil)])
        #expect(ears[1].body == "ab")
        #expect(ears[1].answer.head.framing == .chunked)
        #expect(ears[2].outline == [.head(200), .end("x-sum: 7\r\n")])
        #expect(ears[2].body == "body")
        #expect(ears.allSatisfy { $0.flushes > 0 })
        #expect(bench.server.idleConnections == 1)
        #expect(bench.server.openConnections == 1)
        #expect(wire.far.heard().count == 3)
    }

    @Test(
        "responses without a body end with their head (RFC 9110, section 6.4.1)",
        arguments: [(HTTPWire.Method.head, 200), (.get, 204), (.get, 304)])
    func noBody(method: HTTPWire.Method, status: Int) throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        let ear = Ear()
        try bench.ask(ear, method: method)
        try wire.pump()
        try wire.say { $0.respond(1, status, status == 204 ? "" : "Content-Length: 9\r\n", ends: true) }
        #expect(ear.outline == [.head(status), .end(nil)])
        #expect(ear.answer.head.framing == .none)
    }

    @Test("the head's ranges lie in the bytes that are given with it")
    func headBytes() throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        let ear = HeadEar()
        let link = try #require(
            { () -> (any OriginLink)? in
                guard case .ready(let link) = bench.server.acquire(for: ear, on: bench.loop, fresh: false) else {
                    return nil
                }
                return link
            }())
        link.attach(ear)
        link.send(ByteBuffer(string: "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), shape: .get, isComplete: true)
        try wire.pump()
        try wire.say { $0.respond(1, 200, "X-First: one\r\nServer: s\r\nX-Last: \r\n", ends: true) }
        #expect(ear.lines == ["x-first: one", "server: s", "x-last: "])
    }

    @Test("as many interim responses as are allowed pass, and one more ends the stream, not the connection")
    func interim() throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        let ear = Ear()
        try bench.ask(ear)
        try wire.pump()
        for _ in 0..<Limits.interimResponsesMax { try wire.say { $0.respond(1, 103, "Link: </x>\r\n") } }
        #expect(ear.events == Array(repeating: .interim(103), count: Limits.interimResponsesMax))
        try wire.say { $0.respond(1, 103) }
        #expect(ear.events.last == .failed(.originBadResponse))
        #expect(wire.far.heard().last == .reset(1, .cancel))
        #expect(bench.server.idleConnections == 1)
    }

    @Test("a request's body and trailers follow it; an empty piece is none")
    func body() throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        let ear = Ear()
        let link = try bench.post(ear, fields: "Content-Type: a/b\r\n")
        #expect(link.sendBody(ByteBuffer()))
        #expect(link.sendBody(ByteBuffer(string: "hello ")))
        try wire.pump()
        #expect(link.sendBody(ByteBuffer(string: "world")))
        link.sendEnd(trailers: ByteBuffer(string: "X-Sum: 7\r\n"))
        try wire.pump()
        #expect(
            wire.far.heard() == [
                .request(1, "POST /up http a", ends: false), .body(1, "hello "), .body(1, "world"),
                .trailers(1, "x-sum: 7"),
            ])
        try wire.say { $0.respond(1, 204, ends: true) }
        #expect(ear.outline == [.head(204), .end(nil)])
        #expect(wire.far.heard().isEmpty)
    }

    @Test("a body with a length says so, and ends with its last bytes")
    func length() throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        let link = try bench.post(Ear(), framing: .length(5), fields: "Content-Length: 5\r\n")
        _ = link.sendBody(ByteBuffer(string: "hello"))
        link.sendEnd(trailers: nil)
        try wire.pump()
        #expect(wire.far.heard() == [.request(1, "POST /up http a", ends: false), .body(1, "hello"), .end(1)])
        #expect(wire.far.fields[1] == ["content-length: 5"])
    }

    @Test(
        "a response that is whole before its request is told, and the rest of the request is cut off",
        arguments: [true, false])
    func early(byOrigin: Bool) throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        let ear = Ear()
        let link = try bench.post(ear)
        _ = link.sendBody(ByteBuffer(string: "x"))
        try wire.pump()
        wire.far.respond(1, 403)
        wire.far.send(1, "no", ends: true)
        if byOrigin { wire.far.reset(1, .noError) }
        try wire.pump()
        #expect(ear.outline == [.head(403), .end(nil)])
        #expect(ear.body == "no")
        #expect(wire.far.heard().contains(.reset(1, .cancel)) == !byOrigin)
        #expect(wire.connection.session.openStreams == 0)
        // What comes later does nothing.
        _ = link.sendBody(ByteBuffer(string: "y"))
        link.sendEnd(trailers: nil)
        try wire.pump()
        #expect(bench.server.idleConnections == 1)
        try bench.ask(Ear())
        try wire.pump()
        #expect(wire.far.heard().contains(.request(3, "GET / http a", ends: true)))
    }

    @Test("a response that ends behind its request's end, though it began before")
    func overlapping() throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        let ear = Ear()
        let link = try bench.post(ear)
        try wire.pump()
        try wire.say { $0.respond(1, 200) }
        _ = link.sendBody(ByteBuffer(string: "x"))
        try wire.pump()
        link.sendEnd(trailers: nil)
        try wire.pump()
        try wire.say { $0.send(1, "y", ends: true) }
        #expect(ear.outline == [.head(200), .end(nil)])
        #expect(wire.far.heard() == [.request(1, "POST /up http a", ends: false), .body(1, "x"), .end(1)])
    }

    @Test("giving up cuts the stream and leaves the others alone; nothing more is heard of it")
    func cancel() throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        let (gone, stays) = (Ear(), Ear())
        let link = try bench.ask(gone)
        try bench.ask(stays)
        try wire.pump()
        link.cancel()
        link.cancel()
        // On its way already.
        wire.far.respond(1, 200)
        wire.far.send(1, "late")
        try wire.pump()
        #expect(wire.far.heard().contains(.reset(1, .cancel)))
        #expect(gone.events.isEmpty)
        try wire.say { $0.respond(3, 204, ends: true) }
        #expect(stays.outline == [.head(204), .end(nil)])
        #expect(wire.channel.isActive)
    }

    @Test("giving up from within what the origin says", arguments: [Ear.Event.head(200), .body("x"), .interim(103)])
    func cancelWithin(at moment: Ear.Event) throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        let ear = Ear()
        ear.onEvent = { [unowned ear] event in if event == moment { ear.link?.cancel() } }
        try bench.ask(ear)
        try wire.pump()
        wire.far.respond(1, 103)
        wire.far.respond(1, 200)
        wire.far.send(1, "x")
        wire.far.send(1, "y", ends: true)
        try wire.pump()
        #expect(ear.events.last == moment)
        #expect(wire.channel.isActive)
        #expect(bench.server.idleConnections == 1)
    }

    @Test("a stream that the origin cuts off is that exchange's failure alone", arguments: [false, true])
    func resetByOrigin(hasHead: Bool) throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        let (cut, stays) = (Ear(), Ear())
        try bench.ask(cut)
        try bench.ask(stays)
        try wire.pump()
        if hasHead { wire.far.respond(1, 200) }
        try wire.say { $0.reset(1, .internalError) }
        #expect(cut.outline == (hasHead ? [.head(200)] : []) + [.failed(.originClosedEarly)])
        #expect(stays.events.isEmpty)
        try wire.say { $0.respond(3, 204, ends: true) }
        #expect(stays.outline == [.head(204), .end(nil)])
    }

    @Test("what the origin refuses unread may be sent again (RFC 9113, section 8.7)")
    func refused() throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        let ear = Ear()
        let link = try bench.ask(ear)
        #expect((link as? HTTP2OriginStream)?.mayBeRefused == true)
        try wire.pump()
        try wire.say { $0.reset(1, .refusedStream) }
        #expect(ear.events == [.failed(.originRefusedStream)])
        #expect(Failure.originRefusedStream.happenedBeforeSending)
        #expect(bench.server.idleConnections == 1)
    }

    @Test("GOAWAY refuses what is above its last stream, lets the others end, and takes the connection from the pool")
    func goAway() throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        let (served, refused) = (Ear(), Ear())
        try bench.ask(served)
        try wire.pump()
        wire.far.goAway()
        // On its way before GOAWAY has come.
        try bench.ask(refused)
        try wire.pump()
        #expect(refused.events == [.failed(.originRefusedStream)])
        #expect(served.events.isEmpty)
        #expect(bench.link(Ear()) == nil)
        #expect(wire.channel.isActive)
        wire.far.respond(1, 200)
        try wire.say { $0.send(1, "x", ends: true) }
        #expect(served.outline == [.head(200), .end(nil)])
        #expect(!wire.channel.isActive)
        #expect(bench.server.openConnections == 0)
        #expect(bench.gauge(.originConnectionsActive) == 0)
        #expect(bench.gauge(.originConnectionsIdle) == 0)
    }

    @Test("a malformed response is an error of its stream (RFC 9113, section 8.1.1)")
    func malformed() throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        let ear = Ear()
        try bench.ask(ear)
        try wire.pump()
        // ":status: 200" from the static table, then "connection: x" as a literal.
        let block: [UInt8] = [0x88, 0x00, 10] + Array("connection".utf8) + [1] + Array("x".utf8)
        wire.far.frame(0x1, flags: 0x4, stream: 1, block)
        try wire.pump()
        #expect(ear.events == [.failed(.originBadResponse)])
        #expect(wire.far.heard().contains(.reset(1, .protocolError)))
        #expect(wire.channel.isActive)
    }

    @Test("an error of the connection is told to the origin, and fails every exchange")
    func connectionError() throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        let ears = [Ear(), Ear()]
        for ear in ears { try bench.ask(ear) }
        try wire.pump()
        wire.far.frame(0x0, stream: 0, [1])
        try wire.pump()
        #expect(ears.allSatisfy { $0.events == [.failed(.originBadResponse)] })
        #expect(wire.far.heard().contains(.goAway(.protocolError)))
        #expect(!wire.channel.isActive)
        #expect(bench.server.openConnections == 0)
    }

    @Test("an origin that speaks something else is a bad response")
    func anotherProtocol() throws {
        defer { bench.finish() }
        let wire = try bench.connect(settles: false)
        let ear = Ear()
        let link = wire.connection.takeLink()
        link.ask(ear)
        bench.eventLoop.run()
        try wire.channel.say("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        #expect(ear.events == [.failed(.originBadResponse)])
        #expect(bench.server.openConnections == 0)
    }

    @Test("a connection that ends fails what is under way", arguments: [true, false])
    func connectionEnds(byHalf: Bool) throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        let ears = [Ear(), Ear()]
        for ear in ears { try bench.ask(ear) }
        try wire.pump()
        try wire.say { $0.respond(3, 200) }
        if byHalf { wire.channel.endInput() } else { _ = try wire.channel.finish(acceptAlreadyClosed: true) }
        #expect(ears[0].outline == [.failed(.originClosedEarly)])
        #expect(ears[1].outline == [.head(200), .failed(.originClosedEarly)])
        #expect(bench.server.openConnections == 0)
        bench.eventLoop.run()
        #expect(bench.loop.deadlines.count == 0)
    }

    @Test("only the first exchange behind a silence is suspected to have met a connection that was gone")
    func staleness() throws {
        defer { bench.finish() }
        let wire = try bench.connect()
        let first = wire.connection.takeLink()
        #expect(!first.isReused)
        let ear = Ear()
        first.ask(ear)
        try wire.pump()
        try wire.say { $0.respond(1, 204, ends: true) }
        let second = try bench.ask(Ear())
        #expect(second.isReused)
        #expect(try !bench.ask(Ear()).isReused)
    }

    @Test("what is left of an exchange does not reach into the next one of the same object")
    func renewed() throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        for round in 0..<50 {
            let ear = Ear()
            let link = try bench.post(ear)
            _ = link.sendBody(ByteBuffer(string: "\(round)"))
            if round % 3 == 0 { link.sendEnd(trailers: ByteBuffer(string: "A: b\r\n")) }
            if round % 3 == 1 { link.pauseResponse() }
            try wire.pump()
            let id = UInt32(round * 2 + 1)
            wire.far.respond(id, 200)
            try wire.say { $0.send(id, "answer \(round)", ends: true) }
            #expect(ear.outline == [.head(200), .end(nil)])
            #expect(ear.body == "answer \(round)")
        }
        #expect(bench.server.openConnections == 1)
        #expect(bench.loop.deadlines.count == 1)
    }
}

/// Reads the head's fields while they are there.
private final class HeadEar: OriginReceiver {
    let answer = OriginAnswer()
    var lines: [String] = []
    func originReady(_ link: any OriginLink) {}
    func originUnavailable(_ failure: Failure) {}
    func originInterim(bytes: ByteBuffer) {}
    func originHead(bytes: ByteBuffer) {
        lines = bytes.withBytes { span in
            answer.head.fields.map { field in
                let words = [field.name, field.value].map { range in
                    String(decoding: range.range.map { span[$0] }, as: UTF8.self)
                }
                return words.joined(separator: ": ")
            }
        }
    }
    func originBody(_ bytes: ByteBuffer) {}
    func originEnd(trailers: ByteBuffer?) {}
    func originSwitched(bytes: ByteBuffer) {}
    func originFlush() {}
    func originFailed(_ failure: Failure) {}
    func originWritable() {}
}
