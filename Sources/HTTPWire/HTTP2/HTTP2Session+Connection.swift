// Frames that concern the connection as a whole: SETTINGS, PING and GOAWAY (RFC 9113, sections 6.5, 6.7 and 6.8).

internal import Limits

extension HTTP2Session {
    // MARK: SETTINGS

    /// On stream 0, of the right length: that has been looked at.
    mutating func settings(_ frame: Frame, _ bytes: Span<UInt8>) throws(HTTP2Fault) -> HTTP2Step? {
        try spend(.settingsFlood, 1 &+ frame.header.length / 192)
        guard !frame.header.flags.contains(.ack) else {
            acknowledged()
            return nil
        }
        let before = peer.initialWindowBytes
        let change = try peer.take(bytes, frame.payload..<frame.end, fromServer: role == .client)
        stage = .frames
        if let size = change.encoderTableBytes {
            if let smallest = change.smallestTableBytes, smallest < size { encoder.peerAllows(tableBytes: smallest) }
            encoder.peerAllows(tableBytes: size)
        }
        try moveWindows(from: before, highest: change.highestWindowBytes)
        queueSettingsAck()
        return .settings(consumed: frame.end)
    }

    /// A new initial window moves the window of every stream, below zero if need be (RFC 9113, section 6.9.2).
    private mutating func moveWindows(from before: Int, highest: Int) throws(HTTP2Fault) {
        let delta = peer.initialWindowBytes &- before
        let highestDelta = highest &- before
        guard delta != 0 || highestDelta > 0 else { return }
        for slot in streams.rows.indices where streams.rows[slot].id != 0 {
            guard streams.rows[slot].sendWindow &+ highestDelta <= HTTP2Window.bytesMax else {
                throw HTTP2Fault(.windowOverflowBySettings)
            }
            streams.rows[slot].sendWindow &+= delta
            scheduler.settle(slot, in: &streams)
        }
    }

    /// The peer has taken over our settings. From here on a smaller window than the initial one holds.
    private mutating func acknowledged() {
        guard awaitsAck else { return }
        awaitsAck = false
        decoder.announcementAcknowledged()
        let window = max(0, min(bounds.streamWindowBytes, HTTP2Window.bytesMax))
        let delta = window &- streamWindow
        guard delta != 0 else { return }
        streamWindow = window
        for slot in streams.rows.indices where streams.rows[slot].id != 0 {
            streams.rows[slot].receiveWindow &+= delta
            // Of a smaller window it may be half, and the peer can send nothing that would have it looked at again.
            if !streams.rows[slot].flags.contains(.remoteEnded) { openWindow(slot) }
        }
    }

    // MARK: PING

    /// Eight bytes on stream 0: that has been looked at.
    mutating func pinged(_ frame: Frame, _ bytes: Span<UInt8>) throws(HTTP2Fault) -> HTTP2Step? {
        let high = UInt64(bytes.integer32(at: frame.payload))
        let data = high &<< 32 | UInt64(bytes.integer32(at: frame.payload &+ 4))
        if frame.header.flags.contains(.ack), pingsUnderWay > 0 {
            pingsUnderWay &-= 1
            return .pong(data, consumed: frame.end)
        }
        try spend(.pingFlood)
        if !frame.header.flags.contains(.ack) { queuePing(data, isAck: true) }
        return nil
    }

    // MARK: GOAWAY

    /// Client: the next stream above the last one that the origin takes, which is thereby over (RFC 9113, section 6.8).
    mutating func refuseAbove(_ frame: Frame, _ bytes: Span<UInt8>) -> HTTP2Step? {
        guard role == .client else { return nil }
        let lastID = bytes.integer32(at: frame.payload) & 0x7FFF_FFFF
        lastTakenID = min(lastTakenID, lastID)
        for slot in streams.rows.indices where streams.rows[slot].id > lastTakenID {
            let ref = ref(slot)
            close(slot, .resetByUs)
            return .refused(ref, consumed: frame.start)
        }
        return nil
    }

    /// At least eight bytes on stream 0: that has been looked at.
    mutating func goAwayByPeer(_ frame: Frame, _ bytes: Span<UInt8>) throws(HTTP2Fault) -> HTTP2Step? {
        try spend(.unknownFrames)
        let lastID = bytes.integer32(at: frame.payload) & 0x7FFF_FFFF
        lastTakenID = min(lastTakenID, lastID)
        let code = HTTP2ErrorCode(rawValue: bytes.integer32(at: frame.payload &+ 4))
        return .goAway(lastID: lastTakenID, code, consumed: frame.end)
    }
}
