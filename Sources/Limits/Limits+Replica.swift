// Bounds of the replica: the local copy of the configuration and what is decoded from it.

extension Limits {
    // MARK: Replica: the file

    /// What the file may grow to. The address space is reserved at once, the disk as it is needed.
    package static let replicaBytesDefault = 16 * 1024 * 1024 * 1024
    package static let replicaBytesRange = 1024 * 1024...1024 * 1024 * 1024 * 1024
    /// Longest key that the file's format takes, in bytes.
    package static let replicaFileKeyBytesMax = 511
    /// Read transactions kept for use again; a thread takes one for as long as it reads.
    package static let replicaReadersKeptMax = 64
    /// Read transactions at one time, over all processes that have the file open.
    package static let replicaReadersMax = 512
    /// Pages of files that the process may have mapped in before the replica's are given back, in bytes, and how many
    /// reads pass between two looks. They stay in the system's cache; the next use of each costs a minor fault.
    package static let replicaMappedBytesMax = 640 * 1024 * 1024
    package static let replicaMappedCheckInterval: UInt64 = 128
    /// Entries of a long scan between two such looks.
    package static let replicaScanCheckInterval: UInt64 = 16 * 1024
    /// Depth of a tree in the file: 2^64 entries of two a page stay below it.
    package static let replicaTreeDepthMax = 64
    /// Applied transactions between two looks for reader slots that dead processes left.
    package static let replicaReaderCheckInterval: UInt64 = 1024

    // MARK: Replica: snapshots

    /// A border is found by the key alone: one of 1,024 keys ends a chunk of ordinary size, one of 64 a large one.
    package static let replicaChunkBorderMask: UInt64 = 1024 - 1
    package static let replicaLargeChunkBorderMask: UInt64 = 64 - 1
    /// From this size on a chunk is large, in bytes; below the smaller size none ends.
    package static let replicaLargeChunkBytes = 384 * 1024
    package static let replicaChunkBytesMin = 32 * 1024
    /// Manifests whose chunks stay readable, so that a child that is slow to fetch can end what it began.
    package static let replicaManifestsKeptMax = 3
    /// Bytes put into one transaction while a snapshot is built beside.
    package static let replicaImportBatchBytes = 32 * 1024 * 1024

    // MARK: Decoded zones

    package static let zonesDecodedDefault = 65_536
    package static let zonesDecodedRange = 64...4_194_304
    /// Hosts whose zone is remembered, and hosts known to have none. Separate, so that the second never push out the
    /// first.
    package static let zoneHostsKnownMax = 131_072
    package static let zoneHostsUnknownMax = 32_768
    /// Hosts that one event loop remembers for itself.
    package static let zoneHostsPerLoopMax = 1024
    /// Parts of these tables with a lock of their own.
    package static let zoneTableShardCount = 64
    /// Counters of changed zone names, by the last two labels of the name.
    package static let zoneNameStampCount = 4096
    /// Labels of the longest zone name that is looked for: an IPv6 reverse zone (RFC 3596, section 2.5) and a few more.
    package static let zoneNameLabelsMax = 40
    package static let zoneNameBytesMax = 253
    /// Entries and bytes of one zone; beyond, the zone does not load.
    package static let zoneEntriesMax = 1_000_000
    package static let zoneBytesMax = 512 * 1024 * 1024
    /// Reads of one zone that changes under the reader, for one who asks.
    package static let zoneLoadAttemptsMax = 3
    /// Zones that do not load: so many are remembered for the operator, and so many of them told to the log.
    package static let zoneFaultsKeptMax = 1024
    package static let zoneFaultsLoggedMax = 32
    package static let zoneFaultReasonBytesMax = 512
}
