import NIOCore
import NIOSSL

/// The versions of TLS that a zone's clients may speak.
package enum TLSVersions: Sendable, Hashable {
    case both
    case only12
    case only13
}

/// How Martlet speaks TLS to clients: the one place where versions, suites and groups are chosen.
enum ServerTLS {
    /// TLS 1.2 suites: forward secrecy and an AEAD, or nothing. Among them the client's order decides: a phone without
    /// AES instructions asks for ChaCha20 first. TLS 1.3's suites are all three that the engine knows.
    private static let cipherSuites = [
        "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
    ].joined(separator: ":")

    /// A context for one certificate.
    ///
    /// Sessions resume by tickets (RFC 8446, section 4.6.1; RFC 5077): the state is the client's to keep. The engine
    /// makes a ticket key for each context and replaces it every two days, keeping the one before for as long again; a
    /// key lives as long as its context, which is why reloading keeps contexts. Only a TLS 1.2 client that takes no
    /// tickets gets an entry in the engine's own cache, which holds at most 20,480 of them in a context, for two hours.
    ///
    /// - Parameter offersHTTP2: whether ALPN (RFC 7301) offers `h2` before `http/1.1`. A client without ALPN speaks
    ///   HTTP/1.1.
    static func context(
        _ certificate: LoadedCertificate, offersHTTP2: Bool, versions: TLSVersions = .both
    ) throws(CertificateError) -> NIOSSLContext {
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: certificate.chain.map { .certificate($0) }, privateKey: .privateKey(certificate.key)
        )
        configuration.minimumTLSVersion = versions == .only13 ? .tlsv13 : .tlsv12
        if versions == .only12 { configuration.maximumTLSVersion = .tlsv12 }
        configuration.cipherSuites = cipherSuites
        configuration.curves = [.x25519_MLKEM768, .x25519, .secp256r1, .secp384r1]
        configuration.applicationProtocols = offersHTTP2 ? ["h2", "http/1.1"] : ["http/1.1"]
        // How long we wait for the answer to our close_notify; clients that do not send one are the rule.
        configuration.shutdownTimeout = .seconds(1)
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw CertificateError(.engine, "the TLS engine refuses the certificate: \(error)")
        }
    }
}
