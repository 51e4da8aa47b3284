import Foundation
import Testing

/// Clients as the world has them, on both ports, beside HTTP/1.1.
@Suite("HTTP/2: real clients", .onStageThreads)
struct ClientLibraryJourneys {
    private func curl(_ stage: HTTP2Stage, _ transport: Transport, _ path: String, _ arguments: String...) throws -> (
        status: Int32?, output: String, errors: String
    ) {
        let port = stage.edge.port(of: transport)
        let scheme = transport == .tls ? "https" : "http"
        let command =
            ["curl", "-sS", "-k", "-m", "60", "--resolve", "example.test:\(port):127.0.0.1"] + arguments
            + ["\(scheme)://example.test:\(port)\(path)"]
        let process = try stage.stage.start(command)
        let status = process.waitForExit()
        return (status, process.output, process.errors)
    }

    private func version(of transport: Transport) -> String {
        transport == .tls ? "--http2" : "--http2-prior-knowledge"
    }

    @Test("curl: a request, a body, a HEAD", arguments: Transport.allCases)
    func curl(transport: Transport) throws {
        let stage = try HTTP2Stage.shared
        let page = try Page("X-Odd: Value")
        let written = "|%{http_version}|%{http_code}|%{num_headers}"
        let got = try curl(stage, transport, page.path, version(of: transport), "-w", written)
        #expect(got.output.hasPrefix("reached \(page.path)|2|200|"), "\(got)")
        let body = String(repeating: "0123456789", count: 50_000)
        let file = try stage.stage.write(body, to: stage.stage.unique("body"))
        let posted = try curl(
            stage, transport, page.path, version(of: transport), "-w", written, "--data-binary", "@\(file.path)")
        #expect(posted.output.hasPrefix("reached \(page.path)|2|200|"), "\(posted)")
        #expect(page.requests.last?.text == body)
        let head = try curl(stage, transport, page.path, version(of: transport), "-I")
        #expect(head.output.hasPrefix("HTTP/2 200"), "\(head)")
        #expect(
            head.output.contains("x-odd: Value") && head.output.lowercased().contains("content-length: "), "\(head)")
    }

    @Test("curl: HTTP/1.1 on the same ports, also where it offers an upgrade", arguments: Transport.allCases)
    func oneOne(transport: Transport) throws {
        let stage = try HTTP2Stage.shared
        let page = try Page()
        let got = try curl(stage, transport, page.path, "--http1.1", "-w", "|%{http_version}")
        #expect(got.output == "reached \(page.path)|1.1", "\(got)")
        guard transport == .clear else { return }
        // `Upgrade: h2c` is of the past (RFC 9113, section 3.1) and ignored.
        let upgrading = try curl(stage, transport, page.path, "--http2", "-w", "|%{http_version}")
        #expect(upgrading.output == "reached \(page.path)|1.1", "\(upgrading)")
        #expect(page.requests.allSatisfy { !$0.has("HTTP2-Settings") && !$0.has("Upgrade") })
    }

    @Test("nghttp: many requests, an upload, trailers, padding, blocks in fragments", arguments: Transport.allCases)
    func nghttp(transport: Transport) throws {
        let stage = try HTTP2Stage.shared
        let page = try Page()
        let url = "\(transport == .tls ? "https" : "http")://127.0.0.1:\(stage.edge.port(of: transport))\(page.path)"
        let common = ["nghttp", "-y", "-H:authority: example.test", "-t", "60"]
        let file = try stage.stage.write(String(repeating: "x", count: 200_000), to: stage.stage.unique("body"))
        for (arguments, times) in [
            (["-m", "30"], 30), (["-d", file.path], 1),
            (["-d", file.path, "--no-content-length", "--trailer", "x-sum: 42"], 1),
            (["-b", "200", "-d", file.path], 1), (["--continuation"], 1), (["-c", "0"], 1),
            (["-w", "10", "-W", "10"], 1),
            (["--no-dep"], 1), (["--expect-continue", "-d", file.path], 1),
        ] as [([String], Int)] {
            let before = page.requests.count
            let process = try stage.stage.start(common + arguments + [url])
            #expect(process.waitForExit() == 0, "\(arguments): \(process.errors)")
            let wanted = String(repeating: "reached \(page.path)", count: times)
            #expect(process.output == wanted, "\(arguments): \(process.output) \(process.errors)")
            #expect(page.requests.count == before + times)
            if arguments.contains("-d") { #expect(page.requests.last?.body.count == 200_000, "\(arguments)") }
            if arguments.contains("--trailer") { #expect(page.requests.last?.trailer("X-Sum") == "42", "\(arguments)") }
        }
    }

    @Test("h2load: thousands of requests on few connections", arguments: Transport.allCases)
    func h2load(transport: Transport) throws {
        let stage = try HTTP2Stage.shared
        let page = try Page("Cache-Control: max-age=600")
        _ = try stage.edge.get(page.path)
        let url = "\(transport == .tls ? "https" : "http")://127.0.0.1:\(stage.edge.port(of: transport))\(page.path)"
        let process = try stage.stage.start(
            ["h2load", "-n", "5000", "-c", "10", "-m", "100", "-H:authority: example.test", url])
        #expect(process.waitForExit() == 0, "\(process.errors)")
        #expect(process.output.contains("5000 succeeded, 0 failed, 0 errored, 0 timeout"), "\(process.output)")
        #expect(process.output.contains("status codes: 5000 2xx"), "\(process.output)")
    }

    @Test("httpx: many at once, an upload, cookies", arguments: Transport.allCases)
    func httpx(transport: Transport) throws {
        let page = try Page()
        let found = try HTTP2Stage.shared.play(
            "libraries", "of_httpx", over: transport, ["path": page.path, "count": 50])
        #expect(found.texts("versions") == ["HTTP/2"], "\(found)")
        #expect(found.int("whole") == 50 && found.int("upload") == 200 && found.int("cookies") == 200, "\(found)")
        #expect(page.requests.contains { $0.body.count == 300_000 })
        #expect(page.requests.last?["Cookie"] == "a=b; c=d", "\(page.requests.last?.head ?? "")")
    }

    @Test("h2: a strict library finds nothing to object to", arguments: Transport.allCases)
    func h2(transport: Transport) throws {
        let page = try Page()
        let found = try HTTP2Stage.shared.play("libraries", "of_h2", over: transport, ["path": page.path])
        #expect(found.ints("statuses") == [200, 200] && found.flag("ponged"), "\(found)")
        #expect(found.part("bodies").text("1") == "reached \(page.path)", "\(found)")
        #expect(found.int("connect") == 1, "\(found)")
        #expect(page.requests.map(\.method).sorted() == ["GET", "POST"])
        #expect(page.requests.first { $0.method == "POST" }?.text == "hello")
    }

    @Test("ALPN: the edge prefers h2, and takes what the client has")
    func alpn() throws {
        let edge = try HTTP2Stage.shared.edge
        for (offer, picked) in [
            (["h2", "http/1.1"], "h2"), (["http/1.1", "h2"], "h2"), (["http/1.1"], "http/1.1"), (["h2"], "h2"),
        ] {
            let found = try Peer(
                "libraries", "offered", ["port": edge.httpsPort, "protocols": offer], on: edge.stage
            ).findings()
            #expect(found.text("picked") == picked, "\(offer): \(found)")
        }
    }

    @Test("Turned off: ALPN offers HTTP/1.1 alone, and the preface is no request")
    func turnedOff() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let (clear, port, admin) = (try Ports.pick(), try Ports.pick(), try Ports.pick())
        let listen = "{ http: \"127.0.0.1:\(clear)\", https: \"127.0.0.1:\(port)\", http2: false }"
        let text =
            "listen: \(listen)\nadmin: \"127.0.0.1:\(admin)\"\nzones:\n" + zone("example.test", origins: [origin.url])
        let file = try stage.write(text, to: "off.yaml")
        let process = try stage.start([try Edge.binary(), "up", "-c", file.path])
        #expect(eventually { (try? Wire.connect(port: admin)) != nil || process.exitStatus != nil })
        #expect(process.exitStatus == nil, "\(process.errors)")
        let found = try Peer("libraries", "offered", ["port": port, "protocols": ["h2", "http/1.1"]], on: stage)
            .findings()
        #expect(found.text("picked") == "http/1.1", "\(found)")
        let client = try Wire.connect(port: clear)
        try client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        let answer = try client.readAnswer()
        #expect([400, 505].contains(answer.status), "\(answer)")
        #expect(origin.connectionCount == 0)
    }

    @Test("The log and the metrics tell the versions apart", arguments: Transport.allCases)
    func logged(transport: Transport) throws {
        let stage = try HTTP2Stage.shared
        let page = try Page()
        let before = try stage.edge.metric("martlet_http2_streams_total")
        let reply = try stage.ask(page.path + "?a=b", method: "POST", over: transport, body: "hello")
        let entry = try stage.edge.logged(ray: try #require(reply["martlet-ray"]))
        #expect(entry["version"] as? String == "HTTP/2", "\(entry)")
        #expect(entry["method"] as? String == "POST" && entry["status"] as? Int == 200, "\(entry)")
        #expect((entry["target"] ?? entry["path"]) as? String == page.path + "?a=b", "\(entry)")
        #expect(entry["host"] as? String == "example.test" && entry["zone"] as? String == "example.test", "\(entry)")
        #expect(entry["scheme"] as? String == (transport == .tls ? "https" : "http"), "\(entry)")
        #expect(try stage.edge.metric("martlet_http2_streams_total") > before)
        #expect(
            try stage.edge.metric("martlet_http2_connections_total", "transport=\"\(transport.rawValue)\"") > 0)
        let old = try stage.edge.get(page.path)
        #expect(try stage.edge.logged(ray: old.ray)["version"] as? String == "HTTP/1.1")
    }
}
