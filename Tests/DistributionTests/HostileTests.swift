import ConfigLog
import FoundationEssentials
import Limits
import NIOCore
import Replica
import Synchronization
import Testing

@testable import Distribution

@Suite("Hostile and slow peers", .onNodeThreads, .serialized)
struct HostileTests {
    /// A root that still serves: an edge joins and follows.
    private func stillServes(_ root: TestRoot) async throws {
        let scratch = try Scratch()
        let identity = try await TestNode.join(root, .leaf, "witness", in: scratch)
        let edge = try await TestNode(identity, in: scratch, parents: [root.address])
        let last = try await root.commit("switch/http2", "\(UInt64.random(in: 0...UInt64.max))")
        try await eventually("somebody else is served") { edge.replica.position == last.position }
        await edge.stop()
    }

    @Test("garbage before TLS, and within both protocols, ends that connection alone")
    func garbage() async throws {
        let root = try await TestRoot()
        var generator = SplitMix(state: 99)
        root.desk.state.withLock { $0.nodes[NodeName("edge-1")!] = .leaf }
        let identity = try TrustTests.identity(root.desk.authority, .leaf, "edge-1")
        for round in 0..<30 {
            let bytes = (0..<Int.random(in: 1...3000, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            let peer =
                switch round % 3 {
                case 0: try await RawPeer(root.address, alpn: nil)
                case 1: try await RawPeer(root.address, alpn: DistributionProtocol.enrolment)
                default: try await RawPeer(root.address, alpn: DistributionProtocol.log, identity: identity)
                }
            // A length that waits for more is no fault yet; this one can be none.
            try? await peer.say(round % 3 == 1 ? [255] + bytes : bytes + [UInt8](repeating: 255, count: 64))
            try await eventually("connection \(round) ends") { peer.isClosed }
        }
        try await stillServes(root)
        await root.stop()
    }

    @Test("an unreadable enrolment is answered with what was expected")
    func unreadable() async throws {
        let root = try await TestRoot()
        let peer = try await RawPeer(root.address, alpn: DistributionProtocol.enrolment)
        try await peer.say([0, 0, 0, 4, 9, 1, 3, 0])
        try await eventually("it is answered") { peer.isClosed }
        var reader = EnrolmentReader()
        let body = try #require(try reader.append(peer.bytes))
        guard case .refused(let refusal) = try EnrolmentReply(decoding: body) else { throw CancellationError() }
        #expect(refusal.kind == .malformed)
        #expect(refusal.text.contains("version"))
        await root.stop()
    }

    @Test("messages of a parent, and those that cannot be, are cut when a child says them")
    func outOfPlace() async throws {
        let root = try await TestRoot()
        root.desk.state.withLock { $0.nodes[NodeName("edge-1")!] = .leaf }
        let identity = try TrustTests.identity(root.desk.authority, .leaf, "edge-1")
        let hello = PeerMessage.hello(PeerMessage.Hello(role: .leaf, name: "edge-1", position: .none))
        let bad: [PeerMessage] = [
            .frame(stream: 1, bytes: [1, 2, 3]),
            .ping(PeerMessage.Ping(stream: 1, sentSequence: 0, head: .none, stalenessMilliseconds: 0)),
            .reports([]), hello,
        ]
        for message in bad {
            let peer = try await RawPeer(root.address, alpn: DistributionProtocol.log, identity: identity)
            try await peer.say(hello)
            try await peer.say(message)
            try await eventually("\(message.kind) is cut") { peer.goodbye?.reason == .violation }
            try await eventually("it is closed") { peer.isClosed }
        }
        try await stillServes(root)
        await root.stop()
    }

    @Test("a child that asks and does not read is cut once too much waits, and others are served")
    func slowChild() async throws {
        var bounds = LogBounds()
        bounds.childQueueBytesMax = 6 * 1024 * 1024
        let cut = Mutex<PeerMessage.Goodbye?>(nil)
        let hooks = ConfigNode.Hooks(onReport: { report in
            if case .childCut("edge-1", let goodbye) = report { cut.withLock { $0 = goodbye } }
        })
        let root = try await TestRoot(bounds: bounds, hooks: hooks)
        root.desk.state.withLock { $0.nodes[NodeName("edge-1")!] = .leaf }
        for number in 0..<8 {
            let value = [UInt8](repeating: UInt8(number), count: 400_000)
            try await root.commit([Change(key: "global/large/\(number)", value: value)])
        }
        let identity = try TrustTests.identity(root.desk.authority, .leaf, "edge-1")
        let peer = try await RawPeer(
            root.address, alpn: DistributionProtocol.log, identity: identity, reads: false)
        // Reading begins with the handshake alone.
        try await peer.handshake()
        try await peer.say(.hello(PeerMessage.Hello(role: .leaf, name: "edge-1", position: .none)))
        for stream in 1...20 {
            try await peer.say(
                .follow(PeerMessage.Follow(stream: UInt32(stream), position: .none, wantsSnapshot: false)))
        }
        try await eventually("it is cut") { cut.withLock { $0 != nil } }
        #expect(cut.withLock { $0?.reason } == .slow)
        #expect(cut.withLock { $0?.text.contains("wait to be read") } == true)
        try await eventually("it is gone") { root.node.status.childCount == 0 }
        try await stillServes(root)
        await peer.close()
        await root.stop()
    }

    @Test("strangers of one address are few, and make room when they are gone")
    func strangers() async throws {
        let root = try await TestRoot()
        var peers: [RawPeer] = []
        for _ in 0..<Limits.distributionStrangersPerAddressMax {
            peers.append(try await RawPeer(root.address, alpn: nil))
        }
        let late = try await RawPeer(root.address, alpn: nil)
        try await eventually("one too many is turned away") { late.isClosed }
        #expect(peers.allSatisfy { !$0.isClosed })
        // Who says nothing has to go after a while.
        try await eventually("they have to go") { peers.allSatisfy(\.isClosed) }
        try await stillServes(root)
        await root.stop()
    }

    @Test("a child that talks too much is read more slowly, not cut")
    func talkative() async throws {
        let root = try await TestRoot()
        root.desk.state.withLock { $0.nodes[NodeName("edge-1")!] = .leaf }
        let identity = try TrustTests.identity(root.desk.authority, .leaf, "edge-1")
        let peer = try await RawPeer(root.address, alpn: DistributionProtocol.log, identity: identity)
        try await peer.say(.hello(PeerMessage.Hello(role: .leaf, name: "edge-1", position: .none)))
        try await peer.say(.follow(PeerMessage.Follow(stream: 1, position: .none, wantsSnapshot: false)))
        let acknowledgement = try PeerRecord(
            .acknowledgement(
                PeerMessage.Acknowledgement(
                    stream: 1, position: .none, appliedAtMilliseconds: 0, lagMilliseconds: 0, health: HealthSummary())))
        let flood = Array(repeatElement(acknowledgement.bytes, count: 4000).joined())
        #expect(flood.count > Limits.distributionChildReadBytesPerSecondMax / 2)
        let start = ContinuousClock.now
        for _ in 0..<3 { try await peer.say(flood) }
        let total = UInt64(flood.count * 3)
        try await eventually("all is read in the end") { root.node.status.bytesReceived > total }
        #expect(ContinuousClock.now - start > .seconds(1))
        #expect(!peer.isClosed)
        await peer.close()
        await root.stop()
    }
}
