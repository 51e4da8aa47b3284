// From a secret to a caller, within the transaction that the call is answered in: a token that was revoked a moment ago
// is refused.

import JSON

enum Authentication {
    /// - Throws: `APIError`: unknown, disabled, expired, not yet valid, or from an address that it is not for.
    static func caller(
        _ credentials: Credentials, from address: String?, now: APITime, _ transaction: Transaction
    ) throws -> Caller {
        if case .process(let name) = credentials {
            return Caller(processName: name, policies: [TokenPolicy(Bootstrap.everything)])
        }
        guard let hash = credentials.hash else { return .nobody }
        guard let token = try TokenRow.find(hash: hash, transaction) else { throw APIError.invalidToken }
        guard token.state(at: now) == .active, token.allows(address) else { throw APIError.invalidToken }
        if case .key(_, let email) = credentials {
            guard let userID = token.userID, let user = try UserRow.find(userID, transaction),
                user.email.lowercased() == email.lowercased()
            else { throw APIError.unauthenticated }
        }
        return Caller(
            tokenID: token.id, userID: token.userID,
            isBounded: token.expiresOn != nil || token.condition.object?.isEmpty == false, accountID: token.accountID,
            policies: token.policies.array.map { $0.map(TokenPolicy.init) } ?? [])
    }
}
