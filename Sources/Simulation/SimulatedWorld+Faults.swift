import ConfigLog

// What goes wrong, and when. Victims are chosen by the seed.
extension SimulatedWorld {
    func planFaults() {
        var chance = SeededGenerator(seed: options.seed ^ 0xFA17)
        let start = UInt64(min(10, options.seconds / 3) * 1_000_000)
        let relay = relays[relays.startIndex + Int(chance.below(UInt64(relays.count)))]
        let victims = edges.shuffled(using: &chance)
        if options.faults.contains(.relayKilled) {
            plan(start) { self.dying = relay }
        }
        if options.faults.contains(.partition) {
            let until = start + UInt64(options.partitionSeconds * 1_000_000)
            let members = Set([relay.index] + edges.filter { $0.parents.first == relay.index }.map(\.index))
            end = max(end, until + 30_000_000)
            plan(start) { self.cuts.append(Cut(members: members, others: nil, until: until)) }
        }
        if options.faults.contains(.slowLeaf) {
            let rate = options.changesPerSecond * Double(options.valueBytes + 100)
            plan(start) { victims[0].receivesBytesPerSecond = rate / 10 }
            plan(start + 30_000_000) { victims[0].receivesBytesPerSecond = nil }
        }
        if options.faults.contains(.corruptByte) { planDamage(start, relay, victims) }
        if options.faults.contains(.forkedEpoch) { planFork(start) }
        if options.faults.contains(.snapshotDuringWrites) {
            for victim in victims.prefix(3) { plan(start) { self.restart(victim, keepsReplica: false) } }
            interrupting = victims[0]
        }
    }

    /// Breaks the connections of a node that has got a part of a snapshot.
    func interrupt(_ node: SimulatedNode) {
        guard node === interrupting, node.imported.count > node.replica.chunkCount / 4 else { return }
        interrupting = nil
        for connection in node.connections.values.sorted(by: { $0.id < $1.id }) {
            close(connection, towardsChild: true)
            close(connection, towardsChild: false)
        }
    }

    private func plan(_ time: UInt64, _ body: @escaping () -> Void) {
        faults.append(body)
        queue.add(.fault(faults.count - 1), at: time)
    }

    // MARK: Death

    func kill(_ node: SimulatedNode) {
        dying = nil
        node.isUp = false
        tally.kills += 1
        for connection in node.connections.values.sorted(by: { $0.id < $1.id }) {
            close(connection, towardsChild: connection.parent === node)
        }
        plan(now + 5_000_000) { self.restart(node, keepsReplica: true) }
    }

    /// Starts a node anew with what its replica holds.
    func restart(_ node: SimulatedNode, keepsReplica: Bool) {
        for connection in node.connections.values.sorted(by: { $0.id < $1.id }) {
            close(connection, towardsChild: connection.parent === node)
        }
        node.connections = [:]
        node.life += 1
        node.isUp = true
        node.tickAt = nil
        node.generation += 1
        node.applyingUntil = now
        if !keepsReplica {
            node.replica = SimulatedReplica(pairs: options.keyPairs, valueBytes: options.valueBytes)
        }
        let parents = node.parents.map { $0 == impostorIndex ? "root-2" : nodes[$0].name }
        let seed = options.seed ^ UInt64(node.index) &* 0x9E37 ^ UInt64(node.life)
        let bounds = options.effectiveBounds
        let position = node.replica.position
        node.machine =
            node.machine.role == .relay
            ? .relay(name: node.name, at: position, parents: parents, seed: seed, bounds: bounds)
            : .leaf(name: node.name, at: position, parents: parents, seed: seed, bounds: bounds)
        start(node)
    }

    // MARK: Damage

    private func planDamage(_ start: UInt64, _ relay: SimulatedNode, _ victims: [SimulatedNode]) {
        damages = [
            // Once on the way to a relay: fetched again from the root.
            Damage(
                connectionChild: relay.index, connectionParent: 0, place: .frame, until: .max, count: 1),
            // For good between an edge and its parent: fetched from another one.
            Damage(
                connectionChild: victims[0].index, connectionParent: victims[0].parents[0], place: .frame,
                until: .max, count: .max),
        ]
        if victims.count > 1 {
            damages.append(
                Damage(
                    connectionChild: victims[1].index, connectionParent: victims[1].parents[0], place: .header,
                    until: .max, count: 1))
        }
        let planned = damages
        damages = []
        plan(start) { self.damages = planned }
    }

    // MARK: A fork

    /// A second root that goes on from an older place, as after a failover that lost what was not yet copied. A relay that
    /// has seen what came behind that place loses the first root, and comes to the second.
    private func planFork(_ start: UInt64) {
        plan(start) {
            let kept = Array(self.recentFrames.dropLast(min(24, self.recentFrames.count / 2)))
            guard let last = kept.last else { return }
            var places = SeededGenerator(seed: 1)
            self.add(
                Site(region: WorldMap.rootRegion, &places), parents: [],
                LogNode.root(
                    name: "root-2", at: last.position, recent: kept, bounds: self.options.effectiveBounds))
            var position = last.position
            for number in 0..<64 as Range<UInt64> {
                let changes = SimulatedReplica.changes(
                    number: position.sequence + 1, pair: Int(number), valueBytes: 64)
                // Many, so that it is soon as far as the first root.
                guard
                    let frame = try? Frame.seal(
                        epoch: 1, after: (position.sequence, position.hash),
                        groups: Array(repeating: changes, count: 20), committedAt: self.time.unix)
                else { continue }
                position = frame.position
                self.call(self.nodes[self.impostorIndex]) { $0.publish(frame, self.time) }
            }
            let relay = self.nodes[2]
            self.cuts.append(Cut(members: [relay.index], others: [0], until: self.now + 15_000_000))
        }
    }
}

extension PeerRecord {
    /// With another byte at that place.
    func damaged(at offset: Int) -> PeerRecord {
        var (head, body) = (head, body)
        if offset < head.count {
            head[offset] ^= 0x20
        } else if offset - head.count < body.count {
            body[offset - head.count] ^= 0x20
        }
        return PeerRecord(head: head, body: body)
    }
}
