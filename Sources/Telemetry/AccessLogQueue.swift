// The bridge between the event loops and the writer thread: full buffers go over it, empty ones come back.
//
//     shard ──offer──▶ waiting ──take──▶ writer ──done──▶ free ──▶ back to a shard
//
// The lock is held for a few instructions and never across a write, so a loop does not wait for the disk. Bounded:
// at most `buffersMax` buffers are on their way, and each shard holds one more; beyond that an offer is refused.

import Synchronization

/// A buffer of whole lines. One party owns it at a time: a shard, the queue or the writer.
final class AccessLogBuffer: @unchecked Sendable {
    // Unchecked: ownership travels through the queue's lock.
    static let capacity = 64 * 1024

    let bytes = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
    var byteCount = 0
    var lineCount = 0
    /// The shard that filled it.
    var shard = 0

    deinit {
        bytes.deallocate()
    }

    /// Makes it as new.
    func clear() {
        byteCount = 0
        lineCount = 0
    }
}

/// What has become of the lines. See `AccessLog.statistics`.
package struct AccessLogStatistics: Sendable, Equatable {
    /// Lines that reached the destination whole.
    package var linesWritten: UInt64 = 0
    /// Lines given up because the destination was too slow or failed. Counted by a shard at its next tick.
    package var linesDropped: UInt64 = 0
    package var bytesWritten: UInt64 = 0
    /// Failed attempts to open or to write.
    package var writeErrors: UInt64 = 0
    /// Bytes handed over and not written yet.
    package var bufferedBytes = 0
}

/// Buffers on their way, and the words between the loops and the writer.
final class AccessLogQueue: Sendable {
    struct State {
        var waiting: [AccessLogBuffer] = []
        var free: [AccessLogBuffer] = []
        /// Handed over and not written yet: the waiting ones and those in the writer's hands.
        var unwrittenCount = 0
        /// The same, by shard.
        var unwrittenByShard: [Int] = []
        var mustReopen = false
        /// No more buffers come; the writer ends when all are written.
        var isClosing = false
        /// The writer ends now, written or not.
        var isAbandoned = false
        var isFinished = false
        var statistics = AccessLogStatistics()
    }

    let buffersMax: Int
    let wake = ThreadSignal()
    let finished = ThreadSignal()
    private let state: Mutex<State>

    init(bufferBytes: Int) {
        buffersMax = max(bufferBytes / AccessLogBuffer.capacity, 1)
        var state = State()
        // The arrays are swapped with the writer's from then on and never grow on a loop.
        state.waiting.reserveCapacity(buffersMax)
        state.free.reserveCapacity(buffersMax)
        self.state = Mutex(state)
    }

    /// Reads or changes the state. Only for short work.
    func withState<Result>(_ body: (inout sending State) -> sending Result) -> Result {
        state.withLock { state in body(&state) }
    }
}

extension AccessLogQueue {
    /// A number for a new shard, and its first buffer.
    func addShard() -> (index: Int, buffer: AccessLogBuffer) {
        let index = state.withLock { state in
            state.unwrittenByShard.append(0)
            return state.unwrittenByShard.count - 1
        }
        let buffer = AccessLogBuffer()
        buffer.shard = index
        return (index, buffer)
    }

    /// Hands a buffer to the writer.
    ///
    /// - Parameters:
    ///   - droppedLines: Lines the shard gave up since its last offer.
    ///   - isPartial: The buffer may still grow: it is refused while the shard has another one on its way, so that a
    ///     slow disk makes buffers fuller instead of more.
    /// - Returns: An empty buffer in exchange, nil if the offer was refused and the shard keeps its own.
    func offer(_ buffer: AccessLogBuffer, droppedLines: UInt64, isPartial: Bool) -> AccessLogBuffer? {
        let empty: AccessLogBuffer? = state.withLock { state in
            state.statistics.linesDropped &+= droppedLines
            let isRefused =
                buffer.lineCount == 0 || state.isAbandoned || state.isFinished || state.unwrittenCount >= buffersMax
                || (isPartial && state.unwrittenByShard[buffer.shard] > 0)
            if isRefused { return nil }
            state.waiting.append(buffer)
            state.unwrittenCount += 1
            state.unwrittenByShard[buffer.shard] += 1
            state.statistics.bufferedBytes += buffer.byteCount
            let empty = state.free.popLast() ?? AccessLogBuffer()
            empty.shard = buffer.shard
            return empty
        }
        if empty != nil { wake.raise() }
        return empty
    }

    /// Takes a buffer back from the writer, written or given up.
    func recycle(_ buffer: AccessLogBuffer, isWritten: Bool) {
        state.withLock { state in
            if isWritten {
                state.statistics.linesWritten &+= UInt64(buffer.lineCount)
                state.statistics.bytesWritten &+= UInt64(buffer.byteCount)
            } else {
                state.statistics.linesDropped &+= UInt64(buffer.lineCount)
            }
            state.statistics.bufferedBytes -= buffer.byteCount
            state.unwrittenCount -= 1
            state.unwrittenByShard[buffer.shard] -= 1
            buffer.clear()
            state.free.append(buffer)
        }
    }
}
