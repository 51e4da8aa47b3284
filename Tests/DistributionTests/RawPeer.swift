import ConfigLog
import Crypto
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import Synchronization
import Testing

@testable import Distribution

/// A client that says whatever a test wants, and remembers what it hears.
final class RawPeer: Sendable {
    let channel: any Channel
    private let heard: Heard

    final class Heard: Sendable {
        struct State {
            var bytes: [UInt8] = []
            var isClosed = false
            var isReady = false
            var error: String?
        }
        let state = Mutex(State())
    }

    private final class Ear: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        let heard: Heard
        init(_ heard: Heard) { self.heard = heard }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = Array(unwrapInboundIn(data).readableBytesView)
            heard.state.withLock { $0.bytes += bytes }
        }
        func channelInactive(context: ChannelHandlerContext) { heard.state.withLock { $0.isClosed = true } }
        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if event is TLSUserEvent { heard.state.withLock { $0.isReady = true } }
        }
        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            heard.state.withLock { $0.error = "\(error)" }
            context.close(promise: nil)
        }
    }

    /// - Parameters:
    ///   - alpn: Nil: bare TCP.
    ///   - identity: Whose certificate is shown; nil: none.
    ///   - reads: False: whatever comes is left in the sockets.
    init(
        _ address: PeerAddress, alpn: String?, identity: NodeIdentity? = nil, reads: Bool = true
    ) async throws {
        let heard = Heard()
        let context = try alpn.map { try Self.context($0, identity) }
        channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let context {
                        try channel.pipeline.syncOperations.addHandler(
                            NIOSSLClientHandler(context: context, serverHostname: nil))
                    }
                    try channel.pipeline.syncOperations.addHandler(Ear(heard))
                }
            }
            .connect(host: address.host, port: address.port).get()
        self.heard = heard
        if !reads { try await channel.setOption(.autoRead, value: false).get() }
    }

    private static func context(_ alpn: String, _ identity: NodeIdentity?) throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .none
        configuration.applicationProtocols = [alpn]
        configuration.shutdownTimeout = .milliseconds(100)
        if let identity {
            configuration.certificateChain = [
                .certificate(try NIOSSLCertificate(bytes: identity.certificateDER, format: .der))
            ]
            configuration.privateKey = .privateKey(
                try NIOSSLPrivateKey(bytes: Array(identity.key.derRepresentation), format: .der))
        }
        return try NIOSSLContext(configuration: configuration)
    }

    /// Reads as much as the handshake takes, for a peer that otherwise does not read.
    func handshake() async throws {
        for _ in 0..<20 {
            try await channel.eventLoop.submit { [channel] in channel.read() }.get()
            try await Task.sleep(for: .milliseconds(10))
            if heard.state.withLock({ $0.isReady }) { return }
        }
    }

    func say(_ bytes: [UInt8]) async throws { try await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get() }
    func say(_ message: PeerMessage) async throws { try await say(PeerRecord(message).bytes) }

    var bytes: [UInt8] { heard.state.withLock { $0.bytes } }
    var isClosed: Bool { heard.state.withLock { $0.isClosed || $0.error != nil } }

    /// What was heard of the log's protocol.
    func messages() throws -> [PeerMessage] {
        var reader = RecordReader(accepting: Set(PeerMessage.Kind.allCases))
        reader.append(bytes)
        var messages: [PeerMessage] = []
        while let message = try reader.next() { messages.append(message) }
        return messages
    }

    var goodbye: PeerMessage.Goodbye? {
        for case .goodbye(let goodbye) in (try? messages()) ?? [] { return goodbye }
        return nil
    }

    func close() async { try? await channel.close() }
}

/// A stretch of wire between two nodes that can be cut in the middle.
final class Wire: Sendable {
    private struct State {
        var ends: [any Channel] = []
        var passed = 0
        var cutAfter: Int?
        var swallows = false
        var isCut = false
    }

    private final class End: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        let wire: Wire
        let isServer: Bool
        var other: (any Channel)?
        init(_ wire: Wire, isServer: Bool, other: (any Channel)?) {
            self.wire = wire
            self.isServer = isServer
            self.other = other
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let buffer = unwrapInboundIn(data)
            guard let part = wire.pass(buffer, toClient: isServer) else { return }
            other?.writeAndFlush(part, promise: nil)
        }
        func channelInactive(context: ChannelHandlerContext) { other?.close(promise: nil) }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    private let state = Mutex(State())
    private let listener: Mutex<(any Channel)?> = Mutex(nil)

    /// - Parameters:
    ///   - cutAfter: Bytes to the client after which both ends are cut off, once.
    ///   - swallows: What the server says never arrives.
    init(to target: PeerAddress, cutAfter: Int? = nil, swallows: Bool = false) async throws {
        state.withLock { ($0.cutAfter, $0.swallows) = (cutAfter, swallows) }
        let group = MultiThreadedEventLoopGroup.singleton
        let channel = try await ServerBootstrap(group: group)
            .childChannelInitializer { [self] client in
                client.setOption(.autoRead, value: false).flatMap {
                    ClientBootstrap(group: client.eventLoop)
                        .channelInitializer { server in
                            server.eventLoop.makeCompletedFuture {
                                try server.pipeline.syncOperations.addHandler(
                                    End(self, isServer: true, other: client))
                            }
                        }
                        .connect(host: target.host, port: target.port)
                }.flatMapThrowing { server in
                    try client.pipeline.syncOperations.addHandler(End(self, isServer: false, other: server))
                    self.state.withLock { $0.ends += [client, server] }
                }.flatMap { client.setOption(.autoRead, value: true) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        listener.withLock { $0 = channel }
    }

    var address: PeerAddress {
        get throws {
            let port = listener.withLock { $0?.localAddress?.port }
            return PeerAddress(host: "127.0.0.1", port: try #require(port))
        }
    }

    var isCut: Bool { state.withLock { $0.isCut } }

    /// Nil: it goes nowhere.
    private func pass(_ buffer: ByteBuffer, toClient: Bool) -> ByteBuffer? {
        var buffer = buffer
        let (part, ends) = state.withLock { state -> (ByteBuffer?, [any Channel]) in
            guard toClient else { return (buffer, []) }
            if state.swallows { return (nil, []) }
            state.passed += buffer.readableBytes
            guard let cutAfter = state.cutAfter, state.passed > cutAfter else { return (buffer, []) }
            state.cutAfter = nil
            state.isCut = true
            return (buffer.readSlice(length: max(0, buffer.readableBytes - (state.passed - cutAfter))), state.ends)
        }
        for end in ends { end.close(promise: nil) }
        return part
    }

    /// From now on the server's words are heard, or not.
    func swallow(_ swallows: Bool) { state.withLock { $0.swallows = swallows } }

    func cutNow() {
        let ends = state.withLock { state in
            state.isCut = true
            defer { state.ends = [] }
            return state.ends
        }
        for end in ends { end.close(promise: nil) }
    }

    func close() async {
        cutNow()
        try? await listener.withLock { $0 }?.close()
    }
}
