// When tokens were last used, to the minute: one write for all that were, and none for each request.

import Limits
import Synchronization

/// Remembers tokens that were used since it was last kept.
final class TokenUses: Sendable {
    private struct State {
        var used: Set<String> = []
        var keptAt = APITime(microseconds: 0)
    }
    private let state = Mutex(State())

    /// Beyond the bound somebody's use is not noted this minute.
    func note(_ tokenID: String) {
        state.withLock { state in
            guard state.used.count < Limits.apiTokenUsesMax else { return }
            state.used.insert(tokenID)
        }
    }

    /// Those to be kept now; nil: it is not time yet.
    func due(at now: APITime) -> [String]? {
        state.withLock { state in
            guard !state.used.isEmpty,
                abs(now.microseconds - state.keptAt.microseconds) >= Limits.apiTokenUseSeconds * 1_000_000
            else { return nil }
            defer { state.used = [] }
            state.keptAt = now
            return state.used.sorted()
        }
    }

    /// A store that is away, or closed, forgets a minute of it.
    static func keep(_ used: [String], at now: APITime, _ store: Store) async {
        _ = try? await store.write { transaction in
            try transaction.execute(
                "UPDATE tokens SET last_used_on = ? WHERE id IN (\(used.map { _ in "?" }.joined(separator: ", ")))",
                [SQLValue(now)] + used.map { .text($0) })
        }
    }
}
