// A connection of one event loop driven from another, over real sockets: both threads run.

import ConfigModel
import Dispatch
import Exchange
import HTTPWire
import Limits
import Logging
import NIOCore
import NIOPosix
import Telemetry
import Testing

@testable import Origin

/// Answers every request with the same bytes.
private final class Answering: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let response: ByteBuffer
    private var received = ""

    init(response: ByteBuffer) { self.response = response }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        received += String(buffer: unwrapInboundIn(data))
        guard received.hasSuffix("\r\n\r\n") else { return }
        received = ""
        context.writeAndFlush(wrapOutboundOut(response), promise: nil)
    }
}

/// Two loops, and an origin that one of them has an idle connection to.
private final class TwoLoops: Sendable {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 3)
    let near: EdgeLoop
    let far: EdgeLoop
    let server: OriginServer
    private let listening: any Channel

    init(response: ByteBuffer, firstByte: Int = 120_000) async throws {
        let loops = Array(group.makeIterator())
        near = EdgeLoop(eventLoop: loops[0], index: 0, metrics: LoopMetrics(), accessLog: nil)
        far = EdgeLoop(eventLoop: loops[1], index: 1, metrics: LoopMetrics(), accessLog: nil)
        listening = try await ServerBootstrap(group: loops[2])
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Answering(response: response))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        var timeouts = Zone.OriginTimeouts()
        timeouts.firstByte = firstByte
        server = OriginServer(
            key: .init(
                origin: Origin(scheme: .http, host: "127.0.0.1", port: listening.localAddress?.port ?? 0),
                pool: Zone.Pool(), timeouts: timeouts, ejection: Zone.Ejection()),
            loopCount: 2, security: nil, log: Logger(label: "test"))
        try await connectFar()
    }

    /// Makes a connection on the far loop and leaves it on the shelf.
    private func connectFar() async throws {
        let made = far.eventLoop.makePromise(of: Void.self)
        let (server, far) = (self.server, self.far)
        try await far.eventLoop.submit {
            let ear = RemoteReceiver(loop: far)
            ear.onReady = { link in
                link.cancel()
                made.succeed(())
            }
            ear.onFailure = { made.fail($0) }
            _ = server.acquire(for: ear, on: far, fresh: true)
        }.get()
        try await made.futureResult.get()
        #expect(server.idleConnections == 1)
    }

    /// Runs on the near loop.
    func nearby<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await near.eventLoop.submit(body).get()
    }

    /// Waits until everything that the loops had told each other so far has been heard, answers to it included.
    func settle() async throws {
        for _ in 0..<4 {
            try await near.eventLoop.submit {}.get()
            try await far.eventLoop.submit {}.get()
        }
    }

    func end() async throws {
        try await listening.close().get()
        server.retire()
        try await settle()
        try await group.shutdownGracefully()
    }
}

/// Counts what a link tells it. On its loop only.
private final class RemoteReceiver: OriginReceiver, @unchecked Sendable {
    // Unchecked: everything is used on `loop`'s event loop.
    let loop: EdgeLoop
    let answer = OriginAnswer()
    var link: (any OriginLink)?
    var onReady: ((any OriginLink) -> Void)?
    var onFailure: ((Failure) -> Void)?
    var onBody: ((RemoteReceiver) -> Void)?
    var statuses: [Int] = []
    var bodyBytes = 0
    /// Everything that came, for comparison in one go.
    var body = ByteBuffer()
    var trailers: String?
    var isPaused = false
    /// Bytes that came since the link was asked to pause.
    var bytesWhilePaused = 0
    let done: EventLoopPromise<Void>

    init(loop: EdgeLoop) {
        self.loop = loop
        done = loop.eventLoop.makePromise()
        isDoneNeeded = false
    }

    /// The promise has been handed out and will be completed by an end.
    var isDoneNeeded: Bool

    deinit { if !isDoneNeeded { done.succeed(()) } }

    func originReady(_ link: any OriginLink) { onReady?(link) }
    func originUnavailable(_ failure: Failure) { onFailure?(failure) }
    func originInterim(bytes: ByteBuffer) { statuses.append(answer.head.status) }
    func originHead(bytes: ByteBuffer) { statuses.append(answer.head.status) }
    func originBody(_ bytes: ByteBuffer) {
        if isPaused { bytesWhilePaused += bytes.readableBytes }
        bodyBytes += bytes.readableBytes
        body.writeImmutableBuffer(bytes)
        onBody?(self)
    }
    func originEnd(trailers: ByteBuffer?) {
        self.trailers = trailers.map { String(buffer: $0) }
        link = nil
        done.succeed(())
    }
    func originSwitched(bytes: ByteBuffer) { statuses.append(answer.head.status) }
    func originFlush() {}
    func originFailed(_ failure: Failure) {
        link = nil
        done.fail(failure)
    }
    func originWritable() {}
}

@Suite("RemoteLink", .serialized)
struct RemoteLinkTests {
    private static func body(_ count: Int) -> ByteBuffer {
        var block = ByteBuffer()
        var random = SeededGenerator(seed: UInt64(count))
        // No multiple of any buffer's size, so that a piece out of its place does not fit there.
        while block.readableBytes < 9_973 { block.writeInteger(random.next()) }
        var bytes = ByteBuffer()
        while bytes.readableBytes < count { bytes.writeImmutableBuffer(block) }
        return bytes.getSlice(at: 0, length: count) ?? bytes
    }

    private static func response(_ body: ByteBuffer) -> ByteBuffer {
        var response = ByteBuffer(string: "HTTP/1.1 200 OK\r\nContent-Length: \(body.readableBytes)\r\n\r\n")
        response.writeImmutableBuffer(body)
        return response
    }

    /// Takes the far connection from the near loop and asks for `/` over it.
    private func ask(_ loops: TwoLoops, before: @escaping @Sendable (RemoteReceiver) -> Void = { _ in }) async throws
        -> RemoteReceiver
    {
        try await loops.nearby {
            let receiver = RemoteReceiver(loop: loops.near)
            receiver.isDoneNeeded = true
            guard case .ready(let link) = loops.server.acquire(for: receiver, on: loops.near, fresh: false) else {
                receiver.done.fail(Failure.poolExhausted)
                return receiver
            }
            #expect(link is RemoteLink)
            #expect(link.isReused)
            receiver.link = link
            before(receiver)
            link.attach(receiver)
            link.send(ByteBuffer(string: "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), shape: .get, isComplete: true)
            return receiver
        }
    }

    @Test(
        "a whole response comes over, and the connection goes back to its own loop",
        arguments: [0, 1, 100_000, 3_000_000])
    func whole(count: Int) async throws {
        let body = Self.body(count)
        let loops = try await TwoLoops(response: Self.response(body))
        for _ in 0..<3 {
            let receiver = try await ask(loops)
            try await receiver.done.futureResult.get()
            let (statuses, received) = try await loops.nearby { (receiver.statuses, receiver.body) }
            #expect(statuses == [200])
            #expect(received.readableBytes == count)
            #expect(received == body)
            try await loops.settle()
            #expect(loops.server.idleConnections == 1)
            #expect(loops.server.openConnections == 1)
        }
        try await loops.end()
    }

    @Test("interim heads, chunks and trailers come over")
    func chunked() async throws {
        let loops = try await TwoLoops(
            response: ByteBuffer(
                string: "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n"))
        let receiver = try await ask(loops)
        try await receiver.done.futureResult.get()
        let (statuses, bytes, trailers) = try await loops.nearby {
            (receiver.statuses, receiver.bodyBytes, receiver.trailers)
        }
        #expect(statuses == [103, 200])
        #expect(bytes == 3)
        #expect(trailers == "X-Sum: 7\r\n")
        try await loops.end()
    }

    @Test("a response that breaks off is a failure here too")
    func failure() async throws {
        let loops = try await TwoLoops(response: ByteBuffer(string: "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"))
        let receiver = try await ask(loops)
        await #expect(throws: Failure.originBadResponse) { try await receiver.done.futureResult.get() }
        try await loops.settle()
        #expect(loops.server.openConnections == 0)
        try await loops.end()
    }

    /// The receiver's loop is held up by the test, so that nothing is acknowledged: the far loop must stop reading.
    @Test("while the receiver is held up, no more than the bound is read for it")
    func bounded() async throws {
        let body = Self.body(6 * 1024 * 1024)
        let loops = try await TwoLoops(response: Self.response(body))
        let bound = Limits.bodyBufferBytesMax + 2 * Limits.readBufferBytesRange.upperBound
        let isHeldUp = loops.near.eventLoop.makePromise(of: Void.self)
        let mayGoOn = DispatchSemaphore(value: 0)
        let receiver = try await ask(loops) { receiver in
            receiver.onBody = { receiver in
                receiver.onBody = nil
                isHeldUp.succeed(())
                mayGoOn.wait()
            }
        }
        // A far loop that is slower than these turns shows less than it would read, never more.
        let far = loops.far
        var last: UInt64 = 0
        for _ in 0..<500 {
            last = try await far.eventLoop.submit { far.metrics.snapshot()[Counter.originBytesIn] }.get()
        }
        #expect(last <= UInt64(bound))
        mayGoOn.signal()
        try await isHeldUp.futureResult.get()
        try await receiver.done.futureResult.get()
        let received = try await loops.nearby { receiver.body }
        #expect(received == body)
        try await loops.end()
    }

    @Test("a receiver that pauses gets no more than what was under way, and everything once it goes on")
    func paused() async throws {
        let body = Self.body(6 * 1024 * 1024)
        let loops = try await TwoLoops(response: Self.response(body))
        let receiver = try await ask(loops) { receiver in
            receiver.onBody = { receiver in
                guard !receiver.isPaused else { return }
                receiver.isPaused = true
                receiver.link?.pauseResponse()
            }
        }
        for _ in 0..<50 { try await loops.settle() }
        let (late, total) = try await loops.nearby { (receiver.bytesWhilePaused, receiver.bodyBytes) }
        #expect(late <= Limits.bodyBufferBytesMax + 2 * Limits.readBufferBytesRange.upperBound)
        #expect(total < body.readableBytes)
        try await loops.nearby {
            receiver.onBody = nil
            receiver.link?.resumeResponse()
        }
        try await receiver.done.futureResult.get()
        #expect(try await loops.nearby { receiver.bodyBytes } == body.readableBytes)
        try await loops.end()
    }

    @Test("giving up in the middle closes the connection and is heard of no more")
    func cancel() async throws {
        let loops = try await TwoLoops(response: Self.response(Self.body(6 * 1024 * 1024)))
        let receiver = try await ask(loops) { receiver in
            receiver.onBody = { receiver in
                receiver.link?.cancel()
                receiver.link = nil
                receiver.onBody = nil
                receiver.isPaused = true
                receiver.done.succeed(())
            }
        }
        try await receiver.done.futureResult.get()
        for _ in 0..<10 { try await loops.settle() }
        #expect(try await loops.nearby { receiver.bytesWhilePaused } == 0)
        #expect(loops.server.openConnections == 0)
        #expect(loops.server.idleConnections == 0)
        try await loops.end()
    }

    @Test("giving up before sending gives the connection back")
    func cancelUnused() async throws {
        let loops = try await TwoLoops(response: ByteBuffer())
        try await loops.nearby {
            let receiver = RemoteReceiver(loop: loops.near)
            if case .ready(let link) = loops.server.acquire(for: receiver, on: loops.near, fresh: false) {
                link.cancel()
            }
        }
        try await loops.settle()
        #expect(loops.server.idleConnections == 1)
        try await loops.end()
    }

    @Test("a link whose exchange is over is let go")
    func noCycle() async throws {
        let loops = try await TwoLoops(response: Self.response(Self.body(10)))
        let seen = WeakLink()
        let receiver = try await ask(loops) { receiver in seen.link = receiver.link as? RemoteLink }
        try await receiver.done.futureResult.get()
        try await loops.settle()
        #expect(seen.link == nil)
        try await loops.end()
    }

    private final class WeakLink: @unchecked Sendable {
        // Unchecked: written before the exchange and read behind it.
        weak var link: RemoteLink?
    }
}
