import Limits

extension LogFeeder {
    /// One connection from below.
    struct Child: Sendable {
        /// The name that the connection's certificate proved, if the shell gave one.
        let provenName: String?
        var reader = RecordReader(accepting: [.hello, .goodbye])
        /// Empty before its hello.
        var name = ""
        var role = NodeRole.leaf
        var software = ""
        var stage = Stage.idle
        var stream: UInt32 = 0
        let since: UInt64
        var heardAt: UInt64
        var pingedAt: UInt64
        /// Chunks that the shell is reading for it.
        var chunkReads = 0

        var isGreeted: Bool { !name.isEmpty }
        var sentSequence: UInt64 {
            if case .following(let cursor) = stage { cursor.sentSequence } else { 0 }
        }

        init(provenName: String?, now: UInt64) {
            self.provenName = provenName
            since = now
            heardAt = now
            pingedAt = now
        }

        /// Why it should be cut, if it should.
        func fault(_ now: LogTime, _ bounds: LogBounds) -> PeerMessage.Goodbye? {
            if !isGreeted, now.monotonic &- since > Limits.configConnectMilliseconds {
                return PeerMessage.Goodbye(.silent, "no hello")
            }
            if now.monotonic &- heardAt > Limits.configSilenceMillisecondsMax {
                return PeerMessage.Goodbye(.silent, "nothing for \(now.monotonic &- heardAt) ms")
            }
            if case .following(let cursor) = stage, cursor.sentOffset > cursor.acknowledgedOffset,
                now.monotonic &- cursor.progressAt > bounds.childStallMilliseconds
            {
                return PeerMessage.Goodbye(.slow, "no progress for \(now.monotonic &- cursor.progressAt) ms")
            }
            return nil
        }
    }

    enum Stage: Sendable {
        /// It has not asked, or was told that it cannot be served.
        case idle
        /// It stands where this node is not yet.
        case ahead(LogPosition)
        case awaitingExport
        case importing
        case following(Cursor)
    }

    /// How far a child is in the window; offsets are bytes since the window began.
    struct Cursor: Sendable {
        var next: UInt64
        var sentOffset: UInt64
        var sentSequence: UInt64
        var acknowledgedOffset: UInt64
        /// Once it was sent everything, it may not fall far behind again.
        var hasCaughtUp = false
        /// When it last acknowledged something, or was sent something after having acknowledged all.
        var progressAt: UInt64
    }

    // MARK: Connections

    mutating func accepted(_ id: UInt64, provenName: String?, _ now: LogTime, _ actions: inout [LogAction]) {
        if children.isEmpty { nextSweep = now.monotonic &+ Self.sweepMilliseconds }
        children[id] = Child(provenName: provenName, now: now.monotonic)
        if children.count > bounds.childrenMax {
            cut(id, PeerMessage.Goodbye(.tooMany, "\(bounds.childrenMax) children"), &actions)
        }
    }

    mutating func disconnected(_ id: UInt64, _ goodbye: PeerMessage.Goodbye?, _ actions: inout [LogAction]) {
        guard let child = children.removeValue(forKey: id), child.isGreeted else { return }
        actions.append(.report(.childLeft(name: child.name, goodbye)))
        markLost(through: id)
    }

    /// Says goodbye and ends the connection.
    mutating func cut(_ id: UInt64, _ goodbye: PeerMessage.Goodbye, _ actions: inout [LogAction]) {
        guard let child = children.removeValue(forKey: id) else { return }
        send(.goodbye(goodbye), to: id, &actions)
        actions.append(.disconnect(.child(id)))
        guard child.isGreeted else { return }
        actions.append(.report(.childCut(name: child.name, goodbye)))
        markLost(through: id)
    }

    // MARK: Messages

    mutating func receive(_ bytes: [UInt8], from id: UInt64, _ now: LogTime, _ actions: inout [LogAction]) {
        guard children[id] != nil else { return }
        children[id]?.reader.append(bytes)
        children[id]?.heardAt = now.monotonic
        do {
            while let message = try children[id]?.reader.next() { handle(message, from: id, now, &actions) }
        } catch {
            cut(id, PeerMessage.Goodbye(.violation, error.description), &actions)
        }
    }

    private mutating func handle(
        _ message: PeerMessage, from id: UInt64, _ now: LogTime, _ actions: inout [LogAction]
    ) {
        switch message {
        case .hello(let hello): greet(id, hello, now, &actions)
        case .follow(let follow):
            children[id]?.stream = follow.stream
            children[id]?.stage = .idle
            answer(id, follow.position, wantsSnapshot: follow.wantsSnapshot, now, &actions)
        case .acknowledgement(let acknowledgement): take(acknowledgement, from: id, now, &actions)
        case .reports(let reports): take(reports, from: id, &actions)
        case .chunkRequest(let hash):
            guard let child = children[id], child.chunkReads < Limits.configChunkRequestsMax else {
                return cut(id, PeerMessage.Goodbye(.violation, "too many chunks asked for at a time"), &actions)
            }
            children[id]?.chunkReads += 1
            actions.append(.readChunk(hash, child: id))
        case .goodbye(let goodbye):
            disconnected(id, goodbye, &actions)
            actions.append(.disconnect(.child(id)))
        // The reader lets none of these through.
        case .answer, .frame, .offer, .chunk, .chunkMissing, .ping: break
        }
    }

    private mutating func greet(
        _ id: UInt64, _ hello: PeerMessage.Hello, _ now: LogTime, _ actions: inout [LogAction]
    ) {
        if let proven = children[id]?.provenName, proven != hello.name {
            return cut(id, PeerMessage.Goodbye(.violation, "the certificate is for \(proven)"), &actions)
        }
        guard hello.role != .root, hello.name != name else {
            return cut(id, PeerMessage.Goodbye(.violation, "\(hello.role) \(hello.name) cannot be a child"), &actions)
        }
        // It came back before its old connection was seen to be dead.
        for (other, child) in children where other != id && child.name == hello.name {
            cut(other, PeerMessage.Goodbye(.replaced, "a newer connection"), &actions)
        }
        children[id]?.name = hello.name
        children[id]?.role = hello.role
        children[id]?.software = hello.software
        children[id]?.reader.accepted = [.follow, .acknowledgement, .reports, .chunkRequest, .goodbye]
        send(.hello(PeerMessage.Hello(role: role, name: name, position: window.head)), to: id, &actions)
        actions.append(.report(.childJoined(name: hello.name, role: hello.role, position: hello.position)))
    }

    /// Answers a child that stands there.
    mutating func answer(
        _ id: UInt64, _ position: LogPosition, wantsSnapshot: Bool = false, _ now: LogTime,
        _ actions: inout [LogAction]
    ) {
        guard var child = children[id] else { return }
        var kind = PeerMessage.Answer.Kind.deltas
        child.stage = .idle
        switch window.place(position) {
        case .before(let index) where !wantsSnapshot:
            let offset = window.offset(before: index)
            child.stage = .following(
                Cursor(
                    next: index, sentOffset: offset, sentSequence: position.sequence, acknowledgedOffset: offset,
                    progressAt: now.monotonic))
        case .before, .tooOld: kind = .snapshot
        case .ahead:
            kind = .behind
            child.stage = .ahead(position)
        case .forked:
            kind = .forked
            actions.append(.report(.childForked(name: child.name, position)))
        case .laterEpoch: kind = .olderEpoch
        }
        children[id] = child
        let answer = PeerMessage.Answer(stream: child.stream, kind: kind, head: window.head)
        send(.answer(answer), to: id, &actions)
        if kind == .deltas { feed(id, now, &actions) }
        if kind == .snapshot { offerSnapshot(to: id, at: position, now, &actions) }
    }

    private mutating func take(
        _ acknowledgement: PeerMessage.Acknowledgement, from id: UInt64, _ now: LogTime, _ actions: inout [LogAction]
    ) {
        guard var child = children[id] else { return }
        note(
            NodeReport(
                name: child.name, role: child.role, parent: name, position: acknowledgement.position,
                appliedAtMilliseconds: acknowledgement.appliedAtMilliseconds,
                lagMilliseconds: acknowledgement.lagMilliseconds, health: acknowledgement.health, isConnected: true,
                software: child.software),
            through: id)
        guard acknowledgement.stream == child.stream, case .following(var cursor) = child.stage,
            let index = window.index(endingWith: acknowledgement.position.sequence), index < cursor.next,
            let entry = window[index], entry.endOffset > cursor.acknowledgedOffset
        else { return }
        cursor.acknowledgedOffset = entry.endOffset
        cursor.progressAt = now.monotonic
        child.stage = .following(cursor)
        children[id] = child
        feed(id, now, &actions)
    }
}
