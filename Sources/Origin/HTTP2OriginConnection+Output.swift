import Exchange
import HTTPWire
import Limits
import NIOCore
import Telemetry

/// What goes to the origin: heads as they are made, bodies by turns, one write for all of a turn.
extension HTTP2OriginConnection {
    /// Writes a head, or trailers, behind what is pending.
    ///
    /// - Parameters:
    ///   - lineBytes: of the lines that the block is made of.
    ///   - lineCount: of them; a block may have four fields more.
    /// - Returns: false where nothing was written, for the stream or the connection is over.
    func writeHead(
        _ ref: HTTP2StreamRef, endsStream: Bool, lineBytes: Int, lineCount: Int,
        _ block: (inout HPACKEncoder, inout ByteWriter) -> Void
    ) -> Bool {
        // What acknowledges the origin's settings goes before what makes use of them.
        gatherControl()
        var out = takePending()
        let bound = HPACKEncoder.boundBytes(lineBytes: lineBytes, fieldCount: lineCount + 4)
        var isWritten = false
        out.writeWithUnsafeMutableBytes(minimumWritableBytes: HTTP2Session.headRoom(blockBytes: bound)) { memory in
            var writer = ByteWriter(memory)
            isWritten = session.writeHead(ref, endsStream: endsStream, to: &writer, block)
            return writer.count
        }
        pending = out
        requestWrite()
        return isWritten
    }

    /// So many more bytes of a body wait in their stream.
    func offer(_ stream: HTTP2OriginStream, _ bytes: Int, ends: Bool) {
        session.offer(stream.ref, bytes: bytes, ends: ends)
        requestWrite()
    }

    /// The stream has trailers, or room, to be seen to with the next write.
    func note(_ stream: HTTP2OriginStream) {
        requestWrite()
        guard !stream.flags.contains(.isNoted) else { return }
        stream.flags.insert(.isNoted)
        noted.append(stream)
    }

    /// Asks for a write: at the end of the read that is under way, else at the end of the loop's turn, together with
    /// what others have to say until then.
    func requestWrite() {
        flags.insert(.wantsWrite)
        // Who writes looks for more before it ends.
        if !flags.contains(.isWriting) { scheduleTurn() }
    }

    /// Asks for what is done at the end of a turn. A read does it by itself.
    func scheduleTurn() {
        guard flags.isDisjoint(with: [.isReading, .isTurnScheduled]) else { return }
        flags.insert(.isTurnScheduled)
        loop.eventLoop.execute {
            self.flags.remove(.isTurnScheduled)
            self.writeOut()
            self.recycle()
        }
    }

    private func takePending() -> ByteBuffer {
        if let out = pending {
            pending = nil
            return out
        }
        return loop.takeOutput()
    }

    /// Writes what there is, as far as the socket takes it.
    func writeOut() {
        guard flags.isDisjoint(with: [.isWriting, .isReading, .isClosed]) else { return }
        flags.insert(.isWriting)
        while flags.contains(.wantsWrite), let context {
            flags.remove(.wantsWrite)
            settleNoted()
            gatherControl()
            let isWritable = context.channel.isWritable
            if isWritable, gatherData() { flags.insert(.wantsWrite) }
            send(context)
            settleNoted()
            // The rest leaves when the socket takes more.
            guard isWritable, context.channel.isWritable else { break }
        }
        flags.remove(.isWriting)
    }

    /// The connection is about to close: GOAWAY may wait to be written.
    func writeLast() {
        guard flags.contains(.hasBegun), let context else { return }
        gatherControl()
        send(context)
    }

    private func gatherControl() {
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

    /// Takes DATA frames from the streams whose turn it is. True: there may be more for another batch.
    private func gatherData() -> Bool {
        var out = takePending()
        defer { pending = out }
        while out.readableBytes < Limits.http2BatchBytes {
            var granted: HTTP2DataGrant?
            out.writeWithUnsafeMutableBytes(minimumWritableBytes: Limits.http2DataFrameBytesMax) { memory in
                var writer = ByteWriter(memory)
                granted = session.nextData(room: Limits.http2FrameBytesMax, to: &writer)
                guard let granted, let stream = stream(granted.stream) else { return writer.count }
                let start = writer.count
                let end = min(start + granted.count, memory.count)
                return start + stream.queue.take(into: UnsafeMutableRawBufferPointer(rebasing: memory[start..<end]))
            }
            guard let granted else { return false }
            stream(granted.stream)?.wasGranted(ends: granted.ends)
        }
        return true
    }

    /// Hands what is gathered to the socket.
    private func send(_ context: ChannelHandlerContext) {
        guard let out = pending else { return }
        pending = nil
        if out.readableBytes > 0 {
            loop.metrics.add(.originBytesOut, out.readableBytes)
            context.writeAndFlush(wrapOutboundOut(out), promise: nil)
        }
        loop.giveBackOutput(out)
    }

    /// Sees to the streams that may go on.
    private func settleNoted() {
        var index = 0
        while index < noted.count {
            let stream = noted[index]
            index += 1
            stream.flags.remove(.isNoted)
            stream.settle()
        }
        noted.removeAll(keepingCapacity: noted.capacity <= 128)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard context.channel.isWritable else { return }
        flags.insert(.wantsWrite)
        writeOut()
    }
}
