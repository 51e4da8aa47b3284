import Foundation

/// How long a journey waits before it calls something broken.
///
/// These bounds only end a test that would otherwise hang: no journey passes or fails by being a little early or
/// late, so they are far longer than anything takes on an idle machine.
enum Patience {
    /// For one read or write on a socket.
    static let socket: Duration = .seconds(40)
    /// For all that happens on one connection.
    static let connection: Duration = .seconds(300)
    /// For a condition that becomes true by itself: a reload, a log line, an ejection's end.
    static let condition: Duration = .seconds(40)
    /// For a process to become ready or to end.
    static let process: Duration = .seconds(60)
}

/// A point on the monotonic clock after which waiting is over.
struct Deadline: Sendable {
    private let instant: ContinuousClock.Instant

    init(_ duration: Duration) { instant = .now + duration }

    var isOver: Bool { ContinuousClock.now >= instant }

    /// What is left, in whole milliseconds for `poll`, never negative.
    var millisecondsLeft: Int32 {
        let left = ContinuousClock.now.duration(to: instant)
        let milliseconds = left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000
        return Int32(clamping: max(0, milliseconds))
    }
}

/// Waits until a condition holds; false when it did not within the time given.
func eventually(within duration: Duration = Patience.condition, _ condition: () throws -> Bool) rethrows -> Bool {
    let deadline = Deadline(duration)
    while true {
        if try condition() { return true }
        if deadline.isOver { return false }
        pause(milliseconds: 25)
    }
}

/// Sleeps on this thread.
func pause(milliseconds: Int) {
    Thread.sleep(forTimeInterval: Double(milliseconds) / 1000)
}

/// A door that one thread opens and others wait at: how a script holds an answer back until the test says so.
final class Gate: @unchecked Sendable {
    private let condition = NSCondition()
    private var isOpen = false

    func open() {
        condition.lock()
        isOpen = true
        condition.broadcast()
        condition.unlock()
    }

    /// Returns when the gate is open, or false when nobody opened it in time.
    @discardableResult
    func pass(within duration: Duration = Patience.process) -> Bool {
        let limit = Date(timeIntervalSinceNow: Double(duration.components.seconds))
        condition.lock()
        defer { condition.unlock() }
        while !isOpen {
            if !condition.wait(until: limit) { return isOpen }
        }
        return true
    }
}

/// A value shared by the threads of one journey.
final class Shared<Value>: @unchecked Sendable {
    private let lock = NSLock()
    private var value: Value

    init(_ value: Value) { self.value = value }

    func withLock<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        lock.lock()
        defer { lock.unlock() }
        return try body(&value)
    }

    var current: Value { withLock { $0 } }
}
