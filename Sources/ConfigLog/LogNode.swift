// A node of the tree over which the log travels: the root beside the store, a relay, or a leaf (an edge). The same machine
// in three roles: a root has children, a leaf has a parent, a relay has both.
//
// It holds no socket, no file and no clock. The shell calls in with what happened and the time, and performs what is
// returned, in order. Every call is cheap but for the hashing of what was received. One thread at a time.

import Limits

package struct LogNode: Sendable {
    package let name: String
    package let role: NodeRole
    private var feeder: LogFeeder?
    private var follower: LogFollower?
    private var reportedAt: UInt64 = 0

    private init(name: String, role: NodeRole, feeder: LogFeeder?, follower: LogFollower?) {
        self.name = name
        self.role = role
        self.feeder = feeder
        self.follower = follower
    }

    // MARK: Making one

    /// The root. `position`: the end of the log, in an epoch from 1. `recent`: the newest frames, if the store has kept
    /// some, oldest first; they end at `position`.
    package static func root(
        name: String, at position: LogPosition, recent: [Frame] = [], bounds: LogBounds = LogBounds()
    ) -> LogNode {
        var feeder = LogFeeder(name: name, role: .root, at: position, bounds: bounds)
        feeder.preload(recent)
        return LogNode(name: name, role: .root, feeder: feeder, follower: nil)
    }

    /// A relay whose replica stands at `position`. `parents`: their names, the preferred one first. `seed` spreads its waits:
    /// another one for each node.
    package static func relay(
        name: String, at position: LogPosition, parents: [String], seed: UInt64, bounds: LogBounds = LogBounds()
    ) -> LogNode {
        LogNode(
            name: name, role: .relay, feeder: LogFeeder(name: name, role: .relay, at: position, bounds: bounds),
            follower: LogFollower(
                name: name, role: .relay, at: position, parents: parents, seed: seed, bounds: bounds))
    }

    /// An edge whose replica stands at `position`; the rest as with a relay.
    package static func leaf(
        name: String, at position: LogPosition, parents: [String], seed: UInt64, bounds: LogBounds = LogBounds()
    ) -> LogNode {
        LogNode(
            name: name, role: .leaf, feeder: nil,
            follower: LogFollower(name: name, role: .leaf, at: position, parents: parents, seed: seed, bounds: bounds))
    }

    // MARK: What it knows

    /// The newest that was verified (a root: published).
    package var position: LogPosition { follower?.position ?? feeder?.window.head ?? .none }
    /// What the replica is known to hold (a root: what was published).
    package var applied: LogPosition { follower?.applied ?? position }
    /// What acknowledgements say of this node's health.
    package var health: HealthSummary {
        get { follower?.health ?? HealthSummary() }
        set { follower?.health = newValue }
    }
    /// The version of this program, for those above: at most `Limits.configSoftwareBytesMax` bytes of printable ASCII. To
    /// be set before `start`.
    package var software: String {
        get { follower?.software ?? "" }
        set { follower?.software = newValue }
    }
    /// Whether a parent answered and is followed; a root has none and needs none.
    package var isFollowing: Bool { follower?.isFollowing ?? true }
    /// From the commit of the newest group to its being applied here.
    package var lagMilliseconds: UInt32 { follower?.lagMilliseconds ?? 0 }
    /// The name of the parent that is followed or tried; empty at the root.
    package var parent: String { follower?.parent ?? "" }
    /// Everybody below, by name, as last reported.
    package var nodes: [NodeReport] { feeder?.nodes.values.map(\.report).sorted { $0.name < $1.name } ?? [] }
    /// Connections from below that said who they are.
    package var childCount: Int { feeder?.children.values.count(where: \.isGreeted) ?? 0 }
    /// Frames that are kept for children, and their bytes.
    package var window: (frames: Int, bytes: Int) { (feeder?.window.count ?? 0, feeder?.window.byteCount ?? 0) }

    /// How long ago the root was known to be reachable.
    package func stalenessMilliseconds(_ now: LogTime) -> UInt32 { follower?.staleness(now) ?? 0 }

    /// When `tick` has something to do, on the monotonic clock; nil: nothing until something else happens.
    package var nextDeadline: UInt64? {
        let due = min(feeder?.nextDeadline ?? .max, follower?.nextDeadline ?? .max, reportDeadline ?? .max)
        return due == .max ? nil : due
    }

    // MARK: What happens to it

    /// The first call.
    package mutating func start(_ now: LogTime) -> [LogAction] {
        var actions: [LogAction] = []
        follower?.start(now, &actions)
        return actions
    }

    /// A root's only source: the frames that were sealed, in order.
    package mutating func publish(_ frame: Frame, _ now: LogTime) -> [LogAction] {
        var actions: [LogAction] = []
        if role == .root { feeder?.publish(frame, now, &actions) }
        return actions
    }

    /// A connection from below. `provenName`: whom its certificate is for; who says another name is cut.
    package mutating func accepted(_ child: UInt64, provenName: String? = nil, _ now: LogTime) -> [LogAction] {
        var actions: [LogAction] = []
        feeder?.accepted(child, provenName: provenName, now, &actions)
        return actions
    }

    /// The connection to a parent stands.
    package mutating func connected(_ peer: LogPeer, _ now: LogTime) -> [LogAction] {
        var actions: [LogAction] = []
        if case .parent(let attempt) = peer {
            feeder?.markAllFresh()
            follower?.connected(attempt, now, &actions)
        }
        return actions
    }

    /// A connection ended, or one to a parent could not be made.
    package mutating func disconnected(_ peer: LogPeer, _ now: LogTime) -> [LogAction] {
        var actions: [LogAction] = []
        switch peer {
        case .parent(let attempt): follower?.disconnected(attempt, now, &actions)
        case .child(let id): feeder?.disconnected(id, nil, &actions)
        }
        return actions
    }

    /// Bytes came, cut anywhere.
    package mutating func receive(_ bytes: [UInt8], from peer: LogPeer, _ now: LogTime) -> [LogAction] {
        var actions: [LogAction] = []
        switch peer {
        case .child(let id): feeder?.receive(bytes, from: id, now, &actions)
        case .parent(let attempt):
            follower?.receive(bytes, from: attempt, now, &actions)
            if role == .relay { passOn(now, &actions) }
        }
        return actions
    }

    /// What was verified goes on to the children before it is applied here.
    private mutating func passOn(_ now: LogTime, _ actions: inout [LogAction]) {
        var passed: [LogAction] = []
        for action in actions {
            if case .apply(let frame) = action { feeder?.publish(frame, now, &passed) }
        }
        actions = passed + actions
    }

    /// `nextDeadline` has come, or any other time.
    package mutating func tick(_ now: LogTime) -> [LogAction] {
        var actions: [LogAction] = []
        follower?.tick(now, &actions)
        let staleness = stalenessMilliseconds(now)
        feeder?.tick(staleness: staleness, now, &actions)
        if let due = reportDeadline, now.monotonic >= due, let reports = feeder?.takeFreshReports() {
            reportedAt = now.monotonic
            follower?.send(.reports(reports), &actions)
        }
        return actions
    }

    /// When a relay passes on what its descendants reported; nil while there is nothing, or nobody to tell.
    private var reportDeadline: UInt64? {
        guard feeder?.freshNodes.isEmpty == false, follower?.isFollowing == true else { return nil }
        return reportedAt &+ Limits.configReportMilliseconds
    }

    // MARK: Answers of the replica

    /// Everything up to `position` is committed.
    package mutating func applied(_ position: LogPosition, _ now: LogTime) -> [LogAction] {
        var actions: [LogAction] = []
        follower?.applied(position, now, &actions)
        return actions
    }

    /// A frame could not be applied; nothing behind it was. It is asked for again, and in the end a snapshot.
    package mutating func applyFailed(_ reason: String, _ now: LogTime) -> [LogAction] {
        var actions: [LogAction] = []
        follower?.applyFailed(reason, now, &actions)
        return actions
    }

    /// To `.exportSnapshot`; nil: it failed.
    package mutating func snapshotExported(_ manifest: SnapshotManifest?, _ now: LogTime) -> [LogAction] {
        var actions: [LogAction] = []
        feeder?.snapshotExported(manifest, now, &actions)
        return actions
    }

    /// To `.readChunk`; nil: it is there no more.
    package mutating func chunkRead(
        _ hash: ChainHash, _ bytes: [UInt8]?, for child: UInt64, _ now: LogTime
    ) -> [LogAction] {
        var actions: [LogAction] = []
        feeder?.chunkRead(hash, bytes, for: child, &actions)
        return actions
    }

    /// To `.beginImport`: the indices of the chunks that have to come.
    package mutating func importBegan(lacking: [Int], _ now: LogTime) -> [LogAction] {
        var actions: [LogAction] = []
        follower?.importBegan(lacking: lacking, now, &actions)
        return actions
    }

    /// To `.finishImport`: the replica stands where the manifest says.
    package mutating func importFinished(_ now: LogTime) -> [LogAction] {
        var actions: [LogAction] = []
        guard follower?.importFinished(now, &actions) == true else { return actions }
        let position = position
        feeder?.reset(to: position, now, &actions)
        return actions
    }

    /// To `.beginImport`, `.storeChunk` or `.finishImport`: it failed, and what was built is thrown away.
    package mutating func importFailed(_ reason: String, _ now: LogTime) -> [LogAction] {
        var actions: [LogAction] = []
        follower?.importFailed(reason, now, &actions)
        return actions
    }

    /// The last call: says goodbye to everybody.
    package mutating func stop(_ now: LogTime) -> [LogAction] {
        var actions: [LogAction] = []
        follower?.stop(&actions)
        for id in feeder?.children.keys.sorted() ?? [] {
            feeder?.cut(id, PeerMessage.Goodbye(.stopping), &actions)
        }
        return actions
    }
}
