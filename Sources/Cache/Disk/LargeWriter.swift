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
package final class LargeWriter: Sendable {
    /// Readable as far as it was written.
    package let body: FileBody
    private let store: DiskStore
    private let progress: @Sendable (LargeProgress) -> Void
    private let state = Mutex(State())

    private struct State {
        var pending: ContiguousArray<ByteBuffer> = []
        var pendingBytes = 0
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
    package var pendingBytes: Int { state.withLock { $0.pendingBytes } }

    /// Queues a piece of the body.
    package func append(_ bytes: ByteBuffer) {
        guard bytes.readableBytes > 0 else { return }
        let mustSchedule = state.withLock { state -> Bool in
            guard !state.isOver, !state.mustAbandon, state.commit == nil else { return false }
            state.pending.append(bytes)
            state.pendingBytes += bytes.readableBytes
            if state.pendingBytes > Limits.cacheDiskWriterBytesQueuedMax { state.mustAbandon = true }
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

    private func work() {
        let (pieces, commit, mustAbandon) = state.withLock { state in
            defer {
                state.pending = []
                state.isScheduled = false
            }
            return (state.pending, state.commit, state.mustAbandon)
        }
        guard !mustAbandon, write(pieces) else { return end(isFailure: true) }
        guard let commit else { return }
        let isCommitted = finish(commit.response, commit.trailers)
        store.observer.didWrite(DiskClock.nanoseconds() &- commit.start)
        end(isFailure: !isCommitted)
    }

    private func end(isFailure: Bool) {
        let (wasOver, response) = state.withLock { state in
            defer {
                state.isOver = true
                state.pending = []
                state.pendingBytes = 0
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
        guard !pieces.isEmpty else { return true }
        for piece in pieces {
            let isWritten = piece.withUnsafeReadableBytes { write($0) }
            state.withLock { $0.pendingBytes -= min($0.pendingBytes, piece.readableBytes) }
            guard isWritten else { return false }
        }
        progress(.written(body.byteCount))
        return true
    }

    private func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard store.reserve(UInt64(bytes.count), body.unit), let file = store.file(of: body) else { return false }
        let failure = file.write(bytes, at: DiskFiles.bodyStart + body.byteCount, by: store.directory.writeCall)
        guard failure == 0 else {
            store.writeFailed(failure)
            return false
        }
        let finished = sums.withLock { sums in
            sums.open.add(bytes)
            let finished = sums.open.takeFinished()
            sums.finished += finished
            return finished
        }
        body.advance(by: bytes.count, checksums: finished)
        return true
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
