import Glibc
import Limits
package import NIOCore
import Synchronization

/// What a `LargeWriter` tells, on the writer's thread.
package enum LargeProgress: Sendable {
    /// This many bytes of the body can be read now.
    case written(UInt64)
    /// The object is in the index.
    case committed
    /// It is given up. What was written stays readable to those who read it.
    case failed
}

/// Writes one large object while it comes in. Any thread may call it; the bytes are written in the order they were
/// appended in.
///
/// As much is written at once as the kernel keeps together in one piece of its memory, at places where such pieces begin,
/// and what is left behind the last one when the body is whole. Sending such a file takes a tenth less than sending one
/// that was written as the network had it.
package final class LargeWriter: Sendable {
    /// Readable as far as it was written.
    package let body: FileBody
    private let store: DiskStore
    private let progress: @Sendable (LargeProgress) -> Void
    private let state = Mutex(State())

    private struct State {
        var waiting: ContiguousArray<ByteBuffer> = []
        var waitingBytes = 0
        /// What the writer's thread has taken and not written yet.
        var writingBytes = 0
        /// Where `waiting` begins in the body.
        var position: UInt64 = 0
        /// A job is queued that will look at this.
        var isScheduled = false
        var commit: (response: StoredResponse, trailers: ByteBuffer?, start: UInt64)?
        var isOver = false
        var mustAbandon = false
    }

    /// What the writer's thread alone uses: others never wait while it adds up.
    private let sums = Mutex(Sums())

    private struct Sums {
        var open = BlockChecksums()
        var finished: [UInt32] = []
    }

    init(store: DiskStore, body: FileBody, progress: @escaping @Sendable (LargeProgress) -> Void) {
        self.store = store
        self.body = body
        self.progress = progress
    }

    deinit {
        if !state.withLock({ $0.isOver }) { store.abandon(body) }
    }

    /// Bytes of the body that can be read now.
    package var writtenBytes: UInt64 { body.byteCount }

    /// Bytes appended and not yet written. Above `Limits.cacheFillWindowBytes` their source should wait.
    package var pendingBytes: Int { state.withLock { $0.waitingBytes + $0.writingBytes } }

    /// Queues a piece of the body.
    package func append(_ bytes: ByteBuffer) {
        guard bytes.readableBytes > 0 else { return }
        let mustSchedule = state.withLock { state -> Bool in
            guard !state.isOver, !state.mustAbandon, state.commit == nil else { return false }
            state.waiting.append(bytes)
            state.waitingBytes += bytes.readableBytes
            if state.waitingBytes > Limits.cacheDiskWriterBytesQueuedMax { state.mustAbandon = true }
            guard state.mustAbandon || Self.writableBytes(state) > 0 else { return false }
            return Self.mustSchedule(&state)
        }
        if mustSchedule { schedule() }
    }

    /// The body is whole.
    ///
    /// - Parameters:
    ///   - response: The finished response, its body `.file(body)`. All but the body is taken from it.
    ///   - trailers: Trailer lines, each ended by CRLF.
    package func commit(_ response: StoredResponse, trailers: ByteBuffer? = nil) {
        let mustSchedule = state.withLock { state -> Bool in
            guard !state.isOver, !state.mustAbandon, state.commit == nil else { return false }
            response.diskState.store(1, ordering: .relaxed)
            state.commit = (response, trailers, DiskClock.nanoseconds())
            return Self.mustSchedule(&state)
        }
        if mustSchedule { schedule() }
    }

    /// Nothing more comes, and what came is not to be kept.
    package func abandon() {
        let mustSchedule = state.withLock { state -> Bool in
            guard !state.isOver, state.commit == nil else { return false }
            state.mustAbandon = true
            return Self.mustSchedule(&state)
        }
        if mustSchedule { schedule() }
    }

    private static func mustSchedule(_ state: inout State) -> Bool {
        defer { state.isScheduled = true }
        return !state.isScheduled
    }

    private func schedule() {
        // Urgent: there is at most one job for each writer, and writers are bounded.
        guard !store.writer.submit(isUrgent: true, { self.work() }) else { return }
        end(isFailure: true)
    }

    // MARK: The writer's thread

    /// One batch, so that other writers have their turns; but what ends a body is written to its end, for a process that
    /// stops takes no new jobs.
    private func work() {
        var next: Next
        repeat {
            let (pieces, mustAbandon) = state.withLock { (Self.takeBatch(&$0), $0.mustAbandon) }
            guard !mustAbandon, write(pieces) else { return end(isFailure: true) }
            next = state.withLock { Self.next(&$0) }
        } while next == .write
        switch next {
        case .write, .wait: return
        case .comeAgain: schedule()
        case .commit: commitNow()
        }
    }

    private enum Next {
        case write
        case commit
        case comeAgain
        case wait
    }

    private static func next(_ state: inout State) -> Next {
        if state.commit != nil { return state.waiting.isEmpty ? .commit : .write }
        state.isScheduled = state.mustAbandon || writableBytes(state) > 0
        return state.isScheduled ? .comeAgain : .wait
    }

    private func commitNow() {
        guard let commit = state.withLock({ $0.commit }) else { return }
        let isCommitted = finish(commit.response, commit.trailers)
        store.observer.didWrite(DiskClock.nanoseconds() &- commit.start)
        end(isFailure: !isCommitted)
    }

    /// Bytes that may be written now: up to where a write may end, and all once nothing more comes.
    private static func writableBytes(_ state: State) -> Int {
        guard state.commit == nil else { return state.waitingBytes }
        let step = UInt64(Limits.cacheDiskWriteBytesMin)
        let end = (state.position &+ UInt64(state.waitingBytes)) / step * step
        return end > state.position ? Int(end - state.position) : 0
    }

    private static func takeBatch(_ state: inout State) -> ContiguousArray<ByteBuffer> {
        let bytesMax = min(writableBytes(state), Limits.cacheDiskWriteBytes)
        var batch: ContiguousArray<ByteBuffer> = []
        var bytes = 0
        while bytes < bytesMax, batch.count < Limits.cacheDiskWritePiecesMax, batch.count < state.waiting.count {
            let place = batch.count
            guard state.waiting[place].readableBytes > bytesMax - bytes else {
                bytes += state.waiting[place].readableBytes
                batch.append(state.waiting[place])
                continue
            }
            // Its other part stays.
            guard let part = state.waiting[place].readSlice(length: bytesMax - bytes) else { break }
            state.waiting.removeFirst(place)
            batch.append(part)
            return took(batch, bytesMax, &state)
        }
        state.waiting.removeFirst(batch.count)
        return took(batch, bytes, &state)
    }

    private static func took(
        _ batch: ContiguousArray<ByteBuffer>, _ bytes: Int, _ state: inout State
    ) -> ContiguousArray<ByteBuffer> {
        state.waitingBytes -= bytes
        state.writingBytes += bytes
        state.position &+= UInt64(bytes)
        return batch
    }

    private func end(isFailure: Bool) {
        let (wasOver, response) = state.withLock { state in
            defer {
                state.isOver = true
                state.waiting = []
                state.waitingBytes = 0
                state.writingBytes = 0
                state.commit = nil
            }
            return (state.isOver, state.commit?.response)
        }
        guard !wasOver else { return }
        response?.diskState.store(isFailure ? 0 : 2, ordering: .releasing)
        if isFailure { store.abandon(body) } else { store.writerEnded() }
        progress(isFailure ? .failed : .committed)
    }

    private func write(_ pieces: ContiguousArray<ByteBuffer>) -> Bool {
        let count = pieces.reduce(0) { $0 + $1.readableBytes }
        guard count > 0 else { return true }
        guard store.reserve(UInt64(count), body.unit), let file = store.file(of: body) else { return false }
        let failure = write(pieces, to: file)
        guard failure == 0 else {
            store.writeFailed(failure)
            return false
        }
        let finished = sums.withLock { sums in
            for piece in pieces { piece.withUnsafeReadableBytes { sums.open.add($0) } }
            let finished = sums.open.takeFinished()
            sums.finished += finished
            return finished
        }
        body.advance(by: count, checksums: finished)
        state.withLock { $0.writingBytes = 0 }
        progress(.written(body.byteCount))
        return true
    }

    private func write(_ pieces: ContiguousArray<ByteBuffer>, to file: OpenFile) -> Int32 {
        withUnsafeTemporaryAllocation(of: iovec.self, capacity: pieces.count) { vectors in
            for (index, piece) in pieces.enumerated() {
                // Valid beyond the closure: `pieces` holds the memory, and nobody changes it.
                let bytes = piece.withUnsafeReadableBytesWithStorageManagement { bytes, _ in bytes }
                vectors.initializeElement(
                    at: index,
                    to: iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count))
            }
            defer { withExtendedLifetime(pieces) {} }
            return file.write(vectors, at: DiskFiles.bodyStart + body.byteCount, by: store.directory.writeCall)
        }
    }

    /// The checksums behind the body, then the record: whoever finds the record finds all.
    private func finish(_ response: StoredResponse, _ trailers: ByteBuffer?) -> Bool {
        guard let file = store.file(of: body) else { return false }
        let (table, last) = sums.withLock { sums -> ([UInt32], UInt32?) in
            let last = sums.open.finish().last
            return (sums.finished + (last.map { [$0] } ?? []), last)
        }
        var record = DiskRecord(response, version: 1)
        record.bodyBytes = body.byteCount
        record.trailers = trailers
        let failure = table.withUnsafeBytes { bytes in
            record.tableChecksum = DiskChecksum.of(bytes)
            return file.write(bytes, at: DiskFiles.bodyStart + record.bodyBytes, by: store.directory.writeCall)
        }
        guard failure == 0 else {
            store.writeFailed(failure)
            return false
        }
        guard store.writeSlot(&record, file) else { return false }
        body.complete(lastChecksum: last, trailers: trailers)
        return store.enterLarge(response, record, body.unit)
    }
}
