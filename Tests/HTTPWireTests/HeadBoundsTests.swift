// Bounds of heads, to the byte, and parsers that are used again.

import HTTPWire
import Testing

@Suite("Bounds of heads")
struct HeadBoundsTests {
    private let bounds = HeadBounds(startLineBytesMax: 30, headBytesMax: 100, fieldCountMax: 3)

    private func head(line: Int = 14, total: Int, fields: Int = 2) -> String {
        let target = "/" + String(repeating: "a", count: line - 14)
        let start = "GET \(target) HTTP/1.1\r\nHost: a\r\n"
        let extra = String(repeating: "A:\r\n", count: fields - 2)
        let rest = total - start.utf8.count - extra.utf8.count - 6
        return "\(start)\(extra)X:\(String(repeating: "b", count: rest))\r\n\r\n"
    }

    @Test("the longest request line that is accepted, and one byte more")
    func requestLine() {
        #expect(RequestOutcome(head(line: 30, total: 100), bounds: bounds).head != nil)
        let error = RequestOutcome(head(line: 31, total: 100), bounds: bounds).error
        #expect(error?.kind == .requestLineTooLong)
        #expect(error?.status == 414)
        let endless = RequestOutcome("GET /" + String(repeating: "a", count: 200), bounds: bounds).error
        #expect(endless?.kind == .requestLineTooLong)
    }

    @Test("the longest head that is accepted, and one byte more")
    func headBytes() {
        #expect(RequestOutcome(head(total: 100), bounds: bounds).head?.byteCount == 100)
        let error = RequestOutcome(head(total: 101), bounds: bounds).error
        #expect(error?.kind == .headTooLong)
        #expect(error?.status == 431)
        let endless = RequestOutcome("GET / HTTP/1.1\r\n" + String(repeating: "A:\r\n", count: 2), bounds: bounds)
        #expect(endless.word == "partial")
    }

    @Test("the most fields that are accepted, and one more")
    func fieldCount() {
        #expect(RequestOutcome(head(total: 90, fields: 3), bounds: bounds).head?.fields.count == 3)
        let error = RequestOutcome(head(total: 90, fields: 4), bounds: bounds).error
        #expect(error?.kind == .tooManyFields)
        #expect(error?.status == 431)
    }

    @Test("responses have the same bounds")
    func responses() {
        let line = "HTTP/1.1 200 " + String(repeating: "a", count: 17)
        #expect(ResponseOutcome("\(line)\r\n\r\n", bounds: bounds).head != nil)
        #expect(ResponseOutcome("\(line)a\r\n\r\n", bounds: bounds).error?.kind == .statusLineTooLong)
        let long = "HTTP/1.1 200 OK\r\nX: " + String(repeating: "a", count: 100)
        #expect(ResponseOutcome(long, bounds: bounds).error?.kind == .headTooLong)
        let many = "HTTP/1.1 200 OK\r\n" + String(repeating: "A:\r\n", count: 4)
        #expect(ResponseOutcome(many, bounds: bounds).error?.kind == .tooManyFields)
    }

    @Test("a fault is reported rather than the length of its line, however it arrives")
    func faultBeforeLength() throws {
        let bytes = ("GET /aaaaaaaa\u{1}" + String(repeating: "a", count: 60)).latin1
        var parser = RequestHeadParser(bounds: bounds)
        var head = RequestHead()
        var error: WireError?
        for count in 1...bytes.count where error == nil {
            do throws(WireError) {
                _ = try parser.parse(bytes.span.extracting(0..<count), into: &head)
            } catch let fault {
                error = fault
            }
        }
        #expect(error?.kind == .badTarget)
        #expect(error == RequestOutcome(bytes, bounds: bounds).error)
    }

    @Test("one parser and one head serve pipelined requests and keep nothing of the one before")
    func pipelined() throws {
        let first =
            "POST http://a:81/x?y HTTP/1.1\r\nHost: a:81\r\nConnection: close, upgrade\r\nUpgrade: u\r\n"
            + "TE: trailers\r\nExpect: 100-continue\r\nContent-Length: 7\r\n\r\n"
        let second = "GET / HTTP/1.0\r\n\r\n"
        let bytes = (first + second).latin1
        var parser = RequestHeadParser(bounds: defaultBounds)
        var head = RequestHead()
        let progress = try parser.parse(bytes.span, into: &head)
        #expect(progress == .complete(byteCount: first.utf8.count))
        #expect(head.upgrade != nil && head.wantsTrailers && head.expectsContinue && !head.keepAlive && head.port == 81)
        let capacity = head.fields.capacity
        let rest = bytes.span.extracting(first.utf8.count...)
        #expect(try parser.parse(rest, into: &head) == .complete(byteCount: second.utf8.count))
        #expect(head == RequestOutcome(second).head)
        #expect(head.fields.capacity == capacity)
    }

    @Test("reset() forgets what was begun")
    func reset() throws {
        var parser = RequestHeadParser(bounds: defaultBounds)
        var head = RequestHead()
        let begun = "POST /long HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\nX".latin1
        #expect(try parser.parse(begun.span, into: &head) == .needsMore)
        parser.reset()
        let other = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        #expect(try parser.parse(other.latin1.span, into: &head) == .complete(byteCount: other.utf8.count))
        #expect(head == RequestOutcome(other).head)
    }
}
