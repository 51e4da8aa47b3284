import ConfigLog
import Distribution
import Replica
import Testing

@Suite("Following over TLS", .timeLimit(.minutes(2)))
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
}
