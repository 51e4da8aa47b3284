// The dynamic table (RFC 7541, sections 2.3.2 and 4), for either end.
//
//     memory:  a ring of bytes, a power of two of them      rows:  a ring of rows, a power of two of them
//              ┌──────┬────────────┬──────┬───────┐                ┌─────┬────────┬────────┬─────┐
//              │ free │ name value │ name │ value │                │     │ oldest │ …      │ new │
//              └──────┴────────────┴──────┴───────┘                └─────┴────────┴────────┴─────┘
//
// Positions in both count up for ever and are cut to the ring's size when used; 32 bits that wrap are enough. Both grow
// by doubling as entries come: a connection that never indexes anything holds nothing. An entry may lie across the end
// of the ring, in two parts.
//
// Whatever the peer announces, an entry counts 32 bytes more than it has, so the ring is never larger than the table's
// size rounded up to a power of two, and there are never more rows than size / 32.

struct HPACKDynamicTable: Sendable {
    /// One entry.
    struct Row: Sendable {
        /// Where its kept name begins, with its value behind it.
        var position: UInt32 = 0
        /// Bytes of the kept name (see `HPACKFields.Kind.keepsName`), and of the value.
        var nameCount: UInt32 = 0
        var valueCount: UInt32 = 0
        var kind = HPACKFields.Kind.otherPseudo
        /// See `HPACKFields.Entry.isWellFormed`: what it says of the name, and of the value.
        var hasGoodName = false
        var hasGoodValue = false
        /// An encoder's: the number of the entry before this one among those it looks for together.
        var link: UInt32 = 0

        /// RFC 7541, section 4.1.
        @inline(__always)
        var size: Int {
            Int(nameCount) &+ Int(valueCount) &+ kind.pseudoNameCount &+ HPACKDynamicTable.entryOverheadBytes
        }
        /// Bytes it takes of the ring.
        @inline(__always)
        var storedCount: Int { Int(nameCount) &+ Int(valueCount) }
    }

    /// What an entry counts beside its name and its value (RFC 7541, section 4.1).
    static var entryOverheadBytes: Int { 32 }
    /// The size until SETTINGS_HEADER_TABLE_SIZE says otherwise (RFC 9113, section 6.5.2).
    static var initialBytes: Int { 4096 }
    /// No table is larger, whatever is announced.
    static var bytesMaxMax: Int { 1 << 24 }

    /// What the rings begin with: the fields of a first message mostly fit.
    private static var ringBytesMin: Int { 512 }
    private static var rowsMin: Int { 8 }

    private(set) var bytesMax: Int
    /// Sum of the entries' sizes.
    private(set) var byteCount = 0
    private(set) var count = 0
    /// Entries ever inserted, wrapping: the newest has this number, and the one of dynamic index i has `number - i + 1`.
    private(set) var number: UInt32 = 0

    private var ring: ContiguousArray<UInt8> = []
    private var ringMask: UInt32 = 0
    /// Where the next entry's bytes go.
    private var head: UInt32 = 0
    /// Bytes of the ring in use.
    private var storedCount = 0
    private var rows: ContiguousArray<Row> = []

    init(bytesMax: Int) {
        self.bytesMax = min(max(0, bytesMax), Self.bytesMaxMax)
    }

    /// The entry of the dynamic table's index, from 1; nil beyond the table.
    @inline(__always)
    func row(at index: Int) -> Row? {
        guard index >= 1, index <= count else { return nil }
        return row(numbered: number &- UInt32(truncatingIfNeeded: index &- 1))
    }

    /// The entry of that number, which is in the table.
    @inline(__always)
    func row(numbered wanted: UInt32) -> Row {
        rows[Int(wanted) & (rows.count &- 1)]
    }

    /// The dynamic table's index of the entry of that number; nil once it has been evicted.
    @inline(__always)
    func index(ofNumber wanted: UInt32) -> Int? {
        let age = Int(number &- wanted)
        return age < count ? age &+ 1 : nil
    }

    // MARK: Bytes

    /// Copies `length` stored bytes from `position` on. `target` has slack behind it.
    @inline(__always)
    func copy(from position: UInt32, count length: Int, to target: UnsafeMutableRawPointer) {
        let start = Int(position & ringMask)
        ring.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            let first = Int(ringMask) &+ 1 &- start
            if length <= first {
                HPACKCopy.short(base + start, to: target, count: length)
            } else {
                target.copyMemory(from: base + start, byteCount: first)
                (target + first).copyMemory(from: base, byteCount: length &- first)
            }
        }
    }

    /// Whether `length` stored bytes from `position` on are those at `other`.
    @inline(__always)
    func equals(_ position: UInt32, _ other: UnsafeRawPointer, count length: Int) -> Bool {
        compare(position, other, count: length, isEqual: HPACKCopy.equal)
    }

    /// Whether `length` stored bytes from `position` on are those at `other` with their letters in lower case.
    func equalsLowercased(_ position: UInt32, _ other: UnsafeRawPointer, count length: Int) -> Bool {
        compare(position, other, count: length, isEqual: HPACKCopy.equalLowercased)
    }

    @inline(__always)
    private func compare(
        _ position: UInt32, _ other: UnsafeRawPointer, count length: Int,
        isEqual: (UnsafeRawPointer, UnsafeRawPointer, Int) -> Bool
    ) -> Bool {
        let start = Int(position & ringMask)
        return ring.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return length == 0 }
            let first = Int(ringMask) &+ 1 &- start
            if length <= first { return isEqual(base + start, other, length) }
            return isEqual(base + start, other, first) && isEqual(base, other + first, length &- first)
        }
    }

    // MARK: Changes

    /// Changes the size, and evicts what no longer fits (RFC 7541, section 4.3).
    mutating func resize(to bytes: Int) {
        bytesMax = min(max(0, bytes), Self.bytesMaxMax)
        evict(until: bytesMax)
        if bytesMax == 0 {
            ring = []
            rows = []
            ringMask = 0
        }
    }

    /// Evicts the oldest entries until the others take at most `bytes`.
    @inline(__always)
    mutating func evict(until bytes: Int) {
        while byteCount > bytes, count > 0 {
            let oldest = row(numbered: number &- UInt32(truncatingIfNeeded: count &- 1))
            byteCount &-= oldest.size
            storedCount &-= oldest.storedCount
            count &-= 1
        }
    }

    /// Puts an entry in front: its kept name, put in lower case first if `isLowercasing`, and its value. An entry larger
    /// than the table empties it, and is not in it (RFC 7541, section 4.4).
    mutating func insert(
        _ entry: Row, name: UnsafeRawPointer, value: UnsafeRawPointer, isLowercasing: Bool = false
    ) {
        let size = entry.size
        guard size <= bytesMax else {
            evict(until: 0)
            return
        }
        evict(until: bytesMax &- size)
        if storedCount &+ entry.storedCount > ring.count &- HPACKCopy.slackBytes || count == rows.count {
            grow(for: entry.storedCount)
        }
        number &+= 1
        rows[Int(number) & (rows.count &- 1)] = entry
        rows[Int(number) & (rows.count &- 1)].position = head
        write(name, count: Int(entry.nameCount), isLowercasing: isLowercasing)
        write(value, count: Int(entry.valueCount), isLowercasing: false)
        storedCount &+= entry.storedCount
        byteCount &+= size
        count &+= 1
    }

    /// Puts `length` bytes at `head`, for which there is room.
    @inline(__always)
    private mutating func write(_ source: UnsafeRawPointer, count length: Int, isLowercasing: Bool) {
        let mask = Int(ringMask)
        let start = Int(head) & mask
        ring.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            let first = min(length, mask &+ 1 &- start)
            HPACKCopy.exact(source, to: base + start, count: first)
            if first < length { base.copyMemory(from: source + first, byteCount: length &- first) }
            guard isLowercasing else { return }
            for offset in 0..<length {
                let place = (start &+ offset) & mask
                bytes[place] = ASCII.lowercased(bytes[place])
            }
        }
        head &+= UInt32(truncatingIfNeeded: length)
    }

    /// Doubles what is too small. Positions stay what they are, for they are only cut when used.
    private mutating func grow(for length: Int) {
        if count == rows.count {
            var larger = ContiguousArray(repeating: Row(), count: max(Self.rowsMin, rows.count &* 2))
            for index in 0..<count {
                let old = number &- UInt32(truncatingIfNeeded: index)
                larger[Int(old) & (larger.count &- 1)] = row(numbered: old)
            }
            rows = larger
        }
        let needed = storedCount &+ length
        guard needed > ring.count &- HPACKCopy.slackBytes else { return }
        var capacity = max(Self.ringBytesMin, ring.count &- HPACKCopy.slackBytes)
        while capacity < needed { capacity &*= 2 }
        var larger = ContiguousArray(repeating: UInt8(0), count: capacity &+ HPACKCopy.slackBytes)
        let newMask = UInt32(truncatingIfNeeded: capacity &- 1)
        var position = head &- UInt32(truncatingIfNeeded: storedCount)
        var left = storedCount
        while left > 0 {
            // As far as neither ring ends.
            let (source, target) = (Int(position & ringMask), Int(position & newMask))
            let part = min(left, Int(ringMask) &+ 1 &- source, capacity &- target)
            larger.replaceSubrange(target..<target &+ part, with: ring[source..<source &+ part])
            position &+= UInt32(truncatingIfNeeded: part)
            left &-= part
        }
        ring = larger
        ringMask = newMask
    }
}
