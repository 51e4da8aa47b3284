/// The names that a zone's registrar is to delegate to.
enum NameServers {
    /// What the operator has set for the installation (`meta`, key `name_servers`, separated by blanks).
    static func of(_ account: AccountRow, _ transaction: Transaction) throws -> [String] {
        let set = try transaction.first("SELECT value FROM meta WHERE key = ?", ["name_servers"])
        return try set?.text(0).split(separator: " ").map(String.init) ?? []
    }
}
