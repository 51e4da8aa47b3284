package import ConfigLog
import Glibc
import Limits
import Synchronization

/// How a replica is doing.
package struct ReplicaStatistics: Sendable {
    package var position: LogPosition
    /// Of the file, and what it may grow to.
    package var bytesUsed: Int
    package var bytesMax: Int
    package var keys: UInt64
    /// Of all keys and values.
    package var contentBytes: UInt64
    /// Since the start.
    package var appliedFrames: UInt64
    package var imports: UInt64
    /// Whether this process holds the lock for writing.
    package var isWriter: Bool
}

/// What replicas compare now and then: at one position they must have one summary.
package struct StateSummary: Sendable, Equatable {
    package let position: LogPosition
    package let keys: UInt64
    package let contentBytes: UInt64
    /// 16 bytes: a sum over hashes of all entries, the same on every machine.
    package let sum: [UInt8]

    init(_ head: ReplicaHead) {
        position = head.position
        keys = head.sum.keys
        contentBytes = head.sum.contentBytes
        var bytes: [UInt8] = []
        bytes.append(littleEndian: head.sum.first)
        bytes.append(littleEndian: head.sum.second)
        sum = bytes
    }
}

extension Replica {
    /// A copy of one value.
    package func value(_ key: String) throws(ReplicaError) -> [UInt8]? {
        try file().read { transaction throws(ReplicaError) in try transaction.value(key) }
    }

    /// All entries whose keys begin with `prefix`, in the order of their bytes, until `body` returns false. The value's
    /// bytes live as long as the call. Throws what `body` throws.
    package func each(
        prefix: String, _ body: (_ key: String, _ value: UnsafeRawBufferPointer) throws -> Bool
    ) throws {
        try file().readAny { transaction in try transaction.each(prefix: prefix, body) }
    }

    /// Several reads of one state.
    package func read<T>(_ body: (borrowing ReadTransaction) throws -> T) throws -> T {
        try file().readAny(body)
    }

    /// When the file was last written, milliseconds since 1970; 0 where the system does not say.
    package var changedAtMilliseconds: Int64 {
        var status = stat()
        let number = current.withLock { current in current.number }
        guard stat(directory.state(number) + "/data.mdb", &status) == 0 else { return 0 }
        return Int64(status.st_mtim.tv_sec) * 1000 + Int64(status.st_mtim.tv_nsec) / 1_000_000
    }

    /// A page of the zone list, in the order of the names' bytes.
    /// - Parameter after: the last name of the page before.
    package func zones(
        after name: String? = nil, limit: Int
    ) throws(ReplicaError) -> [(name: String, zone: ZoneID)] {
        var page: [(name: String, zone: ZoneID)] = []
        guard limit > 0 else { return page }
        let prefix = StateKey.namePrefix
        try file().read { transaction throws(ReplicaError) in
            try transaction.scan(prefix: prefix, after: name.map { name in prefix + Array(name.utf8) }) { key, value in
                if let zone = ZoneID(bytes: value) {
                    page.append((String(decoding: key.dropFirst(prefix.count), as: UTF8.self), zone))
                }
                return page.count < limit
            }
        }
        return page
    }

    /// Kept up with every change, so it costs one look.
    package func summary() throws(ReplicaError) -> StateSummary {
        try file().read { transaction throws(ReplicaError) in StateSummary(try transaction.head) }
    }

    /// Reads every entry again and holds them against the summary. A million zones take some seconds.
    package func verify() throws(ReplicaError) -> Bool {
        try file().read { transaction throws(ReplicaError) in
            let expected = try transaction.head.sum
            var sum = StateSum()
            try transaction.scan(prefix: []) { key, value in
                sum.add(key, value)
                return true
            }
            return sum == expected
        }
    }

    package var statistics: ReplicaStatistics {
        let (file, position) = current.withLock { current in (current.file, current.position) }
        let head = try? file?.head()
        return ReplicaStatistics(
            position: position, bytesUsed: file?.bytesUsed ?? 0, bytesMax: bytesMax, keys: head?.sum.keys ?? 0,
            contentBytes: head?.sum.contentBytes ?? 0, appliedFrames: appliedCount.load(ordering: .relaxed),
            imports: importCount.load(ordering: .relaxed), isWriter: isWriter.load(ordering: .relaxed))
    }
}
