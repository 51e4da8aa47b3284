import Foundation
import Testing

/// Frames that break a rule: errors of the connection end it with GOAWAY and the code the RFC names, errors of a stream
/// end the stream alone.
@Suite("HTTP/2: faulty frames", .onStageThreads)
struct FrameFaultJourneys {
    enum Verdict: Sendable {
        /// GOAWAY with one of these codes, and the end of the connection.
        case connection(Set<HTTP2Code>)
        /// RST_STREAM of stream 1 with one of these codes; the connection goes on.
        case stream(Set<HTTP2Code>)
        /// Stream 1 is served.
        case served
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let frames: [Frame]
        let verdict: Verdict
        /// Sent instead of preface and SETTINGS.
        var bare: [UInt8]?

        init(_ name: String, _ frames: Frame..., is verdict: Verdict) {
            testDescription = name
            self.frames = frames
            self.verdict = verdict
        }

        init(_ name: String, bare: String, _ frames: Frame..., is verdict: Verdict) {
            testDescription = name
            self.frames = frames
            self.verdict = verdict
            self.bare = Array(bare.utf8)
        }

        func json(_ transport: Transport, path: String) -> [String: Any] {
            let bytes = (bare ?? []) + frames.flatMap { $0.bytes(transport, path: path) }
            let isConnection = if case .connection = verdict { true } else { false }
            return [
                "hex": bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined(),
                "bare": bare != nil, "connection": isConnection,
            ]
        }
    }

    private final class Played: Sendable {
        static let clear = Result { try Played(.clear) }
        static let tls = Result { try Played(.tls) }

        let outcomes: Shared<[Findings]>

        init(_ transport: Transport) throws {
            let stage = try HTTP2Stage.shared
            let page = try Page()
            let cases = FrameFaultJourneys.cases.map { $0.json(transport, path: page.path) }
            let found = try stage.play("faults", "frames", over: transport, ["cases": cases, "alive": page.path])
            outcomes = Shared(found.parts("outcomes"))
        }
    }

    @Test("Each has the consequence that the RFC names", arguments: cases.indices, Transport.allCases)
    func frames(index: Int, transport: Transport) throws {
        let played = try (transport == .tls ? Played.tls : Played.clear).get()
        let outcome = try #require(played.outcomes.current.dropFirst(index).first)
        let text = "\(Self.cases[index].testDescription): \(outcome)"
        let goaway = HTTP2Code(rawValue: outcome.int("goaway"))
        let reset = HTTP2Code(rawValue: outcome.int("reset"))
        switch Self.cases[index].verdict {
        case .connection(let codes):
            // Before a whole preface has come, the connection may just end (RFC 9113, section 3.4).
            let isBare = Self.cases[index].bare != nil && goaway == nil
            #expect(isBare || goaway.map(codes.contains) == true, "\(text)")
            #expect(outcome.flag("closed"), "\(text)")
        case .stream(let codes):
            #expect(reset.map(codes.contains) == true, "\(text)")
            #expect(goaway == nil && outcome.int("after") == 200, "the connection: \(text)")
        case .served:
            #expect(outcome.int("status") == 200 && outcome.flag("ended"), "\(text)")
            #expect(goaway == nil && outcome.int("after") == 200, "the connection: \(text)")
        }
    }

    static let cases: [Case] = frameCases + streamCases + settingsCases + blockCases + beginningCases

    private static let frameCases: [Case] = [
        Case("§4.2 a frame beyond 16 KiB", Frame(0x0, 0, 1, count: 16_385), is: .connection([.frameSizeError])),
        Case("§4.2 HEADERS beyond 16 KiB", Frame(0x1, 0x4, 1, count: 16_385), is: .connection([.frameSizeError])),
        Case("§6.1 DATA on stream 0", Frame(0x0, 0, 0, [1]), is: .connection([.protocolError])),
        Case(
            "§6.1 padding as long as the frame", .request(ends: false), Frame(0x0, 0x8, 1, [1]),
            is: .connection([.protocolError])),
        Case(
            "§6.1 padding without its length", .request(ends: false), Frame(0x0, 0x8, 1),
            is: .connection([.protocolError, .frameSizeError])),
        Case("§6.2 HEADERS on stream 0", .request(stream: 0), is: .connection([.protocolError])),
        Case("§6.2 padding beyond the frame", Frame(0x1, 0xd, 1, [9, 0x82]), is: .connection([.protocolError])),
        Case("§6.3 PRIORITY on stream 0", Frame(0x2, 0, 0, [0, 0, 0, 0, 1]), is: .connection([.protocolError])),
        Case("§6.4 RST_STREAM on stream 0", Frame(0x3, 0, 0, [0, 0, 0, 8]), is: .connection([.protocolError])),
        Case(
            "§6.4 RST_STREAM of three bytes", .request(ends: false), Frame(0x3, 0, 1, [0, 0, 8]),
            is: .connection([.frameSizeError])),
        Case("§6.4 RST_STREAM of an idle stream", Frame(0x3, 0, 1, [0, 0, 0, 8]), is: .connection([.protocolError])),
        Case(
            "§8.4 PUSH_PROMISE from a client", .request(ends: false), Frame(0x5, 0x4, 1, [0, 0, 0, 2, 0x82]),
            is: .connection([.protocolError])),
        Case("§6.7 PING on a stream", Frame(0x6, 0, 1, count: 8), is: .connection([.protocolError])),
        Case("§6.7 PING of seven bytes", Frame(0x6, 0, 0, count: 7), is: .connection([.frameSizeError])),
        Case("§6.8 GOAWAY on a stream", Frame(0x7, 0, 1, count: 8), is: .connection([.protocolError])),
        Case(
            "§6.9 WINDOW_UPDATE of the connection by 0", Frame(0x8, 0, 0, count: 4), is: .connection([.protocolError])),
        Case("§6.9 WINDOW_UPDATE of three bytes", Frame(0x8, 0, 0, count: 3), is: .connection([.frameSizeError])),
        Case(
            "§6.9 WINDOW_UPDATE of an idle stream", Frame(0x8, 0, 7, [0, 0, 0, 1]), is: .connection([.protocolError])),
        Case(
            "§6.9.1 the connection's window above 2³¹-1", Frame(0x8, 0, 0, [0x7f, 0xff, 0xff, 0xff]),
            is: .connection([.flowControlError])),
        Case("§5.5 frames of unknown types", Frame(0x40, 0xff, 0, count: 5), .request(), is: .served),
        Case("§4.1 a reserved bit that is set", Frame(0x6, 0, 0x8000_0000, count: 8), .request(), is: .served),
        Case(
            "RFC 9218, section 7.1: PRIORITY_UPDATE on a stream", Frame(0x10, 0, 1, [0, 0, 0, 1]),
            is: .connection([.protocolError])),
        Case(
            "RFC 9218, section 7.1: PRIORITY_UPDATE too short", Frame(0x10, 0, 0, [0, 0, 1]),
            is: .connection([.frameSizeError])),
        Case(
            "RFC 9218, section 7.1: PRIORITY_UPDATE of stream 0", Frame(0x10, 0, 0, [0, 0, 0, 0]),
            is: .connection([.protocolError])),
    ]

    private static let streamCases: [Case] = [
        Case("§5.1 DATA on an idle stream", Frame(0x0, 0, 1, [1]), is: .connection([.protocolError])),
        Case("§5.1 DATA behind END_STREAM", .request(), Frame(0x0, 0x1, 1, [1]), is: .stream([.streamClosed])),
        Case("§5.1.1 an even stream", .request(stream: 2), is: .connection([.protocolError])),
        Case(
            "§5.1.1 a stream below the last", .request(stream: 5), .request(stream: 3),
            is: .connection([.protocolError, .streamClosed])),
        Case(
            "§6.3 PRIORITY of four bytes", .request(ends: false), Frame(0x2, 0, 1, count: 4),
            is: .stream([.frameSizeError])),
        Case(
            "§6.9 WINDOW_UPDATE of a stream by 0", .request(ends: false), Frame(0x8, 0, 1, count: 4),
            is: .stream([.protocolError])),
        Case(
            "§6.9.1 a stream's window above 2³¹-1", .request(ends: false), Frame(0x8, 0, 1, [0x7f, 0xff, 0xff, 0xff]),
            is: .stream([.flowControlError])),
        Case("§5.3 PRIORITY of an idle stream", Frame(0x2, 0, 9, [0, 0, 0, 3, 200]), .request(), is: .served),
    ]

    private static let settingsCases: [Case] = [
        Case("§6.5 SETTINGS on a stream", Frame(0x4, 0, 1), is: .connection([.protocolError])),
        Case("§6.5 SETTINGS of five bytes", Frame(0x4, 0, 0, count: 5), is: .connection([.frameSizeError])),
        Case("§6.5 an acknowledgement with bytes", Frame(0x4, 0x1, 0, count: 6), is: .connection([.frameSizeError])),
        Case("§6.5.2 ENABLE_PUSH 2", .settings(2, 2), is: .connection([.protocolError])),
        Case("§6.5.2 INITIAL_WINDOW_SIZE above 2³¹-1", .settings(4, 0x8000_0000), is: .connection([.flowControlError])),
        Case("§6.5.2 MAX_FRAME_SIZE below 2¹⁴", .settings(5, 16_383), is: .connection([.protocolError])),
        Case("§6.5.2 MAX_FRAME_SIZE above 2²⁴-1", .settings(5, 1 << 24), is: .connection([.protocolError])),
        Case("RFC 8441, section 3: ENABLE_CONNECT_PROTOCOL 2", .settings(8, 2), is: .connection([.protocolError])),
        Case("§6.5.2 a setting that nobody knows", .settings(0xabc, 9), .request(), is: .served),
        Case("§6.5.2 no stream of ours allowed", .settings(3, 0), .request(), is: .served),
    ]

    private static let blockCases: [Case] = [
        Case("§6.10 CONTINUATION of nothing", Frame(0x9, 0x4, 1, [0x82]), is: .connection([.protocolError])),
        Case(
            "§6.10 CONTINUATION behind a whole block", .request(ends: false), Frame(0x9, 0x4, 1, [0x82]),
            is: .connection([.protocolError])),
        Case(
            "§6.10 CONTINUATION of another stream", Frame(0x1, 0x1, 1, [0x82]), Frame(0x9, 0x4, 3, [0x84]),
            is: .connection([.protocolError])),
        Case(
            "§6.10 another frame inside a block", Frame(0x1, 0x1, 1, [0x82]), Frame(0x6, 0, 0, count: 8),
            is: .connection([.protocolError])),
        Case(
            "§6.10 another stream inside a block", Frame(0x1, 0x1, 1, [0x82]), .request(stream: 3),
            is: .connection([.protocolError])),
        Case("§4.3 index 0", Frame(0x1, 0x5, 1, [0x80]), is: .connection([.compressionError])),
        Case(
            "§4.3 an index beyond the table", Frame(0x1, 0x5, 1, [0xff, 0x80, 0x01]),
            is: .connection([.compressionError])),
        Case(
            "§4.3 an integer that overflows", Frame(0x1, 0x5, 1, [0xff] + [UInt8](repeating: 0xff, count: 12) + [0x01]),
            is: .connection([.compressionError])),
        Case(
            "§4.3 a string beyond the block", Frame(0x1, 0x5, 1, [0x82, 0x00, 0x7e, 0x61]),
            is: .connection([.compressionError])),
        Case(
            "§4.3 a table larger than announced", Frame(0x1, 0x5, 1, [0x3f, 0xe2, 0x1f, 0x82]),
            is: .connection([.compressionError])),
        Case(
            "§4.3 a table's size behind a field", Frame(0x1, 0x5, 1, [0x82, 0x20]), is: .connection([.compressionError])
        ),
        Case(
            "RFC 7541, section 5.2: EOS in a string",
            Frame(0x1, 0x5, 1, [0x82, 0x00, 0x84, 0xff, 0xff, 0xff, 0xff, 0x00]), is: .connection([.compressionError])),
        Case(
            "RFC 7541, section 5.2: padding of eight bits", Frame(0x1, 0x5, 1, [0x82, 0x00, 0x82, 0x1f, 0xff, 0x00]),
            is: .connection([.compressionError])),
        Case(
            "RFC 7541, section 5.2: padding that is not ones", Frame(0x1, 0x5, 1, [0x82, 0x00, 0x81, 0x18, 0x00]),
            is: .connection([.compressionError])),
        Case("§8.1 a block without fields", Frame(0x1, 0x5, 1), is: .stream([.protocolError])),
    ]

    private static let beginningCases: [Case] = [
        Case(
            "§3.4 no SETTINGS behind the preface", bare: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Frame(0x6, 0, 0, count: 8),
            is: .connection([.protocolError])),
        Case(
            "§3.4 an acknowledgement first", bare: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Frame(0x4, 0x1, 0),
            is: .connection([.protocolError])),
        Case(
            "§3.4 a preface gone wrong", bare: "PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n", .settings(4, 70_000),
            is: .connection([.protocolError])),
        Case(
            "§3.4 garbage", bare: "\u{1}\u{2}\u{3}\u{4}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n",
            is: .connection([.protocolError])),
    ]
}

/// One frame of a client.
struct Frame: Sendable {
    private let kind: UInt8
    private let flags: UInt8
    private let stream: UInt32
    private let payload: [UInt8]
    private var isRequest = false

    init(_ kind: UInt8, _ flags: UInt8, _ stream: UInt32, _ payload: [UInt8] = []) {
        (self.kind, self.flags, self.stream, self.payload) = (kind, flags, stream, payload)
    }

    /// With so many zeros.
    init(_ kind: UInt8, _ flags: UInt8, _ stream: UInt32, count: Int) {
        self.init(kind, flags, stream, [UInt8](repeating: 0, count: count))
    }

    static func settings(_ key: UInt16, _ value: UInt32) -> Frame {
        Frame(
            0x4, 0, 0,
            withUnsafeBytes(of: (key.bigEndian)) { Array($0) } + withUnsafeBytes(of: value.bigEndian) { Array($0) })
    }

    /// A request for the page of the journey.
    static func request(stream: UInt32 = 1, ends: Bool = true) -> Frame {
        var frame = Frame(0x1, ends ? 0x5 : 0x4, stream)
        frame.isRequest = true
        return frame
    }

    func bytes(_ transport: Transport, path: String) -> [UInt8] {
        let payload = isRequest ? Self.block(transport, path: path, ends: flags & 1 == 1) : payload
        let length = UInt32(payload.count)
        return withUnsafeBytes(of: length.bigEndian) { Array($0.dropFirst()) } + [kind, flags]
            + withUnsafeBytes(of: stream.bigEndian) { Array($0) } + payload
    }

    /// By RFC 7541: indexed fields, and literals without Huffman that are not put into the table.
    private static func block(_ transport: Transport, path: String, ends: Bool) -> [UInt8] {
        func literal(_ index: UInt8, _ text: String) -> [UInt8] { [index, UInt8(text.utf8.count)] + Array(text.utf8) }
        return [ends ? 0x82 : 0x83, transport == .tls ? 0x87 : 0x86] + literal(0x01, "example.test")
            + literal(0x04, path)
    }
}
