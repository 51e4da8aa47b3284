// One connection of SQLite within a transaction: statements, values and errors, to and from GRDB's.

import FoundationEssentials
import GRDB
import Limits
import Synchronization

/// Which texts are kept prepared: the first so many. GRDB's cache has no bound of its own.
final class SQLiteStatementTexts: Sendable {
    private let known = Mutex<Set<String>>([])

    func admit(_ sql: String) -> Bool {
        known.withLock { known in
            if known.contains(sql) { return true }
            guard known.count < Limits.storeStatementsMax else { return false }
            known.insert(sql)
            return true
        }
    }
}

final class SQLiteSession: SQLSession {
    private let database: Database
    private let texts: SQLiteStatementTexts

    init(_ database: Database, texts: SQLiteStatementTexts) {
        self.database = database
        self.texts = texts
    }

    func query(_ sql: String, _ values: [SQLValue]) throws(StoreError) -> [SQLRow] {
        do {
            let cursor = try Row.fetchCursor(try statement(sql), arguments: Self.arguments(values))
            var rows: [SQLRow] = []
            var byteCount = 0
            while let row = try cursor.next() {
                let converted = SQLRow(values: row.databaseValues.map(Self.value))
                byteCount &+= converted.values.reduce(0) { $0 &+ $1.byteCount }
                guard rows.count < Limits.storeResultRowsMax, byteCount <= Limits.storeResultBytesMax else {
                    throw StoreError.tooLarge("a result, after \(rows.count) rows")
                }
                rows.append(converted)
            }
            return rows
        } catch {
            throw StoreError(sqlite: error)
        }
    }

    func execute(_ sql: String, _ values: [SQLValue]) throws(StoreError) -> Int {
        do {
            try statement(sql).execute(arguments: Self.arguments(values))
            return database.changesCount
        } catch {
            throw StoreError(sqlite: error)
        }
    }

    private func statement(_ sql: String) throws -> Statement {
        texts.admit(sql) ? try database.cachedStatement(sql: sql) : try database.makeStatement(sql: sql)
    }

    private static func arguments(_ values: [SQLValue]) -> StatementArguments {
        StatementArguments(
            values.map { value -> DatabaseValue in
                switch value {
                case .null: .null
                case .integer(let integer): integer.databaseValue
                case .real(let real): real.databaseValue
                case .text(let text): text.databaseValue
                case .blob(let bytes): Data(bytes).databaseValue
                }
            })
    }

    private static func value(_ value: DatabaseValue) -> SQLValue {
        switch value.storage {
        case .null: .null
        case .int64(let integer): .integer(integer)
        case .double(let real): .real(real)
        case .string(let text): .text(text)
        case .blob(let data): .blob([UInt8](data))
        }
    }
}

extension StoreError {
    /// What SQLite said. Its messages name tables and columns, never values.
    init(sqlite error: any Error) {
        guard let error = error as? DatabaseError else {
            self = error as? StoreError ?? .other("\(type(of: error))")
            return
        }
        let message = error.message ?? "SQLite error \(error.extendedResultCode.rawValue)"
        switch error.extendedResultCode {
        case .SQLITE_CONSTRAINT_UNIQUE, .SQLITE_CONSTRAINT_PRIMARYKEY, .SQLITE_CONSTRAINT_ROWID:
            self = Self.uniqueViolation(sqlite: message)
            return
        case .SQLITE_CONSTRAINT_FOREIGNKEY:
            self = .referenceViolation
            return
        default: break
        }
        switch error.resultCode {
        case .SQLITE_CONSTRAINT, .SQLITE_MISMATCH, .SQLITE_RANGE: self = .invalid(message)
        case .SQLITE_TOOBIG: self = .tooLarge(message)
        case .SQLITE_CORRUPT, .SQLITE_NOTADB: self = .corrupt(message)
        case .SQLITE_BUSY, .SQLITE_LOCKED, .SQLITE_FULL, .SQLITE_IOERR, .SQLITE_CANTOPEN, .SQLITE_READONLY,
            .SQLITE_PERM, .SQLITE_NOMEM, .SQLITE_INTERRUPT, .SQLITE_ABORT, .SQLITE_PROTOCOL:
            self = .unavailable(message)
        default: self = .other(message)
        }
    }

    /// "UNIQUE constraint failed: zones.account_id, zones.name"
    private static func uniqueViolation(sqlite message: String) -> StoreError {
        let list = message.split(separator: ":", maxSplits: 1).last ?? ""
        var table = ""
        let columns = list.split(separator: ",").map { part -> String in
            let names = part.split(whereSeparator: { $0 == "." || $0 == " " })
            if names.count > 1, let first = names.first { table = String(first) }
            return String(names.last ?? "")
        }
        return .uniqueViolation(table: table, columns: columns)
    }
}
