import ConfigModel
import Exchange
import HTTPWire
import Limits
import NIOCore
import Pipeline
import Telemetry

/// What comes from the client: bytes, then steps, then requests.
extension HTTP2Connection {
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        loop.metrics.add(.clientBytesIn, bytes.readableBytes)
        guard flags.isDisjoint(with: [.isClosing, .hasFailed]) else { return }
        if !isSecure { loop.readBuffers.giveBack(bytes) }
        if inbound.readableBytes == 0 {
            inbound = bytes
        } else {
            inbound.writeImmutableBuffer(bytes)
        }
        flags.insert(.isReading)
        process()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        guard flags.contains(.isReading) else { return }
        flags.remove(.isReading)
        if flags.contains(.wantsWrite) { writeOut() }
    }

    /// Understands as much of `inbound` as there is, while the client takes what it is sent.
    func process() {
        let now = MonotonicClock.nanoseconds()
        while inbound.readableBytes > 0, blockedSince == 0, !flags.contains(.isClosing), takeStep(at: now) {}
        beginUnborn()
        compactInbound()
        updateReading()
        noteRest()
        if session.pendingControlBytes > 0 { requestWrite() }
    }

    /// A frame or a head that has begun must end within the header timeout; where streams are open they are swept.
    private func noteRest() {
        let awaitsRest = inbound.readableBytes > 0 || session.isInHeaderBlock
        if awaitsRest == flags.contains(.awaitsRest) { return }
        if awaitsRest { flags.insert(.awaitsRest) } else { flags.remove(.awaitsRest) }
        guard streamCount == 0, flags.isDisjoint(with: [.isClosing, .isLeaving]) else { return }
        if awaitsRest {
            leaveIdle()
            loop.deadlines.set(self, milliseconds: desk.serving.configuration.timeouts.header)
        } else {
            enterIdle()
        }
    }

    /// What waits must not hold on to a read buffer many times its size.
    private func compactInbound() {
        if inbound.readableBytes == 0 {
            inbound = ByteBuffer()
        } else if inbound.storageCapacity > 4096 + 2 * inbound.readableBytes {
            inbound = ByteBuffer(bytes: inbound.readableBytesView)
        }
    }

    /// One step on; false when it takes more bytes to go on.
    private func takeStep(at now: UInt64) -> Bool {
        let step = inbound.withBytes { session.next($0, at: now, arena: shared.arena) }
        switch step {
        case .needsMore(let consumed):
            inbound.moveReaderIndex(forwardBy: consumed)
            return false
        case .request(let ref, let endsStream, let consumed):
            inbound.moveReaderIndex(forwardBy: consumed)
            beginRequest(ref, endsStream: endsStream, at: now)
        case .data(let ref, let range, let flowBytes, let endsStream, let consumed):
            let bytes = inbound.getSlice(at: inbound.readerIndex + range.lowerBound, length: range.count)
            inbound.moveReaderIndex(forwardBy: consumed)
            receive(bytes ?? ByteBuffer(), ref, flowBytes: flowBytes, endsStream: endsStream)
        case .trailers(let ref, let consumed):
            inbound.moveReaderIndex(forwardBy: consumed)
            if let stream = stream(ref) {
                let trailers = renderTrailers()
                begin(stream)
                if stream.ref == ref { stream.endRequest(trailers: trailers) }
            }
        case .reset(let ref, _, let isByPeer, let consumed):
            inbound.moveReaderIndex(forwardBy: consumed)
            loop.metrics.add(isByPeer ? .http2ResetsByClient : .http2ResetsByEdge)
            if let stream = stream(ref) { end(stream, because: isByPeer ? .clientClosed : .badRequest) }
        case .tooLarge(let ref, let consumed):
            inbound.moveReaderIndex(forwardBy: consumed)
            refuse(ref, .headTooLarge)
        case .malformed(let ref, let error, let consumed):
            inbound.moveReaderIndex(forwardBy: consumed)
            refuse(ref, HTTP1Connection.failure(for: error))
        case .windowOpened(let consumed):
            inbound.moveReaderIndex(forwardBy: consumed)
            requestWrite()
        case .settings(let consumed):
            inbound.moveReaderIndex(forwardBy: consumed)
            // From here on it is a connection like any other: it may be made long before it is used.
            if streamCount == 0, flags.isDisjoint(with: [.isClosing, .isLeaving]) { enterIdle() }
        case .goAway(_, _, let consumed), .pong(_, let consumed),
            .response(_, _, let consumed), .refused(_, let consumed):
            inbound.moveReaderIndex(forwardBy: consumed)
        case .failed(let fault):
            fail(fault)
            return false
        }
        return true
    }

    // MARK: Requests

    private func beginRequest(_ ref: HTTP2StreamRef, endsStream: Bool, at now: UInt64) {
        let stream = open(ref, requestEnded: endsStream)
        guard let journey = stream.journey else { return }
        let arena = shared.arena
        // The journey's empty head for the one just read: neither table is copied.
        swap(&journey.request, &arena.request)
        arena.withBytes { span in span.withUnsafeBytes { _ = journey.requestBytes.writeBytes($0) } }
        if journey.request.method == .connect, let name = arena.connectProtocol {
            guard beginConnect(stream, journey, name) else { return journey.reject(.notImplemented) }
        }
        stream.flags.insert(.isUnborn)
        unborn.append(stream)
        if !endsStream { beginBodyWindow(stream, at: now) }
        requestsServed += 1
        if requestsServed >= desk.serving.configuration.limits.requestsPerConnection || loop.isDraining {
            closes(because: loop.isDraining ? .draining : .requestLimit)
            leave(.noError)
        }
    }

    /// Begins what was asked for in this read. Whoever asks and takes it back in one breath, as all do who flood, has
    /// cost no more than the reading (CVE-2023-44487): no lookup, no connection to an origin.
    private func beginUnborn() {
        var index = 0
        while index < unborn.count {
            let stream = unborn[index]
            index += 1
            // Over before it was begun.
            if stream.flags.isSuperset(of: [.isUnborn, .isOver]) { shared.giveBack(stream) } else { begin(stream) }
        }
        unborn.removeAll(keepingCapacity: unborn.capacity <= 128)
    }

    private func begin(_ stream: HTTP2Stream) {
        guard stream.flags.contains(.isUnborn) else { return }
        stream.flags.remove(.isUnborn)
        stream.journey?.begin()
    }

    /// A journey for a stream, and the stream's place among the others.
    private func open(_ ref: HTTP2StreamRef, requestEnded: Bool) -> HTTP2Stream {
        let journey = desk.take()
        journey.peer = peer
        journey.isSecure = isSecure
        journey.version = .http2
        journey.tls = tls
        let stream = shared.takeStream()
        stream.begin(self, ref, journey, requestEnded: requestEnded)
        journey.client = stream
        add(stream, at: ref.slot)
        return stream
    }

    /// A head that is answered, and nothing else.
    private func refuse(_ ref: HTTP2StreamRef, _ failure: Failure) {
        open(ref, requestEnded: false).journey?.reject(failure)
    }

    /// WebSocket over a stream (RFC 8441) goes on to the origin as the upgrade it is in HTTP/1.1. False: another protocol,
    /// which nobody here speaks (RFC 9220, section 3: 501).
    private func beginConnect(_ stream: HTTP2Stream, _ journey: Journey, _ name: ByteRange) -> Bool {
        guard journey.requestBytes.withBytes({ $0.equalsIgnoringCase(name, "websocket") }) else { return false }
        stream.flags.insert(.connects)
        journey.becomeWebSocketUpgrade(name)
        return true
    }

    private func renderTrailers() -> ByteBuffer? {
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

    // MARK: Bodies

    private func receive(_ bytes: ByteBuffer, _ ref: HTTP2StreamRef, flowBytes: Int, endsStream: Bool) {
        guard let stream = stream(ref) else { return session.returnCredit(ref, flowBytes) }
        begin(stream)
        guard stream.ref == ref else { return session.returnCredit(ref, flowBytes) }
        if flowBytes > 0 { stream.receive(bytes, flow: flowBytes) }
        // The journey may have answered for good.
        if endsStream, !stream.flags.contains(.isOver), stream.ref == ref { stream.endRequest(trailers: nil) }
    }

    /// Reading is off while the client does not take what it is sent, and while the loop holds more of requests' bodies
    /// than it may.
    func updateReading() {
        guard let context else { return }
        let wantsOff = !flags.contains(.isClosing) && (blockedSince != 0 || (heldBytes > 0 && shared.holdsTooMuch))
        guard wantsOff != flags.contains(.readsOff) else { return }
        if wantsOff { flags.insert(.readsOff) } else { flags.remove(.readsOff) }
        try? context.channel.syncOptions?.setOption(.autoRead, value: !wantsOff)
    }
}
