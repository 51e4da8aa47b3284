import Foundation
import Testing

/// Which zone answers, and how the set of zones changes under way.
@Suite("Zones", .onStageThreads)
struct ZoneJourneys {
    private func origin(_ stage: Stage, _ name: String) throws -> ScriptedOrigin {
        try stage.origin { request in ok("\(name) \(request.target)") }
    }

    @Test("A host finds its zone: by name, by wildcard, the longest first, in any case, with a port or a final dot")
    func routing() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (a, b, c) = (try origin(stage, "a"), try origin(stage, "b"), try origin(stage, "c"))
        let edge = try stage.edge(
            EdgeConfiguration(
                zones: zone("a.test", origins: [a.url]) + zone("sub.a.test", origins: [b.url])
                    + zone("c.test", origins: [c.url], ["hostnames: [\"c.test\", \"*.other.test\"]"])))
        let hosts = [
            ("a.test", "a"), ("www.a.test", "a"), ("x.y.a.test", "a"), ("A.TEST", "a"), ("a.test:8080", "a"),
            ("a.test.", "a"), ("sub.a.test", "b"), ("deep.sub.a.test", "b"), ("c.test", "c"), ("w.other.test", "c"),
        ]
        for (host, name) in hosts {
            #expect(try edge.get("/", "Host: \(host)").text == "\(name) /", "\(host)")
        }
        for host in ["b.test", "other.test", "www.c.test", "xa.test", "a.test.evil", "127.0.0.1", "test"] {
            #expect(try edge.get("/", "Host: \(host)").status == 421, "\(host)")
        }
    }

    @Test("The zone named * takes every other host")
    func everyOtherHost() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (a, rest) = (try origin(stage, "a"), try origin(stage, "rest"))
        let edge = try stage.edge(
            EdgeConfiguration(zones: zone("a.test", origins: [a.url]) + zone("*", origins: [rest.url])))
        #expect(try edge.get("/", "Host: www.a.test").text == "a /")
        for host in ["b.test", "127.0.0.1:80", "[::1]", "xn--bcher-kva.example"] {
            #expect(try edge.get("/", "Host: \(host)").text == "rest /", "\(host)")
        }
        // HTTP/1.0 need not name a host.
        #expect(try edge.exchange("GET / HTTP/1.0\r\n\r\n").text == "rest /")
    }

    @Test("In the clear, a zone may send everyone to https")
    func redirectToHTTPS() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try origin(stage, "a")
        let edge = try stage.edge([origin.url], "redirect_to_https: true", https: true)
        for (method, status) in [("GET", 301), ("HEAD", 301), ("POST", 308)] {
            let client = try edge.client()
            try client.send(request("\(method) /a/b?c=d%20e", "Host: www.example.test", "Content-Length: 0"))
            let answer = try client.readAnswer(to: method)
            #expect(answer.status == status, "\(method)")
            let location = try #require(answer["Location"])
            #expect(location == "https://www.example.test:\(edge.httpsPort)/a/b?c=d%20e")
        }
        #expect(origin.connectionCount == 0)
        let fetched = try stage.run(
            "curl", "-sS", "-k", "--resolve", "example.test:\(edge.httpsPort):127.0.0.1",
            "https://example.test:\(edge.httpsPort)/x")
        #expect(fetched.output == "a /x", "\(fetched.errors)")
    }

    @Test("A new zone appears, by signal or by the file's change alone", arguments: [true, false])
    func zoneAppears(bySignal: Bool) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (a, b) = (try origin(stage, "a"), try origin(stage, "b"))
        let edge = try stage.edge(EdgeConfiguration(zones: zone("a.test", origins: [a.url])))
        #expect(try edge.get("/", "Host: b.test").status == 421)
        let open = try edge.client()
        try open.send(request("GET /before", "Host: a.test"))
        #expect(try open.readAnswer().text == "a /before")
        try edge.rewrite { $0.zones += zone("b.test", origins: [b.url]) }
        if bySignal { edge.reload() }
        #expect(try eventually { try edge.get("/", "Host: b.test").text == "b /" })
        #expect(try edge.get("/", "Host: a.test").text == "a /")
        // The connection of before is still there and sees the new zone, too.
        try open.send(request("GET /after", "Host: b.test"))
        #expect(try open.readAnswer().text == "b /after")
    }

    @Test("A zone that is gone is gone, one whose origin changed has the new one")
    func zoneChanges() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (a, b) = (try origin(stage, "a"), try origin(stage, "b"))
        let edge = try stage.edge(
            EdgeConfiguration(zones: zone("a.test", origins: [a.url]) + zone("gone.test", origins: [a.url])))
        #expect(try edge.get("/", "Host: gone.test").text == "a /")
        try edge.rewrite { $0.zones = zone("a.test", origins: [b.url]) }
        edge.reload()
        #expect(try eventually { try edge.get("/", "Host: gone.test").status == 421 })
        #expect(try edge.get("/", "Host: a.test").text == "b /")
    }

    @Test(
        "A bad file changes nothing and says why",
        arguments: [
            ("    origins: [\"ftp://127.0.0.1:1\"]", "origins"), ("    originz: []", "originz"), ("  - [", "YAML"),
            ("    origins: []", "origins"), ("    origins: [\"http://127.0.0.1:1\"]\n    attempts: 99", "attempts"),
        ])
    func badFile(lines: String, word: String) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let a = try origin(stage, "a")
        let edge = try stage.edge(EdgeConfiguration(zones: zone("a.test", origins: [a.url])))
        let good = edge.configuration.zones
        try edge.rewrite { $0.zones += "  \"b.test\":\n\(lines)\n" }
        edge.reload()
        #expect(edge.comesToSay("\(edge.fileName):"), "\(edge.process.errors)")
        let shape = try Regex("\(NSRegularExpression.escapedPattern(for: edge.fileName)):[0-9]+:[0-9]+")
        #expect(edge.process.errors.contains(shape), "\(edge.process.errors)")
        #expect(edge.process.errors.contains(word), "\(edge.process.errors)")
        #expect(try edge.get("/", "Host: a.test").text == "a /")
        #expect(try edge.admin("/readyz").status == 200)
        // A good file behind it is taken again.
        let b = try origin(stage, "b")
        try edge.rewrite { $0.zones = good + zone("b.test", origins: [b.url]) }
        #expect(try eventually { try edge.get("/", "Host: b.test").text == "b /" })
    }

    @Test("A WebSocket of another zone, and one of the zone itself, survive a reload")
    func tunnelSurvives() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let chat = try stage.origin { connection in
            _ = try connection.readRequest()
            try connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            while true {
                let bytes = try connection.wire.readSome()
                try connection.wire.send(bytes)
            }
        }
        let (a, b) = (try origin(stage, "a"), try origin(stage, "b"))
        let edge = try stage.edge(
            EdgeConfiguration(zones: zone("chat.test", origins: [chat.url]) + zone("a.test", origins: [a.url])))
        let client = try edge.client()
        try client.send(request("GET /", "Host: chat.test", "Connection: Upgrade", "Upgrade: websocket"))
        #expect(try client.readAnswer().status == 101)
        for round in 1...3 {
            try edge.rewrite {
                $0.zones =
                    zone("chat.test", origins: [chat.url], ["attempts: \(round)"])
                    + zone("b\(round).test", origins: [b.url])
            }
            edge.reload()
            #expect(try eventually { try edge.get("/", "Host: b\(round).test").text == "b /" })
            try client.send("round \(round)")
            #expect(try client.read(exactly: 7).text == "round \(round)")
        }
        #expect(chat.connectionCount == 1)
    }

    @Test("A request under way ends with the zone it began with")
    func requestSurvives() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (arrived, release) = (Gate(), Gate())
        let slow = try stage.origin { request in
            arrived.open()
            release.pass()
            return ok("slow \(request.text)")
        }
        let b = try origin(stage, "b")
        let edge = try stage.edge(EdgeConfiguration(zones: zone("a.test", origins: [slow.url])))
        let client = try edge.client()
        try client.send(request("POST /", "Host: a.test", body: "hello"))
        #expect(arrived.pass())
        try edge.rewrite { $0.zones = zone("b.test", origins: [b.url]) }
        edge.reload()
        #expect(try eventually { try edge.get("/", "Host: b.test").text == "b /" })
        release.open()
        #expect(try client.readAnswer().text == "slow hello")
    }

    @Test("Pooled connections of an unchanged origin are kept over a reload")
    func poolSurvives() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (a, b) = (try origin(stage, "a"), try origin(stage, "b"))
        let edge = try stage.edge(EdgeConfiguration(zones: zone("a.test", origins: [a.url])))
        let client = try edge.client()
        try client.send(request("GET /1", "Host: a.test"))
        _ = try client.readAnswer()
        try edge.rewrite { $0.zones += zone("b.test", origins: [b.url]) }
        edge.reload()
        #expect(try eventually { try edge.get("/", "Host: b.test").text == "b /" })
        try client.send(request("GET /2", "Host: a.test"))
        #expect(try client.readAnswer().text == "a /2")
        #expect(a.connectionCount == 1)
    }
}
