import ConfigLog
import Limits
import Testing

@Suite("Catching up by a snapshot")
struct CatchUpTests {
    private static func small() -> LogBounds {
        var bounds = LogBounds()
        bounds.windowFramesMax = 8
        return bounds
    }

    /// A leaf that has two frames of sixty, of which its relay keeps eight.
    private static func late() throws -> Tree {
        let tree = Tree.chain(bounds: small())
        try tree.commit(count: 2)
        tree.settle()
        tree.kill("leaf")
        try tree.commit(count: 58)
        tree.settle()
        return tree
    }

    private static func importCount(_ tree: Tree, _ name: String = "leaf") -> Int {
        tree.said(name).count { if case .importFinished = $0 { true } else { false } }
    }

    @Test("who is older than the window gets the state, and then the frames behind it")
    func snapshot() throws {
        let tree = try Self.late()
        tree.add("leaf", .leaf, ["relay"], bounds: Self.small())
        tree.settle()
        #expect(tree.isEqual)
        #expect(Self.importCount(tree) == 1)
        try tree.commit(count: 3)
        tree.settle()
        #expect(tree.isEqual)
        #expect(Self.importCount(tree) == 1)
        #expect(tree.applied["leaf"]?.map(\.last) == [1, 2, 61, 62, 63])
    }

    @Test("frames made while a snapshot is on its way come behind it")
    func duringWrites() throws {
        let tree = try Self.late()
        tree.filter = { passage in
            // One frame for every chunk, so that the window moves on all the while.
            if passage.kind == .chunk { try? tree.commit(count: 1) }
            return passage
        }
        tree.add("leaf", .leaf, ["relay"], bounds: Self.small())
        tree.settle()
        tree.pass(500)
        #expect(tree.isEqual)
        #expect(Self.importCount(tree) >= 1)
    }

    @Test("a snapshot goes on where it was broken off")
    func resumed() throws {
        let tree = try Self.late()
        var chunks: [PeerRecord] = []
        var breaks = true
        tree.filter = { passage in
            guard passage.kind == .chunk else { return passage }
            chunks.append(passage.record)
            // The third one comes damaged in its header: that ends the connection.
            guard chunks.count == 3, breaks else { return passage }
            breaks = false
            var passage = passage
            passage.record = PeerRecord(head: [0xFF] + passage.record.head.dropFirst(), body: passage.record.body)
            return passage
        }
        tree.add("leaf", .leaf, ["relay"], bounds: Self.small())
        tree.pass(2000)
        #expect(tree.isEqual)
        #expect(Self.importCount(tree) == 1)
        // Seven chunks: the two that had come were not sent again; those asked for with the third one were.
        let twice = chunks.count - Set(chunks.map(\.body)).count
        #expect(Set(chunks.map(\.body)).count == 7)
        #expect((1...Limits.configChunkRequestsMax).contains(twice))
        #expect(chunks.filter { $0.body == chunks[0].body }.count == 1)
        #expect(chunks.filter { $0.body == chunks[1].body }.count == 1)
    }

    @Test("a damaged chunk is fetched again")
    func damagedChunk() throws {
        let tree = try Self.late()
        var damages = 2
        tree.tornChunk = { _, bytes in
            guard damages > 0 else { return bytes }
            damages -= 1
            return [bytes[0] ^ 1] + bytes.dropFirst()
        }
        tree.add("leaf", .leaf, ["relay"], bounds: Self.small())
        tree.settle()
        #expect(tree.isEqual)
        #expect(tree.said("leaf").count { if case .damaged = $0 { true } else { false } } == 2)
        #expect(!tree.said("leaf").contains { if case .parentLost = $0 { true } else { false } })
    }

    @Test("after damage again and again the next parent is asked, and gives what lacks")
    func damagedParent() throws {
        let tree = Tree()
        tree.addRoot(bounds: Self.small())
        for relay in ["a", "b"] { tree.add(relay, .relay, ["root"], bounds: Self.small()) }
        try tree.commit(count: 60)
        tree.settle()
        tree.filter = { passage in
            guard passage.kind == .chunk, passage.from == "a" else { return passage }
            var passage = passage
            passage.record = PeerRecord(
                head: passage.record.head, body: passage.record.body.map { $0 ^ 1 })
            return passage
        }
        tree.add("leaf", .leaf, ["a", "b"], bounds: Self.small())
        tree.pass(2000)
        #expect(tree.isEqual)
        #expect(tree.nodes["leaf"]?.parent == "b")
    }

    @Test("a chunk that is gone leads to another snapshot")
    func missingChunk() throws {
        let tree = try Self.late()
        var missing = true
        tree.tornChunk = { _, bytes in
            defer { missing = false }
            return missing ? nil : bytes
        }
        tree.add("leaf", .leaf, ["relay"], bounds: Self.small())
        tree.pass(1000)
        #expect(tree.isEqual)
    }

    @Test("before a snapshot is taken, the other parents are asked for the frames")
    func elsewhere() throws {
        let tree = Tree()
        tree.addRoot()
        tree.add("a", .relay, ["root"], bounds: Self.small())
        tree.add("b", .relay, ["root"])
        tree.add("leaf", .leaf, ["a", "b"])
        try tree.commit(count: 2)
        tree.settle()
        tree.kill("leaf")
        try tree.commit(count: 30)
        tree.settle()
        tree.add("leaf", .leaf, ["a", "b"])
        tree.pass(1000)
        #expect(tree.isEqual)
        #expect(Self.importCount(tree) == 0)
        #expect(tree.nodes["leaf"]?.parent == "b")
    }

    @Test("a parent that can make no snapshot is left for another one")
    func unavailable() throws {
        let tree = Tree()
        tree.addRoot(bounds: Self.small())
        for relay in ["a", "b"] { tree.add(relay, .relay, ["root"], bounds: Self.small()) }
        tree.cannotExport = ["a"]
        try tree.commit(count: 30)
        tree.settle()
        tree.add("leaf", .leaf, ["a", "b"])
        tree.pass(1000)
        #expect(tree.isEqual)
        #expect(tree.nodes["leaf"]?.parent == "b")
    }

    @Test("many children share one snapshot")
    func shared() throws {
        let tree = try Self.late()
        let before = tree.exports["relay"]
        #expect(before == nil)
        var offers: Set<[UInt8]> = []
        tree.filter = { passage in
            if passage.kind == .offer { offers.insert(Array(passage.record.head.dropFirst(12))) }
            return passage
        }
        for number in 0..<5 { tree.add("late-\(number)", .leaf, ["relay"]) }
        tree.settle()
        #expect(offers.count == 1)
        tree.add("leaf", .leaf, ["relay"])
        tree.settle()
        #expect(tree.isEqual)
    }

    @Test("a later epoch replaces the state, everywhere, and its frames follow")
    func laterEpoch() throws {
        let tree = Tree.chain()
        try tree.commit(count: 5)
        tree.settle()
        // The store was restored from a backup: it has three groups, and begins a new epoch.
        tree.kill("root")
        let third = tree.frames[2]
        tree.sealer = LogSealer(at: LogPosition(epoch: 2, sequence: 3, hash: third.hash))
        tree.frames = []
        tree.replicas["root"] = Tree.Replica()
        for frame in tree.applied["relay"]?.prefix(3) ?? [] { tree.replicas["root"]?.apply(frame) }
        tree.replicas["root"]?.position = tree.sealer.position
        tree.addRoot()
        tree.pass(2000)
        #expect(tree.isEqual)
        try tree.commit(count: 2)
        tree.pass(1000)
        #expect(tree.isEqual)
        #expect(tree.nodes["leaf"]?.position == LogPosition(epoch: 2, sequence: 5, hash: tree.sealer.position.hash))
    }

    @Test("what a replica cannot apply is offered again, and in the end a snapshot")
    func applyFailure() throws {
        let tree = Tree.chain()
        try tree.commit(count: 2)
        tree.settle()
        tree.failing = ["leaf"]
        try tree.commit(count: 2)
        tree.pass(8000)
        #expect(
            tree.said("leaf").count { if case .applyFailed = $0 { true } else { false } }
                >= Limits.configApplyFailuresMax)
        #expect(tree.replicas["leaf"]?.position == tree.replicas["root"]?.position)
        #expect(Self.importCount(tree) >= 1)
        tree.failing = []
        try tree.commit(count: 2)
        tree.pass(8000)
        #expect(tree.isEqual)
    }

    @Test("an import that fails begins anew")
    func importFailure() throws {
        let tree = try Self.late()
        var fails = true
        tree.filter = { passage in
            if passage.kind == .chunk, fails {
                fails = false
                tree.call("leaf") { $0.importFailed("no room", tree.time) }
            }
            return passage
        }
        tree.add("leaf", .leaf, ["relay"], bounds: Self.small())
        tree.pass(2000)
        #expect(tree.said("leaf").contains(.importFailed("no room")))
        #expect(tree.isEqual)
    }

    @Test("a connection that breaks while a state is put in place asks for nothing until it is")
    func brokenWhileFinishing() throws {
        let tree = try Self.late()
        tree.finishesLater = true
        tree.add("leaf", .leaf, ["relay"], bounds: Self.small())
        tree.settle()
        let finish = try #require(tree.unfinished)
        var asked = 0
        tree.filter = { passage in
            if passage.from == "leaf", passage.kind == .follow { asked += 1 }
            return passage
        }
        tree.kill("relay")
        tree.add("relay", .relay, ["root"], bounds: Self.small())
        try tree.commit(count: 3)
        tree.pass(2000)
        #expect(tree.nodes["relay"]?.childCount == 1)
        #expect(asked == 0)
        tree.finishesLater = false
        finish()
        tree.settle()
        #expect(asked == 1)
        #expect(tree.isEqual)
    }

    @Test("an import is given up for a parent that has the frames")
    func abandoned() throws {
        let tree = Tree()
        tree.addRoot()
        tree.add("a", .relay, ["root"], bounds: Self.small())
        tree.add("b", .relay, ["root"])
        tree.add("leaf", .leaf, ["a", "b"])
        try tree.commit(count: 2)
        tree.settle()
        tree.kill("leaf")
        tree.down = ["b"]
        try tree.commit(count: 60)
        tree.settle()
        // Only the one without the frames is there, and it is lost in the middle of the snapshot.
        var chunks = 0
        tree.filter = { passage in
            if passage.kind == .chunk { chunks += 1 }
            return passage.kind == .chunk && chunks > 2 ? nil : passage
        }
        tree.add("leaf", .leaf, ["a", "b"])
        tree.pass(4000)
        #expect(chunks > 2)
        #expect(Self.importCount(tree) == 0)
        tree.down = ["a"]
        tree.kill("a")
        tree.pass(3000)
        #expect(tree.abandoned == 1)
        // Nothing of it is waited for any more.
        tree.call("leaf") { $0.importFailed("late", tree.time) }
        #expect(!tree.said("leaf").contains(.importFailed("late")))
        #expect(Self.importCount(tree) == 0)
        #expect(tree.replicas["leaf"] == tree.replicas["root"])
        #expect(tree.applied["leaf"]?.map(\.last) == Array(1...62))
    }
}
