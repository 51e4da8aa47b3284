// Values on their way into statements and out of results. Both databases hold these five kinds and no other.

import Limits

/// One value of a row or for a placeholder.
package enum SQLValue: Sendable, Equatable {
    case null
    case integer(Int64)
    case real(Double)
    case text(String)
    case blob([UInt8])

    package init(_ text: String?) { self = text.map(SQLValue.text) ?? .null }
    package init(_ integer: Int64?) { self = integer.map(SQLValue.integer) ?? .null }
    package init(_ integer: Int) { self = .integer(Int64(integer)) }
    /// Truth is 0 or 1 in both databases.
    package init(_ truth: Bool) { self = .integer(truth ? 1 : 0) }

    /// The kind, for errors, which never tell the value.
    var kind: String {
        switch self {
        case .null: "NULL"
        case .integer: "an integer"
        case .real: "a real number"
        case .text: "text"
        case .blob: "bytes"
        }
    }

    /// Bytes it takes, roughly.
    var byteCount: Int {
        switch self {
        case .null: 1
        case .integer, .real: 8
        case .text(let text): text.utf8.count
        case .blob(let bytes): bytes.count
        }
    }

    /// What neither database may be asked to hold. PostgreSQL has no NUL in texts; SQLite would cut them there.
    func check() throws(StoreError) {
        guard byteCount <= Limits.storeValueBytesMax else {
            throw .tooLarge("a value of \(byteCount) bytes, expected at most \(Limits.storeValueBytesMax)")
        }
        if case .text(let text) = self, text.utf8.contains(0) { throw .invalid("text with a NUL byte") }
        if case .real(let number) = self, !number.isFinite { throw .invalid("a number that is not finite") }
    }
}

extension SQLValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByNilLiteral {
    package init(stringLiteral value: String) { self = .text(value) }
    package init(integerLiteral value: Int64) { self = .integer(value) }
    package init(nilLiteral: ()) { self = .null }
}

/// One row of a result. A column of another kind than asked for is an error, never a trap.
package struct SQLRow: Sendable, Equatable {
    let values: [SQLValue]

    package var count: Int { values.count }

    /// The value of a column, counted from 0; null past the end.
    package subscript(_ column: Int) -> SQLValue {
        values.indices.contains(column) ? values[column] : .null
    }

    package func text(_ column: Int) throws(StoreError) -> String {
        guard case .text(let text) = self[column] else { throw mismatch(column, "text") }
        return text
    }

    package func textOrNil(_ column: Int) throws(StoreError) -> String? {
        if case .null = self[column] { return nil }
        return try text(column)
    }

    package func integer(_ column: Int) throws(StoreError) -> Int64 {
        guard case .integer(let integer) = self[column] else { throw mismatch(column, "an integer") }
        return integer
    }

    package func integerOrNil(_ column: Int) throws(StoreError) -> Int64? {
        if case .null = self[column] { return nil }
        return try integer(column)
    }

    /// A real number; an integer is one too.
    package func real(_ column: Int) throws(StoreError) -> Double {
        switch self[column] {
        case .real(let real): return real
        case .integer(let integer): return Double(integer)
        default: throw mismatch(column, "a real number")
        }
    }

    package func realOrNil(_ column: Int) throws(StoreError) -> Double? {
        if case .null = self[column] { return nil }
        return try real(column)
    }

    package func blob(_ column: Int) throws(StoreError) -> [UInt8] {
        guard case .blob(let bytes) = self[column] else { throw mismatch(column, "bytes") }
        return bytes
    }

    package func blobOrNil(_ column: Int) throws(StoreError) -> [UInt8]? {
        if case .null = self[column] { return nil }
        return try blob(column)
    }

    /// Whether the column's integer is not 0.
    package func bool(_ column: Int) throws(StoreError) -> Bool { try integer(column) != 0 }

    private func mismatch(_ column: Int, _ expected: String) -> StoreError {
        .corrupt("column \(column) of a row: expected \(expected), found \(self[column].kind)")
    }
}
