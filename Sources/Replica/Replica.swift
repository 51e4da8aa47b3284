// The local copy of the configuration. One process writes it, frame by frame in the log's order; any thread reads it.
//
// Two processes may have it open while a successor takes over from its predecessor: both read, one writes. Who writes
// holds the lock of the file `writer`. A successor takes that lock with its first frame, once the predecessor has let
// it go, and finds then what the predecessor wrote last.

package import ConfigLog
import Glibc
import Limits
package import Logging
import Synchronization

/// The configuration's keys and values at one position of the log, on this machine's disk.
package final class Replica: Sendable {
    /// The file that is read now, and where it stands.
    struct Current {
        var file: ReplicaFile?
        var number: UInt64
        var position: LogPosition
    }

    /// What only the thread that writes touches.
    struct Writer {
        var lock: FileLock?
        /// Where this process last knew the file to stand. If it stands elsewhere, somebody else wrote.
        var known: LogPosition
    }

    let directory: ReplicaDirectory
    let bytesMax: Int
    let log: Logger
    private let identity: String
    /// Why what was found at the start was set aside. The position is then `.none`: a snapshot is due.
    package let refused: ReplicaError?
    // Held for a copy of what is in it.
    let current: Mutex<Current>
    // Held for as long as a transaction or an import lasts. No reader takes it.
    let writer: Mutex<Writer>
    let offers = Mutex<[SnapshotManifest]>([])
    /// The newest import; older ones do nothing any more.
    let importNumber = Atomic<UInt64>(0)
    // For the statistics.
    let appliedCount = Atomic<UInt64>(0)
    let importCount = Atomic<UInt64>(0)
    let isWriter: Atomic<Bool>

    /// LMDB forbids to open a file twice in one process: closing one would drop the locks of the other.
    private static let open = Mutex<Set<String>>([])

    private init(
        directory: ReplicaDirectory, identity: String, bytesMax: Int, log: Logger, found: Found, lock: FileLock?
    ) {
        self.directory = directory
        self.identity = identity
        self.bytesMax = bytesMax
        self.log = log
        refused = found.refused
        current = Mutex(Current(file: found.file, number: found.number, position: found.position))
        writer = Mutex(Writer(lock: lock, known: found.position))
        isWriter = Atomic(lock != nil)
    }

    deinit { close() }

    /// Opens the replica in a directory, or makes an empty one.
    ///
    /// What is there is read once and held against what was committed. A file that is damaged, or not a replica of this
    /// layout, is set aside and told to the log; the replica is then empty, and a snapshot fills it.
    /// - Parameter bytesMax: what the file may grow to.
    package static func open(path: String, bytesMax: Int, log: Logger) throws(ReplicaError) -> Replica {
        guard Limits.replicaBytesRange.contains(bytesMax) else {
            throw ReplicaError(.invalid, "a replica of \(bytesMax) bytes: \(Limits.replicaBytesRange) are allowed")
        }
        let directory = ReplicaDirectory(path: path)
        try directory.make()
        guard let resolved = realpath(path, nil) else { throw ReplicaError.file(path, "cannot be found") }
        let identity = String(cString: resolved)
        free(resolved)
        guard open.withLock({ open in open.insert(identity).inserted }) else {
            throw ReplicaError(.locked, "\(path) is open in this process already")
        }
        do throws(ReplicaError) {
            let opening = try FileLock.take(directory.openingLock, waits: true)
            defer { withExtendedLifetime(opening) {} }
            let lock = try FileLock.take(directory.writerLock, waits: false)
            let found = try find(directory, bytesMax: bytesMax, mayWrite: lock != nil, log: log)
            return Replica(
                directory: directory, identity: identity, bytesMax: bytesMax, log: log, found: found, lock: lock)
        } catch {
            open.withLock { open in _ = open.remove(identity) }
            throw error
        }
    }

    /// Where in the log the replica stands. While another process writes, that is asked of the file.
    package var position: LogPosition {
        let (file, known) = current.withLock { current in (current.file, current.position) }
        guard let file, !isWriter.load(ordering: .relaxed) else { return known }
        return (try? file.head().position) ?? known
    }

    /// Reads under way finish; everything that comes later throws `stopped`.
    package func close() {
        writer.withLock { writer in
            let file = current.withLock { current in
                defer { current.file = nil }
                return current.file
            }
            guard let file else { return }
            // What was committed is in the file already; this makes the newest position outlive a power cut too.
            if writer.lock != nil { try? file.flush() }
            writer.lock = nil
            Replica.open.withLock { open in _ = open.remove(identity) }
        }
    }

    /// The file as it is now. It stays open for as long as somebody holds it.
    func file() throws(ReplicaError) -> ReplicaFile {
        guard let file = current.withLock({ current in current.file }) else {
            throw ReplicaError(.stopped, "\(directory.path) is closed")
        }
        return file
    }

    // MARK: Opening

    private struct Found {
        var file: ReplicaFile
        var number: UInt64
        var position: LogPosition
        var refused: ReplicaError?
    }

    private static func find(
        _ directory: ReplicaDirectory, bytesMax: Int, mayWrite: Bool, log: Logger
    ) throws(ReplicaError) -> Found {
        var refused: ReplicaError?
        let numbers = try directory.states()
        for number in numbers {
            do throws(ReplicaError) {
                let path = directory.state(number)
                // Nobody writes while we hold the writer's lock. Whoever else has it has read the file before.
                let checked = mayWrite ? try PageCheck.run(path) : nil
                let file = try ReplicaFile.open(path, bytesMax: bytesMax)
                let head = try file.head()
                if let checked, checked != head {
                    throw ReplicaError(.damaged, "\(path) reads differently every time")
                }
                // A snapshot took the place of older states, and the process ended before it could remove them.
                if mayWrite { for older in numbers where older < number { directory.removeState(older) } }
                return Found(file: file, number: number, position: head.position, refused: refused)
            } catch {
                guard error.kind == .damaged, mayWrite else { throw error }
                log.error("The replica cannot be used and is set aside; a snapshot will take its place: \(error)")
                try directory.setAside(number)
                refused = error
            }
        }
        guard mayWrite else { throw ReplicaError(.locked, "\(directory.path) is being made by another process") }
        let number = (numbers.first ?? 0) &+ 1
        try makeEmpty(directory, bytesMax: bytesMax)
        try directory.install(number)
        let file = try ReplicaFile.open(directory.state(number), bytesMax: bytesMax)
        return Found(file: file, number: number, position: .none, refused: refused)
    }

    private static func makeEmpty(_ directory: ReplicaDirectory, bytesMax: Int) throws(ReplicaError) {
        ReplicaDirectory.remove(directory.draft)
        try ReplicaDirectory.makeOne(directory.draft)
        let file = try ReplicaFile.create(directory.draft, bytesMax: bytesMax)
        try WriteTransaction.begin(new: file).commit()
        try file.flush()
    }

    // MARK: Writing

    /// Takes the writer's lock if this process does not have it yet, and finds what its last holder left.
    func becomeWriter(_ writer: inout Writer) throws(ReplicaError) {
        guard writer.lock == nil else { return }
        guard let lock = try FileLock.take(directory.writerLock, waits: false) else {
            throw ReplicaError(.locked, "\(directory.path) is being written by another process")
        }
        try adoptNewest()
        writer.lock = lock
        isWriter.store(true, ordering: .relaxed)
    }

    /// Another process may have replaced the state that is open here.
    private func adoptNewest() throws(ReplicaError) {
        let opening = try FileLock.take(directory.openingLock, waits: true)
        defer { withExtendedLifetime(opening) {} }
        let number = current.withLock { current in current.number }
        guard let newest = try directory.states().first, newest != number else { return }
        let file = try ReplicaFile.open(directory.state(newest), bytesMax: bytesMax)
        replace(by: file, number: newest, position: try file.head().position)
    }

    /// From now on everybody reads this file. Those who are reading the older one end in peace.
    func replace(by file: ReplicaFile, number: UInt64, position: LogPosition) {
        let older = current.withLock { current in
            defer { current = Current(file: file, number: number, position: position) }
            return current.file
        }
        // Closed after this, outside the lock, if nobody else holds it.
        withExtendedLifetime(older) {}
    }
}
