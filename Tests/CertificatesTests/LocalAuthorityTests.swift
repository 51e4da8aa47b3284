import Foundation
import Testing
import X509

@testable import Certificates

@Suite struct LocalAuthorityTests {
    private let workshop: Workshop

    init() throws { workshop = try Workshop() }

    private func open(now: Date = Date()) throws -> LocalAuthority {
        try LocalAuthority.open(data: workshop.file("var"), now: now)
    }

    @Test func filesAndModes() throws {
        let authority = try open()
        #expect(authority.certificatePath == workshop.file("var/ca/ca.pem"))
        #expect(try workshop.mode("var/ca") == 0o700)
        #expect(try workshop.mode("var/ca/ca.pem") == 0o644)
        #expect(try workshop.mode("var/ca/ca.key") == 0o600)
        _ = try authority.leaf(zone: "example.test", hostnames: ["example.test"])
        #expect(try workshop.mode("var/certificates") == 0o700)
        #expect(try workshop.mode("var/certificates/example.test.pem") == 0o644)
        #expect(try workshop.mode("var/certificates/example.test.key") == 0o600)
        let names = try FileManager.default.contentsOfDirectory(atPath: workshop.file("var/ca")).sorted()
        #expect(names == ["ca.key", "ca.pem", "lock"])
    }

    @Test func opensslAcceptsTheAuthority() throws {
        _ = try open()
        let text = try workshop.run(["openssl", "x509", "-in", "var/ca/ca.pem", "-noout", "-text"])
        #expect(text.contains("CA:TRUE, pathlen:0"))
        #expect(text.contains("X509v3 Basic Constraints: critical"))
        #expect(text.contains("X509v3 Key Usage: critical"))
        #expect(text.contains("Certificate Sign, CRL Sign"))
        #expect(text.contains("ASN1 OID: prime256v1"))
        #expect(text.contains("X509v3 Subject Key Identifier"))
        #expect(text.contains("Martlet local authority"))
        try workshop.openssl("x509", "-in", "var/ca/ca.pem", "-noout", "-checkend", "\(3640 * 86_400)")
        try workshop.run(
            ["openssl", "x509", "-in", "var/ca/ca.pem", "-noout", "-checkend", "\(3660 * 86_400)"], failing: true
        )
    }

    @Test func opensslAcceptsALeaf() throws {
        let hostnames = ["example.test", "*.example.test", "192.0.2.7", "2001:db8::7"]
        _ = try open().leaf(zone: "example.test", hostnames: hostnames)
        let leaf = "var/certificates/example.test.pem"
        let text = try workshop.run(["openssl", "x509", "-in", leaf, "-noout", "-text"])
        #expect(
            text.contains("DNS:example.test, DNS:*.example.test, IP Address:192.0.2.7, IP Address:2001:DB8:0:0:0:0:0:7")
        )
        #expect(text.contains("TLS Web Server Authentication"))
        #expect(text.contains("CA:FALSE"))
        #expect(text.contains("Digital Signature"))
        #expect(text.contains("Version: 3 (0x2)"))
        let verify = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", "var/ca/ca.pem"]
        for name in ["example.test", "www.example.test"] {
            try workshop.run(verify + ["-verify_hostname", name, leaf])
        }
        try workshop.run(verify + ["-verify_ip", "192.0.2.7", leaf])
        try workshop.run(verify + ["-verify_ip", "2001:db8::7", leaf])
        try workshop.run(verify + ["-verify_hostname", "other.test", leaf], failing: true)
        try workshop.openssl("pkey", "-in", "var/certificates/example.test.key", "-check", "-noout")
        try workshop.openssl("x509", "-in", leaf, "-noout", "-checkend", "\(89 * 86_400)")
    }

    @Test func theZoneOfEveryHostIsForLoopback() throws {
        _ = try open().leaf(zone: "*", hostnames: ["*"])
        let leaf = "var/certificates/_any.pem"
        let verify = ["openssl", "verify", "-CAfile", "var/ca/ca.pem"]
        try workshop.run(verify + ["-verify_hostname", "localhost", leaf])
        try workshop.run(verify + ["-verify_ip", "127.0.0.1", leaf])
        try workshop.run(verify + ["-verify_ip", "::1", leaf])
    }

    @Test func aSecondStartFindsTheSame() throws {
        let first = try open()
        let leaf = try first.leaf(zone: "example.test", hostnames: ["example.test"])
        let second = try open()
        #expect(second.certificate == first.certificate)
        #expect(try second.leaf(zone: "example.test", hostnames: ["example.test"]).digest == leaf.digest)
    }

    @Test func aLeafIsRenewed() throws {
        let authority = try open()
        let now = Date()
        let names = ["example.test", "b.example.test"]
        let first = try authority.leaf(zone: "example.test", hostnames: names, now: now)
        func digest(_ names: [String], _ days: Double) throws -> Bool {
            try authority.leaf(zone: "example.test", hostnames: names, now: now.plus(days: days)).digest == first.digest
        }
        #expect(try digest(names, 59))
        #expect(try digest(names.reversed(), 0), "the order of names is no change")
        #expect(try !digest(names, 61), "less than a third of the life is left")
        let second = try authority.leaf(zone: "example.test", hostnames: names, now: now)
        #expect(second.digest != first.digest, "the one of the 61st day is not valid today")
        let third = try authority.leaf(zone: "example.test", hostnames: ["example.test"], now: now)
        #expect(third.digest != second.digest)
        #expect(third.names.count == 1)
    }

    @Test func aLeafOfAnotherAuthorityIsReplaced() throws {
        let first = try open().leaf(zone: "example.test", hostnames: ["example.test"])
        try FileManager.default.removeItem(atPath: workshop.file("var/ca"))
        let second = try open().leaf(zone: "example.test", hostnames: ["example.test"])
        #expect(first.digest != second.digest)
        try workshop.openssl("verify", "-CAfile", "var/ca/ca.pem", "var/certificates/example.test.pem")
    }

    @Test func aDamagedLeafIsReplaced() throws {
        let authority = try open()
        _ = try authority.leaf(zone: "example.test", hostnames: ["example.test"])
        for name in ["example.test.pem", "example.test.key"] {
            try workshop.write("var/certificates/\(name)", "nonsense")
            _ = try authority.leaf(zone: "example.test", hostnames: ["example.test"])
            try workshop.openssl("verify", "-CAfile", "var/ca/ca.pem", "var/certificates/example.test.pem")
        }
    }

    @Test func aDamagedAuthorityIsNotReplaced() throws {
        _ = try open()
        let certificate = try workshop.text("var/ca/ca.pem")
        let key = try workshop.text("var/ca/ca.key")
        try workshop.write("var/ca/ca.pem", "nonsense")
        #expect(refusal { try open() }?.kind == .authority)
        #expect(try workshop.text("var/ca/ca.pem") == "nonsense")
        try workshop.write("var/ca/ca.pem", certificate)
        try workshop.write("var/ca/ca.key", try Workshop.otherKey())
        #expect(refusal { try open() }?.kind == .authority)
        try FileManager.default.removeItem(atPath: workshop.file("var/ca/ca.key"))
        #expect(refusal { try open() }?.kind == .authority)
        try workshop.write("var/ca/ca.key", key)
        _ = try open()
    }

    @Test func aStartCutOffIsFinished() throws {
        let first = try open()
        try FileManager.default.removeItem(atPath: workshop.file("var/ca/ca.pem"))
        let second = try open()
        #expect(second.certificate.publicKey == first.certificate.publicKey)
    }

    @Test func anExpiredAuthoritySaysSo() throws {
        _ = try open()
        let error = refusal { try open(now: Date().plus(days: 3651)) }
        #expect(error?.kind == .authority)
        #expect(error?.text.contains("expired") == true)
    }

    @Test func aLeafDoesNotOutliveTheAuthority() throws {
        let now = Date()
        let authority = try open(now: now)
        let leaf = try authority.leaf(zone: "a.test", hostnames: ["a.test"], now: now.plus(days: 3600))
        #expect(leaf.notAfter == authority.certificate.notValidAfter)
    }

    @Test func manyAtOnceAgree() async throws {
        let data = workshop.file("var")
        let digests = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<16 {
                group.addTask {
                    let leaf = try LocalAuthority.open(data: data).leaf(zone: "a.test", hostnames: ["a.test"])
                    return Data(leaf.digest).base64EncodedString()
                }
            }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(digests.count == 1)
        try workshop.openssl("verify", "-CAfile", "var/ca/ca.pem", "var/certificates/a.test.pem")
        let names = try FileManager.default.contentsOfDirectory(atPath: workshop.file("var/certificates")).sorted()
        #expect(names == ["a.test.key", "a.test.pem", "lock"], "no draft is left behind")
    }

    @Test(arguments: [
        ("example.test", "example.test"), ("*", "_any"), (".hidden", "_"), ("a/b", "_"), ("", "_"), ("..", "_"),
    ])
    func fileNames(zone: String, start: String) {
        let name = LocalAuthority.fileName(zone)
        #expect(name.hasPrefix(start))
        #expect(!name.contains("/") && !name.hasPrefix("."))
    }
}

extension Workshop {
    static func otherKey() throws -> String {
        let workshop = try Workshop()
        _ = try workshop.certificate("other")
        return try workshop.text("other.key")
    }
}
