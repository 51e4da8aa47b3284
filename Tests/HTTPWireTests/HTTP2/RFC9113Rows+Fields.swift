// Sections 8.2 and 8.3: fields, and pseudo-header fields; and the RFCs beside 9113.

import HTTPWire

private typealias R = HTTP2Row
private typealias F = Frames

extension RFC9113Rows {
    static let fields: [HTTP2Row] = names + connectionFields + cookies + pseudo + targets + authorities + statuses

    /// What a client of ours, which would refuse it, says of the answer that a server has written to its first request.
    private static func readBack(_ server: HTTP2Peer) -> [String] {
        let client = HTTP2Peer(.client)
        client.ask()
        for frame in server.frames { client.receive(F.frame(frame.type, frame.flags, frame.stream, frame.payload)) }
        return client.said
    }

    /// A request that is reset.
    private static func faulty(
        _ section: String, _ level: RFCLevel, _ words: String, _ changes: [String: String?] = [:],
        _ more: [(String, String)] = []
    ) -> HTTP2Row {
        R(section, level, words, .streamError(1, .protocolError)) {
            $0.receive(F.headers(1, F.request(changes, more)))
        }
    }

    /// A request that is answered with an error.
    private static func malformed(
        _ section: String, _ level: RFCLevel, _ words: String, _ kind: WireError.Kind,
        _ changes: [String: String?] = [:],
        _ more: [(String, String)] = []
    ) -> HTTP2Row {
        R(section, level, words, .says("malformed 1 \(kind)"), .sends("HEADERS 1 END")) {
            $0.receive(F.headers(1, F.request(changes, more)))
            $0.head(1, status: 400, ends: true)
        }
    }

    private static func fine(
        _ section: String, _ level: RFCLevel, _ words: String, _ said: String, _ changes: [String: String?] = [:],
        _ more: [(String, String)] = []
    ) -> HTTP2Row {
        R(section, level, words, .says("request 1 \(said) end"), .sends()) {
            $0.receive(F.headers(1, F.request(changes, more)))
        }
    }

    // MARK: 8.2.1

    private static let names: [HTTP2Row] = [
        R("8.2", .must, "names are sent in lower case", .says("request 1 GET / a.test end", "response 1 200 end")) {
            peer in
            peer.receive(F.get(1))
            peer.head(1, "X-UPPER: Y\r\nServer: z\r\n", ends: true)
            peer.takeOver(readBack(peer))
        },
        faulty("8.2.1", .must, "no upper-case letters in names", [:], [("X-a", "b")]),
        faulty("8.2.1", .must, "nowhere in them", [:], [("x-A", "b")]),
        faulty("8.2.1", .must, "no space", [:], [("x a", "b")]),
        faulty("8.2.1", .must, "no control byte", [:], [("x\u{1}", "b")]),
        faulty("8.2.1", .must, "no DEL", [:], [("x\u{7F}", "b")]),
        faulty("8.2.1", .must, "nothing beyond ASCII", [:], [("x\u{E4}", "b")]),
        faulty("8.2.1", .must, "no colon but the first", [:], [("x:a", "b")]),
        faulty("8.2.1", .must, "nor a name of nothing", [:], [("", "b")]),
        faulty("8.2.1", .must, "no NUL in values", [:], [("x", "a\u{0}b")]),
        faulty("8.2.1", .must, "no LF", [:], [("x", "a\nb")]),
        faulty("8.2.1", .must, "no CR", [:], [("x", "a\rb")]),
        faulty("8.2.1", .must, "neither at their end", [:], [("x", "ab\r\n")]),
        faulty("8.2.1", .must, "no space before a value", [:], [("x", " b")]),
        faulty("8.2.1", .must, "none behind it", [:], [("x", "b ")]),
        faulty("8.2.1", .must, "no tab either", [:], [("x", "\tb")]),
        // The bytes C3 BF, which read as UTF-8 are one letter.
        fine(
            "8.2.1", .may, "a value may be empty, or have anything else", "GET / a.test x= y=a\tb\u{FF}c", [:],
            [("x", ""), ("y", "a\tb\u{C3}\u{BF}c")]),
        R("8.2.1", .must, "the same in trailers", .streamError(1, .protocolError)) {
            $0.receive(F.post(1), F.headers(1, F.block([("X", "y")])))
        },
        R("8.2.1", .must, "and in an origin's answer", .streamError(1, .protocolError)) {
            $0.ask()
            $0.receive(F.ok(1, [("x", "a\r\nb: c")]))
        }.asClient,
    ]

    // MARK: 8.2.2

    private static let connectionFields: [HTTP2Row] = [
        faulty("8.2.2", .must, "no Connection", [:], [("connection", "close")]),
        faulty("8.2.2", .must, "no Proxy-Connection", [:], [("proxy-connection", "keep-alive")]),
        faulty("8.2.2", .must, "no Keep-Alive", [:], [("keep-alive", "timeout=5")]),
        faulty("8.2.2", .must, "no Transfer-Encoding", [:], [("transfer-encoding", "chunked")]),
        faulty("8.2.2", .must, "no Upgrade", [:], [("upgrade", "h2c")]),
        faulty("8.2.2", .must, "TE says trailers alone", [:], [("te", "trailers, deflate")]),
        fine("8.2.2", .may, "which it may", "GET / a.test te=trailers", [:], [("te", "trailers")]),
        R("8.2.2", .must, "none of an origin's", .streamError(1, .protocolError)) {
            $0.ask()
            $0.receive(F.ok(1, [("transfer-encoding", "chunked")]))
        }.asClient,
        R("8.2.2", .must, "none in trailers", .streamError(1, .protocolError)) {
            $0.receive(F.post(1), F.headers(1, F.block([("connection", "x")])))
        },
        R("8.2.2", .mustNot, "none is sent", .says("request 1 GET / a.test end", "response 1 200 end")) { peer in
            peer.receive(F.get(1))
            peer.head(
                1, "Connection: x\r\nTransfer-Encoding: chunked\r\nUpgrade: a\r\nKeep-Alive: 1\r\nX: y\r\n", ends: true)
            peer.takeOver(readBack(peer))
        },
    ]

    // MARK: 8.2.3

    private static let cookies: [HTTP2Row] = [
        fine(
            "8.2.3", .must, "cookies in pieces are joined", "GET / a.test cookie=a=1; b=2; c=3 x=y", [:],
            [("cookie", "a=1"), ("cookie", "b=2"), ("x", "y"), ("cookie", "c=3")]),
        fine(
            "8.2.3", .may, "a single one stays as it is", "GET / a.test cookie=a=1; b=2", [:], [("cookie", "a=1; b=2")]),
    ]

    // MARK: 8.3

    private static let pseudo: [HTTP2Row] = [
        faulty("8.3", .must, "pseudo-header fields come before others", [":path": nil], [("x", "y"), (":path", "/")]),
        faulty("8.3", .must, "no unknown ones", [:], [(":foo", "x")]),
        faulty("8.3", .must, "none of a response", [:], [(":status", "200")]),
        faulty("8.3", .must, "each once", [:], [(":path", "/b")]),
        faulty("8.3", .must, "also with the same value", [:], [(":method", "GET")]),
        faulty("8.3.1", .must, ":method must be there", [":method": nil]),
        faulty("8.3.1", .must, ":scheme must be there", [":scheme": nil]),
        faulty("8.3.1", .must, ":path must be there", [":path": nil]),
        faulty("8.3.1", .must, ":path is not empty", [":path": ""]),
        faulty("8.3.1", .must, ":method is not empty", [":method": ""]),
        faulty("8.3.1", .must, ":scheme is one", [":scheme": "ht tp"]),
        fine("8.3.1", .may, ":scheme may be any", "GET / a.test", [":scheme": "coap+tcp"]),
        R("8.3.2", .must, ":status must be there", .streamError(1, .protocolError)) {
            $0.ask()
            $0.receive(F.headers(1, F.block([("x", "y")])))
        }.asClient,
        R("8.3", .must, "of a response none but :status", .streamError(1, .protocolError)) {
            $0.ask()
            $0.receive(F.ok(1, [(":path", "/")]))
        }.asClient,
        R("8.3", .must, "and it comes first", .streamError(1, .protocolError)) {
            $0.ask()
            $0.receive(F.headers(1, F.block([("x", "y"), (":status", "200")])))
        }.asClient,
        R("8.3", .must, "and once", .streamError(1, .protocolError)) {
            $0.ask()
            $0.receive(F.ok(1, [(":status", "200")]))
        }.asClient,
    ]

    // MARK: 8.3.1, :path and :method

    private static let targets: [HTTP2Row] = [
        fine("8.3.1", .must, ":path holds path and query", "GET /a?b=c a.test", [":path": "/a?b=c"]),
        fine(
            "8.3.1", .must, "it is * for OPTIONS of a server", "OPTIONS * a.test", [":method": "OPTIONS", ":path": "*"]),
        malformed("8.3.1", .must, "for no other", .targetFormRefused, [":path": "*"]),
        malformed("8.3.1", .must, "it begins with /", .targetFormRefused, [":path": "a"]),
        malformed("8.3.1", .must, "it is no URI", .targetFormRefused, [":path": "http://a.test/"]),
        malformed("8.3.1", .must, "it has no fragment", .badTarget, [":path": "/#a"]),
        malformed("8.3.1", .must, "no space", .badTarget, [":path": "/a b"]),
        malformed("8.3.1", .must, "nothing beyond ASCII", .badTarget, [":path": "/\u{E4}"]),
        malformed(
            "8.3.1", .may, "and is not longer than the bound", .requestLineTooLong,
            [":path": "/" + String(repeating: "a", count: 64)]
        ).bounds { $0.requestLineBytesMax = 64 },
        malformed("8.3.1", .must, ":method is a token", .badMethod, [":method": "G T"]),
        malformed("8.3.1", .may, "of bounded length", .methodTooLong, [":method": String(repeating: "G", count: 33)]),
        fine("8.3.1", .may, "and may be unknown", "BREW / a.test", [":method": "BREW"]),
    ]

    // MARK: 8.3.1, :authority

    private static let authorities: [HTTP2Row] = [
        fine("8.3.1", .may, ":authority may have a port", "GET / a.test :8443", [":authority": "a.test:8443"]),
        malformed("8.3.1", .must, "no user information", .userInformation, [":authority": "u:p@a.test"]),
        malformed("8.3.1", .must, "it is not empty", .badHost, [":authority": ""]),
        malformed("8.3.1", .must, "it is a host", .badHost, [":authority": "a.test/x"]),
        fine(
            "8.3.1", .may, "Host may stand for it", "GET / b.test host=b.test", [":authority": nil],
            [("host", "b.test")]),
        malformed("8.3.1", .must, "one of them must be there", .hostMissing, [":authority": nil]),
        fine(
            "8.3.1", .may, "both may, of the same host", "GET / a.test host=A.TEST:443", [:], [("host", "A.TEST:443")]),
        malformed("8.3.1", .should, "not of another", .hostDisagrees, [:], [("host", "b.test")]),
        malformed("8.3.1", .should, "nor of another port", .hostDisagrees, [:], [("host", "a.test:444")]),
        malformed("8.3.1", .should, "and Host once", .hostRepeated, [:], [("host", "a.test"), ("host", "a.test")]),
    ]

    // MARK: 8.3.2

    private static let statuses: [HTTP2Row] = ["99", "600", "2000", "20", "+20", "2 0", ""].map { status in
        R("8.3.2", .must, ":status is a status: not \"\(status)\"", .streamError(1, .protocolError)) {
            $0.ask()
            $0.receive(F.headers(1, F.block([(":status", status)])))
        }.asClient
    }
}
