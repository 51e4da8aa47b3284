import HTTPWire
import Limits
import Telemetry

/// What all HTTP/2 connections to origins share on one event loop, for each of the loops.
package final class OriginLoops: Sendable {
    private let loops: [HTTP2OriginLoop]

    package init(count: Int) {
        loops = (0..<max(count, 1)).map { _ in HTTP2OriginLoop() }
    }

    /// That of the loop with this index. On that loop.
    func loop(_ index: Int) -> HTTP2OriginLoop {
        loops[index % loops.count]
    }
}

/// What they share: where heads are decoded, and streams to use again. Only its event loop may touch it.
final class HTTP2OriginLoop: @unchecked Sendable {
    // Unchecked: `OriginLoops` hands it to its own loop.
    private(set) lazy var arena = HTTP2HeadArena(
        bytesMax: Limits.responseHeadBytesMax, fieldsMax: Limits.responseFieldCountMax + 1)
    /// The monotonic clock in nanoseconds; a test's own.
    var now: () -> UInt64 = { MonotonicClock.nanoseconds() }
    private var spare: ContiguousArray<HTTP2OriginStream> = []

    func takeStream() -> HTTP2OriginStream { spare.popLast() ?? HTTP2OriginStream() }

    /// - Parameter stream: one that nobody calls any more.
    func giveBack(_ stream: HTTP2OriginStream) {
        guard spare.count < Limits.http2SpareStreamsMax else { return }
        stream.clear()
        spare.append(stream)
    }
}
