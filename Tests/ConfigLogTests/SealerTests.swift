import ConfigLog
import Limits
import Testing

@Suite("Sealing frames")
struct SealerTests {
    private static let start = LogPosition(epoch: 1, sequence: 0, hash: .zero)
    private static func change(_ bytes: Int) -> [Change] {
        [Change(key: "k", value: Array(repeating: 1, count: bytes))]
    }

    @Test("the first change leaves at once, those behind it together after 20 ms")
    func pace() throws {
        var sealer = LogSealer(at: Self.start)
        #expect(sealer.nextDeadline(now: 1000) == nil)
        try sealer.add(Self.change(10), committedAt: 5)
        #expect(sealer.nextDeadline(now: 1000) == 1000)
        let first = try #require(try sealer.seal(now: 1000))
        #expect((first.first, first.last, first.committedAtMilliseconds) == (1, 1, 5))
        for number in 0..<3 as Range<UInt64> { try sealer.add(Self.change(10), committedAt: 6 + number) }
        #expect(sealer.nextDeadline(now: 1005) == 1020)
        #expect(try sealer.seal(now: 1019) == nil)
        let second = try #require(try sealer.seal(now: 1020))
        #expect((second.first, second.last, second.committedAtMilliseconds) == (2, 4, 8))
        #expect(throws: Never.self) { try second.check(follows: first.position) }
        #expect(sealer.position == second.position)
        // After a silence at once again.
        try sealer.add(Self.change(10), committedAt: 9)
        #expect(sealer.nextDeadline(now: 2000) == 2000)
    }

    @Test("a full frame does not wait, and no group is split")
    func full() throws {
        var sealer = LogSealer(at: Self.start)
        for _ in 0..<5 { try sealer.add(Self.change(400_000), committedAt: 1) }
        var frames: [Frame] = []
        while let frame = try sealer.seal(now: 50) { frames.append(frame) }
        #expect(frames.map(\.groups.count) == [2, 2])
        #expect(frames.allSatisfy { $0.bytes.count <= Limits.configFrameBytesTarget + 200 })
        // What is left is not full, and waits its 20 ms.
        #expect(sealer.nextDeadline(now: 50) == 70)
        try #expect(#require(try sealer.seal(now: 70)).last == 5)
    }

    @Test("the largest group goes into a frame of its own")
    func large() throws {
        var sealer = LogSealer(at: Self.start)
        try sealer.add(Self.change(10), committedAt: 1)
        try sealer.add(Self.change(Limits.configGroupBytesMax - 20), committedAt: 1)
        #expect(try sealer.seal(now: 1)?.last == 1)
        let frame = try #require(try sealer.seal(now: 1))
        #expect(frame.bytes.count <= Limits.configFrameBytesMax)
        #expect(try Frame(decoding: frame.bytes) == frame)
    }

    @Test("what cannot be sealed is refused when it is added")
    func refused() throws {
        var sealer = LogSealer(at: Self.start)
        #expect(throws: ConfigLogError.self) { try sealer.add([Change(key: "", value: nil)], committedAt: 0) }
        #expect(throws: ConfigLogError.self) {
            try sealer.add(Self.change(Limits.configGroupBytesMax), committedAt: 0)
        }
        for _ in 0..<8 { try sealer.add(Self.change(Limits.configGroupBytesMax - 200), committedAt: 0) }
        #expect(throws: ConfigLogError.self) { try sealer.add(Self.change(4000), committedAt: 0) }
        #expect(sealer.position == Self.start)
    }
}
