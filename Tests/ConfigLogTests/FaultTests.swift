import ConfigLog
import Limits
import Testing

@Suite("Damage, forks and lost parents")
struct FaultTests {
    /// A root, two relays, and a leaf that prefers the first.
    private static func pair(bounds: LogBounds = LogBounds()) -> Tree {
        let tree = Tree()
        tree.addRoot(bounds: bounds)
        tree.add("a", .relay, ["root"], bounds: bounds)
        tree.add("b", .relay, ["root"], bounds: bounds)
        tree.add("leaf", .leaf, ["a", "b"], bounds: bounds)
        tree.settle()
        return tree
    }

    private static func damaging(
        _ tree: Tree, from: String, times: Int, at offset: @escaping (PeerRecord) -> Int = { $0.head.count }
    ) {
        var left = times
        tree.filter = { passage in
            guard passage.from == from, passage.to == "leaf", passage.kind == .frame, left > 0 else { return passage }
            left -= 1
            var bytes = passage.record.bytes
            bytes[offset(passage.record)] ^= 0x10
            var passage = passage
            passage.record = PeerRecord(head: bytes, body: [])
            return passage
        }
    }

    private static func count(_ tree: Tree, _ name: String, _ isIt: (LogReport) -> Bool) -> Int {
        tree.said(name).count { isIt($0) }
    }

    @Test("a damaged frame is fetched again from the same parent, wherever the damage is")
    func damagedOnce() throws {
        let size = try Frame.seal(
            epoch: 1, after: (0, .zero), groups: [[Change(key: "k/0", value: [0, 0, 0, 0])]], committedAt: 0
        ).bytes.count
        for offset in 0..<size {
            let tree = Self.pair()
            Self.damaging(tree, from: "a", times: 1) { $0.head.count + offset }
            try tree.commit(count: 3)
            tree.settle()
            #expect(tree.isEqual, "damage at \(offset)")
            #expect(tree.nodes["leaf"]?.parent == "a")
            #expect(tree.applied["leaf"]?.map(\.last) == [1, 2, 3])
        }
    }

    @Test("damage again and again leads to the next parent")
    func damagedOften() throws {
        let tree = Self.pair()
        Self.damaging(tree, from: "a", times: .max)
        try tree.commit(count: 3)
        tree.pass(1000)
        #expect(tree.isEqual)
        #expect(tree.nodes["leaf"]?.parent == "b")
        #expect(
            Self.count(tree, "leaf") { if case .damaged("a", _, _) = $0 { true } else { false } }
                == Limits.configResendsPerParentMax + 1)
    }

    @Test("when no parent has it whole, a snapshot goes past it")
    func damagedEverywhere() throws {
        let tree = Self.pair()
        try tree.commit(count: 1)
        tree.settle()
        tree.filter = { passage in
            guard passage.to == "leaf", passage.kind == .frame else { return passage }
            var passage = passage
            passage.record = PeerRecord(head: passage.record.head, body: passage.record.body.map { $0 ^ 4 })
            return passage
        }
        try tree.commit(count: 1)
        tree.pass(5000)
        #expect(tree.replicas["leaf"] == tree.replicas["root"])
        #expect(Self.count(tree, "leaf") { if case .importFinished = $0 { true } else { false } } == 1)
    }

    @Test("a damaged header ends the connection, and nothing is lost")
    func damagedHeader() throws {
        for offset in 0..<8 {
            let tree = Self.pair()
            Self.damaging(tree, from: "a", times: 1) { _ in offset }
            try tree.commit(count: 3)
            tree.pass(500)
            #expect(tree.isEqual, "damage at \(offset)")
            #expect(tree.applied["leaf"]?.map(\.last) == [1, 2, 3])
        }
    }

    @Test("a frame that never came is missed at the next one, or at the next ping")
    func gap() throws {
        for isLast in [false, true] {
            let tree = Self.pair()
            var drops = true
            tree.filter = { passage in
                guard passage.to == "leaf", passage.kind == .frame, drops else { return passage }
                drops = false
                return nil
            }
            try tree.commit(count: isLast ? 1 : 3)
            tree.settle()
            #expect(tree.isEqual == !isLast)
            tree.pass(3000)
            #expect(tree.isEqual)
            #expect(
                Self.count(tree, "leaf") {
                    if case .damaged(_, _, let error) = $0 { error.kind == .gap } else { false }
                }
                    >= 1)
        }
    }

    @Test("a repeated frame changes nothing")
    func repeated() throws {
        let tree = Self.pair()
        var again: Tree.Passage?
        tree.filter = { passage in
            if passage.to == "leaf", passage.kind == .frame { again = passage }
            return passage
        }
        try tree.commit(count: 2)
        tree.settle()
        tree.passing.append(try #require(again))
        tree.settle()
        #expect(tree.applied["leaf"]?.count == 2)
        #expect(tree.reports.allSatisfy { if case .damaged = $0.report { false } else { true } })
    }

    // MARK: Forks

    /// A second root with the same epoch that went another way behind `kept` frames.
    private static func impostor(_ tree: Tree, kept: Int, then count: Int) throws {
        let recent = Array(tree.frames.prefix(kept))
        var position = try #require(recent.last?.position)
        tree.addRoot("impostor", recent: recent)
        for number in 0..<count {
            let frame = try Frame.seal(
                epoch: 1, after: (position.sequence, position.hash),
                groups: [[Change(key: "forged", value: [UInt8(number)])]], committedAt: 0)
            position = frame.position
            tree.call("impostor") { $0.publish(frame, tree.time) }
        }
    }

    @Test("a parent with another history of the epoch is refused and reported", arguments: [1, 4, 8])
    func forkedParent(count: Int) throws {
        let tree = Tree()
        tree.addRoot()
        tree.add("leaf", .leaf, ["root", "impostor"])
        try tree.commit(count: 6)
        tree.settle()
        try Self.impostor(tree, kept: 3, then: count)
        tree.down = ["root"]
        tree.kill("root")
        tree.pass(30_000)
        #expect(tree.replicas["leaf"]?.values["forged"] == nil)
        #expect(tree.nodes["leaf"]?.position.sequence == 6)
        let isForked: (LogReport) -> Bool = {
            if case .forked("impostor", _, let error) = $0 { error.kind == .forked } else { false }
        }
        // A fork that is not as far as the leaf cannot be told from a parent that lags.
        #expect(Self.count(tree, "leaf", isForked) >= 1 || count < 3)
        #expect(
            Self.count(tree, "impostor") { if case .childForked("leaf", _) = $0 { true } else { false } } >= 1
                || count < 3)
    }

    @Test("frames of another history are refused, and nothing of them is applied", arguments: [true, false])
    func forkedFrames(repeats: Bool) throws {
        let tree = Self.pair()
        try tree.commit(count: 3)
        tree.settle()
        let last = try #require(tree.frames.last)
        // One that says it follows, and one that says what sequence 3 was.
        let forged = try Frame.seal(
            epoch: 1, after: repeats ? (2, last.previous) : (3, ChainHash.of([1])),
            groups: [[Change(key: "forged", value: [1])]], committedAt: 0)
        let record = PeerRecord(head: [], body: try PeerRecord(.frame(stream: 1, bytes: forged.bytes)).bytes)
        var isForged = false
        tree.filter = { passage in
            guard passage.to == "leaf", passage.kind == .frame, !isForged else { return passage }
            isForged = true
            var passage = passage
            passage.record = record
            return passage
        }
        try tree.commit(count: 1)
        tree.pass(2000)
        #expect(
            Self.count(tree, "leaf") {
                if case .forked("a", _, let error) = $0 { error.kind == .forked } else { false }
            }
                == 1)
        #expect(tree.isEqual)
        #expect(tree.nodes["leaf"]?.parent == "b")
        #expect(tree.replicas["leaf"]?.values["forged"] == nil)
    }

    @Test("a fork is told at every place of the window, its beginning and its end included")
    func forkedPlaces() throws {
        let tree = Tree()
        tree.addRoot()
        try tree.commit(count: 4)
        let root = LogNode.root(
            name: "root", at: try #require(tree.frames.last?.position), recent: Array(tree.frames.suffix(2)))
        for sequence in 2...4 as ClosedRange<UInt64> {
            for isOurs in [true, false] {
                var root = root
                var position = tree.frames[Int(sequence) - 1].position
                if !isOurs { position.hash = ChainHash.of([1]) }
                let now = LogTime(monotonic: 1, unix: 1)
                _ = root.accepted(1, now)
                let hello = PeerMessage.hello(PeerMessage.Hello(role: .leaf, name: "leaf", position: position))
                let follow = PeerMessage.follow(
                    PeerMessage.Follow(stream: 1, position: position, wantsSnapshot: false))
                let bytes = try PeerRecord(hello).bytes + PeerRecord(follow).bytes
                let isForked = root.receive(bytes, from: .child(1), now).contains {
                    if case .report(.childForked("leaf", position)) = $0 { true } else { false }
                }
                #expect(isForked == !isOurs, "at \(sequence)")
            }
        }
    }

    @Test("a parent in an older epoch is left")
    func olderEpoch() throws {
        let tree = Tree()
        tree.addRoot()
        tree.replicas["leaf"] = Tree.Replica(position: LogPosition(epoch: 2, sequence: 1, hash: ChainHash.of([5])))
        tree.add("leaf", .leaf, ["root"])
        try tree.commit(count: 3)
        tree.pass(2000)
        #expect(tree.nodes["leaf"]?.position.epoch == 2)
        #expect(
            Self.count(tree, "leaf") {
                if case .parentLost(_, let bye) = $0 { bye.reason == .olderEpoch } else { false }
            } >= 1)
    }

    @Test("a frame of an earlier epoch is refused and its sender left; one of a later epoch leads to a snapshot")
    func strayEpochs() throws {
        for epoch in [1, 3] as [UInt64] {
            let tree = Tree()
            tree.sealer = LogSealer(at: LogPosition(epoch: 2, sequence: 0, hash: .zero))
            tree.addRoot()
            tree.add("a", .relay, ["root"])
            tree.add("leaf", .leaf, ["a"])
            try tree.commit(count: 2)
            tree.settle()
            let stray = try Frame.seal(
                epoch: epoch, after: (2, tree.sealer.position.hash), groups: [[Change(key: "stray", value: [1])]],
                committedAt: 0)
            var record = try PeerRecord(.frame(stream: 1, bytes: stray.bytes))
            var asksForSnapshot = 0
            tree.filter = { passage in
                if passage.from == "leaf", passage.kind == .follow, passage.record.head[60] == 1 {
                    asksForSnapshot += 1
                }
                guard passage.to == "leaf", passage.kind == .frame, record.byteCount > 0 else { return passage }
                defer { record = PeerRecord(head: [], body: []) }
                var passage = passage
                passage.record = record
                return passage
            }
            try tree.commit(count: 1)
            tree.pass(1000)
            #expect(tree.isEqual)
            #expect(tree.replicas["leaf"]?.values["stray"] == nil)
            #expect(asksForSnapshot == (epoch == 3 ? 1 : 0))
            #expect(
                Self.count(tree, "leaf") {
                    if case .parentLost(_, let bye) = $0 { bye.reason == .olderEpoch } else { false }
                } == (epoch == 1 ? 1 : 0))
        }
    }

    // MARK: Parents

    @Test("when a parent dies the next one is followed within a tenth of a second, and nothing is lost")
    func parentDies() throws {
        let tree = Self.pair()
        try tree.commit(count: 3)
        tree.settle()
        tree.down = ["a"]
        tree.kill("a")
        tree.pass(100)
        #expect(tree.nodes["leaf"]?.parent == "b")
        try tree.commit(count: 3)
        tree.settle()
        #expect(tree.applied["leaf"]?.map(\.last) == [1, 2, 3, 4, 5, 6])
    }

    @Test("a parent that goes silent is left after seven seconds")
    func parentSilent() throws {
        let tree = Self.pair()
        try tree.commit(count: 1)
        tree.settle()
        tree.filter = { $0.from == "a" || $0.to == "a" ? nil : $0 }
        tree.pass(6000)
        #expect(tree.nodes["leaf"]?.parent == "a")
        tree.pass(3000)
        try tree.commit(count: 1)
        tree.pass(500)
        #expect(tree.nodes["leaf"]?.parent == "b")
        #expect(tree.replicas["leaf"] == tree.replicas["root"])
    }

    @Test("a parent that has lost the root is left, and told apart from one that has not")
    func orphan() throws {
        let tree = Self.pair()
        try tree.commit(count: 1)
        tree.settle()
        tree.filter = { passage in
            ["root", "a"].contains(passage.from) && ["root", "a"].contains(passage.to) ? nil : passage
        }
        tree.pass(25_000)
        #expect(tree.nodes["leaf"]?.parent == "b")
        try tree.commit(count: 1)
        tree.pass(500)
        #expect(tree.replicas["leaf"] == tree.replicas["root"])
        #expect(tree.nodes["a"].map { $0.stalenessMilliseconds(tree.time) > 20_000 } == true)
        #expect(tree.nodes["leaf"].map { $0.stalenessMilliseconds(tree.time) < 5000 } == true)
    }

    @Test("when the root is gone, nobody goes from parent to parent for long")
    func rootGone() throws {
        let tree = Self.pair()
        try tree.commit(count: 1)
        tree.settle()
        tree.down = ["root"]
        tree.kill("root")
        tree.pass(25_000)
        let before = Self.count(tree, "leaf") { if case .parentLost = $0 { true } else { false } }
        #expect(before >= 1)
        tree.pass(50_000)
        let after = Self.count(tree, "leaf") { if case .parentLost = $0 { true } else { false } }
        #expect(after - before <= 2)
        tree.down = []
        tree.addRoot(recent: tree.frames)
        tree.pass(15_000)
        try tree.commit(count: 2)
        tree.pass(500)
        #expect(tree.isEqual)
    }

    @Test("the first parent of the list is followed again some time after it came back")
    func returning() throws {
        var bounds = LogBounds()
        bounds.returnMilliseconds = 20_000
        let tree = Self.pair(bounds: bounds)
        tree.down = ["a"]
        tree.kill("a")
        tree.pass(1000)
        #expect(tree.nodes["leaf"]?.parent == "b")
        tree.down = []
        tree.add("a", .relay, ["root"], bounds: bounds)
        tree.pass(15_000)
        #expect(tree.nodes["leaf"]?.parent == "b")
        tree.pass(10_000)
        #expect(tree.nodes["leaf"]?.parent == "a")
        try tree.commit(count: 2)
        tree.pass(500)
        #expect(tree.isEqual)
    }

    @Test("waits between rounds grow to their bound, and differ between nodes")
    func backOff() {
        func waits(seed: UInt64) -> [UInt64] {
            var node = LogNode.leaf(name: "leaf", at: .none, parents: ["a", "b"], seed: seed)
            var now: UInt64 = 1000
            var waits: [UInt64] = []
            var actions = node.start(LogTime(monotonic: now, unix: now))
            for _ in 0..<24 {
                for case .connect(let peer, _) in actions {
                    _ = node.disconnected(peer, LogTime(monotonic: now, unix: now))
                }
                let due = node.nextDeadline ?? now
                waits.append(due - now)
                now = due
                actions = node.tick(LogTime(monotonic: now, unix: now))
            }
            return waits
        }
        let some = waits(seed: 1)
        // The second parent is tried soon after the first; after both there is a wait.
        for (index, wait) in some.enumerated() {
            if index % 2 == 0 {
                #expect(wait < 50)
            } else {
                let full = min(Limits.configBackOffMilliseconds.upperBound, 250 << UInt64(min(index / 2, 10)))
                #expect((full / 2...full).contains(wait))
            }
        }
        #expect(some.last ?? 0 >= Limits.configBackOffMilliseconds.upperBound / 2)
        #expect(waits(seed: 1) == some)
        #expect(waits(seed: 2) != some)
    }
}
