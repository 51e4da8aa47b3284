// Writing numbers, fields and literals, and what happens at the end of the buffer.

import HTTPWire
import Testing

@Suite("ByteWriter")
struct ByteWriterTests {
    private static let samples: [UInt64] = [
        0, 1, 9, 10, 15, 16, 99, 100, 255, 256, 4095, 4096, 65_535, 1 << 32, UInt64(Int64.max), .max - 1, .max,
    ]

    @Test("numbers", arguments: samples)
    func numbers(_ number: UInt64) {
        #expect(String(bytes: written(20) { $0.write(decimal: number) }) == String(number))
        #expect(String(bytes: written(16) { $0.write(hex: number) }) == String(number, radix: 16))
        let line = written(ChunkedCoding.sizeLineBytesMax) { $0.write(chunkSize: number) }
        #expect(String(bytes: line) == String(number, radix: 16) + "\r\n")
    }

    @Test("fields and literals")
    func fields() throws {
        let input = RequestOutcome(
            "GET / HTTP/1.1\r\nHost: a\r\nX-A:  b c \r\nConnection: X-B\r\nX-B: d\r\nX-C:\r\n\r\n")
        let head = try #require(input.head)
        let value: [UInt8] = [0x31, 0x32]
        let output = written(256) { writer in
            writer.write("HTTP/1.1 200 OK\r\n")
            writer.write(forwarded: head.fields, of: input.bytes.span)
            writer.write(field: "Content-Length", decimal: 12)
            writer.write(field: "Age", value: "0")
            value.withUnsafeBytes { writer.write(field: "X-D", value: $0) }
            writer.write(value.span)
            writer.write(byte: 0x21)
            writer.write(input.bytes.span, head.target)
        }
        let expected = "HTTP/1.1 200 OK\r\nX-A: b c\r\nX-C: \r\nContent-Length: 12\r\nAge: 0\r\nX-D: 12\r\n12!/"
        #expect(String(bytes: output) == expected)
    }

    @Test("a write that does not fit writes nothing, and neither do those behind it")
    func overflow() {
        let output = written(5) { writer in
            writer.write("abc")
            #expect(writer.room == 2)
            #expect(!writer.hasOverflowed)
            writer.write("def")
            #expect(writer.hasOverflowed)
            writer.write("g")
            writer.write(decimal: 1)
            writer.write(hex: 1)
            writer.write(byte: 1)
        }
        #expect(output == Array("abc".utf8))
    }

    @Test("an exact fit is no overflow, nothing at all always fits")
    func exactFit() {
        let output = written(3) { writer in
            writer.write("abc")
            writer.write("")
            writer.write([UInt8]().span)
            #expect(!writer.hasOverflowed)
            #expect(writer.room == 0)
        }
        #expect(output.count == 3)
        var empty = ByteWriter(UnsafeMutableRawBufferPointer(start: nil, count: 0))
        empty.write("")
        #expect(!empty.hasOverflowed)
        empty.write("a")
        #expect(empty.hasOverflowed)
        #expect(empty.count == 0)
    }

    @Test("numbers and dates are written whole or not at all")
    func wholeOrNot() {
        #expect(written(2) { $0.write(decimal: 100) } == [])
        #expect(written(2) { $0.write(hex: 0x100) } == [])
        #expect(written(28) { HTTPDate.write(0, to: &$0) } == [])
    }

    @Test("a range that lies outside the bytes is an overflow")
    func outside() {
        let output = written(8) { writer in
            writer.write([1, 2, 3].span, ByteRange(start: 2, count: 2))
            #expect(writer.hasOverflowed)
        }
        #expect(output == [])
    }
}
