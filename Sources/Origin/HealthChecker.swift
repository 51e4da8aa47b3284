import ConfigModel
import Exchange
import Logging
import NIOCore
import NIOPosix
import NIOSSL
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
        request = ByteBuffer(
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
        let offer = server.offer(mayUpgrade: false)
        let probe = HealthProbe(
            request: request, expected: check.expectStatus, offer: offer, isSecure: server.security != nil,
            arena: { self.server.loops.loop(self.loop.index).arena }, verdict: verdict)
        let timeout = TimeAmount.milliseconds(Int64(check.timeout))
        loop.eventLoop.scheduleTask(in: timeout) { probe.finish("no answer within \(self.check.timeout) ms") }
        guard let security = server.security else { return ask(address, [probe], timeout, probe) }
        security.context(for: offer, on: loop.eventLoop).assumeIsolated().whenComplete { result in
            do {
                let tls = try security.makeHandler(result.get())
                self.ask(address, [tls, probe], timeout, probe)
            } catch {
                probe.finish("TLS cannot begin: \(error)")
            }
        }
    }

    private func ask(
        _ address: SocketAddress, _ handlers: [any ChannelHandler], _ timeout: TimeAmount, _ probe: HealthProbe
    ) {
        let handlers = NIOLoopBound(handlers, eventLoop: loop.eventLoop)
        ClientBootstrap(group: loop.eventLoop)
            .connectTimeout(timeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers(handlers.value)
                }
            }
            .connect(to: address)
            .whenFailure { error in probe.finish("connect failed: \(error)") }
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
