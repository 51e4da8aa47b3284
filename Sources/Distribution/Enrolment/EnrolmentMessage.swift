// Enrolment on the wire: one request, one answer. Integers in network order.
//
//   message   length 4 | body
//   request   version 1 | kind 1 | role 1 | hops 1 | name (1) | csr (2) | token:   secret (1)
//                                                                       | renewal: certificate (2) | signature (2)
//   answer    version 1 | 0     | certificate (2) | authority (2)
//             version 1 | kind of the refusal     | text (2)
//
// (n): n bytes of the length, then the bytes.

import ConfigLog
import Crypto
import FoundationEssentials
import Limits
import X509

/// What a node sends.
struct EnrolmentQuestion: Sendable, Equatable {
    enum Proof: Sendable, Equatable {
        case token(secret: String)
        /// The present certificate, and a signature by its key over the signing request.
        case renewal(certificate: [UInt8], signature: [UInt8])
    }

    var role: NodeRole
    /// Relays that it passed through.
    var hops: UInt8 = 0
    var name: NodeName?
    var csr: [UInt8]
    var proof: Proof

    static let version: UInt8 = 1

    /// What a renewal's signature is over.
    static func signed(csr: [UInt8]) -> [UInt8] { Array("\(DistributionProtocol.enrolment) renewal\0".utf8) + csr }
}

/// What it is answered.
enum EnrolmentReply: Sendable, Equatable {
    case issued(certificate: [UInt8], authority: [UInt8])
    case refused(EnrolmentRefusal)
}

/// The bytes are not such a message.
struct EnrolmentFault: Error, Equatable {
    let text: String
    init(_ text: String) { self.text = text }
}

/// Takes one message's bytes as they come. After an error, or a message, it wants no more.
struct EnrolmentReader {
    private var bytes: [UInt8] = []

    /// - Returns: The body, once it is whole.
    /// - Throws: what is wrong with the length, as soon as it is known; also if more comes than one message.
    mutating func append(_ more: some Sequence<UInt8>) throws(EnrolmentFault) -> [UInt8]? {
        bytes.append(contentsOf: more)
        guard bytes.count >= 4 else { return nil }
        let length = bytes.prefix(4).reduce(0) { $0 << 8 | Int($1) }
        guard 2...Limits.enrolmentMessageBytesMax ~= length else {
            throw EnrolmentFault(
                "expected a message of 2 to \(Limits.enrolmentMessageBytesMax) bytes, found \(length)")
        }
        guard bytes.count <= 4 + length else { throw EnrolmentFault("more than one message came") }
        return bytes.count == 4 + length ? Array(bytes.dropFirst(4)) : nil
    }
}

extension EnrolmentQuestion {
    /// With the length before it. Parts that are too long make a message that nobody takes.
    var bytes: [UInt8] {
        var body: [UInt8] = [Self.version, 0, role.rawValue, hops]
        body.append(short: Array((name?.text ?? "").utf8))
        body.append(long: csr)
        switch proof {
        case .token(let secret):
            body[1] = 1
            body.append(short: Array(secret.utf8))
        case .renewal(let certificate, let signature):
            body[1] = 2
            body.append(long: certificate)
            body.append(long: signature)
        }
        return body.framed
    }

    init(decoding body: [UInt8]) throws(EnrolmentFault) {
        var reader = EnrolmentCursor(body)
        let version = try reader.byte()
        guard version == Self.version else {
            throw EnrolmentFault("expected version \(Self.version), found \(version)")
        }
        let kind = try reader.byte()
        guard let role = NodeRole(rawValue: try reader.byte()), role != .root else {
            throw EnrolmentFault("expected the role of a relay or an edge")
        }
        self.role = role
        hops = try reader.byte()
        let text = String(validating: try reader.short(), as: UTF8.self) ?? "\u{0}"
        name = NodeName(text)
        guard text.isEmpty || name != nil else { throw EnrolmentFault("expected a name of \(NodeName.rule)") }
        csr = try reader.long(bytesMax: Limits.enrolmentCertificateBytesMax)
        switch kind {
        case 1:
            let secret = try reader.short()
            guard JoinToken.isSecret(secret) else { throw EnrolmentFault("expected a token's secret") }
            proof = .token(secret: String(decoding: secret, as: UTF8.self))
        case 2:
            proof = .renewal(
                certificate: try reader.long(bytesMax: Limits.enrolmentCertificateBytesMax),
                signature: try reader.long(bytesMax: Limits.enrolmentCertificateBytesMax))
        default: throw EnrolmentFault("expected a token or a renewal, found kind \(kind)")
        }
        try reader.atEnd()
    }
}

extension EnrolmentReply {
    /// With the length before it.
    var bytes: [UInt8] {
        var body: [UInt8] = [EnrolmentQuestion.version]
        switch self {
        case .issued(let certificate, let authority):
            body.append(0)
            body.append(long: certificate)
            body.append(long: authority)
        case .refused(let refusal):
            body.append(refusal.kind.rawValue)
            var text = refusal.text
            while text.utf8.count > Limits.enrolmentTextBytesMax { text.removeLast() }
            body.append(long: Array(text.utf8))
        }
        return body.framed
    }

    init(decoding body: [UInt8]) throws(EnrolmentFault) {
        var reader = EnrolmentCursor(body)
        let version = try reader.byte()
        guard version == EnrolmentQuestion.version else {
            throw EnrolmentFault("expected version \(EnrolmentQuestion.version), found \(version)")
        }
        let status = try reader.byte()
        if status == 0 {
            self = .issued(
                certificate: try reader.long(bytesMax: Limits.enrolmentCertificateBytesMax),
                authority: try reader.long(bytesMax: Limits.enrolmentCertificateBytesMax))
        } else {
            guard let kind = EnrolmentRefusal.Kind(rawValue: status) else {
                throw EnrolmentFault("expected a refusal that is known, found \(status)")
            }
            let bytes = try reader.long(bytesMax: Limits.enrolmentTextBytesMax)
            // It comes onto terminals and into logs.
            let text = String(decoding: bytes, as: UTF8.self).unicodeScalars
                .filter { $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) }
            self = .refused(EnrolmentRefusal(kind, String(String.UnicodeScalarView(text))))
        }
        try reader.atEnd()
    }
}

extension EnrolmentQuestion {
    /// Checks what can be checked without the store: the signing request, and a renewal's proof.
    ///
    /// - Throws: `malformed`, or `expired` for a certificate that is valid no more.
    func checked(by identity: NodeIdentity) throws(EnrolmentRefusal) -> EnrolmentRequest {
        let signing: SigningRequest
        do {
            signing = try SigningRequest(der: csr)
        } catch {
            throw EnrolmentRefusal(.malformed, error.description)
        }
        switch proof {
        case .token(let secret):
            return EnrolmentRequest(
                proof: .token(digest: JoinToken.digest(of: secret)), name: name, role: role, csr: csr,
                keyDigest: signing.keyDigest)
        case .renewal(let der, let signature):
            let present: NodeCertificate
            do {
                present = try NodeCertificate(der: der, issuedBy: identity.authority, now: Date())
            } catch {
                throw EnrolmentRefusal(.expired, error.description)
            }
            guard let key = P256.Signing.PublicKey(present.certificate.publicKey),
                let signature = try? P256.Signing.ECDSASignature(derRepresentation: signature),
                key.isValidSignature(signature, for: Self.signed(csr: csr)), present.role == role, present.role != .root
            else {
                throw EnrolmentRefusal(
                    .malformed, "the renewal is not signed by the key of the certificate of \(present.name)")
            }
            return EnrolmentRequest(
                proof: .renewal(serial: present.serial), name: present.name, role: role, csr: csr,
                keyDigest: signing.keyDigest)
        }
    }
}

// MARK: Bytes

private struct EnrolmentCursor {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    mutating func byte() throws(EnrolmentFault) -> UInt8 {
        guard let byte = rest.popFirst() else { throw EnrolmentFault("the message ends too early") }
        return byte
    }

    mutating func short() throws(EnrolmentFault) -> [UInt8] { try take(Int(try byte())) }

    mutating func long(bytesMax: Int) throws(EnrolmentFault) -> [UInt8] {
        let count = Int(try byte()) << 8 | Int(try byte())
        guard count <= bytesMax else { throw EnrolmentFault("expected at most \(bytesMax) bytes, found \(count)") }
        return try take(count)
    }

    private mutating func take(_ count: Int) throws(EnrolmentFault) -> [UInt8] {
        guard count <= rest.count else { throw EnrolmentFault("the message ends too early") }
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }

    func atEnd() throws(EnrolmentFault) {
        guard rest.isEmpty else { throw EnrolmentFault("\(rest.count) bytes too many") }
    }
}

extension [UInt8] {
    fileprivate mutating func append(short bytes: [UInt8]) {
        let bytes = bytes.prefix(255)
        append(UInt8(bytes.count))
        append(contentsOf: bytes)
    }

    fileprivate mutating func append(long bytes: [UInt8]) {
        let bytes = bytes.prefix(65535)
        append(UInt8(bytes.count >> 8))
        append(UInt8(bytes.count & 255))
        append(contentsOf: bytes)
    }

    /// A message of this body.
    fileprivate var framed: [UInt8] {
        let count = UInt32(truncatingIfNeeded: count)
        return [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: count >> $0) } + self
    }
}
