import Limits

// Which parent: the first of the list that is of use, and after a loss the next one at once; only after all of them were
// of no use there is a wait, longer each time, of which a random half is taken off so that a thousand edges do not come
// back in one moment.
extension LogFollower {
    mutating func start(_ now: LogTime, _ actions: inout [LogAction]) {
        guard case .stopped = state, !parents.isEmpty else { return }
        rootSeenAt = now.monotonic
        connect(now, &actions)
    }

    mutating func connect(_ now: LogTime, _ actions: inout [LogAction]) {
        attempt &+= 1
        state = .connecting(since: now.monotonic)
        actions.append(.connect(.parent(attempt), parent: parentIndex))
    }

    mutating func connected(_ peer: UInt32, _ now: LogTime, _ actions: inout [LogAction]) {
        guard peer == attempt, case .connecting = state else { return }
        state = .connected(
            Connection(since: now.monotonic, heardAt: now.monotonic, stage: .asking(since: now.monotonic)))
        send(
            .hello(PeerMessage.Hello(role: role, name: name, position: position, software: software)), &actions)
        // While another state is being put in place it is not known what to ask for.
        if let importing, case .finishing = importing.stage { return enter(.importing) }
        send(.follow(PeerMessage.Follow(stream: 1, position: position, wantsSnapshot: wantsSnapshot)), &actions)
    }

    mutating func disconnected(_ peer: UInt32, _ now: LogTime, _ actions: inout [LogAction]) {
        guard peer == attempt else { return }
        switch state {
        case .connecting, .connected: failOver(PeerMessage.Goodbye(.silent, "the connection ended"), now, &actions)
        case .stopped, .waiting: break
        }
    }

    /// Ends the connection from this side, and goes to the next parent.
    mutating func lose(_ goodbye: PeerMessage.Goodbye, _ now: LogTime, _ actions: inout [LogAction]) {
        switch state {
        case .stopped, .waiting: return
        case .connected: send(.goodbye(goodbye), &actions)
        case .connecting: break
        }
        actions.append(.disconnect(.parent(attempt)))
        failOver(goodbye, now, &actions)
    }

    /// The connection is no more.
    mutating func failOver(_ goodbye: PeerMessage.Goodbye, _ now: LogTime, _ actions: inout [LogAction]) {
        actions.append(.report(.parentLost(name: parent, goodbye)))
        if case .connected(let connection) = state, case .following(let since) = connection.stage,
            now.monotonic &- since >= Limits.configStableMilliseconds
        {
            failures = 0
        }
        // What was asked for and did not come is asked for again of the next.
        importing?.askAgain()
        resends.ofParent = 0
        if goodbye.reason == .returning {
            parentIndex = 0
            failures = 0
            return connect(now, &actions)
        }
        failures += 1
        parentIndex = parents.isEmpty ? 0 : (parentIndex + 1) % parents.count
        state = .waiting(until: now.monotonic &+ backOff())
    }

    /// Up to 50 ms within a round over the parents; between rounds as said above.
    private mutating func backOff() -> UInt64 {
        guard !parents.isEmpty, failures % parents.count == 0 else { return generator.below(50) }
        let (first, last) = (Limits.configBackOffMilliseconds.lowerBound, Limits.configBackOffMilliseconds.upperBound)
        let rounds = failures / parents.count
        let full = min(last, first << UInt64(min(max(rounds - 1, 0), 10)))
        return full - generator.below(full / 2)
    }

    mutating func stop(_ actions: inout [LogAction]) {
        if case .connected = state { send(.goodbye(PeerMessage.Goodbye(.stopping)), &actions) }
        switch state {
        case .connecting, .connected: actions.append(.disconnect(.parent(attempt)))
        case .stopped, .waiting: break
        }
        state = .stopped
    }
}
