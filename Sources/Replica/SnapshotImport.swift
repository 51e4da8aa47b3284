// A snapshot that comes in.
//
// Chunks are kept under their hashes until all are there, over any number of restarts. Then a file is built beside the
// one that is read, flushed, and made the state by one rename. Whoever kills the process at any moment finds either the
// old state or the new one; what was received is asked for again only if it was not written yet.

package import ConfigLog
import Glibc
import Limits
import Synchronization

/// One import. A newer one takes its place: this one then throws `stopped`.
package final class SnapshotImport: Sendable {
    package let manifest: SnapshotManifest
    private let replica: Replica
    private let number: UInt64
    // Which chunks are here, by index. Held for a look or a mark.
    private let held: Mutex<[Bool]>

    private var folder: String { replica.directory.importing }

    init(replica: Replica, manifest: SnapshotManifest, number: UInt64) throws(ReplicaError) {
        self.replica = replica
        self.manifest = manifest
        self.number = number
        held = Mutex([Bool](repeating: false, count: manifest.chunks.count))
        guard manifest.byteCount <= replica.bytesMax else {
            throw ReplicaError(
                .full, "a snapshot of \(manifest.byteCount) bytes, and the replica has \(replica.bytesMax)")
        }
        try takeOver()
    }

    /// Indices into the manifest's chunks that are still to come, ascending.
    package var lacking: [Int] { held.withLock { held in held.indices.filter { index in !held[index] } } }

    /// Keeps a chunk.
    /// - Throws: `invalid` unless it is what the manifest says at this index.
    package func store(index: Int, _ bytes: [UInt8]) throws(ReplicaError) {
        try checkNewest()
        guard manifest.chunks.indices.contains(index) else {
            throw ReplicaError(
                .invalid, "the snapshot has \(manifest.chunks.count) chunks, and this is number \(index)")
        }
        let chunk = manifest.chunks[index]
        guard bytes.count == chunk.byteCount, ChainHash.of(bytes) == chunk.hash else {
            throw ReplicaError(.invalid, "chunk \(index) of the snapshot is not what its hash says")
        }
        try ReplicaDirectory.put(bytes, at: path(chunk))
        mark(chunk.hash, true)
    }

    /// Builds the state from the chunks and puts it in the place of the one before.
    /// - Throws: `incomplete` if chunks are lacking, also those found damaged on the disk: see `lacking` again.
    package func finish() throws(ReplicaError) -> Touched {
        try checkNewest()
        let lacking = lacking
        guard lacking.isEmpty else { throw ReplicaError(.incomplete, "\(lacking.count) chunks are lacking") }
        return try replica.install(self)
    }

    /// Gives the import up and removes what came.
    package func cancel() {
        guard (try? checkNewest()) != nil else { return }
        ReplicaDirectory.remove(folder)
    }

    // MARK: Chunks

    func checkNewest() throws(ReplicaError) {
        guard replica.importNumber.load(ordering: .acquiring) == number else {
            throw ReplicaError(.stopped, "a newer import took the place of this one")
        }
    }

    private func path(_ chunk: SnapshotManifest.Chunk) -> String { folder + "/" + chunk.hash.description }

    /// The same content may be wanted in several places.
    private func mark(_ hash: ChainHash, _ isHere: Bool) {
        held.withLock { held in
            for (index, chunk) in manifest.chunks.enumerated() where chunk.hash == hash { held[index] = isHere }
        }
    }

    /// A chunk that was kept. One that is damaged counts as lacking from now on.
    func read(_ chunk: SnapshotManifest.Chunk) throws(ReplicaError) -> [UInt8] {
        let path = path(chunk)
        if let bytes = ReplicaDirectory.contents(path, bytesMax: Limits.configChunkBytesMax),
            ChainHash.of(bytes) == chunk.hash
        {
            return bytes
        }
        unlink(path)
        mark(chunk.hash, false)
        throw ReplicaError(.incomplete, "a chunk that was received is damaged on the disk")
    }

    /// Finds the chunks that need not come: those of an interrupted import, those that were offered to others, and
    /// those that the state has now.
    private func takeOver() throws(ReplicaError) {
        try ReplicaDirectory.makeOne(folder)
        var places: [String: [Int]] = [:]
        for (index, chunk) in manifest.chunks.enumerated() { places[chunk.hash.description, default: []].append(index) }
        var here: Set<String> = []
        for name in try ReplicaDirectory.names(folder) {
            let path = folder + "/" + name
            if let index = places[name]?.first,
                ReplicaDirectory.byteCount(path) == manifest.chunks[index].byteCount
            {
                here.insert(name)
            } else {
                unlink(path)
            }
        }
        for name in try ReplicaDirectory.names(replica.directory.exported)
        where places[name] != nil && !here.contains(name) {
            // Offered chunks never change under their name, so both places may share the file.
            if link(replica.directory.exported + "/" + name, folder + "/" + name) == 0 { here.insert(name) }
        }
        if here.count < places.count { try takeFromState(places, &here) }
        held.withLock { held in
            for name in here { for index in places[name] ?? [] { held[index] = true } }
        }
    }

    private func takeFromState(_ places: [String: [Int]], _ here: inout Set<String>) throws(ReplicaError) {
        var chunker = SnapshotChunker()
        var found = here
        let folder = folder
        func keep(_ chunk: SnapshotManifest.Chunk, _ bytes: [UInt8]) throws(ReplicaError) {
            let name = chunk.hash.description
            guard places[name] != nil, !found.contains(name) else { return }
            try ReplicaDirectory.put(bytes, at: folder + "/" + name)
            found.insert(name)
        }
        try replica.file().read { transaction throws(ReplicaError) in
            try transaction.scan(prefix: []) { key, value throws(ReplicaError) in
                try chunker.add(key, value, keep)
                return true
            }
        }
        try chunker.finish(keep)
        here = found
    }
}
