package import ConfigLog
import Crypto
package import FoundationEssentials
import Limits
import NIOCore
import NIOSSL
import SwiftASN1
import X509

/// What a node shows to others, and knows them by: its key, its certificate, and the installation's authority.
package struct NodeIdentity: Sendable {
    let key: P256.Signing.PrivateKey
    let certificate: NodeCertificate
    package let authorityDER: [UInt8]
    let authority: Certificate

    package var name: NodeName { certificate.name }
    package var role: NodeRole { certificate.role }
    /// Hexadecimal, lower case.
    package var serial: String { certificate.serial }
    package var notBefore: Date { certificate.notBefore }
    package var notAfter: Date { certificate.notAfter }
    package var certificateDER: [UInt8] { certificate.der }

    /// - Throws: `identity` unless the three belong together and are valid now.
    init(
        key: P256.Signing.PrivateKey, certificateDER: [UInt8], authorityDER: [UInt8], now: Date
    ) throws(DistributionError) {
        guard authorityDER.count <= Limits.enrolmentCertificateBytesMax,
            let authority = try? Certificate(derEncoded: authorityDER)
        else { throw DistributionError(.identity, "the authority's certificate cannot be read") }
        let certificate = try NodeCertificate(der: certificateDER, issuedBy: authority, now: now)
        guard Certificate.PrivateKey(key).publicKey == certificate.certificate.publicKey else {
            throw DistributionError(.identity, "the certificate of \(certificate.name) is for another key")
        }
        self.key = key
        self.certificate = certificate
        self.authorityDER = authorityDER
        self.authority = authority
    }

    /// The moment from which it is to be renewed: when a third of its life is left.
    var renewal: Date { notAfter.addingTimeInterval(-notAfter.timeIntervalSince(notBefore) / 3) }
}

// MARK: TLS

/// The two protocols of the one port, by ALPN (RFC 7301).
enum DistributionProtocol {
    /// Frames and acknowledgements, between nodes that both have certificates.
    static let log = "martlet-log/1"
    /// One question and one answer, of a node that has none, or renews it.
    static let enrolment = "martlet-enrol/1"
}

extension NodeIdentity {
    private func chain() throws -> [NIOSSLCertificateSource] {
        [
            .certificate(try NIOSSLCertificate(bytes: certificateDER, format: .der)),
            .certificate(try NIOSSLCertificate(bytes: authorityDER, format: .der)),
        ]
    }

    private func privateKey() throws -> NIOSSLPrivateKeySource {
        .privateKey(try NIOSSLPrivateKey(bytes: Array(key.derRepresentation), format: .der))
    }

    /// For the listener. A client may come without a certificate, but then only to enrol.
    ///
    /// The whole chain is sent: who joins knows the authority by nothing but its digest.
    /// - Throws: `identity`.
    func serverContext() throws(DistributionError) -> NIOSSLContext {
        do {
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: try chain(), privateKey: try privateKey())
            configuration.minimumTLSVersion = .tlsv13
            configuration.certificateVerification = .optionalVerification
            configuration.trustRoots = .certificates([try NIOSSLCertificate(bytes: authorityDER, format: .der)])
            configuration.applicationProtocols = [DistributionProtocol.log, DistributionProtocol.enrolment]
            configuration.shutdownTimeout = .milliseconds(Limits.distributionLingerMilliseconds)
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw DistributionError(.identity, "the TLS engine refuses the certificate of \(name): \(error)")
        }
    }

    /// For a connection to a parent. Names of hosts do not count: a node is known by its certificate's role.
    ///
    /// - Throws: `identity`.
    func clientContext(_ alpn: String) throws(DistributionError) -> NIOSSLContext {
        do {
            var configuration = TLSConfiguration.makeClientConfiguration()
            configuration.minimumTLSVersion = .tlsv13
            if alpn == DistributionProtocol.log {
                configuration.certificateChain = try chain()
                configuration.privateKey = try privateKey()
            }
            configuration.certificateVerification = .noHostnameVerification
            configuration.trustRoots = .certificates([try NIOSSLCertificate(bytes: authorityDER, format: .der)])
            configuration.applicationProtocols = [alpn]
            configuration.shutdownTimeout = .milliseconds(Limits.distributionLingerMilliseconds)
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw DistributionError(.identity, "the TLS engine refuses the certificate of \(name): \(error)")
        }
    }
}
