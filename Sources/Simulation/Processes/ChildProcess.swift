import Glibc

/// A process that a trial started, and ends.
final class ChildProcess: Sendable {
    let name: String
    let pid: pid_t
    /// Where what it prints goes.
    let output: String

    private init(name: String, pid: pid_t, output: String) {
        self.name = name
        self.pid = pid
        self.output = output
    }

    /// Starts `executable` with nothing to read, and what it prints in files named after `name`.
    ///
    /// - Parameter environment: beside the own one.
    static func start(
        _ executable: String, _ arguments: [String], environment: [String: String], name: String, in directory: String
    ) throws(TrialError) -> ChildProcess {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        let output = "\(directory)/\(name).out"
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, "\(directory)/\(name).log", O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var nothing = sigset_t()
        sigemptyset(&nothing)
        posix_spawnattr_setsigmask(&attributes, &nothing)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var entries = environment.map { strdup("\($0.key)=\($0.value)") }
        var next = environ
        while let entry = next.pointee {
            let text = String(cString: entry)
            if environment[String(text.prefix { $0 != "=" })] == nil { entries.append(strdup(text)) }
            next += 1
        }
        entries.append(nil)
        defer { for entry in entries { free(entry) } }
        let words: [UnsafeMutablePointer<CChar>?] = ([executable] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var pid = pid_t()
        let code = posix_spawn(&pid, executable, &actions, &attributes, words, entries)
        guard code == 0 else {
            throw TrialError(description: "cannot start \(executable): \(String(cString: strerror(code)))")
        }
        return ChildProcess(name: name, pid: pid, output: output)
    }

    /// Whether it still runs. A process that has ended is remembered by the kernel until `stop`.
    var isRunning: Bool {
        var info = siginfo_t()
        guard waitid(P_PID, id_t(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 else { return false }
        return info.si_signo == 0
    }

    /// The end of its log.
    var lastWords: String {
        let log = TrialFile.read(String(output.dropLast(3)) + "log") ?? ""
        return log.split(separator: "\n").suffix(3).joined(separator: " | ")
    }

    /// Tells it to end, and makes it end when it does not.
    func stop(within seconds: Int) async {
        kill(pid, SIGTERM)
        let deadline = ContinuousClock.now + .seconds(seconds)
        var status: Int32 = 0
        while waitpid(pid, &status, WNOHANG) == 0 {
            if ContinuousClock.now > deadline { kill(pid, SIGKILL) }
            try? await Task.sleep(for: .milliseconds(10))
        }
    }

    /// What a process has used and holds.
    struct Usage {
        var cpuMilliseconds = 0.0
        var residentBytes = 0
    }

    var usage: Usage { Self.usage("\(pid)") }

    /// - Parameter process: a process's number, or `self`.
    static func usage(_ process: String) -> Usage {
        var usage = Usage()
        // The second field is a name in parentheses that may hold anything; times are the 14th and 15th (proc(5)).
        if let text = TrialFile.read("/proc/\(process)/stat"), let end = text.lastIndex(of: ")") {
            let fields = text[text.index(after: end)...].split(separator: " ")
            let ticks = fields.dropFirst(11).prefix(2).compactMap { Double($0) }.reduce(0, +)
            usage.cpuMilliseconds = ticks * 1000 / Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
        }
        if let text = TrialFile.read("/proc/\(process)/statm") {
            let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
            usage.residentBytes = pages &* Int(sysconf(Int32(_SC_PAGESIZE)))
        }
        return usage
    }
}

/// Small files, read whole.
enum TrialFile {
    static func read(_ path: String) -> String? {
        guard let file = fopen(path, "re") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 * 1024)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            guard count > 0 else { break }
            bytes += buffer.prefix(count)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Microseconds on the clock that all processes of this machine share.
func sharedMicroseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(clamping: time.tv_sec) &* 1_000_000 &+ UInt64(clamping: time.tv_nsec) / 1000
}
