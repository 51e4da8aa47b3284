// The directory of a replica and the names in it:
//
//     writer          locked by the process that writes (flock; the kernel takes it back when that process ends)
//     opening         locked for the moment in which somebody opens or replaces
//     state.N/        LMDB's two files; the highest N is the state. A snapshot becomes state.N+1 by one rename
//     refused.N/      a state that could not be used: the newest one is kept for whoever wants to know why
//     new/            a state being made; it counts only once it is renamed
//     import/         chunks of a snapshot that is coming, each under its hash
//     export/         chunks of the snapshots that were offered, each under its hash
//
// Chunk files need no flush: whoever reads one holds it against its name.

import Glibc

/// Names, listing, locks.
struct ReplicaDirectory: Sendable {
    let path: String

    var writerLock: String { path + "/writer" }
    var openingLock: String { path + "/opening" }
    var draft: String { path + "/new" }
    var importing: String { path + "/import" }
    var exported: String { path + "/export" }
    func state(_ number: UInt64) -> String { path + "/state.\(number)" }
    private func refused(_ number: UInt64) -> String { path + "/refused.\(number)" }

    /// Makes the directory and those above it; only the last one gets mode 0750.
    func make() throws(ReplicaError) {
        var made = ""
        let parts = path.split(separator: "/", omittingEmptySubsequences: true)
        for (index, part) in parts.enumerated() {
            made += (made.isEmpty && !path.hasPrefix("/") ? "" : "/") + part
            try ReplicaDirectory.makeOne(made, mode: index == parts.count - 1 ? 0o750 : 0o755)
        }
    }

    static func makeOne(_ path: String, mode: mode_t = 0o750) throws(ReplicaError) {
        if mkdir(path, mode) != 0, errno != EEXIST { throw ReplicaError.file(path, "cannot be created") }
    }

    /// Numbers of the states that are there, the newest first.
    func states() throws(ReplicaError) -> [UInt64] { try numbers("state.") }

    private func numbers(_ prefix: String) throws(ReplicaError) -> [UInt64] {
        try ReplicaDirectory.names(path).compactMap { name in
            name.hasPrefix(prefix) ? UInt64(name.dropFirst(prefix.count)) : nil
        }.sorted(by: >)
    }

    /// Takes a state out of the way. What was set aside before goes.
    func setAside(_ number: UInt64) throws(ReplicaError) {
        for older in try numbers("refused.") { ReplicaDirectory.remove(refused(older)) }
        guard rename(state(number), refused(number)) == 0 else {
            throw ReplicaError.file(state(number), "cannot be set aside")
        }
        flush()
    }

    /// Makes what lies in `new/` the state with this number, all or nothing, also over a power cut.
    func install(_ number: UInt64) throws(ReplicaError) {
        ReplicaDirectory.flush(draft)
        guard rename(draft, state(number)) == 0 else {
            throw ReplicaError.file(state(number), "cannot be put in place")
        }
        flush()
    }

    func removeState(_ number: UInt64) { ReplicaDirectory.remove(state(number)) }

    /// A new name is on the disk once its directory is.
    func flush() { ReplicaDirectory.flush(path) }

    static func flush(_ path: String) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }

    // MARK: Files

    /// Everything in a directory but itself and its parent. None if it is not there.
    static func names(_ path: String) throws(ReplicaError) -> [String] {
        guard let directory = opendir(path) else {
            if errno == ENOENT { return [] }
            throw ReplicaError.file(path, "cannot be listed")
        }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { name in
                String(cString: UnsafeRawPointer(name).assumingMemoryBound(to: CChar.self))
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// Removes a directory with the files in it and in its directories. What cannot be removed stays.
    static func remove(_ path: String) {
        for name in (try? names(path)) ?? [] {
            let inside = path + "/" + name
            if unlink(inside) != 0, errno == EISDIR || errno == EPERM { remove(inside) }
        }
        rmdir(path)
    }

    /// Bytes of a file; nil if it is not there.
    static func byteCount(_ path: String) -> Int? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return Int(status.st_size)
    }

    /// The whole file if it has at most `bytesMax` bytes.
    static func contents(_ path: String, bytesMax: Int) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_size <= bytesMax, status.st_size >= 0 else { return nil }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        let isWhole = bytes.withUnsafeMutableBytes { buffer in readAll(descriptor, into: buffer, at: 0) }
        return isWhole ? bytes : nil
    }

    /// Fills the buffer from the file, or says that it could not.
    static func readAll(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer, at offset: Int) -> Bool {
        var done = 0
        while done < buffer.count {
            let count = pread(
                descriptor, buffer.baseAddress?.advanced(by: done), buffer.count &- done, off_t(offset &+ done))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            done &+= count
        }
        return true
    }

    /// Puts a file in place, all or nothing for everybody but a power cut.
    static func put(_ bytes: [UInt8], at path: String) throws(ReplicaError) {
        let draft = path + ".tmp"
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw ReplicaError.file(draft, "cannot be created") }
        var failure: Int32 = 0
        bytes.withUnsafeBytes { buffer in
            var done = 0
            while done < buffer.count {
                let count = write(descriptor, buffer.baseAddress?.advanced(by: done), buffer.count &- done)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else {
                    failure = count < 0 ? errno : EIO
                    return
                }
                done &+= count
            }
        }
        close(descriptor)
        if failure == 0, rename(draft, path) != 0 { failure = errno }
        guard failure == 0 else {
            unlink(draft)
            throw ReplicaError.file(path, "cannot be written", failure)
        }
    }
}

/// A lock on a file that the kernel gives back when its holder ends, however that ends.
final class FileLock: Sendable {
    private let descriptor: Int32

    private init(descriptor: Int32) { self.descriptor = descriptor }

    deinit {
        // Not by closing alone: a child that was forked a moment ago has the descriptor too, until it executes.
        flock(descriptor, LOCK_UN)
        close(descriptor)
    }

    /// - Returns: nil if somebody else holds it and `waits` is false.
    static func take(_ path: String, waits: Bool) throws(ReplicaError) -> FileLock? {
        let descriptor = open(path, O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw ReplicaError.file(path, "cannot be opened") }
        let lock = FileLock(descriptor: descriptor)
        while flock(descriptor, waits ? LOCK_EX : LOCK_EX | LOCK_NB) != 0 {
            if errno == EINTR { continue }
            if !waits, errno == EWOULDBLOCK { return nil }
            throw ReplicaError.file(path, "cannot be locked")
        }
        return lock
    }
}
