// A connection to a parent, from the machine's wish to the end of the handshake.

import ConfigLog
import FoundationEssentials
import Limits
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS

/// One attempt, which can be called off. On the node's loop.
final class ParentAttempt {
    var channel: (any Channel)?
    private(set) var isCancelled = false

    func cancel() {
        isCancelled = true
        channel?.close(mode: .all, promise: nil)
    }
}

extension NodeCore {
    /// Looks the name up anew, connects, and shows the certificate. Answers the machine by `connected` or `disconnected`.
    func connect(_ peer: LogPeer, _ index: Int) {
        guard setup.parents.indices.contains(index) else { return }
        let address = setup.parents[index]
        let attempt = ParentAttempt()
        attempts[peer] = attempt
        let context: NIOSSLContext
        do throws(DistributionError) {
            context = try identity.clientContext(DistributionProtocol.log)
        } catch {
            return failed(peer, address, error)
        }
        let bound = NIOLoopBound((self, attempt), eventLoop: loop)
        ClientBootstrap(group: loop)
            .connectTimeout(.milliseconds(Limits.distributionHandshakeMilliseconds))
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let (core, attempt) = bound.value
                    guard !attempt.isCancelled else { throw DistributionError(.stopped, "called off") }
                    attempt.channel = channel
                    try channel.pipeline.syncOperations.addHandler(
                        try NIOSSLClientHandler(context: context, serverHostname: nil))
                    try channel.pipeline.syncOperations.addHandler(
                        ParentHandshake(peer, address: address, core: core))
                }
            }
            .connect(host: address.host, port: address.port)
            .whenFailure { error in bound.value.0.failed(peer, address, error) }
    }

    /// It could not be made; also, it was made and is of no use.
    func failed(_ peer: LogPeer, _ address: PeerAddress, _ error: any Error) {
        guard let attempt = attempts.removeValue(forKey: peer) else { return }
        attempt.cancel()
        let reason = EnrolmentClient.reason(error)
        note(parentProblem: "\(address): \(reason)")
        tell { machine, now in machine.disconnected(peer, now) }
    }

    func stands(_ peer: LogPeer, _ channel: any Channel, _ certificate: NodeCertificate) throws {
        guard attempts.removeValue(forKey: peer) != nil else { throw DistributionError(.stopped, "called off") }
        try add(peer, channel, certificate)
        note(parentProblem: nil)
        tell { machine, now in machine.connected(peer, now) }
    }

    /// Tells the log when trouble begins or changes, not at every attempt.
    private func note(parentProblem text: String?) {
        let before = status.value.parentProblem
        status.update { $0.parentProblem = text }
        guard before != text, let text else { return }
        log.warning("a parent cannot be reached", metadata: ["reason": "\(text)"])
    }
}

/// Waits for the handshake, and looks whose certificate came.
private final class ParentHandshake: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let peer: LogPeer
    private let address: PeerAddress
    private let core: NodeCore
    private var timeout: Scheduled<Void>?
    private var isDone = false

    init(_ peer: LogPeer, address: PeerAddress, core: NodeCore) {
        self.peer = peer
        self.address = address
        self.core = core
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timeout = context.eventLoop.scheduleTask(in: .milliseconds(Limits.distributionHandshakeMilliseconds)) {
            let (handler, context) = bound.value
            handler.fail(DistributionError(.unreachable, "no TLS handshake in time"), context)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { timeout?.cancel() }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted(let name)? = event as? TLSUserEvent, !isDone {
            do {
                guard name == DistributionProtocol.log else {
                    throw DistributionError(.unreachable, "the server is no Martlet with a log to follow")
                }
                let certificate = try checkedCertificate(context)
                isDone = true
                timeout?.cancel()
                try core.stands(peer, context.channel, certificate)
            } catch {
                isDone = false
                fail(error, context)
            }
        }
        context.fireUserInboundEventTriggered(event)
    }

    private func checkedCertificate(_ context: ChannelHandlerContext) throws -> NodeCertificate {
        let handler = try context.pipeline.syncOperations.handler(type: NIOSSLClientHandler.self)
        let der = try handler.peerCertificate?.toDERBytes() ?? []
        let certificate = try NodeCertificate(der: der, issuedBy: core.identity.authority, now: Date())
        guard certificate.role != .leaf else {
            throw DistributionError(.identity, "\(certificate.name) is an edge, and an edge is nobody's parent")
        }
        guard NodeRecord(certificate.name, in: core.worker.replica) != .revoked else {
            throw DistributionError(.identity, "\(certificate.role.word) \(certificate.name) is revoked")
        }
        return certificate
    }

    func channelInactive(context: ChannelHandlerContext) {
        if !isDone { fail(DistributionError(.unreachable, "the server ended the connection"), context) }
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard !isDone else { return context.fireErrorCaught(error) }
        fail(error, context)
    }

    private func fail(_ error: any Error, _ context: ChannelHandlerContext) {
        guard !isDone else { return }
        isDone = true
        timeout?.cancel()
        core.failed(peer, address, error)
        context.close(promise: nil)
    }
}
