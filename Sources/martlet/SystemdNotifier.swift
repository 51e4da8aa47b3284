// Tells systemd how the service is doing: the protocol of sd_notify(3), which is one datagram to a socket named in
// the environment. Without systemd there is no such name, and nothing happens.

import Glibc

/// Speaks to the service manager.
enum SystemdNotifier {
    /// Sends assignments such as `READY=1`, `STOPPING=1` or `STATUS=…`, several separated by line feeds. Never blocks.
    ///
    /// - Returns: Whether the service manager has them. False also when there is none.
    @discardableResult
    static func notify(_ state: String) -> Bool {
        guard let name = getenv("NOTIFY_SOCKET") else { return false }
        return notify(state, socketName: String(cString: name))
    }

    /// Begins a reload. Ends with `READY=1`. The time is how systemd (Type=notify-reload) tells it from the last one.
    @discardableResult
    static func notifyReloading() -> Bool {
        var now = timespec()
        guard clock_gettime(CLOCK_MONOTONIC, &now) == 0 else { return false }
        return notify("RELOADING=1\nMONOTONIC_USEC=\(now.tv_sec * 1_000_000 + now.tv_nsec / 1000)")
    }

    /// Sends to a socket by name: a path, or `@` and a name in the abstract name space (unix(7)).
    static func notify(_ state: String, socketName: String) -> Bool {
        var name = Array(socketName.utf8)
        // sd_notify(3) knows other families, such as vsock; they are for virtual machines, not services.
        guard let first = name.first, first == UInt8(ascii: "/") || first == UInt8(ascii: "@") else { return false }
        // An abstract name begins with a NUL instead, and has no NUL at its end.
        let isAbstract = first == UInt8(ascii: "@")
        if isAbstract { name[0] = 0 }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let isTooLong = withUnsafeMutableBytes(of: &address.sun_path) { path in
            // The last byte stays 0 and ends a path.
            guard name.count < path.count else { return true }
            path.copyBytes(from: name)
            return false
        }
        guard !isTooLong, let pathOffset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) else { return false }
        let length = socklen_t(pathOffset + name.count + (isAbstract ? 0 : 1))

        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        let bytes = Array(state.utf8)
        let sent = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT), pointer, length)
            }
        }
        return sent == bytes.count
    }
}
