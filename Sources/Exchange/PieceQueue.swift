package import NIOCore

/// Pieces of a body in their order, taken out in other sizes than they came in.
///
/// Nothing is copied before it is taken, but for small pieces that have to wait: each would hold on to the read buffer
/// that it came in, which may be a hundred times its size.
package struct PieceQueue {
    private var pieces: ContiguousArray<ByteBuffer> = []
    /// Index of the first piece that is not used up.
    private var first = 0
    /// The last piece is a copy that nobody else has: small ones go behind what is in it.
    private var ownsLast = false
    package private(set) var byteCount = 0

    package init() {}

    package var isEmpty: Bool { byteCount == 0 }

    package mutating func append(_ bytes: ByteBuffer) {
        guard bytes.readableBytes > 0 else { return }
        let mustWait = byteCount > 0
        byteCount += bytes.readableBytes
        if mustWait, Self.isWasteful(bytes) { return appendCopy(bytes) }
        pieces.append(bytes)
        ownsLast = false
    }

    /// Pieces of less than this, in storage of more than four times their size, are copied.
    private static let smallBytes = 4096
    private static let ownBytesMax = 16 * 1024

    private static func isWasteful(_ bytes: ByteBuffer) -> Bool {
        bytes.readableBytes < smallBytes && bytes.storageCapacity > 4 * bytes.readableBytes
    }

    private mutating func appendCopy(_ bytes: ByteBuffer) {
        let last = pieces.count - 1
        if ownsLast, last >= first, pieces[last].readableBytes < Self.ownBytesMax {
            pieces[last].writeImmutableBuffer(bytes)
        } else {
            pieces.append(ByteBuffer(bytes: bytes.readableBytesView))
            ownsLast = true
        }
    }

    /// What is here will stay for a while: no piece keeps more memory than it needs.
    package mutating func compact() {
        for index in first..<pieces.count where Self.isWasteful(pieces[index]) {
            pieces[index] = ByteBuffer(bytes: pieces[index].readableBytesView)
        }
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
        ownsLast = false
        if !pieces.isEmpty { pieces.removeAll(keepingCapacity: pieces.capacity <= 16) }
    }
}
