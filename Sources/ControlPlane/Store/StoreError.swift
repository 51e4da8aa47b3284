/// What went wrong in the store. It compares by kind and, where a caller decides by it, by what was hit.
///
/// No text here holds a password, a key or a value of a row: servers' details are left out, since they repeat values.
package enum StoreError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Another row has these columns' values already. The same for both databases.
    case uniqueViolation(table: String, columns: [String])
    /// A row that is referred to is not there, or rows refer to the one that should go.
    case referenceViolation
    /// No connection, time-out, disk full, queue full. Nothing was written.
    case unavailable(String)
    /// The connection broke during the commit, and whether it happened could not be found out within the time for that.
    case unknownOutcome
    /// Serialization failure or deadlock; the transaction was tried again already, up to a bound.
    case conflict
    /// A value that the store cannot hold: NUL in a text, NULL where none may be, another type.
    case invalid(String)
    /// A value, a result or a group of changes beyond its bound.
    case tooLarge(String)
    /// The database, a key file or a sealed value is damaged.
    case corrupt(String)
    /// The frames asked for are kept no more; the oldest one kept begins with this sequence.
    case pruned(oldest: UInt64)
    case other(String)

    /// Whether the same call may go well a little later.
    package var isRetryable: Bool {
        switch self {
        case .unavailable, .conflict: true
        default: false
        }
    }

    package var description: String {
        switch self {
        case .uniqueViolation(let table, let columns):
            "expected \(table) without the same \(columns.joined(separator: ", ")), found one"
        case .referenceViolation: "a row that is referred to is missing, or is still referred to"
        case .unavailable(let why): "the store is unavailable: \(why)"
        case .unknownOutcome: "the connection to the store broke during the commit, and its outcome is unknown"
        case .conflict: "the transaction met others each time it was tried"
        case .invalid(let why): "a value that the store cannot hold: \(why)"
        case .tooLarge(let what): "too large: \(what)"
        case .corrupt(let what): "damaged: \(what)"
        case .pruned(let oldest): "frames before sequence \(oldest) are kept no more"
        case .other(let what): what
        }
    }
}
