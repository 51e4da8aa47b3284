// The codes by which HTTP/2 says why a stream or a connection ends (RFC 9113, section 7).

/// An error code of RST_STREAM or GOAWAY. Unknown ones have no special meaning and are kept as they came.
package struct HTTP2ErrorCode: RawRepresentable, Hashable, Sendable {
    package var rawValue: UInt32

    @inlinable package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let noError = HTTP2ErrorCode(rawValue: 0x00)
    package static let protocolError = HTTP2ErrorCode(rawValue: 0x01)
    package static let internalError = HTTP2ErrorCode(rawValue: 0x02)
    package static let flowControlError = HTTP2ErrorCode(rawValue: 0x03)
    package static let settingsTimeout = HTTP2ErrorCode(rawValue: 0x04)
    package static let streamClosed = HTTP2ErrorCode(rawValue: 0x05)
    package static let frameSizeError = HTTP2ErrorCode(rawValue: 0x06)
    package static let refusedStream = HTTP2ErrorCode(rawValue: 0x07)
    package static let cancel = HTTP2ErrorCode(rawValue: 0x08)
    package static let compressionError = HTTP2ErrorCode(rawValue: 0x09)
    package static let connectError = HTTP2ErrorCode(rawValue: 0x0A)
    package static let enhanceYourCalm = HTTP2ErrorCode(rawValue: 0x0B)
    package static let inadequateSecurity = HTTP2ErrorCode(rawValue: 0x0C)
    package static let http11Required = HTTP2ErrorCode(rawValue: 0x0D)

    /// The name in RFC 9113, or `UNKNOWN`.
    package var label: StaticString {
        switch self {
        case .noError: "NO_ERROR"
        case .protocolError: "PROTOCOL_ERROR"
        case .internalError: "INTERNAL_ERROR"
        case .flowControlError: "FLOW_CONTROL_ERROR"
        case .settingsTimeout: "SETTINGS_TIMEOUT"
        case .streamClosed: "STREAM_CLOSED"
        case .frameSizeError: "FRAME_SIZE_ERROR"
        case .refusedStream: "REFUSED_STREAM"
        case .cancel: "CANCEL"
        case .compressionError: "COMPRESSION_ERROR"
        case .connectError: "CONNECT_ERROR"
        case .enhanceYourCalm: "ENHANCE_YOUR_CALM"
        case .inadequateSecurity: "INADEQUATE_SECURITY"
        case .http11Required: "HTTP_1_1_REQUIRED"
        default: "UNKNOWN"
        }
    }
}

extension HTTP2ErrorCode: CustomStringConvertible {
    package var description: String { "\(label) (\(rawValue))" }
}
