import CLMDB
package import ConfigLog
import Glibc
import Limits

/// One consistent state of the replica. It lives as long as the closure that got it, and so do the bytes it hands out;
/// be short, since the file grows while pages that it may see cannot be used again.
package struct ReadTransaction: ~Copyable {
    private let file: ReplicaFile
    private let transaction: OpaquePointer

    init(file: ReplicaFile, transaction: OpaquePointer) {
        self.file = file
        self.transaction = transaction
    }

    /// A copy of the value of `key`.
    package func value(_ key: String) throws(ReplicaError) -> [UInt8]? {
        var key = key
        var found: Found = .absent
        key.withUTF8 { bytes in found = look(file.state, UnsafeRawBufferPointer(bytes)) }
        return try bytes(found).map { bytes in [UInt8](bytes) }
    }

    /// Hands the value's bytes to `body`, where they lie. nil: there is no such key.
    package func withValue<T>(_ key: String, _ body: (UnsafeRawBufferPointer?) throws -> T) throws -> T {
        var key = key
        return try key.withUTF8 { utf8 in
            try body(try bytes(look(file.state, UnsafeRawBufferPointer(utf8))))
        }
    }

    /// All entries whose keys begin with `prefix`, in the order of their bytes, until `body` returns false.
    /// - Parameter after: only keys that come after this one.
    package func each(
        prefix: String, after: String? = nil, _ body: (_ key: String, _ value: UnsafeRawBufferPointer) throws -> Bool
    ) throws {
        var failure: (any Error)?
        try scan(prefix: Array(prefix.utf8), after: after.map { after in Array(after.utf8) }) { key, value in
            do {
                return try body(String(decoding: key, as: UTF8.self), value)
            } catch {
                failure = error
                return false
            }
        }
        if let failure { throw failure }
    }

    /// Where in the log this state stands.
    package var position: LogPosition {
        get throws(ReplicaError) { try head.position }
    }

    // MARK: Bytes

    enum Found {
        case value(UnsafeRawBufferPointer)
        case absent
        case failed(Int32)
    }

    var head: ReplicaHead {
        get throws(ReplicaError) {
            var found: Found = .absent
            var key = ReplicaFile.headKey
            key.withUTF8 { utf8 in found = look(file.meta, UnsafeRawBufferPointer(utf8)) }
            guard let value = try bytes(found) else {
                throw ReplicaError(.damaged, "\(file.directory) is not a replica of Martlet's configuration")
            }
            return try ReplicaHead(decoding: value, path: file.directory)
        }
    }

    /// A key of the state. No copy: the bytes live as long as the transaction.
    func value(_ key: UnsafeRawBufferPointer) throws(ReplicaError) -> UnsafeRawBufferPointer? {
        try bytes(look(file.state, key))
    }

    private func bytes(_ found: Found) throws(ReplicaError) -> UnsafeRawBufferPointer? {
        switch found {
        case .value(let value): return value
        case .absent: return nil
        case .failed(let code): throw ReplicaError.lmdb(file.directory, "cannot be read", code)
        }
    }

    private func look(_ table: MDB_dbi, _ key: UnsafeRawBufferPointer) -> Found {
        guard !key.isEmpty else { return .absent }
        var name = MDB_val(key)
        var value = MDB_val()
        let code = mdb_get(transaction, table, &name, &value)
        // A key that is longer than the file takes is not there.
        if code == MDB_NOTFOUND || code == MDB_BAD_VALSIZE { return .absent }
        return code == 0 ? .value(value.bytes) : .failed(code)
    }

    /// The entries under a prefix, in order, until `body` returns false.
    func scan(
        prefix: [UInt8], after: [UInt8]? = nil,
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws(ReplicaError) -> Bool
    ) throws(ReplicaError) {
        var cursor: OpaquePointer?
        try ReplicaFile.check(mdb_cursor_open(transaction, file.state, &cursor), file.directory, "cannot be read")
        defer { mdb_cursor_close(cursor) }
        var key = MDB_val()
        var value = MDB_val()
        let from = after.map { after in after.lexicographicallyPrecedes(prefix) ? prefix : after } ?? prefix
        var code = from.withUnsafeBytes { bytes -> Int32 in
            guard !bytes.isEmpty else { return mdb_cursor_get(cursor, &key, &value, MDB_FIRST) }
            key = MDB_val(bytes)
            return mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE)
        }
        if code == 0, let after, key.bytes.elementsEqual(after) {
            code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
        }
        var count: UInt64 = 0
        while code == 0 {
            count &+= 1
            if count % Limits.replicaScanCheckInterval == 0 { file.mapped?.trim() }
            let found = key.bytes
            guard found.count >= prefix.count, found.prefix(prefix.count).elementsEqual(prefix),
                try body(found, value.bytes)
            else { return }
            code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
        }
        if code != MDB_NOTFOUND { try ReplicaFile.check(code, file.directory, "cannot be read") }
    }
}

extension MDB_val {
    /// LMDB does not write through it.
    init(_ bytes: UnsafeRawBufferPointer) {
        self.init(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
    }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: mv_data, count: mv_data == nil ? 0 : mv_size) }
}
