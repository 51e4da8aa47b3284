import Exchange
import HTTPWire
import Limits
import NIOCore
import NIOTLS
import Telemetry

/// One health check: sends the request in the protocol that the origin is offered or chooses, reads the head of the
/// answer, and gives its verdict once: nil for well, else why not.
final class HealthProbe: ChannelInboundHandler, @unchecked Sendable {
    // Unchecked: made on and used on one event loop only.
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// A whole head as HTTP/1.1 has it.
    private let request: ByteBuffer
    private let expected: ClosedRange<Int>
    private let offer: OriginOffer
    private let isSecure: Bool
    private let arena: () -> HTTP2HeadArena
    private var verdict: EventLoopPromise<String?>?
    private var context: ChannelHandlerContext?
    private var inbound = ByteBuffer()
    private var dialect = Dialect.unknown
    private var response = ResponseHead()
    private var parser = ResponseHeadParser(
        bounds: HeadBounds(
            startLineBytesMax: Limits.responseHeadBytesMax,
            headBytesMax: Limits.responseHeadBytesMax,
            fieldCountMax: Limits.responseFieldCountMax
        ))
    private var session = HTTP2Session(role: .client, bounds: .origin)

    private enum Dialect { case unknown, http1, http2 }

    /// - Parameter arena: that of the loop, which is made when it is first needed.
    init(
        request: ByteBuffer, expected: ClosedRange<Int>, offer: OriginOffer, isSecure: Bool,
        arena: @escaping () -> HTTP2HeadArena, verdict: EventLoopPromise<String?>
    ) {
        self.request = request
        self.expected = expected
        self.offer = offer
        self.isSecure = isSecure
        self.arena = arena
        self.verdict = verdict
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelActive(context: ChannelHandlerContext) {
        if !isSecure { begin(offer == .http2 ? .http2 : .http1, context) }
        context.fireChannelActive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? TLSUserEvent, case .handshakeCompleted(let negotiated) = event {
            if offer == .http2, negotiated != "h2" {
                finish("HTTP/2 was not agreed on")
            } else {
                begin(negotiated == "h2" ? .http2 : .http1, context)
            }
        }
        context.fireUserInboundEventTriggered(event)
    }

    private func begin(_ chosen: Dialect, _ context: ChannelHandlerContext) {
        guard dialect == .unknown else { return }
        dialect = chosen
        if chosen == .http1 {
            context.writeAndFlush(wrapOutboundOut(request), promise: nil)
        } else {
            beginHTTP2(context)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        inbound.writeBuffer(&bytes)
        if dialect == .http2 { readHTTP2(context) } else { readHTTP1() }
    }

    private func readHTTP1() {
        do {
            let progress = try inbound.withBytes { bytes throws(WireError) in
                try parser.parse(bytes, answering: .get, into: &response)
            }
            guard case .complete = progress else { return }
            judge(response.status)
        } catch {
            finish("not valid HTTP/1.1")
        }
    }

    private func judge(_ status: Int) {
        finish(expected.contains(status) ? nil : "status \(status)")
    }

    func channelInactive(context: ChannelHandlerContext) { finish("closed without an answer") }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { finish("\(error)") }

    func finish(_ problem: String?) {
        guard let verdict else { return }
        self.verdict = nil
        verdict.succeed(problem)
        context?.close(promise: nil)
    }

    // MARK: HTTP/2

    private func beginHTTP2(_ context: ChannelHandlerContext) {
        session.begin(at: MonotonicClock.nanoseconds())
        writeControl(context)
        guard let stream = session.open(.get) else { return finish("no stream") }
        let isSecure = self.isSecure
        var out = ByteBuffer()
        request.withBytes { bytes in
            guard let head = RenderedRequest(bytes) else { return }
            let bound = HPACKEncoder.boundBytes(lineBytes: bytes.count, fieldCount: head.lineCount + 4)
            out.writeWithUnsafeMutableBytes(minimumWritableBytes: HTTP2Session.headRoom(blockBytes: bound)) { memory in
                var writer = ByteWriter(memory)
                session.writeHead(stream, endsStream: true, to: &writer) { encoder, writer in
                    head.encode(bytes, connects: false, isSecure: isSecure, with: &encoder, to: &writer)
                }
                return writer.count
            }
        }
        context.writeAndFlush(wrapOutboundOut(out), promise: nil)
    }

    private func readHTTP2(_ context: ChannelHandlerContext) {
        let now = MonotonicClock.nanoseconds()
        let arena = arena()
        reading: while verdict != nil {
            switch inbound.withBytes({ session.next($0, at: now, arena: arena) }) {
            case .response(_, _, let consumed):
                inbound.moveReaderIndex(forwardBy: consumed)
                if !arena.response.isInterim { return judge(arena.response.status) }
            case .reset(_, let code, _, _):
                return finish("stream reset: \(code.label)")
            case .refused: return finish("stream refused")
            case .failed(let fault): return finish("not valid HTTP/2: \(fault.text)")
            case .settings(let consumed), .windowOpened(let consumed), .pong(_, let consumed),
                .goAway(_, _, let consumed), .trailers(_, let consumed), .data(_, _, _, _, let consumed),
                .request(_, _, let consumed), .tooLarge(_, let consumed), .malformed(_, _, let consumed):
                inbound.moveReaderIndex(forwardBy: consumed)
            case .needsMore(let consumed):
                inbound.moveReaderIndex(forwardBy: consumed)
                break reading
            }
        }
        writeControl(context)
    }

    private func writeControl(_ context: ChannelHandlerContext) {
        let count = session.pendingControlBytes
        guard count > 0 else { return }
        var out = ByteBuffer()
        out.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { memory in
            var writer = ByteWriter(memory)
            session.writeControl(to: &writer)
            return writer.count
        }
        context.writeAndFlush(wrapOutboundOut(out), promise: nil)
    }
}
