// The side of a node that has a parent: which parent, where it stands, and what it does with what comes.
//
//   waiting ──▶ connecting ──▶ connected: asking ──▶ following ⟲ frames
//      ▲                            │   ▲  └───────▶ importing ──▶ asking
//      └──── whatever goes wrong ───┘   └─ a damaged frame: asked for again
//
// It never follows another history of its epoch, whoever offers it: it reports that, serves on what it has, and asks the
// next parent. Only a later epoch, which a root begins on purpose, replaces what it has.

import Limits

struct LogFollower: Sendable {
    let name: String
    let role: NodeRole
    /// Names, for reports; the first is preferred.
    let parents: [String]
    let bounds: LogBounds
    var generator: SeededGenerator

    /// Verified and handed over to be applied.
    var position: LogPosition
    /// What the replica holds.
    var applied: LogPosition
    /// Handed over, and not yet reported as applied.
    var pending: [Pending] = []
    /// The newest that was applied: when, and how long after its commit.
    var appliedAt: UInt64 = 0
    var lagMilliseconds: UInt32 = 0
    var health = HealthSummary()
    /// The version of the program, which goes out with each greeting.
    var software = ""

    var state = State.stopped
    var attempt: UInt32 = 0
    var parentIndex = 0
    /// Parents in a row that were of no use.
    var failures = 0
    /// Parents in a row that had only a snapshot, while the frames may still be at another.
    var snapshotOnly = 0
    /// Parents in a row that had lost the root.
    var orphanHops = 0
    var resends = Resends()
    var applyFailures = 0
    /// The next question is for a snapshot: frames could not be used.
    var wantsSnapshot = false
    var importing: Import?
    /// Hashes of the newest frames, to tell a repetition from a fork.
    var recent = RecentHashes()
    /// When the root was last known to be reachable.
    var rootSeenAt: UInt64 = 0

    enum State: Sendable {
        case stopped
        case waiting(until: UInt64)
        case connecting(since: UInt64)
        case connected(Connection)
    }

    struct Pending: Sendable {
        let position: LogPosition
        let committedAt: UInt64
        let byteCount: Int
    }

    /// How often what follows one position was asked for again.
    struct Resends: Sendable {
        var sequence: UInt64 = 0
        var ofParent = 0
        var total = 0
    }

    struct Connection: Sendable {
        var reader = RecordReader(accepting: [.hello, .goodbye])
        var parentName = ""
        let since: UInt64
        var heardAt: UInt64
        var stream: UInt32 = 1
        var stage: Stage
        var acknowledgedAt: UInt64 = 0
        /// Bytes applied since the last acknowledgement; nil: nothing.
        var unacknowledgedBytes: Int?
        var reportedAt: UInt64 = 0
    }

    enum Stage: Sendable {
        /// For the answer, or for the offer behind it.
        case asking(since: UInt64)
        case awaitingOffer(since: UInt64)
        case following(since: UInt64)
        /// The parent is not as far as this node.
        case ahead(since: UInt64)
        case importing
    }

    init(
        name: String, role: NodeRole, at position: LogPosition, parents: [String], seed: UInt64, bounds: LogBounds
    ) {
        self.name = name
        self.role = role
        self.parents = parents
        self.bounds = bounds
        self.position = position
        applied = position
        generator = SeededGenerator(seed: seed)
        if position.sequence > 0 { recent.add(position) }
    }

    var parent: String { parents.indices.contains(parentIndex) ? parents[parentIndex] : "" }

    /// Milliseconds since the root was known to be reachable.
    func staleness(_ now: LogTime) -> UInt32 { UInt32(clamping: now.monotonic &- min(rootSeenAt, now.monotonic)) }

    /// Whether there is a parent that answered.
    var isFollowing: Bool {
        if case .connected(let connection) = state, case .following = connection.stage { true } else { false }
    }

    func send(_ message: PeerMessage, _ actions: inout [LogAction]) {
        // Nothing that is made here can pass its bounds.
        guard let record = try? PeerRecord(message) else { return }
        actions.append(.send(.parent(attempt), record))
    }

    // MARK: Acknowledgements

    /// The replica holds everything up to there.
    mutating func applied(_ position: LogPosition, _ now: LogTime, _ actions: inout [LogAction]) {
        guard let index = pending.firstIndex(where: { $0.position == position }) else { return }
        let bytes = pending[...index].reduce(0) { $0 + $1.byteCount }
        lagMilliseconds = UInt32(clamping: now.unix &- min(pending[index].committedAt, now.unix))
        pending.removeSubrange(...index)
        applied = position
        appliedAt = now.unix
        applyFailures = 0
        guard case .connected(var connection) = state else { return }
        connection.unacknowledgedBytes = (connection.unacknowledgedBytes ?? 0) + bytes
        state = .connected(connection)
        if connection.unacknowledgedBytes ?? 0 >= bounds.inFlightBytesMax / 4
            || now.monotonic &- connection.acknowledgedAt >= Limits.configAcknowledgeMilliseconds
        {
            acknowledge(now, &actions)
        }
    }

    mutating func acknowledge(_ now: LogTime, _ actions: inout [LogAction]) {
        guard case .connected(var connection) = state else { return }
        connection.unacknowledgedBytes = nil
        connection.acknowledgedAt = now.monotonic
        state = .connected(connection)
        send(
            .acknowledgement(
                PeerMessage.Acknowledgement(
                    stream: connection.stream, position: applied, appliedAtMilliseconds: appliedAt,
                    lagMilliseconds: lagMilliseconds, health: health)), &actions)
    }

    /// The replica could not apply what it was given: goes back to what it holds, and asks again later.
    mutating func applyFailed(_ reason: String, _ now: LogTime, _ actions: inout [LogAction]) {
        actions.append(.report(.applyFailed(at: applied, reason)))
        pending = []
        position = applied
        recent = RecentHashes()
        applyFailures += 1
        if applyFailures >= Limits.configApplyFailuresMax { wantsSnapshot = true }
        lose(PeerMessage.Goodbye(.unapplied, reason), now, &actions)
    }

    // MARK: Time

    var nextDeadline: UInt64? {
        switch state {
        case .stopped: return nil
        case .waiting(let until): return until
        case .connecting(let since): return since &+ Limits.configConnectMilliseconds
        case .connected(let connection):
            var due = connection.heardAt &+ Limits.configSilenceMillisecondsMax
            switch connection.stage {
            case .asking(let since): due = min(due, since &+ Limits.configConnectMilliseconds)
            case .awaitingOffer(let since): due = min(due, since &+ Limits.configExportMillisecondsMax)
            case .ahead(let since): due = min(due, since &+ Limits.configOrphanMilliseconds)
            case .following(let since) where parentIndex != 0: due = min(due, since &+ bounds.returnMilliseconds)
            case .following, .importing: break
            }
            if connection.unacknowledgedBytes != nil {
                due = min(due, connection.acknowledgedAt &+ Limits.configAcknowledgeMilliseconds)
            }
            return due
        }
    }

    mutating func tick(_ now: LogTime, _ actions: inout [LogAction]) {
        guard let due = nextDeadline, now.monotonic >= due else { return }
        switch state {
        case .stopped: break
        case .waiting: connect(now, &actions)
        case .connecting: lose(PeerMessage.Goodbye(.silent, "no connection"), now, &actions)
        case .connected(let connection):
            if connection.unacknowledgedBytes != nil,
                now.monotonic &- connection.acknowledgedAt >= Limits.configAcknowledgeMilliseconds
            {
                acknowledge(now, &actions)
            }
            if now.monotonic &- connection.heardAt >= Limits.configSilenceMillisecondsMax {
                let silence = now.monotonic &- connection.heardAt
                return lose(PeerMessage.Goodbye(.silent, "nothing for \(silence) ms"), now, &actions)
            }
            switch connection.stage {
            case .asking(let since) where now.monotonic &- since >= Limits.configConnectMilliseconds:
                lose(PeerMessage.Goodbye(.silent, "no answer"), now, &actions)
            case .awaitingOffer(let since) where now.monotonic &- since >= Limits.configExportMillisecondsMax:
                lose(PeerMessage.Goodbye(.silent, "no snapshot"), now, &actions)
            case .ahead(let since) where now.monotonic &- since >= Limits.configOrphanMilliseconds:
                lose(PeerMessage.Goodbye(.elsewhere, "it stays behind \(position)"), now, &actions)
            case .following(let since) where parentIndex != 0 && now.monotonic &- since >= bounds.returnMilliseconds:
                lose(PeerMessage.Goodbye(.returning), now, &actions)
            default: break
            }
        }
    }
}

/// The hashes of the newest frames by their last sequence.
struct RecentHashes: Sendable {
    private var hashes: [LogPosition] = []
    private var next = 0

    mutating func add(_ position: LogPosition) {
        if hashes.count < Limits.configRecentHashesMax {
            hashes.append(position)
        } else {
            hashes[next] = position
            next = (next + 1) % hashes.count
        }
    }

    /// Whether that place is known to have had another hash.
    func contradicts(_ position: LogPosition) -> LogPosition? {
        hashes.first { $0.epoch == position.epoch && $0.sequence == position.sequence && $0.hash != position.hash }
    }
}
