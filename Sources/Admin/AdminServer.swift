import HTTPWire
import Limits
package import Logging
package import NIOCore
import NIOPosix
import Synchronization

/// The operator's door: `/metrics`, `/healthz` and `/readyz` on an address of its own.
///
/// One GET per connection is all it takes; requests are parsed by the same codec as everybody's.
package enum AdminServer {
    /// An answer: status, content type, body.
    package struct Answer: Sendable {
        package var status: Int
        package var contentType: String
        package var body: [UInt8]

        package init(status: Int, contentType: String = "text/plain; charset=utf-8", body: [UInt8]) {
            self.status = status
            self.contentType = contentType
            self.body = body
        }

        package init(status: Int, text: String) {
            self.init(status: status, body: Array((text + "\n").utf8))
        }
    }

    /// Answers a path. Called off the event loops; may take its time.
    package typealias Responder = @Sendable (_ path: String) async -> Answer

    /// Serves on a socket that listens already.
    ///
    /// - Parameter descriptor: becomes the channel's.
    package static func serve(
        descriptor: CInt, on group: any EventLoopGroup, log: Logger, _ responder: @escaping Responder
    ) async throws -> any Channel {
        let connections = ConnectionCount()
        return try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard connections.enter() else { return channel.close(promise: nil) }
                    channel.closeFuture.whenComplete { _ in connections.leave() }
                    try channel.pipeline.syncOperations.addHandler(AdminConnection(responder: responder))
                }
            }
            .withBoundSocket(descriptor)
            .get()
    }
}

/// Connections open, held to their bound: who would exhaust the admin door must not exhaust the process.
private final class ConnectionCount: Sendable {
    private let count = Atomic<Int>(0)

    func enter() -> Bool {
        let isWithin = count.wrappingAdd(1, ordering: .relaxed).newValue <= Limits.adminConnectionsMax
        if !isWithin { leave() }
        return isWithin
    }

    func leave() { count.wrappingSubtract(1, ordering: .relaxed) }
}

/// One connection: one request, one answer.
private final class AdminConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let responder: AdminServer.Responder
    private var inbound = ByteBuffer()
    private var parser = RequestHeadParser(
        bounds: HeadBounds(
            startLineBytesMax: Limits.adminRequestBytesMax, headBytesMax: Limits.adminRequestBytesMax,
            fieldCountMax: Limits.fieldCountDefault))
    private var request = RequestHead()
    private var isAnswering = false
    private var timeout: Scheduled<Void>?

    init(responder: @escaping AdminServer.Responder) {
        self.responder = responder
    }

    func channelActive(context: ChannelHandlerContext) {
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        timeout = context.eventLoop.scheduleTask(in: .milliseconds(Int64(Limits.headerTimeoutMillisecondsDefault))) {
            bound.value.close(promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        timeout?.cancel()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isAnswering else { return }
        var bytes = unwrapInboundIn(data)
        inbound.writeBuffer(&bytes)
        let received = inbound
        do {
            guard case .complete = try parser.parse(received.readableBytesUInt8Span, into: &request) else { return }
        } catch {
            return answer(AdminServer.Answer(status: error.status, text: "\(error)"), hasBody: true, context)
        }
        respond(context)
    }

    private func respond(_ context: ChannelHandlerContext) {
        isAnswering = true
        guard request.method == .get || request.method == .head else {
            return answer(AdminServer.Answer(status: 405, text: "expected GET or HEAD"), hasBody: true, context)
        }
        let path = inbound.getString(at: inbound.readerIndex + Int(request.path.start), length: Int(request.path.count))
        let hasBody = request.method == .get
        let promise = context.eventLoop.makePromise(of: AdminServer.Answer.self)
        let responder = self.responder
        promise.completeWithTask { await responder(path ?? "/") }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        promise.futureResult.whenSuccess { made in
            let (connection, context) = bound.value
            connection.answer(made, hasBody: hasBody, context)
        }
    }

    private func answer(_ answer: AdminServer.Answer, hasBody: Bool, _ context: ChannelHandlerContext) {
        isAnswering = true
        var out = context.channel.allocator.buffer(capacity: answer.body.count + 256)
        out.writeString(
            "HTTP/1.1 \(answer.status) \(StatusText.reason(answer.status))\r\nContent-Type: \(answer.contentType)\r\n"
                + "Content-Length: \(answer.body.count)\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n")
        if hasBody { out.writeBytes(answer.body) }
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(out)).whenComplete { _ in bound.value.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
