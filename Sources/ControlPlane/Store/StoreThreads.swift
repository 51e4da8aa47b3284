import Glibc
import Synchronization

/// Threads of one owner, for what blocks. Each ends when its body returns.
final class StoreThreads: Sendable {
    private struct State {
        var running = 0
        var waiting: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Mutex(State())

    private final class Start: Sendable {
        let owner: StoreThreads
        let body: @Sendable () -> Void
        init(_ owner: StoreThreads, _ body: @escaping @Sendable () -> Void) {
            self.owner = owner
            self.body = body
        }
    }

    func start(_ body: @escaping @Sendable () -> Void) throws(StoreError) {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        var thread = pthread_t()
        let context = Unmanaged.passRetained(Start(self, body))
        state.withLock { $0.running += 1 }
        let code = pthread_create(
            &thread, &attributes,
            { context in
                guard let context else { return nil }
                // Signals belong to the process's own threads.
                var all = sigset_t()
                sigfillset(&all)
                pthread_sigmask(SIG_BLOCK, &all, nil)
                let start = Unmanaged<Start>.fromOpaque(context).takeRetainedValue()
                start.body()
                start.owner.ended()
                return nil
            }, context.toOpaque())
        guard code != 0 else { return }
        context.release()
        ended()
        throw .unavailable("no thread: \(String(cString: strerror(code)))")
    }

    /// Returns when all have ended.
    func join() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isOver = state.withLock { state in
                if state.running == 0 { return true }
                state.waiting.append(continuation)
                return false
            }
            if isOver { continuation.resume() }
        }
    }

    private func ended() {
        let waiting = state.withLock { state in
            state.running -= 1
            guard state.running == 0 else { return [CheckedContinuation<Void, Never>]() }
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }
}
