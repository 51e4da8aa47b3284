// Sections 8.1, 8.4 to 8.7, and 10.5.1: what a message is made of, and how it ends.

import HTTPWire

private typealias R = HTTP2Row
private typealias F = Frames

extension RFC9113Rows {
    static let messages: [HTTP2Row] = requests + lengths + responses + tunnels + bounded

    private static let get1 = "request 1 GET / a.test end"
    private static let post1 = "request 1 POST / a.test"

    // MARK: 8.1, requests

    private static let requests: [HTTP2Row] = [
        R("8.1", .must, "a head, content, trailers", .says(post1, "data 1 8", "trailers 1 x-sum")) {
            $0.receive(F.post(1), F.data(1, 5), F.data(1, 3), F.headers(1, F.block([("x-sum", "1")])))
        },
        R("8.1", .must, "trailers without END_STREAM are malformed", .streamError(1, .protocolError)) {
            $0.receive(F.post(1), F.headers(1, F.block([("x", "y")]), ends: false))
        },
        R("8.1", .must, "no pseudo-header fields in trailers", .streamError(1, .protocolError)) {
            $0.receive(F.post(1), F.headers(1, F.block([(":method", "GET")])))
        },
        R("8.1", .must, "END_STREAM of HEADERS ends a message whose block goes on", .says(get1)) {
            $0.receive(F.headers(1, F.request(), endsBlock: false), F.continuation(1, []))
        },
        R(
            "8.1", .may, "an answer may end before its request, which is then cut off without an error",
            .sends("HEADERS 1 END", "RST_STREAM 1 NO_ERROR"), .says(post1)
        ) {
            $0.receive(F.post(1))
            $0.answer(1)
            $0.reset(1, .noError)
            $0.receive(F.data(1, 100))
        },
        R("8.1", .must, "trailers may be empty", .says(post1, "trailers 1")) {
            $0.receive(F.post(1), F.headers(1, []))
        },
        R("8.1", .should, "trailers that would change the message are left out", .says(post1, "trailers 1 x-a")) {
            $0.receive(
                F.post(1), F.headers(1, F.block([("host", "b.test"), ("x-a", "1"), ("x-forwarded-for", "::1")])))
        },
    ]

    // MARK: 8.1.1

    private static let lengths: [HTTP2Row] = [
        R("8.1.1", .must, "DATA is as long as Content-Length says", .says(post1 + " content-length=8", "data 1 8 end"))
        {
            $0.receive(F.post(1, [("content-length", "8")]), F.data(1, 5), F.data(1, 3, ends: true))
        },
        R("8.1.1", .must, "more is malformed, at once", .streamError(1, .protocolError)) {
            $0.receive(F.post(1, [("content-length", "8")]), F.data(1, 5), F.data(1, 4))
        },
        R("8.1.1", .must, "less too", .streamError(1, .protocolError)) {
            $0.receive(F.post(1, [("content-length", "8")]), F.data(1, 5, ends: true))
        },
        R("8.1.1", .must, "before trailers as well", .streamError(1, .protocolError)) {
            $0.receive(F.post(1, [("content-length", "8")]), F.data(1, 5), F.headers(1, F.block([("x", "y")])))
        },
        R("8.1.1", .must, "and with no DATA at all", .streamError(1, .protocolError)) {
            $0.receive(F.get(1, [("content-length", "8")]))
        },
        R("8.1.1", .must, "padding is no content", .says(post1 + " content-length=5", "data 1 5 end")) {
            $0.receive(F.post(1, [("content-length", "5")]), F.data(1, 5, ends: true, padding: 50))
        },
        R("8.1.1", .must, "0 bytes of content need no DATA", .says(get1.replacingEnd(" content-length=0 end"))) {
            $0.receive(F.get(1, [("content-length", "0")]))
        },
        R("8.1.1", .must, "0 bytes are no bytes", .streamError(1, .protocolError)) {
            $0.receive(F.post(1, [("content-length", "0")]), F.data(1, 1, ends: true))
        },
        R("8.1.1", .must, "Content-Length is a number", .streamError(1, .protocolError)) {
            $0.receive(F.post(1, [("content-length", "+5")]))
        },
        R("8.1.1", .must, "and one alone", .streamError(1, .protocolError)) {
            $0.receive(F.post(1, [("content-length", "5"), ("content-length", "6")]))
        },
        R("8.1.1", .must, "of an origin's answer too", .streamError(1, .protocolError)) {
            $0.ask()
            $0.receive(F.ok(1, [("content-length", "5")]), F.data(1, 4, ends: true))
        }.asClient,
        R("8.1.1", .must, "an answer to HEAD has a length and no content", .says("response 1 200 end")) {
            $0.ask(.head)
            $0.receive(F.ok(1, [("content-length", "5")], ends: true))
        }.asClient,
        R("8.1.1", .must, "which DATA would be", .streamError(1, .protocolError)) {
            $0.ask(.head)
            $0.receive(F.ok(1, [("content-length", "5")]), F.data(1, 5, ends: true))
        }.asClient,
        R("8.1.1", .must, "so has 304", .says("response 1 304", "data 1 0 end")) {
            $0.ask()
            $0.receive(F.headers(1, F.response(304, [("content-length", "5")]), ends: false), F.data(1, 0, ends: true))
        }.asClient,
        R("8.1.1", .must, "and 204 none but 0", .streamError(1, .protocolError)) {
            $0.ask()
            $0.receive(F.headers(1, F.response(204, [("content-length", "5")])))
        }.asClient,
    ]

    // MARK: 8.1, responses

    private static let responses: [HTTP2Row] = [
        R(
            "8.1", .must, "interim responses come before the final one",
            .says(
                "response 1 103", "response 1 100", "response 1 200 end")
        ) {
            $0.ask()
            $0.receive(F.headers(1, F.response(103), ends: false), F.headers(1, F.response(100), ends: false))
            $0.receive(F.ok(1, ends: true))
        }.asClient,
        R("8.1", .must, "an interim response that ends the stream is malformed", .streamError(1, .protocolError)) {
            $0.ask()
            $0.receive(F.headers(1, F.response(100)))
        }.asClient,
        R("8.1", .must, "content before a head is malformed", .streamError(1, .protocolError)) {
            $0.ask()
            $0.receive(F.data(1, 5))
        }.asClient,
        R("8.1", .must, "and behind an interim one", .streamError(1, .protocolError)) {
            $0.ask()
            $0.receive(F.headers(1, F.response(103), ends: false), F.data(1, 5))
        }.asClient,
        R("8.1", .must, "a second final head is malformed", .streamError(1, .protocolError)) {
            $0.ask()
            $0.receive(F.ok(1), F.ok(1))
        }.asClient,
        R(
            "8.1", .mustNot, "an answer that comes before the request's end is not lost",
            .says(
                "response 1 200", "data 1 5 end", "reset 1 NO_ERROR by peer")
        ) {
            $0.ask(.post, ends: false)
            $0.receive(F.ok(1), F.data(1, 5, ends: true), F.reset(1, 0))
        }.asClient,
        R("8.6", .must, "101 has no meaning", .streamError(1, .protocolError)) {
            $0.ask()
            $0.receive(F.headers(1, F.response(101), ends: false))
        }.asClient,
        R("8.4", .must, "nothing is pushed to us", .connectionError(.protocolError)) {
            $0.ask()
            $0.receive(F.frame(5, 4, 1, [0, 0, 0, 2] + F.request()))
        }.asClient,
        R("8.4", .must, "clients do not push", .connectionError(.protocolError)) {
            $0.receive(F.frame(5, 4, 1, [0, 0, 0, 2] + F.request()))
        },
    ]

    // MARK: 8.5

    private static let connect: [String: String?] = [
        ":method": "CONNECT", ":scheme": nil, ":path": nil, ":authority": "a.test:443",
    ]

    private static let tunnels: [HTTP2Row] = [
        R(
            "8.5", .must, "CONNECT has an authority alone",
            .says(
                "request 1 CONNECT a.test:443 a.test :443", "data 1 5")
        ) {
            $0.receive(F.headers(1, F.request(connect), ends: false), F.data(1, 5))
        },
        R("8.5", .must, "no scheme", .streamError(1, .protocolError)) {
            $0.receive(F.headers(1, F.request(connect.merging([":scheme": "https"]) { $1 }), ends: false))
        },
        R("8.5", .must, "no path", .streamError(1, .protocolError)) {
            $0.receive(F.headers(1, F.request(connect.merging([":path": "/"]) { $1 }), ends: false))
        },
        R("8.5", .must, "and not without one", .streamError(1, .protocolError)) {
            $0.receive(F.headers(1, F.request(connect.merging([":authority": nil]) { $1 }), ends: false))
        },
        R("8.5", .must, "with a port", .says("malformed 1 targetFormRefused")) {
            $0.receive(F.headers(1, F.request(connect.merging([":authority": "a.test"]) { $1 }), ends: false))
        },
        R("8.5", .must, "HEADERS in a tunnel are an error of the stream", .streamError(1, .protocolError)) {
            $0.receive(F.headers(1, F.request(connect), ends: false), F.headers(1, F.block([("x", "y")])))
        },
        R(
            "8.5", .must, "DATA, RST_STREAM, WINDOW_UPDATE and PRIORITY are not",
            .says(
                "request 1 CONNECT a.test:443 a.test :443", "data 1 5", "reset 1 CONNECT_ERROR by peer")
        ) {
            $0.receive(F.headers(1, F.request(connect), ends: false), F.data(1, 5), F.windowUpdate(1, 5))
            $0.receive(F.priority(1), F.reset(1, 10))
        },
        R("8.5", .must, "what an origin says through a tunnel is content", .says("response 1 200", "data 1 9 end")) {
            $0.ask(.connect, ends: false)
            $0.receive(F.ok(1, [("content-length", "5")]), F.data(1, 9, ends: true))
        }.asClient,
        R("8.5", .must, "where it refuses, its answer is a message", .streamError(1, .protocolError)) {
            $0.ask(.connect, ends: false)
            $0.receive(F.headers(1, F.response(403, [("content-length", "5")]), ends: false), F.data(1, 9))
        }.asClient,
    ]

    // MARK: 10.5.1

    private static let bounded: [HTTP2Row] = [
        R(
            "10.5.1", .may, "a head beyond SETTINGS_MAX_HEADER_LIST_SIZE can be answered",
            .says(
                "too large 1", "request 3 GET / a.test end"), .sends("HEADERS 1 END")
        ) {
            $0.receive(F.get(1, [("x", String(repeating: "y", count: 900))]))
            $0.head(1, status: 431, ends: true)
            $0.receive(F.get(3))
        }.bounds { $0.headBytesMax = 1024 },
        R("10.5.1", .must, "the size counts 32 bytes a field", .says("request 1 GET / a.test x=y end", "too large 3")) {
            // 42 + 44 + 48 + 38 and 34 bytes.
            $0.receive(F.get(1, [("x", "y")]), F.get(3, [("x", "yz")]))
        }.bounds { $0.headBytesMax = 42 + 44 + 48 + 38 + 34 - 0 },
        R("10.5.1", .must, "its block is decoded to the end", .says("too large 1", "request 3 GET / a.test x-a=b end"))
        {
            let long = String(repeating: "y", count: 900)
            $0.receive(F.headers(1, F.request([:], [("x", long)]) + [0x40] + F.text("x-a") + F.text("b")))
            $0.receive(F.headers(3, F.request() + [0xBE]))
        }.bounds { $0.headBytesMax = 512 },
        R("10.5.1", .may, "what comes of its body is thrown away", .says("too large 1"), .sends("HEADERS 1 END")) {
            $0.receive(F.post(1, [("x", String(repeating: "y", count: 900))]), F.data(1, 500))
            $0.receive(F.data(1, 500, ends: true))
            $0.head(1, status: 431, ends: true)
            $0.reset(1, .noError)
        }.bounds { $0.headBytesMax = 512 },
        R("10.5.1", .may, "more fields than the bound count as too large", .says("too large 1")) {
            $0.receive(F.get(1, (0..<6).map { ("x\($0)", "y") }))
        }.bounds { $0.fieldCountMax = 5 },
        R(
            "10.5.1", .may, "cookies in pieces are one of them",
            .says("request 1 GET / a.test cookie=c=0; c=1; c=2; c=3; c=4; c=5 x0=y x1=y x2=y x3=y end", "too large 3")
        ) {
            let cookies = (0..<6).map { ("cookie", "c=\($0)") }
            $0.receive(F.get(1, cookies + (0..<4).map { ("x\($0)", "y") }))
            $0.receive(F.get(3, cookies + (0..<5).map { ("x\($0)", "y") }))
        }.bounds { $0.fieldCountMax = 5 },
        R(
            "10.5.1", .may, "an origin's head beyond the bound is an error of the stream",
            .streamError(1, .enhanceYourCalm)
        ) {
            $0.ask()
            $0.receive(F.ok(1, [("x", String(repeating: "y", count: 900))]))
        }.asClient.bounds { $0.headBytesMax = 512 },
    ]
}

extension String {
    func replacingEnd(_ text: String) -> String { String(dropLast(4)) + text }
}
