import Limits

/// What a whole state consists of: pieces known by their content, so that who has some of them, from an interrupted
/// import or from the state before, asks for the others only.
package struct SnapshotManifest: Sendable, Equatable {
    /// One piece.
    package struct Chunk: Sendable, Hashable {
        /// The SHA-256 of its bytes.
        package var hash: ChainHash
        /// 1 to `Limits.configChunkBytesMax`.
        package var byteCount: Int

        package init(hash: ChainHash, byteCount: Int) {
            self.hash = hash
            self.byteCount = byteCount
        }
    }

    /// The place in the log where the state was so.
    package var position: LogPosition
    /// In order, at most `Limits.configSnapshotChunksMax`; the same content may occur more than once.
    package var chunks: [Chunk]

    package init(position: LogPosition, chunks: [Chunk]) {
        self.position = position
        self.chunks = chunks
    }

    /// Bytes of all chunks.
    package var byteCount: Int { chunks.reduce(0) { $0 + $1.byteCount } }

    package func encoded() throws(ConfigLogError) -> [UInt8] {
        guard chunks.count <= Limits.configSnapshotChunksMax else {
            throw ConfigLogError(
                .tooLarge, "a snapshot", expected: "at most \(Limits.configSnapshotChunksMax) chunks",
                found: "\(chunks.count)")
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(52 + chunks.count * 36)
        bytes.write(position)
        bytes.write(UInt32(truncatingIfNeeded: chunks.count))
        for chunk in chunks {
            guard 1...Limits.configChunkBytesMax ~= chunk.byteCount else {
                throw ConfigLogError(
                    .tooLarge, "a snapshot's chunk", expected: "1 to \(Limits.configChunkBytesMax) bytes",
                    found: "\(chunk.byteCount)")
            }
            bytes.write(chunk.hash)
            bytes.write(UInt32(truncatingIfNeeded: chunk.byteCount))
        }
        return bytes
    }

    package init(decoding bytes: [UInt8]) throws(ConfigLogError) {
        var reader = WireReader(bytes, "a snapshot's manifest")
        self = try reader.manifest()
        try reader.atEnd()
    }
}

extension WireReader {
    mutating func manifest() throws(ConfigLogError) -> SnapshotManifest {
        let at = try position()
        let count = Int(try integer(UInt32.self, "the number of chunks"))
        guard count <= Limits.configSnapshotChunksMax else {
            throw fail(.tooLarge, expected: "at most \(Limits.configSnapshotChunksMax) chunks", found: "\(count)")
        }
        guard count <= remaining / 36 else {
            throw fail(.truncated, expected: "\(count) chunks", found: "\(remaining) bytes")
        }
        guard at.epoch > 0 else { throw fail(.malformed, expected: "an epoch from 1", found: "0") }
        var chunks: [SnapshotManifest.Chunk] = []
        chunks.reserveCapacity(count)
        for _ in 0..<count {
            let hash = try hash("a chunk's hash")
            let byteCount = Int(try integer(UInt32.self, "a chunk's size"))
            guard 1...Limits.configChunkBytesMax ~= byteCount else {
                throw fail(
                    .tooLarge, expected: "a chunk of 1 to \(Limits.configChunkBytesMax) bytes", found: "\(byteCount)")
            }
            chunks.append(SnapshotManifest.Chunk(hash: hash, byteCount: byteCount))
        }
        return SnapshotManifest(position: at, chunks: chunks)
    }
}
