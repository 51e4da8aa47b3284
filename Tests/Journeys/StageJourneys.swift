import Foundation
import Testing

/// The harness tried on itself: what the other journeys rely on to notice a fault.
@Suite("The stage itself", .onStageThreads)
struct StageJourneys {
    @Test("A client and a scripted origin speak directly")
    func clientMeetsOrigin() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { message in ok("you asked for \(message.target)") }
        let client = try Wire.connect(port: origin.port)
        for target in ["/one", "/two"] {
            try client.send(request("GET \(target)"))
            #expect(try client.readAnswer().text == "you asked for \(target)")
        }
        #expect(origin.connectionCount == 1)
        #expect(origin.requests.map(\.target) == ["/one", "/two"])
        #expect(origin.saw("GET /two") && !origin.saw("GET /three"))
    }

    @Test("A cut body is never taken for a whole one")
    func cutsAreNoticed() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { connection in
            let request = try connection.readRequest()
            let head = "HTTP/1.1 200 OK\r\n"
            switch request.target {
            case "/counted": try connection.send(head + "Content-Length: 10\r\n\r\nhalf")
            case "/chunked": try connection.send(head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            case "/inside": try connection.send(head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhe")
            case "/whole": try connection.send(head + "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nA: b\r\n\r\n")
            default: try connection.send(head + "\r\nuntil the end")
            }
        }
        func ending(_ target: String) throws -> Message.Ending {
            let client = try Wire.connect(port: origin.port)
            try client.send(request("GET \(target)"))
            return try client.readAnswer().ending
        }
        #expect(try ending("/counted") == .cut)
        #expect(try ending("/chunked") == .cut)
        #expect(try ending("/inside") == .cut)
        #expect(try ending("/whole") == .complete)
        #expect(try ending("/") == .close)
    }

    @Test("A stopped origin refuses, and can come back on its port")
    func originComesBack() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        origin.stop()
        #expect(throws: WireFailure.system("connect", 111)) { try Wire.connect(port: origin.port) }
        let second = try stage.origin(port: origin.port) { _ in ok("back") }
        let client = try Wire.connect(port: second.port)
        try client.send(request("GET /"))
        #expect(try client.readAnswer().text == "back")
    }

    @Test("A real nginx serves, with and without TLS")
    func nginxServes() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let authority = try stage.authority("stage")
        let identity = try stage.certificate("origin.test", by: authority, file: "origin")
        let plain = try stage.nginx(server: "location / { return 200 \"plain\"; }")
        let client = try Wire.connect(port: plain.port)
        try client.send(request("GET /"))
        #expect(try client.readAnswer().text == "plain")
        let secure = try stage.nginx(tls: identity, server: "location / { return 200 \"tls\"; }")
        let fetched = try stage.run(
            "curl", "-sS", "--cacert", authority.certificate, "--resolve", "origin.test:\(secure.port):127.0.0.1",
            "https://origin.test:\(secure.port)/")
        #expect(fetched.output == "tls", "\(fetched.errors)")
    }

    @Test("A reset is told from an orderly end")
    func resetsAreSeen() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { connection in
            _ = try connection.readRequest()
            connection.wire.reset()
        }
        let client = try Wire.connect(port: origin.port)
        try client.send(request("GET /"))
        #expect(throws: WireFailure.reset) { try client.readAnswer() }
    }
}
