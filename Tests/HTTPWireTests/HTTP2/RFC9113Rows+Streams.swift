// Section 5.1: each state by each frame, identifiers, and how many streams there may be.

import HTTPWire

private typealias R = HTTP2Row
private typealias F = Frames

extension RFC9113Rows {
    static let streams: [HTTP2Row] = idle + open + halfClosed + closedStreams + numbers + concurrency

    private static let get1 = "request 1 GET / a.test end"
    private static let post1 = "request 1 POST / a.test"

    // MARK: idle

    private static let idle: [HTTP2Row] = [
        R("5.1", .must, "idle: HEADERS opens", .says(get1)) { $0.receive(F.get(1)) },
        R("5.1", .must, "idle: DATA is an error", .connectionError(.protocolError)) { $0.receive(F.data(1, 1)) },
        R("5.1", .must, "idle: so is RST_STREAM", .connectionError(.protocolError)) { $0.receive(F.reset(3)) },
        R("5.1", .must, "idle: and WINDOW_UPDATE", .connectionError(.protocolError)) {
            $0.receive(F.get(1), F.windowUpdate(3, 1))
        },
        R("5.1", .must, "idle: and CONTINUATION", .connectionError(.protocolError)) {
            $0.receive(F.continuation(1, F.request()))
        },
        R("5.1", .must, "idle: and PUSH_PROMISE", .connectionError(.protocolError)) {
            $0.receive(F.frame(5, 4, 1, [0, 0, 0, 2]))
        },
        R("5.1", .may, "idle: PRIORITY is not", .ignored) { $0.receive(F.priority(1), F.priority(2)) },
        R("5.1", .must, "idle: unknown frames are ignored", .ignored) { $0.receive(F.frame(0xBB, 0, 9, [1])) },
        R("5.1", .must, "idle: an origin that answers what was not asked", .connectionError(.protocolError)) {
            $0.receive(F.ok(1))
        }.asClient,
        R("5.1", .must, "idle: DATA from an origin", .connectionError(.protocolError)) {
            $0.receive(F.data(1, 1))
        }.asClient,
        R(
            "5.1", .must, "idle: a stream that was opened and given up stays idle for the origin",
            .connectionError(.protocolError)
        ) {
            if let ref = $0.session.open() { $0.session.reset(ref, .cancel) }
            $0.ask()
            $0.receive(F.ok(1))
        }.asClient,
    ]

    // MARK: open

    private static let open: [HTTP2Row] = [
        R("5.1", .must, "open: DATA, trailers", .says(post1, "data 1 5", "trailers 1 x")) {
            $0.receive(F.post(1), F.data(1, 5), F.headers(1, F.block([("x", "y")])))
        },
        R("5.1", .must, "open: END_STREAM of DATA ends the peer's half", .says(post1, "data 1 5 end")) {
            $0.receive(F.post(1), F.data(1, 5, ends: true))
        },
        R("5.1", .must, "open: WINDOW_UPDATE, PRIORITY, unknown frames", .says(post1)) {
            $0.receive(F.post(1), F.windowUpdate(1, 5), F.priority(1), F.frame(0xBB, 0, 1, [1]))
        },
        R("5.1", .must, "open: RST_STREAM closes", .says(post1, "reset 1 CANCEL by peer")) {
            $0.receive(F.post(1), F.reset(1))
        },
        R(
            "5.1", .must, "open: our END_STREAM ends our half alone", .says(post1, "data 1 5 end"),
            .sends("HEADERS 1", "DATA 1 3 END")
        ) {
            $0.receive(F.post(1))
            $0.answer(1, 3)
            $0.offer(1, 3)
            $0.take()
            $0.head(1)
            $0.receive(F.data(1, 5, ends: true))
        },
    ]

    // MARK: half-closed

    private static let halfClosed: [HTTP2Row] = [
        R("5.1", .must, "half-closed (remote): DATA is an error of the stream", .streamError(1, .streamClosed)) {
            $0.receive(F.get(1), F.data(1, 1))
        },
        R("5.1", .must, "half-closed (remote): so is HEADERS", .streamError(1, .streamClosed)) {
            $0.receive(F.get(1), F.headers(1, F.block([("x", "y")])))
        },
        R("5.1", .must, "half-closed (remote): and behind trailers", .streamError(1, .streamClosed)) {
            $0.receive(F.post(1), F.headers(1, F.block([("x", "y")])), F.data(1, 0, ends: true))
        },
        R("5.1", .must, "half-closed (remote): WINDOW_UPDATE, PRIORITY and unknown frames are not", .says(get1)) {
            $0.receive(F.get(1), F.windowUpdate(1, 5), F.priority(1), F.frame(0xBB, 0, 1, [1]))
        },
        R("5.1", .must, "half-closed (remote): RST_STREAM closes", .says(get1, "reset 1 CANCEL by peer")) {
            $0.receive(F.get(1), F.reset(1))
        },
        R("5.1", .must, "half-closed (remote): we may send anything", .sends("HEADERS 1", "DATA 1 5", "HEADERS 1 END"))
        {
            $0.receive(F.get(1))
            $0.head(1)
            $0.offer(1, 5)
            $0.take()
            $0.head(1, status: nil, "x: y\r\n", ends: true)
        },
        R("5.1", .must, "half-closed (local): the answer comes", .says("response 1 200", "data 1 5", "trailers 1 x")) {
            $0.ask()
            $0.receive(F.ok(1), F.data(1, 5), F.headers(1, F.block([("x", "y")])))
        }.asClient,
        R(
            "5.1", .must, "half-closed (local): WINDOW_UPDATE, PRIORITY and unknown frames come",
            .says("response 1 200 end")
        ) {
            $0.ask()
            $0.receive(F.windowUpdate(1, 5), F.priority(1), F.frame(0xBB, 0, 1, [1]), F.ok(1, ends: true))
        }.asClient,
        R("5.1", .must, "half-closed (local): RST_STREAM closes", .says("reset 1 CANCEL by peer")) {
            $0.ask()
            $0.receive(F.reset(1))
        }.asClient,
    ]

    // MARK: closed

    private static let closedStreams: [HTTP2Row] = [
        R("5.1", .must, "closed by END_STREAM: DATA is an error", .connectionError(.streamClosed)) {
            $0.receive(F.get(1))
            $0.answer(1)
            $0.receive(F.data(1, 1))
        },
        R("5.1", .must, "closed by END_STREAM: so is HEADERS", .connectionError(.streamClosed)) {
            $0.receive(F.get(1))
            $0.answer(1, 5)
            $0.receive(F.get(1))
        },
        R("5.1", .must, "closed by END_STREAM: of an origin as well", .connectionError(.streamClosed)) {
            $0.ask()
            $0.receive(F.ok(1, ends: true), F.data(1, 1))
        }.asClient,
        R(
            "5.1", .may, "closed by END_STREAM: WINDOW_UPDATE, RST_STREAM, PRIORITY are not", .says(get1),
            .sends("HEADERS 1 END")
        ) {
            $0.receive(F.get(1))
            $0.answer(1)
            $0.receive(F.windowUpdate(1, 5), F.reset(1), F.priority(1), F.windowUpdate(1, 0))
        },
        R(
            "5.1", .must, "closed by the peer's RST_STREAM: DATA is an error of the stream",
            .streamError(1, .streamClosed)
        ) {
            $0.receive(F.post(1), F.reset(1), F.data(1, 1))
        },
        R("5.1", .must, "closed by the peer's RST_STREAM: so is HEADERS", .streamError(1, .streamClosed)) {
            $0.receive(F.post(1), F.reset(1), F.headers(1, F.block([("x", "y")])))
        },
        R(
            "5.1", .must, "closed by ours: whatever was on its way is thrown away", .says(post1),
            .sends("RST_STREAM 1 NO_ERROR")
        ) {
            $0.receive(F.post(1))
            $0.reset(1, .noError)
            $0.receive(F.data(1, 9, padding: 3), F.windowUpdate(1, 1), F.frame(0xBB, 0, 1, [1]), F.reset(1))
        },
        R(
            "5.1", .must, "closed by ours: DATA counts for the connection, which gets it back",
            .sends("RST_STREAM 1 CANCEL", "WINDOW_UPDATE 0 524288")
        ) { peer in
            peer.receive(F.post(1))
            peer.reset(1)
            for _ in 0..<32 { peer.receive(F.data(1, 16_384)) }
        },
        R("5.1", .mustNot, "closed: nothing is sent on it", .says(get1, "reset 1 CANCEL by peer"), .sends()) {
            $0.receive(F.get(1), F.reset(1))
            $0.head(1)
            $0.offer(1, 5, ends: true)
            $0.take()
            $0.reset(1)
        },
        R(
            "5.1", .must, "closed long ago: what is not known any more is thrown away",
            .says("request 201 GET / a.test end")
        ) {
            for id in stride(from: UInt32(1), to: 200, by: 2) {
                $0.receive(F.get(id))
                $0.answer(id)
            }
            $0.forget()
            $0.receive(F.data(1, 5), F.headers(3, F.block([("x", "y")])), F.get(201))
        },
    ]

    // MARK: 5.1.1

    private static let numbers: [HTTP2Row] = [
        R("5.1.1", .must, "a client's streams have odd identifiers", .connectionError(.protocolError)) {
            $0.receive(F.get(2))
        },
        R("5.1.1", .must, "ours, as a client", .sends("HEADERS 1 END", "HEADERS 3 END")) {
            $0.ask()
            $0.ask()
        }.asClient,
        R("5.1.1", .must, "a server opens none here", .connectionError(.protocolError)) {
            $0.receive(F.ok(2))
        }.asClient,
        R("5.1.1", .must, "identifiers grow", .connectionError(.protocolError)) { $0.receive(F.get(5), F.get(3)) },
        R(
            "5.1.1", .must, "and may leave some out, which are closed then",
            .says(
                get1, "request 101 GET / a.test end")
        ) { $0.receive(F.get(1), F.get(101)) },
        R("5.1.1", .must, "DATA on one left out is no idle stream's", .connectionError(.protocolError)) {
            $0.receive(F.get(5), F.data(3, 1))
        },
        R("5.1.1", .mustNot, "they are not used again", .connectionError(.streamClosed)) {
            $0.receive(F.get(1))
            $0.answer(1)
            $0.receive(F.get(1))
        },
        R("5.1.1", .must, "the highest one is 2^31-1", .says("request 2147483647 GET / a.test end")) {
            $0.receive(F.get(0x7FFF_FFFF))
        },
    ]

    // MARK: 5.1.2

    private static let concurrency: [HTTP2Row] = [
        R(
            "5.1.2", .must, "a stream beyond the limit is refused", .streamError(5, .refusedStream),
            .says(post1, "request 3 GET / a.test end", "reset 5 REFUSED_STREAM by us")
        ) {
            $0.receive(F.post(1), F.get(3), F.get(5))
        }.bounds { $0.streamsMax = 2 },
        R(
            "5.1.2", .must, "half-closed ones count, closed ones do not",
            .says(
                get1, "reset 3 REFUSED_STREAM by us", "request 5 GET / a.test end")
        ) {
            $0.receive(F.get(1), F.get(3))
            $0.answer(1)
            $0.receive(F.get(5))
        }.bounds { $0.streamsMax = 1 },
        R("5.1.2", .mustNot, "no more are opened than the peer allows", .sends("HEADERS 1 END", "HEADERS 3 END")) {
            for _ in 0..<5 { $0.ask() }
        }.asClient.settings((3, 2)),
        R("5.1.2", .mustNot, "none where it allows none", .sends()) { $0.ask() }.asClient.settings((3, 0)),
        R("5.1.2", .must, "those that are over make room", .sends("HEADERS 1 END", "HEADERS 3 END")) {
            $0.ask()
            $0.receive(F.ok(1, ends: true))
            $0.ask()
            $0.ask()
        }.asClient.settings((3, 1)),
        R("5.1.2", .may, "a limit that is lowered ends none", .says("response 1 200 end", "response 3 200 end")) {
            $0.ask()
            $0.ask()
            $0.receive(F.settings([(3, 0)]), F.ok(1, ends: true), F.ok(3, ends: true))
        }.asClient,
        R(
            "8.7", .mustNot, "what is said not to have been acted on was never told of",
            .says(get1, "reset 3 REFUSED_STREAM by us", "reset 1 CANCEL by peer", "request 5 GET / a.test end"),
            .sends("RST_STREAM 3 REFUSED_STREAM", "GOAWAY 5 NO_ERROR")
        ) {
            $0.receive(F.get(1), F.get(3), F.reset(1), F.get(5))
            $0.session.goAway(.noError, isFinal: true)
            $0.receive(F.get(7))
        }.bounds { $0.streamsMax = 1 },
        R("8.7", .may, "REFUSED_STREAM may be sent again", .says("refused 1")) {
            $0.ask()
            $0.receive(F.reset(1, 7))
        }.asClient,
    ]
}
