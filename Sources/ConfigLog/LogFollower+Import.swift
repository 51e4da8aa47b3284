import Limits

extension LogFollower {
    /// A snapshot on its way in. It survives the connection: what has come need not come again.
    struct Import: Sendable {
        let manifest: SnapshotManifest
        var stage = Stage.preparing
        /// Chunks that are not at hand and not asked for, by index; the next one is the last.
        var lacking: [Int] = []
        /// Asked for, with every index that has this content.
        var asked: [ChainHash: [Int]] = [:]
        var lackingByHash: [ChainHash: [Int]] = [:]
        var damaged = 0

        enum Stage: Sendable {
            /// The shell is looking for what it has.
            case preparing
            case fetching
            /// The shell is putting it in place.
            case finishing
        }

        /// The connection on which they were asked for is gone.
        mutating func askAgain() {
            lacking += asked.values.compactMap(\.first).sorted(by: >)
            asked = [:]
        }
    }

    mutating func take(_ manifest: SnapshotManifest, _ now: LogTime, _ actions: inout [LogAction]) {
        guard case .connected(let connection) = state, case .awaitingOffer = connection.stage else { return }
        // An older state than the own one is of no use.
        guard (manifest.position.epoch, manifest.position.sequence) >= (position.epoch, position.sequence) else {
            return lose(
                PeerMessage.Goodbye(.elsewhere, "the snapshot is of \(manifest.position)"), now, &actions)
        }
        enter(.importing)
        if let importing, importing.manifest == manifest { return fetch(now, &actions) }
        importing = Import(manifest: manifest)
        actions.append(.beginImport(manifest))
    }

    /// The shell has looked what it has of the snapshot.
    mutating func importBegan(lacking: [Int], _ now: LogTime, _ actions: inout [LogAction]) {
        guard var current = importing, case .preparing = current.stage else { return }
        let chunks = current.manifest.chunks
        for index in lacking where chunks.indices.contains(index) {
            let hash = chunks[index].hash
            if current.lackingByHash[hash] == nil { current.lacking.append(index) }
            current.lackingByHash[hash, default: []].append(index)
        }
        current.lacking.reverse()
        current.stage = .fetching
        importing = current
        actions.append(.report(.importBegan(current.manifest, lacking: current.lacking.count)))
        fetch(now, &actions)
    }

    /// Asks for further chunks, or for the state to be put in place when none is missing.
    private mutating func fetch(_ now: LogTime, _ actions: inout [LogAction]) {
        guard var current = importing, case .fetching = current.stage else { return }
        if current.lackingByHash.isEmpty {
            current.stage = .finishing
            importing = current
            return actions.append(.finishImport(current.manifest))
        }
        guard case .connected(let connection) = state, case .importing = connection.stage else { return }
        while current.asked.count < Limits.configChunkRequestsMax, let index = current.lacking.popLast() {
            let hash = current.manifest.chunks[index].hash
            current.asked[hash] = [index]
            send(.chunkRequest(hash), &actions)
        }
        importing = current
    }

    mutating func take(chunk bytes: [UInt8], _ hash: ChainHash, _ now: LogTime, _ actions: inout [LogAction]) {
        guard var current = importing, let asked = current.asked.removeValue(forKey: hash), let index = asked.first,
            let indices = current.lackingByHash[hash]
        else { return }
        guard bytes.count == current.manifest.chunks[index].byteCount, ChainHash.of(bytes) == hash else {
            let error = ConfigLogError(
                .wrongHash, "a chunk of a snapshot",
                expected: "\(current.manifest.chunks[index].byteCount) bytes of \(hash)",
                found: "\(bytes.count) bytes of another content")
            actions.append(.report(.damaged(parent: parent, at: position, error)))
            current.lacking.append(index)
            current.damaged += 1
            importing = current
            if current.damaged % (Limits.configResendsPerParentMax + 1) == 0 {
                return lose(PeerMessage.Goodbye(.damaged, error.description), now, &actions)
            }
            return fetch(now, &actions)
        }
        current.lackingByHash[hash] = nil
        importing = current
        for index in indices { actions.append(.storeChunk(index: index, bytes)) }
        fetch(now, &actions)
    }

    /// The state is in place: goes on from there. False if nobody waited for it.
    mutating func importFinished(_ now: LogTime, _ actions: inout [LogAction]) -> Bool {
        guard let current = importing, case .finishing = current.stage else { return false }
        importing = nil
        position = current.manifest.position
        applied = position
        appliedAt = now.unix
        pending = []
        recent = RecentHashes()
        recent.add(position)
        resends = Resends(sequence: position.sequence)
        (applyFailures, snapshotOnly) = (0, 0)
        wantsSnapshot = false
        actions.append(.report(.importFinished(position)))
        ask(now, &actions)
        return true
    }

    /// The shell could not build it.
    mutating func importFailed(_ reason: String, _ now: LogTime, _ actions: inout [LogAction]) {
        guard importing != nil else { return }
        importing = nil
        actions.append(.report(.importFailed(reason)))
        lose(PeerMessage.Goodbye(.unapplied, reason), now, &actions)
    }
}
