import ConfigModel
import Exchange
import HTTPWire
import Limits
import NIOCore
import NIOSSL
import Synchronization
import Telemetry

/// One HTTP/2 connection to an origin server: one handler, as many exchanges at a time as the origin takes.
///
/// The protocol is `HTTP2Session`'s matter, a state machine without a socket. This class stands between it, the channel
/// and the streams:
///
///     exchange ─▶ HTTP2OriginStream ─▶ heads at once, body by turns     (HTTP2OriginConnection+Output)
///     bytes ─▶ session.next ─▶ step ─▶ HTTP2OriginStream ─▶ exchange    (HTTP2OriginConnection+Input)
///     silence ─▶ PING ─▶ or else it is gone                             (HTTP2OriginConnection+Life)
///
/// It lives on the loop that made it and serves all: `claim` reserves room for one stream from any loop, and whoever
/// claimed it opens the stream, or gives the room back, on this one. What is said within one turn of the loop leaves in
/// one write.
///
/// Bodies are bounded stream by stream: what of a response its receiver has not taken keeps that stream's window shut,
/// and what of a request the origin does not take stays in that stream's queue, which says when it is full. The
/// connection's own window is that of all streams together, twice over, so that some that are stopped do not stop others.
final class HTTP2OriginConnection: Deadlined, OriginSeat, ChannelInboundHandler, @unchecked Sendable {
    // Unchecked: it lives on `loop`'s event loop; others claim room by `room` and read `quiet`, both atomic.
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let server: OriginServer
    let loop: EdgeLoop
    let shared: HTTP2OriginLoop
    /// What was offered when it was made.
    private let offer: OriginOffer

    var context: ChannelHandlerContext?
    var session: HTTP2Session
    /// By the session's slots.
    var streams: ContiguousArray<HTTP2OriginStream?> = []
    var streamCount = 0
    /// Streams that cannot begin before the origin's SETTINGS have come.
    var unsettled: ContiguousArray<HTTP2OriginStream> = []
    /// Streams that have something for the next write: trailers, or room for more.
    var noted: ContiguousArray<HTTP2OriginStream> = []
    /// Streams whose receivers were told something by the read that is under way.
    var touched: ContiguousArray<HTTP2OriginStream> = []
    /// Streams that are over. Those who held them may still be on their way out of a call: used again a turn later.
    private var over: ContiguousArray<HTTP2OriginStream> = []
    /// Bytes read and not yet understood.
    var inbound = ByteBuffer()
    /// Frames to be written.
    var pending: ByteBuffer?
    var flags: Flags = []

    /// Streams that may still be claimed; below 0 while more are under way than the origin now wants.
    private let room = Atomic<Int>(0)
    private let quiet = Atomic<Bool>(false)
    /// Streams at a time that `room` was reckoned from. One, until the origin's SETTINGS say more: what it has to refuse
    /// would have to be sent again.
    private var streamsMax = 1

    /// Resets that it may still send: see `Limits.http2OriginResetsMax`.
    private var resetsLeft = Limits.http2OriginResetsMax

    /// When bytes came last, and when the question was sent that has no answer yet; 0: there is none.
    var heardAt: UInt64 = 0
    var askedAt: UInt64 = 0
    /// Silence until the next question, in milliseconds.
    var patience = Limits.http2OriginPingAfterMilliseconds
    /// When the last stream ended.
    var idleSince: UInt64 = 0

    struct Flags: OptionSet {
        let rawValue: UInt16
        static let hasBegun = Flags(rawValue: 1)
        /// Within a read: what is written leaves at its end.
        static let isReading = Flags(rawValue: 2)
        static let isWriting = Flags(rawValue: 4)
        static let isTurnScheduled = Flags(rawValue: 8)
        /// There is something to write since the last write.
        static let wantsWrite = Flags(rawValue: 16)
        /// The origin's SETTINGS have come.
        static let hasSettled = Flags(rawValue: 32)
        /// Counted among those without a stream.
        static let isIdle = Flags(rawValue: 64)
        /// No stream is begun any more; when the last is over, the connection closes.
        static let isLeaving = Flags(rawValue: 128)
        static let isClosed = Flags(rawValue: 256)
    }

    init(server: OriginServer, loop: EdgeLoop, offer: OriginOffer) {
        self.server = server
        self.loop = loop
        self.offer = offer
        shared = server.loops.loop(loop.index)
        var bounds = HTTP2Bounds.origin
        // Half of it at least is open whatever the streams hold: the origin is told of room by the half.
        bounds.connectionWindowBytes = 2 * bounds.streamsMax * bounds.streamWindowBytes
        session = HTTP2Session(role: .client, bounds: bounds)
        super.init()
    }

    // MARK: Coming and going

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        loop.deadlines.register(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        close(.originClosedEarly)
        loop.deadlines.release(self)
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        close(.originClosedEarly)
        context.fireChannelInactive()
    }

    /// The connection is made, and room for one stream is claimed for who made it. False: it is already gone.
    func begin() -> Bool {
        guard context != nil, flags.isDisjoint(with: [.hasBegun, .isClosed]) else { return false }
        flags.insert(.hasBegun)
        let now = shared.now()
        heardAt = now
        session.begin(at: now)
        loop.deadlines.set(self, milliseconds: server.key.timeouts.connect)
        server.add(self)
        requestWrite()
        return true
    }

    /// The origin's SETTINGS hold: it takes so many streams.
    func settled() {
        let before = streamsMax
        // None at all would be for a moment, and there is nothing to wait for that by.
        streamsMax = max(1, min(session.peerStreamsMax, Limits.http2OriginStreamsMax))
        room.wrappingAdd(streamsMax - before, ordering: .sequentiallyConsistent)
        server.noteRoom(streamsMax)
        if !flags.contains(.hasSettled) {
            flags.insert(.hasSettled)
            server.connectingEnded(offer)
            watch()
            let waiting = unsettled
            unsettled = []
            for stream in waiting { stream.connectionSettled() }
        }
        server.serveLine()
    }

    /// Takes no more streams: those under way go on, and then it closes.
    func leave() {
        guard flags.isDisjoint(with: [.isLeaving, .isClosed]) else { return }
        flags.insert(.isLeaving)
        server.remove(self)
        if streamCount == 0 { closeQuietly() }
    }

    /// Nobody has a stream on it: the origin is told, and that was it.
    func closeQuietly() {
        guard !flags.contains(.isClosed) else { return }
        session.goAway(.noError, isFinal: true)
        close(.pooledConnectionLost)
    }

    /// Ends the connection, and with it what is under way.
    func close(_ failure: Failure) {
        guard !flags.contains(.isClosed) else { return }
        flags.insert([.isLeaving, .isClosed])
        server.remove(self)
        loop.deadlines.unset(self)
        writeLast()
        context?.close(mode: .all, promise: nil)
        inbound = ByteBuffer()
        noted = []
        guard flags.contains(.hasBegun) else { return }
        let wasUnsettled = !flags.contains(.hasSettled)
        leaveIdle()
        loop.metrics.adjust(.originConnectionsActive, by: -1)
        if wasUnsettled {
            server.connectingEnded(offer)
            server.failLine(failure)
        }
        server.connectionEnded()
        failStreams(failure)
    }

    private func failStreams(_ failure: Failure) {
        let waiting = unsettled
        unsettled = []
        for stream in waiting { stream.fail(failure) }
        for index in streams.indices {
            if let stream = streams[index] { stream.fail(failure) }
        }
    }

    // MARK: As a seat

    var mayBeRefused: Bool { true }
    var mayBeStale: Bool { quiet.load(ordering: .relaxed) }

    /// Takes room for one stream, if there is some. On any loop.
    func claim() -> Bool {
        var left = room.load(ordering: .sequentiallyConsistent)
        while left > 0 {
            let (isDone, now) = room.compareExchange(
                expected: left, desired: left - 1, ordering: .sequentiallyConsistent)
            if isDone { return true }
            left = now
        }
        return false
    }

    /// Gives it back, and looks after nobody. On any loop.
    func unclaim() {
        room.wrappingAdd(1, ordering: .sequentiallyConsistent)
    }

    func takeLink() -> any OriginLink {
        let stream = shared.takeStream()
        stream.begin(self, isReused: mayBeStale)
        return stream
    }

    func returnUnused() {
        unclaim()
        if streamCount == 0 { wentQuiet() }
        server.serveLine()
    }

    // MARK: Streams

    func stream(_ ref: HTTP2StreamRef) -> HTTP2OriginStream? {
        guard ref.slot < streams.count, let stream = streams[ref.slot], stream.ref == ref else { return nil }
        return stream
    }

    /// A stream in the session for the one that was claimed. nil: the connection takes none any more.
    func open(_ stream: HTTP2OriginStream, _ method: HTTPWire.Method) -> HTTP2StreamRef? {
        guard !flags.contains(.isClosed), let ref = session.open(method) else {
            // Out of identifiers, or told to go in this moment.
            if session.streamsLeft == 0, session.openStreams == 0 { leave() }
            return nil
        }
        while streams.count <= ref.slot { streams.append(nil) }
        streams[ref.slot] = stream
        streamCount += 1
        if streamCount == 1 { leaveIdle() }
        return ref
    }

    /// A stream is over: its place and its room are free.
    ///
    /// - Parameter code: cuts it off at the origin too; nil where both halves have ended.
    func release(_ stream: HTTP2OriginStream, resets code: HTTP2ErrorCode?) {
        let ref = stream.ref
        if let code {
            let waiting = session.pendingControlBytes
            session.reset(ref, code)
            // Nothing is said of a stream that the origin has cut off itself.
            if session.pendingControlBytes > waiting {
                resetsLeft -= 1
                requestWrite()
            }
        } else if resetsLeft < Limits.http2OriginResetsMax {
            resetsLeft += 1
        }
        let credit = stream.takeHeldCredit()
        if credit > 0 { returnCredit(ref, credit) }
        if ref.slot < streams.count, streams[ref.slot] === stream {
            streams[ref.slot] = nil
            streamCount -= 1
        }
        discard(stream)
        unclaim()
        if resetsLeft <= 0 { leave() }
        if streamCount == 0 { wentQuiet() }
        if !flags.contains(.isLeaving) { server.serveLine() }
    }

    /// A stream that was never opened, or no longer is.
    func discard(_ stream: HTTP2OriginStream) {
        over.append(stream)
        scheduleTurn()
    }

    /// At the end of a turn: nobody is within a call of those that are over.
    func recycle() {
        guard !over.isEmpty else { return }
        for stream in over { shared.giveBack(stream) }
        over.removeAll(keepingCapacity: over.capacity <= 128)
    }

    func returnCredit(_ ref: HTTP2StreamRef, _ bytes: Int) {
        session.returnCredit(ref, bytes)
        if session.pendingControlBytes > 0 { requestWrite() }
    }

    private func wentQuiet() {
        guard !flags.contains(.isClosed) else { return }
        if flags.contains(.isLeaving) || server.isRetired { return leaveForGood() }
        guard !flags.contains(.isIdle) else { return }
        flags.insert(.isIdle)
        idleSince = shared.now()
        quiet.store(true, ordering: .relaxed)
        server.noteIdleHTTP2(1, on: loop)
        watch()
    }

    private func leaveForGood() {
        flags.insert(.isLeaving)
        closeQuietly()
    }

    private func leaveIdle() {
        guard flags.contains(.isIdle) else { return }
        flags.remove(.isIdle)
        quiet.store(false, ordering: .relaxed)
        server.noteIdleHTTP2(-1, on: loop)
        watch()
    }

    /// Whether room is claimed that nobody has used yet.
    var hasClaims: Bool { room.load(ordering: .sequentiallyConsistent) < streamsMax - streamCount }

    // MARK: Events

    override func deadlinePassed() { look() }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // Whoever ends its half of the connection ends all streams' (RFC 9113, section 5.4.1).
        if let event = event as? ChannelEvent, event == .inputClosed { close(.originClosedEarly) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { close(.originClosedEarly) }
}
