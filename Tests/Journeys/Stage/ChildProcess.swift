import Foundation
import Glibc

/// A process that a journey starts, in a process group of its own so that nothing of it outlives the journey.
// Unchecked: used by one journey at a time; what other threads touch is behind a lock.
final class ChildProcess: @unchecked Sendable {
    struct CannotStart: Error { let command: [String], code: Int32 }

    let pid: pid_t
    private let outputFile: URL
    private let errorFile: URL
    private let standardInput: Int32?
    private let exit = Shared<Int32?>(nil)
    /// Groups to end with this process, whatever happens to the journey that started them.
    private static let groups = Shared<Set<pid_t>>([])
    private static let endsGroupsAtExit: Void = {
        atexit { for group in ChildProcess.groups.current { kill(-group, SIGKILL) } }
    }()

    private static let starting = NSLock()

    /// Runs what makes descriptors in two steps (make, then mark close-on-exec), so that no process starts between
    /// them and inherits one: an inherited connection would never be seen to end.
    static func whileNoneStarts<Result>(_ body: () -> Result) -> Result {
        starting.lock()
        defer { starting.unlock() }
        return body()
    }

    /// - Parameters:
    ///   - command: program (looked up in PATH) and arguments.
    ///   - directory: where its output goes, in files named after `name`.
    ///   - hasInput: whether the journey writes to its standard input; else it reads an empty one.
    init(_ command: [String], name: String, directory: URL, hasInput: Bool = false) throws {
        _ = Self.endsGroupsAtExit
        outputFile = directory.appending(path: "\(name).out")
        errorFile = directory.appending(path: "\(name).err")
        var input: [Int32] = [-1, -1]
        if hasInput {
            Self.whileNoneStarts {
                pipe(&input)
                input.forEach { _ = fcntl($0, F_SETFD, FD_CLOEXEC) }
            }
        }
        standardInput = hasInput ? input[1] : nil

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if hasInput {
            posix_spawn_file_actions_adddup2(&actions, input[0], 0)
        } else {
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        }
        let flags = O_WRONLY | O_CREAT | O_TRUNC | O_APPEND
        posix_spawn_file_actions_addopen(&actions, 1, outputFile.path, flags, 0o644)
        posix_spawn_file_actions_addopen(&actions, 2, errorFile.path, flags, 0o644)
        // Other tests' sockets must not live on in this child: their peers would wait for an end that never comes.
        // All of them, and those that are opened just now: some tests hold tens of thousands. (Closing one that is not
        // open is no error here.)
        let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap { Int32($0) }
        for descriptor in 3..<(open.max() ?? 0) + 1000 { posix_spawn_file_actions_addclose(&actions, descriptor) }

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // Signals as a shell would start it: the test runner's mask and handlers are not the edge's.
        var none = sigset_t()
        sigemptyset(&none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

        var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
        var environment: [UnsafeMutablePointer<CChar>?] =
            ProcessInfo.processInfo.environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { (arguments + environment).forEach { free($0) } }
        var started: pid_t = 0
        let code = Self.whileNoneStarts {
            posix_spawnp(&started, command.first ?? "", &actions, &attributes, &arguments, &environment)
        }
        if hasInput { Glibc.close(input[0]) }
        guard code == 0 else { throw CannotStart(command: command, code: code) }
        pid = started
        Self.groups.withLock { _ = $0.insert(started) }
    }

    deinit {
        end()
        if let standardInput { Glibc.close(standardInput) }
    }

    /// The exit status, or minus the signal that ended it; nil while it runs.
    var exitStatus: Int32? {
        exit.withLock { status in
            if status != nil { return status }
            var raw: Int32 = 0
            guard waitpid(pid, &raw, WNOHANG) == pid else { return nil }
            let signal = raw & 0x7f
            status = signal == 0 ? (raw >> 8) & 0xff : -signal
            return status
        }
    }

    /// Waits for its end; nil when it still runs after the time given.
    func waitForExit(within duration: Duration = Patience.process) -> Int32? {
        _ = eventually(within: duration) { exitStatus != nil }
        return exitStatus
    }

    func signal(_ number: Int32) { if exitStatus == nil { kill(pid, number) } }

    /// Ends the process and all of its group at once.
    func end() {
        kill(-pid, SIGKILL)
        _ = waitForExit(within: .seconds(10))
        kill(-pid, SIGKILL)
        Self.groups.withLock { _ = $0.remove(pid) }
    }

    func write(_ text: String) {
        guard let standardInput else { return }
        let bytes = Array(text.utf8)
        _ = bytes.withUnsafeBytes { Glibc.write(standardInput, $0.baseAddress, $0.count) }
    }

    var output: String { (try? String(contentsOf: outputFile, encoding: .utf8)) ?? "" }
    var errors: String { (try? String(contentsOf: errorFile, encoding: .utf8)) ?? "" }

    /// A figure of `/proc/PID/status`, in KiB: `VmRSS` (now) or `VmHWM` (the most so far).
    func memoryKiB(_ figure: String) -> Int {
        let status = (try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)) ?? ""
        for line in status.split(separator: "\n") where line.hasPrefix("\(figure):") {
            return line.split(separator: " ").compactMap { Int($0) }.first ?? 0
        }
        return 0
    }
}
