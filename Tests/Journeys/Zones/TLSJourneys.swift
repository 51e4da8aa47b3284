import Foundation
import Testing

/// TLS with clients: curl and openssl on one side, the edge on the other.
@Suite("TLS", .onStageThreads)
struct TLSJourneys {
    private func curl(_ stage: Stage, _ edge: Edge, _ host: String, _ arguments: String...) throws
        -> (status: Int32?, output: String, errors: String)
    {
        let process = try stage.start(
            ["curl", "-sS", "--max-time", "40", "--resolve", "\(host):\(edge.httpsPort):127.0.0.1"] + arguments
                + ["https://\(host):\(edge.httpsPort)/"])
        let status = process.waitForExit()
        return (status, process.output, process.errors)
    }

    /// What `openssl s_client` reports of a handshake; it ends its input at once, or after a request was answered.
    private func handshake(
        _ stage: Stage, _ edge: Edge, _ arguments: String..., request: String = ""
    ) throws -> String {
        let process = try stage.start(
            ["openssl", "s_client", "-connect", "127.0.0.1:\(edge.httpsPort)"] + arguments
                + (request.isEmpty ? [] : ["-ign_eof"]), hasInput: true)
        process.write(request.isEmpty ? "Q\n" : request)
        _ = process.waitForExit()
        return process.output + process.errors
    }

    @Test("Without certificates of its own, a zone has one from the local authority")
    func localAuthority() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url], https: true)
        let root = stage.path("var/ca/ca.pem")
        for host in ["example.test", "www.example.test"] {
            let fetched = try curl(stage, edge, host, "--cacert", root)
            #expect(fetched.output == "ok", "\(host): \(fetched.errors)")
        }
        let key = try FileManager.default.attributesOfItem(atPath: stage.path("var/ca"))[.posixPermissions]
        #expect(((key as? Int) ?? 0o777) & 0o077 == 0, "the authority's directory is open to others")
    }

    @Test("The local authority is made once and kept over a restart")
    func authorityIsKept() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let configuration = try EdgeConfiguration(zones: zone("example.test", origins: [origin.url]), hasHTTPS: true)
        let first = try stage.edge(configuration)
        let root = try String(contentsOfFile: stage.path("var/ca/ca.pem"), encoding: .utf8)
        first.process.signal(15)
        #expect(first.process.waitForExit() == 0)
        let second = try stage.edge(configuration)
        #expect(try String(contentsOfFile: stage.path("var/ca/ca.pem"), encoding: .utf8) == root)
        let fetched = try curl(stage, second, "example.test", "--cacert", stage.path("var/ca/ca.pem"))
        #expect(fetched.output == "ok", "\(fetched.errors)")
    }

    @Test("SNI chooses the zone's certificate, wildcards included")
    func serverName() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { request in ok("at \(request["Host"]?.split(separator: ":").first ?? "")") }
        let (one, two) = (try stage.authority("one"), try stage.authority("two"))
        let a = try stage.certificate("a.test", "*.a.test", by: one, file: "a")
        let b = try stage.certificate("b.test", by: two, file: "b")
        let edge = try stage.edge(
            EdgeConfiguration(
                zones: zone("a.test", origins: [origin.url], ["tls: { certificate: a.pem, key: a.key }"])
                    + zone("b.test", origins: [origin.url], ["tls: { certificate: \(b.certificate), key: \(b.key) }"]),
                hasHTTPS: true))
        _ = a
        for (host, authority) in [("a.test", one), ("www.a.test", one), ("b.test", two)] {
            let fetched = try curl(stage, edge, host, "--cacert", authority.certificate)
            #expect(fetched.output == "at \(host)", "\(host): \(fetched.errors)")
        }
        let wrong = try curl(stage, edge, "b.test", "--cacert", one.certificate)
        #expect(wrong.status == 60, "b.test must not show a's certificate: \(wrong)")
    }

    @Test("A request for another zone on a connection made for this one is answered by its zone or sent back (421)")
    func misdirected() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (a, b) = (try stage.origin { _ in ok("a") }, try stage.origin { _ in ok("b") })
        let edge = try stage.edge(
            EdgeConfiguration(
                zones: zone("a.test", origins: [a.url]) + zone("b.test", origins: [b.url]), hasHTTPS: true))
        let fetched = try curl(stage, edge, "a.test", "-k", "-H", "Host: b.test", "-w", " %{http_code}")
        #expect(fetched.output == "b 200" || fetched.output.hasSuffix(" 421"), "\(fetched)")
        #expect(a.connectionCount == 0)
    }

    @Test(
        "TLS 1.2 and 1.3 are spoken, older ones are not",
        arguments: [
            ("-tls1_3", "TLSv1.3"), ("-tls1_2", "TLSv1.2"), ("-tls1_1", ""), ("-tls1", ""),
        ])
    func versions(option: String, spoken: String) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url], https: true)
        // Security level 0, else this openssl would itself refuse to offer the old versions.
        let report = try handshake(
            stage, edge, option, "-servername", "example.test", "-cipher", "ALL:@SECLEVEL=0",
            request: "GET / HTTP/1.1\r\nHost: example.test\r\nConnection: close\r\n\r\n")
        if spoken.isEmpty {
            #expect(!report.contains("HTTP/1.1 200"), "\(report)")
            #expect(report.contains("alert"), "\(report)")
        } else {
            #expect(report.contains("HTTP/1.1 200"), "\(report)")
            #expect(report.contains(spoken), "\(report)")
        }
    }

    @Test("A session is resumed", arguments: ["-tls1_3", "-tls1_2"])
    func resumption(version: String) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url], https: true)
        let session = stage.path("session")
        let asking = "GET / HTTP/1.1\r\nHost: example.test\r\nConnection: close\r\n\r\n"
        let first = try handshake(
            stage, edge, version, "-servername", "example.test", "-sess_out", session, request: asking)
        #expect(first.contains("New, TLSv1"), "\(first)")
        let second = try handshake(
            stage, edge, version, "-servername", "example.test", "-sess_in", session, request: asking)
        #expect(second.contains("Reused, TLSv1"), "\(second)")
        #expect(second.contains("HTTP/1.1 200"), "\(second)")
    }

    @Test("ALPN agrees on http/1.1")
    func alpn() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url], https: true)
        let report = try handshake(stage, edge, "-servername", "example.test", "-alpn", "http/1.1,http/1.0")
        #expect(report.contains("ALPN protocol: http/1.1"), "\(report)")
    }

    @Test("A certificate that changes on disk is read anew")
    func certificateChanges() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let (old, new) = (try stage.authority("old"), try stage.authority("new"))
        _ = try stage.certificate("example.test", by: old, file: "site")
        let edge = try stage.edge([origin.url], "tls: { certificate: site.pem, key: site.key }", https: true)
        #expect(try curl(stage, edge, "example.test", "--cacert", old.certificate).output == "ok")
        let next = try stage.certificate("example.test", by: new, file: "next")
        for (from, to) in [(next.key, "site.key"), (next.certificate, "site.pem")] {
            let bytes = try Data(contentsOf: URL(filePath: from))
            try bytes.write(to: URL(filePath: stage.path(to)), options: .atomic)
        }
        #expect(try eventually { try curl(stage, edge, "example.test", "--cacert", new.certificate).output == "ok" })
    }

    @Test("A certificate that becomes unreadable changes nothing")
    func certificateBreaks() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let authority = try stage.authority("one")
        _ = try stage.certificate("example.test", by: authority, file: "site")
        let edge = try stage.edge([origin.url], "tls: { certificate: site.pem, key: site.key }", https: true)
        #expect(try curl(stage, edge, "example.test", "--cacert", authority.certificate).output == "ok")
        let before = edge.process.errors
        try stage.write("no certificate", to: "site.pem")
        #expect(eventually { edge.process.errors.count > before.count }, "nothing was said of the broken file")
        #expect(try curl(stage, edge, "example.test", "--cacert", authority.certificate).output == "ok")
    }

    @Test(
        "HTTP in the clear on the TLS port, and garbage, close that connection and no other",
        arguments: [
            "GET / HTTP/1.1\r\nHost: example.test\r\n\r\n", "\u{16}\u{03}\u{01}\u{02}\0garbage", "\0\0\0\0",
        ])
    func notTLS(bytes: String) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url], top: "timeouts: { handshake: 2s }", https: true)
        let client = try Wire.connect(port: edge.httpsPort)
        try client.send(bytes)
        let (answer, _) = try client.readToEnd()
        #expect(!answer.text.contains(" 200 "))
        #expect(origin.connectionCount == 0)
        #expect(try curl(stage, edge, "example.test", "-k").output == "ok")
    }

    @Test("A handshake that does not go on is given up")
    func handshakeTimeout() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url], top: "timeouts: { handshake: 500ms }", https: true)
        for start in [[], [0x16], [0x16, 3, 1, 2, 0, 1]] as [[UInt8]] {
            let client = try Wire.connect(port: edge.httpsPort)
            try client.send(start)
            _ = try client.readToEnd()
        }
    }

    @Test("A large body goes through TLS both ways, whole")
    func largeBody() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { request in
            "HTTP/1.1 200 OK\r\nContent-Length: \(request.body.count)\r\n\r\n\(request.text)"
        }
        let edge = try stage.edge([origin.url], https: true)
        let body = (0..<400_000).map { "\($0)\n" }.joined()
        let file = try stage.write(body, to: "body")
        let fetched = try curl(stage, edge, "example.test", "-k", "--data-binary", "@\(file.path)")
        #expect(fetched.output == body, "\(fetched.output.utf8.count) of \(body.utf8.count) bytes: \(fetched.errors)")
    }
}
