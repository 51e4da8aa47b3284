import Foundation
import Testing

/// Origins that speak HTTP/2, well and badly (RFC 9113): one connection for all, and every way that it can go wrong.
@Suite("HTTP/2: origins", .onStageThreads)
struct HTTP2OriginJourneys {
    /// An edge in front of the origin of `Peers/origin.py`.
    final class Cast {
        let stage: Stage
        let origin: Peer
        let port: Int
        let edge: Edge

        /// - Parameters:
        ///   - transport: TLS with ALPN, or h2c.
        ///   - use: `http2:` of the origin.
        ///   - more: of the origin's own behaviour.
        init(
            _ transport: Transport = .clear, use: String = "on", on stage: Stage, _ settings: [String] = [],
            _ more: [String: Any] = [:], top: String = ""
        ) throws {
            self.stage = stage
            port = try Ports.pick()
            var arguments = more.merging(["port": port]) { $1 }
            if transport == .tls {
                let identity = try stage.certificate("127.0.0.1", by: stage.authority("own"), file: "origin")
                arguments.merge(["certificate": identity.certificate, "key": identity.key]) { $1 }
            }
            origin = try Peer("origin", "serve", arguments, on: stage)
            _ = try origin.said("serving")
            let url =
                transport == .tls
                ? "{url: \"https://127.0.0.1:\(port)\", http2: \(use), tls: { ca: own-ca.pem }}"
                : "{url: \"http://127.0.0.1:\(port)\", http2: \(use)}"
            edge = try stage.edge(
                HTTP2Stage.configuration(
                    zones: zone("example.test", origins: [url], ["ejection: off"] + settings), top: top))
        }

        var connections: Int { origin.everything("connection").count }
        /// Paths of the requests that came, in order.
        var paths: [String] { origin.everything("request").map { $0.text("request") } }

        /// How often this path came.
        func times(_ path: String) -> Int { paths.filter { $0 == path }.count }

        func get(_ path: String, _ fields: String...) throws -> Message {
            let lines = ["GET \(path) HTTP/1.1", "Host: example.test"] + fields + ["Connection: close", "", ""]
            return try edge.exchange(lines.joined(separator: "\r\n"))
        }
    }

    @Test("A request and its answer, head and body", arguments: Transport.allCases)
    func plain(transport: Transport) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try Cast(transport, on: stage)
        let answer = try cast.edge.exchange(
            request(
                "POST /a/plain?b=c", "X-Odd: Value", "Cookie: a=b; c=d", "Connection: X-Hop, close", "X-Hop: gone",
                "Accept: text/html", "Authorization: Basic YTpi", body: "hello"), method: "POST")
        #expect(answer.status == 200 && answer["Content-Type"] == "application/json", "\(answer)")
        let got = try #require(Findings(Substring(answer.text)))
        #expect(got.text("body") == "hello")
        let head = got.values["head"] as? [[String]] ?? []
        func all(_ name: String) -> [String] { head.filter { $0.first == name }.compactMap(\.last) }
        #expect(all(":method") == ["POST"] && all(":path") == ["/a/plain?b=c"] && all(":authority") == ["example.test"])
        #expect(all(":scheme") == [transport == .tls ? "https" : "http"], "\(head)")
        #expect(all("x-odd") == ["Value"] && all("content-length") == ["5"] && all("authorization") == ["Basic YTpi"])
        #expect(all("cookie").joined(separator: "; ") == "a=b; c=d", "\(head)")
        for name in ["connection", "x-hop", "host", "transfer-encoding", "keep-alive", "upgrade"] {
            #expect(all(name).isEmpty, "\(name): \(head)")
        }
        #expect(head.allSatisfy { $0[0] == $0[0].lowercased() }, "\(head)")
    }

    @Test("All of the edge's threads share one connection", arguments: Transport.allCases)
    func shared(transport: Transport) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try Cast(transport, on: stage)
        for _ in 0..<3 {
            let found = try cast.edge.play("exchanges", "statuses", ["path": "/x/slow", "count": 60])
            #expect(found.ints("statuses") == [Int](repeating: 200, count: 60), "\(found)")
        }
        for index in 0..<10 { #expect(try cast.get("/\(index)/plain").status == 200) }
        #expect(cast.connections == 1, "\(cast.connections) connections")
    }

    @Test("The origin's number of streams is kept, and who is beyond it waits", arguments: [1, 5])
    func streamsMax(streams: Int) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try Cast(on: stage, ["pool: { connections: 1, wait: 1m }"], ["streams": streams])
        #expect(try cast.get("/first/plain").status == 200)
        let found = try cast.edge.play("exchanges", "statuses", ["path": "/x/slow", "count": 20])
        #expect(found.ints("statuses") == [Int](repeating: 200, count: 20), "\(found)")
        let most = try #require(Findings(Substring(try cast.get("/most").text)))
        #expect(most.int("most") <= streams && most.int("connections") == 1, "\(most)")
        #expect(cast.origin.everything("reset").isEmpty)
    }

    @Test("auto: what ALPN picks; off: HTTP/1.1 alone; on: nothing else")
    func choice() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let authority = try stage.authority("own")
        let identity = try stage.certificate("127.0.0.1", by: authority, file: "origin")
        let both = try stage.nginx(tls: identity, server: "location / { return 200 $server_protocol; }")
        let port = try Ports.pick()
        let new = try stage.nginx(
            tls: identity,
            server: "listen 127.0.0.1:\(port) ssl http2; location / { return 200 $server_protocol; }")
        _ = new
        func asked(_ port: Int, _ use: String) throws -> Message {
            try stage.edge(
                ["{url: \"https://127.0.0.1:\(port)\", http2: \(use), tls: { ca: own-ca.pem }}"], "attempts: 1"
            ).get("/")
        }
        #expect(try asked(port, "auto").text == "HTTP/2.0")
        #expect(try asked(both.port, "auto").text == "HTTP/1.1")
        #expect(try asked(port, "off").text == "HTTP/1.1")
        #expect(try asked(port, "on").text == "HTTP/2.0")
        let refused = try asked(both.port, "on")
        #expect([502, 520, 525].contains(refused.status), "\(refused)")
    }

    @Test("nghttpd: files, HEAD, uploads, trailers", arguments: Transport.allCases)
    func nghttpd(transport: Transport) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let authority = try stage.authority("own")
        let identity = try stage.certificate("127.0.0.1", by: authority, file: "origin")
        let root = stage.directory.appending(path: "root")
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
        let bytes = MarkedBody.bytes("file", count: 5 << 20)
        try Data(bytes).write(to: root.appending(path: "file"))
        let port = try Ports.pick()
        let program =
            FileManager.default.isExecutableFile(atPath: "/usr/sbin/nghttpd") ? "/usr/sbin/nghttpd" : "nghttpd"
        let common = [program, "-a", "127.0.0.1", "-d", root.path, "--echo-upload", "--trailer", "x-sum: 42"]
        let server = try stage.start(
            common
                + (transport == .tls
                    ? ["\(port)", identity.key, identity.certificate] : ["--no-tls", "\(port)"]))
        #expect(eventually { (try? Wire.connect(port: port)) != nil || server.exitStatus != nil }, "\(server.errors)")
        let origin =
            transport == .tls
            ? "{url: \"https://127.0.0.1:\(port)\", http2: auto, tls: { ca: own-ca.pem }}"
            : "{url: \"http://127.0.0.1:\(port)\", http2: on}"
        let edge = try stage.edge(HTTP2Stage.configuration(zones: zone("example.test", origins: [origin])))
        let whole = try edge.get("/file", "TE: trailers")
        #expect(whole.status == 200 && whole.body == bytes, "\(whole.head) \(whole.body.count)")
        let head = try edge.exchange(request("HEAD /file", "Connection: close"), method: "HEAD")
        #expect(head.status == 200 && head["Content-Length"] == "\(bytes.count)", "\(head)")
        #expect(try edge.get("/nothing").status == 404)
        let found = try edge.play(
            "exchanges", "trailers", over: transport, ["path": "/file", "fields": [["x-up", "1"]], "ends": true])
        let reply = found.reply("reply")
        #expect(reply.status == 200 && reply.body == "the body" && reply.trailer("x-sum") == "42", "\(reply)")
    }

    @Test("8 MiB come down and 4 MiB go up and come back, whole", arguments: Transport.allCases)
    func bulk(transport: Transport) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try Cast(transport, on: stage)
        let answer = try cast.get("/large")
        #expect(answer.body.count == 8 << 20 && answer.ending == .complete)
        #expect(answer.body.enumerated().first { $0.offset % 4093 == 0 && $0.element != UInt8($0.offset & 255) } == nil)
        let found = try cast.edge.play("exchanges", "echo", over: transport, ["path": "/echo", "count": 4 << 20])
        #expect(found.flag("equal") && found.int("status") == 200, "\(found)")
    }

    @Test("A window of 1,000 bytes is kept to")
    func smallWindow() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try Cast(on: stage, [], ["window": 1000])
        // What is sent before the edge has heard of it is within its rights (§6.9.2).
        #expect(try cast.get("/x/plain").status == 200)
        let found = try cast.edge.play("exchanges", "echo", ["path": "/echo", "count": 200_000])
        #expect(found.flag("equal"), "\(found)")
        #expect(cast.origin.everything("goaway").isEmpty, "\(cast.origin.everything("goaway"))")
    }

    @Test("An upload that the origin does not take is held back, to the client")
    func stalled() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try Cast(on: stage)
        let total = 16 << 20
        let base = cast.edge.process.memoryKiB("VmRSS")
        let client = try cast.edge.start(
            "exchanges", "stalled_upload", over: .tls, ["path": "/x/stall", "count": total])
        let stalled = try client.said("stalled").int("stalled")
        // The windows on both sides, and nothing else: no socket's buffer is between them.
        #expect(stalled > 0 && stalled <= 1 << 20, "\(stalled) bytes went")
        #expect(cast.edge.process.memoryKiB("VmHWM") - base < 16 * 1024)
        #expect(try cast.get("/beside/plain").status == 200)
        cast.origin.tell()
        client.tell()
        #expect(try client.findings().reply("reply").isWhole("took \(total)"))
    }

    @Test("Trailers, interim responses, 204, 304, HEAD and the cache", arguments: Transport.allCases)
    func shapes(transport: Transport) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try Cast(transport, on: stage)
        let trailers = try cast.get("/trailers", "TE: trailers")
        #expect(trailers.text == "the body" && trailers.trailer("X-Sum") == "42", "\(trailers) \(trailers.trailers)")
        let early = try cast.get("/early")
        #expect(early.status == 200 && early.interim.map(\.status) == [103], "\(early)")
        #expect(early.interim.first?["Link"] == "</style.css>; rel=preload")
        #expect(try cast.get("/bare").status == 204)
        #expect(try cast.get("/unchanged", "If-None-Match: \"one\"").status == 304)
        let head = try cast.edge.exchange(request("HEAD /x/plain", "Connection: close"), method: "HEAD")
        #expect(head.status == 200 && (head["Content-Length"].flatMap { Int($0) } ?? 0) > 10, "\(head)")
        for _ in 0..<3 { #expect(try cast.get("/x/cached").text == "v1") }
        #expect(cast.times("/x/cached") == 1)
        #expect(cast.connections == 1)
    }

    @Test("An origin that is slow to one stream answers others")
    func overtaking() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try Cast(on: stage)
        let client = try cast.edge.client()
        try client.send(request("GET /x/hold"))
        _ = try cast.origin.said("held")
        #expect(try cast.get("/y/plain").status == 200)
        cast.origin.tell()
        #expect(try client.readAnswer().text == "first-last")
        #expect(cast.connections == 1)
    }

    @Test("A client that leaves resets its stream, and no other")
    func abandoned() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try Cast(on: stage)
        let client = try cast.edge.client()
        try client.send(request("GET /x/hold"))
        _ = try cast.origin.said("held")
        client.reset()
        let told = try cast.origin.said("reset")
        #expect(told.text("reset") == "/x/hold" && HTTP2Code(rawValue: told.int("code")) == .cancel, "\(told)")
        #expect(try cast.get("/y/plain").status == 200)
        #expect(cast.connections == 1)
    }

    @Test("A connection that nobody needs is ended with GOAWAY, and made anew")
    func keepAlive() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try Cast(on: stage, ["pool: { keep_alive: 300ms }"])
        #expect(try cast.get("/x/plain").status == 200)
        #expect(try HTTP2Code(rawValue: cast.origin.said("goaway").int("goaway")) == .noError)
        #expect(try cast.get("/y/plain").status == 200)
        #expect(cast.connections == 2)
    }

    @Test("Health checks use HTTP/2 as well")
    func health() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try Cast(on: stage, ["health: { path: /health/plain, every: 1s, healthy_after: 1 }"])
        #expect(eventually { cast.times("/health/plain") >= 2 })
        #expect(try cast.get("/x/plain").status == 200)
    }
}
