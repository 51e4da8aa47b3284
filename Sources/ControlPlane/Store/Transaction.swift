// What a body of `Store.read` and `Store.write` works with.

package import ConfigLog
import Limits

/// A connection within a transaction; one of the two databases.
protocol SQLSession: AnyObject {
    func query(_ sql: String, _ values: [SQLValue]) throws(StoreError) -> [SQLRow]
    func execute(_ sql: String, _ values: [SQLValue]) throws(StoreError) -> Int
}

/// One statement with the values of its placeholders.
struct SQLStatement {
    var sql: String
    var values: [SQLValue] = []
}

/// The queries and statements of one transaction, what it publishes and what goes into the audit log.
///
/// Confined to its body, which may run more than once: it has no effects but through this. The first statement that
/// fails fails the transaction, also if the body swallows the error: what comes after it is refused, and nothing of it
/// is committed. That is PostgreSQL's rule; SQLite is held to it too.
package final class Transaction {
    /// Microseconds since 1970, one value for the whole transaction.
    package let now: Int64

    private let session: any SQLSession
    private let key: SecretKey
    private let isWrite: Bool
    private var changes: [Change] = []
    /// The rows' values, one after the other.
    private var audits: [[SQLValue]] = []
    private var isEnded = false
    /// The first statement's error.
    private(set) var failure: StoreError?
    /// The first audit row's id: tells later whether this transaction was committed.
    private(set) var marker: String?

    init(session: any SQLSession, key: SecretKey, isWrite: Bool) {
        self.session = session
        self.key = key
        self.isWrite = isWrite
        now = WallClock.microseconds()
    }

    /// The rows of a result. `?` stands for a value.
    package func query(_ sql: String, _ values: [SQLValue] = []) throws(StoreError) -> [SQLRow] {
        try check(values)
        do {
            return try session.query(sql, values)
        } catch {
            throw failed(error)
        }
    }

    /// The first row of a result, nil if it is empty.
    package func first(_ sql: String, _ values: [SQLValue] = []) throws(StoreError) -> SQLRow? {
        try query(sql, values).first
    }

    /// Rows that were changed.
    @discardableResult
    package func execute(_ sql: String, _ values: [SQLValue] = []) throws(StoreError) -> Int {
        try check(values)
        do {
            return try session.execute(sql, values)
        } catch {
            throw failed(error)
        }
    }

    /// Adds to what this transaction changes at the edges: all of it becomes one group, whose outbox row is written last.
    /// Keys and sizes are checked at the end of the body.
    package func publish(_ change: Change) {
        guard admitWrite("publish") else { return }
        changes.append(change)
    }

    /// Adds a row to the audit log, in this transaction.
    package func audit(_ entry: AuditEntry) {
        guard admitWrite("audit") else { return }
        // In the order of their changes: what was first undoes last.
        let id = StoreID.ordered(at: now, number: audits.count)
        if marker == nil { marker = id }
        audits.append([
            .text(id), .integer(now), .text(entry.actor), .text(entry.action), .text(entry.resource),
            .text(entry.scope), SQLValue(entry.before), SQLValue(entry.after), .text(entry.requestID),
        ])
    }

    /// Few statements for many rows, and few different ones.
    private var auditStatements: [SQLStatement] {
        var statements: [SQLStatement] = []
        var place = 0
        for size in Limits.auditRowsPerStatement {
            let row = "(?, ?, ?, ?, ?, ?, ?, ?, ?)"
            let sql = """
                INSERT INTO audit (id, at, actor, action, resource, scope, before, after, request_id)
                VALUES \(Array(repeating: row, count: size).joined(separator: ", "))
                """
            while audits.count - place >= size {
                statements.append(SQLStatement(sql: sql, values: Array(audits[place..<place + size].joined())))
                place += size
            }
        }
        return statements
    }

    /// Seals a secret with the store's key. The context, such as "certificate/<id>", has to be the same at `open`: a
    /// sealed value that somebody copies to another row does not open there.
    package func seal(_ plain: [UInt8], for context: String = "") throws(StoreError) -> [UInt8] {
        try key.seal(plain, for: context)
    }

    /// The same with the key that edges have.
    package func sealForEdges(_ plain: [UInt8], for context: String) throws(StoreError) -> [UInt8] {
        try key.edgeKey.seal(plain, for: context)
    }

    package func open(_ sealed: [UInt8], for context: String = "") throws(StoreError) -> [UInt8] {
        try key.open(sealed, for: context)
    }

    // MARK: For those who run it

    var publishes: Bool { !changes.isEmpty }

    /// The body has returned. Whoever kept the transaction gets errors from now on.
    func end() { isEnded = true }

    /// What is to be written before the commit. The outbox row comes last: whoever changes the same rows later gets a
    /// later one, since he had to wait for this commit.
    func closing() throws(StoreError) -> [SQLStatement] {
        for row in audits {
            for value in row { try value.check() }
        }
        guard !changes.isEmpty else { return auditStatements }
        for change in changes where !(1...Limits.configKeyBytesMax).contains(change.key.utf8.count) {
            throw .invalid(
                "a published key of \(change.key.utf8.count) bytes, expected 1 to \(Limits.configKeyBytesMax)")
        }
        guard !changes.contains(where: { $0.key.utf8.contains(0) }) else {
            throw .invalid("a published key with a NUL byte")
        }
        let group: [UInt8]
        do {
            group = try ChangeGroup(sequence: 0, changes: changes).encoded()
        } catch {
            throw error.kind == .tooLarge ? .tooLarge("\(error)") : .invalid("\(error)")
        }
        return auditStatements + [
            SQLStatement(
                sql: "INSERT INTO outbox (changes, created) VALUES (?, ?)", values: [.blob(group), .integer(now)])
        ]
    }

    private func admitWrite(_ what: String) -> Bool {
        guard !isEnded, failure == nil else { return false }
        guard isWrite else {
            failure = .other("`\(what)` in a transaction that only reads")
            return false
        }
        return true
    }

    private func check(_ values: [SQLValue]) throws(StoreError) {
        guard !isEnded else { throw .other("a transaction was used after its body") }
        if let failure { throw failure }
        guard values.count <= Limits.storePlaceholdersMax else {
            throw failed(.tooLarge("\(values.count) values, expected at most \(Limits.storePlaceholdersMax)"))
        }
        for value in values {
            do {
                try value.check()
            } catch {
                throw failed(error)
            }
        }
    }

    private func failed(_ error: StoreError) -> StoreError {
        if failure == nil { failure = error }
        return error
    }
}
