// An origin server whose HTTP/2 connections end in the test: an `EmbeddedChannel` on one side, `HTTP2FarEnd` on the
// other, and time is `EdgeLoop.tick()`.

import ConfigModel
import Exchange
import HTTPWire
import Limits
import Logging
import NIOCore
import NIOEmbedded
import Telemetry

@testable import Origin

/// One connection and its other end.
final class HTTP2Wire {
    let connection: HTTP2OriginConnection
    let channel: EmbeddedChannel
    let far: HTTP2FarEnd

    init(_ connection: HTTP2OriginConnection, _ channel: EmbeddedChannel, _ far: HTTP2FarEnd) {
        self.connection = connection
        self.channel = channel
        self.far = far
    }

    /// Carries bytes both ways until neither end has any. An origin that has not begun has not read anything yet.
    func pump() throws {
        channel.embeddedEventLoop.run()
        while far.hasBegun {
            channel.embeddedEventLoop.run()
            var hasMoved = false
            while let bytes = try channel.readOutbound(as: ByteBuffer.self) {
                far.hear(bytes)
                hasMoved = true
            }
            far.gather()
            if far.out.readableBytes > 0, channel.isActive {
                let bytes = far.out
                far.out = ByteBuffer()
                try channel.writeInbound(bytes)
                hasMoved = true
            }
            if !hasMoved { return }
        }
    }

    /// The same, with what the origin says cut into pieces of `count` bytes.
    func pumpSlowly(_ count: Int) throws {
        channel.embeddedEventLoop.run()
        while let bytes = try channel.readOutbound(as: ByteBuffer.self) { far.hear(bytes) }
        far.gather()
        var bytes = far.out
        far.out = ByteBuffer()
        while channel.isActive, let piece = bytes.readSlice(length: min(count, bytes.readableBytes)),
            piece.readableBytes > 0
        {
            try channel.writeInbound(ByteBuffer(bytes: piece.readableBytesView))
        }
        try pump()
    }

    /// A frame that makes the origin's end heard at once.
    func say(_ act: (HTTP2FarEnd) -> Void) throws {
        act(far)
        try pump()
    }
}

final class HTTP2Bench {
    let eventLoop = EmbeddedEventLoop()
    let loop: EdgeLoop
    let server: OriginServer
    private var wires: [HTTP2Wire] = []
    /// What the clock says, in nanoseconds.
    private var now: UInt64 = 1_000_000_000

    init(
        _ use: Origin.HTTP2Use = .on, pool: Zone.Pool = Zone.Pool(), timeouts: Zone.OriginTimeouts = .init()
    ) {
        loop = EdgeLoop(eventLoop: eventLoop, index: 0, metrics: LoopMetrics(), accessLog: nil)
        var origin = Origin(scheme: .http, host: "192.0.2.1", port: 80)
        origin.http2 = use
        server = OriginServer(
            key: .init(origin: origin, pool: pool, timeouts: timeouts, ejection: Zone.Ejection()), loopCount: 1,
            security: nil, log: Logger(label: "test"))
        server.loops.loop(0).now = { [unowned self] in now }
    }

    /// A connection that is made; the room it has at first is held by the caller, who may give it back.
    func connect(_ far: HTTP2FarEnd = HTTP2FarEnd(), settles: Bool = true) throws -> HTTP2Wire {
        guard server.reserveConnection(for: .http2) else { throw Failure.poolExhausted }
        let connection = HTTP2OriginConnection(server: server, loop: loop, offer: .http2)
        let channel = EmbeddedChannel(handler: connection, loop: eventLoop)
        let wire = HTTP2Wire(connection, channel, far)
        wires.append(wire)
        channel.connect(to: try SocketAddress(ipAddress: "192.0.2.1", port: 80), promise: nil)
        guard connection.begin() else { throw Failure.originClosedEarly }
        loop.metrics.adjust(.originConnectionsActive, by: 1)
        if settles {
            far.begin()
            try wire.pump()
        }
        return wire
    }

    /// A connection with an idle place in the pool.
    func idle(_ far: HTTP2FarEnd = HTTP2FarEnd()) throws -> HTTP2Wire {
        let wire = try connect(far)
        wire.connection.returnUnused()
        return wire
    }

    /// A link over a connection with room; nil where there is none.
    func link(_ ear: Ear) -> (any OriginLink)? { server.takeStream(on: loop) }

    /// Sends a whole request without a body on a stream of its own.
    @discardableResult
    func ask(_ ear: Ear, method: HTTPWire.Method = .get) throws -> any OriginLink {
        guard let link = link(ear) else { throw Failure.poolExhausted }
        ear.link = link
        link.ask(ear, method: method)
        return link
    }

    /// Begins a request whose body follows.
    func post(_ ear: Ear, framing: BodyFraming = .chunked, fields: String = "") throws -> any OriginLink {
        guard let link = link(ear) else { throw Failure.poolExhausted }
        ear.link = link
        link.attach(ear)
        link.send(
            ByteBuffer(string: "POST /up HTTP/1.1\r\nHost: a\r\n\(fields)\r\n"),
            shape: RequestShape(method: .post, framing: framing, mayUpgrade: false), isComplete: false)
        return link
    }

    func tick(milliseconds: Int) {
        for _ in 0...(milliseconds / Limits.deadlineTickMilliseconds + 2) {
            now += UInt64(Limits.deadlineTickMilliseconds) * 1_000_000
            loop.tick()
        }
    }

    func gauge(_ gauge: Gauge) -> Int { loop.metrics.snapshot()[gauge] }

    func finish() {
        // Whoever still waits gives up first, lest a place that becomes free is taken by a real connection.
        tick(milliseconds: max(server.key.pool.wait, server.key.timeouts.connect))
        for wire in wires { _ = try? wire.channel.finish(acceptAlreadyClosed: true) }
        eventLoop.run()
    }
}
