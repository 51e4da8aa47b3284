import Foundation
import Testing

/// gRPC by its own library, client and server, through the edge: over h2c and over TLS, on either side.
@Suite("HTTP/2: gRPC", .onStageThreads)
struct GRPCJourneys {
    /// An edge between a client and a server of gRPC.
    private final class Cast {
        let stage: Stage
        let server: Peer
        let serverPort: Int
        let edge: Edge
        let authority: Stage.Identity

        /// - Parameter transport: between the edge and the server.
        init(_ transport: Transport, on stage: Stage, top: String = "", settings: [String] = []) throws {
            self.stage = stage
            authority = try stage.authority("own")
            let identity = try stage.certificate("example.test", by: authority, file: "site")
            let origin = try stage.certificate("127.0.0.1", by: authority, file: "origin")
            serverPort = try Ports.pick()
            var arguments: [String: Any] = ["port": serverPort]
            if transport == .tls { arguments.merge(["certificate": origin.certificate, "key": origin.key]) { $1 } }
            server = try Peer("grpc_calls", "serve", arguments, on: stage)
            _ = try server.said("serving")
            let url =
                transport == .tls
                ? "{url: \"https://127.0.0.1:\(serverPort)\", http2: on, tls: { ca: own-ca.pem }}"
                : "{url: \"http://127.0.0.1:\(serverPort)\", http2: on}"
            let tls = "tls: { certificate: \(identity.certificate), key: \(identity.key) }"
            edge = try stage.edge(
                HTTP2Stage.configuration(
                    zones: zone("example.test", origins: [url], [tls] + settings), top: top))
        }

        func play(_ scenario: String, over transport: Transport, _ more: [String: Any] = [:]) throws -> Peer {
            let arguments = more.merging(["authority": authority.certificate]) { $1 }
            return try edge.start("grpc_calls", scenario, over: transport, arguments)
        }
    }

    @Test(
        "Unary and all kinds of streams, metadata, trailers, large messages, a hundred at once",
        arguments: Transport.allCases)
    func kinds(transport: Transport) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try Cast(transport, on: stage)
        let found = try cast.play("kinds", over: transport).findings()
        #expect(found.text("unary") == "hello", "\(found)")
        let initial = (found.values["initial"] as? [[String]] ?? []),
            trailing = (found.values["trailing"] as? [[String]] ?? [])
        #expect(initial.contains(["x-first", "head"]) && initial.contains(["x-heard", "this"]), "\(initial)")
        #expect(
            trailing.contains(["x-last", "trailer"]) && trailing.contains(["x-data-bin", "00ff01"]), "\(trailing)")
        #expect(found.int("empty") == 0 && found.flag("large"), "\(found)")
        #expect(found.text("upload") == "300 messages, 3000000 bytes", "\(found)")
        #expect(found.ints("download") == [300, 299, 3_000_790], "\(found)")
        #expect(found.flag("talk"), "a message was not answered before the next was sent")
        #expect(found.int("many") == 100, "\(found)")
    }

    @Test("Statuses, deadlines and cancellation reach the other side", arguments: Transport.allCases)
    func failures(transport: Transport) throws {
        let stage = try Stage()
        defer { stage.strike() }
        // Client and server over the other transport than in the journey above, each.
        let cast = try Cast(transport == .tls ? .clear : .tls, on: stage)
        let found = try cast.play("failures", over: transport).findings()
        #expect(found.part("status").text("code") == "FAILED_PRECONDITION", "\(found)")
        #expect(found.part("status").text("details") == "because: ü %", "\(found)")
        #expect(found.part("unknown").text("code") == "UNIMPLEMENTED", "\(found)")
        #expect(found.part("deadline").text("code") == "DEADLINE_EXCEEDED", "\(found)")
        #expect(found.part("cancelled").text("code") == "CANCELLED" && found.text("begun") == "begun", "\(found)")
        // grpc-timeout travels.
        let left = (found.values["left"] as? NSNumber)?.doubleValue ?? 0
        #expect(left > 0 && left <= 100, "\(found)")
        #expect(found.text("after") == "still here", "\(found)")
        for call in ["cancelled", "deadline"] {
            let isTold = eventually { cast.server.everything("given_up").contains { $0.text("given_up") == call } }
            #expect(isTold, "the server was not told of \(call)")
        }
    }

    @Test("A call under way outlives a drain")
    func drain() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try Cast(.clear, on: stage, top: "timeouts: { drain: 2m }")
        let call = try cast.play("held", over: .tls)
        #expect(try call.said("first").text("first") == "first")
        cast.edge.process.signal(15)
        #expect(try eventually { try cast.edge.admin("/readyz").status == 503 })
        cast.server.tell()
        let found = try call.findings()
        #expect(found.texts("rest") == ["second"] && found.text("code") == "OK", "\(found)")
        #expect(cast.edge.process.waitForExit() == 0)
    }

    @Test("A server that is not there is UNAVAILABLE, as gRPC reads the edge's status")
    func unavailable() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try Cast(.clear, on: stage, settings: ["attempts: 1", "ejection: off"])
        cast.server.end()
        let found = try cast.play("one", over: .clear).findings()
        #expect(["UNAVAILABLE", "UNKNOWN"].contains(found.part("call").text("code")), "\(found)")
    }

    @Test("Over an origin without HTTP/2 calls fail, and say so")
    func withoutHTTP2() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { _ in response("404 Not Found", body: "no gRPC here") }
        let edge = try stage.edge(
            HTTP2Stage.configuration(zones: zone("example.test", origins: [origin.url])))
        let found = try edge.play("grpc_calls", "one")
        #expect(["UNIMPLEMENTED", "UNKNOWN", "UNAVAILABLE"].contains(found.part("call").text("code")), "\(found)")
    }
}
