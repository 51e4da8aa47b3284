import ConfigLog

/// Times from commit to being applied at an edge, of every change at every edge: a tenth of a millisecond each up to ten
/// seconds, then ten milliseconds.
struct PropagationSamples {
    private var fine = [UInt32](repeating: 0, count: 100_000)
    private var coarse = [UInt32](repeating: 0, count: 200_000)
    private(set) var count: UInt64 = 0
    private(set) var maxMilliseconds = 0.0

    mutating func add(_ microseconds: UInt64) {
        count += 1
        maxMilliseconds = max(maxMilliseconds, Double(microseconds) / 1000)
        if microseconds < 10_000_000 {
            fine[Int(microseconds / 100)] &+= 1
        } else {
            coarse[min(coarse.count - 1, Int(microseconds / 10_000))] &+= 1
        }
    }

    /// The time within which that share of them came, in milliseconds.
    func quantile(_ share: Double) -> Double {
        let wanted = UInt64((Double(count) * share).rounded(.up))
        var seen: UInt64 = 0
        for (index, number) in fine.enumerated() where number > 0 {
            seen += UInt64(number)
            if seen >= wanted { return Double(index + 1) / 10 }
        }
        for (index, number) in coarse.enumerated() where number > 0 {
            seen += UInt64(number)
            if seen >= wanted { return min(maxMilliseconds, Double(index + 1) * 10) }
        }
        return maxMilliseconds
    }
}

/// What happened how often.
struct SimulationTally {
    var frames = 0
    var connections = 0
    var retransmissions = 0
    var reads = 0
    var ticks = 0
    var exports = 0
    var imports = 0
    var chunksAtHand = 0
    var chunksFetched = 0
    var kills = 0
    var damaged = 0
    var violations = 0
    var parentsLost = 0
    var childrenCut = 0
    var damageFound = 0
    var forksRefused = 0

    mutating func note(_ report: LogReport, of name: String) {
        switch report {
        case .parentLost: parentsLost += 1
        case .childCut: childrenCut += 1
        case .damaged: damageFound += 1
        case .forked: forksRefused += 1
        default: break
        }
    }
}

/// What came of a run. All but the processor's time is the same for the same options.
package struct SimulationReport: Sendable {
    /// Of one kind of nodes.
    package struct Part: Sendable, Equatable {
        package var nodes = 0
        package var bytesOut: UInt64 = 0
        package var bytesOutMax: UInt64 = 0
        package var messagesOut: UInt64 = 0
        package var messagesIn: UInt64 = 0
    }

    package let edges: Int
    package let relays: Int
    package let changes: Int
    package let changesPerSecond: Double
    /// Virtual time during which there were changes.
    package let seconds: Double
    package let seed: UInt64
    package let faults: [SimulationFault]

    /// Milliseconds from commit to being applied, over all changes at all edges.
    package let propagationP50: Double
    package let propagationP90: Double
    package let propagationP99: Double
    package let propagationMax: Double
    /// Changes times edges that were counted.
    package let pairs: UInt64

    package let root: Part
    package let relay: Part
    package let edge: Part
    /// Milliseconds of the processor that the machines took: root, relays and edges together.
    package let cpuMilliseconds: (root: Double, relays: Double, edges: Double)

    /// What happened how often, by name.
    package let counts: [(name: String, count: Int)]
    /// What must never be, and was: empty, or the run has failed.
    package let violations: [String]
    package var hasConverged: Bool { violations.isEmpty }

    /// How often that happened.
    package func count(_ name: String) -> Int { counts.first { $0.name == name }?.count ?? 0 }

    init(_ world: SimulatedWorld) {
        let options = world.options
        edges = options.edges
        relays = options.relayCount
        changes = world.committed.count
        changesPerSecond = options.changesPerSecond
        seconds = Double(world.end) / 1_000_000
        seed = options.seed
        faults = options.faults.sorted { $0.rawValue < $1.rawValue }
        propagationP50 = world.samples.quantile(0.5)
        propagationP90 = world.samples.quantile(0.9)
        propagationP99 = world.samples.quantile(0.99)
        propagationMax = world.samples.maxMilliseconds
        pairs = world.samples.count
        root = Self.part([world.root])
        relay = Self.part(Array(world.relays))
        edge = Self.part(Array(world.edges))
        func cpu(_ nodes: ArraySlice<SimulatedNode>) -> Double {
            Double(nodes.reduce(0) { $0 + $1.cpuNanoseconds }) / 1_000_000
        }
        cpuMilliseconds = (cpu(world.nodes[0...0]), cpu(world.relays), cpu(world.edges))
        let tally = world.tally
        counts = [
            ("frames", tally.frames), ("connections", tally.connections), ("retransmissions", tally.retransmissions),
            ("reads", tally.reads), ("ticks", tally.ticks),
            ("snapshots_exported", tally.exports), ("snapshots_imported", tally.imports),
            ("chunks_at_hand", tally.chunksAtHand), ("chunks_fetched", tally.chunksFetched),
            ("nodes_killed", tally.kills), ("messages_damaged", tally.damaged), ("damage_found", tally.damageFound),
            ("parents_lost", tally.parentsLost), ("children_cut", tally.childrenCut),
            ("forks_refused", tally.forksRefused), ("violations", tally.violations),
        ]
        violations = world.violations
    }

    private static func part(_ nodes: [SimulatedNode]) -> Part {
        nodes.reduce(into: Part()) { part, node in
            part.nodes += 1
            part.bytesOut += node.bytesOut
            part.bytesOutMax = max(part.bytesOutMax, node.bytesOut)
            part.messagesOut += node.messagesOut
            part.messagesIn += node.messagesIn
        }
    }
}
