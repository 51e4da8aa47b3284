import Foundation
import Testing

/// What the edge says about itself: log, metrics, admin address.
@Suite("Telemetry", .onStageThreads)
struct TelemetryJourneys {
    @Test("Every exchange is one line of JSON, whatever bytes it had")
    func accessLog() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { _ in response("201 Created", body: "hello") }
        let edge = try stage.edge([origin.url])
        let odd = "/a\"b\\c?d=<e>&f='%00%22%0a"
        let answer = try edge.exchange(
            "POST \(odd) HTTP/1.1\r\nHost: example.test\r\nUser-Agent: quo\"te\\back\u{00e9}\ttab\r\n"
                + "Referer: \u{fffd}\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc")
        #expect(answer.status == 201)
        let entry = try edge.logged(ray: answer.ray)
        #expect(entry["status"] as? Int == 201)
        #expect(entry["method"] as? String == "POST")
        #expect((entry["target"] ?? entry["path"]) as? String == odd)
        #expect(entry["host"] as? String == "example.test")
        #expect(entry["zone"] as? String == "example.test")
        #expect(entry["client"] as? String == "127.0.0.1")
        #expect((entry["origin"] as? String)?.contains("\(origin.port)") == true, "\(entry)")
        #expect(entry["error"] == nil || entry["error"] is NSNull || entry["error"] as? String == "")
        let time = try #require(entry["time"] as? String)
        #expect(time.contains(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/), "\(time)")
    }

    @Test("The log stays JSON under raw bytes that are no UTF-8")
    func accessLogBytes() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url])
        let client = try edge.client()
        try client.send(Array("GET / HTTP/1.1\r\nHost: example.test\r\nUser-Agent: ".utf8) + [0xff, 0xfe, 0xc3, 0x28])
        try client.send("\r\nConnection: close\r\n\r\n")
        let answer = try client.readAnswer()
        #expect(answer.status == 200)
        _ = try edge.logged(ray: answer.ray)
        for line in edge.accessLogLines() {
            #expect((try? JSONSerialization.jsonObject(with: Data(line.utf8))) is [String: Any], "\(line)")
        }
    }

    @Test("2,000 exchanges are 2,000 lines")
    func nothingIsLost() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url])
        let client = try edge.client()
        for _ in 0..<20 {
            try client.send((0..<100).map { request("GET /\($0)") }.joined())
            for _ in 0..<100 { _ = try client.readAnswer() }
        }
        #expect(eventually { edge.accessLogLines().count == 2000 }, "\(edge.accessLogLines().count) lines")
        edge.process.signal(15)
        #expect(edge.process.waitForExit() == 0)
        #expect(edge.accessLogLines().count == 2000)
    }

    @Test("What was logged last is written before the process leaves")
    func logIsFlushed() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url])
        let ray = try edge.get("/last").ray
        edge.process.signal(15)
        #expect(edge.process.waitForExit() == 0)
        #expect(edge.accessLogLines().contains { $0.contains(ray) })
    }

    @Test("SIGHUP reopens the log, so that it can be rotated")
    func logRotation() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url])
        let before = try edge.get("/before").ray
        _ = try edge.logged(ray: before)
        try FileManager.default.moveItem(atPath: stage.path("access.log"), toPath: stage.path("access.log.1"))
        edge.reload()
        #expect(eventually { FileManager.default.fileExists(atPath: stage.path("access.log")) })
        let after = try edge.get("/after").ray
        _ = try edge.logged(ray: after)
        #expect(!edge.accessLogLines().contains { $0.contains(before) })
    }

    @Test("Metrics are Prometheus' text: every line parses, histograms add up, counters count")
    func metrics() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url])
        let client = try edge.client()
        for _ in 0..<10 {
            try client.send(request("GET /"))
            _ = try client.readAnswer()
        }
        #expect(try edge.get("/", "Host: nobody.invalid").status == 421)
        #expect(try eventually { try edge.metric("martlet_requests_total", "zone=\"example.test\"") == 10 })
        let page = try edge.admin("/metrics")
        #expect(page["Content-Type"]?.hasPrefix("text/plain; version=0.0.4") == true)
        let metrics = try Metrics(text: page.text)
        #expect(metrics.samples.count > 40)
        // No series twice.
        let names = metrics.samples.map { "\($0.name){\($0.labels)}" }
        #expect(Set(names).count == names.count)
        for (name, type) in metrics.types where type == "histogram" {
            let endless = metrics.samples.filter { $0.name == "\(name)_bucket" && $0.labels.contains("le=\"+Inf\"") }
            let counts = metrics.samples.filter { $0.name == "\(name)_count" }
            #expect(!endless.isEmpty, "\(name)")
            #expect(endless.map(\.value) == counts.map(\.value), "\(name)")
        }
        #expect(metrics.types.values.contains("histogram"))
        for sample in metrics.samples where metrics.types[sample.name] == "counter" {
            #expect(sample.name.hasSuffix("_total") && sample.value >= 0, "\(sample.name)")
        }
        let reused = try edge.metric("martlet_origin_connections_total", "reused=\"true\"")
        let fresh = try edge.metric("martlet_origin_connections_total", "reused=\"false\"")
        #expect(reused == 9 && fresh == 1, "reused \(reused), new \(fresh)")
        let duration = metrics.samples.first { $0.name == "martlet_request_duration_seconds_count" }
        #expect((duration?.value ?? 0) >= 10)
    }

    @Test("File descriptors are raised and reported")
    func fileDescriptors() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url])
        #expect(try edge.metric("process_open_fds") > 5)
        let limits = try String(contentsOfFile: "/proc/\(edge.process.pid)/limits", encoding: .utf8)
        let line = try #require(limits.split(separator: "\n").first { $0.hasPrefix("Max open files") })
        let words = line.split(separator: " ").compactMap { Double($0) }
        #expect(words.count == 2 && words[0] == words[1], "soft is not raised to hard: \(line)")
        #expect(try edge.metric("process_max_fds") == words[0])
    }

    @Test(
        "The admin address answers for what it has, and nothing else",
        arguments: [
            ("/healthz", 200), ("/readyz", 200), ("/metrics", 200), ("/", 404), ("/metrics/x", 404),
            ("/../etc/passwd", 404),
        ])
    func admin(path: String, status: Int) throws {
        let edge = try RuleStage.shared.edge
        #expect(try edge.admin(path).status == status)
    }

    @Test("Garbage on the admin address harms nobody")
    func adminGarbage() throws {
        let edge = try RuleStage.shared.edge
        for bytes in [
            "\0\0\0\0\r\n\r\n", "GET /metrics", String(repeating: "a", count: 100_000),
            "POST /metrics HTTP/1.1\r\n\r\n",
        ] {
            let client = try Wire.connect(port: edge.configuration.adminPort)
            try? client.send(bytes)
            client.finishWriting()
            _ = try? client.readToEnd()
        }
        #expect(try edge.admin("/healthz").status == 200)
    }

    @Test("One line names every address once it serves")
    func addresses() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url], https: true)
        let ports = [edge.httpPort, edge.httpsPort, edge.configuration.adminPort]
        let isSaid = eventually {
            edge.process.errors.split(separator: "\n").contains { line in
                ports.allSatisfy { line.contains("127.0.0.1:\($0)") }
            }
        }
        #expect(isSaid, "\(edge.process.errors)")
        #expect(edge.process.output.isEmpty, "standard output is the access log's")
    }

    @Test("The process's own log is JSON when asked for")
    func processLogFormat() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url], top: "log: { level: debug, format: json }")
        _ = try edge.get("/")
        let lines = edge.process.errors.split(separator: "\n").dropLast()
        #expect(!lines.isEmpty)
        for line in lines {
            #expect((try? JSONSerialization.jsonObject(with: Data(line.utf8))) is [String: Any], "\(line)")
        }
    }

    @Test("The access log may go to standard output, or nowhere")
    func destinations() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let port = (try Ports.pick(), try Ports.pick())
        let text = { (log: String) in
            "listen: { http: \"127.0.0.1:\(port.0)\" }\nadmin: \"127.0.0.1:\(port.1)\"\naccess_log: \"\(log)\"\n"
                + "zones:\n" + zone("*", origins: [origin.url])
        }
        for log in ["-", "off"] {
            let file = try stage.write(text(log), to: "plain.yaml")
            let process = try stage.start([try Edge.binary(), "up", "-c", file.path])
            defer { process.end() }
            _ = eventually { (try? Wire.connect(port: port.1)) != nil || process.exitStatus != nil }
            let client = try Wire.connect(port: port.0)
            try client.send(request("GET /", "Connection: close"))
            let ray = try client.readAnswer().ray
            #expect(!ray.isEmpty)
            process.signal(15)
            #expect(process.waitForExit() == 0)
            #expect(process.output.contains(ray) == (log == "-"))
        }
    }
}
