// The RFCs beside 9113: extended CONNECT (RFC 8441), priorities (RFC 9218), expectations (RFC 9110).

import HTTPWire

private typealias R = HTTP2Row
private typealias F = Frames

extension RFC9113Rows {
    static let neighbours: [HTTP2Row] = extendedConnect + priorities + expectations

    private static let webSocket: [String: String?] = [":method": "CONNECT"]

    // MARK: RFC 8441

    private static let extendedConnect: [HTTP2Row] = [
        R("RFC 8441 3", .must, "a server says that it takes extended CONNECT", .says()) { peer in
            if !peer.sent.contains(where: { $0.hasPrefix("SETTINGS ") && $0.contains(" 8=1 ") }) {
                peer.takeOver(["no"])
            }
        }.fromStart,
        R("RFC 8441 3", .must, "the setting is 0 or 1", .connectionError(.protocolError)) {
            $0.receive(F.settings([(8, 2)]))
        }.asClient,
        R("RFC 8441 3", .mustNot, "and does not return to 0", .connectionError(.protocolError)) {
            $0.receive(F.settings([(8, 1)]), F.settings([(8, 0)]))
        }.asClient,
        R(
            "RFC 8441 4", .must, "extended CONNECT has scheme, path and authority",
            .says("request 1 CONNECT / a.test protocol=websocket", "data 1 5")
        ) {
            $0.receive(F.headers(1, F.request(webSocket, [(":protocol", "websocket")]), ends: false), F.data(1, 5))
        },
        R("RFC 8441 4", .must, "not without a path", .streamError(1, .protocolError)) {
            $0.receive(
                F.headers(
                    1, F.request([":method": "CONNECT", ":path": nil], [(":protocol", "websocket")]), ends: false))
        },
        R("RFC 8441 4", .must, "nor without a scheme", .streamError(1, .protocolError)) {
            $0.receive(
                F.headers(
                    1, F.request([":method": "CONNECT", ":scheme": nil], [(":protocol", "websocket")]), ends: false))
        },
        R("RFC 8441 4", .must, ":protocol is CONNECT's", .streamError(1, .protocolError)) {
            $0.receive(F.headers(1, F.request([:], [(":protocol", "websocket")])))
        },
        R(
            "RFC 8441 5.1", .must, "END_STREAM ends one direction",
            .says(
                "request 1 CONNECT / a.test protocol=websocket", "data 1 0 end"), .sends("HEADERS 1", "DATA 1 5")
        ) {
            $0.receive(F.headers(1, F.request(webSocket, [(":protocol", "websocket")]), ends: false))
            $0.receive(F.data(1, 0, ends: true))
            $0.head(1)
            $0.offer(1, 5)
            $0.take()
        },
    ]

    // MARK: RFC 9218

    private static let priorities: [HTTP2Row] = [
        R("RFC 9218 2.1", .must, "SETTINGS_NO_RFC7540_PRIORITIES is 0 or 1", .connectionError(.protocolError)) {
            $0.receive(F.settings([(9, 2)]))
        },
        R("RFC 9218 2.1", .mustNot, "and does not change", .connectionError(.protocolError)) {
            $0.receive(F.settings([(9, 0)]))
        }.settings((9, 1)),
        R("RFC 9218 2.1", .mustNot, "nor from what it is by itself", .connectionError(.protocolError)) {
            $0.receive(F.settings([(9, 1)]))
        },
        R(
            "RFC 9218 4.1", .must, "the more urgent goes first",
            .sends(
                "HEADERS 1", "HEADERS 3", "HEADERS 5", "DATA 5 9 END", "DATA 3 9 END", "DATA 1 9 END")
        ) {
            $0.receive(F.get(1, [("priority", "u=7")]), F.get(3), F.get(5, [("priority", "u=0, i")]))
            $0.answerAll(1, 3, 5)
        },
        R(
            "RFC 9218 4.1", .must, "values that are none are ignored",
            .sends(
                "HEADERS 1", "HEADERS 3", "DATA 1 9 END", "DATA 3 9 END")
        ) {
            $0.receive(F.get(1, [("priority", "u=8, i=5")]), F.get(3, [("priority", "u=99;;")]))
            $0.answerAll(1, 3)
        },
        R("RFC 9218 7.1", .must, "PRIORITY_UPDATE is of the connection", .connectionError(.protocolError)) {
            $0.receive(F.frame(16, 0, 1, [0, 0, 0, 1]))
        },
        R("RFC 9218 7.1", .must, "of a stream", .connectionError(.protocolError)) {
            $0.receive(F.priorityUpdate(0, "u=1"))
        },
        R("RFC 9218 7.1", .must, "not of one that would be pushed", .connectionError(.protocolError)) {
            $0.receive(F.priorityUpdate(2, "u=1"))
        },
        R("RFC 9218 7.1", .must, "with at least 4 bytes", .connectionError(.frameSizeError)) {
            $0.receive(F.frame(16, 0, 0, [0, 0, 1]))
        },
        R("RFC 9218 7.1", .must, "from a client", .connectionError(.protocolError)) {
            $0.receive(F.priorityUpdate(1, "u=1"))
        }.asClient,
        R(
            "RFC 9218 7.1", .must, "it replaces the request's field",
            .sends(
                "HEADERS 1", "HEADERS 3", "DATA 3 9 END", "DATA 1 9 END")
        ) {
            $0.receive(F.get(1), F.get(3, [("priority", "u=7, i")]), F.priorityUpdate(3, "u=2"))
            $0.answerAll(1, 3)
        },
        R(
            "RFC 9218 7.1", .should, "also where it comes first",
            .sends(
                "HEADERS 1", "HEADERS 3", "DATA 3 9 END", "DATA 1 9 END")
        ) {
            $0.receive(F.priorityUpdate(3, "u=0"), F.get(1), F.get(3, [("priority", "u=7")]))
            $0.answerAll(1, 3)
        },
        R("RFC 9218 7.1", .may, "of a stream that is over it says nothing", .ignored) {
            $0.receive(F.get(1))
            $0.answer(1)
            $0.forget()
            $0.receive(F.priorityUpdate(1, "u=0"))
        },
        R(
            "RFC 9218 10", .should, "of the same urgency in order",
            .sends(
                "HEADERS 1", "HEADERS 3", "DATA 1 16384", "DATA 1 3616 END", "DATA 3 16384", "DATA 3 3616 END")
        ) {
            $0.receive(F.get(1), F.get(3))
            $0.answerAll(1, 3, bytes: 20_000)
        },
        R(
            "RFC 9218 10", .should, "incremental ones by turns",
            .sends(
                "HEADERS 1", "HEADERS 3", "DATA 1 16384", "DATA 3 16384", "DATA 1 3616 END", "DATA 3 3616 END")
        ) {
            $0.receive(F.get(1, [("priority", "i")]), F.get(3, [("priority", "i")]))
            $0.answerAll(1, 3, bytes: 20_000)
        },
    ]

    // MARK: RFC 9110

    private static let expectations: [HTTP2Row] = [
        R("RFC 9110 10.1.1", .must, "100-continue is the only expectation", .says("malformed 1 expectationUnknown")) {
            $0.receive(F.post(1, [("expect", "200-ok")]))
        },
        R("RFC 9110 10.1.1", .must, "and is told", .says("request 1 POST / a.test expect=100-Continue")) {
            $0.receive(F.post(1, [("expect", "100-Continue")]))
        },
    ]
}

extension HTTP2Peer {
    /// Answers several requests at once.
    func answerAll(_ ids: UInt32..., bytes: Int = 9) {
        for id in ids {
            head(id)
            offer(id, bytes, ends: true)
        }
        take()
    }
}
