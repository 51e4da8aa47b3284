package import ConfigLog
import Synchronization

extension Replica {
    /// Begins to fill the replica with a whole state from elsewhere: what a control process does whose replica is lost or
    /// too far behind. Like a snapshot that comes in, it is built beside and takes the older state's place at the end.
    package func beginRefill() throws(ReplicaError) -> ReplicaRefill {
        try ReplicaDirectory.makeOne(directory.importing)
        return ReplicaRefill(replica: self)
    }
}

/// Entries of a state, on their way into a replica.
package final class ReplicaRefill: Sendable {
    private struct State {
        var chunker = SnapshotChunker()
        var last: [UInt8] = []
    }

    private let replica: Replica
    private let state = Mutex(State())

    init(replica: Replica) { self.replica = replica }

    /// Forgets what came so far: the state is told from its beginning again.
    package func restart() { state.withLock { $0 = State() } }

    /// Takes the next entry; they come in the order of their keys' bytes.
    ///
    /// - Throws: `invalid` if it does not, or is no entry that a replica can hold.
    package func add(key: String, value: [UInt8]) throws(ReplicaError) {
        let folder = replica.directory.importing
        try state.withLock { state throws(ReplicaError) in
            let name = Array(key.utf8)
            guard state.last.isEmpty || state.last.lexicographicallyPrecedes(name) else {
                throw ReplicaError(.invalid, "a state's keys are not in order: \(key.prefix(100)) comes too late")
            }
            var failure: ReplicaError?
            name.withUnsafeBytes { keyBytes in
                value.withUnsafeBytes { valueBytes in
                    do throws(ReplicaError) {
                        try state.chunker.add(keyBytes, valueBytes) { chunk, bytes throws(ReplicaError) in
                            try ReplicaDirectory.put(bytes, at: folder + "/" + chunk.hash.description)
                        }
                    } catch {
                        failure = error
                    }
                }
            }
            if let failure { throw failure }
            state.last = name
        }
    }

    /// All came: puts the state in place.
    ///
    /// - Parameter position: what the entries stand for.
    package func finish(at position: LogPosition) throws(ReplicaError) -> Touched {
        let folder = replica.directory.importing
        let chunks = try state.withLock { state throws(ReplicaError) in
            try state.chunker.finish { chunk, bytes throws(ReplicaError) in
                try ReplicaDirectory.put(bytes, at: folder + "/" + chunk.hash.description)
            }
            return state.chunker.chunks
        }
        return try replica.beginImport(SnapshotManifest(position: position, chunks: chunks)).finish()
    }
}
