// The access log: one JSON object for each exchange, written off the path of the exchange.
//
// An event loop writes lines into its own shard's buffer; one thread carries the buffers to a file or to standard
// output. Nothing here ever makes a loop wait: when the destination is slower than the traffic, lines are dropped and
// counted (`martlet_access_log_lines_total{result="dropped"}`).
//
// What must never be in a line: values of Authorization, Proxy-Authorization, Cookie and Set-Cookie, the user
// information of a URL, bodies, keys and certificates' private parts. This room logs the bytes it is given and cannot
// know, so the callers name each member they log, one by one, and never loop over a request's fields. Paths and
// queries are logged as received: who puts secrets there puts them into every log on the way. Hence mode 0640.
//
// Memory: `bufferBytes` on their way at most, one buffer of 64 KiB for each loop, and as many empty ones as were ever
// needed at once.

import Glibc

/// The access log of the process.
package final class AccessLog: Sendable {
    /// Where lines go.
    package enum Destination: Sendable {
        case standardOutput
        /// Created with mode 0640 if it is not there, appended to if it is.
        case file(String)
    }

    private let queue: AccessLogQueue

    /// Opens the destination and starts the writer thread.
    ///
    /// - Parameter bufferBytes: Most bytes handed over and not written yet, in steps of 64 KiB and at least one step.
    /// - Throws: `AccessLogError` if the file cannot be opened. A FIFO without a reader is no error: it is tried again
    ///   until one comes.
    package init(_ destination: Destination, bufferBytes: Int) throws(AccessLogError) {
        queue = AccessLogQueue(bufferBytes: bufferBytes)
        let target: LogDestination.Target =
            switch destination {
            case .standardOutput: .inherited(STDOUT_FILENO)
            case .file(let path): .file(path)
            }
        var opened = LogDestination(target)
        if let failure = opened.open(), failure != AccessLogError.noReader {
            throw AccessLogError(destination: destination, errorNumber: failure)
        }
        if let failure = AccessLogWriter(queue: queue, destination: opened).start() {
            opened.close()
            throw AccessLogError(destination: destination, errorNumber: failure)
        }
    }

    deinit {
        // The thread writes what it has and ends; nobody waits for it.
        queue.withState { $0.isClosing = true }
        queue.wake.raise()
    }

    /// A new shard. Call it anywhere, then use the shard on one event loop only.
    package func makeShard() -> AccessLogShard {
        AccessLogShard(queue: queue)
    }

    /// Opens the file again by its name, for logrotate. Returns at once; lines handed over before may still go to the
    /// old file. If the new one cannot be opened, the old one stays in use and an error is counted.
    package func reopen() {
        queue.withState { $0.mustReopen = true }
        queue.wake.raise()
    }

    /// Writes what was handed over and ends the thread. Close every shard before, on its loop; what they offer later
    /// may be lost. Blocks, so not on an event loop. Calling it twice does no harm.
    ///
    /// - Parameter timeoutMilliseconds: How long the destination may take; what is left then is dropped.
    /// - Returns: Whether everything handed over was written.
    @discardableResult
    package func close(timeoutMilliseconds: Int = 5000) -> Bool {
        let timeout = UInt64(max(timeoutMilliseconds, 0)).multipliedReportingOverflow(by: 1_000_000)
        let deadline = MonotonicClock.nanoseconds().addingReportingOverflow(timeout.partialValue)
        queue.withState { $0.isClosing = true }
        queue.wake.raise()
        let isInTime = queue.finished.wait(until: timeout.overflow || deadline.overflow ? nil : deadline.partialValue)
        if isInTime {
            // Left raised for whoever closes again.
            queue.finished.raise()
            return queue.withState { !$0.isAbandoned }
        }
        queue.withState { $0.isAbandoned = true }
        queue.wake.raise()
        return false
    }

    /// What has become of the lines so far.
    package func statistics() -> AccessLogStatistics {
        queue.withState { $0.statistics }
    }

    /// Puts the figures into a scrape.
    package func contribute(to snapshot: inout MetricsSnapshot) {
        let statistics = statistics()
        snapshot[.accessLogLinesWritten] = statistics.linesWritten
        snapshot[.accessLogLinesDropped] = statistics.linesDropped
        snapshot[.accessLogWriteErrors] = statistics.writeErrors
        snapshot[.accessLogBufferedBytes] = statistics.bufferedBytes
    }
}
