package import NIOCore
package import Synchronization

/// A response as it lies in the cache: immutable but for three marks. Any thread may read it.
///
/// The head is rendered once, when it is stored, in an order that lets every kind of answer take a prefix of it:
///
///     field lines of a 304 ┊ other lines ┊ Content-Type ┊ Content-Length CRLF CRLF ┊ body …
///     0          notModifiedEnd     commonEnd       typeEnd                      end
///
/// What changes from answer to answer (the status line, Age, Cache-Status, Martlet-Ray) is written before it. So a hit
/// of the whole object copies nothing field by field; a small body lies behind its head and leaves in the same copy,
/// a large one is shared with the socket as it is.
package final class StoredResponse: Sendable {
    package let key: CacheKey
    package let zone: ZoneTag
    package let facts: StoredFacts
    package let head: StoredHead
    package let body: StoredBody
    /// What else a request must have in common with the one it was stored for; nil without Vary.
    package let vary: VaryKey?
    /// Hashes of the tags in Cache-Tag, sorted.
    package let tags: [UInt64]
    /// The purge ledger's sequence when its fetch began: purges with a higher one are about it.
    package let birth: UInt64

    /// The ledger's sequence up to which it is known not to be purged.
    package let purgeChecked: Atomic<UInt64>
    /// Marked stale by a soft purge.
    package let isSoftPurged = Atomic<Bool>(false)
    /// Whether the disk has it: 0 no, 1 asked for, 2 yes.
    package let diskState = Atomic<UInt8>(0)

    package init(
        key: CacheKey, zone: ZoneTag, facts: StoredFacts, head: StoredHead, body: StoredBody, vary: VaryKey?,
        tags: [UInt64], birth: UInt64
    ) {
        self.key = key
        self.zone = zone
        self.facts = facts
        self.head = head
        self.body = body
        self.vary = vary
        self.tags = tags
        self.birth = birth
        self.purgeChecked = Atomic(birth)
    }

    /// Bytes of memory it is charged with: its buffers as the allocator rounds them, and what holds them together.
    package var memoryBytes: Int {
        var bytes = Self.objectBytes + key.bytes.count + tags.count * 8 + (vary?.memoryBytes ?? 0)
        bytes += StoredBody.rounded(head.bytes.storageCapacity)
        bytes += body.memoryBytes
        return bytes
    }

    /// This object, its arrays' headers, its node in the store.
    private static let objectBytes = 640
}

/// The rendered head. Offsets count from the first readable byte of `bytes`.
package struct StoredHead: Sendable {
    /// Whole field lines, the empty line, and, where the body is `.inline`, the body.
    package var bytes: ByteBuffer
    /// Lines that a 304 repeats: Cache-Control, Content-Location, Date, ETag, Expires, Vary (RFC 9110, section 15.4.5),
    /// and with them Last-Modified and CDN-Cache-Control.
    package var notModifiedEnd: Int
    /// All lines but Content-Type and Content-Length.
    package var commonEnd: Int
    /// Content-Type too.
    package var typeEnd: Int
    /// Behind the empty line: Content-Length's line is always there.
    package var end: Int
    /// The values of ETag and Last-Modified within `bytes`; empty where there is none.
    package var eTag: Range<Int>
    package var lastModified: Range<Int>
    /// The value of Content-Type; empty where there is none.
    package var contentType: Range<Int>

    package init(
        bytes: ByteBuffer, notModifiedEnd: Int, commonEnd: Int, typeEnd: Int, end: Int, eTag: Range<Int>,
        lastModified: Range<Int>, contentType: Range<Int>
    ) {
        self.bytes = bytes
        self.notModifiedEnd = notModifiedEnd
        self.commonEnd = commonEnd
        self.typeEnd = typeEnd
        self.end = end
        self.eTag = eTag
        self.lastModified = lastModified
        self.contentType = contentType
    }
}

/// Where a stored response's body is.
package enum StoredBody: Sendable {
    /// Behind the head, in `StoredHead.bytes`. Also for no body.
    case inline
    /// In memory, in order.
    case blocks(BlockBody)
    /// On the disk.
    case file(FileBody)
    /// In memory, with gaps (RFC 9111, section 3.3).
    case partial(PartialBody)

    package var memoryBytes: Int {
        switch self {
        case .inline: 0
        case .blocks(let body): body.memoryBytes
        case .file: 256
        case .partial(let body): body.memoryBytes
        }
    }

    /// What the allocator takes for that many bytes: its size classes are an eighth apart.
    package static func rounded(_ bytes: Int) -> Int {
        guard bytes > 128 else { return 128 }
        let step = 1 << max(0, Int.bitWidth - 1 - (bytes - 1).leadingZeroBitCount - 2)
        return (bytes + step - 1) & ~(step - 1)
    }
}

/// A body in memory too large to lie behind its head.
package final class BlockBody: Sendable {
    package let blocks: [ByteBuffer]
    package let byteCount: Int
    package let memoryBytes: Int
    /// Trailer lines, each ended by CRLF; nil for none.
    package let trailers: ByteBuffer?

    package init(blocks: [ByteBuffer], trailers: ByteBuffer? = nil) {
        self.blocks = blocks
        self.trailers = trailers
        byteCount = blocks.reduce(0) { $0 + $1.readableBytes }
        memoryBytes = blocks.reduce(64) { $0 + StoredBody.rounded($1.storageCapacity) + 48 }
    }
}
