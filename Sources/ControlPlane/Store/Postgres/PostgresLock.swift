import Crypto

/// Names of PostgreSQL's advisory locks. Scopes use the locks of one 64-bit number, the two below those of two 32-bit
/// numbers: the server keeps these apart.
enum PostgresLock {
    /// First number of ours: "mart" in ASCII.
    static let space: Int32 = 0x6d61_7274
    /// Held by whoever changes the schema.
    static let migration: Int32 = 1
    /// Held by the one sequencer that numbers.
    static let leader: Int32 = 2

    /// The lock of a scope. Two scopes with the same number would only wait for each other.
    static func key(scope: String) -> Int64 {
        let digest = SHA256.hash(data: Array("martlet scope \(scope)".utf8))
        return digest.prefix(8).reduce(0) { $0 << 8 | Int64($1) }
    }
}
