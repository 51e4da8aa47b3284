// The writer thread: takes buffers in the order they were handed over and writes each whole before the next, so that
// whatever stops the process, the file holds every shard's lines in order up to some point, and at most the last line
// is torn. A destination that fails is tried again; meanwhile the queue fills, and the shards drop and count.

import CLinux
import Glibc

/// The thread's state. Made and started by `AccessLog`; from then on only the thread touches it.
final class AccessLogWriter {
    /// Between two attempts at a destination that failed.
    private static let retryNanoseconds: UInt64 = 500_000_000
    private static let pollMilliseconds: Int32 = 100

    private let queue: AccessLogQueue
    private var destination: LogDestination
    private var batch: [AccessLogBuffer] = []
    /// Bytes of the batch's current buffer that are written.
    private var offset = 0

    init(queue: AccessLogQueue, destination: LogDestination) {
        self.queue = queue
        self.destination = destination
        batch.reserveCapacity(queue.buffersMax)
    }

    /// Starts the thread. Returns an errno, nil if it runs.
    func start() -> Int32? {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        var thread = pthread_t()
        let context = Unmanaged.passRetained(self)
        let failure = pthread_create(
            &thread, &attributes,
            { context in
                guard let context else { return nil }
                Unmanaged<AccessLogWriter>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, context.toOpaque())
        guard failure != 0 else { return nil }
        context.release()
        return failure
    }

    private func run() {
        blockSignals()
        martlet_name_thread("access-log")
        while true {
            let isFinished = queue.withState { state in
                swap(&batch, &state.waiting)
                // From here on offers are refused, so none is lost.
                state.isFinished = state.isClosing && batch.isEmpty
                return state.isFinished
            }
            if isFinished { break }
            reopenIfAsked()
            if batch.isEmpty {
                queue.wake.wait()
                continue
            }
            for buffer in batch {
                queue.recycle(buffer, isWritten: writeWhole(buffer))
            }
            batch.removeAll(keepingCapacity: true)
        }
        destination.close()
        queue.finished.raise()
    }

    /// Writes a buffer to its end. False if the log was abandoned before that.
    private func writeWhole(_ buffer: AccessLogBuffer) -> Bool {
        offset = 0
        while offset < buffer.byteCount {
            if queue.withState({ $0.isAbandoned }) { return false }
            reopenIfAsked(writing: buffer)
            let rest = UnsafeRawBufferPointer(start: buffer.bytes + offset, count: buffer.byteCount - offset)
            guard destination.isOpen || destination.open() == nil else {
                pauseAfterFailure()
                continue
            }
            switch destination.write(rest) {
            case .wrote(let count): offset += count
            case .busy: destination.waitUntilWritable(milliseconds: Self.pollMilliseconds)
            case .failed: pauseAfterFailure()
            }
        }
        return true
    }

    /// Waits for the next attempt, or for somebody who cannot wait that long.
    private func pauseAfterFailure() {
        queue.withState { $0.statistics.writeErrors &+= 1 }
        let deadline = MonotonicClock.nanoseconds() + Self.retryNanoseconds
        while queue.wake.wait(until: deadline) {
            // Buffers handed over raise the signal as well, and are no reason to try earlier.
            let isUrgent = queue.withState { $0.mustReopen || $0.isAbandoned }
            if isUrgent { return }
        }
    }

    private func reopenIfAsked(writing buffer: AccessLogBuffer? = nil) {
        let mustReopen = queue.withState { state in
            defer { state.mustReopen = false }
            return state.mustReopen
        }
        guard mustReopen else { return }
        if destination.open() != nil {
            queue.withState { $0.statistics.writeErrors &+= 1 }
            return
        }
        // A line that the old file holds only the beginning of goes whole into the new one.
        guard let buffer else { return }
        while offset > 0, buffer.bytes.load(fromByteOffset: offset - 1, as: UInt8.self) != UInt8(ascii: "\n") {
            offset -= 1
        }
    }

    /// Signals are for the main thread, and a reader that went away is an error of write(2), not the end of everything:
    /// SIGPIPE goes to the thread that wrote, where it stays blocked.
    private func blockSignals() {
        var all = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_BLOCK, &all, nil)
    }
}
