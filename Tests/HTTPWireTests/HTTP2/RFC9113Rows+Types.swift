// Section 6, type by type, but for flow control and blocks in pieces, which have rows of their own; and section 7.

import HTTPWire

private typealias R = HTTP2Row
private typealias F = Frames

extension RFC9113Rows {
    static let types: [HTTP2Row] = dataAndHeaders + priorityAndReset + settingsFrames + pingAndGoAway + others

    // MARK: 6.1, 6.2

    private static let dataAndHeaders: [HTTP2Row] = [
        R("6.1", .must, "DATA is of a stream", .connectionError(.protocolError)) { $0.receive(F.data(0, 5)) },
        R("6.1", .must, "padding is left out", .says("request 1 POST / a.test", "data 1 5 end")) {
            $0.receive(F.post(1), F.data(1, 5, ends: true, padding: 20))
        },
        R("6.1", .must, "no padding is one byte of padding", .says("request 1 POST / a.test", "data 1 5 end")) {
            $0.receive(F.post(1), F.data(1, 5, ends: true, padding: 0))
        },
        R("6.1", .must, "padding as long as the payload is an error", .connectionError(.protocolError)) {
            $0.receive(F.post(1), F.frame(0, 8, 1, [4, 0, 0, 0]))
        },
        R("6.1", .must, "padding that is announced is there", .connectionError(.protocolError)) {
            $0.receive(F.post(1), F.frame(0, 8, 1, []))
        },
        R("6.1", .may, "a frame may be padding alone", .says("request 1 POST / a.test", "data 1 0 end")) {
            $0.receive(F.post(1), F.data(1, 0, padding: 9), F.data(1, 0, ends: true, padding: 3))
        },
        R("6.2", .must, "HEADERS is of a stream", .connectionError(.protocolError)) { $0.receive(F.get(0)) },
        R("6.2", .must, "padding is left out", .says("request 1 GET / a.test end")) {
            $0.receive(F.headers(1, F.request(), padding: 30))
        },
        R("6.2", .must, "padding beyond the payload is an error", .connectionError(.protocolError)) {
            $0.receive(F.frame(1, 0x0D, 1, [5, 1, 2, 3]))
        },
        R("6.2", .must, "padding that leaves no room for the priority is one", .connectionError(.protocolError)) {
            $0.receive(F.frame(1, 0x2D, 1, [4, 0, 0, 0, 0, 0, 0]))
        },
        R("5.3.2", .may, "the priority of HEADERS is read over, one on itself too", .says("request 1 GET / a.test end"))
        {
            $0.receive(F.headers(1, F.request(), padding: 3, priority: [0x80, 0, 0, 1, 255]))
        },
    ]

    // MARK: 6.3, 6.4

    private static let priorityAndReset: [HTTP2Row] = [
        R("6.3", .must, "PRIORITY is of a stream", .connectionError(.protocolError)) { $0.receive(F.priority(0)) },
        R("6.3", .must, "of another length it is an error of the stream", .streamError(1, .frameSizeError)) {
            $0.receive(F.post(1), F.priority(1, count: 4))
        },
        R("6.3", .must, "of the connection where the stream is idle", .connectionError(.frameSizeError)) {
            $0.receive(F.priority(1, count: 6))
        },
        R("6.3", .may, "PRIORITY comes in any state", .says("request 1 GET / a.test end"), .sends("HEADERS 1 END")) {
            $0.receive(F.priority(1), F.get(1), F.priority(1), F.priority(7))
            $0.answer(1)
            $0.receive(F.priority(1))
        },
        R("6.4", .must, "RST_STREAM is of a stream", .connectionError(.protocolError)) { $0.receive(F.reset(0)) },
        R("6.4", .must, "not of an idle one", .connectionError(.protocolError)) { $0.receive(F.reset(1)) },
        R("6.4", .must, "it has 4 bytes", .connectionError(.frameSizeError)) {
            $0.receive(F.post(1), F.frame(3, 0, 1, [0, 0, 0]))
        },
        R(
            "6.4", .must, "it ends the stream", .says("request 1 POST / a.test", "reset 1 INTERNAL_ERROR by peer"),
            .sends()
        ) {
            $0.receive(F.post(1), F.reset(1, 2))
            $0.answer(1, 5)
        },
        R("6.4", .must, "twice is once", .says("request 1 POST / a.test", "reset 1 CANCEL by peer"), .sends()) {
            $0.receive(F.post(1), F.reset(1), F.reset(1))
        },
        R(
            "7", .mustNot, "an unknown error code is like any other",
            .says(
                "request 1 POST / a.test", "reset 1 UNKNOWN by peer", "go away 0 UNKNOWN")
        ) {
            $0.receive(F.post(1), F.reset(1, 0xABCD), F.goAway(0, 0xFFFF_FFFF))
        },
    ]

    // MARK: 6.5

    private static let settingsFrames: [HTTP2Row] = [
        R("6.5", .must, "SETTINGS is of the connection", .connectionError(.protocolError)) {
            $0.receive(F.frame(4, 0, 1))
        },
        R("6.5", .must, "it is made of entries of 6 bytes", .connectionError(.frameSizeError)) {
            $0.receive(F.frame(4, 0, 0, [0, 3, 0, 0, 0]))
        },
        R("6.5", .must, "an acknowledgment is empty", .connectionError(.frameSizeError)) {
            $0.receive(F.frame(4, 1, 0, [0, 3, 0, 0, 0, 1]))
        },
        R("6.5.2", .must, "SETTINGS_ENABLE_PUSH is 0 or 1", .connectionError(.protocolError)) {
            $0.receive(F.settings([(2, 2)]))
        },
        R("6.5.2", .must, "a client takes no SETTINGS_ENABLE_PUSH but 0", .connectionError(.protocolError)) {
            $0.receive(F.settings([(2, 1)]))
        }.asClient,
        R("6.5.2", .must, "SETTINGS_INITIAL_WINDOW_SIZE is below 2^31", .connectionError(.flowControlError)) {
            $0.receive(F.settings([(4, 0x8000_0000)]))
        },
        R("6.5.2", .must, "SETTINGS_MAX_FRAME_SIZE is not below 2^14", .connectionError(.protocolError)) {
            $0.receive(F.settings([(5, 16_383)]))
        },
        R("6.5.2", .must, "and not above 2^24-1", .connectionError(.protocolError)) {
            $0.receive(F.settings([(5, 16_777_216)]))
        },
        R("6.5.2", .must, "all values within their ranges are taken", .sends("SETTINGS ACK")) {
            $0.receive(
                F.settings([(1, 0), (2, 1), (2, 0), (3, 0), (4, 0x7FFF_FFFF), (5, 16_384), (5, 16_777_215), (6, 0)]))
        },
        R(
            "6.5.3", .must, "SETTINGS are acknowledged in their order",
            .sends(
                "SETTINGS ACK", "PING ACK 7", "SETTINGS ACK")
        ) { $0.receive(F.settings(), F.ping(), F.settings([(3, 1)])) },
        R(
            "6.5.3", .must, "entries hold in their order, the last one in the end",
            .sends(
                "SETTINGS ACK", "HEADERS 1", "DATA 1 7")
        ) {
            $0.receive(F.settings([(4, 50), (4, 7)]), F.get(1))
            $0.answer(1, 100)
        },
        R("6.5.3", .mustNot, "an acknowledgment is not acknowledged", .ignored) { $0.receive(F.settingsAck) },
    ]

    // MARK: 6.6, 6.7, 6.8

    private static let pingAndGoAway: [HTTP2Row] = [
        R("6.7", .must, "PING is answered with its content", .sends("PING ACK 42")) { $0.receive(F.ping(42)) },
        R("6.7", .mustNot, "an answer is not answered", .ignored) { $0.receive(F.ping(isAck: true)) },
        R("6.7", .must, "PING is of the connection", .connectionError(.protocolError)) {
            $0.receive(F.frame(6, 0, 1, [UInt8](repeating: 0, count: 8)))
        },
        R("6.7", .must, "it has 8 bytes", .connectionError(.frameSizeError)) {
            $0.receive(F.frame(6, 0, 0, [UInt8](repeating: 0, count: 6)))
        },
        R("6.7", .may, "ours is answered", .says("pong 506381209866536711"), .sends("PING 7")) {
            $0.session.ping(0x0707_0707_0707_0707)
            $0.receive(F.ping(isAck: true))
        },
        R("6.8", .must, "GOAWAY is of the connection", .connectionError(.protocolError)) {
            $0.receive(F.frame(7, 0, 1, [UInt8](repeating: 0, count: 8)))
        },
        R("4.2", .must, "GOAWAY has at least 8 bytes", .connectionError(.frameSizeError)) {
            $0.receive(F.frame(7, 0, 0, [UInt8](repeating: 0, count: 7)))
        },
        R("6.8", .mustNot, "no stream is opened behind GOAWAY", .says("go away 5 NO_ERROR"), .sends()) {
            $0.receive(F.goAway(5, text: "bye"))
            $0.ask()
        }.asClient,
        R(
            "6.8", .may, "streams above its last one may be sent again",
            .says(
                "refused 3", "refused 5", "go away 1 NO_ERROR", "response 1 200 end")
        ) {
            for _ in 0..<3 { $0.ask() }
            $0.receive(F.goAway(1), F.ok(1, ends: true))
        }.asClient,
        R(
            "6.8", .mustNot, "its last stream never grows",
            .says("refused 3", "go away 1 NO_ERROR", "go away 1 NO_ERROR")
        ) {
            for _ in 0..<2 { $0.ask() }
            $0.receive(F.goAway(1), F.goAway(3))
        }.asClient,
        R(
            "6.8", .should, "a graceful end says 2^31-1 first, and serves what is on its way",
            .sends("GOAWAY 2147483647 NO_ERROR", "GOAWAY 1 NO_ERROR"), .says("request 1 GET / a.test end")
        ) {
            $0.session.goAway(.noError, isFinal: false)
            $0.session.goAway(.noError, isFinal: false)
            $0.receive(F.get(1))
            $0.session.goAway(.noError, isFinal: true)
            $0.session.goAway(.noError, isFinal: true)
            $0.session.goAway(.noError, isFinal: false)
            $0.drain()
        },
        R(
            "6.8", .mustNot, "nor does ours", .connectionError(.protocolError),
            .sends("GOAWAY 1 NO_ERROR", "GOAWAY 1 PROTOCOL_ERROR")
        ) {
            $0.receive(F.post(1))
            $0.session.goAway(.noError, isFinal: true)
            $0.receive(F.post(3), F.data(0, 1))
        },
        R(
            "6.8", .must, "what comes above the last stream is thrown away, its blocks decoded, its DATA no error",
            .says("request 1 POST / a.test", "data 1 5 end"), .sends("GOAWAY 1 NO_ERROR")
        ) {
            $0.receive(F.post(1))
            $0.session.goAway(.noError, isFinal: true)
            $0.receive(F.post(3), F.data(3, 9), F.headers(3, F.block([("x", "y")])), F.data(1, 5, ends: true))
        },
    ]

    private static let others: [HTTP2Row] = [
        R("6.6", .must, "a server takes no PUSH_PROMISE", .connectionError(.protocolError)) {
            $0.receive(F.post(1), F.frame(5, 4, 1, [0, 0, 0, 2] + F.request()))
        },
        R("6.6", .must, "nor does a client that has switched push off", .connectionError(.protocolError)) {
            $0.ask()
            $0.receive(F.frame(5, 4, 1, [0, 0, 0, 2] + F.request()))
        }.asClient,
    ]
}
