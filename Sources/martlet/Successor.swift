import Glibc
import Limits
import Listener
import Logging
import NIOPosix

/// Zero-refusal restart: the new binary inherits the listening sockets, and this process leaves when it serves.
///
/// The sockets are never closed in between, so the kernel queues connections throughout. Two environment variables tell
/// the child which descriptors are sockets and which is the pipe on which it says that it serves.
enum Successor {
    static let readyName = "MARTLET_READY_FD"
    /// Where this binary was when it started: by now another one may stand there.
    private static let executable = CommandLine.arguments.first.flatMap { resolve($0) } ?? "/proc/self/exe"

    static func rememberExecutable() { _ = executable }

    private static func resolve(_ argument: String) -> String? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = readlink("/proc/self/exe", &buffer, Int(PATH_MAX))
        guard count > 0 else { return nil }
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// True: it serves, and this process should leave. False: it failed, which the log tells, and all stays as it was.
    static func start(_ sockets: SocketHandover, log: Logger) async -> Bool {
        var ends: [CInt] = [0, 0]
        guard pipe(&ends) == 0 else { return false }
        let (reading, writing) = (ends[0], ends[1])
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { close(reading) }
        let spawned = spawn(sockets, readyDescriptor: writing)
        close(writing)
        guard let child = spawned else {
            log.error("the successor could not be started", metadata: ["binary": "\(executable)"])
            return false
        }
        log.notice("successor started", metadata: ["pid": "\(child)", "binary": "\(executable)"])
        let isReady = (try? await NIOThreadPool.singleton.runIfActive { awaitReady(reading) }) ?? false
        if isReady { return true }
        kill(child, SIGKILL)
        var status: Int32 = 0
        waitpid(child, &status, 0)
        log.error("the successor did not come to serve; this process stays", metadata: ["pid": "\(child)"])
        return false
    }

    /// True when a byte came; false at the end of the pipe, which is the child's, or after the bound.
    private static func awaitReady(_ descriptor: CInt) -> Bool {
        var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard Glibc.poll(&poll, 1, Int32(Limits.successorReadyMilliseconds)) == 1 else { return false }
        var byte: UInt8 = 0
        return read(descriptor, &byte, 1) == 1
    }

    private static func spawn(_ sockets: SocketHandover, readyDescriptor: CInt) -> pid_t? {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // A descriptor duplicated onto itself loses close-on-exec, in the child only.
        let descriptors = sockets.sockets.values.joined().map(\.descriptor) + [readyDescriptor]
        for descriptor in descriptors { posix_spawn_file_actions_adddup2(&actions, descriptor, descriptor) }

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var nothing = sigset_t()
        sigemptyset(&nothing)
        posix_spawnattr_setsigmask(&attributes, &nothing)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))

        setenv(SocketHandover.environmentName, sockets.text, 1)
        setenv(readyName, String(readyDescriptor), 1)
        defer {
            unsetenv(SocketHandover.environmentName)
            unsetenv(readyName)
        }
        var arguments: [UnsafeMutablePointer<CChar>?] = CommandLine.arguments.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var child = pid_t()
        guard posix_spawn(&child, executable, &actions, &attributes, &arguments, environ) == 0 else { return nil }
        return child
    }
}

/// What a predecessor left in the environment, if there was one.
struct Predecessor {
    var sockets = SocketHandover()
    private var readyDescriptor: CInt?

    /// Takes over the sockets, and closes every other descriptor that came along: the predecessor's connections must
    /// not be held open by a process that knows nothing of them. Before anything else is opened.
    static func adopt() -> Predecessor {
        Successor.rememberExecutable()
        var predecessor = Predecessor()
        guard let text = getenv(SocketHandover.environmentName) else { return predecessor }
        predecessor.sockets = SocketHandover(text: String(cString: text))
        unsetenv(SocketHandover.environmentName)
        if let ready = getenv(Successor.readyName), let descriptor = CInt(String(cString: ready)) {
            predecessor.readyDescriptor = descriptor
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        }
        unsetenv(Successor.readyName)
        predecessor.closeStrangers()
        return predecessor
    }

    private func closeStrangers() {
        var known = Set(sockets.sockets.values.joined().map(\.descriptor))
        if let readyDescriptor { known.insert(readyDescriptor) }
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

    func tellReady() {
        guard let readyDescriptor else { return }
        var byte: UInt8 = 1
        _ = write(readyDescriptor, &byte, 1)
        close(readyDescriptor)
    }
}
