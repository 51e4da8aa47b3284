import Glibc
import Limits
import Listener
import Logging
import NIOPosix

/// Zero-refusal restart: the new binary inherits the listening sockets, and this process leaves when it serves.
///
///     predecessor                         successor
///     starts it, with the sockets  ─────▶ reads its configuration, makes everything ready
///     stops accepting              ◀───── "prepared"
///     "your turn"                  ─────▶ accepts
///     drains and ends              ◀───── "serving"
///
/// The sockets are never closed in between, so the kernel queues whoever comes in the moment when neither accepts. If
/// the successor dies on the way, the predecessor goes on accepting as if nothing had been. They speak over a socket
/// pair; two environment variables tell the child which descriptors are which.
enum Successor {
    static let channelName = "MARTLET_PREDECESSOR_FD"
    /// Where this binary was when it started: by now another one may stand there.
    private static let executable = resolveExecutable() ?? "/proc/self/exe"

    /// The environment as it was at the start. Not changed by `setenv`: another thread may be reading it.
    private static let inheritedEnvironment: [String] = {
        var entries: [String] = []
        var next = environ
        while let entry = next.pointee {
            entries.append(String(cString: entry))
            next += 1
        }
        return entries.filter {
            !$0.hasPrefix(SocketHandover.environmentName + "=") && !$0.hasPrefix(channelName + "=")
        }
    }()

    static func rememberExecutable() {
        _ = executable
        _ = inheritedEnvironment
    }

    private static func resolveExecutable() -> String? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = readlink("/proc/self/exe", &buffer, Int(PATH_MAX))
        guard count > 0 else { return nil }
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// True: it serves, and this process should leave. False: it failed, which the log tells, and all stays as it was.
    ///
    /// - Parameter handOver: stops accepting (true) or goes on (false).
    static func start(
        _ sockets: SocketHandover, log: Logger, handOver: (Bool) async -> Void
    ) async -> Bool {
        guard let (mine, theirs) = HandoverChannel.pair() else { return false }
        defer { mine.close() }
        let spawned = spawn(sockets, channel: theirs)
        theirs.close()
        guard let child = spawned else {
            log.error("the successor could not be started", metadata: ["binary": "\(executable)"])
            return false
        }
        log.notice("successor started", metadata: ["pid": "\(child)", "binary": "\(executable)"])
        if await mine.hears(.prepared) {
            await handOver(true)
            if mine.says(.yourTurn), await mine.hears(.serving) { return true }
            await handOver(false)
        }
        kill(child, SIGKILL)
        var status: Int32 = 0
        waitpid(child, &status, 0)
        log.error("the successor did not come to serve; this process stays", metadata: ["pid": "\(child)"])
        return false
    }

    private static func spawn(_ sockets: SocketHandover, channel: HandoverChannel) -> pid_t? {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // A descriptor duplicated onto itself loses close-on-exec, in the child only.
        let descriptors = sockets.sockets.values.joined().map(\.descriptor) + [channel.descriptor]
        for descriptor in descriptors { posix_spawn_file_actions_adddup2(&actions, descriptor, descriptor) }

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var nothing = sigset_t()
        sigemptyset(&nothing)
        posix_spawnattr_setsigmask(&attributes, &nothing)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))

        var environment = inheritedEnvironment.map { strdup($0) }
        environment.append(strdup("\(SocketHandover.environmentName)=\(sockets.text)"))
        environment.append(strdup("\(channelName)=\(channel.descriptor)"))
        environment.append(nil)
        defer { for entry in environment { free(entry) } }
        var arguments: [UnsafeMutablePointer<CChar>?] = CommandLine.arguments.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var child = pid_t()
        guard posix_spawn(&child, executable, &actions, &attributes, &arguments, &environment) == 0 else { return nil }
        return child
    }
}

/// One end of the line between a process and its successor.
struct HandoverChannel: Sendable {
    enum Word: UInt8 { case prepared = 1, yourTurn, serving }

    let descriptor: CInt

    static func pair() -> (HandoverChannel, HandoverChannel)? {
        var ends: [CInt] = [0, 0]
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, type, 0, &ends) == 0 else { return nil }
        return (HandoverChannel(descriptor: ends[0]), HandoverChannel(descriptor: ends[1]))
    }

    func says(_ word: Word) -> Bool {
        var byte = word.rawValue
        return write(descriptor, &byte, 1) == 1
    }

    /// False at the other's end, after the bound, or when it says something else.
    func hears(_ word: Word) async -> Bool {
        (try? await NIOThreadPool.singleton.runIfActive {
            var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard Glibc.poll(&poll, 1, Int32(Limits.successorReadyMilliseconds)) == 1 else { return false }
            var byte: UInt8 = 0
            return read(descriptor, &byte, 1) == 1 && byte == word.rawValue
        }) ?? false
    }

    func close() { Glibc.close(descriptor) }
}

/// What a predecessor left in the environment, if there was one.
struct Predecessor {
    var sockets = SocketHandover()
    private var channel: HandoverChannel?

    /// Takes over the sockets, and closes every other descriptor that came along: the predecessor's connections must
    /// not be held open by a process that knows nothing of them. Before anything else is opened.
    static func adopt() -> Predecessor {
        Successor.rememberExecutable()
        var predecessor = Predecessor()
        guard let text = getenv(SocketHandover.environmentName) else { return predecessor }
        predecessor.sockets = SocketHandover(text: String(cString: text))
        unsetenv(SocketHandover.environmentName)
        if let text = getenv(Successor.channelName), let descriptor = CInt(String(cString: text)) {
            predecessor.channel = HandoverChannel(descriptor: descriptor)
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        }
        unsetenv(Successor.channelName)
        predecessor.closeStrangers()
        return predecessor
    }

    private func closeStrangers() {
        var known = Set(sockets.sockets.values.joined().map(\.descriptor))
        if let channel { known.insert(channel.descriptor) }
        guard let directory = opendir("/proc/self/fd") else { return }
        known.insert(dirfd(directory))
        var strangers: [CInt] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(cString: Array($0.prefix { $0 != 0 }) + [0])
            }
            if let descriptor = CInt(name), descriptor > 2, !known.contains(descriptor) { strangers.append(descriptor) }
        }
        closedir(directory)
        // Descriptors the runtime opened for itself in this very process are close-on-exec; inherited ones are not.
        for descriptor in strangers where fcntl(descriptor, F_GETFD) & FD_CLOEXEC == 0 { close(descriptor) }
    }

    /// Whether there was one.
    var exists: Bool { channel != nil }

    /// Everything is ready: waits until the predecessor has stopped accepting.
    func awaitTurn() async throws {
        guard let channel else { return }
        guard channel.says(.prepared), await channel.hears(.yourTurn) else {
            throw StartFailure("the process to be succeeded is gone or did not answer; it keeps serving if it can")
        }
    }

    func tellServing() {
        _ = channel?.says(.serving)
        channel?.close()
    }
}
