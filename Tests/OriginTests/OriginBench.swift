// An origin server whose connections end in the test: what the origin would send, the test writes into an
// `EmbeddedChannel`, and time is `EdgeLoop.tick()`.

import ConfigModel
import Exchange
import HTTPWire
import Limits
import Logging
import NIOCore
import NIOEmbedded
import Telemetry

@testable import Origin

/// One origin server on one embedded event loop. Call `finish()` at the end of each test.
final class OriginBench {
    let eventLoop = EmbeddedEventLoop()
    let loop: EdgeLoop
    let server: OriginServer
    private var channels: [EmbeddedChannel] = []

    init(
        pool: Zone.Pool = Zone.Pool(), timeouts: Zone.OriginTimeouts = Zone.OriginTimeouts(), loopCount: Int = 1
    ) {
        loop = EdgeLoop(eventLoop: eventLoop, index: 0, metrics: LoopMetrics(), accessLog: nil)
        server = OriginServer(
            key: .init(
                origin: Origin(scheme: .http, host: "192.0.2.1", port: 80), pool: pool, timeouts: timeouts,
                ejection: Zone.Ejection()),
            loopCount: loopCount, security: nil, log: Logger(label: "test"))
    }

    /// A connection that is made and counted, and held by nobody.
    func connect() throws -> (connection: OriginConnection, channel: EmbeddedChannel) {
        guard server.reserveConnection() else { throw Failure.poolExhausted }
        let connection = OriginConnection(server: server, loop: loop)
        let channel = EmbeddedChannel(handler: connection, loop: eventLoop)
        channels.append(channel)
        channel.connect(to: try SocketAddress(ipAddress: "192.0.2.1", port: 80), promise: nil)
        guard connection.begin() else { throw Failure.originClosedEarly }
        loop.metrics.adjust(.originConnectionsActive, by: 1)
        return (connection, channel)
    }

    func tick(milliseconds: Int) {
        for _ in 0...(milliseconds / Limits.deadlineTickMilliseconds + 2) { loop.tick() }
    }

    func finish() {
        // Whoever still waits gives up first, lest a place that becomes free is taken by a real connection.
        tick(milliseconds: server.key.pool.wait)
        for channel in channels { _ = try? channel.finish(acceptAlreadyClosed: true) }
    }

    /// A gauge of the loop.
    func gauge(_ gauge: Gauge) -> Int { loop.metrics.snapshot()[gauge] }
}

/// Notes what a link tells it.
final class Ear: OriginReceiver {
    enum Event: Equatable {
        case ready
        case unavailable(Failure)
        case interim(Int)
        case head(Int)
        case switched
        case body(String)
        case end(String?)
        case failed(Failure)
        case writable
    }

    let answer = OriginAnswer()
    private(set) var events: [Event] = []
    private(set) var flushes = 0
    var link: (any OriginLink)?
    /// Called with each event, before the link goes on.
    var onEvent: ((Event) -> Void)?

    /// All of the body so far.
    var body: String {
        events.reduce("") { sum, event in if case .body(let text) = event { sum + text } else { sum } }
    }

    /// The events without those of the body.
    var outline: [Event] {
        events.filter { event in if case .body = event { false } else { true } }
    }

    private func note(_ event: Event) {
        events.append(event)
        onEvent?(event)
    }

    func originReady(_ link: any OriginLink) {
        self.link = link
        note(.ready)
    }
    func originUnavailable(_ failure: Failure) { note(.unavailable(failure)) }
    func originInterim(bytes: ByteBuffer) { note(.interim(answer.head.status)) }
    func originHead(bytes: ByteBuffer) { note(.head(answer.head.status)) }
    func originBody(_ bytes: ByteBuffer) { note(.body(String(buffer: bytes))) }
    func originEnd(trailers: ByteBuffer?) { note(.end(trailers.map { String(buffer: $0) })) }
    func originSwitched(bytes: ByteBuffer) { note(.switched) }
    func originFlush() { flushes += 1 }
    func originFailed(_ failure: Failure) { note(.failed(failure)) }
    func originWritable() { note(.writable) }
}

extension RequestShape {
    static let get = RequestShape(method: .get, framing: .none, mayUpgrade: false)
}

extension OriginLink {
    /// A whole request without a body.
    func ask(_ ear: Ear, method: HTTPWire.Method = .get, mayUpgrade: Bool = false) {
        attach(ear)
        send(
            ByteBuffer(string: "\(method.name) / HTTP/1.1\r\nHost: a\r\n\r\n"),
            shape: RequestShape(method: method, framing: .none, mayUpgrade: mayUpgrade), isComplete: true)
    }
}

extension EmbeddedChannel {
    /// What the origin sends.
    func say(_ text: String) throws { try writeInbound(ByteBuffer(string: text)) }

    /// Everything written since the last call.
    func heard() throws -> String {
        var text = ""
        while let bytes = try readOutbound(as: ByteBuffer.self) { text += String(buffer: bytes) }
        return text
    }

    /// The origin ends its half.
    func endInput() { pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }

    /// Whether reading was last switched on; true if it never was touched.
    var isReading: Bool {
        for entry in options where entry.option is ChannelOptions.Types.AutoReadOption {
            return entry.value as? Bool ?? true
        }
        return true
    }
}
