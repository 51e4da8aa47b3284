import ConfigModel
import Exchange
import Glibc
import NIOCore
import NIOSSL
import NIOTLS
import Pipeline
import Telemetry

/// Waits for the end of a TLS handshake, and then puts the connection into the pipeline that speaks what ALPN has
/// chosen (RFC 7301; RFC 9113, section 3.2). A client that names no protocol speaks HTTP/1.1.
///
/// When its work is done it is gone: an established connection pays nothing for it.
final class SecureHandshake: Deadlined, ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let listener: ListenerLoop
    private let peer: IPAddress
    private let tls: TLSFacts
    private let acceptedAt: UInt64
    private var context: ChannelHandlerContext?
    private var hasHandedOver = false
    private var closeReason = CloseReason.clientClosed

    private var loop: EdgeLoop { listener.loop }

    init(listener: ListenerLoop, peer: IPAddress, tls: TLSFacts, acceptedAt: UInt64) {
        self.listener = listener
        self.peer = peer
        self.tls = tls
        self.acceptedAt = acceptedAt
        super.init()
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        loop.deadlines.register(self)
        loop.deadlines.set(self, milliseconds: listener.desk.serving.configuration.timeouts.handshake)
        loop.metrics.adjust(.clientConnectionsActive, by: 1)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        loop.deadlines.release(self)
        loop.metrics.adjust(.clientConnectionsActive, by: -1)
        self.context = nil
        guard !hasHandedOver else { return }
        loop.metrics.connectionClosed(closeReason)
        listener.desk.connectionEnded?()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? TLSUserEvent, case .handshakeCompleted(let negotiated) = event {
            completed(context, negotiated)
        } else if let event = event as? ChannelEvent, event == .inputClosed {
            failed(.clientClosed)
        }
        context.fireUserInboundEventTriggered(event)
    }

    private func completed(_ context: ChannelHandlerContext, _ negotiated: String?) {
        acknowledgeNow(context)
        loop.metrics.observe(.tlsHandshake, nanoseconds: MonotonicClock.nanoseconds() &- acceptedAt)
        let version = (try? context.pipeline.syncOperations.nioSSL_tlsVersion()) ?? nil
        loop.metrics.tlsHandshake(.completed, version: version == .tlsv13 ? .v13 : version == .tlsv12 ? .v12 : .unknown)
        do {
            let connection: any ChannelHandler =
                negotiated == "h2"
                ? HTTP2Connection(listener: listener, peer: peer, tls: tls, isSecure: true)
                : HTTP1Connection(desk: listener.desk, peer: peer, tls: tls, isSecure: true)
            try context.pipeline.syncOperations.addHandler(connection, position: .after(self))
            hasHandedOver = true
        } catch {
            return context.close(promise: nil)
        }
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    /// BoringSSL answers a client's Finished with nothing, so the kernel would hold the acknowledgement back for 40 ms,
    /// and a client without TCP_NODELAY would hold its request back for just as long.
    private func acknowledgeNow(_ context: ChannelHandlerContext) {
        let quickAcknowledgement = ChannelOptions.Types.SocketOption(
            level: .tcp, name: NIOBSDSocket.Option(rawValue: TCP_QUICKACK))
        try? context.channel.syncOptions?.setOption(quickAcknowledgement, value: 1)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { failed(.tlsFailed) }

    override func deadlinePassed() { failed(.timeout) }

    override func cut() {
        closeReason = .draining
        context?.close(promise: nil)
    }

    private func failed(_ reason: CloseReason) {
        guard let context, !hasHandedOver else { return }
        closeReason = reason
        loop.metrics.tlsHandshake(.failed, version: .unknown)
        context.close(promise: nil)
    }
}
