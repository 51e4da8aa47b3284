// The descriptor behind a log. A destination that takes nothing must not hold its thread, or the process could not
// stop.
//
//     regular file       write(2): it waits for the disk and for nobody else
//     pipe or device     opened by us with O_NONBLOCK
//     inherited          shared with other processes, so its flags are left alone: a socket gets MSG_DONTWAIT,
//                        anything else is polled first and given at most what a pipe takes at once

import Glibc

/// Where lines go, and the descriptor that is open for it. Not safe under concurrency: one thread at a time.
struct LogDestination {
    enum Target {
        /// One that somebody else opened and closes: standard output, standard error.
        case inherited(Int32)
        case file(String)
    }

    enum Outcome {
        case wrote(Int)
        /// Nothing was taken; `waitUntilWritable` tells when to try again.
        case busy
        /// An errno.
        case failed(Int32)
    }

    private enum Kind { case regular, socket, nonblocking, shared }

    /// What POSIX lets a pipe that polls as writable take without blocking.
    private static let pipeBytes = 4096

    let target: Target
    private var descriptor: Int32 = -1
    private var kind = Kind.shared

    init(_ target: Target) {
        self.target = target
    }

    var isOpen: Bool { descriptor >= 0 }

    /// Opens the target, anew if it is open already; if that fails, what was open stays so.
    ///
    /// - Returns: An errno, nil if it is open now. ENXIO: a FIFO that nobody reads.
    mutating func open() -> Int32? {
        switch target {
        case .inherited(let inherited):
            descriptor = inherited
            kind = Self.kind(of: descriptor, isOwn: false)
            return nil
        case .file(let path):
            // O_NONBLOCK: neither opening nor writing a FIFO may wait for its reader. Regular files ignore it.
            let flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY
            let opened = Glibc.open(path, flags, 0o640)
            guard opened >= 0 else { return errno }
            close()
            descriptor = opened
            kind = Self.kind(of: descriptor, isOwn: true)
            if kind == .regular { endTornLine(path) }
            return nil
        }
    }

    /// Closes what `open` opened.
    mutating func close() {
        if case .file = target, descriptor >= 0 { _ = Glibc.close(descriptor) }
        descriptor = -1
    }

    /// Writes what the destination takes now.
    func write(_ bytes: UnsafeRawBufferPointer) -> Outcome {
        guard let start = bytes.baseAddress, !bytes.isEmpty else { return .wrote(0) }
        var count = -1
        switch kind {
        case .regular, .nonblocking:
            count = Glibc.write(descriptor, start, bytes.count)
        case .socket:
            count = send(descriptor, start, bytes.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL))
        case .shared:
            guard waitUntilWritable(milliseconds: 0) else { return .busy }
            count = Glibc.write(descriptor, start, min(bytes.count, Self.pipeBytes))
        }
        if count > 0 { return .wrote(count) }
        if count == 0 { return .failed(ENOSPC) }
        switch errno {
        case EINTR: return .wrote(0)
        case EAGAIN: return .busy
        default: return .failed(errno)
        }
    }

    /// Waits until a write may succeed or the time is over. True also when only a write can tell what is wrong.
    @discardableResult
    func waitUntilWritable(milliseconds: Int32) -> Bool {
        var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return poll(&request, 1, milliseconds) > 0
    }

    /// A process that was killed may have left half a line at the end of the file: ours begin on a line of their own.
    private func endTornLine(_ path: String) {
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_size > 0 else { return }
        let reader = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard reader >= 0 else { return }
        defer { _ = Glibc.close(reader) }
        var last: UInt8 = 0
        var lineFeed = UInt8(ascii: "\n")
        if pread(reader, &last, 1, status.st_size - 1) == 1, last != lineFeed {
            _ = Glibc.write(descriptor, &lineFeed, 1)
        }
    }

    private static func kind(of descriptor: Int32, isOwn: Bool) -> Kind {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return .shared }
        switch status.st_mode & S_IFMT {
        case S_IFREG: return .regular
        case S_IFSOCK: return .socket
        default: return isOwn ? .nonblocking : .shared
        }
    }
}
