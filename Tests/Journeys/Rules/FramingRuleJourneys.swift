import Foundation
import Testing

/// Rules 1 to 7: where one message ends and the next begins (RFC 9112, sections 6 and 7).
@Suite("Framing of requests", .onStageThreads)
struct FramingRuleJourneys {
    private static let post = "POST /MARK HTTP/1.1\r\nHost: example.test\r\n"

    @Test(
        "Rule 1: Content-Length beside Transfer-Encoding is refused",
        arguments: [
            RefusedForm("length first", post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            RefusedForm("coding first", post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
            RefusedForm("length 0", post + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            RefusedForm(
                "on GET",
                "GET /MARK HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n"
                    + "Content-Length: 3\r\n\r\n0\r\n\r\n"),
        ])
    func lengthBesideCoding(form: RefusedForm) throws { try form.check() }

    @Test(
        "Rule 2: a Content-Length that is not plain digits, or not one, is refused",
        arguments: [
            RefusedForm("sign", post + "Content-Length: +5\r\n\r\nhello"),
            RefusedForm("negative", post + "Content-Length: -5\r\n\r\nhello"),
            RefusedForm("hexadecimal", post + "Content-Length: 0x5\r\n\r\nhello"),
            RefusedForm("list of equals", post + "Content-Length: 5, 5\r\n\r\nhello"),
            RefusedForm("list that differs", post + "Content-Length: 5, 6\r\n\r\nhello"),
            RefusedForm("empty", post + "Content-Length: \r\n\r\nhello"),
            RefusedForm("inner space", post + "Content-Length: 1 0\r\n\r\nhello"),
            RefusedForm("fraction", post + "Content-Length: 5.0\r\n\r\nhello"),
            RefusedForm("letters", post + "Content-Length: five\r\n\r\nhello"),
            RefusedForm("trailing semicolon", post + "Content-Length: 5;\r\n\r\nhello"),
            RefusedForm("2^64", post + "Content-Length: 18446744073709551616\r\n\r\nhello", [400, 413]),
            RefusedForm(
                "100 digits", post + "Content-Length: \(String(repeating: "9", count: 100))\r\n\r\nhello",
                [400, 413]),
            RefusedForm("2^64 and 5", post + "Content-Length: 18446744073709551621\r\n\r\nhello", [400, 413]),
            RefusedForm("two that differ", post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
            RefusedForm("Arabic digit", post + "Content-Length: \u{0665}\r\n\r\nhello"),
        ])
    func wrongLength(form: RefusedForm) throws { try form.check() }

    @Test(
        "Rule 2: plain lengths are served",
        arguments: [
            AcceptedForm("with a body", post + "Content-Length: 5\r\n\r\nhello") { $0.text == "hello" },
            AcceptedForm("zero", post + "Content-Length: 0\r\n\r\n") { $0.text.isEmpty },
            AcceptedForm("leading zeros", post + "Content-Length: 005\r\n\r\nhello") { $0.text == "hello" },
            AcceptedForm("spaces around", post + "Content-Length: \t 5 \t\r\n\r\nhello") { $0.text == "hello" },
            AcceptedForm("any case of the name", post + "cOnTeNt-LeNgTh: 5\r\n\r\nhello") { $0.text == "hello" },
        ])
    func plainLength(form: AcceptedForm) throws { try form.check() }

    @Test("Rule 2: a repeated equal Content-Length is refused, or forwarded once")
    func repeatedLength() throws {
        let stage = try RuleStage.shared
        let mark = RuleStage.mark()
        let client = try stage.edge.client()
        try client.send(
            "POST /\(mark) HTTP/1.1\r\nHost: example.test\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello")
        let answer = try client.readAnswer()
        if answer.status == 400 {
            #expect(!stage.origin.saw(mark))
        } else {
            #expect(answer.status == 200)
            let forwarded = try #require(stage.origin.requests(to: mark).first)
            #expect(forwarded.all("Content-Length") == ["5"] || forwarded.all("Transfer-Encoding") == ["chunked"])
        }
    }

    @Test(
        "Rule 3: a Transfer-Encoding other than one chunked is refused",
        arguments: [
            RefusedForm("gzip, chunked", post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", [400, 501]),
            RefusedForm("chunked, gzip", post + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", [400, 501]),
            RefusedForm("chunked twice", post + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", [400, 501]),
            RefusedForm(
                "two lines", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                [400, 501]),
            RefusedForm("identity", post + "Transfer-Encoding: identity\r\n\r\n", [400, 501]),
            RefusedForm(
                "identity and chunked",
                post + "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", [400, 501]),
            RefusedForm("xchunked", post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", [400, 501]),
            RefusedForm("chunkedx", post + "Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n", [400, 501]),
            RefusedForm("parameter", post + "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", [400, 501]),
            RefusedForm("quoted", post + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", [400, 501]),
            RefusedForm("empty", post + "Transfer-Encoding: \r\n\r\n0\r\n\r\n", [400, 501]),
            RefusedForm("comma behind", post + "Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n", [400, 501]),
            RefusedForm("comma before", post + "Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n", [400, 501]),
            RefusedForm("vertical tab", post + "Transfer-Encoding: \u{0b}chunked\r\n\r\n0\r\n\r\n", [400, 501]),
            RefusedForm("space before the colon", post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
        ])
    func wrongCoding(form: RefusedForm) throws { try form.check() }

    @Test(
        "Rule 3: one chunked is served",
        arguments: [
            AcceptedForm.chunks("one chunk", "5\r\nhello\r\n0\r\n\r\n") { $0.text == "hello" },
            AcceptedForm.chunks("many chunks", "1\r\nh\r\n2\r\nel\r\n2\r\nlo\r\n0\r\n\r\n") { $0.text == "hello" },
            AcceptedForm.chunks("no data", "0\r\n\r\n") { $0.text.isEmpty },
        ])
    func oneChunked(form: AcceptedForm) throws { try form.check() }

    @Test(
        "Rule 4: Transfer-Encoding in HTTP/1.0 is refused",
        arguments: [
            RefusedForm(
                "alone", "POST /MARK HTTP/1.0\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            RefusedForm(
                "with keep-alive",
                "POST /MARK HTTP/1.0\r\nHost: example.test\r\nConnection: keep-alive\r\n"
                    + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ])
    func codingInOldVersion(form: RefusedForm) throws { try form.check() }

    @Test("Rule 4: HTTP/1.0 without it is served, and closes unless asked not to")
    func oldVersion() throws {
        let stage = try RuleStage.shared
        let mark = RuleStage.mark()
        let client = try stage.edge.client()
        try client.send("POST /\(mark) HTTP/1.0\r\nHost: example.test\r\nContent-Length: 5\r\n\r\nhello")
        let answer = try client.readAnswer()
        #expect(answer.status == 200)
        #expect(answer.text == "reached /\(mark)")
        #expect(try client.endsWithoutAnotherByte())
        #expect(stage.origin.requests(to: mark).map(\.text) == ["hello"])

        let keeping = try stage.edge.client()
        for _ in 1...2 {
            try keeping.send("GET /\(mark) HTTP/1.0\r\nHost: example.test\r\nConnection: keep-alive\r\n\r\n")
            let kept = try keeping.readAnswer()
            #expect(kept.status == 200)
            #expect(kept["Connection"]?.lowercased() == "keep-alive", "\(kept.head)")
        }
    }

    @Test(
        "Rule 5: a bare LF or CR is refused wherever a line ends",
        arguments: [
            RefusedForm("LF behind the request line", "GET /MARK HTTP/1.1\nHost: example.test\r\n\r\n"),
            RefusedForm("LF behind a field", "GET /MARK HTTP/1.1\r\nHost: example.test\nX-A: b\r\n\r\n"),
            RefusedForm("LF for the empty line", "GET /MARK HTTP/1.1\r\nHost: example.test\r\n\n"),
            RefusedForm("LF everywhere", "GET /MARK HTTP/1.1\nHost: example.test\n\n"),
            RefusedForm("CR behind the request line", "GET /MARK HTTP/1.1\rHost: example.test\r\n\r\n"),
            RefusedForm("CR inside a value", "GET /MARK HTTP/1.1\r\nHost: example.test\r\nX-A: b\rX-B: c\r\n\r\n"),
            RefusedForm("CR before CRLF", "GET /MARK HTTP/1.1\r\nHost: example.test\r\nX-A: b\r\r\n\r\n"),
            RefusedForm("LF before CRLF", "GET /MARK HTTP/1.1\r\nHost: example.test\r\nX-A: b\n\r\n\r\n"),
            RefusedForm("LF before the request line", "\nGET /MARK HTTP/1.1\r\nHost: example.test\r\n\r\n"),
            RefusedForm.chunks("LF behind a chunk size", "5\nhello\r\n0\r\n\r\n"),
            RefusedForm.chunks("CR alone behind a chunk size", "5\rhello\r\n0\r\n\r\n"),
            RefusedForm.chunks("LF behind chunk data", "5\r\nhello\n0\r\n\r\n"),
            RefusedForm.chunks("LF behind the last chunk", "5\r\nhello\r\n0\n\r\n"),
            RefusedForm.chunks("LF in a trailer", "5\r\nhello\r\n0\r\nX-A: b\n\r\n"),
            RefusedForm.chunks("LF for the trailers' end", "5\r\nhello\r\n0\r\nX-A: b\r\n\n"),
            RefusedForm.chunks("CR in a trailer", "5\r\nhello\r\n0\r\nX-A: b\rX-B: c\r\n\r\n"),
        ])
    func bareLineEnds(form: RefusedForm) throws { try form.check() }

    @Test("Rule 5: one empty line before a request is skipped (RFC 9112, section 2.2)")
    func emptyLineBefore() throws {
        let stage = try RuleStage.shared
        let mark = RuleStage.mark()
        let answer = try stage.edge.exchange("\r\nGET /\(mark) HTTP/1.1\r\nHost: example.test\r\n\r\n")
        #expect(answer.text == "reached /\(mark)")
    }

    @Test(
        "Rule 6: a chunk size that is not plain hexadecimal is refused",
        arguments: [
            RefusedForm.chunks("prefix", "0x5\r\nhello\r\n0\r\n\r\n"),
            RefusedForm.chunks("sign", "+5\r\nhello\r\n0\r\n\r\n"),
            RefusedForm.chunks("negative", "-5\r\nhello\r\n0\r\n\r\n"),
            RefusedForm.chunks("space before", " 5\r\nhello\r\n0\r\n\r\n"),
            RefusedForm.chunks("space behind", "5 \r\nhello\r\n0\r\n\r\n"),
            RefusedForm.chunks("tab behind", "5\t\r\nhello\r\n0\r\n\r\n"),
            RefusedForm.chunks("empty", "\r\nhello\r\n0\r\n\r\n"),
            RefusedForm.chunks("no digit", "g\r\nhello\r\n0\r\n\r\n"),
            RefusedForm.chunks("underscore", "1_0\r\nhello\r\n0\r\n\r\n"),
            RefusedForm.chunks("17 digits", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
            RefusedForm.chunks("40 zeros", String(repeating: "0", count: 40) + "5\r\nhello\r\n0\r\n\r\n"),
            RefusedForm.chunks("extension alone", ";a=b\r\nhello\r\n0\r\n\r\n"),
            RefusedForm.chunks("LF inside an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n"),
            RefusedForm.chunks("CR inside an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n"),
            RefusedForm.chunks("NUL inside an extension", "5;a\0b\r\nhello\r\n0\r\n\r\n"),
            RefusedForm.chunks("endless extension", "5;\(String(repeating: "a", count: 20_000))\r\nhello\r\n0\r\n\r\n"),
            RefusedForm.chunks(
                "many extensions",
                String(repeating: "1;\(String(repeating: "a", count: 200))\r\nx\r\n", count: 200) + "0\r\n\r\n"),
        ])
    func wrongChunkSize(form: RefusedForm) throws { try form.check() }

    @Test(
        "Rule 6: both cases of digits are served, extensions dropped",
        arguments: [
            AcceptedForm.chunks("lower case", "a\r\n0123456789\r\n0\r\n\r\n") { $0.text == "0123456789" },
            AcceptedForm.chunks("upper case", "A\r\n0123456789\r\n0\r\n\r\n") { $0.text == "0123456789" },
            AcceptedForm.chunks("some leading zeros", "0005\r\nhello\r\n000\r\n\r\n") { $0.text == "hello" },
            AcceptedForm.chunks("extension", "5;name=value\r\nhello\r\n0;last\r\n\r\n") { $0.text == "hello" },
            AcceptedForm.chunks("quoted extension", "5;name=\"va;lue\"\r\nhello\r\n0\r\n\r\n") { $0.text == "hello" },
        ])
    func plainChunkSize(form: AcceptedForm) throws { try form.check() }

    @Test("Rule 6: no extension reaches the origin")
    func extensionsAreDropped() throws {
        let stage = try RuleStage.shared
        let mark = RuleStage.mark()
        let answer = try stage.edge.exchange(
            "POST /x HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "5;\(mark)=1\r\nhello\r\n0;\(mark)\r\n\r\n")
        #expect(answer.status == 200)
        #expect(!stage.origin.saw(mark))
    }

    @Test(
        "Rule 7: chunk data that does not end in CRLF is refused",
        arguments: [
            RefusedForm.chunks("longer than said", "5\r\nhello world\r\n0\r\n\r\n"),
            RefusedForm.chunks("two more bytes", "5\r\nhelloXX0\r\n\r\n"),
            RefusedForm.chunks("shorter than said", "6\r\nhello\r\n0\r\n\r\n"),
            RefusedForm.chunks("no end", "5\r\nhello0\r\n\r\n"),
            RefusedForm.chunks("another CRLF", "5\r\nhello\r\n\r\n0\r\n\r\n"),
        ])
    func wrongChunkEnd(form: RefusedForm) throws { try form.check() }

    @Test("Rule 7: a body that arrives byte by byte is the same body")
    func drippedChunks() throws {
        let stage = try RuleStage.shared
        let mark = RuleStage.mark()
        let client = try stage.edge.client()
        let bytes =
            "POST /\(mark) HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n\r\n"
            + "5;e=1\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n"
        for byte in bytes.utf8 {
            try client.send([byte])
            pause(milliseconds: 1)
        }
        #expect(try client.readAnswer().text == "reached /\(mark)")
        #expect(stage.origin.requests(to: mark).map(\.text) == ["hello world"])
    }
}
