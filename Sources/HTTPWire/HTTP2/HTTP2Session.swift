// One HTTP/2 connection without its socket (RFC 9113), as a server's or as a client's end.
//
//     bytes ─▶ next ─▶ steps              (HTTP2Session+Input, +Heads, +Data, +Streams, +Connection)
//     heads ─▶ writeHead ─▶ bytes         (HTTP2Session+Output)
//     bodies: offer, and nextData says whose turn it is
//     what the protocol itself has to say: pendingControlBytes, writeControl
//
// The session holds no body bytes and no heads. It knows how many bytes wait where, and in which state each stream is. It
// allocates when more streams are open than ever before on the connection, for a block that comes in pieces, and while
// HPACK's tables grow; in between it does not.
//
// Times are monotonic nanoseconds.

internal import Limits

/// The protocol's state of one connection. Whoever owns it owns the connection.
package struct HTTP2Session: ~Copyable {
    /// Which end of the connection this is.
    package enum Role: UInt8, Sendable {
        case server, client
    }

    /// What must come next.
    enum Stage: UInt8, Sendable {
        case preface, settings, frames, failed
    }

    let role: Role
    let bounds: HTTP2Bounds
    var stage: Stage
    private(set) var fault: HTTP2Fault?
    /// When bytes were last looked at.
    var now: UInt64 = 0

    var decoder: HPACKDecoder
    var encoder: HPACKEncoder
    var streams = HTTP2StreamTable()
    var closed = HTTP2ClosedStreams(countMax: Limits.http2ClosedStreamsMax)
    var scheduler = HTTP2Scheduler()
    var budget = HTTP2Budget()
    var early = HTTP2EarlyPriorities(countMax: Limits.http2EarlyPrioritiesMax)
    var peer = HTTP2PeerSettings()

    /// Frames of the protocol's own that wait to be written.
    var control: ContiguousArray<UInt8> = []

    /// The connection's windows, and what of ours the peer has not been told of yet.
    var sendWindow = HTTP2Window.initialBytes
    var receiveWindow: Int
    var owed = 0
    /// What the peer may send on a new stream. Until it has acknowledged a smaller one, the initial one.
    var streamWindow: Int
    var awaitsAck = true

    /// The highest identifier in use so far, all below being open or closed (RFC 9113, section 5.1.1).
    var highestID: UInt32 = 0
    /// Client: the next stream's.
    var nextID: UInt32 = 1
    /// Client: a stream is open whose head is not written yet.
    var awaitsHead = false
    /// What we said in GOAWAY: no stream above is looked at. Not said yet: 2^31.
    var lastServedID: UInt32 = 1 << 31
    var hasWarned = false
    /// What the peer said in GOAWAY.
    var lastTakenID: UInt32 = 1 << 31
    var pingsUnderWay = 0

    var input = Input()
    var block = Block()

    /// Where in a frame that is told in pieces we are.
    struct Input: Sendable {
        /// Payload to be thrown away as it comes.
        var skipLeft = 0
        /// Payload of DATA still to be told, and whose.
        var dataLeft = 0
        var stream = HTTP2StreamRef.none
        /// Padding behind it, and all of the frame that is not data and must be given back with the first piece.
        var padding = 0
        var overhead = 0
        var endsStream = false
    }

    /// A field block that comes in pieces (RFC 9113, section 4.3).
    struct Block: Sendable {
        /// 0: none is under way.
        var stream: UInt32 = 0
        var endsStream = false
        var frames = 0
        var emptyFrames = 0
        var bytes: ContiguousArray<UInt8> = []
    }

    package init(role: Role, bounds: HTTP2Bounds) {
        self.role = role
        self.bounds = bounds
        stage = role == .server ? .preface : .settings
        decoder = HPACKDecoder(tableBytesMax: bounds.decoderTableBytesMax)
        encoder = HPACKEncoder(tableBytesMax: bounds.encoderTableBytesMax, isShared: role == .client)
        receiveWindow = max(HTTP2Window.initialBytes, min(bounds.connectionWindowBytes, HTTP2Window.bytesMax))
        streamWindow = max(HTTP2Window.initialBytes, min(bounds.streamWindowBytes, HTTP2Window.bytesMax))
    }

    /// What the windows are where nothing is under way.
    var connectionWindowMax: Int {
        max(HTTP2Window.initialBytes, min(bounds.connectionWindowBytes, HTTP2Window.bytesMax))
    }

    // MARK: State

    /// Streams that are open, or half of them.
    package var openStreams: Int { streams.count }
    /// Nothing is open and nothing waits to be written.
    package var isIdle: Bool { streams.count == 0 && control.isEmpty && block.stream == 0 }
    /// A field block has begun and not ended: nothing else may come until it does.
    package var isInHeaderBlock: Bool { block.stream != 0 }
    /// The connection is over; see `HTTP2Step.failed`.
    package var hasFailed: Bool { stage == .failed }
    /// The peer's SETTINGS have come.
    package var hasPeerSettings: Bool { peer.hasCome }
    /// The peer takes extended CONNECT (RFC 8441, section 3).
    package var peerEnablesConnect: Bool { peer.enablesConnect }
    /// SETTINGS_MAX_CONCURRENT_STREAMS of the peer; `UInt32.max` where it said nothing.
    package var peerStreamsMax: Int { peer.streamsMax }
    /// SETTINGS_MAX_HEADER_LIST_SIZE of the peer, which is advice; `UInt32.max` where it said nothing.
    package var peerHeadBytesMax: Int { peer.headBytesMax }

    /// The connection is over: says so to the peer, and for good to the shell. What was to be written before still is:
    /// SETTINGS come first even here (RFC 9113, section 3.4), and RST_STREAM says which stream was at fault.
    mutating func fail(_ fault: HTTP2Fault) -> HTTP2Step {
        if let first = self.fault { return .failed(first) }
        self.fault = fault
        stage = .failed
        // Nobody takes it.
        if fault.abuse == .controlBacklog { control.removeAll(keepingCapacity: true) }
        queueGoAway(lastID: lastID, fault.code, fault.text)
        return .failed(fault)
    }

    /// The last stream of the peer's that was, or may have been, acted on (RFC 9113, section 6.8).
    var lastID: UInt32 { role == .server ? min(highestID, lastServedID) : 0 }

    /// Lets go of memory that only busy connections need. For one that has been quiet for long.
    package mutating func trim() {
        streams.trim()
        if control.isEmpty { control = [] }
        if block.stream == 0 { block.bytes = [] }
    }

    // MARK: Beginning and ending

    /// Queues what the connection begins with: the preface (client), SETTINGS, and as much of a window as the connection
    /// has beyond the initial one (RFC 9113, section 3.4).
    package mutating func begin(at now: UInt64) {
        self.now = now
        budget.begin(at: now)
        if role == .client {
            let preface = HTTP2Preface.text
            control.append(contentsOf: UnsafeBufferPointer(start: preface.utf8Start, count: preface.utf8CodeUnitCount))
        }
        queueSettings()
        let more = connectionWindowMax &- HTTP2Window.initialBytes
        if more > 0 { queueWindowUpdate(0, more) }
    }

    /// Queues GOAWAY (RFC 9113, section 6.8). Not final: the peer is asked to open no more streams, and those that are on
    /// their way are still served. Final: what comes above the last stream so far is not looked at any more. Each is said
    /// once.
    package mutating func goAway(_ code: HTTP2ErrorCode, isFinal: Bool) {
        guard stage != .failed, lastServedID == 1 << 31 else { return }
        if isFinal {
            lastServedID = lastID
            queueGoAway(lastID: lastServedID, code, "")
        } else if !hasWarned {
            queueGoAway(lastID: role == .server ? 0x7FFF_FFFF : 0, code, "")
        }
        hasWarned = true
    }

    /// Queues PING; its answer is the step `.pong` with the same content.
    package mutating func ping(_ data: UInt64) {
        guard stage != .failed else { return }
        pingsUnderWay &+= 1
        queuePing(data, isAck: false)
    }

    // MARK: Client

    /// Streams that may be opened now: by the peer's limit and ours, 0 once either end wants to go.
    package var streamsLeft: Int {
        guard role == .client, stage != .failed, lastTakenID == 1 << 31, !hasWarned, nextID < 1 << 31 else { return 0 }
        let peerMax = peer.hasCome ? peer.streamsMax : Limits.http2UnsettledStreamsMax
        return max(0, min(bounds.streamsMax, peerMax) &- streams.count)
    }

    /// Client: a new stream for a request with `method`, which decides how its response ends. Its head must be written,
    /// or the stream reset, before the next one is opened: identifiers must reach the peer in their order. What waits for
    /// `writeControl` goes before that head: it may reset the stream whose place this one takes. Nil: not now.
    package mutating func open(_ method: Method = .get) -> HTTP2StreamRef? {
        guard streamsLeft > 0, !awaitsHead else { return nil }
        let id = nextID
        nextID &+= 2
        awaitsHead = true
        let slot = streams.insert(id)
        streams.rows[slot].sendWindow = peer.initialWindowBytes
        streams.rows[slot].receiveWindow = streamWindow
        if method == .head { streams.rows[slot].flags.insert(.isHead) }
        if method == .connect { streams.rows[slot].flags.insert(.isConnect) }
        return ref(slot)
    }

    // MARK: Streams

    @inline(__always)
    func ref(_ slot: Int) -> HTTP2StreamRef {
        HTTP2StreamRef(id: streams.rows[slot].id, place: UInt32(truncatingIfNeeded: slot))
    }

    /// The peer has ended its half; where both are, the stream is over.
    @inline(__always)
    mutating func endRemote(_ slot: Int) {
        streams.rows[slot].flags.insert(.remoteEnded)
        if streams.rows[slot].flags.contains(.localEnded) { complete(slot) }
    }

    /// We have ended our half.
    @inline(__always)
    mutating func endLocal(_ slot: Int) {
        streams.rows[slot].flags.insert(.localEnded)
        if streams.rows[slot].flags.contains(.remoteEnded) { complete(slot) }
    }

    /// A stream was carried to its end, which is what all this is for.
    private mutating func complete(_ slot: Int) {
        close(slot, .endedByPeer)
        budget.earn(.rapidReset, 1)
        budget.earn(.priorityFlood, Limits.http2CreditPerStream)
        budget.earn(.windowUpdateFlood, Limits.http2CreditPerStream)
        budget.earn(.pingFlood, 1)
    }

    /// Frees a stream's row.
    mutating func close(_ slot: Int, _ end: HTTP2ClosedStreams.End) {
        scheduler.leave(slot, in: &streams)
        // What an origin has not heard of stays idle to it.
        if role == .client, !streams.rows[slot].flags.contains(.headSent) {
            awaitsHead = false
        } else {
            closed.note(streams.rows[slot].id, end)
        }
        streams.remove(slot)
    }

    /// Whether stream `id` has not been begun (RFC 9113, section 5.1: idle).
    @inline(__always)
    func isIdle(_ id: UInt32) -> Bool {
        // Even ones are a server's, which pushes nothing: they stay idle.
        id & 1 == 0 || id > highestID
    }

    /// Cuts a stream off (RFC 9113, section 6.4). Of a stream that the peer knows nothing of nothing is said.
    package mutating func reset(_ stream: HTTP2StreamRef, _ code: HTTP2ErrorCode) {
        guard stage != .failed, streams.isOpen(stream) else { return }
        let flags = streams.rows[stream.slot].flags
        if role == .server || flags.contains(.headSent) { queueReset(stream.id, code) }
        close(stream.slot, flags.contains(.remoteEnded) ? .endedByPeer : .resetByUs)
    }

    /// How urgent a stream's body is; what holds by itself for one that is over.
    package func priority(of stream: HTTP2StreamRef) -> HTTP2Priority {
        var priority = HTTP2Priority()
        guard streams.isOpen(stream) else { return priority }
        priority.urgency = streams.rows[stream.slot].urgency
        priority.isIncremental = streams.rows[stream.slot].flags.contains(.isIncremental)
        return priority
    }

    /// Makes a stream more or less urgent, as a response may ask for (RFC 9218, section 8).
    package mutating func setPriority(of stream: HTTP2StreamRef, _ priority: HTTP2Priority) {
        guard streams.isOpen(stream) else { return }
        apply(priority, to: stream.slot)
        scheduler.settle(stream.slot, in: &streams)
    }

    @inline(__always)
    mutating func apply(_ priority: HTTP2Priority, to slot: Int) {
        streams.rows[slot].urgency = min(priority.urgency, 7)
        if priority.isIncremental {
            streams.rows[slot].flags.insert(.isIncremental)
        } else {
            streams.rows[slot].flags.remove(.isIncremental)
        }
    }
}
