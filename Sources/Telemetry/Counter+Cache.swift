// How the cache's counters appear in the Prometheus text.

extension Counter {
    var cacheSeries: SeriesDescription {
        let fills: StaticString = "martlet_cache_fills_total"
        let fillsHelp: StaticString = "Responses fetched for the cache, by what became of them."
        let revalidations: StaticString = "martlet_cache_revalidations_total"
        let revalidationsHelp: StaticString = "Stored responses validated with the origin, by its answer."
        let evictions: StaticString = "martlet_cache_evictions_total"
        let evictionsHelp: StaticString = "Objects that made room for others."
        return switch self {
        case .cacheFillsStored: .init(fills, #"result="stored""#, fillsHelp)
        case .cacheFillsUncacheable: .init(fills, #"result="uncacheable""#, fillsHelp)
        case .cacheFillsTooLarge: .init(fills, #"result="too_large""#, fillsHelp)
        case .cacheFillsFailed: .init(fills, #"result="failed""#, fillsHelp)
        case .cacheFillsAbandoned: .init(fills, #"result="abandoned""#, fillsHelp)
        case .cacheRevalidationsNotModified:
            .init(revalidations, #"result="not_modified""#, revalidationsHelp)
        case .cacheRevalidationsChanged: .init(revalidations, #"result="changed""#, revalidationsHelp)
        case .cacheRevalidationsFailed: .init(revalidations, #"result="failed""#, revalidationsHelp)
        case .cacheEvictionsMemory: .init(evictions, #"store="memory""#, evictionsHelp)
        case .cacheEvictionsDisk: .init(evictions, #"store="disk""#, evictionsHelp)
        case .cachePromotions:
            .init("martlet_cache_promotions_total", "Objects brought from the disk into memory.")
        case .cacheInvalidations:
            .init("martlet_cache_invalidations_total", "Objects invalidated by unsafe requests.")
        case .cachePurges: .init("martlet_cache_purges_total", "Purges that the operator asked for.")
        default: .init("martlet_cache_purged_objects_total", "Objects removed or marked stale by purges.")
        }
    }

    var cacheDiskSeries: SeriesDescription {
        let reads: StaticString = "martlet_cache_disk_reads_total"
        let readsHelp: StaticString = "Reads of the cache's disk store."
        let writes: StaticString = "martlet_cache_disk_writes_total"
        let writesHelp: StaticString = "Writes to the cache's disk store."
        let bytes: StaticString = "martlet_cache_disk_bytes_total"
        let bytesHelp: StaticString = "Bytes read from and written to the cache's disk store."
        return switch self {
        case .cacheDiskReadsOK: .init(reads, #"result="ok""#, readsHelp)
        case .cacheDiskReadsBusy: .init(reads, #"result="busy""#, readsHelp)
        case .cacheDiskReadsCorrupt: .init(reads, #"result="corrupt""#, readsHelp)
        case .cacheDiskReadsFailed: .init(reads, #"result="failed""#, readsHelp)
        case .cacheDiskWritesOK: .init(writes, #"result="ok""#, writesHelp)
        case .cacheDiskWritesDropped: .init(writes, #"result="dropped""#, writesHelp)
        case .cacheDiskWritesFailed: .init(writes, #"result="failed""#, writesHelp)
        case .cacheDiskBytesRead: .init(bytes, #"direction="read""#, bytesHelp)
        default: .init(bytes, #"direction="written""#, bytesHelp)
        }
    }
}
