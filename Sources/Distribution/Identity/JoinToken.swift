// A join token: what a new node is given once, by hand.
//
//     mj1.<secret: 40 characters>.<SHA-256 of the authority's certificate: 43 characters of base64url>
//
// The secret proves to the control plane that somebody wanted this node. The digest lets the node know the control plane
// before it has any certificate: it trusts exactly the server whose chain ends in that authority. So the token is all
// that has to be carried over, and reading it on the way is all that would help an attacker.

import Crypto
import Limits

/// A one-time token to join the installation.
package struct JoinToken: Sendable, Equatable {
    /// Kept nowhere but in the token's text.
    package let secret: String
    /// SHA-256 of the authority's certificate: 32 bytes.
    package let authorityDigest: [UInt8]

    private static let prefix = "mj1"
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    /// A new one, for the authority with this digest.
    package static func make(authority digest: [UInt8]) -> JoinToken {
        var generator = SystemRandomNumberGenerator()
        // 64 characters: the low six bits choose one evenly.
        let characters = (0..<Limits.joinTokenSecretCharacters).map { _ in alphabet[Int(generator.next() & 63)] }
        return JoinToken(secret: String(decoding: characters, as: UTF8.self), authorityDigest: digest)
    }

    private init(secret: String, authorityDigest: [UInt8]) {
        self.secret = secret
        self.authorityDigest = authorityDigest
    }

    /// - Throws: `token`. The error does not repeat what was found: it may be a token with one character amiss.
    package init(parsing text: String) throws(DistributionError) {
        let refusal = DistributionError(
            .token,
            "this is no join token: expected mj1.<40 characters>.<43 characters>, found \(text.utf8.count) bytes of "
                + "another shape; copy the whole token, or make another one with `martlet edge token`")
        guard text.utf8.count <= Limits.joinTokenBytesMax else { throw refusal }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == Self.prefix, Self.isSecret(parts[1].utf8),
            let digest = Self.decode(parts[2].utf8), digest.count == SHA256.byteCount
        else { throw refusal }
        self.init(secret: String(parts[1]), authorityDigest: digest)
    }

    /// The whole token. Secret.
    package var text: String { "\(Self.prefix).\(secret).\(Self.encode(authorityDigest))" }

    /// SHA-256 of the secret: what the control plane keeps, and finds the token by.
    package var secretDigest: [UInt8] { Self.digest(of: secret) }

    package static func digest(of secret: String) -> [UInt8] { Array(SHA256.hash(data: Array(secret.utf8))) }

    static func isSecret(_ bytes: some Collection<UInt8>) -> Bool {
        bytes.count == Limits.joinTokenSecretCharacters && bytes.allSatisfy { alphabet.contains($0) }
    }

    // MARK: Base64url without padding (RFC 4648, section 5)

    private static func value(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(byte - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(byte - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "-"): 62
        case UInt8(ascii: "_"): 63
        default: nil
        }
    }

    static func encode(_ bytes: [UInt8]) -> String {
        var out: [UInt8] = []
        var (bits, count): (UInt32, UInt32) = (0, 0)
        for byte in bytes {
            bits = bits << 8 | UInt32(byte)
            count += 8
            while count >= 6 {
                count -= 6
                out.append(alphabet[Int(bits >> count & 63)])
            }
            bits &= 0xFF
        }
        if count > 0 { out.append(alphabet[Int(bits << (6 - count) & 63)]) }
        return String(decoding: out, as: UTF8.self)
    }

    /// Nil if it is not what `encode` makes: bits left over are zero.
    static func decode(_ text: some Sequence<UInt8>) -> [UInt8]? {
        var out: [UInt8] = []
        var (bits, count): (UInt32, UInt32) = (0, 0)
        for byte in text {
            guard let value = value(byte) else { return nil }
            bits = bits << 6 | value
            count += 6
            if count >= 8 {
                count -= 8
                out.append(UInt8(truncatingIfNeeded: bits >> count))
                bits &= (1 << count) - 1
            }
        }
        return bits == 0 && count < 6 ? out : nil
    }
}

extension JoinToken: CustomStringConvertible {
    /// Without the secret.
    package var description: String { "a join token for the authority \(Self.encode(authorityDigest).prefix(8))…" }
}
