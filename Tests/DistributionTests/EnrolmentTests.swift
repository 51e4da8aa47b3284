import ConfigLog
import Crypto
import FoundationEssentials
import Glibc
import Limits
import Replica
import Synchronization
import Testing

@testable import Distribution

@Suite("Joining", .onNodeThreads, .serialized)
struct EnrolmentTests {
    /// What joining ends with.
    private func refusal(
        _ root: TestRoot, _ token: JoinToken, _ role: NodeRole = .leaf, _ wanted: String? = "edge-1",
        parents: [PeerAddress]? = nil
    ) async throws -> DistributionError? {
        let scratch = try Scratch()
        do throws(DistributionError) {
            _ = try await NodeIdentity.loadOrEnrol(
                directory: scratch.path + "/identity", role: role, name: wanted.flatMap(NodeName.init),
                parents: parents ?? [PeerAddress(host: "127.0.0.1", port: root.node.status.port ?? 0)],
                token: token, patience: 0, log: quiet)
            return nil
        } catch {
            // Nothing is kept of it.
            #expect(try NodeIdentity.load(directory: scratch.path + "/identity") == nil)
            return error
        }
    }

    @Test("a token is good once")
    func once() async throws {
        let root = try await TestRoot()
        let token = root.desk.token(.leaf, NodeName("edge-1"))
        #expect(try await refusal(root, token) == nil)
        let error = try #require(try await refusal(root, token))
        #expect(error.kind == .enrolment(.used))
        #expect(error.description.contains("the token was used"))
        #expect(!error.description.contains(token.secret))
        await root.stop()
    }

    @Test("an expired token, an unknown one, one for another role, and one without a name are refused with the reason")
    func refused() async throws {
        let root = try await TestRoot()
        let expired = root.desk.token(.leaf, NodeName("edge-1"))
        root.desk.state.withLock { $0.tokens[expired.secretDigest]?.isExpired = true }
        #expect(try await refusal(root, expired)?.kind == .enrolment(.expired))
        let unknown = JoinToken.make(authority: root.desk.authority.digest)
        #expect(try await refusal(root, unknown)?.kind == .enrolment(.unknownToken))
        #expect(try await refusal(root, root.desk.token(.relay, nil))?.kind == .enrolment(.wrongRole))
        #expect(try await refusal(root, root.desk.token(.leaf, nil), .leaf, nil)?.kind == .enrolment(.nameNeeded))
        #expect(root.desk.state.withLock { $0.nodes.isEmpty })
        await root.stop()
    }

    @Test("a token of another installation makes a node distrust the server, and the server never sees the secret")
    func wrongAuthority() async throws {
        let root = try await TestRoot()
        let token = JoinToken.make(authority: try FleetAuthority.make(now: Date()).digest)
        let error = try #require(try await refusal(root, token))
        #expect(error.kind == .identity)
        #expect(error.description.contains("not of this installation"))
        #expect(root.desk.state.withLock { $0.requests } == 0)
        await root.stop()
    }

    @Test("an answer that was lost on the way is given again for the same token and the same key")
    func lostAnswer() async throws {
        let (root, scratch) = (try await TestRoot(), try Scratch())
        let token = root.desk.token(.leaf, NodeName("edge-1"))
        let wire = try await Wire(to: root.address)
        let directory = scratch.path + "/identity"
        let join: @Sendable (PeerAddress) async throws -> NodeIdentity = { parent in
            try await NodeIdentity.loadOrEnrol(
                directory: directory, role: .leaf, name: nil, parents: [parent], token: token, patience: 0, log: quiet)
        }
        let first = Task { try await join(wire.address) }
        // Cut once the token is used up: whatever was answered after that is lost.
        while root.desk.state.withLock({ $0.requests }) == 0 {
            wire.swallow(false)
            try await Task.sleep(for: .milliseconds(1))
        }
        wire.cutNow()
        let identity: NodeIdentity
        do {
            identity = try await first.value
        } catch {
            identity = try await join(root.address)
            #expect(root.desk.state.withLock { $0.requests } == 2)
        }
        #expect(identity.name.text == "edge-1")
        #expect(try NodeIdentity.load(directory: directory)?.serial == identity.serial)
        #expect(access(directory + "/draft.pem", F_OK) != 0)
        await wire.close()
        await root.stop()
    }

    @Test("the first parent that answers is asked; an identity that is kept needs no token and nobody")
    func kept() async throws {
        let (root, scratch) = (try await TestRoot(), try Scratch())
        let nobody = PeerAddress(host: "127.0.0.1", port: 1)
        let identity = try await TestNode.join(root, .leaf, "edge-1", in: scratch, at: [nobody, root.address])
        await root.stop()
        let again = try await NodeIdentity.loadOrEnrol(
            directory: "\(scratch.path)/edge-1", role: .leaf, name: nil, parents: [nobody], token: nil, log: quiet)
        #expect(again.serial == identity.serial)
        await #expect {
            try await NodeIdentity.loadOrEnrol(
                directory: "\(scratch.path)/edge-1", role: .relay, name: nil, parents: [nobody], token: nil, log: quiet)
        } throws: {
            "\($0)".contains("of a edge") || "\($0)".contains("certificate of a")
        }
        await #expect {
            try await NodeIdentity.loadOrEnrol(
                directory: scratch.path + "/none", role: .leaf, name: nil, parents: [nobody], token: nil, log: quiet)
        } throws: {
            "\($0)".contains("has to join")
        }
    }

    @Test("a relay passes on what its control plane says, and says so when there is none")
    func throughRelay() async throws {
        let (root, scratch) = (try await TestRoot(), try Scratch())
        let relayIdentity = try await TestNode.join(root, .relay, "relay-1", in: scratch)
        let relay = try await TestNode(relayIdentity, in: scratch, parents: [root.address])
        let unknown = JoinToken.make(authority: root.desk.authority.digest)
        #expect(try await refusal(root, unknown, parents: [relay.address])?.kind == .enrolment(.unknownToken))
        let token = root.desk.token(.leaf, NodeName("edge-1"))
        await root.node.stop()
        let error = try #require(try await refusal(root, token, parents: [relay.address]))
        #expect(error.kind == .unreachable)
        #expect(error.description.contains("reaches no control plane"))
        await relay.stop()
        root.replica.close()
    }

    @Test("a renewal needs the key of the present certificate")
    func renewalProof() throws {
        let authority = try FleetAuthority.make(now: Date())
        let root = try authority.rootIdentity(name: name("control"), now: Date())
        let identity = try TrustTests.identity(authority, .leaf, "edge-1")
        let good = try identity.renewalQuestion(for: P256.Signing.PrivateKey())
        #expect(try good.checked(by: root).proof == .renewal(serial: identity.serial))
        // Another request under the same signature.
        var forged = good
        forged.csr = try SigningRequest.make(P256.Signing.PrivateKey())
        #expect { try forged.checked(by: root) } throws: { ($0 as? EnrolmentRefusal)?.kind == .malformed }
        // Another role than the certificate's.
        var promoted = good
        promoted.role = .relay
        #expect { try promoted.checked(by: root) } throws: { ($0 as? EnrolmentRefusal)?.kind == .malformed }
        // A certificate of somebody else's authority.
        let stranger = try TrustTests.identity(try FleetAuthority.make(now: Date()), .leaf, "edge-1")
        let foreign = try stranger.renewalQuestion(for: P256.Signing.PrivateKey())
        #expect { try foreign.checked(by: root) } throws: { ($0 as? EnrolmentRefusal)?.kind == .expired }
        // The name that it asks for does not count.
        var renamed = good
        renamed.name = NodeName("edge-2")
        #expect(try renamed.checked(by: root).name == identity.name)
    }
}

@Suite("Enrolment's messages")
struct EnrolmentMessageTests {
    static let question = EnrolmentQuestion(
        role: .relay, hops: 2, name: NodeName("relay-1"), csr: [1, 2, 3],
        proof: .token(secret: String(repeating: "a", count: 40)))
    static let renewal = EnrolmentQuestion(
        role: .leaf, name: nil, csr: [UInt8](repeating: 7, count: 300),
        proof: .renewal(certificate: [4, 5], signature: [6]))
    static let replies: [EnrolmentReply] = [
        .issued(certificate: [1, 2], authority: [3]), .issued(certificate: [], authority: []),
        .refused(EnrolmentRefusal(.used, "the token was used")), .refused(EnrolmentRefusal(.busy, "")),
    ]

    private func body(_ bytes: [UInt8]) throws -> [UInt8] {
        var reader = EnrolmentReader()
        return try #require(try reader.append(bytes))
    }

    @Test("what is written is read again", arguments: [question, renewal])
    func readsQuestion(_ question: EnrolmentQuestion) throws {
        #expect(try EnrolmentQuestion(decoding: body(question.bytes)) == question)
    }

    @Test("answers too", arguments: replies)
    func readsReply(_ reply: EnrolmentReply) throws {
        #expect(try EnrolmentReply(decoding: body(reply.bytes)) == reply)
    }

    @Test("a message may come in any pieces")
    func pieces() throws {
        var reader = EnrolmentReader()
        let bytes = Self.question.bytes
        for byte in bytes.dropLast() { #expect(try reader.append([byte]) == nil) }
        #expect(try reader.append(bytes.suffix(1)) == Array(bytes.dropFirst(4)))
    }

    @Test("a length out of bounds is refused at once, and so is more than one message")
    func lengths() throws {
        for length: [UInt8] in [[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0x40, 1], [255, 255, 255, 255]] {
            var reader = EnrolmentReader()
            #expect(throws: EnrolmentFault.self) { try reader.append(length) }
        }
        var reader = EnrolmentReader()
        #expect(throws: EnrolmentFault.self) { try reader.append(Self.question.bytes + [0]) }
    }

    @Test("the text of a refusal holds nothing that speaks to a terminal, and is cut to its bound")
    func texts() throws {
        let text = "a\u{1B}[31mb\nc\u{9B}d" + String(repeating: "é", count: 1000)
        let read = try EnrolmentReply(decoding: body(EnrolmentReply.refused(EnrolmentRefusal(.used, text)).bytes))
        guard case .refused(let refusal) = read else { throw CancellationError() }
        #expect(refusal.text.hasPrefix("a[31mbcdé"))
        #expect(refusal.text.utf8.count <= Limits.enrolmentTextBytesMax)
    }

    @Test("a byte more, a byte less, or another byte never traps, and what is read is within bounds")
    func damaged() throws {
        var generator = SplitMix(state: 0x6D61_7274)
        let originals = [Self.question.bytes, Self.renewal.bytes] + Self.replies.map(\.bytes)
        var understood = 0
        for _ in 0..<20_000 {
            guard var bytes = originals.randomElement(using: &generator) else { continue }
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let index = Int.random(in: 0...bytes.count, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes.insert(UInt8.random(in: 0...255, using: &generator), at: index)
                case 1 where index < bytes.count: bytes.remove(at: index)
                case 2 where index < bytes.count: bytes[index] = UInt8.random(in: 0...255, using: &generator)
                default: bytes.removeLast(min(bytes.count, Int.random(in: 0...8, using: &generator)))
                }
            }
            var reader = EnrolmentReader()
            guard let body = try? reader.append(bytes) else { continue }
            if let question = try? EnrolmentQuestion(decoding: body) {
                #expect(question.csr.count <= Limits.enrolmentCertificateBytesMax)
                #expect(question.role != .root)
                understood += 1
            }
            if (try? EnrolmentReply(decoding: body)) != nil { understood += 1 }
        }
        #expect(understood > 100)
    }

    @Test("random bytes as certificates and signing requests are refused")
    func randomCertificates() throws {
        var generator = SplitMix(state: 7)
        let authority = try FleetAuthority.make(now: Date())
        let root = try authority.rootIdentity(name: name("control"), now: Date())
        let identity = try TrustTests.identity(authority, .leaf, "edge-1")
        let good = try identity.renewalQuestion(for: P256.Signing.PrivateKey())
        for round in 0..<2000 {
            var question = good
            let damage: ([UInt8]) -> [UInt8] = { bytes in
                var bytes = bytes
                let index = Int.random(in: 0..<max(1, bytes.count), using: &generator)
                if bytes.indices.contains(index) { bytes[index] ^= UInt8.random(in: 1...255, using: &generator) }
                return bytes
            }
            if case .renewal(let certificate, let signature) = question.proof {
                switch round % 3 {
                case 0: question.proof = .renewal(certificate: damage(certificate), signature: signature)
                case 1: question.proof = .renewal(certificate: certificate, signature: damage(signature))
                default: question.csr = damage(question.csr)
                }
            }
            #expect(throws: EnrolmentRefusal.self) { try question.checked(by: root) }
        }
    }
}

/// Random numbers that are the same every time.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
