// From bytes to steps: one frame after the other (RFC 9113, section 4.1).
//
// Nothing of a frame is acted on before all of it is there, so that it can be looked at again with more bytes. Three kinds
// are taken as they come: DATA, which is told in pieces, what is thrown away, and frames of unknown types.

internal import Limits

extension HTTP2Session {
    /// Where a frame lies in the bytes at hand.
    struct Frame {
        let header: HTTP2FrameHeader
        /// Of its header, of its payload, and behind it.
        let start: Int
        let payload: Int
        let end: Int

        var stream: UInt32 { header.stream }
    }

    /// The next thing that `bytes` say, which are all that is unread, from its first byte on. What a step carries in
    /// `arena` is good until the next call. To be called again with what is left until it says `.needsMore`.
    package mutating func next(_ bytes: Span<UInt8>, at now: UInt64, arena: HTTP2HeadArena) -> HTTP2Step {
        self.now = now
        if let fault { return .failed(fault) }
        do throws(HTTP2Fault) {
            return try advance(bytes, arena)
        } catch {
            return fail(error)
        }
    }

    private mutating func advance(_ bytes: Span<UInt8>, _ arena: HTTP2HeadArena) throws(HTTP2Fault) -> HTTP2Step {
        if let abuse = budget.overrun { throw HTTP2Fault(abuse) }
        var position = 0
        if stage == .preface {
            guard let isRight = HTTP2Preface.begins(bytes) else { return .needsMore(consumed: 0) }
            guard isRight else { throw HTTP2Fault(.preface) }
            position = HTTP2Preface.byteCount
            stage = .settings
        }
        while true {
            if input.skipLeft > 0 { skip(bytes, &position) }
            if input.dataLeft > 0, input.skipLeft == 0, let step = dataPiece(bytes, &position) { return step }
            guard let header = HTTP2FrameHeader(bytes, at: position), input.skipLeft == 0, input.dataLeft == 0 else {
                return .needsMore(consumed: position)
            }
            try admit(header)
            let payload = position &+ HTTP2FrameHeader.byteCount
            let frame = Frame(header: header, start: position, payload: payload, end: payload &+ header.length)
            if let step = try take(frame, bytes, &position, arena) { return step }
            // Not all there yet.
            if position == frame.start { return .needsMore(consumed: position) }
        }
    }

    /// What holds for frames of all types.
    @inline(__always)
    private mutating func admit(_ header: HTTP2FrameHeader) throws(HTTP2Fault) {
        guard header.length <= Limits.http2FrameBytesMax else { throw HTTP2Fault(.frameTooLarge) }
        if stage == .settings {
            guard header.type == .settings, !header.flags.contains(.ack) else { throw HTTP2Fault(.settingsFirst) }
        }
        if block.stream != 0 {
            guard header.type == .continuation, header.stream == block.stream else {
                throw HTTP2Fault(.blockInterrupted)
            }
        }
        guard control.count <= Limits.http2ControlBytesMax else { throw HTTP2Fault(.controlBacklog) }
    }

    /// Acts on a frame and moves `position` behind it, or as far as it is done with. Leaves `position` alone where more of
    /// the frame must come first.
    @inline(__always)
    private mutating func take(
        _ frame: Frame, _ bytes: Span<UInt8>, _ position: inout Int, _ arena: HTTP2HeadArena
    ) throws(HTTP2Fault) -> HTTP2Step? {
        switch frame.header.type {
        case .data:
            return try beginData(frame, bytes, &position)
        case .headers:
            guard frame.end <= bytes.count else { return nil }
            position = frame.end
            return try headers(frame, bytes, arena)
        case .windowUpdate:
            guard frame.header.length == 4 else { throw HTTP2Fault(.windowUpdateLength) }
            guard frame.end <= bytes.count else { return nil }
            position = frame.end
            return try windowUpdate(frame, bytes)
        case .continuation:
            guard frame.stream != 0 else { throw HTTP2Fault(.continuationOnConnection) }
            guard block.stream != 0 else { throw HTTP2Fault(.continuationAlone) }
            guard frame.end <= bytes.count else { return nil }
            position = frame.end
            return try continuation(frame, bytes, arena)
        default:
            return try takeRare(frame, bytes, &position)
        }
    }

    @inline(never)
    private mutating func takeRare(
        _ frame: Frame, _ bytes: Span<UInt8>, _ position: inout Int
    ) throws(HTTP2Fault) -> HTTP2Step? {
        let isWhole = frame.end <= bytes.count
        let length = frame.header.length
        switch frame.header.type {
        case .rstStream:
            guard length == 4 else { throw HTTP2Fault(.resetLength) }
            guard frame.stream != 0 else { throw HTTP2Fault(.resetOnConnection) }
        case .settings:
            guard frame.stream == 0 else { throw HTTP2Fault(.settingsOnStream) }
            guard length % 6 == 0 else { throw HTTP2Fault(.settingsLength) }
            guard length == 0 || !frame.header.flags.contains(.ack) else { throw HTTP2Fault(.settingsAckLength) }
        case .ping:
            guard frame.stream == 0 else { throw HTTP2Fault(.pingOnStream) }
            guard length == 8 else { throw HTTP2Fault(.pingLength) }
        case .goAway:
            guard frame.stream == 0 else { throw HTTP2Fault(.goAwayOnStream) }
            guard length >= 8 else { throw HTTP2Fault(.goAwayLength) }
        case .priority:
            guard frame.stream != 0 else { throw HTTP2Fault(.priorityOnConnection) }
        case .priorityUpdate:
            guard role == .server else { throw HTTP2Fault(.priorityUpdateByServer) }
            guard frame.stream == 0 else { throw HTTP2Fault(.priorityUpdateOnStream) }
            guard length >= 4 else { throw HTTP2Fault(.priorityUpdateLength) }
        case .pushPromise: throw HTTP2Fault(.pushRefused)
        default:
            try spend(.unknownFrames)
            input.skipLeft = length
            position = frame.payload
            return nil
        }
        guard isWhole else { return nil }
        let step: HTTP2Step?
        switch frame.header.type {
        case .rstStream: step = try resetByPeer(frame, bytes)
        case .settings: step = try settings(frame, bytes)
        case .ping: step = try pinged(frame, bytes)
        case .goAway:
            // Said again for each stream that it refuses, and then for itself.
            if let refused = refuseAbove(frame, bytes) { return refused }
            step = try goAwayByPeer(frame, bytes)
        case .priority: step = try prioritized(frame)
        default: step = try priorityUpdated(frame, bytes)
        }
        position = frame.end
        return step
    }

    /// Passes over payload that nobody wants.
    private mutating func skip(_ bytes: Span<UInt8>, _ position: inout Int) {
        let count = min(input.skipLeft, bytes.count &- position)
        input.skipLeft &-= count
        position &+= count
    }

    /// Counts what is allowed in small numbers.
    @inline(__always)
    mutating func spend(_ abuse: HTTP2Abuse, _ count: Int = 1) throws(HTTP2Fault) {
        guard budget.spend(abuse, count, at: now) else { throw HTTP2Fault(abuse) }
    }

    // MARK: Errors of a stream

    /// An error of a stream that is open (RFC 9113, section 5.4.2): RST_STREAM is queued and the stream over.
    mutating func streamError(
        _ slot: Int, _ code: HTTP2ErrorCode, consumed: Int
    ) throws(HTTP2Fault) -> HTTP2Step {
        try spend(.serverReset)
        let ref = ref(slot)
        queueReset(ref.id, code)
        close(slot, streams.rows[slot].flags.contains(.remoteEnded) ? .endedByPeer : .resetByUs)
        return .reset(ref, code, isByPeer: false, consumed: consumed)
    }

    /// The same for a stream that is not, or was never, in the table.
    mutating func streamError(
        unknown id: UInt32, _ code: HTTP2ErrorCode, hasEnded: Bool, consumed: Int
    ) throws(HTTP2Fault) -> HTTP2Step {
        try spend(.serverReset)
        queueReset(id, code)
        closed.note(id, hasEnded ? .endedByPeer : .resetByUs)
        return .reset(HTTP2StreamRef(id: id, place: .max), code, isByPeer: false, consumed: consumed)
    }

    /// A HEADERS or DATA frame on a stream that is not open, though not idle either (RFC 9113, section 5.1: closed). What
    /// was on its way when we cut the stream off is thrown away; what came behind the peer's own end is an error.
    mutating func onClosed(_ id: UInt32, consumed: Int) throws(HTTP2Fault) -> HTTP2Step? {
        switch closed.end(of: id) {
        case .endedByPeer: throw HTTP2Fault(.streamEnded)
        case .resetByPeer:
            try spend(.serverReset)
            queueReset(id, .streamClosed)
            return nil
        case .resetByUs, .forgotten: return nil
        case .skipped: throw HTTP2Fault(role == .server ? .streamReused : .streamIdle)
        }
    }
}
