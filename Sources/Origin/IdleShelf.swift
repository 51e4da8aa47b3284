import ConfigModel
import Exchange
import Limits
import NIOConcurrencyHelpers
import Synchronization

/// The idle connections of one origin on one event loop, last in first out: the warmest is used next, and those that
/// are too many are never touched and age out.
final class IdleShelf: Sendable {
    private let connections = NIOLockedValueBox<ContiguousArray<OriginConnection>>([])
    /// So that another loop sees an empty shelf without taking its lock.
    private let countHint = Atomic<Int>(0)

    var count: Int { countHint.load(ordering: .relaxed) }

    func take() -> OriginConnection? {
        guard count > 0 else { return nil }
        return connections.withLockedValue { list in
            guard let connection = list.popLast() else { return nil }
            countHint.store(list.count, ordering: .relaxed)
            return connection
        }
    }

    /// False: the shelf holds `room` already.
    func put(_ connection: OriginConnection, room: Int) -> Bool {
        connections.withLockedValue { list in
            guard list.count < room else { return false }
            list.append(connection)
            countHint.store(list.count, ordering: .relaxed)
            return true
        }
    }

    /// False: it was not there, because somebody took it.
    func remove(_ connection: OriginConnection) -> Bool {
        connections.withLockedValue { list in
            guard let index = list.lastIndex(where: { $0 === connection }) else { return false }
            list.remove(at: index)
            countHint.store(list.count, ordering: .relaxed)
            return true
        }
    }

    func takeAll() -> ContiguousArray<OriginConnection> {
        connections.withLockedValue { list in
            countHint.store(0, ordering: .relaxed)
            defer { list = [] }
            return list
        }
    }
}

/// Who waits for a connection, first come first served.
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
        guard let index = line[head...].firstIndex(where: { $0 === acquisition }) else { return false }
        line[index] = nil
        count -= 1
        while head < line.count, line[head] == nil { head += 1 }
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
