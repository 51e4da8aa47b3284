import Glibc
import Synchronization

/// Tells this process's sequencers that something was published. Rung after each commit, so it costs one small write.
final class OutboxBell: Sendable {
    private let ears = Mutex<[ObjectIdentifier: Waker]>([:])

    func ring() {
        ears.withLock { ears in
            for ear in ears.values { ear.wake() }
        }
    }

    func add(_ waker: Waker) { ears.withLock { $0[ObjectIdentifier(waker)] = waker } }
    func remove(_ waker: Waker) { _ = ears.withLock { $0.removeValue(forKey: ObjectIdentifier(waker)) } }
}

/// A pair of sockets, one of which a thread can wait for beside others; whoever wakes it never waits.
final class Waker: Sendable {
    let descriptor: Int32
    private let far: Int32

    init() throws(StoreError) {
        var ends: (Int32, Int32) = (-1, -1)
        let code = withUnsafeMutableBytes(of: &ends) { bytes in
            socketpair(
                AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0,
                bytes.bindMemory(to: Int32.self).baseAddress)
        }
        guard code == 0 else { throw .unavailable("no sockets: \(String(cString: strerror(errno)))") }
        (descriptor, far) = ends
    }

    deinit {
        close(descriptor)
        close(far)
    }

    /// One that is full has woken already.
    func wake() {
        var byte: UInt8 = 1
        _ = write(far, &byte, 1)
    }

    /// Takes back all wake-ups so far. Returns whether there was one.
    func clear() -> Bool {
        var buffer: UInt64 = 0
        var hadSome = false
        while read(descriptor, &buffer, 8) > 0 { hadSome = true }
        return hadSome
    }

    /// Blocks until one of these descriptors can be read, or the time is over. Returns those that can.
    static func wait(for descriptors: [Int32], milliseconds: Int) -> Set<Int32> {
        var entries = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        let count = poll(&entries, nfds_t(entries.count), Int32(clamping: milliseconds))
        guard count > 0 else { return [] }
        return Set(entries.filter { $0.revents != 0 }.map(\.fd))
    }
}
