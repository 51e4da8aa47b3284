import Foundation
import Testing

/// WebSockets over streams of HTTP/2 (RFC 8441), to an origin that speaks HTTP/1.1.
@Suite("HTTP/2: WebSockets", .onStageThreads)
struct WebSocketJourneys {
    private final class Cast {
        let server: Peer
        let edge: Edge

        init(on stage: Stage, top: String = "") throws {
            let port = try Ports.pick()
            server = try Peer("web_socket", "serve", ["port": port], on: stage)
            _ = try server.said("serving")
            edge = try stage.edge(
                HTTP2Stage.configuration(zones: zone("example.test", origins: ["http://127.0.0.1:\(port)"]), top: top))
        }

        func play(_ scenario: String, over transport: Transport, _ more: [String: Any] = [:]) throws -> Findings {
            try edge.play(
                "web_socket", scenario, over: transport, more.merging(["path": "/talk"]) { given, _ in given })
        }

        /// The origin's last words on a path.
        func ended(_ path: String) throws -> Findings? {
            var found: Findings?
            _ = eventually {
                found = server.everything("ended").first { $0.text("ended") == path }
                return found != nil
            }
            return found
        }
    }

    @Test("Messages of every size there and back, requests beside them, a close", arguments: Transport.allCases)
    func echo(transport: Transport) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try Cast(on: stage)
        let found = try cast.play("echo", over: transport)
        #expect(found.int("announced") == 1, "\(found)")
        let opened = found.part("opened")
        #expect(opened.int("status") == 200 && !opened.flag("ended"), "\(found)")
        let fields = opened.values["fields"] as? [[String]] ?? []
        #expect(
            fields.contains { $0.first == "sec-websocket-protocol" && ["chat", "superchat"].contains($0.last) },
            "\(fields)")
        // What HTTP/1.1 needs to switch is no part of it (RFC 8441, section 5).
        #expect(!fields.contains { ["sec-websocket-accept", "upgrade", "connection"].contains($0.first) }, "\(fields)")
        #expect(found.values["equal"] as? [Bool] == [true, true, true, true, true, true], "\(found)")
        #expect(found.text("words") == "grüße" && found.text("pong") == "are you there", "\(found)")
        #expect(found.int("close") == 1000, "\(found)")
        let end = found.part("end")
        #expect(end.flag("ended") || HTTP2Code(rawValue: end.int("reset")) == .cancel, "\(found)")
        #expect(found.int("after") > 0)
        let asked = try #require(cast.server.everything("opened").first)
        let sent = asked.values["fields"] as? [[String]] ?? []
        for name in ["sec-websocket-key", "sec-websocket-version", "upgrade", "connection", "host"] {
            #expect(sent.filter { $0.first == name }.count == 1, "\(name): \(sent)")
        }
        #expect(sent.contains(["host", "example.test"]) && sent.contains(["sec-websocket-version", "13"]), "\(sent)")
        #expect(sent.contains(["origin", "http://a.test"]), "\(sent)")
        #expect(try cast.ended("/talk/chat")?.int("code") == 1000)
    }

    @Test("Many on one connection", arguments: Transport.allCases)
    func several(transport: Transport) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let found = try Cast(on: stage).play("several", over: transport, ["count": 20])
        #expect(found.int("right") == 60, "\(found)")
    }

    @Test("Every way to end: the origin closes, drops, refuses; the client resets", arguments: Transport.allCases)
    func ends(transport: Transport) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try Cast(on: stage)
        let found = try cast.play("ends", over: transport)
        #expect(found.text("said") == "goodbye" && found.int("code") == 4001, "\(found)")
        #expect(found.part("left").flag("ended") || found.part("left").int("reset") >= 0, "\(found)")
        #expect(found.text("last") == "last words", "\(found)")
        #expect(found.part("died").flag("ended") || found.part("died").int("reset") >= 0, "\(found)")
        #expect(found.part("refused").int("status") == 403 && found.text("body") == "not you\n", "\(found)")
        #expect(found.part("refused").flag("ended"), "\(found)")
        #expect(found.text("heard") == "before" && found.int("goaway") == -1, "\(found)")
        #expect(try cast.ended("/talk/gone") != nil, "the origin was not told of the reset")
        #expect(try eventually { try cast.edge.metric("martlet_tunnels_active") == 0 })
    }

    @Test("An echo that nobody listens to is held back, and nothing of it is lost")
    func backPressure() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try Cast(on: stage)
        let base = cast.edge.process.memoryKiB("VmRSS")
        let found = try cast.play("flooded", over: .clear, ["count": 120])
        #expect(found.int("right") == 120 && found.int("sent") == found.int("total"), "\(found)")
        #expect(cast.edge.process.memoryKiB("VmHWM") - base < 32 * 1024)
    }

    @Test("A reload leaves it alone", arguments: Transport.allCases)
    func reload(transport: Transport) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try Cast(on: stage)
        let client = try cast.edge.start("web_socket", "lasting", over: transport, ["path": "/talk"])
        #expect(try client.said("first").text("first") == "one")
        try cast.edge.rewrite { $0.zones += zone("more.test", origins: ["http://127.0.0.1:9"]) }
        cast.edge.reload()
        #expect(try eventually { try cast.edge.get("/", "Host: more.test").status != 421 })
        client.tell()
        #expect(try client.findings().text("second") == "two")
    }

    @Test("One that rests is ended by the tunnel's timeout")
    func timeout() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try Cast(on: stage, top: "timeouts: { tunnel: 500ms }")
        let client = try cast.edge.start("web_socket", "resting", ["path": "/talk"])
        let state = try client.findings().part("state")
        #expect(state.flag("ended") || state.int("reset") >= 0, "\(state)")
        #expect(try cast.ended("/talk") != nil)
    }

    @Test("An origin with HTTP/2 gets an extended CONNECT of its own")
    func toHTTP2() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let port = try Ports.pick()
        let origin = try Peer("origin", "serve", ["port": port], on: stage)
        _ = try origin.said("serving")
        let edge = try stage.edge(
            HTTP2Stage.configuration(
                zones: zone("example.test", origins: ["{url: \"http://127.0.0.1:\(port)\", http2: on}"])))
        let found = try edge.play("web_socket", "raw", ["path": "/tunnel"])
        #expect(found.part("opened").int("status") == 200 && found.flag("equal"), "\(found)")
        let head = origin.everything("request").first { $0.text("request") == "/tunnel" }?.values["head"] as? [[String]]
        #expect(
            head?.contains([":protocol", "websocket"]) == true && head?.contains([":method", "CONNECT"]) == true,
            "\(head ?? [])")
    }
}
