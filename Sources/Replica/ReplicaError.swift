import CLMDB
import Glibc

/// Why the replica could not do what was asked. What was there before stays as it was.
package struct ReplicaError: Error, Sendable, CustomStringConvertible {
    package enum Kind: Sendable {
        /// Another process writes this replica, perhaps a predecessor that drains: trying again helps.
        case locked
        /// The operating system refused something.
        case file
        /// A file that is not whole, or not a replica of this layout.
        case damaged
        /// The bound of the file's size is reached. The position is what it was.
        case full
        /// The frame does not follow the position.
        case notNext
        /// A key or value outside the bounds, or a chunk that is not what its hash says.
        case invalid
        /// Chunks of the snapshot are still lacking.
        case incomplete
        /// The replica was closed, or a newer import took the place of this one.
        case stopped
    }

    package let kind: Kind
    package let description: String

    init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }

    /// What the operating system refused, with the reason in `code`.
    static func file(_ path: String, _ what: String, _ code: Int32 = errno) -> ReplicaError {
        let reason = strerror(code).map { text in String(cString: text) } ?? "error \(code)"
        return ReplicaError(.file, "\(path) \(what): \(reason)")
    }

    /// What LMDB answered to `what`.
    static func lmdb(_ path: String, _ what: String, _ code: Int32) -> ReplicaError {
        let reason = mdb_strerror(code).map { text in String(cString: text) } ?? "error \(code)"
        let kind: Kind =
            switch code {
            case MDB_MAP_FULL, MDB_MAP_RESIZED: .full
            case MDB_CORRUPTED, MDB_PAGE_NOTFOUND, MDB_INVALID, MDB_VERSION_MISMATCH, MDB_PANIC, MDB_INCOMPATIBLE:
                .damaged
            case MDB_BAD_VALSIZE, MDB_KEYEXIST: .invalid
            default: .file
            }
        return ReplicaError(kind, "\(path): \(what): \(reason)")
    }
}
