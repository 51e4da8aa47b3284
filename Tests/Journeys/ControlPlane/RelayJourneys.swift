import Foundation
import Glibc
import Testing

/// `martlet relay`, and real processes behind a root.
@Suite("Relays", .onStageThreads)
struct RelayJourneys {
    @Test("real relays and edges join, follow over TLS, and end where their root does")
    func processes() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (status, output, errors) = try stage.run(
            try Edge.binary(), "simulate", "--processes", "6", "--changes", "100/s", "--for", "2s", "--json")
        #expect(status == 0, "\(errors)")
        let report = try #require(
            try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any], "\(output)")
        #expect(report["converged"] as? Bool == true, "\(output)")
        #expect(report["changes"] as? Int == 200)
        let edges = try #require(report["edges"] as? Int)
        let propagation = try #require(report["propagation_ms"] as? [String: Any])
        #expect(propagation["pairs"] as? Int == edges * 200)
        let relay = try #require(report["relay"] as? [String: Any])
        // Each passed on what its edges got: 200 changes of 1000 bytes and more.
        #expect((relay["bytes_out"] as? Int ?? 0) > edges * 200 * 1000)
    }

    @Test("a relay without a token says what it needs, one with a token of another shape what a token looks like")
    func refusals() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let binary = try Edge.binary()
        let data = stage.path("relay")
        var result = try stage.run(binary, "relay", "--join", "127.0.0.1:1", "--data", data)
        #expect(result.status == 78)
        #expect(result.errors.contains("has to join"), "\(result.errors)")
        let secret = "mj1.geheim"
        let file = try stage.write(secret + "\n", to: "token")
        result = try stage.run(
            binary, "relay", "--join", "127.0.0.1:1", "--data", data, "--token-file", file.path)
        #expect(result.status == 78)
        #expect(result.errors.contains("no join token") && !result.errors.contains("geheim"), "\(result.errors)")
        result = try stage.run(binary, "relay", "--join", "a:b", "--data", data)
        #expect(result.status == 64)
        #expect(result.errors.contains("--join"), "\(result.errors)")
        result = try stage.run(binary, "relay", "--join", "a:1", "--data", data, "--listen", "127.0.0.1")
        #expect(result.status == 64)
        #expect(result.errors.contains("--listen"), "\(result.errors)")
    }

    @Test("a relay that waits for its control plane ends on SIGTERM, and leaves no certificate")
    func stops() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let token = "mj1.\(String(repeating: "a", count: 40)).\(String(repeating: "A", count: 43))"
        let process = try stage.start([
            try Edge.binary(), "relay", "--join", "127.0.0.1:1", "--data", stage.path("relay"), "--token", token,
        ])
        for _ in 0..<2000 where !process.errors.contains("no control plane answers yet") { usleep(10_000) }
        #expect(process.errors.contains("no control plane answers yet"))
        process.signal(SIGTERM)
        #expect(process.waitForExit() == 0)
        #expect(!FileManager.default.fileExists(atPath: stage.path("relay/identity/node.pem")))
    }
}
