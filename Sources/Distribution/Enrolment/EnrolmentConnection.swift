import Limits
import Logging
import NIOCore

/// The listening side of one enrolment: a question, an answer, the end. On the node's loop.
final class EnrolmentConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let door: NodeDoor
    private var reader = EnrolmentReader()
    private var stage = Stage.reading
    private var timeout: Scheduled<Void>?

    private enum Stage { case reading, asking, ended }

    init(door: NodeDoor) { self.door = door }

    func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timeout = context.eventLoop.scheduleTask(in: .milliseconds(Limits.enrolmentMilliseconds)) {
            let (handler, context) = bound.value
            handler.end(.refused(EnrolmentRefusal(.unavailable, "it took too long: try again")), context)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { timeout?.cancel() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .reading = stage else { return }
        do {
            guard let body = try reader.append(unwrapInboundIn(data).readableBytesView) else { return }
            ask(try EnrolmentQuestion(decoding: body), context)
        } catch {
            door.log.notice("an enrolment cannot be read", metadata: ["reason": "\(error.text)"])
            end(.refused(EnrolmentRefusal(.malformed, error.text)), context)
        }
    }

    private func ask(_ question: EnrolmentQuestion, _ context: ChannelHandlerContext) {
        guard door.enrolments < Limits.enrolmentsMax else {
            return end(.refused(EnrolmentRefusal(.busy, "too many nodes join at this moment: try again")), context)
        }
        stage = .asking
        door.enrolments += 1
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let (loop, answer, identity) = (context.eventLoop, door.answer, door.identity)
        // Not ended with the connection: a token that was used up is so anyway, and whoever asks again is answered.
        door.tasks.run {
            let reply = await answer(question, identity)
            loop.execute {
                let (handler, context) = bound.value
                handler.door.enrolments -= 1
                handler.end(reply, context)
            }
        }
    }

    private func end(_ reply: EnrolmentReply, _ context: ChannelHandlerContext) {
        guard stage != .ended else { return }
        stage = .ended
        timeout?.cancel()
        guard context.channel.isActive else { return }
        let promise = context.eventLoop.makePromise(of: Void.self)
        let channel = context.channel
        promise.futureResult.whenComplete { _ in channel.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: reply.bytes)), promise: promise)
    }

    func channelInactive(context: ChannelHandlerContext) {
        stage = .ended
        timeout?.cancel()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
