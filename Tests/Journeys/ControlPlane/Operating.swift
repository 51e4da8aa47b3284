import Foundation

/// A real control process, and an operator with a home of their own.
struct Operating {
    let stage: Stage
    let process: ChildProcess
    /// Of the API.
    let base: String
    let token: String

    typealias Run = (status: Int32?, output: String, errors: String)

    /// - Parameter distribution: The port that edges join at.
    init(on stage: Stage, distribution: Int? = nil) throws {
        self.stage = stage
        let data = stage.path("data")
        let process = try stage.start(
            [
                try Edge.binary(), "control", "--api", "127.0.0.1:0", "--data", data, "--rate", "0",
            ] + (distribution.map { ["--distribution", "127.0.0.1:\($0)"] } ?? []))
        var base: String?
        _ = eventually(within: Patience.process) {
            base = process.output.split(separator: "\n").first { $0.hasPrefix("API: ") }.map { String($0.dropFirst(5)) }
            return base != nil || process.exitStatus != nil
        }
        guard let base else { throw Edge.NotReady(description: "\(process.output)\(process.errors)") }
        self.process = process
        self.base = base
        token = String(try String(contentsOfFile: data + "/admin-token", encoding: .utf8).dropLast())
    }

    var tokenFile: String { stage.path("data/admin-token") }

    /// The variables that a command runs with: no home but the stage, nothing of whoever runs the tests.
    static func environment(_ stage: Stage, _ more: [String] = []) -> [String] {
        ["env", "-i", "PATH=/usr/bin:/bin", "XDG_CONFIG_HOME=\(stage.path("config"))"] + more
    }

    func command(_ arguments: [String], with variables: [String] = []) throws -> [String] {
        Self.environment(stage, variables) + [try Edge.binary()] + arguments
    }

    @discardableResult
    func martlet(_ arguments: String..., with variables: [String] = []) throws -> Run {
        let process = try stage.start(try command(arguments, with: variables))
        let status = process.waitForExit()
        return (status, process.output, process.errors)
    }

    func login() throws { try martlet("login", base, "--token-file", tokenFile) }

    /// What a command prints with `--json`.
    func json(_ arguments: String...) throws -> Any {
        let process = try stage.start(try command(arguments + ["--json"]))
        let status = process.waitForExit()
        guard status == 0 else { throw Edge.NotReady(description: "\(arguments): \(process.output)\(process.errors)") }
        return try JSONSerialization.jsonObject(with: Data(process.output.utf8), options: .fragmentsAllowed)
    }

    func list(_ arguments: String...) throws -> [[String: Any]] {
        let process = try stage.start(try command(arguments + ["--json"]))
        _ = process.waitForExit()
        let value = try JSONSerialization.jsonObject(with: Data(process.output.utf8), options: .fragmentsAllowed)
        return value as? [[String: Any]] ?? []
    }
}
