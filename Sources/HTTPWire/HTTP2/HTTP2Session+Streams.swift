// Frames that manage streams: RST_STREAM, WINDOW_UPDATE, PRIORITY and PRIORITY_UPDATE (RFC 9113, sections 6.3, 6.4 and
// 6.9; RFC 9218, section 7.1).

internal import Limits

extension HTTP2Session {
    // MARK: RST_STREAM

    /// Four bytes, and a stream: that has been looked at.
    mutating func resetByPeer(_ frame: Frame, _ bytes: Span<UInt8>) throws(HTTP2Fault) -> HTTP2Step? {
        guard !isIdle(frame.stream) else { throw HTTP2Fault(.streamIdle) }
        // An origin may cut off each request that it has answered already (RFC 9113, section 8.1).
        if role == .server { try spend(.rapidReset) }
        let slot = streams.slot(of: frame.stream)
        guard slot >= 0 else { return nil }
        let code = HTTP2ErrorCode(rawValue: bytes.integer32(at: frame.payload))
        let ref = ref(slot)
        close(slot, .resetByPeer)
        if role == .client, code == .refusedStream { return .refused(ref, consumed: frame.end) }
        return .reset(ref, code, isByPeer: true, consumed: frame.end)
    }

    // MARK: WINDOW_UPDATE

    /// Four bytes: that has been looked at.
    mutating func windowUpdate(_ frame: Frame, _ bytes: Span<UInt8>) throws(HTTP2Fault) -> HTTP2Step? {
        try spend(.windowUpdateFlood)
        let increment = Int(bytes.integer32(at: frame.payload) & 0x7FFF_FFFF)
        if frame.stream == 0 {
            guard increment > 0 else { throw HTTP2Fault(.emptyWindowUpdate) }
            guard sendWindow &+ increment <= HTTP2Window.bytesMax else { throw HTTP2Fault(.windowOverflow) }
            let wasShut = sendWindow <= 0
            sendWindow &+= increment
            return wasShut && sendWindow > 0 && scheduler.hasData ? .windowOpened(consumed: frame.end) : nil
        }
        guard !isIdle(frame.stream) else { throw HTTP2Fault(.streamIdle) }
        let slot = streams.slot(of: frame.stream)
        guard slot >= 0 else { return nil }
        guard increment > 0 else { return try streamError(slot, .protocolError, consumed: frame.end) }
        guard streams.rows[slot].sendWindow &+ increment <= HTTP2Window.bytesMax else {
            return try streamError(slot, .flowControlError, consumed: frame.end)
        }
        let wasShut = streams.rows[slot].lane == HTTP2Scheduler.noLane
        streams.rows[slot].sendWindow &+= increment
        scheduler.settle(slot, in: &streams)
        let isOpen = streams.rows[slot].lane != HTTP2Scheduler.noLane
        return wasShut && isOpen && sendWindow > 0 ? .windowOpened(consumed: frame.end) : nil
    }

    // MARK: Priorities

    /// PRIORITY says nothing any more (RFC 9113, section 5.3.2), but must have the right length.
    mutating func prioritized(_ frame: Frame) throws(HTTP2Fault) -> HTTP2Step? {
        try spend(.priorityFlood)
        guard frame.header.length != 5 else { return nil }
        let slot = streams.slot(of: frame.stream)
        // A stream that is not open cannot be reset.
        guard slot >= 0 else { throw HTTP2Fault(.priorityLength) }
        return try streamError(slot, .frameSizeError, consumed: frame.end)
    }

    /// At least four bytes, from a client: that has been looked at.
    mutating func priorityUpdated(_ frame: Frame, _ bytes: Span<UInt8>) throws(HTTP2Fault) -> HTTP2Step? {
        try spend(.priorityFlood)
        let id = bytes.integer32(at: frame.payload) & 0x7FFF_FFFF
        guard id != 0 else { throw HTTP2Fault(.priorityUpdateOfConnection) }
        guard id & 1 == 1 else { throw HTTP2Fault(.streamNumber) }
        let text = ByteRange(frame.payload &+ 4, frame.end)
        let priority = HTTP2Priority(bytes, bytes.trimmingBlanks(text))
        let slot = streams.slot(of: id)
        if slot >= 0 {
            apply(priority, to: slot)
            scheduler.settle(slot, in: &streams)
        } else if id > highestID {
            early.set(priority, of: id)
        }
        return nil
    }
}
