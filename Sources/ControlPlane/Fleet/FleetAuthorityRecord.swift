// The installation's certificate authority in the store: its certificate for all to see, its key sealed. All control
// processes on one database have the same one, made by whichever came first.

import JSON

/// Certificate and key, DER both.
package struct FleetAuthorityRecord: Sendable, Equatable {
    package var certificate: [UInt8]
    /// Secret.
    package var key: [UInt8]

    package init(certificate: [UInt8], key: [UInt8]) {
        (self.certificate, self.key) = (certificate, key)
    }

    private static let name = "fleet.authority"
    private static let secret = "fleet/authority"

    /// The one that is kept, or the one that `make` gives, which is then kept.
    ///
    /// - Parameter make: Called when there is none yet; its result is void if another process was first.
    /// - Throws: `StoreError`, and what `make` throws.
    package static func load(
        _ store: Store, orMake make: @Sendable () throws -> FleetAuthorityRecord
    ) async throws -> FleetAuthorityRecord {
        if let found = try await store.read({ try find($0) }) { return found }
        let made = try make()
        return try await store.write(locking: [name]) { transaction in
            if let found = try find(transaction) { return found }
            let text = made.certificate.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
            try transaction.execute("INSERT INTO meta (key, value) VALUES (?, ?)", [.text(name), .text(text)])
            try transaction.execute(
                "INSERT INTO secrets (object_id, sealed, modified_on) VALUES (?, ?, ?)",
                [.text(secret), .blob(try transaction.seal(made.key, for: secret)), .integer(transaction.now)])
            transaction.audit(
                AuditEntry(
                    actor: "system", action: "create", resource: "fleet_authority/\(name)",
                    scope: try FleetAccount.scope(transaction)))
            return made
        }
    }

    private static func find(_ transaction: Transaction) throws -> FleetAuthorityRecord? {
        guard let certificate = try certificate(transaction) else { return nil }
        guard let row = try transaction.first("SELECT sealed FROM secrets WHERE object_id = ?", [.text(secret)]) else {
            throw StoreError.corrupt("the key of the certificate authority is missing")
        }
        return FleetAuthorityRecord(certificate: certificate, key: try transaction.open(try row.blob(0), for: secret))
    }

    /// Nil: none was made yet.
    static func certificate(_ transaction: Transaction) throws -> [UInt8]? {
        guard let text = try transaction.first("SELECT value FROM meta WHERE key = ?", [.text(name)])?.text(0) else {
            return nil
        }
        let digits = Array(text.utf8)
        guard digits.count.isMultiple(of: 2) else { throw StoreError.corrupt("the authority's certificate") }
        return try stride(from: 0, to: digits.count, by: 2).map { place in
            guard let byte = UInt8(String(decoding: digits[place..<place + 2], as: UTF8.self), radix: 16) else {
                throw StoreError.corrupt("the authority's certificate")
            }
            return byte
        }
    }
}
