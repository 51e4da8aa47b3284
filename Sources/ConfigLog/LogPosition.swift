/// Where somebody stands in the log: the hash says which history led there.
package struct LogPosition: Sendable, Hashable, CustomStringConvertible {
    /// The log's incarnation, from 1. A new one begins when history may have been lost (a store restored from a backup),
    /// since the same sequences then may stand for something else. 0: an empty replica.
    package var epoch: UInt64
    /// The newest group; from 1, without gaps. 0: none yet.
    package var sequence: UInt64
    /// The hash of the frame that ended with that group.
    package var hash: ChainHash

    package init(epoch: UInt64, sequence: UInt64, hash: ChainHash) {
        self.epoch = epoch
        self.sequence = sequence
        self.hash = hash
    }

    /// An empty replica: any log's first frame may follow.
    package static let none = LogPosition(epoch: 0, sequence: 0, hash: .zero)

    /// 48 bytes: epoch, sequence, hash.
    package var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(48)
        bytes.write(self)
        return bytes
    }

    package init(decoding bytes: [UInt8]) throws(ConfigLogError) {
        var reader = WireReader(bytes, "a position")
        self = try reader.position()
        try reader.atEnd()
    }

    package var description: String { "\(epoch)/\(sequence)/\(hash.description.prefix(12))" }
}

extension WireReader {
    mutating func position() throws(ConfigLogError) -> LogPosition {
        LogPosition(
            epoch: try integer(UInt64.self, "the epoch"), sequence: try integer(UInt64.self, "the sequence"),
            hash: try hash("the hash"))
    }
}

extension [UInt8] {
    mutating func write(_ position: LogPosition) {
        write(position.epoch)
        write(position.sequence)
        write(position.hash)
    }
}
