// The buffers that an event loop shares among its connections: who still holds one must never see it change.

import Exchange
import HTTPWire
import Limits
import NIOCore
import NIOEmbedded
import Telemetry
import Testing

private let smallest = Limits.readBufferBytesRange.lowerBound
private let largest = Limits.readBufferBytesRange.upperBound

@Suite("SharedReadAllocator")
struct SharedReadAllocatorTests {
    private let buffers = ReadBuffers()

    /// The capacity of the next read, with no buffer to reuse.
    private func capacity(_ allocator: SharedReadAllocator) -> Int {
        allocator.buffer(allocator: ByteBufferAllocator()).writableBytes
    }

    @Test("the first read is small, full ones make the next larger, and at the bound it stays")
    func grows() {
        var allocator = SharedReadAllocator(buffers: buffers)
        #expect(capacity(allocator) == Limits.firstReadBytes)
        var size = Limits.firstReadBytes
        var steps = 0
        while size < largest, steps < 20 {
            #expect(allocator.record(actualReadBytes: size) == true)
            #expect(capacity(allocator) > size)
            size = capacity(allocator)
            steps += 1
        }
        for _ in 0..<10 { _ = allocator.record(actualReadBytes: size) }
        #expect(capacity(allocator) == largest)
    }

    @Test("it shrinks while reads are small, not below its bound, and not for reads that are just less than full")
    func shrinks() {
        var allocator = SharedReadAllocator(buffers: buffers)
        for _ in 0..<20 { _ = allocator.record(actualReadBytes: largest) }
        _ = allocator.record(actualReadBytes: largest / 2)
        #expect(capacity(allocator) == largest)
        _ = allocator.record(actualReadBytes: 1)
        #expect(capacity(allocator) == largest / 2)
        for _ in 0..<30 { _ = allocator.record(actualReadBytes: 0) }
        #expect(capacity(allocator) == smallest)
    }

    @Test("whatever is read, the size stays within its bounds, and NIO is told to ask for a buffer each time")
    func bounds() {
        var random = SeededGenerator(seed: 5)
        var allocator = SharedReadAllocator(buffers: buffers)
        for _ in 0..<10_000 {
            #expect(allocator.record(actualReadBytes: Int.random(in: 0...2 * largest, using: &random)) == true)
            #expect((smallest...largest).contains(capacity(allocator)))
        }
    }

    @Test("NIO is asked not to pool a buffer per channel")
    func noPool() {
        #expect(SharedReadAllocator(buffers: buffers).nextBufferSize() == nil)
    }
}

@Suite("ReadBuffers")
struct ReadBufferTests {
    private let buffers = ReadBuffers()
    private let allocator = ByteBufferAllocator()

    private func take() -> ByteBuffer { SharedReadAllocator(buffers: buffers).buffer(allocator: allocator) }

    /// Where the memory of a buffer lies.
    private func address(_ buffer: ByteBuffer) -> UInt {
        buffer.withVeryUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
    }

    @Test("a buffer given back is used again, empty")
    func reuse() {
        var buffer = take()
        buffer.writeString("secret of another client")
        let first = address(buffer)
        buffers.giveBack(buffer)
        buffer = ByteBuffer()
        let next = take()
        #expect(address(next) == first)
        #expect(next.readableBytes == 0)
        #expect(next.writableBytes >= Limits.firstReadBytes)
    }

    @Test("a slice that is still held is never overwritten")
    func held() {
        var buffer = take()
        buffer.writeString("first")
        let slice = buffer
        buffers.giveBack(buffer)
        buffer = ByteBuffer()
        var next = take()
        next.writeString("SECOND")
        #expect(String(buffer: slice) == "first")
        #expect(String(buffer: next) == "SECOND")
    }

    @Test("it holds for a long history of reads of which some slices live on")
    func history() {
        var random = SeededGenerator(seed: 6)
        var held: [(ByteBuffer, String)] = []
        for round in 0..<5_000 {
            let text = "\(round) " + String(repeating: "x", count: Int.random(in: 0...300, using: &random))
            do {
                var buffer = take()
                buffer.writeString(text)
                if Bool.random(using: &random) {
                    let from = Int.random(in: 0..<text.utf8.count, using: &random)
                    if let slice = buffer.getSlice(at: from, length: text.utf8.count - from) {
                        held.append((slice, String(text.utf8.dropFirst(from)) ?? ""))
                    }
                }
                buffers.giveBack(buffer)
            }
            if held.count > 20 { held.remove(at: Int.random(in: 0..<held.count, using: &random)) }
            if round % 50 == 0 { for (slice, expected) in held { #expect(String(buffer: slice) == expected) } }
        }
        for (slice, expected) in held { #expect(String(buffer: slice) == expected) }
    }

    @Test("a buffer beyond the bound is not kept")
    func tooLarge() {
        var buffer = allocator.buffer(capacity: 2 * largest)
        buffer.writeString("x")
        buffers.giveBack(buffer)
        #expect(take().storageCapacity <= largest)
    }
}

@Suite("EdgeLoop")
struct EdgeLoopTests {
    private let loop = EdgeLoop(eventLoop: EmbeddedEventLoop(), index: 0, metrics: LoopMetrics(), accessLog: nil)

    @Test("an output buffer comes empty, and never while what was written last is still waiting")
    func output() {
        var first = loop.takeOutput()
        first.writeString("waiting for its socket")
        loop.giveBackOutput(first)
        var second = loop.takeOutput()
        #expect(second.readableBytes == 0)
        second.writeString("SOMETHING ELSE ENTIRELY")
        #expect(String(buffer: first) == "waiting for its socket")
    }

    @Test("two outputs taken at once are two")
    func nested() {
        var first = loop.takeOutput()
        var second = loop.takeOutput()
        first.writeString("a")
        second.writeString("b")
        loop.giveBackOutput(first)
        loop.giveBackOutput(second)
        #expect(String(buffer: first) == "a")
        #expect(String(buffer: second) == "b")
        #expect(loop.takeOutput(minimumCapacity: 100_000).writableBytes >= 100_000)
    }
}

@Suite("Writing heads")
struct WriteHeadTests {
    @Test(
        "a head that does not fit is written again with more room, whole and once", arguments: [0, 1, 16, 4096, 70_000])
    func retry(count: Int) {
        let line = Array("x-field: value\r\n".utf8)
        var buffer = ByteBuffer(string: "before ")
        var calls = 0
        buffer.writeHead(capacity: 1) { writer in
            calls += 1
            line.withUnsafeBytes { bytes in for _ in 0..<count { writer.write(bytes) } }
        }
        #expect(String(buffer: buffer) == "before " + String(repeating: "x-field: value\r\n", count: count))
        #expect(calls <= 32)
    }

    @Test("a good guess is called once")
    func once() {
        var buffer = ByteBuffer()
        var calls = 0
        buffer.writeHead(capacity: 64) { writer in
            calls += 1
            writer.write("HTTP/1.1 200 OK\r\n\r\n")
        }
        #expect(calls == 1)
        #expect(String(buffer: buffer) == "HTTP/1.1 200 OK\r\n\r\n")
    }

    @Test("another holder of the same memory does not see the head")
    func copyOnWrite() {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(1_000)
        buffer.writeString("a")
        let copy = buffer
        buffer.writeHead(capacity: 4) { $0.write("bcd") }
        #expect(String(buffer: copy) == "a")
        #expect(String(buffer: buffer) == "abcd")
    }

    @Test("identifiers keep their leading zeros")
    func identifier() {
        var buffer = ByteBuffer()
        buffer.writeHead(capacity: 64) { writer in
            writer.write(identifier: 0)
            writer.write(identifier: 0xabc)
            writer.write(identifier: .max)
        }
        #expect(String(buffer: buffer) == "00000000000000000000000000000abcffffffffffffffff")
    }
}

@Suite("Identifiers")
struct IdentifierTests {
    @Test("200,000 identifiers of each of two loops are all different and none is zero")
    func unique() {
        var first = IdentifierGenerator()
        var second = IdentifierGenerator()
        var seen = Set<UInt64>(minimumCapacity: 400_000)
        for _ in 0..<200_000 {
            let pair = (first.next(), second.next())
            #expect(pair.0 != 0 && pair.1 != 0)
            #expect(seen.insert(pair.0).inserted)
            #expect(seen.insert(pair.1).inserted)
        }
    }
}

@Suite("TrailerLines")
struct TrailerLinesTests {
    /// The trailer section behind an empty chunked body.
    private func section(_ lines: String) throws -> TrailerSection? {
        var decoder = ChunkedDecoder(side: .response)
        let bytes = Array("0\r\n\(lines)\r\n".utf8)
        guard case .end = try decoder.next(bytes.span, from: 0) else { return nil }
        return decoder.trailers
    }

    private func rendered(_ lines: String) throws -> String? {
        TrailerLines.render(try section(lines)).map { String(buffer: $0) }
    }

    @Test("fields are passed on as whole lines, in their order")
    func lines() throws {
        #expect(try rendered("Server-Timing: a\r\nX-Sum:  7 \r\n") == "Server-Timing: a\r\nX-Sum: 7\r\n")
    }

    @Test("nothing is passed on where nothing is, or nothing may be")
    func nothing() throws {
        #expect(TrailerLines.render(nil) == nil)
        #expect(try rendered("") == nil)
        for name in [
            "Content-Length: 5", "Transfer-Encoding: chunked", "Host: evil", "Authorization: x", "Set-Cookie: a=b",
            "X-Forwarded-For: 6.6.6.6", "Martlet-Ray: 0", "Connection: close", "Trailer: x", "Cache-Control: public",
        ] {
            #expect(try rendered(name + "\r\n") == nil, "\(name)")
            #expect(try rendered(name + "\r\nX-Sum: 7\r\n") == "X-Sum: 7\r\n", "\(name)")
        }
    }
}
