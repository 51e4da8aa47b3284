import Synchronization

/// How writing a large object ended, for who asks before or after.
package final class LargeOutcome: Sendable {
    private let state = Mutex(State())

    private struct State {
        var isCommitted: Bool?
        var action: (@Sendable (Bool) -> Void)?
    }

    package init() {}

    /// It is on the disk, or never will be. The first word counts.
    package func end(isCommitted: Bool) {
        let action = state.withLock { state -> (@Sendable (Bool) -> Void)? in
            guard state.isCommitted == nil else { return nil }
            state.isCommitted = isCommitted
            defer { state.action = nil }
            return state.action
        }
        action?(isCommitted)
    }

    /// Calls `action` once, with whether the object is on the disk; on the disk's thread, or at once if that is known.
    package func whenEnded(_ action: @escaping @Sendable (_ isCommitted: Bool) -> Void) {
        let known = state.withLock { state -> Bool? in
            if state.isCommitted == nil { state.action = action }
            return state.isCommitted
        }
        if let known { action(known) }
    }
}
