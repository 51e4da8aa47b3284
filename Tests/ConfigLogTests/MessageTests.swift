import ConfigLog
import Limits
import Testing

@Suite("Messages on a connection")
struct MessageTests {
    static let position = LogPosition(epoch: 2, sequence: 77, hash: ChainHash.of([7]))

    static let all: [PeerMessage] = {
        var health = HealthSummary()
        health.cacheHits = 1 << 40
        health.bytesSent = .max
        (health.requests, health.serverErrors) = (1 << 40, 3)
        (health.latencyP99Microseconds, health.crashes, health.refusedObjects) = (1200, 1, 2)
        let report = NodeReport(
            name: "edge-1", role: .leaf, parent: "relay-1", position: position, appliedAtMilliseconds: 5,
            lagMilliseconds: 6, health: health, isConnected: true, software: "1.2")
        var gone = report
        gone.isConnected = false
        let chunk = SnapshotManifest.Chunk(hash: ChainHash.of([1]), byteCount: 3)
        return [
            .hello(PeerMessage.Hello(role: .relay, name: "relay-ü", position: position, software: "1.2")),
            .follow(PeerMessage.Follow(stream: 3, position: position, wantsSnapshot: true)),
            .follow(PeerMessage.Follow(stream: 3, position: .none, wantsSnapshot: false)),
            .answer(PeerMessage.Answer(stream: 4, kind: .behind, head: position)),
            .frame(stream: 9, bytes: [1, 2, 3]), .frame(stream: 1, bytes: []),
            .offer(stream: 5, SnapshotManifest(position: position, chunks: [chunk, chunk])),
            .chunkRequest(ChainHash.of([2])), .chunk(ChainHash.of([2]), bytes: [4, 5]),
            .chunkMissing(ChainHash.of([2])),
            .acknowledgement(
                PeerMessage.Acknowledgement(
                    stream: 1, position: position, appliedAtMilliseconds: 8, lagMilliseconds: 9, health: health)),
            .reports([report, gone]), .reports([]),
            .ping(PeerMessage.Ping(stream: 1, sentSequence: 2, head: position, stalenessMilliseconds: 3)),
            .goodbye(PeerMessage.Goodbye(.slow, "too far behind")),
        ]
    }()

    static func everything() -> RecordReader { RecordReader(accepting: Set(PeerMessage.Kind.allCases)) }

    @Test("every message comes back as it was", arguments: all)
    func roundTrip(message: PeerMessage) throws {
        let record = try PeerRecord(message)
        #expect(record.bytes.count == record.byteCount)
        var reader = Self.everything()
        reader.append(record.bytes)
        #expect(try reader.next() == message)
        #expect(try reader.next() == nil)
        #expect(reader.bufferedByteCount == 0)
    }

    @Test("the list above has every kind")
    func complete() { #expect(Set(Self.all.map(\.kind)) == Set(PeerMessage.Kind.allCases)) }

    @Test("messages come back however their bytes are cut", arguments: 1...40 as ClosedRange<UInt64>)
    func splits(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let messages = (0..<30).map { _ in Self.all[Int(generator.below(UInt64(Self.all.count)))] }
        let bytes = try messages.flatMap { try PeerRecord($0).bytes }
        var reader = Self.everything()
        var found: [PeerMessage] = []
        var start = 0
        while start < bytes.count {
            let count = min(bytes.count - start, 1 + Int(generator.below(seed % 2 == 0 ? 7 : 300)))
            reader.append(Array(bytes[start..<start + count]))
            while let message = try reader.next() { found.append(message) }
            start += count
        }
        #expect(found == messages)
        #expect(reader.bufferedByteCount == 0)
    }

    @Test("a damaged byte is seen, or the content's own hash will see it", arguments: all)
    func damage(message: PeerMessage) throws {
        let record = try PeerRecord(message)
        // A frame's stream and content and a chunk's have no check here: the frame's hash, the next frame's place and the
        // chunk's hash are theirs.
        let checked = message.kind == .frame || message.kind == .chunk ? 8 : record.byteCount
        for index in 0..<checked {
            for bit in 0..<8 {
                var bytes = record.bytes
                bytes[index] ^= 1 << UInt8(bit)
                var reader = Self.everything()
                reader.append(bytes)
                #expect(throws: ConfigLogError.self) { try reader.next() }
            }
        }
    }

    @Test("a beginning is waited for, never taken for the whole", arguments: all)
    func partial(message: PeerMessage) throws {
        let bytes = try PeerRecord(message).bytes
        for count in 0..<bytes.count {
            var reader = Self.everything()
            reader.append(Array(bytes[..<count]))
            #expect(try reader.next() == nil)
            reader.append(Array(bytes[count...]))
            #expect(try reader.next() == message)
        }
    }

    @Test("what may not be sent now is refused by its header")
    func accepted() throws {
        var reader = RecordReader(accepting: [.hello, .goodbye])
        let header = Array(
            try PeerRecord(.frame(stream: 1, bytes: Array(repeating: 0, count: 100_000))).bytes.prefix(8))
        reader.append(header)
        let error = #expect(throws: ConfigLogError.self) { try reader.next() }
        #expect(error?.expected == "a message of goodbye, hello")
    }

    @Test("a message beyond its bound is not made, and not waited for")
    func bounds() throws {
        let chunk = PeerMessage.chunk(.zero, bytes: Array(repeating: 0, count: Limits.configChunkBytesMax + 1))
        #expect(throws: ConfigLogError.self) { try PeerRecord(chunk) }
        // The largest frame is made, and its header with a longer length is refused.
        #expect(RecordReader.bodyBytesMax(.frame) == Limits.configFrameBytesMax + 4)
        for kind in PeerMessage.Kind.allCases {
            #expect(RecordReader.bodyBytesMax(kind) <= Limits.configMessageBytesMax)
        }
    }

    @Test("names are cut at whole characters, and control characters are refused")
    func names() throws {
        let long = PeerMessage.hello(
            PeerMessage.Hello(role: .leaf, name: String(repeating: "é", count: 100), position: .none))
        var reader = Self.everything()
        reader.append(try PeerRecord(long).bytes)
        guard case .hello(let hello) = try reader.next() else { throw Failed() }
        #expect(hello.name == String(repeating: "é", count: 64))
        for name in ["a\u{1B}[2J", ""] {
            var reader = Self.everything()
            reader.append(
                try PeerRecord(.hello(PeerMessage.Hello(role: .leaf, name: name, position: .none))).bytes)
            #expect(throws: ConfigLogError.self) { try reader.next() }
        }
    }

    @Test("noise behind a good header never traps")
    func noise() {
        var generator = SeededGenerator(seed: 11)
        for _ in 0..<3000 {
            var reader = Self.everything()
            reader.append((0..<Int(generator.below(100))).map { _ in UInt8(truncatingIfNeeded: generator.next()) })
            while let message = try? reader.next() { _ = message }
        }
    }

    struct Failed: Error {}
}
