// Where a decoded block lies: the bytes of its names and values one behind the other, and a row for each field.
//
// The memory is taken once and used for block after block. A field that finds no room ends the list: what follows is
// decoded for the dynamic table's sake alone, since later blocks refer to it, and thrown away.

/// The fields of one block, in the order in which they came. Belongs to one event loop.
package struct HPACKFields: Sendable {
    /// Which field a name names: a pseudo-header field (RFC 9113, section 8.3; RFC 8441, section 4), or any other.
    package enum Kind: Sendable, Equatable {
        case field(KnownField)
        case method, path, scheme, authority, status, `protocol`
        /// A name that begins with a colon and is none of these.
        case otherPseudo
    }

    /// One field.
    package struct Entry: Sendable, Equatable {
        /// The name as it was sent; empty for the six pseudo-header fields, whose kind says it.
        package var name: ByteRange
        package var value: ByteRange
        package var kind: Kind
        /// It must not be put into a table on its further way (RFC 7541, section 6.2.3).
        package var isNeverIndexed: Bool
        /// The name is a token without upper-case letters, behind a colon if it is a pseudo-header field's, and the
        /// value holds no control byte but HTAB and neither begins nor ends with SP or HTAB (RFC 9113, section 8.2.1).
        package var isWellFormed: Bool

        /// The field as heads have it, of a name that is no pseudo-header field's.
        @inline(__always)
        func field(_ known: KnownField, isDropped: Bool) -> Field {
            Field(
                name: name, value: value, known: known, isDropped: isDropped,
                isNeverIndexed: isNeverIndexed && HPACKRule(known) != .neverIndexed)
        }
    }

    /// What the ranges of the entries lie in. Longer than what was decoded; the rest is stale.
    package internal(set) var bytes: ContiguousArray<UInt8>
    /// Bytes of `bytes` in use.
    package internal(set) var byteCount = 0
    package internal(set) var entries: ContiguousArray<Entry> = []
    /// A field was thrown away because bytes or rows ran out.
    package internal(set) var hasOverflowed = false
    /// Size of the whole list, with what was thrown away: of each field its name, its value and 32 bytes (RFC 9113,
    /// section 10.5.1).
    package internal(set) var listBytes = 0

    /// Where a field that is thrown away lies on its way into the table. Taken when first needed.
    var scratch: ContiguousArray<UInt8> = []

    let bytesMax: Int
    let fieldsMax: Int
    let listBytesMax: Int

    /// Up to `bytesMax` bytes of names and values in up to `fieldsMax` fields are kept. A block whose list is larger
    /// than `listBytesMax`, counted as `listBytes` is, is not decoded to its end: two bytes can stand for a field as
    /// large as the dynamic table (RFC 7541, section 7.3).
    package init(bytesMax: Int, fieldsMax: Int, listBytesMax: Int) {
        self.bytesMax = max(0, min(bytesMax, Self.bytesMaxMax))
        self.fieldsMax = max(0, fieldsMax)
        self.listBytesMax = max(0, listBytesMax)
        bytes = ContiguousArray(repeating: 0, count: self.bytesMax &+ HPACKCopy.slackBytes)
        entries.reserveCapacity(min(self.fieldsMax, 1024))
    }

    /// Positions are 32 bits wide.
    private static var bytesMaxMax: Int { 1 << 30 }

    /// Makes ready for the next block.
    package mutating func clear() {
        byteCount = 0
        entries.removeAll(keepingCapacity: true)
        hasOverflowed = false
        listBytes = 0
    }

    /// Puts a copy of `range` behind what is there. False, and the overflow noted, where there is no room.
    package mutating func append(_ range: ByteRange) -> Bool {
        guard range.end <= byteCount, Int(range.count) <= bytesMax &- byteCount else {
            hasOverflowed = true
            return false
        }
        for position in range.range {
            bytes[byteCount] = bytes[position]
            byteCount &+= 1
        }
        return true
    }

    /// Puts `text` behind what is there. False, and the overflow noted, where there is no room.
    package mutating func append(_ text: StaticString) -> Bool {
        guard text.hasPointerRepresentation, text.utf8CodeUnitCount <= bytesMax &- byteCount else {
            hasOverflowed = true
            return false
        }
        for byte in UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount) {
            bytes[byteCount] = byte
            byteCount &+= 1
        }
        return true
    }
}
