// Bodies that wait: every byte comes out once and in order, and small pieces do not hold on to large buffers.

import Exchange
import NIOCore
import Testing

@Suite("PieceQueue")
struct PieceQueueTests {
    /// A slice of a buffer many times its size, as reads make them.
    private func slice(_ bytes: [UInt8]) -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: 65_536)
        buffer.writeBytes(bytes)
        return buffer
    }

    private func take(_ queue: inout PieceQueue, _ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let taken = bytes.withUnsafeMutableBytes { queue.take(into: $0) }
        return Array(bytes.prefix(taken))
    }

    /// Bytes of memory that its pieces hold on to.
    private func memory(_ queue: PieceQueue) -> Int {
        Mirror(reflecting: queue).children.compactMap { $0.value as? ContiguousArray<ByteBuffer> }
            .flatMap { $0 }.reduce(0) { $0 + $1.storageCapacity }
    }

    @Test("a random history of pieces and takes agrees with an array")
    func model() {
        var random = SeededGenerator(seed: 5)
        var queue = PieceQueue()
        var model: [UInt8] = []
        for _ in 0..<3_000 {
            switch Int.random(in: 0..<8, using: &random) {
            case 0..<4:
                let count = Bool.random(using: &random) ? 20 : 9_000
                let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
                queue.append(Bool.random(using: &random) ? slice(bytes) : ByteBuffer(bytes: bytes))
                model += bytes
            case 4..<7:
                let taken = take(&queue, Int.random(in: 1...20_000, using: &random))
                #expect(taken.elementsEqual(model.prefix(taken.count)))
                model.removeFirst(taken.count)
            default: queue.compact()
            }
            #expect(queue.byteCount == model.count)
        }
        #expect(take(&queue, model.count) == model)
        #expect(queue.isEmpty)
    }

    @Test("many small pieces take about the memory of their bytes once the first is compacted")
    func smallPieces() {
        var queue = PieceQueue()
        for index in 0..<3_000 { queue.append(slice(Array(repeating: UInt8(truncatingIfNeeded: index), count: 20))) }
        queue.compact()
        #expect(memory(queue) <= 4 * queue.byteCount)
    }

    @Test("a piece that goes out at once is not copied")
    func noCopy() {
        var queue = PieceQueue()
        let piece = slice([1, 2, 3])
        queue.append(piece)
        #expect(memory(queue) == piece.storageCapacity)
    }
}
