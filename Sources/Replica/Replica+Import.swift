package import ConfigLog
import Limits
import Synchronization

extension Replica {
    /// Begins to take a snapshot in, or goes on with one whose chunks are here already. Chunks that the present state
    /// shares with it need not come: see `lacking`.
    package func beginImport(_ manifest: SnapshotManifest) throws(ReplicaError) -> SnapshotImport {
        try writer.withLock { writer throws(ReplicaError) in
            try becomeWriter(&writer)
            let number = importNumber.add(1, ordering: .acquiringAndReleasing).newValue
            return try SnapshotImport(replica: self, manifest: manifest, number: number)
        }
    }

    /// Builds the state of a complete import beside, and puts it in place.
    func install(_ snapshot: SnapshotImport) throws(ReplicaError) -> Touched {
        try writer.withLock { writer throws(ReplicaError) in
            try snapshot.checkNewest()
            try becomeWriter(&writer)
            // Also throws if the replica is closed.
            _ = try file()
            do throws(ReplicaError) {
                try build(snapshot)
            } catch {
                // It may be the disk that is full.
                ReplicaDirectory.remove(directory.draft)
                throw error
            }
            let opening = try FileLock.take(directory.openingLock, waits: true)
            defer { withExtendedLifetime(opening) {} }
            let older = current.withLock { current in current.number }
            let number = older &+ 1
            try directory.install(number)
            let file: ReplicaFile
            do throws(ReplicaError) {
                file = try ReplicaFile.open(directory.state(number), bytesMax: bytesMax)
            } catch {
                // The older state goes on, also after a restart.
                directory.removeState(number)
                throw error
            }
            let position = snapshot.manifest.position
            replace(by: file, number: number, position: position)
            writer.known = position
            importCount.add(1, ordering: .relaxed)
            directory.removeState(older)
            snapshot.cancel()
            return .everything(position)
        }
    }

    /// The state in `new/`, whole and flushed.
    private func build(_ snapshot: SnapshotImport) throws(ReplicaError) {
        ReplicaDirectory.remove(directory.draft)
        try ReplicaDirectory.makeOne(directory.draft)
        let file = try ReplicaFile.create(directory.draft, bytesMax: bytesMax)
        var reader = SnapshotReader()
        var sum = StateSum()
        var chunks = snapshot.manifest.chunks[...]
        repeat {
            // One transaction for a bounded number of pages; the rename is what makes it all or nothing.
            let transaction = try WriteTransaction.begin(new: file)
            transaction.head.sum = sum
            var bytes = 0
            while let chunk = chunks.first, bytes < Limits.replicaImportBatchBytes {
                chunks = chunks.dropFirst()
                bytes &+= chunk.byteCount
                try reader.add(try snapshot.read(chunk)) { key, value throws(ReplicaError) in
                    try transaction.append(key, value)
                }
            }
            sum = transaction.head.sum
            if chunks.isEmpty {
                guard reader.isAtEnd else { throw ReplicaError(.invalid, "the snapshot ends within an entry") }
                transaction.head.position = snapshot.manifest.position
            }
            try transaction.commit()
        } while !chunks.isEmpty
        try file.flush()
    }
}
