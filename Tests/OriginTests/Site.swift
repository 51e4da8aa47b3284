// A small origin in this process, over real sockets, and several event loops that ask it.

import ConfigModel
import Exchange
import HTTPWire
import Limits
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import Synchronization
import Telemetry
import Testing

@testable import Origin

/// Answers `/N` with N bytes; to a request with a body, with the number of its bytes as text.
final class SmallOrigin: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let far: HTTP2FarEnd
    private var paths: [UInt32: String] = [:]

    /// Answers everything with HTTP_1_1_REQUIRED.
    private let requiresHTTP1: Bool

    init(streamsMax: Int, requiresHTTP1: Bool = false) {
        self.requiresHTTP1 = requiresHTTP1
        far = HTTP2FarEnd(streamsMax: streamsMax, streamWindow: 200_000, connectionWindow: 1 << 20)
        far.notesBodies = false
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { begin(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        begin(context)
        context.fireChannelActive()
    }

    private func begin(_ context: ChannelHandlerContext) {
        far.begin()
        write(context)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        far.hear(unwrapInboundIn(data))
        for event in far.heard() {
            switch event {
            case .request(let id, let line, let ends):
                paths[id] = line.split(separator: " ").dropFirst().first.map { String($0.dropFirst()) } ?? ""
                if ends { answer(id) }
            case .end(let id), .trailers(let id, _): answer(id)
            default: break
            }
        }
        write(context)
    }

    private func answer(_ id: UInt32) {
        if requiresHTTP1 { return far.reset(id, .http11Required) }
        far.respond(id, 200)
        if let count = far.bodyBytes[id] { return far.send(id, "\(count)", ends: true) }
        let count = paths[id].flatMap(Int.init) ?? 0
        far.send(id, ByteBuffer(repeating: UInt8(truncatingIfNeeded: count), count: count), ends: true)
    }

    private func write(_ context: ChannelHandlerContext) {
        guard far.out.readableBytes > 0 else { return }
        context.writeAndFlush(wrapOutboundOut(far.out), promise: nil)
        far.out = ByteBuffer()
    }
}

/// The same in HTTP/1.1, as far as it is needed: `/N` gets N bytes, and an upgrade its 101. `/held` gets its answer when as
/// many such requests have come as the site waits for.
final class SmallOldOrigin: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var received = ""
    private let counts: Site.Counts

    init(_ counts: Site.Counts) { self.counts = counts }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        received += String(buffer: unwrapInboundIn(data))
        guard received.hasSuffix("\r\n\r\n") else { return }
        if received.hasPrefix("GET /held") {
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            return counts.hold { bound.value.0.answer(bound.value.1) }
        }
        answer(context)
    }

    private func answer(_ context: ChannelHandlerContext) {
        let words = received.split(separator: " ")
        let count = words.count > 1 ? Int(words[1].dropFirst()) ?? 0 : 0
        let isUpgrade = received.contains("Upgrade: ")
        received = ""
        var out = ByteBuffer(
            string: isUpgrade
                ? "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
                : "HTTP/1.1 200 OK\r\nContent-Length: \(count)\r\n\r\n")
        if !isUpgrade { out.writeRepeatingByte(UInt8(truncatingIfNeeded: count), count: count) }
        context.writeAndFlush(wrapOutboundOut(out), promise: nil)
    }
}

/// Puts behind TLS what ALPN has agreed on.
private final class Choosing: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let kind: Site.Kind
    private let counts: Site.Counts

    init(_ kind: Site.Kind, _ counts: Site.Counts) {
        self.kind = kind
        self.counts = counts
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? TLSUserEvent, case .handshakeCompleted(let negotiated) = event {
            let handler: any ChannelHandler =
                negotiated == "h2"
                ? SmallOrigin(streamsMax: kind.streamsMax, requiresHTTP1: kind.requiresHTTP1) : SmallOldOrigin(counts)
            if negotiated == "h2" { counts.http2.wrappingAdd(1, ordering: .relaxed) }
            try? context.pipeline.syncOperations.addHandler(handler, position: .after(self))
        }
        context.fireUserInboundEventTriggered(event)
    }
}

/// Event loops that share one origin server, and that server's other end.
final class Site: Sendable {
    /// What the origin is like.
    struct Kind: Sendable {
        /// What it knows by ALPN; nil: it speaks HTTP/2 in the clear.
        var protocols: [String]?
        var streamsMax = 100
        var requiresHTTP1 = false
    }

    final class Counts: Sendable {
        let accepted = Atomic<Int>(0)
        let http2 = Atomic<Int>(0)
        static let heldTogether = 5
        private let held = Mutex<[@Sendable () -> Void]>([])

        /// Answers when enough have come. On the origin's only loop.
        func hold(_ answer: @escaping @Sendable () -> Void) {
            let together = held.withLock { held in
                held.append(answer)
                guard held.count == Self.heldTogether else { return [@Sendable () -> Void]() }
                defer { held = [] }
                return held
            }
            for answer in together { answer() }
        }
    }

    let group: MultiThreadedEventLoopGroup
    let loops: [EdgeLoop]
    let server: OriginServer
    private let listening: any Channel
    private let counts = Counts()

    /// Connections that came, and those of them that ALPN made HTTP/2.
    var accepted: Int { counts.accepted.load(ordering: .relaxed) }
    var acceptedHTTP2: Int { counts.http2.load(ordering: .relaxed) }

    init(
        loopCount: Int, _ kind: Kind = Kind(), use: Origin.HTTP2Use = .on, pool: Zone.Pool = Zone.Pool()
    ) async throws {
        group = MultiThreadedEventLoopGroup(numberOfThreads: loopCount + 1)
        let all = Array(group.makeIterator())
        let counts = counts
        let tls = try kind.protocols.map { try TestCertificate.context(protocols: $0) }
        listening = try await ServerBootstrap(group: all[loopCount])
            .childChannelInitializer { channel in
                counts.accepted.wrappingAdd(1, ordering: .relaxed)
                return channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    guard let tls else { return try pipeline.addHandler(SmallOrigin(streamsMax: kind.streamsMax)) }
                    try pipeline.addHandler(NIOSSLServerHandler(context: tls))
                    try pipeline.addHandler(Choosing(kind, counts))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        loops = all.prefix(loopCount).enumerated().map {
            EdgeLoop(eventLoop: $0.element, index: $0.offset, metrics: LoopMetrics(), accessLog: nil)
        }
        var origin = Origin(
            scheme: tls == nil ? .http : .https, host: "127.0.0.1", port: listening.localAddress?.port ?? 0)
        origin.http2 = use
        origin.tls.verify = false
        server = OriginServer(
            key: .init(origin: origin, pool: pool, timeouts: .init(), ejection: .init()), loopCount: loopCount,
            security: try OriginSecurity(origin), log: Logger(label: "test"))
    }

    func stopListening() async throws { try await listening.close().get() }

    /// Asks on one loop; the body of the answer.
    func ask(
        _ path: String, on index: Int, body: ByteBuffer? = nil, pauses: Bool = false, mayUpgrade: Bool = false
    ) async throws -> ByteBuffer {
        let loop = loops[index]
        let done = loop.eventLoop.makePromise(of: ByteBuffer.self)
        let server = self.server
        try await loop.eventLoop.submit {
            let receiver = Asking(loop, path, body, pauses: pauses, mayUpgrade: mayUpgrade, done)
            switch server.acquire(for: receiver, on: loop, fresh: false, mayUpgrade: mayUpgrade) {
            case .ready(let link): receiver.originReady(link)
            case .pending(let acquisition): receiver.acquisition = acquisition
            case .unavailable(let failure): done.fail(failure)
            }
        }.get()
        return try await done.futureResult.get()
    }

    func end() async throws {
        try? await stopListening()
        server.retire()
        for _ in 0..<4 {
            for loop in loops { try await loop.eventLoop.submit {}.get() }
        }
        #expect(server.openConnections == 0)
        // A connection that went from loop to loop is counted up here and down there.
        var left = [0, 0, 0]
        for loop in loops {
            let own = try await loop.eventLoop.submit {
                let gauges = loop.metrics.snapshot()
                return [
                    gauges[.originConnectionsActive], gauges[.originConnectionsIdle], gauges[.originPoolWaiters],
                ]
            }.get()
            left = zip(left, own).map { $0 + $1 }
            // TLS takes its leave of the other end.
            while try await loop.eventLoop.submit({ loop.deadlines.count }).get() > 0 { await Task.yield() }
        }
        #expect(left == [0, 0, 0])
        try await group.shutdownGracefully()
    }
}

/// One exchange: sends its body as far as the link takes it, and keeps what comes. On its loop only.
private final class Asking: OriginReceiver, @unchecked Sendable {
    // Unchecked: everything is used on `loop`'s event loop.
    let answer = OriginAnswer()
    var acquisition: Acquisition?
    private let loop: EdgeLoop
    private let path: String
    private var toSend: ByteBuffer?
    private let pauses: Bool
    private let mayUpgrade: Bool
    private let done: EventLoopPromise<ByteBuffer>
    private var link: (any OriginLink)?
    private var received = ByteBuffer()

    init(
        _ loop: EdgeLoop, _ path: String, _ body: ByteBuffer?, pauses: Bool, mayUpgrade: Bool,
        _ done: EventLoopPromise<ByteBuffer>
    ) {
        self.mayUpgrade = mayUpgrade
        self.loop = loop
        self.path = path
        self.pauses = pauses
        self.done = done
        toSend = body
    }

    func originReady(_ link: any OriginLink) {
        self.link = link
        link.attach(self)
        let hasBody = toSend != nil
        link.send(
            ByteBuffer(
                string: "\(hasBody ? "POST" : "GET") /\(path) HTTP/1.1\r\nHost: a\r\n"
                    + (mayUpgrade ? "Connection: Upgrade\r\nUpgrade: x\r\n\r\n" : "\r\n")),
            shape: RequestShape(
                method: hasBody ? .post : .get, framing: hasBody ? .chunked : .none, mayUpgrade: mayUpgrade),
            isComplete: !hasBody)
        sendMore()
    }

    private func sendMore() {
        while let link, let left = toSend?.readableBytes, let piece = toSend?.readSlice(length: min(10_000, left)) {
            if piece.readableBytes == 0 {
                toSend = nil
                return link.sendEnd(trailers: nil)
            }
            guard link.sendBody(piece) else { return }
        }
    }

    func originWritable() { sendMore() }
    func originUnavailable(_ failure: Failure) { done.fail(failure) }
    func originInterim(bytes: ByteBuffer) {}
    func originHead(bytes: ByteBuffer) {}
    func originBody(_ bytes: ByteBuffer) {
        received.writeImmutableBuffer(bytes)
        guard pauses, let link else { return }
        // Goes on in a while, again and again.
        link.pauseResponse()
        loop.eventLoop.execute { self.link?.resumeResponse() }
    }
    func originEnd(trailers: ByteBuffer?) {
        link = nil
        done.succeed(received)
    }
    func originSwitched(bytes: ByteBuffer) {
        link?.cancel()
        link = nil
        done.succeed(ByteBuffer(string: "switched"))
    }
    func originFlush() {}
    func originFailed(_ failure: Failure) {
        link = nil
        done.fail(failure)
    }
}
