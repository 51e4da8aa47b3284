// Taking connections and giving them back; who waits, and who waits no longer.

import ConfigModel
import Exchange
import Limits
import NIOCore
import NIOEmbedded
import Telemetry
import Testing

@testable import Origin

@Suite("IdleShelf")
struct IdleShelfTests {
    private let bench = OriginBench()

    @Test("last in, first out; never more than there is room for")
    func order() throws {
        defer { bench.finish() }
        let shelf = IdleShelf()
        let connections = try (0..<3).map { _ in try bench.connect().connection }
        #expect(shelf.take() == nil)
        #expect(shelf.put(connections[0], room: 2))
        #expect(shelf.put(connections[1], room: 2))
        #expect(!shelf.put(connections[2], room: 2))
        #expect(shelf.count == 2)
        #expect(shelf.take() === connections[1])
        #expect(shelf.take() === connections[0])
        #expect(shelf.take() == nil)
        #expect(shelf.count == 0)
    }

    @Test("what was taken cannot be removed, what was removed cannot be taken")
    func remove() throws {
        defer { bench.finish() }
        let shelf = IdleShelf()
        let connections = try (0..<3).map { _ in try bench.connect().connection }
        for connection in connections { #expect(shelf.put(connection, room: 9)) }
        #expect(shelf.remove(connections[1]))
        #expect(!shelf.remove(connections[1]))
        #expect(shelf.take() === connections[2])
        #expect(!shelf.remove(connections[2]))
        #expect(shelf.takeAll().map { $0 === connections[0] } == [true])
        #expect(shelf.count == 0)
        #expect(shelf.take() == nil)
    }
}

@Suite("WaitingLine")
struct WaitingLineTests {
    private let bench = OriginBench()

    private func acquisition() -> Acquisition {
        Acquisition(receiver: Ear(), loop: bench.loop, server: bench.server)
    }

    @Test("first come, first served; who left is passed over")
    func order() {
        var line = WaitingLine()
        let waiters = (0..<200).map { _ in acquisition() }
        for waiter in waiters { #expect(line.enter(waiter) == true) }
        for index in stride(from: 0, to: 200, by: 3) {
            #expect(line.leave(waiters[index]) == true)
            #expect(line.leave(waiters[index]) == false)
        }
        for index in 0..<200 where index % 3 != 0 { #expect(line.next() === waiters[index]) }
        #expect(line.next() == nil)
        #expect(line.next() == nil)
        // Who was called is not in the line any more.
        #expect(line.leave(waiters[1]) == false)
    }

    @Test("the line is as long as it may be, and who leaves makes room")
    func bound() {
        var line = WaitingLine()
        let waiters = (0...Limits.originWaitersMax).map { _ in acquisition() }
        for waiter in waiters.dropLast() { #expect(line.enter(waiter) == true) }
        #expect(line.enter(waiters[Limits.originWaitersMax]) == false)
        #expect(line.leave(waiters[17]) == true)
        #expect(line.enter(waiters[Limits.originWaitersMax]) == true)
        #expect(line.next() === waiters[0])
        #expect(line.enter(waiters[0]) == true)
    }

    @Test("a line from which everybody leaves without being called does not grow")
    func leavingGrowsNothing() {
        var line = WaitingLine()
        for _ in 0..<2_000 {
            let waiter = acquisition()
            #expect(line.enter(waiter) == true)
            #expect(line.leave(waiter) == true)
        }
        // Places kept, used or not: what a search for who leaves has to pass.
        let places = Mirror(reflecting: line).children.compactMap { $0.value as? ContiguousArray<Acquisition?> }
        #expect(places.map(\.count).reduce(0, +) <= 256)
    }

    @Test("nor does one behind somebody who stays")
    func leavingBehindOneWhoStays() {
        var line = WaitingLine()
        let stays = [acquisition(), acquisition()]
        #expect(line.enter(stays[0]) == true)
        var waiters: [Acquisition] = []
        for _ in 0..<500 { waiters.append(acquisition()) }
        for waiter in waiters { #expect(line.enter(waiter) == true) }
        #expect(line.enter(stays[1]) == true)
        for waiter in waiters { #expect(line.leave(waiter) == true) }
        let places = Mirror(reflecting: line).children.compactMap { $0.value as? ContiguousArray<Acquisition?> }
        #expect(places.map(\.count).reduce(0, +) <= 128)
        #expect(line.next() === stays[0])
        #expect(line.next() === stays[1])
    }

    @Test("a random history agrees with an array")
    func model() {
        var random = SeededGenerator(seed: 11)
        var line = WaitingLine()
        var model: [Acquisition] = []
        for _ in 0..<5_000 {
            switch Int.random(in: 0..<5, using: &random) {
            case 0, 1:
                let waiter = acquisition()
                #expect(line.enter(waiter) == true)
                model.append(waiter)
            case 2 where !model.isEmpty:
                let leaver = model.remove(at: Int.random(in: 0..<model.count, using: &random))
                #expect(line.leave(leaver) == true)
            default:
                let first = model.isEmpty ? nil : model.removeFirst()
                #expect(line.next() === first)
            }
        }
    }
}

@Suite("The pool")
struct PoolTests {
    private static func pool(connections: Int, idle: Int = 16) -> Zone.Pool {
        var pool = Zone.Pool()
        pool.connections = connections
        pool.idleConnections = idle
        pool.wait = 1_000
        return pool
    }

    private let bench = OriginBench(pool: Self.pool(connections: 1))

    /// The pool's only connection, busy with an exchange.
    private func busy() throws -> (OriginConnection, EmbeddedChannel) {
        let (connection, channel) = try bench.connect()
        connection.ask(Ear())
        return (connection, channel)
    }

    private func wait(_ ear: Ear) -> Acquisition? {
        if case .pending(let acquisition) = bench.server.acquire(for: ear, on: bench.loop, fresh: false) {
            return acquisition
        }
        return nil
    }

    @Test("who waits gets the connection that becomes free, in the order of asking")
    func waiters() throws {
        defer { bench.finish() }
        let (_, channel) = try busy()
        let ears = (0..<3).map { _ in Ear() }
        for ear in ears { #expect(wait(ear) != nil) }
        #expect(ears.allSatisfy { $0.events.isEmpty })
        for ear in ears {
            try channel.say("HTTP/1.1 204 No Content\r\n\r\n")
            #expect(ear.events == [.ready])
            #expect(ear.link?.isReused == true)
            ear.link?.ask(ear)
        }
        try channel.say("HTTP/1.1 204 No Content\r\n\r\n")
        #expect(bench.server.idleConnections == 1)
        #expect(bench.server.openConnections == 1)
    }

    @Test("who gave up is passed over and hears nothing")
    func givesUp() throws {
        defer { bench.finish() }
        let (_, channel) = try busy()
        let first = Ear()
        let second = Ear()
        let given = try #require(wait(first))
        _ = try #require(wait(second))
        given.cancel()
        given.cancel()
        try channel.say("HTTP/1.1 204 No Content\r\n\r\n")
        #expect(first.events.isEmpty)
        #expect(second.events == [.ready])
    }

    @Test("who waits too long is told so once, and the connection goes to the shelf")
    func waitsTooLong() throws {
        defer { bench.finish() }
        let (_, channel) = try busy()
        let ear = Ear()
        _ = try #require(wait(ear))
        for _ in 0..<10 { bench.loop.tick() }
        #expect(ear.events.isEmpty)
        for _ in 0..<5 { bench.loop.tick() }
        #expect(ear.events == [.unavailable(.poolExhausted)])
        try channel.say("HTTP/1.1 204 No Content\r\n\r\n")
        #expect(ear.events.count == 1)
        #expect(bench.server.idleConnections == 1)
        #expect(bench.loop.deadlines.count == 1)
    }

    @Test("a line that is full refuses at once")
    func lineIsFull() throws {
        defer { bench.finish() }
        _ = try busy()
        for _ in 0..<Limits.originWaitersMax { #expect(wait(Ear()) != nil) }
        guard case .unavailable(.poolExhausted) = bench.server.acquire(for: Ear(), on: bench.loop, fresh: false) else {
            Issue.record("the line has no end")
            return
        }
        #expect(bench.loop.metrics.snapshot()[Counter.originPoolOverflows] == 1)
        bench.tick(milliseconds: 1_000)
        #expect(wait(Ear()) != nil)
    }

    @Test("connections beyond the shelf's room close")
    func shelfIsFull() throws {
        let bench = OriginBench(pool: Self.pool(connections: 9, idle: 2))
        defer { bench.finish() }
        let all = try (0..<6).map { _ in try bench.connect() }
        for (connection, _) in all { connection.cancel() }
        let open = all.filter { $0.channel.isActive }.count
        #expect(open == bench.server.idleConnections)
        #expect(open == bench.server.openConnections)
        #expect((2...3).contains(open))
    }

    @Test("a server that is retired closes what is idle at once and what is busy when it is done")
    func retire() throws {
        let bench = OriginBench(pool: Self.pool(connections: 9))
        defer { bench.finish() }
        let idle = try bench.connect()
        idle.connection.cancel()
        let busy = try bench.connect()
        let ear = Ear()
        busy.connection.ask(ear)
        bench.server.retire()
        bench.eventLoop.run()
        #expect(!idle.channel.isActive)
        #expect(busy.channel.isActive)
        try busy.channel.say("HTTP/1.1 204 No Content\r\n\r\n")
        #expect(ear.outline == [.head(204), .end(nil)])
        #expect(!busy.channel.isActive)
        #expect(bench.server.openConnections == 0)
        #expect(bench.gauge(.originConnectionsIdle) == 0)
        #expect(bench.gauge(.originConnectionsActive) == 0)
    }

    @Test("a pool's bound is exact")
    func bound() throws {
        let bench = OriginBench(pool: Self.pool(connections: 3))
        defer { bench.finish() }
        #expect((0..<5).map { _ in bench.server.reserveConnection() } == [true, true, true, false, false])
        #expect(bench.server.openConnections == 3)
        bench.server.connectionEnded()
        #expect(bench.server.reserveConnection())
    }
}
