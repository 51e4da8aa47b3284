// DATA (RFC 9113, section 6.1), and the windows it takes from (section 6.9.1).
//
// The whole frame is taken from the windows, and held against Content-Length, as soon as its header is there. Its bytes
// are then told as they come.

internal import Limits

extension HTTP2Session {
    /// Looks at a DATA frame's header and moves `position` to the first byte of its data.
    mutating func beginData(
        _ frame: Frame, _ bytes: Span<UInt8>, _ position: inout Int
    ) throws(HTTP2Fault) -> HTTP2Step? {
        let length = frame.header.length
        guard frame.stream != 0 else { throw HTTP2Fault(.dataOnConnection) }
        var padding = 0
        var overhead = 0
        if frame.header.flags.contains(.padded) {
            guard length >= 1 else { throw HTTP2Fault(.padding) }
            guard frame.payload < bytes.count else { return nil }
            padding = Int(bytes[frame.payload])
            guard padding < length else { throw HTTP2Fault(.padding) }
            overhead = padding &+ 1
        }
        guard !isIdle(frame.stream) else { throw HTTP2Fault(.streamIdle) }
        guard length <= receiveWindow else { throw HTTP2Fault(.windowExceeded) }
        receiveWindow &-= length
        let slot = streams.slot(of: frame.stream)
        if slot < 0 {
            if length == overhead, !isAwaitedEnd(frame) { try spend(.emptyFrames) }
            discard(frame, &position)
            if frame.stream > lastServedID { return nil }
            return try onClosed(frame.stream, consumed: position)
        }
        if let code = fault(of: frame, dataCount: length &- overhead, slot) {
            discard(frame, &position)
            return try streamError(slot, code, consumed: position)
        }
        let count = length &- overhead
        let endsStream = frame.header.flags.contains(.endStream)
        streams.rows[slot].receiveWindow &-= length
        if streams.rows[slot].expected > 0 { streams.rows[slot].expected &-= count }
        if streams.rows[slot].flags.contains(.isRefused) {
            discard(frame, &position)
            if endsStream { endRemote(slot) } else if count == 0 { try spend(.emptyFrames) }
            return nil
        }
        if count == 0 { return try emptyData(frame, &position, slot, endsStream: endsStream) }
        input.stream = ref(slot)
        input.dataLeft = count
        input.padding = padding
        input.overhead = overhead
        input.endsStream = endsStream
        position = overhead > 0 ? frame.payload &+ 1 : frame.payload
        budget.earn(.pingFlood, 1)
        return nil
    }

    /// What makes a DATA frame an error of its stream.
    private func fault(of frame: Frame, dataCount: Int, _ slot: Int) -> HTTP2ErrorCode? {
        let row = streams.rows[slot]
        if row.flags.contains(.remoteEnded) { return .streamClosed }
        // RFC 9113, 8.1: content comes behind a head.
        if !row.flags.contains(.headReceived) { return .protocolError }
        if frame.header.length > row.receiveWindow { return .flowControlError }
        // RFC 9113, 8.1.1: the sum of DATA is what Content-Length says.
        guard row.expected >= 0 else { return nil }
        let left = row.expected &- dataCount
        return left < 0 || left > 0 && frame.header.flags.contains(.endStream) ? .protocolError : nil
    }

    /// Whether a frame is the one end of a stream that we have cut off: honest clients whose bodies end in an empty frame
    /// send that before they know.
    private mutating func isAwaitedEnd(_ frame: Frame) -> Bool {
        frame.header.flags.contains(.endStream) && closed.noteEnd(of: frame.stream)
    }

    /// Throws a DATA frame away. The connection's window gets it back.
    private mutating func discard(_ frame: Frame, _ position: inout Int) {
        position = frame.payload
        input.skipLeft = frame.header.length
        owe(frame.header.length)
    }

    /// DATA without data: an end, or nothing at all.
    private mutating func emptyData(
        _ frame: Frame, _ position: inout Int, _ slot: Int, endsStream: Bool
    ) throws(HTTP2Fault) -> HTTP2Step? {
        position = frame.payload
        input.skipLeft = frame.header.length
        let ref = ref(slot)
        guard endsStream else {
            try spend(.emptyFrames)
            returnCredit(ref, frame.header.length)
            return nil
        }
        endRemote(slot)
        return .data(
            ref, position..<position, flowBytes: frame.header.length, endsStream: true, consumed: position)
    }

    /// Tells as much of a DATA frame as is there.
    mutating func dataPiece(_ bytes: Span<UInt8>, _ position: inout Int) -> HTTP2Step? {
        let start = position
        let count = min(input.dataLeft, bytes.count &- start)
        guard count > 0 else { return nil }
        position = start &+ count
        input.dataLeft &-= count
        if input.dataLeft == 0 { input.skipLeft = input.padding }
        let flowBytes = count &+ input.overhead
        input.overhead = 0
        // Over since the frame began.
        guard streams.isOpen(input.stream) else {
            owe(flowBytes)
            if input.skipLeft > 0 { skipPadding(bytes, &position) }
            return nil
        }
        let endsStream = input.endsStream && input.dataLeft == 0
        let ref = input.stream
        if endsStream { endRemote(ref.slot) }
        return .data(ref, start..<position, flowBytes: flowBytes, endsStream: endsStream, consumed: position)
    }

    private mutating func skipPadding(_ bytes: Span<UInt8>, _ position: inout Int) {
        let count = min(input.skipLeft, bytes.count &- position)
        input.skipLeft &-= count
        position &+= count
    }
}
