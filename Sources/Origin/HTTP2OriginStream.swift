import ConfigModel
import ConnectionWire
import Exchange
import HTTPWire
import Limits
import NIOCore
import Telemetry

/// One exchange on an HTTP/2 connection to an origin.
///
/// Claimed when somebody asks for a link, open from the request's head on, over once the response is complete, failed,
/// or nobody wants it any more. What is over is used again, one turn of the loop later.
///
/// Its deadline says who is late: the origin with the first byte of its response or with more of it, or with taking the
/// request's body.
final class HTTP2OriginStream: Deadlined, OriginLink, @unchecked Sendable {
    // Unchecked: it lives on its connection's event loop.
    private(set) var ref = HTTP2StreamRef.none
    var flags: Flags = []
    /// Of the request's body, what the origin does not take yet.
    var queue = PieceQueue()

    private var connection: HTTP2OriginConnection?
    private var receiver: (any OriginReceiver)?
    private var phase = Phase.over
    private var shape = RequestShape(method: .get, framing: .none, mayUpgrade: false)
    /// Trailers that wait until the body before them has gone.
    private var trailers: ByteBuffer?
    /// A head that waits for the origin's SETTINGS.
    private var heldHead: ByteBuffer?
    /// Bytes of the response that its receiver does not want followed by more for now.
    private var heldCredit = 0
    private var interimResponses = 0
    /// What answers the handshake of an extended CONNECT, as an HTTP/1.1 client waits for it.
    private var handshakeAnswer: [UInt8] = []
    private(set) var isReused = false

    private enum Phase { case claimed, waiting, head, body, tunnel, over }

    struct Flags: OptionSet {
        let rawValue: UInt16
        /// The exchange has said all of the request.
        static let requestEnded = Flags(rawValue: 1)
        /// All of it has been written.
        static let outputEnded = Flags(rawValue: 2)
        static let isPaused = Flags(rawValue: 4)
        /// The exchange waits for `originWritable`.
        static let isFull = Flags(rawValue: 8)
        /// An extended CONNECT (RFC 8441).
        static let connects = Flags(rawValue: 16)
        /// In one of the connection's lists.
        static let isNoted = Flags(rawValue: 32)
        static let isTouched = Flags(rawValue: 64)
    }

    var mayBeRefused: Bool { true }

    // MARK: Beginning and ending

    /// Room for it has been claimed.
    func begin(_ connection: HTTP2OriginConnection, isReused: Bool) {
        self.connection = connection
        self.isReused = isReused
        phase = .claimed
    }

    /// As new. It is over, and in no list.
    func clear() {
        ref = .none
        flags = []
        shape = RequestShape(method: .get, framing: .none, mayUpgrade: false)
        interimResponses = 0
        isReused = false
    }

    func takeHeldCredit() -> Int {
        defer { heldCredit = 0 }
        return heldCredit
    }

    /// Over. Its place on the connection is free, and whoever it answered to is told by the caller.
    private func end(resets code: HTTP2ErrorCode?) {
        guard phase != .over, let connection else { return }
        let wasOpen = phase != .claimed && phase != .waiting
        if phase == .waiting { connection.unsettled.removeAll { $0 === self } }
        phase = .over
        connection.loop.deadlines.release(self)
        self.connection = nil
        receiver = nil
        trailers = nil
        heldHead = nil
        if !queue.isEmpty { queue.removeAll() }
        if !handshakeAnswer.isEmpty { handshakeAnswer = [] }
        if wasOpen {
            connection.release(self, resets: code)
        } else {
            connection.discard(self)
            connection.returnUnused()
        }
    }

    /// Ends it, and says why. The origin need not go on.
    func fail(_ failure: Failure) {
        let receiver = self.receiver
        end(resets: .cancel)
        receiver?.originFailed(failure)
    }

    // MARK: The request

    func attach(_ receiver: any OriginReceiver) {
        self.receiver = receiver
    }

    func send(_ head: ByteBuffer, shape: RequestShape, isComplete: Bool) {
        guard phase == .claimed, let connection else { return }
        self.shape = shape
        if isComplete { flags.insert(.requestEnded) }
        let request = head.withBytes { RenderedRequest($0) }
        guard let request else { return fail(.internalError) }
        connection.loop.deadlines.register(self)
        if shape.mayUpgrade, let key = head.withBytes({ request.webSocketKey($0) }) {
            handshakeAnswer = WebSocketKey.accept(for: key)
            flags.insert(.connects)
            guard connection.flags.contains(.hasSettled) else {
                phase = .waiting
                heldHead = head
                connection.loop.deadlines.set(self, milliseconds: connection.server.key.timeouts.connect)
                return connection.unsettled.append(self)
            }
        }
        open(connection, head, request)
    }

    /// The origin's SETTINGS have come.
    func connectionSettled() {
        guard phase == .waiting, let connection, let head = heldHead else { return }
        heldHead = nil
        guard let request = head.withBytes({ RenderedRequest($0) }) else { return fail(.internalError) }
        open(connection, head, request)
    }

    private func open(_ connection: HTTP2OriginConnection, _ head: ByteBuffer, _ request: RenderedRequest) {
        let connects = flags.contains(.connects)
        if connects, !connection.session.peerEnablesConnect { return fail(.originWithoutConnect) }
        guard let ref = connection.open(self, connects ? .connect : shape.method) else {
            // It was lost between being claimed and being used.
            return fail(.pooledConnectionLost)
        }
        self.ref = ref
        phase = .head
        // A tunnel's bytes follow whether or not the request had a body.
        let endsStream = flags.contains(.requestEnded) && !connects
        if endsStream { flags.insert(.outputEnded) }
        let isSecure = connection.server.security != nil
        let isWritten = head.withBytes { bytes in
            connection.writeHead(ref, endsStream: endsStream, lineBytes: bytes.count, lineCount: request.lineCount) {
                encoder, writer in
                request.encode(bytes, connects: connects, isSecure: isSecure, with: &encoder, to: &writer)
            }
        }
        guard isWritten else { return fail(.pooledConnectionLost) }
        connection.askIfSilent()
        armFirstByte(connection)
    }

    /// Whether the origin has all it needs to answer.
    private var awaitsAnswer: Bool { !flags.isDisjoint(with: [.outputEnded, .connects]) }

    private func armFirstByte(_ connection: HTTP2OriginConnection) {
        guard !flags.contains(.isPaused) else { return }
        let timeouts = connection.server.key.timeouts
        connection.loop.deadlines.set(self, milliseconds: awaitsAnswer ? timeouts.firstByte : timeouts.idle)
    }

    func sendBody(_ bytes: ByteBuffer) -> Bool {
        guard let connection, phase == .tunnel || !flags.contains(.requestEnded), phase != .claimed else { return true }
        guard bytes.readableBytes > 0 else { return true }
        queue.append(bytes)
        connection.offer(self, bytes.readableBytes, ends: false)
        if phase != .tunnel, !flags.contains(.isPaused) {
            connection.loop.deadlines.set(self, milliseconds: connection.server.key.timeouts.idle)
        }
        guard queue.byteCount > Limits.http2StreamQueueBytesHigh else { return true }
        flags.insert(.isFull)
        return false
    }

    func sendEnd(trailers: ByteBuffer?) {
        guard let connection, phase != .claimed, !flags.contains(.requestEnded) else { return }
        flags.insert(.requestEnded)
        if let trailers, trailers.readableBytes > 0 {
            self.trailers = trailers
            connection.note(self)
        } else {
            connection.offer(self, 0, ends: true)
        }
    }

    func closeTunnelOutput() {
        guard phase == .tunnel, let connection, flags.isDisjoint(with: [.outputEnded, .requestEnded]) else { return }
        flags.insert(.requestEnded)
        connection.offer(self, 0, ends: true)
    }

    func cancel() {
        end(resets: .cancel)
    }

    /// Bytes of the body have been taken out of the queue.
    func wasGranted(ends: Bool) {
        guard let connection else { return }
        if ends { flags.insert(.outputEnded) }
        let mayGoOn = flags.contains(.isFull) && queue.byteCount <= Limits.http2StreamQueueBytesLow
        if mayGoOn || trailers != nil && queue.isEmpty { connection.note(self) }
        // The origin takes the body, so it is not late with that.
        if phase == .head { armFirstByte(connection) }
    }

    /// With the next write: trailers whose turn it is, and room to tell of.
    func settle() {
        guard let connection, phase != .over else { return }
        if let lines = trailers, queue.isEmpty {
            trailers = nil
            flags.insert(.outputEnded)
            // No line is shorter than its colon and its end.
            _ = connection.writeHead(
                ref, endsStream: true, lineBytes: lines.readableBytes, lineCount: lines.readableBytes / 4
            ) { encoder, writer in
                lines.withBytes { _ = encoder.encode(lines: $0, to: &writer) }
            }
            if phase == .head { armFirstByte(connection) }
        }
        guard flags.contains(.isFull), queue.byteCount <= Limits.http2StreamQueueBytesLow else { return }
        flags.remove(.isFull)
        receiver?.originWritable()
    }

    // MARK: Time

    private func armRead() {
        // Who is not read cannot be late.
        guard let connection, !flags.contains(.isPaused) else { return }
        switch phase {
        case .head: armFirstByte(connection)
        case .body: connection.loop.deadlines.set(self, milliseconds: connection.server.key.timeouts.idle)
        default: break
        }
    }

    override func deadlinePassed() {
        switch phase {
        case .waiting: fail(.originConnectTimeout)
        case .head: fail(awaitsAnswer ? .originFirstByteTimeout : .originIdleTimeout)
        case .body: fail(.originIdleTimeout)
        case .claimed, .tunnel, .over: break
        }
    }

    // MARK: The response

    func pauseResponse() {
        guard let connection, !flags.contains(.isPaused) else { return }
        flags.insert(.isPaused)
        connection.loop.deadlines.unset(self)
    }

    func resumeResponse() {
        guard let connection, flags.contains(.isPaused) else { return }
        flags.remove(.isPaused)
        armRead()
        let credit = takeHeldCredit()
        if credit > 0 { connection.returnCredit(ref, credit) }
    }

    func flush() {
        receiver?.originFlush()
    }

    /// A head is in the arena.
    func received(_ arena: HTTP2HeadArena, endsStream: Bool) {
        guard let receiver, let connection else { return }
        // Its empty head for the one just read: neither table is copied.
        swap(&receiver.answer.head, &arena.response)
        var bytes = ByteBufferAllocator().buffer(capacity: arena.byteCount + handshakeAnswer.count + 32)
        arena.withBytes { span in span.withUnsafeBytes { _ = bytes.writeBytes($0) } }
        connection.touch(self)
        let status = receiver.answer.head.status
        if status < 200 {
            interimResponses += 1
            guard interimResponses <= Limits.interimResponsesMax else { return fail(.originBadResponse) }
            return receiver.originInterim(bytes: bytes)
        }
        if flags.contains(.connects), status < 300 { return switched(receiver, &bytes, endsStream: endsStream) }
        phase = .body
        armRead()
        receiver.originHead(bytes: bytes)
        if endsStream { endResponse(trailers: nil) }
    }

    /// An extended CONNECT succeeded: what HTTP/1.1 says by 101 (RFC 8441, section 5.1).
    private func switched(_ receiver: any OriginReceiver, _ bytes: inout ByteBuffer, endsStream: Bool) {
        guard let connection else { return }
        phase = .tunnel
        flags.remove(.requestEnded)
        connection.loop.deadlines.unset(self)
        receiver.answer.head.becomeSwitch(&bytes, accepting: handshakeAnswer)
        receiver.originSwitched(bytes: bytes)
        if endsStream { endResponse(trailers: nil) }
    }

    /// A piece of the body.
    func received(_ bytes: ByteBuffer, flowBytes: Int, endsStream: Bool) {
        guard let receiver, let connection else { return }
        let ref = self.ref
        if !endsStream { armRead() }
        connection.touch(self)
        if bytes.readableBytes > 0 {
            // What will lie for a while must not keep a whole read's memory, most of it other streams', with it.
            receiver.originBody(flags.contains(.isPaused) ? ByteBuffer(bytes: bytes.readableBytesView) : bytes)
        }
        // Taken, unless it said just now, or before, that it wants no more.
        if phase != .over, flags.contains(.isPaused) {
            heldCredit += flowBytes
        } else {
            connection.returnCredit(ref, flowBytes)
        }
        if endsStream { endResponse(trailers: nil) }
    }

    /// The fields behind the body, and the end.
    func received(trailers: ByteBuffer?) {
        endResponse(trailers: trailers)
    }

    /// The response is complete. What is left of the request nobody wants (RFC 9113, section 8.1).
    private func endResponse(trailers: ByteBuffer?) {
        guard phase != .over else { return }
        let receiver = self.receiver
        // First back to the pool, so that the next request of the same client finds its room there.
        end(resets: flags.contains(.outputEnded) ? nil : .cancel)
        receiver?.originEnd(trailers: trailers)
        receiver?.originFlush()
    }

    /// The stream was cut off: by the origin, or by the session, for what the origin sent is no response.
    func wasReset(_ code: HTTP2ErrorCode, isByPeer: Bool) {
        guard let connection else { return }
        if !isByPeer { return fail(.originBadResponse) }
        if code == .http11Required, phase == .head, connection.server.noteHTTP1Required() {
            return fail(.originRefusedStream)
        }
        fail(.originClosedEarly)
    }
}
