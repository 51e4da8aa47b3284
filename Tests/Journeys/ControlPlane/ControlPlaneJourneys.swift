import Foundation
import Testing

/// A real `martlet control`, and the tools that people have.
@Suite("The control plane", .onStageThreads)
struct ControlPlaneJourneys {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..")
        .standardizedFileURL
    private static let python = root.appending(path: ".build/peers/bin/python").path
    private static let program = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Peers/sdk.py")
        .path

    private struct Control {
        let process: ChildProcess
        let base: String
        let token: String
    }

    private func control(on stage: Stage, data: String) throws -> Control {
        let process = try stage.start([
            try Edge.binary(), "control", "--api", "127.0.0.1:0", "--data", data, "--rate", "0",
        ])
        var base: String?
        _ = eventually(within: Patience.process) {
            base = process.output.split(separator: "\n").first { $0.hasPrefix("API: ") }.map { String($0.dropFirst(5)) }
            return base != nil || process.exitStatus != nil
        }
        guard let base else { throw Edge.NotReady(description: "\(process.output)\(process.errors)") }
        let token = try String(contentsOfFile: data + "/admin-token", encoding: .utf8)
        return Control(process: process, base: base, token: String(token.dropLast()))
    }

    @Test(
        "Cloudflare's Python SDK runs unmodified", arguments: ["zones", "records", "objects", "certificates", "tokens"])
    func sdk(scenario: String) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let control = try control(on: stage, data: stage.path("data"))
        let run = try stage.run(Self.python, Self.program, scenario, control.base, control.token)
        #expect(
            run.status == 0 && run.output.hasSuffix("done\n"), "\(run.output)\(run.errors)\(control.process.errors)")
    }

    @Test("what was acknowledged is there after kill -9, and the token still counts")
    func killed() throws {
        let stage = try Stage()
        defer { stage.strike() }
        for round in 0..<3 {
            let control = try control(on: stage, data: stage.path("data"))
            // The secret is shown at the first start alone.
            #expect(control.process.output.contains(control.token) == (round == 0))
            let made = try stage.run(
                "curl", "-sS", "-X", "POST", "\(control.base)/zones", "-H", "Authorization: Bearer \(control.token)",
                "-d",
                "{\"name\":\"r\(round).example\"}")
            #expect(made.output.contains("\"success\":true"), "\(made)")
            kill(control.process.pid, SIGKILL)
            _ = control.process.waitForExit()
        }
        let control = try control(on: stage, data: stage.path("data"))
        let list = try stage.run("curl", "-sS", "\(control.base)/zones", "-H", "Authorization: Bearer \(control.token)")
        #expect((0..<3).allSatisfy { list.output.contains("\"r\($0).example\"") }, "\(list.output)")
        kill(control.process.pid, SIGTERM)
        #expect(control.process.waitForExit() == 0)
        #expect(!control.process.errors.contains(control.token))
    }
}
