import Glibc

/// One process a data directory.
///
/// Listening sockets are opened with SO_REUSEPORT, so the kernel would let a second process bind the same addresses and
/// give it every other connection. The lock is what tells a second `martlet up` that there is one already. The kernel
/// takes it back when its holder ends, however that ends.
enum DataLock {
    /// - Parameter isSuccessor: the predecessor still holds the lock, and gives it up when it has drained: a thread waits
    ///   for that.
    /// - Throws: `StartFailure` when another process has it.
    static func take(_ directory: String, isSuccessor: Bool) throws {
        let path = directory + "/lock"
        // Never closed: the lock is the process's, for as long as it lives.
        let descriptor = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else {
            throw StartFailure("cannot open \(path): \(String(cString: strerror(errno)))")
        }
        if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return }
        guard isSuccessor else {
            close(descriptor)
            throw StartFailure(
                "another martlet runs with the data directory \(directory); stop it, or give this one another `data`")
        }
        var thread = pthread_t()
        pthread_create(
            &thread, nil,
            { argument in
                flock(CInt(truncatingIfNeeded: Int(bitPattern: argument)), LOCK_EX)
                return nil
            }, UnsafeMutableRawPointer(bitPattern: Int(descriptor)))
        pthread_detach(thread)
    }
}
