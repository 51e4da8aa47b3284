// Who gets a request. Time and chance are arguments, so every choice here is exact.

import ConfigModel
import Exchange
import Logging
import NIOCore
import Synchronization
import Telemetry
import Testing

@testable import Origin

/// A zone of origins and its balancer.
private struct Field {
    let balancer: Balancer
    var random = SeededGenerator(seed: 21)
    /// Later than any ejection or slow start that a test does not ask for.
    var now: UInt64 = 1_000_000_000_000

    init(weights: [Int], backups: Set<Int> = [], balance: Zone.Balance = .roundRobin, slowStart: Int = 0) {
        let origins = weights.enumerated().map { index, weight in
            var origin = Origin(scheme: .http, host: "origin\(index).test", port: 80)
            origin.weight = weight
            origin.backup = backups.contains(index)
            return origin
        }
        var zone = Zone(name: "a.test", hostnames: ["a.test"], origins: origins)
        zone.balance = balance
        zone.ejection.consecutiveFailures = 1
        zone.ejection.forMilliseconds = 1_000
        zone.ejection.slowStartMilliseconds = slowStart
        let servers = origins.map { origin in
            OriginServer(
                key: .init(origin: origin, pool: zone.pool, timeouts: zone.timeouts, ejection: zone.ejection),
                loopCount: 1, security: nil, log: Logger(label: "test"))
        }
        balancer = Balancer(zone: zone, servers: servers)
    }

    mutating func choose(_ hint: Balancer.Hint = .none, tried: [Int] = []) -> Int? {
        let chance: UInt64 = random.next()
        return balancer.choose(hint, tried: tried, now: now, random: chance)
    }

    /// How often each origin is chosen.
    mutating func counts(_ turns: Int, tried: [Int] = []) -> [Int] {
        var counts: [Int] = balancer.servers.map { _ in 0 }
        for _ in 0..<turns {
            if let index = choose(tried: tried) { counts[index] += 1 }
        }
        return counts
    }

    func eject(_ index: Int) { _ = balancer.servers[index].health.noteFailure(now: now) }
    func takeDown(_ index: Int) { _ = balancer.servers[index].health.setUp(false, now: now) }
}

@Suite("Balancer: round robin")
struct RoundRobinTests {
    @Test(
        "a round gives each origin exactly its weight",
        arguments: [[1, 1], [5, 1, 1], [3, 2], [1, 1000], [7, 7, 7, 1]])
    func weights(_ weights: [Int]) {
        var field = Field(weights: weights)
        let round = weights.reduce(0, +)
        #expect(field.counts(round) == weights)
        #expect(field.counts(3 * round) == weights.map { 3 * $0 })
    }

    @Test("rounds too long to keep stay near their weights, and nobody is left out")
    func longRounds() {
        let weights = [1000, 1000, 1000, 1000, 1000, 1]
        var field = Field(weights: weights)
        let counts = field.counts(100_000)
        #expect(counts.allSatisfy { $0 > 0 })
        for index in 0..<5 { #expect(abs(counts[index] - 20_000) < 200) }
        #expect(counts[5] < 200)
    }

    @Test("turns are spread over the round, not bunched")
    func spread() {
        var field = Field(weights: [2, 1, 1])
        let turns = (0..<8).compactMap { _ in field.choose() }
        for index in turns.indices.dropFirst() where turns[index] == 1 || turns[index] == 2 {
            #expect(turns[index] != turns[index - 1])
        }
    }

    @Test("who was tried, is ejected or is down is passed over")
    func passedOver() {
        var field = Field(weights: [1, 1, 1, 1])
        field.eject(1)
        field.takeDown(2)
        let counts = field.counts(90, tried: [3])
        #expect(counts[0] == 90)
        let others = field.counts(90)
        #expect(others[1] == 0 && others[2] == 0)
        #expect(others[0] > 0 && others[3] > 0)
    }

    @Test("when everybody was tried, somebody is tried again")
    func allTried() {
        var field = Field(weights: [1, 1])
        #expect(field.counts(10, tried: [0, 1]).reduce(0, +) == 10)
        field.takeDown(0)
        #expect(field.counts(10, tried: [1]) == [0, 10])
    }

    @Test("of many origins those that were tried are passed over too")
    func many() {
        var field = Field(weights: [Int](repeating: 1, count: 200))
        let counts = field.counts(2_000, tried: Array(50..<200))
        #expect(counts[..<50].reduce(0, +) == 2_000)
    }
}

@Suite("Balancer: backups and outages")
struct OutageTests {
    @Test("backups are used only while no other is available")
    func backups() {
        var field = Field(weights: [1, 1, 1], backups: [2])
        #expect(field.counts(100)[2] == 0)
        field.takeDown(0)
        #expect(field.counts(100) == [0, 100, 0])
        field.eject(1)
        #expect(field.counts(100) == [0, 0, 100])
        field.now += 2_000_000_000
        #expect(field.counts(100) == [0, 100, 0])
    }

    @Test("backups follow the policy among themselves")
    func backupHash() {
        var field = Field(weights: [1, 1, 1], backups: [1, 2], balance: .hash(.uri))
        #expect(field.choose(.hash(7)) == 0)
        field.takeDown(0)
        let chosen = (0..<200).compactMap { field.choose(.hash(UInt64($0) &* 0x9e37_79b9_7f4a_7c15)) }
        #expect(Set(chosen) == [1, 2])
    }

    @Test("ejection that would leave nobody is ignored")
    func allEjected() {
        var field = Field(weights: [1, 1, 1], backups: [2])
        for index in 0..<3 { field.eject(index) }
        let counts = field.counts(300)
        #expect(counts.reduce(0, +) == 300)
        // The checks' verdict is not ignored.
        field.takeDown(0)
        #expect(field.counts(300)[0] == 0)
    }

    @Test("one origin alone is used although ejected, and not while down")
    func single() {
        var field = Field(weights: [1])
        field.eject(0)
        #expect(field.choose() == 0)
        #expect(field.choose(tried: [0]) == 0)
        field.takeDown(0)
        #expect(field.choose() == nil)
        #expect(field.choose(tried: [0]) == nil)
    }

    @Test("when all are down nobody is chosen", arguments: [Zone.Balance.roundRobin, .leastOutstanding, .hash(.uri)])
    func allDown(_ balance: Zone.Balance) {
        var field = Field(weights: [1, 2, 1], backups: [2], balance: balance)
        for index in 0..<3 { field.takeDown(index) }
        #expect(field.choose() == nil)
        #expect(field.choose(.hash(1)) == nil)
        #expect(field.choose(.sticky(1)) == nil)
        #expect(field.choose(tried: [0, 1, 2]) == nil)
    }

    @Test("a zone whose origins are all backups still serves")
    func onlyBackups() {
        var field = Field(weights: [1, 1], backups: [0, 1])
        #expect(field.counts(100) == [50, 50])
    }
}

@Suite("Balancer: hashing and stickiness")
struct HashTests {
    private static let keys = (0..<20_000).map { Balancer.hash(Array("key \($0)".utf8).span) }

    @Test("a key always leads to the same origin, and weights hold over many keys")
    func stable() {
        var field = Field(weights: [1, 2, 1], balance: .hash(.uri))
        var counts = [0, 0, 0]
        for key in Self.keys {
            let first = field.choose(.hash(key))
            #expect(first != nil && field.choose(.hash(key)) == first)
            if let first { counts[first] += 1 }
        }
        for (count, expected) in zip(counts, [5_000, 10_000, 5_000]) { #expect(abs(count - expected) < 400) }
    }

    @Test("when an origin leaves, only its own keys move, and when it returns they come back")
    func minimalMoves() {
        var field = Field(weights: [1, 1, 1, 1], balance: .hash(.uri))
        let before = Self.keys.map { field.choose(.hash($0)) }
        field.takeDown(2)
        let without = Self.keys.map { field.choose(.hash($0)) }
        for (old, new) in zip(before, without) where old != 2 { #expect(new == old) }
        #expect(!without.contains(2))
        // The lost keys are shared among all who stay.
        let moved = zip(before, without).filter { $0.0 == 2 }.map(\.1)
        #expect(Set(moved) == [0, 1, 3])
        _ = field.balancer.servers[2].health.setUp(true, now: field.now)
        #expect(Self.keys.map { field.choose(.hash($0)) } == before)
    }

    @Test("another weight moves keys only to or from the origin whose weight it is")
    func weightChange() {
        var light = Field(weights: [1, 1, 1], balance: .hash(.uri))
        var heavy = Field(weights: [1, 1, 3], balance: .hash(.uri))
        for key in Self.keys {
            let (old, new) = (light.choose(.hash(key)), heavy.choose(.hash(key)))
            #expect(old == new || new == 2)
        }
    }

    @Test("a failed origin's key goes elsewhere for this request only")
    func tried() {
        var field = Field(weights: [1, 1, 1], balance: .hash(.uri))
        for key in Self.keys.prefix(1_000) {
            guard let first = field.choose(.hash(key)) else { continue }
            #expect(field.choose(.hash(key), tried: [first]) != first)
            #expect(field.choose(.hash(key)) == first)
        }
    }

    @Test("a sticky cookie leads back while its origin is there, and away when it is not")
    func sticky() {
        var field = Field(weights: [1, 1, 1], balance: .sticky(cookie: "s"))
        for index in 0..<3 {
            let name = field.balancer.stickyName(of: index)
            for _ in 0..<10 { #expect(field.choose(.sticky(name)) == index) }
        }
        let name = field.balancer.stickyName(of: 1)
        field.eject(1)
        for _ in 0..<10 { #expect(field.choose(.sticky(name)) != 1) }
        field.now += 2_000_000_000
        #expect(field.choose(.sticky(name)) == 1)
        #expect(field.choose(.sticky(name), tried: [1]) != 1)
        // A value nobody has is as none.
        #expect(Set((0..<30).compactMap { _ in field.choose(.sticky(12345)) }) == [0, 1, 2])
    }

    @Test("sticky names do not depend on the order of origins, nor on the process")
    func stickyNames() {
        let field = Field(weights: [1, 1])
        let expected = Balancer.hash(Array("http://origin0.test:80".utf8).span)
        #expect(field.balancer.stickyName(of: 0) == expected)
        #expect(field.balancer.stickyName(of: 0) != field.balancer.stickyName(of: 1))
    }
}

@Suite("Balancer: least outstanding")
struct LeastOutstandingTests {
    private func load(_ field: Field, _ counts: [Int]) {
        for (server, count) in zip(field.balancer.servers, counts) {
            server.outstanding.store(count, ordering: .relaxed)
        }
    }

    @Test("who has least to do by weight is chosen")
    func least() {
        var field = Field(weights: [1, 1, 2], balance: .leastOutstanding)
        load(field, [3, 2, 9])
        #expect(field.counts(10) == [0, 10, 0])
        load(field, [3, 3, 4])
        #expect(field.counts(10) == [0, 0, 10])
    }

    @Test("equals take turns")
    func equals() {
        var field = Field(weights: [1, 1, 1], balance: .leastOutstanding)
        #expect(field.counts(300) == [100, 100, 100])
    }

    @Test("weights that say the same in larger numbers choose the same", arguments: [1, 10, 100, 1000])
    func scale(_ factor: Int) {
        var field = Field(weights: [factor, factor], balance: .leastOutstanding)
        load(field, [2, 0])
        #expect(field.counts(20) == [0, 20])
        load(field, [1, 2])
        #expect(field.counts(20) == [20, 0])
    }

    @Test("counts beyond reason do not trap")
    func extremes() {
        var field = Field(weights: [1, 1000], balance: .leastOutstanding)
        load(field, [1 << 40, 1 << 41])
        #expect(field.choose() == 1)
        load(field, [-3, 0])
        #expect(field.choose() == 0)
    }
}

@Suite("Balancer: slow start")
struct SlowStartTests {
    @Test(
        "a returning origin takes a growing part of its turns",
        arguments: [(0, 0.1), (5_000, 0.5), (9_000, 0.9), (10_000, 1.0)])
    func share(elapsed: Int, part: Double) {
        var field = Field(weights: [1, 1], slowStart: 10_000)
        field.takeDown(0)
        _ = field.balancer.servers[0].health.setUp(true, now: field.now)
        field.now += UInt64(elapsed) * 1_000_000
        let counts = field.counts(20_000)
        let expected = 10_000 * part
        #expect(abs(Double(counts[0]) - expected) < 600)
        #expect(counts[0] + counts[1] == 20_000)
    }

    @Test("an origin that returns alone takes everything at once")
    func alone() {
        var field = Field(weights: [1, 1], slowStart: 10_000)
        field.takeDown(0)
        field.takeDown(1)
        _ = field.balancer.servers[0].health.setUp(true, now: field.now)
        #expect(field.counts(100) == [100, 0])
    }
}
