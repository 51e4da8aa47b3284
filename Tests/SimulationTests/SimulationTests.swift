import ConfigLog
import Testing

@testable import Simulation

@Suite("The simulated world")
struct SimulationTests {
    private static func options(_ faults: SimulationFault..., edges: Int = 16) -> SimulationOptions {
        var options = SimulationOptions()
        options.edges = edges
        options.changesPerSecond = 20
        options.seconds = 15
        options.valueBytes = 200
        options.keyPairs = 256
        options.faults = Set(faults)
        options.seed = 3
        return options
    }

    private static func sound(_ report: SimulationReport) {
        #expect(report.violations == [])
        #expect(report.pairs == UInt64(report.changes * report.edges))
    }

    @Test("without faults every change is at every edge soon, and the machines have nothing to complain of")
    func calm() throws {
        let report = try Simulation.run(Self.options())
        Self.sound(report)
        #expect(report.changes > 200)
        #expect(report.propagationP99 < 500)
        #expect(report.propagationP50 >= 10 && report.propagationP50 <= report.propagationP99)
        #expect(report.propagationMax >= report.propagationP99)
        for name in ["damage_found", "parents_lost", "children_cut", "forks_refused", "snapshots_imported"] {
            #expect(report.count(name) == 0, "\(name)")
        }
        #expect(report.relays == 4)
        // Each relay gets every frame once, and passes it on to four edges or so.
        #expect(report.relay.messagesOut > 3 * report.root.messagesOut / 2)
    }

    @Test("the same seed gives the same report, another one another")
    func deterministic() throws {
        var options = Self.options(.relayKilled, .corruptByte, .slowLeaf)
        let first = try Simulation.run(options).json(withCPU: false)
        #expect(try Simulation.run(options).json(withCPU: false) == first)
        options.seed = 4
        #expect(try Simulation.run(options).json(withCPU: false) != first)
    }

    @Test("a relay that dies in the middle of a frame loses nothing")
    func relayKilled() throws {
        let report = try Simulation.run(Self.options(.relayKilled))
        Self.sound(report)
        #expect(report.count("nodes_killed") == 1)
        #expect(report.count("parents_lost") >= 2)
        #expect(report.count("snapshots_imported") == 0)
    }

    @Test("after a partition of ten minutes everybody catches up, by a snapshot where the window is passed")
    func partition() throws {
        var options = Self.options(.partition, edges: 9)
        options.changesPerSecond = 4
        options.bounds.windowFramesMax = 1000
        let report = try Simulation.run(options)
        Self.sound(report)
        #expect(report.seconds > 600)
        #expect(report.propagationMax > 590_000)
        #expect(report.count("snapshots_imported") >= 1)
        // Those that were not cut off did not notice.
        #expect(report.propagationP50 < 500)
    }

    @Test("a slow edge is cut and catches up, and slows nobody down")
    func slowLeaf() throws {
        var options = Self.options(.slowLeaf)
        options.seconds = 60
        options.valueBytes = 2000
        options.bounds.inFlightBytesMax = 64 * 1024
        options.bounds.childQueueBytesMax = 128 * 1024
        let report = try Simulation.run(options)
        Self.sound(report)
        #expect(report.count("children_cut") >= 1)
        #expect(report.propagationP90 < 500)
        #expect(report.propagationMax > 5000)
    }

    @Test("damaged bytes are found, and what they spoilt is fetched again")
    func corruptByte() throws {
        let report = try Simulation.run(Self.options(.corruptByte))
        Self.sound(report)
        #expect(report.count("messages_damaged") >= 4)
        #expect(report.count("damage_found") >= report.count("messages_damaged"))
        // One edge had to leave its parent, one connection broke.
        #expect(report.count("parents_lost") == 2)
    }

    @Test("a root with another history is refused")
    func forkedEpoch() throws {
        var options = Self.options(.forkedEpoch)
        options.seconds = 40
        let report = try Simulation.run(options)
        Self.sound(report)
        #expect(report.count("forks_refused") >= 1)
    }

    @Test("an edge that lost its replica gets a snapshot while changes go on, resumed when it breaks off")
    func snapshotDuringWrites() throws {
        var options = Self.options(.snapshotDuringWrites)
        options.bounds.windowFramesMax = 16
        options.changesPerSecond = 60
        options.keyPairs = 2048
        let report = try Simulation.run(options)
        Self.sound(report)
        #expect(report.count("snapshots_imported") >= 3)
        #expect(report.count("chunks_at_hand") > 0)
    }

    @Test("everything at once")
    func all() throws {
        var options = Self.options(
            .relayKilled, .slowLeaf, .corruptByte, .forkedEpoch, .snapshotDuringWrites, edges: 25)
        options.seconds = 50
        Self.sound(try Simulation.run(options))
    }

    @Test("the report's object has what scripts read")
    func report() throws {
        let report = try Simulation.run(Self.options(.relayKilled))
        let json = report.json()
        #expect(json.contains("\"propagation_ms\":{\"p50\":"))
        #expect(json.contains("\"p99\":") && json.contains("\"max\":"))
        #expect(json.contains("\"faults\":[\"relay-killed\"]"))
        #expect(json.contains("\"converged\":true"))
        #expect(json.contains("\"cpu_ms\":{\"root\":"))
        #expect(report.table.contains("16 edges behind 4 relays"))
    }

    @Test("options out of bounds are refused with what was expected and found")
    func refused() {
        var options = Self.options()
        options.edges = 0
        let error = #expect(throws: SimulationOptionError.self) { try Simulation.run(options) }
        #expect(error?.description == "expected 1 to 10000 edges, found 0")
        options = Self.options(.relayKilled, edges: 1)
        #expect(throws: SimulationOptionError.self) { try Simulation.run(options) }
        options = Self.options()
        options.lossRate = .nan
        #expect(throws: SimulationOptionError.self) { try Simulation.run(options) }
    }
}

@Suite("What the simulation stands on")
struct SimulationPartTests {
    @Test("events come by time, and in the order they were put in")
    func queue() {
        var queue = EventQueue<Int>()
        var chance = SeededGenerator(seed: 1)
        var expected: [(UInt64, Int)] = []
        for number in 0..<2000 {
            let time = chance.below(50)
            queue.add(number, at: time)
            expected.append((time, number))
        }
        expected.sort { $0 < $1 }
        for (time, number) in expected {
            let next = queue.next()
            #expect(next?.time == time && next?.event == number)
        }
        #expect(queue.next() == nil)
    }

    @Test("round trips are the same both ways: short within a region, 28 to 280 ms between regions")
    func map() {
        for first in WorldMap.regions.indices {
            #expect(WorldMap.regions[first].roundTrips.count == first)
            for second in WorldMap.regions.indices where second != first {
                #expect(WorldMap.roundTrip(first, second) == WorldMap.roundTrip(second, first))
                #expect((28...280).contains(WorldMap.roundTrip(first, second)))
            }
            #expect(WorldMap.roundTrip(first, first) == 2)
        }
        for count in [1, 18, 330] { #expect(WorldMap.share(count).reduce(0, +) == count) }
    }

    @Test("quantiles of times")
    func quantiles() {
        var samples = PropagationSamples()
        for number in 1...1000 as ClosedRange<UInt64> { samples.add(number * 1000) }
        samples.add(60_000_000)
        #expect(abs(samples.quantile(0.5) - 501) < 0.2)
        #expect(abs(samples.quantile(0.99) - 991) < 0.2)
        #expect(samples.quantile(1) == 60_000)
        #expect(samples.maxMilliseconds == 60_000)
    }

    @Test("the checks find a gap, a false number, and half of a change")
    func checks() throws {
        func frame(_ changes: [Change], after position: LogPosition) throws -> Frame {
            try Frame.seal(epoch: 1, after: (position.sequence, position.hash), groups: [changes], committedAt: 0)
        }
        var replica = SimulatedReplica(pairs: 64, valueBytes: 64)
        let good = SimulatedReplica.changes(number: 1, pair: 5, valueBytes: 64)
        let first = try frame(good, after: .none)
        #expect(replica.apply(first) == nil)
        #expect(replica.apply(first)?.contains("behind") == true)
        let false2 = try frame(SimulatedReplica.changes(number: 9, pair: 5, valueBytes: 64), after: first.position)
        var other = replica
        #expect(other.apply(false2)?.contains("came as sequence 2") == true)
        let half = Array(SimulatedReplica.changes(number: 2, pair: 5, valueBytes: 64).prefix(1))
        #expect(replica.apply(try frame(half, after: first.position))?.contains("half a change") == true)
        #expect(replica.torn(5) != nil && replica.torn(4) == nil)
    }

    @Test("a state comes back out of its chunks, and only out of all of them")
    func chunks() throws {
        var replica = SimulatedReplica(pairs: 100, valueBytes: 64)
        let changes = SimulatedReplica.changes(number: 1, pair: 99, valueBytes: 64)
        let frame = try Frame.seal(epoch: 1, after: (0, .zero), groups: [changes], committedAt: 0)
        #expect(replica.apply(frame) == nil)
        let manifest = replica.manifest
        #expect(manifest.chunks.count == 4 && Set(manifest.chunks).count == 2)
        var parts: [Int: [UInt8]] = [:]
        for index in 0..<4 { parts[index] = replica.chunk(index) }
        var restored = SimulatedReplica(pairs: 100, valueBytes: 64)
        #expect(restored.restore(manifest.position, parts) == nil)
        #expect(restored.stamps == replica.stamps && restored.position == frame.position)
        parts[2] = nil
        #expect(restored.restore(manifest.position, parts) != nil)
    }
}
