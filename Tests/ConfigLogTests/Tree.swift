import ConfigLog

/// Nodes in one process, with connections that deliver at once and in order, and replicas that are dictionaries. The test
/// says when time passes, and may keep or change what is on its way.
final class Tree {
    struct Replica: Equatable {
        var position = LogPosition.none
        var values: [String: [UInt8]] = [:]
    }

    /// A message that is on its way.
    struct Passage {
        let from: String
        let to: String
        let peer: LogPeer
        var record: PeerRecord

        /// Nil: the connection's end.
        var kind: PeerMessage.Kind? {
            record.head.count > 4 ? PeerMessage.Kind(rawValue: record.head[4]) : nil
        }
    }

    var nodes: [String: LogNode] = [:]
    var replicas: [String: Replica] = [:]
    var parents: [String: [String]] = [:]
    /// Both directions: a node and its peer, to the other's.
    var wires: [End: End] = [:]
    var passing: [Passage] = []
    var reports: [(node: String, report: LogReport)] = []
    /// Frames that each node was told to apply.
    var applied: [String: [Frame]] = [:]
    var imports: [String: [Int: [UInt8]]] = [:]
    var exports: [String: Replica] = [:]
    var sealer = LogSealer(at: LogPosition(epoch: 1, sequence: 0, hash: .zero))
    var frames: [Frame] = []
    var now: UInt64 = 1_000_000
    var lastChild: UInt64 = 0
    /// Nodes that nobody can connect to.
    var down: Set<String> = []
    /// Looks at every message; nil keeps it for good.
    var filter: (Passage) -> Passage? = { $0 }
    /// Nodes that do not answer `.apply` by themselves.
    var slow: Set<String> = []
    var failing: Set<String> = []
    var cannotExport: Set<String> = []
    /// What a parent reads instead of a chunk.
    var tornChunk: (ChainHash, [UInt8]) -> [UInt8]? = { $1 }
    /// The shell takes its time to put a state in place: `unfinished` does it.
    var finishesLater = false
    var unfinished: (() -> Void)?
    var abandoned = 0
    /// Everything is cut into random pieces.
    var generator: SeededGenerator?

    struct End: Hashable {
        let node: String
        let peer: LogPeer
    }

    var time: LogTime { LogTime(monotonic: now, unix: now + 1_700_000_000_000) }

    func add(_ node: LogNode, parents: [String] = []) {
        nodes[node.name] = node
        self.parents[node.name] = parents
        if replicas[node.name] == nil { replicas[node.name] = Replica() }
        call(node.name) { $0.start(self.time) }
    }

    /// A root, a relay behind it and a leaf behind that, unless told otherwise.
    static func chain(bounds: LogBounds = LogBounds()) -> Tree {
        let tree = Tree()
        tree.addRoot(bounds: bounds)
        tree.add("relay", .relay, ["root"], bounds: bounds)
        tree.add("leaf", .leaf, ["relay"], bounds: bounds)
        tree.settle()
        return tree
    }

    func addRoot(_ name: String = "root", recent: [Frame] = [], bounds: LogBounds = LogBounds()) {
        add(.root(name: name, at: recent.last?.position ?? sealer.position, recent: recent, bounds: bounds))
    }

    func add(
        _ name: String, _ role: NodeRole, _ parents: [String], seed: UInt64 = 7, bounds: LogBounds = LogBounds()
    ) {
        let position = replicas[name]?.position ?? .none
        add(
            role == .relay
                ? .relay(name: name, at: position, parents: parents, seed: seed, bounds: bounds)
                : .leaf(name: name, at: position, parents: parents, seed: seed, bounds: bounds), parents: parents)
    }

    // MARK: What happens

    func call(_ name: String, _ body: (inout LogNode) -> [LogAction]) {
        guard var node = nodes.removeValue(forKey: name) else { return }
        let actions = body(&node)
        nodes[name] = node
        for action in actions { perform(action, of: name) }
    }

    private func perform(_ action: LogAction, of name: String) {
        switch action {
        case .connect(let peer, let index):
            let parent = parents[name]?[index] ?? ""
            guard nodes[parent] != nil, !down.contains(parent) else {
                return call(name) { $0.disconnected(peer, self.time) }
            }
            lastChild += 1
            let child = lastChild
            wires[End(node: name, peer: peer)] = End(node: parent, peer: .child(child))
            wires[End(node: parent, peer: .child(child))] = End(node: name, peer: peer)
            call(parent) { $0.accepted(child, provenName: name, self.time) }
            call(name) { $0.connected(peer, self.time) }
        case .send(let peer, let record):
            guard let end = wires[End(node: name, peer: peer)] else { return }
            passing.append(Passage(from: name, to: end.node, peer: end.peer, record: record))
        case .disconnect(let peer):
            guard let end = wires.removeValue(forKey: End(node: name, peer: peer)) else { return }
            // Behind what was sent: an empty message stands for the end.
            passing.append(
                Passage(from: name, to: end.node, peer: end.peer, record: PeerRecord(head: [], body: [])))
        case .apply(let frame): apply(frame, name)
        case .exportSnapshot:
            let replica = replicas[name] ?? Replica()
            exports[name] = replica
            let manifest = cannotExport.contains(name) ? nil : Self.manifest(replica)
            call(name) { $0.snapshotExported(manifest, self.time) }
        case .readChunk(let hash, let child):
            let bytes = exports[name].flatMap { Self.chunks($0).first { ChainHash.of($0) == hash } }
            call(name) { $0.chunkRead(hash, bytes.flatMap { self.tornChunk(hash, $0) }, for: child, self.time) }
        case .beginImport(let manifest):
            let known = imports[name]?.values.reduce(into: [ChainHash: [UInt8]]()) { $0[ChainHash.of($1)] = $1 } ?? [:]
            imports[name] = [:]
            var lacking: [Int] = []
            for (index, chunk) in manifest.chunks.enumerated() {
                if let bytes = known[chunk.hash] { imports[name]?[index] = bytes } else { lacking.append(index) }
            }
            call(name) { $0.importBegan(lacking: lacking, self.time) }
        case .storeChunk(let index, let bytes): imports[name]?[index] = bytes
        case .abandonImport: abandoned += 1
        case .finishImport(let manifest):
            guard !finishesLater else { return unfinished = { self.finish(manifest, name) } }
            finish(manifest, name)
        case .report(let report): reports.append((name, report))
        }
    }

    private func finish(_ manifest: SnapshotManifest, _ name: String) {
        replicas[name] = Self.restored(manifest, imports[name] ?? [:])
        imports[name] = nil
        call(name) { $0.importFinished(self.time) }
    }

    private func apply(_ frame: Frame, _ name: String) {
        if failing.contains(name) { return call(name) { $0.applyFailed("no room", self.time) } }
        replicas[name]?.apply(frame)
        applied[name, default: []].append(frame)
        if !slow.contains(name) { call(name) { $0.applied(frame.position, self.time) } }
    }

    /// Delivers the oldest message.
    func step() {
        let passage = passing.removeFirst()
        guard let passage = filter(passage) else { return }
        let end = End(node: passage.to, peer: passage.peer)
        guard wires[end] != nil else { return }
        guard passage.record.byteCount > 0 else {
            wires[end] = nil
            return call(passage.to) { $0.disconnected(passage.peer, self.time) }
        }
        var pieces = [passage.record.head, passage.record.body]
        if let cut = generator?.below(UInt64(passage.record.byteCount + 1)) {
            let bytes = passage.record.bytes
            pieces = [Array(bytes[..<Int(cut)]), Array(bytes[Int(cut)...])]
        }
        for piece in pieces where !piece.isEmpty {
            call(passage.to) { $0.receive(piece, from: passage.peer, self.time) }
        }
    }

    /// Delivers until nothing is on its way; bounded, should two never have enough of each other.
    func settle() {
        for _ in 0..<20_000 where !passing.isEmpty { step() }
    }

    /// Lets time pass, in steps of 50 ms.
    func pass(_ milliseconds: UInt64) {
        let end = now + milliseconds
        while now < end {
            now = min(end, now + 50)
            for name in nodes.keys.sorted() where !down.contains(name) { call(name) { $0.tick(self.time) } }
            settle()
        }
    }

    /// Commits groups of changes, each of which becomes a frame.
    func commit(_ groups: [Change]...) throws {
        for group in groups { try publish(group) }
    }

    private func publish(_ changes: [Change]) throws {
        try sealer.add(changes, committedAt: time.unix)
        now += 20
        while let frame = try sealer.seal(now: now) {
            frames.append(frame)
            replicas["root"]?.apply(frame)
            call("root") { $0.publish(frame, self.time) }
        }
    }

    /// That many frames of a change each.
    func commit(count: Int, bytes: Int = 4) throws {
        for number in 0..<count {
            let value = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: bytes)
            try publish([Change(key: "k/\(frames.count % 50)", value: value)])
        }
    }

    /// Ends the node's process: its connections break, and nothing that it said and that has not arrived does.
    func kill(_ name: String) {
        nodes[name] = nil
        passing.removeAll { $0.from == name }
        for (end, other) in wires where end.node == name {
            wires[end] = nil
            if wires[other] != nil {
                passing.append(
                    Passage(from: name, to: other.node, peer: other.peer, record: PeerRecord(head: [], body: [])))
            }
        }
    }

    // MARK: What came of it

    func said(_ name: String) -> [LogReport] { reports.filter { $0.node == name }.map(\.report) }

    var isEqual: Bool { nodes.keys.allSatisfy { replicas[$0] == replicas["root"] } }

    static func chunks(_ replica: Replica) -> [[UInt8]] {
        var groups: [[Change]] = []
        for (index, key) in replica.values.keys.sorted().enumerated() {
            if index % 8 == 0 { groups.append([]) }
            groups[groups.count - 1].append(Change(key: key, value: replica.values[key]))
        }
        return groups.compactMap { try? ChangeGroup(sequence: 0, changes: $0).encoded() }
    }

    static func manifest(_ replica: Replica) -> SnapshotManifest {
        SnapshotManifest(
            position: replica.position,
            chunks: chunks(replica).map {
                SnapshotManifest.Chunk(hash: ChainHash.of($0), byteCount: $0.count)
            })
    }

    static func restored(_ manifest: SnapshotManifest, _ chunks: [Int: [UInt8]]) -> Replica {
        var replica = Replica(position: manifest.position)
        for bytes in chunks.values {
            for change in (try? ChangeGroup(decoding: bytes))?.changes ?? [] {
                replica.values[change.key] = change.value
            }
        }
        return replica
    }
}

extension Tree.Replica {
    mutating func apply(_ frame: Frame) {
        for group in frame.groups {
            for change in group.changes { values[change.key] = change.value }
        }
        position = frame.position
    }
}
