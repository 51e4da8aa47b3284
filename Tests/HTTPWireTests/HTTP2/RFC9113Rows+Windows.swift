// Sections 5.2 and 6.9: what may be sent, and what may be received.

import HTTPWire

private typealias R = HTTP2Row
private typealias F = Frames

extension RFC9113Rows {
    static let windows: [HTTP2Row] = updates + sending + settingsWindows + receiving

    // MARK: 6.9

    private static let updates: [HTTP2Row] = [
        R("6.9", .must, "an increment of 0 is an error of the stream", .streamError(1, .protocolError)) {
            $0.receive(F.get(1), F.windowUpdate(1, 0))
        },
        R("6.9", .must, "on the connection, of the connection", .connectionError(.protocolError)) {
            $0.receive(F.windowUpdate(0, 0))
        },
        R("6.9", .must, "it has 4 bytes", .connectionError(.frameSizeError)) {
            $0.receive(F.get(1), F.frame(8, 0, 1, [0, 0, 1]))
        },
        R("6.9", .must, "the reserved bit is ignored", .sends("HEADERS 1", "DATA 1 10", "DATA 1 5")) {
            $0.receive(F.get(1))
            $0.answer(1, 100)
            $0.receive(F.windowUpdate(1, 0x8000_0005))
            $0.take()
        }.settings((4, 10)),
        R("6.9.1", .must, "a stream's window stays below 2^31", .streamError(1, .flowControlError)) {
            $0.receive(F.get(1), F.windowUpdate(1, 0x7FFF_FFFF))
        },
        R("6.9.1", .must, "by many steps too", .streamError(1, .flowControlError)) {
            $0.receive(F.get(1), F.windowUpdate(1, 0x7FFF_0000), F.windowUpdate(1, 1))
        },
        R("6.9.1", .must, "the connection's as well", .connectionError(.flowControlError)) {
            $0.receive(F.windowUpdate(0, 0x7FFF_FFFF))
        },
        R("6.9.1", .must, "a window may be 2^31-1", .ignored) { $0.receive(F.windowUpdate(0, 0x7FFF_0000)) },
    ]

    // MARK: 6.9.1

    private static let sending: [HTTP2Row] = [
        R("6.9.1", .mustNot, "no more is sent than the stream's window", .sends("HEADERS 1", "DATA 1 100")) {
            $0.receive(F.get(1))
            $0.answer(1, 1000)
        }.settings((4, 100)),
        R(
            "6.9.1", .mustNot, "nor than the connection's",
            .sends(
                "HEADERS 1", "DATA 1 16384", "DATA 1 16384", "DATA 1 16384", "DATA 1 16383", "HEADERS 3")
        ) {
            $0.receive(F.get(1), F.get(3))
            $0.answer(1, 100_000)
            $0.answer(3, 100)
        }.settings((4, 1_000_000)),
        R("6.9.1", .must, "WINDOW_UPDATE lets more go", .sends("HEADERS 1", "DATA 1 100", "DATA 1 50", "DATA 1 50 END"))
        {
            $0.receive(F.get(1))
            $0.answer(1, 200)
            $0.receive(F.windowUpdate(1, 50))
            $0.take()
            $0.receive(F.windowUpdate(1, 5000))
            $0.take()
        }.settings((4, 100)),
        R("6.9.1", .may, "END_STREAM without data needs no window", .sends("HEADERS 1", "DATA 1 100", "DATA 1 0 END")) {
            $0.receive(F.get(1))
            $0.head(1)
            $0.offer(1, 100)
            $0.take()
            $0.offer(1, 0, ends: true)
            $0.take()
        }.settings((4, 100)),
        R("6.9.1", .may, "the connection's neither", .sends("HEADERS 3", "DATA 3 0 END")) {
            $0.receive(F.get(1), F.get(3))
            $0.answer(1, 65_535)
            $0.forget()
            $0.head(3)
            $0.offer(3, 0, ends: true)
            $0.take()
        },
        R(
            "5.2.2", .must, "frames are read while nobody takes the DATA before them",
            .says("request 1 POST / a.test", "data 1 262144", "request 3 GET / a.test end", "reset 3 CANCEL by peer"),
            .sends("HEADERS 1", "DATA 1 9", "PING ACK 7", "SETTINGS ACK", "DATA 1 3")
        ) { peer in
            peer.returnsCredit = false
            peer.receive(F.post(1))
            for _ in 0..<16 { peer.receive(F.data(1, 16_384)) }
            peer.head(1)
            peer.offer(1, 12)
            peer.take()
            peer.receive(F.ping(), F.settings(), F.get(3), F.reset(3), F.windowUpdate(1, 5))
            peer.take()
        }.settings((4, 9)),
        R("5.2.1", .must, "DATA alone is held up by windows", .sends("PING ACK 7", "HEADERS 1 END")) {
            $0.receive(F.get(1), F.ping())
            $0.head(1, ends: true)
        }.settings((4, 0)),
        R("6.9.1", .mustNot, "a client keeps to the same", .sends("HEADERS 1", "DATA 1 5", "DATA 1 3 END")) {
            $0.ask(.post, ends: false)
            $0.offer(1, 8, ends: true)
            $0.take()
            $0.receive(F.windowUpdate(1, 3))
            $0.take()
        }.asClient.settings((4, 5)),
    ]

    // MARK: 6.9.2

    private static let settingsWindows: [HTTP2Row] = [
        R(
            "6.9.2", .must, "a new initial window moves those of open streams",
            .sends(
                "HEADERS 1", "DATA 1 100", "SETTINGS ACK", "DATA 1 50")
        ) {
            $0.receive(F.get(1))
            $0.answer(1, 1000)
            $0.receive(F.settings([(4, 150)]))
            $0.take()
        }.settings((4, 100)),
        R(
            "6.9.2", .must, "below zero, and what comes is counted from there",
            .sends(
                "HEADERS 1", "DATA 1 100", "SETTINGS ACK", "DATA 1 5")
        ) {
            $0.receive(F.get(1))
            $0.answer(1, 1000)
            $0.receive(F.settings([(4, 10)]))
            $0.take()
            $0.receive(F.windowUpdate(1, 90))
            $0.take()
            $0.receive(F.windowUpdate(1, 5))
            $0.take()
        }.settings((4, 100)),
        R(
            "6.9.2", .must, "a window that it makes too large is an error of the connection",
            .connectionError(.flowControlError)
        ) {
            $0.receive(F.get(1), F.windowUpdate(1, 0x7FFF_0000), F.settings([(4, 65_536)]))
        },
        R("6.9.2", .must, "even if for a moment only", .connectionError(.flowControlError)) {
            $0.receive(F.get(1), F.windowUpdate(1, 0x7FFF_0000), F.settings([(4, 65_536), (4, 1)]))
        },
        R(
            "6.9.2", .must, "the connection's window stays as it is",
            .sends(
                "SETTINGS ACK", "HEADERS 1", "DATA 1 16384", "DATA 1 16384", "DATA 1 16384", "DATA 1 16383")
        ) {
            $0.receive(F.settings([(4, 1_000_000)]), F.get(1))
            $0.answer(1, 70_000)
        },
    ]

    // MARK: 5.2, receiving

    private static let receiving: [HTTP2Row] = [
        R(
            "5.2.2", .must, "DATA beyond the stream's window is an error of the stream",
            .streamError(1, .flowControlError)
        ) { peer in
            peer.returnsCredit = false
            peer.receive(F.post(1))
            for _ in 0..<16 { peer.receive(F.data(1, 16_384)) }
            peer.receive(F.data(1, 1))
        },
        R("5.2.2", .must, "beyond the connection's, of the connection", .connectionError(.flowControlError)) { peer in
            peer.returnsCredit = false
            for id in [1, 3, 5, 7, 9] as [UInt32] { peer.receive(F.post(id)) }
            for id in [1, 3, 5, 7] as [UInt32] { for _ in 0..<16 { peer.receive(F.data(id, 16_384)) } }
            peer.receive(F.data(9, 1))
        },
        R("6.1", .must, "padding counts", .streamError(1, .flowControlError)) { peer in
            peer.returnsCredit = false
            peer.receive(F.post(1))
            for _ in 0..<15 { peer.receive(F.data(1, 16_384)) }
            peer.receive(F.data(1, 16_000))
            peer.receive(F.data(1, 200, padding: 184))
        },
        R(
            "6.9", .must, "windows may be used to their last byte",
            .says(
                "request 1 POST / a.test", "data 1 262144 end")
        ) { peer in
            peer.returnsCredit = false
            peer.receive(F.post(1))
            for _ in 0..<15 { peer.receive(F.data(1, 16_384)) }
            peer.receive(F.data(1, 16_384, ends: true))
        },
        R(
            "6.9", .must, "what is dealt with is given back, on stream and connection",
            .sends(
                "WINDOW_UPDATE 1 131072", "WINDOW_UPDATE 1 131072", "WINDOW_UPDATE 1 131072",
                "WINDOW_UPDATE 0 524288", "WINDOW_UPDATE 1 131072")
        ) { peer in
            peer.receive(F.post(1))
            for _ in 0..<32 { peer.receive(F.data(1, 16_384)) }
        },
        R(
            "6.9.3", .must, "until a smaller window is acknowledged, the initial one holds",
            .says(
                "request 1 POST / a.test", "data 1 16384")
        ) { peer in
            peer.receive(F.preface + F.settings() + F.post(1) + F.data(1, 16_384))
        }.fromStart.bounds { $0.streamWindowBytes = 100 },
        R("6.9.3", .must, "from then on the smaller one does", .streamError(1, .flowControlError)) { peer in
            peer.receive(F.preface + F.settings() + F.settingsAck + F.post(1) + F.data(1, 101))
        }.fromStart.bounds { $0.streamWindowBytes = 100 },
        R("6.9.3", .must, "also for streams that were open before", .streamError(1, .flowControlError)) { peer in
            peer.returnsCredit = false
            peer.receive(F.preface + F.settings() + F.post(1) + F.data(1, 60) + F.settingsAck + F.data(1, 41))
        }.fromStart.bounds { $0.streamWindowBytes = 100 },
        R(
            "6.9", .must, "what was given back before the smaller one held is told of when it does",
            .sends("SETTINGS ACK", "WINDOW_UPDATE 1 60")
        ) { peer in
            peer.forget()
            peer.receive(F.preface + F.settings() + F.post(1) + F.data(1, 60) + F.settingsAck)
        }.fromStart.bounds { $0.streamWindowBytes = 100 },
    ]
}
