import ConfigLog

// What the replicas do, and what is held against them: whatever a node shows to readers has the history that the root
// gave it, in order, without gaps, and never half of a change.
extension SimulatedWorld {
    func applied(_ node: SimulatedNode, _ frame: Frame) {
        let before = node.replica.position.sequence
        if let problem = node.replica.apply(frame) { violate("\(node.name): \(problem)") }
        checkHash(node)
        count(node, from: before)
        call(node) { $0.applied(frame.position, self.time) }
    }

    private func checkHash(_ node: SimulatedNode) {
        let position = node.replica.position
        guard position.sequence == 0 || canonical[position.sequence] == position.hash else {
            return violate("\(node.name) has another hash at sequence \(position.sequence) than the root")
        }
    }

    /// Counts how long ago was committed what an edge now has.
    private func count(_ node: SimulatedNode, from before: UInt64) {
        guard edges.indices.contains(node.index) else { return }
        let start = max(before, node.countedThrough)
        let through = node.replica.position.sequence
        guard through > start, through <= UInt64(committed.count) else { return }
        for sequence in start..<through { samples.add(now - committed[Int(sequence)]) }
        node.countedThrough = through
    }

    // MARK: Snapshots

    func exported(_ node: SimulatedNode, _ replica: SimulatedReplica) {
        guard replica.position.sequence > 0 else { return call(node) { $0.snapshotExported(nil, self.time) } }
        let manifest = replica.manifest
        var chunks: [ChainHash: Int] = [:]
        for (index, chunk) in manifest.chunks.enumerated() { chunks[chunk.hash] = index }
        node.exported = (chunks, replica)
        tally.exports += 1
        call(node) { $0.snapshotExported(manifest, self.time) }
    }

    func importBegan(_ node: SimulatedNode, _ manifest: SnapshotManifest) {
        // What came for an import that was broken off, and what the own state has already, is of use.
        var atHand: [ChainHash: [UInt8]] = [:]
        for bytes in node.imported.values { atHand[ChainHash.of(bytes)] = bytes }
        if node.replica.position.sequence > 0 {
            for index in 0..<node.replica.chunkCount {
                let bytes = node.replica.chunk(index)
                atHand[ChainHash.of(bytes)] = bytes
            }
        }
        node.imported = [:]
        var lacking: [Int] = []
        for (index, chunk) in manifest.chunks.enumerated() {
            if let bytes = atHand[chunk.hash] { node.imported[index] = bytes } else { lacking.append(index) }
        }
        tally.chunksAtHand += manifest.chunks.count - lacking.count
        tally.chunksFetched += lacking.count
        call(node) { $0.importBegan(lacking: lacking, self.time) }
    }

    func importFinished(_ node: SimulatedNode, _ manifest: SnapshotManifest) {
        let before = node.replica.position.sequence
        node.generation += 1
        if let problem = node.replica.restore(manifest.position, node.imported) { violate("\(node.name): \(problem)") }
        node.imported = [:]
        tally.imports += 1
        checkHash(node)
        count(node, from: before)
        call(node) { $0.importFinished(self.time) }
    }

    // MARK: Readers

    /// Readers on random nodes, a thousand times a second.
    func read() {
        guard now < end else { return }
        let node = nodes[Int(generator.below(UInt64(nodes.count)))]
        if let torn = node.replica.torn(Int(generator.below(UInt64(options.keyPairs)))) {
            violate("\(node.name): \(torn)")
        }
        tally.reads += 1
        queue.add(.readers, at: now + 1000)
    }

    // MARK: The end

    /// Whether every relay and every edge has what the root has.
    var hasConverged: Bool {
        sealAt == nil
            && (relays + edges).allSatisfy { $0.isUp && $0.replica.position == root.replica.position }
    }

    func finish() {
        for node in relays + edges {
            if node.replica.position != root.replica.position {
                violate("\(node.name) is at \(node.replica.position), the root at \(root.replica.position)")
            } else if node.replica.stamps != root.replica.stamps {
                violate("\(node.name) has another state than the root at \(root.replica.position)")
            }
        }
        let expected = UInt64(committed.count) * UInt64(options.edges)
        if samples.count != expected {
            violate("\(samples.count) changes were applied at edges, expected \(expected)")
        }
    }
}
