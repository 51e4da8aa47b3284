import Foundation

/// Certificates for a journey, made by the `openssl` command in the stage's directory.
extension Stage {
    /// File names of a certificate and its key.
    struct Identity {
        let certificate: String
        let key: String
    }

    /// A new authority.
    func authority(_ name: String) throws -> Identity {
        let identity = Identity(certificate: path("\(name)-ca.pem"), key: path("\(name)-ca.key"))
        try openSSL(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=\(name) authority", "-keyout", identity.key, "-out", identity.certificate,
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        return identity
    }

    /// A certificate for these names (DNS names, or IP addresses) issued by an authority.
    func certificate(_ names: String..., by authority: Identity, file: String) throws -> Identity {
        let identity = Identity(certificate: path("\(file).pem"), key: path("\(file).key"))
        let request = path("\(file).csr")
        try openSSL(
            "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", "/CN=\(names.first ?? file)", "-keyout", identity.key, "-out", request)
        let alternatives = names.map { $0.first?.isNumber == true ? "IP:\($0)" : "DNS:\($0)" }
        let extensions = try write("subjectAltName=\(alternatives.joined(separator: ","))\n", to: "\(file).ext")
        try openSSL(
            "x509", "-req", "-in", request, "-CA", authority.certificate, "-CAkey", authority.key, "-CAcreateserial",
            "-days", "2", "-extfile", extensions.path, "-out", identity.certificate)
        return identity
    }

    private func openSSL(_ arguments: String...) throws {
        let process = try start(["openssl"] + arguments)
        let status = process.waitForExit()
        guard status == 0 else { throw Edge.NotReady(description: "openssl \(arguments): \(process.errors)") }
    }
}
