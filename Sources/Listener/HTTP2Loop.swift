import HTTPWire
import Limits

/// What the HTTP/2 connections of one event loop share: where heads are decoded, streams to use again, and how much of
/// requests' bodies waits for origins.
final class HTTP2Loop {
    /// Beside a head's fields it has rows for pseudo-header fields and for each piece of a cookie.
    let arena = HTTP2HeadArena(
        bytesMax: Limits.http2HeadBytesMax, fieldsMax: Limits.fieldCountRange.upperBound + Limits.http2ExtraRowsMax)
    /// Bytes of request bodies that origins do not take for now, over all connections of the loop.
    var heldBytes = 0
    /// Bytes of response bodies that clients do not take for now, over all connections of the loop.
    var queuedBytes = 0
    private var spare: ContiguousArray<HTTP2Stream> = []

    /// More than this loop may hold: who adds to it is not read until there is less.
    var holdsTooMuch: Bool { heldBytes > Limits.http2HeldBytesPerLoopMax }

    /// Response bodies take more memory than is good, or than may be.
    var isPressed: Bool { queuedBytes > Limits.http2QueuedBytesPerLoopHigh }
    var isFull: Bool { queuedBytes > Limits.http2QueuedBytesPerLoopMax }

    func takeStream() -> HTTP2Stream { spare.popLast() ?? HTTP2Stream() }

    func giveBack(_ stream: HTTP2Stream) {
        stream.clear()
        if spare.count < Limits.http2SpareStreamsMax { spare.append(stream) }
    }
}
