import Foundation
import Testing

/// PROXY protocol in, from trusted peers alone.
@Suite("PROXY protocol", .onStageThreads)
struct ProxyProtocolJourneys {
    private func edge(_ stage: Stage, trusted: String = "127.0.0.0/8") throws -> (Edge, ScriptedOrigin) {
        let origin = try stage.origin()
        var configuration = try EdgeConfiguration(
            zones: zone("example.test", origins: [origin.url]),
            top: "trusted_proxies: [\"\(trusted)\"]\ntimeouts: { header: 2s, handshake: 2s }")
        configuration.httpListener = "{address: \"127.0.0.1:\(configuration.httpPort)\", proxy_protocol: true}"
        return (try stage.edge(configuration), origin)
    }

    private static func second(_ command: UInt8, _ family: UInt8, _ addresses: [UInt8]) -> [UInt8] {
        [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, command, family]
            + [UInt8(addresses.count >> 8), UInt8(addresses.count & 0xff)] + addresses
    }

    /// What precedes the request, and the address that the client must be given by it.
    struct Preface: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let bytes: [UInt8]
        var client = ""
    }

    @Test(
        "The client is who the header says",
        arguments: [
            Preface(
                testDescription: "v1 TCP4", bytes: Array("PROXY TCP4 203.0.113.7 127.0.0.1 5000 80\r\n".utf8),
                client: "203.0.113.7"),
            Preface(
                testDescription: "v1 TCP6", bytes: Array("PROXY TCP6 2001:db8::7 ::1 5000 80\r\n".utf8),
                client: "2001:db8::7"),
            Preface(testDescription: "v1 UNKNOWN", bytes: Array("PROXY UNKNOWN\r\n".utf8), client: "127.0.0.1"),
            Preface(
                testDescription: "v2 IPv4",
                bytes: second(0x21, 0x11, [203, 0, 113, 7, 127, 0, 0, 1, 0x13, 0x88, 0, 80]), client: "203.0.113.7"),
            Preface(
                testDescription: "v2 IPv6",
                bytes: second(
                    0x21, 0x21,
                    [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]
                        + [UInt8](repeating: 0, count: 15) + [1, 0x13, 0x88, 0, 80]), client: "2001:db8::7"),
            Preface(testDescription: "v2 LOCAL", bytes: second(0x20, 0x00, []), client: "127.0.0.1"),
            Preface(
                testDescription: "v2 with TLVs",
                bytes: second(
                    0x21, 0x11, [203, 0, 113, 7, 127, 0, 0, 1, 0x13, 0x88, 0, 80, 0x04, 0, 3, 1, 2, 3]),
                client: "203.0.113.7"),
        ])
    func believed(preface: Preface) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (edge, origin) = try edge(stage)
        for isDripped in [false, true] {
            let client = try edge.client()
            let bytes = preface.bytes + Array(request("GET /").utf8)
            if isDripped {
                for byte in bytes { try client.send([byte]) }
            } else {
                try client.send(bytes)
            }
            let answer = try client.readAnswer()
            #expect(answer.status == 200)
            #expect(try edge.logged(ray: answer.ray)["client"] as? String == preface.client)
            let seen = try #require(origin.requests.last)
            #expect(seen["X-Forwarded-For"]?.contains(preface.client) == true, "\(seen.head)")
        }
    }

    @Test(
        "Without a valid header nothing is served",
        arguments: [
            Preface(testDescription: "none", bytes: []),
            Preface(
                testDescription: "v1 with two spaces", bytes: Array("PROXY  TCP4 203.0.113.7 127.0.0.1 1 80\r\n".utf8)),
            Preface(
                testDescription: "v1 with a bad address",
                bytes: Array("PROXY TCP4 203.0.113.999 127.0.0.1 1 80\r\n".utf8)),
            Preface(
                testDescription: "v1 with a bad port",
                bytes: Array("PROXY TCP4 203.0.113.7 127.0.0.1 70000 80\r\n".utf8)),
            Preface(testDescription: "v1 ending in LF", bytes: Array("PROXY TCP4 203.0.113.7 127.0.0.1 1 80\n".utf8)),
            Preface(
                testDescription: "v1 too long",
                bytes: Array("PROXY UNKNOWN \(String(repeating: "a", count: 200))\r\n".utf8)),
            Preface(testDescription: "v2 of version 3", bytes: second(0x31, 0x11, [UInt8](repeating: 1, count: 12))),
            Preface(
                testDescription: "v2 with an unknown command",
                bytes: second(0x2f, 0x11, [UInt8](repeating: 1, count: 12))),
            Preface(testDescription: "v2 too short for its family", bytes: second(0x21, 0x11, [1, 2, 3, 4])),
            Preface(
                testDescription: "v2 longer than any", bytes: second(0x21, 0x11, [UInt8](repeating: 1, count: 60_000))),
        ])
    func notBelieved(preface: Preface) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (edge, origin) = try edge(stage)
        let client = try edge.client()
        try? client.send(preface.bytes + Array(request("GET /").utf8))
        let bytes = try client.readToEnd().bytes.text
        #expect(!bytes.contains(" 200 "))
        #expect(origin.connectionCount == 0)
    }

    @Test("A stranger's header is not believed")
    func stranger() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (edge, origin) = try edge(stage, trusted: "10.0.0.0/8")
        let client = try edge.client()
        try client.send("PROXY TCP4 203.0.113.7 127.0.0.1 5000 80\r\n" + request("GET /"))
        let bytes = try client.readToEnd().bytes.text
        #expect(!bytes.contains(" 200 "))
        #expect(origin.connectionCount == 0)
    }
}
