import Glibc

/// The few things done with files here, each bounded, each with its error named.
///
/// Writing is all or nothing: a file of the right mode is made beside the target under a name of its own, flushed,
/// and renamed over it, so that a reader sees the old content or the new one, also after a power cut.
enum DiskFile {
    /// The whole file, if it is a regular one of at most `bytesMax` bytes; nil if there is none.
    static func readIfPresent(_ path: String, bytesMax: Int) throws(CertificateError) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw failure(path, "cannot be opened")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure(path, "cannot be examined") }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw CertificateError(.file, path: path, "expected a regular file")
        }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 * 1024)
        while true {
            let count = chunk.withUnsafeMutableBytes { buffer in
                Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            }
            if count < 0 {
                if errno == EINTR { continue }
                throw failure(path, "cannot be read")
            }
            guard count > 0 else { return bytes }
            bytes.append(contentsOf: chunk.prefix(count))
            guard bytes.count <= bytesMax else {
                throw CertificateError(.file, path: path, "expected at most \(bytesMax) bytes, found more")
            }
        }
    }

    /// As `readIfPresent`, but a missing file is an error.
    static func read(_ path: String, bytesMax: Int) throws(CertificateError) -> [UInt8] {
        guard let bytes = try readIfPresent(path, bytesMax: bytesMax) else {
            throw CertificateError(.file, path: path, "expected a file, found none")
        }
        return bytes
    }

    /// Puts `bytes` at `path` atomically. The file never exists with a wider mode than `mode`.
    static func write(_ bytes: [UInt8], to path: String, mode: mode_t) throws(CertificateError) {
        let draft = "\(path).\(getpid()).\(UInt64.random(in: 0...UInt64.max)).tmp"
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)
        guard descriptor >= 0 else { throw failure(path, "cannot be created") }
        do throws(CertificateError) {
            defer { close(descriptor) }
            // The umask may have taken bits away; a certificate is to be readable as asked.
            guard fchmod(descriptor, mode) == 0 else { throw failure(path, "cannot be given its mode") }
            try writeAll(bytes, to: descriptor, path)
            guard fsync(descriptor) == 0 else { throw failure(path, "cannot be flushed") }
        } catch {
            _ = unlink(draft)
            throw error
        }
        guard rename(draft, path) == 0 else {
            let error = failure(path, "cannot be put in place")
            _ = unlink(draft)
            throw error
        }
        try flushDirectory(of: path)
    }

    private static func writeAll(_ bytes: [UInt8], to descriptor: Int32, _ path: String) throws(CertificateError) {
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { buffer in
                Glibc.write(descriptor, buffer.baseAddress, buffer.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure(path, "cannot be written") }
            written += count
        }
    }

    /// A rename is on the disk only once its directory is.
    private static func flushDirectory(of path: String) throws(CertificateError) {
        let directory = parent(of: path)
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(directory, "cannot be opened") }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure(directory, "cannot be flushed") }
    }

    /// Makes the directory and those above it. Only the last one gets `mode`; it is given it even if it was there,
    /// since private keys lie in it.
    static func makeDirectory(_ path: String, mode: mode_t) throws(CertificateError) {
        var made = ""
        for part in path.split(separator: "/", omittingEmptySubsequences: true) {
            made += (made.isEmpty && !path.hasPrefix("/") ? "" : "/") + part
            if mkdir(made, 0o755) != 0, errno != EEXIST { throw failure(made, "cannot be created") }
        }
        guard chmod(path, mode) == 0 else { throw failure(path, "cannot be given its mode") }
    }

    static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    static func failure(_ path: String, _ what: String) -> CertificateError {
        let reason = strerror(errno).map { text in String(cString: text) } ?? "error \(errno)"
        return CertificateError(.file, path: path, "\(what): \(reason)")
    }
}

/// Holds other processes, and other threads of this one, off a directory while files in it are made.
///
/// The kernel drops the lock with the process, so nobody can be locked out by a crash.
enum DirectoryLock {
    private static let attemptsMax = 1000
    private static let pauseMicroseconds: UInt32 = 10_000

    /// Does `body` under the lock. Waits for it at most ten seconds.
    static func hold<Result>(
        _ directory: String, _ body: () throws(CertificateError) -> Result
    ) throws(CertificateError) -> Result {
        let path = directory + "/lock"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw DiskFile.failure(path, "cannot be opened") }
        defer { close(descriptor) }
        var attempts = 0
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            attempts += 1
            guard attempts < attemptsMax else {
                throw CertificateError(.file, path: path, "another process holds the lock")
            }
            usleep(pauseMicroseconds)
        }
        return try body()
    }
}

/// What tells a changed file from an unchanged one without reading it.
struct FileFingerprint: Sendable, Hashable {
    private let device: UInt64
    private let inode: UInt64
    private let byteCount: Int64
    private let changedSeconds: Int
    private let changedNanoseconds: Int

    /// nil if there is no such file. Links are followed: certbot swaps links, not files.
    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        byteCount = Int64(status.st_size)
        changedSeconds = Int(status.st_mtim.tv_sec)
        changedNanoseconds = Int(status.st_mtim.tv_nsec)
    }
}
