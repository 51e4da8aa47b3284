import Exchange
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
