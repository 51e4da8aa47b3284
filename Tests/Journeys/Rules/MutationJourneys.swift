import Foundation
import Testing

/// Valid bytes with faults in them, by the thousand, against the running process: nothing that arrives may end it.
///
/// The sequence of faults is the same in every run, so that what failed once fails again.
@Suite("Mutations", .onStageThreads)
struct MutationJourneys {
    /// A linear congruential generator (Knuth's MMIX constants): all that is asked of it is to repeat itself.
    private struct Dice {
        var state: UInt64

        mutating func roll(_ sides: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return sides > 0 ? Int((state >> 33) % UInt64(sides)) : 0
        }
    }

    private static let seasonings: [[UInt8]] = [
        [0], [13], [10], [13, 10], [13, 10, 13, 10], [32], [9], [58], [0xff], [0x80], Array("0".utf8),
        Array("ffffffffffffffff".utf8), Array("Content-Length: 5\r\n".utf8),
        Array("Transfer-Encoding: chunked\r\n".utf8),
        Array("99999999999999999999".utf8), Array("HTTP/1.1".utf8), Array(repeating: 65, count: 5000),
    ]

    /// One to four faults at random places.
    private static func spoil(_ bytes: [UInt8], _ dice: inout Dice) -> [UInt8] {
        var bytes = bytes
        for _ in 0...dice.roll(4) where !bytes.isEmpty {
            let place = dice.roll(bytes.count)
            switch dice.roll(5) {
            case 0: bytes[place] = UInt8(truncatingIfNeeded: dice.roll(256))
            case 1: bytes.remove(at: place)
            case 2: bytes.insert(contentsOf: seasonings[dice.roll(seasonings.count)], at: place)
            case 3: bytes.removeSubrange(place..<min(bytes.count, place + dice.roll(20)))
            default: bytes.insert(contentsOf: bytes[place..<min(bytes.count, place + dice.roll(40))], at: place)
            }
        }
        return bytes
    }

    private static let requests = [
        request("GET /path?query=1", "X-A: b", "Accept: */*") + request("GET /next"),
        request("POST /", "Transfer-Encoding: chunked") + "5;e=1\r\nhello\r\n0\r\nX-T: 1\r\n\r\n"
            + request("GET /next"),
        request("PUT /", "Expect: 100-continue", "Connection: close, X-A", "X-A: b", body: "some bytes of a body"),
        request("GET http://example.test/a", "Connection: Upgrade", "Upgrade: websocket", "Cookie: a=b; c=d"),
        "HEAD / HTTP/1.0\r\nHost: example.test\r\nConnection: keep-alive\r\n\r\n" + request("OPTIONS *"),
        request("GET /", "X-Forwarded-For: 203.0.113.7, [2001:db8::1]", "Forwarded: for=\"[::1]\"", "Max-Forwards: 3"),
    ]

    @Test("No request ends the process", arguments: [1, 2, 3])
    func requests(seed: Int) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin(isRecording: false) { connection in
            while true {
                _ = try connection.wire.readRequest()
                try connection.send(ok())
            }
        }
        let edge = try stage.edge(
            [origin.url], "balance: {hash: \"cookie:a\"}",
            top: "trusted_proxies: [\"127.0.0.0/8\"]\ntimeouts: { header: 5s, body: 5s }")
        var dice = Dice(state: UInt64(seed))
        for _ in 0..<500 {
            let bytes = Self.spoil(Array(Self.requests[dice.roll(Self.requests.count)].utf8), &dice)
            let client = try edge.client()
            try? client.send(bytes)
            client.finishWriting()
            _ = try? client.readToEnd()
        }
        #expect(edge.process.exitStatus == nil, "\(edge.process.errors)")
        #expect(try edge.get("/").status == 200)
    }

    private static let answers = [
        ok("a plain body", "X-A: b", "Set-Cookie: a=b"),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;e=1\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nuntil the end",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nframes",
    ]

    @Test("No answer ends the process", arguments: [1, 2])
    func answers(seed: Int) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let dice = Shared(Dice(state: UInt64(seed)))
        let origin = try stage.origin(isRecording: false) { connection in
            let request = try connection.wire.readRequest()
            let bytes = dice.withLock { dice in
                Self.spoil(Array(Self.answers[dice.roll(Self.answers.count)].utf8), &dice)
            }
            try connection.wire.send(request.target == "/good" ? Array(ok("good").utf8) : bytes)
        }
        let edge = try stage.edge(
            [origin.url], "attempts: 1", "ejection: off", "timeouts: { first_byte: 5s, idle: 5s }")
        for index in 0..<500 {
            let client = try edge.client()
            try client.send(request("GET /\(index)", "Connection: Upgrade", "Upgrade: websocket"))
            client.finishWriting()
            _ = try client.readToEnd()
        }
        #expect(edge.process.exitStatus == nil, "\(edge.process.errors)")
        #expect(try edge.get("/good").text == "good")
    }

    @Test("No hello and no PROXY header ends the process")
    func openings() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        // A real hello, taken from a real client.
        let listener = try stage.origin { connection in _ = try connection.wire.readSome() }
        try stage.run("openssl", "s_client", "-connect", "127.0.0.1:\(listener.port)", "-servername", "example.test")
        let hello = try #require(listener.received.first)
        #expect(hello.count > 100)
        var configuration = try EdgeConfiguration(
            zones: zone("example.test", origins: [origin.url]),
            top: "trusted_proxies: [\"127.0.0.0/8\"]\ntimeouts: { handshake: 500ms, header: 500ms }", hasHTTPS: true)
        configuration.httpListener = "{address: \"127.0.0.1:\(configuration.httpPort)\", proxy_protocol: true}"
        let edge = try stage.edge(configuration)
        let prefaces: [[UInt8]] = [
            Array("PROXY TCP4 203.0.113.7 127.0.0.1 5000 80\r\n".utf8),
            [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, 0x21, 0x11, 0, 15]
                + [203, 0, 113, 7, 127, 0, 0, 1, 0x13, 0x88, 0, 80, 4, 0, 0],
        ]
        var dice = Dice(state: 7)
        for round in 0..<400 {
            let isHello = round % 2 == 0
            let client = try Wire.connect(port: isHello ? edge.httpsPort : edge.httpPort)
            let bytes = isHello ? hello : prefaces[dice.roll(2)] + Array(request("GET /").utf8)
            try? client.send(Self.spoil(bytes, &dice))
            client.finishWriting()
            _ = try? client.readToEnd()
        }
        #expect(edge.process.exitStatus == nil, "\(edge.process.errors)")
        #expect(try edge.admin("/readyz").status == 200)
    }
}
