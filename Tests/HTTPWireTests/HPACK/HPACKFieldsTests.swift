// Where decoded fields lie: bounds, what is thrown away, and what is added.

import HTTPWire
import Testing

@Suite("HPACK: fields")
struct HPACKFieldsTests {
    private func decoded(_ hex: String, bytesMax: Int, fieldsMax: Int = 100) throws -> (HPACKFields, HPACKDecoder) {
        var fields = HPACKFields(bytesMax: bytesMax, fieldsMax: fieldsMax, listBytesMax: 1 << 20)
        var decoder = HPACKDecoder(tableBytesMax: 4096)
        try decoder.decode(HPACKText.bytes(hex).span, into: &fields)
        return (fields, decoder)
    }

    @Test("pseudo-header fields are told by kind and take no bytes for their names")
    func pseudo() throws {
        let (fields, _) = try decoded("82 84 87 88 4103 612e 62 0009 3a70 726f 746f 636f 6c01 78", bytesMax: 100)
        #expect(fields.entries.map(\.kind) == [.method, .path, .scheme, .status, .authority, .protocol])
        #expect(fields.entries.allSatisfy { $0.name.isEmpty && $0.isWellFormed })
        #expect(fields.byteCount == "GET/https200a.bx".utf8.count)
        #expect(fields.listBytes == 42 + 38 + 44 + 42 + 45 + 42)
        #expect(MemoryLayout<HPACKFields.Kind>.size == 1)
    }

    @Test("exactly as many bytes and fields as there is room for are kept")
    func bounds() throws {
        // a: bb, cc: d, GET
        let hex = "4001 6102 6262 4002 6363 0164 82"
        for bytesMax in 0...10 {
            let (fields, decoder) = try decoded(hex, bytesMax: bytesMax)
            #expect(fields.entries.count == (bytesMax < 3 ? 0 : bytesMax < 6 ? 1 : bytesMax < 9 ? 2 : 3))
            #expect(fields.hasOverflowed == (bytesMax < 9))
            #expect(fields.listBytes == 35 + 35 + 42)
            #expect(decoder.entries == [HPACKLine("cc", "d"), HPACKLine("a", "bb")])
        }
        for fieldsMax in 0...4 {
            let (fields, decoder) = try decoded(hex, bytesMax: 100, fieldsMax: fieldsMax)
            #expect(fields.entries.count == min(fieldsMax, 3))
            #expect(fields.hasOverflowed == (fieldsMax < 3))
            #expect(decoder.entries.count == 2)
        }
    }

    @Test("nothing is kept behind what did not fit")
    func order() throws {
        let (fields, _) = try decoded("0001 6106 6262 6262 6262 0001 6101 62", bytesMax: 4)
        #expect(fields.entries.isEmpty)
        #expect(fields.hasOverflowed)
    }

    @Test("what is Huffman-coded has room if it fits exactly")
    func exact() throws {
        // Eight times "a" in five bytes; no longer than eight bytes, which the coded length alone would not tell.
        let hex = "0001 6285 18c6 318c 63"
        let (fields, _) = try decoded(hex, bytesMax: 9)
        #expect(fields.lines == [HPACKLine("b", "aaaaaaaa")])
        let (none, _) = try decoded(hex, bytesMax: 8)
        #expect(none.hasOverflowed)
        let long = [UInt8](repeating: 0xFE, count: 30)
        let block = [0, 1, 0x61] + HPACKReferenceEncoder.string(long, isHuffman: true)
        var decoder = HPACKDecoder(tableBytesMax: 4096)
        var room = HPACKFields(bytesMax: 31, fieldsMax: 1, listBytesMax: 100)
        try decoder.decode(block.span, into: &room)
        #expect(room.lines == [HPACKLine([0x61], long)])
    }

    @Test("the table gets what the fields have no room for, and is emptied by what it has no room for: 4.4")
    func thrownAway() throws {
        let value = [UInt8](repeating: 0x7A, count: 4063)
        for isHuffman in [false, true] {
            var fields = HPACKFields(bytesMax: 10, fieldsMax: 1, listBytesMax: 1 << 20)
            var decoder = HPACKDecoder(tableBytesMax: 4096)
            let fits = HPACKText.bytes("40 01 61") + HPACKReferenceEncoder.string(value, isHuffman: isHuffman)
            try decoder.decode(fits.span, into: &fields)
            #expect(decoder.entries == [HPACKLine([0x61], value)])
            // The name of the entry that goes.
            let next = HPACKText.bytes("7e") + HPACKReferenceEncoder.string([0x62], isHuffman: isHuffman)
            try decoder.decode(next.span, into: &fields)
            #expect(decoder.entries == [HPACKLine("a", "b")])
            let larger = HPACKText.bytes("7e") + HPACKReferenceEncoder.string(value + [0], isHuffman: isHuffman)
            try decoder.decode(larger.span, into: &fields)
            #expect(decoder.entries.isEmpty)
            #expect(fields.hasOverflowed && fields.entries.isEmpty)
            // In front of :authority, whose name is not kept, the same.
            let authority = HPACKText.bytes("41") + HPACKReferenceEncoder.string(value + [0], isHuffman: isHuffman)
            try decoder.decode(authority.span, into: &fields)
            #expect(decoder.entries.isEmpty)
            let path =
                HPACKText.bytes("44") + HPACKReferenceEncoder.string(Array(value.dropLast(4)), isHuffman: isHuffman)
            try decoder.decode(path.span, into: &fields)
            #expect(decoder.entries == [HPACKLine(":path".latin1, Array(value.dropLast(4)))])
        }
    }

    @Test("the form of names and values is judged once, and remembered by the table")
    func forms() throws {
        let fields: [(String, String, Bool)] = [
            ("a", "b", true), ("a", "", true), ("a", "b c", true), ("a", "b\tc", true), ("a", "\u{80}\u{FF}", true),
            ("a-longer-name", "and a longer value, of more than a word", true), ("", "b", false), ("A", "b", false),
            ("content-Type", "b", false), ("a b", "b", false), ("a:", "b", false), ("a\u{80}", "b", false),
            ("a", " b", false), ("a", "b ", false), ("a", "\tb", false), ("a", "b\t", false), ("a", "\r\n", false),
            ("a", "b\0", false), ("a", "b\u{7F}c", false), ("a", "long enough for words\nand more", false),
            ("a", "a tab\tis allowed, a line feed\n not", false), ("a", "tab\tand \u{FF}, which is no DEL", true),
            (":path", "/", true), (":other", "b", true), (":", "b", false), (":Path", "/", false),
            (":pa th", "/", false),
            (":path", "/ ", false), (":status", "2\u{1}", false),
        ]
        for (name, value, isWellFormed) in fields {
            for isHuffman in [false, true] {
                var encoder = HPACKReferenceEncoder()
                let line = HPACKLine(name, value)
                var block = encoder.encode(line, .incremental, isHuffman: isHuffman, usesNames: false)
                block += [0xBE] + encoder.encode(HPACKLine(name, "x"), .without, isHuffman: isHuffman)
                var decoder = HPACKDecoder(tableBytesMax: 4096)
                var fields = HPACKFields(roomy: ())
                try decoder.decode(block.span, into: &fields)
                #expect(fields.lines == [line, line, HPACKLine(name, "x")])
                #expect(fields.entries[0].isWellFormed == isWellFormed, "\(line)")
                #expect(fields.entries[1].isWellFormed == isWellFormed, "\(line)")
                let hasGoodName = isWellFormed || ["a", ":path", ":status"].contains(name)
                #expect(fields.entries[2].isWellFormed == hasGoodName, "\(line)")
            }
        }
    }

    @Test("blocks follow each other, and clear forgets them")
    func clear() throws {
        var (fields, decoder) = try decoded("4001 6101 62", bytesMax: 6)
        try decoder.decode(HPACKText.bytes("be").span, into: &fields)
        #expect(fields.lines == [HPACKLine("a", "b"), HPACKLine("a", "b")])
        try decoder.decode(HPACKText.bytes("82").span, into: &fields)
        #expect(fields.hasOverflowed)
        fields.clear()
        #expect(fields.byteCount == 0 && fields.entries.isEmpty && !fields.hasOverflowed && fields.listBytes == 0)
        try decoder.decode(HPACKText.bytes("82").span, into: &fields)
        #expect(fields.lines == [HPACKLine(":method", "GET")])
    }

    @Test("what is put together behind the decoded bytes")
    func append() throws {
        var (fields, _) = try decoded("0001 6103 626364", bytesMax: 10)
        let start = fields.byteCount
        let value = fields.entries[0].value
        // In this order: what does not fit leaves all as it is.
        let isDone = [
            fields.append(value), fields.append("; "), fields.append(value), fields.append("; "),
            fields.append(ByteRange(start: 0, count: 1)), fields.append(ByteRange(start: 10, count: 1)),
            fields.append(ByteRange(start: .max, count: .max)),
        ]
        #expect(isDone == [true, true, false, false, true, false, false])
        #expect(fields.hasOverflowed)
        #expect(Array(fields.bytes[start..<fields.byteCount]) == "bcd; a".latin1)
    }
}
