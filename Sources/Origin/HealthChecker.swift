import ConfigModel
import Exchange
import HTTPWire
import Limits
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import Telemetry

/// Asks one origin at an interval whether it is well, and tells its `OriginHealth`.
///
/// Each check is a connection of its own: it tests the road a new connection would take, and cannot be confused by
/// what a pooled one has been through. Runs on one event loop.
final class HealthChecker: @unchecked Sendable {
    // Unchecked: all state belongs to `loop`'s event loop after `start`.
    private let server: OriginServer
    private let check: ConfigModel.Origin.Health
    private let loop: EdgeLoop
    private let log: Logger
    private var successes = 0
    private var failures = 0
    private var isStopped = false
    private let request: ByteBuffer

    init(server: OriginServer, check: ConfigModel.Origin.Health, loop: EdgeLoop, log: Logger) {
        self.server = server
        self.check = check
        self.loop = loop
        self.log = log
        let origin = server.key.origin
        let host = origin.hostHeader ?? (origin.host.contains(":") ? "[\(origin.host)]" : origin.host)
        self.request = ByteBuffer(
            string: "GET \(check.path) HTTP/1.1\r\nHost: \(host)\r\nUser-Agent: martlet-health\r\n"
                + "Accept: */*\r\nConnection: close\r\n\r\n")
    }

    func start() {
        loop.eventLoop.execute { self.run() }
    }

    func stop() {
        loop.eventLoop.execute { self.isStopped = true }
    }

    private func run() {
        guard !isStopped else { return }
        let verdict = loop.eventLoop.makePromise(of: String?.self)
        server.addresses.candidates(on: loop.eventLoop).whenComplete { result in
            guard case .success(let addresses) = result, let address = addresses.first else {
                return verdict.succeed("name not resolved")
            }
            self.ask(address, verdict)
        }
        verdict.futureResult.whenComplete { result in
            self.judge(problem: (try? result.get()) ?? nil)
            self.loop.eventLoop.scheduleTask(in: .milliseconds(Int64(self.check.every))) { self.run() }
        }
    }

    private func ask(_ address: SocketAddress, _ verdict: EventLoopPromise<String?>) {
        let probe = HealthProbe(request: request, expected: check.expectStatus, verdict: verdict)
        let security = server.security
        let timeout = TimeAmount.milliseconds(Int64(check.timeout))
        ClientBootstrap(group: loop.eventLoop)
            .connectTimeout(timeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let security { try channel.pipeline.syncOperations.addHandler(security.makeHandler()) }
                    try channel.pipeline.syncOperations.addHandler(probe)
                }
            }
            .connect(to: address)
            .whenFailure { error in probe.finish("connect failed: \(error)") }
        loop.eventLoop.scheduleTask(in: timeout) { probe.finish("no answer within \(self.check.timeout) ms") }
    }

    private func judge(problem: String?) {
        guard !isStopped else { return }
        if let problem {
            loop.metrics.add(.originHealthChecksFailed)
            successes = 0
            failures += 1
            guard failures >= check.unhealthyAfter else { return }
            if server.health.setUp(false, now: MonotonicClock.nanoseconds()) {
                log.warning("origin is down", metadata: ["origin": "\(server.name)", "reason": "\(problem)"])
            }
        } else {
            loop.metrics.add(.originHealthChecksOK)
            failures = 0
            successes += 1
            guard successes >= check.healthyAfter else { return }
            if server.health.setUp(true, now: MonotonicClock.nanoseconds()) {
                log.notice("origin is up", metadata: ["origin": "\(server.name)"])
            }
        }
    }
}

/// One check: sends the request, reads the head of the answer, and gives its verdict once: nil for well, else why not.
private final class HealthProbe: ChannelInboundHandler, @unchecked Sendable {
    // Unchecked: made on and used on one event loop only.
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let request: ByteBuffer
    private let expected: ClosedRange<Int>
    private var verdict: EventLoopPromise<String?>?
    private var context: ChannelHandlerContext?
    private var inbound = ByteBuffer()
    private var response = ResponseHead()
    private var parser = ResponseHeadParser(
        bounds: HeadBounds(
            startLineBytesMax: Limits.responseHeadBytesMax,
            headBytesMax: Limits.responseHeadBytesMax,
            fieldCountMax: Limits.responseFieldCountMax
        ))

    init(request: ByteBuffer, expected: ClosedRange<Int>, verdict: EventLoopPromise<String?>) {
        self.request = request
        self.expected = expected
        self.verdict = verdict
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(request), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        inbound.writeBuffer(&bytes)
        do {
            let progress = try inbound.withBytes { bytes throws(WireError) in
                try parser.parse(bytes, answering: .get, into: &response)
            }
            guard case .complete = progress else { return }
            let status = Int(response.status)
            finish(expected.contains(status) ? nil : "status \(status)")
        } catch {
            finish("not valid HTTP/1.1")
        }
    }

    func channelInactive(context: ChannelHandlerContext) { finish("closed without an answer") }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { finish("\(error)") }

    func finish(_ problem: String?) {
        guard let verdict else { return }
        self.verdict = nil
        verdict.succeed(problem)
        context?.close(promise: nil)
    }
}
