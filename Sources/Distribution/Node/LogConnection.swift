// The end of one connection: bytes to the machine and back. Whoever is at the other end has proved who he is.

import ConfigLog
import Limits
import Logging
import NIOCore

/// On its channel's loop, which is the node's.
final class LogConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let peer: LogPeer
    private let core: NodeCore
    private var context: ChannelHandlerContext?
    private var hasEnded = false
    /// Bytes that a child may still say before its second is over.
    private var allowance = Limits.distributionChildReadBytesPerSecondMax
    private var isOverspent = false
    private var isPaused = false
    private var refill: Scheduled<Void>?

    init(_ peer: LogPeer, core: NodeCore) {
        self.peer = peer
        self.core = core
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        refill?.cancel()
        self.context = nil
    }

    /// What still comes counts for nothing.
    func end() {
        hasEnded = true
        refill?.cancel()
        // The rest of the handshake of closing has to be read.
        setReading(true)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !hasEnded else { return }
        let buffer = unwrapInboundIn(data)
        if case .child = peer { spend(buffer.readableBytes) }
        core.received(Array(buffer.readableBytesView), from: peer)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if !hasEnded {
            hasEnded = true
            core.ended(peer)
        }
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if !hasEnded { core.log.info("a connection failed", metadata: ["peer": "\(peer)", "reason": "\(error)"]) }
        context.close(promise: nil)
    }

    // MARK: Bounded reading

    /// The replica has enough to do.
    func pause(_ isPaused: Bool) {
        self.isPaused = isPaused
        setReading(!isPaused && !isOverspent)
    }

    private func spend(_ bytes: Int) {
        allowance -= bytes
        if refill == nil { scheduleRefill() }
        if allowance < 0, !isOverspent {
            isOverspent = true
            setReading(false)
        }
    }

    private func scheduleRefill() {
        let handler = NIOLoopBound(self, eventLoop: core.loop)
        refill = core.loop.scheduleTask(in: .seconds(1)) { handler.value.renewAllowance() }
    }

    private func renewAllowance() {
        refill = nil
        // One read of the socket may bring more than was left: that counts for the next second.
        allowance = min(0, allowance) + Limits.distributionChildReadBytesPerSecondMax
        guard isOverspent, !hasEnded else { return }
        guard allowance > 0 else { return scheduleRefill() }
        isOverspent = false
        setReading(!isPaused)
    }

    private func setReading(_ isReading: Bool) {
        guard let context, context.channel.isActive else { return }
        context.channel.setOption(.autoRead, value: isReading).whenComplete { _ in }
    }
}
