// What a node does with its replica: it blocks on the disk, and so has threads of its own.
//
// One thread writes, in the order in which it was asked: frames, and the steps of an import. Frames that wait together
// are applied together. Another thread reads snapshots for children, so that no change waits for an export. What waits is
// counted in bytes; whoever fills the queue looks at `isFull` before he takes more.

import ConfigLog
import Glibc
import Limits
import Logging
import NIOPosix
import Replica
import Synchronization

/// The threads of one replica.
final class ReplicaWorker: Sendable {
    enum Job: Sendable {
        case apply(Frame)
        /// `number` tells one import from the next, also in the answers.
        case beginImport(SnapshotManifest, number: UInt64)
        case storeChunk(index: Int, [UInt8], number: UInt64)
        case abandonImport
        case finishImport(number: UInt64)

        var byteCount: Int {
            switch self {
            case .apply(let frame): frame.bytes.count
            case .storeChunk(_, let bytes, _): bytes.count
            case .beginImport, .abandonImport, .finishImport: 0
            }
        }
    }

    enum Answer: Sendable {
        case applied(LogPosition, committedAtMilliseconds: UInt64)
        /// Nothing behind it was applied, and nothing will be before `resume`.
        case applyFailed(ReplicaError)
        case importBegan(lacking: [Int], number: UInt64)
        case importFinished(LogPosition, number: UInt64)
        case importFailed(ReplicaError, number: UInt64)
        case exported(SnapshotManifest?)
        case chunk(ChainHash, [UInt8]?, child: UInt64)
        /// There is room again.
        case drained
    }

    private struct State {
        var jobs: [Job?] = []
        var start = 0
        var byteCount = 0
        var isRunning = false
        var isStopped = false
        /// A frame failed: those that waited behind it are not wanted.
        var hasFailed = false
        var wasFull = false
    }

    let replica: Replica
    private let isRoot: Bool
    private let log: Logger
    private let onTouched: @Sendable (Touched) -> Void
    private let answer: @Sendable (Answer) -> Void
    private let writer = NIOThreadPool(numberOfThreads: 1)
    private let reader = NIOThreadPool(numberOfThreads: 1)
    private let state = Mutex(State())
    private let problemText = Mutex<String?>(nil)
    /// Touched by the writing thread alone.
    private let snapshot = Mutex<(number: UInt64, SnapshotImport)?>(nil)

    /// - Parameters:
    ///   - isRoot: Nobody sends a frame again: it is tried again here, and then given up.
    ///   - onTouched: On the writing thread.
    ///   - answer: On either thread.
    init(
        _ replica: Replica, isRoot: Bool, log: Logger, onTouched: @escaping @Sendable (Touched) -> Void,
        answer: @escaping @Sendable (Answer) -> Void
    ) {
        self.replica = replica
        self.isRoot = isRoot
        self.log = log
        self.onTouched = onTouched
        self.answer = answer
        writer.start()
        reader.start()
    }

    /// More waits than should: take no more for now. `drained` follows.
    var isFull: Bool { state.withLock { $0.wasFull } }
    /// What is wrong at the moment, for people.
    var problem: String? { problemText.withLock { $0 } }

    // MARK: Asking

    func add(_ job: Job) {
        let starts = state.withLock { state in
            guard !state.isStopped else { return false }
            if case .apply = job, state.hasFailed { return false }
            state.jobs.append(job)
            state.byteCount &+= job.byteCount
            if state.byteCount > Limits.distributionReplicaQueueBytesMax { state.wasFull = true }
            defer { state.isRunning = true }
            return !state.isRunning
        }
        if starts { writer.submit { [self] status in if status == .active { run() } } }
    }

    /// Frames are wanted again: `applyFailed` was heard, and those that come now follow what the replica holds.
    func resume() {
        state.withLock { state in
            for index in state.jobs.indices.dropFirst(state.start) {
                if case .apply(let frame)? = state.jobs[index] {
                    state.byteCount &-= frame.bytes.count
                    state.jobs[index] = nil
                }
            }
            state.hasFailed = false
        }
    }

    func exportSnapshot() {
        reader.submit { [self] status in
            guard status == .active else { return }
            do throws(ReplicaError) {
                answer(.exported(try replica.exportSnapshot()))
            } catch {
                log.error("a snapshot for children cannot be made", metadata: ["reason": "\(error)"])
                answer(.exported(nil))
            }
        }
    }

    func readChunk(_ hash: ChainHash, child: UInt64) {
        reader.submit { [self] status in
            guard status == .active else { return }
            answer(.chunk(hash, replica.exportedChunk(hash), child: child))
        }
    }

    /// Returns once no thread touches the replica any more. What still waits is dropped.
    func stop() async {
        state.withLock { state in
            state.isStopped = true
            state.jobs = []
            (state.start, state.byteCount) = (0, 0)
        }
        try? await writer.shutdownGracefully()
        try? await reader.shutdownGracefully()
    }

    private var isStopped: Bool { state.withLock { $0.isStopped } }

    // MARK: Doing

    private enum Batch {
        case frames([Frame])
        case other(Job)
    }

    /// What is to be done next: frames that follow each other together, up to a bound.
    private func next() -> Batch? {
        state.withLock { state in
            var frames: [Frame] = []
            var bytes = 0
            var other: Job?
            while state.start < state.jobs.count {
                guard let job = state.jobs[state.start] else {
                    state.start += 1
                    continue
                }
                if case .apply(let frame) = job {
                    guard bytes < Limits.distributionApplyBatchBytes else { break }
                    frames.append(frame)
                    bytes &+= frame.bytes.count
                } else {
                    guard frames.isEmpty else { break }
                    other = job
                }
                state.jobs[state.start] = nil
                state.start += 1
                if other != nil { break }
            }
            if state.start == state.jobs.count { (state.jobs, state.start) = ([], 0) }
            if !frames.isEmpty { return .frames(frames) }
            if let other { return .other(other) }
            state.isRunning = false
            return nil
        }
    }

    private func run() {
        while let batch = next() {
            var bytes = 0
            switch batch {
            case .frames(let frames):
                bytes = frames.reduce(0) { $0 &+ $1.bytes.count }
                apply(frames)
            case .other(let job):
                bytes = job.byteCount
                perform(job)
            }
            let hasDrained = state.withLock { state in
                state.byteCount = max(0, state.byteCount &- bytes)
                guard state.wasFull, state.byteCount <= Limits.distributionReplicaQueueBytesMax / 2 else {
                    return false
                }
                state.wasFull = false
                return true
            }
            if hasDrained { answer(.drained) }
        }
    }

    // MARK: Frames

    private func apply(_ frames: [Frame]) {
        guard let last = frames.last else { return }
        var waits = Limits.distributionApplyRetryMilliseconds[...]
        while true {
            do throws(ReplicaError) {
                let touched = try applyWhatFollows(frames)
                if let touched { onTouched(touched) }
                note(nil)
                return answer(.applied(last.position, committedAtMilliseconds: last.committedAtMilliseconds))
            } catch {
                guard !isStopped else { return }
                note(error)
                // Only a root tries again by itself: nobody sends it the frame once more.
                let mayPass = error.kind == .file || error.kind == .full
                guard isRoot, mayPass, let wait = waits.popFirst() else { return fail(error) }
                usleep(UInt32(wait) * 1000)
            }
        }
    }

    private func fail(_ error: ReplicaError) {
        state.withLock { $0.hasFailed = true }
        answer(.applyFailed(error))
    }

    /// Applies them, but for those that are in the replica already: a predecessor that drained may have written on.
    private func applyWhatFollows(_ frames: [Frame]) throws(ReplicaError) -> Touched? {
        do throws(ReplicaError) {
            return try whenUnlocked { () throws(ReplicaError) in try replica.apply(frames) }
        } catch {
            guard error.kind == .notNext else { throw error }
            let at = replica.position
            guard frames.first?.epoch == at.epoch else { throw error }
            let known = frames.prefix { $0.last <= at.sequence }
            guard !known.isEmpty, known.last?.last != at.sequence || known.last?.hash == at.hash else { throw error }
            let rest = frames.dropFirst(known.count)
            if rest.isEmpty {
                var touched = Touched(position: at)
                touched.isEverything = true
                return touched
            }
            return try replica.apply(Array(rest))
        }
    }

    // MARK: Imports

    private func perform(_ job: Job) {
        switch job {
        case .apply: break
        case .abandonImport:
            let current = snapshot.withLock { snapshot in
                defer { snapshot = nil }
                return snapshot
            }
            current?.1.cancel()
        case .beginImport(let manifest, let number):
            attempt(number) { () throws(ReplicaError) in
                let begun = try whenUnlocked { () throws(ReplicaError) in try replica.beginImport(manifest) }
                snapshot.withLock { $0 = (number, begun) }
                answer(.importBegan(lacking: begun.lacking, number: number))
            }
        case .storeChunk(let index, let bytes, let number):
            guard let current = current(number) else { return }
            attempt(number) { () throws(ReplicaError) in try current.store(index: index, bytes) }
        case .finishImport(let number):
            guard let current = current(number) else { return }
            attempt(number) { () throws(ReplicaError) in
                let touched = try whenUnlocked { () throws(ReplicaError) in try current.finish() }
                snapshot.withLock { $0 = nil }
                onTouched(touched)
                answer(.importFinished(touched.position, number: number))
            }
        }
    }

    private func current(_ number: UInt64) -> SnapshotImport? {
        snapshot.withLock { $0?.number == number ? $0?.1 : nil }
    }

    private func attempt(_ number: UInt64, _ body: () throws(ReplicaError) -> Void) {
        do throws(ReplicaError) {
            try body()
            note(nil)
        } catch {
            guard !isStopped else { return }
            note(error)
            // What came is kept: the next import takes it over.
            snapshot.withLock { $0 = nil }
            answer(.importFailed(error, number: number))
        }
    }

    // MARK: Trouble

    /// Waits for a predecessor that drains to let go of the replica.
    private func whenUnlocked<T>(_ body: () throws(ReplicaError) -> T) throws(ReplicaError) -> T {
        while true {
            do throws(ReplicaError) {
                return try body()
            } catch {
                guard error.kind == .locked, !isStopped else { throw error }
                note(error)
                usleep(UInt32(Limits.distributionLockedRetryMilliseconds) * 1000)
            }
        }
    }

    /// Tells the log when trouble begins, changes and ends.
    private func note(_ error: ReplicaError?) {
        let text = error?.description
        let before = problemText.withLock { problem in
            defer { problem = text }
            return problem
        }
        guard before != text else { return }
        if let error {
            log.warning(
                "the replica does not take what comes", metadata: ["reason": "\(error)", "kind": "\(error.kind)"])
        } else {
            log.notice("the replica takes what comes again")
        }
    }
}
