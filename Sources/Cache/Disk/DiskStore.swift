// The disk store: everything that outlives memory and the process.
//
//     small objects   segments (N.log), written from front to end, one record behind the other
//     large objects   a file each (N.big), written while they come in
//     the index       in memory, 65 bytes an object; on the disk a checkpoint and a journal (DiskRecovery.swift)
//
// Threads. No call from an event loop waits for a device. Look-ups and removals touch the index alone, under the lock
// of one of its shards. Loads and reads for streams run on the readers' threads; everything that writes objects or
// frees space runs on the writer's one thread, in order; journal, checkpoints and sweeps on the keeper's.
//
// What a crash costs. Nothing is flushed for the sake of objects: each record and each block of a body has a checksum,
// and what does not fit was never there. Purges are flushed (DiskFloor.swift).
//
// Space. The oldest file goes first. Of a segment that is to go, objects that were used since are written once more, as
// in a clock, and so are those of zones that have little, as far as a budget goes (DiskStore+Reclaim.swift).

import Glibc
import Limits
package import Logging
import NIOCore
import Synchronization

/// The cache's second, larger half. One per process; survives reloads.
package final class DiskStore: Sendable {
    let directory: DiskDirectory
    let identity: DiskIdentity
    let log: Logger
    let observer: DiskObserver
    let counters: DiskCounters

    let index: DiskIndex
    let names: DiskNames
    let space: DiskSpace
    let journal: DiskJournal
    let files: DiskFiles

    let readers: DiskWorker
    let writer: DiskWorker
    let keeper: DiskWorker

    /// Segments that can be read.
    let segments = Mutex<[UInt32: OpenFile]>([:])
    /// What the writer's thread alone uses. It holds the lock while it works; nobody else takes it.
    let writing: Mutex<DiskWriting>
    let keeping: Mutex<DiskKeeping>
    let queuedWriteBytes = Atomic<Int>(0)
    let writerCount = Atomic<Int>(0)
    let isClosed = Atomic<Bool>(false)
    /// Nothing is written before this moment of `DiskClock`, in seconds.
    let pausedUntil = Atomic<UInt64>(0)
    /// The filesystem has less room than others are to be left.
    let isShort = Atomic<Bool>(false)
    /// The highest sequence of the purge ledger that was recorded.
    let ledgerSequence: Atomic<UInt64>
    /// Purges that are not settled.
    let purges: Mutex<PurgeList>
    /// Purges whose sweep goes on: what is written meanwhile is judged by them.
    let sweeps = Mutex<[PurgeRecord]>([])
    /// Purges that will be swept together, when the keeper comes to them.
    let purgesToSweep = Mutex(PurgeList())
    private let lock: OpenFile

    /// The key of this installation: the same for as long as the directory's content lives.
    package var secret: KeySecret { identity.secret }
    /// Purges that were recorded and not settled when the last process ended, oldest first.
    package let purgesAtOpen: [PurgeRecord]
    /// No record or object on the disk has a higher sequence of the purge ledger.
    package let sequenceAtOpen: UInt64

    /// Opens the store in a directory, which is made if it is missing. Waits for the disk.
    ///
    /// Content that cannot be trusted is dropped; that is logged, and no error.
    ///
    /// - Throws: `DiskError`: `.locked` while another process has the directory.
    package static func open(
        path: String, bytesMax: UInt64, log: Logger, observer: DiskObserver = DiskObserver()
    ) throws(DiskError) -> DiskStore {
        try open(path: path, bytesMax: bytesMax, log: log, observer: observer) { pwritev($0, $1, $2, $3) }
    }

    /// The same with another way to write.
    static func open(
        path: String, bytesMax: UInt64, log: Logger, observer: DiskObserver = DiskObserver(),
        writeCall: @escaping DiskWriteCall
    ) throws(DiskError) -> DiskStore {
        try DiskDirectory.make(path, mode: 0o750)
        let lockPath = path + "/lock"
        guard let lock = OpenFile.open(lockPath, O_RDWR | O_CREAT) else {
            throw DiskError.file(lockPath, "cannot be opened")
        }
        guard flock(lock.descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw DiskError(kind: .locked, description: "another process uses the cache in \(path)")
        }
        let directory = DiskDirectory(path: path, writeCall: writeCall)
        let start = try DiskStart.read(directory, log: log)
        let store = try DiskStore(
            directory, lock, start, bytesMax: max(bytesMax, Limits.cacheDiskBytesMin), log: log, observer: observer)
        try store.begin(start)
        return store
    }

    private init(
        _ directory: DiskDirectory, _ lock: OpenFile, _ start: DiskStart, bytesMax: UInt64, log: Logger,
        observer: DiskObserver
    ) throws(DiskError) {
        let recovery = start.recovery
        let link = DiskLink()
        let counters = DiskCounters()
        let readers = try DiskWorker(
            threadCount: Limits.cacheDiskReadThreads, jobsMax: Limits.cacheDiskReadsQueuedMax)
        let keeper = try DiskWorker(
            threadCount: 1, jobsMax: Limits.cacheDiskJobsQueuedMax, tick: { link.store?.tick() })
        self.directory = directory
        self.lock = lock
        self.log = log
        self.observer = observer
        self.counters = counters
        self.readers = readers
        self.keeper = keeper
        writer = try DiskWorker(threadCount: 1, jobsMax: Limits.cacheDiskJobsQueuedMax)
        identity = start.identity
        index = recovery.index
        names = recovery.names
        space = DiskSpace(bytesMax: bytesMax, nextNumber: recovery.nextUnit)
        journal = DiskJournal(
            store: start.identity.store, lastBatch: recovery.lastBatch, floor: start.floor,
            writeCall: directory.writeCall,
            announce: { keeper.submit(isUrgent: true) { link.store?.journal.flush() } })
        files = DiskFiles(
            directory: directory, reader: readers, observer: observer, counters: counters,
            discard: { unit in link.store?.discardLarge(unit) })
        purgesAtOpen = recovery.purges
        purges = Mutex(PurgeList(purgesAtOpen))
        sequenceAtOpen = recovery.sequence
        writing = Mutex(DiskWriting())
        keeping = Mutex(DiskKeeping(generation: recovery.generation))
        ledgerSequence = Atomic(recovery.sequence)
        link.set(self)
    }

    /// Enters what is there, and begins a journal of its own: old ones are never written to again.
    private func begin(_ start: DiskStart) throws(DiskError) {
        start.recovery.settle(directory, start.files, space)
        for name in start.files {
            guard case .segment(let number) = name, space.unit(number) != nil else { continue }
            guard let file = directory.open(name, O_RDONLY) else { continue }
            segments.withLock { $0[number] = file }
        }
        let isContinued = keeping.withLock { continueJournal(&$0) }
        guard isContinued else {
            stopThreads()
            throw DiskError.file(directory.path, "cannot be written to")
        }
        // Without a checkpoint nothing counts; a new one is written at once, that of a large store on the side.
        if start.isNew {
            guard keeping.withLock({ checkpoint(&$0) }) else {
                stopThreads()
                throw DiskError.file(directory.path, "cannot be written to")
            }
        } else if start.recovery.hasJournal {
            keeping.withLock { $0.wantsCheckpoint = true }
        }
        keeper.submit { [self] in tick() }
    }

    /// Another bound, after a reload. What is too much goes soon.
    package func setBytesMax(_ bytes: UInt64) {
        space.setBytesMax(max(bytes, Limits.cacheDiskBytesMin))
        writer.submit { [self] in writing.withLock { _ = makeRoom(0, &$0) } }
    }

    /// What one zone may take of the disk; nil: its fair share.
    package func setZoneBytesMax(_ zone: ZoneTag, _ bytes: UInt64?) {
        names.setBytesMax(zone, bytes, journal: journal)
    }

    /// Bytes that the objects of a zone take.
    package func zoneBytes(_ zone: ZoneTag) -> UInt64 { names.bytes(zone) }

    package var statistics: DiskStatistics {
        var statistics = counters.snapshot
        let totals = space.totals
        statistics.bytes = totals.bytes
        statistics.liveBytes = totals.live
        statistics.largeObjects = totals.largeObjects
        statistics.objects = index.count
        statistics.queuedWriteBytes = queuedWriteBytes.load(ordering: .relaxed)
        statistics.openFiles = files.openCount
        return statistics
    }

    // MARK: The end

    /// Waits until everything queued is done, writes a checkpoint, and gives the directory back. Whatever is asked
    /// afterwards answers that nothing is there.
    package func close() {
        guard !isClosed.exchange(true, ordering: .acquiringAndReleasing) else { return }
        stopThreads()
        journal.flush()
        keeping.withLock { keeping in
            if !checkpoint(&keeping) { log.warning("The cache on the disk is left without a checkpoint") }
        }
        flock(lock.descriptor, LOCK_UN)
    }

    private func stopThreads() {
        readers.stop()
        writer.stop()
        keeper.stop()
    }
}

/// What the store's threads and files know it by. They do not keep it.
private final class DiskLink: Sendable {
    private struct Weak {
        weak var store: DiskStore?
    }
    private let value = Mutex(Weak())

    var store: DiskStore? { value.withLock { $0.store } }
    func set(_ store: DiskStore) { value.withLock { $0.store = store } }
}

/// A directory as it was found.
struct DiskStart {
    let identity: DiskIdentity
    let floor: DiskFloor
    let recovery: DiskRecovery
    let files: [DiskDirectory.Name]
    /// Nothing that was there could be used.
    let isNew: Bool

    static func read(_ directory: DiskDirectory, log: Logger) throws(DiskError) -> DiskStart {
        let names = try directory.list()
        let floorPath = directory.path + "/floor"
        if let identity = DiskIdentity.read(directory),
            let floor = DiskFloor.open(floorPath, store: identity.store, writeCall: directory.writeCall),
            let recovery = DiskRecovery.read(directory, names, store: identity.store, floor: floor.sequence),
            recovery.nextUnit < .max / 2
        {
            return DiskStart(identity: identity, floor: floor, recovery: recovery, files: names, isNew: false)
        }
        if !names.isEmpty {
            log.warning(
                "The cache on the disk cannot be trusted, and begins anew", metadata: ["path": "\(directory.path)"])
        }
        return try wipe(directory, names)
    }

    private static func wipe(_ directory: DiskDirectory, _ names: [DiskDirectory.Name]) throws(DiskError) -> DiskStart {
        for name in names { directory.remove(name) }
        let identity = try DiskIdentity.create(directory, secret: DiskIdentity.read(directory)?.secret)
        guard
            let floor = DiskFloor.create(
                directory.path + "/floor", store: identity.store, writeCall: directory.writeCall)
        else { throw DiskError.file(directory.path, "cannot be written to") }
        // What could not be removed is never met again by its number.
        let left = try directory.list()
        let recovery = left.isEmpty ? DiskRecovery() : DiskRecovery(after: left)
        return DiskStart(identity: identity, floor: floor, recovery: recovery, files: left, isNew: true)
    }
}
