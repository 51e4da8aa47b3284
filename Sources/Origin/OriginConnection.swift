import ConfigModel
import Exchange
import HTTPWire
import Limits
import NIOCore
import NIOSSL
import Telemetry

/// One HTTP/1.1 connection to an origin server: one exchange at a time, many after each other.
///
/// What it owns: the framing of both directions, the deadlines towards the origin, and the decision whether it may be
/// used again. It may be used again only when the request went out whole, the response ended by its own framing, and
/// nothing came behind it; every doubt closes it (rules 13 and 15 of the brief: an origin connection with an unclear
/// state is how one client's answer reaches another).
///
/// Two flags describe an exchange, for its halves end in either order: the request may still be under way when the
/// response is complete, and then the connection is not reused.
final class OriginConnection: Deadlined, OriginLink, OriginSeat, ChannelInboundHandler, @unchecked Sendable {
    // Unchecked: it lives on `loop`'s event loop; others hold it only to hand it back to that loop.
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let server: OriginServer
    let loop: EdgeLoop

    private var context: ChannelHandlerContext?
    private var phase = Phase.connecting
    private var receiver: (any OriginReceiver)?
    private var exchangesBegun = 0
    private var isRequestComplete = true
    private var isReadPaused = false
    private var isWriteBlocked = false
    /// The origin said, or meant, that this exchange is the connection's last.
    private var closesAfterResponse = false
    private var isTunnelOutputClosed = false
    private var shape = RequestShape(method: .get, framing: .none, mayUpgrade: false)
    private var interimResponses = 0
    /// Bytes read that are not yet a whole head or chunk line.
    private var inbound = ByteBuffer()
    private var parser = ResponseHeadParser(bounds: OriginConnection.bounds)
    private var chunks = ChunkedDecoder(side: .response)

    /// Where the connection stands in its exchange.
    private enum Phase: Equatable {
        case connecting
        case idle
        case head
        case body(remaining: UInt64)
        case chunkedBody
        case bodyUntilClose
        /// The response is complete, the request is not: what comes is an error, what goes out is lost.
        case responseDone
        case tunnel
        case closed
    }

    private static let bounds = HeadBounds(
        startLineBytesMax: Limits.responseHeadBytesMax,
        headBytesMax: Limits.responseHeadBytesMax,
        fieldCountMax: Limits.responseFieldCountMax
    )

    init(server: OriginServer, loop: EdgeLoop) {
        self.server = server
        self.loop = loop
        super.init()
    }

    // MARK: Coming and going

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        loop.deadlines.register(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        loop.deadlines.release(self)
        self.context = nil
    }

    /// The connection is made. False: it is already gone.
    func begin() -> Bool {
        guard phase == .connecting, context != nil else { return false }
        phase = .idle
        loop.deadlines.unset(self)
        return true
    }

    func enterShelf(keepAliveMilliseconds: Int) {
        loop.deadlines.set(self, milliseconds: keepAliveMilliseconds)
    }

    // MARK: As a seat

    /// It was on the shelf, or is handed from one exchange to the next.
    var mayBeStale: Bool { true }
    var mayBeRefused: Bool { false }

    func takeLink() -> any OriginLink {
        loop.deadlines.unset(self)
        return self
    }

    func returnUnused() {
        loop.deadlines.unset(self)
        guard phase == .idle else { return }
        server.release(self)
    }

    func close() {
        guard phase != .closed else { return }
        let wasCounted = phase != .connecting
        phase = .closed
        loop.deadlines.unset(self)
        context?.close(mode: .all, promise: nil)
        if wasCounted {
            loop.metrics.adjust(.originConnectionsActive, by: -1)
            server.connectionEnded()
        }
    }

    // MARK: The request

    /// Asked before `send`.
    var isReused: Bool { exchangesBegun > 0 }

    /// Who the connection answers to from now on.
    func attach(_ receiver: any OriginReceiver) {
        self.receiver = receiver
    }

    func send(_ head: ByteBuffer, shape: RequestShape, isComplete: Bool) {
        guard phase == .idle, let context else {
            // It died between being taken and being used.
            return fail(.pooledConnectionLost)
        }
        self.shape = shape
        exchangesBegun += 1
        isRequestComplete = isComplete
        closesAfterResponse = false
        interimResponses = 0
        phase = .head
        parser.reset()
        write(head, context)
        context.flush()
        loop.deadlines.set(self, milliseconds: isComplete ? server.key.timeouts.firstByte : server.key.timeouts.idle)
    }

    func sendBody(_ bytes: ByteBuffer) -> Bool {
        guard let context, !isRequestComplete || phase == .tunnel, phase != .closed, phase != .responseDone else {
            return true
        }
        if shape.framing == .chunked, phase != .tunnel {
            guard bytes.readableBytes > 0 else { return true }
            writeChunk(bytes, context)
        } else {
            write(bytes, context)
        }
        context.flush()
        if phase != .tunnel, !isReadPaused { loop.deadlines.set(self, milliseconds: server.key.timeouts.idle) }
        if context.channel.isWritable { return true }
        isWriteBlocked = true
        return false
    }

    func sendEnd(trailers: ByteBuffer?) {
        guard let context, !isRequestComplete, phase != .closed else { return }
        isRequestComplete = true
        if phase == .responseDone { return }
        if shape.framing == .chunked {
            var end = loop.takeOutput()
            end.writeStaticString(ChunkedCoding.lastChunk)
            if let trailers { end.writeImmutableBuffer(trailers) }
            end.writeStaticString("\r\n")
            write(end, context)
            loop.giveBackOutput(end)
            context.flush()
        }
        if phase == .head { loop.deadlines.set(self, milliseconds: server.key.timeouts.firstByte) }
    }

    /// One chunk; a small one is copied between its lines so that it is one write.
    private func writeChunk(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        var frame = loop.takeOutput()
        frame.writeHead(capacity: ChunkedCoding.sizeLineBytesMax) { $0.write(chunkSize: UInt64(bytes.readableBytes)) }
        if bytes.readableBytes <= Limits.coalescedBytesMax {
            frame.writeImmutableBuffer(bytes)
            frame.writeStaticString(ChunkedCoding.chunkEnd)
            write(frame, context)
        } else {
            write(frame, context)
            write(bytes, context)
            write(ByteBuffer(staticString: ChunkedCoding.chunkEnd), context)
        }
        loop.giveBackOutput(frame)
    }

    func cancel() {
        receiver = nil
        if phase == .idle { server.release(self) } else { close() }
    }

    func closeTunnelOutput() {
        guard phase == .tunnel, !isTunnelOutputClosed, let context else { return }
        isTunnelOutputClosed = true
        context.close(mode: .output, promise: nil)
    }

    private func write(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        loop.metrics.add(.originBytesOut, bytes.readableBytes)
        context.write(wrapOutboundOut(bytes), promise: nil)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard isWriteBlocked, context.channel.isWritable else { return }
        isWriteBlocked = false
        receiver?.originWritable()
    }

    // MARK: The response

    func pauseResponse() {
        guard !isReadPaused, let context else { return }
        isReadPaused = true
        loop.deadlines.unset(self)
        try? context.channel.syncOptions?.setOption(.autoRead, value: false)
    }

    func resumeResponse() {
        guard isReadPaused, let context else { return }
        isReadPaused = false
        armReadDeadline()
        try? context.channel.syncOptions?.setOption(.autoRead, value: true)
    }

    private func armReadDeadline() {
        // Who is not read cannot be late.
        guard !isReadPaused else { return }
        switch phase {
        case .head:
            loop.deadlines.set(
                self, milliseconds: isRequestComplete ? server.key.timeouts.firstByte : server.key.timeouts.idle)
        case .body, .chunkedBody, .bodyUntilClose:
            loop.deadlines.set(self, milliseconds: server.key.timeouts.idle)
        default: break
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        loop.metrics.add(.originBytesIn, bytes.readableBytes)
        if server.security == nil { loop.readBuffers.giveBack(bytes) }
        if inbound.readableBytes == 0 {
            inbound = bytes
        } else {
            inbound.writeImmutableBuffer(bytes)
        }
        readInbound()
        if inbound.readableBytes == 0 { inbound = ByteBuffer() }
        receiver?.originFlush()
    }

    /// Reads as far as the bytes go. Each step either consumes bytes, changes the phase, or returns.
    private func readInbound() {
        while inbound.readableBytes > 0 {
            switch phase {
            case .head:
                guard readHead() else { return }
            case .body(let remaining):
                readBody(remaining)
            case .chunkedBody:
                guard readChunks() else { return }
            case .bodyUntilClose:
                receiver?.originBody(takeAll())
                armReadDeadline()
            case .tunnel:
                receiver?.originBody(takeAll())
            case .idle, .connecting, .responseDone:
                // Bytes that nobody asked for: whose answer would they be? (Rule 15.)
                inbound.clear()
                return closeUnasked()
            case .closed:
                inbound.clear()
                return
            }
        }
    }

    private func takeAll() -> ByteBuffer {
        let bytes = inbound
        inbound = ByteBuffer()
        return bytes
    }

    /// False: more bytes are needed, or the response was refused.
    private func readHead() -> Bool {
        guard let receiver else {
            close()
            return false
        }
        do {
            let progress = try inbound.withBytes { bytes throws(WireError) in
                try parser.parse(bytes, answering: shape.method, into: &receiver.answer.head)
            }
            guard case .complete(let count) = progress, let head = inbound.readSlice(length: count) else {
                return false
            }
            begin(receiver, head)
            return true
        } catch {
            fail(.originBadResponse)
            return false
        }
    }

    private func begin(_ receiver: any OriginReceiver, _ head: ByteBuffer) {
        let status = receiver.answer.head.status
        if status == 101 {
            return switchProtocols(receiver, head)
        }
        if status < 200 {
            interimResponses += 1
            parser.reset()
            guard interimResponses <= Limits.interimResponsesMax else { return fail(.originBadResponse) }
            return receiver.originInterim(bytes: head)
        }
        closesAfterResponse = !receiver.answer.head.keepAlive
        switch receiver.answer.head.framing {
        case .none: phase = .body(remaining: 0)
        case .length(let count): phase = .body(remaining: count)
        case .chunked:
            chunks.reset()
            phase = .chunkedBody
        case .untilClose:
            closesAfterResponse = true
            phase = .bodyUntilClose
        }
        armReadDeadline()
        receiver.originHead(bytes: head)
        if phase == .body(remaining: 0) { endResponse(trailers: nil) }
    }

    /// A 101 is a protocol switch only where one was asked for (rule 12).
    private func switchProtocols(_ receiver: any OriginReceiver, _ head: ByteBuffer) {
        guard shape.mayUpgrade, isRequestComplete, receiver.answer.head.upgrade != nil else {
            return fail(.originBadResponse)
        }
        phase = .tunnel
        closesAfterResponse = true
        loop.deadlines.unset(self)
        receiver.originSwitched(bytes: head)
    }

    private func readBody(_ remaining: UInt64) {
        let available = UInt64(inbound.readableBytes)
        if available <= remaining {
            phase = .body(remaining: remaining - available)
            receiver?.originBody(takeAll())
        } else if let slice = inbound.readSlice(length: Int(remaining)) {
            phase = .body(remaining: 0)
            receiver?.originBody(slice)
        }
        if phase == .body(remaining: 0) { endResponse(trailers: nil) } else { armReadDeadline() }
    }

    /// False: more bytes are needed, or the response was refused.
    private func readChunks() -> Bool {
        do {
            let step = try inbound.withBytes { bytes throws(WireError) in try chunks.next(bytes, from: 0) }
            switch step {
            case .needsMore(let consumed):
                inbound.moveReaderIndex(forwardBy: consumed)
                armReadDeadline()
                return false
            case .data(let range):
                inbound.moveReaderIndex(forwardBy: range.lowerBound)
                if let slice = inbound.readSlice(length: range.count) { receiver?.originBody(slice) }
                armReadDeadline()
            case .end(let consumed):
                inbound.moveReaderIndex(forwardBy: consumed)
                endResponse(trailers: TrailerLines.render(chunks.trailers))
            }
            return true
        } catch {
            fail(.originBadResponse)
            return false
        }
    }

    /// The response ended as its framing said it would.
    private func endResponse(trailers: ByteBuffer?) {
        let mayBeReused = isRequestComplete && !closesAfterResponse && inbound.readableBytes == 0
        let receiver = self.receiver
        loop.deadlines.unset(self)
        self.receiver = nil
        if mayBeReused {
            phase = .idle
            if isReadPaused { resumeResponse() }
            // First back to the pool, so that a pipelined next request of the same client finds it there.
            server.release(self)
        } else {
            phase = .responseDone
            close()
        }
        receiver?.originEnd(trailers: trailers)
        receiver?.originFlush()
    }

    // MARK: What goes wrong

    override func deadlinePassed() {
        switch phase {
        case .idle: closeUnasked()
        case .head: fail(isRequestComplete ? .originFirstByteTimeout : .originIdleTimeout)
        case .body, .chunkedBody, .bodyUntilClose: fail(.originIdleTimeout)
        case .tunnel, .responseDone: close()
        case .connecting, .closed: break
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed {
            inputEnded()
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        inputEnded()
        if phase != .closed { close() }
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if phase == .idle {
            closeUnasked()
        } else if phase == .connecting {
            close()
        } else if case .uncleanShutdown = error as? NIOSSLError {
            // No close_notify: a body that ends with the connection cannot be told from a cut one (RFC 9112, 9.8).
            if phase == .bodyUntilClose { fail(.originClosedEarly) }
        } else {
            fail(.originClosedEarly)
        }
    }

    /// The origin sends nothing more.
    private func inputEnded() {
        switch phase {
        case .connecting: close()
        case .idle: closeUnasked()
        case .bodyUntilClose: endResponse(trailers: nil)
        case .tunnel:
            let receiver = self.receiver
            self.receiver = nil
            receiver?.originEnd(trailers: nil)
            close()
        case .head, .body, .chunkedBody: fail(.originClosedEarly)
        case .responseDone, .closed: break
        }
    }

    /// Closes an idle connection. If somebody took it in this moment, they learn it when they send.
    private func closeUnasked() {
        _ = server.removeIdle(self)
        close()
    }

    private func fail(_ failure: Failure) {
        let receiver = self.receiver
        self.receiver = nil
        close()
        receiver?.originFailed(failure)
    }
}
