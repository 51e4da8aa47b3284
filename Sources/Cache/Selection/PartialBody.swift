// A body of which some parts are here (RFC 9111, section 3.3): what 206 answers brought, each copied to exactly its
// size. Immutable; adding makes a new one that shares what it keeps.

import Limits
package import NIOCore

package final class PartialBody: Sendable {
    /// Bytes that lie together.
    package struct Piece: Sendable {
        package let range: Range<UInt64>
        package let bytes: ByteBuffer
    }

    /// Sorted; they do not overlap, but may touch.
    package let pieces: [Piece]
    /// Bytes of memory it is charged with.
    package let memoryBytes: Int
    /// Bytes of the body that are here.
    package let byteCount: UInt64

    /// A body of which nothing is here.
    package convenience init() { self.init(pieces: []) }

    private init(pieces: [Piece]) {
        self.pieces = pieces
        memoryBytes = pieces.reduce(64) { $0 + StoredBody.rounded($1.bytes.storageCapacity) + 64 }
        byteCount = pieces.reduce(0) { $0 &+ ($1.range.upperBound &- $1.range.lowerBound) }
    }

    // MARK: What is here

    package func covers(_ range: Range<UInt64>) -> Bool { firstGap(in: range) == nil }

    /// Whether all of a representation of that length is here.
    package func isComplete(length: UInt64) -> Bool { covers(0..<length) }

    /// The first bytes of `range` that are not here, up to the next ones that are: what to ask the origin for. Nil if
    /// all are here.
    package func firstGap(in range: Range<UInt64>) -> Range<UInt64>? {
        var position = range.lowerBound
        var index = firstIndex(endingBehind: position)
        while position < range.upperBound {
            guard index < pieces.count, pieces[index].range.lowerBound < range.upperBound else {
                return position..<range.upperBound
            }
            let piece = pieces[index].range
            if piece.lowerBound > position { return position..<piece.lowerBound }
            position = piece.upperBound
            index += 1
        }
        return nil
    }

    /// The bytes of `range`, in order, sharing memory with this body; nil if some are not here.
    package func slices(of range: Range<UInt64>) -> [ByteBuffer]? {
        guard covers(range) else { return nil }
        guard !range.isEmpty else { return [] }
        var slices: [ByteBuffer] = []
        var index = firstIndex(endingBehind: range.lowerBound)
        while index < pieces.count, pieces[index].range.lowerBound < range.upperBound {
            let wanted = pieces[index].range.clamped(to: range)
            guard let slice = Self.slice(pieces[index], wanted) else { return nil }
            slices.append(slice)
            index += 1
        }
        return slices
    }

    /// The whole body, once it is complete: no longer a partial one.
    package func whole(length: UInt64) -> BlockBody? {
        slices(of: 0..<length).map { BlockBody(blocks: $0) }
    }

    /// The first piece that ends behind `position`.
    private func firstIndex(endingBehind position: UInt64) -> Int {
        var low = 0
        var high = pieces.count
        while low < high {
            let middle = (low + high) / 2
            if pieces[middle].range.upperBound > position {
                high = middle
            } else {
                low = middle + 1
            }
        }
        return low
    }

    private static func slice(_ piece: Piece, _ range: Range<UInt64>) -> ByteBuffer? {
        let start = piece.bytes.readerIndex + Int(clamping: range.lowerBound &- piece.range.lowerBound)
        return piece.bytes.getSlice(at: start, length: Int(clamping: range.upperBound &- range.lowerBound))
    }

    // MARK: Adding

    /// This body and `bytes`, which begin at `offset`. They must be of the same representation, told by a strong
    /// validator; so what is here already stays as it is.
    /// - Returns: nil if that would be too many pieces, or lie beyond what can be counted.
    package func adding(_ bytes: [ByteBuffer], at offset: UInt64) -> PartialBody? {
        var added: [Piece] = []
        var position = offset
        for buffer in bytes where buffer.readableBytes > 0 {
            let (end, isTooFar) = position.addingReportingOverflow(UInt64(buffer.readableBytes))
            guard !isTooFar else { return nil }
            let incoming = Piece(range: position..<end, bytes: buffer)
            while let gap = firstGap(in: position..<end) {
                guard let slice = Self.slice(incoming, gap) else { return nil }
                added.append(Piece(range: gap, bytes: slice))
                position = gap.upperBound
                if position == end { break }
            }
            position = end
        }
        if added.isEmpty { return self }
        let joined = Self.joined(merged(with: added))
        return joined.count <= Limits.cachePartialPiecesMax ? PartialBody(pieces: joined) : nil
    }

    /// Both, in order.
    private func merged(with added: [Piece]) -> [Piece] {
        var result: [Piece] = []
        result.reserveCapacity(pieces.count + added.count)
        var next = 0
        for piece in pieces {
            while next < added.count, added[next].range.lowerBound < piece.range.lowerBound {
                result.append(added[next])
                next += 1
            }
            result.append(piece)
        }
        result.append(contentsOf: added[next...])
        return result
    }

    /// Joins neighbours that touch while they fit into one block, and copies whatever holds more memory than it needs:
    /// a slice keeps the whole buffer alive that it was cut from.
    private static func joined(_ pieces: [Piece]) -> [Piece] {
        var result: [Piece] = []
        var index = 0
        while index < pieces.count {
            var end = index + 1
            var count = pieces[index].bytes.readableBytes
            while end < pieces.count, pieces[end].range.lowerBound == pieces[end - 1].range.upperBound,
                count + pieces[end].bytes.readableBytes <= Limits.cacheBlockBytes
            {
                count += pieces[end].bytes.readableBytes
                end += 1
            }
            result.append(end == index + 1 ? exact(pieces[index]) : copy(pieces[index..<end], count: count))
            index = end
        }
        return result
    }

    private static func exact(_ piece: Piece) -> Piece {
        guard piece.bytes.storageCapacity > piece.bytes.readableBytes else { return piece }
        return Piece(range: piece.range, bytes: ExactBuffer.copy(piece.bytes))
    }

    private static func copy(_ pieces: ArraySlice<Piece>, count: Int) -> Piece {
        let bytes = ExactBuffer.make(count: count) { target in
            var offset = 0
            for piece in pieces {
                piece.bytes.withUnsafeReadableBytes { source in
                    UnsafeMutableRawBufferPointer(rebasing: target[offset...]).copyMemory(from: source)
                }
                offset += piece.bytes.readableBytes
            }
        }
        let start = pieces.first?.range.lowerBound ?? 0
        return Piece(range: start..<start &+ UInt64(count), bytes: bytes)
    }
}
