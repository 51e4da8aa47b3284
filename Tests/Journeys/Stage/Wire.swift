import Foundation
import Glibc

/// What ended a conversation that a journey had not finished.
enum WireFailure: Error, Equatable {
    /// The peer closed where more was expected.
    case closed
    /// The peer reset the connection.
    case reset
    /// Nothing happened within ``Patience/socket``.
    case timedOut
    /// The call failed with this `errno`.
    case system(String, Int32)
    /// The peer's bytes are not HTTP.
    case malformed(String)
}

/// One TCP connection seen as bytes: the client's side or an origin's.
///
/// Calls block, each for at most ``Patience/socket``. One thread reads and writes; another may call ``abandon()``.
/// Every descriptor is close-on-exec, else a process started meanwhile would keep the connection open.
final class Wire: @unchecked Sendable {
    private let descriptor: Int32
    /// No journey needs a connection for longer, and a peer that sends for ever must not keep one going for ever.
    private let end = Deadline(Patience.connection)
    /// Received and not yet taken by a read.
    private(set) var buffered: [UInt8] = []
    /// Called with everything that arrives.
    var onReceive: (([UInt8]) -> Void)?

    init(descriptor: Int32) {
        self.descriptor = descriptor
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
    }

    deinit { Glibc.close(descriptor) }

    /// Connects to a port of the loopback address.
    ///
    /// - Parameters:
    ///   - source: the loopback address to come from, such as `127.0.0.2`.
    ///   - receiveBufferBytes: a small receive buffer, for clients that do not read.
    static func connect(
        port: Int, from source: String? = nil, receiveBufferBytes: Int32? = nil
    ) throws -> Wire {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw WireFailure.system("socket", errno) }
        let wire = Wire(descriptor: descriptor)
        if var bytes = receiveBufferBytes {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, socklen_t(MemoryLayout<Int32>.size))
        }
        if let source {
            var address = LoopbackAddress(port: 0, host: source).value
            let bound = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Glibc.bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            guard bound == 0 else { throw WireFailure.system("bind", errno) }
        }
        var address = LoopbackAddress(port: port).value
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if connected != 0 {
            guard errno == EINPROGRESS else { throw WireFailure.system("connect", errno) }
            try wire.wait(for: POLLOUT, until: Deadline(Patience.socket))
            var failure: Int32 = 0
            var size = socklen_t(MemoryLayout<Int32>.size)
            getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failure, &size)
            guard failure == 0 else { throw WireFailure.system("connect", failure) }
        }
        return wire
    }

    private func wait(for events: Int32, until deadline: Deadline) throws {
        var poll = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        while true {
            let ready = Glibc.poll(&poll, 1, deadline.millisecondsLeft)
            if ready > 0 { return }
            if ready == 0 { throw WireFailure.timedOut }
            if errno != EINTR { throw WireFailure.system("poll", errno) }
        }
    }

    // MARK: Writing

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    /// Writes all of it; ``Patience/socket`` runs anew whenever the peer took something.
    func send(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if written > 0 {
                rest = rest.dropFirst(written)
            } else if errno == EAGAIN {
                try wait(for: POLLOUT, until: Deadline(Patience.socket))
            } else if errno == EPIPE || errno == ECONNRESET {
                throw WireFailure.reset
            } else if errno != EINTR {
                throw WireFailure.system("send", errno)
            }
        }
    }

    /// Writes what the kernel takes at once, and says how much that was.
    func sendWhatFits(_ bytes: [UInt8]) throws -> Int {
        let written = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        if written >= 0 { return written }
        if errno == EAGAIN || errno == EINTR { return 0 }
        throw WireFailure.reset
    }

    // MARK: Reading

    /// Takes in what arrives next; false at the end of the stream.
    func receive(atMost count: Int = 65536, within patience: Duration = Patience.socket) throws -> Bool {
        if end.isOver { throw WireFailure.timedOut }
        let deadline = Deadline(patience)
        var chunk = [UInt8](repeating: 0, count: count)
        while true {
            let got = chunk.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
            if got > 0 {
                let bytes = Array(chunk[..<got])
                onReceive?(bytes)
                buffered += bytes
                return true
            }
            if got == 0 { return false }
            switch errno {
            case EAGAIN: try wait(for: POLLIN, until: deadline)
            case EINTR: continue
            case ECONNRESET, EPIPE: throw WireFailure.reset
            default: throw WireFailure.system("recv", errno)
            }
        }
    }

    /// The next bytes that are there, at least one.
    func readSome(within patience: Duration = Patience.socket) throws -> [UInt8] {
        if buffered.isEmpty, try !receive(within: patience) { throw WireFailure.closed }
        defer { buffered = [] }
        return buffered
    }

    func read(exactly count: Int) throws -> [UInt8] {
        while buffered.count < count {
            if try !receive() { throw WireFailure.closed }
        }
        let taken = Array(buffered[..<count])
        buffered.removeFirst(count)
        return taken
    }

    /// Everything up to and with these bytes.
    func read(through mark: String) throws -> [UInt8] {
        let wanted = Array(mark.utf8)
        var searched = 0
        while true {
            if let end = buffered.firstIndex(of: wanted, from: searched) {
                let count = end + wanted.count
                let taken = Array(buffered[..<count])
                buffered.removeFirst(count)
                return taken
            }
            searched = max(0, buffered.count - wanted.count + 1)
            if try !receive() { throw WireFailure.closed }
        }
    }

    /// Everything until the peer closes, and whether it closed in order rather than by a reset.
    func readToEnd() throws -> (bytes: [UInt8], inOrder: Bool) {
        var inOrder = true
        do {
            while try receive() {}
        } catch WireFailure.reset {
            inOrder = false
        }
        defer { buffered = [] }
        return (buffered, inOrder)
    }

    /// Whether the peer closes (in order or not) without another byte.
    func endsWithoutAnotherByte() throws -> Bool {
        guard buffered.isEmpty else { return false }
        do {
            return try !receive()
        } catch WireFailure.reset {
            return true
        }
    }

    // MARK: Ending

    /// Sends FIN and keeps reading.
    func finishWriting() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Sends RST instead of FIN, with whatever was unread or unsent thrown away.
    func reset() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
        // The descriptor's number must not be reused while another thread polls it, so it goes at deinit: connecting
        // to an unspecified family sends the RST now.
        var none = sockaddr(sa_family: sa_family_t(AF_UNSPEC), sa_data: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
        _ = Glibc.connect(descriptor, &none, socklen_t(MemoryLayout<sockaddr>.size))
    }

    /// Ends both directions; a thread blocked in a read sees the end.
    func abandon() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// Our end's port, by which the peer knows the connection.
    var localPort: Int {
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &size) }
        }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}

/// An IPv4 loopback address in the kernel's form.
struct LoopbackAddress {
    var value = sockaddr_in()

    init(port: Int, host: String = "127.0.0.1") {
        value.sin_family = sa_family_t(AF_INET)
        value.sin_port = UInt16(truncatingIfNeeded: port).bigEndian
        value.sin_addr.s_addr = inet_addr(host)
    }
}

extension Array where Element == UInt8 {
    /// Where these bytes begin, searching from an index.
    func firstIndex(of wanted: [UInt8], from start: Int = 0) -> Int? {
        guard let first = wanted.first, count >= wanted.count else { return nil }
        return withUnsafeBufferPointer { bytes in
            guard let base = bytes.baseAddress else { return nil }
            var index = start
            // memchr does the walking: a debug build would take seconds over what journeys send.
            while index <= bytes.count - wanted.count,
                let found = memchr(base + index, Int32(first), bytes.count - wanted.count - index + 1)
            {
                index = UnsafeRawPointer(found) - UnsafeRawPointer(base)
                if memcmp(base + index, wanted, wanted.count) == 0 { return index }
                index += 1
            }
            return nil
        }
    }

    /// As text, for messages and searches; what is not UTF-8 is replaced.
    var text: String { String(decoding: self, as: UTF8.self) }
}
