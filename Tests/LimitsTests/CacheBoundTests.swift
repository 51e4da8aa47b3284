// How the bounds of the cache relate, to each other and to those of messages and sockets.

import Limits
import Testing

@Suite("Bounds of the cache: stores")
struct CacheStoreBoundTests {
    @Test("defaults lie within what may be configured, and fit each other")
    func defaults() {
        #expect(Limits.cacheMemoryBytesRange.contains(Limits.cacheMemoryBytesDefault))
        #expect(Limits.cacheDiskBytesRange.contains(Limits.cacheDiskBytesDefault))
        #expect(Limits.cacheObjectBytesRange.contains(Limits.cacheObjectBytesDefault))
        #expect(Limits.cacheObjectBytesRange.contains(Limits.cacheMemoryObjectBytesDefault))
        // The configuration refuses more than these shares; the defaults must not be refused.
        #expect(
            Limits.cacheMemoryObjectBytesDefault <= Limits.cacheMemoryBytesDefault / Limits.cacheMemoryObjectShare)
        #expect(Limits.cacheObjectBytesDefault <= Limits.cacheDiskBytesDefault / Limits.cacheDiskObjectShare)
        // What fits the memory fits the cache.
        #expect(Limits.cacheMemoryObjectBytesDefault <= Limits.cacheObjectBytesDefault)
        // The smallest object bound can be kept to in the smallest memory.
        #expect(
            Limits.cacheObjectBytesRange.lowerBound
                <= Limits.cacheMemoryBytesRange.lowerBound / Limits.cacheMemoryObjectShare)
    }

    @Test("a zone may be held to anything that a store may have")
    func zones() {
        #expect(Limits.cacheZoneBytesRange.upperBound >= Limits.cacheMemoryBytesRange.upperBound)
        #expect(Limits.cacheZoneBytesRange.upperBound >= Limits.cacheDiskBytesRange.upperBound)
        #expect(Limits.cacheZoneBytesRange.lowerBound <= Limits.cacheMemoryBytesRange.lowerBound)
    }

    @Test("the process leaves the memory store most of its bound, however small that is")
    func processShare() {
        #expect(Limits.cacheProcessShare >= 2)
        #expect(UInt64(Limits.cacheProcessBytesMax) * 2 <= Limits.cacheMemoryBytesDefault)
    }

    @Test("the memory store's table has a shard for every so many bytes, down to the smallest store")
    func shards() {
        #expect(UInt64(Limits.cacheMemoryBytesPerShard) <= Limits.cacheMemoryBytesRange.lowerBound)
        // The number of a shard is taken from 32 bits of a hash.
        #expect(Limits.cacheMemoryShardBitsMax < 16)
        // A reserve that is no larger than what evictions may free at once for small objects.
        #expect(Limits.cacheMemoryReserveDivisor >= 2)
        #expect(Limits.cacheSmallQueueDivisor >= 2)
        #expect(Limits.cacheSmallQueueUsesMin >= 1)
        #expect(Limits.cacheGhostsMin >= 1)
    }

    @Test("evictions end: each by a victim, a bound of steps, or a bound of failures")
    func evictions() {
        #expect(Limits.cacheEvictionsPerInsertMax >= 1)
        #expect(Limits.cacheEvictionStepsMax >= Limits.cacheEvictionsPerInsertMax)
        #expect(Limits.cacheEvictionFailuresMax >= 1)
        // A look for idle zones is paid by more evictions than it costs looks.
        #expect(UInt64(Limits.cacheZoneLooksMax) <= Limits.cacheEvictionsPerIdleLook)
        // What one sweep takes out of a shard is far less than a zone that is swept by its queues.
        #expect(Limits.cacheSweepBatch < Limits.cacheSweepByQueueMax)
        #expect(Limits.cacheCompactionItems < Limits.cacheSweepByQueueMax)
    }
}

@Suite("Bounds of the cache: what is stored")
struct CacheObjectBoundTests {
    @Test("every request line that may be configured makes a key")
    func keys() {
        // Beside the target: the host, the scheme, marks between the parts, and what a key may take from fields.
        #expect(
            Limits.cacheKeyBytesMax >= Limits.requestLineBytesRange.upperBound + Limits.hostBytesMax + 8 * 1024)
        #expect(Limits.cachePurgePrefixBytesMax <= Limits.cacheKeyBytesMax)
        // A key in the form that it has for a purge is a line of an admin request.
        #expect(Limits.cacheKeyBytesMax <= Limits.adminBodyBytesMax)
        #expect(Limits.cacheUserAgentBytesMax <= Limits.headBytesRange.lowerBound)
    }

    @Test("what an object says of itself fits its slot on the disk")
    func slot() {
        // Key, head, and a number of 8 bytes for each tag.
        let most = Limits.cacheKeyBytesMax + Limits.responseHeadBytesMax + 8 * Limits.cacheTagsMax
        #expect(most < Limits.cacheDiskSlotBytes)
        // The body behind two of them begins where a page does.
        #expect(2 * Limits.cacheDiskSlotBytes % 4096 == 0)
    }

    @Test("tags come from heads, and go into purges")
    func tags() {
        #expect(Limits.cacheTagLineBytesMax <= Limits.responseHeadBytesMax)
        #expect(Limits.cacheTagBytesMax <= Limits.cacheTagLineBytesMax)
        // As many as are kept could come in so many bytes, each a letter and a comma.
        #expect(Limits.cacheTagsMax * 2 <= Limits.cacheTagLineBytesMax)
        // The largest purge there may be: each item a tag of the longest.
        #expect(Limits.cachePurgeItemsMax * Limits.cacheTagBytesMax <= Limits.adminBodyBytesMax)
    }

    @Test("Vary: its names fit a head, and the longest list the bytes for them")
    func vary() {
        #expect(Limits.cacheVaryNameBytesMax <= Limits.responseHeadBytesMax)
        // Every name of a list has room for 32 bytes and a comma.
        #expect(Limits.cacheVaryNamesMax * 33 <= Limits.cacheVaryNameBytesMax)
        #expect(Limits.cacheVariantsMax >= 2)
        #expect(Limits.cacheNamesMax >= Limits.cacheVaryNamesMax)
    }

    @Test("ranges: what is asked for in parts can be kept in parts")
    func ranges() {
        #expect(Limits.cachePartialPiecesMax >= Limits.cacheRangesMax)
        // `bytes=0-0,` and so on fits a head.
        #expect(Limits.cacheRangesMax * 8 <= Limits.headBytesRange.lowerBound)
    }

    @Test("bodies: what lies behind its head leaves with it in one write")
    func bodies() {
        #expect(Limits.cacheInlineBodyBytesMax <= Limits.coalescedBytesMax)
        #expect(Limits.cacheInlineBodyBytesMax <= Limits.cacheBlockBytes)
        #expect(Limits.cacheSendBytes <= Limits.writeBufferBytesHigh)
        #expect(Limits.cacheSendBytes <= Limits.cacheSendFileBytes)
        // A reader that is one send behind does not stop the source.
        #expect(Limits.cacheSendBytes + Limits.cacheBlockBytes <= Limits.cacheFillWindowBytes)
    }

    @Test("lifetimes: defaults within ranges, and nothing beyond what RFC 9111 counts to")
    func lifetimes() {
        #expect(Limits.cacheTTLMillisecondsRange.contains(Limits.cacheDefaultTTLMillisecondsDefault))
        #expect(Int64(Limits.cacheTTLMillisecondsRange.upperBound) <= Limits.cacheLifetimeMillisecondsMax)
        // RFC 9111, section 1.2.2: 2^31 seconds or more.
        #expect(Limits.cacheLifetimeMillisecondsMax >= 2_147_483_648 * 1000)
        // Sums of three such spans are counted.
        #expect(Limits.cacheLifetimeMillisecondsMax < Int64.max / 4)
        #expect(Limits.cacheHeuristicMillisecondsMax <= Limits.cacheLifetimeMillisecondsMax)
        #expect(Limits.cacheNegativeMillisecondsMax <= Int64(Limits.cacheDefaultTTLMillisecondsDefault))
        // What hardly lives is not written, and what is written by default lives.
        #expect(Limits.cacheDiskLifetimeMillisecondsMin < Int64(Limits.cacheDefaultTTLMillisecondsDefault))
        // RFC 9110, section 8.8.2.2.
        #expect(Limits.cacheStrongLastModifiedMilliseconds >= 1000)
        // Statuses with a lifetime of their own: no more than there are entries for.
        #expect(Limits.cacheStatusTTLsMax <= 600)
        // A request head that may be why the origin fails is one that may be configured.
        #expect(Limits.headBytesRange.contains(Limits.cacheErrorRequestHeadBytesMax))
    }
}

@Suite("Bounds of the cache: fills and purges")
struct CacheFillBoundTests {
    @Test("many fetches fit into the memory that is always allowed for them")
    func fills() {
        #expect(Limits.cacheFillBytesMin >= 8 * Limits.cacheFillWindowBytes)
        #expect(Limits.cacheBlockBytes <= Limits.cacheFillWindowBytes)
        // Back-pressure begins before the disk gives a writer up.
        #expect(Limits.cacheFillWindowBytes < Limits.cacheDiskWriterBytesQueuedMax)
        #expect(Limits.cacheAbandonedBytesMax <= Limits.cacheObjectBytesDefault)
        #expect(Limits.cacheAbandonedFillsMax >= 1)
        #expect(Limits.cacheLeadersMax >= 1)
    }

    @Test("who waits on whom")
    func order() {
        // What could not be read from the disk is given up before the client is.
        #expect(
            Limits.cacheDiskRetriesMax * Limits.cacheDiskRetryPauseMilliseconds * 10
                <= Limits.writeTimeoutMillisecondsDefault)
        // A purge is settled by looking again, more than once while the operator waits for the answer.
        #expect(Limits.cacheSettleMilliseconds * 10 <= Limits.adminAnswerTimeoutMilliseconds)
        // It looks for longer than a fetch may be silent.
        #expect(
            Limits.cacheSettleMilliseconds * Limits.cacheSettleAttemptsMax
                >= Limits.originIdleTimeoutMillisecondsDefault)
        // A successor asks for the store more often than it is allowed to take.
        #expect(Limits.cacheDiskRetryMilliseconds * 10 <= Limits.successorReadyMilliseconds)
        #expect(Limits.cacheHitForMissSeconds * 1000 <= Limits.cacheTTLMillisecondsRange.upperBound)
    }

    @Test("purges: the disk remembers no fewer than a zone in memory")
    func purges() {
        #expect(Limits.cacheDiskPurgesMax >= Limits.cachePurgeRecordsMax)
        #expect(Limits.cachePurgeRecordsMax >= Limits.cachePurgeItemsMax)
        #expect(Limits.cacheZonesShownMax <= Limits.cachePurgeItemsMax)
    }
}

@Suite("Bounds of the cache: disk")
struct CacheDiskBoundTests {
    @Test("a store of any size has segments enough, and records fit them")
    func segments() {
        let segments = Limits.cacheDiskSegmentBytesRange
        // The smallest store: at least eight, so that one can be reclaimed while others are read.
        #expect(Limits.cacheDiskBytesMin / segments.lowerBound >= 8)
        #expect(Limits.cacheDiskBytesMin <= Limits.cacheDiskBytesRange.lowerBound)
        // The default one, as many as are wanted.
        #expect(segments.contains(Limits.cacheDiskBytesDefault / Limits.cacheDiskSegmentsWanted))
        // The largest record has room in a quarter of the largest segment.
        #expect(UInt64(Limits.cacheDiskRecordBytesMax) <= segments.upperBound / 4)
        // Even the smallest segment takes an inline body with its head in a quarter of it.
        #expect(
            UInt64(Limits.cacheInlineBodyBytesMax + Limits.responseHeadBytesMax + Limits.cacheKeyBytesMax)
                <= segments.lowerBound / 4)
        // Positions within a segment have 32 bits.
        #expect(segments.upperBound <= UInt64(UInt32.max))
    }

    @Test("what is read is whole in checksums, and what is sent is whole in reads")
    func reads() {
        #expect(Limits.cacheBlockBytes % Limits.cacheDiskChecksumBytes == 0)
        #expect(Limits.cacheDiskReadBytesMax % Limits.cacheDiskChecksumBytes == 0)
        #expect(Limits.cacheSendFileBytes <= Limits.cacheDiskReadBytesMax)
        #expect(Limits.cacheDiskSlotBytes % Limits.cacheDiskChecksumBytes == 0)
        #expect(Limits.cacheDiskReadsQueuedMax >= Limits.cacheDiskReadThreads)
    }

    @Test("what waits to be written holds more than one of the largest")
    func writes() {
        #expect(Limits.cacheDiskWriteBytesQueuedMax >= 4 * Limits.cacheDiskRecordBytesMax)
        #expect(Limits.cacheDiskWriterBytesQueuedMax >= 4 * Limits.cacheFillWindowBytes)
        // Files that are being written are open beside those that are read.
        #expect(Limits.cacheDiskWritersMax <= Limits.cacheDiskFilesOpenMax)
        // Jobs: one for each piece of every file under way, and room for what is small.
        #expect(Limits.cacheDiskJobsQueuedMax >= 16 * Limits.cacheDiskWritersMax)
    }

    @Test("the journal is folded before what waits for it runs over")
    func journal() {
        #expect(Limits.cacheDiskJournalBytesMin <= UInt64(Limits.cacheDiskJournalBytesQueuedMax))
        #expect(1..<100 ~= Limits.cacheDiskFreePercent)
        #expect(Limits.cacheDiskPauseSeconds >= 1)
    }
}
