// Every error, by the section whose rule was broken.

import HTTPWire
import Testing

@Suite("HPACK: errors")
struct HPACKErrorTests {
    struct Case: CustomTestStringConvertible {
        var name: String
        var hex: String
        var kind: HPACKError.Kind
        var position: Int
        var section: String
        var testDescription: String { name }

        init(_ name: String, _ hex: String, _ kind: HPACKError.Kind, _ position: Int, _ section: String) {
            (self.name, self.hex, self.kind, self.position, self.section) = (name, hex, kind, position, section)
        }
    }

    static let cases = [
        Case("an index whose integer is cut off", "82 ff", .truncated, 1, "5.1"),
        Case("an index whose integer goes on", "ff80", .truncated, 0, "5.1"),
        Case("a literal without a name", "40", .truncated, 0, "5.1"),
        Case("a literal without a value", "8240 0161", .truncated, 1, "5.1"),
        Case("a literal with an indexed name without a value", "44", .truncated, 0, "5.1"),
        Case("a name length that is cut off", "007f", .truncated, 0, "5.1"),
        Case("a value length that is cut off", "82 047f 80", .truncated, 1, "5.1"),
        Case("a size update that is cut off", "3f", .truncated, 0, "5.1"),
        Case("an index of 33 bits", "ff 8080 8080 10", .integerTooLarge, 0, "5.1"),
        Case("an index of six more bytes", "ff 8080 8080 8000", .integerTooLarge, 0, "5.1"),
        Case("a length of 64 bits", "007f ffff ffff ffff ffff ff01", .integerTooLarge, 0, "5.1"),
        Case("a size of 33 bits", "3f ffff ffff ff", .integerTooLarge, 0, "5.1"),
        Case("a name beyond the end", "0005 6162 6364", .stringBeyondBlock, 0, "5.2"),
        Case("a value beyond the end", "8200 0161 0262", .stringBeyondBlock, 1, "5.2"),
        Case("a value of 4 GiB", "0001 617f 80ff ffff 0f", .stringBeyondBlock, 0, "5.2"),
        Case("a Huffman-coded value beyond the end", "0484 1c64", .stringBeyondBlock, 0, "5.2"),
        Case("index 0", "8280", .indexZero, 1, "6.1"),
        Case("the first index behind an empty table", "be", .indexBeyondTable, 0, "2.3.3"),
        Case("the second index of a table of one", "4001 6101 62be bf", .indexBeyondTable, 6, "2.3.3"),
        Case("the largest index", "ff80 ffff ff0f", .indexBeyondTable, 0, "2.3.3"),
        Case("the name of an entry that is not there", "7f00 0161", .indexBeyondTable, 0, "2.3.3"),
        Case("the name of an entry that is not there, not indexed", "0f2f 0161", .indexBeyondTable, 0, "2.3.3"),
        Case("a table larger than announced", "3fe2 1f", .sizeUpdateTooLarge, 0, "6.3"),
        Case("a second table larger than announced", "203f e21f", .sizeUpdateTooLarge, 1, "6.3"),
        Case("a size update behind a field", "8220", .sizeUpdateLate, 1, "4.2"),
        Case("a size update behind a literal", "203f e11f 0001 6101 6220", .sizeUpdateLate, 9, "4.2"),
        Case("no padding but a whole byte of it", "0081 ff01 61", .huffmanPadding, 0, "5.2"),
        Case("eight bits of padding", "0001 6182 1fff", .huffmanPadding, 0, "5.2"),
        Case("padding of zeros", "8200 0161 8118", .huffmanPadding, 1, "5.2"),
        Case("padding with a zero", "0001 6181 1e", .huffmanPadding, 0, "5.2"),
        Case("a code that is cut off", "0001 6182 ffc0", .huffmanPadding, 0, "5.2"),
        Case("EOS alone", "0001 6184 ffff ffff", .huffmanEOS, 0, "5.2"),
        Case("EOS behind a symbol", "0001 6185 1fff ffff ff", .huffmanEOS, 0, "5.2"),
        Case("EOS in a name", "0085 1fff ffff ff01 61", .huffmanEOS, 0, "5.2"),
        Case("EOS in a long value", "0001 618c 1fff ffff fc63 1863 1863 1863", .huffmanEOS, 0, "5.2"),
    ]

    @Test("each is told by kind, byte and section, whatever room there is", arguments: cases)
    func kinds(_ test: Case) {
        let error = HPACKError(test.kind, at: test.position)
        for (bytesMax, fieldsMax) in [(4096, 16), (0, 16), (4096, 0), (3, 1)] {
            var decoder = HPACKDecoder(tableBytesMax: 4096)
            var fields = HPACKFields(bytesMax: bytesMax, fieldsMax: fieldsMax, listBytesMax: 4096)
            #expect(throws: error) { try decoder.decode(HPACKText.bytes(test.hex).span, into: &fields) }
        }
        #expect("\(error.section)" == "RFC 7541, \(test.section)")
    }

    @Test("every kind has a case, a section and a text of its own")
    func texts() {
        let others: Set<HPACKError.Kind> = [.sizeUpdateMissing, .listTooLarge]
        #expect(Set(Self.cases.map(\.kind)).union(others) == Set(HPACKError.Kind.allCases))
        #expect(Set(HPACKError.Kind.allCases.map { "\(HPACKError($0, at: 0).text)" }).count == 11)
        for kind in HPACKError.Kind.allCases {
            #expect("\(HPACKError(kind, at: 9))".hasSuffix("byte 9 of the block)"))
        }
    }

    @Test("what was announced counts from its acknowledgement on: 4.2")
    func acknowledgement() throws {
        var decoder = HPACKDecoder(tableBytesMax: 100)
        // The default still holds.
        #expect(try decoder.lines("3fe1 1f 4001 6101 62").count == 1)
        decoder.announcementAcknowledged()
        // A block without fields says nothing wrong.
        #expect(try decoder.lines("").isEmpty)
        var strict = decoder
        #expect(throws: HPACKError(.sizeUpdateMissing, at: 0)) { try strict.lines("82") }
        #expect(throws: HPACKError(.sizeUpdateTooLarge, at: 0)) { try decoder.lines("3f46 82") }
        decoder = HPACKDecoder(tableBytesMax: 100)
        _ = try decoder.lines("4001 6101 62")
        decoder.announcementAcknowledged()
        #expect(try decoder.lines("3f45 be") == [HPACKLine("a", "b")])
        #expect(try decoder.lines("be") == [HPACKLine("a", "b")])
        // One that stayed below all the time need not say so.
        decoder = HPACKDecoder(tableBytesMax: 100)
        _ = try decoder.lines("3f01")
        decoder.announcementAcknowledged()
        #expect(try decoder.lines("82").count == 1)
        // More than the default asks nothing of the peer.
        decoder = HPACKDecoder(tableBytesMax: 8192)
        decoder.announcementAcknowledged()
        #expect(try decoder.lines("82").count == 1)
        #expect(try decoder.lines("3fe1 3f82").count == 1)
        #expect(throws: HPACKError(.sizeUpdateTooLarge, at: 0)) { try decoder.lines("3fe2 3f82") }
    }

    @Test("few bytes that stand for many are given up: 7.3")
    func bomb() throws {
        let value = [UInt8](repeating: 0x61, count: 4000)
        var bytes = HPACKText.bytes("40 01 62") + HPACKReferenceEncoder.string(value, isHuffman: false)
        bytes += [UInt8](repeating: 0xBE, count: 5000)
        var decoder = HPACKDecoder(tableBytesMax: 4096)
        var fields = HPACKFields(bytesMax: 65_536, fieldsMax: 128, listBytesMax: 1 << 20)
        let start = bytes.count - 5000
        #expect(throws: HPACKError(.listTooLarge, at: start + (1 << 20) / 4033 - 1)) {
            try decoder.decode(bytes.span, into: &fields)
        }
        #expect(fields.hasOverflowed)
        #expect(fields.entries.count == 16)
    }
}
