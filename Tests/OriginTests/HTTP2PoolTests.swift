// How requests find room on HTTP/2 connections, when connections are made, and what is remembered of an origin's protocol.

import ConfigModel
import Exchange
import HTTPWire
import Limits
import NIOCore
import NIOEmbedded
import Telemetry
import Testing

@testable import Origin

@Suite("HTTP/2 to origins: the pool")
struct HTTP2PoolTests {
    private static func pool(connections: Int) -> Zone.Pool {
        var pool = Zone.Pool()
        pool.connections = connections
        pool.wait = 1_000
        return pool
    }

    private let bench = HTTP2Bench(pool: Self.pool(connections: 1))

    private func wait(_ ear: Ear) -> Acquisition? {
        if case .pending(let acquisition) = bench.server.acquire(for: ear, on: bench.loop, fresh: false) {
            return acquisition
        }
        return nil
    }

    @Test("one connection serves as many at a time as the origin takes; more wait for their turn")
    func streamsMax() throws {
        defer { bench.finish() }
        let wire = try bench.idle(HTTP2FarEnd(streamsMax: 3))
        let ears = try (0..<3).map { _ in
            let ear = Ear()
            try bench.ask(ear)
            return ear
        }
        let late = (0..<2).map { _ in Ear() }
        for ear in late { #expect(wait(ear) != nil) }
        try wire.pump()
        #expect(late.allSatisfy { $0.events.isEmpty })
        #expect(bench.gauge(.originPoolWaiters) == 2)
        for (index, ear) in late.enumerated() {
            try wire.say { $0.respond(UInt32(index * 2 + 1), 204, ends: true) }
            #expect(ears[index].outline == [.head(204), .end(nil)])
            #expect(ear.events == [.ready])
            ear.link?.ask(ear)
            try wire.pump()
        }
        #expect(bench.server.openConnections == 1)
        #expect(bench.gauge(.originPoolWaiters) == 0)
    }

    @Test("room that is given back unused goes to who waits")
    func givenBack() throws {
        defer { bench.finish() }
        _ = try bench.idle(HTTP2FarEnd(streamsMax: 1))
        let held = try #require(bench.link(Ear()))
        let ear = Ear()
        #expect(wait(ear) != nil)
        held.cancel()
        #expect(ear.events == [.ready])
        ear.link?.cancel()
        #expect(bench.server.idleConnections == 1)
    }

    @Test("until the origin's SETTINGS have come, one stream is all; then everybody gets theirs")
    func unsettled() throws {
        defer { bench.finish() }
        let wire = try bench.connect(settles: false)
        let ears = (0..<10).map { _ in Ear() }
        for ear in ears { #expect(wait(ear) != nil) }
        let first = wire.connection.takeLink()
        first.ask(Ear())
        try wire.pump()
        #expect(ears.allSatisfy { $0.events.isEmpty })
        wire.far.begin()
        try wire.pump()
        #expect(ears.allSatisfy { $0.events == [.ready] })
        #expect(bench.server.openConnections == 1)
    }

    @Test("settings that change are followed")
    func settingsChange() throws {
        defer { bench.finish() }
        let wire = try bench.idle(HTTP2FarEnd(streamsMax: 1))
        try bench.ask(Ear())
        let ear = Ear()
        #expect(wait(ear) != nil)
        // SETTINGS_MAX_CONCURRENT_STREAMS = 2, then 0, which is for a moment at most.
        wire.far.frame(0x4, stream: 0, [0, 3, 0, 0, 0, 2])
        try wire.pump()
        #expect(ear.events == [.ready])
        #expect(bench.link(Ear()) == nil)
        ear.link?.cancel()
        wire.far.frame(0x4, stream: 0, [0, 3, 0, 0, 0, 0])
        try wire.pump()
        #expect(bench.link(Ear()) == nil)
    }

    @Test("a connection is made for those who find no room, and not for those whom one under way will have room for")
    func herd() throws {
        let bench = HTTP2Bench(pool: Self.pool(connections: 9))
        defer { bench.finish() }
        #expect(bench.server.reserveConnection(for: .http2))
        #expect(!bench.server.reserveConnection(for: .http2))
        #expect(bench.server.openConnections == 1)
        let ears = (0...Limits.http2UnsettledStreamsMax).map { _ in Ear() }
        for ear in ears {
            // Those who enter the line look again whether they should make one.
            guard bench.server.line.count < Limits.http2UnsettledStreamsMax else { break }
            guard case .pending = bench.server.acquire(for: ear, on: bench.loop, fresh: false) else {
                Issue.record("served by nobody")
                return
            }
        }
        #expect(bench.server.openConnections == 1)
        bench.server.connectingEnded(.http2)
        bench.server.connectionEnded()
    }

    @Test("when the connection that all wait for fails, all of them learn why")
    func sharedFailure() throws {
        let bench = HTTP2Bench(pool: Self.pool(connections: 9))
        defer { bench.finish() }
        #expect(bench.server.reserveConnection(for: .http2))
        let ears = (0..<5).map { _ in Ear() }
        for ear in ears { _ = bench.server.acquire(for: ear, on: bench.loop, fresh: false) }
        bench.server.connectingEnded(.http2)
        bench.server.failLine(.originRefused)
        bench.eventLoop.run()
        #expect(ears.allSatisfy { $0.events == [.unavailable(.originRefused)] })
    }

    @Test("who waits for a connection that is not made in time blames the origin, not the pool")
    func lateConnection() throws {
        let bench = HTTP2Bench(pool: Self.pool(connections: 9))
        defer { bench.finish() }
        #expect(bench.server.reserveConnection(for: .http2))
        let ear = Ear()
        _ = bench.server.acquire(for: ear, on: bench.loop, fresh: false)
        bench.tick(milliseconds: 2_000)
        #expect(ear.events.isEmpty)
        bench.tick(milliseconds: bench.server.key.timeouts.connect)
        #expect(ear.events == [.unavailable(.originConnectTimeout)])
    }

    @Test("a connection that is lost with requests waiting leaves them a place to make another")
    func lostWhileWaiting() throws {
        defer { bench.finish() }
        let wire = try bench.connect(settles: false)
        let ear = Ear()
        #expect(wait(ear) != nil)
        wire.channel.endInput()
        bench.eventLoop.run()
        #expect(ear.events == [.unavailable(.originClosedEarly)])
        #expect(bench.server.openConnections == 0)
        #expect(bench.server.http2.connectionCount == 0)
        #expect(bench.server.reserveConnection(for: .http2))
    }

    @Test("room that was claimed of a connection that went is told as lost, and may be asked for again")
    func claimedAndLost() throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        let ear = Ear()
        let link = try #require(bench.link(ear))
        wire.channel.endInput()
        link.ask(ear)
        #expect(ear.events == [.failed(.pooledConnectionLost)])
        bench.eventLoop.run()
        #expect(bench.loop.deadlines.count == 0)
    }

    @Test("a retry within the failure it retries is another stream", arguments: [UInt32(1), 3])
    func retryWithin(stream: UInt32) throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        let (first, other, again) = (Ear(), Ear(), Ear())
        try bench.ask(first)
        try bench.ask(other)
        try wire.pump()
        for ear in [first, other] {
            ear.onEvent = { [unowned ear, bench] event in
                guard case .failed = event, let link = bench.link(again) else { return }
                ear.onEvent = nil
                // Whoever compares links must see that this is another one.
                #expect(link !== ear.link)
                link.ask(again)
            }
        }
        try wire.say { $0.reset(stream, .refusedStream) }
        for ear in [first, other] { ear.onEvent = nil }
        #expect(wire.far.heard().last == .request(5, "GET / http a", ends: true))
        try wire.say { $0.respond(5, 204, ends: true) }
        #expect(again.outline == [.head(204), .end(nil)])
    }

    @Test("many who leave make another connection be used, and the origin sees no attack; who stays is served")
    func manyResets() throws {
        let bench = HTTP2Bench(pool: Self.pool(connections: 9))
        defer { bench.finish() }
        let wire = try bench.idle()
        let stays = Ear()
        try bench.ask(stays)
        var id: UInt32 = 3
        // Responses that come whole make up for those who leave.
        for round in 0..<4 * Limits.http2OriginResetsMax {
            let ear = Ear()
            let link = try bench.ask(ear)
            try wire.pump()
            if round.isMultiple(of: 2) { link.cancel() } else { wire.far.respond(id, 204, ends: true) }
            try wire.pump()
            id += 2
        }
        for _ in 1..<Limits.http2OriginResetsMax { try bench.ask(Ear()).cancel() }
        #expect(bench.link(Ear()) != nil)
        try bench.ask(Ear()).cancel()
        #expect(bench.link(Ear()) == nil)
        #expect(wire.channel.isActive)
        try wire.pump()
        try wire.say { $0.respond(1, 204, ends: true) }
        #expect(stays.outline == [.head(204), .end(nil)])
        #expect(!wire.channel.isActive)
        #expect(bench.server.openConnections == 0)
    }

    @Test("a server that is retired closes what is idle at once and what is busy when it is done")
    func retire() throws {
        let bench = HTTP2Bench(pool: Self.pool(connections: 9))
        defer { bench.finish() }
        let busy = try bench.idle(HTTP2FarEnd(streamsMax: 1))
        let ear = Ear()
        try bench.ask(ear)
        let idle = try bench.idle()
        try busy.pump()
        bench.server.retire()
        bench.eventLoop.run()
        #expect(!idle.channel.isActive)
        #expect(busy.channel.isActive)
        try busy.say { $0.respond(1, 204, ends: true) }
        #expect(ear.outline == [.head(204), .end(nil)])
        #expect(!busy.channel.isActive)
        #expect(bench.server.openConnections == 0)
        #expect(bench.gauge(.originConnectionsIdle) == 0)
        #expect(bench.gauge(.originConnectionsActive) == 0)
    }
}

@Suite("What an origin is offered")
struct OriginOfferTests {
    private func origin(_ scheme: Origin.Scheme, _ use: Origin.HTTP2Use) -> Origin {
        var origin = Origin(scheme: scheme, host: "a.test", port: 1)
        origin.http2 = use
        return origin
    }

    @Test(
        "by scheme, configuration and request",
        arguments: [
            (Origin.Scheme.http, Origin.HTTP2Use.auto, ["http/1.1"], ["http/1.1"]),
            (.http, .on, ["h2"], ["h2"]), (.http, .off, ["http/1.1"], ["http/1.1"]),
            (.https, .auto, ["h2", "http/1.1"], ["http/1.1"]), (.https, .on, ["h2"], ["h2"]),
            (.https, .off, ["http/1.1"], ["http/1.1"]),
        ])
    func offers(scheme: Origin.Scheme, use: Origin.HTTP2Use, plain: [String], upgrading: [String]) {
        #expect(OriginOffer(origin(scheme, use), mayUpgrade: false).protocols == plain)
        #expect(OriginOffer(origin(scheme, use), mayUpgrade: true).protocols == upgrading)
    }

    @Test("HTTP_1_1_REQUIRED is heeded where the configuration leaves the choice (RFC 9113, section 7)")
    func http11Required() throws {
        let bench = HTTP2Bench(.on)
        defer { bench.finish() }
        let wire = try bench.idle()
        let ear = Ear()
        try bench.ask(ear)
        try wire.pump()
        try wire.say { $0.reset(1, .http11Required) }
        #expect(ear.events == [.failed(.originClosedEarly)])
        #expect(bench.server.offer(mayUpgrade: false) == .http2)
        #expect(!bench.server.noteHTTP1Required())
    }
}

@Suite("HTTP/2 to origins: WebSockets")
struct HTTP2ConnectTests {
    private let bench = HTTP2Bench()
    private let head =
        "GET /chat HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        + "Sec-WebSocket-Protocol: x\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n"

    private func connect(_ ear: Ear, _ link: any OriginLink, head: String? = nil) {
        ear.link = link
        link.attach(ear)
        link.send(
            ByteBuffer(string: head ?? self.head),
            shape: RequestShape(method: .get, framing: .none, mayUpgrade: true), isComplete: true)
    }

    @Test("an upgrade to WebSocket is an extended CONNECT, and its answer the 101 that is waited for (RFC 8441)")
    func connects() throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        let ear = SwitchEar()
        guard case .ready(let link) = bench.server.acquire(for: ear, on: bench.loop, fresh: false, mayUpgrade: true)
        else {
            throw Failure.poolExhausted
        }
        link.attach(ear)
        link.send(
            ByteBuffer(string: head), shape: RequestShape(method: .get, framing: .none, mayUpgrade: true),
            isComplete: true)
        try wire.pump()
        #expect(wire.far.heard() == [.request(1, "CONNECT /chat http a", ends: false)])
        #expect(wire.far.protocols[1] == "websocket")
        #expect(wire.far.fields[1] == ["sec-websocket-version: 13", "sec-websocket-protocol: x"])
        try wire.say { $0.respond(1, 200, "Sec-WebSocket-Protocol: x\r\n") }
        #expect(
            ear.lines == [
                "101 websocket", "sec-websocket-protocol: x", "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            ])
        #expect(link.sendBody(ByteBuffer(string: "ping")))
        try wire.pump()
        #expect(wire.far.heard() == [.body(1, "ping")])
        try wire.say { $0.send(1, "pong") }
        #expect(ear.body == "pong")
        // However long nothing is said.
        for _ in 0..<100 {
            bench.tick(milliseconds: 2 * Limits.firstByteTimeoutMillisecondsDefault / 100)
            try wire.pump()
        }
        #expect(wire.far.heard().isEmpty)
        #expect(!ear.hasEnded)
        link.closeTunnelOutput()
        try wire.pump()
        #expect(wire.far.heard().last == .end(1))
        try wire.say { $0.send(1, "bye", ends: true) }
        #expect(ear.body == "pongbye")
        #expect(ear.hasEnded)
        #expect(wire.channel.isActive)
    }

    @Test("an origin that declines answers as to any request")
    func declined() throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        let ear = Ear()
        connect(ear, try #require(bench.link(ear)))
        try wire.pump()
        wire.far.respond(1, 403)
        try wire.say { $0.send(1, "no", ends: true) }
        #expect(ear.outline == [.head(403), .end(nil)])
        #expect(ear.body == "no")
    }

    @Test("an origin that takes no extended CONNECT is a clear failure, known as soon as its SETTINGS are")
    func notEnabled() throws {
        defer { bench.finish() }
        let wire = try bench.connect(settles: false)
        let ear = Ear()
        connect(ear, wire.connection.takeLink())
        try wire.pump()
        #expect(ear.events.isEmpty)
        wire.far.frame(0x4, stream: 0)
        let bytes = wire.far.out
        wire.far.out = ByteBuffer()
        try wire.channel.writeInbound(bytes)
        #expect(ear.events == [.failed(.originWithoutConnect)])
        #expect(bench.loop.deadlines.count == 1)
    }

    @Test("before SETTINGS have come it waits for them, and may be given up")
    func waits() throws {
        defer { bench.finish() }
        let wire = try bench.connect(settles: false)
        let ear = Ear()
        let link = wire.connection.takeLink()
        connect(ear, link)
        link.cancel()
        wire.far.begin()
        try wire.pump()
        #expect(wire.far.heard().isEmpty)
        let second = Ear()
        connect(second, try #require(bench.link(second)))
        try wire.pump()
        #expect(wire.far.heard() == [.request(1, "CONNECT /chat http a", ends: false)])
    }

    @Test("another protocol is not asked for: the request goes as it is")
    func another() throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        let ear = Ear()
        connect(
            ear, try #require(bench.link(ear)),
            head: "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nConnection: Upgrade\r\nUpgrade: irc\r\n\r\n")
        try wire.pump()
        #expect(wire.far.heard() == [.request(1, "GET / http a", ends: true)])
        #expect(wire.far.fields[1] == ["x: y"])
    }
}

/// Reads a switch's head while it is there.
private final class SwitchEar: OriginReceiver {
    let answer = OriginAnswer()
    var lines: [String] = []
    var body = ""
    var hasEnded = false
    func originReady(_ link: any OriginLink) {}
    func originUnavailable(_ failure: Failure) {}
    func originInterim(bytes: ByteBuffer) {}
    func originHead(bytes: ByteBuffer) {}
    func originBody(_ bytes: ByteBuffer) { body += String(buffer: bytes) }
    func originEnd(trailers: ByteBuffer?) { hasEnded = true }
    func originSwitched(bytes: ByteBuffer) {
        let head = answer.head
        lines = bytes.withBytes { span in
            func text(_ range: ByteRange?) -> String {
                String(decoding: (range ?? .empty).range.map { span[$0] }, as: UTF8.self)
            }
            return ["\(head.status) \(text(head.upgrade))"]
                + head.fields.map { "\(text($0.name)): \(text($0.value))" }
        }
    }
    func originFlush() {}
    func originFailed(_ failure: Failure) {}
    func originWritable() {}
}

@Suite("RenderedRequest")
struct RenderedRequestTests {
    @Test(
        "what is no head is refused, and never read beyond its end",
        arguments: [
            "", " ", "GET", "GET ", "GET / ", "GET /", "GET  HTTP/1.1\r\n", " / HTTP/1.1\r\n", "GET / HTTP/1.1",
        ])
    func refused(text: String) {
        #expect(RenderedRequest(Array(text.utf8).span) == nil)
    }

    @Test("lines cut short anywhere do no harm")
    func cut() {
        let whole = Array(
            "GET /x HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\nA: b\r\n\r\n".utf8)
        for count in 0...whole.count {
            let bytes = Array(whole.prefix(count))
            guard let request = RenderedRequest(bytes.span) else { continue }
            _ = request.webSocketKey(bytes.span)
            var encoder = HPACKEncoder(tableBytesMax: 0)
            var out = [UInt8](repeating: 0, count: 1_000)
            out.withUnsafeMutableBytes { memory in
                var writer = ByteWriter(memory)
                encoder.begin(to: &writer)
                for connects in [true, false] {
                    request.encode(
                        bytes.span, connects: connects, isSecure: true, with: &encoder, to: &writer)
                }
            }
        }
        let request = RenderedRequest(whole.span)
        #expect(request?.webSocketKey(whole.span) == Array("k".utf8))
        #expect(request?.lineCount == 6)
    }
}
