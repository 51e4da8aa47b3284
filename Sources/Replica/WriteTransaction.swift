import CLMDB
import ConfigLog
import Glibc
import Limits

/// A write transaction. It must end on the thread where it began, by `commit` or, without a trace, by being let go.
final class WriteTransaction {
    private let file: ReplicaFile
    private let transaction: OpaquePointer
    private var isOpen = true
    /// As it will be committed.
    var head: ReplicaHead

    private init(_ file: ReplicaFile, _ transaction: OpaquePointer, _ head: ReplicaHead) {
        self.file = file
        self.transaction = transaction
        self.head = head
    }

    /// Waits for a writer of another process.
    static func begin(_ file: ReplicaFile) throws(ReplicaError) -> WriteTransaction {
        let transaction = try begun(file)
        let head: ReplicaHead
        do throws(ReplicaError) {
            let reading = ReadTransaction(file: file, transaction: transaction)
            head = try reading.head
        } catch {
            mdb_txn_abort(transaction)
            throw error
        }
        return WriteTransaction(file, transaction, head)
    }

    /// One on a file that is being made, where there is no head yet.
    static func begin(new file: ReplicaFile) throws(ReplicaError) -> WriteTransaction {
        WriteTransaction(file, try begun(file), ReplicaHead())
    }

    private static func begun(_ file: ReplicaFile) throws(ReplicaError) -> OpaquePointer {
        var begun: OpaquePointer?
        try ReplicaFile.check(mdb_txn_begin(file.handle, nil, 0, &begun), file.directory, "cannot be written")
        guard let begun else { throw ReplicaError(.file, "\(file.directory) cannot be written") }
        return begun
    }

    deinit {
        if isOpen { mdb_txn_abort(transaction) }
    }

    /// Sets or removes one key.
    func apply(_ change: Change) throws(ReplicaError) {
        var key = change.key
        guard (1...Limits.configKeyBytesMax).contains(key.utf8.count) else {
            throw ReplicaError(
                .invalid, "a key of \(key.utf8.count) bytes: 1 to \(Limits.configKeyBytesMax) are allowed")
        }
        var code: Int32 = 0
        key.withUTF8 { utf8 in
            let name = UnsafeRawBufferPointer(utf8)
            if let value = change.value {
                code = value.withUnsafeBytes { bytes in put(name, bytes) }
            } else {
                code = remove(name)
            }
        }
        try ReplicaFile.check(code, file.directory, "\(change.key) cannot be written")
    }

    private func put(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Int32 {
        var key = MDB_val(name)
        var old = MDB_val()
        let found = mdb_get(transaction, file.state, &key, &old)
        if found == 0 {
            head.sum.remove(name, old.bytes)
        } else if found != MDB_NOTFOUND {
            return found
        }
        head.sum.add(name, value)
        key = MDB_val(name)
        var data = MDB_val(value)
        return mdb_put(transaction, file.state, &key, &data, 0)
    }

    /// A key that is not there is as good as removed.
    private func remove(_ name: UnsafeRawBufferPointer) -> Int32 {
        var key = MDB_val(name)
        var old = MDB_val()
        let found = mdb_get(transaction, file.state, &key, &old)
        if found == MDB_NOTFOUND { return 0 }
        guard found == 0 else { return found }
        head.sum.remove(name, old.bytes)
        key = MDB_val(name)
        return mdb_del(transaction, file.state, &key, nil)
    }

    /// Adds a key behind all others.
    /// - Throws: `invalid` if it does not come behind them.
    func append(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws(ReplicaError) {
        var key = MDB_val(name)
        var data = MDB_val(value)
        let code = mdb_put(transaction, file.state, &key, &data, UInt32(MDB_APPEND))
        if code == MDB_KEYEXIST { throw ReplicaError(.invalid, "the snapshot's keys are not in order") }
        try ReplicaFile.check(code, file.directory, "cannot be written")
        head.sum.add(name, value)
    }

    /// Commits the changes and the head with them.
    func commit() throws(ReplicaError) {
        var code: Int32 = 0
        let encoded = head.encoded
        var headKey = ReplicaFile.headKey
        headKey.withUTF8 { utf8 in
            var key = MDB_val(UnsafeRawBufferPointer(utf8))
            encoded.withUnsafeBytes { bytes in
                var data = MDB_val(bytes)
                code = mdb_put(transaction, file.meta, &key, &data, 0)
            }
        }
        try ReplicaFile.check(code, file.directory, "cannot be written")
        isOpen = false
        // Whatever it answers, the transaction is gone afterwards.
        try ReplicaFile.check(mdb_txn_commit(transaction), file.directory, "cannot be written")
    }
}
