// The rules of a strict parser that concern a request head, each with forms that are accepted and forms that are
// refused; RequestMeaningTests goes on with Host and Connection. Of the fifteen rules, these are judged by the codec:
//
//  1  Content-Length and Transfer-Encoding together        8  white space at the colon, empty names
//  2  Content-Length is digits, duplicates agree           9  no folded lines
//  3  one Transfer-Encoding, exactly `chunked`            10  one valid Host, agreeing with the target
//  4  none of it in HTTP/1.0                              11  bytes of values, names, methods, versions
//  5  lines end in CRLF                                   12  an upgrade is only offered, never assumed
//  6  chunk sizes and extensions (ChunkedDecoderTests)    15  hop-by-hop fields; responses as strict as requests
//  7  chunk data ends in CRLF (ChunkedDecoderTests)

import HTTPWire
import Testing

/// One refused head: the fields below a valid request line and Host, and what is wrong with them.
struct Refusal: CustomTestStringConvertible {
    var fields: String
    var kind: WireError.Kind
    var status: Int
    var testDescription: String { fields.debugDescription }

    init(_ fields: String, _ kind: WireError.Kind, _ status: Int = 400) {
        self.fields = fields
        self.kind = kind
        self.status = status
    }

    /// Checks a complete head.
    func check(_ text: String) {
        let outcome = RequestOutcome(text)
        #expect(outcome.error?.kind == kind, "\(text.debugDescription)")
        #expect(outcome.error?.status == status, "\(text.debugDescription)")
        #expect(outcome.error?.side == .request)
        #expect(outcome.error?.closesConnection == true)
    }
}

private func post(_ fields: String, version: String = "1.1") -> String {
    "POST / HTTP/\(version)\r\nHost: a\r\n\(fields)\r\n"
}

@Suite("Requests: framing (rules 1 to 4)")
struct RequestFramingTests {
    @Test(
        "accepted",
        arguments: [
            ("", BodyFraming.none, UInt64?.none),
            ("Content-Length: 0\r\n", .length(0), 0),
            ("Content-Length: 5\r\n", .length(5), 5),
            ("content-LENGTH:\t5 \r\n", .length(5), 5),
            ("Content-Length: 0005\r\n", .length(5), 5),
            ("Content-Length: 5\r\nContent-Length: 5\r\n", .length(5), 5),
            ("Content-Length: 9223372036854775807\r\n", .length(9_223_372_036_854_775_807), 9_223_372_036_854_775_807),
            ("Transfer-Encoding: chunked\r\n", .chunked, nil),
            ("transfer-encoding:CHUNKED\r\n", .chunked, nil),
        ])
    func accepted(_ fields: String, _ framing: BodyFraming, _ length: UInt64?) throws {
        let head = try #require(RequestOutcome(post(fields)).head)
        #expect(head.framing == framing)
        #expect(head.contentLength == length)
        #expect(head.byteCount == post(fields).utf8.count)
    }

    @Test(
        "refused",
        arguments: [
            // 1. Both at once, in either order.
            Refusal("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", .lengthAndCoding),
            Refusal("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", .lengthAndCoding),
            Refusal("Transfer-Encoding: x\r\nContent-Length: x\r\n", .lengthAndCoding),
            // 2. Digits only.
            Refusal("Content-Length:\r\n", .badContentLength),
            Refusal("Content-Length: +5\r\n", .badContentLength),
            Refusal("Content-Length: -1\r\n", .badContentLength),
            Refusal("Content-Length: 0x5\r\n", .badContentLength),
            Refusal("Content-Length: 5a\r\n", .badContentLength),
            Refusal("Content-Length: 5, 5\r\n", .badContentLength),
            Refusal("Content-Length: 5 5\r\n", .badContentLength),
            Refusal("Content-Length: 5.0\r\n", .badContentLength),
            Refusal("Content-Length: \"5\"\r\n", .badContentLength),
            Refusal("Content-Length: 9223372036854775808\r\n", .badContentLength),
            Refusal("Content-Length: 18446744073709551621\r\n", .badContentLength),
            Refusal("Content-Length: 99999999999999999999999\r\n", .badContentLength),
            Refusal("Content-Length: 00000000000000000005\r\n", .badContentLength),
            Refusal("Content-Length: \u{E9}\r\n", .badContentLength),
            Refusal("Content-Length: 5\r\nContent-Length: 6\r\n", .contentLengthsDiffer),
            Refusal("Content-Length: 5\r\nContent-Length: 05\r\n", .contentLengthsDiffer),
            Refusal("Content-Length: 5\r\nContent-Length: 5\r\nContent-Length:\r\n", .contentLengthsDiffer),
            // 3. One Transfer-Encoding of one coding.
            Refusal("Transfer-Encoding:\r\n", .badTransferEncoding),
            Refusal("Transfer-Encoding: chunked;q=1\r\n", .badTransferEncoding),
            Refusal("Transfer-Encoding: \"chunked\"\r\n", .badTransferEncoding),
            Refusal("Transfer-Encoding: chunked chunked\r\n", .badTransferEncoding),
            Refusal("Transfer-Encoding: chunked, chunked\r\n", .transferEncodingRepeated),
            Refusal("Transfer-Encoding: gzip, chunked\r\n", .transferEncodingRepeated),
            Refusal("Transfer-Encoding: chunked,\r\n", .transferEncodingRepeated),
            Refusal("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", .transferEncodingRepeated),
            Refusal("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", .transferEncodingRepeated),
            Refusal("Transfer-Encoding: gzip\r\n", .transferCodingUnknown, 501),
            Refusal("Transfer-Encoding: identity\r\n", .transferCodingUnknown, 501),
            Refusal("Transfer-Encoding: xchunked\r\n", .transferCodingUnknown, 501),
            Refusal("Transfer-Encoding: chunke\r\n", .transferCodingUnknown, 501),
            Refusal("Transfer-Encoding: \u{0B}chunked\r\n", .badValue),
        ])
    func refused(_ refusal: Refusal) { refusal.check(post(refusal.fields)) }

    @Test("4. no Transfer-Encoding in HTTP/1.0")
    func oldVersion() {
        Refusal("", .transferEncodingInOldVersion).check(post("Transfer-Encoding: chunked\r\n", version: "1.0"))
        #expect(RequestOutcome(post("Content-Length: 5\r\n", version: "1.0")).head?.framing == .length(5))
    }
}

@Suite("Requests: lines and fields (rules 5, 8, 9 and 11)")
struct RequestLineTests {
    @Test(
        "refused",
        arguments: [
            // 5. CRLF only.
            Refusal("GET / HTTP/1.1\nHost: a\r\n\r\n", .bareLineFeed),
            Refusal("GET / HTTP/1.1\r\nHost: a\n\r\n", .bareLineFeed),
            Refusal("GET / HTTP/1.1\r\nHost: a\r\n\n", .bareLineFeed),
            Refusal("GET / HTTP/1.1\r\nHost\n: a\r\n\r\n", .bareLineFeed),
            Refusal("GET / HTTP/1.1\r\nHost:\na\r\n\r\n", .bareLineFeed),
            Refusal("GET /\nHTTP/1.1\r\nHost: a\r\n\r\n", .bareLineFeed),
            Refusal("GET\n/ HTTP/1.1\r\nHost: a\r\n\r\n", .bareLineFeed),
            Refusal("GET / HTTP/1.\n1\r\nHost: a\r\n\r\n", .bareLineFeed),
            Refusal("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", .bareLineFeed),
            Refusal("GET / HTTP/1.1\rHost: a\r\n\r\n", .bareCarriageReturn),
            Refusal("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", .bareCarriageReturn),
            Refusal("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", .bareCarriageReturn),
            Refusal("GET / HTTP/1.1\r\nHost: a\r\n\rx", .bareCarriageReturn),
            Refusal("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", .bareCarriageReturn),
            Refusal("GET / HTTP/1.1\r\nHo\rst: a\r\n\r\n", .badName),
            // 8. Nothing before, within or behind a name that is no token byte.
            Refusal("GET / HTTP/1.1\r\n Host: a\r\n\r\n", .leadingWhiteSpace),
            Refusal("GET / HTTP/1.1\r\n\tHost: a\r\n\r\n", .leadingWhiteSpace),
            Refusal("GET / HTTP/1.1\r\nHost : a\r\n\r\n", .whiteSpaceBeforeColon),
            Refusal("GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", .whiteSpaceBeforeColon),
            Refusal("GET / HTTP/1.1\r\nHost: a\r\nX Y: b\r\n\r\n", .whiteSpaceBeforeColon),
            Refusal("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", .emptyName),
            Refusal("GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n", .badName),
            Refusal("GET / HTTP/1.1\r\nHost: a\r\nX(Y): b\r\n\r\n", .badName),
            Refusal("GET / HTTP/1.1\r\nHost: a\r\n\"X\": b\r\n\r\n", .badName),
            Refusal("GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n", .badName),
            Refusal("GET / HTTP/1.1\r\nHost: a\r\nX\u{E9}: b\r\n\r\n", .badName),
            Refusal("GET / HTTP/1.1\r\nHost: a\r\nContent\rLength: 5\r\n\r\n", .badName),
            // 9. No folding.
            Refusal("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", .obsoleteFold),
            Refusal("GET / HTTP/1.1\r\nHost: a\r\n\tX: b\r\n\r\n", .obsoleteFold),
            Refusal("GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n", .obsoleteFold),
            // 11. No control bytes in values.
            Refusal("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", .badValue),
            Refusal("GET / HTTP/1.1\r\nHost: a\r\nX: \u{1}\r\n\r\n", .badValue),
            Refusal("GET / HTTP/1.1\r\nHost: a\r\nX: a\u{1F}\r\n\r\n", .badValue),
            Refusal("GET / HTTP/1.1\r\nHost: a\r\nX: long enough for words \u{7F} and more\r\n\r\n", .badValue),
            Refusal("GET / HTTP/1.1\r\nHost: a\r\nX: \u{B}\r\n\r\n", .badValue),
        ])
    func refused(_ refusal: Refusal) { refusal.check(refusal.fields) }

    @Test("every byte: in a name only token bytes, in a value anything but control bytes")
    func everyByte() {
        let separators = "\"(),/:;<=>?@[\\]{}"
        for byte in UInt8.min...UInt8.max {
            let character = Character(UnicodeScalar(byte))
            let isToken = byte > 32 && byte < 127 && !separators.contains(character)
            for padding in ["", "abcdefgh"] {
                let name = RequestOutcome("GET / HTTP/1.1\r\nHost: a\r\n\(padding)x\(character)y: z\r\n\r\n")
                // `x:y: z` is the name x with the value `y: z`.
                #expect((name.head != nil) == (isToken || byte == 58), "name \(byte)")
                let isValue = byte >= 32 && byte != 127 || byte == 9
                let value = RequestOutcome("GET / HTTP/1.1\r\nHost: a\r\nx: \(padding)y\(character)z\(padding)\r\n\r\n")
                #expect((value.head != nil) == isValue, "value \(byte)")
                let isTarget = byte > 32 && byte < 127 && byte != 35
                let target = RequestOutcome("GET /\(padding)\(character)\(padding) HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect((target.head != nil) == isTarget, "target \(byte)")
            }
        }
    }

    @Test("values lose the white space around them and nothing else")
    func values() throws {
        let text = "GET / HTTP/1.1\r\nHost:a\r\nA:\r\nB: \t \r\nC: \t x\ty z \t\r\nD:caf\u{E9} \u{80}\u{FF}\r\n\r\n"
        let outcome = RequestOutcome(text)
        let head = try #require(outcome.head)
        let values = head.fields.map { String(bytes: outcome.bytes[$0.value.range]) }
        #expect(values == ["a", "", "", "x\ty z", "caf\u{E9} \u{80}\u{FF}"])
        #expect(outcome.forwarded == ["A", "B", "C", "D"])
    }
}

extension String {
    /// One character per byte.
    init(bytes: some Sequence<UInt8>) {
        self = String(String.UnicodeScalarView(bytes.map { UnicodeScalar($0) }))
    }
}

@Suite("Requests: start line (rule 11)")
struct RequestStartLineTests {
    @Test(
        "refused",
        arguments: [
            Refusal("GET  / HTTP/1.1", .badRequestLine),
            Refusal(" GET / HTTP/1.1", .badMethod),
            Refusal("GET\t/ HTTP/1.1", .badMethod),
            Refusal("G@T / HTTP/1.1", .badMethod),
            Refusal("G\0T / HTTP/1.1", .badMethod),
            Refusal("GET", .badRequestLine),
            Refusal("GET /", .badRequestLine),
            Refusal("GET /  HTTP/1.1", .badVersion),
            Refusal("GET / HTTP/1.1 ", .badVersion),
            Refusal("GET / x HTTP/1.1", .badVersion),
            Refusal("GET / http/1.1", .badVersion),
            Refusal("GET / HTTP/1", .badVersion),
            Refusal("GET / HTTP/1.", .badVersion),
            Refusal("GET / HTTP/1.10", .badVersion),
            Refusal("GET / HTTP/11", .badVersion),
            Refusal("GET / HTTP/+.1", .badVersion),
            Refusal("GET / HTTPS/1.1", .badVersion),
            Refusal("GET / HTTP/2.0", .versionUnsupported, 505),
            Refusal("GET / HTTP/0.9", .versionUnsupported, 505),
            Refusal("PRI * HTTP/2.0", .versionUnsupported, 505),
            Refusal("GET /a\u{E9} HTTP/1.1", .badTarget),
            Refusal("GET /a#b HTTP/1.1", .badTarget),
            Refusal("GET /\t HTTP/1.1", .badTarget),
            Refusal("GET /\u{7F} HTTP/1.1", .badTarget),
            Refusal("\(String(repeating: "A", count: 33)) / HTTP/1.1", .methodTooLong, 501),
            // The forms of a target.
            Refusal("GET * HTTP/1.1", .targetFormRefused),
            Refusal("OPTIONS ** HTTP/1.1", .targetFormRefused),
            Refusal("GET a HTTP/1.1", .targetFormRefused),
            Refusal("GET a:80 HTTP/1.1", .targetFormRefused),
            Refusal("GET ftp://a/ HTTP/1.1", .targetFormRefused),
            Refusal("GET http:/a/ HTTP/1.1", .targetFormRefused),
            Refusal("GET ?a HTTP/1.1", .targetFormRefused),
            Refusal("CONNECT a HTTP/1.1", .targetFormRefused),
            Refusal("CONNECT a: HTTP/1.1", .targetFormRefused),
            Refusal("CONNECT / HTTP/1.1", .badHost),
            Refusal("CONNECT http://a:80/ HTTP/1.1", .badHost),
            Refusal("CONNECT u@a:80 HTTP/1.1", .userInformation),
        ])
    func refused(_ refusal: Refusal) { refusal.check("\(refusal.fields)\r\nHost: a\r\n\r\n") }

    @Test("methods are read by their exact name", arguments: Method.allCases)
    func methods(_ method: Method) throws {
        guard method != .other else { return }
        let target = method == .connect ? "a:80" : "/"
        let outcome = RequestOutcome("\(method.name) \(target) HTTP/1.1\r\nHost: a\r\n\r\n")
        let head = try #require(outcome.head)
        #expect(head.method == method)
        #expect(outcome.text(head.methodRange) == "\(method.name)")
        let lower = RequestOutcome("\("\(method.name)".lowercased()) / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(lower.head?.method == .other)
        let longer = RequestOutcome("\(method.name)X / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(longer.head?.method == .other)
    }

    @Test("safe and idempotent methods")
    func methodProperties() {
        #expect(Method.allCases.filter(\.isSafe) == [.get, .head, .options, .trace])
        #expect(Method.allCases.filter(\.isIdempotent) == [.get, .head, .put, .delete, .options, .trace])
    }

    @Test("the longest method that is still one")
    func longMethod() throws {
        let name = String(repeating: "A", count: 32)
        let outcome = RequestOutcome("\(name) / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(outcome.text(outcome.head?.methodRange) == name)
    }

    @Test(
        "versions",
        arguments: [("HTTP/1.0", UInt8(0)), ("HTTP/1.1", 1), ("HTTP/1.2", 1), ("HTTP/1.9", 1)])
    func versions(_ version: String, _ minor: UInt8) throws {
        let head = try #require(RequestOutcome("GET / \(version)\r\nHost: a\r\n\r\n").head)
        #expect(head.minorVersion == minor)
        #expect(head.keepAlive == (minor == 1))
    }

    struct Target: CustomTestStringConvertible {
        var line: String
        var form: TargetForm
        var path = ""
        var query: String?
        var scheme = ""
        var host = "h"
        var port: UInt16?
        var testDescription: String { line }
    }

    @Test(
        "targets are taken apart",
        arguments: [
            Target(line: "GET / HTTP/1.1", form: .origin, path: "/"),
            Target(line: "GET //h/..%2f?? HTTP/1.1", form: .origin, path: "//h/..%2f", query: "?"),
            Target(line: "GET /a/b?x=1&y=/? HTTP/1.1", form: .origin, path: "/a/b", query: "x=1&y=/?"),
            Target(line: "GET /a? HTTP/1.1", form: .origin, path: "/a", query: ""),
            Target(line: "GET /|{}\"<>^`\\[]%zz HTTP/1.1", form: .origin, path: "/|{}\"<>^`\\[]%zz"),
            Target(line: "OPTIONS * HTTP/1.1", form: .asterisk),
            Target(line: "OPTIONS /x HTTP/1.1", form: .origin, path: "/x"),
            Target(line: "GET http://h/p?q HTTP/1.1", form: .absolute, path: "/p", query: "q", scheme: "http"),
            Target(line: "GET HTTP://H HTTP/1.1", form: .absolute, scheme: "HTTP", host: "H"),
            Target(line: "GET http://h?a/b HTTP/1.1", form: .absolute, query: "a/b", scheme: "http"),
            Target(line: "GET http://h:80/ HTTP/1.1", form: .absolute, path: "/", scheme: "http", port: 80),
            Target(line: "GET http://h:/ HTTP/1.1", form: .absolute, path: "/", scheme: "http"),
            Target(line: "GET https://h:443/ HTTP/1.1", form: .absolute, path: "/", scheme: "https", port: 443),
            Target(line: "OPTIONS http://h HTTP/1.1", form: .absolute, scheme: "http"),
            Target(line: "CONNECT h:443 HTTP/1.1", form: .authority, port: 443),
        ])
    func targets(_ target: Target) throws {
        let outcome = RequestOutcome("\(target.line)\r\nHost: h\r\n\r\n")
        let head = try #require(outcome.head)
        #expect(head.targetForm == target.form)
        #expect(outcome.text(head.target) == "\(target.line.split(separator: " ")[1])")
        #expect(outcome.text(head.path) == target.path)
        #expect(head.hasQuery == (target.query != nil))
        #expect(outcome.text(head.query) == target.query ?? "")
        #expect(outcome.text(head.scheme) == target.scheme)
        #expect(outcome.text(head.host) == target.host)
        #expect(head.port == target.port)
    }

    @Test("one empty line before the request line, not two")
    func emptyLine() throws {
        let outcome = RequestOutcome("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
        let head = try #require(outcome.head)
        #expect(head.byteCount == outcome.bytes.count)
        #expect(outcome.text(head.methodRange) == "GET")
        #expect(RequestOutcome("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").error?.kind == .badRequestLine)
        #expect(RequestOutcome("\r\n").word == "partial")
    }
}
