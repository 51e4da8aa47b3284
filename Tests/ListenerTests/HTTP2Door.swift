// A client of HTTP/2 whose connection ends in an `EmbeddedChannel`: frames go through a session in the client's role, so
// that what the edge says is read by the rules and not by eye.

import ConfigModel
import Exchange
import HTTPWire
import Limits
import Logging
import NIOCore
import NIOEmbedded
import Telemetry

@testable import Listener
@testable import Origin
@testable import Pipeline

/// A client's connection of HTTP/2 and the origin behind it. Call `finish()` at the end of each test.
final class HTTP2Door {
    let door: Door
    let listener: ListenerLoop
    let connection: HTTP2Connection
    let channel: EmbeddedChannel
    let watch = CloseWatch()
    private var session: HTTP2Session
    private let arena = HTTP2HeadArena(bytesMax: Limits.http2HeadBytesMax, fieldsMax: 256)
    private var unread = ByteBuffer()
    private var clock: UInt64 = 1

    /// What the client has heard of one stream.
    struct Heard {
        var status: Int?
        var interim: [Int] = []
        var fields: [String: String] = [:]
        var body = ""
        var trailers: [String: String] = [:]
        var isOver = false
        var resetCode: HTTP2ErrorCode?
    }

    private(set) var heard: [UInt32: Heard] = [:]
    private(set) var goAways: [(lastID: UInt32, code: HTTP2ErrorCode)] = []
    /// Whether credit is given back for what was read.
    var takesBodies = true
    /// The first bytes that the edge said.
    private(set) var firstBytes: [UInt8] = []

    init(windowBytes: Int = Limits.http2StreamWindowBytes, _ change: (inout Configuration) -> Void = { _ in }) throws {
        door = try Door(change)
        listener = ListenerLoop(desk: door.desk, certificates: nil, connectionsMax: 100)
        let peer = IPAddress(high: 0, low: 0xffff_c633_6407)
        connection = HTTP2Connection(listener: listener, peer: peer, tls: nil, isSecure: false)
        channel = EmbeddedChannel(handlers: [watch, connection], loop: door.eventLoop)
        channel.connect(to: try SocketAddress(ipAddress: "198.51.100.7", port: 4711), promise: nil)
        var bounds = HTTP2Bounds.origin
        bounds.streamWindowBytes = windowBytes
        session = HTTP2Session(role: .client, bounds: bounds)
        session.begin(at: clock)
    }

    func finish() {
        _ = try? channel.finish(acceptAlreadyClosed: true)
        door.finish()
    }

    func tick(milliseconds: Int) throws {
        door.tick(milliseconds: milliseconds)
        try exchange()
    }

    // MARK: What the client says

    /// Begins a request; its bytes leave with the next `exchange`.
    @discardableResult
    func ask(
        _ method: String = "GET", _ path: String = "/", host: String = "h.test", fields: String = "",
        body: String? = nil,
        ends: Bool = true
    ) throws -> HTTP2StreamRef {
        guard let stream = session.open(method == "HEAD" ? .head : .get) else { throw Failure.internalError }
        write { session, writer in
            session.writeHead(stream, endsStream: body == nil && ends, to: &writer) { encoder, writer in
                encoder.encode(.method, Array(method.utf8).span, to: &writer)
                encoder.encode(.scheme, "http", to: &writer)
                encoder.encode(.path, Array(path.utf8).span, to: &writer)
                encoder.encode(.authority, Array(host.utf8).span, to: &writer)
                encoder.encode(lines: Array(fields.utf8).span, to: &writer)
            }
        }
        if let body { send(stream, body, ends: ends) }
        return stream
    }

    /// More of a request's body.
    func send(_ stream: HTTP2StreamRef, _ text: String, ends: Bool) {
        session.offer(stream, bytes: text.utf8.count, ends: ends)
        var rest = Array(text.utf8)[...]
        while true {
            var grant: HTTP2DataGrant?
            write { session, writer in
                grant = session.nextData(room: 16_384, to: &writer)
                if let grant { rest.prefix(grant.count).withUnsafeBytes { writer.write($0) } }
            }
            guard let grant else { return }
            rest = rest.dropFirst(grant.count)
            if grant.ends { return }
        }
    }

    func endWithTrailers(_ stream: HTTP2StreamRef, _ lines: String) {
        write { session, writer in
            session.writeHead(stream, endsStream: true, to: &writer) { encoder, writer in
                encoder.encode(lines: Array(lines.utf8).span, to: &writer)
            }
        }
    }

    func reset(_ stream: HTTP2StreamRef, _ code: HTTP2ErrorCode = .cancel) { session.reset(stream, code) }

    /// Raw bytes behind what is pending.
    func say(_ bytes: [UInt8]) { pending.writeBytes(bytes) }

    private var pending = ByteBuffer()

    private func write(_ body: (inout HTTP2Session, inout ByteWriter) -> Void) {
        pending.writeWithUnsafeMutableBytes(minimumWritableBytes: 65_536) { memory in
            var writer = ByteWriter(memory)
            session.writeControl(to: &writer)
            body(&session, &writer)
            return writer.count
        }
    }

    // MARK: Both

    /// Carries what either side has to say, until neither has more.
    func exchange() throws {
        for _ in 0..<100 {
            door.eventLoop.run()
            write { _, _ in }
            let out = pending
            pending = ByteBuffer()
            if out.readableBytes > 0 { try channel.writeInbound(out) }
            door.eventLoop.run()
            var isQuiet = out.readableBytes == 0
            while let bytes = try channel.readOutbound(as: ByteBuffer.self) {
                isQuiet = false
                if firstBytes.count < 9 { firstBytes += bytes.readableBytesView.prefix(9 - firstBytes.count) }
                unread.writeImmutableBuffer(bytes)
            }
            read()
            if isQuiet, session.pendingControlBytes == 0 { return }
        }
    }

    private func read() {
        while unread.readableBytes > 0 {
            clock += 1_000_000
            let step = unread.withBytes { session.next($0, at: clock, arena: arena) }
            switch step {
            case .needsMore(let consumed):
                return unread.moveReaderIndex(forwardBy: consumed)
            case .response(let ref, let ends, let consumed):
                unread.moveReaderIndex(forwardBy: consumed)
                note(response: ref, ends)
            case .data(let ref, let range, let flow, let ends, let consumed):
                let bytes = unread.getSlice(at: unread.readerIndex + range.lowerBound, length: range.count)
                unread.moveReaderIndex(forwardBy: consumed)
                heard[ref.id, default: Heard()].body += bytes.map { String(buffer: $0) } ?? ""
                heard[ref.id, default: Heard()].isOver = ends
                if takesBodies { session.returnCredit(ref, flow) }
            case .trailers(let ref, let consumed):
                unread.moveReaderIndex(forwardBy: consumed)
                heard[ref.id, default: Heard()].trailers = Self.texts(arena.trailers, arena)
                heard[ref.id, default: Heard()].isOver = true
            case .reset(let ref, let code, _, let consumed):
                unread.moveReaderIndex(forwardBy: consumed)
                heard[ref.id, default: Heard()].resetCode = code
            case .goAway(let lastID, let code, let consumed):
                unread.moveReaderIndex(forwardBy: consumed)
                goAways.append((lastID, code))
            case .refused(_, let consumed), .windowOpened(let consumed), .settings(let consumed),
                .pong(_, let consumed),
                .request(_, _, let consumed), .tooLarge(_, let consumed), .malformed(_, _, let consumed):
                unread.moveReaderIndex(forwardBy: consumed)
            case .failed:
                return unread.clear()
            }
        }
    }

    private func note(response ref: HTTP2StreamRef, _ ends: Bool) {
        var now = heard[ref.id] ?? Heard()
        if arena.response.isInterim {
            now.interim.append(arena.response.status)
        } else {
            now.status = arena.response.status
            now.fields = Self.texts(arena.response.fields, arena)
            now.isOver = ends
        }
        heard[ref.id] = now
    }

    private static func texts(_ fields: ContiguousArray<Field>, _ arena: HTTP2HeadArena) -> [String: String] {
        arena.withBytes { bytes in
            var texts: [String: String] = [:]
            for field in fields {
                let name = String(decoding: field.name.range.map { bytes[$0] }, as: UTF8.self)
                texts[name] = String(decoding: field.value.range.map { bytes[$0] }, as: UTF8.self)
            }
            return texts
        }
    }

    subscript(_ stream: HTTP2StreamRef) -> Heard { heard[stream.id] ?? Heard() }
}
