import Exchange
import Limits
import NIOConcurrencyHelpers
import Synchronization

/// Who waits for a connection, first come first served. One loop's at a time.
struct WaitingLine {
    private var line: ContiguousArray<Acquisition?> = []
    private var head = 0
    private var count = 0

    /// False: the line is as long as it may be.
    mutating func enter(_ acquisition: Acquisition) -> Bool {
        guard count < Limits.originWaitersMax else { return false }
        line.append(acquisition)
        count += 1
        return true
    }

    /// False: it was not in the line.
    mutating func leave(_ acquisition: Acquisition) -> Bool {
        // Who gives up has mostly come last: an attacker takes back what it has just asked for.
        guard let index = line[head...].lastIndex(where: { $0 === acquisition }) else { return false }
        line[index] = nil
        count -= 1
        while head < line.count, line[head] == nil { head += 1 }
        while line.count > head, line.last.flatMap({ $0 }) == nil { line.removeLast() }
        // Gaps in the middle are no more than those who wait, and a few.
        if line.count - head > 2 * count + 64 {
            line = ContiguousArray(line[head...].filter { $0 != nil })
            head = 0
        }
        compact()
        return true
    }

    /// Back to the front: it had its turn, and lost it through no fault of its own.
    mutating func enterFirst(_ acquisition: Acquisition) {
        if head > 0 {
            head -= 1
            line[head] = acquisition
        } else {
            line.insert(acquisition, at: 0)
        }
        count += 1
    }

    mutating func next() -> Acquisition? {
        while head < line.count {
            let first = line[head]
            line[head] = nil
            head += 1
            if let first {
                count -= 1
                compact()
                return first
            }
        }
        compact()
        return nil
    }

    private mutating func compact() {
        guard head > 64, head * 2 > line.count else { return }
        line.removeFirst(head)
        head = 0
    }
}

/// The same for all loops.
final class SharedLine: Sendable {
    private let line = NIOLockedValueBox(WaitingLine())
    /// So that an empty line is seen without its lock. Sequentially consistent: who enters looks for a connection
    /// afterwards, and who frees one looks here afterwards, so one of them sees the other.
    private let countHint = Atomic<Int>(0)

    var count: Int { max(0, countHint.load(ordering: .sequentiallyConsistent)) }

    /// False: the line is as long as it may be.
    func enter(_ acquisition: Acquisition) -> Bool {
        guard line.withLockedValue({ $0.enter(acquisition) }) else { return false }
        countHint.wrappingAdd(1, ordering: .sequentiallyConsistent)
        return true
    }

    /// False: it was not in the line, for it has just been served.
    func leave(_ acquisition: Acquisition) -> Bool {
        guard line.withLockedValue({ $0.leave(acquisition) }) else { return false }
        countHint.wrappingSubtract(1, ordering: .relaxed)
        return true
    }

    func next() -> Acquisition? {
        guard count > 0, let first = line.withLockedValue({ $0.next() }) else { return nil }
        countHint.wrappingSubtract(1, ordering: .relaxed)
        return first
    }

    /// Back to the front: it had its turn, and lost it through no fault of its own.
    func enterFirst(_ acquisition: Acquisition) {
        line.withLockedValue { $0.enterFirst(acquisition) }
        countHint.wrappingAdd(1, ordering: .sequentiallyConsistent)
    }
}
