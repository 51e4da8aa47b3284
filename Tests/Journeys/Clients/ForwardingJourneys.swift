import Foundation
import Testing

/// What the edge tells the origin of the client, and whom it believes (RFC 7239; W3C Trace Context).
@Suite("Forwarding fields", .onStageThreads)
struct ForwardingJourneys {
    private static let claims = [
        "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.test",
        "Forwarded: for=203.0.113.7;proto=https;host=evil.test", "Martlet-Ray: 0123456789abcdef",
    ]

    private func seen(_ stage: Stage, top: String, _ fields: String..., from source: String? = nil) throws -> Message {
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url], top: top)
        let lines = ["GET / HTTP/1.1", "Host: Example.test:8080"] + fields + ["Connection: close", "", ""]
        let answer = try edge.exchange(lines.joined(separator: "\r\n"), from: source)
        #expect(answer.status == 200)
        let request = try #require(origin.requests.first)
        #expect(request["Martlet-Ray"] == answer.ray)
        return request
    }

    @Test("A stranger's claims are replaced by what the edge knows")
    func stranger() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let request = try seen(stage, top: "", Self.claims.joined(separator: "\r\n"), from: "127.0.0.9")
        #expect(request.all("X-Forwarded-For") == ["127.0.0.9"])
        #expect(request.all("X-Forwarded-Proto") == ["http"])
        #expect(request["X-Forwarded-Host"]?.lowercased() == "example.test:8080")
        let forwarded = try #require(request["Forwarded"])
        #expect(forwarded.contains("127.0.0.9"))
        #expect(forwarded.contains("proto=http"))
        #expect(!forwarded.contains("203.0.113.7"))
        #expect(!forwarded.contains("evil"))
        #expect(request["Martlet-Ray"] != "0123456789abcdef")
    }

    @Test("A trusted proxy's claims are kept and added to")
    func trusted() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let request = try seen(
            stage, top: "trusted_proxies: [\"127.0.0.0/8\"]", Self.claims.joined(separator: "\r\n"), from: "127.0.0.9")
        #expect(request.all("X-Forwarded-For").joined(separator: ", ") == "203.0.113.7, 127.0.0.9")
        let forwarded = request.all("Forwarded").joined(separator: ", ")
        #expect(forwarded.contains("203.0.113.7") && forwarded.contains("127.0.0.9"), "\(forwarded)")
    }

    @Test("Only the proxies named are trusted")
    func trustedElsewhere() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let request = try seen(
            stage, top: "trusted_proxies: [\"127.0.0.8\", \"10.0.0.0/8\"]", "X-Forwarded-For: 203.0.113.7",
            from: "127.0.0.9")
        #expect(request.all("X-Forwarded-For") == ["127.0.0.9"])
    }

    @Test(
        "The client is the last address that no trusted proxy added",
        arguments: [
            ("203.0.113.7", "203.0.113.7"), ("1.1.1.1, 203.0.113.7", "203.0.113.7"),
            ("203.0.113.7, 10.1.2.3", "203.0.113.7"), ("2001:db8::1", "2001:db8::1"),
        ])
    func clientAddress(field: String, expected: String) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url], top: "trusted_proxies: [\"127.0.0.0/8\", \"10.0.0.0/8\"]")
        let answer = try edge.get("/", "X-Forwarded-For: \(field)")
        #expect(try edge.logged(ray: answer.ray)["client"] as? String == expected)
    }

    @Test("The client may stand in another field, believed from trusted proxies alone")
    func clientAddressHeader() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge(
            [origin.url], top: "trusted_proxies: [\"127.0.0.8\"]\nclient_address_header: \"X-Real-IP\"")
        let trusted = try edge.get("/", "X-Real-IP: 203.0.113.7", from: "127.0.0.8")
        #expect(try edge.logged(ray: trusted.ray)["client"] as? String == "203.0.113.7")
        let stranger = try edge.get("/", "X-Real-IP: 203.0.113.7", from: "127.0.0.9")
        #expect(try edge.logged(ray: stranger.ray)["client"] as? String == "127.0.0.9")
    }

    @Test("An address that is none is not believed from anyone", arguments: ["unknown", "203.0.113.999", "", "a b"])
    func nonsense(field: String) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url], top: "trusted_proxies: [\"127.0.0.0/8\"]")
        let answer = try edge.get("/", "X-Forwarded-For: \(field)")
        #expect(answer.status == 200)
        #expect(try edge.logged(ray: answer.ray)["client"] as? String == "127.0.0.1")
    }

    @Test("A trace that came is continued, one that did not is begun, a broken one is begun anew")
    func traceparent() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url])
        let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        _ = try edge.get("/continued", "traceparent: \(given)", "tracestate: a=b")
        _ = try edge.get("/begun")
        _ = try edge.get(
            "/broken", "traceparent: 00-00000000000000000000000000000000-00f067aa0ba902b7-01", "tracestate: a=b")
        _ = try edge.get("/short", "traceparent: 00-4bf92f3577b34da6-00f067aa0ba902b7-01")
        let shape = /00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/
        var traces: [String: Substring] = [:]
        for request in origin.requests {
            let value = try #require(request["traceparent"], "\(request.head)")
            let parts = try #require(value.wholeMatch(of: shape), "\(value)")
            traces[request.target] = parts.1
            #expect(parts.1.contains { $0 != "0" } && parts.2.contains { $0 != "0" })
            if request.target == "/continued" { #expect(request["tracestate"] == "a=b") }
        }
        #expect(traces["/continued"] == "4bf92f3577b34da6a3ce929d0e0e4736")
        #expect(Set(traces.values).count == 4, "\(traces)")
        #expect(traces["/broken"] != "00000000000000000000000000000000")
    }

    @Test("Every exchange has a ray of its own")
    func rays() throws {
        let stage = try RuleStage.shared
        let client = try stage.edge.client()
        var rays: Set<String> = []
        for _ in 0..<200 {
            try client.send(request("GET /"))
            rays.insert(try client.readAnswer().ray)
        }
        #expect(rays.count == 200)
        #expect(!rays.contains(""))
    }

    @Test("Host is the client's, or the one configured for the origin")
    func host() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url])
        _ = try edge.get("/", "Host: www.example.test:8080")
        #expect(origin.requests.last?["Host"] == "www.example.test:8080")
        let named = try stage.edge(["{url: \"\(origin.url)\", host: \"internal.example\"}"])
        _ = try named.get("/", "Host: www.example.test")
        #expect(origin.requests.last?["Host"] == "internal.example")
        #expect(origin.requests.last?["X-Forwarded-Host"] == "www.example.test")
    }

    @Test("Over TLS the origin hears https")
    func proto() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url], https: true)
        let fetched = try stage.run(
            "curl", "-sS", "-k", "--resolve", "example.test:\(edge.httpsPort):127.0.0.1",
            "https://example.test:\(edge.httpsPort)/secure")
        #expect(fetched.output == "ok", "\(fetched.errors)")
        let request = try #require(origin.requests.first)
        #expect(request["X-Forwarded-Proto"] == "https")
        #expect(request["Forwarded"]?.contains("proto=https") == true)
    }
}
