import ConfigLog
import ConfigModel
import ControlPlane
import Distribution
import JSON
import Limits
import Logging
import Replica
import Synchronization

/// The control plane within `martlet up`. The edge does not need it to serve: while the store or the API's address cannot
/// be had, it is tried again, and the edge goes on with what the replica has.
final class ControlHost: Sendable {
    private struct State {
        var task: Task<Void, Never>?
        var isReady = false
        var waiting: [CheckedContinuation<Void, Never>] = []
        /// Answers while the API does.
        var service: APIService?
        var health: HealthMeter?
    }

    private let control: Configuration.Control
    private let data: String
    private let replica: Replica
    private let news: ReplicaNews
    private let zones: FileZones
    private let log: Logger
    private let state = Mutex(State())

    /// - Parameter zones: those of martlet.yaml, which are applied whenever the API comes to answer.
    init(
        _ control: Configuration.Control, data: String, replica: Replica, news: ReplicaNews, zones: FileZones,
        log: Logger
    ) {
        self.zones = zones
        self.control = control
        self.data = data
        self.replica = replica
        self.news = news
        self.log = log
    }

    func start() {
        let task = Task.detached { [self] in
            while !Task.isCancelled {
                do {
                    try await run()
                } catch is CancellationError {
                    return
                } catch {
                    guard !Task.isCancelled else { return }
                    log.error("the control plane stands still, and is tried again", metadata: ["reason": "\(error)"])
                }
                try? await Task.sleep(for: .milliseconds(Limits.controlRetryMilliseconds))
            }
        }
        state.withLock { $0.task = task }
    }

    private func run() async throws {
        var hooks = ControlProcess.Hooks(say: { StandardOutput.write($0 + "\n") })
        hooks.onTouched = { [news] touched in news.applied(touched) }
        hooks.onReady = { [self] service in
            state.withLock { $0.service = service }
            await applyZones()
            let waiting = state.withLock { state in
                state.isReady = true
                defer { state.waiting = [] }
                return state.waiting
            }
            for one in waiting { one.resume() }
        }
        hooks.localHealth = { [self] in state.withLock { $0.health }?.summary ?? HealthSummary() }
        defer { state.withLock { $0.service = nil } }
        let options = ControlProcess.Options(
            host: control.api.host, port: control.api.port, data: data, store: control.store,
            distribution: control.distribution.map { PeerAddress(host: $0.host, port: $0.port) })
        try await ControlProcess(options, replica: replica, hooks: hooks, log: log).run()
    }

    /// From now on it is told how the edge does.
    func watch(_ health: HealthMeter) { state.withLock { $0.health = health } }

    /// Applies the zones of martlet.yaml as it is now; nothing while the API does not answer: they are applied when it does.
    func applyZones() async {
        guard let service = state.withLock({ $0.service }) else { return }
        await zones.apply(by: service)
    }

    /// Waits until the API answers, but not for ever.
    ///
    /// - Returns: whether it does.
    func awaitReady(milliseconds: Int) async -> Bool {
        let giveUp = Task.detached { [self] in
            try? await Task.sleep(for: .milliseconds(milliseconds))
            let waiting = state.withLock { state in
                defer { state.waiting = [] }
                return state.waiting
            }
            for one in waiting { one.resume() }
        }
        defer { giveUp.cancel() }
        await withCheckedContinuation { continuation in
            let isReady = state.withLock { state in
                if !state.isReady { state.waiting.append(continuation) }
                return state.isReady
            }
            if isReady { continuation.resume() }
        }
        return state.withLock { $0.isReady }
    }

    func stop() async {
        let task = state.withLock { $0.task }
        task?.cancel()
        await task?.value
    }
}
