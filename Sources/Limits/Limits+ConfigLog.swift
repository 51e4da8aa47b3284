/// The bounds of the replicated log of configuration: what travels, what is kept, and how long anybody waits.
extension Limits {
    // MARK: What travels

    /// Bytes of a key: UTF-8 text. A replica's store takes 511 at most.
    package static let configKeyBytesMax = 500
    /// Bytes of what one transaction changed, encoded. It is applied whole, so it is also held whole.
    package static let configGroupBytesMax = 8 * 1024 * 1024
    /// Bytes of groups after which a frame takes no further one. One large group alone may pass it.
    package static let configFrameBytesTarget = 1024 * 1024
    /// Bytes of a whole frame: the largest group behind groups that just missed the target, and the frame's own fields.
    package static let configFrameBytesMax = configGroupBytesMax + configFrameBytesTarget + 1024
    /// Bytes of one chunk of a snapshot, and chunks of one snapshot.
    package static let configChunkBytesMax = 1024 * 1024
    package static let configSnapshotChunksMax = 128 * 1024
    /// Bytes of one message's body: a frame, or the manifest of the largest snapshot, with its own fields.
    package static let configMessageBytesMax = configFrameBytesMax + 1024
    /// Bytes of a message's body from a child, which sends neither, and from anybody who has not said who he is.
    package static let configChildMessageBytesMax = 256 * 1024
    package static let configHelloBytesMax = 1024
    /// Bytes of a node's name, and of the text of a goodbye.
    package static let configNameBytesMax = 128
    package static let configGoodbyeBytesMax = 255
    /// Bytes of the version of a node's program.
    package static let configSoftwareBytesMax = 32
    /// Reports of nodes in one message, and nodes that a root or a relay knows of below itself.
    package static let configReportsPerMessageMax = 512
    package static let configNodesMax = 8192

    // MARK: Frames

    /// A frame is sealed at most this often; the first one after a longer silence at once.
    package static let configSealMilliseconds: UInt64 = 20
    /// Bytes of changes that wait to be sealed; beyond, who adds is refused.
    package static let configUnsealedBytesMax = 64 * 1024 * 1024
    /// Recent frames that a root or relay keeps for children that were away: at 300 changes of 1 KiB a second some
    /// three and a half minutes. Beyond, a child gets a snapshot.
    package static let configWindowBytesMax = 64 * 1024 * 1024
    package static let configWindowFramesMax = 16 * 1024
    /// Hashes that a node remembers of what it applied, to know a fork from a repetition.
    package static let configRecentHashesMax = 256

    // MARK: Children

    package static let configChildrenMax = 1024
    /// Bytes sent to a child and not yet acknowledged; beyond, the rest waits in the window.
    package static let configInFlightBytesMax = 4 * 1024 * 1024
    /// Bytes by which a child that had caught up may fall behind before it is cut, and told to catch up.
    package static let configChildQueueBytesMax = 16 * 1024 * 1024
    /// Time without an acknowledgement, while there is something to acknowledge, after which a child is cut.
    package static let configChildStallMilliseconds: UInt64 = 30_000
    /// Chunks that a node asks for at a time, and that a parent reads for one child at a time.
    package static let configChunkRequestsMax = 4
    /// How long an exported snapshot is offered to further children before a newer one is made.
    package static let configSnapshotOfferMilliseconds: UInt64 = 60_000
    /// Time that making a snapshot may take.
    package static let configExportMillisecondsMax: UInt64 = 120_000

    // MARK: Waits

    /// An acknowledgement is sent at most this often, unless a quarter of what may be in flight has been applied.
    package static let configAcknowledgeMilliseconds: UInt64 = 100
    /// A relay passes on what its descendants reported at most this often.
    package static let configReportMilliseconds: UInt64 = 1000
    /// Both ends of a connection speak at least this often; after the second time of silence it is held to be dead.
    package static let configPingMilliseconds: UInt64 = 2000
    package static let configSilenceMillisecondsMax: UInt64 = 7000
    /// Time for a connection to a parent to stand and for its greeting to come.
    package static let configConnectMilliseconds: UInt64 = 5_000
    /// Back-off between rounds over the parents: doubled from the first to the last, of which a random half is taken off.
    package static let configBackOffMilliseconds: ClosedRange<UInt64> = 250...10_000
    /// Time that a connection must have served before failures are counted from the start again.
    package static let configStableMilliseconds: UInt64 = 10_000
    /// A parent that itself has not heard of the root for so long, or has been behind its child, is left for another one.
    package static let configOrphanMilliseconds: UInt64 = 12_000
    /// How long one of them is stayed with when all are so.
    package static let configOrphanStayMilliseconds: UInt64 = 60_000
    /// After so long with another parent than the first of the list, the first is tried again.
    package static let configReturnMilliseconds: UInt64 = 300_000
    /// Times that the same frame is asked for again of one parent, and of all together before a snapshot is asked for.
    package static let configResendsPerParentMax = 2
    package static let configResendsMax = 6
    /// Times that a replica may refuse what follows one position before a snapshot is asked for.
    package static let configApplyFailuresMax = 3
}
