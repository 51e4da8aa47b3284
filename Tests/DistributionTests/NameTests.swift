import ConfigLog
import Crypto
import FoundationEssentials
import Glibc
import Limits
import Testing

@testable import Distribution

@Suite("Names, addresses and tokens")
struct NameTests {
    @Test("a node's name is a DNS label in lower case")
    func names() {
        for good in ["a", "edge-1", "0", String(repeating: "x", count: 63)] { #expect(NodeName(good)?.text == good) }
        for bad in ["", "-a", "a-", "A", "a.b", "a_b", "ä", "a b", "a/b", String(repeating: "x", count: 64)] {
            #expect(NodeName(bad) == nil)
        }
        for role in [NodeRole.root, .relay, .leaf] { #expect(NodeRole(word: role.word) == role) }
        #expect(NodeRole(word: "leaf") == nil)
    }

    @Test(
        "addresses",
        arguments: [
            ("control.example.net", "control.example.net:7071"), ("127.0.0.1:80", "127.0.0.1:80"),
            ("[::1]:7072", "[::1]:7072"), ("[2001:db8::1]", "[2001:db8::1]:7071"), ("0.0.0.0:0", "0.0.0.0:0"),
        ])
    func addresses(_ text: String, _ expected: String) throws {
        #expect(try PeerAddress(parsing: text).description == expected)
    }

    @Test(
        "what is no address",
        arguments: [
            "", ":1", "a:", "a:b", "a:65536", "a:-1", "a:+1", "::1", "[::1", "[::1]x", "[]:1", "a b:1", "http://a:1",
            "a:1:2",
        ])
    func noAddress(_ text: String) {
        #expect { try PeerAddress(parsing: text) } throws: { ($0 as? DistributionError)?.kind == .address }
    }

    @Test("a list of addresses holds each once, none with port 0, and not too many")
    func list() throws {
        #expect(try PeerAddress.list("a:1, b:2,a:1").map(\.description) == ["a:1", "b:2"])
        #expect(throws: DistributionError.self) { try PeerAddress.list("a:1,,b:2") }
        #expect(throws: DistributionError.self) { try PeerAddress.list("a:0") }
        let many = (0...Limits.distributionParentsMax).map { "h\($0):1" }.joined(separator: ",")
        #expect(throws: DistributionError.self) { try PeerAddress.list(many) }
    }

    @Test("a token is read as it was shown, and shows nothing of its secret by itself")
    func tokens() throws {
        let digest = Array(SHA256.hash(data: [1, 2, 3]))
        let token = JoinToken.make(authority: digest)
        #expect(token.text.utf8.count == 3 + 1 + 40 + 1 + 43)
        #expect(try JoinToken(parsing: token.text) == token)
        #expect(token.secretDigest == Array(SHA256.hash(data: Array(token.secret.utf8))))
        #expect(!"\(token)".contains(token.secret))
        #expect(JoinToken.make(authority: digest).secret != token.secret)
        for position in 0..<token.text.utf8.count {
            var bytes = Array(token.text.utf8)
            bytes.remove(at: position)
            let shorter = String(decoding: bytes, as: UTF8.self)
            #expect { try JoinToken(parsing: shorter) } throws: { error in
                (error as? DistributionError)?.kind == .token && !"\(error)".contains(token.secret.prefix(8))
            }
        }
        for bad in ["", "mj1", "mj1..", "mj2" + token.text.dropFirst(3), token.text + "A", token.text + ".x"] {
            #expect(throws: DistributionError.self) { try JoinToken(parsing: bad) }
        }
    }

    @Test(
        "base64url is that of RFC 4648",
        arguments: [
            ([], ""), ([0x66], "Zg"), ([0x66, 0x6F], "Zm8"), ([0x66, 0x6F, 0x6F], "Zm9v"), ([0xFB, 0xFF], "-_8"),
        ] as [([UInt8], String)])
    func base64(_ bytes: [UInt8], _ text: String) {
        #expect(JoinToken.encode(bytes) == text)
        #expect(JoinToken.decode(text.utf8) == bytes)
    }

    @Test("base64url with bits or characters left over is refused", arguments: ["Z", "Zh", "Zm9=", "Zm+v", "Zm 9"])
    func notBase64(_ text: String) { #expect(JoinToken.decode(text.utf8) == nil) }
}

@Suite("Identities on disk")
struct IdentityFileTests {
    private func mode(_ path: String) -> mode_t {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & 0o7777 : 0
    }

    @Test("what is kept is read again, and is for its owner alone")
    func modes() throws {
        let scratch = try Scratch()
        let identity = try TrustTests.identity(try FleetAuthority.make(now: Date()), .relay, "relay-1")
        let directory = scratch.path + "/identity"
        let before = umask(0)
        defer { umask(before) }
        try identity.save(directory: directory)
        #expect(mode(directory) == 0o700)
        #expect(mode(directory + "/node.pem") == 0o600)
        let kept = try #require(try NodeIdentity.load(directory: directory))
        #expect(kept.serial == identity.serial && kept.role == .relay && kept.name == identity.name)
        #expect(kept.key.rawRepresentation == identity.key.rawRepresentation)
        #expect(kept.authorityDER == identity.authorityDER)
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["node.pem"])
        // Readable by others: refused, with what to do.
        #expect(chmod(directory + "/node.pem", 0o644) == 0)
        #expect { try NodeIdentity.load(directory: directory) } throws: { "\($0)".contains("chmod 600") }
    }

    @Test("a damaged file is refused with what to do, and says nothing of the key")
    func damaged() throws {
        let scratch = try Scratch()
        let identity = try TrustTests.identity(try FleetAuthority.make(now: Date()), .leaf, "edge-1")
        try identity.save(directory: scratch.path)
        let path = scratch.path + "/node.pem"
        let text = try #require(try IdentityFile.read(path))
        for cut in stride(from: 0, to: text.count - 1, by: 37) {
            try IdentityFile.write(Array(text.prefix(cut)), to: "node.pem", in: scratch.path)
            #expect { try NodeIdentity.load(directory: scratch.path) } throws: {
                ($0 as? DistributionError)?.kind == .identity && !"\($0)".contains("BEGIN")
            }
        }
        try IdentityFile.write(
            [UInt8](repeating: 65, count: Limits.nodeIdentityBytesMax + 1), to: "node.pem", in: scratch.path)
        #expect(throws: DistributionError.self) { try NodeIdentity.load(directory: scratch.path) }
    }

    @Test("a certificate that has expired, or is not valid yet, is refused with its dates")
    func dates() throws {
        let scratch = try Scratch()
        let identity = try TrustTests.identity(try FleetAuthority.make(now: Date()), .leaf, "edge-1", days: 1)
        try identity.save(directory: scratch.path)
        let now = Date()
        #expect(try NodeIdentity.load(directory: scratch.path, now: now) != nil)
        for other in [now.addingTimeInterval(86_401), now.addingTimeInterval(-7200)] {
            #expect { try NodeIdentity.load(directory: scratch.path, now: other) } throws: {
                "\($0)".contains("is valid from")
            }
        }
        // The half hour before two thirds are over, and the one after.
        let renewal = identity.renewal
        #expect(renewal > now.addingTimeInterval(57_600 - 3600) && renewal < now.addingTimeInterval(57_600 + 3600))
    }

    @Test("key and certificate of another authority do not go together")
    func mixed() throws {
        let (one, two) = (try FleetAuthority.make(now: Date()), try FleetAuthority.make(now: Date()))
        #expect(throws: DistributionError.self) {
            try FleetAuthority(certificateDER: one.certificateDER, keyDER: two.keyDER)
        }
        let again = try FleetAuthority(certificateDER: one.certificateDER, keyDER: one.keyDER)
        #expect(again.digest == one.digest)
        let identity = try TrustTests.identity(one, .leaf, "edge-1")
        #expect(throws: DistributionError.self) {
            try NodeIdentity(
                key: identity.key, certificateDER: identity.certificateDER, authorityDER: two.certificateDER,
                now: Date())
        }
        #expect(throws: DistributionError.self) {
            try NodeIdentity(
                key: P256.Signing.PrivateKey(), certificateDER: identity.certificateDER,
                authorityDER: one.certificateDER, now: Date())
        }
    }
}
