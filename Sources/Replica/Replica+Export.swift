// Snapshots that are offered to others.
//
// A child that takes an hour to fetch a snapshot must not hold a read transaction for an hour. So the chunks are copied
// into files, each under its hash, in one short read; chunks that an earlier snapshot had are there already, and since
// borders follow the content, that is most of them.

package import ConfigLog
import Glibc
import Limits
import Synchronization

extension Replica {
    /// Writes what is applied now into chunk files, from one read transaction.
    /// - Returns: the manifest; its chunks stay readable until as many newer ones exist as `Limits` says.
    package func exportSnapshot() throws(ReplicaError) -> SnapshotManifest {
        try offers.withLock { offers throws(ReplicaError) in
            let file = try file()
            let folder = directory.exported
            try ReplicaDirectory.makeOne(folder)
            var held = Set(try ReplicaDirectory.names(folder))
            if let newest = offers.last, newest.position == position,
                newest.chunks.allSatisfy({ chunk in held.contains(chunk.hash.description) })
            {
                return newest
            }
            var chunker = SnapshotChunker()
            func keep(_ chunk: SnapshotManifest.Chunk, _ bytes: [UInt8]) throws(ReplicaError) {
                let name = chunk.hash.description
                let path = folder + "/" + name
                if held.contains(name), ReplicaDirectory.byteCount(path) == chunk.byteCount { return }
                try ReplicaDirectory.put(bytes, at: path)
                held.insert(name)
            }
            let at = try file.read { transaction throws(ReplicaError) in
                try transaction.scan(prefix: []) { key, value throws(ReplicaError) in
                    try chunker.add(key, value, keep)
                    return true
                }
                return try transaction.position
            }
            try chunker.finish(keep)
            guard chunker.chunks.count <= Limits.configSnapshotChunksMax else {
                throw ReplicaError(.full, "a snapshot of \(chunker.chunks.count) chunks is more than can be sent")
            }
            let manifest = SnapshotManifest(position: at, chunks: chunker.chunks)
            offers.append(manifest)
            if offers.count > Limits.replicaManifestsKeptMax { offers.removeFirst() }
            let offered = Set(offers.flatMap { offer in offer.chunks.map { chunk in chunk.hash.description } })
            for name in held where !offered.contains(name) { unlink(folder + "/" + name) }
            return manifest
        }
    }

    /// A chunk that was exported: whole and right, or nil. A file that is neither is removed; the next export makes it
    /// again.
    package func exportedChunk(_ hash: ChainHash) -> [UInt8]? {
        let path = directory.exported + "/" + hash.description
        guard let bytes = ReplicaDirectory.contents(path, bytesMax: Limits.configChunkBytesMax) else { return nil }
        guard ChainHash.of(bytes) == hash else {
            unlink(path)
            return nil
        }
        return bytes
    }
}
