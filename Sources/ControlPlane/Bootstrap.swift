// The first start: an account, its user, and a token that may do everything.

import Glibc
import JSON
import Limits

/// What a control plane has from the beginning.
package enum Bootstrap {
    /// Makes them if there is no account yet. The token's secret is kept in a file that only its owner can read.
    ///
    /// - Parameter tokenPath: Where the secret is written.
    /// - Returns: The secret, if it was made now: to be shown this once.
    /// - Throws: `StoreError` if the file cannot be written; then nothing was made.
    package static func run(_ store: Store, tokenPath: String) async throws -> String? {
        let hasAccount = try await store.read { try $0.first("SELECT id FROM accounts LIMIT 1") != nil }
        guard !hasAccount else { return nil }
        let secret = APIToken.make()
        let (accountID, userID) = (StoreID.make(), StoreID.make())
        // Before the commit: a token that nobody can read would lock everybody out. In its place only after it: what is
        // there may be another store's.
        let draft = tokenPath + ".new"
        try write(secret, to: draft)
        let wasMade = try await store.write(locking: ["bootstrap"]) { transaction -> Bool in
            guard try transaction.first("SELECT id FROM accounts LIMIT 1") == nil else { return false }
            let now = APITime(microseconds: transaction.now)
            try AccountRow.insert(id: accountID, name: "Martlet", at: now, transaction)
            try UserRow.insert(id: userID, email: "admin@localhost", at: now, transaction)
            let token = TokenRow(
                name: "First token: may do everything", policies: [everything], owner: .user(userID), at: now)
            try token.insert(hash: APIToken.hash(secret), transaction)
            transaction.audit(
                AuditEntry(actor: "system", action: "create", resource: "token/\(token.id)", scope: "user/\(userID)"))
            return true
        }
        // Another process was first, and its token counts.
        guard wasMade else {
            unlink(draft)
            return nil
        }
        if access(tokenPath, F_OK) == 0 { rename(tokenPath, tokenPath + ".old") }
        guard rename(draft, tokenPath) == 0 else { throw problem(tokenPath) }
        return secret
    }

    /// The policy that allows all there is.
    static var everything: JSONValue {
        let resources = [Permission.Scope.zone, .account, .user].map { ($0.rawValue + ".*", JSONValue.string("*")) }
        var object = JSONObject()
        for (name, value) in resources { object[name] = value }
        return [
            "id": .string(StoreID.make()), "effect": "allow",
            "permission_groups": [
                ["id": .string(PermissionGroup.everything.id), "name": .string(PermissionGroup.everything.name)]
            ],
            "resources": .object(object),
        ]
    }

    private static func write(_ secret: String, to path: String) throws(StoreError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw problem(path) }
        defer { close(descriptor) }
        // A file that was there may have had other rights.
        guard fchmod(descriptor, 0o600) == 0 else { throw problem(path) }
        var text = Array((secret + "\n").utf8)[...]
        while !text.isEmpty {
            let count = text.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw problem(path) }
            text = text.dropFirst(count)
        }
        guard fsync(descriptor) == 0 else { throw problem(path) }
    }

    private static func problem(_ path: String) -> StoreError {
        .unavailable("cannot write the first token to \(path): \(String(cString: strerror(errno)))")
    }
}
