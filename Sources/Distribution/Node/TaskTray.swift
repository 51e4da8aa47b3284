import Synchronization

/// Tasks that a node has started beside its loop, so that the loop does not end before them.
final class TaskTray: Sendable {
    private struct State {
        var tasks: [UInt64: Task<Void, Never>] = [:]
        var next: UInt64 = 0
        var isClosed = false
    }

    private let state = Mutex(State())

    /// Starts one; nothing after `close`.
    func run(_ body: @escaping @Sendable () async -> Void) {
        state.withLock { state in
            guard !state.isClosed else { return }
            state.next &+= 1
            let number = state.next
            state.tasks[number] = Task {
                await body()
                self.end(number)
            }
        }
    }

    private func end(_ number: UInt64) {
        state.withLock { state in _ = state.tasks.removeValue(forKey: number) }
    }

    /// Cancels them and waits for them.
    func close() async {
        let tasks = state.withLock { state in
            state.isClosed = true
            return Array(state.tasks.values)
        }
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
    }
}
