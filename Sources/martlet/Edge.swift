import Admin
import Cache
import Certificates
import ConfigModel
import Exchange
import Following
import Glibc
import Limits
import Listener
import Logging
import NIOCore
import NIOPosix
import Origin
import Pipeline
import Replica
import Synchronization
import Telemetry

/// The data plane put together: event loops, their journeys, origins, certificates, listeners.
final class Edge: @unchecked Sendable {
    // Unchecked: `configuration` and `certificates` change only in `serve`, called by one task; the admin door, which
    // runs elsewhere, reads none of them.
    private(set) var configuration: Configuration
    private(set) var certificates: CertificateStore?
    let listeners: EdgeListeners
    let accessLog: AccessLog?
    private let group: MultiThreadedEventLoopGroup
    private let loops: [NIOLoopBound<ListenerLoop>]
    private let edgeLoops: [EdgeLoop]
    private let fleet: OriginFleet
    private let cache: EdgeCache?
    /// The one in force, for who asks from another thread.
    private let serving: Mutex<Serving>
    private let zoneRegistry: ZoneRegistry
    let sharedMetrics: SharedMetrics
    private let isReadyNow = Atomic<Bool>(false)
    /// Where zones come from the control plane; nil: from the configuration.
    let follower: EdgeFollower?
    let health: HealthMeter
    private let log: Logger

    private init(
        _ configuration: Configuration, _ certificates: CertificateStore?, _ accessLog: AccessLog?,
        _ group: MultiThreadedEventLoopGroup, _ loops: [NIOLoopBound<ListenerLoop>], _ edgeLoops: [EdgeLoop],
        _ fleet: OriginFleet, _ cache: EdgeCache?, _ serving: Serving, _ zoneRegistry: ZoneRegistry,
        _ sharedMetrics: SharedMetrics, _ follower: EdgeFollower?, _ log: Logger
    ) {
        self.follower = follower
        health = HealthMeter(data: configuration.data)
        self.cache = cache
        self.serving = Mutex(serving)
        self.sharedMetrics = sharedMetrics
        self.configuration = configuration
        self.certificates = certificates
        self.accessLog = accessLog
        self.group = group
        self.loops = loops
        self.edgeLoops = edgeLoops
        self.fleet = fleet
        self.zoneRegistry = zoneRegistry
        self.listeners = EdgeListeners(loops: loops, log: log)
        self.log = log
    }

    /// Makes everything but the listening sockets. The data directory is there, and this process's.
    static func start(
        _ written: Configuration, following: EdgeFollowing? = nil, log: Logger
    ) async throws -> Edge {
        var configuration = written
        let count = configuration.threads ?? System.coreCount
        let group = MultiThreadedEventLoopGroup(numberOfThreads: count)
        let accessLog = try openAccessLog(configuration.accessLog)
        let certificates = following == nil ? try certificates(for: configuration, log: log) : nil
        var edgeLoops: [EdgeLoop] = []
        for index in 0..<count {
            let eventLoop = group.next()
            let made = try await eventLoop.submit {
                EdgeLoop(
                    eventLoop: eventLoop, index: index, metrics: LoopMetrics(), accessLog: accessLog?.makeShard())
            }.get()
            edgeLoops.append(made)
        }
        let sharedMetrics = SharedMetrics()
        let fleet = OriginFleet(loops: edgeLoops, log: log, metrics: sharedMetrics)
        let registry = ZoneRegistry()
        let cache = CacheStart.open(configuration.cacheStore, metrics: sharedMetrics, log: log)
        var follower: EdgeFollower?
        if let following {
            let doors = [configuration.admin, configuration.control?.api, configuration.control?.distribution]
            OriginAddresses.keepAway(fromOwnPorts: Set(doors.compactMap { $0?.port }))
            let parts = try parts(following, configuration, fleet, cache, registry, log)
            let made = EdgeFollower(following, parts: parts, configuration: configuration, log: log)
            configuration = made.effective(configuration)
            follower = made
        }
        let serving = try Serving(
            configuration: configuration, fleet: fleet, metrics: registry, cache: cache,
            followed: follower?.follower.zones)
        var loops: [NIOLoopBound<ListenerLoop>] = []
        for loop in edgeLoops {
            loops.append(try await begin(loop, serving, certificates, loopCount: count, log))
        }
        fleet.settle()
        let edge = Edge(
            written, certificates, accessLog, group, loops, edgeLoops, fleet, cache, serving, registry,
            sharedMetrics, follower, log)
        edge.noteConfiguration()
        return edge
    }

    private static func begin(
        _ loop: EdgeLoop, _ serving: Serving, _ certificates: CertificateStore?, loopCount: Int, _ log: Logger
    ) async throws -> NIOLoopBound<ListenerLoop> {
        try await loop.eventLoop.submit {
            let desk = JourneyDesk(loop: loop, serving: serving, log: log)
            let limit = connectionsMax(serving.configuration, loopCount)
            let listener = ListenerLoop(desk: desk, certificates: certificates, connectionsMax: limit)
            let tick = TimeAmount.milliseconds(Int64(Limits.deadlineTickMilliseconds))
            loop.eventLoop.scheduleRepeatedTask(initialDelay: tick, delay: tick) { _ in loop.tick() }
            return NIOLoopBound(listener, eventLoop: loop.eventLoop)
        }.get()
    }

    private static func connectionsMax(_ configuration: Configuration, _ loopCount: Int) -> Int {
        max(1, (configuration.limits.connections + loopCount - 1) / loopCount)
    }

    private static func parts(
        _ following: EdgeFollowing, _ configuration: Configuration, _ fleet: OriginFleet, _ cache: EdgeCache?,
        _ registry: ZoneRegistry, _ log: Logger
    ) throws -> ZoneCompiler.Parts {
        var shelf: CertificateShelf?
        if !configuration.listen.https.isEmpty {
            let made = try CertificateShelf(data: configuration.data, offersHTTP2: configuration.listen.http2)
            if let path = made.authorityPath {
                log.info("hosts without a certificate get one from the local authority", metadata: ["trust": "\(path)"])
            }
            shelf = made
        }
        return ZoneCompiler.Parts(
            replica: following.replica, fleet: fleet, cache: cache, metrics: registry, certificates: shelf,
            offersHTTP2: configuration.listen.http2, keys: following.keys)
    }

    static func makeDataDirectory(_ path: String) throws {
        guard mkdir(path, 0o750) != 0, errno != EEXIST else { return }
        throw StartFailure("cannot create the data directory \(path): \(String(cString: strerror(errno)))")
    }

    private static func openAccessLog(_ configuration: Configuration.AccessLog) throws -> AccessLog? {
        switch configuration.destination {
        case .off: nil
        case .standardOutput: try AccessLog(.standardOutput, bufferBytes: configuration.bufferBytes)
        case .file(let path): try AccessLog(.file(path), bufferBytes: configuration.bufferBytes)
        }
    }

    private static func certificates(for configuration: Configuration, log: Logger) throws -> CertificateStore? {
        guard !configuration.listen.https.isEmpty else { return nil }
        let store = try CertificateStore(configuration: configuration)
        // The first visitors shall not wait for their certificate to be made.
        try store.prepare(zonesMax: Limits.certificatesPreparedMax)
        for warning in store.warnings { log.warning("\(warning)") }
        if let path = store.authorityPath {
            log.info("zones without a certificate get one from the local authority", metadata: ["trust": "\(path)"])
        }
        return store
    }

    var loopCount: Int { loops.count }

    // MARK: A new configuration

    /// Puts a configuration in force; requests under way keep the one they began with.
    ///
    /// - Throws: why it cannot be served; then the old one stays, whole.
    func serve(_ written: Configuration) async throws {
        let new = follower?.effective(written) ?? written
        do {
            let store = follower == nil ? try newCertificates(new) : nil
            let serving = try Serving(
                configuration: new, fleet: fleet, metrics: zoneRegistry, cache: cache,
                followed: follower?.follower.zones)
            var none = SocketHandover()
            let prepared = try listeners.prepare(new.listen, inherited: &none)
            // Before anyone is accepted on a new address, every loop knows the zones and certificates for it.
            configuration = written
            certificates = store
            await publish(serving)
            self.serving.withLock { $0 = serving }
            await resizeCache(new)
            fleet.settle()
            try await listeners.commit(prepared)
            noteConfiguration()
        } catch {
            fleet.discard()
            throw error
        }
    }

    /// Evicting down to a smaller bound takes its time.
    private func resizeCache(_ new: Configuration) async {
        guard let cache, let settings = new.cacheStore else { return }
        let bytes = EdgeCache.storeBytes(settings)
        guard cache.memory.bytesMax != bytes else { return }
        try? await NIOThreadPool.singleton.runIfActive { cache.memory.setBytesMax(bytes) }
    }

    private func newCertificates(_ new: Configuration) throws -> CertificateStore? {
        guard !new.listen.https.isEmpty else { return nil }
        let store = try certificates?.reloaded(with: new) ?? CertificateStore(configuration: new)
        try store.prepare(zonesMax: Limits.certificatesPreparedMax)
        for warning in store.warnings { log.warning("\(warning)") }
        return store
    }

    /// New certificates for the configuration in force.
    func replace(_ store: CertificateStore) async {
        certificates = store
        for bound in loops {
            try? await bound.eventLoop.submit {
                bound.value.serve(
                    bound.value.desk.serving, certificates: store,
                    connectionsMax: Self.connectionsMax(bound.value.desk.serving.configuration, self.loops.count))
            }.get()
        }
    }

    private func publish(_ serving: Serving) async {
        let store = certificates
        let limit = Self.connectionsMax(serving.configuration, loops.count)
        for bound in loops {
            try? await bound.eventLoop.submit {
                bound.value.serve(serving, certificates: store, connectionsMax: limit)
            }.get()
        }
    }

    private func noteConfiguration() {
        sharedMetrics.set(.zonesConfigured, to: configuration.zones.count)
        sharedMetrics.set(.configLastReloadSuccess, to: 1)
        sharedMetrics.set(.configLastReloadTimestamp, to: Int(WallClock.nanoseconds() / 1_000_000_000))
    }

    /// What the control plane says to all edges has changed: puts it in force.
    func takeGlobals() async {
        guard let follower, follower.isChanged else { return }
        do {
            try await serve(configuration)
            log.notice("limits and switches of the control plane are in force")
        } catch {
            log.error("limits of the control plane cannot be served", metadata: ["reason": "\(error)"])
        }
    }

    /// Takes a sample of how the edge is; called every few seconds.
    func measureHealth() async {
        health.add(await Self.counts(edgeLoops, sharedMetrics), refused: follower?.refusedCount ?? 0)
        follower?.follower.upkeep()
    }

    // MARK: How it is

    func markReady(_ ready: Bool) { isReadyNow.store(ready, ordering: .relaxed) }
    var isReady: Bool { isReadyNow.load(ordering: .relaxed) }

    /// Whether every event loop answers within a moment.
    ///
    /// - Parameter judge: a loop of somebody else's, which keeps the time.
    func loopsTurn(judge: any EventLoop) async -> Bool {
        let verdict = judge.makePromise(of: Bool.self)
        EventLoopFuture.andAllComplete(edgeLoops.map { $0.eventLoop.submit {} }, on: judge)
            .whenComplete { _ in verdict.succeed(true) }
        // The first to come is the verdict: a promise kept twice keeps the first.
        let giveUp = judge.scheduleTask(in: .milliseconds(Int64(Limits.loopAnswerMilliseconds))) {
            verdict.succeed(false)
        }
        defer { giveUp.cancel() }
        return (try? await verdict.futureResult.get()) ?? false
    }

    func openConnections() async -> Int {
        var count = 0
        for bound in loops {
            count += (try? await bound.eventLoop.submit { bound.value.openConnections }.get()) ?? 0
        }
        return count
    }

    /// What all loops have counted.
    private static func counts(_ loops: [EdgeLoop], _ shared: SharedMetrics) async -> MetricsSnapshot {
        var merged = shared.snapshot()
        for loop in loops {
            if let part = try? await loop.eventLoop.submit({ loop.metrics.snapshot() }).get() { merged.merge(part) }
        }
        return merged
    }

    /// The Prometheus page.
    func metricsPage() async -> [UInt8] {
        var merged = await Self.counts(edgeLoops, sharedMetrics)
        accessLog?.contribute(to: &merged)
        ProcessLog.contribute(to: &merged)
        cache?.contribute(to: &merged)
        return PrometheusText.render(
            merged, zones: zoneRegistry.names(), origins: fleet.statuses(now: MonotonicClock.nanoseconds()),
            process: ProcessFacts.read(), version: BuildVersion.text)
    }

    /// For the admin door; nil where nothing is cached.
    var cacheOperations: CacheOperations? {
        guard let cache, let loop = edgeLoops.first?.eventLoop else { return nil }
        let (loops, shared) = (edgeLoops, sharedMetrics)
        return CacheOperations(
            cache, serving: { self.serving.withLock { $0 } }, replica: follower?.following.replica,
            metrics: sharedMetrics, loop: loop,
            counts: { await Self.counts(loops, shared) })
    }

    /// Stops accepting on every loop, or goes on.
    func handOver(_ isHandingOver: Bool) async {
        for bound in loops { try? await bound.eventLoop.submit { bound.value.handOver(isHandingOver) }.get() }
    }

    // MARK: The end

    func drain() async {
        for bound in loops { try? await bound.eventLoop.submit { bound.value.drain() }.get() }
    }

    /// Closes what is left and writes out the access log.
    func close() async {
        // First what is still under way, so that its lines are in the log.
        for loop in edgeLoops { try? await loop.eventLoop.submit { loop.deadlines.cutAll() }.get() }
        for loop in edgeLoops { try? await loop.eventLoop.submit { loop.accessLog?.close() }.get() }
        _ = accessLog?.close()
        await follower?.follower.stop()
        health.stop()
        if let cache { try? await NIOThreadPool.singleton.runIfActive { cache.detachDisk() } }
        try? await group.shutdownGracefully()
    }
}

/// Why the process cannot start, in words for the operator.
struct StartFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
