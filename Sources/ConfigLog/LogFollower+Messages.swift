import Limits

// What a parent says, and what is done about frames that do not fit.
extension LogFollower {
    mutating func receive(_ bytes: [UInt8], from peer: UInt32, _ now: LogTime, _ actions: inout [LogAction]) {
        guard peer == attempt, case .connected(var connection) = state else { return }
        state = .stopped  // so that the buffer has one owner and is not copied
        connection.heardAt = now.monotonic
        connection.reader.append(bytes)
        state = .connected(connection)
        do {
            while let message = try nextMessage(peer) { handle(message, now, &actions) }
        } catch {
            actions.append(.report(.damaged(parent: parent, at: position, error)))
            lose(PeerMessage.Goodbye(.violation, error.description), now, &actions)
        }
    }

    private mutating func nextMessage(_ peer: UInt32) throws(ConfigLogError) -> PeerMessage? {
        // What was handled before may have ended the connection.
        guard peer == attempt, case .connected(var connection) = state else { return nil }
        state = .stopped  // as above
        defer { state = .connected(connection) }
        return try connection.reader.next()
    }

    private mutating func handle(_ message: PeerMessage, _ now: LogTime, _ actions: inout [LogAction]) {
        guard case .connected(let connection) = state else { return }
        switch message {
        case .hello(let hello): greet(hello, now, &actions)
        case .answer(let answer) where answer.stream == connection.stream: take(answer, now, &actions)
        case .frame(let stream, let bytes) where stream == connection.stream: take(frame: bytes, now, &actions)
        case .offer(let stream, let manifest) where stream == connection.stream: take(manifest, now, &actions)
        case .chunk(let hash, let bytes): take(chunk: bytes, hash, now, &actions)
        case .chunkMissing:
            guard importing != nil else { return }
            importing?.askAgain()
            ask(forSnapshot: true, now, &actions)
        case .ping(let ping): take(ping, now, &actions)
        case .goodbye(let goodbye):
            actions.append(.disconnect(.parent(attempt)))
            failOver(goodbye, now, &actions)
        // Of an older stream, or let through by no reader.
        default: break
        }
    }

    private mutating func greet(_ hello: PeerMessage.Hello, _ now: LogTime, _ actions: inout [LogAction]) {
        guard case .connected(var connection) = state else { return }
        guard hello.role != .leaf, hello.name != name else {
            return lose(
                PeerMessage.Goodbye(.violation, "\(hello.role) \(hello.name) cannot be a parent"), now, &actions)
        }
        connection.parentName = hello.name
        connection.reader.accepted = [.answer, .frame, .offer, .chunk, .chunkMissing, .ping, .goodbye]
        state = .connected(connection)
        actions.append(.report(.parentJoined(name: hello.name, head: hello.position)))
    }

    /// Asks for what comes after the own position, on a new stream: what still comes on the old one counts for nothing.
    mutating func ask(forSnapshot: Bool = false, _ now: LogTime, _ actions: inout [LogAction]) {
        guard case .connected(var connection) = state else { return }
        if forSnapshot { wantsSnapshot = true }
        connection.stream &+= 1
        connection.stage = .asking(since: now.monotonic)
        state = .connected(connection)
        send(
            .follow(
                PeerMessage.Follow(stream: connection.stream, position: position, wantsSnapshot: wantsSnapshot)),
            &actions)
    }

    mutating func enter(_ stage: Stage) {
        guard case .connected(var connection) = state else { return }
        connection.stage = stage
        state = .connected(connection)
    }

    private mutating func take(_ answer: PeerMessage.Answer, _ now: LogTime, _ actions: inout [LogAction]) {
        switch answer.kind {
        case .deltas, .behind:
            snapshotOnly = 0
            // The frames can be had: a state that is being built would only lead back.
            if importing != nil { actions.append(.abandonImport) }
            importing = nil
            enter(answer.kind == .deltas ? .following(since: now.monotonic) : .ahead(since: now.monotonic))
        case .snapshot:
            // A snapshot is dear: the frames may still be in the window of another parent.
            if !wantsSnapshot, importing == nil, position.sequence > 0, answer.head.epoch == position.epoch,
                snapshotOnly + 1 < parents.count
            {
                snapshotOnly += 1
                return lose(PeerMessage.Goodbye(.elsewhere), now, &actions)
            }
            enter(.awaitingOffer(since: now.monotonic))
        case .forked:
            let error = ConfigLogError(
                .forked, "an answer of \(parent)", expected: "the history that led to \(position)",
                found: "another one, now at \(answer.head)")
            refuse(error, now, &actions)
        case .olderEpoch: lose(PeerMessage.Goodbye(.olderEpoch), now, &actions)
        case .unavailable: lose(PeerMessage.Goodbye(.elsewhere, "no snapshot there"), now, &actions)
        }
    }

    private mutating func take(_ ping: PeerMessage.Ping, _ now: LogTime, _ actions: inout [LogAction]) {
        guard case .connected(let connection) = state else { return }
        rootSeenAt = max(rootSeenAt, now.monotonic &- min(UInt64(ping.stalenessMilliseconds), now.monotonic))
        if recent.contradicts(ping.head) != nil
            || (ping.head.epoch == position.epoch
                && ping.head.sequence == position.sequence && ping.head.hash != position.hash)
        {
            let error = ConfigLogError(
                .forked, "a ping of \(parent)", expected: "the history that led to \(position)", found: "\(ping.head)")
            return refuse(error, now, &actions)
        }
        acknowledge(now, &actions)
        if case .following = connection.stage, ping.stream == connection.stream,
            ping.sentSequence > position.sequence
        {
            let error = ConfigLogError(
                .gap, "a ping of \(parent)", expected: "sequence \(ping.sentSequence) to have come",
                found: "\(position.sequence)")
            return askAgain(error, now, &actions)
        }
        judge(staleness: ping.stalenessMilliseconds, since: connection.since, now, &actions)
    }

    /// Leaves a parent that has lost the root, unless all of them have: then it stays for a while, as a thousand edges that
    /// go from one to the next bring nobody closer to the root.
    private mutating func judge(
        staleness: UInt32, since: UInt64, _ now: LogTime, _ actions: inout [LogAction]
    ) {
        guard staleness > Limits.configOrphanMilliseconds, parents.count > 1 else {
            orphanHops = 0
            return
        }
        if orphanHops < parents.count {
            orphanHops += 1
            lose(PeerMessage.Goodbye(.orphaned, "no root for \(staleness) ms"), now, &actions)
        } else if now.monotonic &- since >= Limits.configOrphanStayMilliseconds {
            orphanHops = 0
        }
    }

    // MARK: Frames

    private mutating func take(frame bytes: [UInt8], _ now: LogTime, _ actions: inout [LogAction]) {
        guard case .connected(let connection) = state, case .following = connection.stage else { return }
        let frame: Frame
        do {
            frame = try Frame(decoding: bytes)
            guard frame.epoch >= position.epoch else {
                return lose(PeerMessage.Goodbye(.olderEpoch, "a frame of epoch \(frame.epoch)"), now, &actions)
            }
            if frame.epoch == position.epoch, frame.last <= position.sequence { return try refuseIfForked(frame) }
            try frame.check(follows: position)
        } catch {
            switch error.kind {
            case .forked: return refuse(error, now, &actions)
            case .otherEpoch:
                actions.append(.report(.damaged(parent: parent, at: position, error)))
                // A later epoch begins with a state.
                return ask(forSnapshot: true, now, &actions)
            default: return askAgain(error, now, &actions)
            }
        }
        position = frame.position
        recent.add(position)
        resends = Resends(sequence: position.sequence)
        pending.append(
            Pending(position: position, committedAt: frame.committedAtMilliseconds, byteCount: bytes.count))
        actions.append(.apply(frame))
    }

    /// A frame that is known already says the same as it did, or is of another history.
    private func refuseIfForked(_ frame: Frame) throws(ConfigLogError) {
        guard let known = recent.contradicts(frame.position) else { return }
        throw ConfigLogError(.forked, "frame \(frame.first)", expected: "\(known.hash)", found: "\(frame.hash)")
    }

    /// The parent has another history of this epoch. Nothing of it is taken, and nothing of the own one is given up.
    private mutating func refuse(_ error: ConfigLogError, _ now: LogTime, _ actions: inout [LogAction]) {
        actions.append(.report(.forked(parent: parent, at: position, error)))
        lose(PeerMessage.Goodbye(.forked, error.description), now, &actions)
    }

    /// What came is damaged or has a gap before it: asks this parent again, then the next one, in the end for a snapshot.
    private mutating func askAgain(_ error: ConfigLogError, _ now: LogTime, _ actions: inout [LogAction]) {
        actions.append(.report(.damaged(parent: parent, at: position, error)))
        if resends.sequence != position.sequence { resends = Resends(sequence: position.sequence) }
        resends.total += 1
        resends.ofParent += 1
        if resends.total >= Limits.configResendsMax { wantsSnapshot = true }
        if resends.ofParent > Limits.configResendsPerParentMax {
            return lose(PeerMessage.Goodbye(.damaged, error.description), now, &actions)
        }
        ask(now, &actions)
    }
}
