// The roll-out's machine: every way it can go, in virtual time.

import ConfigModel
import JSON
import Limits
import Testing

@testable import ControlPlane

/// A fleet in virtual time: edges apply what is published a second later, and do what they are told.
private struct World {
    var rollout: Rollout
    var now: Int64 = 1_000_000
    var edges: [String: RolloutEdge] = [:]
    /// What was published last, and where it stands.
    var published = GlobalObject.Stage.nobody
    var isPrevious = false
    var sequence: UInt64 = 100
    var stages: [GlobalObject.Stage] = []
    /// Edges that apply nothing.
    var stuck: Set<String> = []
    static let salt = "salt"

    init(_ count: Int, canaries: Int = 1, soakSeconds: Int64 = 60) {
        rollout = Rollout(salt: World.salt, soakMilliseconds: soakSeconds * 1000)
        for number in 0..<count {
            var edge = RolloutEdge(name: "edge-\(number)", isCanary: number < canaries, sequence: 100)
            edge.health = .init(requests: 1000, serverErrors: 2, latencyMicroseconds: 20_000)
            edges[edge.name] = edge
        }
    }

    var sight: Rollout.Sight {
        Rollout.Sight(now: now, sequence: sequence, edges: edges.values.sorted { $0.name < $1.name })
    }

    mutating func perform(_ actions: [Rollout.Action]) {
        for action in actions {
            sequence += 1
            switch action {
            case .publish(let stage):
                published = stage
                stages.append(stage)
            case .publishPrevious: isPrevious = true
            }
        }
    }

    mutating func look() {
        // As if each look were another process's.
        if let kept = try? Rollout(stored: rollout.json) { rollout = kept }
        perform(rollout.look(sight))
        now += 1000
        for name in edges.keys where !stuck.contains(name) { edges[name]?.sequence = sequence }
    }

    /// Looks every second until it is over or so many seconds are.
    mutating func run(seconds: Int = 600) {
        for _ in 0..<seconds where !rollout.state.isOver { look() }
    }

    func reached(_ stage: Rollout.Stage) -> Set<String> {
        let object = GlobalObject(version: 1, body: [:], stage: stage.reach, salt: World.salt)
        return Set(edges.values.filter { object.reaches(node: $0.name, isCanary: $0.isCanary) }.map(\.name))
    }
}

@Suite("The roll-out of global objects")
struct RolloutTests {
    @Test("a good version passes canary, 1, 10, 50 and 100 percent, each watched for its whole time")
    func passes() {
        var world = World(400)
        world.run(seconds: 1000)
        #expect(world.rollout.state == .done)
        #expect(world.stages == Rollout.Stage.allCases.map(\.reach))
        #expect(world.now - 1_000_000 >= 5 * 60_000 && world.now - 1_000_000 < 5 * 70_000)
        #expect(!world.isPrevious)
    }

    @Test("a stage that adds nobody is left out; one edge is one stage")
    func small() {
        var world = World(1)
        world.run()
        #expect(world.rollout.state == .done && world.stages == [Rollout.Stage.canary.reach, .everybody])
        var none = World(0)
        none.run(seconds: 2)
        #expect(none.rollout.state == .done && none.stages == [.everybody])
        var noCanary = World(3, canaries: 0)
        noCanary.run()
        #expect(noCanary.rollout.state == .done && noCanary.stages.last == .everybody)
    }

    @Test("while every edge is away nothing begins")
    func away() {
        var world = World(3)
        for name in world.edges.keys { world.edges[name]?.isConnected = false }
        world.run(seconds: 500)
        #expect(world.rollout.state == .running && world.rollout.stage == nil && world.stages.isEmpty)
        for name in world.edges.keys { world.edges[name]?.isConnected = true }
        world.run()
        #expect(world.rollout.state == .done)
    }

    @Test("an edge that was away when its stage began stops nobody")
    func oneAway() {
        var world = World(40)
        world.edges["edge-7"]?.isConnected = false
        world.run()
        #expect(world.rollout.state == .done)
    }

    enum Fault: String, CaseIterable, Sendable { case crash, refusal, errors, latency, gone, stuck, pooled }

    private func cause(_ world: inout World, _ fault: Fault, _ names: Set<String>) {
        for name in names {
            switch fault {
            case .crash: world.edges[name]?.health.crashes += 1
            case .refusal: world.edges[name]?.health.refusals += 1
            case .errors: world.edges[name]?.health.serverErrors = 20
            case .latency: world.edges[name]?.health.latencyMicroseconds = 81_000
            case .gone: world.edges[name]?.isConnected = false
            case .stuck: world.stuck.insert(name)
            case .pooled:
                world.edges[name]?.health.requests = 40
                world.edges[name]?.health.serverErrors = 4
            }
        }
    }

    @Test(
        "whatever goes wrong in whichever stage, the version before comes back, with the reason",
        arguments: Fault.allCases)
    func fails(_ fault: Fault) {
        for stage in Rollout.Stage.allCases {
            var world = World(400, canaries: 3)
            if fault == .pooled {
                for name in world.edges.keys { world.edges[name]?.health = .init(requests: 40) }
            }
            var isBroken = false
            for _ in 0..<1000 where !world.rollout.state.isOver {
                if world.rollout.stage == stage, !isBroken {
                    isBroken = true
                    let reached = world.reached(stage)
                    let victims = fault == .pooled ? reached : Set(reached.sorted().prefix(1))
                    cause(&world, fault, victims)
                    if fault == .stuck { for name in victims { world.edges[name]?.sequence = 1 } }
                }
                world.look()
            }
            #expect(world.rollout.state == .rolledBack && world.isPrevious, "\(fault) in \(stage)")
            #expect(world.rollout.stage == stage, "\(fault) in \(stage)")
            let words: [Fault: String] = [
                .crash: "crashed", .refusal: "refused", .errors: "5xx", .latency: "99th percentile", .gone: "is gone",
                .stuck: "has not applied", .pooled: "the stage's edges",
            ]
            #expect(world.rollout.reason.hasPrefix("stage \(stage.rawValue): "))
            #expect(world.rollout.reason.contains(words[fault] ?? "?"), "\(world.rollout.reason)")
            #expect(world.lookOnce() == [], "over is over")
        }
    }

    @Test("what is within bounds, was so before, or lies outside the stage is no reason")
    func tolerated() {
        var world = World(400)
        for name in world.edges.keys { world.edges[name]?.health.crashes = 2 }
        var count = 0
        while !world.rollout.state.isOver, count < 1000 {
            count += 1
            world.look()
            guard world.rollout.stage == .canary else { continue }
            // The canary within bounds, others far beyond.
            world.edges["edge-0"]?.health.latencyMicroseconds = 79_000
            world.edges["edge-0"]?.health.serverErrors = 11
            for number in 1..<400 where !world.reached(.canary).contains("edge-\(number)") {
                world.edges["edge-\(number)"]?.health.serverErrors = 500
            }
        }
        #expect(world.rollout.state == .done, "\(world.rollout.reason)")
    }

    @Test("few requests say nothing about shares and latencies")
    func quiet() {
        var world = World(2, canaries: 2)
        world.look()
        for name in world.edges.keys {
            world.edges[name]?.health = .init(requests: 20, serverErrors: 20, latencyMicroseconds: 9_000_000)
        }
        world.run()
        #expect(world.rollout.state == .done)
    }

    @Test("an edge that comes back in time may have been away; its stage is watched anew")
    func blink() {
        var world = World(1)
        world.look()
        for _ in 0..<50 { world.look() }
        world.edges["edge-0"]?.isConnected = false
        for _ in 0..<10 { world.look() }
        world.edges["edge-0"]?.isConnected = true
        for _ in 0..<50 { world.look() }
        #expect(world.rollout.state == .running)
        for _ in 0..<20 { world.look() }
        #expect(world.rollout.state == .done)
    }

    @Test("an edge that is revoked in the middle is watched no longer")
    func revoked() {
        var world = World(2, canaries: 2)
        world.look()
        world.edges["edge-1"]?.isConnected = false
        world.look()
        world.edges["edge-1"] = nil
        world.run()
        #expect(world.rollout.state == .done)
    }

    @Test("paused it stays, resumed it goes on, and an edge that fails meanwhile ends it")
    func paused() {
        var world = World(100)
        for _ in 0..<10 { world.look() }
        #expect(world.rollout.pause() && !world.rollout.pause())
        let stage = world.rollout.stage
        for _ in 0..<500 { world.look() }
        #expect(world.rollout.state == .paused && world.rollout.stage == stage)
        var failing = world
        failing.edges["edge-0"]?.health.crashes = 1
        failing.look()
        #expect(failing.rollout.state == .rolledBack && failing.isPrevious)
        #expect(world.rollout.resume() && !world.rollout.resume())
        for _ in 0..<30 { world.look() }
        #expect(world.rollout.stage == stage)
        world.run()
        #expect(world.rollout.state == .done)
    }

    @Test("promoted it goes on at once, aborted it goes back, and neither once it is over")
    func byHand() {
        var world = World(400)
        for stage in Rollout.Stage.allCases {
            let actions = world.rollout.promote(world.sight)
            #expect(actions == [.publish(stage.reach)])
            world.perform(actions ?? [])
        }
        #expect(world.rollout.promote(world.sight) == [] && world.rollout.state == .done)
        #expect(world.rollout.promote(world.sight) == nil && world.rollout.abort() == nil)
        var other = World(400)
        for _ in 0..<100 { other.look() }
        #expect(other.rollout.abort() == [.publishPrevious] && other.rollout.state == .aborted)
        #expect(other.rollout.reason.contains("stage") && !other.rollout.pause())
    }

    @Test("a newer version takes its place; the older one does nothing more")
    func superseded() {
        var world = World(10)
        for _ in 0..<10 { world.look() }
        world.rollout.supersede(by: 7)
        #expect(world.rollout.state == .superseded && world.rollout.reason.contains("7"))
        #expect(world.lookOnce() == [])
    }

    @Test("what is not in the log yet is nobody's fault, and nobody's soak")
    func unnumbered() {
        var world = World(1)
        world.look()
        for _ in 0..<200 {
            world.now += 1000
            let sight = Rollout.Sight(now: world.now, sequence: nil, edges: Array(world.edges.values))
            #expect(world.rollout.look(sight) == [])
        }
        #expect(world.rollout.state == .running && world.rollout.stage == .canary)
        world.run()
        #expect(world.rollout.state == .done)
    }

    @Test("a clock that goes back makes nothing faster")
    func clock() {
        var world = World(1)
        for _ in 0..<30 { world.look() }
        world.now -= 500_000
        for _ in 0..<55 { world.look() }
        #expect(world.rollout.state == .running)
        world.run()
        #expect(world.rollout.state == .done)
    }

    @Test("it is kept whole")
    func kept() throws {
        var world = World(50)
        for _ in 0..<100 {
            world.look()
            #expect(try Rollout(stored: JSONValue(parsing: world.rollout.json.text)) == world.rollout)
        }
        #expect(throws: StoreError.self) { try Rollout(stored: [:]) }
    }
}

extension World {
    fileprivate mutating func lookOnce() -> [Rollout.Action] { rollout.look(sight) }
}
