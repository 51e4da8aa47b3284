import Exchange
import NIOCore
import NIOSSL
import NIOTLS
import Telemetry

/// Waits for the end of the TLS handshake with an origin, and puts what speaks the protocol that was agreed on behind
/// it. Then it leaves the pipeline.
///
/// The connection is put there within the handshake's own event: what the origin sends right behind is not missed.
final class OriginHandshake: Deadlined, ChannelInboundHandler, RemovableChannelHandler, @unchecked Sendable {
    // Unchecked: made on and used on one event loop only.
    typealias InboundIn = ByteBuffer

    private let loop: EdgeLoop
    /// Makes the handler for the protocol that ALPN names; nil where it named none.
    private let connection: (String?) -> Result<any ChannelHandler, Failure>
    private var context: ChannelHandlerContext?
    /// nil: well. Not set: under way.
    private var verdict: Failure??
    private var onEnd: ((Failure?) -> Void)?

    init(loop: EdgeLoop, _ connection: @escaping (String?) -> Result<any ChannelHandler, Failure>) {
        self.loop = loop
        self.connection = connection
        super.init()
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        loop.deadlines.register(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        loop.deadlines.release(self)
        self.context = nil
    }

    /// Calls `done` once, when the handshake is through or has failed.
    func await(milliseconds: Int, _ done: @escaping (Failure?) -> Void) {
        if let verdict { return done(verdict) }
        guard context != nil else { return done(.originHandshake) }
        onEnd = done
        loop.deadlines.set(self, milliseconds: milliseconds)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? TLSUserEvent, case .handshakeCompleted(let negotiated) = event {
            completed(context, negotiated)
        } else if let event = event as? ChannelEvent, event == .inputClosed {
            end(.originHandshake)
        }
        context.fireUserInboundEventTriggered(event)
    }

    private func completed(_ context: ChannelHandlerContext, _ negotiated: String?) {
        guard verdict == nil else { return }
        switch connection(negotiated) {
        case .failure(let failure): end(failure)
        case .success(let handler):
            do {
                try context.pipeline.syncOperations.addHandler(handler, position: .after(self))
                context.pipeline.syncOperations.removeHandler(self, promise: nil)
                end(nil)
            } catch {
                end(.originHandshake)
            }
        }
    }

    override func deadlinePassed() { end(.originConnectTimeout) }

    func channelInactive(context: ChannelHandlerContext) {
        end(.originHandshake)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard verdict == nil else { return context.fireErrorCaught(error) }
        end(Self.isCertificateError(error) ? .originCertificate : .originHandshake)
    }

    private static func isCertificateError(_ error: any Error) -> Bool {
        switch error as? NIOSSLError {
        case .handshakeFailed(let inner): String(describing: inner).contains("CERTIFICATE_VERIFY_FAILED")
        case .unableToValidateCertificate, .noCertificateToValidate: true
        default: error is NIOSSLExtraError
        }
    }

    private func end(_ failure: Failure?) {
        guard verdict == nil else { return }
        verdict = .some(failure)
        loop.deadlines.unset(self)
        if failure != nil { context?.close(mode: .all, promise: nil) }
        guard let done = onEnd else { return }
        onEnd = nil
        done(failure)
    }
}
