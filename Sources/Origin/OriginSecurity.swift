package import ConfigModel
import NIOCore
package import NIOSSL

/// TLS towards one origin: the context made from its configuration, and the name its certificate must carry.
package struct OriginSecurity: Sendable {
    let context: NIOSSLContext
    /// SNI and the verified name; nil for an address, which SNI cannot carry (RFC 6066, section 3).
    let serverName: String?

    /// nil for an origin in the clear.
    ///
    /// - Throws: what NIOSSL says of an unreadable CA or client certificate file.
    package init?(_ origin: ConfigModel.Origin) throws {
        guard origin.scheme == .https else { return nil }
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        configuration.certificateVerification = origin.tls.verify ? .fullVerification : .none
        if let authority = origin.tls.certificateAuthority {
            configuration.trustRoots = .file(authority)
        }
        if let client = origin.tls.clientCertificate {
            configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(client.certificate)
                .map { .certificate($0) }
            configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: client.key, format: .pem))
        }
        context = try NIOSSLContext(configuration: configuration)
        let hostHeader = origin.hostHeader.map { String($0.prefix(while: { $0 != ":" })) }
        let name = origin.tls.serverName ?? hostHeader ?? origin.host
        serverName = (try? SocketAddress(ipAddress: name, port: 0)) == nil ? name : nil
    }

    func makeHandler() throws -> NIOSSLClientHandler {
        try NIOSSLClientHandler(context: context, serverHostname: serverName)
    }
}
