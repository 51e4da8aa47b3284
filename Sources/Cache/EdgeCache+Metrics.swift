package import Telemetry

extension EdgeCache {
    /// Adds what the stores count by themselves, at a scrape.
    package func contribute(to snapshot: inout MetricsSnapshot) {
        let memory = memory.statistics()
        snapshot[.cacheMemoryBytes] = memory.bytes
        snapshot[.cacheMemoryBytesMax] = memory.bytesMax
        snapshot[.cacheMemoryObjects] = memory.objects
        snapshot[.cacheEvictionsMemory] = memory.evictions
        guard let store = self.disk else { return }
        let disk = store.statistics
        snapshot[.cacheDiskBytes] = Int(clamping: disk.bytes)
        snapshot[.cacheDiskBytesMax] = Int(clamping: store.bytesMax)
        snapshot[.cacheDiskObjects] = disk.objects
        snapshot[.cacheEvictionsDisk] = disk.evicted
        snapshot[.cacheDiskReadsOK] = disk.reads
        snapshot[.cacheDiskReadsBusy] = disk.readsBusy
        snapshot[.cacheDiskReadsCorrupt] = disk.corrupt
        snapshot[.cacheDiskWritesOK] = disk.writes
        snapshot[.cacheDiskWritesDropped] = disk.writesDropped
        snapshot[.cacheDiskWritesFailed] = disk.writeErrors
        snapshot[.cacheDiskBytesRead] = disk.readBytes
        snapshot[.cacheDiskBytesWritten] = disk.writeBytes
    }
}
