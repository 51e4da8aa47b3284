// What a session tells its shell: references to streams, steps of what was received, grants of what may be sent.

/// A stream, and the place its shell may keep its own things for it at.
///
/// A reference to a stream that is over does no harm: whatever is asked with it does nothing.
package struct HTTP2StreamRef: Sendable, Equatable {
    /// Its identifier on the connection (RFC 9113, section 5.1.1). Never used again.
    package let id: UInt32
    @usableFromInline let place: UInt32

    @inlinable init(id: UInt32, place: UInt32) {
        self.id = id
        self.place = place
    }

    /// A small number, the stream's alone while it is open. `Int(UInt32.max)` for a stream that was never begun.
    @inlinable package var slot: Int { Int(place) }

    /// No stream.
    @inlinable package static var none: HTTP2StreamRef { HTTP2StreamRef(id: 0, place: .max) }
}

/// The next thing that received bytes say. `consumed`: how many leading bytes of those given are done with.
///
/// A stream is over, and its slot free, once both of its halves are: the peer's by `endsStream`, `trailers`, `reset` or
/// `refused`, ours by a head or a grant that ends it. The slot is taken again at the earliest by the next call of `next`
/// or `open`.
package enum HTTP2Step: Sendable, Equatable {
    /// All that is whole is understood.
    case needsMore(consumed: Int)
    /// Server: `arena.request` has a request.
    case request(HTTP2StreamRef, endsStream: Bool, consumed: Int)
    /// Client: `arena.response` has a response, interim ones too.
    case response(HTTP2StreamRef, endsStream: Bool, consumed: Int)
    /// `arena.trailers` has the fields behind the body; the peer's half ends.
    case trailers(HTTP2StreamRef, consumed: Int)
    /// A piece of a body: a range of the bytes given. `flowBytes`, padding included, must be given back by `returnCredit`
    /// once it is dealt with. The range is empty only where `endsStream` is said.
    case data(HTTP2StreamRef, Range<Int>, flowBytes: Int, endsStream: Bool, consumed: Int)
    /// The stream is over: by the peer's RST_STREAM, or by an error of the stream, whose RST_STREAM waits to be written.
    /// Also said of streams that were never told of.
    case reset(HTTP2StreamRef, HTTP2ErrorCode, isByPeer: Bool, consumed: Int)
    /// Server: a head beyond the bounds. The stream is open for an answer; what comes of a body is thrown away.
    case tooLarge(HTTP2StreamRef, consumed: Int)
    /// Server: a head that says what cannot be. The same.
    case malformed(HTTP2StreamRef, WireError, consumed: Int)
    /// Client: the origin has not looked at this request and will not (RFC 9113, section 8.7). The stream is over.
    case refused(HTTP2StreamRef, consumed: Int)
    /// Data may be granted that could not be before.
    case windowOpened(consumed: Int)
    /// The peer wants the connection to end. Streams above `lastID` that were ours were `refused` before.
    case goAway(lastID: UInt32, HTTP2ErrorCode, consumed: Int)
    /// The peer's SETTINGS hold from now on.
    case settings(consumed: Int)
    /// The answer to our PING with this content.
    case pong(UInt64, consumed: Int)
    /// An error of the connection: GOAWAY waits to be written, and nothing else ever will.
    case failed(HTTP2Fault)
}

/// What may be sent now: the header of its DATA frame is written, and exactly `count` bytes of the stream's body follow.
package struct HTTP2DataGrant: Sendable, Equatable {
    package let stream: HTTP2StreamRef
    package let count: Int
    /// The frame has END_STREAM.
    package let ends: Bool
}
