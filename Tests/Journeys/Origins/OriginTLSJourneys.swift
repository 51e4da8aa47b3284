import Foundation
import Testing

/// TLS to origins, with a real nginx on the other side.
@Suite("TLS to origins", .onStageThreads)
struct OriginTLSJourneys {
    private static let server = """
        location / { return 200 "sni=$ssl_server_name client=$ssl_client_verify host=$host"; }
        """

    @Test("A certificate that no known authority issued is a 502 that says so")
    func verifiesByDefault() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let identity = try stage.certificate("localhost", "127.0.0.1", by: stage.authority("own"), file: "origin")
        let origin = try stage.nginx(tls: identity, server: Self.server)
        let edge = try stage.edge(["https://127.0.0.1:\(origin.port)"], "attempts: 1")
        let answer = try edge.get("/", "Accept: application/json")
        #expect(answer.status == 502)
        #expect(answer.text.contains("origin_tls"), "\(answer.text)")
        #expect((try edge.logged(ray: answer.ray)["error"] as? String)?.hasPrefix("origin_tls") == true)
    }

    @Test("With its authority named, by address and by name")
    func knownAuthority() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let authority = try stage.authority("own")
        let identity = try stage.certificate("localhost", "127.0.0.1", by: authority, file: "origin")
        let origin = try stage.nginx(tls: identity, server: Self.server)
        for (host, name) in [("127.0.0.1", ""), ("localhost", "localhost")] {
            let edge = try stage.edge(
                ["{url: \"https://\(host):\(origin.port)\", tls: { ca: own-ca.pem }}"], "attempts: 1")
            let answer = try edge.get("/")
            // The name in the handshake is the origin's own, unless it is an address (RFC 6066, section 3).
            #expect(answer.text == "sni=\(name) client=NONE host=example.test", "\(answer.text)")
        }
    }

    @Test("A certificate for another name is refused, and taken under the name configured")
    func serverName() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let authority = try stage.authority("own")
        let identity = try stage.certificate("origin.internal", by: authority, file: "origin")
        let origin = try stage.nginx(tls: identity, server: Self.server)
        let url = "https://127.0.0.1:\(origin.port)"
        let wrong = try stage.edge(["{url: \"\(url)\", tls: { ca: own-ca.pem }}"], "attempts: 1")
        #expect(try wrong.get("/").status == 502)
        let right = try stage.edge(
            ["{url: \"\(url)\", tls: { ca: own-ca.pem, server_name: origin.internal }}"], "attempts: 1")
        #expect(try right.get("/").text == "sni=origin.internal client=NONE host=example.test")
    }

    @Test("Verification can be turned off, by saying so")
    func unverified() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let identity = try stage.certificate("other.test", by: stage.authority("own"), file: "origin")
        let origin = try stage.nginx(tls: identity, server: Self.server)
        let edge = try stage.edge(
            ["{url: \"https://127.0.0.1:\(origin.port)\", tls: { verify: false }}"], "attempts: 1")
        #expect(try edge.get("/").status == 200)
    }

    @Test("An origin that asks for a certificate gets the one configured")
    func clientCertificate() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let authority = try stage.authority("own")
        let identity = try stage.certificate("127.0.0.1", by: authority, file: "origin")
        _ = try stage.certificate("martlet", by: authority, file: "client")
        let origin = try stage.nginx(
            tls: identity,
            server: "ssl_verify_client on; ssl_client_certificate \(authority.certificate);\n" + Self.server)
        let url = "https://127.0.0.1:\(origin.port)"
        let without = try stage.edge(["{url: \"\(url)\", tls: { ca: own-ca.pem }}"], "attempts: 1")
        let refused = try without.get("/")
        #expect([400, 502].contains(refused.status), "\(refused.text)")
        let with = try stage.edge(
            ["{url: \"\(url)\", tls: { ca: own-ca.pem, certificate: client.pem, key: client.key }}"], "attempts: 1")
        #expect(try with.get("/").text.contains("client=SUCCESS"))
    }

    @Test("An origin that speaks no TLS is a 502 of that kind")
    func noTLS() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let plain = try stage.origin { connection in
            _ = try? connection.wire.receive()
            try connection.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        }
        let edge = try stage.edge(["https://127.0.0.1:\(plain.port)"], "attempts: 1")
        let answer = try edge.get("/")
        #expect(answer.status == 502)
        #expect((try edge.logged(ray: answer.ray)["error"] as? String)?.hasPrefix("origin_tls") == true)
    }

    @Test("An end without TLS's own goodbye is a cut, not the end of a body")
    func truncation() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let authority = try stage.authority("own")
        let identity = try stage.certificate("127.0.0.1", by: authority, file: "origin")
        let port = try Ports.pick()
        // s_server sends what it reads; killed, it leaves the connection's end to the kernel.
        let server = try stage.start(
            [
                "openssl", "s_server", "-quiet", "-accept", "127.0.0.1:\(port)", "-cert", identity.certificate, "-key",
                identity.key,
            ], hasInput: true)
        #expect(eventually { !Listening.isFree(port: port) })
        let edge = try stage.edge(["{url: \"https://127.0.0.1:\(port)\", tls: { ca: own-ca.pem }}"], "attempts: 1")
        let client = try edge.client()
        try client.send(request("GET /"))
        // What it writes before a connection is there would be lost, so the request is waited for.
        #expect(eventually { server.output.contains("GET / HTTP/1.1") })
        server.write("HTTP/1.1 200 OK\r\n\r\nhalf of it")
        let head = try client.read(through: "\r\n\r\n").text
        #expect(head.hasPrefix("HTTP/1.1 200"))
        if client.buffered.isEmpty { _ = try client.receive() }
        server.signal(9)
        let (bytes, inOrder) = try client.readToEnd()
        #expect(!inOrder || !bytes.text.hasSuffix("0\r\n\r\n"), "\(head)\(bytes.text)")
    }

    @Test("Pooled connections carry TLS once for many requests")
    func pooled() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let authority = try stage.authority("own")
        let identity = try stage.certificate("127.0.0.1", by: authority, file: "origin")
        let origin = try stage.nginx(tls: identity, server: "location / { return 200 $connection; }")
        let edge = try stage.edge(["{url: \"https://127.0.0.1:\(origin.port)\", tls: { ca: own-ca.pem }}"])
        let client = try edge.client()
        var connections: Set<String> = []
        for _ in 0..<20 {
            try client.send(request("GET /"))
            connections.insert(try client.readAnswer().text)
        }
        #expect(connections.count == 1, "\(connections)")
    }

    @Test("A file of 8 MiB comes whole through TLS on both sides")
    func largeFile() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let authority = try stage.authority("own")
        let identity = try stage.certificate("127.0.0.1", by: authority, file: "origin")
        let origin = try stage.nginx(tls: identity)
        let content = Data((0..<(8 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        try content.write(to: origin.root.appending(path: "file"))
        let edge = try stage.edge(
            ["{url: \"https://127.0.0.1:\(origin.port)\", tls: { ca: own-ca.pem }}"], https: true)
        let target = stage.path("fetched")
        let fetched = try stage.run(
            "curl", "-sS", "-k", "-o", target, "--resolve", "example.test:\(edge.httpsPort):127.0.0.1",
            "https://example.test:\(edge.httpsPort)/file")
        #expect(fetched.status == 0, "\(fetched.errors)")
        #expect(try Data(contentsOf: URL(filePath: target)) == content)
    }
}
