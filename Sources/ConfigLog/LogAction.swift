/// The time, as the shell knows it when it calls.
package struct LogTime: Sendable, Equatable {
    /// Milliseconds on a clock that never goes back: for every wait.
    package var monotonic: UInt64
    /// Milliseconds since 1970: for what is compared between machines.
    package var unix: UInt64

    package init(monotonic: UInt64, unix: UInt64) {
        self.monotonic = monotonic
        self.unix = unix
    }
}

/// The other end of a connection.
package enum LogPeer: Sendable, Hashable {
    /// By the machine's number of the attempt: what comes late of an older one is known by it.
    case parent(UInt32)
    /// By a number that the shell gave, and gives only once.
    case child(UInt64)
}

/// What the shell is to do, in the order in which it was returned.
package enum LogAction: Sendable {
    /// Open a connection to `parents[parent]`; answer by `connected` or `disconnected`.
    case connect(LogPeer, parent: Int)
    case send(LogPeer, PeerRecord)
    /// Close it once what was sent has left; whatever it still says counts for nothing.
    case disconnect(LogPeer)
    /// One write transaction on the replica; answer by `applied` or `applyFailed`. In order, and each only after the one
    /// before.
    case apply(Frame)
    /// A manifest of what is applied now, from one read transaction; answer by `snapshotExported`. Its chunks stay readable
    /// until the next export.
    case exportSnapshot
    /// Answer by `chunkRead`.
    case readChunk(ChainHash, child: UInt64)
    /// Build a state beside the present one, in the place of any that is being built; answer by `importBegan` with the
    /// chunks that are not at hand. Those of a broken-off import still are.
    case beginImport(SnapshotManifest)
    /// One of those; its hash was checked.
    case storeChunk(index: Int, [UInt8])
    /// What is being built is not needed: the frames were to be had after all.
    case abandonImport
    /// All are there: put the state in the place of the present one, position included; answer by `importFinished`.
    case finishImport(SnapshotManifest)
    /// Something that an operator may want to know.
    case report(LogReport)
}

/// What happened, for the log and the metrics.
package enum LogReport: Sendable, Equatable {
    case childJoined(name: String, role: NodeRole, position: LogPosition)
    case childLeft(name: String, PeerMessage.Goodbye?)
    /// This node ended it.
    case childCut(name: String, PeerMessage.Goodbye)
    /// It has another history of this epoch.
    case childForked(name: String, LogPosition)
    /// More nodes report than are kept.
    case reportsDropped(count: Int)
    case parentJoined(name: String, head: LogPosition)
    case parentLost(name: String, PeerMessage.Goodbye)
    /// A parent's history is another one: refused. Somebody has to look: a later epoch is the way out.
    case forked(parent: String, at: LogPosition, ConfigLogError)
    /// What came was damaged or out of place, and is asked for again.
    case damaged(parent: String, at: LogPosition, ConfigLogError)
    case importBegan(SnapshotManifest, lacking: Int)
    case importFinished(LogPosition)
    case importFailed(String)
    case applyFailed(at: LogPosition, String)
    /// The sequencer handed over a frame that does not follow.
    case unfit(ConfigLogError)
}
