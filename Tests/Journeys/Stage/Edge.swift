import Foundation
import Glibc

/// What goes into `martlet.yaml`, with ports picked.
struct EdgeConfiguration {
    var httpPort: Int
    var httpsPort: Int?
    var adminPort: Int
    /// Top-level keys beside listen, admin, data, threads and access_log; whole lines.
    var top: String
    /// What stands below `zones:`, indented by two spaces: see ``zone(_:origins:_:)-2``.
    var zones: String
    /// One process a data directory: a second edge on a stage needs another.
    var data = "./var"
    /// Written instead of the `http` listener's plain address when not empty.
    var httpListener = ""

    init(zones: String, top: String = "", hasHTTPS: Bool = false) throws {
        httpPort = try Ports.pick()
        httpsPort = hasHTTPS ? try Ports.pick() : nil
        adminPort = try Ports.pick()
        self.top = top
        self.zones = zones
    }

    var text: String {
        let https = httpsPort.map { "  https: [\"127.0.0.1:\($0)\"]\n" } ?? ""
        let http = httpListener.isEmpty ? "\"127.0.0.1:\(httpPort)\"" : httpListener
        return """
            listen:
              http: [\(http)]
            \(https)admin: "127.0.0.1:\(adminPort)"
            data: "\(data)"
            threads: 2
            access_log: "./access.log"
            \(top)
            zones:
            \(zones)

            """
    }
}

/// The lines of one zone.
///
/// - Parameters:
///   - origins: URLs, or flow mappings such as `{url: "http://…", weight: 3}`.
///   - settings: further keys, one line each: `attempts: 1`.
func zone(_ name: String, origins: [String], _ settings: [String] = []) -> String {
    let list = origins.map { $0.hasPrefix("{") ? $0 : "\"\($0)\"" }.joined(separator: ", ")
    let lines = ["origins: [\(list)]"] + settings
    return "  \"\(name)\":\n" + lines.map { "    \($0)\n" }.joined()
}

/// A running `martlet up`.
// Unchecked: used by one journey at a time.
final class Edge: @unchecked Sendable {
    struct NotReady: Error, CustomStringConvertible { let description: String }

    private(set) var configuration: EdgeConfiguration
    let process: ChildProcess
    let stage: Stage
    /// The configuration file's name, unique in its stage.
    let fileName: String

    /// - Parameters:
    ///   - launcher: a command that the edge's own is handed to, such as a shell that lowers a limit first.
    ///   - command: what the binary is told to do.
    init(
        _ configuration: EdgeConfiguration, launcher: [String] = [], command: [String] = ["up"], on stage: Stage
    ) throws {
        self.configuration = configuration
        self.stage = stage
        fileName = stage.unique("martlet") + ".yaml"
        let file = try stage.write(configuration.text, to: fileName)
        process = try stage.start(launcher + [Self.binary()] + command + ["-c", file.path])
    }

    /// `MARTLET_BINARY`, else the `martlet` that was built beside these tests.
    static func binary() throws -> String {
        if let named = ProcessInfo.processInfo.environment["MARTLET_BINARY"] { return named }
        let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let beside = URL(filePath: tests).deletingLastPathComponent().appending(path: "martlet").path
        guard FileManager.default.isExecutableFile(atPath: beside) else {
            throw NotReady(description: "no martlet at \(beside); build it, or name one in MARTLET_BINARY")
        }
        return beside
    }

    func waitUntilReady() throws {
        let isReady = eventually(within: Patience.process) {
            process.exitStatus != nil || (try? admin("/readyz").status) == 200
        }
        guard isReady, process.exitStatus == nil else {
            throw NotReady(
                description:
                    "exit \(process.exitStatus.map(String.init) ?? "none")\n\(process.errors)\n\(configuration.text)")
        }
    }

    // MARK: Talking to it

    var httpPort: Int { configuration.httpPort }
    var httpsPort: Int { configuration.httpsPort ?? 0 }

    /// A new connection to the clear listener.
    func client(from source: String? = nil, receiveBufferBytes: Int32? = nil) throws -> Wire {
        try Wire.connect(port: httpPort, from: source, receiveBufferBytes: receiveBufferBytes)
    }

    /// One exchange on a connection of its own.
    func exchange(_ bytes: String, method: String = "GET", from source: String? = nil) throws -> Message {
        let client = try client(from: source)
        try client.send(bytes)
        return try client.readAnswer(to: method)
    }

    /// GET of a path at `example.test`, on a connection of its own.
    func get(_ target: String, _ fields: String..., from source: String? = nil) throws -> Message {
        let host = fields.contains { $0.lowercased().hasPrefix("host:") } ? [] : ["Host: example.test"]
        let lines = ["GET \(target) HTTP/1.1"] + host + fields + ["Connection: close", "", ""]
        return try exchange(lines.joined(separator: "\r\n"), from: source)
    }

    /// GET on the admin address.
    func admin(_ path: String) throws -> Message {
        let client = try Wire.connect(port: configuration.adminPort)
        try client.send("GET \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return try client.readAnswer()
    }

    // MARK: What it wrote

    /// The access log's lines so far, those that are whole.
    func accessLogLines() -> [String] {
        let text = (try? String(contentsOfFile: stage.path("access.log"), encoding: .utf8)) ?? ""
        return text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
    }

    /// The access log's entry of one exchange, waited for.
    func logged(ray: String) throws -> [String: Any] {
        guard !ray.isEmpty else { throw NotReady(description: "an answer without Martlet-Ray") }
        var line: String?
        _ = eventually {
            line = accessLogLines().first { $0.contains(ray) }
            return line != nil
        }
        guard let line, let entry = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] else {
            throw NotReady(description: "no log entry for \(ray): \(line ?? "no line")")
        }
        return entry
    }

    /// Whether its standard error comes to contain this text.
    func comesToSay(_ text: String) -> Bool { eventually { process.errors.contains(text) } }

    /// The sum of the samples of a metric whose labels contain every given text.
    func metric(_ name: String, _ labels: String...) throws -> Double {
        var sum = 0.0
        for sample in try Metrics(text: admin("/metrics").text).samples
        where sample.name == name && labels.allSatisfy({ sample.labels.contains($0) }) {
            sum += sample.value
        }
        return sum
    }

    // MARK: Changing it

    /// Writes a new configuration without a signal.
    func rewrite(_ change: (inout EdgeConfiguration) -> Void) throws {
        change(&configuration)
        try stage.write(configuration.text, to: fileName)
    }

    func reload() { process.signal(SIGHUP) }
}
