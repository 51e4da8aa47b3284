import ConfigModel
import Exchange
import Glibc
import HTTPWire
import Limits
import NIOCore
import NIOSSL
import Pipeline
import Telemetry

/// How a response is written for a client of HTTP/1.1 or 1.0.
extension HTTP1Connection {
    func respondInterim(_ head: ResponseHead, bytes: ByteBuffer) {
        guard response == .waiting else { return }
        var out = loop.takeOutput()
        bytes.withBytes { span in
            out.writeHead(capacity: span.count + 64) { writer in
                writeStatusLine(head, span, &writer)
                writer.write(forwarded: head.fields, of: span)
                writer.write("\r\n")
            }
        }
        pending = out
        flags.insert(.needsFlush)
        flush()
    }

    func respond(_ head: ResponseHead, bytes: ByteBuffer) {
        guard response == .waiting, let journey else { return }
        let framing = chooseFraming(head.framing, journey)
        if request != .complete, !isBodyWorthDraining { flags.insert(.closes) }
        var out = loop.takeOutput()
        bytes.withBytes { span in
            out.writeHead(capacity: span.count + journey.responseFields.readableBytes + 128) { writer in
                writeStatusLine(head, span, &writer)
                writer.write(forwarded: head.fields, of: span)
                journey.responseFields.withUnsafeReadableBytes { writer.write($0) }
                writeFraming(head, framing, journey, &writer)
                writeConnection(journey, &writer)
                writer.write("\r\n")
            }
        }
        pending = out
        flags.insert(.needsFlush)
        response = .started(framing)
    }

    private func chooseFraming(_ framing: BodyFraming, _ journey: Journey) -> Framing {
        switch framing {
        case .none: return .none
        case .length: return .asIs
        case .chunked, .untilClose:
            // HTTP/1.0 knows no chunks: there the end of the connection is the end of the body.
            if journey.request.minorVersion == 1 { return .chunked }
            flags.insert(.closes)
            return .asIs
        }
    }

    private func writeStatusLine(_ head: ResponseHead, _ bytes: Span<UInt8>, _ writer: inout ByteWriter) {
        writer.write("HTTP/1.1 ")
        writer.write(decimal: UInt64(truncatingIfNeeded: head.status))
        writer.write(" ")
        // A response of HTTP/2 has no reason phrase.
        if head.reason.isEmpty {
            writer.write(StatusText.reason(head.status))
        } else {
            writer.write(bytes, head.reason)
        }
        writer.write("\r\n")
    }

    private func writeFraming(
        _ head: ResponseHead, _ framing: Framing, _ journey: Journey, _ writer: inout ByteWriter
    ) {
        switch head.framing {
        case .length(let count):
            writer.write(field: "Content-Length", decimal: count)
        case .chunked, .untilClose:
            if framing == .chunked { writer.write("Transfer-Encoding: chunked\r\n") }
        case .none:
            // What a GET would have had: kept for HEAD and 304 (RFC 9110, section 8.6), forbidden with 1xx and 204.
            guard head.status != 204, head.status >= 200, let count = head.contentLength else { return }
            writer.write(field: "Content-Length", decimal: count)
        }
    }

    private func writeConnection(_ journey: Journey, _ writer: inout ByteWriter) {
        if flags.contains(.closes) {
            writer.write("Connection: close\r\n")
        } else if journey.request.minorVersion == 0 {
            writer.write("Connection: keep-alive\r\n")
        }
    }

    func respond(status: Int, fields: ByteBuffer, body: ByteBuffer) {
        guard response == .waiting, let journey else { return }
        if request != .complete, !isBodyWorthDraining { flags.insert(.closes) }
        let hasBody = journey.request.method != .head
        var out = loop.takeOutput()
        out.writeHead(capacity: fields.readableBytes + 192) { writer in
            writeStatusLine(status, &writer)
            fields.withUnsafeReadableBytes { writer.write($0) }
            if status != 204 { writer.write(field: "Content-Length", decimal: UInt64(body.readableBytes)) }
            writeConnection(journey, &writer)
            writer.write("\r\n")
        }
        if hasBody { out.writeImmutableBuffer(body) }
        pending = out
        flags.insert(.needsFlush)
        response = .started(.asIs)
        respondEnd(trailers: nil)
    }

    func respond(status: Int, fields: ByteBuffer, stored: ByteBuffer, isHeadEnded: Bool, framing: BodyFraming) {
        guard response == .waiting, let journey else { return }
        let chosen = chooseFraming(framing, journey)
        if request != .complete, !isBodyWorthDraining { flags.insert(.closes) }
        let isCopied = !isHeadEnded || stored.readableBytes <= Limits.coalescedBytesMax
        let storedBytes = isCopied ? stored.readableBytes : 0
        var out = loop.takeOutput()
        out.writeHead(capacity: fields.readableBytes + storedBytes + 192) { writer in
            writeStatusLine(status, &writer)
            writeConnection(journey, &writer)
            fields.withUnsafeReadableBytes { writer.write($0) }
            if isCopied { stored.withUnsafeReadableBytes { writer.write($0) } }
            guard !isHeadEnded else { return }
            writeFraming(framing, chosen, &writer)
            writer.write("\r\n")
        }
        pending = out
        flags.insert(.needsFlush)
        response = .started(chosen)
        guard !isCopied, let context else { return }
        writePending(context)
        write(stored, context)
    }

    private func writeStatusLine(_ status: Int, _ writer: inout ByteWriter) {
        if status == 200 { return writer.write("HTTP/1.1 200 OK\r\n") }
        writer.write("HTTP/1.1 ")
        writer.write(decimal: UInt64(truncatingIfNeeded: status))
        writer.write(" ")
        writer.write(StatusText.reason(status))
        writer.write("\r\n")
    }

    private func writeFraming(_ framing: BodyFraming, _ chosen: Framing, _ writer: inout ByteWriter) {
        switch framing {
        case .length(let count): writer.write(field: "Content-Length", decimal: count)
        case .chunked, .untilClose:
            if chosen == .chunked { writer.write("Transfer-Encoding: chunked\r\n") }
        case .none: break
        }
    }

    var takesFiles: Bool { !isSecure && response == .started(.asIs) }

    func respondFile(_ region: FileRegion, owner: any AnyObject & Sendable) {
        guard takesFiles, let context else { return }
        writePending(context)
        flags.insert(.needsFlush)
        loop.metrics.add(.clientBytesOut, region.readableBytes)
        let sent = context.eventLoop.makePromise(of: Void.self)
        sent.futureResult.whenComplete { _ in withExtendedLifetime(owner) {} }
        socket.noteChannelWrite()
        context.write(NIOAny(region), promise: sent)
    }

    func respondBody(_ bytes: ByteBuffer) {
        guard let context, bytes.readableBytes > 0 else { return }
        if request == .tunnel {
            loop.metrics.add(.tunnelBytesOut, bytes.readableBytes)
            armDeadline()
            return enqueue(bytes, context)
        }
        switch response {
        case .started(.asIs):
            enqueue(bytes, context)
        case .started(.chunked):
            var frame = takePending()
            frame.writeHead(capacity: ChunkedCoding.sizeLineBytesMax) {
                $0.write(chunkSize: UInt64(bytes.readableBytes))
            }
            pending = frame
            enqueue(bytes, context)
            frame = takePending()
            frame.writeStaticString(ChunkedCoding.chunkEnd)
            pending = frame
        default: break
        }
    }

    /// Puts bytes behind what is pending: copied if they are few, else handed to the channel as they are.
    private func enqueue(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        flags.insert(.needsFlush)
        if bytes.readableBytes <= Limits.coalescedBytesMax, var out = pending.take() {
            out.writeImmutableBuffer(bytes)
            pending = out
        } else {
            writePending(context)
            write(bytes, context)
        }
    }

    private func takePending() -> ByteBuffer { pending.take() ?? loop.takeOutput() }

    private func writePending(_ context: ChannelHandlerContext) {
        guard let out = pending.take() else { return }
        write(out, context)
        loop.giveBackOutput(out)
    }

    /// Sends what is pending past the channel. False: the channel is asked for what is left.
    private func sendPending() -> Bool {
        guard socket.isOpen, let out = pending.take() else { return false }
        if let context, socket.isChannelUsed { socket.lookAtChannel(context) }
        let count = socket.send(out)
        loop.metrics.add(.clientBytesOut, count)
        guard count == out.readableBytes else {
            var rest = out
            rest.moveReaderIndex(forwardBy: count)
            pending = rest
            return false
        }
        loop.giveBackOutput(out)
        return true
    }

    private func write(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        loop.metrics.add(.clientBytesOut, bytes.readableBytes)
        socket.noteChannelWrite()
        context.write(wrapOutboundOut(bytes), promise: nil)
    }

    func respondEnd(trailers: ByteBuffer?) {
        if request == .tunnel { return endTunnel() }
        guard case .started(let framing) = response else { return }
        if framing == .chunked {
            var out = takePending()
            out.writeStaticString(ChunkedCoding.lastChunk)
            if let trailers, journey?.request.wantsTrailers == true { out.writeImmutableBuffer(trailers) }
            out.writeStaticString("\r\n")
            pending = out
            flags.insert(.needsFlush)
        }
        response = .complete
        flush()
        endExchangeIfComplete()
    }

    func flush() {
        guard flags.contains(.needsFlush), context != nil else { return }
        flags.remove(.needsFlush)
        if sendPending() { return }
        flushChannel()
    }

    private func flushChannel() {
        guard let context else { return }
        writePending(context)
        context.flush()
        guard !context.channel.isWritable else { return }
        if !flags.contains(.responsePaused) {
            flags.insert(.responsePaused)
            loop.deadlines.set(self, milliseconds: desk.serving.configuration.timeouts.write)
        }
        // Each time: the journey may have another link than when it was paused first.
        journey?.pauseResponse()
    }

    /// A response that was begun cannot be ended well: the client must not take what it has for the whole. So no last
    /// chunk, fewer bytes than announced, and a reset rather than an orderly end where the end itself is the framing.
    func abort() {
        guard let context else { return }
        flags.insert(.closes)
        closes(because: .originFailed)
        writePending(context)
        context.flush()
        let framing = response
        endAborted()
        guard framing == .started(.asIs) else { return close() }
        if isSecure { closeBelowTLS(context) } else { resetOnceWritten(context) }
    }

    private func endAborted() {
        let finished = journey
        journey = nil
        response = .complete
        finished?.finish()
        response = .none
    }

    /// Without a close_notify a client of TLS knows that the end is none (RFC 9112, section 9.8).
    private func closeBelowTLS(_ context: ChannelHandlerContext) {
        request = .ignoring
        inbound = ByteBuffer()
        let below = try? context.pipeline.syncOperations.context(handlerType: NIOSSLServerHandler.self)
        (below ?? context).close(mode: .all, promise: nil)
    }

    /// SO_LINGER with a time of zero: close sends a reset.
    private func resetOnceWritten(_ context: ChannelHandlerContext) {
        request = .ignoring
        inbound = ByteBuffer()
        loop.deadlines.set(self, milliseconds: desk.serving.configuration.timeouts.write)
        _ = (context.channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0))
        closeOnceWritten(context)
    }

    // MARK: Tunnel

    func beginTunnel(_ head: ResponseHead, bytes: ByteBuffer) {
        guard response == .waiting, let journey, let context else { return }
        var out = loop.takeOutput()
        bytes.withBytes { span in
            out.writeHead(capacity: span.count + journey.responseFields.readableBytes + 128) { writer in
                writeStatusLine(head, span, &writer)
                writer.write(forwarded: head.fields, of: span)
                journey.responseFields.withUnsafeReadableBytes { writer.write($0) }
                writer.write("Connection: Upgrade\r\nUpgrade: ")
                if let protocols = head.upgrade { writer.write(span, protocols) }
                writer.write("\r\n\r\n")
            }
        }
        pending = out
        flags.insert([.needsFlush, .closes])
        closes(because: .tunnelEnded)
        response = .started(.asIs)
        request = .tunnel
        loop.deadlines.set(self, milliseconds: desk.serving.configuration.timeouts.tunnel)
        writePending(context)
        process()
    }

    private func endTunnel() {
        flush()
        response = .complete
        request = .ignoring
        endExchangeIfComplete()
    }
}
