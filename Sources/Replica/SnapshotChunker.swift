// A state as chunks, each known by the SHA-256 of its bytes.
//
// The entries stand behind one another in the order of their keys and are cut into chunks. Where a cut comes depends on
// the key before it and on the size of the chunk so far, and not on the position, the machine or the past: one state
// has one list of chunks, and a change of a value alters one chunk. An entry more or less alters one chunk as well, and
// its neighbour where it stood at a border.
//
//     chunk   "mrs1" | bytes of the stream
//     stream  key bytes u16 | value bytes u32 | key | value, and so on
//
// An entry that is larger than a chunk goes on in the next ones.

import ConfigLog
import Limits

/// Cuts entries into chunks and hands each over as soon as it is whole.
struct SnapshotChunker {
    static let magic = Array("mrs1".utf8)
    static let entryHeadBytes = 6

    private var chunk: [UInt8] = []
    private(set) var chunks: [SnapshotManifest.Chunk] = []

    init() { begin() }

    private mutating func begin() {
        chunk.removeAll(keepingCapacity: true)
        chunk.reserveCapacity(Limits.configChunkBytesMax)
        chunk.append(contentsOf: SnapshotChunker.magic)
    }

    /// Takes the next entry.
    mutating func add(
        _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer,
        _ keep: (SnapshotManifest.Chunk, [UInt8]) throws(ReplicaError) -> Void
    ) throws(ReplicaError) {
        let bytesMax = Limits.configChunkBytesMax
        let needed = SnapshotChunker.entryHeadBytes &+ key.count &+ value.count
        if chunk.count &+ needed > bytesMax, chunk.count > SnapshotChunker.magic.count { try cut(keep) }
        append(littleEndian: UInt64(key.count), bytes: 2)
        append(littleEndian: UInt64(value.count), bytes: 4)
        chunk.append(contentsOf: key)
        var rest = value[...]
        while chunk.count &+ rest.count > bytesMax {
            let room = bytesMax &- chunk.count
            chunk.append(contentsOf: rest.prefix(room))
            rest = rest.dropFirst(room)
            try cut(keep)
        }
        chunk.append(contentsOf: rest)
        if SnapshotChunker.isBorder(key, chunkBytes: chunk.count) { try cut(keep) }
    }

    /// Hands over what is left.
    mutating func finish(
        _ keep: (SnapshotManifest.Chunk, [UInt8]) throws(ReplicaError) -> Void
    ) throws(ReplicaError) {
        if chunk.count > SnapshotChunker.magic.count { try cut(keep) }
    }

    private mutating func cut(
        _ keep: (SnapshotManifest.Chunk, [UInt8]) throws(ReplicaError) -> Void
    ) throws(ReplicaError) {
        let named = SnapshotManifest.Chunk(hash: ChainHash.of(chunk), byteCount: chunk.count)
        chunks.append(named)
        try keep(named, chunk)
        begin()
    }

    private mutating func append(littleEndian value: UInt64, bytes: UInt64) {
        for index in 0..<bytes { chunk.append(UInt8(truncatingIfNeeded: value >> (index &* 8))) }
    }

    /// FNV-1a over the key, spread; the same on every machine.
    private static func isBorder(_ key: UnsafeRawBufferPointer, chunkBytes: Int) -> Bool {
        guard chunkBytes >= Limits.replicaChunkBytesMin else { return false }
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in key { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        hash ^= hash >> 32
        let isLarge = chunkBytes >= Limits.replicaLargeChunkBytes
        return hash & (isLarge ? Limits.replicaLargeChunkBorderMask : Limits.replicaChunkBorderMask) == 0
    }
}

/// Puts the entries together again.
struct SnapshotReader {
    /// What is left of the chunks before: less than one entry.
    private var pending: [UInt8] = []

    /// Whether all that came has been handed over.
    var isAtEnd: Bool { pending.isEmpty }

    /// Takes the next chunk and hands over the entries that are whole.
    mutating func add(
        _ chunk: [UInt8],
        _ take: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws(ReplicaError) -> Void
    ) throws(ReplicaError) {
        guard chunk.starts(with: SnapshotChunker.magic) else {
            throw ReplicaError(.invalid, "a chunk of the snapshot is not of a kind that this version reads")
        }
        let isFresh = pending.isEmpty
        if !isFresh { pending.append(contentsOf: chunk.dropFirst(SnapshotChunker.magic.count)) }
        let source = isFresh ? chunk : pending
        var used = isFresh ? SnapshotChunker.magic.count : 0
        var failure: ReplicaError?
        source.withUnsafeBytes { bytes in
            do throws(ReplicaError) {
                while let entry = try SnapshotReader.entry(bytes, at: used) {
                    try take(entry.key, entry.value)
                    used = entry.end
                }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        pending = Array(source[used...])
    }

    private static func entry(
        _ bytes: UnsafeRawBufferPointer, at offset: Int
    ) throws(ReplicaError) -> (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, end: Int)? {
        guard bytes.count - offset >= SnapshotChunker.entryHeadBytes else { return nil }
        let keyBytes = Int(bytes.littleEndian16(at: offset))
        let valueBytes = Int(bytes.littleEndian32(at: offset &+ 2))
        guard (1...Limits.configKeyBytesMax).contains(keyBytes), valueBytes <= Limits.configGroupBytesMax else {
            throw ReplicaError(.invalid, "the snapshot has a key of \(keyBytes) or a value of \(valueBytes) bytes")
        }
        let key = offset &+ SnapshotChunker.entryHeadBytes
        let value = key &+ keyBytes
        let end = value &+ valueBytes
        guard end <= bytes.count else { return nil }
        return (
            UnsafeRawBufferPointer(rebasing: bytes[key..<value]),
            UnsafeRawBufferPointer(rebasing: bytes[value..<end]), end
        )
    }
}
