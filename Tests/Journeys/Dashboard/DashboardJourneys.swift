import Foundation
import Testing

/// The dashboard of a real `martlet control`, in a real browser.
@Suite("The dashboard", .onStageThreads)
struct DashboardJourneys {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..")
        .standardizedFileURL
    private static let python = root.appending(path: ".build/peers/bin/python").path
    private static let program = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "Peers/browse.py").path

    /// Where it listens, and its first token.
    private func control(on stage: Stage) throws -> (process: ChildProcess, base: String, token: String) {
        let data = stage.path("data")
        let process = try stage.start([
            try Edge.binary(), "control", "--api", "127.0.0.1:0", "--data", data, "--rate", "0",
        ])
        var base: String?
        _ = eventually(within: Patience.process) {
            let line = process.output.split(separator: "\n").first { $0.hasPrefix("API: ") }
            base = line.map { String($0.dropFirst(5)).replacing("/client/v4", with: "") }
            return base != nil || process.exitStatus != nil
        }
        guard let base else { throw Edge.NotReady(description: "\(process.output)\(process.errors)") }
        let token = try String(contentsOfFile: data + "/admin-token", encoding: .utf8)
        return (process, base, String(token.dropLast()))
    }

    private func play(_ scenario: String, on stage: Stage, _ more: [String] = []) throws {
        let control = try control(on: stage)
        let browser = try stage.start([Self.python, Self.program, scenario, control.base, control.token] + more)
        let status = browser.waitForExit(within: Patience.connection)
        #expect(
            status == 0 && browser.output.hasSuffix("done\n"),
            "\(browser.output)\(browser.errors)\(control.process.errors)")
        #expect(!control.process.errors.contains(control.token))
        kill(control.process.pid, SIGTERM)
        #expect(control.process.waitForExit() == 0)
    }

    @Test("an operator's day, from signing in to signing out", arguments: ["320", "1280"], ["light", "dark"])
    func everything(width: String, scheme: String) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (certificate, key) = (stage.path("c.pem"), stage.path("k.pem"))
        let made = try stage.run(
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
            "-subj", "/CN=example.test", "-addext", "subjectAltName=DNS:example.test", "-keyout", key, "-out",
            certificate)
        #expect(made.status == 0, "\(made.errors)")
        try play("everything", on: stage, [width, scheme, certificate, key])
    }

    @Test("the keyboard alone; no script; and what is refused", arguments: ["keyboard", "plain", "refusals"])
    func alone(scenario: String) throws {
        let stage = try Stage()
        defer { stage.strike() }
        try play(scenario, on: stage)
    }
}
