import Admin
import ConfigModel
import Listener
import Logging
import NIOCore
import NIOPosix
import Telemetry

/// The admin address of a running edge.
final class AdminDoor {
    private let key: SocketHandover.Key
    private let kept: ListeningSocket
    private let channel: any Channel
    private let group: MultiThreadedEventLoopGroup

    private init(
        key: SocketHandover.Key, kept: ListeningSocket, channel: any Channel, group: MultiThreadedEventLoopGroup
    ) {
        self.key = key
        self.kept = kept
        self.channel = channel
        self.group = group
    }

    /// nil when the configuration wants none. It has a thread of its own: a scrape never stands in a request's way.
    ///
    /// - Parameter cache: nil where nothing is cached.
    static func open(
        _ address: SocketAddressText?, edge: Edge, cache: CacheOperations?, inherited: inout SocketHandover,
        log: Logger
    ) async throws -> AdminDoor? {
        guard let address else { return nil }
        let key = SocketHandover.Key(role: .admin, address: address)
        let kept = try inherited.take(key)?.first ?? ListeningSocket(address)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let channel = try await AdminServer.serve(descriptor: kept.duplicated().descriptor, on: group, log: log) {
            request in
            if let answer = await CacheRoutes.answer(request, cache) { return answer }
            return await answer(request, edge, judge: group.any())
        }
        return AdminDoor(key: key, kept: kept, channel: channel, group: group)
    }

    private static func answer(
        _ request: AdminServer.Request, _ edge: Edge, judge: any EventLoop
    ) async -> AdminServer.Answer {
        let paths = ["/healthz", "/readyz", "/metrics"]
        guard paths.contains(request.path) else {
            let known = paths.joined(separator: ", ")
            return AdminServer.Answer(
                status: 404, text: "expected \(known), /cache/purge, /cache/inspect or /cache/stats")
        }
        guard request.verb == .get else { return .wrongMethod(allowed: .get) }
        switch request.path {
        case "/healthz":
            return await edge.loopsTurn(judge: judge)
                ? AdminServer.Answer(status: 200, text: "ok")
                : AdminServer.Answer(status: 503, text: "an event loop does not answer")
        case "/readyz":
            return edge.isReady
                ? AdminServer.Answer(status: 200, text: "ready") : AdminServer.Answer(status: 503, text: "draining")
        default:
            return AdminServer.Answer(
                status: 200, contentType: PrometheusText.contentType, body: await edge.metricsPage())
        }
    }

    func add(to handover: inout SocketHandover) {
        handover.sockets[key] = [kept]
    }

    /// Stops accepting, or goes on.
    func handOver(_ isHandingOver: Bool) async {
        try? await channel.setOption(.autoRead, value: !isHandingOver).get()
    }

    func close() async {
        kept.close()
        try? await channel.close().get()
        try? await group.shutdownGracefully()
    }
}
