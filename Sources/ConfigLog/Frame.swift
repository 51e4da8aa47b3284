// What goes through the log at once: one or more groups, chained to what came before. Integers are in network order.
//
//   magic "MLF" 3 | version 1 | epoch 8 | first 8 | last 8 | previous hash 32 | committed at 8 | groups 4 | group … | hash 32
//
// The hash is the SHA-256 of the previous hash and everything before itself. A frame is passed on as the bytes that came,
// so that its boundaries, and with them the hashes at every boundary, are the same everywhere.

import Limits

/// Some groups in a row, with the hash of the history that they end.
package struct Frame: Sendable, Equatable {
    package let epoch: UInt64
    /// Sequences of its first and its last group.
    package let first: UInt64
    package let last: UInt64
    /// The hash of the frame before it.
    package let previous: ChainHash
    /// When its newest group was committed: milliseconds since 1970.
    package let committedAtMilliseconds: UInt64
    package let groups: [ChangeGroup]
    package let hash: ChainHash
    /// As it came, and as it is passed on.
    package let bytes: [UInt8]

    /// Where somebody stands who has applied it.
    package var position: LogPosition { LogPosition(epoch: epoch, sequence: last, hash: hash) }
    package var changeCount: Int { groups.reduce(0) { $0 + $1.changes.count } }

    private static let magic: UInt32 = 0x4D_4C_46_01
    static let headByteCount = 72

    package static func == (left: Frame, right: Frame) -> Bool { left.bytes == right.bytes }

    /// Makes the frame that follows `previous` out of what some transactions changed, in their order. The first frame of a
    /// log follows sequence 0 and the hash `.zero`.
    package static func seal(
        epoch: UInt64, after previous: (sequence: UInt64, hash: ChainHash), groups: [[Change]], committedAt: UInt64
    ) throws(ConfigLogError) -> Frame {
        let (last, overflows) = previous.sequence.addingReportingOverflow(UInt64(groups.count))
        guard !groups.isEmpty, !overflows, epoch > 0 else {
            throw ConfigLogError(
                .malformed, "a frame to seal", expected: "groups, in an epoch from 1",
                found: "\(groups.count) in epoch \(epoch)")
        }
        var sequence = previous.sequence
        let numbered = groups.map { changes in
            sequence &+= 1
            return ChangeGroup(sequence: sequence, changes: changes)
        }
        let byteCount = numbered.reduce(headByteCount + 32) { $0 + $1.encodedByteCount }
        guard byteCount <= Limits.configFrameBytesMax else {
            throw ConfigLogError(
                .tooLarge, "a frame to seal", expected: "at most \(Limits.configFrameBytesMax) bytes",
                found: "\(byteCount)")
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(byteCount)
        bytes.write(magic)
        bytes.write(epoch)
        bytes.write(previous.sequence &+ 1)
        bytes.write(last)
        bytes.write(previous.hash)
        bytes.write(committedAt)
        bytes.write(UInt32(truncatingIfNeeded: numbered.count))
        for group in numbered { try bytes.write(group) }
        let hash = ChainHash.of(previous.hash, bytes[...])
        bytes.write(hash)
        return Frame(
            epoch: epoch, first: previous.sequence &+ 1, last: last, previous: previous.hash,
            committedAtMilliseconds: committedAt, groups: numbered, hash: hash, bytes: bytes)
    }

    private init(
        epoch: UInt64, first: UInt64, last: UInt64, previous: ChainHash, committedAtMilliseconds: UInt64,
        groups: [ChangeGroup], hash: ChainHash, bytes: [UInt8]
    ) {
        self.epoch = epoch
        self.first = first
        self.last = last
        self.previous = previous
        self.committedAtMilliseconds = committedAtMilliseconds
        self.groups = groups
        self.hash = hash
        self.bytes = bytes
    }

    /// From exactly these bytes: their shape, their bounds and their hash are checked; their place is for `check(follows:)`.
    package init(decoding bytes: [UInt8]) throws(ConfigLogError) {
        guard bytes.count <= Limits.configFrameBytesMax else {
            throw ConfigLogError(
                .tooLarge, "a frame", expected: "at most \(Limits.configFrameBytesMax) bytes", found: "\(bytes.count)")
        }
        var reader = WireReader(bytes, "a frame")
        let magic = try reader.integer(UInt32.self, "the magic and version")
        guard magic >> 8 == Self.magic >> 8 else {
            throw reader.fail(
                .malformed, expected: "the magic 4d4c46", found: String(magic >> 8, radix: 16))
        }
        guard magic == Self.magic else {
            throw reader.fail(.unknownVersion, expected: "version \(Self.magic & 255)", found: "\(magic & 255)")
        }
        epoch = try reader.integer(UInt64.self, "the epoch")
        first = try reader.integer(UInt64.self, "the first sequence")
        last = try reader.integer(UInt64.self, "the last sequence")
        previous = try reader.hash("the previous hash")
        committedAtMilliseconds = try reader.integer(UInt64.self, "the time")
        let count = try reader.integer(UInt32.self, "the number of groups")
        // Before anything is made of it: damage is found at the price of the hash alone.
        guard reader.remaining >= 32 else {
            throw reader.fail(.truncated, expected: "groups and 32 bytes of hash", found: "\(reader.remaining) bytes")
        }
        let hashed = ChainHash.of(previous, bytes.dropLast(32))
        guard let hash = ChainHash(bytes: bytes.suffix(32)), hash == hashed else {
            throw reader.fail(
                .wrongHash, expected: "\(hashed)", found: "\(ChainHash(bytes: bytes.suffix(32)) ?? .zero)")
        }
        self.hash = hash
        guard epoch > 0, first > 0, last >= first, last - first == UInt64(count) &- 1 else {
            throw reader.fail(
                .malformed, expected: "an epoch and a group for each sequence",
                found: "epoch \(epoch), sequences \(first) to \(last), \(count) groups")
        }
        groups = try Self.groups(&reader, first: first, count: Int(count))
        self.bytes = bytes
    }

    private static func groups(
        _ reader: inout WireReader, first: UInt64, count: Int
    ) throws(ConfigLogError) -> [ChangeGroup] {
        // No group takes less than twelve bytes.
        guard count <= reader.remaining / 12 else {
            throw reader.fail(.truncated, expected: "\(count) groups", found: "\(reader.remaining) bytes")
        }
        var groups: [ChangeGroup] = []
        groups.reserveCapacity(count)
        for index in 0..<count {
            let group = try reader.group()
            guard group.sequence == first &+ UInt64(index) else {
                throw reader.fail(
                    .malformed, expected: "group \(first &+ UInt64(index))", found: "group \(group.sequence)")
            }
            groups.append(group)
        }
        guard reader.remaining == 32 else {
            throw reader.fail(.malformed, expected: "the hash behind the groups", found: "\(reader.remaining) bytes")
        }
        return groups
    }

    /// Whether it is what comes next for somebody who stands there: throws `.otherEpoch`, `.gap` or `.forked`. Any log's
    /// first frame follows `LogPosition.none`.
    package func check(follows position: LogPosition) throws(ConfigLogError) {
        guard epoch == position.epoch || position == .none else {
            throw ConfigLogError(.otherEpoch, "a frame", expected: "epoch \(position.epoch)", found: "epoch \(epoch)")
        }
        guard first == position.sequence &+ 1 else {
            throw ConfigLogError(
                .gap, "a frame", expected: "sequence \(position.sequence &+ 1)", found: "sequence \(first)")
        }
        guard previous == position.hash else {
            throw ConfigLogError(
                .forked, "frame \(first)", expected: "a history that ends with \(position.hash)", found: "\(previous)")
        }
    }
}
