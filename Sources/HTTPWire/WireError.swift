// What can be wrong with the bytes of a message, and what the peer is told. One row per kind in `text` and `status`.
//
// After any of these errors the bytes that follow can no longer be trusted to start a message: the connection closes
// behind the reply, always (RFC 9112, sections 2.2 and 6.3). For a response (`side == .response`) the fault lies with
// the origin: its connection is discarded and the client is answered 502, or 504 if time ran out.

/// A message that breaks the syntax or a bound. Two errors are equal when kind, side and position are.
package struct WireError: Error, Equatable, Sendable {
    /// Who sent the message.
    package enum Side: UInt8, Sendable {
        /// The client did: a fault of the client's.
        case request
        /// The origin did: a fault of the origin's.
        case response
    }

    package enum Kind: UInt8, Sendable, CaseIterable {
        // Start lines.
        case badMethod, methodTooLong, badTarget, badRequestLine, targetFormRefused, badVersion, versionUnsupported
        case requestLineTooLong, badStatusLine, badStatus, statusLineTooLong
        // Lines.
        case bareLineFeed, bareCarriageReturn, leadingWhiteSpace, obsoleteFold
        // Fields.
        case emptyName, whiteSpaceBeforeColon, badName, badValue, headTooLong, tooManyFields
        // Framing.
        case badContentLength, contentLengthsDiffer, lengthAndCoding, badTransferEncoding, transferEncodingRepeated
        case transferCodingUnknown, transferEncodingInOldVersion, framingForbidden
        // Host.
        case hostMissing, hostRepeated, badHost, userInformation, hostDisagrees
        // Connection and Expect.
        case badConnection, tooManyConnectionOptions, expectationUnknown
        // Chunked coding.
        case badChunkSize, chunkTooLarge, badChunkExtension, chunkExtensionTooLong, badChunkEnd
        case trailersTooLong, tooManyTrailers
    }

    package let kind: Kind
    package let side: Side
    /// Where in the bytes given to the parser the offending byte stands. Of a chunked body: in the bytes of that call.
    /// Where no single byte is to blame: the first byte of the line, or 0.
    package let at: Int

    package init(_ kind: Kind, side: Side, at: Int) {
        self.kind = kind
        self.side = side
        self.at = at
    }

    /// The status the client is answered with: 400, 414, 417, 431, 501 or 505 for its own faults, 502 for the origin's.
    package var status: Int {
        guard side == .request else { return 502 }
        switch kind {
        case .methodTooLong, .transferCodingUnknown: return 501
        case .requestLineTooLong: return 414
        case .versionUnsupported: return 505
        case .headTooLong, .tooManyFields, .trailersTooLong, .tooManyTrailers: return 431
        case .expectationUnknown: return 417
        default: return 400
        }
    }

    /// The connection the bytes came from must close: behind the reply for a client, at once for an origin. Every
    /// error of this type does; the property stands here so that callers say why they close.
    package var closesConnection: Bool { true }
}

extension WireError: CustomStringConvertible {
    package var description: String { "\(text) (byte \(at) of the \(side))" }

    /// What was expected and what was found instead, for an error page or a log line.
    package var text: StaticString {
        switch kind {
        case .badMethod: "expected a method token (RFC 9110, 9.1), found another byte"
        case .methodTooLong: "expected a known method, found a longer token than any"
        case .badTarget: "expected visible ASCII without # in the request target (RFC 9112, 3.2), found another byte"
        case .badRequestLine: "expected method, target and version with single spaces between (RFC 9112, 3)"
        case .targetFormRefused: "expected a target in the form its method takes (RFC 9112, 3.2), found another form"
        case .badVersion: "expected HTTP/1.0 or HTTP/1.1 (RFC 9112, 2.3), found something else"
        case .versionUnsupported: "expected HTTP/1.x, found another major version"
        case .requestLineTooLong: "expected the request line to end, found more bytes than the bound"
        case .badStatusLine: "expected version, status and reason with single spaces between (RFC 9112, 4)"
        case .badStatus: "expected a status between 100 and 599 (RFC 9110, 15), found something else"
        case .statusLineTooLong: "expected the status line to end, found more bytes than the bound"
        case .bareLineFeed: "expected CRLF, found LF alone (RFC 9112, 2.2)"
        case .bareCarriageReturn: "expected LF behind CR, found another byte (RFC 9112, 2.2)"
        case .leadingWhiteSpace: "expected a field name behind the start line, found white space (RFC 9112, 2.2)"
        case .obsoleteFold: "expected a field name, found a folded line (RFC 9112, 5.2)"
        case .emptyName: "expected a field name before the colon, found none (RFC 9112, 5)"
        case .whiteSpaceBeforeColon: "expected a colon behind the field name, found white space (RFC 9112, 5.1)"
        case .badName: "expected a token as field name (RFC 9110, 5.1), found another byte"
        case .badValue: "expected visible bytes in the field value (RFC 9110, 5.5), found a control byte"
        case .headTooLong: "expected the head to end, found more bytes than the bound"
        case .tooManyFields: "expected the head to end, found more fields than the bound"
        case .badContentLength: "expected decimal digits as Content-Length (RFC 9110, 8.6), found something else"
        case .contentLengthsDiffer: "expected one Content-Length, found several that differ (RFC 9112, 6.3)"
        case .lengthAndCoding: "expected Content-Length or Transfer-Encoding, found both (RFC 9112, 6.3)"
        case .badTransferEncoding: "expected exactly chunked as Transfer-Encoding (RFC 9112, 6.1)"
        case .transferEncodingRepeated: "expected one Transfer-Encoding of one coding, found several (RFC 9112, 6.1)"
        case .transferCodingUnknown: "expected the transfer coding chunked, found one not implemented (RFC 9112, 6.1)"
        case .transferEncodingInOldVersion: "expected no Transfer-Encoding in HTTP/1.0, found one (RFC 9112, 6.1)"
        case .framingForbidden: "expected no body with this status, found one announced (RFC 9110, 8.6)"
        case .hostMissing: "expected a Host field in HTTP/1.1, found none (RFC 9112, 3.2)"
        case .hostRepeated: "expected one Host field, found several (RFC 9112, 3.2)"
        case .badHost: "expected a host name or address and perhaps a port (RFC 9110, 7.2), found something else"
        case .userInformation: "expected a host, found user information before it (RFC 9110, 4.2.4)"
        case .hostDisagrees: "expected Host to name the target's authority, found another (RFC 9112, 3.2.2)"
        case .badConnection: "expected tokens as connection options (RFC 9110, 7.6.1), found something else"
        case .tooManyConnectionOptions: "expected fewer connection options, found more than the bound"
        case .expectationUnknown: "expected 100-continue as expectation (RFC 9110, 10.1.1), found another"
        case .badChunkSize: "expected hexadecimal digits as chunk size (RFC 9112, 7.1), found another byte"
        case .chunkTooLarge: "expected a chunk size within the bound, found more digits"
        case .badChunkExtension: "expected visible bytes in a chunk extension (RFC 9112, 7.1.1), found another byte"
        case .chunkExtensionTooLong: "expected the chunk extensions to end, found more bytes than the bound"
        case .badChunkEnd: "expected CRLF behind the chunk's data (RFC 9112, 7.1), found another byte"
        case .trailersTooLong: "expected the trailer section to end, found more bytes than the bound"
        case .tooManyTrailers: "expected the trailer section to end, found more fields than the bound"
        }
    }
}
