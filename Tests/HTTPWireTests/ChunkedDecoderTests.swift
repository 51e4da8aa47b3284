// The chunked coding (rules 5 to 7 and the trailers of rule 15).

import HTTPWire
import Limits
import Testing

@Suite("Chunked bodies (rules 5, 6, 7)")
struct ChunkedDecoderTests {
    private func decode(_ text: String) -> Verdict<WireProperties.Decoded> {
        WireProperties.decode(text.latin1, lengths: [])
    }

    @Test(
        "accepted",
        arguments: [
            ("0\r\n\r\n", ""), ("5\r\nhello\r\n0\r\n\r\n", "hello"), ("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde"),
            ("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"),
            ("000000000000005\r\nhello\r\n0000\r\n\r\n", "hello"), ("4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"),
            ("5;a\r\nhello\r\n0\r\n\r\n", "hello"), ("5;a=b;c=\"d;e\\\"\"\r\nhello\r\n0;x\r\n\r\n", "hello"),
            ("5; a = b\t\r\nhello\r\n0\r\n\r\n", "hello"), ("5;\u{E9}\r\nhello\r\n0\r\n\r\n", "hello"),
            ("0\r\nX: y\r\n\r\n", ""),
        ])
    func accepted(_ text: String, _ body: String) throws {
        guard case .complete(let decoded) = decode(text + "GET") else {
            Issue.record("\(decode(text))")
            return
        }
        #expect(decoded.body == body.latin1)
        #expect(decoded.end == text.utf8.count || text.contains("\u{E9}") && decoded.end == text.latin1.count)
    }

    @Test(
        "refused",
        arguments: [
            ("0x5\r\nhello\r\n", WireError.Kind.badChunkSize), (" 5\r\nhello\r\n", .badChunkSize),
            ("5 \r\nhello\r\n", .badChunkSize), ("5\t;a\r\nhello\r\n", .badChunkSize), ("-5\r\n", .badChunkSize),
            ("+5\r\n", .badChunkSize), ("\r\n", .badChunkSize), (";a\r\n", .badChunkSize), ("g\r\n", .badChunkSize),
            ("5,\r\n", .badChunkSize), ("\0", .badChunkSize), ("5\u{E9}\r\n", .badChunkSize),
            ("10000000000000000\r\n", .chunkTooLarge), ("fffffffffffffffff\r\n", .chunkTooLarge),
            ("0000000000000005\r\nhello\r\n", .chunkTooLarge), ("5\nhello", .bareLineFeed), ("\n", .bareLineFeed),
            ("5\r\nhello\n", .bareLineFeed), ("0\r\n\n", .bareLineFeed), ("5;a\nb\r\n", .bareLineFeed),
            ("0\r\nX: y\n\r\n", .bareLineFeed), ("0\r\nX: y\r\n\n", .bareLineFeed), ("5\rx", .bareCarriageReturn),
            ("5;a\rb\r\n", .bareCarriageReturn), ("5\r\nhello\rx", .bareCarriageReturn),
            ("0\r\n\rx", .bareCarriageReturn), ("0\r\nX: y\rZ\r\n\r\n", .bareCarriageReturn),
            ("5\r\nhello0\r\n\r\n", .badChunkEnd), ("5\r\nhello!\r\n", .badChunkEnd), ("1\r\nxx", .badChunkEnd),
            ("5;\0\r\n", .badChunkExtension), ("5;\u{7F}\r\n", .badChunkExtension), ("5;\u{1}\r\n", .badChunkExtension),
            ("0\r\n X: y\r\n\r\n", .leadingWhiteSpace), ("0\r\nX: y\r\n z\r\n\r\n", .obsoleteFold),
            ("0\r\nX : y\r\n\r\n", .whiteSpaceBeforeColon), ("0\r\n: y\r\n\r\n", .emptyName),
            ("0\r\nX: \0\r\n\r\n", .badValue), ("0\r\nnonsense\r\n\r\n", .badName), ("0\r\n0\r\n\r\n", .badName),
        ])
    func refused(_ text: String, _ kind: WireError.Kind) {
        guard case .failed(let error) = decode(text) else {
            Issue.record("\(decode(text))")
            return
        }
        #expect(error.kind == kind)
        #expect(error.status == 400)
    }

    @Test("bounds of extensions, to the byte")
    func extensionBounds() {
        func chunk(_ count: Int) -> String { "1;" + String(repeating: "a", count: count) + "\r\nx\r\n" }
        let most = Limits.chunkExtensionBytesMax
        #expect(decode(chunk(most)) == .needsMore)
        guard case .failed(let error) = decode(chunk(most + 1)) else {
            Issue.record("accepted")
            return
        }
        #expect(error.kind == .chunkExtensionTooLong)
        let chunksMax = Limits.chunkExtensionBytesPerMessageMax / most
        #expect(decode(String(repeating: chunk(most), count: chunksMax)) == .needsMore)
        guard case .failed(let sum) = decode(String(repeating: chunk(most), count: chunksMax) + "1;a") else {
            Issue.record("accepted")
            return
        }
        #expect(sum.kind == .chunkExtensionTooLong)
    }

    @Test("bounds of trailers, to the byte and to the field")
    func trailerBounds() {
        func section(_ bytes: Int) -> String { "0\r\nX: " + String(repeating: "a", count: bytes - 7) + "\r\n\r\n" }
        guard case .complete = decode(section(Limits.trailerBytesMax)) else {
            Issue.record("refused")
            return
        }
        guard case .failed(let long) = decode(section(Limits.trailerBytesMax + 1)) else {
            Issue.record("accepted")
            return
        }
        #expect(long.kind == .trailersTooLong)
        #expect(long.status == 431)
        let fields = String(repeating: "X: y\r\n", count: Limits.trailerFieldCountMax)
        guard case .complete(let decoded) = decode("0\r\n\(fields)\r\n") else {
            Issue.record("refused")
            return
        }
        #expect(decoded.trailerFields.count == Limits.trailerFieldCountMax)
        guard case .failed(let many) = decode("0\r\n\(fields)X: y\r\n\r\n") else {
            Issue.record("accepted")
            return
        }
        #expect(many.kind == .tooManyTrailers)
    }

    @Test("what must not come in a trailer is left out")
    func trailers() throws {
        let text =
            "0\r\nX-Sum: 1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: evil\r\nAuthorization: x\r\n"
            + "Cookie: a\r\nSet-Cookie: a\r\n"
            + "Content-Type: x\r\nContent-Encoding: x\r\nCache-Control: x\r\nX-Forwarded-For: 1\r\n"
            + "X-Forwarded-New: 1\r\nCF-Ray: 1\r\n"
            + "Martlet-Ray: 1\r\nMartlet-New: 1\r\nConnection: x\r\nTrailer: x\r\nVary: x\r\n"
            + "Location: x\r\nExpect: 100-continue\r\nRange: x\r\nETag: \"a\"\r\nDate: now\r\ngrpc-status: 0\r\n\r\n"
        guard case .complete(let decoded) = decode(text) else {
            Issue.record("\(decode(text))")
            return
        }
        let lines = decoded.trailerFields.map { field in
            [field.name, field.value].map { String(bytes: decoded.trailerBytes[$0.range]) }.joined(separator: "=")
        }
        #expect(lines == ["X-Sum=1", "ETag=\"a\"", "Date=now", "grpc-status=0"])
    }

    @Test("no trailer section exists where none was sent; reset() makes a decoder new")
    func reuse() throws {
        var decoder = ChunkedDecoder(side: .response)
        let first = "0\r\nX: y\r\n\r\n".latin1
        #expect(try decoder.next(first.span, from: 0) == .end(upTo: first.count))
        #expect(decoder.isEnded)
        #expect(decoder.trailers?.fields.count == 1)
        #expect(try decoder.next(first.span, from: 3) == .end(upTo: 3))
        decoder.reset()
        #expect(!decoder.isEnded)
        #expect(decoder.trailers == nil)
        let second = "1;a\r\nx\r\n0\r\n\r\n".latin1
        #expect(try decoder.next(second.span, from: 0) == .data(5..<6))
        #expect(decoder.chunkBytesLeft == 0)
        #expect(try decoder.next(second.span, from: 6) == .end(upTo: second.count))
        #expect(decoder.trailers == nil)
    }

    @Test("an error is repeated for ever, and an origin's is answered with 502")
    func poisoned() {
        var decoder = ChunkedDecoder(side: .response)
        let bad = "x".latin1
        let good = "0\r\n\r\n".latin1
        let expected = WireError(.badChunkSize, side: .response, at: 0)
        #expect(throws: expected) { try decoder.next(bad.span, from: 0) }
        #expect(throws: expected) { try decoder.next(good.span, from: 0) }
        #expect(throws: expected) { try decoder.next([UInt8]().span, from: 0) }
        #expect(expected.status == 502)
    }

    @Test("offsets outside the bytes do no harm")
    func offsets() throws {
        var decoder = ChunkedDecoder(side: .request)
        let bytes = "5\r\nhe".latin1
        #expect(try decoder.next(bytes.span, from: 99) == .needsMore(consumed: 99))
        #expect(try decoder.next(bytes.span, from: -1) == .data(3..<5))
        #expect(decoder.chunkBytesLeft == 3)
    }

    @Test("the largest chunk size")
    func largest() throws {
        var decoder = ChunkedDecoder(side: .request)
        let bytes = "fffffffffffffff\r\nx".latin1
        #expect(try decoder.next(bytes.span, from: 0) == .data(17..<18))
        #expect(decoder.chunkBytesLeft == (1 << 60) - 2)
    }

    @Test("what is written is read back")
    func roundTrip() throws {
        var encoded: [UInt8] = []
        var body: [UInt8] = []
        for size in [1, 9, 10, 15, 16, 255, 256, 4095, 4096] {
            let data = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
            encoded +=
                written(8) { $0.write(chunkSize: UInt64(size)) } + data
                + written(2) { $0.write(ChunkedCoding.chunkEnd) }
            body += data
        }
        encoded += written(5) { $0.write(ChunkedCoding.end) }
        #expect(WireProperties.chunked(encoded) == nil)
        guard case .complete(let decoded) = WireProperties.decode(encoded, lengths: []) else {
            Issue.record("refused")
            return
        }
        #expect(decoded.body == body)
        #expect(decoded.end == encoded.count)
    }
}

/// What `body` writes into a buffer of `capacity` bytes.
func written(_ capacity: Int, _ body: (inout ByteWriter) -> Void) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
        let room = UnsafeMutableBufferPointer(rebasing: buffer[..<min(capacity, buffer.count)])
        var writer = ByteWriter(UnsafeMutableRawBufferPointer(room))
        body(&writer)
        count = writer.count
    }
}
