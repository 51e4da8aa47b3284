// Heads as they are made, and DATA by turns (RFC 9113, sections 6.1, 6.2 and 6.10).

internal import Limits

extension HTTP2Session {
    // MARK: Heads

    /// Room that a block of `blockBytes` takes with its frame headers: what must be reserved for `writeHead`.
    package static func headRoom(blockBytes: Int) -> Int {
        let block = max(0, blockBytes)
        let frames = block / Limits.http2FrameBytesMax &+ 1
        let (room, isTooLarge) = block.addingReportingOverflow(frames &* HTTP2FrameHeader.byteCount)
        return isTooLarge ? .max : room
    }

    /// Writes a head, interim or final, or trailers: one HEADERS frame, and CONTINUATION where the block is larger than a
    /// frame. `block` writes the fields, in one go, with an encoder on which `begin` has been called. Body bytes that
    /// were offered and not granted are forgotten where `endsStream` is said.
    ///
    /// The writer has `headRoom` of what the block may take. If it has not, the block is cut short and the encoder's table
    /// differs from the peer's: the connection is over then, as the next step says.
    /// - Returns: false where nothing was written: the stream or our half of it is over, or there was no room.
    @discardableResult
    package mutating func writeHead(
        _ stream: HTTP2StreamRef, endsStream: Bool, to writer: inout ByteWriter,
        _ block: (inout HPACKEncoder, inout ByteWriter) -> Void
    ) -> Bool {
        guard stage != .failed, streams.isOpen(stream), !writer.hasOverflowed,
            !streams.rows[stream.slot].flags.contains(.localEnded)
        else { return false }
        let slot = stream.slot
        let start = writer.position
        if writer.take(HTTP2FrameHeader.byteCount) != nil {
            encoder.begin(to: &writer)
            block(&encoder, &writer)
        }
        guard frame(&writer, from: start, stream.id, endsStream: endsStream) else {
            writer.position = start
            writer.overflow = false
            _ = fail(HTTP2Fault(.noRoom))
            return false
        }
        streams.rows[slot].flags.insert(.headSent)
        if role == .client, awaitsHead {
            awaitsHead = false
            highestID = max(highestID, stream.id)
        }
        if endsStream {
            streams.rows[slot].pending = 0
            scheduler.leave(slot, in: &streams)
            endLocal(slot)
        } else if streams.rows[slot].pending > 0 || streams.rows[slot].flags.contains(.ends) {
            scheduler.settle(slot, in: &streams)
        }
        return true
    }

    /// Puts the header before a block, or several where it is larger than a frame.
    @inline(__always)
    private func frame(_ writer: inout ByteWriter, from start: Int, _ id: UInt32, endsStream: Bool) -> Bool {
        guard !writer.hasOverflowed, let base = writer.buffer.baseAddress else { return false }
        let length = writer.position &- start &- HTTP2FrameHeader.byteCount
        var flags: HTTP2FrameFlags = endsStream ? [.endStream, .endHeaders] : .endHeaders
        guard length <= Limits.http2FrameBytesMax else {
            flags.remove(.endHeaders)
            return split(&writer, from: start, length, flags, id)
        }
        (base + start).store(HTTP2FrameHeader(length: length, type: .headers, flags: flags, stream: id))
        return true
    }

    /// Moves the parts of a long block apart, the last one first, and puts a header before each.
    @inline(never)
    private func split(
        _ writer: inout ByteWriter, from start: Int, _ length: Int, _ flags: HTTP2FrameFlags, _ id: UInt32
    ) -> Bool {
        let frameMax = Limits.http2FrameBytesMax
        let last = (length &- 1) / frameMax
        guard writer.reserve(last &* HTTP2FrameHeader.byteCount), let base = writer.buffer.baseAddress else {
            return false
        }
        let block = base + start + HTTP2FrameHeader.byteCount
        for part in stride(from: last, through: 0, by: -1) {
            let count = part == last ? length &- last &* frameMax : frameMax
            let target = block + part &* (frameMax &+ HTTP2FrameHeader.byteCount)
            if part > 0 { target.copyMemory(from: block + part &* frameMax, byteCount: count) }
            let header = HTTP2FrameHeader(
                length: count, type: part == 0 ? .headers : .continuation,
                flags: part == 0 ? flags : part == last ? .endHeaders : [], stream: id)
            (target - HTTP2FrameHeader.byteCount).store(header)
        }
        writer.position &+= last &* HTTP2FrameHeader.byteCount
        return true
    }

    // MARK: Bodies

    /// So many more bytes of a stream's body wait in the shell. `ends`: these are the last, and END_STREAM goes with the
    /// last of them; with 0 bytes, by itself.
    package mutating func offer(_ stream: HTTP2StreamRef, bytes: Int, ends: Bool) {
        guard streams.isOpen(stream), streams.rows[stream.slot].flags.isDisjoint(with: [.localEnded, .ends]) else {
            return
        }
        streams.rows[stream.slot].pending &+= max(0, bytes)
        if ends { streams.rows[stream.slot].flags.insert(.ends) }
        scheduler.settle(stream.slot, in: &streams)
    }

    /// Whether `nextData` would grant something, given room.
    package var hasDataToSend: Bool {
        stage != .failed && (sendWindow > 0 ? !scheduler.isEmpty : scheduler.hasEnds)
    }

    /// Bytes that were offered and not granted yet.
    package func waiting(_ stream: HTTP2StreamRef) -> Int {
        streams.isOpen(stream) ? streams.rows[stream.slot].pending : 0
    }

    /// Whose turn it is to send, by priority and windows, and how much: at most one frame, and at most `room` bytes of
    /// payload. The frame's header is written; exactly `count` bytes of that stream's body must follow it. Nil: nobody
    /// may or wants to send now.
    package mutating func nextData(room: Int, to writer: inout ByteWriter) -> HTTP2DataGrant? {
        let fits = min(room, writer.room &- HTTP2FrameHeader.byteCount)
        guard !scheduler.isEmpty, stage != .failed, fits >= 0, !writer.hasOverflowed else { return nil }
        let slot = scheduler.pick(mayData: sendWindow > 0 && fits > 0)
        guard slot >= 0 else { return nil }
        let row = streams.rows[slot]
        let window = min(row.sendWindow, sendWindow)
        let count = row.pending == 0 ? 0 : min(row.pending, window, fits, Limits.http2FrameBytesMax)
        let ends = row.flags.contains(.ends) && count == row.pending
        let grant = HTTP2DataGrant(stream: ref(slot), count: count, ends: ends)
        writer.write(HTTP2FrameHeader(length: count, type: .data, flags: ends ? .endStream : [], stream: row.id))
        streams.rows[slot].pending &-= count
        streams.rows[slot].sendWindow &-= count
        sendWindow &-= count
        if count < row.pending, count == window, count < Limits.http2TinyFrameBytes {
            budget.spendSilently(.tinyWindow, at: now)
        } else {
            budget.earnAnswers()
        }
        if ends {
            scheduler.leave(slot, in: &streams)
            endLocal(slot)
        } else {
            scheduler.sent(slot, in: &streams)
        }
        return grant
    }
}
