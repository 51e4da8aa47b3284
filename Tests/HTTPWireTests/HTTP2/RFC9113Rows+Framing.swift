// Sections 3.4, 4, 5.4 and 5.5: the beginning, frames of all types, blocks in pieces, errors, extensions.

import HTTPWire

private typealias R = HTTP2Row
private typealias F = Frames

extension RFC9113Rows {
    static let framing: [HTTP2Row] = beginning + frameFormat + blocks + errors

    private static let get1 = "request 1 GET / a.test end"
    private static let post1 = "request 1 POST / a.test"

    // MARK: 3.4

    private static let beginning: [HTTP2Row] = [
        R(
            "3.4", .must, "a server's first frame is SETTINGS",
            .sends(
                "SETTINGS 3=128 8=1 4=262144 6=65536 9=1", "WINDOW_UPDATE 0 983041")
        ) { _ in }.fromStart,
        R(
            "3.4", .must, "a client begins with the preface and SETTINGS",
            .sends(
                "SETTINGS 2=0 4=524288 6=131072 9=1", "WINDOW_UPDATE 0 33488897")
        ) { _ in }.fromStart.asClient,
        R("3.4", .must, "an invalid preface is an error of the connection", .connectionError(.protocolError)) {
            $0.receive(Array("GET / HTTP/1.1\r\n\r\n".utf8))
        }.fromStart,
        R("3.4", .must, "a preface is valid to its last byte", .connectionError(.protocolError)) {
            $0.receive(Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r ".utf8))
        }.fromStart,
        R("3.4", .must, "the client's first frame is SETTINGS", .connectionError(.protocolError)) {
            $0.receive(F.preface + F.ping())
        }.fromStart,
        R("3.4", .must, "and no acknowledgment", .connectionError(.protocolError)) {
            $0.receive(F.preface + F.settingsAck)
        }.fromStart,
        R("3.4", .must, "the server's first frame is SETTINGS", .connectionError(.protocolError)) {
            $0.receive(F.windowUpdate(0, 5))
        }.fromStart.asClient,
        R("3.4", .must, "SETTINGS of the preface are acknowledged, empty ones too", .sends("SETTINGS ACK")) {
            $0.forget()
            $0.receive(F.preface + F.settings())
        }.fromStart,
        R("3.4", .may, "requests may follow the preface at once", .says("request 1 GET / a.test end")) {
            $0.receive(F.preface + F.settings() + F.get(1))
        }.fromStart,
    ]

    // MARK: 4.1, 4.2, 5.5

    private static let frameFormat: [HTTP2Row] = [
        R("4.1", .must, "frames of unknown types are ignored", .ignored) {
            $0.receive(F.frame(0xBB, 0xFF, 0, [1, 2, 3]), F.frame(0xBB, 0, 1, []), F.frame(0xFF, 1, 77, [9]))
        },
        R("4.1", .must, "unknown flags are ignored", .says("request 1 GET / a.test"), .sends("PING ACK 7")) {
            $0.receive(F.frame(1, 0xD2 | 4, 1, F.request()), F.frame(6, 0xFE, 0, [UInt8](repeating: 7, count: 8)))
        },
        R("4.1", .must, "the reserved bit of a stream identifier is ignored", .says("request 1 GET / a.test end")) {
            $0.receive(F.frame(1, 5, 0x8000_0001, F.request()))
        },
        R(
            "4.1", .mustNot, "what is sent has no flag without a meaning, no reserved bit, no padding",
            .sends(
                "PING ACK 7", "HEADERS 1 MORE", "CONTINUATION 1", "PING 9", "DATA 1 9", "HEADERS 1 END",
                "RST_STREAM 3 CANCEL", "GOAWAY 2147483647 NO_ERROR", "SETTINGS ACK")
        ) {
            // The peer that is played looks for them in each frame.
            $0.receive(F.get(1), F.post(3), F.ping())
            $0.session.ping(0x0909_0909_0909_0909)
            $0.head(1, (0..<20).map { "x-\($0): " + String(repeating: "~", count: 1000) + "\r\n" }.joined())
            $0.offer(1, 9)
            $0.take()
            $0.head(1, status: nil, "x: y\r\n", ends: true)
            $0.reset(3)
            $0.session.goAway(.noError, isFinal: false)
            $0.receive(F.settings())
        },
        R("4.2", .must, "frames of 2^14 bytes can be received", .says("request 1 POST / a.test", "data 1 16384")) {
            $0.receive(F.post(1), F.data(1, 16_384))
        },
        R("4.2", .must, "larger ones than SETTINGS_MAX_FRAME_SIZE are an error", .connectionError(.frameSizeError)) {
            $0.receive(F.post(1), F.data(1, 16_385))
        },
        R("4.2", .must, "HEADERS among them", .connectionError(.frameSizeError)) {
            $0.receive(F.frame(1, 5, 1, [UInt8](repeating: 0, count: 16_385)))
        },
        R("4.2", .must, "and frames of unknown types", .connectionError(.frameSizeError)) {
            $0.receive(F.frame(0xBB, 0, 0, [UInt8](repeating: 0, count: 16_385)))
        },
        R(
            "4.2", .must, "HEADERS without room for the priority they announce are an error of the connection",
            .connectionError(.frameSizeError)
        ) { $0.receive(F.frame(1, 0x25, 1, [0, 0, 0, 0])) },
        R(
            "4.2", .mustNot, "frames sent are no larger than 2^14 bytes",
            .sends(
                "HEADERS 1", "DATA 1 16384", "DATA 1 16384", "DATA 1 7232 END")
        ) {
            $0.receive(F.get(1))
            $0.answer(1, 40_000)
        },
        R("5.5", .must, "unknown settings are ignored", .sends("SETTINGS ACK")) {
            $0.receive(F.settings([(0x7777, 3), (0, 1), (0x0A, 4)]))
        },
        R("5.5", .must, "a frame of an unknown type within a block is an error", .connectionError(.protocolError)) {
            $0.receive(F.headers(1, F.request(), endsBlock: false), F.frame(0xBB, 0, 1))
        },
    ]

    // MARK: 4.3

    private static let blocks: [HTTP2Row] = [
        R("4.3", .must, "a block in pieces is one block", .says("request 1 GET / a.test end")) {
            let block = F.request()
            $0.receive(F.headers(1, Array(block[..<5]), endsBlock: false))
            $0.receive(F.continuation(1, Array(block[5..<9]), endsBlock: false))
            $0.receive(F.continuation(1, Array(block[9...])))
        },
        R("4.3", .must, "a block that cannot be decoded is an error", .connectionError(.compressionError)) {
            $0.receive(F.headers(1, [0x80]))
        },
        R("4.3", .must, "a block that ends within a field is one", .connectionError(.compressionError)) {
            $0.receive(F.headers(1, F.request() + [0x40, 0x05, 0x61]))
        },
        R(
            "4.3", .must, "blocks of streams that were reset are decoded nevertheless",
            .says("request 1 POST / a.test", "request 3 GET / a.test x-a=b end"), .sends("RST_STREAM 1 CANCEL")
        ) {
            $0.receive(F.post(1))
            $0.reset(1)
            // Trailers that enter `x-a: b` into the table, and a request that refers to it.
            $0.receive(F.headers(1, [0x40] + F.text("x-a") + F.text("b")), F.headers(3, F.request() + [0xBE]))
        },
        R(
            "4.3", .must, "and those of streams that are refused",
            .says(
                "request 1 POST / a.test", "reset 3 REFUSED_STREAM by us", "reset 1 CANCEL by peer",
                "request 5 GET / a.test x-a=b end")
        ) {
            $0.receive(F.post(1), F.headers(3, F.request() + [0x40] + F.text("x-a") + F.text("b")))
            $0.receive(F.reset(1), F.headers(5, F.request() + [0xBE]))
        }.bounds { $0.streamsMax = 1 },
        R("4.3.1", .must, "a table may be as large as announced", .says("request 1 GET / a.test end")) {
            $0.receive(F.headers(1, [0x3F, 0xE1, 0x1F] + F.request()))
        },
        R("4.3.1", .must, "and no larger", .connectionError(.compressionError)) {
            $0.receive(F.headers(1, [0x3F, 0xE2, 0x1F] + F.request()))
        },
        R("4.3.1", .must, "a table that must shrink does so in the next block", .connectionError(.compressionError)) {
            $0.receive(F.get(1))
        }.bounds { $0.decoderTableBytesMax = 64 },
        R("4.3.1", .must, "and not before the setting is acknowledged", .says("request 1 GET / a.test end")) {
            $0.receive(F.preface + F.settings() + F.get(1))
        }.fromStart.bounds { $0.decoderTableBytesMax = 64 },
        R("4.3.1", .must, "where the peer wants a smaller one, our next block says so first", .says(get1)) { peer in
            peer.receive(F.settings([(1, 0)]), F.get(1))
            peer.head(1, ends: true)
            if peer.frames.last?.payload.first != 0x20 { peer.takeOver(["no"]) }
        },
        R("6.10", .must, "no frame comes within a block, of its stream", .connectionError(.protocolError)) {
            $0.receive(F.headers(1, F.request(), endsBlock: false), F.data(1, 5))
        },
        R("6.10", .must, "of another", .connectionError(.protocolError)) {
            $0.receive(F.post(1), F.headers(3, F.request(), endsBlock: false), F.data(1, 5))
        },
        R("6.10", .must, "or of the connection", .connectionError(.protocolError)) {
            $0.receive(F.headers(1, F.request(), endsBlock: false), F.ping())
        },
        R("6.10", .must, "CONTINUATION is of the block's stream", .connectionError(.protocolError)) {
            $0.receive(F.post(1), F.headers(3, F.request(), endsBlock: false), F.continuation(1, []))
        },
        R("6.10", .must, "CONTINUATION follows a block that has not ended", .connectionError(.protocolError)) {
            $0.receive(F.post(1), F.continuation(1, []))
        },
        R("6.10", .must, "not one that has", .connectionError(.protocolError)) {
            let block = F.request()
            $0.receive(F.headers(1, block, endsBlock: false), F.continuation(1, []), F.continuation(1, []))
        },
        R("6.10", .must, "CONTINUATION is of a stream", .connectionError(.protocolError)) {
            $0.receive(F.headers(1, F.request(), endsBlock: false), F.continuation(0, []))
        },
        R(
            "6.10", .must, "a block larger than a frame is sent in one HEADERS and CONTINUATION",
            .sends("HEADERS 1 MORE END", "CONTINUATION 1 MORE", "CONTINUATION 1")
        ) {
            $0.receive(F.get(1))
            $0.head(1, (0..<40).map { "x-\($0): " + String(repeating: "~", count: 1000) + "\r\n" }.joined(), ends: true)
        },
    ]

    // MARK: 5.4

    private static let errors: [HTTP2Row] = [
        R(
            "5.4.1", .should, "GOAWAY names the last stream that may have been acted on",
            .connectionError(.protocolError), .sends("GOAWAY 5 PROTOCOL_ERROR")
        ) {
            $0.receive(F.post(1), F.post(5), F.data(0, 1))
        },
        R(
            "5.4.1", .must, "nothing is sent behind it", .connectionError(.protocolError),
            .says("request 1 GET / a.test end", "failed PROTOCOL_ERROR")
        ) {
            $0.receive(F.get(1), F.data(0, 1), F.get(3))
            $0.head(1)
            $0.offer(1, 5, ends: true)
            $0.take()
        },
        R(
            "5.4.2", .must, "an error of a stream is RST_STREAM, and others go on",
            .streamError(1, .protocolError), .says("reset 1 PROTOCOL_ERROR by us", "request 3 GET / a.test end")
        ) {
            $0.receive(F.headers(1, F.request([":path": nil])), F.get(3))
        },
        R(
            "5.4.2", .must, "what was on its way behind RST_STREAM is no error",
            .says("request 1 POST / a.test"), .sends("RST_STREAM 1 CANCEL")
        ) {
            $0.receive(F.post(1))
            $0.reset(1)
            $0.receive(
                F.data(1, 5), F.windowUpdate(1, 5), F.headers(1, F.block([("x", "y")])), F.data(1, 0, ends: true))
            $0.receive(F.priority(1), F.reset(1))
        },
        R(
            "5.4.2", .should, "one RST_STREAM for one stream, however much comes behind its error",
            .streamError(1, .protocolError), .says(post1, "reset 1 PROTOCOL_ERROR by us")
        ) {
            $0.receive(F.post(1), F.windowUpdate(1, 0), F.windowUpdate(1, 0), F.data(1, 5), F.priority(1))
            $0.receive(F.headers(1, F.block([("x", "y")]), ends: false), F.data(1, 0, ends: true))
        },
        R(
            "5.4.2", .mustNot, "RST_STREAM is not answered with RST_STREAM", .sends(),
            .says("request 1 POST / a.test", "reset 1 CANCEL by peer")
        ) { $0.receive(F.post(1), F.reset(1)) },
    ]
}
