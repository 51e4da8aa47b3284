// The side of a node that has children: the window, and what each child is sent of it.
//
// A child has an index into the window instead of a queue of its own. It is sent what `inFlightBytesMax` allows beyond
// what it acknowledged; the rest waits in the window, for all children once. A child that had caught up and falls too far
// behind is cut, and comes back to catch up, by frames while the window reaches back, then by a snapshot.

import Limits

struct LogFeeder: Sendable {
    let name: String
    let role: NodeRole
    let bounds: LogBounds
    private(set) var window: FrameWindow
    var children: [UInt64: Child] = [:]
    /// What is known of everybody below, by name.
    var nodes: [String: NodeRecord] = [:]
    /// Names whose report has news for the parent.
    var freshNodes: Set<String> = []
    var droppedReports = 0

    /// The snapshot that children may be offered, and since when.
    var offered: (manifest: SnapshotManifest, since: UInt64)?
    /// Since when the shell has been making one.
    var exportingSince: UInt64?
    var nextSweep: UInt64 = 0

    /// How often silence and standstill are looked for.
    static let sweepMilliseconds: UInt64 = 500

    init(name: String, role: NodeRole, at position: LogPosition, bounds: LogBounds) {
        self.name = name
        self.role = role
        self.bounds = bounds
        window = FrameWindow(at: position, bounds: bounds)
    }

    var nextDeadline: UInt64? { children.isEmpty && exportingSince == nil ? nil : nextSweep }

    // MARK: Frames

    /// Passes on what comes next. What the window has already is nothing new; what does not follow is refused.
    mutating func publish(_ frame: Frame, _ now: LogTime, _ actions: inout [LogAction]) {
        if frame.epoch == window.head.epoch, frame.last <= window.head.sequence, window.head != .none { return }
        do {
            try frame.check(follows: window.head)
        } catch {
            return actions.append(.report(.unfit(error)))
        }
        window.append(frame)
        for id in children.keys.sorted() {
            switch children[id]?.stage {
            case .following: feed(id, now, &actions)
            case .ahead(let position) where position.sequence <= frame.last: answer(id, position, now, &actions)
            default: break
            }
        }
    }

    /// Keeps frames for children without sending them: what a store still has after a restart. They end at the head.
    mutating func preload(_ frames: [Frame]) {
        guard let first = frames.first, frames.last?.position == window.head else { return }
        var before = LogPosition(epoch: first.epoch, sequence: first.first &- 1, hash: first.previous)
        var restored = FrameWindow(at: before, bounds: bounds)
        for frame in frames {
            guard (try? frame.check(follows: before)) != nil else { return }
            restored.append(frame)
            before = frame.position
        }
        window = restored
    }

    /// The own state is another one now: every child has to say again where it stands.
    mutating func reset(to position: LogPosition, _ now: LogTime, _ actions: inout [LogAction]) {
        window.reset(to: position)
        offered = nil
        for id in children.keys.sorted() { cut(id, PeerMessage.Goodbye(.replaced), &actions) }
    }

    /// Sends a child what it has room for.
    func feed(_ child: inout Child, _ id: UInt64, _ now: LogTime, _ actions: inout [LogAction]) {
        guard case .following(var cursor) = child.stage else { return }
        while let entry = window[cursor.next] {
            let inFlight = cursor.sentOffset &- cursor.acknowledgedOffset
            guard inFlight == 0 || inFlight &+ UInt64(entry.bytes.count) <= UInt64(bounds.inFlightBytesMax) else {
                break
            }
            if inFlight == 0 { cursor.progressAt = now.monotonic }
            send(.frame(stream: child.stream, bytes: entry.bytes), to: id, &actions)
            cursor.next &+= 1
            cursor.sentOffset = entry.endOffset
            cursor.sentSequence = entry.position.sequence
        }
        if cursor.next == window.endIndex { cursor.hasCaughtUp = true }
        child.stage = .following(cursor)
    }

    /// The same, and cuts the child if it is too far behind.
    mutating func feed(_ id: UInt64, _ now: LogTime, _ actions: inout [LogAction]) {
        guard var child = children.removeValue(forKey: id) else { return }
        feed(&child, id, now, &actions)
        children[id] = child
        guard case .following(let cursor) = child.stage else { return }
        let behind = window.endOffset &- cursor.acknowledgedOffset
        if cursor.next < window.firstIndex {
            cut(id, PeerMessage.Goodbye(.slow, "what comes next is no longer kept"), &actions)
        } else if cursor.hasCaughtUp, behind > UInt64(bounds.childQueueBytesMax) {
            cut(id, PeerMessage.Goodbye(.slow, "\(behind) bytes behind"), &actions)
        }
    }

    func send(_ message: PeerMessage, to id: UInt64, _ actions: inout [LogAction]) {
        // What is made here is within its bounds; what a shell hands over (a chunk) is checked before.
        guard let record = try? PeerRecord(message) else { return }
        actions.append(.send(.child(id), record))
    }

    // MARK: Time

    /// Looks for children that have gone silent or stand still, and tells the others that this node lives.
    mutating func tick(staleness: UInt32, _ now: LogTime, _ actions: inout [LogAction]) {
        guard now.monotonic >= nextSweep else { return }
        nextSweep = now.monotonic &+ Self.sweepMilliseconds
        if let since = exportingSince, now.monotonic &- since > Limits.configExportMillisecondsMax {
            snapshotExported(nil, now, &actions)
        }
        for id in children.keys.sorted() {
            guard let child = children[id] else { continue }
            if let goodbye = child.fault(now, bounds) {
                cut(id, goodbye, &actions)
            } else if child.isGreeted, now.monotonic &- child.pingedAt >= Limits.configPingMilliseconds {
                children[id]?.pingedAt = now.monotonic
                let ping = PeerMessage.Ping(
                    stream: child.stream, sentSequence: child.sentSequence, head: window.head,
                    stalenessMilliseconds: staleness)
                send(.ping(ping), to: id, &actions)
            }
        }
    }
}
