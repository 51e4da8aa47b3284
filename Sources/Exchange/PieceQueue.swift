package import NIOCore

/// Pieces of a body in their order, taken out in other sizes than they came in. Nothing is copied before it is taken.
package struct PieceQueue {
    private var pieces: ContiguousArray<ByteBuffer> = []
    /// Index of the first piece that is not used up.
    private var first = 0
    package private(set) var byteCount = 0

    package init() {}

    package var isEmpty: Bool { byteCount == 0 }

    package mutating func append(_ bytes: ByteBuffer) {
        guard bytes.readableBytes > 0 else { return }
        byteCount += bytes.readableBytes
        pieces.append(bytes)
    }

    /// Copies the next bytes into `memory`, as many as it holds.
    ///
    /// - Returns: how many were copied: fewer where fewer are there.
    package mutating func take(into memory: UnsafeMutableRawBufferPointer) -> Int {
        var written = 0
        while written < memory.count, first < pieces.count {
            let count = min(pieces[first].readableBytes, memory.count - written)
            pieces[first].withUnsafeReadableBytes { source in
                UnsafeMutableRawBufferPointer(rebasing: memory[written...])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: source.prefix(count)))
            }
            written += count
            pieces[first].moveReaderIndex(forwardBy: count)
            guard pieces[first].readableBytes == 0 else { break }
            // What is used up must not hold its memory until the queue is.
            pieces[first] = ByteBuffer()
            first += 1
        }
        byteCount -= written
        if first == pieces.count { forget() }
        return written
    }

    package mutating func removeAll() {
        byteCount = 0
        forget()
    }

    private mutating func forget() {
        first = 0
        if !pieces.isEmpty { pieces.removeAll(keepingCapacity: pieces.capacity <= 16) }
    }
}
