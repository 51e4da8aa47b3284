// The keeper's work: the journal, checkpoints, and an eye on the filesystem.

import Glibc
import Limits
import Logging
import Synchronization

/// What the keeper's thread works with.
struct DiskKeeping {
    /// Of the journal that is being written.
    var generation: UInt64
    var checkpointBytes: UInt64 = 0
    /// Bytes of journals since the checkpoint.
    var olderJournalBytes: UInt64 = 0
    /// Nothing on the disk leads back to what is in memory: a checkpoint is needed before anything else.
    var mustCheckpoint = false
    /// There are journals of a process that did not end in order.
    var wantsCheckpoint = false
    /// After a checkpoint failed, in seconds of `DiskClock`.
    var nextAttempt: UInt64 = 0

    init(generation: UInt64) { self.generation = generation }
}

extension DiskStore {
    /// Once a second.
    func tick() {
        watchFreeSpace()
        journal.flush()
        journal.flushRemovals()
        keeping.withLock { keeping in
            if journal.isLost, !keeping.mustCheckpoint { loseIndex(&keeping) }
            let journalBytes = journal.byteCount + keeping.olderJournalBytes
            space.setIndexBytes(journalBytes + keeping.checkpointBytes)
            let isDue = journalBytes > max(Limits.cacheDiskJournalBytesMin, keeping.checkpointBytes * 2)
            guard isDue || keeping.mustCheckpoint || keeping.wantsCheckpoint, DiskClock.seconds() >= keeping.nextAttempt
            else { return }
            if !checkpoint(&keeping) { keeping.nextAttempt = DiskClock.seconds() + Limits.cacheDiskPauseSeconds }
        }
    }

    /// More happened than the journal could be told. What is on the disk is worse than nothing: it may have objects
    /// that were removed.
    private func loseIndex(_ keeping: inout DiskKeeping) {
        keeping.mustCheckpoint = true
        log.warning("The cache cannot write its journal: without a checkpoint the disk's content is lost at a restart")
        for name in (try? directory.list()) ?? [] {
            switch name {
            case .checkpoint, .journal: directory.remove(name)
            case .segment, .large, .draft: break
            }
        }
    }

    /// Goes on in a new journal. False if there is none.
    func continueJournal(_ keeping: inout DiskKeeping) -> Bool {
        let generation = keeping.generation + 1
        guard let file = directory.open(.journal(generation), O_RDWR | O_CREAT | O_EXCL) else { return false }
        directory.flush()
        keeping.generation = generation
        keeping.olderJournalBytes += journal.byteCount
        journal.continueIn(file)
        return true
    }

    /// Writes a checkpoint and removes what it replaces. On failure everything older stays, and stays enough.
    func checkpoint(_ keeping: inout DiskKeeping) -> Bool {
        guard continueJournal(&keeping) else { return false }
        if journal.isLost { journal.startAnew() }
        let head = DiskCheckpoint.Head(
            generation: keeping.generation, lastBatch: journal.lastBatch,
            sequence: ledgerSequence.load(ordering: .relaxed), nextUnit: space.nextNumber)
        let bytes = DiskCheckpoint.write(
            head, index, names, purges: { purges.withLock { $0.records } }, in: directory, store: identity.store)
        guard let bytes else {
            counters.add { $0.writeErrors += 1 }
            return false
        }
        keeping.checkpointBytes = bytes
        keeping.olderJournalBytes = 0
        keeping.mustCheckpoint = false
        keeping.wantsCheckpoint = false
        counters.add { $0.checkpoints += 1 }
        removeBefore(keeping.generation)
        return true
    }

    private func removeBefore(_ generation: UInt64) {
        for name in (try? directory.list()) ?? [] {
            switch name {
            case .checkpoint(let number) where number < generation: directory.remove(name)
            case .journal(let number) where number < generation: directory.remove(name)
            default: break
            }
        }
    }

    // MARK: The filesystem

    /// Others are to find room too. While there is little, nothing is written, and a file goes every second.
    private func watchFreeSpace() {
        guard let free = directory.freeSpace(), free.total > 0 else { return }
        let least = free.total / 100 * Limits.cacheDiskFreePercent
        let isNowShort = free.available < least
        let wasShort = isShort.exchange(isNowShort, ordering: .relaxed)
        guard isNowShort else { return }
        if !wasShort {
            log.warning("The filesystem of the cache is almost full: nothing is stored, and the oldest objects go")
        }
        writer.submit { [self] in writing.withLock { _ = evictOldest(&$0) } }
    }
}
