// Sets up swift-log for the process.

import Glibc
package import Logging
import Synchronization

/// The process's own log, on standard error.
package enum ProcessLog {
    /// How a line looks.
    package enum Format: Sendable {
        /// For people.
        case text
        /// One JSON object for each line.
        case json
    }

    /// Nil until `bootstrap`.
    private static let current = Mutex<LogOutput?>(nil)

    /// Makes every `Logger` made from now on write here. Once in a process; swift-log traps on a second call.
    ///
    /// SIGPIPE is ignored from then on: a reader of standard error that went away is no reason to end.
    package static func bootstrap(level: Logger.Level, format: Format) {
        _ = signal(SIGPIPE, SIG_IGN)
        let output = LogOutput(descriptor: STDERR_FILENO, level: level, format: format)
        current.withLock { $0 = output }
        LoggingSystem.bootstrap(
            { label, provider in LineLogHandler(label: label, output: output, metadataProvider: provider) },
            metadataProvider: nil)
    }

    /// Changes the level of every logger that has none of its own, those made before as well.
    package static func setLevel(_ level: Logger.Level) {
        current.withLock { $0?.level = level }
    }

    /// Puts the figures into a scrape.
    package static func contribute(to snapshot: inout MetricsSnapshot) {
        snapshot[.processLogLinesDropped] = current.withLock { $0?.droppedCount ?? 0 }
    }
}
