import Foundation
import Testing

/// Rules 8 to 11: what a head may look like (RFC 9112, sections 3 and 5; RFC 9110, section 5.5).
@Suite("Heads of requests", .onStageThreads)
struct HeadRuleJourneys {
    @Test(
        "Rule 8: white space before a colon, an empty name, a first field that begins with space are refused",
        arguments: [
            RefusedForm.field("space before the colon", "X-A : b"),
            RefusedForm.field("tab before the colon", "X-A\t: b"),
            RefusedForm.field("empty name", ": b"),
            RefusedForm.field("space for a name", " : b"),
            RefusedForm.field("no colon", "X-A"),
            RefusedForm("first field begins with space", "GET /MARK HTTP/1.1\r\n Host: example.test\r\n\r\n"),
            RefusedForm("first field begins with tab", "GET /MARK HTTP/1.1\r\n\tX-A: b\r\nHost: example.test\r\n\r\n"),
            RefusedForm("space behind Host", "GET /MARK HTTP/1.1\r\nHost : example.test\r\n\r\n"),
        ])
    func wrongFieldNames(form: RefusedForm) throws { try form.check() }

    @Test(
        "Rule 9: folded lines are refused",
        arguments: [
            RefusedForm.field("with a space", "X-A: b\r\n c"),
            RefusedForm.field("with a tab", "X-A: b\r\n\tc"),
            RefusedForm.field("a length below a fold", "X-A: b\r\n Content-Length: 5"),
            RefusedForm("Host folded", "GET /MARK HTTP/1.1\r\nHost:\r\n example.test\r\n\r\n"),
            RefusedForm.chunks("in a trailer", "5\r\nhello\r\n0\r\nX-A: b\r\n c\r\n\r\n"),
        ])
    func foldedLines(form: RefusedForm) throws { try form.check() }

    @Test(
        "Rules 8 and 9: plain fields are served as they are",
        arguments: [
            AcceptedForm.field("no space behind the colon", "X-A:b") { $0["X-A"] == "b" },
            AcceptedForm.field("spaces around the value", "X-A: \t b c \t ") { $0["X-A"] == "b c" },
            AcceptedForm.field("an empty value", "X-A:") { $0["X-A"]?.isEmpty == true },
            AcceptedForm.field("a colon in the value", "X-A: b:c") { $0["X-A"] == "b:c" },
            AcceptedForm.field("every token character", "!#$%&'*+-.^_`|~09aZ: b") { $0["!#$%&'*+-.^_`|~09aZ"] == "b" },
            AcceptedForm.field("two of a name, in order", "X-A: b\r\nX-A: c") { $0.all("X-A") == ["b", "c"] },
            AcceptedForm.field("bytes above ASCII", "X-A: na\u{00ef}ve") { $0["X-A"] == "na\u{00ef}ve" },
            AcceptedForm.field("a tab inside", "X-A: b\tc") { $0["X-A"] == "b\tc" },
        ])
    func plainFields(form: AcceptedForm) throws { try form.check() }

    @Test(
        "Rule 10: no Host, two, or one that is not a host are refused",
        arguments: [
            RefusedForm("none", "GET /MARK HTTP/1.1\r\nX-A: b\r\n\r\n"),
            RefusedForm("two equal", "GET /MARK HTTP/1.1\r\nHost: example.test\r\nHost: example.test\r\n\r\n"),
            RefusedForm("two that differ", "GET /MARK HTTP/1.1\r\nHost: example.test\r\nHost: other.test\r\n\r\n"),
            RefusedForm("empty", "GET /MARK HTTP/1.1\r\nHost: \r\n\r\n"),
            RefusedForm("space inside", "GET /MARK HTTP/1.1\r\nHost: example.test other.test\r\n\r\n"),
            RefusedForm("list", "GET /MARK HTTP/1.1\r\nHost: example.test, other.test\r\n\r\n"),
            RefusedForm("user information", "GET /MARK HTTP/1.1\r\nHost: user@example.test\r\n\r\n"),
            RefusedForm("path", "GET /MARK HTTP/1.1\r\nHost: example.test/path\r\n\r\n"),
            RefusedForm("query", "GET /MARK HTTP/1.1\r\nHost: example.test?q\r\n\r\n"),
            RefusedForm("scheme", "GET /MARK HTTP/1.1\r\nHost: http://example.test\r\n\r\n"),
            RefusedForm("port of letters", "GET /MARK HTTP/1.1\r\nHost: example.test:http\r\n\r\n"),
            RefusedForm("port beyond 65535", "GET /MARK HTTP/1.1\r\nHost: example.test:65536\r\n\r\n"),
            RefusedForm("open bracket", "GET /MARK HTTP/1.1\r\nHost: [::1\r\n\r\n"),
            RefusedForm("no address in brackets", "GET /MARK HTTP/1.1\r\nHost: [example.test]\r\n\r\n"),
            RefusedForm("backslash", "GET /MARK HTTP/1.1\r\nHost: example.test\\other.test\r\n\r\n"),
            RefusedForm(
                "not that of the absolute form",
                "GET http://example.test/MARK HTTP/1.1\r\nHost: other.test\r\n\r\n"),
            RefusedForm(
                "not that of the absolute form, the other way",
                "GET http://other.test/MARK HTTP/1.1\r\nHost: example.test\r\n\r\n"),
            RefusedForm(
                "user information in the absolute form",
                "GET http://user@example.test/MARK HTTP/1.1\r\nHost: example.test\r\n\r\n"),
            RefusedForm(
                "absolute form without an authority",
                "GET http:///MARK HTTP/1.1\r\nHost: example.test\r\n\r\n"),
            RefusedForm(
                "absolute form of another scheme",
                "GET ftp://example.test/MARK HTTP/1.1\r\nHost: example.test\r\n\r\n"),
        ])
    func wrongHost(form: RefusedForm) throws { try form.check() }

    @Test(
        "Rule 10: one valid Host is served",
        arguments: [
            AcceptedForm("upper case", "GET /MARK HTTP/1.1\r\nHost: EXAMPLE.Test\r\n\r\n"),
            AcceptedForm("with a port", "GET /MARK HTTP/1.1\r\nHost: example.test:8080\r\n\r\n"),
            AcceptedForm("a name below", "GET /MARK HTTP/1.1\r\nHost: a.b.example.test\r\n\r\n") {
                $0["Host"] == "a.b.example.test"
            },
            AcceptedForm(
                "that of the absolute form",
                "GET http://example.test/MARK HTTP/1.1\r\nHost: example.test\r\n\r\n"
            ) {
                $0.target.hasPrefix("/mark") && $0["Host"] == "example.test"
            },
            AcceptedForm(
                "absolute form in another case",
                "GET HTTP://Example.TEST/MARK HTTP/1.1\r\nHost: example.test\r\n\r\n"
            ) {
                $0.target.hasPrefix("/mark")
            },
        ])
    func validHost(form: AcceptedForm) throws { try form.check() }

    @Test(
        "Rule 11: controls in values and names that are no tokens are refused",
        arguments: [
            RefusedForm.field("NUL in a value", "X-A: b\0c"),
            RefusedForm.field("control in a value", "X-A: b\u{01}c"),
            RefusedForm.field("escape in a value", "X-A: b\u{1b}c"),
            RefusedForm.field("delete in a value", "X-A: b\u{7f}c"),
            RefusedForm.field("vertical tab in a value", "X-A: b\u{0b}c"),
            RefusedForm.field("NUL in a name", "X\0A: b"),
            RefusedForm.field("parenthesis in a name", "X(A): b"),
            RefusedForm.field("slash in a name", "X/A: b"),
            RefusedForm.field("quote in a name", "\"X-A\": b"),
            RefusedForm.field("space in a name", "X A: b"),
            RefusedForm.field("letter above ASCII in a name", "X-\u{00e9}: b"),
            RefusedForm("method with a colon", "GE:T /MARK HTTP/1.1\r\nHost: example.test\r\n\r\n"),
            RefusedForm("method with a NUL", "GE\0T /MARK HTTP/1.1\r\nHost: example.test\r\n\r\n"),
            RefusedForm("method with brackets", "G[E]T /MARK HTTP/1.1\r\nHost: example.test\r\n\r\n"),
            RefusedForm("no method", " /MARK HTTP/1.1\r\nHost: example.test\r\n\r\n"),
            RefusedForm("two spaces before the target", "GET  /MARK HTTP/1.1\r\nHost: example.test\r\n\r\n"),
            RefusedForm("two spaces behind the target", "GET /MARK  HTTP/1.1\r\nHost: example.test\r\n\r\n"),
            RefusedForm("tab for a space", "GET\t/MARK HTTP/1.1\r\nHost: example.test\r\n\r\n"),
            RefusedForm("space in the target", "GET /MARK x HTTP/1.1\r\nHost: example.test\r\n\r\n"),
            RefusedForm("control in the target", "GET /MARK\u{01} HTTP/1.1\r\nHost: example.test\r\n\r\n"),
            RefusedForm("NUL in the target", "GET /MARK\0 HTTP/1.1\r\nHost: example.test\r\n\r\n"),
            RefusedForm("target without a slash", "GET MARK HTTP/1.1\r\nHost: example.test\r\n\r\n"),
            RefusedForm("no target", "GET HTTP/1.1\r\nHost: example.test\r\nX-A: MARK\r\n\r\n"),
            RefusedForm("asterisk for GET", "GET * HTTP/1.1\r\nHost: example.test\r\nX-A: MARK\r\n\r\n"),
            RefusedForm("space behind the version", "GET /MARK HTTP/1.1 \r\nHost: example.test\r\n\r\n"),
            RefusedForm("no version", "GET /MARK\r\nHost: example.test\r\n\r\n", [400, 505]),
            RefusedForm("lower-case version", "GET /MARK http/1.1\r\nHost: example.test\r\n\r\n", [400, 505]),
            RefusedForm(
                "two digits behind the point", "GET /MARK HTTP/1.10\r\nHost: example.test\r\n\r\n", [400, 505]),
            RefusedForm("no digit behind the point", "GET /MARK HTTP/1.\r\nHost: example.test\r\n\r\n", [400, 505]),
            RefusedForm("letters for a version", "GET /MARK HTTP/x.y\r\nHost: example.test\r\n\r\n", [400, 505]),
            RefusedForm(
                "Arabic digit in the version", "GET /MARK HTTP/1.\u{0661}\r\nHost: example.test\r\n\r\n", [400, 505]),
            RefusedForm("HTTP/2.0", "GET /MARK HTTP/2.0\r\nHost: example.test\r\n\r\n", [505]),
            RefusedForm("HTTP/0.9 with a version", "GET /MARK HTTP/0.9\r\nHost: example.test\r\n\r\n", [400, 505]),
            RefusedForm("HTTP/3.0", "GET /MARK HTTP/3.0\r\nHost: example.test\r\n\r\n", [505]),
            RefusedForm("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nMARK", [400, 505]),
            RefusedForm("a TLS hello in the clear", "\u{16}\u{03}\u{01}\0\u{05}MARK\r\n\r\n"),
        ])
    func controlsAndTokens(form: RefusedForm) throws { try form.check() }

    @Test(
        "Rule 11: tokens and visible characters are served",
        arguments: [
            AcceptedForm("unknown method", "PURGE-ALL /MARK HTTP/1.1\r\nHost: example.test\r\n\r\n") {
                $0.method == "PURGE-ALL"
            },
            AcceptedForm("method in lower case stays so", "get /MARK HTTP/1.1\r\nHost: example.test\r\n\r\n") {
                $0.method == "get"
            },
            AcceptedForm(
                "percent-encoding stays raw", "GET /MARK/%2e%2E/%00?a=%20b HTTP/1.1\r\nHost: example.test\r\n\r\n"
            ) {
                $0.target.hasSuffix("/%2e%2E/%00?a=%20b")
            },
            AcceptedForm("dots and doubled slashes stay", "GET /MARK/..//./x HTTP/1.1\r\nHost: example.test\r\n\r\n") {
                $0.target.hasSuffix("/..//./x")
            },
            AcceptedForm("empty query stays", "GET /MARK? HTTP/1.1\r\nHost: example.test\r\n\r\n") {
                $0.target.hasSuffix("?")
            },
        ])
    func tokensAndTargets(form: AcceptedForm) throws { try form.check() }

    @Test(
        "Bounds: a request line, fields or a method beyond them are refused as such",
        arguments: [
            RefusedForm(
                "request line",
                "GET /MARK\(String(repeating: "a", count: 9000)) HTTP/1.1\r\nHost: example.test\r\n\r\n",
                [414]),
            RefusedForm.field("one long field", "X-A: \(String(repeating: "b", count: 40_000))", [431]),
            RefusedForm.field("a long name", "\(String(repeating: "x", count: 40_000)): b", [431]),
            RefusedForm.field(
                "many bytes",
                (0..<40).map { "X-\($0): \(String(repeating: "b", count: 1000))" }.joined(separator: "\r\n"), [431]),
            RefusedForm.field("many fields", (0..<200).map { "X-\($0): b" }.joined(separator: "\r\n"), [431]),
            RefusedForm(
                "a method of 5,000 letters",
                "\(String(repeating: "M", count: 5000)) /MARK HTTP/1.1\r\nHost: example.test\r\n\r\n", [400, 414, 501]),
        ])
    func bounds(form: RefusedForm) throws { try form.check() }

    @Test(
        "Bounds: what lies just within is served",
        arguments: [
            AcceptedForm(
                "request line", "GET /MARK\(String(repeating: "a", count: 8000)) HTTP/1.1\r\nHost: example.test\r\n\r\n"
            ),
            AcceptedForm.field("one long field", "X-A: \(String(repeating: "b", count: 31_000))") {
                $0["X-A"]?.utf8.count == 31_000
            },
            AcceptedForm.field("many fields", (0..<60).map { "X-\($0): b" }.joined(separator: "\r\n")) {
                $0["X-59"] == "b"
            },
        ])
    func withinBounds(form: AcceptedForm) throws { try form.check() }

    @Test("Bounds: an endless line is refused before it ends")
    func endlessLine() throws {
        let stage = try RuleStage.shared
        for (start, statuses) in [("GET /", [414]), ("GET / HTTP/1.1\r\nHost: example.test\r\nX-A: ", [431])] {
            let client = try stage.edge.client()
            try client.send(start)
            let piece = [UInt8](repeating: 97, count: 4096)
            // 1 MiB at most: the refusal ends it much earlier.
            for _ in 0..<256 {
                do { try client.send(piece) } catch { break }
            }
            // The bytes behind the refusal may turn its end into a reset; the answer itself may be lost with it.
            if let answer = try? client.readAnswer() { #expect(statuses.contains(answer.status)) }
            #expect((try? client.readToEnd()) != nil)
        }
    }

    @Test("A head that arrives byte by byte is the same head")
    func drippedHead() throws {
        let stage = try RuleStage.shared
        let mark = RuleStage.mark()
        let client = try stage.edge.client()
        for byte in "GET /\(mark)?q=1 HTTP/1.1\r\nHost: example.test\r\nX-A: b\r\n\r\n".utf8 {
            try client.send([byte])
            pause(milliseconds: 1)
        }
        #expect(try client.readAnswer().text == "reached /\(mark)?q=1")
    }
}
