import ConfigLog
import Crypto
import FoundationEssentials
import Limits
import NIOCore
import NIOPosix
import NIOSSL
import Replica
import Synchronization
import Testing
import X509

@testable import Distribution

@Suite("Who is believed", .onNodeThreads, .serialized)
struct TrustTests {
    /// An identity that the authority vouches for, without a token.
    static func identity(
        _ authority: FleetAuthority, _ role: NodeRole, _ text: String, from start: Date = Date(), days: Double = 90
    ) throws -> NodeIdentity {
        let key = P256.Signing.PrivateKey()
        let issued = try authority.issue(
            Certificate.PrivateKey(key).publicKey, name: name(text), role: role, from: start,
            to: start.addingTimeInterval(days * 86_400))
        return try NodeIdentity(
            key: key, certificateDER: issued.der, authorityDER: authority.certificateDER, now: Date())
    }

    @Test("an edge of another installation is refused, and refuses")
    func wrongAuthority() async throws {
        let (root, scratch) = (try await TestRoot(), try Scratch())
        let other = try FleetAuthority.make(now: Date())
        let identity = try Self.identity(other, .leaf, "edge-1")
        let edge = try await TestNode(identity, in: scratch, parents: [root.address])
        try await eventually("the edge knows why") {
            edge.node.status.parentProblem?.contains("not of this installation") == true
        }
        // And one that believes anybody is not believed.
        let peer = try await RawPeer(root.address, alpn: DistributionProtocol.log, identity: identity)
        try await eventually("it is cut") { peer.isClosed }
        #expect(peer.bytes.isEmpty)
        #expect(await root.node.nodes().isEmpty)
        await edge.stop()
        await root.stop()
    }

    @Test("without a certificate nobody follows")
    func noCertificate() async throws {
        let root = try await TestRoot()
        let peer = try await RawPeer(root.address, alpn: DistributionProtocol.log)
        try await eventually("it is told why") { peer.goodbye?.text.contains("no certificate") == true }
        try await eventually("it is cut") { peer.isClosed }
        #expect(root.node.status.childCount == 0)
        await root.stop()
    }

    @Test("another name than the certificate's is cut")
    func wrongName() async throws {
        let root = try await TestRoot()
        root.desk.state.withLock { $0.nodes = [NodeName("edge-1")!: .leaf, NodeName("edge-2")!: .leaf] }
        let identity = try Self.identity(root.desk.authority, .leaf, "edge-1")
        let peer = try await RawPeer(root.address, alpn: DistributionProtocol.log, identity: identity)
        try await peer.say(.hello(PeerMessage.Hello(role: .leaf, name: "edge-2", position: .none)))
        try await eventually("it is cut") { peer.goodbye?.reason == .violation }
        #expect(await root.node.nodes().isEmpty)
        await root.stop()
    }

    @Test("an edge's certificate makes no parent, and a relay's is no edge's", arguments: [NodeRole.relay, .leaf])
    func wrongRole(_ role: NodeRole) async throws {
        let (root, scratch) = (try await TestRoot(), try Scratch())
        // Enrolled as one thing, comes as the other.
        root.desk.state.withLock { $0.nodes[NodeName("node-1")!] = role == .leaf ? .relay : .leaf }
        let identity = try Self.identity(root.desk.authority, role, "node-1")
        let peer = try await RawPeer(root.address, alpn: DistributionProtocol.log, identity: identity)
        try await eventually("it is told why") { peer.goodbye?.text.contains("not admitted") == true }
        await #expect {
            try await TestNode(identity, in: scratch, parents: [root.address], role: role == .leaf ? .relay : .leaf)
        } throws: {
            ($0 as? DistributionError)?.kind == .identity
        }
        await root.stop()
    }

    @Test("a server with an edge's certificate is nobody's parent")
    func edgeAsParent() async throws {
        let (root, scratch) = (try await TestRoot(), try Scratch())
        let edge9 = try Self.identity(root.desk.authority, .leaf, "edge-9")
        let context = try edge9.serverContext()
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let address = PeerAddress(host: "127.0.0.1", port: try #require(listener.localAddress?.port))
        let identity = try await TestNode.join(root, .leaf, "edge-1", in: scratch)
        let edge = try await TestNode(identity, in: scratch, parents: [address])
        try await eventually("it is not believed") { edge.node.status.parentProblem != nil }
        #expect(!edge.node.status.isConnected)
        // Nor is it asked for certificates.
        await #expect {
            try await NodeIdentity.loadOrEnrol(
                directory: scratch.path + "/new", role: .leaf, name: nil, parents: [address],
                token: root.desk.token(.leaf, nil), patience: 0, log: quiet)
        } throws: {
            ($0 as? DistributionError)?.kind == .identity
        }
        await edge.stop()
        try await listener.close()
        await root.stop()
    }

    @Test("who is revoked while connected is cut, told why, and not let in again")
    func revoked() async throws {
        let (root, scratch) = (try await TestRoot(), try Scratch())
        let identity = try await TestNode.join(root, .leaf, "edge-1", in: scratch)
        let edge = try await TestNode(identity, in: scratch, parents: [root.address])
        try await eventually("it follows") { edge.node.status.isConnected }
        root.desk.state.withLock { _ = $0.revoked.insert(identity.name) }
        try await eventually("it is cut") { root.node.status.childCount == 0 }
        try await eventually("it has noticed") { !edge.node.status.isConnected }
        let last = try await root.commit("switch/cache", "1")
        let peer = try await RawPeer(root.address, alpn: DistributionProtocol.log, identity: identity)
        try await eventually("it is told why") { peer.goodbye?.text.contains("not admitted") == true }
        #expect(edge.replica.position != last.position)
        await edge.stop()
        await root.stop()
    }

    @Test("an edge behind a relay is cut when the configuration says that it is revoked; a disconnect alone is not")
    func revokedBehindRelay() async throws {
        let (root, scratch) = (try await TestRoot(), try Scratch())
        let relayIdentity = try await TestNode.join(root, .relay, "relay-1", in: scratch)
        let relay = try await TestNode(relayIdentity, in: scratch, parents: [root.address])
        try await root.say("relay-1", .relay)
        let identity = try await TestNode.join(root, .leaf, "edge-1", in: scratch)
        let edge = try await TestNode(identity, in: scratch, parents: [relay.address])
        try await eventually("a relay does not know it yet") {
            edge.node.status.parentProblem == nil && relay.node.status.applied.sequence >= 1
        }
        #expect(!edge.node.status.isConnected)
        try await root.say("edge-1", .leaf)
        try await eventually("now it follows") { edge.node.status.isConnected }
        await relay.node.disconnect(identity.name)
        try await eventually("it comes back") { edge.node.status.isConnected && relay.node.status.childCount == 1 }
        try await root.say("edge-1", .leaf, "revoked")
        try await eventually("it is cut") { relay.node.status.childCount == 0 }
        await edge.stop()
        // A parent that is revoked is left.
        try await root.say("edge-1", .leaf)
        let again = try await TestNode(identity, in: scratch, parents: [relay.address])
        try await eventually("it follows again") { again.node.status.isConnected }
        let last = try await root.commit("node/relay-1", #"{"role":"relay","state":"revoked"}"#)
        try await eventually("it has heard") { again.replica.position == last.position }
        try await eventually("it leaves") { again.node.status.parentProblem?.contains("revoked") == true }
        await again.stop()
        await relay.stop()
        await root.stop()
    }

    @Test("a certificate is renewed when a third of its life is left, over the same port")
    func renewal() async throws {
        let (root, scratch) = (try await TestRoot(), try Scratch())
        let old = try Self.identity(
            root.desk.authority, .leaf, "edge-1", from: Date().addingTimeInterval(-3000), days: 0.04)
        root.desk.state.withLock { $0.nodes[old.name] = .leaf }
        let edge = try await TestNode(old, in: scratch, parents: [root.address])
        try await eventually("it has a new one") { edge.node.status.certificateSerial != old.serial }
        #expect(root.desk.state.withLock { $0.renewals } == 1)
        let kept = try #require(try NodeIdentity.load(directory: edge.directory))
        #expect(kept.serial == edge.node.status.certificateSerial)
        #expect(kept.name == old.name)
        #expect(kept.key.rawRepresentation != old.key.rawRepresentation)
        let last = try await root.commit("switch/cache", "1")
        try await eventually("it follows") { edge.replica.position == last.position }
        await edge.stop()
        await root.stop()
    }
}
