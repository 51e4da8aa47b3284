/// The bounds of the cache.
extension Limits {
    // MARK: Stores

    package static let cacheMemoryBytesDefault: UInt64 = 256 * 1024 * 1024
    package static let cacheMemoryBytesRange: ClosedRange<UInt64> = 1024 * 1024...16 * 1024 * 1024 * 1024 * 1024
    package static let cacheMemoryObjectBytesDefault: UInt64 = 4 * 1024 * 1024
    package static let cacheDiskBytesDefault: UInt64 = 10 * 1024 * 1024 * 1024
    package static let cacheObjectBytesDefault: UInt64 = 512 * 1024 * 1024
    package static let cacheObjectBytesRange: ClosedRange<UInt64> = 1024...64 * 1024 * 1024 * 1024
    /// The share of a store's bytes that one object may take: a tenth in memory, half on the disk.
    package static let cacheMemoryObjectShare: UInt64 = 10
    package static let cacheDiskObjectShare: UInt64 = 2
    package static let cacheDiskBytesRange: ClosedRange<UInt64> = 256 * 1024 * 1024...1024 * 1024 * 1024 * 1024 * 1024
    /// What one zone may be held to, of memory or of disk.
    package static let cacheZoneBytesRange: ClosedRange<UInt64> = 64 * 1024...1024 * 1024 * 1024 * 1024 * 1024
    /// A body up to this size lies behind its head and leaves in one copy with it.
    package static let cacheInlineBodyBytesMax = 16 * 1024
    /// Larger bodies in memory lie in blocks of this size.
    package static let cacheBlockBytes = 256 * 1024

    // MARK: What is stored

    /// Responses under one key that differ by Vary; beyond, the oldest makes room.
    package static let cacheVariantsMax = 64
    /// Field names in one Vary; a response with more is not stored.
    package static let cacheVaryNamesMax = 16
    /// Bytes of all Cache-Tag lines of a response, tags among them, and bytes of one tag; what is beyond is ignored.
    package static let cacheTagLineBytesMax = 16 * 1024
    package static let cacheTagsMax = 1000
    package static let cacheTagBytesMax = 1024
    /// Bytes of a key. A request whose key would be longer goes past the cache.
    package static let cacheKeyBytesMax = 80 * 1024
    /// Ranges of one request that are answered; a request with more gets the whole (RFC 9110, section 14.2).
    package static let cacheRangesMax = 300
    /// Bytes of the names in one Vary, joined; a response with more is not stored.
    package static let cacheVaryNameBytesMax = 1024
    /// Parameters of a query that is sorted; one with more stays as it came.
    package static let cacheSortedParametersMax = 512
    /// Bytes of a User-Agent in which the kind of device is looked for.
    package static let cacheUserAgentBytesMax = 1024
    /// Pieces in memory of one body with gaps; what would make more is not kept.
    package static let cachePartialPiecesMax = 1024
    /// Longest lifetime or age: 2³¹ seconds (RFC 9111, section 1.2.2). Milliseconds.
    package static let cacheLifetimeMillisecondsMax: Int64 = 2_147_483_648 * 1000
    package static let cacheDefaultTTLMillisecondsDefault = 2 * 3600 * 1000
    /// A heuristic lifetime is never longer. Milliseconds.
    package static let cacheHeuristicMillisecondsMax: Int64 = 7 * 86400 * 1000
    /// What `everything` keeps a 404 or 410 for at most, where the origin names no lifetime. Milliseconds.
    package static let cacheNegativeMillisecondsMax: Int64 = 180 * 1000
    /// A request head of more bytes may itself be why the origin answers with an error, which is then not stored.
    package static let cacheErrorRequestHeadBytesMax = 8 * 1024
    /// Milliseconds by which Date must follow Last-Modified to make that a strong validator (RFC 9110, section 8.8.2.2).
    package static let cacheStrongLastModifiedMilliseconds: Int64 = 60 * 1000

    // MARK: Fills

    /// The part of the memory bound that is the process's own: at most so many bytes, and one part in so many.
    package static let cacheProcessBytesMax = 16 * 1024 * 1024
    package static let cacheProcessShare = 16
    /// Bytes of unfinished bodies in memory that are always allowed; with more memory, a quarter of it.
    package static let cacheFillBytesMin = 64 * 1024 * 1024
    /// What is not fresh for at least so long is not written to the disk.
    package static let cacheDiskLifetimeMillisecondsMin: Int64 = 10_000
    /// Bytes of a fill that wait for the disk, or for its fastest reader, before the origin is paused.
    package static let cacheFillWindowBytes = 4 * 1024 * 1024
    /// A fill whose readers have all gone goes on if at most this much of it is still to come.
    package static let cacheAbandonedBytesMax: UInt64 = 64 * 1024 * 1024
    /// Fills of one event loop that go on although nobody reads them.
    package static let cacheAbandonedFillsMax = 256
    /// How long an object that proved uncacheable is fetched without waiting for anybody, in seconds.
    package static let cacheHitForMissSeconds = 10
    /// Leaders that may fail before a response begins until those who wait fail with them.
    package static let cacheLeadersMax = 2
    /// How often a response asks the disk again for what it could not have, and after how long, before it is cut.
    package static let cacheDiskRetriesMax = 20
    package static let cacheDiskRetryPauseMilliseconds = 20
    /// How often a process asks whether its predecessor has given up the disk store.
    package static let cacheDiskRetryMilliseconds = 500
    /// How long a purge waits for fetches that began before it until it looks again, and how often it looks.
    package static let cacheSettleMilliseconds = 1000
    package static let cacheSettleAttemptsMax = 3600
    /// Bytes of a body given to a socket at once.
    package static let cacheSendBytes = 256 * 1024
    /// The same of a file, sent without a copy; no more than one read brings into memory.
    package static let cacheSendFileBytes = 2 * 1024 * 1024

    // MARK: Disk

    /// The smallest disk store that makes sense.
    package static let cacheDiskBytesMin: UInt64 = 16 * 1024 * 1024
    /// A log segment is this part of the store, within the range: the space that reclaiming frees at a time.
    package static let cacheDiskSegmentsWanted: UInt64 = 128
    package static let cacheDiskSegmentBytesRange: ClosedRange<UInt64> = 1024 * 1024...256 * 1024 * 1024
    /// Objects up to this size, and up to a quarter of a segment, lie in the log; larger ones in files of their own.
    package static let cacheDiskRecordBytesMax = 4 * 1024 * 1024
    /// Bytes of body that share one checksum.
    package static let cacheDiskChecksumBytes = 64 * 1024
    /// Space for all that is known of a large object beside its body: key, head, tags. Two of them open its file.
    package static let cacheDiskSlotBytes = 256 * 1024
    /// Bytes of one read for a stream.
    package static let cacheDiskReadBytesMax = 2 * 1024 * 1024
    /// Reads that wait for a thread; beyond, the disk counts as a miss.
    package static let cacheDiskReadsQueuedMax = 1024
    package static let cacheDiskReadThreads = 2
    /// Bytes of small objects that wait to be written; beyond, they are not.
    package static let cacheDiskWriteBytesQueuedMax = 64 * 1024 * 1024
    /// Jobs of any size that wait for the writer's or the keeper's thread.
    package static let cacheDiskJobsQueuedMax = 16 * 1024
    /// Bytes of one large object that wait to be written; beyond, it is given up: its source was to wait long before.
    package static let cacheDiskWriterBytesQueuedMax = 64 * 1024 * 1024
    /// Writes for a large object begin and end at multiples of so many bytes, until the last one.
    package static let cacheDiskWriteBytesMin = 512 * 1024
    /// Bytes of one write for a large object, and pieces that they come in; no more than the system's IOV_MAX of 1024.
    package static let cacheDiskWriteBytes = 1024 * 1024
    package static let cacheDiskWritePiecesMax = 256
    /// Large objects that are written at once.
    package static let cacheDiskWritersMax = 256
    /// Large objects whose files are open, beside those being sent.
    package static let cacheDiskFilesOpenMax = 512
    /// What other users of the filesystem are left at least, in hundredths of its size.
    package static let cacheDiskFreePercent: UInt64 = 5
    /// How long nothing is written after the filesystem was full or failed, in seconds.
    package static let cacheDiskPauseSeconds: UInt64 = 10
    /// The journal is folded into a checkpoint once it is this large, and twice as large as the last one.
    package static let cacheDiskJournalBytesMin: UInt64 = 4 * 1024 * 1024
    /// Bytes of the journal that wait to be written; beyond, the index is lost and a new checkpoint begins another.
    package static let cacheDiskJournalBytesQueuedMax = 16 * 1024 * 1024
    /// Purges that are kept because objects older than they may still be stored; beyond, the older half becomes one of
    /// everything in each of its zones.
    package static let cacheDiskPurgesMax = 16 * 1024

    // MARK: A zone's settings

    /// Lifetimes and stale windows that may be configured. Milliseconds.
    package static let cacheTTLMillisecondsRange = 1000...365 * 86400 * 1000
    /// Statuses and ranges of statuses with a lifetime of their own.
    package static let cacheStatusTTLsMax = 64
    /// Fields, cookies or query parameters named in one list.
    package static let cacheNamesMax = 64

    // MARK: The operator's door

    /// Bytes of the body of one request to the admin address.
    package static let adminBodyBytesMax = 1024 * 1024
    /// From the end of a request to the admin address to the end of its answer. Milliseconds.
    package static let adminAnswerTimeoutMilliseconds = 60_000
    /// URLs, hosts, prefixes and tags of one purge, all together.
    package static let cachePurgeItemsMax = 1000
    /// Zones that an answer about the cache lists by name; the statistics, those with the most bytes.
    package static let cacheZonesShownMax = 100

    // MARK: The memory store

    /// Shards of its table: two to this power at the most, one for each of so many bytes.
    package static let cacheMemoryShardBitsMax: UInt64 = 10
    package static let cacheMemoryBytesPerShard = 512 * 1024
    /// Looks at a shard's lock before the core is given to another thread.
    package static let cacheLockSpinsMax = 100
    /// The reserve below the bound at which evictions aim, as a share of it.
    package static let cacheMemoryReserveDivisor = 64
    /// Objects that one insert evicts for the reserve's sake; for the bound's, as many as must be.
    package static let cacheEvictionsPerInsertMax = 64
    /// Objects that one eviction moves to the back of a queue; the next is evicted whatever it is.
    package static let cacheEvictionStepsMax = 256
    /// Evictions without a victim before there is nothing to evict.
    package static let cacheEvictionFailuresMax = 64
    /// The small queue's share of a zone's bytes, and the lookups that lead out of it to the main queue.
    package static let cacheSmallQueueDivisor = 10
    package static let cacheSmallQueueUsesMin: UInt8 = 1
    /// Evicted keys that even the smallest zone remembers.
    package static let cacheGhostsMin = 4
    /// A zone that is neither looked up in nor added to for so many minutes is owed no share of the memory.
    package static let cacheZoneIdleMinutes: UInt32 = 60
    /// Evictions after which some zones are looked at for idleness, and how many zones one look takes in.
    package static let cacheEvictionsPerIdleLook: UInt64 = 64
    package static let cacheZoneLooksMax = 64
    /// A zone with fewer objects is swept by its queues, a larger one by walking the tables.
    package static let cacheSweepByQueueMax = 4096
    /// Objects that a sweep takes out of a shard at once.
    package static let cacheSweepBatch = 32
    /// Items of a queue that are compacted while a zone's lock is held.
    package static let cacheCompactionItems = 64

    // MARK: Purges

    /// Purges of one zone that are remembered until they are settled; beyond, the older half becomes one of everything.
    package static let cachePurgeRecordsMax = 4096
    /// Bytes of a path by which is purged.
    package static let cachePurgePrefixBytesMax = 8 * 1024
}
