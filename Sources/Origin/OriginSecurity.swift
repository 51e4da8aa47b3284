package import ConfigModel
import Glibc
import Limits
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
package import NIOSSL

/// TLS towards one origin: the contexts made from its configuration, and the name its certificate must carry.
package final class OriginSecurity: Sendable {
    /// SNI and the verified name; nil for an address, which SNI cannot carry (RFC 6066, section 3).
    let serverName: String?

    private let origin: ConfigModel.Origin
    /// Offers what most requests are to use.
    private let context: NIOSSLContext
    private let offer: OriginOffer
    /// Offers HTTP/1.1 alone, beside one that offers both; made for the first request that asks to switch protocols.
    private let http1Context = NIOLockedValueBox<NIOSSLContext?>(nil)

    /// nil for an origin in the clear.
    ///
    /// - Throws: what NIOSSL says of an unreadable CA or client certificate file.
    package init?(_ origin: ConfigModel.Origin) throws {
        guard origin.scheme == .https else { return nil }
        self.origin = origin
        offer = OriginOffer(origin, mayUpgrade: false)
        context = try Self.makeContext(origin, offer)
        let hostHeader = origin.hostHeader.map { String($0.prefix(while: { $0 != ":" })) }
        let name = origin.tls.serverName ?? hostHeader ?? origin.host
        serverName = (try? SocketAddress(ipAddress: name, port: 0)) == nil ? name : nil
    }

    private static func makeContext(_ origin: ConfigModel.Origin, _ offer: OriginOffer) throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = offer.protocols
        configuration.certificateVerification = origin.tls.verify ? .fullVerification : .none
        if let authority = origin.tls.certificateAuthority {
            try requireRegular(authority)
            configuration.trustRoots = .file(authority)
        }
        if let client = origin.tls.clientCertificate {
            try requireRegular(client.certificate)
            try requireRegular(client.key)
            configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(client.certificate)
                .map { .certificate($0) }
            configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: client.key, format: .pem))
        }
        return try NIOSSLContext(configuration: configuration)
    }

    /// What is read may be named by who does not own this machine: a device or a pipe would keep the thread for ever.
    private static func requireRegular(_ path: String) throws {
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw UnusableFile(description: "\(path): \(String(cString: strerror(errno)))")
        }
        guard status.st_mode & S_IFMT == S_IFREG, status.st_size <= Limits.certificateFileBytesMax else {
            throw UnusableFile(
                description: "\(path): expected a regular file of at most \(Limits.certificateFileBytesMax) bytes")
        }
    }

    private struct UnusableFile: Error, CustomStringConvertible { let description: String }

    /// The context for an offer; at once, but for the first time that HTTP/1.1 alone is offered where both usually are:
    /// the files are then read on another thread.
    func context(for offer: OriginOffer, on eventLoop: any EventLoop) -> EventLoopFuture<NIOSSLContext> {
        if offer == self.offer || offer != .http1 { return eventLoop.makeSucceededFuture(context) }
        if let known = http1Context.withLockedValue({ $0 }) { return eventLoop.makeSucceededFuture(known) }
        return NIOThreadPool.singleton.runIfActive(eventLoop: eventLoop) {
            let made = try Self.makeContext(self.origin, .http1)
            // Who comes second gets what the first has made.
            return self.http1Context.withLockedValue { known in
                let context = known ?? made
                known = context
                return context
            }
        }
    }

    func makeHandler(_ context: NIOSSLContext) throws -> NIOSSLClientHandler {
        try NIOSSLClientHandler(context: context, serverHostname: serverName)
    }
}
