// One LMDB file: opened, read by many threads, written by one.
//
// LMDB is copy-on-write: a reader sees the state of the last commit before it began, no matter what the writer does,
// and takes no lock for it. What a reader costs is pages: none that it may see is used again while it reads. So readers
// are short, and what takes long (a snapshot for a slow child) is copied out first.
//
// Flushing: MDB_NOMETASYNC. A commit flushes the pages it wrote and then writes the page that points to them without a
// second flush. After a power cut the file is whole and stands at the last frame or the one before it; the log's parent
// sends what is missing. After a crash of the process nothing is lost at all. (MDB_NOSYNC would save the one flush that
// is left, and a power cut could then tear the file.) Tables: two named databases in the one file,
//
//     state   the configuration's keys and values
//     meta    head: layout, position, sum (ReplicaHead.swift)

import CLMDB
import ConfigLog
import Glibc
import Limits

/// An open file with its read transactions. Closed when the last who uses it lets go.
// Unchecked: LMDB's handle may be used from any thread; all properties are set once and never change.
final class ReplicaFile: @unchecked Sendable {
    static let dataName = "data.mdb"
    static let stateTable = "state"
    static let metaTable = "meta"
    static let headKey = "head"

    /// The directory the file was opened in. It may have been renamed or removed since.
    let directory: String
    let handle: OpaquePointer
    let state: MDB_dbi
    let meta: MDB_dbi
    let readers: ReaderPool
    let mapped: MappedPages?

    private init(directory: String, handle: OpaquePointer, state: MDB_dbi, meta: MDB_dbi) {
        self.directory = directory
        self.handle = handle
        self.state = state
        self.meta = meta
        readers = ReaderPool(environment: handle, directory: directory)
        var descriptor: mdb_filehandle_t = -1
        mapped = mdb_env_get_fd(handle, &descriptor) == 0 ? MappedPages(descriptor: descriptor) : nil
    }

    deinit {
        readers.close()
        mdb_env_close(handle)
    }

    /// Opens a file that is there.
    static func open(_ directory: String, bytesMax: Int) throws(ReplicaError) -> ReplicaFile {
        let handle = try environment(directory, bytesMax: bytesMax, flags: UInt32(MDB_NOMETASYNC))
        do throws(ReplicaError) {
            var transaction: OpaquePointer?
            try check(mdb_txn_begin(handle, nil, UInt32(MDB_RDONLY), &transaction), directory, "cannot be read")
            guard let transaction else { throw ReplicaError(.file, "\(directory) cannot be read") }
            var state: MDB_dbi = 0
            var meta: MDB_dbi = 0
            let found = mdb_dbi_open(transaction, stateTable, 0, &state)
            let foundMeta = mdb_dbi_open(transaction, metaTable, 0, &meta)
            guard found == 0, foundMeta == 0 else {
                mdb_txn_abort(transaction)
                throw ReplicaError(.damaged, "\(directory) is not a replica of Martlet's configuration")
            }
            // The handles of the tables are everybody's once the transaction that opened them is committed.
            try check(mdb_txn_commit(transaction), directory, "cannot be read")
            return ReplicaFile(directory: directory, handle: handle, state: state, meta: meta)
        } catch {
            mdb_env_close(handle)
            throw error
        }
    }

    /// Makes a file with empty tables, not flushed until `flush`: for one that is built beside.
    static func create(_ directory: String, bytesMax: Int) throws(ReplicaError) -> ReplicaFile {
        let handle = try environment(directory, bytesMax: bytesMax, flags: UInt32(MDB_NOSYNC))
        do throws(ReplicaError) {
            var transaction: OpaquePointer?
            try check(mdb_txn_begin(handle, nil, 0, &transaction), directory, "cannot be written")
            guard let transaction else { throw ReplicaError(.file, "\(directory) cannot be written") }
            var state: MDB_dbi = 0
            var meta: MDB_dbi = 0
            var code = mdb_dbi_open(transaction, stateTable, UInt32(MDB_CREATE), &state)
            if code == 0 { code = mdb_dbi_open(transaction, metaTable, UInt32(MDB_CREATE), &meta) }
            guard code == 0 else {
                mdb_txn_abort(transaction)
                throw ReplicaError.lmdb(directory, "cannot be written", code)
            }
            try check(mdb_txn_commit(transaction), directory, "cannot be written")
            return ReplicaFile(directory: directory, handle: handle, state: state, meta: meta)
        } catch {
            mdb_env_close(handle)
            throw error
        }
    }

    private static func environment(
        _ directory: String, bytesMax: Int, flags: UInt32
    ) throws(ReplicaError) -> OpaquePointer {
        var handle: OpaquePointer?
        try check(mdb_env_create(&handle), directory, "cannot be opened")
        guard let handle else { throw ReplicaError(.file, "\(directory) cannot be opened") }
        let page = max(4096, Int(sysconf(Int32(_SC_PAGESIZE))))
        var code = mdb_env_set_maxdbs(handle, 4)
        if code == 0 { code = mdb_env_set_maxreaders(handle, UInt32(Limits.replicaReadersMax)) }
        if code == 0 { code = mdb_env_set_mapsize(handle, max(bytesMax, page * 64) / page * page) }
        // NOTLS: a reader slot belongs to its transaction, not to the thread that began it. NORDAHEAD: lookups jump.
        if code == 0 {
            code = mdb_env_open(handle, directory, flags | UInt32(MDB_NOTLS | MDB_NORDAHEAD), 0o600)
        }
        // Slots of processes that died would keep pages from being used again.
        var cleared: Int32 = 0
        if code == 0 { code = mdb_reader_check(handle, &cleared) }
        guard code == 0 else {
            mdb_env_close(handle)
            throw ReplicaError.lmdb(directory, "cannot be opened", code)
        }
        return handle
    }

    static func check(_ code: Int32, _ path: String, _ what: String) throws(ReplicaError) {
        if code != 0 { throw ReplicaError.lmdb(path, what, code) }
    }

    /// Everything written so far is on the disk afterwards.
    func flush() throws(ReplicaError) {
        try ReplicaFile.check(mdb_env_sync(handle, 1), directory, "cannot be flushed")
    }

    /// Gives up the reader slots of dead processes.
    func clearDeadReaders() {
        var cleared: Int32 = 0
        mdb_reader_check(handle, &cleared)
    }

    /// Bytes of the file up to the last page in use.
    var bytesUsed: Int {
        var info = MDB_envinfo()
        var status = MDB_stat()
        guard mdb_env_info(handle, &info) == 0, mdb_env_stat(handle, &status) == 0 else { return 0 }
        return (Int(clamping: info.me_last_pgno) &+ 1) &* Int(status.ms_psize)
    }

    /// One consistent state for as long as `body` runs.
    func read<T>(_ body: (borrowing ReadTransaction) throws(ReplicaError) -> T) throws(ReplicaError) -> T {
        let reader = try readers.take()
        defer {
            readers.putBack(reader)
            mapped?.noteRead()
        }
        let transaction = ReadTransaction(file: self, transaction: reader.transaction)
        return try body(transaction)
    }

    /// What the file says it is.
    func head() throws(ReplicaError) -> ReplicaHead {
        let reader = try readers.take()
        defer { readers.putBack(reader) }
        let transaction = ReadTransaction(file: self, transaction: reader.transaction)
        return try transaction.head
    }

    /// The same for what throws errors of its own.
    func readAny<T>(_ body: (borrowing ReadTransaction) throws -> T) throws -> T {
        let reader = try readers.take()
        defer {
            readers.putBack(reader)
            mapped?.noteRead()
        }
        let transaction = ReadTransaction(file: self, transaction: reader.transaction)
        return try body(transaction)
    }
}
