import ConfigModel
import Limits
import Synchronization

extension CacheZone {
    /// Nothing stored for this URL before now is used again, and nothing that is being fetched for it is stored.
    package func invalidate(_ key: CacheKey) {
        store.fills.invalidate { $0.key.urlHash == key.urlHash }
        let hasParts = settings.key.hasParts
        // A load from the disk that is under way, and objects whose keys have parts that are not known here, are found by
        // the ledger when they are next looked at.
        let needsRecord = hasParts || purges.hasFills(olderThan: .max)
        let record = needsRecord ? purges.record(.url(key.urlHash), isSoft: false) : nil
        _ = key.bytes.withUnsafeBytes { store.memory.remove(key.hash, $0) }
        if record != nil { settleSoon() }
        guard let disk = store.disk else { return }
        _ = disk.remove(key.hash)
        if let record, hasParts {
            disk.recordPurges([record]) { _ in }
            disk.sweepSoon(record)
        }
    }

    /// Forgets the records of invalidations once the fetches that they were for are over. One task a zone at a time.
    private func settleSoon() {
        guard !isSettling.exchange(true, ordering: .acquiringAndReleasing) else { return }
        Task.detached { [self] in
            defer { isSettling.store(false, ordering: .releasing) }
            for _ in 0..<Limits.cacheSettleAttemptsMax {
                let last = purges.latest
                try? await Task.sleep(for: .milliseconds(Limits.cacheSettleMilliseconds))
                guard !purges.hasFills(olderThan: last) else { continue }
                if settings.key.hasParts {
                    _ = store.memory.sweep(zone: tag) { self.purges.verdict(for: $0) == .purged ? .remove : .keep }
                }
                if purges.settle(upTo: last) {
                    store.disk?.settlePurges(zone: tag, upTo: last)
                    if purges.latest == last { return }
                }
            }
        }
    }
}
