import Cache
import Limits
import NIOCore

/// What of a representation goes to a client, in order, and how far that has come.
struct BodyPlan {
    /// Where the representation's bytes are.
    enum Source {
        case none
        case buffer(ByteBuffer)
        case blocks(BlockBody)
        case partial(PartialBody)
        case file(FileBody)
        /// They are still coming in.
        case fill
    }

    enum Part {
        /// Bytes as they are: the heads of a multipart body.
        case bytes(ByteBuffer)
        /// Positions in the representation; up to `UInt64.max` means to its end, wherever that will be.
        case range(Range<UInt64>)
    }

    var source = Source.none
    private var parts: [Part] = []
    /// The part that is being sent, where it is not one of `parts`: most responses have just one.
    private(set) var current: Part?
    private var nextPart = 0
    /// Of the range being sent: the first byte not sent.
    var position: UInt64 = 0
    var trailers: ByteBuffer?
    /// The block that holds `position`, and where it begins.
    private var blockIndex = 0
    private var blockStart: UInt64 = 0

    init() {}

    init(_ source: Source, range: Range<UInt64>) {
        self.source = source
        current = .range(range)
        position = range.lowerBound
    }

    init(_ source: Source, parts: [Part]) {
        self.source = source
        self.parts = parts
        advance()
    }

    /// Whether anything is, or was, to be sent by it.
    var isActive: Bool {
        if case .none = source { return false }
        return true
    }

    /// On to the next part.
    mutating func advance() {
        guard nextPart < parts.count else {
            current = nil
            return
        }
        current = parts[nextPart]
        nextPart += 1
        if case .range(let range)? = current {
            position = range.lowerBound
            blockIndex = 0
            blockStart = 0
        }
    }

    /// The end of a range that was open is known now.
    mutating func close(at end: UInt64) {
        if case .range(let range)? = current, range.upperBound > end {
            current = .range(min(range.lowerBound, end)..<end)
        }
    }

    /// The next bytes at `position`, at most `Limits.cacheSendBytes` and up to `end`; nil if the source has none there.
    mutating func nextBytes(upTo end: UInt64) -> ByteBuffer? {
        switch source {
        case .buffer(let buffer): return Self.slice(buffer, startingAt: 0, from: position, to: end)
        case .blocks(let body): return nextBytes(of: body, upTo: end)
        case .partial(let body): return body.slices(of: position..<end)?.first
        case .none, .file, .fill: return nil
        }
    }

    private mutating func nextBytes(of body: BlockBody, upTo end: UInt64) -> ByteBuffer? {
        if position < blockStart {
            blockIndex = 0
            blockStart = 0
        }
        while blockIndex < body.blocks.count {
            let blockEnd = blockStart &+ UInt64(body.blocks[blockIndex].readableBytes)
            if position < blockEnd { break }
            blockStart = blockEnd
            blockIndex += 1
        }
        guard blockIndex < body.blocks.count else { return nil }
        return Self.slice(body.blocks[blockIndex], startingAt: blockStart, from: position, to: end)
    }

    /// Of a buffer whose first byte stands at `start` of the representation.
    static func slice(_ buffer: ByteBuffer, startingAt start: UInt64, from: UInt64, to: UInt64) -> ByteBuffer? {
        guard from >= start, to > from else { return nil }
        let skipped = from &- start
        guard skipped < UInt64(buffer.readableBytes) else { return nil }
        let length = min(to &- from, UInt64(buffer.readableBytes) &- skipped)
        return buffer.getSlice(at: buffer.readerIndex + Int(skipped), length: Int(length))
    }
}
