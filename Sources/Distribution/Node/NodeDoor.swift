// The listening side: TLS, then whichever of the two protocols was agreed on.
//
//   accept ──▶ TLS 1.3 ──martlet-log/1──▶ certificate? role? admitted? ──▶ the machine's child
//                     └──martlet-enrol/1─▶ one question, one answer
//
// Before a peer has said who it is, it is a stranger: few of them, few of one address, and each for a short time.

import ConfigLog
import FoundationEssentials
import Limits
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS

/// What one event loop owns of a node's listener.
final class NodeDoor {
    let loop: any EventLoop
    let log: Logger
    let tasks: TaskTray
    private(set) var identity: NodeIdentity
    private var context: NIOSSLContext
    /// Whether a node may be a child here.
    let isAdmitted: (NodeName, NodeRole) -> Bool
    /// Answers a question that can be read.
    let answer: @Sendable (EnrolmentQuestion, NodeIdentity) async -> EnrolmentReply
    /// Set once, before anybody is let in.
    var core: NodeCore?

    private var strangers: [String: Int] = [:]
    private var strangerCount = 0
    var enrolments = 0
    var channel: (any Channel)?
    /// Open connections that are not yet, or never become, links.
    private var open: [ObjectIdentifier: any Channel] = [:]

    init(
        identity: NodeIdentity, loop: any EventLoop, tasks: TaskTray, log: Logger,
        isAdmitted: @escaping (NodeName, NodeRole) -> Bool,
        answer: @escaping @Sendable (EnrolmentQuestion, NodeIdentity) async -> EnrolmentReply
    ) throws(DistributionError) {
        self.identity = identity
        context = try identity.serverContext()
        self.loop = loop
        self.tasks = tasks
        self.log = log
        self.isAdmitted = isAdmitted
        self.answer = answer
    }

    func adopt(_ identity: NodeIdentity) throws(DistributionError) {
        context = try identity.serverContext()
        self.identity = identity
    }

    /// The listener, and what is no link.
    var channels: [any Channel] { (channel.map { [$0] } ?? []) + open.values }

    // MARK: Strangers

    /// Takes a connection that was accepted, or turns it away.
    func admit(_ channel: any Channel) -> Result<Void, any Error> {
        Result {
            let address = channel.remoteAddress?.ipAddress ?? ""
            guard strangerCount < Limits.distributionStrangersMax,
                strangers[address, default: 0] < Limits.distributionStrangersPerAddressMax
            else { throw DistributionError(.unreachable, "too many connections that have not said who they are") }
            try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
            try channel.pipeline.syncOperations.addHandler(StrangerHandler(door: self, address: address))
            strangerCount += 1
            strangers[address, default: 0] += 1
            open[ObjectIdentifier(channel)] = channel
        }
    }

    /// It has said who it is, or is gone.
    func forget(_ channel: any Channel, address: String) {
        guard open.removeValue(forKey: ObjectIdentifier(channel)) != nil else { return }
        strangerCount -= 1
        let left = strangers[address, default: 1] - 1
        strangers[address] = left > 0 ? left : nil
    }

    /// Stops listening and ends whatever is no link.
    func close() {
        channel?.close(promise: nil)
        for channel in open.values { channel.close(promise: nil) }
        core = nil
    }
}

/// A connection until its handshake is done.
final class StrangerHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let door: NodeDoor
    private let address: String
    private var timeout: Scheduled<Void>?
    private var isKnown = false

    init(door: NodeDoor, address: String) {
        self.door = door
        self.address = address
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        timeout = context.eventLoop.scheduleTask(in: .milliseconds(Limits.distributionHandshakeMilliseconds)) {
            channel.close(mode: .all, promise: nil)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { leave(context) }

    private func leave(_ context: ChannelHandlerContext) {
        timeout?.cancel()
        door.forget(context.channel, address: address)
    }

    func channelInactive(context: ChannelHandlerContext) {
        leave(context)
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted(let name)? = event as? TLSUserEvent, !isKnown {
            isKnown = true
            do {
                try begin(name, context)
            } catch {
                door.log.notice(
                    "a connection is refused", metadata: ["address": "\(address)", "reason": "\(error)"])
                leave(context)
                if name == DistributionProtocol.log { sayGoodbye("\(error)", context) }
                context.close(promise: nil)
            }
        }
        context.fireUserInboundEventTriggered(event)
    }

    /// So that the other's log says why.
    private func sayGoodbye(_ text: String, _ context: ChannelHandlerContext) {
        guard let record = try? PeerRecord(.goodbye(PeerMessage.Goodbye(.violation, text))) else { return }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: record.bytes)), promise: nil)
    }

    private func begin(_ name: String?, _ context: ChannelHandlerContext) throws {
        let channel = context.channel
        switch name {
        case DistributionProtocol.log?:
            guard let core = door.core else { throw DistributionError(.stopped, "the node stops") }
            let certificate = try checkedCertificate(context)
            leave(context)
            try core.accept(channel, certificate)
        case DistributionProtocol.enrolment?:
            // It stays a stranger until it is answered, with a bound of its own.
            timeout?.cancel()
            try channel.pipeline.syncOperations.addHandler(EnrolmentConnection(door: door))
        default:
            throw DistributionError(
                .unreachable,
                "expected the protocol \(DistributionProtocol.log) or \(DistributionProtocol.enrolment) by ALPN, found "
                    + (name ?? "none"))
        }
    }

    private func checkedCertificate(_ context: ChannelHandlerContext) throws -> NodeCertificate {
        let handler = try context.pipeline.syncOperations.handler(type: NIOSSLServerHandler.self)
        guard let presented = handler.peerCertificate else {
            throw DistributionError(.identity, "the other end has no certificate: it has to join first")
        }
        // The engine checked the chain of a full handshake; here a resumed one is checked too.
        let certificate = try NodeCertificate(
            der: try presented.toDERBytes(), issuedBy: door.identity.authority, now: Date())
        guard certificate.role != .root else {
            throw DistributionError(.identity, "\(certificate.name) is a root, and a root is nobody's child")
        }
        guard door.isAdmitted(certificate.name, certificate.role) else {
            throw DistributionError(
                .identity,
                "\(certificate.role.word) \(certificate.name) is not admitted: it is revoked, or not known here (yet)")
        }
        return certificate
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // Nothing is taken from a stranger.
        if isKnown { context.fireChannelRead(data) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard !isKnown else { return context.fireErrorCaught(error) }
        door.log.info("a handshake failed", metadata: ["address": "\(address)", "reason": "\(error)"])
        context.close(promise: nil)
    }
}
