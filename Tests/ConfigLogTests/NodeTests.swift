import ConfigLog
import Limits
import Testing

@Suite("Following and passing on")
struct NodeTests {
    @Test("what the root publishes comes to a leaf behind a relay, as the same bytes")
    func chain() throws {
        let tree = Tree.chain()
        try tree.commit([Change(key: "a", value: [1]), Change(key: "b", value: [2])], [Change(key: "a", value: nil)])
        tree.settle()
        #expect(tree.isEqual)
        #expect(tree.replicas["leaf"]?.values == ["b": [2]])
        #expect(tree.applied["leaf"]?.map(\.bytes) == tree.frames.map(\.bytes))
        #expect(tree.applied["relay"]?.map(\.bytes) == tree.frames.map(\.bytes))
    }

    @Test("a relay passes a frame on before its own replica has it")
    func forwardsFirst() throws {
        let tree = Tree.chain()
        tree.slow = ["relay"]
        try tree.commit(count: 3)
        tree.settle()
        #expect(tree.applied["leaf"]?.count == 3)
        #expect(tree.nodes["relay"]?.applied == LogPosition.none)
        #expect(tree.nodes["relay"]?.position.sequence == 3)
    }

    @Test("who was away gets the frames that it lacks, and no others")
    func deltas() throws {
        let tree = Tree.chain()
        try tree.commit(count: 3)
        tree.settle()
        tree.kill("leaf")
        try tree.commit(count: 4)
        tree.settle()
        tree.add("leaf", .leaf, ["relay"])
        tree.settle()
        #expect(tree.isEqual)
        #expect(tree.applied["leaf"]?.map(\.last) == [1, 2, 3, 4, 5, 6, 7])
    }

    @Test("a root that starts again serves the frames that its store has kept")
    func restart() throws {
        let tree = Tree.chain()
        try tree.commit(count: 6)
        tree.settle()
        tree.kill("relay")
        try tree.commit(count: 2)
        tree.kill("root")
        tree.addRoot(recent: Array(tree.frames.suffix(4)))
        tree.add("relay", .relay, ["root"])
        tree.pass(1000)
        #expect(tree.isEqual)
        #expect(!tree.said("relay").contains { if case .importFinished = $0 { true } else { false } })
        // Frames that do not chain are no window: the root begins at its position.
        let broken = LogNode.root(name: "r", at: tree.sealer.position, recent: [tree.frames[0], tree.frames[7]])
        #expect(broken.window.frames == 0)
    }

    @Test("a root publishes nothing that does not follow")
    func unfit() throws {
        let tree = Tree.chain()
        try tree.commit(count: 2)
        let stray = try Frame.seal(epoch: 1, after: (7, .zero), groups: [[]], committedAt: 0)
        tree.call("root") { $0.publish(stray, tree.time) }
        tree.settle()
        #expect(tree.nodes["leaf"]?.position.sequence == 2)
        #expect(tree.said("root").contains { if case .unfit(let error) = $0 { error.kind == .gap } else { false } })
    }

    @Test("acknowledgements come at most every 100 ms, and tell position, lag and health up to the root")
    func acknowledgements() throws {
        let tree = Tree.chain()
        var health = HealthSummary()
        (health.requests, health.serverErrors) = (100, 7)
        tree.nodes["leaf"]?.health = health
        var count = 0
        tree.filter = { passage in
            if passage.from == "leaf", passage.kind == .acknowledgement { count += 1 }
            return passage
        }
        // Each takes 20 ms.
        for _ in 0..<20 {
            try tree.commit(count: 1)
            tree.settle()
            tree.call("leaf") { $0.tick(tree.time) }
        }
        tree.settle()
        #expect((3...6).contains(count))
        tree.pass(1500)
        let report = try #require(tree.nodes["root"]?.nodes.first { $0.name == "leaf" })
        #expect(report.parent == "relay" && report.role == .leaf && report.isConnected)
        #expect(report.position == tree.sealer.position)
        #expect(report.health == health)
        #expect(report.lagMilliseconds <= 20)
        #expect(tree.nodes["root"]?.nodes.map(\.name) == ["leaf", "relay"])
        #expect(tree.nodes["root"]?.childCount == 1)
        // And that it is gone.
        tree.kill("leaf")
        tree.pass(1500)
        #expect(tree.nodes["root"]?.nodes.map(\.isConnected) == [false, true])
    }

    @Test("a node that moved is not told to be lost by the parent that it left")
    func moved() throws {
        let tree = Tree()
        tree.addRoot()
        tree.add("a", .relay, ["root"])
        tree.add("b", .relay, ["root"])
        tree.add("leaf", .leaf, ["a", "b"])
        try tree.commit(count: 2)
        tree.pass(3000)
        #expect(tree.nodes["root"]?.nodes.first { $0.name == "leaf" }?.parent == "a")
        // The leaf's connection alone breaks; the news of it is late.
        var held: [Tree.Passage] = []
        tree.filter = { passage in
            guard passage.from == "a", passage.kind == .reports else { return passage }
            held.append(passage)
            return nil
        }
        tree.call("leaf") { node in node.receive([0xFF, 0, 0, 0, 0, 0, 0, 0], from: .parent(1), tree.time) }
        tree.pass(3000)
        #expect(!held.isEmpty)
        tree.filter = { $0 }
        tree.passing += held
        tree.settle()
        let report = tree.nodes["root"]?.nodes.first { $0.name == "leaf" }
        #expect(report?.parent == "b" && report?.isConnected == true)
    }

    @Test("bytes sent and not acknowledged are bounded; the rest waits in the window")
    func inFlight() throws {
        var bounds = LogBounds()
        bounds.inFlightBytesMax = 10_000
        let tree = Tree.chain(bounds: bounds)
        tree.slow = ["leaf"]
        try tree.commit(count: 50, bytes: 1000)
        tree.settle()
        #expect(tree.applied["leaf"]?.count == 8)
        #expect(tree.applied["relay"]?.count == 50)
        // Each acknowledgement makes room.
        tree.slow = []
        let position = try #require(tree.applied["leaf"]?.last?.position)
        tree.call("leaf") { $0.applied(position, tree.time) }
        tree.settle()
        tree.pass(1000)
        #expect(tree.isEqual)
    }

    @Test("a child that falls too far behind is cut, comes back and catches up")
    func slowChild() throws {
        var bounds = LogBounds()
        bounds.inFlightBytesMax = 10_000
        bounds.childQueueBytesMax = 30_000
        let tree = Tree.chain(bounds: bounds)
        try tree.commit(count: 1)
        tree.settle()
        tree.slow = ["leaf"]
        for _ in 0..<40 {
            try tree.commit(count: 1, bytes: 1000)
            tree.settle()
        }
        #expect(
            tree.said("relay").contains {
                if case .childCut("leaf", let bye) = $0 { bye.reason == .slow } else { false }
            })
        #expect(tree.applied["relay"]?.count == 41)
        tree.slow = []
        tree.replicas["leaf"].map { replica in tree.call("leaf") { $0.applied(replica.position, tree.time) } }
        tree.pass(3000)
        #expect(tree.isEqual)
    }

    @Test("a child that acknowledges nothing for too long is cut")
    func stalledChild() throws {
        var bounds = LogBounds()
        bounds.childStallMilliseconds = 3000
        let tree = Tree.chain(bounds: bounds)
        tree.slow = ["leaf"]
        try tree.commit(count: 1)
        tree.pass(2500)
        #expect(!tree.said("relay").contains { if case .childCut = $0 { true } else { false } })
        tree.pass(2000)
        #expect(
            tree.said("relay").contains {
                if case .childCut("leaf", let bye) = $0 { bye.reason == .slow } else { false }
            })
    }

    @Test("who says another name than its certificate, or a role that cannot be, is cut")
    func identity() throws {
        let hello = try PeerRecord(.hello(PeerMessage.Hello(role: .leaf, name: "mallory", position: .none)))
        for (name, role) in [("alice", NodeRole.leaf), ("root", .leaf), ("mallory", .root)] {
            var root = LogNode.root(name: "root", at: LogPosition(epoch: 1, sequence: 0, hash: .zero))
            let now = LogTime(monotonic: 1, unix: 1)
            _ = root.accepted(1, provenName: name, now)
            let greeting =
                name == "alice"
                ? hello : try PeerRecord(.hello(PeerMessage.Hello(role: role, name: name, position: .none)))
            let actions = root.receive(greeting.bytes, from: .child(1), now)
            #expect(actions.contains { if case .disconnect(.child(1)) = $0 { true } else { false } })
            #expect(root.childCount == 0)
        }
    }

    @Test("a child of too many is turned away, and its older connection makes place for its newer")
    func children() throws {
        var bounds = LogBounds()
        bounds.childrenMax = 2
        let tree = Tree()
        tree.addRoot(bounds: bounds)
        for name in ["a", "b", "c"] { tree.add(name, .leaf, ["root"]) }
        tree.settle()
        #expect(tree.nodes["root"]?.childCount == 2)
        #expect(
            tree.said("c").contains { if case .parentLost(_, let bye) = $0 { bye.reason == .tooMany } else { false } })
        // Its process ended without a word.
        tree.nodes["a"] = nil
        tree.nodes["c"] = nil
        tree.add("a", .leaf, ["root"], seed: 8)
        tree.pass(500)
        #expect(tree.nodes["root"]?.childCount == 2)
    }

    @Test("a child that says nothing is let go, before its hello and after it")
    func silence() throws {
        var root = LogNode.root(name: "root", at: LogPosition(epoch: 1, sequence: 0, hash: .zero))
        func time(_ milliseconds: UInt64) -> LogTime { LogTime(monotonic: milliseconds, unix: milliseconds) }
        _ = root.accepted(1, time(0))
        _ = root.accepted(2, time(0))
        let hello = try PeerRecord(.hello(PeerMessage.Hello(role: .leaf, name: "two", position: .none)))
        _ = root.receive(hello.bytes, from: .child(2), time(10))
        var gone: [LogPeer: UInt64] = [:]
        for now in stride(from: 0, through: 12_000 as UInt64, by: 100) {
            for case .disconnect(let peer) in root.tick(time(now)) { gone[peer] = now }
        }
        #expect((5000...6000).contains(gone[.child(1)] ?? 0))
        #expect((7000...8000).contains(gone[.child(2)] ?? 0))
    }

    @Test("who stops says goodbye to all")
    func stop() throws {
        let tree = Tree.chain()
        tree.call("relay") { $0.stop(tree.time) }
        tree.nodes["relay"] = nil
        tree.settle()
        let goodbye = PeerMessage.Goodbye(.stopping)
        #expect(tree.said("root").contains(.childLeft(name: "relay", goodbye)))
        #expect(tree.said("leaf").contains(.parentLost(name: "relay", goodbye)))
    }
}
