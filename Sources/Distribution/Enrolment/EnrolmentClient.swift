import ConfigLog
import Crypto
import FoundationEssentials
import Limits
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import SwiftASN1
import X509

/// Asks one parent for a certificate.
enum EnrolmentClient {
    /// Whom the asking node believes.
    enum Trust: Sendable {
        /// Whose chain ends in the authority with this digest: the node has nothing else yet.
        case digest([UInt8])
        /// Whose certificate the own authority issued.
        case identity(NodeIdentity)
    }

    /// - Throws: `identity` if it is not of this installation; `unreachable` for all else, also for an answer that cannot
    ///   be read.
    static func ask(
        _ question: EnrolmentQuestion, _ address: PeerAddress, trust: Trust, group: any EventLoopGroup
    ) async throws(DistributionError) -> EnrolmentReply {
        do {
            let reply = try await exchange(question.bytes, address, trust, group)
            if case .issued(_, let authority) = reply, case .digest(let digest) = trust,
                FleetAuthority.digest(ofCertificate: authority) != digest
            {
                throw DistributionError(.identity, "the answer came with another authority than the token's")
            }
            return reply
        } catch {
            let isStranger = (error as? DistributionError)?.kind == .identity || isDistrust(error)
            throw DistributionError(isStranger ? .identity : .unreachable, "\(address): \(reason(error))")
        }
    }

    /// Whether the engine did not believe the other's certificate.
    private static func isDistrust(_ error: any Error) -> Bool {
        guard case .handshakeFailed(let cause)? = error as? NIOSSLError else { return false }
        return "\(cause)".contains("CERTIFICATE_VERIFY_FAILED")
    }

    private static func exchange(
        _ bytes: [UInt8], _ address: PeerAddress, _ trust: Trust, _ group: any EventLoopGroup
    ) async throws -> EnrolmentReply {
        let loop = group.next()
        let promise = loop.makePromise(of: EnrolmentReply.self)
        let context = try context(trust)
        let deadline = TimeAmount.milliseconds(
            Limits.distributionHandshakeMilliseconds + Limits.enrolmentMilliseconds)
        let bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(.milliseconds(Limits.distributionHandshakeMilliseconds))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(try tls(context, trust))
                    try channel.pipeline.syncOperations.addHandler(
                        QuestionHandler(bytes, trust: trust, deadline: deadline, promise))
                }
            }
        bootstrap.connect(host: address.host, port: address.port).whenFailure { promise.fail($0) }
        return try await promise.futureResult.get()
    }

    private static func context(_ trust: Trust) throws -> NIOSSLContext {
        switch trust {
        case .identity(let identity): return try identity.clientContext(DistributionProtocol.enrolment)
        case .digest:
            var configuration = TLSConfiguration.makeClientConfiguration()
            configuration.minimumTLSVersion = .tlsv13
            // Names of hosts do not count; the callback below checks the chain in place of the engine.
            configuration.certificateVerification = .noHostnameVerification
            configuration.applicationProtocols = [DistributionProtocol.enrolment]
            return try NIOSSLContext(configuration: configuration)
        }
    }

    private static func tls(_ context: NIOSSLContext, _ trust: Trust) throws -> NIOSSLClientHandler {
        guard case .digest(let digest) = trust else {
            return try NIOSSLClientHandler(context: context, serverHostname: nil)
        }
        return try NIOSSLClientHandler(context: context, serverHostname: nil) { chain, promise in
            promise.succeed(isTrusted(chain, digest) ? .certificateVerified : .failed)
        }
    }

    /// Whether the first certificate is a parent's, issued by the one with this digest.
    private static func isTrusted(_ chain: [NIOSSLCertificate], _ digest: [UInt8]) -> Bool {
        guard let first = try? chain.first?.toDERBytes() else { return false }
        for certificate in chain.prefix(4) {
            guard let der = try? certificate.toDERBytes(), FleetAuthority.digest(ofCertificate: der) == digest,
                let authority = try? Certificate(derEncoded: der),
                let server = try? NodeCertificate(der: first, issuedBy: authority, now: Date())
            else { continue }
            return server.role != .leaf
        }
        return false
    }

    /// In words that say what to do.
    static func reason(_ error: any Error) -> String {
        switch error {
        case let error as DistributionError: return error.description
        case let error as NIOSSLError:
            if case .handshakeFailed(let cause) = error {
                return isDistrust(error)
                    ? "it is not of this installation: its certificate was not issued by the authority that is trusted here"
                    : "the TLS handshake failed: \(cause)"
            }
            return "\(error)"
        case let error as NIOConnectionError:
            guard error.connectionErrors.isEmpty else {
                return error.connectionErrors.map { "\($0.target): \($0.error)" }.joined(separator: "; ")
            }
            return "the name `\(error.host)` cannot be looked up"
        default: return "\(error)"
        }
    }
}

/// Sends the question once the handshake is done, and takes the answer.
private final class QuestionHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let question: [UInt8]
    private let trust: EnrolmentClient.Trust
    private let deadline: TimeAmount
    private var promise: EventLoopPromise<EnrolmentReply>?
    private var reader = EnrolmentReader()
    private var timeout: Scheduled<Void>?

    init(
        _ question: [UInt8], trust: EnrolmentClient.Trust, deadline: TimeAmount,
        _ promise: EventLoopPromise<EnrolmentReply>
    ) {
        self.question = question
        self.trust = trust
        self.deadline = deadline
        self.promise = promise
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timeout = context.eventLoop.scheduleTask(in: deadline) {
            let (handler, context) = bound.value
            handler.fail("no answer came in time", context)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timeout?.cancel()
        promise?.fail(DistributionError(.unreachable, "the connection ended without an answer"))
        promise = nil
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted(let name)? = event as? TLSUserEvent {
            do {
                guard name == DistributionProtocol.enrolment else {
                    throw DistributionError(.unreachable, "the server is no Martlet that enrols nodes")
                }
                try check(context)
                context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: question)), promise: nil)
            } catch {
                fail(error, context)
            }
        }
        context.fireUserInboundEventTriggered(event)
    }

    /// The engine checked the chain; only a parent's certificate will do.
    private func check(_ context: ChannelHandlerContext) throws {
        guard case .identity(let identity) = trust else { return }
        let handler = try context.pipeline.syncOperations.handler(type: NIOSSLClientHandler.self)
        let der = try handler.peerCertificate?.toDERBytes() ?? []
        let server = try NodeCertificate(der: der, issuedBy: identity.authority, now: Date())
        guard server.role != .leaf else {
            throw DistributionError(.identity, "\(server.name) is an edge, and edges enrol nobody")
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard promise != nil else { return }
        do {
            guard let body = try reader.append(unwrapInboundIn(data).readableBytesView) else { return }
            let reply = try EnrolmentReply(decoding: body)
            promise?.succeed(reply)
            promise = nil
            context.close(promise: nil)
        } catch {
            fail("the answer cannot be read: \(error.text)", context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { fail(error, context) }

    private func fail(_ text: String, _ context: ChannelHandlerContext) {
        fail(DistributionError(.unreachable, text), context)
    }

    private func fail(_ error: any Error, _ context: ChannelHandlerContext) {
        promise?.fail(error)
        promise = nil
        context.close(promise: nil)
    }
}
