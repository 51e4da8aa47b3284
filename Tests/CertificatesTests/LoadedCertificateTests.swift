import ConfigModel
import Foundation
import Testing

@testable import Certificates

@Suite struct LoadedCertificateTests {
    private let workshop: Workshop

    init() throws { workshop = try Workshop() }

    private func refusal(_ files: Zone.CertificateFiles) -> CertificateError? {
        CertificatesTests.refusal { try LoadedCertificate.load(files) }
    }

    @Test(arguments: [
        ["-newkey", "rsa:2048"], ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"], ["-newkey", "ed25519"],
    ])
    func keyKinds(key: [String]) throws {
        let files = try workshop.certificate("a", key: key)
        let loaded = try LoadedCertificate.load(files)
        #expect(loaded.chain.count == 1)
        #expect(loaded.warnings(zone: "example.test", path: files.certificate, hostnames: ["example.test"]).isEmpty)
        _ = try ServerTLS.context(loaded, offersHTTP2: true)
    }

    @Test func keyForms() throws {
        // PKCS#1 and SEC1, the latter behind its parameters, as `openssl ecparam` writes it.
        let rsa = try workshop.certificate("rsa", key: ["-newkey", "rsa:2048"])
        try workshop.openssl("pkey", "-in", "rsa.key", "-traditional", "-out", "rsa1.key")
        #expect(try workshop.text("rsa1.key").contains("BEGIN RSA PRIVATE KEY"))
        _ = try LoadedCertificate.load(.init(certificate: rsa.certificate, key: workshop.file("rsa1.key")))
        let ec = try workshop.certificate("ec")
        try workshop.openssl("pkey", "-in", "ec.key", "-traditional", "-out", "sec1.key")
        let parameters = try workshop.run(["openssl", "ecparam", "-name", "prime256v1"])
        try workshop.write("sec1.key", parameters + (try workshop.text("sec1.key")))
        #expect(try workshop.text("sec1.key").contains("BEGIN EC PRIVATE KEY"))
        _ = try LoadedCertificate.load(.init(certificate: ec.certificate, key: workshop.file("sec1.key")))
    }

    @Test func textAroundThePEM() throws {
        let files = try workshop.certificate("a")
        let text = try workshop.run(["openssl", "x509", "-in", "a.pem", "-text"])
        try workshop.write("b.pem", "Bag Attributes\n" + text.replacingOccurrences(of: "\n", with: "\r\n"))
        let loaded = try LoadedCertificate.load(.init(certificate: workshop.file("b.pem"), key: files.key))
        #expect(loaded.chain.count == 1)
        // Everything in one file, as some servers want it.
        let both = try workshop.write("both.pem", try workshop.text("a.key") + (try workshop.text("a.pem")))
        _ = try LoadedCertificate.load(.init(certificate: both, key: both))
    }

    @Test func refusals() throws {
        let files = try workshop.certificate("a")
        let other = try workshop.certificate("b")
        #expect(refusal(.init(certificate: files.certificate, key: other.key))?.kind == .keyMismatch)
        #expect(refusal(.init(certificate: files.key, key: files.key))?.text.contains("found PRIVATE KEY") == true)
        #expect(refusal(.init(certificate: files.certificate, key: files.certificate))?.kind == .notPEM)
        let missing = refusal(.init(certificate: workshop.file("no.pem"), key: files.key))
        #expect(missing?.kind == .file)
        #expect(missing?.path == workshop.file("no.pem"))
        #expect(refusal(.init(certificate: workshop.path, key: files.key))?.text == "expected a regular file")
        let empty = try workshop.write("empty.pem", "")
        #expect(refusal(.init(certificate: empty, key: files.key))?.text.contains("empty") == true)
        let damaged = try workshop.text("a.pem").replacingOccurrences(of: "MII", with: "MIJ")
        #expect(
            refusal(.init(certificate: try workshop.write("d.pem", damaged), key: files.key))?.kind == .badCertificate)
        try workshop.openssl("x509", "-in", "a.pem", "-outform", "der", "-out", "a.der")
        #expect(refusal(.init(certificate: workshop.file("a.der"), key: files.key))?.text.contains("DER") == true)
        let huge = try workshop.write("huge.pem", String(repeating: "x", count: 1024 * 1024 + 1))
        #expect(refusal(.init(certificate: huge, key: files.key))?.kind == .file)
    }

    @Test func encryptedKeys() throws {
        let files = try workshop.certificate("a", key: ["-newkey", "rsa:2048"])
        try workshop.openssl("pkey", "-in", "a.key", "-aes128", "-passout", "pass:x", "-out", "e8.key")
        try workshop.openssl(
            "pkey", "-in", "a.key", "-aes128", "-passout", "pass:x", "-traditional", "-out", "e1.key"
        )
        for name in ["e8.key", "e1.key"] {
            #expect(refusal(.init(certificate: files.certificate, key: workshop.file(name)))?.kind == .encryptedKey)
        }
    }

    @Test func keysThatNobodyTakes() throws {
        let files = try workshop.certificate("a")
        try workshop.openssl("genpkey", "-algorithm", "x25519", "-out", "x.key")
        try workshop.openssl("genrsa", "-out", "small.key", "512")
        for name in ["x.key", "small.key"] {
            #expect(refusal(.init(certificate: files.certificate, key: workshop.file(name)))?.kind == .badKey)
        }
    }

    @Test func chains() throws {
        // root → middle → leaf, by openssl.
        _ = try workshop.certificate("root", names: "DNS:root.test")
        try workshop.write("ca.ext", "basicConstraints=critical,CA:TRUE\n")
        try workshop.write("leaf.ext", "subjectAltName=DNS:example.test\n")
        for (name, issuer, ext) in [("middle", "root", "ca.ext"), ("leaf", "middle", "leaf.ext")] {
            try workshop.openssl(
                "req", "-new", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj",
                "/CN=\(name)", "-keyout", "\(name).key", "-out", "\(name).csr"
            )
            try workshop.openssl(
                "x509", "-req", "-in", "\(name).csr", "-CA", "\(issuer).pem", "-CAkey", "\(issuer).key",
                "-CAcreateserial", "-days", "30", "-extfile", ext, "-out", "\(name).pem"
            )
        }
        func chain(_ names: String...) throws -> Zone.CertificateFiles {
            let text = try names.map { try workshop.text("\($0).pem") }.joined()
            return .init(certificate: try workshop.write("chain.pem", text), key: workshop.file("leaf.key"))
        }
        #expect(try LoadedCertificate.load(try chain("leaf", "middle")).chain.count == 2)
        #expect(try LoadedCertificate.load(try chain("leaf", "middle", "root")).chain.count == 3)
        #expect(refusal(try chain("middle", "leaf"))?.text.contains("in place 2") == true)
        #expect(refusal(try chain("leaf", "root", "middle"))?.kind == .chainOrder)
        #expect(refusal(try chain("leaf", "root"))?.kind == .chainOrder)
    }

    @Test func warnings() throws {
        let files = try workshop.certificate("a", names: "DNS:example.test,DNS:*.Example.test,IP:192.0.2.7")
        let loaded = try LoadedCertificate.load(files)
        func texts(_ hostnames: [String], days: Double = 1) -> [String] {
            loaded.warnings(
                zone: "z", path: files.certificate, hostnames: hostnames, now: Date().plus(days: days)
            ).map(\.text)
        }
        #expect(texts(["example.test", "*.example.test", "www.example.test", "192.0.2.7", "*"]).isEmpty)
        #expect(texts(["a.b.example.test"]) == ["does not cover a.b.example.test"])
        #expect(texts(["*.www.example.test", "192.0.2.8"]) == ["does not cover *.www.example.test, 192.0.2.8"])
        #expect(texts((1...9).map { "\($0).test" }).first?.hasSuffix("5.test, …") == true)
        #expect(texts([], days: 31).first?.hasPrefix("expired on") == true)
        #expect(texts([], days: -1).first?.hasPrefix("not valid before") == true)
    }
}
