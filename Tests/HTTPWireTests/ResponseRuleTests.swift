// The same strictness for responses (rule 15), and how their bodies end.

import HTTPWire
import Testing

@Suite("Responses")
struct ResponseRuleTests {
    struct Accepted: CustomTestStringConvertible {
        var text: String
        var method = Method.get
        var framing: BodyFraming
        var keepAlive = true
        var length: UInt64?
        var testDescription: String { text.debugDescription }
    }

    @Test(
        "how a body ends",
        arguments: [
            Accepted(text: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", framing: .length(5), length: 5),
            Accepted(text: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", framing: .length(0), length: 0),
            Accepted(
                text: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n", framing: .length(5), length: 5),
            Accepted(text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", framing: .chunked),
            Accepted(text: "HTTP/1.1 200 OK\r\n", framing: .untilClose, keepAlive: false),
            Accepted(text: "HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n", framing: .length(0), length: 0),
            Accepted(text: "HTTP/1.1 204 No Content\r\n", framing: .none),
            Accepted(text: "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n", framing: .none, length: 0),
            Accepted(text: "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n", framing: .none, length: 5),
            Accepted(text: "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n", framing: .none),
            Accepted(text: "HTTP/1.1 103 Early Hints\r\n", framing: .none),
            Accepted(text: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", method: .head, framing: .none, length: 5),
            Accepted(text: "HTTP/1.1 200 OK\r\n", method: .head, framing: .none),
            Accepted(
                text: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", method: .connect, framing: .none, keepAlive: false,
                length: 5),
            Accepted(
                text: "HTTP/1.1 407 No\r\nContent-Length: 5\r\n", method: .connect, framing: .length(5), length: 5),
            Accepted(
                text: "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n", framing: .length(5), keepAlive: false, length: 5),
            Accepted(
                text: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n", framing: .length(5),
                length: 5),
            Accepted(text: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", framing: .untilClose, keepAlive: false),
            Accepted(
                text: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n", framing: .length(5),
                keepAlive: false, length: 5),
            Accepted(text: "HTTP/1.3 200 OK\r\nContent-Length: 5\r\n", framing: .length(5), length: 5),
        ])
    func accepted(_ accepted: Accepted) throws {
        let outcome = ResponseOutcome(accepted.text + "\r\n", answering: accepted.method)
        let head = try #require(outcome.head)
        #expect(head.framing == accepted.framing)
        #expect(head.keepAlive == accepted.keepAlive)
        #expect(head.contentLength == accepted.length)
        #expect(head.byteCount == outcome.bytes.count)
    }

    @Test(
        "refused",
        arguments: [
            Refusal("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", .lengthAndCoding),
            Refusal("HTTP/1.1 304 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", .lengthAndCoding),
            Refusal("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", .contentLengthsDiffer),
            Refusal("HTTP/1.1 304 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", .contentLengthsDiffer),
            Refusal("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", .badContentLength),
            Refusal("HTTP/1.1 200 OK\r\nContent-Length: 5,5\r\n\r\n", .badContentLength),
            Refusal("HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n", .badContentLength),
            Refusal("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", .transferEncodingRepeated),
            Refusal("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", .transferCodingUnknown),
            Refusal("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", .transferEncodingInOldVersion),
            Refusal("HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n", .framingForbidden),
            Refusal("HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n", .framingForbidden),
            Refusal("HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n", .framingForbidden),
            Refusal("HTTP/1.1 101 Switch\r\nTransfer-Encoding: chunked\r\n\r\n", .framingForbidden),
            Refusal("HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", .bareLineFeed),
            Refusal("HTTP/1.1 200\nContent-Length: 0\r\n\r\n", .bareLineFeed),
            Refusal("HTTP/1.1 200 OK\r\nContent-Length: 0\n\r\n", .bareLineFeed),
            Refusal("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\n", .bareLineFeed),
            Refusal("HTTP/1.1 200 O\rK\r\n\r\n", .bareCarriageReturn),
            Refusal("HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n", .whiteSpaceBeforeColon),
            Refusal("HTTP/1.1 200 OK\r\n A: b\r\n\r\n", .leadingWhiteSpace),
            Refusal("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", .obsoleteFold),
            Refusal("HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", .badValue),
            Refusal("HTTP/1.1 200 O\0K\r\n\r\n", .badStatusLine),
            Refusal("HTTP/1.1 200OK\r\n\r\n", .badStatusLine),
            Refusal("HTTP/1.1 2000\r\n\r\n", .badStatusLine),
            Refusal("HTTP/1.1\t200 OK\r\n\r\n", .badStatusLine),
            Refusal("HTTP/1.1  200 OK\r\n\r\n", .badStatus),
            Refusal("HTTP/1.1 20 OK\r\n\r\n", .badStatus),
            Refusal("HTTP/1.1 +20 OK\r\n\r\n", .badStatus),
            Refusal("HTTP/1.1 099 OK\r\n\r\n", .badStatus),
            Refusal("HTTP/1.1 600 OK\r\n\r\n", .badStatus),
            Refusal("HTTP/2.0 200 OK\r\n\r\n", .versionUnsupported),
            Refusal("http/1.1 200 OK\r\n\r\n", .badVersion),
            Refusal("ICY 200 OK\r\n\r\n", .badVersion),
            Refusal("<html>", .badVersion),
            Refusal("\r\nHTTP/1.1 200 OK\r\n\r\n", .badVersion),
            Refusal("HTTP/1.1 200 OK\r\nConnection: {}\r\n\r\n", .badConnection),
        ])
    func refused(_ refusal: Refusal) {
        let error = ResponseOutcome(refusal.fields).error
        #expect(error?.kind == refusal.kind)
        #expect(error?.status == 502)
        #expect(error?.side == .response)
    }

    @Test(
        "status and reason",
        arguments: [
            ("HTTP/1.1 200 OK", 200, "OK"), ("HTTP/1.1 200 ", 200, ""), ("HTTP/1.1 404", 404, ""),
            ("HTTP/1.1 599 a\tb  c ", 599, "a\tb  c "), ("HTTP/1.1 100 Continue", 100, "Continue"),
        ])
    func statusLines(_ line: String, _ status: Int, _ reason: String) throws {
        let outcome = ResponseOutcome(line + "\r\n\r\n")
        let head = try #require(outcome.head)
        #expect(head.status == status)
        #expect(outcome.text(head.reason) == reason)
    }

    @Test("interim responses, and a switch of protocols")
    func interim() throws {
        #expect(ResponseOutcome("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n").head?.isInterim == true)
        #expect(ResponseOutcome("HTTP/1.1 200 OK\r\n\r\n").head?.isInterim == false)
        let text = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        let outcome = ResponseOutcome(text)
        let head = try #require(outcome.head)
        #expect(!head.isInterim)
        #expect(!head.keepAlive)
        #expect(outcome.text(head.upgrade) == "websocket")
        #expect(ResponseOutcome("HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n").head?.upgrade == nil)
        #expect(ResponseOutcome("HTTP/1.0 101 X\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n").head?.upgrade == nil)
    }

    @Test("hop-by-hop and nominated fields are dropped, Set-Cookie cannot be nominated")
    func dropped() {
        let outcome = ResponseOutcome(
            "HTTP/1.1 200 OK\r\nConnection: X-Internal, Set-Cookie, close\r\nX-Internal: 1\r\nSet-Cookie: a=b\r\n"
                + "Keep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\n"
                + "Content-Length: 0\r\nServer: x\r\nETag: \"a\"\r\n\r\n"
        )
        #expect(outcome.forwarded == ["Set-Cookie", "Server", "ETag"])
    }

    @Test("first(_:) and has(_:) find fields by what they are")
    func lookup() throws {
        let outcome = ResponseOutcome("HTTP/1.1 200 OK\r\nVary: a\r\nVary: b\r\nX: y\r\n\r\n")
        let head = try #require(outcome.head)
        #expect(outcome.text(head.first(.vary)) == "a")
        #expect(head.has(.vary))
        #expect(!head.has(.eTag))
        #expect(head.first(.eTag) == nil)
    }
}
