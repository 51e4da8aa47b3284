import Foundation
import Testing

/// A control plane, relays and edges, each a process of its own, and the way to the API.
// Unchecked: used by one journey at a time.
final class Fleet: @unchecked Sendable {
    let stage: Stage
    /// Of the control plane.
    let data: String
    let apiPort: Int
    let rootPort: Int
    private(set) var control: ChildProcess
    let token: String
    /// Paths of the fleet's own part of the API begin so.
    private(set) var account = ""

    init(on stage: Stage) throws {
        self.stage = stage
        data = stage.path("control")
        (apiPort, rootPort) = (try Ports.pick(), try Ports.pick())
        control = try Self.start(on: stage, data, apiPort, rootPort)
        token = String(try String(contentsOfFile: data + "/admin-token", encoding: .utf8).dropLast())
        let accounts = try call("GET", "/accounts")["result"] as? [[String: Any]]
        account = "/accounts/\(try #require(accounts?.first?["id"] as? String))/martlet"
    }

    /// What a relay or an edge joins.
    var root: String { "127.0.0.1:\(rootPort)" }

    private static func start(on stage: Stage, _ data: String, _ apiPort: Int, _ rootPort: Int) throws -> ChildProcess {
        let process = try stage.start([
            try Edge.binary(), "control", "--api", "127.0.0.1:\(apiPort)", "--data", data, "--rate", "0",
            "--distribution", "127.0.0.1:\(rootPort)",
        ])
        _ = eventually(within: Patience.process) { process.output.contains("API: ") || process.exitStatus != nil }
        guard process.exitStatus == nil, process.output.contains("API: ") else {
            throw Edge.NotReady(description: "\(process.output)\(process.errors)")
        }
        return process
    }

    /// Again, after it was ended.
    func startControl() throws { control = try Self.start(on: stage, data, apiPort, rootPort) }

    // MARK: The API

    /// One call, and what it answers.
    @discardableResult
    func call(_ method: String, _ path: String, _ body: String = "") throws -> [String: Any] {
        let base = "http://127.0.0.1:\(apiPort)/client/v4"
        var command = ["curl", "-sS", "-X", method, base + path, "-H", "Authorization: Bearer \(token)"]
        if !body.isEmpty { command += ["-H", "Content-Type: application/json", "-d", body] }
        let process = try stage.start(command)
        _ = process.waitForExit()
        let answer = try? JSONSerialization.jsonObject(with: Data(process.output.utf8)) as? [String: Any]
        guard let answer, answer["success"] as? Bool == true else {
            throw Edge.NotReady(description: "\(method) \(path): \(process.output)\(process.errors)")
        }
        return answer
    }

    func object(_ method: String, _ path: String, _ body: String = "") throws -> [String: Any] {
        try #require(try call(method, path, body)["result"] as? [String: Any])
    }

    /// Many calls on one connection: `(method, path, body)`, all of which must go well.
    func calls(_ calls: [(method: String, path: String, body: String)]) throws {
        func quoted(_ text: String) -> String { "\"" + text.replacingOccurrences(of: "\"", with: "\\\"") + "\"" }
        let parts = calls.map { call in
            """
            url = "http://127.0.0.1:\(apiPort)/client/v4\(call.path)"
            request = \(call.method)
            header = "Authorization: Bearer \(token)"
            header = "Content-Type: application/json"
            data = \(quoted(call.body))
            write-out = "\\n%{http_code}\\n"
            """
        }
        let file = try stage.write(parts.joined(separator: "\nnext\n"), to: stage.unique("calls"))
        let process = try stage.start(["curl", "-sS", "-K", file.path])
        _ = process.waitForExit(within: Patience.connection)
        let well = process.output.split(separator: "\n").filter { $0 == "200" }.count
        guard well == calls.count else {
            throw Edge.NotReady(
                description: "\(well) of \(calls.count): \(process.output.suffix(2000))\(process.errors)")
        }
    }

    func zone(_ name: String = "example.test") throws -> String {
        try #require(try object("POST", "/zones", "{\"name\":\"\(name)\"}")["id"] as? String)
    }

    func site(_ zone: String, _ origin: ScriptedOrigin, _ more: String = "") throws {
        try call("PUT", "/zones/\(zone)/martlet/site", "{\"origins\":[\"\(origin.url)\"]\(more)}")
    }

    /// A join token.
    func joinToken(_ role: String, _ name: String) throws -> String {
        let made = try object("POST", "\(account)/join_tokens", "{\"role\":\"\(role)\",\"name\":\"\(name)\"}")
        return try #require(made["token"] as? String)
    }

    func node(_ name: String) throws -> [String: Any] { try object("GET", "\(account)/nodes/\(name)") }

    // MARK: Its members

    /// A relay behind the control plane.
    struct Relay {
        let process: ChildProcess
        let port: Int
        let data: String
        /// What an edge joins.
        var address: String { "127.0.0.1:\(port)" }
    }

    /// - Parameter again: the one that runs no more, for another start of it.
    func relay(_ name: String = "relay-1", again: Relay? = nil) throws -> Relay {
        let port = try again?.port ?? Ports.pick()
        let data = stage.path(name)
        var command = [
            try Edge.binary(), "relay", "--join", root, "--listen", "127.0.0.1:\(port)", "--data", data,
        ]
        if again == nil { command += ["--token", try joinToken("relay", name)] }
        let process = try stage.start(command)
        _ = eventually(within: Patience.process) { process.output.contains("listens") || process.exitStatus != nil }
        guard process.exitStatus == nil, process.output.contains("listens") else {
            throw Edge.NotReady(description: "\(process.output)\(process.errors)")
        }
        return Relay(process: process, port: port, data: data)
    }

    /// An edge by its own configuration.
    ///
    /// - Parameters:
    ///   - parents: whom it joins, the preferred one first.
    ///   - token: nil: one made for it.
    func edge(
        _ name: String, joining parents: String..., token: String? = nil, https: Bool = false
    ) throws -> Edge {
        var configuration = try EdgeConfiguration(zones: "", hasHTTPS: https)
        configuration.data = stage.path(name)
        let token = try token ?? joinToken("edge", name)
        let edge = try Edge(
            configuration, command: ["edge", "--join", parents.joined(separator: ","), "--token", token], on: stage)
        try edge.waitUntilReady()
        return edge
    }

    /// Ends an edge at once and starts it again, without a token.
    func restart(_ edge: Edge, joining parents: String...) throws -> Edge {
        kill(edge)
        let again = try Edge(
            edge.configuration, command: ["edge", "--join", parents.joined(separator: ",")], on: stage)
        try again.waitUntilReady()
        return again
    }

    func kill(_ edge: Edge) { kill(edge.process) }

    func kill(_ process: ChildProcess) {
        process.signal(SIGKILL)
        _ = process.waitForExit()
    }
}

extension Edge {
    /// Whether a GET comes to be answered so.
    func comesToAnswer(_ target: String, host: String = "example.test", _ test: (Message) -> Bool) -> Bool {
        eventually { (try? get(target, "Host: \(host)")).map(test) ?? false }
    }
}
