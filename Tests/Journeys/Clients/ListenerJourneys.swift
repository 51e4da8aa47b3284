import Foundation
import Testing

/// Where connections come in: addresses, bounds, and what is seen of a client before it has said anything.
@Suite("Listeners", .onStageThreads)
struct ListenerJourneys {
    private static let hasIPv6 = FileManager.default.contents(atPath: "/proc/net/if_inet6")?.isEmpty == false

    @Test("IPv6 is served, and named as it should be to the origin", .enabled(if: hasIPv6))
    func ipv6() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        var configuration = try EdgeConfiguration(zones: zone("*", origins: [origin.url]))
        configuration.httpListener = "\"[::1]:\(configuration.httpPort)\""
        _ = try stage.edge(configuration)
        let fetched = try stage.run("curl", "-sS", "-g", "http://[::1]:\(configuration.httpPort)/six")
        #expect(fetched.output == "ok", "\(fetched.errors)")
        let seen = try #require(origin.requests.first)
        #expect(seen["X-Forwarded-For"] == "::1")
        #expect(seen["Forwarded"]?.contains("for=\"[::1]\"") == true, "\(seen.head)")
        #expect(seen["Host"] == "[::1]:\(configuration.httpPort)")
    }

    @Test("Several listeners serve the same zones")
    func severalListeners() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        var configuration = try EdgeConfiguration(zones: zone("example.test", origins: [origin.url]))
        let second = try Ports.pick()
        configuration.httpListener =
            "\"127.0.0.1:\(configuration.httpPort)\", \"127.0.0.2:\(second)\", \"*:\(try Ports.pick())\""
        let edge = try stage.edge(configuration)
        #expect(try edge.get("/").text == "ok")
        let fetched = try stage.run(
            "curl", "-sS", "-H", "Host: example.test", "http://127.0.0.2:\(second)/")
        #expect(fetched.output == "ok", "\(fetched.errors)")
    }

    @Test("Beyond the connections allowed, new ones wait or are turned away, and are served when others have gone")
    func connectionLimit() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url], top: "limits: { connections: 8 }")
        let crowd = try (0..<30).map { _ in
            let client = try edge.client()
            try client.send(request("GET /"))
            return client
        }
        // Each event loop has its share of the eight, and the kernel deals connections out: four to eight are served.
        let isServed = eventually { origin.requests.count >= 4 }
        pause(milliseconds: 300)
        #expect(isServed && origin.requests.count <= 8, "\(origin.requests.count) of 30 served")
        crowd.forEach { $0.abandon() }
        #expect(eventually { (try? edge.get("/after").text) == "ok" })
    }

    @Test("A tunnel in which nothing moves is closed")
    func tunnelIdle() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let ended = Gate()
        let origin = try stage.origin { connection in
            _ = try connection.readRequest()
            try connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            connection.waitForEnd()
            ended.open()
        }
        let edge = try stage.edge([origin.url], top: "timeouts: { tunnel: 1s }")
        let client = try edge.client()
        try client.send(request("GET /", "Connection: Upgrade", "Upgrade: websocket"))
        #expect(try client.readAnswer().status == 101)
        #expect(try client.endsWithoutAnotherByte())
        #expect(ended.pass())
    }

    @Test("A TLS client's fingerprints stand in the log")
    func fingerprints() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url], https: true)
        let fetched = try stage.run(
            "curl", "-sS", "-k", "--http1.1", "-D", "-", "--resolve", "example.test:\(edge.httpsPort):127.0.0.1",
            "https://example.test:\(edge.httpsPort)/")
        let answer = try Message(head: String(fetched.output.split(separator: "\r\n\r\n")[0]))
        let entry = try edge.logged(ray: answer.ray)
        let ja4 = try #require(entry["ja4"] as? String, "\(entry)")
        #expect(ja4.wholeMatch(of: /t13d\d{4}h1_[0-9a-f]{12}_[0-9a-f]{12}/) != nil, "\(ja4)")
        let ja3 = try #require(entry["ja3"] as? String, "\(entry)")
        #expect(ja3.wholeMatch(of: /[0-9a-f]{32}/) != nil, "\(ja3)")
    }

    @Test("An unused origin connection is closed when its time is over")
    func pooledConnectionExpires() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let ended = Gate()
        let origin = try stage.origin { connection in
            _ = try connection.readRequest()
            try connection.send(ok())
            connection.waitForEnd()
            ended.open()
        }
        let edge = try stage.edge([origin.url], "pool: { keep_alive: 500ms }")
        #expect(try edge.get("/").status == 200)
        #expect(ended.pass())
    }

    @Test("TRACE echoes nothing, Max-Forwards: 0 ends at the edge")
    func maxForwards() throws {
        let stage = try RuleStage.shared
        let mark = RuleStage.mark()
        let trace = try stage.edge.exchange(request("TRACE /\(mark)", "Max-Forwards: 0", "Cookie: secret=1"))
        #expect(!trace.text.contains("secret"))
        let options = try stage.edge.exchange(request("OPTIONS /\(mark)", "Max-Forwards: 0"), method: "OPTIONS")
        #expect((200..<300).contains(options.status))
        #expect(!stage.origin.saw(mark))
    }
}
