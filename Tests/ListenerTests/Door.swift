// A client's connection whose both ends are the test's: the client's an `EmbeddedChannel`, the origin's another. Time
// is `EdgeLoop.tick()`.

import ConfigModel
import Exchange
import HTTPWire
import Limits
import Logging
import NIOCore
import NIOEmbedded
import Telemetry

@testable import Listener
@testable import Origin
@testable import Pipeline

/// Notes how the channel is closed, and keeps an orderly end of our half from closing the whole, as a socket would.
final class CloseWatch: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private(set) var outputEnded = false
    private(set) var closed = false
    /// While true, nothing that is written leaves, nor does the end behind it.
    var isBlocked = false
    private var held: [(NIOAny, EventLoopPromise<Void>?)] = []
    private(set) var heldBytes = 0
    private var heldEnd: EventLoopPromise<Void>?

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard isBlocked else { return context.write(data, promise: promise) }
        heldBytes += unwrapOutboundIn(data).readableBytes
        held.append((data, promise))
    }

    /// What was held leaves.
    func unblock(context: ChannelHandlerContext) {
        isBlocked = false
        for (data, promise) in held { context.write(data, promise: promise) }
        held = []
        heldBytes = 0
        context.flush()
        heldEnd?.succeed(())
        heldEnd = nil
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        switch mode {
        case .output:
            outputEnded = true
            // The end comes behind what was written, as it does on a socket.
            if isBlocked { heldEnd = promise } else { promise?.succeed(()) }
        default:
            closed = true
            for (_, promise) in held { promise?.fail(ChannelError.ioOnClosedChannel) }
            held = []
            heldEnd?.fail(ChannelError.ioOnClosedChannel)
            heldEnd = nil
            context.close(mode: mode, promise: promise)
        }
    }
}

/// A client's connection and the origin behind it. Call `finish()` at the end of each test.
final class Door {
    let eventLoop = EmbeddedEventLoop()
    let loop: EdgeLoop
    let desk: JourneyDesk
    let client: EmbeddedChannel
    let watch = CloseWatch()
    let connection: HTTP1Connection
    private var origins: [EmbeddedChannel] = []

    init(_ change: (inout Configuration) -> Void = { _ in }) throws {
        loop = EdgeLoop(eventLoop: eventLoop, index: 0, metrics: LoopMetrics(), accessLog: nil)
        var zone = Zone(
            name: "h.test", hostnames: ["h.test"], origins: [Origin(scheme: .http, host: "192.0.2.1", port: 80)])
        zone.pool.connections = 8
        var configuration = Configuration()
        configuration.zones = [zone]
        change(&configuration)
        let fleet = OriginFleet(loops: [loop], log: Logger(label: "test"))
        desk = JourneyDesk(
            loop: loop, serving: try Serving(configuration: configuration, fleet: fleet, metrics: ZoneRegistry()),
            log: Logger(label: "test"))
        connection = HTTP1Connection(
            desk: desk, peer: IPAddress(high: 0, low: 0xffff_c633_6407), tls: nil, isSecure: false)
        client = EmbeddedChannel(handlers: [watch, connection], loop: eventLoop)
        client.connect(to: try SocketAddress(ipAddress: "198.51.100.7", port: 4711), promise: nil)
        // The pool is full but for what the test puts there, so that no journey makes a connection of its own.
        while server.reserveConnection() {}
    }

    var server: OriginServer { desk.serving.zones[0].balancer.servers[0] }

    /// An idle connection to the origin.
    func addOrigin() throws -> EmbeddedChannel {
        let connection = OriginConnection(server: server, loop: loop)
        let channel = EmbeddedChannel(handler: connection, loop: eventLoop)
        origins.append(channel)
        channel.connect(to: try SocketAddress(ipAddress: "192.0.2.1", port: 80), promise: nil)
        guard connection.begin() else { throw Failure.originClosedEarly }
        server.release(connection)
        return channel
    }

    func tick(milliseconds: Int) {
        for _ in 0..<(milliseconds / Limits.deadlineTickMilliseconds) { loop.tick() }
    }

    /// The client's socket takes everything again.
    func unblock() throws {
        let context = try client.pipeline.syncOperations.context(handler: watch)
        watch.unblock(context: context)
        setWritable(true)
    }

    /// Whether the channel says that it takes more.
    func setWritable(_ writable: Bool) {
        client.isWritable = writable
        client.pipeline.fireChannelWritabilityChanged()
    }

    func finish() {
        for channel in [client] + origins { _ = try? channel.finish(acceptAlreadyClosed: true) }
        eventLoop.run()
    }
}

extension EmbeddedChannel {
    /// What the other end sends.
    func say(_ text: String) throws { try writeInbound(ByteBuffer(string: text)) }

    /// Everything written since the last call.
    func heard() throws -> String {
        var text = ""
        while let bytes = try readOutbound(as: ByteBuffer.self) { text += String(buffer: bytes) }
        return text
    }

    /// The other end ends its half.
    func endInput() { pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }

    /// Whether reading was last switched on; true if it never was touched.
    var isReading: Bool {
        for entry in options where entry.option is ChannelOptions.Types.AutoReadOption {
            return entry.value as? Bool ?? true
        }
        return true
    }
}

/// A response as a client reads it.
struct Heard: Equatable {
    var status: Int
    var fields: [String: String]
    /// What follows the head.
    var rest: String

    /// Reads the first response of `text`.
    init?(_ text: String) {
        let lines = text.split(separator: "\r\n", omittingEmptySubsequences: false)
        guard let first = lines.first, first.hasPrefix("HTTP/1.1 "), let status = Int(first.dropFirst(9).prefix(3)),
            let end = lines.firstIndex(of: "")
        else { return nil }
        self.status = status
        fields = [:]
        for line in lines[1..<end] {
            guard let colon = line.firstIndex(of: ":") else { return nil }
            fields[line[..<colon].lowercased()] = line[line.index(after: colon)...].drop { $0 == " " }.description
        }
        rest = lines[(end + 1)...].joined(separator: "\r\n")
    }
}

/// The statuses of all responses in `text`, each told by the beginning of its status line.
func statuses(_ text: String) -> [Int] {
    var found: [Int] = []
    for line in text.split(separator: "\r\n") {
        guard let range = line.range(ofASCII: "HTTP/1.1 ") else { continue }
        if let status = Int(line[range.upperBound...].prefix(3)) { found.append(status) }
    }
    return found
}

extension StringProtocol {
    /// Where `wanted` stands last; a body without a line's end of its own may precede a status line.
    fileprivate func range(ofASCII wanted: String) -> Range<Index>? {
        var start = endIndex
        while start != startIndex {
            start = index(before: start)
            if self[start...].hasPrefix(wanted) { return start..<index(start, offsetBy: wanted.count) }
        }
        return nil
    }
}
