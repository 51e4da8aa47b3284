/// The bounds of the configuration's history.
extension Limits {
    /// Changes that one difference or one rollback goes over. More: by zone, or in steps.
    package static let historyEntriesMax = 10_000
    /// Bytes of what they say before and after.
    package static let historyBytesMax = 64 * 1024 * 1024
}
