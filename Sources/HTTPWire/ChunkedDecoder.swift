// The chunked coding (RFC 9112, section 7.1), from bytes in pieces of any size to ranges of body bytes.
//
//     size [;extension] CRLF  data CRLF  …  0 CRLF  [trailer CRLF …]  CRLF
//
// What may surprise:
// - white space around the size, `0x`, more than `Limits.chunkSizeDigitsMax` digits and a bare LF are errors;
// - extensions are read past within their bounds and dropped;
// - trailers are copied out, since they may come in pieces; without trailers nothing is ever allocated;
// - after an error the decoder repeats it for ever: there is no way back into step (RFC 9112, section 7.1).

internal import Limits

/// Takes the chunked coding off a body. One decoder serves one direction of one connection; `reset()` between bodies.
package struct ChunkedDecoder: Sendable {
    /// What `next` found.
    package enum Step: Sendable, Equatable {
        /// Everything given is consumed, up to `consumed`; the body goes on.
        case needsMore(consumed: Int)
        /// Body bytes, a range of the bytes given; go on from its upper bound. Never empty.
        case data(Range<Int>)
        /// The body and its trailers ended before the position `upTo`, where the next message starts.
        case end(upTo: Int)
    }

    private enum State: Sendable {
        case sizeStart, size, sizeEnd, extensions, data, dataEnd, dataLineFeed
        case trailersStart, trailers, lastLineFeed, ended
        case failed(WireError)
    }

    private let side: WireError.Side
    private var state = State.sizeStart
    private var digits = 0
    private var extensionBytes = 0
    private var extensionBytesOfMessage = 0
    /// Bytes of the current chunk that have not been handed out.
    package private(set) var chunkBytesLeft: UInt64 = 0
    /// The trailer fields that may be used, once the body has ended; nil if there was no trailer section.
    package private(set) var trailers: TrailerSection?

    package init(side: WireError.Side) { self.side = side }

    /// Makes the decoder new for the next body.
    package mutating func reset() { self = ChunkedDecoder(side: side) }

    /// Whether the body's end was reached.
    package var isEnded: Bool {
        if case .ended = state { true } else { false }
    }

    /// Goes on at `bytes[offset]`. Call again until it says `needsMore` or `end`.
    /// - Throws: what is wrong; the message is lost and the connection closes.
    package mutating func next(_ bytes: Span<UInt8>, from offset: Int) throws(WireError) -> Step {
        var index = max(offset, 0)
        while index < bytes.count {
            switch state {
            case .data:
                let count = min(chunkBytesLeft, UInt64(bytes.count &- index))
                chunkBytesLeft &-= count
                if chunkBytesLeft == 0 { state = .dataEnd }
                // `count` is at most what is left of `bytes`.
                return .data(index..<index &+ Int(truncatingIfNeeded: count))
            case .sizeStart, .size, .sizeEnd:
                try takeSize(bytes, &index)
            case .extensions:
                try takeExtensions(bytes, &index)
            case .dataEnd:
                try expect(ASCII.carriageReturn, bytes, &index, or: .badChunkEnd)
                state = .dataLineFeed
            case .dataLineFeed:
                try expect(ASCII.lineFeed, bytes, &index, or: .bareCarriageReturn)
                state = .sizeStart
            case .trailersStart:
                if bytes.byte(at: index) == ASCII.carriageReturn {
                    index &+= 1
                    state = .lastLineFeed
                } else {
                    trailers = TrailerSection(side: side)
                    state = .trailers
                }
            case .trailers:
                try takeTrailers(bytes, &index)
            case .lastLineFeed:
                try expect(ASCII.lineFeed, bytes, &index, or: .bareCarriageReturn)
                state = .ended
            case .ended:
                return .end(upTo: index)
            case .failed(let error):
                throw error
            }
        }
        if case .ended = state { return .end(upTo: index) }
        if case .failed(let error) = state { throw error }
        return .needsMore(consumed: index)
    }

    /// The digits of a size, the `;` of an extension, the CR and the LF behind.
    private mutating func takeSize(_ bytes: Span<UInt8>, _ index: inout Int) throws(WireError) {
        if case .sizeEnd = state {
            try expect(ASCII.lineFeed, bytes, &index, or: .bareCarriageReturn)
            state = chunkBytesLeft == 0 ? .trailersStart : .data
            return
        }
        if case .sizeStart = state {
            digits = 0
            extensionBytes = 0
            chunkBytesLeft = 0
            state = .size
        }
        while index < bytes.count {
            let byte = bytes.byte(at: index)
            guard let digit = Self.hexDigit(byte) else {
                guard digits > 0 else { throw fail(byte == ASCII.lineFeed ? .bareLineFeed : .badChunkSize, at: index) }
                switch byte {
                case ASCII.carriageReturn: state = .sizeEnd
                case UInt8(ascii: ";"): state = .extensions
                case ASCII.lineFeed: throw fail(.bareLineFeed, at: index)
                default: throw fail(.badChunkSize, at: index)
                }
                index &+= 1
                return
            }
            guard digits < Limits.chunkSizeDigitsMax else { throw fail(.chunkTooLarge, at: index) }
            digits &+= 1
            chunkBytesLeft = chunkBytesLeft &<< 4 | UInt64(digit)
            index &+= 1
        }
    }

    /// Whatever stands between the `;` and the CR: visible bytes and blanks (RFC 9112, section 7.1.1).
    private mutating func takeExtensions(_ bytes: Span<UInt8>, _ index: inout Int) throws(WireError) {
        while index < bytes.count {
            let byte = bytes.byte(at: index)
            if byte == ASCII.carriageReturn {
                index &+= 1
                state = .sizeEnd
                return
            }
            guard byte >= ASCII.space || byte == ASCII.tab, byte != ASCII.delete else {
                throw fail(byte == ASCII.lineFeed ? .bareLineFeed : .badChunkExtension, at: index)
            }
            extensionBytes &+= 1
            extensionBytesOfMessage &+= 1
            guard extensionBytes <= Limits.chunkExtensionBytesMax,
                extensionBytesOfMessage <= Limits.chunkExtensionBytesPerMessageMax
            else { throw fail(.chunkExtensionTooLong, at: index) }
            index &+= 1
        }
    }

    /// Copies lines into the trailer section until its empty line.
    private mutating func takeTrailers(_ bytes: Span<UInt8>, _ index: inout Int) throws(WireError) {
        do {
            if try trailers?.append(bytes, &index) ?? true { state = .ended }
        } catch {
            state = .failed(error)
            throw error
        }
    }

    @inline(__always)
    private mutating func expect(
        _ byte: UInt8, _ bytes: Span<UInt8>, _ index: inout Int, or kind: WireError.Kind
    ) throws(WireError) {
        let found = bytes.byte(at: index)
        guard found == byte else {
            throw fail(found == ASCII.lineFeed ? .bareLineFeed : kind, at: index)
        }
        index &+= 1
    }

    @inline(never)
    private mutating func fail(_ kind: WireError.Kind, at: Int) -> WireError {
        let error = WireError(kind, side: side, at: at)
        state = .failed(error)
        return error
    }

    @inline(__always)
    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        let digit = byte &- ASCII.zero
        if digit < 10 { return digit }
        let letter = (byte | 0x20) &- UInt8(ascii: "a")
        return letter < 6 ? letter &+ 10 : nil
    }
}
