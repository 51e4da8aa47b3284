import Limits

// Whole states for children that the window does not reach. The shell makes and reads them; many children share one.
extension LogFeeder {
    /// Offers the present snapshot, or has a newer one made if that one is old, is of no use to somebody who stands at
    /// `position`, or is about to be left behind by the window.
    mutating func offerSnapshot(
        to id: UInt64, at position: LogPosition, _ now: LogTime, _ actions: inout [LogAction]
    ) {
        if let offered, now.monotonic &- offered.since < Limits.configSnapshotOfferMilliseconds,
            offered.manifest.position.epoch != position.epoch
                || offered.manifest.position.sequence > position.sequence,
            case .before(let index) = window.place(offered.manifest.position),
            window.endOffset &- window.offset(before: index) <= UInt64(bounds.windowBytesMax / 2),
            window.endIndex &- index <= UInt64(bounds.windowFramesMax / 2)
        {
            return offer(offered.manifest, to: id, &actions)
        }
        children[id]?.stage = .awaitingExport
        guard exportingSince == nil else { return }
        exportingSince = now.monotonic
        actions.append(.exportSnapshot)
    }

    private mutating func offer(_ manifest: SnapshotManifest, to id: UInt64, _ actions: inout [LogAction]) {
        guard let child = children[id] else { return }
        children[id]?.stage = .importing
        send(.offer(stream: child.stream, manifest), to: id, &actions)
    }

    /// The shell has made a snapshot; nil: it could not.
    mutating func snapshotExported(_ manifest: SnapshotManifest?, _ now: LogTime, _ actions: inout [LogAction]) {
        exportingSince = nil
        // One that nobody could be told about, or behind which no frames could follow, is of no use.
        var usable = manifest
        if let made = manifest, (try? made.encoded()) == nil || made.position.epoch == 0 { usable = nil }
        if let made = manifest, case .tooOld = window.place(made.position) { usable = nil }
        if let usable { offered = (usable, now.monotonic) }
        for id in children.keys.sorted() {
            guard let child = children[id], case .awaitingExport = child.stage else { continue }
            if let usable {
                offer(usable, to: id, &actions)
            } else {
                children[id]?.stage = .idle
                let answer = PeerMessage.Answer(stream: child.stream, kind: .unavailable, head: window.head)
                send(.answer(answer), to: id, &actions)
            }
        }
    }

    /// The shell has read a chunk for a child; nil: it is not there any more.
    mutating func chunkRead(_ hash: ChainHash, _ bytes: [UInt8]?, for id: UInt64, _ actions: inout [LogAction]) {
        guard let child = children[id], child.chunkReads > 0 else { return }
        children[id]?.chunkReads -= 1
        if let bytes, 1...Limits.configChunkBytesMax ~= bytes.count {
            send(.chunk(hash, bytes: bytes), to: id, &actions)
        } else {
            // Whoever asks next is to be offered what can be read.
            offered = nil
            send(.chunkMissing(hash), to: id, &actions)
        }
    }
}
