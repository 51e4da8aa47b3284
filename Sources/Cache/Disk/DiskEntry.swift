/// What the index knows of a stored response: enough to choose it by Vary, and to load it.
package struct DiskEntry: Sendable {
    let slot: DiskSlot
    package let zone: ZoneTag
    /// As `VaryKey.names`; nil without Vary.
    package let varyNames: [UInt8]?

    init(slot: DiskSlot, zone: ZoneTag, varyNames: [UInt8]?) {
        self.slot = slot
        self.zone = zone
        self.varyNames = varyNames
    }

    /// Whether it was stored for the same values. 32 bits of the hash are compared; what is loaded has them all.
    package func hasVaryHash(_ hash: KeyHash) -> Bool { slot.vary == Self.short(hash) }

    /// Whether it has a file of its own.
    package var isLarge: Bool { slot.isLarge }
    package var isSoftPurged: Bool { slot.isSoftPurged }
    /// The purge ledger's sequence when its fetch began; at most 2³² - 1.
    package var birth: UInt64 { UInt64(slot.birth) }
    /// Bytes on the disk.
    package var byteCount: UInt64 { slot.byteCount }

    static func short(_ hash: KeyHash) -> UInt32 { UInt32(truncatingIfNeeded: hash.low) }
}

/// What Telemetry is told, on the disk's threads.
package struct DiskObserver: Sendable {
    /// A load or a read for a stream was done, this many nanoseconds after it was asked for.
    package var didRead: @Sendable (_ nanoseconds: UInt64) -> Void
    /// An object was written, likewise.
    package var didWrite: @Sendable (_ nanoseconds: UInt64) -> Void

    package init(
        didRead: @escaping @Sendable (_ nanoseconds: UInt64) -> Void = { _ in },
        didWrite: @escaping @Sendable (_ nanoseconds: UInt64) -> Void = { _ in }
    ) {
        self.didRead = didRead
        self.didWrite = didWrite
    }
}

/// The store's counts since it was opened, and what it holds now.
package struct DiskStatistics: Sendable {
    /// Bytes of all files, the index's included: what `bytesMax` bounds.
    package var bytes: UInt64 = 0
    /// Bytes of objects that can still be found.
    package var liveBytes: UInt64 = 0
    package var objects = 0
    /// Large ones among them.
    package var largeObjects = 0
    package var reads: UInt64 = 0
    package var readBytes: UInt64 = 0
    /// Reads refused because too many waited.
    package var readsBusy: UInt64 = 0
    /// Objects dropped because their checksums did not fit, or they could not be read.
    package var corrupt: UInt64 = 0
    package var writes: UInt64 = 0
    package var writeBytes: UInt64 = 0
    /// Objects not written: too many waited, no room, or a pause after a failure.
    package var writesDropped: UInt64 = 0
    /// Writes that the operating system refused.
    package var writeErrors: UInt64 = 0
    package var evicted: UInt64 = 0
    /// Objects spared by eviction because they are in use, or their zone has little.
    package var spared: UInt64 = 0
    package var removed: UInt64 = 0
    package var checkpoints: UInt64 = 0
    /// Bytes that wait to be written.
    package var queuedWriteBytes = 0
    package var openFiles = 0

    package init() {}
}
