package import ConfigModel
import Glibc
import Limits
import NIOCore

/// A listening TCP socket, by its descriptor. One per address and event loop (SO_REUSEPORT), so that the kernel
/// spreads connections and no loop accepts for another.
package struct ListeningSocket: Sendable {
    package let descriptor: CInt

    /// Why an address cannot be listened on, with what to do about it.
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    /// Takes over a socket that a former process listened on.
    package init(adopting descriptor: CInt) {
        self.descriptor = descriptor
    }

    package init(_ text: SocketAddressText) throws {
        let address = try Self.resolve(text)
        let family = address.protocol == .inet6 ? AF_INET6 : AF_INET
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let made = socket(family, type, 0)
        guard made >= 0 else { throw Self.failure(text, errno) }
        descriptor = made
        do {
            try set(SOL_SOCKET, SO_REUSEADDR, 1, text)
            try set(SOL_SOCKET, SO_REUSEPORT, 1, text)
            // `*` is every address of both families; `::` as a socket address is just that.
            if family == AF_INET6 { try set(Int32(IPPROTO_IPV6), IPV6_V6ONLY, text.host == "::" ? 0 : 1, text) }
            let bound = address.withSockAddr { pointer, size in bind(made, pointer, socklen_t(size)) }
            guard bound == 0 else { throw Self.failure(text, errno) }
            guard listen(made, Int32(Limits.listenBacklogCount)) == 0 else { throw Self.failure(text, errno) }
        } catch {
            Glibc.close(made)
            throw error
        }
    }

    /// Sets the backlog anew: of two calls of `listen` the last one counts.
    func listenAgain() throws {
        guard listen(descriptor, Int32(Limits.listenBacklogCount)) == 0 else {
            throw Failure(description: "cannot listen: \(Self.text(errno))")
        }
    }

    /// A second descriptor of the same socket, not inherited by children unless they are given it.
    package func duplicated() throws -> ListeningSocket {
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else { throw Failure(description: "cannot duplicate a listening socket: \(Self.text(errno))") }
        return ListeningSocket(adopting: copy)
    }

    package func close() {
        Glibc.close(descriptor)
    }

    private func set(_ level: Int32, _ name: Int32, _ value: Int32, _ text: SocketAddressText) throws {
        var value = value
        guard setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<Int32>.size)) == 0 else {
            throw Self.failure(text, errno)
        }
    }

    private static func resolve(_ text: SocketAddressText) throws -> SocketAddress {
        do {
            return try SocketAddress(ipAddress: text.host, port: text.port)
        } catch {
            throw Failure(description: "cannot listen on \(text): not an IP address")
        }
    }

    private static func failure(_ text: SocketAddressText, _ code: Int32) -> Failure {
        let advice =
            switch code {
            case EADDRINUSE: "another program listens there; stop it or choose another port"
            case EACCES: "ports below 1024 need root or CAP_NET_BIND_SERVICE"
            case EADDRNOTAVAIL: "this machine has no such address"
            default: "see the system's log"
            }
        return Failure(description: "cannot listen on \(text): \(Self.text(code)); \(advice)")
    }

    private static func text(_ code: Int32) -> String { String(cString: strerror(code)) }
}

/// Which door a listening socket belongs to.
package enum ListeningRole: String, Sendable { case http, https, admin }

/// Listening sockets kept for handing them to a successor, and those that a predecessor handed over.
///
/// Written into the successor's environment as `role|address|fd,fd;…`.
package struct SocketHandover: Sendable {
    package struct Key: Hashable, Sendable {
        package var role: ListeningRole
        package var address: SocketAddressText
        package init(role: ListeningRole, address: SocketAddressText) {
            self.role = role
            self.address = address
        }
    }

    package static let environmentName = "MARTLET_SOCKETS"
    package var sockets: [Key: [ListeningSocket]] = [:]

    package init() {}

    package var text: String {
        sockets.map { key, list in
            "\(key.role.rawValue)|\(key.address.host)|\(key.address.port)|"
                + list.map { String($0.descriptor) }.joined(separator: ",")
        }.joined(separator: ";")
    }

    /// Reads what a predecessor wrote; entries that are no open sockets are passed over.
    package init(text: String) {
        for entry in text.split(separator: ";") {
            let parts = entry.split(separator: "|", omittingEmptySubsequences: false)
            guard parts.count == 4, let role = ListeningRole(rawValue: String(parts[0])), let port = Int(parts[2])
            else { continue }
            let key = Key(role: role, address: SocketAddressText(host: String(parts[1]), port: port))
            for number in parts[3].split(separator: ",") {
                guard let descriptor = CInt(number), Self.isListening(descriptor) else { continue }
                _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
                sockets[key, default: []].append(ListeningSocket(adopting: descriptor))
            }
        }
    }

    private static func isListening(_ descriptor: CInt) -> Bool {
        var value: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) == 0 && value != 0
    }
}
