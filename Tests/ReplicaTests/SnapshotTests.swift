import ConfigLog
import Glibc
import Limits
import Testing

@testable import Replica

@Suite struct SnapshotTests {
    /// Some megabytes in small entries.
    private static func entries(_ count: Int, seed: UInt64) -> [String: [UInt8]?] {
        var numbers = SeededNumbers(seed)
        var entries: [String: [UInt8]?] = [:]
        for _ in 0..<count {
            let id = ZoneID(high: numbers.next(), low: numbers.next())
            entries["zone/\(id)/meta"] = numbers.bytes(Int(numbers.next() % 300))
        }
        return entries
    }

    private func copy(_ source: Replica, _ manifest: SnapshotManifest, to incoming: SnapshotImport) throws {
        for index in incoming.lacking {
            try incoming.store(index: index, try #require(source.exportedChunk(manifest.chunks[index].hash)))
        }
    }

    @Test func oneStateHasOneManifest() throws {
        let one = ReplicaStage()
        let other = ReplicaStage()
        let first = try one.open()
        let second = try other.open()
        var numbers = SeededNumbers(9)
        let bulk = SnapshotTests.entries(12_000, seed: 4)
        // The same log on both sides, in other transactions.
        var frames = [try one.frame(bulk)]
        for _ in 0..<20 { frames.append(try one.frame(numbers.groups(10))) }
        for frame in frames { _ = try first.apply(frame) }
        _ = try second.apply(frames)
        let manifest = try first.exportSnapshot()
        #expect(try second.exportSnapshot() == manifest)
        #expect(try first.summary() == second.summary())
        #expect(manifest.position == one.position)
        #expect(manifest.chunks.count > 5)
        #expect(manifest.chunks.allSatisfy { $0.byteCount <= Limits.configChunkBytesMax })
        for chunk in manifest.chunks {
            let bytes = try #require(first.exportedChunk(chunk.hash))
            #expect(bytes.count == chunk.byteCount && ChainHash.of(bytes) == chunk.hash)
        }
        // A third one, by import, agrees too.
        let third = ReplicaStage()
        let imported = try third.open()
        let incoming = try imported.beginImport(manifest)
        try copy(first, manifest, to: incoming)
        let touched = try incoming.finish()
        #expect(touched.isEverything && touched.position == one.position)
        try one.expectEqual(imported)
        #expect(try imported.exportSnapshot() == manifest)
        #expect(try imported.summary() == first.summary())
        // And goes on with the log, over a restart.
        let next = try one.frame(["after": [1]])
        _ = try imported.apply(next)
        imported.close()
        let reopened = try third.open()
        try one.expectEqual(reopened)
        #expect(try third.names().filter { $0.hasPrefix("state.") } == ["state.2"])
    }

    @Test func aSmallChangeAltersFewChunks() throws {
        let stage = ReplicaStage()
        let replica = try stage.open()
        let bulk = SnapshotTests.entries(40_000, seed: 5)
        _ = try replica.apply(stage.frame(bulk))
        let before = try replica.exportSnapshot()
        #expect(before.chunks.count > 15)
        func isNew(_ manifest: SnapshotManifest, _ than: SnapshotManifest) -> Int {
            let old = Set(than.chunks)
            return manifest.chunks.count { !old.contains($0) }
        }
        let keys = bulk.keys.sorted()
        _ = try replica.apply(stage.frame([keys[20_000]: [1, 2, 3]]))
        let changed = try replica.exportSnapshot()
        #expect(isNew(changed, before) == 1)
        _ = try replica.apply(stage.frame([keys[1000]: nil, keys[39_000] + "0": [UInt8](repeating: 1, count: 2000)]))
        let moved = try replica.exportSnapshot()
        #expect((1...6).contains(isNew(moved, changed)))
        // Who has the older state needs the new chunks alone.
        let other = ReplicaStage()
        let follower = try other.open()
        try copy(replica, before, to: follower.beginImport(before))
        _ = try follower.beginImport(before).finish()
        let incoming = try follower.beginImport(moved)
        #expect(incoming.lacking.count == isNew(moved, before))
        try copy(replica, moved, to: incoming)
        _ = try incoming.finish()
        try stage.expectEqual(follower)
        // The chunks of the first manifests are still there, until there are more.
        #expect(replica.exportedChunk(try #require(before.chunks.last).hash) != nil)
        #expect(try replica.exportSnapshot() == moved)
    }

    @Test func olderOffersGo() throws {
        let stage = ReplicaStage()
        let replica = try stage.open()
        var hashes: [ChainHash] = []
        for round in 0..<6 {
            _ = try replica.apply(stage.frame(["only": [UInt8(round)]]))
            hashes.append(try #require(replica.exportSnapshot().chunks.first).hash)
        }
        #expect(hashes.map { replica.exportedChunk($0) != nil } == [false, false, false, true, true, true])
        #expect(try stage.names("export").count == Limits.replicaManifestsKeptMax)
    }

    @Test func anEmptyStateAndLargeValuesTravel() throws {
        let stage = ReplicaStage()
        let replica = try stage.open()
        #expect(try replica.exportSnapshot().chunks.isEmpty)
        var numbers = SeededNumbers(11)
        var changes: [String: [UInt8]?] = ["a": [], "m": [1], "z": [2]]
        for size in [1_048_566, 1_048_567, 1_048_568, 1_048_576, 2_500_000] {
            let value = numbers.bytes(64)
            changes["large/\(size)"] = (0..<size).map { value[$0 & 63] }
        }
        // The same content at several places of the manifest.
        changes["same"] = [UInt8](repeating: 0, count: 3_500_000)
        for (key, value) in changes.sorted(by: { $0.key < $1.key }) { _ = try replica.apply(stage.frame([key: value])) }
        let manifest = try replica.exportSnapshot()
        #expect(Set(manifest.chunks).count < manifest.chunks.count)
        let other = ReplicaStage()
        let imported = try other.open()
        let incoming = try imported.beginImport(manifest)
        try copy(replica, manifest, to: incoming)
        _ = try incoming.finish()
        try stage.expectEqual(imported)
    }

    @Test func anImportGoesOnAfterARestart() throws {
        let stage = ReplicaStage()
        let source = try stage.open()
        _ = try source.apply(stage.frame(SnapshotTests.entries(12_000, seed: 6)))
        let manifest = try source.exportSnapshot()
        let other = ReplicaStage()
        var replica = try other.open()
        let own = try other.frame(["own": [1]])
        _ = try replica.apply(own)
        var incoming = try replica.beginImport(manifest)
        let all = incoming.lacking
        #expect(all == Array(manifest.chunks.indices))
        for index in all.prefix(3) {
            try incoming.store(index: index, try #require(source.exportedChunk(manifest.chunks[index].hash)))
        }
        #expect(throws: ReplicaError.self) { try incoming.finish() }
        replica.close()
        replica = try other.open()
        // The old state answers until the new one is whole.
        try other.expectEqual(replica)
        // One chunk was damaged on the disk meanwhile, one is too short, and one is of something else.
        let names = manifest.chunks.map { "import/" + $0.hash.description }
        try other.change(names[0]) { $0[100] ^= 1 }
        try other.change(names[1]) { $0.removeLast() }
        try ReplicaDirectory.put([1], at: other.path + "/import/" + ChainHash.of([9]).description)
        incoming = try replica.beginImport(manifest)
        #expect(incoming.lacking == [1] + Array(all.dropFirst(3)))
        #expect(try !other.names("import").contains(ChainHash.of([9]).description))
        try copy(source, manifest, to: incoming)
        // The damaged one shows when it is read, and is asked for again.
        do {
            _ = try incoming.finish()
            Issue.record("a damaged chunk went in")
        } catch { #expect(error.kind == .incomplete) }
        #expect(incoming.lacking == [0])
        try other.expectEqual(replica)
        try copy(source, manifest, to: incoming)
        _ = try incoming.finish()
        try stage.expectEqual(replica)
        #expect(try !other.names().contains("import"))
        #expect(try other.names().filter { $0.hasPrefix("state.") } == ["state.2"])
    }

    @Test func wrongChunksAreRefused() throws {
        let stage = ReplicaStage()
        let replica = try stage.open()
        let own = try stage.frame(["a": [1]])
        _ = try replica.apply(own)
        func importing(_ chunks: [[UInt8]]) throws -> Touched {
            let manifest = SnapshotManifest(
                position: LogPosition(epoch: 1, sequence: 5, hash: .of([5])),
                chunks: chunks.map { SnapshotManifest.Chunk(hash: .of($0), byteCount: $0.count) })
            let incoming = try replica.beginImport(manifest)
            for index in incoming.lacking { try incoming.store(index: index, chunks[index]) }
            return try incoming.finish()
        }
        func entry(_ key: String, _ value: [UInt8]) -> [UInt8] {
            [UInt8(key.utf8.count), 0, UInt8(value.count), 0, 0, 0] + Array(key.utf8) + value
        }
        let magic = SnapshotChunker.magic
        for wrong in [
            [Array("mrs2".utf8) + entry("a", [1])], [magic + entry("b", [1]) + entry("a", [1])],
            [magic + entry("a", [1]) + entry("a", [1])], [magic + entry("a", [1]).dropLast()],
            [magic + entry("", [1])], [magic + [0xFF, 0xFF, 0, 0, 0, 0]], [magic + [1, 0, 0xFF, 0xFF, 0xFF, 0xFF, 65]],
            [[1]], [magic + entry("a", [1]), entry("b", [1])],
        ] {
            do {
                _ = try importing(wrong)
                Issue.record("a wrong chunk went in")
            } catch let error as ReplicaError { #expect(error.kind == .invalid) }
            try stage.expectEqual(replica)
        }
        #expect(try importing([magic + entry("a", [1]), magic + entry("b", [2])]).position.sequence == 5)
        #expect(try ReplicaStage.content(replica) == ["a": [1], "b": [2]])
        let manifest = try replica.exportSnapshot()
        let older = try replica.beginImport(manifest)
        #expect(throws: ReplicaError.self) { try older.store(index: 7, [1]) }
        #expect(throws: ReplicaError.self) { try older.store(index: 0, [1]) }
        _ = try replica.beginImport(manifest)
        #expect(throws: ReplicaError.self) { try older.finish() }
    }

    @Test func chunksOfAnOfferThatAreDamagedAreMadeAgain() throws {
        let stage = ReplicaStage()
        let replica = try stage.open()
        _ = try replica.apply(stage.frame(["a": [1]]))
        let chunk = try #require(replica.exportSnapshot().chunks.first)
        try stage.change("export/\(chunk.hash)") { $0[5] ^= 1 }
        #expect(replica.exportedChunk(chunk.hash) == nil)
        _ = try replica.exportSnapshot()
        #expect(replica.exportedChunk(chunk.hash) != nil)
        #expect(replica.exportedChunk(.zero) == nil)
    }
}
