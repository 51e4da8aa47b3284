// The examples of RFC 7541, appendix C: decoded with the fields and the table they must leave, and written again by the
// reference, which takes the same decisions as the RFC's encoder.

import HTTPWire
import Testing

/// A sequence of blocks on one connection.
struct HPACKExample: CustomTestStringConvertible {
    struct Block {
        var hex: String
        var lines: [HPACKLine]
        /// The dynamic table afterwards, the newest first, and its size.
        var table: [HPACKLine]
        var size: Int
    }

    var name: String
    var isHuffman: Bool
    var tableBytes: Int
    var blocks: [Block]
    var testDescription: String { name }

    static let authority = HPACKLine(":authority", "www.example.com")
    static let noCache = HPACKLine("cache-control", "no-cache")
    static let custom = HPACKLine("custom-key", "custom-value")
    static let found = HPACKLine(":status", "302")
    static let redirect = HPACKLine(":status", "307")
    static let priv = HPACKLine("cache-control", "private")
    static let date21 = HPACKLine("date", "Mon, 21 Oct 2013 20:13:21 GMT")
    static let date22 = HPACKLine("date", "Mon, 21 Oct 2013 20:13:22 GMT")
    static let location = HPACKLine("location", "https://www.example.com")
    static let gzip = HPACKLine("content-encoding", "gzip")
    static let cookie = HPACKLine("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1")

    static func requests(_ name: String, _ isHuffman: Bool, _ hex: [String]) -> HPACKExample {
        let get = HPACKLine(":method", "GET")
        let http = HPACKLine(":scheme", "http")
        let path = HPACKLine(":path", "/")
        let index = HPACKLine(":path", "/index.html")
        let https = HPACKLine(":scheme", "https")
        return HPACKExample(
            name: name, isHuffman: isHuffman, tableBytes: 4096,
            blocks: [
                Block(hex: hex[0], lines: [get, http, path, authority], table: [authority], size: 57),
                Block(
                    hex: hex[1], lines: [get, http, path, authority, noCache], table: [noCache, authority], size: 110),
                Block(
                    hex: hex[2], lines: [get, https, index, authority, custom], table: [custom, noCache, authority],
                    size: 164),
            ])
    }

    static func responses(_ name: String, _ isHuffman: Bool, _ hex: [String]) -> HPACKExample {
        let okay = HPACKLine(":status", "200")
        return HPACKExample(
            name: name, isHuffman: isHuffman, tableBytes: 256,
            blocks: [
                Block(
                    hex: hex[0], lines: [found, priv, date21, location], table: [location, date21, priv, found],
                    size: 222),
                Block(
                    hex: hex[1], lines: [redirect, priv, date21, location], table: [redirect, location, date21, priv],
                    size: 222),
                Block(
                    hex: hex[2], lines: [okay, priv, date22, location, gzip, cookie], table: [cookie, gzip, date22],
                    size: 215),
            ])
    }

    static let all = [
        requests(
            "C.3", false,
            [
                "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", "8286 84be 5808 6e6f 2d63 6163 6865",
                "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
            ]),
        requests(
            "C.4", true,
            [
                "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", "8286 84be 5886 a8eb 1064 9cbf",
                "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
            ]),
        responses(
            "C.5", false,
            [
                """
                4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32
                3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d
                """,
                "4803 3330 37c1 c0bf",
                """
                88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970
                7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61
                6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31
                """,
            ]),
        responses(
            "C.6", true,
            [
                """
                4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad
                1718 63c7 8f0b 97c8 e9ae 82ae 43d3
                """,
                "4883 640e ffc1 c0bf",
                """
                88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2
                e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07
                """,
            ]),
    ]
}

@Suite("HPACK: RFC 7541, appendix C")
struct HPACKExampleTests {
    @Test("sequences of messages leave these fields and these tables", arguments: HPACKExample.all)
    func decode(_ example: HPACKExample) throws {
        var decoder = HPACKDecoder(tableBytesMax: 4096)
        let update = HPACKReferenceEncoder.integer(example.tableBytes, 5, 0x20)
        _ = try decoder.lines(update)
        for block in example.blocks {
            #expect(try decoder.lines(block.hex) == block.lines)
            #expect(decoder.entries == block.table)
            #expect(block.table.reduce(0) { $0 + $1.size } == block.size)
        }
    }

    @Test("the same decisions give the same bytes", arguments: HPACKExample.all)
    func encode(_ example: HPACKExample) {
        var reference = HPACKReferenceEncoder()
        reference.table.resize(example.tableBytes)
        for block in example.blocks {
            let bytes = block.lines.flatMap { reference.encode($0, .indexed, isHuffman: example.isHuffman) }
            #expect(bytes == HPACKText.bytes(block.hex))
            #expect(reference.table.entries == block.table)
        }
    }

    @Test("what the encoder makes of the same fields means the same", arguments: HPACKExample.all)
    func roundTrip(_ example: HPACKExample) throws {
        var encoder = HPACKEncoder(tableBytesMax: example.tableBytes)
        var decoder = HPACKDecoder(tableBytesMax: 4096)
        for block in example.blocks {
            let bytes = encoder.block { encoder, writer in
                for line in block.lines where line.name.first == UInt8(ascii: ":") { encoder.encode(line, to: &writer) }
                for line in block.lines { encoder.encode(lines: "\(line)\r\n".latin1.span, to: &writer) }
            }
            let lines = try decoder.lines(bytes).map { HPACKLine($0.name, $0.value) }
            #expect(lines == block.lines)
        }
    }

    @Test("integers: C.1")
    func integers() throws {
        // 10 and 1337 in a prefix of five bits are table sizes, 42 in one of eight is no part of HPACK's own.
        #expect(HPACKReferenceEncoder.integer(10, 5, 0) == HPACKText.bytes("0a"))
        #expect(HPACKReferenceEncoder.integer(1337, 5, 0) == HPACKText.bytes("1f9a0a"))
        #expect(HPACKReferenceEncoder.integer(42, 8, 0) == HPACKText.bytes("2a"))
        var decoder = HPACKDecoder(tableBytesMax: 4096)
        _ = try decoder.lines("2a")
        // A table of 10 bytes keeps nothing.
        _ = try decoder.lines("4001 6101 62")
        #expect(decoder.entries.isEmpty)
        _ = try decoder.lines("3f9a0a")
        _ = try decoder.lines("4001 6101 62")
        #expect(decoder.entries == [HPACKLine("a", "b")])
        #expect(throws: HPACKError(.sizeUpdateTooLarge, at: 0)) { try decoder.lines("3fe2 1f") }
        #expect(try HPACKEncoder.updated(to: 1337) == HPACKText.bytes("3f9a0a"))
        #expect(try HPACKEncoder.updated(to: 10) == HPACKText.bytes("2a"))
    }

    @Test("single fields: C.2")
    func fields() throws {
        var decoder = HPACKDecoder(tableBytesMax: 4096)
        let custom = HPACKLine("custom-key", "custom-header")
        #expect(try decoder.lines("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572") == [custom])
        #expect(decoder.entries == [custom])
        decoder = HPACKDecoder(tableBytesMax: 4096)
        #expect(try decoder.lines("040c 2f73 616d 706c 652f 7061 7468") == [HPACKLine(":path", "/sample/path")])
        #expect(decoder.entries.isEmpty)
        let password = HPACKLine("password".latin1, "secret".latin1, isNeverIndexed: true)
        #expect(try decoder.lines("1008 7061 7373 776f 7264 0673 6563 7265 74") == [password])
        #expect(decoder.entries.isEmpty)
        #expect(try decoder.lines("82") == [HPACKLine(":method", "GET")])
        #expect(decoder.entries.isEmpty)
    }
}

extension HPACKEncoder {
    /// The block of an encoder whose peer allows so much.
    static func updated(to bytes: Int) throws -> [UInt8] {
        var encoder = HPACKEncoder(tableBytesMax: 4096)
        encoder.peerAllows(tableBytes: bytes)
        return encoder.block { _, _ in }
    }

    /// A pseudo-header field.
    mutating func encode(_ line: HPACKLine, to writer: inout ByteWriter) {
        switch HPACKText.text(line.name) {
        case ":method": encode(.method, line.value.span, to: &writer)
        case ":path": encode(.path, line.value.span, to: &writer)
        case ":scheme": encode(.scheme, line.value.span, to: &writer)
        case ":authority": encode(.authority, line.value.span, to: &writer)
        case ":protocol": encode(.protocol, line.value.span, to: &writer)
        default: encode(status: Int(HPACKText.text(line.value)) ?? 0, to: &writer)
        }
    }
}
