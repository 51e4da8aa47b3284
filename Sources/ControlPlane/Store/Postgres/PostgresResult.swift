// Results and errors of PostgreSQL, in the store's words.

import CPostgres
import Limits

/// A result of libpq's, freed with its owner.
struct PostgresResult: ~Copyable {
    private let result: OpaquePointer

    init(_ result: OpaquePointer) { self.result = result }

    deinit { PQclear(result) }

    var status: ExecStatusType { PQresultStatus(result) }

    /// Rows that the statement changed.
    var changed: Int { PQcmdTuples(result).flatMap { Int(String(cString: $0)) } ?? 0 }

    /// The rows, whose values came in PostgreSQL's binary forms.
    func rows() throws(StoreError) -> [SQLRow] {
        let columnCount = PQnfields(result)
        let rowCount = PQntuples(result)
        guard Int(rowCount) <= Limits.storeResultRowsMax else { throw .tooLarge("a result of \(rowCount) rows") }
        let types = (0..<columnCount).map { PQftype(result, $0) }
        var rows: [SQLRow] = []
        rows.reserveCapacity(Int(rowCount))
        for row in 0..<rowCount {
            var values: [SQLValue] = []
            values.reserveCapacity(types.count)
            for (column, type) in types.enumerated() { values.append(try value(row, Int32(column), type)) }
            rows.append(SQLRow(values: values))
        }
        return rows
    }

    private func value(_ row: Int32, _ column: Int32, _ type: Oid) throws(StoreError) -> SQLValue {
        guard PQgetisnull(result, row, column) == 0, let start = PQgetvalue(result, row, column) else { return .null }
        let bytes = UnsafeRawBufferPointer(start: start, count: Int(PQgetlength(result, row, column)))
        // The numbers are those of pg_type, which never change.
        switch type {
        case 16, 20, 21, 23, 26:  // bool, int8, int2, int4, oid
            // Network order; the first byte has the sign, except for bool and oid, which have none.
            let isNegative = type != 16 && type != 26 && (bytes.first ?? 0) & 0x80 != 0
            return .integer(bytes.reduce(isNegative ? -1 : 0) { $0 << 8 | Int64($1) })
        case 700: return .real(Double(Float(bitPattern: UInt32(truncatingIfNeeded: Self.bits(bytes)))))
        case 701: return .real(Double(bitPattern: Self.bits(bytes)))
        case 17: return .blob(Array(bytes))
        case 18, 19, 25, 114, 705, 1042, 1043: return .text(String(decoding: bytes, as: UTF8.self))
        case 2278: return .null  // void
        default: throw .other("a column of a type that is not read (oid \(type)): expected a CAST in the statement")
        }
    }

    private static func bits(_ bytes: UnsafeRawBufferPointer) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }

    /// What the server said. Its details and contexts are left out: they repeat values.
    func error() -> PostgresFailure {
        PostgresFailure(
            state: field("C"), message: field("M"), table: field("t"), constraint: field("n"), column: field("c"))
    }

    /// A field of an error, by the letter that the protocol gives it.
    private func field(_ letter: Unicode.Scalar) -> String {
        PQresultErrorField(result, Int32(letter.value)).map { String(cString: $0) } ?? ""
    }
}

/// An error that the server reported.
struct PostgresFailure {
    /// Five characters, the first two of which are the class.
    let state: String
    let message: String
    let table: String
    let constraint: String
    let column: String

    /// Whether a new connection may help: the prepared statements no longer fit the schema or are gone, or the server
    /// has become a standby, and another one of the URL's is the primary.
    var isStale: Bool { state == "0A000" || state == "26000" || state == "25006" }

    /// Whether the server has ended, or is about to end, this connection.
    var endsConnection: Bool { state.hasPrefix("08") || state.hasPrefix("57P") || state == "25P03" }

    var storeError: StoreError {
        switch state {
        case "23505":
            // Constraints are called `<table>__<columns>`.
            let parts = constraint.split(separator: "_", omittingEmptySubsequences: false)
            let names = parts.split(separator: "").map { $0.joined(separator: "_") }
            return .uniqueViolation(table: table, columns: Array(names.dropFirst()))
        case "23503": return .referenceViolation
        case "40001", "40P01": return .conflict
        case "23502": return .invalid("NULL in \(table).\(column)")
        case "57014", "55P03": return .unavailable(message)
        case "54000": return .tooLarge(message)
        case "XX001", "XX002": return .corrupt(message)
        case "25006": return .unavailable("the server is a read-only standby")
        default: break
        }
        switch state.prefix(2) {
        // These messages quote the value.
        case "22": return .invalid("SQLSTATE \(state)")
        case "23": return .invalid("constraint \(constraint) of \(table)")
        case "08", "53", "57", "58", "3D", "28": return .unavailable(message)
        default: return .other("SQLSTATE \(state): \(message)")
        }
    }
}
