// Read transactions that are used again.
//
// Beginning one takes a slot in a table shared by all processes, under a lock of that table; renewing one takes
// neither. So finished transactions are reset (they then hold no pages back) and kept with their slots. A thread takes
// whichever is free, looking first where it looked last time by a number of its own.

import CLMDB
import Glibc
import Limits
import Synchronization

final class ReaderPool: Sendable {
    /// A transaction on loan.
    struct Loan {
        fileprivate let slot: Slot?
        let transaction: OpaquePointer
    }

    // Unchecked: the transaction is guarded by the atomic `isTaken`; only who took the slot touches it.
    fileprivate final class Slot: @unchecked Sendable {
        let isTaken = Atomic<Bool>(false)
        var transaction: OpaquePointer?
    }

    private let environment: Environment
    private let directory: String
    private let slots: [Slot]

    // Unchecked: LMDB's handle may be used from any thread.
    private struct Environment: @unchecked Sendable {
        let handle: OpaquePointer
    }

    init(environment: OpaquePointer, directory: String) {
        self.environment = Environment(handle: environment)
        self.directory = directory
        slots = (0..<Limits.replicaReadersKeptMax).map { _ in Slot() }
    }

    func take() throws(ReplicaError) -> Loan {
        let start = Int(truncatingIfNeeded: UInt(pthread_self()) >> 12 &* 0x9E37_79B9 >> 8 & 0xFFFF)
        for step in 0..<slots.count {
            let slot = slots[(start &+ step) % slots.count]
            guard !slot.isTaken.load(ordering: .relaxed),
                slot.isTaken.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged
            else { continue }
            do throws(ReplicaError) {
                if let transaction = slot.transaction {
                    try renew(transaction, in: slot)
                    return Loan(slot: slot, transaction: transaction)
                }
                let transaction = try begin()
                slot.transaction = transaction
                return Loan(slot: slot, transaction: transaction)
            } catch {
                slot.isTaken.store(false, ordering: .releasing)
                throw error
            }
        }
        return Loan(slot: nil, transaction: try begin())
    }

    func putBack(_ loan: Loan) {
        guard let slot = loan.slot else {
            mdb_txn_abort(loan.transaction)
            return
        }
        mdb_txn_reset(loan.transaction)
        slot.isTaken.store(false, ordering: .releasing)
    }

    /// Nobody reads any more.
    func close() {
        for slot in slots {
            if let transaction = slot.transaction { mdb_txn_abort(transaction) }
            slot.transaction = nil
        }
    }

    private func renew(_ transaction: OpaquePointer, in slot: Slot) throws(ReplicaError) {
        let code = mdb_txn_renew(transaction)
        guard code != 0 else { return }
        mdb_txn_abort(transaction)
        slot.transaction = nil
        throw ReplicaError.lmdb(directory, "cannot be read", code)
    }

    private func begin() throws(ReplicaError) -> OpaquePointer {
        var transaction: OpaquePointer?
        var code = mdb_txn_begin(environment.handle, nil, UInt32(MDB_RDONLY), &transaction)
        if code == MDB_READERS_FULL {
            var cleared: Int32 = 0
            mdb_reader_check(environment.handle, &cleared)
            code = mdb_txn_begin(environment.handle, nil, UInt32(MDB_RDONLY), &transaction)
        }
        guard code == 0, let transaction else { throw ReplicaError.lmdb(directory, "cannot be read", code) }
        return transaction
    }
}
