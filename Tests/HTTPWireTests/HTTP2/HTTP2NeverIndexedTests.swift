// What came with the wish to enter no table goes on with it (RFC 7541, section 6.2.3), in all the forms in which it is
// carried from one connection to the other.

import HTTPWire
import Testing

private typealias F = Frames

@Suite("Fields that are never indexed")
struct HTTP2NeverIndexedTests {
    /// Literals that are never indexed, and one that is not.
    private static let fields: [(String, String, isNever: Bool)] = [
        ("x-api-key", "abc", true), ("user-agent", "secret", true), ("x-empty", "", true), ("cookie", "a=b", true),
        ("authorization", "Basic abc", true), ("content-type", "text/css", false), ("x-b", "c", false),
    ]

    private static let block: [UInt8] = fields.flatMap {
        [$0.isNever ? 0x10 as UInt8 : 0] + F.text($0.0) + F.text($0.1)
    }

    /// What a block says, and which of it is never indexed.
    private func read(_ block: [UInt8]) throws -> [HPACKLine] {
        var decoder = HPACKDecoder(tableBytesMax: 4096)
        return try decoder.lines(block)
    }

    private static let expected = fields.map { HPACKLine($0.0.latin1, $0.1.latin1, isNeverIndexed: $0.isNever) }

    /// As the edge passes fields on: by their ranges, or by the lines that they are rendered as.
    private func passedOn(
        _ fields: ContiguousArray<Field>, _ arena: HTTP2HeadArena, byLines: Bool, isShared: Bool
    ) -> [UInt8] {
        var encoder = HPACKEncoder(tableBytesMax: 4096, isShared: isShared)
        return arena.withBytes { bytes in
            encoder.block { encoder, writer in
                guard byLines else { return encoder.encode(fields: fields, of: bytes, to: &writer) }
                let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 1)
                defer { memory.deallocate() }
                var lines = ByteWriter(memory)
                lines.write(forwarded: fields, of: bytes)
                let text = Array(memory[..<lines.count])
                encoder.encode(lines: text.span, to: &writer)
            }
        }
    }

    @Test("of a request", arguments: [false, true], [false, true])
    func request(byLines: Bool, isShared: Bool) throws {
        let peer = HTTP2Peer(.server)
        peer.receive(F.headers(1, F.request() + Self.block))
        let block = passedOn(peer.arena.request.fields, peer.arena, byLines: byLines, isShared: isShared)
        #expect(try read(block) == Self.expected)
    }

    @Test("of a response", arguments: [false, true])
    func response(byLines: Bool) throws {
        let peer = HTTP2Peer(.client)
        peer.ask()
        peer.receive(F.headers(1, F.response(200) + Self.block))
        let block = passedOn(peer.arena.response.fields, peer.arena, byLines: byLines, isShared: false)
        #expect(try read(block) == Self.expected)
    }

    @Test("of trailers", arguments: [false, true])
    func trailers(byLines: Bool) throws {
        let peer = HTTP2Peer(.server)
        peer.receive(F.post(1), F.headers(1, [0x10] + F.text("x-sum") + F.text("1") + F.block([("x-b", "c")])))
        let block = passedOn(peer.arena.trailers, peer.arena, byLines: byLines, isShared: false)
        #expect(
            try read(block) == [
                HPACKLine("x-sum".latin1, "1".latin1, isNeverIndexed: true), HPACKLine("x-b", "c"),
            ])
    }

    @Test("a name of the tables is still taken from them, and a value that they have is not")
    func names() throws {
        var encoder = HPACKEncoder(tableBytesMax: 4096)
        let usual = encoder.block("accept-encoding: gzip, deflate\r\nx-a: b\r\n")
        let block = encoder.block("accept-encoding:gzip, deflate\r\nx-a:b\r\n")
        var decoder = HPACKDecoder(tableBytesMax: 4096)
        _ = try decoder.lines(usual)
        #expect(
            try decoder.lines(block) == [
                HPACKLine("accept-encoding".latin1, "gzip, deflate".latin1, isNeverIndexed: true),
                HPACKLine("x-a".latin1, "b".latin1, isNeverIndexed: true),
            ])
        #expect(block.first == 0x1F && block.dropFirst().first == 1)
    }

    @Test("lines of HTTP/1.1 are as ever, and those of fields of a secret kind")
    func lines() {
        let peer = HTTP2Peer(.server)
        peer.receive(F.headers(1, F.request() + Self.block))
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 1)
        defer { memory.deallocate() }
        var writer = ByteWriter(memory)
        peer.arena.withBytes { writer.write(forwarded: peer.arena.request.fields, of: $0) }
        let text = String(decoding: memory[..<writer.count], as: UTF8.self)
        #expect(
            text == """
                x-api-key:abc\r\nuser-agent:secret\r\nx-empty:\r\ncookie: a=b\r\nauthorization: Basic abc\r
                content-type: text/css\r\nx-b: c\r\n
                """)
    }

    @Test("a field takes no more room for it")
    func size() {
        #expect(MemoryLayout<Field>.stride == 20)
    }
}
