import ConfigModel
import Exchange
import HTTPWire
import Limits
import NIOCore
import NIOSSL
package import Pipeline
import Telemetry

/// The life of one HTTP/1.1 connection with a client: requests in, responses out, in order, one at a time.
///
/// The connection owns the framing of both directions; what a request means is its `Journey`'s matter. Two small state
/// machines run side by side, for a response may begin, and even end, while its request's body is still arriving:
///
///     request    idle ─▶ head ─▶ body ─▶ complete            (or draining ─▶ complete, or ignoring)
///     response   none ─▶ waiting ─▶ started ─▶ complete
///
/// When both are complete the journey is finished, and the connection reads its next request or closes. Bytes that a
/// client sends ahead (pipelining) wait in `inbound`; reading pauses when they are too many.
///
/// An idle connection holds this object and nothing else: no journey, no buffer.
final class HTTP1Connection: Deadlined, ClientStream, ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let desk: JourneyDesk
    var loop: EdgeLoop { desk.loop }
    private let peer: IPAddress
    let isSecure: Bool
    private let tls: TLSFacts?

    var context: ChannelHandlerContext?
    var journey: Journey?
    var request = RequestState.idle
    var response = ResponseState.none
    /// Bytes read and not yet understood.
    var inbound = ByteBuffer()
    /// A head or a small body that waits for more before it is written.
    var pending: ByteBuffer?
    var requestsServed = 0
    /// Body bytes of the present window of the body timeout, or drained ones.
    var bodyBytesSeen = 0
    var flags: Flags = []
    var socket = DirectSocket()
    /// Why the connection will have ended, for the metrics: the first reason stays.
    private var closeReason: CloseReason?

    /// Where the request stands.
    enum RequestState: Equatable {
        case idle
        case head
        case body(left: UInt64)
        case chunkedBody
        case complete
        /// The response is over, the body is not: it is read and thrown away, within a bound.
        case draining(left: UInt64)
        case drainingChunks
        case tunnel
        /// Nothing that comes is looked at: the connection is closing.
        case ignoring
    }

    /// Where the response stands.
    enum ResponseState: Equatable {
        case none
        case waiting
        case started(Framing)
        case complete
    }

    /// How the response's body is written.
    enum Framing: Equatable { case none, asIs, chunked }

    struct Flags: OptionSet {
        let rawValue: UInt16
        static let isProcessing = Flags(rawValue: 1)
        /// The present response is the last.
        static let closes = Flags(rawValue: 2)
        static let bodyPaused = Flags(rawValue: 4)
        static let responsePaused = Flags(rawValue: 8)
        static let readsOff = Flags(rawValue: 16)
        static let inputEnded = Flags(rawValue: 32)
        static let needsFlush = Flags(rawValue: 64)
        /// Counted among the connections between two requests.
        static let countedIdle = Flags(rawValue: 128)
        /// Everything is written and our half is closed.
        static let outputEnded = Flags(rawValue: 256)
    }

    init(desk: JourneyDesk, peer: IPAddress, tls: TLSFacts?, isSecure: Bool) {
        self.desk = desk
        self.peer = peer
        self.tls = tls
        self.isSecure = isSecure
        super.init()
    }

    // MARK: Coming and going

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if !isSecure { socket.open(context) }
        loop.deadlines.register(self)
        loop.deadlines.set(self, milliseconds: desk.serving.configuration.timeouts.header)
        loop.metrics.adjust(.clientConnectionsActive, by: 1)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        socket.close()
        loop.deadlines.release(self)
        loop.metrics.adjust(.clientConnectionsActive, by: -1)
        leaveIdle()
        loop.metrics.connectionClosed(closeReason ?? .clientClosed)
        desk.connectionEnded?()
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        socket.close()
        endJourney(because: .clientClosed)
        request = .ignoring
        context.fireChannelInactive()
    }

    /// Ends the journey under way, if any: the client cannot be answered any more.
    func endJourney(because reason: Failure) {
        guard let journey else { return }
        self.journey = nil
        if response != .complete { journey.clientGone(reason) }
        journey.finish()
    }

    func closes(because reason: CloseReason) {
        if closeReason == nil { closeReason = reason }
    }

    private func enterIdle() {
        request = .idle
        armDeadline()
        guard !flags.contains(.countedIdle) else { return }
        flags.insert(.countedIdle)
        loop.metrics.adjust(.clientConnectionsIdle, by: 1)
    }

    private func leaveIdle() {
        guard flags.contains(.countedIdle) else { return }
        flags.remove(.countedIdle)
        loop.metrics.adjust(.clientConnectionsIdle, by: -1)
    }

    // MARK: Bytes in

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        loop.metrics.add(.clientBytesIn, bytes.readableBytes)
        if request == .idle, inbound.readableBytes == 0, flags.isDisjoint(with: [.isProcessing, .responsePaused]) {
            beginHead(with: &bytes)
        }
        if bytes.readableBytes > 0 { keep(bytes) }
        if !isSecure { loop.readBuffers.giveBack(bytes) }
        process()
    }

    /// Nothing more to be passed on: this handler is the pipeline's last.
    func channelReadComplete(context: ChannelHandlerContext) {}

    /// Mostly what was read is one whole request, which needs not be kept to be understood.
    private func beginHead(with bytes: inout ByteBuffer) {
        guard bytes.readableBytes > 0, beginHead(), let journey else { return }
        flags.insert(.isProcessing)
        _ = readHead(journey, from: &bytes)
        flags.remove(.isProcessing)
    }

    private func keep(_ bytes: ByteBuffer) {
        if inbound.readableBytes == 0 {
            inbound = bytes
        } else {
            inbound.writeImmutableBuffer(bytes)
        }
    }

    /// Understands as much of `inbound` as there is. Called again from within, it leaves the work to the caller further
    /// up: a journey may answer at once, and the next pipelined request must not nest on the stack.
    func process() {
        guard !flags.contains(.isProcessing) else { return }
        flags.insert(.isProcessing)
        while takeStep() {}
        flags.remove(.isProcessing)
        compactInbound()
        updateReading()
        if flags.contains(.inputEnded), request != .complete, request != .ignoring { settleInputEnd() }
    }

    /// What waits must not hold on to a read buffer many times its size.
    private func compactInbound() {
        if inbound.readableBytes == 0 {
            if inbound.storageCapacity > 0 { inbound = ByteBuffer() }
        } else if inbound.storageCapacity > 4096 + 2 * inbound.readableBytes {
            inbound = ByteBuffer(bytes: inbound.readableBytesView)
        }
    }

    /// One step on; false when it takes more bytes, or somebody else, to go on.
    private func takeStep() -> Bool {
        switch request {
        // While the client does not take what it has asked for, nothing more is begun for it.
        case .idle: inbound.readableBytes > 0 && !flags.contains(.responsePaused) && beginHead()
        case .head: readHead()
        case .body(let left): inbound.readableBytes > 0 && readBody(left)
        case .chunkedBody: inbound.readableBytes > 0 && readChunks(isDraining: false)
        case .draining(let left): inbound.readableBytes > 0 && drain(left)
        case .drainingChunks: inbound.readableBytes > 0 && readChunks(isDraining: true)
        case .tunnel: inbound.readableBytes > 0 && passOn()
        case .complete: false
        case .ignoring: discard()
        }
    }

    private func discard() -> Bool {
        inbound = ByteBuffer()
        return false
    }

    private func beginHead() -> Bool {
        leaveIdle()
        let journey = desk.take()
        journey.peer = peer
        journey.isSecure = isSecure
        journey.tls = tls
        self.journey = journey
        request = .head
        loop.deadlines.set(self, milliseconds: desk.serving.configuration.timeouts.header)
        return true
    }

    private func readHead() -> Bool {
        guard let journey else { return false }
        var bytes = inbound
        inbound = ByteBuffer()
        let isStep = readHead(journey, from: &bytes)
        if bytes.readableBytes > 0 { inbound = bytes }
        return isStep
    }

    /// False: the head is not all there.
    private func readHead(_ journey: Journey, from bytes: inout ByteBuffer) -> Bool {
        do {
            guard try journey.readHead(from: &bytes) else { return false }
            beginExchange(journey)
        } catch {
            refuse(error, journey)
        }
        return true
    }

    private func beginExchange(_ journey: Journey) {
        requestsServed += 1
        let limit = desk.serving.configuration.limits.requestsPerConnection
        flags.remove(.closes)
        if journey.request.minorVersion == 0 { journey.version = .http10 }
        // Behind a CONNECT comes what its sender takes for a tunnel: none of that is a request.
        if !journey.request.keepAlive || journey.request.method == .connect {
            flags.insert(.closes)
            closes(because: .keepAliveEnded)
        } else if requestsServed >= limit || loop.isDraining {
            flags.insert(.closes)
            closes(because: loop.isDraining ? .draining : .requestLimit)
        }
        response = .waiting
        switch journey.request.framing {
        case .none, .length(0), .untilClose:
            request = .complete
            loop.deadlines.unset(self)
        case .length(let count):
            request = .body(left: count)
            beginBodyWindow()
        case .chunked:
            request = .chunkedBody
            journey.chunks.reset()
            beginBodyWindow()
        }
        journey.client = self
        journey.begin()
    }

    /// A head that is none: answered as far as the client can understand an answer, and then the connection closes,
    /// for nobody knows where the next request would begin.
    private func refuse(_ error: WireError, _ journey: Journey) {
        flags.insert(.closes)
        closes(because: .badRequest)
        request = .ignoring
        response = .waiting
        journey.client = self
        journey.reject(Self.failure(for: error))
    }

    static func failure(for error: WireError) -> Failure {
        switch error.status {
        case 414: .requestLineTooLong
        case 417: .expectationFailed
        case 431: .headTooLarge
        case 501: .notImplemented
        case 505: .versionNotSupported
        default: .badRequest
        }
    }

    // MARK: The request's body

    private func readBody(_ left: UInt64) -> Bool {
        guard let journey else { return false }
        let bytes = takeUpTo(left)
        let rest = left - UInt64(bytes.readableBytes)
        bodyBytesSeen += bytes.readableBytes
        request = .body(left: rest)
        journey.requestBody(bytes)
        // The journey may have answered for good.
        guard request == .body(left: rest) else { return true }
        if rest == 0 { endBody(trailers: nil) }
        return true
    }

    private func takeUpTo(_ count: UInt64) -> ByteBuffer {
        if UInt64(inbound.readableBytes) <= count {
            let bytes = inbound
            inbound = ByteBuffer()
            return bytes
        }
        return inbound.readSlice(length: Int(count)) ?? ByteBuffer()
    }

    private func readChunks(isDraining: Bool) -> Bool {
        guard let journey else { return false }
        do {
            let step = try inbound.withBytes { bytes throws(WireError) in try journey.chunks.next(bytes, from: 0) }
            switch step {
            case .needsMore(let consumed):
                inbound.moveReaderIndex(forwardBy: consumed)
                return false
            case .data(let range):
                inbound.moveReaderIndex(forwardBy: range.lowerBound)
                guard let slice = inbound.readSlice(length: range.count) else { return false }
                bodyBytesSeen += slice.readableBytes
                if isDraining { return drained() }
                journey.requestBody(slice)
            case .end(let consumed):
                inbound.moveReaderIndex(forwardBy: consumed)
                if isDraining { endDraining() } else { endBody(trailers: TrailerLines.render(journey.chunks.trailers)) }
            }
        } catch {
            flags.insert(.closes)
            request = .ignoring
            if isDraining { endDraining() } else { journey.requestFailed(.badBody) }
        }
        return true
    }

    private func endBody(trailers: ByteBuffer?) {
        request = .complete
        armDeadline()
        journey?.requestEnd(trailers: trailers)
        endExchangeIfComplete()
    }

    // MARK: Throwing a body away

    private func drain(_ left: UInt64) -> Bool {
        let bytes = takeUpTo(left)
        bodyBytesSeen += bytes.readableBytes
        let rest = left - UInt64(bytes.readableBytes)
        if rest == 0 {
            endDraining()
        } else {
            request = .draining(left: rest)
        }
        return true
    }

    /// False: more was thrown away than a kept connection is worth.
    private func drained() -> Bool {
        guard bodyBytesSeen > Limits.drainBodyBytesMax else { return true }
        flags.insert(.closes)
        endDraining()
        return true
    }

    private func endDraining() {
        request = flags.contains(.closes) ? .ignoring : .complete
        endExchangeIfComplete()
    }

    // MARK: The exchange's end

    /// Both halves are over: on to the next request, or to the end of the connection.
    func endExchangeIfComplete() {
        guard response == .complete else { return }
        switch request {
        case .complete, .ignoring: break
        case .body(left: 0): request = .complete
        case .body(let left) where !flags.contains(.closes): return beginDraining(.draining(left: left))
        case .chunkedBody where !flags.contains(.closes): return beginDraining(.drainingChunks)
        case .draining, .drainingChunks: return
        default: request = .ignoring
        }
        journey.take()?.finish()
        response = .none
        if flags.contains(.closes) { return close() }
        enterIdle()
        resumeRequestBody()
        process()
    }

    private func beginDraining(_ state: RequestState) {
        request = state
        bodyBytesSeen = 0
        armDeadline()
        resumeRequestBody()
        process()
    }

    /// Whether the rest of the body is little enough to be read for the sake of the connection (rule 13).
    var isBodyWorthDraining: Bool {
        switch request {
        case .body(let left):
            left <= UInt64(Limits.drainBodyBytesMax) && !(journey?.request.expectsContinue ?? false)
        case .chunkedBody: !(journey?.request.expectsContinue ?? false)
        default: true
        }
    }

    // MARK: Back-pressure towards the client

    func pauseRequestBody() {
        flags.insert(.bodyPaused)
        updateReading()
    }

    func resumeRequestBody() {
        guard flags.contains(.bodyPaused) else { return }
        flags.remove(.bodyPaused)
        armDeadline()
        updateReading()
    }

    /// Reading is off while the origin does not take the body, and while more is pipelined than is kept.
    private func updateReading() {
        // A head has its own bound.
        let isTooMuch = inbound.readableBytes > Limits.pipelineBytesMax && request != .head
        let wantsOff = flags.contains(.bodyPaused) || isTooMuch
        guard wantsOff != flags.contains(.readsOff), let context else { return }
        if wantsOff { flags.insert(.readsOff) } else { flags.remove(.readsOff) }
        try? context.channel.syncOptions?.setOption(.autoRead, value: !wantsOff)
    }

    // MARK: Tunnel

    private func passOn() -> Bool {
        let bytes = inbound
        inbound = ByteBuffer()
        loop.metrics.add(.tunnelBytesIn, bytes.readableBytes)
        armDeadline()
        journey?.requestBody(bytes)
        return false
    }

    // MARK: Time

    /// Sets the deadline that fits where the request stands. While the client does not take its response, the write
    /// timeout alone counts.
    func armDeadline() {
        guard !flags.contains(.responsePaused) else { return }
        let timeouts = desk.serving.configuration.timeouts
        switch request {
        case .idle: loop.deadlines.set(self, milliseconds: timeouts.idle)
        case .head: loop.deadlines.set(self, milliseconds: timeouts.header)
        case .body, .chunkedBody: beginBodyWindow()
        case .draining, .drainingChunks: loop.deadlines.set(self, milliseconds: timeouts.body)
        case .tunnel: loop.deadlines.set(self, milliseconds: timeouts.tunnel)
        case .ignoring: loop.deadlines.set(self, milliseconds: timeouts.write)
        // The origin's deadlines count now.
        case .complete: loop.deadlines.unset(self)
        }
    }

    /// Within each window of the body timeout, enough of the body must come.
    private func beginBodyWindow() {
        bodyBytesSeen = 0
        loop.deadlines.set(self, milliseconds: desk.serving.configuration.timeouts.body)
    }

    override func deadlinePassed() {
        guard context != nil else { return }
        closes(because: request == .idle ? .idleTimeout : .timeout)
        if flags.contains(.responsePaused) {
            endJourney(because: .clientStalled)
            return closeNow()
        }
        switch request {
        case .idle where requestsServed == 0 && inbound.readableBytes == 0:
            closeNow()
        case .head:
            flags.insert(.closes)
            request = .ignoring
            response = .waiting
            journey?.client = self
            journey?.reject(.headerTimeout)
        case .body, .chunkedBody:
            judgeBodyRate()
        case .idle, .draining, .drainingChunks, .tunnel, .ignoring, .complete:
            endJourney(because: .clientStalled)
            closeNow()
        }
    }

    private func judgeBodyRate() {
        if flags.contains(.bodyPaused) { return beginBodyWindow() }
        let configuration = desk.serving.configuration
        let wanted = configuration.limits.bodyRateBytesPerSecond * configuration.timeouts.body / 1000
        if bodyBytesSeen > 0, bodyBytesSeen >= wanted { return beginBodyWindow() }
        flags.insert(.closes)
        let reason: Failure = bodyBytesSeen == 0 ? .bodyTimeout : .bodyTooSlow
        request = .ignoring
        journey?.requestFailed(reason)
    }

    // MARK: Events

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed { inputEnded() }
        context.fireUserInboundEventTriggered(event)
    }

    /// The client sends nothing more. What it asked for it still gets; half a request gets nothing.
    private func inputEnded() {
        flags.insert(.inputEnded)
        settleInputEnd()
    }

    /// Nothing more comes than what is here: what that does not complete never will be.
    private func settleInputEnd() {
        switch request {
        // Requests that wait for the client to take its responses are still answered.
        case .idle: if inbound.readableBytes == 0 || !flags.contains(.responsePaused) { close() }
        case .complete: break
        case .ignoring: if response == .none, flags.contains(.outputEnded) { closeNow() }
        case .tunnel: journey?.tunnelInputEnded()
        case .head, .body, .chunkedBody, .draining, .drainingChunks:
            endJourney(because: .clientClosed)
            closeNow()
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A client that goes without close_notify is no news: its requests are framed by themselves.
        if case .uncleanShutdown = error as? NIOSSLError, request == .idle { return closeNow() }
        closes(because: .reset)
        endJourney(because: .clientClosed)
        closeNow()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard flags.contains(.responsePaused), context.channel.isWritable else { return }
        flags.remove(.responsePaused)
        armDeadline()
        journey?.resumeResponse()
        process()
    }

    // MARK: Closing

    override func cut() {
        closes(because: .draining)
        endJourney(because: .draining)
        closeNow()
    }

    override func drain() {
        closes(because: .draining)
        if request == .idle, inbound.readableBytes == 0 {
            close()
        } else {
            flags.insert(.closes)
        }
    }

    /// Ends the connection once everything is written: first our half, and for a while the client's bytes are still
    /// read, lest the kernel answers them with a reset that overtakes the response (RFC 9112, section 9.6).
    func close() {
        request = .ignoring
        inbound = ByteBuffer()
        socket.close()
        guard let context else { return }
        flags.remove(.bodyPaused)
        updateReading()
        // The client has the write timeout for what it still gets, and then a moment to close its half.
        loop.deadlines.set(self, milliseconds: desk.serving.configuration.timeouts.write)
        guard !flags.contains(.inputEnded) else { return closeOnceWritten(context) }
        let ended = context.eventLoop.makePromise(of: Void.self)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        ended.futureResult.whenComplete { _ in bound.value.outputEnded() }
        context.close(mode: .output, promise: ended)
    }

    private func outputEnded() {
        flags.insert(.outputEnded)
        if flags.contains(.inputEnded) { return closeNow() }
        loop.deadlines.set(self, milliseconds: Limits.lingerMilliseconds)
    }

    /// Closes both halves as soon as the kernel has all that was written.
    func closeOnceWritten(_ context: ChannelHandlerContext) {
        let written = context.eventLoop.makePromise(of: Void.self)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        written.futureResult.whenComplete { _ in bound.value.closeNow() }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: written)
    }

    func closeNow() {
        request = .ignoring
        socket.close()
        context?.close(mode: .all, promise: nil)
    }
}
