import Exchange
import HTTPWire
import Limits
import NIOCore
import Pipeline
import Telemetry

/// What goes to the client: heads as they are made, bodies by turns, one write for all of a turn.
extension HTTP2Connection {
    // MARK: What streams have to say

    /// Writes a head, or trailers, behind what is pending.
    ///
    /// - Parameters:
    ///   - lineBytes: of the lines that the block is made of; what they take at most is reserved.
    ///   - fieldCount: a guess at their number.
    func writeHead(
        _ stream: HTTP2Stream, endsStream: Bool, lineBytes: Int, fieldCount: Int,
        _ block: (inout HPACKEncoder, inout ByteWriter) -> Void
    ) {
        var out = takePending()
        let room = HTTP2Session.headRoom(
            blockBytes: HPACKEncoder.boundBytes(lineBytes: lineBytes, fieldCount: fieldCount))
        out.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { memory in
            var writer = ByteWriter(memory)
            _ = session.writeHead(stream.ref, endsStream: endsStream, to: &writer, block)
            return writer.count
        }
        pending = out
        flags.insert(.wantsWrite)
    }

    /// So many more bytes of a body wait in their stream.
    func offer(_ stream: HTTP2Stream, _ bytes: Int, ends: Bool) {
        session.offer(stream.ref, bytes: bytes, ends: ends)
        flags.insert(.wantsWrite)
    }

    /// The stream has an end, or trailers, to be seen to with the next write.
    func note(_ stream: HTTP2Stream) {
        flags.insert(.wantsWrite)
        guard !stream.flags.contains(.isNoted) else { return }
        stream.flags.insert(.isNoted)
        noted.append(stream)
    }

    /// Asks for a write: at the end of the read that is under way, else at the end of the loop's turn, together with
    /// what others have to say until then.
    func requestWrite() {
        flags.insert(.wantsWrite)
        guard flags.isDisjoint(with: [.isReading, .isWriting, .isWriteScheduled]), let context else { return }
        flags.insert(.isWriteScheduled)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.execute {
            let connection = bound.value
            connection.flags.remove(.isWriteScheduled)
            connection.writeOut()
        }
    }

    private func takePending() -> ByteBuffer { pending.take() ?? loop.takeOutput() }

    // MARK: Writing

    /// Writes what there is, as far as the socket takes it.
    func writeOut() {
        guard !flags.contains(.isWriting), context != nil else { return }
        flags.insert(.isWriting)
        var isStuck = false
        var batches = 0
        while flags.contains(.wantsWrite), !isStuck, batches < Limits.http2BatchesPerTurnMax, let context {
            flags.remove(.wantsWrite)
            batches += 1
            settleNoted()
            gatherControl()
            // Two batches at most are under way: what is gathered, and what the socket has not taken yet.
            let isFull = blockedSince == 0 && gatherData()
            settleNoted()
            send(context)
            isStuck = blockedSince != 0
            if isFull { flags.insert(.wantsWrite) }
        }
        flags.remove(.isWriting)
        // A client that takes all it is sent must not keep the loop from the others.
        if flags.contains(.wantsWrite), !isStuck { requestWrite() }
        closeIfDone()
    }

    /// Puts control frames behind what is pending.
    func gatherControl() {
        let count = session.pendingControlBytes
        guard count > 0 else { return }
        var out = takePending()
        out.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { memory in
            var writer = ByteWriter(memory)
            session.writeControl(to: &writer)
            return writer.count
        }
        pending = out
    }

    /// Takes DATA frames from the streams whose turn it is. True: there is more for another batch.
    private func gatherData() -> Bool {
        var out = takePending()
        var isFull = false
        var isOutOfStep = false
        while !isOutOfStep {
            guard out.readableBytes < Limits.http2BatchBytes else {
                isFull = true
                break
            }
            var grant: HTTP2DataGrant?
            out.writeWithUnsafeMutableBytes(minimumWritableBytes: Limits.http2DataFrameBytesMax) { memory in
                var writer = ByteWriter(memory)
                grant = session.nextData(room: Limits.http2FrameBytesMax, to: &writer)
                guard let grant else { return writer.count }
                // The session knows a stream that is gone here: no byte of ours may say so to the client.
                guard let stream = stream(grant.stream) else {
                    isOutOfStep = true
                    return 0
                }
                let start = writer.count
                let end = min(start + grant.count, memory.count)
                return start + stream.queue.take(into: UnsafeMutableRawBufferPointer(rebasing: memory[start..<end]))
            }
            guard let grant, !isOutOfStep else { break }
            noteGrant(grant)
        }
        pending = out
        if isOutOfStep {
            closes(because: .protocolError)
            cut()
        }
        return isFull
    }

    private func noteGrant(_ grant: HTTP2DataGrant) {
        guard let stream = stream(grant.stream) else { return }
        stream.flags.insert(.hasMoved)
        stream.takenBytes &+= grant.count
        shared.queuedBytes -= grant.count
        if grant.ends { stream.flags.insert(.outputEnded) }
        let hasRoom =
            stream.flags.contains(.responsePaused) && stream.queue.byteCount <= Limits.http2StreamQueueBytesLow
        if grant.ends || stream.queue.isEmpty || hasRoom { note(stream) }
    }

    /// Sees to the streams that are at an end, or whose journeys may go on.
    private func settleNoted() {
        var index = 0
        while index < noted.count {
            let stream = noted[index]
            index += 1
            stream.flags.remove(.isNoted)
            // Over since it was noted.
            if stream.flags.contains(.isOver) { shared.giveBack(stream) } else { settle(stream) }
        }
        noted.removeAll(keepingCapacity: noted.capacity <= 128)
    }

    private func settle(_ stream: HTTP2Stream) {
        if let lines = stream.takeTrailers() {
            writeHead(stream, endsStream: true, lineBytes: lines.readableBytes, fieldCount: 64) {
                _ = $0.encode(lines: lines.readableBytesUInt8Span, to: &$1)
            }
            stream.flags.insert(.outputEnded)
        }
        if stream.flags.contains(.outputEnded) {
            // The response is whole; what is left of the request nobody wants (RFC 9113, section 8.1).
            if !stream.flags.contains(.requestEnded) { return reset(stream, .noError) }
            return end(stream, because: .clientClosed)
        }
        if stream.flags.contains(.responsePaused), stream.queue.byteCount <= Limits.http2StreamQueueBytesLow {
            stream.flags.remove(.responsePaused)
            stream.journey?.resumeResponse()
        }
        if stream.queue.isEmpty { stream.waitsSince = 0 }
    }

    /// Hands what is gathered to the socket.
    private func send(_ context: ChannelHandlerContext) {
        guard var out = pending.take() else { return }
        guard out.readableBytes > 0 else { return loop.giveBackOutput(out) }
        loop.metrics.add(.clientBytesOut, out.readableBytes)
        if socket.isOpen, socket.isChannelUsed { socket.lookAtChannel(context) }
        let sent = socket.send(out)
        if sent == out.readableBytes { return loop.giveBackOutput(out) }
        out.moveReaderIndex(forwardBy: sent)
        socket.noteChannelWrite()
        context.writeAndFlush(wrapOutboundOut(out), promise: nil)
        loop.giveBackOutput(out)
        guard !context.channel.isWritable, blockedSince == 0 else { return }
        blockedSince = MonotonicClock.nanoseconds()
        watchBlockedSocket()
        updateReading()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard context.channel.isWritable, blockedSince != 0 else { return }
        blockedSince = 0
        if streamCount == 0, flags.isDisjoint(with: [.isClosing, .isLeaving, .inputEnded]) { enterIdle() }
        flags.insert(.wantsWrite)
        // What was read and not looked at comes first: a window may be in it.
        if inbound.readableBytes > 0 { process() }
        updateReading()
        writeOut()
    }

    /// Nothing is under way any more, and nothing will be.
    private func closeIfDone() {
        guard streamCount == 0, blockedSince == 0, !flags.contains(.isClosing), pending == nil else { return }
        if flags.contains(.isLeaving) || flags.contains(.inputEnded) { close() }
    }
}
