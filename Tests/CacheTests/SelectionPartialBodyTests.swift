// Bodies with gaps, against a model that holds every byte by itself.

import Cache
import Limits
import NIOCore
import Testing

@Suite("Partial bodies")
struct SelectionPartialBodyTests {
    /// Byte `n` of the body everybody has a part of.
    private func byte(_ offset: Int) -> UInt8 { UInt8(truncatingIfNeeded: offset &* 31 &+ offset / 256) }

    private func buffer(_ range: Range<Int>) -> ByteBuffer { ByteBuffer(bytes: range.map(byte)) }

    private func bytes(_ buffers: [ByteBuffer]) -> [UInt8] { buffers.flatMap { Array($0.readableBytesView) } }

    @Test("nothing covers only nothing")
    func empty() throws {
        let body = PartialBody()
        #expect(body.byteCount == 0)
        #expect(body.firstGap(in: 3..<9) == 3..<9)
        #expect(body.covers(5..<5) && !body.covers(5..<6))
        #expect(body.isComplete(length: 0) && !body.isComplete(length: 1))
        #expect(body.slices(of: 0..<1) == nil)
        #expect(body.adding([ByteBuffer()], at: 7) === body)
        #expect(try #require(body.whole(length: 0)).byteCount == 0)
    }

    @Test("gaps are found, and filled")
    func gaps() throws {
        let first = try #require(PartialBody().adding([buffer(10..<20)], at: 10))
        let both = try #require(first.adding([buffer(30..<40)], at: 30))
        #expect(both.firstGap(in: 0..<50) == 0..<10)
        #expect(both.firstGap(in: 10..<50) == 20..<30)
        #expect(both.firstGap(in: 15..<25) == 20..<25)
        #expect(both.firstGap(in: 35..<50) == 40..<50)
        #expect(both.firstGap(in: 12..<18) == nil)
        #expect(both.covers(30..<40) && !both.covers(29..<40) && !both.covers(30..<41))
        // One answer over all of it fills what is missing.
        let all = try #require(both.adding([buffer(0..<25), buffer(25..<50)], at: 0))
        #expect(all.isComplete(length: 50) && !all.isComplete(length: 51))
        #expect(all.byteCount == 50)
        #expect(try bytes(#require(all.slices(of: 5..<45))) == (5..<45).map(byte))
        #expect(try bytes(#require(all.whole(length: 50)).blocks) == (0..<50).map(byte))
        // The others are as they were.
        #expect(first.byteCount == 10 && both.byteCount == 20)
    }

    @Test("what is here already stays")
    func keeps() throws {
        let body = try #require(PartialBody().adding([ByteBuffer(string: "abc")], at: 1))
        let more = try #require(body.adding([ByteBuffer(string: "XXXXX")], at: 0))
        #expect(try bytes(#require(more.slices(of: 0..<5))) == Array("XabcX".utf8))
        #expect(body.adding([ByteBuffer(string: "YY")], at: 2) === body)
    }

    @Test("memory is what the bytes take, not what they were cut from")
    func exact() throws {
        let large = ByteBuffer(repeating: 7, count: 1_000_000)
        let slice = try #require(large.getSlice(at: 0, length: 1000))
        let body = try #require(PartialBody().adding([slice], at: 0))
        #expect(body.memoryBytes < 2000)
        #expect(body.pieces.allSatisfy { $0.bytes.storageCapacity == $0.bytes.readableBytes })
    }

    @Test("neighbours become one up to a block")
    func joins() throws {
        let half = Limits.cacheBlockBytes / 2
        var body = PartialBody()
        for index in 0..<6 {
            let offset = index * half
            body = try #require(body.adding([buffer(offset..<offset + half)], at: UInt64(offset)))
        }
        #expect(body.pieces.map { $0.bytes.readableBytes } == [half * 2, half * 2, half * 2])
        #expect(try bytes(#require(body.slices(of: 0..<UInt64(half * 6)))) == (0..<half * 6).map(byte))
    }

    @Test("a range that begins where a piece ends has nothing of that piece")
    func touching() throws {
        let block = Limits.cacheBlockBytes
        let body = try #require(PartialBody().adding([buffer(0..<block), buffer(block..<block + 9)], at: 0))
        #expect(body.pieces.count == 2)
        let slices = try #require(body.slices(of: UInt64(block)..<UInt64(block + 3)))
        #expect(slices.map { Array($0.readableBytesView) } == [(block..<block + 3).map(byte)])
    }

    @Test("too many pieces, or too far, are refused")
    func bounds() throws {
        var body = PartialBody()
        for index in 0..<Limits.cachePartialPiecesMax {
            body = try #require(body.adding([ByteBuffer(string: "x")], at: UInt64(index * 2)))
        }
        #expect(body.pieces.count == Limits.cachePartialPiecesMax)
        #expect(body.adding([ByteBuffer(string: "x")], at: 1_000_000) == nil)
        // One that joins others is welcome.
        #expect(try #require(body.adding([ByteBuffer(string: "x")], at: 1)).pieces.count < body.pieces.count)
        #expect(PartialBody().adding([ByteBuffer(string: "xx")], at: UInt64.max) == nil)
        let last = try #require(PartialBody().adding([ByteBuffer(string: "x")], at: UInt64.max - 1))
        #expect(last.covers(UInt64.max - 1..<UInt64.max))
    }

    @Test("any sequence of additions")
    func property() throws {
        var random = SelectionRandom(0x7061_7274)
        for _ in 0..<150 {
            let length = 1 + random.below(200)
            var model = [Bool](repeating: false, count: length)
            var body = PartialBody()
            for _ in 0..<12 {
                let start = random.below(length)
                let end = min(length, start + random.below(40))
                let cut = start + random.below(end - start + 1)
                body = try #require(body.adding([buffer(start..<cut), buffer(cut..<end)], at: UInt64(start)))
                for offset in start..<end { model[offset] = true }
                try compare(body, model, &random)
            }
        }
    }

    private func compare(_ body: PartialBody, _ model: [Bool], _ random: inout SelectionRandom) throws {
        #expect(body.byteCount == UInt64(model.filter { $0 }.count))
        #expect(zip(body.pieces, body.pieces.dropFirst()).allSatisfy { $0.range.upperBound <= $1.range.lowerBound })
        #expect(body.isComplete(length: UInt64(model.count)) == model.allSatisfy { $0 })
        for _ in 0..<8 {
            let start = random.below(model.count)
            let end = start + random.below(model.count - start + 1)
            let range = UInt64(start)..<UInt64(end)
            if let gap = (start..<end).first(where: { !model[$0] }) {
                let gapEnd = (gap..<end).first { model[$0] } ?? end
                #expect(body.firstGap(in: range) == UInt64(gap)..<UInt64(gapEnd))
                #expect(!body.covers(range))
                #expect(body.slices(of: range) == nil)
            } else {
                #expect(body.covers(range) && body.firstGap(in: range) == nil)
                let slices = try #require(body.slices(of: range))
                #expect(bytes(slices) == (start..<end).map(byte))
                #expect(slices.allSatisfy { $0.readableBytes > 0 })
            }
        }
    }
}
