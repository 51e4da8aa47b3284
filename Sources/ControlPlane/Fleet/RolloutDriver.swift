// Moves roll-outs on: the leading control process looks at each of them every two seconds. Another process that comes to
// lead goes on where this one was, for all that the machine knows stands in the store; and of two that both think they lead,
// the later one's writing fails.

import ConfigModel
import JSON
import Limits
package import Logging

package struct RolloutDriver: Sendable {
    private let store: Store
    private let log: Logger
    private let isLeading: @Sendable () -> Bool

    /// - Parameter isLeading: `Sequencer.isLeader`.
    package init(store: Store, log: Logger, isLeading: @escaping @Sendable () -> Bool) {
        (self.store, self.log, self.isLeading) = (store, log, isLeading)
    }

    /// Until the task is cancelled. Outages of the store are ridden out.
    package func run() async {
        while !Task.isCancelled {
            if isLeading() {
                do {
                    try await look(at: APITime.now)
                } catch {
                    log.warning("roll-outs wait for the store", metadata: ["reason": "\(error)"])
                }
            }
            try? await Task.sleep(for: .milliseconds(Limits.rolloutLookMilliseconds))
        }
    }

    /// One look at all that are under way.
    func look(at now: APITime) async throws {
        let rows = try await store.read { try RolloutRow.underWay($0) }
        for row in rows {
            let moved = try await store.write { try Self.look(row.id, at: now, $0) }
            if let moved {
                log.notice("roll-out", metadata: ["object": "\(row.name)", "now": "\(moved.text)"])
            }
        }
    }

    /// Nil: nothing to tell.
    private static func look(_ id: String, at now: APITime, _ transaction: Transaction) throws -> JSONValue? {
        guard var row = try RolloutRow.find(id, transaction), !row.machine.state.isOver else {
            return Optional<JSONValue>.none
        }
        let before = row.machine
        let actions = row.machine.look(try Rollouts.sight(row, at: now, transaction))
        guard row.machine != before else { return Optional<JSONValue>.none }
        let isNews = row.machine.stage != before.stage || row.machine.state != before.state
        try Rollouts.perform(actions, &row, at: now, transaction)
        if isNews {
            row.note(row.machine.state.rawValue, row.machine.reason, at: now)
            transaction.audit(
                AuditEntry(
                    actor: "system", action: "rollout", resource: "global/\(row.name)",
                    scope: try FleetAccount.scope(transaction), after: row.summary.text))
        }
        try row.update(at: now, transaction)
        return isNews ? row.summary : Optional<JSONValue>.none
    }
}
