import Foundation
import Glibc

/// Ports for the processes that a journey starts.
///
/// They lie below the kernel's ephemeral range, so that no connection of a neighbouring journey takes one between
/// its being picked and its being listened on, and none is given twice by one process.
enum Ports {
    private static let next = Shared(18_000 + Int(getpid()) * 37 % 8_000)

    static func pick() throws -> Int {
        for _ in 0..<4000 {
            let port = next.withLock { port in
                port = port >= 32_000 ? 18_000 : port + 1
                return port
            }
            if Listening.isFree(port: port) { return port }
        }
        throw WireFailure.system("no free port", EADDRINUSE)
    }
}

/// A listening socket on the loopback address.
enum Listening {
    /// A non-blocking descriptor, or nil when the port is taken.
    static func open(port: Int) -> Int32? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        var one: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
        var address = LoopbackAddress(port: port).value
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard bound == 0, listen(descriptor, 512) == 0 else {
            Glibc.close(descriptor)
            return nil
        }
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        return descriptor
    }

    /// Whether the port could be listened on.
    static func isFree(port: Int) -> Bool {
        // A process that starts meanwhile would hold the trial socket until it executes its program.
        ChildProcess.whileNoneStarts {
            guard let descriptor = open(port: port) else { return false }
            Glibc.close(descriptor)
            return true
        }
    }

    /// The next connection, or nil when the socket was shut down.
    static func accept(from descriptor: Int32) -> Wire? {
        while true {
            let (accepted, code) = ChildProcess.whileNoneStarts {
                let accepted = Glibc.accept(descriptor, nil, nil)
                let code = errno
                if accepted >= 0 { _ = fcntl(accepted, F_SETFD, FD_CLOEXEC) }
                return (accepted, code)
            }
            if accepted >= 0 { return Wire(descriptor: accepted) }
            guard code == EAGAIN || code == EINTR || code == ECONNABORTED else { return nil }
            var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            _ = Glibc.poll(&poll, 1, 1000)
        }
    }
}
