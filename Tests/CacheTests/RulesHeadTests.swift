// The stored form of a head, and what is read from it.

import Cache
import HTTPWire
import NIOCore
import Testing

@Suite("Stored head")
struct RulesHeadTests {
    private func render(_ lines: [String], status: Int = 200, body: [String] = []) throws -> StoredHead {
        let response = TestResponse(status, lines)
        let storable = try #require(judge(TestRequest(), response).storable)
        return StoredHead.render(
            response.head, response.bytes.span, facts: storable.facts, strip: storable.strip, contentLength: 7,
            body: body.map { ByteBuffer(string: $0) })
    }

    private let all = [
        "Content-Type: text/html", "X-One: 1", "ETag: \"a\"", "Cache-Control: max-age=60", "Content-Length: 7",
        "Vary: Accept", "Last-Modified: \(date(-9))", "Expires: \(date(9))", "Content-Location: /x", "X-Two: 2",
        "CDN-Cache-Control: max-age=60",
    ]

    @Test("lines stand in the order that lets every answer take a prefix")
    func order() throws {
        let head = try render(all)
        let whole = head.text(0..<head.end)
        #expect(
            head.text(0..<head.notModifiedEnd)
                == """
                Date: \(date())\r
                ETag: "a"\r
                Cache-Control: max-age=60\r
                Vary: Accept\r
                Last-Modified: \(date(-9))\r
                Expires: \(date(9))\r
                Content-Location: /x\r
                CDN-Cache-Control: max-age=60\r\n
                """)
        #expect(head.text(head.notModifiedEnd..<head.commonEnd) == "X-One: 1\r\nX-Two: 2\r\n")
        #expect(head.text(head.commonEnd..<head.typeEnd) == "Content-Type: text/html\r\n")
        #expect(head.text(head.typeEnd..<head.end) == "Content-Length: 7\r\n\r\n")
        #expect(whole.hasSuffix("\r\n\r\n"))
        #expect(head.text(head.eTag) == "\"a\"")
        #expect(head.text(head.lastModified) == date(-9))
        #expect(head.text(head.contentType) == "text/html")
    }

    @Test("its memory is exactly as large as what it holds")
    func exactSize() throws {
        let head = try render(all, body: ["some ", "", "content"])
        #expect(head.bytes.storageCapacity == head.bytes.readableBytes)
        #expect(head.text(head.end..<head.bytes.readableBytes) == "some content")
    }

    @Test("completed: the length that turned out, and the content")
    func completed() throws {
        let head = try render(all)
        let done = head.completed(contentLength: 123_456_789, body: [ByteBuffer(string: "abc")])
        #expect(done.lines == head.lines.dropLast() + ["Content-Length: 123456789"])
        #expect(done.text(done.end..<done.bytes.readableBytes) == "abc")
        #expect(done.typeEnd == head.typeEnd && done.text(done.eTag) == "\"a\"")
        #expect(done.bytes.storageCapacity == done.bytes.readableBytes)
        let none = try render(["Cache-Control: max-age=60"], status: 204)
        #expect(none.typeEnd + 2 == none.end)
        #expect(none.completed(contentLength: 5).lines == none.lines)
    }

    @Test("upstream Cache-Status is found, at the front and in one line")
    func cacheStatus() throws {
        let none = try render(all)
        #expect(none.upstreamCacheStatusEnd == 0 && none.upstreamCacheStatus.isEmpty)
        let head = try render(all + ["Cache-Status: a; hit", "Cache-Status: ", "cache-status: b; fwd=miss"])
        #expect(head.text(head.upstreamCacheStatus) == "a; hit, b; fwd=miss")
        #expect(head.text(0..<head.upstreamCacheStatusEnd) == "Cache-Status: a; hit, b; fwd=miss\r\n")
        #expect(head.text(head.upstreamCacheStatusEnd..<head.end) == none.text(0..<none.end))
        #expect(try render(all + ["Cache-Status:"]).upstreamCacheStatusEnd == 0)
    }

    @Test("conditions: both validators, as they came")
    func conditions() throws {
        func written(_ lines: [String]) throws -> String {
            let head = try render(lines + ["Cache-Control: max-age=60"])
            var text = [UInt8](repeating: 0, count: 1000)
            let count = text.withUnsafeMutableBytes { buffer in
                var writer = ByteWriter(buffer)
                head.writeConditions(to: &writer)
                return writer.count
            }
            return String(decoding: text.prefix(count), as: UTF8.self)
        }
        #expect(
            try written(["ETag: W/\"a,b\"", "Last-Modified: \(date(-9))"])
                == "If-None-Match: W/\"a,b\"\r\nIf-Modified-Since: \(date(-9))\r\n")
        #expect(try written(["ETag: odd"]) == "If-None-Match: odd\r\n")
        #expect(try written([]) == "")
        // Which of two would be meant?
        #expect(try written(["ETag: \"a\"", "ETag: \"b\""]) == "")
    }

    @Test("flags: which validators are strong")
    func strength() throws {
        func flags(_ lines: [String]) throws -> StoredFacts.Flags {
            try #require(judge(TestRequest(), TestResponse(200, lines + ["Cache-Control: max-age=60"])).storable)
                .facts.flags
        }
        #expect(try flags(["ETag: \"a\""]).contains(.hasStrongETag))
        #expect(try !flags(["ETag: W/\"a\""]).contains(.hasStrongETag))
        #expect(try !flags(["ETag: a"]).contains(.hasStrongETag))
        #expect(try !flags(["ETag: \"a\"", "ETag: \"b\""]).contains(.hasStrongETag))
        #expect(try flags(["Last-Modified: \(date(-60))"]).contains(.hasStrongLastModified))
        #expect(try !flags(["Last-Modified: \(date(-59))"]).contains(.hasStrongLastModified))
        #expect(try flags(["Accept-Ranges: none"]).contains(.refusesRanges))
    }

    @Test("a 206 knows its place and the whole length")
    func part() throws {
        let request = TestRequest("GET", "/page", ["Range: bytes=10-19"])
        let response = TestResponse(206, ["Cache-Control: max-age=60", "Content-Range: bytes 10-19/100"])
        let storable = try #require(judge(request, response).storable)
        #expect(storable.part == 10..<20)
        #expect(storable.facts.representationBytes == 100)
        #expect(storable.facts.flags.contains(.isPartial))
        let unknown = TestResponse(206, ["Cache-Control: max-age=60", "Content-Range: bytes 10-19/*"])
        #expect(judge(request, unknown).refusal == .partialInvalid)
    }
}
