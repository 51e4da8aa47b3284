package import ConfigLog
import Limits
import Synchronization

extension Replica {
    /// Applies one frame in one transaction, the position with it: all or nothing, whatever happens.
    /// - Returns: what it touched, for `ZoneTable.publish` and for those who follow other keys.
    /// - Throws: `notNext` if it does not follow `position`, `full`, `locked`; the state is then what it was.
    package func apply(_ frame: Frame) throws(ReplicaError) -> Touched { try apply([frame]) }

    /// Applies frames that follow each other, in one transaction with one flush: for catching up.
    package func apply(_ frames: [Frame]) throws(ReplicaError) -> Touched {
        try writer.withLock { writer throws(ReplicaError) in
            try becomeWriter(&writer)
            let file = try file()
            do throws(ReplicaError) {
                return try apply(frames, to: file, &writer)
            } catch {
                // A dead process's reader may be what keeps pages from being used again.
                guard error.kind == .full else { throw error }
                file.clearDeadReaders()
                return try apply(frames, to: file, &writer)
            }
        }
    }

    private func apply(
        _ frames: [Frame], to file: ReplicaFile, _ writer: inout Writer
    ) throws(ReplicaError) -> Touched {
        let transaction = try WriteTransaction.begin(file)
        let before = transaction.head.position
        // Also if nothing follows: who asks for `position` then goes on from where another process ended.
        if before != writer.known { current.withLock { current in current.position = before } }
        var collector = TouchedCollector(position: before)
        for frame in frames {
            do throws(ConfigLogError) {
                try frame.check(follows: transaction.head.position)
            } catch {
                throw ReplicaError(.notNext, "at \(transaction.head.position): \(error)")
            }
            for group in frame.groups {
                for change in group.changes {
                    try transaction.apply(change)
                    collector.add(change.key)
                }
            }
            transaction.head.position = frame.position
        }
        let after = transaction.head.position
        try transaction.commit()
        file.mapped?.trim()
        let isOurs = before == writer.known
        writer.known = after
        let applied = appliedCount.add(UInt64(frames.count), ordering: .relaxed).newValue
        if applied % Limits.replicaReaderCheckInterval < UInt64(frames.count) { file.clearDeadReaders() }
        current.withLock { current in current.position = after }
        return isOurs ? collector.finished(at: after) : .everything(after)
    }
}
