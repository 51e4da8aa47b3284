// Looking without changing anything.

import Glibc

extension DiskStore {
    /// The bound it keeps, in bytes.
    package var bytesMax: UInt64 { space.bytesMax }

    /// A tenth of it is still empty: what is written drives nothing out.
    package var hasRoom: Bool { space.room > Int64(clamping: space.bytesMax / 10) }

    /// The key that the store at a path hashes with, also while another process has it; nil if there is none yet.
    package static func secret(at path: String) -> KeySecret? {
        DiskIdentity.read(DiskDirectory(path: path, writeCall: { pwritev($0, $1, $2, $3) }))?.secret
    }

    /// How many objects some purges would meet. What only a look at the disk could tell counts as met.
    ///
    /// - Parameter done: Runs on the keeper's thread.
    package func count(zone: ZoneTag, _ scopes: [PurgeScope], _ done: @escaping @Sendable (Int) -> Void) {
        let isQueued = keeper.submit(isUrgent: true) { [self] in
            guard let number = names.known(zone) else { return done(0) }
            let matcher = DiskMatcher(
                scopes.map { PurgeRecord(sequence: .max, zone: zone, scope: $0, isSoft: false) }, zone: number)
            var found = 0
            for shard in 0..<DiskIndex.shardCount {
                index.forEach(shard: shard) { if matcher.match($0) != .no { found += 1 } }
            }
            done(found)
        }
        if !isQueued { done(0) }
    }
}
