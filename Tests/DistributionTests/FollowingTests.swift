import ConfigLog
import Distribution
import Glibc
import Limits
import Replica
import Synchronization
import Testing

@Suite("Following over TLS", .onNodeThreads, .serialized)
struct FollowingTests {
    @Test("an edge joins by a token, follows the root, and holds what was committed")
    func edge() async throws {
        let (root, scratch) = (try await TestRoot(), try Scratch())
        try await root.commit("switch/cache", "1")
        let identity = try await TestNode.join(root, .leaf, "edge-1", in: scratch)
        #expect(identity.role == .leaf)
        #expect(identity.name.text == "edge-1")
        let edge = try await TestNode(identity, in: scratch, parents: [root.address])
        try await eventually("the edge has the first change") { try edge.text("switch/cache") == "1" }
        let last = try await root.commit("switch/cache", "2")
        try await eventually("the edge has the second change") { edge.replica.position == last.position }
        #expect(try edge.text("switch/cache") == "2")
        #expect(try edge.replica.summary() == root.replica.summary())
        try await eventually("the root knows the edge") {
            let reports = await root.node.nodes()
            return reports.first?.name == "edge-1" && reports.first?.position == last.position
                && reports.first?.software == "1.0"
        }
        #expect(root.node.status.childCount == 1)
        await edge.stop()
        try await eventually("the root knows that it left") { await root.node.nodes().first?.isConnected == false }
        await root.stop()
    }

    @Test("what an edge does with its replica is told in order, and its health arrives at the root")
    func hooks() async throws {
        let (root, scratch) = (try await TestRoot(), try Scratch())
        let touched = Mutex<[Touched]>([])
        let hooks = ConfigNode.Hooks(
            onTouched: { news in touched.withLock { $0.append(news) } },
            health: {
                var health = HealthSummary()
                (health.requests, health.cacheHits) = (7, 5)
                return health
            })
        let identity = try await TestNode.join(root, .leaf, "edge-1", in: scratch)
        let edge = try await TestNode(identity, in: scratch, parents: [root.address], hooks: hooks)
        for number in 1...20 { try await root.commit("global/limits/client", "\(number)") }
        try await eventually("all is applied") { edge.replica.position.sequence == 20 }
        try await eventually("all is told") { touched.withLock { $0.last?.position.sequence } == 20 }
        let sequences = touched.withLock { $0.map(\.position.sequence) }
        #expect(sequences == sequences.sorted())
        #expect(touched.withLock { $0.allSatisfy { $0.keys == ["global/limits/client"] } })
        try await eventually("the root hears of its health") {
            await root.node.nodes().first?.health.cacheHits == 5
        }
        await edge.stop()
        await root.stop()
    }

    @Test("an edge that the window does not reach gets a snapshot, then frames")
    func snapshot() async throws {
        var bounds = LogBounds()
        bounds.windowFramesMax = 4
        let (root, scratch) = (try await TestRoot(bounds: bounds), try Scratch())
        for number in 1...40 {
            let value = [UInt8](repeating: UInt8(number), count: 100_000)
            try await root.commit([Change(key: "zone/\(String(repeating: "0", count: 32))/\(number)", value: value)])
        }
        let identity = try await TestNode.join(root, .leaf, "edge-1", in: scratch)
        let edge = try await TestNode(identity, in: scratch, parents: [root.address])
        try await eventually("the edge has it all") { edge.replica.position.sequence == 40 }
        #expect(edge.replica.statistics.imports == 1)
        let last = try await root.commit("switch/cache", "1")
        try await eventually("it goes on with frames") { edge.replica.position == last.position }
        #expect(edge.replica.statistics.imports == 1)
        #expect(try edge.replica.summary() == root.replica.summary())
        await edge.stop()
        await root.stop()
    }

    @Test("an edge behind a relay joins through it and follows it; the root hears of both")
    func relay() async throws {
        let (root, scratch) = (try await TestRoot(), try Scratch())
        let relayIdentity = try await TestNode.join(root, .relay, "relay-1", in: scratch)
        let relay = try await TestNode(relayIdentity, in: scratch, parents: [root.address])
        try await root.say("relay-1", .relay)
        // It joins at the relay, which passes the token on.
        let identity = try await TestNode.join(root, .leaf, "edge-1", in: scratch, at: [relay.address])
        try await root.say("edge-1", .leaf)
        let edge = try await TestNode(identity, in: scratch, parents: [relay.address])
        let last = try await root.commit("switch/cache", "1")
        try await eventually("the edge has it") { edge.replica.position == last.position }
        #expect(try edge.replica.summary() == root.replica.summary())
        try await eventually("the root hears of both") {
            let nodes = await root.node.nodes()
            return nodes.map(\.name) == ["edge-1", "relay-1"] && nodes.map(\.parent) == ["relay-1", "control"]
                && nodes.allSatisfy { $0.position == last.position }
        }
        await edge.stop()
        await relay.stop()
        await root.stop()
    }

    @Test("a connection that breaks within a frame costs nothing: the edge goes on at its other parent")
    func brokenFrame() async throws {
        let (root, scratch) = (try await TestRoot(), try Scratch())
        let wire = try await Wire(to: root.address, cutAfter: 300_000)
        let identity = try await TestNode.join(root, .leaf, "edge-1", in: scratch)
        let edge = try await TestNode(identity, in: scratch, parents: [wire.address, root.address])
        try await eventually("it follows by the wire") { edge.node.status.isConnected }
        let large = [UInt8](repeating: 7, count: 900_000)
        let last = try await root.commit([Change(key: "global/large", value: large)])
        try await eventually("the edge has it") { edge.replica.position == last.position }
        #expect(wire.isCut)
        #expect(try edge.replica.value("global/large") == large)
        #expect(edge.replica.statistics.imports == 0)
        #expect(try edge.node.status.parent == root.address.description)
        await edge.stop()
        await wire.close()
        await root.stop()
    }

    @Test("an edge starts from what it has when nobody is there, and catches up when somebody is again")
    func alone() async throws {
        let desk = try TestDesk()
        let (root, scratch) = (try await TestRoot(desk: desk), try Scratch())
        let parent = try root.address
        let identity = try await TestNode.join(root, .leaf, "edge-1", in: scratch)
        var edge = try await TestNode(identity, in: scratch, parents: [parent])
        let first = try await root.commit("switch/cache", "1")
        try await eventually("the edge has it") { edge.replica.position == first.position }
        await edge.stop()
        let second = try await root.commit("switch/cache", "2")
        await root.node.stop()

        let kept = try #require(try NodeIdentity.load(directory: "\(scratch.path)/edge-1"))
        edge = try await TestNode(kept, in: scratch, parents: [parent])
        #expect(try edge.text("switch/cache") == "1")
        try await eventually("it knows that it is alone") { edge.node.status.parentProblem != nil }
        #expect(!edge.node.status.isConnected)

        // The same log again, by another process with the frames that its store kept.
        let again = try await ConfigNode.root(
            identity: RootIdentity(authority: desk.authority, name: name("control")), replica: root.replica,
            at: second.position, recent: [first, second],
            door: ConfigNode.Door(listen: parent, isAdmitted: desk.isAdmitted), log: quiet)
        try await eventually("it catches up") { edge.replica.position == second.position }
        #expect(edge.replica.statistics.imports == 0)
        await edge.stop()
        await again.stop()
        root.replica.close()
    }

    @Test("a root brings its replica up from recent frames, and refuses one that they do not reach")
    func rootCatchesUp() async throws {
        let (root, scratch) = (try await TestRoot(), try Scratch())
        var frames: [Frame] = []
        for number in 1...3 { frames.append(try await root.commit("switch/cache", "\(number)")) }
        let identity = RootIdentity(authority: root.desk.authority, name: try name("control"))
        let (fresh, end) = (try replica(scratch.path), try #require(frames.last).position)
        await #expect {
            try await ConfigNode.root(
                identity: identity, replica: fresh, at: end, recent: Array(frames.dropFirst()), log: quiet)
        } throws: {
            ($0 as? DistributionError)?.kind == .replica
        }
        let touched = Mutex<[Touched]>([])
        let node = try await ConfigNode.root(
            identity: identity, replica: fresh, at: end, recent: frames,
            hooks: ConfigNode.Hooks(onTouched: { news in touched.withLock { $0.append(news) } }), log: quiet)
        try await eventually("it is brought up") { node.status.applied == end }
        #expect(fresh.position == end)
        #expect(touched.withLock { $0.last?.position } == end)
        // No door: no socket, and frames still arrive.
        #expect(node.status.port == nil)
        let next = try Frame.seal(
            epoch: 1, after: (end.sequence, end.hash), groups: [[Change(key: "switch/http2", value: [1])]],
            committedAt: 1)
        try await node.publish(next)
        try await eventually("the next one is applied") { node.status.applied == next.position }
        await node.stop()
        await #expect { try await node.publish(next) } throws: { ($0 as? DistributionError)?.kind == .stopped }
        fresh.close()
        await root.stop()
    }

    @Test("frames wait for a predecessor that still writes the replica")
    func locked() async throws {
        let (root, scratch) = (try await TestRoot(), try Scratch())
        let identity = try await TestNode.join(root, .leaf, "edge-1", in: scratch)
        let path = "\(scratch.path)/edge-1/replica"
        try replica(path).close()
        let descriptor = open(path + "/writer", O_RDWR | O_CLOEXEC)
        #expect(flock(descriptor, LOCK_EX) == 0)
        let failures = Mutex(0)
        let hooks = ConfigNode.Hooks(onReport: { report in
            if case .applyFailed = report { failures.withLock { $0 += 1 } }
        })
        let edge = try await TestNode(identity, in: scratch, parents: [root.address], hooks: hooks)
        let last = try await root.commit("switch/cache", "1")
        try await eventually("it says what it waits for") { edge.node.status.replicaProblem != nil }
        #expect(try edge.text("switch/cache") == nil)
        flock(descriptor, LOCK_UN)
        close(descriptor)
        try await eventually("it is applied") { edge.replica.position == last.position }
        try await eventually("it waits no more") { edge.node.status.replicaProblem == nil }
        // It waited, and did not ask again.
        #expect(failures.withLock { $0 } == 0)
        await edge.stop()
        await root.stop()
    }
}
