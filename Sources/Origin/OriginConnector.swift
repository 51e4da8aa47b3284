import ConfigModel
import Exchange
import Glibc
import Limits
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import Telemetry

/// Makes one connection to an origin: look up, connect to each address in turn, TLS handshake, and the protocol that is
/// agreed on in it.
///
/// It holds one slot of the pool's bound from the start; the connection it makes takes the slot over, and if none is
/// made the slot goes back.
final class OriginConnector: @unchecked Sendable {
    // Unchecked: everything happens on `loop`.
    private let server: OriginServer
    private let loop: EdgeLoop
    private let acquisition: Acquisition
    private let offer: OriginOffer
    private let startedAt = MonotonicClock.nanoseconds()
    private var chosen: (any OriginConnecting)?

    init(server: OriginServer, loop: EdgeLoop, acquisition: Acquisition) {
        self.server = server
        self.loop = loop
        self.acquisition = acquisition
        offer = acquisition.offer
    }

    func connect() {
        server.addresses.candidates(on: loop.eventLoop).whenComplete { result in
            switch result {
            case .success(let addresses): self.connect(addresses[...], lastFailure: .originUnreachable)
            case .failure: self.fail(.originName)
            }
        }
    }

    private func connect(_ addresses: ArraySlice<SocketAddress>, lastFailure: Failure) {
        guard let address = addresses.first, let patience = patience(candidates: addresses.count) else {
            return fail(lastFailure)
        }
        guard let security = server.security else {
            let link: any OriginConnecting =
                offer == .http2
                ? HTTP2OriginConnection(server: server, loop: loop, offer: offer)
                : OriginConnection(server: server, loop: loop)
            return connect(to: address, patience, [link]) {
                self.ready(link)
            } failing: { failure in
                self.connect(addresses.dropFirst(), lastFailure: failure)
            }
        }
        security.context(for: offer, on: loop.eventLoop).whenComplete { result in
            guard case .success(let context) = result, let tls = try? security.makeHandler(context) else {
                return self.fail(.originHandshake)
            }
            let handshake = OriginHandshake(loop: self.loop) { self.choose($0) }
            self.connect(to: address, patience, [tls, handshake]) {
                self.await(handshake)
            } failing: { failure in
                self.connect(addresses.dropFirst(), lastFailure: failure)
            }
        }
    }

    private func connect(
        to address: SocketAddress, _ patience: Int, _ handlers: [any ChannelHandler],
        then: @escaping () -> Void, failing: @escaping (Failure) -> Void
    ) {
        let handlers = NIOLoopBound(handlers, eventLoop: loop.eventLoop)
        ClientBootstrap(group: loop.eventLoop)
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelOption(.maxMessagesPerRead, value: 1)
            .channelOption(.allowRemoteHalfClosure, value: server.security == nil)
            .channelOption(.recvAllocator, value: SharedReadAllocator(buffers: loop.readBuffers))
            .channelOption(
                .writeBufferWaterMark,
                value: .init(low: Limits.writeBufferBytesLow, high: Limits.writeBufferBytesHigh)
            )
            .connectTimeout(.milliseconds(Int64(patience)))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers(handlers.value)
                }
            }
            .connect(to: address)
            .assumeIsolated()
            .whenComplete { result in
                switch result {
                case .success: then()
                case .failure(let error): failing(Self.failure(of: error))
                }
            }
    }

    /// Milliseconds for the next address: the connect timeout is for all of them, and one that does not answer must
    /// leave time for another. nil: it is used up.
    private func patience(candidates: Int) -> Int? {
        let spent = Int(clamping: (MonotonicClock.nanoseconds() &- startedAt) / 1_000_000)
        let left = server.key.timeouts.connect - spent
        return left > 0 ? max(left / min(candidates, 3), 1) : nil
    }

    /// What speaks the protocol that was agreed on by ALPN.
    private func choose(_ negotiated: String?) -> Result<any ChannelHandler, Failure> {
        let isHTTP2 = negotiated == "h2"
        // Whoever is to speak HTTP/2 and did not agree to it does not know it.
        guard isHTTP2 || offer != .http2 else { return .failure(.originHandshake) }
        let made: any OriginConnecting =
            isHTTP2
            ? HTTP2OriginConnection(server: server, loop: loop, offer: offer)
            : OriginConnection(server: server, loop: loop)
        chosen = made
        return .success(made)
    }

    private func await(_ handshake: OriginHandshake) {
        handshake.await(milliseconds: server.key.timeouts.connect) { failure in
            if let failure { return self.fail(failure) }
            guard let chosen = self.chosen else { return self.fail(.originHandshake) }
            self.ready(chosen)
        }
    }

    private func ready(_ connection: any OriginConnecting) {
        guard connection.begin() else { return fail(.originClosedEarly) }
        loop.metrics.add(.originConnectsOK)
        loop.metrics.add(.originConnectionsNew)
        loop.metrics.adjust(.originConnectionsActive, by: 1)
        loop.metrics.observe(.originConnect, nanoseconds: MonotonicClock.nanoseconds() &- startedAt)
        acquisition.succeed(with: connection, isReused: false)
        guard offer == .either, connection is OriginConnection else { return }
        server.connectingEnded(offer)
        server.noteDialect(.http1)
    }

    private func fail(_ failure: Failure) {
        loop.metrics.add(.originConnectsFailed)
        server.connectingEnded(offer)
        server.failLine(failure)
        server.connectionEnded()
        acquisition.fail(failure)
    }

    private static func failure(of error: any Error) -> Failure {
        if let error = error as? IOError {
            switch error.errnoCode {
            case ECONNREFUSED, ECONNRESET: return .originRefused
            case ETIMEDOUT: return .originConnectTimeout
            // Ours, not the origin's: it must not be ejected for it.
            case EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL: return .outOfResources
            default: return .originUnreachable
            }
        }
        if case .connectTimeout = error as? ChannelError { return .originConnectTimeout }
        if error is NIOSSLError || error is BoringSSLError { return .originHandshake }
        return .originUnreachable
    }
}

/// What a connector makes: a connection of one protocol or the other.
protocol OriginConnecting: OriginSeat, ChannelHandler {
    /// The connection is made, and belongs to who asked for it. False: it is already gone.
    func begin() -> Bool
}

extension OriginConnection: OriginConnecting {}
extension HTTP2OriginConnection: OriginConnecting {}
