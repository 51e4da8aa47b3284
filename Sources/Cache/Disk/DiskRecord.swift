// All that is known of a stored response beside its body, as it stands before a small object in its segment and in a
// large one's slots:
//
//     magic 4 ┊ checksum of what follows 4 ┊ bytes of all this 4 ┊ …numbers… ┊ key ┊ Vary names ┊ tags
//     ┊ checksums of the body's blocks ┊ trailers ┊ head ┊ zeros up to a multiple of 8
//
// Nothing that was read is believed before the checksum fits, and then still nothing is that could lead outside.

import Limits
import NIOCore

/// A record's numbers, and where its parts are.
struct DiskRecord {
    /// Which of two slots is newer; 0 in a segment.
    var version: UInt64 = 0
    var hash = KeyHash(high: 0, low: 0)
    var urlHash = KeyHash(high: 0, low: 0)
    var zone = ZoneTag(0)
    var birth: UInt64 = 0
    var facts = StoredFacts()
    var bodyBytes: UInt64 = 0
    /// Over the checksums of a large body's blocks, which stand behind it.
    var tableChecksum: UInt32 = 0
    var key: [UInt8] = []
    var vary: VaryKey?
    var tags: [UInt64] = []
    /// A small body's blocks.
    var checksums: [UInt32] = []
    var trailers: ByteBuffer?
    /// The head, without a body behind it.
    var head: StoredHead?
    /// Bytes of the record without its body.
    var byteCount = 0

    /// How much must be read to know `byteCount`.
    static let prefixBytes = 12
    /// More cannot be: a longer record is none of ours.
    static let bytesMax = 2 * 1024 * 1024

    init() {}

    init(_ response: StoredResponse, version: UInt64 = 0) {
        self.version = version
        hash = response.key.hash
        urlHash = response.key.urlHash
        zone = response.zone
        birth = response.birth
        facts = response.facts
        key = response.key.bytes
        vary = response.vary
        tags = response.tags
        head = response.head
    }

    // MARK: Writing

    /// Appends it; `head` may have a body behind it, which stays out.
    mutating func append(to bytes: inout [UInt8]) {
        guard let head, head.bytes.readableBytes >= head.end else { return }
        let start = bytes.count
        bytes.putLittle(DiskMagic.record)
        bytes.putLittle(UInt32(0))
        bytes.putLittle(UInt32(0))
        for value in [version, hash.high, hash.low, urlHash.high, urlHash.low, zone.value, birth, bodyBytes] {
            bytes.putLittle(value)
        }
        bytes.putLittle(tableChecksum)
        Self.append(facts, to: &bytes)
        for value in [head.notModifiedEnd, head.commonEnd, head.typeEnd, head.end] {
            bytes.putLittle(UInt32(clamping: value))
        }
        for range in [head.eTag, head.lastModified, head.contentType] {
            bytes.putLittle(UInt32(clamping: range.lowerBound))
            bytes.putLittle(UInt32(clamping: range.upperBound))
        }
        bytes.putLittle(vary?.hash.high ?? 0)
        bytes.putLittle(vary?.hash.low ?? 0)
        bytes.append(vary == nil ? 0 : 1)
        bytes.append(trailers == nil ? 0 : 1)
        let names = vary?.names ?? []
        for count in [key.count, names.count, tags.count, checksums.count, trailers?.readableBytes ?? 0] {
            bytes.putLittle(UInt32(clamping: count))
        }
        bytes.append(contentsOf: key)
        bytes.append(contentsOf: names)
        for tag in tags { bytes.putLittle(tag) }
        for checksum in checksums { bytes.putLittle(checksum) }
        if let trailers { trailers.withUnsafeReadableBytes { bytes.append(contentsOf: $0) } }
        head.bytes.withUnsafeReadableBytes { bytes.append(contentsOf: $0.prefix(head.end)) }
        while (bytes.count - start) % 8 != 0 { bytes.append(0) }
        byteCount = bytes.count - start
        bytes.setLittle(UInt32(clamping: byteCount), at: start + 8)
        let checksum = bytes.withUnsafeBytes { DiskChecksum.of(UnsafeRawBufferPointer(rebasing: $0[(start + 8)...])) }
        bytes.setLittle(checksum, at: start + 4)
    }

    private static func append(_ facts: StoredFacts, to bytes: inout [UInt8]) {
        bytes.putLittle(facts.status)
        bytes.putLittle(facts.flags.rawValue)
        bytes.append(facts.lastModified == nil ? 0 : 1)
        for value in [
            facts.requestTime, facts.responseTime, facts.date, facts.initialAge, facts.freshnessLifetime,
            facts.staleWhileRevalidate, facts.staleIfError, facts.lastModified ?? 0,
        ] {
            bytes.putLittle(value)
        }
        bytes.putLittle(facts.representationBytes)
    }

    // MARK: Reading

    /// How long the record is that begins with these bytes; nil if they begin none.
    static func byteCount(_ prefix: UnsafeRawBufferPointer) -> Int? {
        var cursor = DiskCursor(prefix)
        guard cursor.next(UInt32.self) == DiskMagic.record, cursor.next(UInt32.self) != nil,
            let count = cursor.next(UInt32.self), count >= prefixBytes, count <= bytesMax
        else { return nil }
        return Int(count)
    }

    /// Reads a record that begins with `bytes`.
    ///
    /// - Parameter wantsHead: Whether the head is copied out.
    init?(_ bytes: UnsafeRawBufferPointer, wantsHead: Bool) {
        guard let count = Self.byteCount(bytes), count <= bytes.count else { return nil }
        let whole = UnsafeRawBufferPointer(rebasing: bytes[..<count])
        var cursor = DiskCursor(whole)
        guard cursor.next(UInt32.self) != nil, let checksum = cursor.next(UInt32.self), cursor.next(UInt32.self) != nil,
            checksum == DiskChecksum.of(UnsafeRawBufferPointer(rebasing: whole[8...])),
            let version = cursor.next(UInt64.self),
            let hash = Self.hash(&cursor), let urlHash = Self.hash(&cursor), let zone = cursor.next(UInt64.self),
            let birth = cursor.next(UInt64.self), let bodyBytes = cursor.next(UInt64.self),
            let tableChecksum = cursor.next(UInt32.self), let facts = Self.facts(&cursor)
        else { return nil }
        self.version = version
        self.hash = hash
        self.urlHash = urlHash
        self.zone = ZoneTag(zone)
        self.birth = birth
        self.bodyBytes = bodyBytes
        self.tableChecksum = tableChecksum
        self.facts = facts
        byteCount = count
        guard readParts(&cursor, wantsHead: wantsHead) else { return nil }
    }

    private mutating func readParts(_ cursor: inout DiskCursor, wantsHead: Bool) -> Bool {
        var numbers: [Int] = []
        for _ in 0..<10 {
            guard let number = cursor.next(UInt32.self) else { return false }
            numbers.append(Int(number))
        }
        guard let varyHash = Self.hash(&cursor), let hasVary = cursor.next(UInt8.self),
            let hasTrailers = cursor.next(UInt8.self), let keyCount = cursor.next(UInt32.self),
            let nameCount = cursor.next(UInt32.self), let tagCount = cursor.next(UInt32.self),
            let checksumCount = cursor.next(UInt32.self), let trailerCount = cursor.next(UInt32.self),
            let key = cursor.next(count: Int(keyCount)), let names = cursor.next(count: Int(nameCount))
        else { return false }
        self.key = Array(key)
        if hasVary != 0 { vary = VaryKey(names: Array(names), hash: varyHash) }
        for _ in 0..<tagCount {
            guard let tag = cursor.next(UInt64.self) else { return false }
            tags.append(tag)
        }
        for _ in 0..<checksumCount {
            guard let checksum = cursor.next(UInt32.self) else { return false }
            checksums.append(checksum)
        }
        guard let trailers = cursor.next(count: Int(trailerCount)), let head = cursor.next(count: numbers[3]) else {
            return false
        }
        if hasTrailers != 0 {
            self.trailers = ExactBuffer.make(count: trailers.count) { $0.copyMemory(from: trailers) }
        }
        guard wantsHead else { return true }
        self.head = Self.head(head, numbers)
        return self.head != nil
    }

    private static func head(_ bytes: UnsafeRawBufferPointer, _ numbers: [Int]) -> StoredHead? {
        let end = bytes.count
        guard numbers.count == 10, numbers[0] <= numbers[1], numbers[1] <= numbers[2], numbers[2] <= end else {
            return nil
        }
        var ranges: [Range<Int>] = []
        for index in stride(from: 4, to: 10, by: 2) {
            guard numbers[index] <= numbers[index + 1], numbers[index + 1] <= end else { return nil }
            ranges.append(numbers[index]..<numbers[index + 1])
        }
        return StoredHead(
            bytes: ExactBuffer.make(count: end) { $0.copyMemory(from: bytes) }, notModifiedEnd: numbers[0],
            commonEnd: numbers[1], typeEnd: numbers[2], end: end, eTag: ranges[0], lastModified: ranges[1],
            contentType: ranges[2])
    }

    private static func hash(_ cursor: inout DiskCursor) -> KeyHash? {
        guard let high = cursor.next(UInt64.self), let low = cursor.next(UInt64.self) else { return nil }
        return KeyHash(high: high, low: low)
    }

    private static func facts(_ cursor: inout DiskCursor) -> StoredFacts? {
        var facts = StoredFacts()
        guard let status = cursor.next(UInt16.self), let flags = cursor.next(UInt16.self),
            let hasLastModified = cursor.next(UInt8.self)
        else { return nil }
        facts.status = status
        facts.flags = StoredFacts.Flags(rawValue: flags)
        var times: [Int64] = []
        for _ in 0..<8 {
            guard let time = cursor.next(Int64.self) else { return nil }
            times.append(time)
        }
        guard let representationBytes = cursor.next(UInt64.self) else { return nil }
        facts.requestTime = times[0]
        facts.responseTime = times[1]
        facts.date = times[2]
        facts.initialAge = times[3]
        facts.freshnessLifetime = times[4]
        facts.staleWhileRevalidate = times[5]
        facts.staleIfError = times[6]
        if hasLastModified != 0 { facts.lastModified = times[7] }
        facts.representationBytes = representationBytes
        return facts
    }

    // MARK: Responses

    /// The response, with what is its body.
    func response(_ head: StoredHead, _ body: StoredBody) -> StoredResponse {
        StoredResponse(
            key: CacheKey(hash: hash, urlHash: urlHash, bytes: key), zone: zone, facts: facts, head: head, body: body,
            vary: vary, tags: tags, birth: birth)
    }
}

/// A purge as a journal or a checkpoint has it: its length, and what the ledger makes of it.
enum DiskPurge {
    static func append(_ record: PurgeRecord, to bytes: inout [UInt8]) {
        let start = bytes.count
        bytes.putLittle(UInt32(0))
        record.encode(into: &bytes)
        bytes.setLittle(UInt32(clamping: bytes.count - start - 4), at: start)
    }

    /// Puts one purge of everything, in each zone and for each kind, in place of the older half. More is forgotten at a
    /// restart than need be, but nothing comes back.
    static func folded(_ all: [PurgeRecord]) -> [PurgeRecord] {
        struct Group: Hashable {
            var zone: ZoneTag?
            var isSoft: Bool
        }
        let records = all.sorted { $0.sequence < $1.sequence }
        var latest: [Group: UInt64] = [:]
        for record in records.prefix(records.count / 2) {
            latest[Group(zone: record.zone, isSoft: record.isSoft)] = record.sequence
        }
        let folded = latest.map { group, sequence in
            PurgeRecord(sequence: sequence, zone: group.zone, scope: .everything, isSoft: group.isSoft)
        }
        return folded.sorted { $0.sequence < $1.sequence } + records.dropFirst(records.count / 2)
    }

    static func read(_ cursor: inout DiskCursor) -> PurgeRecord? {
        guard let count = cursor.next(UInt32.self), let bytes = cursor.next(count: Int(count)) else { return nil }
        return PurgeRecord(decoding: bytes)
    }
}
