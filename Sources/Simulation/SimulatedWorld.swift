// One run: the nodes, the network between them, and what happens when. Virtual time is in microseconds; one thread; all
// chance comes from one seed, so that a run can be repeated to look at it.

import ConfigLog

enum SimulatedEvent {
    case change
    case seal
    case tick(SimulatedNode, life: Int)
    case opened(SimulatedConnection, towardsChild: Bool)
    case refused(SimulatedNode, LogPeer, life: Int)
    case arrived(SimulatedConnection, towardsChild: Bool, PeerRecord, bytesKept: Int?)
    case closed(SimulatedConnection, towardsChild: Bool)
    case applied(SimulatedNode, Frame, life: Int, generation: Int)
    case exported(SimulatedNode, SimulatedReplica, life: Int)
    case chunkRead(SimulatedNode, ChainHash, child: UInt64, life: Int)
    case importBegan(SimulatedNode, SnapshotManifest, life: Int)
    case importFinished(SimulatedNode, SnapshotManifest, life: Int)
    case readers
    case fault(Int)
    case check
}

final class SimulatedWorld {
    let options: SimulationOptions
    var generator: SeededGenerator
    /// For what changes when: the same whatever else happens.
    var workload: SeededGenerator
    var queue = EventQueue<SimulatedEvent>()
    var now: UInt64 = 0
    /// The root, then the relays, then the edges; behind them whoever a fault adds.
    var nodes: [SimulatedNode] = []
    var sealer = LogSealer(at: LogPosition(epoch: 1, sequence: 0, hash: .zero))
    var sealAt: UInt64?
    /// When each change was committed, by its number less one.
    var committed: [UInt64] = []
    /// The hash at each sequence that ends a frame.
    var canonical: [UInt64: ChainHash] = [:]
    var lastConnection: UInt64 = 0
    /// When changes end.
    var end: UInt64
    var faults: [() -> Void] = []
    /// Who cannot reach whom, until then.
    var cuts: [Cut] = []
    /// A relay that dies while it passes on its next frame.
    var dying: SimulatedNode?
    /// An edge whose connection breaks while it imports a snapshot.
    var interrupting: SimulatedNode?
    /// Messages to damage before they arrive.
    var damages: [Damage] = []
    /// The newest frames of the root.
    var recentFrames: [Frame] = []

    var samples = PropagationSamples()
    var tally = SimulationTally()
    var violations: [String] = []

    static let unixStart: UInt64 = 1_700_000_000_000

    var root: SimulatedNode { nodes[0] }
    var relays: ArraySlice<SimulatedNode> { nodes[1...options.relayCount] }
    var edges: ArraySlice<SimulatedNode> {
        nodes[(options.relayCount + 1)..<(options.relayCount + 1 + options.edges)]
    }
    var time: LogTime { LogTime(monotonic: now / 1000, unix: Self.unixStart + now / 1000) }

    init(_ options: SimulationOptions) {
        self.options = options
        generator = SeededGenerator(seed: options.seed)
        workload = SeededGenerator(seed: options.seed ^ 0x00C0_FFEE)
        end = UInt64(options.seconds * 1_000_000)
        build()
        planFaults()
    }

    func violate(_ text: String) {
        tally.violations += 1
        if violations.count < 20 { violations.append("at \(now / 1000) ms: \(text)") }
    }

    // MARK: The journey of a run

    func run() {
        for node in nodes { start(node) }
        queue.add(.change, at: nextChange())
        queue.add(.readers, at: 1000)
        queue.add(.check, at: end)
        while let (time, event) = queue.next() {
            now = time
            if case .check = event {
                if hasConverged || now > end + 180_000_000 { break }
                queue.add(.check, at: now + 500_000)
            } else {
                handle(event)
            }
        }
        finish()
    }

    private func handle(_ event: SimulatedEvent) {
        switch event {
        case .change: commit()
        case .seal: seal()
        case .tick(let node, let life):
            // An earlier one may have been planned since.
            guard node.isUp, node.life == life, node.tickAt == now else { return }
            node.tickAt = nil
            tally.ticks += 1
            call(node) { $0.tick(self.time) }
        case .opened(let connection, let towardsChild): opened(connection, towardsChild: towardsChild)
        case .refused(let node, let peer, let life):
            guard node.isUp, node.life == life else { return }
            call(node) { $0.disconnected(peer, self.time) }
        case .arrived(let connection, let towardsChild, let record, let kept):
            arrived(connection, towardsChild: towardsChild, record, kept)
        case .closed(let connection, let towardsChild): closed(connection, towardsChild: towardsChild)
        case .applied(let node, let frame, let life, let generation):
            guard node.isUp, node.life == life, node.generation == generation else { return }
            applied(node, frame)
        case .exported(let node, let replica, let life):
            guard node.isUp, node.life == life else { return }
            exported(node, replica)
        case .chunkRead(let node, let hash, let child, let life):
            guard node.isUp, node.life == life else { return }
            let bytes = node.exported.flatMap { exported in
                exported.chunks[hash].map { exported.replica.chunk($0) }
            }
            call(node) { $0.chunkRead(hash, bytes, for: child, self.time) }
        case .importBegan(let node, let manifest, let life):
            guard node.isUp, node.life == life else { return }
            importBegan(node, manifest)
        case .importFinished(let node, let manifest, let life):
            guard node.isUp, node.life == life else { return }
            importFinished(node, manifest)
        case .readers: read()
        case .fault(let index): faults[index]()
        case .check: break
        }
    }

    // MARK: Changes

    private func nextChange() -> UInt64 {
        // Between nothing and twice the mean: bursts and silences, as with people and scripts.
        now + 1 + workload.below(UInt64(2_000_000 / options.changesPerSecond))
    }

    private func commit() {
        guard now < end else { return }
        committed.append(now)
        let number = UInt64(committed.count)
        let changes = SimulatedReplica.changes(
            number: number, pair: Int(workload.below(UInt64(options.keyPairs))), valueBytes: options.valueBytes)
        do {
            try sealer.add(changes, committedAt: time.unix)
        } catch {
            violate("a change was refused: \(error)")
        }
        if sealAt == nil, let due = sealer.nextDeadline(now: time.monotonic) {
            sealAt = max(now, due * 1000)
            queue.add(.seal, at: max(now, due * 1000))
        }
        queue.add(.change, at: nextChange())
    }

    private func seal() {
        sealAt = nil
        do {
            while let frame = try sealer.seal(now: time.monotonic) {
                canonical[frame.last] = frame.hash
                tally.frames += 1
                recentFrames.append(frame)
                if recentFrames.count > 64 { recentFrames.removeFirst() }
                if let problem = root.replica.apply(frame) { violate("root: \(problem)") }
                call(root) { $0.publish(frame, self.time) }
            }
        } catch {
            violate("a frame could not be sealed: \(error)")
        }
        if let due = sealer.nextDeadline(now: time.monotonic) {
            sealAt = due * 1000
            queue.add(.seal, at: max(now + 1, due * 1000))
        }
    }

    // MARK: Nodes

    func start(_ node: SimulatedNode) { call(node) { $0.start(self.time) } }

    /// Calls a machine, performs what it says, and sees to it that it is called when its next wait is over.
    func call(_ node: SimulatedNode, _ body: (inout LogNode) -> [LogAction]) {
        perform(node.run(body), of: node)
        guard node.isUp, let due = node.machine.nextDeadline else { return }
        let at = max(now + 1, due * 1000)
        if let planned = node.tickAt, planned <= at { return }
        node.tickAt = at
        queue.add(.tick(node, life: node.life), at: at)
    }

    private func perform(_ actions: [LogAction], of node: SimulatedNode) {
        let life = node.life
        for action in actions {
            guard node.isUp, node.life == life else { return }
            switch action {
            case .connect(let peer, let parent): connect(node, peer, parent)
            case .send(let peer, let record): send(record, from: node, to: peer)
            case .disconnect(let peer): disconnect(node, peer)
            case .apply(let frame):
                // A write transaction takes one to three milliseconds.
                let start = max(now, node.applyingUntil)
                node.applyingUntil = start + 1000 + generator.below(2000)
                queue.add(
                    .applied(node, frame, life: life, generation: node.generation), at: node.applyingUntil)
            case .exportSnapshot: queue.add(.exported(node, node.replica, life: life), at: now + 20_000)
            case .readChunk(let hash, let child):
                queue.add(.chunkRead(node, hash, child: child, life: life), at: now + 500)
            case .beginImport(let manifest): queue.add(.importBegan(node, manifest, life: life), at: now + 5000)
            case .storeChunk(let index, let bytes):
                node.imported[index] = bytes
                interrupt(node)
            case .abandonImport: break  // what has come stays at hand
            case .finishImport(let manifest): queue.add(.importFinished(node, manifest, life: life), at: now + 5000)
            case .report(let report): tally.note(report, of: node.name)
            }
        }
    }
}
