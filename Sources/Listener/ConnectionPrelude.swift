import Certificates
import ConfigModel
import ConnectionWire
import Exchange
import HTTPWire
import Limits
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import Pipeline
import Telemetry

/// What precedes HTTP on a connection: a PROXY protocol header from a trusted peer, then a TLS ClientHello, or in the
/// clear the first bytes, where they decide between the versions of HTTP.
///
/// All are read raw. The ClientHello decides which zone's certificate is given and yields the fingerprints; then
/// NIOSSL gets the very same bytes. When its work is done, the handler has put its successors into the pipeline, hands
/// them what it read, and is gone: an established connection pays nothing for its prelude.
final class ConnectionPrelude: Deadlined, ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let listener: ListenerLoop
    private let setup: ConnectionSetup
    private var peer: IPAddress
    private let acceptedAt = MonotonicClock.nanoseconds()
    private var inbound = ByteBuffer()
    private var hello = ClientHelloParser()
    private var context: ChannelHandlerContext?
    private var stage: Stage
    private var hasHandedOver = false

    fileprivate enum Stage { case proxyHeader, clientHello, preface, waiting, done }

    init(listener: ListenerLoop, setup: ConnectionSetup, peer: IPAddress) {
        self.listener = listener
        self.setup = setup
        self.peer = peer
        self.stage = setup.expectsProxyHeader ? .proxyHeader : setup.stageOfHTTP
        super.init()
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        listener.loop.deadlines.register(self)
        listener.loop.deadlines.set(
            self, milliseconds: listener.desk.serving.configuration.timeouts.handshake)
        if setup.expectsProxyHeader, !listener.desk.serving.isTrusted(peer) {
            refuse(context, "a PROXY protocol header is expected on this address, and the peer is no trusted proxy")
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        listener.loop.deadlines.release(self)
        if !hasHandedOver { listener.desk.connectionEnded?() }
        self.context = nil
    }

    override func deadlinePassed() {
        // In the clear there is no handshake that could fail.
        if stage == .clientHello || stage == .waiting { listener.loop.metrics.tlsHandshake(.failed, version: .unknown) }
        context?.close(promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        listener.loop.metrics.add(.clientBytesIn, bytes.readableBytes)
        guard stage != .done else { return }
        guard inbound.readableBytes <= Limits.pipelineBytesMax else { return context.close(promise: nil) }
        inbound.writeBuffer(&bytes)
        advance(context)
    }

    /// Half a hello, or half a header, that will never be whole.
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    private func advance(_ context: ChannelHandlerContext) {
        if stage == .proxyHeader { readProxyHeader(context) }
        if stage == .clientHello { readClientHello(context) }
        if stage == .preface { readPreface(context) }
    }

    // MARK: PROXY protocol

    private func readProxyHeader(_ context: ChannelHandlerContext) {
        do {
            let progress = try inbound.withBytes { bytes throws(ProxyProtocolError) in
                try ProxyProtocolParser.parse(bytes)
            }
            guard case .complete(let header) = progress else { return }
            inbound.moveReaderIndex(forwardBy: header.byteCount)
            if let relay = header.relay { peer = IPAddress(high: relay.source.high, low: relay.source.low) }
        } catch {
            return refuse(context, "\(error)")
        }
        stage = setup.stageOfHTTP
        if stage == .done {
            handOver(context, HTTP1Connection(desk: listener.desk, peer: peer, tls: nil, isSecure: false))
        }
    }

    /// Says so in the log and closes: an answer would go to whoever pretends to be the proxy.
    private func refuse(_ context: ChannelHandlerContext, _ reason: String) {
        listener.loop.metrics.failure(.badRequest)
        listener.desk.log.info("connection refused", metadata: ["reason": "\(reason)"])
        stage = .done
        context.close(promise: nil)
    }

    // MARK: Prior knowledge

    /// Whether the client begins with HTTP/2's preface (RFC 9113, section 3.3). No request of HTTP/1.1 begins so.
    private func readPreface(_ context: ChannelHandlerContext) {
        let isPreface = inbound.withBytes { HTTP2Preface.begins($0) }
        guard let isPreface else { return }
        if isPreface {
            handOver(context, HTTP2Connection(listener: listener, peer: peer, tls: nil, isSecure: false))
        } else {
            handOver(context, HTTP1Connection(desk: listener.desk, peer: peer, tls: nil, isSecure: false))
        }
    }

    // MARK: TLS

    private func readClientHello(_ context: ChannelHandlerContext) {
        guard inbound.readableBytes > 0 else { return }
        do {
            let progress = try inbound.withBytes { bytes throws(ClientHelloError) in try hello.parse(bytes) }
            guard case .complete(let found) = progress else { return }
            beginTLS(context, found)
        } catch {
            reject(context, error)
        }
    }

    private func reject(_ context: ChannelHandlerContext, _ error: ClientHelloError) {
        stage = .done
        listener.loop.metrics.tlsHandshake(.failed, version: .unknown)
        if case .plainHTTP = error {
            let text = "This port speaks HTTPS, and the request came as plain HTTP.\n"
            answer(
                context,
                ByteBuffer(
                    string: "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n"
                        + "Content-Length: \(text.utf8.count)\r\n\r\n\(text)"))
        } else if let alert = error.alert {
            answer(context, ByteBuffer(bytes: alert.record))
        } else {
            context.close(promise: nil)
        }
    }

    private func answer(_ context: ChannelHandlerContext, _ bytes: ByteBuffer) {
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        context.close(mode: .output, promise: nil)
        listener.loop.deadlines.set(self, milliseconds: Limits.lingerMilliseconds)
    }

    /// A certificate that a handshake may be given.
    private enum Certificate: Sendable {
        case configured(CertificateStore, zone: Int)
        case followed(CertificateChoice)

        /// If it takes no work.
        var ready: NIOSSLContext? {
            switch self {
            case .configured(let store, let zone): store.readyContext(forZone: zone)
            case .followed(let choice): choice.ready
            }
        }

        /// Blocks on the disk.
        func make() throws -> NIOSSLContext {
            switch self {
            case .configured(let store, let zone): try store.context(forZone: zone)
            case .followed(let choice): try choice.make()
            }
        }
    }

    private func beginTLS(_ context: ChannelHandlerContext, _ hello: ClientHello) {
        stage = .waiting
        guard let (certificate, zone) = certificate(for: hello) else { return reject(context, .notTLS) }
        let facts = facts(of: hello, namedZone: zone)
        if let ready = certificate.ready {
            return secure(context, facts, ready)
        }
        makeContext(context, certificate, facts)
    }

    /// The certificate to give, and the zone that the client has named, if it named one.
    private func certificate(for hello: ClientHello) -> (Certificate, zone: String?)? {
        let serving = listener.desk.serving
        if let followed = serving.followed { return certificate(for: hello, followed) }
        let named = inbound.withBytes { bytes in
            hello.withServerName(in: bytes) { serving.zoneIndex(forHost: $0) } ?? nil
        }
        guard let certificates = listener.certificates, let zone = named ?? certificates.fallbackZone else {
            return nil
        }
        return (.configured(certificates, zone: zone), zone: named.map { serving.zones[$0].name })
    }

    private func certificate(for hello: ClientHello, _ followed: FollowedZones) -> (Certificate, zone: String?)? {
        guard let shelf = followed.certificates, let hosts = listener.desk.followedHosts else { return nil }
        let found = inbound.withBytes { bytes in
            hello.withServerName(in: bytes) { name -> (Certificate, zone: String?)? in
                guard let zone = hosts.zone(forHost: name), zone.served(forHost: name, isSecure: true) != nil else {
                    return nil
                }
                return (.followed(zone.certificate(forHost: name) ?? shelf.fallback), zone: zone.name)
            } ?? nil
        }
        return found ?? (.followed(shelf.fallback), zone: nil)
    }

    /// The first handshake of a zone may have to make its certificate: not on this thread.
    private func makeContext(_ context: ChannelHandlerContext, _ certificate: Certificate, _ facts: TLSFacts) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        NIOThreadPool.singleton.runIfActive(eventLoop: context.eventLoop) {
            try certificate.make()
        }.whenComplete { result in
            let (prelude, context) = bound.value
            guard prelude.context != nil else { return }
            switch result {
            case .success(let made):
                prelude.secure(context, facts, made)
            case .failure(let error):
                prelude.listener.desk.log.error("no certificate for a handshake", metadata: ["reason": "\(error)"])
                prelude.stage = .done
                prelude.answer(context, ByteBuffer(bytes: TLSAlert.internalError.record))
            }
        }
    }

    private func facts(of hello: ClientHello, namedZone: String?) -> TLSFacts {
        guard listener.loop.accessLog != nil else { return TLSFacts(zoneName: namedZone, ja4: [], ja3: []) }
        let summary = inbound.withBytes { hello.summary(in: $0) }
        return TLSFacts(zoneName: namedZone, ja4: Array(summary.ja4.utf8), ja3: Array(summary.ja3.utf8))
    }

    // MARK: The end of the prelude

    private func secure(_ context: ChannelHandlerContext, _ tls: TLSFacts, _ secured: NIOSSLContext) {
        let handshake = SecureHandshake(listener: listener, peer: peer, tls: tls, acceptedAt: acceptedAt)
        handOver(context, handshake, behind: NIOSSLServerHandler(context: secured))
    }

    /// Gives the connection, and every byte read, to its successor.
    private func handOver(
        _ context: ChannelHandlerContext, _ successor: any ChannelHandler, behind security: NIOSSLServerHandler? = nil
    ) {
        stage = .done
        let pipeline = context.pipeline.syncOperations
        do {
            try pipeline.addHandler(successor, position: .after(self))
            hasHandedOver = true
            if let security { try pipeline.addHandler(security, position: .after(self)) }
        } catch {
            context.close(promise: nil)
            return
        }
        let bytes = inbound
        inbound = ByteBuffer()
        if bytes.readableBytes > 0 {
            context.fireChannelRead(wrapInboundOut(bytes))
            context.fireChannelReadComplete()
        }
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }
}

extension ConnectionSetup {
    /// What comes next once the PROXY protocol header, if any, is read.
    fileprivate var stageOfHTTP: ConnectionPrelude.Stage {
        if isSecure { return .clientHello }
        return acceptsHTTP2 ? .preface : .done
    }
}
