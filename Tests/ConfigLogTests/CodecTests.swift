import ConfigLog
import Limits
import Testing

@Suite("Changes, frames and positions as bytes")
struct CodecTests {
    private static let changes = [
        Change(key: "zone/1/dns/a", value: Array("192.0.2.1".utf8)), Change(key: "zone/1/dns/b", value: nil),
        Change(key: "ü/€", value: []),
    ]

    private static func frame(_ groups: [[Change]] = [changes, [], [Change(key: "k", value: [1])]]) throws -> Frame {
        try Frame.seal(epoch: 3, after: (41, ChainHash.of([9])), groups: groups, committedAt: 1_700_000_000_123)
    }

    @Test("a group comes back as it was")
    func group() throws {
        let group = ChangeGroup(sequence: 7, changes: Self.changes)
        let bytes = try group.encoded()
        #expect(bytes.count == group.encodedByteCount)
        #expect(try ChangeGroup(decoding: bytes) == group)
        #expect(try ChangeGroup(decoding: ChangeGroup(sequence: 0, changes: []).encoded()).changes.isEmpty)
    }

    @Test("keys of 1 to 500 bytes are taken, others are refused on both sides", arguments: [0, 1, 500, 501])
    func keyBounds(count: Int) throws {
        let group = ChangeGroup(sequence: 1, changes: [Change(key: String(repeating: "k", count: count), value: [])])
        if 1...500 ~= count {
            #expect(try ChangeGroup(decoding: group.encoded()) == group)
        } else {
            let error = #expect(throws: ConfigLogError.self) { try group.encoded() }
            #expect(error?.kind == .tooLarge)
            #expect(error?.description.contains("found \(count)") == true)
            // The same, as somebody else might have written it.
            var bytes: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, UInt8(count >> 8), UInt8(count & 255)]
            bytes += Array(repeating: 107, count: count)
            #expect(throws: ConfigLogError.self) { try ChangeGroup(decoding: bytes) }
        }
    }

    @Test("a group beyond its bound is refused before it is made")
    func groupBound() {
        // Twelve bytes of the group and eight of the change stand beside the value.
        let value = [UInt8](repeating: 0, count: Limits.configGroupBytesMax - 20)
        #expect(throws: Never.self) {
            try ChangeGroup(sequence: 1, changes: [Change(key: "a", value: value)]).encoded()
        }
        #expect(throws: ConfigLogError.self) {
            try ChangeGroup(sequence: 1, changes: [Change(key: "a", value: value + [0])]).encoded()
        }
    }

    @Test("keys that are not UTF-8, kinds that do not exist and bytes left over are refused")
    func malformed() throws {
        let head: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1]
        for tail in [[0, 0, 1, 0xFF], [2, 0, 1, 97], [0, 0, 1, 97, 0]] as [[UInt8]] {
            let error = #expect(throws: ConfigLogError.self) { try ChangeGroup(decoding: head + tail) }
            #expect(error?.kind == .malformed)
        }
        // A count that the bytes cannot hold reserves nothing.
        let error = #expect(throws: ConfigLogError.self) {
            try ChangeGroup(decoding: [0, 0, 0, 0, 0, 0, 0, 1, 255, 255, 255, 255, 0, 0])
        }
        #expect(error?.kind == .truncated)
    }

    @Test("a frame comes back as it was, and its bytes are the same")
    func frame() throws {
        let frame = try Self.frame()
        let read = try Frame(decoding: frame.bytes)
        #expect(read == frame && read.groups == frame.groups && read.hash == frame.hash)
        #expect((read.epoch, read.first, read.last) == (3, 42, 44))
        #expect(read.previous == ChainHash.of([9]))
        #expect(read.committedAtMilliseconds == 1_700_000_000_123)
        #expect(read.groups.map(\.sequence) == [42, 43, 44])
        #expect(read.changeCount == 4)
        #expect(read.position == LogPosition(epoch: 3, sequence: 44, hash: frame.hash))
    }

    @Test("a frame's hash is the SHA-256 of the previous hash and all before it")
    func frameHash() throws {
        let frame = try Self.frame()
        #expect(frame.hash == ChainHash.of(frame.previous.bytes + frame.bytes.dropLast(32)))
        #expect(Array(frame.bytes.suffix(32)) == frame.hash.bytes)
        // FIPS 180-4's example.
        #expect(
            ChainHash.of(Array("abc".utf8)).description
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    @Test("no single damaged byte goes unseen, and no beginning passes for the whole")
    func damage() throws {
        let bytes = try Self.frame().bytes
        for index in bytes.indices {
            var damaged = bytes
            damaged[index] ^= 1 << UInt8(index % 8)
            #expect(throws: ConfigLogError.self) { try Frame(decoding: damaged) }
            #expect(throws: ConfigLogError.self) { try Frame(decoding: Array(bytes[..<index])) }
        }
        #expect(throws: ConfigLogError.self) { try Frame(decoding: bytes + [0]) }
        var other = bytes
        other[3] = 2
        #expect(throws: ConfigLogError(.unknownVersion, "a frame", expected: "version 1", found: "2")) {
            try Frame(decoding: other)
        }
    }

    @Test("content that hashes right and is wrong is refused as well")
    func forged() throws {
        let frame = try Self.frame()
        // Another last sequence, another group's number, an epoch of 0: each with a hash that fits.
        for (offset, value) in [(27, 45), (12 + 7, 40), (11, 0), (71, 9), (79, 1)] as [(Int, UInt8)] {
            var bytes = Array(frame.bytes.dropLast(32))
            bytes[offset] = value
            bytes += ChainHash.of(frame.previous.bytes + bytes).bytes
            let error = #expect(throws: ConfigLogError.self) { try Frame(decoding: bytes) }
            #expect(error?.kind != .wrongHash, "\(offset)")
        }
    }

    @Test("random bytes never trap")
    func noise() {
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<2000 {
            let bytes = (0..<Int(generator.below(200))).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
            _ = try? Frame(decoding: [0x4D, 0x4C, 0x46, 1] + bytes)
            _ = try? ChangeGroup(decoding: bytes)
            _ = try? SnapshotManifest(decoding: bytes)
            _ = try? LogPosition(decoding: bytes)
        }
    }

    @Test("sealing refuses nothing at all, an epoch of 0, and sequences that would overflow")
    func seal() {
        #expect(throws: ConfigLogError.self) {
            try Frame.seal(epoch: 1, after: (0, .zero), groups: [], committedAt: 0)
        }
        #expect(throws: ConfigLogError.self) {
            try Frame.seal(epoch: 0, after: (0, .zero), groups: [[]], committedAt: 0)
        }
        #expect(throws: ConfigLogError.self) {
            try Frame.seal(epoch: 1, after: (.max, .zero), groups: [[]], committedAt: 0)
        }
    }

    @Test("what follows, what has a gap, what is forked and what is of another epoch")
    func follows() throws {
        let frame = try Self.frame()
        let place = LogPosition(epoch: 3, sequence: 41, hash: ChainHash.of([9]))
        #expect(throws: Never.self) { try frame.check(follows: place) }
        func kind(_ change: (inout LogPosition) -> Void) -> ConfigLogError.Kind? {
            var other = place
            change(&other)
            do { try frame.check(follows: other) } catch { return error.kind }
            return nil
        }
        #expect(kind { $0.sequence = 40 } == .gap)
        #expect(kind { $0.sequence = 42 } == .gap)
        #expect(kind { $0.hash = .zero } == .forked)
        #expect(kind { $0.epoch = 2 } == .otherEpoch)
        #expect(kind { $0 = .none } == .gap)
        let first = try Frame.seal(epoch: 3, after: (0, .zero), groups: [[]], committedAt: 0)
        #expect(throws: Never.self) { try first.check(follows: .none) }
    }

    @Test("positions and hashes as bytes and as text")
    func positions() throws {
        let position = LogPosition(epoch: 2, sequence: 1 << 40, hash: ChainHash.of([1, 2]))
        #expect(position.encoded.count == 48)
        #expect(try LogPosition(decoding: position.encoded) == position)
        #expect(ChainHash(hex: position.hash.description) == position.hash)
        #expect(ChainHash(bytes: position.hash.bytes) == position.hash)
        #expect(ChainHash(bytes: [1]) == nil && ChainHash(hex: "xy") == nil)
        #expect(ChainHash(hex: String(repeating: "g", count: 64)) == nil)
    }

    @Test("a manifest comes back as it was, within its bounds")
    func manifest() throws {
        let position = LogPosition(epoch: 1, sequence: 9, hash: ChainHash.of([1]))
        let chunks = (1...5).map { SnapshotManifest.Chunk(hash: ChainHash.of([UInt8($0)]), byteCount: $0 * 1000) }
        let manifest = SnapshotManifest(position: position, chunks: chunks)
        #expect(manifest.byteCount == 15_000)
        #expect(try SnapshotManifest(decoding: manifest.encoded()) == manifest)
        for byteCount in [0, Limits.configChunkBytesMax + 1] {
            let wrong = SnapshotManifest(position: position, chunks: [.init(hash: .zero, byteCount: byteCount)])
            #expect(throws: ConfigLogError.self) { try wrong.encoded() }
        }
        let many = Array(repeating: chunks[0], count: Limits.configSnapshotChunksMax + 1)
        #expect(throws: ConfigLogError.self) { try SnapshotManifest(position: position, chunks: many).encoded() }
    }
}
