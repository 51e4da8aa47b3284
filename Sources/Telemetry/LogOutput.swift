// The taker of the process's own log. Any thread may write, event loops too, so a reader of standard error that has
// stopped reading must not stop them: a line waits a little for it, then is dropped and counted, and for a while the
// next lines do not wait at all. When lines flow again, the first says how many are missing.

import Logging
import Synchronization

/// Writes whole lines to one descriptor, never two at once.
final class LogOutput: Sendable {
    /// How long all of one line may wait for its reader.
    private static let patienceNanoseconds: UInt64 = 20_000_000
    /// How long nobody waits after that.
    private static let sulkNanoseconds: UInt64 = 1_000_000_000

    private struct State: ~Copyable {
        var destination: LogDestination
        /// Lines dropped since the last one that got through.
        var missingCount: UInt64 = 0
        var impatientUntil: UInt64 = 0
        /// The last line was written in part: the next one begins with a line feed.
        var isTorn = false
    }

    let format: ProcessLog.Format
    private let levelIndex: Atomic<Int>
    private let dropped = Atomic<UInt64>(0)
    private let state: Mutex<State>

    init(descriptor: Int32, level: Logger.Level, format: ProcessLog.Format) {
        var destination = LogDestination(.inherited(descriptor))
        // Cannot fail for an inherited descriptor.
        _ = destination.open()
        self.format = format
        levelIndex = Atomic(Self.index(of: level))
        state = Mutex(State(destination: destination))
    }

    /// Least severe level that is written.
    var level: Logger.Level {
        get {
            let levels = Logger.Level.allCases
            let index = levelIndex.load(ordering: .relaxed)
            return levels.indices.contains(index) ? levels[index] : .info
        }
        set { levelIndex.store(Self.index(of: newValue), ordering: .relaxed) }
    }

    /// Lines dropped so far.
    var droppedCount: UInt64 { dropped.load(ordering: .relaxed) }

    /// Writes one line, its line feed included, or drops it.
    func write(_ line: [UInt8]) {
        state.withLock { state in
            let now = MonotonicClock.nanoseconds()
            let deadline = now < state.impatientUntil ? now : now &+ Self.patienceNanoseconds
            var isWritten = true
            if state.missingCount > 0 {
                isWritten = Self.writeAll(notice(missing: state.missingCount), to: &state, until: deadline)
                if isWritten { state.missingCount = 0 }
            }
            if isWritten { isWritten = Self.writeAll(line, to: &state, until: deadline) }
            if isWritten {
                state.impatientUntil = 0
                return
            }
            state.missingCount &+= 1
            state.impatientUntil = MonotonicClock.nanoseconds() &+ Self.sulkNanoseconds
            dropped.add(1, ordering: .relaxed)
        }
    }

    private func notice(missing: UInt64) -> [UInt8] {
        let event = LogEvent(
            level: .warning, message: "log lines dropped: nobody took them", metadata: nil, source: nil,
            file: #fileID, function: #function, line: #line)
        return LogLineText.render(
            event, label: "log", metadata: ["count": "\(missing)"], format: format,
            unixNanoseconds: WallClock.nanoseconds())
    }

    /// False if the deadline passed or the descriptor failed before the last byte was written.
    private static func writeAll(_ line: [UInt8], to state: inout State, until deadline: UInt64) -> Bool {
        let bytes = state.isTorn ? [UInt8(ascii: "\n")] + line : line
        return bytes.withUnsafeBytes { bytes in
            var offset = 0
            while offset < bytes.count {
                switch state.destination.write(UnsafeRawBufferPointer(rebasing: bytes[offset...])) {
                case .wrote(let count): offset += count
                case .busy:
                    let now = MonotonicClock.nanoseconds()
                    guard now < deadline else { return false }
                    let milliseconds = (deadline - now) / 1_000_000 + 1
                    state.destination.waitUntilWritable(milliseconds: Int32(truncatingIfNeeded: milliseconds))
                case .failed: return false
                }
                if offset > 0 { state.isTorn = offset < bytes.count }
            }
            return true
        }
    }

    private static func index(of level: Logger.Level) -> Int {
        Logger.Level.allCases.firstIndex(of: level) ?? 0
    }
}
