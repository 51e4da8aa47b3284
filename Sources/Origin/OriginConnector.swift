import ConfigModel
import Exchange
import Glibc
import Limits
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import Telemetry

/// Makes one connection to an origin: look up, connect to each address in turn, TLS handshake.
///
/// It holds one slot of the pool's bound from the start; the connection it makes takes the slot over, and if none is
/// made the slot goes back.
final class OriginConnector: @unchecked Sendable {
    // Unchecked: everything happens on `loop`.
    private let server: OriginServer
    private let loop: EdgeLoop
    private let acquisition: Acquisition
    private let startedAt = MonotonicClock.nanoseconds()

    init(server: OriginServer, loop: EdgeLoop, acquisition: Acquisition) {
        self.server = server
        self.loop = loop
        self.acquisition = acquisition
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
        let connection = OriginConnection(server: server, loop: loop)
        let security = server.security
        ClientBootstrap(group: loop.eventLoop)
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelOption(.maxMessagesPerRead, value: 1)
            .channelOption(.allowRemoteHalfClosure, value: security == nil)
            .channelOption(.recvAllocator, value: SharedReadAllocator(buffers: loop.readBuffers))
            .channelOption(
                .writeBufferWaterMark,
                value: .init(low: Limits.writeBufferBytesLow, high: Limits.writeBufferBytesHigh)
            )
            .connectTimeout(.milliseconds(Int64(patience)))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let security { try channel.pipeline.syncOperations.addHandler(security.makeHandler()) }
                    try channel.pipeline.syncOperations.addHandler(connection)
                }
            }
            .connect(to: address)
            .whenComplete { result in
                switch result {
                case .success: self.connected(connection)
                case .failure(let error): self.connect(addresses.dropFirst(), lastFailure: Self.failure(of: error))
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

    private func connected(_ connection: OriginConnection) {
        guard server.security != nil else { return ready(connection) }
        connection.awaitHandshake(milliseconds: server.key.timeouts.connect) { failure in
            if let failure { self.fail(failure) } else { self.ready(connection) }
        }
    }

    private func ready(_ connection: OriginConnection) {
        guard connection.begin() else { return fail(.originClosedEarly) }
        loop.metrics.add(.originConnectsOK)
        loop.metrics.add(.originConnectionsNew)
        loop.metrics.adjust(.originConnectionsActive, by: 1)
        loop.metrics.observe(.originConnect, nanoseconds: MonotonicClock.nanoseconds() &- startedAt)
        acquisition.succeed(with: connection)
    }

    private func fail(_ failure: Failure) {
        loop.metrics.add(.originConnectsFailed)
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
