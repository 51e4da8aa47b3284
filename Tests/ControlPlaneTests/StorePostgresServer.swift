// A private PostgreSQL for tests: Debian's server, a cluster in a temporary directory, a Unix socket only.
//
// It ends with the test process, however that ends: a shell waits for the end of a pipe, stops the server and removes
// the directory.

import Foundation
import Testing

/// One cluster. Its server can be killed and started again.
final class PostgresServer: @unchecked Sendable {
    // Unchecked: what changes is touched by the one test that owns the server, or by nobody after the start.
    let directory: String
    private var server: Process?
    private let janitor = Process()
    private let janitorLine = Pipe()

    static let programs = "/usr/lib/postgresql/15/bin"

    /// The one that tests share, each with a database of its own.
    static let shared = Result { try PostgresServer() }

    init() throws {
        guard FileManager.default.isExecutableFile(atPath: "\(Self.programs)/postgres") else {
            throw StageFailure("PostgreSQL is missing: `apt-get install postgresql-15`, or Scripts/setup test")
        }
        var template = Array("/tmp/martlet-pg-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw StageFailure("no temporary directory") }
        directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        if geteuid() == 0 { try run("/bin/chown", ["postgres:postgres", directory]) }
        try asServer(
            "initdb",
            ["-D", "\(directory)/data", "-A", "trust", "-U", "martlet", "-E", "UTF8", "--locale=C.UTF-8", "-N"])
        try startJanitor()
        try start()
    }

    private func startJanitor() throws {
        janitor.executableURL = URL(fileURLWithPath: "/bin/sh")
        janitor.arguments = [
            "-c",
            """
            cat >/dev/null
            read -r pid < "$0/data/postmaster.pid" && kill -QUIT "$pid"
            for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" 2>/dev/null || break; sleep 0.2; done
            rm -rf "$0"
            """, directory,
        ]
        janitor.standardInput = janitorLine
        janitor.standardError = FileHandle.nullDevice
        janitor.standardOutput = FileHandle.nullDevice
        try janitor.run()
        try janitorLine.fileHandleForReading.close()
    }

    /// Starts the server and waits until it answers. After a kill the processes of the old one may still be leaving.
    func start() throws {
        for _ in 0..<100 {
            let process = Process()
            let (program, arguments) = Self.command(
                "postgres",
                [
                    "-D", "\(directory)/data", "-k", directory, "-c", "listen_addresses=", "-c", "max_connections=800",
                    "-c", "shared_buffers=64MB", "-c", "recovery_init_sync_method=syncfs",
                ])
            process.executableURL = URL(fileURLWithPath: program)
            process.arguments = arguments
            let log = "\(directory)/log"
            if !FileManager.default.fileExists(atPath: log) {
                _ = FileManager.default.createFile(atPath: log, contents: nil)
            }
            let handle = FileHandle(forWritingAtPath: log)
            _ = try handle?.seekToEnd()
            process.standardOutput = handle
            process.standardError = handle
            process.standardInput = FileHandle.nullDevice
            try process.run()
            server = process
            while process.isRunning {
                if (try? asServer("pg_isready", ["-q", "-h", directory, "-U", "martlet"])) != nil { return }
                usleep(50_000)
            }
            usleep(100_000)
        }
        throw StageFailure(
            "PostgreSQL does not start: \((try? String(contentsOfFile: "\(directory)/log", encoding: .utf8)) ?? "")")
    }

    /// The server as the kernel leaves it after `kill -9` of its first process.
    func killAll() {
        guard let server else { return }
        kill(server.processIdentifier, SIGKILL)
        server.waitUntilExit()
    }

    /// What an operator's restart does: connections are ended, then the server.
    func stop() {
        guard let server else { return }
        kill(server.processIdentifier, SIGINT)
        server.waitUntilExit()
    }

    /// `kill -9` of one connection's process: the server ends all others and recovers.
    func killOneConnection() throws {
        let out = try asServer(
            "psql",
            [
                "-h", directory, "-U", "martlet", "-d", "postgres", "-Atc",
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'martlet' ORDER BY random() LIMIT 1",
            ])
        guard let pid = pid_t(out.trimmingCharacters(in: .whitespacesAndNewlines)) else { return }
        kill(pid, SIGKILL)
    }

    /// A new, empty database.
    func makeDatabase() throws -> String {
        let name = "t" + UUID().uuidString.replacingOccurrences(of: "-", with: "").lowercased()
        try asServer("createdb", ["-h", directory, "-U", "martlet", "-T", "template0", name])
        return "postgres://martlet@/\(name)?host=\(directory)"
    }

    private static func command(_ name: String, _ arguments: [String]) -> (String, [String]) {
        let program = "\(programs)/\(name)"
        // The server refuses to run as root.
        guard geteuid() == 0 else { return (program, arguments) }
        return (
            "/usr/bin/setpriv", ["--reuid=postgres", "--regid=postgres", "--clear-groups", program] + arguments
        )
    }

    @discardableResult
    private func asServer(_ name: String, _ arguments: [String]) throws -> String {
        let (program, arguments) = Self.command(name, arguments)
        return try run(program, arguments)
    }
}

struct StageFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

@discardableResult
func run(_ program: String, _ arguments: [String]) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: "/tmp")
    let out = Pipe()
    process.standardOutput = out
    process.standardError = out
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let data = try out.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    let text = String(decoding: data, as: UTF8.self)
    guard process.terminationStatus == 0 else { throw StageFailure("\(program) failed: \(text)") }
    return text
}
