import ConfigModel
import Exchange
import HTTPWire
import Limits
import NIOCore
import NIOSSL
import Pipeline
import Telemetry

/// The life of one HTTP/2 connection with a client (RFC 9113): one handler, however many streams.
///
/// The protocol is `HTTP2Session`'s matter, a state machine without a socket; what a request means is its journey's.
/// This class stands between them and the channel:
///
///     bytes ─▶ session.next ─▶ step ─▶ a stream and its journey        (HTTP2Connection+Input)
///     a journey's answer ─▶ stream ─▶ heads at once, body by turns     (HTTP2Connection+Output)
///
/// What is said within one turn of the event loop leaves in one write. Heads are written as they come, DATA frames are
/// taken from the streams by priority and by the client's windows, and no more of them than the socket takes.
///
/// An idle connection holds this object and its session and nothing else.
final class HTTP2Connection: Deadlined, ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let listener: ListenerLoop
    let shared: HTTP2Loop
    let peer: IPAddress
    let isSecure: Bool
    let tls: TLSFacts?
    var desk: JourneyDesk { listener.desk }
    var loop: EdgeLoop { listener.desk.loop }

    var context: ChannelHandlerContext?
    var session: HTTP2Session
    /// By the session's slots.
    var streams: ContiguousArray<HTTP2Stream?> = []
    var streamCount = 0
    /// Streams that have something for the next write: trailers, an end, room for more.
    var noted: ContiguousArray<HTTP2Stream> = []
    /// Streams whose requests are read and not begun: what the client says in the same breath comes first.
    var unborn: ContiguousArray<HTTP2Stream> = []
    /// Bytes read and not yet understood.
    var inbound = ByteBuffer()
    /// Frames to be written.
    var pending: ByteBuffer?
    var flags: Flags = []
    var socket = DirectSocket()
    var requestsServed = 0
    /// Bytes of request bodies that origins do not take for now.
    private(set) var heldBytes = 0
    /// Since when the client's socket takes nothing; 0 while it does. Monotonic nanoseconds.
    var blockedSince: UInt64 = 0
    private var stalledStreams = 0
    private var closeReason: CloseReason?

    struct Flags: OptionSet {
        let rawValue: UInt16
        /// Within a read: what is written leaves at its end.
        static let isReading = Flags(rawValue: 1)
        static let isWriting = Flags(rawValue: 2)
        static let isWriteScheduled = Flags(rawValue: 4)
        /// Somebody has something to write since the last write.
        static let wantsWrite = Flags(rawValue: 8)
        static let readsOff = Flags(rawValue: 16)
        static let countedIdle = Flags(rawValue: 32)
        static let inputEnded = Flags(rawValue: 64)
        /// GOAWAY is out for good: when the last stream is over, so is the connection.
        static let isLeaving = Flags(rawValue: 128)
        /// Told to leave, and given a moment for what is under way (RFC 9113, section 6.8).
        static let isWarned = Flags(rawValue: 256)
        static let isClosing = Flags(rawValue: 512)
        static let outputEnded = Flags(rawValue: 1024)
        /// Bytes of a frame or of a head are there whose rest is not.
        static let awaitsRest = Flags(rawValue: 2048)
        /// An error of the connection: nothing that comes is looked at.
        static let hasFailed = Flags(rawValue: 4096)
    }

    init(listener: ListenerLoop, peer: IPAddress, tls: TLSFacts?, isSecure: Bool) {
        self.listener = listener
        self.shared = listener.http2
        self.peer = peer
        self.tls = tls
        self.isSecure = isSecure
        let configuration = listener.desk.serving.configuration
        var bounds = HTTP2Bounds()
        bounds.streamsMax = configuration.limits.streamsPerConnection
        bounds.headBytesMax = configuration.limits.headBytes
        bounds.fieldCountMax = configuration.limits.fieldCount
        bounds.requestLineBytesMax = configuration.limits.requestLineBytes
        session = HTTP2Session(role: .server, bounds: bounds)
        super.init()
    }

    // MARK: Coming and going

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if !isSecure { socket.open(context) }
        loop.deadlines.register(self)
        loop.deadlines.set(self, milliseconds: desk.serving.configuration.timeouts.header)
        loop.metrics.adjust(.clientConnectionsActive, by: 1)
        loop.metrics.adjust(.http2ConnectionsActive, by: 1)
        loop.metrics.add(isSecure ? .http2ConnectionsSecure : .http2ConnectionsClear)
        session.begin(at: MonotonicClock.nanoseconds())
        // Before any head that is made in the same turn (RFC 9113, section 3.4).
        gatherControl()
        requestWrite()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        socket.close()
        endStreams(because: .clientClosed)
        loop.deadlines.release(self)
        loop.metrics.adjust(.clientConnectionsActive, by: -1)
        loop.metrics.adjust(.http2ConnectionsActive, by: -1)
        leaveIdle()
        loop.metrics.connectionClosed(closeReason ?? .clientClosed)
        desk.connectionEnded?()
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        socket.close()
        flags.insert(.isClosing)
        endStreams(because: .clientClosed)
        context.fireChannelInactive()
    }

    func closes(because reason: CloseReason) {
        if closeReason == nil { closeReason = reason }
    }

    func enterIdle() {
        loop.deadlines.set(self, milliseconds: desk.serving.configuration.timeouts.idle)
        guard !flags.contains(.countedIdle) else { return }
        flags.insert(.countedIdle)
        loop.metrics.adjust(.clientConnectionsIdle, by: 1)
    }

    func leaveIdle() {
        guard flags.contains(.countedIdle) else { return }
        flags.remove(.countedIdle)
        loop.metrics.adjust(.clientConnectionsIdle, by: -1)
    }

    // MARK: Streams

    func add(_ stream: HTTP2Stream, at slot: Int) {
        while streams.count <= slot { streams.append(nil) }
        streams[slot] = stream
        streamCount += 1
        loop.metrics.adjust(.http2StreamsActive, by: 1)
        loop.metrics.add(.http2Streams)
        guard streamCount == 1 else { return }
        leaveIdle()
        loop.deadlines.set(self, milliseconds: Limits.http2SweepMilliseconds)
    }

    func stream(_ ref: HTTP2StreamRef) -> HTTP2Stream? {
        guard ref.slot < streams.count, let stream = streams[ref.slot], stream.ref == ref else { return nil }
        return stream
    }

    /// The stream is over; its journey, if there still is one, learns why.
    func end(_ stream: HTTP2Stream, because reason: Failure) {
        guard !stream.flags.contains(.isOver) else { return }
        let journey = stream.journey
        let hasAnswered = stream.flags.contains(.responseEnded)
        let slot = stream.ref.slot
        shared.queuedBytes -= stream.queue.byteCount
        let credit = stream.takeHeldCredit()
        if credit > 0 { session.returnCredit(stream.ref, credit) }
        if slot < streams.count, streams[slot] === stream { streams[slot] = nil }
        streamCount -= 1
        loop.metrics.adjust(.http2StreamsActive, by: -1)
        // Those in a list are given back when it is emptied.
        let lists = stream.flags.intersection([.isNoted, .isUnborn])
        stream.clear()
        stream.flags.formUnion(lists)
        if let journey {
            if !hasAnswered { journey.clientGone(reason) }
            journey.finish()
        }
        if lists.isEmpty { shared.giveBack(stream) }
        if streamCount == 0 { wentQuiet() }
    }

    private func wentQuiet() {
        guard !flags.contains(.isClosing) else { return }
        if flags.contains(.isLeaving) || flags.contains(.inputEnded) { return requestWrite() }
        if blockedSince == 0 { enterIdle() } else { watchBlockedSocket() }
    }

    /// Without a stream too, somebody must see to it that the client takes what it was sent.
    func watchBlockedSocket() {
        guard streamCount == 0 else { return }
        leaveIdle()
        loop.deadlines.set(self, milliseconds: Limits.http2SweepMilliseconds)
    }

    private func endStreams(because reason: Failure) {
        for index in streams.indices {
            if let stream = streams[index] { end(stream, because: reason) }
        }
        // Those whose slot another has already, and who wait for the next write to be seen to.
        for stream in noted { end(stream, because: reason) }
    }

    /// RST_STREAM for a stream whose response cannot be completed, or whose request nobody wants.
    func reset(_ stream: HTTP2Stream, _ code: HTTP2ErrorCode, because reason: Failure = .clientClosed) {
        guard !stream.flags.contains(.isOver) else { return }
        session.reset(stream.ref, code)
        loop.metrics.add(.http2ResetsByEdge)
        // What was cut is over, whatever it still had to say.
        if code != .noError { stream.flags.insert(.responseEnded) }
        end(stream, because: reason)
        requestWrite()
    }

    func returnCredit(_ stream: HTTP2Stream, _ bytes: Int) {
        session.returnCredit(stream.ref, bytes)
    }

    /// So many more bytes of a request's body wait for an origin, or fewer.
    func hold(_ bytes: Int) {
        heldBytes += bytes
        shared.heldBytes += bytes
        if bytes < 0 { updateReading() }
    }

    // MARK: Time

    override func deadlinePassed() {
        guard context != nil else { return }
        if flags.contains(.isClosing) { return closeNow() }
        if streamCount > 0 || blockedSince != 0 { return sweep() }
        if flags.contains(.isLeaving) { return closeNow() }
        closes(because: flags.contains(.awaitsRest) ? .timeout : .idleTimeout)
        leave(.noError)
    }

    /// Once a second while there are streams, or bytes that the client does not take: who is late?
    private func sweep() {
        let now = MonotonicClock.nanoseconds()
        let timeouts = desk.serving.configuration.timeouts
        loop.deadlines.set(self, milliseconds: Limits.http2SweepMilliseconds)
        if blockedSince != 0, now &- blockedSince > UInt64(timeouts.write) &* 1_000_000 {
            closes(because: .timeout)
            endStreams(because: .clientStalled)
            return closeNow()
        }
        for index in streams.indices {
            if let stream = streams[index] { judge(stream, now, timeouts) }
        }
        if flags.contains(.isWarned), !flags.contains(.isLeaving) { leave(.noError) }
        updateReading()
        requestWrite()
    }

    private func judge(_ stream: HTTP2Stream, _ now: UInt64, _ timeouts: Configuration.ClientTimeouts) {
        if stream.flags.contains(.isTunnel) { return judgeTunnel(stream, now, timeouts) }
        if stream.queue.isEmpty || blockedSince != 0 {
            stream.waitsSince = 0
        } else if isStalled(stream, now, timeouts) {
            return stalled(stream, .cancel)
        }
        // Who is being answered may take as long as any conversation: all kinds of gRPC but one are like that.
        if stream.bodyWindowEnd != 0, stream.flags.contains(.headSent) { return judgeTunnel(stream, now, timeouts) }
        guard stream.bodyWindowEnd != 0, now >= stream.bodyWindowEnd else { return }
        if stream.flags.contains(.bodyPaused) || flags.contains(.readsOff) { return beginBodyWindow(stream, at: now) }
        let wanted = desk.serving.configuration.limits.bodyRateBytesPerSecond * timeouts.body / 1000
        if stream.bodyBytesSeen > 0, stream.bodyBytesSeen >= wanted { return beginBodyWindow(stream, at: now) }
        let reason: Failure = stream.bodyBytesSeen == 0 ? .bodyTimeout : .bodyTooSlow
        stream.bodyWindowEnd = 0
        stream.journey?.requestFailed(reason)
    }

    /// Whether the client's window has been shut for too long, or been opened by next to nothing.
    private func isStalled(
        _ stream: HTTP2Stream, _ now: UInt64, _ timeouts: Configuration.ClientTimeouts
    ) -> Bool {
        // Nothing opens a window any more.
        if flags.contains(.inputEnded) { return true }
        guard stream.waitsSince != 0 else {
            beginWait(stream, at: now)
            stream.queue.compact()
            return false
        }
        let pressedStall = UInt64(Limits.http2PressedStallMilliseconds) &* 1_000_000
        let waited = now &- stream.waitsSince
        if shared.isPressed, stream.takenBytes == 0, waited > pressedStall { return true }
        guard waited > UInt64(timeouts.write) &* 1_000_000 else { return false }
        if stream.takenBytes < max(1, Limits.http2ResponseBytesPerSecondMin * timeouts.write / 1000) { return true }
        beginWait(stream, at: now)
        return false
    }

    private func beginWait(_ stream: HTTP2Stream, at now: UInt64) {
        stream.waitsSince = now
        stream.takenBytes = 0
    }

    /// Cuts a stream whose client takes nothing. Who does so again and again is not to go on with this connection.
    func stalled(_ stream: HTTP2Stream, _ code: HTTP2ErrorCode) {
        stalledStreams += 1
        reset(stream, code, because: .clientStalled)
        if stalledStreams >= Limits.http2StalledStreamsMax {
            closes(because: .abuse)
            leave(.enhanceYourCalm)
        }
    }

    /// A tunnel, or a request that is answered while it is still being sent, may be silent for as long as the tunnel's
    /// timeout, in both directions at once.
    private func judgeTunnel(_ stream: HTTP2Stream, _ now: UInt64, _ timeouts: Configuration.ClientTimeouts) {
        if stream.flags.contains(.hasMoved) || stream.bodyWindowEnd == 0 {
            stream.flags.remove(.hasMoved)
            stream.bodyWindowEnd = now &+ UInt64(timeouts.tunnel) &* 1_000_000
        } else if now >= stream.bodyWindowEnd {
            reset(stream, .cancel, because: .clientStalled)
        }
    }

    /// Within each window of the body timeout, enough of the body must come.
    func beginBodyWindow(_ stream: HTTP2Stream, at now: UInt64) {
        stream.bodyBytesSeen = 0
        stream.bodyWindowEnd = now &+ UInt64(desk.serving.configuration.timeouts.body) &* 1_000_000
    }

    // MARK: Leaving

    override func cut() {
        closes(because: .draining)
        endStreams(because: .draining)
        closeNow()
    }

    /// Warned first, with the highest id there is; a moment later the last stream that is served is named, so that no
    /// request that was on its way is lost (RFC 9113, section 6.8).
    override func drain() {
        closes(because: .draining)
        guard streamCount > 0 else { return leave(.noError) }
        guard !flags.contains(.isWarned) else { return }
        flags.insert(.isWarned)
        session.goAway(.noError, isFinal: false)
        requestWrite()
    }

    /// No stream is begun any more; when the last is over, the connection closes.
    func leave(_ code: HTTP2ErrorCode) {
        guard !flags.contains(.isLeaving) else { return }
        flags.insert(.isLeaving)
        session.goAway(code, isFinal: true)
        if streamCount == 0, blockedSince == 0 {
            loop.deadlines.set(self, milliseconds: desk.serving.configuration.timeouts.write)
        }
        requestWrite()
    }

    /// An error of the connection: GOAWAY is waiting to be written, and nothing else matters.
    func fail(_ fault: HTTP2Fault) {
        guard !flags.contains(.hasFailed) else { return }
        flags.insert([.isLeaving, .isClosing, .hasFailed])
        closes(because: fault.abuse == nil ? .protocolError : .abuse)
        loop.metrics.add(fault.abuse?.counter ?? .http2ProtocolErrors)
        inbound = ByteBuffer()
        endStreams(because: .clientClosed)
        flags.remove(.isClosing)
        loop.deadlines.set(self, milliseconds: desk.serving.configuration.timeouts.write)
        requestWrite()
    }

    /// Everything is written: our half closes, and for a while the client's bytes are still read, lest the kernel
    /// answers them with a reset that overtakes what was written.
    func close() {
        guard !flags.contains(.isClosing), let context else { return }
        flags.insert(.isClosing)
        socket.close()
        inbound = ByteBuffer()
        leaveIdle()
        updateReading()
        loop.deadlines.set(self, milliseconds: desk.serving.configuration.timeouts.write)
        let ended = context.eventLoop.makePromise(of: Void.self)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        ended.futureResult.whenComplete { _ in bound.value.outputEnded() }
        if flags.contains(.inputEnded) {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: ended)
        } else {
            context.close(mode: .output, promise: ended)
        }
    }

    private func outputEnded() {
        flags.insert(.outputEnded)
        if flags.contains(.inputEnded) { return closeNow() }
        loop.deadlines.set(self, milliseconds: Limits.lingerMilliseconds)
    }

    func closeNow() {
        flags.insert(.isClosing)
        socket.close()
        context?.close(mode: .all, promise: nil)
    }

    // MARK: Events

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed { inputEnded() }
        context.fireUserInboundEventTriggered(event)
    }

    /// The client sends nothing more. What it has asked for whole it still gets.
    private func inputEnded() {
        flags.insert(.inputEnded)
        if flags.contains(.isClosing) { return flags.contains(.outputEnded) ? closeNow() : () }
        for index in streams.indices {
            guard let stream = streams[index], !stream.flags.contains(.requestEnded) else { continue }
            reset(stream, .cancel)
        }
        requestWrite()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A client that goes without close_notify is no news: frames end by themselves.
        if case .uncleanShutdown = error as? NIOSSLError, streamCount == 0 { return closeNow() }
        closes(because: .reset)
        flags.insert(.isClosing)
        endStreams(because: .clientClosed)
        closeNow()
    }
}

extension HTTP2Abuse {
    /// Where it is counted.
    fileprivate var counter: Counter {
        switch self {
        case .rapidReset: .http2AbuseRapidReset
        case .serverReset: .http2AbuseServerReset
        case .continuationFlood: .http2AbuseContinuationFlood
        case .settingsFlood: .http2AbuseSettingsFlood
        case .pingFlood: .http2AbusePingFlood
        case .windowUpdateFlood: .http2AbuseWindowUpdateFlood
        case .emptyFrames: .http2AbuseEmptyFrames
        case .priorityFlood: .http2AbusePriorityFlood
        case .hpackBomb: .http2AbuseHPACKBomb
        case .tinyWindow: .http2AbuseTinyWindow
        case .streamFlood: .http2AbuseStreamFlood
        case .unknownFrames: .http2AbuseUnknownFrames
        case .controlBacklog: .http2AbuseControlBacklog
        }
    }
}
