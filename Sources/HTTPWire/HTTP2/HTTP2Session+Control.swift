// The frames that the protocol itself has to say, waiting to be written: SETTINGS, acknowledgments, RST_STREAM, PING,
// WINDOW_UPDATE and GOAWAY.

internal import Limits

extension HTTP2Session {
    /// Bytes that wait for `writeControl`.
    package var pendingControlBytes: Int { control.count }

    /// Writes what waits, as many whole frames as fit. They must leave behind the heads that are written already, and
    /// before the DATA frames that are granted from now on: an acknowledgment of SETTINGS comes before what these allow.
    package mutating func writeControl(to writer: inout ByteWriter) {
        guard !control.isEmpty else { return }
        guard control.count > writer.room else {
            writer.write(control.span)
            control.removeAll(keepingCapacity: control.capacity <= Limits.http2KeptControlBytesMax)
            return
        }
        let count = wholeBytes(within: writer.room)
        guard count > 0 else { return }
        writer.write(control.span.extracting(0..<count))
        control.removeFirst(count)
    }

    /// Bytes of the first frames, as many as take no more than `room`. A client's preface counts as part of the first.
    private func wholeBytes(within room: Int) -> Int {
        let bytes = control.span
        var whole = 0
        var position = HTTP2Preface.begins(bytes) == true ? HTTP2Preface.byteCount : 0
        while let header = HTTP2FrameHeader(bytes, at: position) {
            position &+= HTTP2FrameHeader.byteCount &+ header.length
            guard position <= min(room, bytes.count) else { break }
            whole = position
        }
        return whole
    }

    // MARK: Queueing

    private mutating func queue(_ header: HTTP2FrameHeader) {
        withUnsafeTemporaryAllocation(byteCount: HTTP2FrameHeader.byteCount, alignment: 1) { memory in
            memory.baseAddress?.store(header)
            control.append(contentsOf: memory)
        }
    }

    private mutating func queue<Integer: FixedWidthInteger>(integer: Integer) {
        withUnsafeBytes(of: integer.bigEndian) { control.append(contentsOf: $0) }
    }

    mutating func queueSettings() {
        var count = 0
        bounds.forEachSetting(ofServer: role == .server) { _, _ in count &+= 1 }
        queue(HTTP2FrameHeader(length: count &* 6, type: .settings, stream: 0))
        bounds.forEachSetting(ofServer: role == .server) { setting, value in
            queue(integer: setting.rawValue)
            queue(integer: UInt32(clamping: value))
        }
    }

    mutating func queueSettingsAck() {
        queue(HTTP2FrameHeader(length: 0, type: .settings, flags: .ack, stream: 0))
    }

    mutating func queuePing(_ data: UInt64, isAck: Bool) {
        queue(HTTP2FrameHeader(length: 8, type: .ping, flags: isAck ? .ack : [], stream: 0))
        queue(integer: data)
    }

    mutating func queueReset(_ stream: UInt32, _ code: HTTP2ErrorCode) {
        queue(HTTP2FrameHeader(length: 4, type: .rstStream, stream: stream))
        queue(integer: code.rawValue)
    }

    mutating func queueWindowUpdate(_ stream: UInt32, _ bytes: Int) {
        queue(HTTP2FrameHeader(length: 4, type: .windowUpdate, stream: stream))
        queue(integer: UInt32(truncatingIfNeeded: bytes))
    }

    mutating func queueGoAway(lastID: UInt32, _ code: HTTP2ErrorCode, _ text: StaticString) {
        let count = text.hasPointerRepresentation ? text.utf8CodeUnitCount : 0
        queue(HTTP2FrameHeader(length: 8 &+ count, type: .goAway, stream: 0))
        queue(integer: lastID)
        queue(integer: code.rawValue)
        if count > 0 { control.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: count)) }
    }

    // MARK: Credit

    /// The shell has dealt with body bytes it was given: the peer may send as many more, on the stream if that is still
    /// open and on the connection in any case. The peer is told when half a window has come together (RFC 9113, 6.9).
    package mutating func returnCredit(_ stream: HTTP2StreamRef, _ bytes: Int) {
        guard bytes > 0, stage != .failed else { return }
        owe(bytes)
        guard streams.isOpen(stream), !streams.rows[stream.slot].flags.contains(.remoteEnded) else { return }
        let slot = stream.slot
        let taken = streamWindow &- streams.rows[slot].receiveWindow &- streams.rows[slot].owed
        streams.rows[slot].owed &+= max(0, min(bytes, taken))
        openWindow(slot)
    }

    /// Tells the peer of what is owed to a stream, if that is half a window.
    @inline(__always)
    mutating func openWindow(_ slot: Int) {
        let owed = streams.rows[slot].owed
        guard owed > 0, owed &* 2 >= streamWindow else { return }
        streams.rows[slot].owed = 0
        streams.rows[slot].receiveWindow &+= owed
        queueWindowUpdate(streams.rows[slot].id, owed)
    }

    /// The same for the connection alone.
    mutating func owe(_ bytes: Int) {
        owed &+= max(0, min(bytes, connectionWindowMax &- receiveWindow &- owed))
        guard owed > 0, owed &* 2 >= connectionWindowMax else { return }
        receiveWindow &+= owed
        queueWindowUpdate(0, owed)
        owed = 0
    }
}
