// Numbers what transactions published, after their commit, and hands every frame to this process.
//
// Every control process runs one. One of them leads: it seals what waits in the outbox into frames. All of them, the
// leader too, deliver the frames in order to their own process, and stand ready to lead.
//
//     follow: deliver new frames ──▶ seat free? ──yes──▶ next generation ──▶ deliver the rest ──▶ lead
//        ▲        │ wait for news        │ no                                                     │ seal, deliver, renew
//        └────────┴──────────────────────┘◀────────────── fenced, or the connection broke ────────┘
//
// The order of numbers is that of the outbox rows. Of two transactions that changed the same row the later one waited
// for the earlier one's commit, and only then wrote its outbox row; so it has the larger id, and the larger number.
// Rows of others may be committed later than some with a larger id: they just get a later number.

package import ConfigLog
import Glibc
import Limits
package import Logging
import Synchronization

/// Gapless numbers after commit, and delivery in order.
package final class Sequencer: Sendable {
    private let store: Store
    private let log: Logger
    private let lease: Int
    private let leads = Mutex(false)

    package convenience init(store: Store, log: Logger) {
        self.init(store: store, leaseMilliseconds: Limits.sequencerLeaseMilliseconds, log: log)
    }

    init(store: Store, leaseMilliseconds: Int, log: Logger) {
        self.store = store
        self.log = log
        lease = leaseMilliseconds
    }

    /// Whether this process numbers at the moment.
    package var isLeader: Bool { leads.withLock { $0 } }

    /// Delivers every frame after `sequence`, in order and without a gap, whoever sealed it, until the task is cancelled.
    ///
    /// Outages of the database are ridden out.
    ///
    /// - Throws: what `onFrame` throws; `StoreError.pruned` when frames after `sequence` are no longer kept, `.other` when
    ///   the log ends before it (a restored backup).
    package func run(
        after sequence: UInt64, _ onFrame: @escaping @Sendable (Frame) async throws -> Void
    ) async throws {
        let waker = try Waker()
        let desk = try makeDesk(waker)
        store.bell.add(waker)
        var turn = SequencerTurn(desk: desk, delivered: sequence, lease: lease, log: log, onFrame: onFrame)
        let result: Result<Void, any Error> = await withTaskCancellationHandler {
            do {
                try await loop(&turn)
                return .success(())
            } catch {
                return .failure(error)
            }
        } onCancel: {
            waker.wake()
        }
        store.bell.remove(waker)
        leads.withLock { $0 = false }
        await desk.finish()
        try result.get()
    }

    private func makeDesk(_ waker: Waker) throws -> any SequencerDesk {
        switch store.location {
        case .sqlite(let path): try SQLiteDesk(store: store, path: path, waker: waker)
        case .postgres(let url):
            try PostgresDesk(
                url: try PostgresURL(url), key: store.key, waker: waker, leaseMilliseconds: lease, log: log)
        }
    }

    private func loop(_ turn: inout SequencerTurn) async throws {
        var backoff = Backoff(Limits.sequencerRetryMillisecondsRange)
        while !Task.isCancelled {
            do {
                try await turn.take()
                backoff.reset()
            } catch let error as SequencerTurn.Refused {
                throw error.cause
            } catch let error where SequencerTurn.isPassing(error) {
                await turn.stepDown()
                if !(error is Fenced) {
                    log.warning("the sequencer waits for the store", metadata: ["reason": "\(error)"])
                    try? await Task.sleep(for: .milliseconds(backoff.next()))
                }
            }
            leads.withLock { $0 = turn.isLeading }
        }
    }
}

/// One sequencer's state between two looks at the database.
struct SequencerTurn {
    /// `onFrame` threw: that is not the database's failure.
    struct Refused: Error { let cause: any Error }

    private let desk: any SequencerDesk
    private let log: Logger
    private let onFrame: @Sendable (Frame) async throws -> Void
    private let lease: Int
    private var delivered: UInt64
    /// While it leads.
    private var generation: Int64?
    private var isCaughtUp = false
    private var sealing = SealPacer()
    private var telling = SealPacer()
    private var renewedAt: UInt64 = 0
    private var prunedAt: UInt64 = Monotonic.milliseconds()

    var isLeading: Bool { generation != nil }

    init(
        desk: any SequencerDesk, delivered: UInt64, lease: Int, log: Logger,
        onFrame: @escaping @Sendable (Frame) async throws -> Void
    ) {
        self.desk = desk
        self.delivered = delivered
        self.lease = lease
        self.log = log
        self.onFrame = onFrame
    }

    /// Whether the sequencer goes on after this error.
    static func isPassing(_ error: any Error) -> Bool {
        error is Fenced || (error as? StoreError)?.isRetryable == true
    }

    /// Does what there is to do, then waits for news once.
    mutating func take() async throws {
        if !isCaughtUp || generation == nil {
            while try await deliverStored() {}
            isCaughtUp = true
        }
        if generation == nil, try await desk.claim() { try await lead() }
        if let generation {
            while try await sealNext(generation) {}
            try await renew(generation)
            try await prune()
        }
        guard !Task.isCancelled else { return }
        let news = try await desk.wait(milliseconds: min(Limits.sequencerPollMilliseconds, lease / 4))
        if generation == nil, news.contains(.publishedHere) {
            // Many commits, few calls.
            try await pause(telling)
            try await desk.tellOthers()
            telling.sealed(now: Monotonic.milliseconds())
        }
    }

    mutating func stepDown() async {
        generation = nil
        isCaughtUp = false
        await desk.resign()
    }

    private mutating func lead() async throws {
        let desk = desk
        let holder = "pid \(getpid())"
        generation = try await desk.write { transaction in
            try LogTable.lead(transaction, dialect: desk.dialect, holder: holder)
        }
        renewedAt = Monotonic.milliseconds()
        log.info("leading the log", metadata: ["generation": "\(generation ?? 0)"])
        // The former leader's last frames: from now on there can be no others but ours.
        while try await deliverStored() {}
        // A store from before there was a table of the state, once.
        while try await desk.write({ try LogState.catchUp($0) }) {}
    }

    /// Delivers some frames that are stored. Returns whether there may be more.
    private mutating func deliverStored() async throws -> Bool {
        guard !Task.isCancelled else { return false }
        let delivered = delivered
        let frames = try await desk.read { transaction in
            try LogTable.frames(transaction, after: delivered, countMax: Limits.sequencerFramesPerTurnMax)
        }
        for frame in frames { try await deliver(frame) }
        return !frames.isEmpty
    }

    private mutating func deliver(_ frame: Frame) async throws {
        do {
            try await onFrame(frame)
        } catch {
            throw Refused(cause: error)
        }
        delivered = frame.last
    }

    /// Seals one frame, if something waits. Returns whether it did.
    private mutating func sealNext(_ generation: Int64) async throws -> Bool {
        guard !Task.isCancelled else { return false }
        try await pause(sealing)
        let desk = desk
        do {
            let frame = try await desk.write { transaction -> Frame? in
                let frame = try LogTable.seal(transaction, dialect: desk.dialect, generation: generation)
                if frame != nil, desk.dialect == .postgres { _ = try transaction.query(PostgresDesk.tellSealed) }
                return frame
            }
            guard let frame else { return false }
            sealing.sealed(now: Monotonic.milliseconds())
            renewedAt = Monotonic.milliseconds()
            try await deliver(frame)
        } catch let row as BadOutboxRow {
            log.error(
                "a published change cannot be read and is left out",
                metadata: ["row": "\(row.id)", "reason": "\(row.why)"])
            try await desk.write { try LogTable.setAside($0, row.id) }
        }
        return true
    }

    private mutating func renew(_ generation: Int64) async throws {
        // With SQLite nobody waits for a leader's word: the kernel knows whether it lives.
        guard desk.dialect == .postgres else { return }
        let now = Monotonic.milliseconds()
        guard now &- renewedAt >= UInt64(min(Limits.sequencerRenewMilliseconds, lease / 4)) else { return }
        let desk = desk
        try await desk.write { try LogTable.renew($0, dialect: desk.dialect, generation: generation) }
        renewedAt = now
    }

    private mutating func prune() async throws {
        let now = Monotonic.milliseconds()
        guard now &- prunedAt >= UInt64(Limits.sequencerPruneSeconds) * 1000 else { return }
        prunedAt = now
        for _ in 0..<Limits.sequencerPrunesMax where try await desk.write({ try LogTable.prune($0) }) == false { break }
    }

    private func pause(_ pacer: SealPacer) async throws {
        let wait = pacer.waitMilliseconds(now: Monotonic.milliseconds())
        if wait > 0 { try? await Task.sleep(for: .milliseconds(wait)) }
    }
}

/// A clock that never goes back.
enum Monotonic {
    static func milliseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(clamping: time.tv_sec) &* 1000 &+ UInt64(clamping: time.tv_nsec) / 1_000_000
    }
}
