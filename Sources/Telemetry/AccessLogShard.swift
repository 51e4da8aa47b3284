// One event loop's end of the access log. Only that loop touches it. A line costs no lock: it is written into the
// shard's own buffer, which is handed over when it is nearly full, and at every tick when nothing else of this shard
// is on its way.

/// Where one event loop writes its lines. Made by `AccessLog.makeShard`.
package final class AccessLogShard {
    /// Longest line. A buffer with less room than this is handed over before the next line.
    static let lineBytesMax = 16 * 1024
    /// While offers are refused, every so manieth line tries again; the others are dropped without taking the lock.
    static let linesBetweenOffers: UInt64 = 64

    private let queue: AccessLogQueue
    private var buffer: AccessLogBuffer
    private let timestamps: UnsafeMutablePointer<TimestampText>
    /// Lines dropped in all, and those of them that the queue has been told of.
    private var droppedCount: UInt64 = 0
    private var reportedCount: UInt64 = 0
    private var isClosed = false

    init(queue: AccessLogQueue) {
        self.queue = queue
        buffer = queue.addShard().buffer
        timestamps = .allocate(capacity: 1)
        timestamps.initialize(to: TimestampText())
    }

    deinit {
        // A shard left without `close` hands over its last lines all the same.
        close()
        timestamps.deallocate()
    }

    /// Begins a line. Give the writer back to `endLine`; a line that is not given back was never there. When there is
    /// no room the writer takes every member and keeps none, and `endLine` counts the line as dropped.
    package func beginLine() -> JSONLineWriter {
        if AccessLogBuffer.capacity - buffer.byteCount < Self.lineBytesMax,
            isClosed || !(droppedCount % Self.linesBetweenOffers == 0 && handOver(isPartial: false))
        {
            return JSONLineWriter(at: buffer.bytes, byteCount: 0, timestamps: timestamps)
        }
        let byteCount = isClosed ? 0 : Self.lineBytesMax
        return JSONLineWriter(at: buffer.bytes + buffer.byteCount, byteCount: byteCount, timestamps: timestamps)
    }

    /// Ends a line that `beginLine` of this shard began. Lines do not nest.
    package func endLine(_ line: consuming JSONLineWriter) {
        let byteCount = line.finish()
        guard byteCount > 0 else {
            droppedCount &+= 1
            return
        }
        buffer.byteCount &+= byteCount
        buffer.lineCount &+= 1
    }

    /// Hands over what has gathered. The loop calls it about ten times a second, also when nothing was logged.
    package func tick() {
        guard buffer.lineCount > 0 || droppedCount != reportedCount else { return }
        let isPartial = AccessLogBuffer.capacity - buffer.byteCount >= Self.lineBytesMax
        _ = handOver(isPartial: isPartial)
    }

    /// Hands over what is left, or counts it as dropped. Lines begun later are dropped.
    package func close() {
        guard !isClosed else { return }
        isClosed = true
        guard buffer.lineCount > 0, !handOver(isPartial: false) else { return tick() }
        droppedCount &+= UInt64(buffer.lineCount)
        buffer.clear()
        tick()
    }

    private func handOver(isPartial: Bool) -> Bool {
        let news = droppedCount &- reportedCount
        reportedCount = droppedCount
        guard let empty = queue.offer(buffer, droppedLines: news, isPartial: isPartial) else { return false }
        buffer = empty
        return true
    }
}
