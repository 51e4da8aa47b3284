import Exchange
import HTTPWire
import Limits
import NIOCore
import Pipeline
import Telemetry

/// One stream of an HTTP/2 connection: the client's end of one exchange.
///
/// It keeps what of the response waits for the client's window and for its turn among the other streams, and remembers
/// how much of the request's body the client must not be told of yet. Frames are its connection's matter.
///
/// Streams are reused: a loop keeps those that are done (`HTTP2Loop`).
final class HTTP2Stream: ClientStream {
    /// nil once the stream is over.
    var connection: HTTP2Connection?
    var ref = HTTP2StreamRef.none
    var journey: Journey?
    var flags: Flags = []
    /// Body that waits for a window and a turn.
    var queue = PieceQueue()
    private var trailers: ByteBuffer?
    /// What came before a tunnel was there: its bytes, whose credit is held back.
    private var early = ByteBuffer()
    /// Flow-control credit that the client does not get back while the origin takes no more.
    private var heldCredit = 0
    /// Body bytes of the present window of the body timeout.
    var bodyBytesSeen = 0
    /// When that window ends; 0 while none runs. Monotonic nanoseconds.
    var bodyWindowEnd: UInt64 = 0
    /// When the client last took something of what waits; 0 while nothing does.
    var waitsSince: UInt64 = 0
    /// Bytes of the response that its client has taken since then.
    var takenBytes = 0

    struct Flags: OptionSet {
        let rawValue: UInt16
        static let requestEnded = Flags(rawValue: 1)
        static let headSent = Flags(rawValue: 2)
        /// The journey has said all it has to say.
        static let responseEnded = Flags(rawValue: 4)
        /// END_STREAM has gone out.
        static let outputEnded = Flags(rawValue: 8)
        static let bodyPaused = Flags(rawValue: 16)
        static let responsePaused = Flags(rawValue: 32)
        /// An extended CONNECT (RFC 8441): bytes pass once the origin has switched.
        static let connects = Flags(rawValue: 64)
        static let isTunnel = Flags(rawValue: 128)
        /// In its connection's list of those to be looked at.
        static let isNoted = Flags(rawValue: 256)
        static let isOver = Flags(rawValue: 512)
        /// A tunnel has carried bytes since it was last looked at.
        static let hasMoved = Flags(rawValue: 1024)
        /// Its request is read, its journey not begun (`HTTP2Connection.unborn`).
        static let isUnborn = Flags(rawValue: 2048)
    }

    func begin(_ connection: HTTP2Connection, _ ref: HTTP2StreamRef, _ journey: Journey, requestEnded: Bool) {
        self.connection = connection
        self.ref = ref
        self.journey = journey
        flags = requestEnded ? .requestEnded : []
    }

    /// Lets go of everything: the stream is over.
    func clear() {
        connection = nil
        ref = .none
        journey = nil
        flags = .isOver
        queue.removeAll()
        trailers = nil
        if early.storageCapacity > 0 { early = ByteBuffer() }
        heldCredit = 0
        bodyBytesSeen = 0
        bodyWindowEnd = 0
        waitsSince = 0
        takenBytes = 0
    }

    // MARK: The request's body

    /// - Parameter flow: what of the windows it took, padding included.
    func receive(_ bytes: ByteBuffer, flow: Int) {
        bodyBytesSeen += bytes.readableBytes
        flags.insert(.hasMoved)
        if flags.contains(.connects), !flags.contains(.isTunnel) {
            hold(flow)
            early.writeImmutableBuffer(bytes)
            return
        }
        if flags.contains(.isTunnel) { noteTunnel(.tunnelBytesIn, bytes) }
        // Padding is nobody's to hold.
        let padding = flow - bytes.readableBytes
        if padding > 0 { connection?.returnCredit(self, padding) }
        hold(bytes.readableBytes)
        if bytes.readableBytes > 0 { journey?.requestBody(bytes) }
        if !flags.contains(.bodyPaused) { releaseCredit() }
    }

    private func hold(_ count: Int) {
        heldCredit += count
        connection?.hold(count)
    }

    private func releaseCredit() {
        let count = heldCredit
        guard count > 0, let connection else { return }
        heldCredit = 0
        connection.hold(-count)
        connection.returnCredit(self, count)
    }

    /// What the connection's window must get back when the stream ends.
    func takeHeldCredit() -> Int {
        let count = heldCredit
        heldCredit = 0
        connection?.hold(-count)
        return count
    }

    func endRequest(trailers: ByteBuffer?) {
        flags.insert(.requestEnded)
        bodyWindowEnd = 0
        if flags.contains(.connects) {
            if flags.contains(.isTunnel) { journey?.tunnelInputEnded() }
        } else {
            journey?.requestEnd(trailers: trailers)
        }
        connection?.note(self)
    }

    func pauseRequestBody() {
        flags.insert(.bodyPaused)
    }

    func resumeRequestBody() {
        guard flags.contains(.bodyPaused) else { return }
        flags.remove(.bodyPaused)
        releaseCredit()
        connection?.requestWrite()
    }

    // MARK: The response

    func respondInterim(_ head: ResponseHead, bytes: ByteBuffer) {
        guard !flags.contains(.headSent), let connection else { return }
        bytes.withBytes { span in
            connection.writeHead(self, endsStream: false, lineBytes: span.count, fieldCount: head.fields.count) {
                $0.encode(status: head.status, to: &$1)
                $0.encode(fields: head.fields, of: span, to: &$1)
            }
        }
        connection.requestWrite()
    }

    func respond(_ head: ResponseHead, bytes: ByteBuffer) {
        guard !flags.contains(.headSent), let connection, let journey else { return }
        // 2xx would open the tunnel (RFC 8441, section 5); only a 101 of the origin does, by `beginTunnel`.
        if flags.contains(.connects), 200..<300 ~= head.status { return journey.requestFailed(.originBadResponse) }
        let isBodyless = head.framing == .none || head.framing == .length(0)
        let added = journey.responseFields
        bytes.withBytes { span in
            connection.writeHead(
                self, endsStream: isBodyless, lineBytes: span.count + added.readableBytes + 32,
                fieldCount: head.fields.count + 8
            ) {
                $0.encode(status: head.status, to: &$1)
                $0.encode(fields: head.fields, of: span, to: &$1)
                _ = $0.encode(lines: added.readableBytesUInt8Span, to: &$1)
                if let count = Self.announcedLength(head) { $0.encode(contentLength: count, to: &$1) }
            }
        }
        headIsOut(endsStream: isBodyless)
    }

    /// What Content-Length says: of the body, or of what a GET would have had (RFC 9110, section 8.6).
    private static func announcedLength(_ head: ResponseHead) -> UInt64? {
        if case .length(let count) = head.framing { return count }
        return head.framing == .none && head.status != 204 ? head.contentLength : nil
    }

    func respond(status: Int, fields: ByteBuffer, body: ByteBuffer) {
        guard !flags.contains(.headSent), let connection, let journey else { return }
        let isBodyless = body.readableBytes == 0 || journey.request.method == .head
        connection.writeHead(
            self, endsStream: isBodyless, lineBytes: fields.readableBytes + 32, fieldCount: 16
        ) {
            $0.encode(status: status, to: &$1)
            _ = $0.encode(lines: fields.readableBytesUInt8Span, to: &$1)
            if status != 204 { $0.encode(contentLength: UInt64(body.readableBytes), to: &$1) }
        }
        headIsOut(endsStream: isBodyless)
        if !isBodyless { enqueue(body, isLast: true) }
        connection.requestWrite()
    }

    func respond(status: Int, fields: ByteBuffer, stored: ByteBuffer, isHeadEnded: Bool, framing: BodyFraming) {
        guard !flags.contains(.headSent), let connection else { return }
        let isBodyless = framing == .none || framing == .length(0)
        var headBytes = 0
        let storedSpan = stored.readableBytesUInt8Span
        connection.writeHead(
            self, endsStream: isBodyless,
            lineBytes: fields.readableBytes + min(stored.readableBytes, Limits.responseHeadBytesMax) + 32,
            fieldCount: 32
        ) {
            $0.encode(status: status, to: &$1)
            _ = $0.encode(lines: fields.readableBytesUInt8Span, to: &$1)
            headBytes = $0.encode(lines: storedSpan, to: &$1)
            if !isHeadEnded, case .length(let count) = framing { $0.encode(contentLength: count, to: &$1) }
        }
        headIsOut(endsStream: isBodyless)
        guard isHeadEnded, !isBodyless, headBytes < stored.readableBytes,
            let body = stored.getSlice(at: stored.readerIndex + headBytes, length: stored.readableBytes - headBytes)
        else { return }
        enqueue(body, isLast: framing == .length(UInt64(body.readableBytes)))
    }

    private func headIsOut(endsStream: Bool) {
        flags.formUnion([.headSent, .hasMoved])
        guard endsStream else { return }
        flags.formUnion([.responseEnded, .outputEnded])
        connection?.note(self)
    }

    var takesFiles: Bool { false }

    func respondFile(_ region: FileRegion, owner: any AnyObject & Sendable) {}

    func respondBody(_ bytes: ByteBuffer) {
        guard flags.contains(.headSent), bytes.readableBytes > 0 else { return }
        if flags.contains(.isTunnel) { noteTunnel(.tunnelBytesOut, bytes) }
        enqueue(bytes, isLast: false)
    }

    private func enqueue(_ bytes: ByteBuffer, isLast: Bool) {
        guard !flags.contains(.responseEnded), let connection else { return }
        // All the memory there is for clients that do not take theirs is in use, and this one has its share of it.
        if connection.shared.isFull, queue.byteCount > Limits.http2StreamQueueBytesHigh {
            return connection.stalled(self, .enhanceYourCalm)
        }
        queue.append(bytes)
        connection.shared.queuedBytes += bytes.readableBytes
        if isLast { flags.insert(.responseEnded) }
        connection.offer(self, bytes.readableBytes, ends: isLast)
    }

    func respondEnd(trailers: ByteBuffer?) {
        guard flags.contains(.headSent), let connection else { return }
        if !flags.contains(.responseEnded) {
            flags.insert(.responseEnded)
            self.trailers = trailers
            // The last DATA frame, or an empty one, ends the stream; where trailers follow, they do.
            if trailers == nil { connection.offer(self, 0, ends: true) } else { connection.note(self) }
        }
        connection.requestWrite()
    }

    /// The trailers' turn: everything before them has gone out.
    func takeTrailers() -> ByteBuffer? {
        guard queue.isEmpty, let lines = trailers else { return nil }
        trailers = nil
        return lines
    }

    func flush() {
        guard let connection else { return }
        connection.requestWrite()
        guard queue.byteCount > Limits.http2StreamQueueBytesHigh else { return }
        flags.insert(.responsePaused)
        // Each time: the journey may have another link than when it was paused first.
        journey?.pauseResponse()
    }

    func abort() {
        guard let connection else { return }
        connection.reset(self, .internalError)
    }

    // MARK: Tunnel

    func beginTunnel(_ head: ResponseHead, bytes: ByteBuffer) {
        guard flags.contains(.connects), !flags.contains(.headSent), let connection, let journey else { return }
        guard let head = journey.acceptedHandshake(head, bytes) else {
            return journey.requestFailed(.originBadResponse)
        }
        let added = journey.responseFields
        bytes.withBytes { span in
            connection.writeHead(
                self, endsStream: false, lineBytes: span.count + added.readableBytes, fieldCount: head.fields.count + 8
            ) {
                $0.encode(status: 200, to: &$1)
                $0.encode(fields: head.fields, of: span, to: &$1)
                _ = $0.encode(lines: added.readableBytesUInt8Span, to: &$1)
            }
        }
        headIsOut(endsStream: false)
        flags.formUnion([.isTunnel, .hasMoved])
        passEarlyBytes()
        if flags.contains(.requestEnded) { self.journey?.tunnelInputEnded() }
        connection.requestWrite()
    }

    private func passEarlyBytes() {
        let bytes = early
        early = ByteBuffer()
        if bytes.readableBytes > 0 { journey?.requestBody(bytes) }
        if !flags.contains(.bodyPaused) { releaseCredit() }
    }

    private func noteTunnel(_ counter: Counter, _ bytes: ByteBuffer) {
        flags.insert(.hasMoved)
        connection?.loop.metrics.add(counter, bytes.readableBytes)
    }
}
