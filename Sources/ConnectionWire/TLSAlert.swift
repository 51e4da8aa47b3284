/// The TLS alerts that Martlet sends of its own accord, before there is a TLS engine that could (RFC 8446, section 6.2).
package enum TLSAlert: UInt8, Sendable, Equatable {
    case unexpectedMessage = 10
    case recordOverflow = 22
    case handshakeFailure = 40
    case illegalParameter = 47
    case decodeError = 50
    case internalError = 80
    case unrecognizedName = 112

    /// The alert as a record in the clear: type 21, version 1.2, length 2, level fatal, this description.
    package var record: [UInt8] { [21, 3, 3, 0, 2, 2, rawValue] }
}

/// Why the first bytes of a connection are no ClientHello that we take. Always the client's fault.
package enum ClientHelloError: Error, Sendable, Equatable {
    /// The first byte is an upper-case letter, as HTTP in the clear begins. Worth a 400 in the clear that says so.
    case plainHTTP
    /// The first bytes are no TLS record.
    case notTLS
    /// A record of another type before the ClientHello was complete (RFC 8446, section 5.1).
    case unexpectedRecord
    /// A record that is empty or longer than 2^14 bytes (RFC 8446, section 5.1).
    case badRecordLength
    /// A handshake message other than a ClientHello.
    case unexpectedMessage
    /// More than `Limits.clientHelloBytesMax`.
    case tooLarge
    /// A length that leads over the end of what holds it, an odd list of pairs, an empty list that may not be so.
    case malformed
    /// Two extensions of one type (RFC 8446, section 4.2).
    case duplicateExtension
    /// More extensions than `ClientHello.extensionCountMax`.
    case tooManyExtensions
    /// A pre_shared_key extension that is not the last one (RFC 8446, section 4.2.11).
    case misplacedPreSharedKey
    /// A server name that is no host name (RFC 6066, section 3).
    case badServerName

    /// What to tell the client; nil where it does not speak TLS.
    package var alert: TLSAlert? {
        switch self {
        case .plainHTTP, .notTLS: nil
        case .unexpectedRecord, .unexpectedMessage: .unexpectedMessage
        case .badRecordLength: .recordOverflow
        case .tooLarge, .duplicateExtension, .tooManyExtensions, .misplacedPreSharedKey, .badServerName:
            .illegalParameter
        case .malformed: .decodeError
        }
    }
}

extension ClientHelloError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .plainHTTP: "plain HTTP on a TLS port"
        case .notTLS: "expected a TLS record, found other bytes"
        case .unexpectedRecord: "expected a handshake record before the ClientHello was complete"
        case .badRecordLength: "TLS record is empty or too long"
        case .unexpectedMessage: "expected a ClientHello, found another handshake message"
        case .tooLarge: "ClientHello is too large"
        case .malformed: "ClientHello is malformed"
        case .duplicateExtension: "ClientHello has two extensions of one type"
        case .tooManyExtensions: "ClientHello has too many extensions"
        case .misplacedPreSharedKey: "pre_shared_key must be the last extension"
        case .badServerName: "server_name is no host name"
        }
    }
}
