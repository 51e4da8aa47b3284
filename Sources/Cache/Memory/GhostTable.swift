/// Remembers which keys were lately evicted from a zone's small queue: those that come again go to the main queue at once.
///
/// Entries are eight bytes in buckets of eight, one cache line each: 32 bits of the key's hash, and the number of
/// evictions when it came. One is forgotten when as many others came as the zone has objects; nothing needs to be taken
/// out, a full bucket loses its oldest. Mistakes (two keys with the same 32 bits) put an object into the wrong
/// queue, no more.
struct GhostTable {
    private var entries: [UInt64] = []
    /// How many were ever remembered; wraps round.
    private var clock: UInt32 = 0

    private static let bucket = 8

    /// Bytes of memory it takes.
    var memoryBytes: Int { entries.count &* 8 }

    /// Remembers a hash. `window`: for how many others to come.
    mutating func remember(_ hash: UInt64, window: Int) {
        fit(window)
        clock &+= 1
        place(Self.entry(hash, clock))
    }

    /// Whether a hash is remembered; it is not afterwards.
    mutating func recall(_ hash: UInt64, window: Int) -> Bool {
        guard !entries.isEmpty else { return false }
        let fingerprint = UInt32(truncatingIfNeeded: hash)
        let start = bucketStart(fingerprint)
        for index in start..<start &+ Self.bucket where entries[index] != 0 {
            guard Self.fingerprint(entries[index]) == fingerprint else { continue }
            let isRemembered = clock &- Self.time(entries[index]) < UInt32(clamping: window)
            entries[index] = 0
            return isRemembered
        }
        return false
    }

    mutating func clear() { self = GhostTable() }

    // MARK: Entries

    /// Never 0, which is a free place: a time of 0 comes round once in 2³² and is skipped.
    private static func entry(_ hash: UInt64, _ time: UInt32) -> UInt64 {
        UInt64(UInt32(truncatingIfNeeded: hash)) &<< 32 | UInt64(max(time, 1))
    }

    private static func fingerprint(_ entry: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: entry &>> 32) }
    private static func time(_ entry: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: entry) }

    private func bucketStart(_ fingerprint: UInt32) -> Int {
        (Int(fingerprint) & (entries.count / Self.bucket &- 1)) &* Self.bucket
    }

    private mutating func place(_ entry: UInt64) {
        let start = bucketStart(Self.fingerprint(entry))
        var oldest = start
        for index in start..<start &+ Self.bucket {
            if entries[index] == 0 {
                oldest = index
                break
            }
            if clock &- Self.time(entries[index]) > clock &- Self.time(entries[oldest]) { oldest = index }
        }
        entries[oldest] = entry
    }

    /// Makes it as large as the window, and half as much again for buckets that fill before others do.
    private mutating func fit(_ window: Int) {
        let wanted = max(window &+ window / 2, Self.bucket)
        let isTooSmall = entries.count < wanted
        guard isTooSmall || entries.count > wanted &* 8 else { return }
        var capacity = Self.bucket
        while capacity < wanted { capacity &*= 2 }
        guard capacity != entries.count else { return }
        let old = entries
        entries = [UInt64](repeating: 0, count: capacity)
        for entry in old where entry != 0 && clock &- Self.time(entry) < UInt32(clamping: window) { place(entry) }
    }
}
