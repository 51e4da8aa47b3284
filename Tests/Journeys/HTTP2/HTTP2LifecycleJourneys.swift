import Foundation
import Glibc
import Testing

/// How connections of HTTP/2 begin, are told to go, and end.
@Suite("HTTP/2: connections", .onStageThreads)
struct HTTP2LifecycleJourneys {
    /// A page whose second half waits for the gate.
    private func held(_ cast: HTTP2Stage, _ arrived: Gate, _ release: Gate) throws -> Page {
        try Page(on: cast) { connection, _, _ in
            try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
            arrived.open()
            release.pass()
            try connection.send("-last")
        }
    }

    @Test(
        "SIGTERM: GOAWAY, the stream under way ends, a new one is refused, and the process leaves with 0",
        arguments: Transport.allCases)
    func drain(transport: Transport) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try HTTP2Stage(on: stage, top: "timeouts: { drain: 2m }")
        let (arrived, release) = (Gate(), Gate())
        let page = try held(cast, arrived, release)
        let quick = try Page(on: cast)
        let client = try cast.start(
            "lifecycle", "drained", over: transport, ["held": page.path, "quick": quick.path])
        let idle = try cast.start("lifecycle", "idle", over: transport, ["path": quick.path])
        _ = try idle.said("served")
        _ = try client.said("begun")
        #expect(arrived.pass())
        cast.edge.process.signal(SIGTERM)
        let told = try client.said("goaway")
        #expect(HTTP2Code(rawValue: told.int("goaway")) == .noError, "\(told)")
        // An idle connection is told, too, and ends at once.
        let gone = try idle.findings()
        #expect(gone.flag("closed") && HTTP2Code(rawValue: gone.int("goaway")) == .noError, "\(gone)")
        #expect(cast.edge.process.exitStatus == nil)
        release.open()
        let found = try client.findings()
        #expect(found.reply("reply").isWhole("first-last"), "\(found)")
        #expect(found.flag("closed"), "\(found)")
        // Behind the last GOAWAY nothing is processed; before it (RFC 9113, section 6.8) it may be.
        #expect(found.int("late") == 200 || found.int("late") == 0 || found.int("late") == 503, "\(found)")
        #expect(found.int("last") >= 1, "\(found)")
        #expect(cast.edge.process.waitForExit() == 0)
    }

    @Test("The drain has an end: what is still under way is cut", arguments: Transport.allCases)
    func drainIsBounded(transport: Transport) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try HTTP2Stage(on: stage, top: "timeouts: { drain: 500ms }")
        let (arrived, release) = (Gate(), Gate())
        defer { release.open() }
        let page = try held(cast, arrived, release)
        let client = try cast.start("exchanges", "ask", over: transport, ["path": page.path])
        #expect(arrived.pass())
        cast.edge.process.signal(SIGTERM)
        #expect(cast.edge.process.waitForExit() == 0)
        let reply = try client.findings().reply("reply")
        #expect(!reply.hasEnded, "\(reply)")
    }

    @Test("SIGUSR2: a stream lives on in the old process while the new one serves")
    func restart() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try HTTP2Stage(on: stage, top: "timeouts: { drain: 2m }")
        let (arrived, release) = (Gate(), Gate())
        let page = try held(cast, arrived, release)
        let quick = try Page(on: cast)
        let client = try cast.start("lifecycle", "drained", over: .tls, ["held": page.path, "quick": quick.path])
        #expect(arrived.pass())
        cast.edge.process.signal(SIGUSR2)
        _ = try client.said("goaway")
        #expect(try cast.ask(quick.path, over: .tls).isWhole("reached \(quick.path)"))
        release.open()
        #expect(try client.findings().reply("reply").isWhole("first-last"))
        #expect(cast.edge.process.waitForExit() == 0)
        #expect(try cast.ask(quick.path).isWhole("reached \(quick.path)"))
    }

    @Test("A reload leaves connections alone, and applies to streams that begin later")
    func reload() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try HTTP2Stage(on: stage)
        let page = try Page(on: cast)
        let client = try cast.start("lifecycle", "reloaded", over: .tls, ["path": page.path])
        _ = try client.said("before")
        try cast.edge.rewrite { configuration in
            configuration.zones = configuration.zones.replacing("example.test", with: "renamed.test")
        }
        cast.edge.reload()
        #expect(try eventually { try cast.edge.get("/", "Host: example.test").status == 421 })
        client.tell()
        let found = try client.findings()
        #expect(found.int("after") == 421 && found.int("goaway") == -1 && !found.flag("closed"), "\(found)")
    }

    @Test("A connection has its number of requests; then GOAWAY, and each of them is answered")
    func requestsPerConnection() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try HTTP2Stage(on: stage, top: "limits: { requests_per_connection: 5 }")
        let page = try Page(on: cast)
        let found = try cast.play("lifecycle", "counted", ["path": page.path])
        #expect(found.ints("statuses") == [200, 200, 200, 200, 200], "\(found)")
        #expect(HTTP2Code(rawValue: found.int("goaway")) == .noError && found.flag("closed"), "\(found)")
        #expect(found.int("last") >= 9, "\(found)")
    }

    @Test("An idle connection is told before it is closed", arguments: Transport.allCases)
    func idle(transport: Transport) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try HTTP2Stage(on: stage, top: "timeouts: { idle: 500ms }")
        let page = try Page(on: cast)
        let found = try cast.play("lifecycle", "idle", over: transport, ["path": page.path])
        #expect(found.flag("closed") && HTTP2Code(rawValue: found.int("goaway")) == .noError, "\(found)")
    }

    @Test("A body that stalls is given up; the connection and its other streams are not")
    func bodyTimeout() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try HTTP2Stage(on: stage, top: "timeouts: { body: 1s }")
        let page = try Page(on: cast)
        let found = try cast.play("lifecycle", "stalled_body", ["path": page.path])
        #expect(found.int("status") == 408 || found.int("reset") > 0, "\(found)")
        #expect(found.int("after") == 200 && found.int("goaway") == -1, "\(found)")
        #expect(page.requests.filter { $0.method == "POST" }.isEmpty)
    }

    @Test("421 for a host that the connection's certificate was not made for (§9.1.2)")
    func misdirected() throws {
        let stage = try HTTP2Stage.shared
        let page = try Page()
        let found = try stage.play(
            "lifecycle", "hosts", over: .tls,
            [
                "path": page.path,
                "hosts": ["example.test", "other.test", "nobody.invalid", "www.example.test", "example.test"],
            ])
        #expect(found.ints("statuses") == [200, 421, 421, 200, 200] && found.int("goaway") == -1, "\(found)")
        // In the clear nothing is promised by a certificate.
        let clear = try stage.play(
            "lifecycle", "hosts", ["path": page.path, "hosts": ["example.test", "other.test", "nobody.invalid"]])
        #expect(clear.ints("statuses") == [200, 200, 421], "\(clear)")
    }

    @Test("The edge announces what it keeps to", arguments: Transport.allCases)
    func announced(transport: Transport) throws {
        let page = try Page()
        let settings = try HTTP2Stage.shared.play(
            "exchanges", "ask", over: transport, ["path": page.path]
        ).part("settings")
        #expect(settings.int("3") == 128, "MAX_CONCURRENT_STREAMS: \(settings)")
        #expect(settings.int("6") > 0, "MAX_HEADER_LIST_SIZE: \(settings)")
        #expect(settings.int("8") == 1, "ENABLE_CONNECT_PROTOCOL: \(settings)")
        #expect(settings.int("9") == 1, "NO_RFC7540_PRIORITIES: \(settings)")
        #expect(settings.values["2"] == nil || settings.int("2") == 0, "ENABLE_PUSH: \(settings)")
    }

    @Test("Behind a PROXY protocol header and prior knowledge alike")
    func proxyProtocol() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        var configuration = try EdgeConfiguration(
            zones: zone("example.test", origins: [origin.url]), top: "trusted_proxies: [\"127.0.0.1\"]")
        configuration.httpListener =
            "{ address: \"127.0.0.1:\(configuration.httpPort)\", http2: true, proxy_protocol: true }"
        let edge = try stage.edge(configuration)
        let found = try edge.play("lifecycle", "proxied", ["line": "PROXY TCP4 192.0.2.7 192.0.2.8 1234 80\r\n"])
        #expect(found.int("status") == 200, "\(found)")
        #expect(try edge.logged(ray: found.text("ray"))["client"] as? String == "192.0.2.7")
    }
}
