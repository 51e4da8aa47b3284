import Exchange
import HTTPWire
import Limits
import NIOCore
import Telemetry

/// What comes from the origin.
extension HTTP2OriginConnection {
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        loop.metrics.add(.originBytesIn, bytes.readableBytes)
        if server.security == nil { loop.readBuffers.giveBack(bytes) }
        guard !flags.contains(.isClosed) else { return }
        if inbound.readableBytes == 0 {
            inbound = bytes
        } else {
            inbound.writeImmutableBuffer(bytes)
        }
        flags.insert(.isReading)
        process()
        flushTouched()
        flags.remove(.isReading)
        writeOut()
        recycle()
    }

    private func process() {
        let now = shared.now()
        heard(at: now)
        while !flags.contains(.isClosed) {
            let step = inbound.withBytes { bytes in session.next(bytes, at: now, arena: shared.arena) }
            guard take(step) else { break }
        }
        if inbound.readableBytes == 0 { inbound = ByteBuffer() }
        // What was received may have to be answered.
        if session.pendingControlBytes > 0 { flags.insert(.wantsWrite) }
    }

    /// False: there is no more to be understood for now.
    private func take(_ step: HTTP2Step) -> Bool {
        switch step {
        case .needsMore(let consumed):
            inbound.moveReaderIndex(forwardBy: consumed)
            return false
        case .response(let ref, let endsStream, let consumed):
            inbound.moveReaderIndex(forwardBy: consumed)
            heardOfStreams()
            stream(ref)?.received(shared.arena, endsStream: endsStream)
        case .data(let ref, let range, let flowBytes, let endsStream, let consumed):
            let bytes = inbound.getSlice(at: inbound.readerIndex + range.lowerBound, length: range.count)
            inbound.moveReaderIndex(forwardBy: consumed)
            heardOfStreams()
            receive(bytes ?? ByteBuffer(), ref, flowBytes: flowBytes, endsStream: endsStream)
        case .trailers(let ref, let consumed):
            inbound.moveReaderIndex(forwardBy: consumed)
            heardOfStreams()
            stream(ref)?.received(trailers: trailerLines())
        case .reset(let ref, let code, let isByPeer, let consumed):
            inbound.moveReaderIndex(forwardBy: consumed)
            stream(ref)?.wasReset(code, isByPeer: isByPeer)
        case .refused(let ref, let consumed):
            inbound.moveReaderIndex(forwardBy: consumed)
            stream(ref)?.fail(.originRefusedStream)
        case .windowOpened(let consumed):
            inbound.moveReaderIndex(forwardBy: consumed)
            flags.insert(.wantsWrite)
        case .settings(let consumed):
            inbound.moveReaderIndex(forwardBy: consumed)
            // Windows may have grown.
            flags.insert(.wantsWrite)
            settled()
        case .goAway(_, _, let consumed):
            inbound.moveReaderIndex(forwardBy: consumed)
            leave()
        case .pong(_, let consumed), .request(_, _, let consumed), .tooLarge(_, let consumed),
            .malformed(_, _, let consumed):
            inbound.moveReaderIndex(forwardBy: consumed)
        case .failed:
            close(.originBadResponse)
            return false
        }
        return true
    }

    private func receive(_ bytes: ByteBuffer, _ ref: HTTP2StreamRef, flowBytes: Int, endsStream: Bool) {
        guard let stream = stream(ref) else { return session.returnCredit(ref, flowBytes) }
        stream.received(bytes, flowBytes: flowBytes, endsStream: endsStream)
    }

    /// The trailers just read, as they are passed on.
    private func trailerLines() -> ByteBuffer? {
        let arena = shared.arena
        guard !arena.trailers.isEmpty else { return nil }
        var lines = ByteBuffer()
        arena.withBytes { bytes in
            lines.writeHead(capacity: bytes.count + arena.trailers.count * 4) { writer in
                writer.write(forwarded: arena.trailers, of: bytes)
            }
        }
        return lines.readableBytes > 0 ? lines : nil
    }

    /// The stream's receiver was told something, and will be told when that was all for now.
    func touch(_ stream: HTTP2OriginStream) {
        guard !stream.flags.contains(.isTouched) else { return }
        stream.flags.insert(.isTouched)
        touched.append(stream)
    }

    private func flushTouched() {
        var index = 0
        while index < touched.count {
            let stream = touched[index]
            index += 1
            stream.flags.remove(.isTouched)
            stream.flush()
        }
        touched.removeAll(keepingCapacity: touched.capacity <= 128)
    }
}
