// HEADERS and CONTINUATION (RFC 9113, sections 6.2 and 6.10), and what becomes of the heads they carry (section 8.1).
//
// Every block is decoded, also those of streams that nobody wants any more: the table is the connection's.

internal import Limits

extension HTTP2Session {
    /// A HEADERS frame, all there.
    mutating func headers(
        _ frame: Frame, _ bytes: Span<UInt8>, _ arena: HTTP2HeadArena
    ) throws(HTTP2Fault) -> HTTP2Step? {
        let flags = frame.header.flags
        guard frame.stream != 0 else { throw HTTP2Fault(.headersOnConnection) }
        guard frame.stream & 1 == 1 else { throw HTTP2Fault(.streamNumber) }
        if role == .client, isIdle(frame.stream) { throw HTTP2Fault(.streamIdle) }
        var start = frame.payload
        var end = frame.end
        if flags.contains(.padded) {
            guard frame.header.length >= 1 else { throw HTTP2Fault(.headersTooShort) }
            let padding = Int(bytes[start])
            guard padding < frame.header.length else { throw HTTP2Fault(.padding) }
            start &+= 1
            end &-= padding
        }
        if flags.contains(.priority) {
            // RFC 9113, 5.3.2: read over.
            guard end &- start >= 5 else { throw HTTP2Fault(end < frame.end ? .padding : .headersTooShort) }
            start &+= 5
        }
        let endsStream = flags.contains(.endStream)
        if start == end, !endsStream { try spend(.emptyFrames) }
        if flags.contains(.endHeaders) {
            let fragment = bytes.extracting(start..<end)
            return try decode(fragment, frame.stream, endsStream: endsStream, consumed: frame.end, arena)
        }
        block.stream = frame.stream
        block.endsStream = endsStream
        block.frames = 0
        block.emptyFrames = 0
        block.bytes.removeAll(keepingCapacity: true)
        try gather(bytes.extracting(start..<end))
        return nil
    }

    /// A CONTINUATION frame of the block under way, all there.
    mutating func continuation(
        _ frame: Frame, _ bytes: Span<UInt8>, _ arena: HTTP2HeadArena
    ) throws(HTTP2Fault) -> HTTP2Step? {
        block.frames &+= 1
        if frame.header.length == 0 { block.emptyFrames &+= 1 }
        guard block.frames <= Limits.http2ContinuationFramesMax,
            block.emptyFrames <= Limits.http2EmptyContinuationFramesMax
        else { throw HTTP2Fault(.continuationFlood) }
        try gather(bytes.extracting(frame.payload..<frame.end))
        guard frame.header.flags.contains(.endHeaders) else { return nil }
        let stream = block.stream
        block.stream = 0
        let whole = block.bytes
        block.bytes = []
        return try decode(whole.span, stream, endsStream: block.endsStream, consumed: frame.end, arena)
    }

    private mutating func gather(_ fragment: Span<UInt8>) throws(HTTP2Fault) {
        let (bytesMax, isTooLarge) = bounds.headBytesMax.multipliedReportingOverflow(by: Limits.http2BlockShareMax)
        guard block.bytes.count &+ fragment.count <= (isTooLarge ? .max : bytesMax) else {
            throw HTTP2Fault(.continuationFlood)
        }
        fragment.withUnsafeBytes { block.bytes.append(contentsOf: $0) }
    }

    private mutating func decode(
        _ fragment: Span<UInt8>, _ id: UInt32, endsStream: Bool, consumed: Int, _ arena: HTTP2HeadArena
    ) throws(HTTP2Fault) -> HTTP2Step? {
        arena.fields.clear()
        do throws(HPACKError) {
            try decoder.decode(fragment, into: &arena.fields)
        } catch {
            throw HTTP2Fault(error)
        }
        let slot = streams.slot(of: id)
        if slot < 0 {
            guard role == .server, id > highestID else {
                return id > lastServedID ? nil : try onClosed(id, consumed: consumed)
            }
            return try request(id, endsStream: endsStream, consumed: consumed, arena)
        }
        let flags = streams.rows[slot].flags
        if flags.contains(.remoteEnded) { return try streamError(slot, .streamClosed, consumed: consumed) }
        if !flags.contains(.headReceived) {
            return try response(slot, endsStream: endsStream, consumed: consumed, arena)
        }
        return try trailers(slot, endsStream: endsStream, consumed: consumed, arena)
    }

    // MARK: Requests

    private mutating func request(
        _ id: UInt32, endsStream: Bool, consumed: Int, _ arena: HTTP2HeadArena
    ) throws(HTTP2Fault) -> HTTP2Step? {
        highestID = id
        // RFC 9113, 6.8: whoever was told so will ask again elsewhere. Understanding what is thrown away costs as well.
        guard id <= lastServedID else {
            try spend(.streamFlood)
            return nil
        }
        guard streams.count < bounds.streamsMax else {
            return try refuse(id, endsStream: endsStream, consumed: consumed)
        }
        var reader = HTTP2RequestReader(bounds: bounds, endsStream: endsStream)
        let verdict = reader.read(&arena.fields, into: &arena.request)
        if verdict == .faulty {
            return try streamError(unknown: id, .protocolError, hasEnded: endsStream, consumed: consumed)
        }
        let slot = streams.insert(id)
        streams.rows[slot].flags = endsStream ? [.headReceived, .remoteEnded] : .headReceived
        streams.rows[slot].sendWindow = peer.initialWindowBytes
        streams.rows[slot].receiveWindow = streamWindow
        switch verdict {
        case .tooLarge:
            streams.rows[slot].flags.insert(.isRefused)
            try spend(.hpackBomb, max(1, arena.fields.listBytes / max(1, bounds.headBytesMax)))
            return .tooLarge(ref(slot), consumed: consumed)
        case .malformed(let error):
            streams.rows[slot].flags.insert(.isRefused)
            return .malformed(ref(slot), error, consumed: consumed)
        case .good, .faulty: break
        }
        arena.connectProtocol = reader.connectProtocol
        arena.priority = early.isEmpty ? reader.priority : early.take(id) ?? reader.priority
        apply(arena.priority, to: slot)
        if arena.request.method == .connect {
            streams.rows[slot].flags.insert(.isConnect)
        } else if let length = arena.request.contentLength {
            streams.rows[slot].expected = Int(clamping: length)
        }
        return .request(ref(slot), endsStream: endsStream, consumed: consumed)
    }

    /// A stream beyond those we allow (RFC 9113, section 5.1.2).
    private mutating func refuse(
        _ id: UInt32, endsStream: Bool, consumed: Int
    ) throws(HTTP2Fault) -> HTTP2Step {
        try spend(.streamFlood)
        queueReset(id, .refusedStream)
        closed.note(id, endsStream ? .endedByPeer : .resetByUs)
        return .reset(HTTP2StreamRef(id: id, place: .max), .refusedStream, isByPeer: false, consumed: consumed)
    }

    // MARK: Responses

    private mutating func response(
        _ slot: Int, endsStream: Bool, consumed: Int, _ arena: HTTP2HeadArena
    ) throws(HTTP2Fault) -> HTTP2Step {
        let flags = streams.rows[slot].flags
        let method: Method = flags.contains(.isHead) ? .head : flags.contains(.isConnect) ? .connect : .get
        let reader = HTTP2ResponseReader(bounds: bounds, endsStream: endsStream, method: method)
        switch reader.read(arena.fields, into: &arena.response) {
        case .faulty, .malformed: return try streamError(slot, .protocolError, consumed: consumed)
        case .tooLarge: return try streamError(slot, .enhanceYourCalm, consumed: consumed)
        case .good: break
        }
        let ref = ref(slot)
        guard arena.response.status >= 200 else { return .response(ref, endsStream: false, consumed: consumed) }
        streams.rows[slot].flags.insert(.headReceived)
        switch arena.response.framing {
        case .length(let length): streams.rows[slot].expected = Int(clamping: length)
        case .none where method != .connect || arena.response.status >= 300: streams.rows[slot].expected = 0
        default: break
        }
        if endsStream { endRemote(slot) }
        return .response(ref, endsStream: endsStream, consumed: consumed)
    }

    // MARK: Trailers

    private mutating func trailers(
        _ slot: Int, endsStream: Bool, consumed: Int, _ arena: HTTP2HeadArena
    ) throws(HTTP2Fault) -> HTTP2Step? {
        let row = streams.rows[slot]
        if row.flags.contains(.isRefused) {
            if endsStream { endRemote(slot) }
            return nil
        }
        // RFC 9113, 8.1: they end the stream; 8.5: a tunnel has none; 8.1.1: all of the content came before.
        guard endsStream, !row.flags.contains(.isConnect), row.expected <= 0 else {
            return try streamError(slot, .protocolError, consumed: consumed)
        }
        switch HTTP2TrailerReader.read(arena.fields, into: &arena.trailers) {
        case .faulty, .malformed: return try streamError(slot, .protocolError, consumed: consumed)
        case .tooLarge: return try streamError(slot, .enhanceYourCalm, consumed: consumed)
        case .good: break
        }
        let ref = ref(slot)
        endRemote(slot)
        return .trailers(ref, consumed: consumed)
    }
}
