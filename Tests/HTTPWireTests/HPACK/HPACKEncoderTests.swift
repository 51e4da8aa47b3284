// What the encoder leaves out, what it puts into the table and what it keeps from it, and how much room it takes.

import HTTPWire
import Testing

@Suite("HPACK: the encoder")
struct HPACKEncoderTests {
    /// The forms of RFC 7541, section 6, by the first byte.
    enum Form: Equatable { case indexed, incremental, without, never, update }

    /// An encoder and what reads it: the form of each representation of each block.
    private struct Forms {
        var encoder: HPACKEncoder
        var decoder = HPACKReferenceDecoder()

        init(isShared: Bool = false) { encoder = HPACKEncoder(tableBytesMax: 4096, isShared: isShared) }

        mutating func forms(_ lines: String) -> [Form] { forms(encoder.block(lines)) }

        mutating func forms(_ block: [UInt8]) -> [Form] {
            var forms: [Form] = []
            var start = 0
            while start < block.count {
                // As long as it can be decoded by itself.
                guard let end = (start + 1...block.count).first(where: { isWhole(Array(block[start..<$0])) }) else {
                    Issue.record("\(block) cannot be decoded from \(start) on")
                    return forms
                }
                switch block[start] {
                case 0x80...: forms.append(.indexed)
                case 0x40...: forms.append(.incremental)
                case 0x20...: forms.append(.update)
                case 0x10...: forms.append(.never)
                default: forms.append(.without)
                }
                start = end
            }
            return forms
        }

        private mutating func isWhole(_ field: [UInt8]) -> Bool {
            var attempt = decoder
            guard (try? attempt.decode(field)) != nil else { return false }
            decoder = attempt
            return true
        }
    }

    private func decode(_ block: [UInt8]) throws -> [HPACKLine] {
        var decoder = HPACKReferenceDecoder()
        return try decoder.decode(block).map { HPACKLine($0.name, $0.value) }
    }

    @Test("lines end at an empty line, and count their bytes")
    func lines() throws {
        let cases: [(String, [HPACKLine], Int)] = [
            ("", [], 0), ("\r\n", [], 2), ("\n", [], 1), ("\r\nA: b\r\n", [], 2),
            ("X-A: b\r\n\r\nX-C: d\r\n", [HPACKLine("x-a", "b")], 10),
            ("X-A: b\r\nx-c:d\r\n", [HPACKLine("x-a", "b"), HPACKLine("x-c", "d")], 15),
            ("X-A:  b c \t\r\n", [HPACKLine("x-a", "b c")], 13), ("X-A:\r\n", [HPACKLine("x-a", "")], 6),
            ("X-A:  \r\n", [HPACKLine("x-a", "")], 8), ("X-A: b", [HPACKLine("x-a", "b")], 6),
            ("X-A:", [HPACKLine("x-a", "")], 4),
            ("X-A: b:c\nX-D: e\n\n", [HPACKLine("x-a", "b:c"), HPACKLine("x-d", "e")], 17),
            ("X-A\r\nX-B: c\r\n", [HPACKLine("x-b", "c")], 13),
            (": b\r\n:path: /\r\nX-B: c\r\n", [HPACKLine("x-b", "c")], 23),
            ("X-A", [], 3), ("LONG-NAME-OF-ÀÉ: b\r\n", [HPACKLine("long-name-of-ÀÉ", "b")], 20),
            ("[\\]^_`{|}~@AZ: b\r\n", [HPACKLine("[\\]^_`{|}~@az", "b")], 18),
        ]
        for (text, expected, count) in cases {
            var used = 0
            var encoder = HPACKEncoder(tableBytesMax: 4096)
            let block = encoder.block { encoder, writer in used = encoder.encode(lines: text.latin1.span, to: &writer) }
            #expect(try decode(block) == expected, "\(text)")
            #expect(used == count, "\(text)")
        }
    }

    @Test("fields that HTTP/2 does not have are left out: RFC 9113, 8.2.2")
    func omitted() throws {
        let text = """
            Connection: close\r\nKeep-Alive: timeout=5\r\nProxy-Connection: close\r\nTransfer-Encoding: chunked\r
            Upgrade: h2c\r\nHost: a\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nTE: gzip\r\nTE: trailers, gzip\r\nTE:\r
            te: Trailers\r\nX-A: b\r\n
            """
        var encoder = HPACKEncoder(tableBytesMax: 4096)
        let expected = [HPACKLine("te", "Trailers"), HPACKLine("x-a", "b")]
        #expect(try decode(encoder.block(text)) == expected)
        encoder = HPACKEncoder(tableBytesMax: 4096)
        let bytes = text.latin1
        var fields: ContiguousArray<Field> = []
        var position = 0
        for line in text.split(separator: "\r\n", omittingEmptySubsequences: false).map({ String($0).latin1 }) {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
            let name = ByteRange(start: UInt32(position), count: UInt32(colon))
            let start = min(line.count, colon + 2)
            let value = ByteRange(start: UInt32(position + start), count: UInt32(line.count - start))
            let known = KnownField.identify(bytes.span, name)
            fields.append(Field(name: name, value: value, known: known, isDropped: false))
            fields.append(Field(name: name, value: value, known: known, isDropped: true))
            position += line.count + 2
        }
        // Ranges that lie outside, a name that is empty, one that is a pseudo-header field's.
        fields.append(Field(name: .empty, value: .empty, known: .other, isDropped: false))
        let beyond = ByteRange(start: UInt32(bytes.count), count: 1)
        fields.append(Field(name: beyond, value: .empty, known: .other, isDropped: false))
        fields.append(Field(name: ByteRange(start: 0, count: 1), value: beyond, known: .other, isDropped: false))
        let colon = ByteRange(start: 10, count: 1)
        fields.append(Field(name: colon, value: .empty, known: .other, isDropped: false))
        let block = encoder.block { encoder, writer in encoder.encode(fields: fields, of: bytes.span, to: &writer) }
        #expect(try decode(block) == expected)
    }

    @Test(
        "each kind of field has its form, first and then again",
        arguments: [
            ("Server: a", Form.incremental, Form.indexed), ("Content-Type: text/css", .incremental, .indexed),
            ("Date: Sun, 23 Nov 2025 10:12:13 GMT", .incremental, .indexed), ("Link: a", .incremental, .indexed),
            ("X-Frame-Options: DENY", .incremental, .indexed), ("TE: trailers", .incremental, .indexed),
            ("Strict-Transport-Security: max-age=1", .incremental, .indexed), ("X-Empty: ", .incremental, .indexed),
            ("X-Token:abc", .never, .never), ("X-Empty:", .never, .never), ("Server:a", .never, .never),
            ("Authorization: Basic abc", .never, .never), ("Cookie: a=b", .never, .never),
            ("Cookie: session=0123456789abcdefghijklmnopqrstuvwxyz", .never, .never),
            ("Set-Cookie: a=b", .never, .never), ("Proxy-Authorization: a", .never, .never),
            ("Age: 1", .without, .without), ("ETag: \"a\"", .without, .without), ("Location: /", .without, .without),
            ("Content-Length: 5", .without, .without), ("Last-Modified: x", .without, .without),
            ("Martlet-Ray: 0123", .incremental, .without), ("Cache-Status: a; hit", .incremental, .without),
            ("Traceparent: 00-0", .incremental, .without),
        ])
    func form(_ line: String, _ first: Form, _ again: Form) throws {
        for isShared in [false, true] {
            var reader = Forms(isShared: isShared)
            let block = reader.encoder.block("\(line)\r\n\(line)\r\n")
            let name = line.prefix { $0 != ":" }.lowercased()
            let isUnknown = name.hasPrefix("x-") || name == "link"
            let isLiteral = isShared && isUnknown && first != .never
            #expect(reader.forms(block) == (isLiteral ? [.without, .without] : [first, again]))
            let expected = HPACKLine(name, String(line.dropFirst(name.count + 1)).trimmingSpace)
            #expect(try decode(block) == [expected, expected])
        }
    }

    @Test("what a shared connection may put into the table of names it does not know")
    func shared() {
        var reader = Forms(isShared: true)
        #expect(reader.forms("Sec-CH-UA-Mobile: ?0\r\nsec-fetch-site: none\r\n") == [.incremental, .incremental])
        #expect(reader.forms("Sec-WebSocket-Key: a\r\nX-API-Key: b\r\n") == [.without, .without])
        #expect(reader.forms("User-Agent: a\r\n") == [.incremental])
    }

    @Test("a name whose value changes again and again leaves the table to others")
    func changing() {
        var reader = Forms()
        let unknown = (0..<10).map { reader.forms("X-Request-Id: \($0)\r\n")[0] }
        #expect(unknown == Array(repeating: .incremental, count: 3) + Array(repeating: .without, count: 7))
        let known = (0..<10).map { reader.forms("Cache-Control: max-age=\($0)\r\n")[0] }
        #expect(known == Array(repeating: .incremental, count: 8) + [.without, .without])
        // All of those are found again.
        for value in 0..<8 { #expect(reader.forms("Cache-Control: max-age=\(value)\r\n") == [.indexed]) }
        // The date is not: the last one is all that comes again.
        for second in 10..<60 {
            let line = "Date: Sun, 23 Nov 2025 10:12:\(second) GMT\r\n"
            #expect(reader.forms(line + line) == [.incremental, .indexed])
        }
    }

    @Test("what would take half of the table is not put there")
    func large() {
        var encoder = HPACKEncoder(tableBytesMax: 4096)
        let most = String(repeating: "a", count: 2048 - 32 - 6)
        // The first byte tells literals with and without indexing apart.
        let larger = encoder.block("Server: \(most)a\r\n")
        #expect(larger.prefix(2) == [0x0F, 54 - 15])
        let largest = encoder.block("Server: \(most)\r\n")
        #expect(largest.first == UInt8(0x40 | 54))
    }

    @Test("the status: one byte where the static table has it, else three digits")
    func status() throws {
        for (status, text) in [(-1, "500"), (0, "500"), (99, "500"), (1000, "500"), (Int.max, "500"), (100, "100")] {
            var encoder = HPACKEncoder(tableBytesMax: 4096)
            let block = encoder.block { encoder, writer in encoder.encode(status: status, to: &writer) }
            #expect(try decode(block) == [HPACKLine(":status", text)])
        }
        var reader = Forms()
        var reference = HPACKReferenceDecoder()
        for status in 100...599 {
            let block = reader.encoder.block { encoder, writer in
                encoder.encode(status: status, to: &writer)
                encoder.encode(status: status, to: &writer)
            }
            let isStatic = [200, 204, 206, 304, 400, 404, 500].contains(status)
            let repeated: [Form] = status < 108 ? [.incremental, .indexed] : [.without, .without]
            #expect(reader.forms(block) == (isStatic ? [.indexed, .indexed] : repeated), "\(status)")
            #expect(block.count == (isStatic ? 2 : block.count))
            let line = HPACKLine(":status", "\(status)")
            #expect(try reference.decode(block) == [line, line])
        }
    }

    @Test("fields by name, with what the static table has as a whole")
    func names() throws {
        let whole: [(HPACKName, StaticString, UInt8)] = [
            (.method, "GET", 0x82), (.method, "POST", 0x83), (.path, "/", 0x84), (.path, "/index.html", 0x85),
            (.scheme, "http", 0x86), (.scheme, "https", 0x87),
        ]
        for (name, value, byte) in whole {
            var encoder = HPACKEncoder(tableBytesMax: 4096)
            #expect(encoder.block { $0.encode(name, value, to: &$1) } == [byte])
        }
        for name in HPACKName.allCases {
            let text = name == .protocol || name.rawValue < 5 ? ":\(name)" : name.fieldName
            var encoder = HPACKEncoder(tableBytesMax: 4096)
            let value = "GET/index.html".latin1
            let block = encoder.block { encoder, writer in
                encoder.encode(name, value.span, to: &writer)
                encoder.encode(name, ByteRange(start: 3, count: 6), of: value.span, to: &writer)
                encoder.encode(name, ByteRange(start: 3, count: 60), of: value.span, to: &writer)
                encoder.encode(name, "GET/index.html", to: &writer)
            }
            let values = ["GET/index.html", "/index", "", "GET/index.html"]
            #expect(try decode(block) == values.map { HPACKLine(text, $0) })
        }
        var encoder = HPACKEncoder(tableBytesMax: 4096)
        for length: UInt64 in [0, 9, 1234, .max] {
            let block = encoder.block { $0.encode(contentLength: length, to: &$1) }
            #expect(try decode(block) == [HPACKLine("content-length", "\(length)")])
        }
        let lines = encoder.block { $0.encode(lines: "Server: a\r\n\r\n", to: &$1) }
        #expect(try decode(lines) == [HPACKLine("server", "a")])
    }

    @Test("sizes: the smallest since the last block, then the last: 4.2")
    func sizes() {
        func updates(_ own: Int, _ allowed: [[Int]]) -> [[UInt8]] {
            var encoder = HPACKEncoder(tableBytesMax: own)
            return allowed.map { sizes in
                for size in sizes { encoder.peerAllows(tableBytes: size) }
                return encoder.block { _, _ in }
            }
        }
        func update(_ sizes: Int...) -> [UInt8] { sizes.flatMap { HPACKReferenceEncoder.integer($0, 5, 0x20) } }
        #expect(updates(4096, [[], [4096], [10_000]]) == [[], [], []])
        #expect(updates(1000, [[], [], [500], [500], [4096]]) == [update(1000), [], update(500), [], update(1000)])
        #expect(updates(10_000, [[], [8192], [20_000], [.max]]) == [[], update(8192), update(10_000), []])
        #expect(
            updates(4096, [[0, 4096], [100, 50, 200], [300, 100]]) == [update(0, 4096), update(50, 200), update(100)])
        #expect(updates(0, [[], [4096], [0]]) == [update(0), [], []])
        #expect(updates(4096, [[-1], [.min]]) == [update(0), []])
    }

    @Test("an entry that size updates evict is not referred to")
    func evicted() throws {
        var encoder = HPACKEncoder(tableBytesMax: 4096)
        var reference = HPACKReferenceDecoder()
        let line = [HPACKLine("server", "a")]
        for sizes in [[4096], [0, 4096], [10], [4096], [4096], [0], [40]] {
            for size in sizes { encoder.peerAllows(tableBytes: size) }
            #expect(try reference.decode(encoder.block(line)) == line)
        }
    }

    @Test("what there is no room for is not written, and the writer says so")
    func room() throws {
        let text = "Server: a\r\nX-B: \(String(repeating: "\u{FE}", count: 200))\r\n"
        let bound = HPACKEncoder.boundBytes(lineBytes: text.latin1.count, fieldCount: 2)
        for bytes in 0...bound {
            var memory = [UInt8](repeating: 0xA5, count: bytes + 64)
            var hasOverflowed = false
            memory.withUnsafeMutableBytes { whole in
                var writer = ByteWriter(UnsafeMutableRawBufferPointer(rebasing: whole.prefix(bytes)))
                var encoder = HPACKEncoder(tableBytesMax: 100)
                encoder.begin(to: &writer)
                encoder.encode(lines: text.latin1.span, to: &writer)
                hasOverflowed = writer.hasOverflowed
            }
            #expect(memory[bytes...].allSatisfy { $0 == 0xA5 }, "\(bytes)")
            if bytes == bound || bytes < 200 { #expect(hasOverflowed == (bytes < 200), "\(bytes)") }
        }
        #expect(HPACKEncoder.boundBytes(lineBytes: .max, fieldCount: .max) == .max)
        #expect(HPACKEncoder.boundBytes(lineBytes: .max, fieldCount: 0) == .max)
        #expect(HPACKEncoder.boundBytes(lineBytes: -1, fieldCount: -1) < 128)
    }

    @Test("the static table's names are found, also those without a meaning here")
    func staticNames() throws {
        for line in HPACKReferenceTable.fixed where line.name.first != UInt8(ascii: ":") {
            var encoder = HPACKEncoder(tableBytesMax: 0)
            _ = encoder.block { _, _ in }
            let block = encoder.block([HPACKLine(line.name, "xyz".latin1)])
            let isOmitted = ["host", "transfer-encoding"].contains(HPACKText.text(line.name))
            // One byte or two of index, a length, and at most three bytes.
            #expect(block.count <= (isOmitted ? 0 : 6), "\(line)")
        }
        #expect(KnownField.allCases.count <= 72, "the encoder's buckets begin behind these")
    }

    @Test("Huffman code only where it is shorter")
    func huffman() throws {
        var encoder = HPACKEncoder(tableBytesMax: 0)
        _ = encoder.block { _, _ in }
        for count in [0, 1, 2, 3, 30, 100, 125, 126, 127, 128, 129, 254, 255, 1000, 20_000] {
            for byte in [UInt8(ascii: "a"), UInt8(ascii: "X"), UInt8(ascii: "&"), 0xFE] {
                let value = [UInt8](repeating: byte, count: count)
                let plain = HPACKReferenceEncoder.string(value, isHuffman: false)
                let coded = HPACKReferenceEncoder.string(value, isHuffman: true)
                let huffmanCount = HPACKReferenceHuffman.encode(value).count
                let block = encoder.block([HPACKLine("age".latin1, value)])
                #expect(block == [0x0F, 0x06] + (huffmanCount < count ? coded : plain), "\(count) × \(byte)")
            }
        }
    }
}

extension HPACKName {
    var fieldName: String {
        switch self {
        case .contentLength: "content-length"
        case .contentType: "content-type"
        default: "\(self)"
        }
    }
}

extension String {
    var trimmingSpace: String { String(drop { $0 == " " }) }
}
