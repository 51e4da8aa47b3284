// The origin's end of an HTTP/2 connection, without a socket: a session in the server's role, what it heard and what it
// has to say.

import Exchange
import HTTPWire
import Limits
import NIOCore

@testable import Origin

final class HTTP2FarEnd {
    enum Event: Equatable {
        /// `METHOD target scheme authority`, and END_STREAM.
        case request(UInt32, String, ends: Bool)
        case body(UInt32, String)
        case end(UInt32)
        case trailers(UInt32, String)
        case reset(UInt32, HTTP2ErrorCode)
        case goAway(HTTP2ErrorCode)
        case pong
        case failed
    }

    var session: HTTP2Session
    private let arena = HTTP2HeadArena(bytesMax: Limits.http2HeadBytesMax, fieldsMax: Limits.fieldCountRange.upperBound)
    private var inbound = ByteBuffer()
    /// To be sent.
    var out = ByteBuffer()
    private(set) var events: [Event] = []
    /// By stream: `name: value` lines as they were decoded.
    private(set) var fields: [UInt32: [String]] = [:]
    private(set) var protocols: [UInt32: String] = [:]
    private(set) var refs: [UInt32: HTTP2StreamRef] = [:]
    /// Bodies that wait for windows.
    private var queues: [UInt32: ByteBuffer] = [:]
    private(set) var bodyBytes: [UInt32: Int] = [:]
    /// Whether received bodies are given back to the client's windows.
    var returnsCredit = true
    /// Whether bodies appear among the events; else only their bytes are counted.
    var notesBodies = true

    init(streamsMax: Int = 100, streamWindow: Int = 65_535, connectionWindow: Int = 65_535) {
        var bounds = HTTP2Bounds()
        bounds.streamsMax = streamsMax
        bounds.streamWindowBytes = streamWindow
        bounds.connectionWindowBytes = connectionWindow
        session = HTTP2Session(role: .server, bounds: bounds)
    }

    private(set) var hasBegun = false

    func begin() {
        hasBegun = true
        session.begin(at: 1)
        gather()
    }

    /// The events since the last call.
    func heard() -> [Event] {
        defer { events = [] }
        return events
    }

    // MARK: Hearing

    func hear(_ bytes: ByteBuffer) {
        inbound.writeImmutableBuffer(bytes)
        while true {
            let step = inbound.withBytes { session.next($0, at: 1, arena: arena) }
            guard take(step) else { break }
        }
        gather()
    }

    private func take(_ step: HTTP2Step) -> Bool {
        switch step {
        case .needsMore(let consumed):
            inbound.moveReaderIndex(forwardBy: consumed)
            return false
        case .request(let ref, let ends, let consumed):
            inbound.moveReaderIndex(forwardBy: consumed)
            noteRequest(ref, ends: ends)
        case .data(let ref, let range, let flowBytes, let ends, let consumed):
            let bytes = inbound.getSlice(at: inbound.readerIndex + range.lowerBound, length: range.count)
            inbound.moveReaderIndex(forwardBy: consumed)
            if let bytes, bytes.readableBytes > 0 {
                bodyBytes[ref.id, default: 0] += bytes.readableBytes
                if notesBodies { events.append(.body(ref.id, String(buffer: bytes))) }
            }
            if returnsCredit { session.returnCredit(ref, flowBytes) }
            if ends { events.append(.end(ref.id)) }
        case .trailers(let ref, let consumed):
            inbound.moveReaderIndex(forwardBy: consumed)
            events.append(.trailers(ref.id, lines(arena.trailers).joined(separator: "\n")))
        case .reset(let ref, let code, _, let consumed):
            inbound.moveReaderIndex(forwardBy: consumed)
            events.append(.reset(ref.id, code))
        case .goAway(_, let code, let consumed):
            inbound.moveReaderIndex(forwardBy: consumed)
            events.append(.goAway(code))
        case .pong(_, let consumed):
            inbound.moveReaderIndex(forwardBy: consumed)
            events.append(.pong)
        case .failed:
            events.append(.failed)
            return false
        case .settings(let consumed), .windowOpened(let consumed), .refused(_, let consumed),
            .response(_, _, let consumed), .tooLarge(_, let consumed), .malformed(_, _, let consumed):
            inbound.moveReaderIndex(forwardBy: consumed)
        }
        return true
    }

    private func noteRequest(_ ref: HTTP2StreamRef, ends: Bool) {
        let head = arena.request
        refs[ref.id] = ref
        let line = arena.withBytes { bytes -> String in
            let words = [head.methodRange, head.target, head.scheme, head.host].map { text(bytes, $0) }
            return words.joined(separator: " ") + (head.port.map { ":\($0)" } ?? "")
        }
        fields[ref.id] = lines(head.fields)
        if let name = arena.connectProtocol { protocols[ref.id] = arena.withBytes { text($0, name) } }
        events.append(.request(ref.id, line, ends: ends))
    }

    private func text(_ bytes: Span<UInt8>, _ range: ByteRange) -> String {
        String(decoding: range.range.map { bytes[$0] }, as: UTF8.self)
    }

    private func lines(_ fields: ContiguousArray<Field>) -> [String] {
        arena.withBytes { bytes in fields.map { "\(text(bytes, $0.name)): \(text(bytes, $0.value))" } }
    }

    // MARK: Saying

    /// A head, interim or final. `lines`: each ended by CRLF.
    func respond(_ stream: UInt32, _ status: Int, _ lines: String = "", ends: Bool = false) {
        gather()
        write(stream, ends: ends, bytes: lines.utf8.count) { encoder, writer in
            encoder.encode(status: status, to: &writer)
            Array(lines.utf8).withUnsafeBytes {
                _ = encoder.encode(lines: $0.bindMemory(to: UInt8.self).span, to: &writer)
            }
        }
    }

    func trailers(_ stream: UInt32, _ lines: String) {
        write(stream, ends: true, bytes: lines.utf8.count) { encoder, writer in
            Array(lines.utf8).withUnsafeBytes {
                _ = encoder.encode(lines: $0.bindMemory(to: UInt8.self).span, to: &writer)
            }
        }
    }

    private func write(
        _ stream: UInt32, ends: Bool, bytes: Int, _ block: (inout HPACKEncoder, inout ByteWriter) -> Void
    ) {
        guard let ref = refs[stream] else { return }
        let bound = HPACKEncoder.boundBytes(lineBytes: bytes, fieldCount: bytes / 4 + 1)
        out.writeWithUnsafeMutableBytes(minimumWritableBytes: HTTP2Session.headRoom(blockBytes: bound)) { memory in
            var writer = ByteWriter(memory)
            session.writeHead(ref, endsStream: ends, to: &writer, block)
            return writer.count
        }
    }

    func send(_ stream: UInt32, _ text: String, ends: Bool = false) {
        send(stream, ByteBuffer(string: text), ends: ends)
    }

    func send(_ stream: UInt32, _ bytes: ByteBuffer, ends: Bool = false) {
        guard let ref = refs[stream] else { return }
        queues[stream, default: ByteBuffer()].writeImmutableBuffer(bytes)
        session.offer(ref, bytes: bytes.readableBytes, ends: ends)
        gather()
    }

    func reset(_ stream: UInt32, _ code: HTTP2ErrorCode) {
        guard let ref = refs[stream] else { return }
        session.reset(ref, code)
        gather()
    }

    func goAway(_ code: HTTP2ErrorCode = .noError, isFinal: Bool = true) {
        session.goAway(code, isFinal: isFinal)
        gather()
    }

    /// A frame as it is, whatever the protocol says of it.
    func frame(_ type: UInt8, flags: UInt8 = 0, stream: UInt32, _ payload: [UInt8] = []) {
        gather()
        out.writeBytes([UInt8(payload.count >> 16), UInt8(payload.count >> 8 & 255), UInt8(payload.count & 255)])
        out.writeBytes([type, flags])
        out.writeInteger(stream)
        out.writeBytes(payload)
    }

    /// Writes what the session has to say, and the bodies that windows allow.
    func gather() {
        let count = session.pendingControlBytes
        if count > 0 {
            out.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { memory in
                var writer = ByteWriter(memory)
                session.writeControl(to: &writer)
                return writer.count
            }
        }
        while gatherData() {}
    }

    private func gatherData() -> Bool {
        var granted: HTTP2DataGrant?
        out.writeWithUnsafeMutableBytes(minimumWritableBytes: Limits.http2DataFrameBytesMax) { memory in
            var writer = ByteWriter(memory)
            granted = session.nextData(room: Limits.http2FrameBytesMax, to: &writer)
            guard let granted, var queue = queues[granted.stream.id], let bytes = queue.readSlice(length: granted.count)
            else { return writer.count }
            queues[granted.stream.id] = queue
            bytes.withUnsafeReadableBytes { writer.write($0) }
            return writer.count
        }
        return granted != nil
    }
}
