import ConfigModel
import Foundation
import Testing

@testable import Certificates

/// A directory of one test's own, removed when the test is over.
final class Workshop: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }
    func text(_ name: String) throws -> String { try String(contentsOfFile: file(name), encoding: .utf8) }

    @discardableResult
    func write(_ name: String, _ text: String) throws -> String {
        try text.write(toFile: file(name), atomically: true, encoding: .utf8)
        return file(name)
    }

    func mode(_ name: String) throws -> Int {
        let value = try FileManager.default.attributesOfItem(atPath: file(name))[.posixPermissions]
        return try #require(value as? NSNumber).intValue
    }

    /// Runs a command here and returns what it printed. Nothing runs longer than 20 seconds.
    @discardableResult
    func run(_ arguments: [String], input: String = "", failing: Bool = false) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["timeout", "20"] + arguments
        process.currentDirectoryURL = URL(fileURLWithPath: path)
        let id = UUID().uuidString
        let inputPath = try write("input-\(id)", input)
        let outputPath = try write("output-\(id)", "")
        process.standardInput = FileHandle(forReadingAtPath: inputPath)
        let output = FileHandle(forWritingAtPath: outputPath)
        process.standardOutput = output
        process.standardError = output
        try process.run()
        process.waitUntilExit()
        let text = try String(contentsOfFile: outputPath, encoding: .utf8)
        #expect((process.terminationStatus == 0) != failing, "\(arguments): \(text)")
        return text
    }

    func openssl(_ arguments: String...) throws { try run(["openssl"] + arguments) }

    /// A self-signed certificate and its key, made by openssl.
    func certificate(
        _ name: String, key: [String] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        names: String = "DNS:example.test,DNS:*.example.test", days: String = "30"
    ) throws -> Zone.CertificateFiles {
        try run(
            ["openssl", "req", "-x509", "-nodes", "-subj", "/CN=\(name)", "-days", days, "-keyout", "\(name).key"]
                + ["-out", "\(name).pem", "-addext", "subjectAltName=\(names)"] + key
        )
        return .init(certificate: file("\(name).pem"), key: file("\(name).key"))
    }

    func configuration(_ zones: [Zone]) -> Configuration {
        var configuration = Configuration()
        configuration.data = file("var")
        configuration.listen.https = [.init(address: .init(host: "127.0.0.1", port: 8443))]
        configuration.zones = zones
        return configuration
    }
}

/// A zone with nothing but names and, if given, a certificate.
func zone(_ name: String, _ hostnames: [String]? = nil, _ tls: Zone.CertificateFiles? = nil) -> Zone {
    var zone = Zone(name: name, hostnames: hostnames ?? (name == "*" ? ["*"] : [name, "*." + name]), origins: [])
    zone.tls = tls
    return zone
}

extension Date {
    func plus(days: Double) -> Date { addingTimeInterval(days * 86_400) }
}

/// The error of an attempt that is to fail; nil, with a failed expectation, if it did not.
func refusal<Result>(_ body: () throws -> Result) -> CertificateError? {
    do {
        _ = try body()
        Issue.record("not refused")
        return nil
    } catch {
        return error as? CertificateError
    }
}
