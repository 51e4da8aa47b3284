import Limits

/// What a caller says of who they are.
enum Credentials: Sendable, Equatable {
    case none
    /// `Authorization: Bearer TOKEN`
    case token(String)
    /// `X-Auth-Email` and `X-Auth-Key`: a token under another name, whose user has this address.
    case key(String, email: String)
    /// This process itself, under a name for the audit log. No request from outside comes to this.
    case process(String)

    /// - Throws: `APIError` (6003) if the fields are there and make no sense.
    init(_ fields: APIFields) throws(APIError) {
        if let text = fields["authorization"] {
            let parts = text.split(separator: " ", omittingEmptySubsequences: true)
            guard parts.count == 2, parts[0].lowercased() == "bearer" else {
                throw .invalidHeaders("Invalid format for Authorization header: expected Bearer and a token")
            }
            self = .token(try Self.checked(String(parts[1])))
        } else if let key = fields["x-auth-key"] {
            guard let email = fields["x-auth-email"], !email.isEmpty else {
                throw .invalidHeaders("X-Auth-Key needs X-Auth-Email beside it")
            }
            self = .key(try Self.checked(key), email: email)
        } else {
            self = .none
        }
    }

    private static func checked(_ secret: String) throws(APIError) -> String {
        guard !secret.isEmpty, secret.utf8.count <= Limits.apiTokenBytesMax,
            secret.utf8.allSatisfy({ (0x21...0x7e).contains($0) })
        else { throw .invalidHeaders("Invalid format for the token or key") }
        return secret
    }

    /// Of the secret, as it is kept.
    var hash: [UInt8]? {
        switch self {
        case .none, .process: nil
        case .token(let secret), .key(let secret, _): APIToken.hash(secret)
        }
    }
}
