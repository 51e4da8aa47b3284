package import ConfigModel
import Limits
import Synchronization
import Telemetry

/// The cache of the process: its stores, what is being fetched, and what was purged. Shared by all event loops, and by
/// one configuration after the other.
package final class EdgeCache: Sendable {
    package let memory: MemoryStore
    package let ledger: PurgeLedger
    package let fills: FillTable
    package let hitForMiss = HitForMiss()
    /// What keys are hashed with; the disk store's own where there is one.
    package let secret: KeySecret
    package let objectBytesMax: UInt64
    /// Bodies up to this size live in memory.
    package let memoryObjectBytesMax: UInt64
    private let diskSlot = Mutex<DiskStore?>(nil)
    /// Whether there is one: what every hit asks without a lock.
    private let diskIsThere = Atomic<Bool>(false)
    /// The sweep that the last purge began.
    let reclaiming = Mutex<Task<Void, Never>?>(nil)

    package init(settings: CacheStoreSettings, secret: KeySecret) {
        let bytesMax = Self.storeBytes(settings)
        memory = MemoryStore(bytesMax: bytesMax)
        ledger = PurgeLedger()
        fills = FillTable(heldBytesMax: max(bytesMax / 4, Limits.cacheFillBytesMin))
        self.secret = secret
        objectBytesMax = settings.objectBytesMax
        // The store refuses what is larger than a tenth of it.
        memoryObjectBytesMax = min(settings.memoryObjectBytesMax, UInt64(bytesMax / 10))
        memory.onEviction { [weak self] object, wasHot in self?.keepEvicted(object, wasHot: wasHot) }
    }

    /// What objects may take of the memory that the operator allows: the process has a part of its own, which with a small
    /// bound counts.
    package static func storeBytes(_ settings: CacheStoreSettings) -> Int {
        let bytes = Int(clamping: settings.memoryBytesMax)
        return bytes - min(bytes / Limits.cacheProcessShare, Limits.cacheProcessBytesMax)
    }

    /// Memory has no room for it. The disk takes everything while it has room, and then only what is asked for often.
    private func keepEvicted(_ object: StoredObject, wasHot: Bool) {
        guard let disk, wasHot || disk.hasRoom else { return }
        let now = WallClock.milliseconds()
        for index in 0..<object.count
        where object[index].facts.remainingLifetime(at: now) >= Limits.cacheDiskLifetimeMillisecondsMin {
            keep(object[index], on: disk)
        }
    }

    /// Gives it to the disk, unless it was purged meanwhile. What is purged from here on finds it in the disk's queue.
    private func keep(_ response: StoredResponse, on disk: DiskStore) {
        let purges = ledger.zone(response.zone)
        let birth = purges.fillBegan()
        if purges.verdict(for: response) != .purged { disk.keep(response) }
        purges.fillEnded(birth)
    }

    /// nil while there is none: switched off, or not yet given up by a predecessor.
    package var disk: DiskStore? { diskIsThere.load(ordering: .acquiring) ? diskSlot.withLock { $0 } : nil }

    /// Puts the disk store to use.
    package func attach(_ disk: DiskStore) {
        let earlier = ledger.restore(sequence: disk.sequenceAtOpen, disk.purgesAtOpen)
        disk.recordPurges(earlier) { _ in }
        diskSlot.withLock { $0 = disk }
        diskIsThere.store(true, ordering: .releasing)
    }

    /// Lets go of the disk store, for the process that follows, or for good. Blocking.
    package func detachDisk() {
        diskIsThere.store(false, ordering: .releasing)
        let disk = diskSlot.withLock { slot -> DiskStore? in
            defer { slot = nil }
            return slot
        }
        disk?.close()
    }

    /// One zone's view of it; nil where the zone is not cached.
    ///
    /// - Parameter identity: what tells the zone from others over time, without a line feed; nil: its name. A zone that is
    ///   deleted and made again by the same name, perhaps by somebody else, is another one.
    package func zone(_ zone: Zone, identity: String? = nil) -> CacheZone? {
        guard zone.cache.isEnabled else { return nil }
        return CacheZone(zone: zone, identity: identity ?? zone.name, store: self)
    }
}

/// One zone of one configuration, as the cache serves it. Made with the configuration; what lasts is in `EdgeCache`.
package final class CacheZone: Sendable {
    package let store: EdgeCache
    package let settings: CacheSettings
    package let recipe: KeyRecipe
    package let purges: ZonePurges
    package let bypassCookies: CookieNames
    package let memoryBytesMax: Int
    package let name: String
    /// Whether a task waits to forget its invalidations.
    let isSettling = Atomic<Bool>(false)

    fileprivate init(zone: Zone, identity: String, store: EdgeCache) {
        self.store = store
        name = zone.name
        settings = zone.cache
        recipe = KeyRecipe(zoneName: identity, settings: zone.cache.key, secret: store.secret)
        purges = store.ledger.zone(recipe.zone)
        bypassCookies = CookieNames(zone.cache.bypassCookies)
        memoryBytesMax = zone.cache.memoryBytesMax.map { Int(clamping: $0) } ?? .max
        store.disk?.setZoneBytesMax(recipe.zone, zone.cache.diskBytesMax)
    }

    package var tag: ZoneTag { recipe.zone }
}
