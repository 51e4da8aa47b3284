import Foundation

/// Where one journey plays: a directory, the edge, its origins and tools, all gone when the journey ends.
///
/// ```swift
/// let stage = try Stage()
/// defer { stage.strike() }
/// ```
// Unchecked: used by one journey at a time.
final class Stage: @unchecked Sendable {
    let directory: URL
    private let undo = Shared<[() -> Void]>([])
    private let counter = Shared(0)

    init() throws {
        let name = "martlet-journey-\(UUID().uuidString.prefix(8))"
        directory = FileManager.default.temporaryDirectory.appending(path: name)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    }

    /// Ends everything that was started here, the last first, and removes the directory.
    func strike() {
        let steps = undo.withLock { steps in
            defer { steps = [] }
            return steps
        }
        steps.reversed().forEach { $0() }
        if ProcessInfo.processInfo.environment["MARTLET_KEEP_STAGES"] == nil {
            try? FileManager.default.removeItem(at: directory)
        }
    }

    /// A name that no other file of this stage has.
    func unique(_ stem: String) -> String {
        "\(stem)-\(counter.withLock { $0 += 1; return $0 })"
    }

    @discardableResult
    func write(_ text: String, to name: String) throws -> URL {
        let file = directory.appending(path: name)
        try text.write(to: file, atomically: true, encoding: .utf8)
        return file
    }

    func path(_ name: String) -> String { directory.appending(path: name).path }

    func atEnd(_ step: @escaping () -> Void) { undo.withLock { $0.append(step) } }

    // MARK: Cast

    func origin(
        port: Int? = nil, isRecording: Bool = true, _ script: @escaping ScriptedOrigin.Script
    ) throws -> ScriptedOrigin {
        let origin = try ScriptedOrigin(port: port, isRecording: isRecording, script)
        atEnd { origin.stop() }
        return origin
    }

    /// An origin that answers every request, 200 `ok` unless told otherwise.
    func origin(
        port: Int? = nil, answering answer: @escaping @Sendable (Message) throws -> String = { _ in ok() }
    ) throws -> ScriptedOrigin {
        let origin = try ScriptedOrigin(port: port, answering: answer)
        atEnd { origin.stop() }
        return origin
    }

    func start(_ command: [String], hasInput: Bool = false) throws -> ChildProcess {
        let name = unique(URL(filePath: command.first ?? "process").lastPathComponent)
        let process = try ChildProcess(command, name: name, directory: directory, hasInput: hasInput)
        atEnd { process.end() }
        return process
    }

    /// Runs a command to its end.
    @discardableResult
    func run(_ command: String...) throws -> (status: Int32?, output: String, errors: String) {
        let process = try start(command)
        let status = process.waitForExit()
        return (status, process.output, process.errors)
    }

    /// Starts the edge and waits until it is ready.
    func edge(_ configuration: EdgeConfiguration) throws -> Edge {
        let edge = try Edge(configuration, on: self)
        try edge.waitUntilReady()
        return edge
    }

    /// The edge with one zone, `example.test`, and these origins and settings.
    func edge(_ origins: [String], _ settings: String..., top: String = "", https: Bool = false) throws -> Edge {
        let zone = zone("example.test", origins: origins, settings)
        var configuration = try EdgeConfiguration(zones: zone, top: top, hasHTTPS: https)
        if !https { configuration.data = "./var-\(configuration.httpPort)" }
        return try edge(configuration)
    }
}
