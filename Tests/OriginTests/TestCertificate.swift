// A certificate for the tests' own origins: nobody verifies it.

import Foundation
import NIOSSL

enum TestCertificate {
    private static let made = Result { try make() }

    /// A server's context that knows these protocols by ALPN.
    static func context(protocols: [String]) throws -> NIOSSLContext {
        let (certificate, key) = try made.get()
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: [.certificate(certificate)], privateKey: .privateKey(key))
        configuration.applicationProtocols = protocols
        return try NIOSSLContext(configuration: configuration)
    }

    private static func make() throws -> (NIOSSLCertificate, NIOSSLPrivateKey) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments =
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
            + ["-subj", "/CN=localhost", "-days", "2", "-keyout", "-", "-out", "-"]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        let pem = Array(try output.fileHandleForReading.readToEnd() ?? Data())
        process.waitUntilExit()
        return (try NIOSSLCertificate(bytes: pem, format: .pem), try NIOSSLPrivateKey(bytes: pem, format: .pem))
    }
}
