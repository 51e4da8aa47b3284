import HTTPWire
import Limits
import NIOCore

/// One connection to the admin address: one request, one answer.
///
///     head ──▶ body ──▶ answering ──▶ closing
///       └───────┴─ refused ─┘
///
/// What comes behind the request is not looked at. After the answer the connection ends in two steps, first its own
/// side, then, when the peer has ended or after a moment, all of it: a refusal must not be overtaken by the reset that
/// unread bytes cause.
final class AdminConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Stage { case head, body, answering }

    private let responder: AdminServer.Responder
    private var stage = Stage.head
    private var inbound = ByteBuffer()
    private var parser = RequestHeadParser(
        bounds: HeadBounds(
            startLineBytesMax: Limits.adminRequestBytesMax, headBytesMax: Limits.adminRequestBytesMax,
            fieldCountMax: Limits.fieldCountDefault))
    private var head = RequestHead()
    private var request = AdminServer.Request(.get, path: "/")
    private var bodyBytes = 0
    /// Whether a body goes with the answer.
    private var sendsBody = true
    private var timeout: Scheduled<Void>?

    init(responder: @escaping AdminServer.Responder) {
        self.responder = responder
    }

    func channelActive(context: ChannelHandlerContext) {
        expire(after: Limits.headerTimeoutMillisecondsDefault, context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        timeout?.cancel()
    }

    /// Closes after a while, instead of what was to be the end before.
    private func expire(after milliseconds: Int, _ context: ChannelHandlerContext) {
        timeout?.cancel()
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        timeout = context.eventLoop.scheduleTask(in: .milliseconds(Int64(milliseconds))) {
            bound.value.close(promise: nil)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard stage != .answering else { return }
        var bytes = unwrapInboundIn(data)
        inbound.writeBuffer(&bytes)
        if stage == .head { readHead(context) }
        if stage == .body, inbound.readableBytes >= bodyBytes {
            request.body = inbound.readBytes(length: bodyBytes) ?? []
            respond(context)
        }
    }

    // MARK: The request

    private func readHead(_ context: ChannelHandlerContext) {
        let received = inbound
        do {
            guard case .complete(let count) = try parser.parse(received.readableBytesUInt8Span, into: &head) else {
                return
            }
            begin(received, context)
            inbound.moveReaderIndex(forwardBy: min(count, inbound.readableBytes))
        } catch {
            answer(AdminServer.Answer(status: error.status, text: "\(error)"), context)
        }
    }

    /// The head is whole: its body is awaited, or refused.
    private func begin(_ received: ByteBuffer, _ context: ChannelHandlerContext) {
        let verb: AdminServer.Verb
        switch head.method {
        case .get, .head: verb = .get
        case .post: verb = .post
        default:
            var refusal = AdminServer.Answer(status: 405, text: "expected GET, HEAD or POST")
            refusal.allow = "GET, HEAD, POST"
            return answer(refusal, context)
        }
        sendsBody = head.method != .head
        request = AdminServer.Request(verb, path: text(head.path, of: received))
        request.query = text(head.query, of: received)
        request.contentType = head.first(.contentType).map { text($0, of: received) } ?? ""
        request.hasOrigin = head.has(.origin)
        switch head.framing {
        case .none, .untilClose: bodyBytes = 0
        case .chunked:
            return answer(AdminServer.Answer(status: 411, text: "expected a body with Content-Length"), context)
        case .length(let count):
            guard let length = Int(exactly: count), length <= Limits.adminBodyBytesMax else {
                let most = Limits.adminBodyBytesMax
                return answer(
                    AdminServer.Answer(status: 413, text: "expected a body of at most \(most) bytes"), context)
            }
            bodyBytes = length
        }
        stage = .body
        if head.expectsContinue {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n")), promise: nil)
        }
    }

    private func text(_ range: ByteRange, of bytes: ByteBuffer) -> String {
        bytes.getString(at: bytes.readerIndex + Int(range.start), length: Int(range.count)) ?? ""
    }

    // MARK: The answer

    private func respond(_ context: ChannelHandlerContext) {
        stage = .answering
        expire(after: Limits.adminAnswerTimeoutMilliseconds, context)
        let promise = context.eventLoop.makePromise(of: AdminServer.Answer.self)
        let (responder, request) = (responder, request)
        promise.completeWithTask { await responder(request) }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        promise.futureResult.whenSuccess { made in
            let (connection, context) = bound.value
            connection.answer(made, context)
        }
    }

    private func answer(_ answer: AdminServer.Answer, _ context: ChannelHandlerContext) {
        stage = .answering
        var out = context.channel.allocator.buffer(capacity: answer.body.count + 256)
        out.writeString("HTTP/1.1 \(answer.status) \(StatusText.reason(answer.status))\r\n")
        if let allow = answer.allow { out.writeString("Allow: \(allow)\r\n") }
        out.writeString(
            "Content-Type: \(answer.contentType)\r\nContent-Length: \(answer.body.count)\r\n"
                + "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n")
        if sendsBody { out.writeBytes(answer.body) }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(out)).whenComplete { result in
            let (connection, context) = bound.value
            connection.end(result, context)
        }
    }

    private func end(_ result: Result<Void, any Error>, _ context: ChannelHandlerContext) {
        guard case .success = result else { return context.close(promise: nil) }
        expire(after: Limits.lingerMilliseconds, context)
        context.close(mode: .output, promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
