// What changes, and its bytes. Integers are in network order.
//
//   group    sequence 8 | changes 4 | change …
//   change   1 | key length 2 | key | value length 4 | value       the key got a value
//            0 | key length 2 | key                                the key went

import Limits

/// One key that got a value, or went.
package struct Change: Sendable, Equatable {
    /// 1 to `Limits.configKeyBytesMax` bytes; parts are separated by "/".
    package var key: String
    /// Nil: the key went.
    package var value: [UInt8]?

    package init(key: String, value: [UInt8]?) {
        self.key = key
        self.value = value
    }

    /// The bytes that it takes in a group.
    package var encodedByteCount: Int { 3 + key.utf8.count + (value.map { 4 + $0.count } ?? 0) }
}

/// What one transaction changed. Applied whole or not at all, and never split over frames.
package struct ChangeGroup: Sendable, Equatable {
    /// Its place in the log, from 1; 0 while it has none.
    package var sequence: UInt64
    /// In the order in which they were made: of two with one key the later one counts.
    package var changes: [Change]

    package init(sequence: UInt64, changes: [Change]) {
        self.sequence = sequence
        self.changes = changes
    }

    /// The bytes that it takes in a frame: at most `Limits.configGroupBytesMax`.
    package var encodedByteCount: Int { changes.reduce(12) { $0 + $1.encodedByteCount } }

    /// Its bytes; throws if a key or the whole is out of bounds.
    package func encoded() throws(ConfigLogError) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(encodedByteCount)
        try bytes.write(self)
        return bytes
    }

    /// From exactly these bytes.
    package init(decoding bytes: [UInt8]) throws(ConfigLogError) {
        var reader = WireReader(bytes, "a group of changes")
        self = try reader.group()
        try reader.atEnd()
    }
}

extension [UInt8] {
    mutating func write(_ group: ChangeGroup) throws(ConfigLogError) {
        let count = group.encodedByteCount
        guard count <= Limits.configGroupBytesMax else {
            throw ConfigLogError(
                .tooLarge, "a group of changes", expected: "at most \(Limits.configGroupBytesMax) bytes",
                found: "\(count)")
        }
        write(group.sequence)
        write(UInt32(truncatingIfNeeded: group.changes.count))
        for change in group.changes {
            let keyBytes = change.key.utf8.count
            guard 1...Limits.configKeyBytesMax ~= keyBytes else {
                throw ConfigLogError(
                    .tooLarge, "a change", expected: "a key of 1 to \(Limits.configKeyBytesMax) bytes",
                    found: "\(keyBytes)")
            }
            append(change.value == nil ? 0 : 1)
            write(UInt16(truncatingIfNeeded: keyBytes))
            append(contentsOf: change.key.utf8)
            if let value = change.value {
                write(UInt32(truncatingIfNeeded: value.count))
                append(contentsOf: value)
            }
        }
    }
}

extension WireReader {
    mutating func group() throws(ConfigLogError) -> ChangeGroup {
        let start = offset
        let sequence = try integer(UInt64.self, "the sequence")
        let count = Int(try integer(UInt32.self, "the number of changes"))
        // No change takes less than four bytes, so that what is reserved stays in proportion to what was sent.
        guard count <= remaining / 4 else {
            throw fail(.truncated, expected: "\(count) changes", found: "\(remaining) bytes")
        }
        var changes: [Change] = []
        changes.reserveCapacity(count)
        for _ in 0..<count { changes.append(try change()) }
        guard offset - start <= Limits.configGroupBytesMax else {
            throw fail(
                .tooLarge, expected: "a group of at most \(Limits.configGroupBytesMax) bytes",
                found: "\(offset - start)")
        }
        return ChangeGroup(sequence: sequence, changes: changes)
    }

    private mutating func change() throws(ConfigLogError) -> Change {
        let kind = try integer(UInt8.self, "a change's kind")
        guard kind <= 1 else { throw fail(.malformed, expected: "a change of kind 0 or 1", found: "\(kind)") }
        let keyBytes = Int(try integer(UInt16.self, "a key's length"))
        guard 1...Limits.configKeyBytesMax ~= keyBytes else {
            throw fail(.tooLarge, expected: "a key of 1 to \(Limits.configKeyBytesMax) bytes", found: "\(keyBytes)")
        }
        let key = try text(keyBytes, "a key")
        guard kind == 1 else { return Change(key: key, value: nil) }
        let valueBytes = Int(try integer(UInt32.self, "a value's length"))
        return Change(key: key, value: try array(valueBytes, "a value"))
    }
}
