import Foundation
import Testing

/// What origins that speak HTTP/2 do wrong, or when they go: what may be repeated is, what may not fails with its
/// reason, and the next request is served.
@Suite("HTTP/2: origins that fail", .onStageThreads)
struct HTTP2OriginFaultJourneys {
    private typealias Cast = HTTP2OriginJourneys.Cast

    @Test(
        "GOAWAY in the middle: what is under way ends, what is new takes another connection",
        arguments: Transport.allCases)
    func leaves(transport: Transport) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try Cast(transport, on: stage)
        let client = try cast.edge.client()
        try client.send(request("GET /x/leave"))
        #expect(try client.read(through: "first").text.hasPrefix("HTTP/1.1 200"))
        // GOAWAY is on its way behind those bytes: it is seen once a request goes elsewhere.
        #expect(try eventually { try cast.get("/y/plain").status == 200 && cast.connections >= 2 })
        cast.origin.tell()
        #expect(try client.read(exactly: 5).text == "-last")
        for _ in 0..<5 { #expect(try cast.get("/z/plain").status == 200) }
        #expect(cast.connections == 2)
    }

    @Test(
        "What the origin did not process is sent again, whatever the method", arguments: ["GET", "POST"],
        ["refuse", "leave-before"])
    func notProcessed(method: String, verb: String) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try Cast(on: stage)
        let body = method == "POST" ? "hello" : nil
        let answer = try cast.edge.exchange(
            request("\(method) /x/\(verb)", "Connection: close", body: body), method: method)
        #expect(answer.status == 200, "\(answer)")
        #expect(try #require(Findings(Substring(answer.text))).text("body") == body ?? "", "\(answer)")
        #expect(cast.times("/x/\(verb)") == 2)
        #expect(cast.connections == (verb == "refuse" ? 1 : 2))
    }

    @Test("Refused for ever is a failure, after the attempts there are")
    func refusedAlways() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try Cast(on: stage, ["attempts: 3"])
        let answer = try cast.get("/x/refuse-always")
        #expect([502, 503, 520].contains(answer.status), "\(answer)")
        #expect((1...6).contains(cast.times("/x/refuse-always")), "\(cast.paths)")
        let error = try cast.edge.logged(ray: answer.ray)["error"] as? String
        #expect(error?.hasPrefix("origin_") == true, "\(error ?? "none")")
        #expect(try cast.get("/y/plain").status == 200)
    }

    @Test("A connection that is dropped: GET is sent again, POST is not")
    func dropped() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try Cast(on: stage)
        #expect(try cast.get("/x/drop").status == 200)
        #expect(cast.times("/x/drop") == 2)
        let posted = try cast.edge.exchange(request("POST /y/drop", "Connection: close", body: "hello"), method: "POST")
        #expect(posted.status >= 500, "\(posted)")
        #expect(cast.times("/y/drop") == 1)
    }

    @Test("A reset before the head is an origin's error")
    func resetBefore() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try Cast(on: stage, ["attempts: 1"])
        let answer = try cast.get("/x/reset-before")
        #expect([502, 520].contains(answer.status), "\(answer)")
        #expect(try cast.edge.logged(ray: answer.ray)["error"] as? String == "origin_closed_early")
        #expect(try cast.get("/y/plain").status == 200)
        #expect(cast.connections == 1)
    }

    @Test(
        "A reset behind the head cuts the answer, for clients of either version",
        arguments: ["reset-after", "falls-short", "too-long"])
    func cut(verb: String) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try Cast(on: stage, ["attempts: 1"])
        let answer = try cast.get("/x/\(verb)")
        // A fault may be seen before the head went on.
        #expect(answer.ending == .cut || answer.status >= 500, "\(answer) \(answer.ending)")
        let reply = try cast.edge.play("exchanges", "ask", ["path": "/y/\(verb)"]).reply("reply")
        #expect(reply.reset != nil || reply.status >= 500, "\(reply)")
        #expect(try cast.get("/z/plain").status == 200)
        #expect(cast.connections == 1)
    }

    @Test("A whole answer before the request's end, and RST_STREAM with NO_ERROR behind it, is a whole answer (§8.1)")
    func early() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try Cast(on: stage)
        let client = try cast.edge.client()
        try client.send(request("POST /x/whole-then-reset", "Content-Length: 1000000"))
        try client.send("some of it")
        let answer = try client.readAnswer(to: "POST")
        #expect(answer.status == 200 && answer.text == "early" && answer.ending == .complete, "\(answer)")
        #expect(try cast.get("/y/plain").status == 200)
    }

    @Test(
        "Answers that are none are 502, and nothing of them is passed on (§8.2, §8.3)",
        arguments: ["huge-head", "upper", "hop", "split", "no-status"])
    func malformed(verb: String) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try Cast(on: stage, ["attempts: 1"])
        let answer = try cast.get("/x/\(verb)")
        #expect([502, 520].contains(answer.status), "\(answer)")
        #expect(!answer.has("Set-Cookie") && !answer.has("X-Upper"), "\(answer)")
        let error = try cast.edge.logged(ray: answer.ray)["error"] as? String
        #expect(error?.hasPrefix("origin_") == true, "\(error ?? "none")")
        #expect(try cast.get("/y/plain").status == 200)
    }

    @Test(
        "A connection that breaks the protocol is ended, and the next serves",
        arguments: ["push", "endless", "garbage", "flood"])
    func hostile(verb: String) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try Cast(on: stage, ["attempts: 1"])
        let base = cast.edge.process.memoryKiB("VmRSS")
        let answer = try cast.get("/x/\(verb)")
        #expect(answer.status >= 500, "\(answer)")
        #expect(try eventually { try cast.get("/y/plain").status == 200 })
        #expect(cast.connections >= 2)
        #expect(cast.edge.process.memoryKiB("VmHWM") - base < 16 * 1024)
    }

    @Test("Silence ends by the timeout, for its stream alone")
    func silent() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try Cast(on: stage, ["attempts: 1", "timeouts: { first_byte: 500ms }"])
        let answer = try cast.get("/x/pings")
        #expect([504, 524].contains(answer.status), "\(answer)")
        #expect(try cast.edge.logged(ray: answer.ray)["error"] as? String == "origin_first_byte_timeout")
        let told = try cast.origin.said("reset")
        #expect(told.text("reset") == "/x/pings", "\(told)")
        #expect(try cast.get("/y/plain").status == 200)
        #expect(cast.connections == 1)
    }

    @Test("An origin that is not there, and comes back")
    func comesBack() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try Cast(on: stage, ["attempts: 1"])
        #expect(try cast.get("/x/plain").status == 200)
        cast.origin.end()
        #expect(try cast.get("/x/plain").status >= 500)
        let again = try Peer("origin", "serve", ["port": cast.port], on: stage)
        _ = try again.said("serving")
        #expect(try eventually { try cast.get("/x/plain").status == 200 })
    }

    @Test("An origin asked for HTTP/2 that speaks HTTP/1.1 is a 502 that says so")
    func speaksOneOne() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge(["{url: \"\(origin.url)\", http2: on}"], "attempts: 1")
        let answer = try edge.get("/")
        #expect([502, 520, 525].contains(answer.status), "\(answer)")
        #expect((try edge.logged(ray: answer.ray)["error"] as? String)?.hasPrefix("origin_") == true)
    }

    @Test("With two origins the other one answers for what was refused")
    func failover() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let ports = try [Ports.pick(), Ports.pick()]
        for port in ports { _ = try Peer("origin", "serve", ["port": port], on: stage).said("serving") }
        let origins = ports.map { "{url: \"http://127.0.0.1:\($0)\", http2: on}" }
        let edge = try stage.edge(origins, "ejection: off")
        for index in 0..<6 {
            // Each of them refuses each path once.
            let answer = try edge.get("/\(index)/refuse")
            #expect(answer.status == 200 || answer.status >= 500, "\(answer)")
            #expect(try edge.get("/\(index)/plain").status == 200)
        }
    }
}
