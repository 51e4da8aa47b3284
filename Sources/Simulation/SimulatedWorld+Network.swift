import ConfigLog

/// Nodes that cannot reach each other.
struct Cut {
    let members: Set<Int>
    /// Nil: all others.
    let others: Set<Int>?
    let until: UInt64

    func separates(_ first: Int, _ second: Int) -> Bool {
        guard let others else { return members.contains(first) != members.contains(second) }
        return members.contains(first) && others.contains(second) || members.contains(second) && others.contains(first)
    }
}

/// A message to damage.
struct Damage {
    enum Place {
        /// A byte of a frame.
        case frame
        /// A byte of the message's own header.
        case header
    }

    let connectionChild: Int
    let connectionParent: Int
    let place: Place
    let until: UInt64
    var count: Int
}

// The network: delay by place, a share of packets lost, lines of a width, and order kept on every connection.
extension SimulatedWorld {
    /// When two nodes can reach each other again; `now` if they can.
    func reachable(_ first: SimulatedNode, _ second: SimulatedNode) -> UInt64 {
        var time = now
        for cut in cuts where cut.until > now && cut.separates(first.index, second.index) {
            time = max(time, cut.until)
        }
        return time
    }

    func connect(_ node: SimulatedNode, _ peer: LogPeer, _ parentIndex: Int) {
        guard node.parents.indices.contains(parentIndex) else { return }
        let parent = nodes[node.parents[parentIndex]]
        // Nobody answers; the machine gives up by itself.
        guard reachable(node, parent) == now else { return }
        guard parent.isUp else {
            queue.add(
                .refused(node, peer, life: node.life), at: now + node.site.roundTrip(to: parent.site))
            return
        }
        lastConnection += 1
        let connection = SimulatedConnection(id: lastConnection, child: node, parent: parent, childPeer: peer)
        node.connections[peer] = connection
        tally.connections += 1
        // A round trip for TCP and one for TLS 1.3.
        queue.add(.opened(connection, towardsChild: false), at: now + connection.roundTrip * 3 / 2)
        queue.add(.opened(connection, towardsChild: true), at: now + connection.roundTrip * 2)
    }

    func opened(_ connection: SimulatedConnection, towardsChild: Bool) {
        if towardsChild {
            guard connection.isOpen(towardsChild: true) else { return }
            call(connection.child) { $0.connected(connection.childPeer, self.time) }
        } else {
            let parent = connection.parent
            guard parent.isUp, parent.life == connection.parentLife else { return }
            parent.connections[connection.parentPeer] = connection
            call(parent) { $0.accepted(connection.id, provenName: connection.child.name, self.time) }
        }
    }

    func send(_ record: PeerRecord, from node: SimulatedNode, to peer: LogPeer) {
        guard let connection = node.connections[peer] else { return }
        let towardsChild = connection.parent === node
        var record = record
        if !damages.isEmpty { damage(&record, on: connection, towardsChild: towardsChild) }
        node.bytesOut &+= UInt64(record.byteCount)
        node.messagesOut &+= 1
        var kept: Int?
        if node === dying, towardsChild, record.byteCount > 512 {
            // Some children have got the whole frame, this one gets the beginning of it, and the rest nothing.
            kept =
                generator.fraction() < 0.5 ? record.byteCount : 1 + Int(generator.below(UInt64(record.byteCount - 1)))
        }
        transmit(record, kept, on: connection, towardsChild: towardsChild, from: node)
        if let kept, kept < record.byteCount { kill(node) }
    }

    private func transmit(
        _ record: PeerRecord, _ kept: Int?, on connection: SimulatedConnection, towardsChild: Bool,
        from node: SimulatedNode
    ) {
        let bytes = Double(record.byteCount)
        node.sendingUntil =
            max(now, node.sendingUntil) + UInt64(bytes * 8 / options.linkMegabitsPerSecond)
        var time = node.sendingUntil + connection.roundTrip / 2
        time += UInt64(Double(connection.roundTrip) * 0.05 * generator.fraction())
        // Any lost packet holds back everything behind it until it has been sent again.
        var timeout = connection.roundTrip + 200_000
        let lossOfAny = min(0.9, options.lossRate * (1 + (bytes / 1400).rounded(.down)))
        while lossOfAny > 0, generator.fraction() < lossOfAny {
            time += timeout
            timeout *= 2
            tally.retransmissions += 1
        }
        let (receiver, _, _) = connection.end(towardsChild: towardsChild)
        let again = reachable(node, receiver)
        if again > now { time = max(time, again + connection.roundTrip) }
        let direction = towardsChild ? 1 : 0
        time = max(time, connection.arrival[direction] + 1)
        if let rate = receiver.receivesBytesPerSecond {
            time = max(time, receiver.receivingUntil) + UInt64(bytes / rate * 1_000_000)
            receiver.receivingUntil = time
        }
        connection.arrival[direction] = time
        queue.add(.arrived(connection, towardsChild: towardsChild, record, bytesKept: kept), at: time)
    }

    func arrived(_ connection: SimulatedConnection, towardsChild: Bool, _ record: PeerRecord, _ kept: Int?) {
        guard connection.isOpen(towardsChild: towardsChild) else {
            // The sender is told, unless it knows.
            return close(connection, towardsChild: !towardsChild)
        }
        let (node, peer, _) = connection.end(towardsChild: towardsChild)
        node.messagesIn &+= 1
        var pieces = [record.head, record.body]
        if kept != nil || generator.below(16) == 0 {
            let whole = Array(record.bytes.prefix(kept ?? .max))
            let cut = Int(generator.below(UInt64(whole.count + 1)))
            pieces = [Array(whole[..<cut]), Array(whole[cut...])]
        }
        for piece in pieces where !piece.isEmpty {
            call(node) { $0.receive(piece, from: peer, self.time) }
        }
    }

    // MARK: Ends

    func disconnect(_ node: SimulatedNode, _ peer: LogPeer) {
        guard let connection = node.connections.removeValue(forKey: peer) else { return }
        close(connection, towardsChild: connection.parent === node)
    }

    /// Tells one end that the other is gone, behind all that was sent.
    func close(_ connection: SimulatedConnection, towardsChild: Bool) {
        let direction = towardsChild ? 1 : 0
        var time = now + connection.roundTrip / 2
        let again = reachable(connection.child, connection.parent)
        if again > now { time = again + connection.roundTrip }
        time = max(time, connection.arrival[direction] + 1)
        connection.arrival[direction] = time
        queue.add(.closed(connection, towardsChild: towardsChild), at: time)
    }

    func closed(_ connection: SimulatedConnection, towardsChild: Bool) {
        guard connection.isOpen(towardsChild: towardsChild) else { return }
        let (node, peer, _) = connection.end(towardsChild: towardsChild)
        node.connections[peer] = nil
        call(node) { $0.disconnected(peer, self.time) }
    }

    // MARK: Damage

    private func damage(_ record: inout PeerRecord, on connection: SimulatedConnection, towardsChild: Bool) {
        guard towardsChild else { return }
        for index in damages.indices where damages[index].count > 0 && damages[index].until > now {
            let planned = damages[index]
            guard planned.connectionChild == connection.child.index,
                planned.connectionParent == connection.parent.index
            else { continue }
            switch planned.place {
            case .frame where !record.body.isEmpty:
                record = record.damaged(at: record.head.count + Int(generator.below(UInt64(record.body.count))))
            case .header: record = record.damaged(at: Int(generator.below(8)))
            default: continue
            }
            damages[index].count -= 1
            tally.damaged += 1
            return
        }
    }
}
