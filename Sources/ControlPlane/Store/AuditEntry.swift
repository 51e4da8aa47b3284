/// Who did what, and what was there before and after. It stands in the same transaction as the change itself.
///
/// Secrets never belong into one: neither keys nor tokens, nor their hashes.
package struct AuditEntry: Sendable, Equatable {
    /// Who: "token/<id>", "user/<id>", "system".
    package var actor: String
    /// What: "create", "update", "delete", "purge", "roll" and so on.
    package var action: String
    /// On what: "dns_record/<id>".
    package var resource: String
    /// Where it lies: "zone/<id>", "account/<id>".
    package var scope: String
    /// JSON texts.
    package var before: String?
    package var after: String?
    /// The request that asked for it.
    package var requestID: String

    package init(
        actor: String, action: String, resource: String, scope: String, before: String? = nil, after: String? = nil,
        requestID: String = ""
    ) {
        self.actor = actor
        self.action = action
        self.resource = resource
        self.scope = scope
        self.before = before
        self.after = after
        self.requestID = requestID
    }
}
