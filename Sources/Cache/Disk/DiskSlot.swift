// What the index holds of one stored response: 64 bytes, so that a million take 80 MB. It stands in memory, in the
// journal and in checkpoints alike (both processors Martlet runs on are little-endian).
//
//     0  key hash (high, low)   16 URL  20 host  24 Vary hash  28 Vary names  32 zone and marks
//     36 unit  40 offset  44 length  48 birth  52 tags (three words)
//
// Hashes are cut to 32 bits where a false match does no more than forget an object. Up to three tags stand as they
// are; more are a Bloom filter of 96 bits, and a purge by tag asks the record itself about what the filter lets
// through.

/// One entry of the index.
struct DiskSlot: Equatable, Sendable {
    var high: UInt64 = 0
    var low: UInt64 = 0
    var url: UInt32 = 0
    var host: UInt32 = 0
    /// 32 bits of the Vary hash; 0 without Vary.
    var vary: UInt32 = 0
    /// The number of the list of Vary names; 0 without Vary.
    var varyNames: UInt32 = 0
    private var zoneAndMarks: UInt32 = 0
    /// The file it is in.
    var unit: UInt32 = 0
    /// Within a segment, in steps of 8 bytes.
    var offset: UInt32 = 0
    /// Bytes in its file, in steps of 8 bytes in a segment and of 4096 for a file of its own.
    var length: UInt32 = 0
    /// The purge ledger's sequence when its fetch began; all ones also for what is higher.
    var birth: UInt32 = 0
    private var tag0: UInt32 = 0
    private var tag1: UInt32 = 0
    private var tag2: UInt32 = 0

    init() {}

    static let zonesMax: UInt32 = 1 << 24
    static let offsetStep: UInt64 = 8
    static let largeStep: UInt64 = 4096

    /// The zone's number.
    var zone: UInt32 {
        get { zoneAndMarks & (Self.zonesMax - 1) }
        set { zoneAndMarks = zoneAndMarks & ~(Self.zonesMax - 1) | newValue & (Self.zonesMax - 1) }
    }

    // MARK: Marks

    private static let usesShift: UInt32 = 24
    private static let softMark: UInt32 = 1 << 26
    private static let largeMark: UInt32 = 1 << 27
    private static let manyTagsMark: UInt32 = 1 << 28

    /// How often it was used since it was written or last spared, up to 3.
    var uses: UInt32 {
        get { zoneAndMarks >> Self.usesShift & 3 }
        set { zoneAndMarks = zoneAndMarks & ~(3 << Self.usesShift) | min(newValue, 3) << Self.usesShift }
    }

    var isSoftPurged: Bool {
        get { zoneAndMarks & Self.softMark != 0 }
        set { set(Self.softMark, newValue) }
    }

    /// Whether it has a file of its own.
    var isLarge: Bool {
        get { zoneAndMarks & Self.largeMark != 0 }
        set { set(Self.largeMark, newValue) }
    }

    private mutating func set(_ mark: UInt32, _ value: Bool) {
        zoneAndMarks = value ? zoneAndMarks | mark : zoneAndMarks & ~mark
    }

    // MARK: Place

    var place: DiskPlace { DiskPlace(unit: unit, offset: offset) }

    /// Bytes it takes on the disk.
    var byteCount: UInt64 { UInt64(length) * (isLarge ? Self.largeStep : Self.offsetStep) }

    func isVariant(of other: DiskSlot) -> Bool {
        high == other.high && low == other.low && vary == other.vary && varyNames == other.varyNames
    }

    // MARK: Tags

    enum TagMatch {
        case no
        case yes
        /// The record must be asked.
        case perhaps
    }

    mutating func setTags(_ tags: [UInt64]) {
        (tag0, tag1, tag2) = (0, 0, 0)
        let isFilter = tags.count > 3
        set(Self.manyTagsMark, isFilter)
        guard isFilter else {
            if let tag = tags.first { tag0 = Self.short(tag) }
            if tags.count > 1 { tag1 = Self.short(tags[1]) }
            if tags.count > 2 { tag2 = Self.short(tags[2]) }
            return
        }
        for tag in tags {
            let bits = Self.filterBits(tag)
            tag0 |= bits.0
            tag1 |= bits.1
            tag2 |= bits.2
        }
    }

    func match(tag: UInt64) -> TagMatch {
        guard hasManyTags else {
            let short = Self.short(tag)
            return tag0 == short || tag1 == short || tag2 == short ? .yes : .no
        }
        let bits = Self.filterBits(tag)
        let isSet = tag0 & bits.0 == bits.0 && tag1 & bits.1 == bits.1 && tag2 & bits.2 == bits.2
        return isSet ? .perhaps : .no
    }

    /// Whether the tag words are a filter.
    var hasManyTags: Bool { zoneAndMarks & Self.manyTagsMark != 0 }

    /// The tags in their short form where there are no more than three, 0 for none.
    var tagWords: (UInt32, UInt32, UInt32) { (tag0, tag1, tag2) }

    static func short(_ tag: UInt64) -> UInt32 {
        max(1, UInt32(truncatingIfNeeded: tag) ^ UInt32(truncatingIfNeeded: tag >> 32))
    }

    /// One bit in each word.
    private static func filterBits(_ tag: UInt64) -> (UInt32, UInt32, UInt32) {
        (
            1 << UInt32(truncatingIfNeeded: tag & 31), 1 << UInt32(truncatingIfNeeded: tag >> 5 & 31),
            1 << UInt32(truncatingIfNeeded: tag >> 10 & 31)
        )
    }
}

/// Where a record is. No two records are ever in one place, because no file's number is used twice.
struct DiskPlace: Hashable, Sendable {
    var unit: UInt32
    var offset: UInt32
}
