// A journey between two parties that the test plays: a client that notes what it is told, and origin connections whose
// far end is an `EmbeddedChannel`.

import ConfigModel
import Exchange
import HTTPWire
import Limits
import Logging
import NIOCore
import NIOEmbedded
import Telemetry

@testable import Origin
@testable import Pipeline

/// What a test wants served: one zone for every host, unless it says otherwise.
struct Scene {
    var zone: Zone = {
        var zone = Zone(
            name: "*", hostnames: ["*"], origins: [Origin(scheme: .http, host: "192.0.2.1", port: 80)])
        // The pool is held full by the test, so that no journey ever makes a connection of its own.
        zone.pool.connections = 8
        return zone
    }()
    var configuration = Configuration()

    init(_ change: (inout Scene) -> Void = { _ in }) { change(&self) }
}

/// The parties of one journey. Call `finish()` at the end of each test.
final class Stage {
    let eventLoop = EmbeddedEventLoop()
    let loop: EdgeLoop
    let desk: JourneyDesk
    let client = NotingClient()
    let journey: Journey
    private var channels: [EmbeddedChannel] = []

    init(_ scene: Scene = Scene()) throws {
        loop = EdgeLoop(eventLoop: eventLoop, index: 0, metrics: LoopMetrics(), accessLog: nil)
        var configuration = scene.configuration
        if configuration.zones.isEmpty { configuration.zones = [scene.zone] }
        let fleet = OriginFleet(loops: [loop], log: Logger(label: "test"))
        desk = JourneyDesk(
            loop: loop, serving: try Serving(configuration: configuration, fleet: fleet, metrics: ZoneRegistry()),
            log: Logger(label: "test"))
        journey = desk.take()
        journey.peer = Self.address("198.51.100.7")
        for zone in desk.serving.zones {
            for server in zone.balancer.servers { while server.reserveConnection() {} }
        }
    }

    /// The servers of the first zone.
    var servers: [OriginServer] { desk.serving.zones[0].balancer.servers }

    static func address(_ text: String) -> IPAddress {
        let bytes = Array(text.utf8)
        return IPAddress(text: bytes.span, range: ByteRange(start: 0, count: UInt32(bytes.count))) ?? .unspecified
    }

    /// Reads a request's head into the journey, as the client's connection does.
    func read(_ head: String) throws {
        let bytes = Array(head.utf8)
        guard case .complete(let count) = try journey.parser.parse(bytes.span, into: &journey.request) else {
            throw Failure.badRequest
        }
        journey.requestBytes.writeBytes(bytes.prefix(count))
        journey.client = client
    }

    /// Reads a head and lets the journey begin.
    func begin(_ head: String) throws {
        try read(head)
        journey.begin()
    }

    /// A connection to a server, in one of the places that the pool has been filled with.
    func connection(to server: Int = 0, exchanges: Int = 0) throws -> (OriginConnection, EmbeddedChannel) {
        let connection = OriginConnection(server: servers[server], loop: loop)
        let channel = EmbeddedChannel(handler: connection, loop: eventLoop)
        channels.append(channel)
        channel.connect(to: try SocketAddress(ipAddress: "192.0.2.1", port: 80), promise: nil)
        guard connection.begin() else { throw Failure.originClosedEarly }
        for _ in 0..<exchanges {
            let ear = DeafReceiver()
            connection.attach(ear)
            connection.send(
                ByteBuffer(), shape: RequestShape(method: .get, framing: .none, mayUpgrade: false), isComplete: true)
            try channel.say("HTTP/1.1 204 No Content\r\n\r\n")
            guard let back = takeIdle(server), back === connection else { throw Failure.poolExhausted }
            _ = try channel.heard()
        }
        return (connection, channel)
    }

    private func takeIdle(_ server: Int) -> OriginConnection? {
        guard case .ready(let link) = servers[server].acquire(for: DeafReceiver(), on: loop, fresh: false) else {
            return nil
        }
        return link as? OriginConnection
    }

    /// An idle connection that the next request finds.
    func shelve(on server: Int = 0, exchanges: Int = 0) throws -> EmbeddedChannel {
        let (connection, channel) = try connection(to: server, exchanges: exchanges)
        servers[server].release(connection)
        return channel
    }

    func finish() {
        if journey.client != nil { journey.finish() }
        for channel in channels { _ = try? channel.finish(acceptAlreadyClosed: true) }
        eventLoop.run()
    }
}

/// Hears nothing.
private final class DeafReceiver: OriginReceiver {
    let answer = OriginAnswer()
    func originReady(_ link: any OriginLink) {}
    func originUnavailable(_ failure: Failure) {}
    func originInterim(bytes: ByteBuffer) {}
    func originHead(bytes: ByteBuffer) {}
    func originBody(_ bytes: ByteBuffer) {}
    func originEnd(trailers: ByteBuffer?) {}
    func originSwitched(bytes: ByteBuffer) {}
    func originFlush() {}
    func originFailed(_ failure: Failure) {}
    func originWritable() {}
}

/// The client's end: notes what it is told.
final class NotingClient: ClientStream {
    enum Event: Equatable {
        case interim(Int)
        case head(Int)
        case page(Int)
        /// Out of the cache; the fields and what is stored are in `fields` and `pageBody`.
        case stored(Int)
        case body(String)
        case end(String?)
        case abort
        case pauseBody
        case resumeBody
        case tunnel
    }

    private(set) var events: [Event] = []
    /// The field lines and the body of a page.
    private(set) var fields = ""
    private(set) var pageBody = ""

    func respondInterim(_ head: ResponseHead, bytes: ByteBuffer) { events.append(.interim(head.status)) }
    func respond(_ head: ResponseHead, bytes: ByteBuffer) { events.append(.head(head.status)) }
    func respond(status: Int, fields: ByteBuffer, body: ByteBuffer) {
        events.append(.page(status))
        self.fields = String(buffer: fields)
        pageBody = String(buffer: body)
    }
    func respond(status: Int, fields: ByteBuffer, stored: ByteBuffer, isHeadEnded: Bool, framing: BodyFraming) {
        events.append(.stored(status))
        self.fields = String(buffer: fields)
        pageBody = String(buffer: stored)
    }
    var takesFiles: Bool { false }
    func respondFile(_ region: FileRegion, owner: any AnyObject & Sendable) {}
    func respondBody(_ bytes: ByteBuffer) { events.append(.body(String(buffer: bytes))) }
    func respondEnd(trailers: ByteBuffer?) { events.append(.end(trailers.map { String(buffer: $0) })) }
    func flush() {}
    func abort() { events.append(.abort) }
    func pauseRequestBody() { events.append(.pauseBody) }
    func resumeRequestBody() { events.append(.resumeBody) }
    func beginTunnel(_ head: ResponseHead, bytes: ByteBuffer) { events.append(.tunnel) }

    /// The value of a field of the page, or nil.
    func field(_ name: String) -> String? {
        for line in fields.split(separator: "\r\n") where line.lowercased().hasPrefix(name.lowercased() + ": ") {
            return String(line.dropFirst(name.count + 2))
        }
        return nil
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
}
